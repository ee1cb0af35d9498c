"""The outbox over a real journal: what is recorded before, what after, and what a death in between leaves."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backout.config.values import Audience, Config
from backout.errors import ConflictError, FailedError, UsageError
from backout.flow.incidents import declare, read, record, state
from backout.flow.notices import Wish, drafts
from backout.flow.outbox import Outbox
from backout.flow.tell import document, exit_code, reminder, retry_in_background, standing, standing_deliveries
from backout.model.incident import Incident
from backout.model.mail import Mail
from backout.model.notice import RETRY_S, SENT, TRYING, Message, Result, deliveries
from backout.store import SqliteJournal
from kit.mailserver import post

CLIENT, BOSS = "mailto:ops@client.example", "mailto:boss@client.example"
CONFIG = Config(
    audiences=(Audience("client", (CLIENT, BOSS), every_s=1800, zone="UTC"),), mail=Mail(sender="ops@shop.example")
)
SECRET = "hunter2-hunter2"
FIRST_WORD = Wish()

KILLED = """
import os, signal, sys
from pathlib import Path
from backout.config.values import Audience, Config
from backout.model.mail import Mail
from backout.flow.incidents import read
from backout.flow.notices import Wish, drafts
from backout.flow.outbox import Outbox
from backout.notify import mail
from backout.store import SqliteJournal

journal = SqliteJournal(Path(sys.argv[1]))
config = Config(audiences=(Audience("client", ("mailto:ops@client.example", "mailto:boss@client.example")),))

def send(target, message):
    assert mail.send(Mail(sys.argv[2], "ops@shop.example"), target, message).state == "sent"
    os.kill(os.getpid(), signal.SIGKILL)

