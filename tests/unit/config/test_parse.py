"""backout.toml is read exactly, or refused with the place and the way on."""

from __future__ import annotations

import pytest

from backout.config.parse import parse
from backout.config.values import Command, Environment
from backout.errors import ConfigError, UsageError
from backout.model.check import Check
from backout.model.guard import Guard
from backout.model.rollout import Pace
from backout.model.selector import Rule, Selector

DESIGN = """\
[environments.production]
hosts = ["web1.example.com", "local"]  # OpenSSH destinations
become = "sudo"
same_as = "staging"
watch = ["/etc", "/srv/shop"]
services = ["shop"]
network = "packages"
network_allow = ["git.example.com:443"]

[[environments.production.checks]]
name = "imports"
run = "cd /srv/shop && venv/bin/python -c 'import app'"
[[environments.production.checks]]
name = "answers"
http = "http://127.0.0.1:8000/health"
rehearsal = { start = "venv/bin/gunicorn app:app", http = "http://127.0.0.1:8001/health" }
within = "5m"

[environments.staging]
hosts = ["staging.example.com"]

[commands.puppet]
run = "puppet agent -t"
ok_exit = [0, 2]
expect = ["file:/srv/shop/gunicorn.conf.py", "service:shop*", "*:*"]
network = "packages"
timeout = "90s"
"""


def refusal(text: str) -> str:
    """The message, and what to do next, of the refusal that this text must meet."""
    with pytest.raises(ConfigError) as refused:
        parse(text, "backout.toml")
    assert refused.value.exit_code == 2
    return f"{refused.value.what} {refused.value.next}".strip()


def in_environment(lines: str) -> str:
    """A file with one environment that is right but for the lines, which start at line 3."""
    return f'[environments.prod]\nhosts = ["local"]\n{lines}\n'


def in_command(lines: str) -> str:
    """A file with one command that is right but for the lines, which start at line 3."""
    return f'[commands.puppet]\nrun = "puppet agent -t"\n{lines}\n'


def test_the_file_of_the_design_is_read_as_the_design_says() -> None:
    """The design's example is the contract with whoever writes the file."""
    config = parse(DESIGN, "backout.toml")
    assert config.environment("production") == Environment(
        name="production",
        hosts=("web1.example.com", "local"),
        become="sudo",
        same_as="staging",
        watch=("/etc", "/srv/shop"),
        services=("shop",),
        network="packages",
        network_allow=("git.example.com:443",),
        checks=(
            Check("imports", run="cd /srv/shop && venv/bin/python -c 'import app'"),
            Check(
                "answers",
                http="http://127.0.0.1:8000/health",
                start="venv/bin/gunicorn app:app",
                rehearsal_http="http://127.0.0.1:8001/health",
                within_s=300.0,
            ),
        ),
    )
    assert config.command("puppet") == Command(
        name="puppet",
        run="puppet agent -t",
        ok_exit=(0, 2),
        expect=(
            Selector("file", "/srv/shop/gunicorn.conf.py"),
            Selector("service", "shop*"),
            Selector("*", "*"),
        ),
        network="packages",
        timeout_s=90.0,
    )


def test_a_rehearsal_asks_at_the_live_address_unless_told_otherwise() -> None:
    """Writing the same address twice is a chance to write it wrong."""
    check = '[[environments.prod.checks]]\nname = "a"\nhttp = "http://[::1]:80/"\nrehearsal = { start = "x" }'
    (environment,) = parse(in_environment(check)).environments
    assert environment.checks[0].rehearsal_http == "http://[::1]:80/"


