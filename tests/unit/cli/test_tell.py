"""`tell`, in this process and over a real mail server: what is shown, asked, sent, refused, and shouted about."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backout import bootstrap, cli
from backout.cli.telling import moment
from backout.flow.incidents import declare, state
from kit.cli import validate
from kit.mailserver import Post, post

CONFIG = """
[environments.production]
hosts = ["local"]
[audiences.client]
to = ["mailto:ops@client.example", "mailto:boss@client.example"]
[audiences.staging]
to = ["mailto:dev@shop.example"]
environments = ["staging"]
[environments.staging]
hosts = ["staging.invalid"]
[mail]
server = "{server}"
from = "ops@shop.example"
"""
Tell = Callable[..., tuple[int, str]]


@pytest.fixture
def server() -> Iterator[Post]:
    """A mail server that takes everything."""
    with post() as running:
        yield running


@pytest.fixture
def tell(server: Post, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tell:
    """Run `backout tell` here, with no terminal and an incident on production; gives exit code and all that it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    (tmp_path / "backout.toml").write_text(CONFIG.format(server=server.address))
    with closing(bootstrap.journal()) as journal:
        declare(journal, "ada", bootstrap.new_change_id, "production", "The shop answers 502")

    def run(*words: str) -> tuple[int, str]:
        code = cli.run(["tell", *words])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def document(tell: Tell, *words: str) -> tuple[int, dict[str, Any]]:
    """Run it with --json; what it gives is held against its schema."""
    code, said = tell("--json", *words)
    validate(given := json.loads(said.strip().split("\n")[0]))
    return code, given


def text_of(server: Post, number: int) -> str:
    """The plain text of a mail, by its place in the order of their coming."""
    body = server.mails[number][1].get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def recipients(server: Post) -> list[str]:
    """Who got a mail, in order."""
    return [recipient for recipient, _ in server.mails]


def test_without_a_terminal_the_preview_is_shown_and_nothing_is_sent(tell: Tell, server: Post) -> None:
    """What a script said to a client cannot be taken back."""
    code, said = tell()
    assert code == 3
    assert "[investigating] production: The shop answers 502" in said
    assert "mailto:ops@client.example" in said
    assert "mailto:boss@client.example" in said
    assert "backout tell --yes" in said
    code, shown = document(tell)
    assert (code, shown["preview"], server.mails) == (3, True, [])


def test_with_yes_each_target_gets_its_own_mail(tell: Tell, server: Post) -> None:
    """And nobody whose environments have nothing to do with it."""
    code, told = document(tell, "--yes")
    assert code == 0
    assert recipients(server) == ["ops@client.example", "boss@client.example"]
    assert [place["state"] for place in told["notices"][0]["deliveries"]] == ["sent", "sent"]
    assert tell("--retry") == (0, "Nothing waits to be sent.\n")


def test_it_ends_with_the_next_word_that_is_due(tell: Tell) -> None:
    """Nobody looks at a clock while a site is down."""
    assert tell("--yes")[1].endswith("The next word to client is due in 29 min: backout tell\n")
    assert "due in" not in tell("--dry-run", "--quiet", "--changed", "a", "--remedy", "b")[1]


def test_a_target_that_is_refused_is_shouted_about(tell: Tell, server: Post) -> None:
    """What, why, when it is tried again, and the command."""
    server.refuses = {"boss@client.example"}
    code, said = tell("--yes")
    assert code == 1
    assert "FAILED  mailto:boss@client.example" in said
    assert "550 5.1.1 no such user here" in said
    assert "backout tell --retry" in said
    code, said = tell("--retry", "--quiet")
    assert (code, "FAILED" in said, len(server.mails)) == (1, True, 1)


def test_an_unknown_delivery_asks_for_a_person(tell: Tell, server: Post) -> None:
    """It may be there; the commands that settle it are shown."""
    server.drops = True
    code, told = document(tell, "--yes")
    places = told["notices"][0]["deliveries"]
    assert (code, [place["state"] for place in places]) == (5, ["unknown", "unknown"])
    code, said = tell("--yes")
    assert (code, f"backout tell --sent {places[0]['id']}" in said) == (5, True)
    code, said = tell("--retry")
    assert code == 5
    assert f"backout tell --sent {places[0]['id']}" in said
    assert tell("--sent", str(places[0]["id"]))[0] == 5
    server.drops = False
    assert tell("--again", str(places[1]["id"]))[0] == 0
    assert recipients(server) == ["ops@client.example", "boss@client.example", "boss@client.example"]
    assert tell("--sent", "4711")[0] == 2


def test_an_update_lacks_its_remedy_until_it_is_given_and_text_may_stand_around_options(
    tell: Tell, server: Post
) -> None:
    """Refused with the option that gives it: an update without it makes the phone ring."""
    tell("--yes")
    code, said = tell("--yes", "It", "is", "a", "package")
    assert (code, "remedy in the update" in said, "backout tell --remedy TEXT" in said) == (3, True, True)
    code, told = document(
        tell,
        "client",
        "It is",
        "--status",
        "identified",
        "a package",
        "--remedy",
        "taken back",
        "--yes",
        "--next",
        "10m",
    )
    assert code == 0
    assert told["notices"][0]["subject"] == "[identified] production: It is a package"
    assert len(server.mails) == 4