(incident,) = read(journal).values()
words = drafts(incident, config, Wish(), 0.0)
Outbox(journal, config, "ada", send).tell(incident, words, lambda: "1")
"""


class Sender:
    """Answers each send as a test wants it to, and keeps what it was asked to send."""

    def __init__(self, *states: str) -> None:
        self.states = iter((*states, *itertools.repeat("sent", 1000)))
        self.sent: list[tuple[str, Message]] = []

    def __call__(self, target: str, message: Message) -> Result:
        """Take a message, and give the next state."""
        self.sent.append((target, message))
        return Result(next(self.states), "said so")


class Scene:
    """An incident on production, declared at 1000, and a clock that a test moves."""

    def __init__(self, journal: SqliteJournal) -> None:
        self.journal, self.now = journal, 1000.0
        self.ids = itertools.count(1)
        self.incident = declare(journal, "ada", self.id, "production", "The shop answers with an error page", at=1000)

    def id(self) -> str:
        """Name what is new."""
        return str(next(self.ids))

    def outbox(self, send: Callable[[str, Message], Result], config: Config = CONFIG, wait_s: float = 0) -> Outbox:
        """Give the outbox with a sender."""
        return Outbox(self.journal, config, "ada", send, wait_s=wait_s, clock=lambda: self.now)

    def known(self) -> Incident:
        """Give the incident as it is recorded."""
        return read(self.journal)[self.incident]

    def tell(
        self, send: Callable[[str, Message], Result], wish: Wish = FIRST_WORD, config: Config = CONFIG
    ) -> list[str]:
        """Compose what is due, and send it."""
        words = drafts(self.known(), config, wish, self.now)
        assert [word.missing for word in words] == [()] * len(words)
        return self.outbox(send, config).tell(self.known(), words, self.id)

    def states(self) -> dict[tuple[str, str], str]:
        """Give where each delivery stands."""
        return {key: one.state for key, one in standing_deliveries(self.journal, self.incident).items()}

    def reminder(self, config: Config = CONFIG) -> str | None:
        """Give the line that every command prints."""
        return reminder(self.journal, config, self.now)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    """A new journal."""
    with SqliteJournal(tmp_path / "journal.db") as opened:
        yield opened


@pytest.fixture
def scene(journal: SqliteJournal) -> Scene:
    """An incident that nobody was told of yet."""
    return Scene(journal)


def test_the_first_word_needs_nothing_to_compose_and_sets_the_clock(scene: Scene) -> None:
    """Who has an outage has no time for wording."""
    scene.now = 1060
    sender = Sender()
    names = scene.tell(sender)
    assert [target for target, _ in sender.sent] == [CLIENT, BOSS]
    message = sender.sent[0][1]
    assert message.subject == "[investigating] production: The shop answers with an error page"
    assert message.id.endswith("@shop.example>")
    assert scene.known().clock("first_notice") == 1060
    assert exit_code(document(scene.journal, names)) == 0
    assert scene.reminder() == "The next word to client is due in 30 min: backout tell"


def test_the_answer_to_what_do_you_see_is_the_first_word_where_panic_had_no_text(journal: SqliteJournal) -> None:
    """It was typed a minute ago; nobody types it twice."""
    incident = declare(journal, "ada", lambda: "1", "local")
    (empty,) = drafts(read(journal)[incident], CONFIG, Wish(), 0)
    assert empty.missing == ("seen",)
    record(journal, "ada", incident, "note", "only error pages", more={"asked": "see"})
    (word,) = drafts(read(journal)[incident], CONFIG, Wish(), 0)
    assert (word.missing, word.subject) == ((), "[investigating] only error pages")


def test_an_update_says_what_changed_and_how_far_the_remedy_is(scene: Scene) -> None:
    """And is refused without either."""
    scene.tell(Sender())
    (word,) = drafts(scene.known(), CONFIG, Wish(text="It is a package"), 1100)
    assert (word.type, word.missing) == ("update", ("remedy",))
    sender = Sender()
    scene.tell(sender, Wish(text="It is a package", fields={"remedy": "taken back"}, status="identified", next_s=600))
    assert sender.sent[0][1].subject == "[identified] production: It is a package"
    assert "in 10 min" in str(scene.reminder())


def test_once_it_is_resolved_the_word_says_since_when_and_what_is_lost(scene: Scene) -> None:
    """Then nothing is due any more."""
    scene.tell(Sender())
    with pytest.raises(UsageError, match="is open"):
        drafts(scene.known(), CONFIG, Wish(status="resolved"), 1100)
    state(scene.journal, "ada", scene.incident, "production", "resolved", at=1500)
    scene.now = 1600
    assert "word that it is resolved to client" in str(scene.reminder())
    sender = Sender()
    scene.tell(sender, Wish(fields={"lost": "none"}))
    assert sender.sent[0][1].subject.startswith("[resolved] production: all is well since 1970-01-01")
    assert scene.reminder() is None


def drafted(scene: Scene, type: str, **fields: object) -> None:
    """Keep a draft as `calm` does."""
    more = {
        "notice": scene.id(),
        "audience": "client",
        "type": type,
        "status": "resolved",
        "targets": [],
        "draft": True,
    }
    record(scene.journal, "ada", scene.incident, "notice", "", more={**more, "fields": fields})


def test_what_calm_drafted_is_what_is_sent_and_a_letter_goes_out_once(scene: Scene) -> None:
    """Nobody types it twice, and nobody reads it twice; a second letter is a new draft."""
    letter = Wish(is_letter=True)
    with pytest.raises(UsageError, match="at the end"):
        drafts(scene.known(), CONFIG, letter, 0)
    state(scene.journal, "ada", scene.incident, "production", "resolved", at=1500)
    with pytest.raises(UsageError, match="none is drafted"):
        drafts(scene.known(), CONFIG, letter, 0)
    drafted(scene, "resolved", since=1400.0, done="", lost="none")
    fields = {"how_long": "8 minutes", "why": "a package", "done": "taken back", "lost": "none", "again": "no: a guard"}
    drafted(scene, "letter", **fields)
    sender = Sender()
    scene.tell(sender)
    scene.tell(sender, letter)
    assert [message.subject.partition(":")[2] for target, message in sender.sent if target == CLIENT] == [
        " all is well since 1970-01-01 00:25 (UTC)",
        " what happened, and what comes of it",
    ]
    assert all(word in sender.sent[-1][1].plain for word in fields.values())
    with pytest.raises(UsageError, match="each was sent already"):
        drafts(scene.known(), CONFIG, letter, 0)
    drafted(scene, "letter", **{**fields, "again": "less likely: a guard"})
    scene.tell(sender, letter)
    assert "less likely" in sender.sent[-1][1].plain


def test_of_two_targets_the_one_that_failed_is_tried_again_and_only_that_one(scene: Scene) -> None:
    """The same mail, with the same Message-ID, when it is due; not before."""
    names = scene.tell(Sender("sent", "failed"))
    assert list(scene.states().values()) == ["sent", "failed"]
    assert exit_code(document(scene.journal, names)) == 1
    assert f"NOT DELIVERED to {BOSS}: backout tell --retry" in str(scene.reminder())
    sender = Sender()
    scene.now += RETRY_S[0] - 1
    assert scene.outbox(sender).retry() == []
    scene.now += 2
    assert scene.outbox(sender).retry() == names
    ((target, message),) = sender.sent
    first = scene.journal.events(type="entry", kinds=["delivery"])
    assert (target, message.id) == (BOSS, next(e.body for e in first if e.body["target"] == BOSS)["message_id"])
    assert list(scene.states().values()) == ["sent", "sent"]
    assert scene.outbox(sender).retry() == []


def test_what_fails_for_ever_is_given_up_loudly_and_a_person_may_send_it_all_the_same(scene: Scene) -> None:
    """A retry in the night helps nobody; to be told at every command does."""
    states = ["sent"] + ["failed"] * 9
    sender = Sender(*states)
    scene.tell(sender)
    for _ in range(9):
        scene.now += RETRY_S[-1] + 1
        scene.outbox(sender).retry()
    assert len(sender.sent) == 2 + len(RETRY_S)
    lost = scene.states()
    assert list(lost.values()) == ["sent", "given up"]
    (_, one) = standing_deliveries(scene.journal, scene.incident).values()
    assert f"backout tell --again {one.id}" in str(scene.reminder())
    scene.outbox(Sender()).decide(one.id, again=True)
    assert list(scene.states().values()) == ["sent", "sent"]


def test_an_unknown_delivery_is_never_sent_again_by_itself_and_a_person_decides(scene: Scene) -> None:
    """The client who gets it twice wonders what happened the second time."""
    scene.tell(Sender("sent", "unknown"))
    scene.now += 10_000
    sender = Sender()
    assert scene.outbox(sender).retry() == []
    _, one = standing_deliveries(scene.journal, scene.incident).values()
    assert f"whether {BOSS} has it: backout tell --sent {one.id}, or --again {one.id}" in str(scene.reminder())
    scene.outbox(sender).decide(one.id, again=False)
    assert (list(scene.states().values()), sender.sent) == (["sent", "sent"], [])
    with pytest.raises(UsageError, match="No delivery"):
        scene.outbox(sender).decide(one.id, again=True)


def test_kill_9_between_the_server_s_yes_and_our_record_leaves_it_unknown(scene: Scene, tmp_path: Path) -> None:
    """It is not sent again; what was not tried yet is."""
    with post() as server:
        words = [sys.executable, "-c", KILLED, str(tmp_path / "journal.db"), server.address]
        assert subprocess.run(words, check=False).returncode == -9
        assert list(scene.states().values()) == ["unknown", "waiting"]
        assert len(server.mails) == 1
        ((_, mail),) = server.mails
        (trying,) = scene.journal.events(type="entry", kinds=["delivery"])
        assert trying.body["message_id"] == mail["Message-ID"]
    sender = Sender()
    scene.now = 4_000_000_000
    scene.outbox(sender).retry()
    assert [target for target, _ in sender.sent] == [BOSS]
    assert list(scene.states().values()) == ["unknown", "sent"]


def test_two_notices_never_have_one_name(scene: Scene) -> None:
    """Ids are a second and three letters: with ten audiences the same ones come once in a hundred incidents."""
    two = Config(audiences=(Audience("client", (CLIENT,)), Audience("boss", (BOSS,))))
    ids = iter(["1", "1", "2"])
    words = drafts(scene.known(), two, Wish(), scene.now)
    assert scene.outbox(Sender(), two).tell(scene.known(), words, lambda: next(ids)) == ["n1", "n2"]
    assert list(scene.states()) == [("n1", CLIENT), ("n2", BOSS)]


def test_ctrl_c_lets_nothing_go_out_later_by_itself(scene: Scene) -> None:
    """Who stops it means it; of the one under way nobody knows."""

    def interrupted(target: str, message: Message) -> Result:
        del target, message
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scene.tell(interrupted)
    assert list(scene.states().values()) == ["unknown", "given up"]


def test_two_who_tell_at_the_same_time_do_not_both_do_it(scene: Scene, tmp_path: Path) -> None:
    """The second one is told, and sends nothing."""
    before, sender = scene.known(), Sender()
    words = drafts(before, CONFIG, Wish(), scene.now)
    with SqliteJournal(tmp_path / "journal.db") as other, other.sending(0) as alone:
        assert alone
        assert scene.outbox(sender).retry() == []
        assert scene.reminder() is not None
        with pytest.raises(FailedError, match="sending"):
            scene.outbox(sender).tell(before, words, scene.id)
    scene.tell(Sender())
    with pytest.raises(ConflictError, match="meanwhile"):
        scene.outbox(sender).tell(before, words, scene.id)
    assert sender.sent == []


def test_no_secret_of_a_target_or_a_text_is_recorded(scene: Scene) -> None:
    """The journal is searched, exported and shown around."""
    target = f"json://ops:{SECRET}@hooks.example/{SECRET}"
    config = Config(audiences=(Audience("client", (target,)),))
    sender = Sender("failed")
    scene.tell(sender, Wish(fields={"seen": f"it logs password={SECRET}"}), config)
    assert sender.sent[0][0] == target
    assert SECRET not in str(sender.sent[0][1])
    assert SECRET not in str([event.body for event in scene.journal.events()])
    assert SECRET not in str(scene.reminder(config))


def test_a_target_that_is_gone_from_the_configuration_is_not_sent_to(scene: Scene) -> None:
    """Who took an address out does not want it to be told any more."""
    names = scene.tell(Sender("failed", "failed"))
    scene.now += 60
    other = Config(audiences=(Audience("client", (BOSS,)),))
    sender = Sender()
    assert scene.outbox(sender, other).retry() == names
    assert [target for target, _ in sender.sent] == [BOSS]
    client, _ = standing_deliveries(scene.journal, scene.incident).values()
    with pytest.raises(UsageError, match="no target"):
        scene.outbox(sender, other).decide(client.id, again=True)


def test_a_retry_is_started_only_where_something_is_due(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command asks; a process each time would be felt."""
    started: list[list[str]] = []
    monkeypatch.setattr("subprocess.Popen", lambda words, **_: started.append(words))
    scene.tell(Sender("sent", "failed"))
    retry_in_background(scene.journal, CONFIG, scene.now + 1)
    assert started == []
    retry_in_background(scene.journal, CONFIG._replace(path="/srv/backout.toml"), scene.now + RETRY_S[0])
    assert started == [[sys.executable, "-m", "backout", "--config", "/srv/backout.toml", "tell", "--retry", "--quiet"]]