@pytest.mark.parametrize(("written", "seconds"), [("30s", 30), ("5m", 300), ("2h", 7200), ("0.5s", 0.5)])
def test_durations_are_given_in_seconds(written: str, seconds: float) -> None:
    """A unit that is misread makes a check give up sixty times too early."""
    assert parse(in_command(f'timeout = "{written}"')).command("puppet").timeout_s == seconds


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('netwrok = "none"', 'backout.toml:3: environments.prod.netwrok is not a known key. Did you mean "network"?'),
        ('network = "all"', 'environments.prod.network must be "none" or "packages" or "host", not "all".'),
        ("network = true", "not true or false."),
        ('hots = ["local"]', 'backout.toml:3: environments.prod.hots is not a known key. Did you mean "hosts"?'),
        ('watch = ["etc"]', 'must be a list in which each item is an absolute path such as "/etc", not "etc".'),
        ('services = "shop"', 'backout.toml:3: environments.prod.services must be a list, not "shop".'),
        ('network_allow = ["git.example.com"]', 'HOST:PORT such as "git.example.com:443"'),
        ('network_allow = ["git.example.com:70000"]', "HOST:PORT"),
        ('become = "su"', 'must be "sudo", not "su".'),
        ('same_as = "prod"', 'backout.toml:3: environments.prod.same_as must name another environment, not "prod".'),
        ("checks = 3", "must be written [[environments.prod.checks]]."),
        ("checks = [3]", "backout.toml:3: environments.prod.checks[1] must be a table, not 3."),
    ],
)
def test_a_mistake_in_an_environment_is_named_with_its_place(lines: str, message: str) -> None:
    """A file that is wrong in silence lets a change through that the file was to stop."""
    assert message in refusal(in_environment(lines))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('name = "a"', 'backout.toml:3: environments.prod.checks[1] (named "a") needs exactly one of'),
        ('name = "a"\nrun = "x"\nhttp = "http://a/"', "needs exactly one of"),
        ('run = "x"', 'backout.toml:3: environments.prod.checks[1] needs the key "name".'),
        ('name = "a"\nhttp = "ftp://a/"', "environments.prod.checks[1].http must be an address such as"),
        ('name = "a"\nhttp = "http://a:b/"', "must be an address such as"),
        ('name = "a"\nrun = ""', "backout.toml:5: environments.prod.checks[1].run must be a text that is not empty"),
        ('name = "a"\nrun = "x"\nwithin = 30', 'must be a duration such as "30s", "5m" or "2h", not 30.'),
        ('name = "a"\nrun = "x"\nwithin = "0s"', "must be a duration"),
        ('name = "a"\nrun = "x"\nrehearsal = { start = "x" }', 'belongs to a check with "http"'),
        (
            'name = "a"\nhttp = "http://a/"\nrehearsal = { strat = "x" }',
            'backout.toml:6: environments.prod.checks[1].rehearsal.strat is not a known key. Did you mean "start"?',
        ),
    ],
)
def test_a_mistake_in_a_check_is_named_with_its_place(lines: str, message: str) -> None:
    """A check that does not check is worse than none: it is believed."""
    assert message in refusal(in_environment(f"[[environments.prod.checks]]\n{lines}"))