def test_the_first_word_of_a_resolved_incident_s_end_needs_the_data_lost(tell: Tell, server: Post) -> None:
    """That none were lost has to be said, too."""
    tell("--yes")
    with closing(bootstrap.journal()) as journal:
        (event,) = journal.events(type="incident")
        state(journal, "ada", event.body["id"], "production", "resolved")
    code, said = tell("--yes")
    assert (code, "backout tell --lost TEXT" in said) == (3, True)
    code, told = document(tell, "--yes", "--lost", "none", "--since", "2025-11-28T21:40")
    assert (code, told["notices"][0]["type"], len(server.mails)) == (0, "resolved", 4)
    code, said = tell("--yes")
    assert (code, "No incident is open" in said) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cliemt", "it is down"], "'cliemt' is no audience"),
        (["--status", "fine"], "status"),
        (["--since", "yesterday"], "'yesterday' is not a time"),
        (["--incident", "nowhere"], "No incident is named"),
        (["--retry", "--sent", "5"], "not allowed"),
        (["--nxt", "5m"], "nrecognized arguments: --nxt"),
        (["--status", "resolved"], "is open"),
        (["-e", "staging"], "No incident is open on staging"),
    ],
)
def test_what_is_typed_wrongly_is_named_and_nothing_is_sent(
    tell: Tell, server: Post, words: list[str], said: str
) -> None:
    """A slip of the hand must not become a mail to a client."""
    code, told = tell("--yes", *words)
    assert (code, said in told, server.mails) == (2, True, [])


def test_after_two_dashes_all_is_text(tell: Tell) -> None:
    """Also what is the name of an audience, or nearly one."""
    code, told = document(tell, "--dry-run", "--", "client", "cannot log in")
    assert (code, told["notices"][0]["subject"]) == (0, "[investigating] production: client cannot log in")


def test_without_an_audience_the_line_to_add_is_shown(tell: Tell, tmp_path: Path) -> None:
    """The file is open in an editor a moment later."""
    (tmp_path / "backout.toml").write_text('[environments.production]\nhosts = ["local"]\n')
    code, said = tell("--yes")
    assert (code, "[audiences.client]" in said) == (2, True)


def test_a_time_of_day_is_the_last_one() -> None:
    """At ten past midnight, 23:50 is a quarter of an hour ago."""
    later, earlier = moment("23:59"), moment("00:00")
    assert 0 <= abs(later - earlier) < 86400
    assert moment("2025-11-28T21:40+01:00") == moment("2025-11-28 20:40 UTC") == 1764362400


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("2025-10-26 02:30 Europe/Berlin", "was there twice, or never"),
        ("2025-03-30 02:30 Europe/Berlin", "was there twice, or never"),
        ("2099-01-01 10:00", "is still to come"),
        ("soon", "is not a time such as"),
    ],
)
def test_a_time_that_a_client_could_misread_is_refused(tell: Tell, text: str, what: str) -> None:
    """An hour more or less is another story; who meant it can write the zone."""
    code, said = tell("--since", text, "--dry-run")
    assert (code, what in " ".join(said.split())) == (2, True)


def test_the_closing_letter_goes_out_once_and_a_second_one_after_the_review(tell: Tell, server: Post) -> None:
    """What `calm` drafted is what arrives; nobody gets it twice, and what the review found is a letter of its own."""
    assert cli.run(["calm", "--word", "seen", "--why", "one package moved", "--done", "put it back"]) == 0
    code, said = tell("--letter", "--yes")
    assert (code, recipients(server)) == (3, [])
    assert "The notice lacks lost in the letter word" in said
    assert "backout calm --lost TEXT" in said
    assert cli.run(["calm", "--lost", "none"]) == 0
    assert (tell("--letter", "--yes")[0], recipients(server)) == (0, ["ops@client.example", "boss@client.example"])
    assert "one package moved" in text_of(server, 0)
    assert (tell("--letter", "--yes")[0], len(server.mails)) == (2, 2)
    assert cli.run(["calm", "--again", "no: a guard refuses it"]) == 0
    assert (tell("--letter", "--yes")[0], len(server.mails)) == (0, 4)
    assert "no: a guard refuses it" in text_of(server, 3)


def test_that_it_is_resolved_is_told_in_the_words_that_calm_was_given(tell: Tell, server: Post) -> None:
    """Nothing is to be typed twice at the end of a night."""
    assert tell("--yes")[0] == 0
    assert cli.run(["calm", "--word", "seen", "--why", "w", "--done", "put it back", "--lost", "none"]) == 0
    assert tell("--yes")[0] == 0
    text = text_of(server, -1)
    assert "put it back" in text
    assert "Data lost: none" in text