@settings(max_examples=25)
@given(st.lists(st.sampled_from(["sent", "failed", "unknown"]), min_size=0, max_size=12), st.integers(1, 4))
def test_whatever_servers_say_nothing_is_sent_after_it_may_have_arrived(states: list[str], retries: int) -> None:
    """The promise: at most one attempt that may have reached anybody, a target; and the fold agrees with the sender."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder, SqliteJournal(Path(folder) / "journal.db") as journal:
        scene, said = Scene(journal), list[tuple[str, str]]()
        answers = iter(states)

        def send(target: str, message: Message) -> Result:
            del message
            said.append((target, next(answers, "sent")))
            return Result(said[-1][1], "")

        scene.tell(send)
        for _ in range(retries):
            scene.now += RETRY_S[-1] + 1
            scene.outbox(send).retry()
        for target in (CLIENT, BOSS):
            results = [state for one, state in said if one == target]
            assert all(state == "failed" for state in results[:-1])
            (one,) = (one for one in standing_deliveries(journal, scene.incident).values() if one.target == target)
            is_over = results[-1] == "failed" and len(results) > len(RETRY_S)
            assert one.state == ("given up" if is_over else results[-1])
        (told,) = standing(journal).values()
        attempts = [entry.body["state"] for entry in told.of_kind("delivery")]
        assert attempts.count(TRYING) == len(said)
        assert (SENT in attempts) == (told.clock("first_notice") is not None)
        assert deliveries(told.entries) == standing_deliveries(journal, scene.incident)