def test_the_second_of_two_checks_is_named_as_the_second() -> None:
    """With ten checks in a file, the place is most of the message."""
    checks = '[[environments.prod.checks]]\nname = "a"\nrun = "x"\n[[environments.prod.checks]]\nname = "a"\nrnu = "x"'
    assert "backout.toml:8: environments.prod.checks[2].rnu" in refusal(in_environment(checks))
    assert '2 checks named "a"' in refusal(in_environment(checks.replace("rnu", "run")))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('expect = ["files:/etc/*"]', "KIND one of file, python-package, debian-package, service, user, group, cron"),
        ('expect = ["/etc/*"]', "each item is KIND:GLOB"),
        ('expect = "file:/etc/*"', "must be a list"),
        ("ok_exit = [256]", "each item is a number from 0 to 255"),
        ("ok_exit = [true]", "each item is a number from 0 to 255"),
        ("ok_exit = []", "must be a list that is not empty"),
        ("ok_exit = 2", "must be a list that is not empty, not 2."),
        ('timeout = "fast"', 'must be a duration such as "30s", "5m" or "2h", not "fast".'),
        ("timeout = 2026-11-23", "not a date."),
        ('expects = ["*:*"]', 'backout.toml:3: commands.puppet.expects is not a known key. Did you mean "expect"?'),
    ],
)
def test_a_mistake_in_a_command_is_named_with_its_place(lines: str, message: str) -> None:
    """An expectation that is dropped in silence would let every effect through."""
    assert message in refusal(in_command(lines))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[environment.prod]\n", 'backout.toml:1: environment is not a known key. Did you mean "environments"?'),
        ("[environments.prod]\n", 'backout.toml:1: environments.prod needs the key "hosts".'),
        ("[environments.prod]\nhosts = []\n", "must be a list that is not empty"),
        ("environments = 3\n", "backout.toml:1: environments must be a table, not 3."),
        ("[environments]\nprod = 3\n", "backout.toml:2: environments.prod must be a table, not 3."),
        ("[commands.puppet]\n", 'backout.toml:1: commands.puppet needs the key "run".'),
        ("\n[environments.prod\n", "backout.toml:2: this is not TOML: "),
        ('[commands.a]\nrun = """x', "backout.toml:2: this is not TOML: "),
    ],
)
def test_a_mistake_in_the_outline_is_named_with_its_place(text: str, message: str) -> None:
    """The first file that someone writes by hand is wrong in the outline."""
    assert message in refusal(text)


def test_what_is_meant_to_differ_and_the_guards_are_read_with_their_reasons() -> None:
    """An exception or a rule without its reason is one that nobody dares to remove."""
    config = parse(
        '[[guards]]\nrule = "staged-first"\nwhy = "2026-11-23: staging was not the same"\n'
        + in_environment('[[environments.prod.differs]]\nwhat = "config:/a#B"\nwhy = "each its own"\n')
    )
    assert config.guards == (Guard("staged-first", "staged-first", "2026-11-23: staging was not the same"),)
    assert config.environment("prod").differs == (Rule(Selector("config", "/a#B"), "each its own"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[guards]]\nrule = "staged"\nwhy = "x"\n', 'backout.toml:2: guards[1].rule must be a rule, not "staged"'),
        ('[[guards]]\nrule = "staged-first"\n', 'backout.toml:1: guards[1] needs the key "why"'),
        ('[guards]\nrule = "staged-first"\n', "must be written [[guards]]"),
        ('[[guards]]\nrule = "staged-first"\nwhy = "x"\nforbid = []\n', "guards[1].forbid is not a known key"),
        (in_environment('[[environments.prod.differs]]\nwhat = "/a"\nwhy = "x"\n'), "differs[1].what must be KIND:"),
        (in_environment('[[environments.prod.differs]]\nwhat = "file:/a"\n'), 'differs[1] needs the key "why"'),
    ],
)
def test_a_mistake_in_a_guard_or_an_exception_is_named_with_its_place(text: str, message: str) -> None:
    """A guard that is not read is one that people count on and do not have."""
    assert message in refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        '[journal]\nurl = "postgresql://db/"\n',
    ],
)
def test_what_a_later_release_reads_is_refused_by_name_and_not_ignored(text: str) -> None:
    """A guard that is ignored is a guard that people count on and do not have."""
    assert "is not supported by backout 0.1.0; it comes with a later release." in refusal(text)


def test_what_is_meant_to_differ_is_named_by_kinds_of_facts_with_its_reason() -> None:
    """There are more kinds of facts than of effects; a rule without a reason is one that nobody dares to remove."""
    rule = '[[environments.prod.differs]]\nwhat = "port:tcp/*"\nwhy = "each its own"\n'
    (environment,) = parse(in_environment(rule)).environments
    assert [(str(found.what), found.why) for found in environment.differs] == [("port:tcp/*", "each its own")]
    assert 'environments.prod.differs[1] needs the key "why"' in refusal(in_environment(rule.partition("why")[0]))
    assert "must be KIND:GLOB" in refusal(in_environment(rule.replace("port:", "ports:")))


def test_a_value_over_several_lines_does_not_shift_the_places_below() -> None:
    """Places are found by reading statements, not by counting lines that look like keys."""
    text = '[environments.prod]\nhosts = [\n  "local", # [commands.x]\n]\nservices = ["""\nwatch = 1\n"""]\nwach = []\n'
    assert refusal(text).startswith("backout.toml:8: environments.prod.wach")


def test_an_unknown_name_on_the_command_line_is_met_with_the_nearest() -> None:
    """`-e prodution` must not end in a guess, nor in silence."""
    with pytest.raises(UsageError) as refused:
        parse(DESIGN).environment("prodution")
    assert refused.value.next == 'Did you mean "production"?'
    with pytest.raises(UsageError) as refused:
        parse(DESIGN).command("deploy")
    assert refused.value.next == "Known here: puppet. A command line stands after --: backout run -- deploy"
    with pytest.raises(UsageError, match="names no command") as refused:
        parse("").command("ls -l", "rehearse")
    assert refused.value.next == "A command line stands after --: backout rehearse -- 'ls -l'"


def test_this_machine_has_the_checks_of_the_environment_that_lists_it() -> None:
    """Without -e the checks must not depend on luck: two environments for one machine is a question, not a choice."""
    listed = parse(DESIGN).local_environment()
    assert listed is not None
    assert listed.name == "production"
    assert parse("").local_environment() is None
    with pytest.raises(ConfigError, match="more than one environment lists this machine: prod, dev"):
        parse(in_environment('[environments.dev]\nhosts = ["local"]')).local_environment()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[environments.x]\nhosts = "local"', 'Write hosts = ["local"]'),
        ('[commands.x]\nrun = "x"\nok_exit = 2', "Write ok_exit = [2]"),
        ('[commands.x]\nrun = "x"\nexpect = "file:/é"', 'Write expect = ["file:/é"]'),
        ('[commands.x]\nrun = "x"\nok_exit = "two"', ""),
        ("[commands.x]\nrun = 2", ""),
    ],
)
def test_one_value_where_a_list_is_wanted_is_shown_as_a_list(text: str, line: str) -> None:
    """Who has one host writes one text; the brackets are the whole answer, and no answer is better than a wrong one."""
    with pytest.raises(ConfigError) as refused:
        parse(text)
    assert refused.value.next == line


def test_the_pace_of_a_rollout_is_read() -> None:
    """Without a word it is careful: one host, then a quarter at a time, and the first failure stops it."""
    read = parse(in_environment('canary = 2\nwave = 5\npause = "30s"\nmax_failures = 3'), "backout.toml")
    assert read.environments[0].pace == Pace(2, "5", 30.0, 3)
    assert parse(in_environment('wave = "10%"')).environments[0].pace.wave == "10%"
    assert parse(in_environment("")).environments[0].pace == Pace(1, "25%", 0.0, 0)


@pytest.mark.parametrize("line", ["canary = -1", 'canary = "1"', "max_failures = true", "max_failures = 1000000"])
def test_a_number_of_hosts_is_one(line: str) -> None:
    """Anything else would be guessed at when it matters."""
    assert f"backout.toml:3: environments.prod.{line.split(maxsplit=1)[0]} must be a number of hosts" in refusal(
        in_environment(line)
    )


@pytest.mark.parametrize("value", ["0", '"0%"', '"200%"', "true", "2.5", '"all"', "[1]"])
def test_a_size_of_waves_is_a_number_or_a_share(value: str) -> None:
    """A wave of nobody would never end."""
    assert 'wave must be a number of hosts from 1 on, or a share such as "25%", not' in refusal(
        in_environment(f"wave = {value}")
    )
