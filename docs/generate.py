"""The parts of the reference that are written from the code, while the documentation is built.

A page says where with a line `% generated: NAME`. What the code has and this file has no words for is a KeyError:
the build fails until somebody writes them.
"""

# ruff: noqa: INP001, SLF001 - read by sphinx and the tests, not imported; argparse has no public way to list its options

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backout import errors
from backout.cli.parser import build
from backout.config.guards import GUARD_KEYS
from backout.config.incidents import AUDIENCE_KEYS, BACKUP_KEYS, MAIL_KEYS
from backout.config.parse import (
    CHECK_KEYS,
    COMMAND_KEYS,
    DIFFERS_KEYS,
    ENVIRONMENT_KEYS,
    REHEARSAL_KEYS,
    TOP_KEYS,
)
from backout.config.review import REVIEW_KEYS
from backout.config.search import SEARCH_KEYS
from backout.config.template import Found, render_template
from backout.flow.run import BACKED_OUT, DONE
from backout.lens.noise import rules
from backout.model import rules as guard_rules
from backout.model.effect import KINDS
from backout.render.schemas import names, schema

SCHEMA_FOLDER = "../../src/backout/render/schemas"

KIND_WORDS = {
    "file": ("absolute path", "type, mode, uid, gid; size and sha256 of a file; target of a link; extended attributes"),
    "python-package": ("`PREFIX:NAME`, as in `/srv/shop/venv:setuptools`", "the version"),
    "debian-package": ("`NAME`, or `NAME:ARCH` for a foreign architecture", "the version"),
    "service": ("unit name, as in `nginx.service`", "enabled, active; what was asked of it, in order"),
    "user": ("name", "the fields of passwd, never a password hash"),
    "group": ("name", "the fields of group"),
    "cron": ("file or user, and the line", "the line"),
    "config": ("`PATH#dotted.key`", "the value, masked where it looks like a secret"),
}

KEY_WORDS = {
    "environments": "tables: one for each environment",
    "commands": "tables: one for each named command, for `backout run NAME` and `backout rehearse NAME`",
    "hosts": 'list of texts, needed: OpenSSH destinations, or `"local"`, which is this machine',
    "become": '`"sudo"`: how to become root on the host. Read and checked; without effect on this machine',
    "same_as": "the environment that this one should be like: effects are compared with what was done there",
    "watch": "list of absolute paths that `look`, `compare` and `drift` look at, besides packages and services",
    "services": "list of the environment's services: the variables of these are looked at",
    "network": '`"none"`, `"packages"` or `"host"`: what a rehearsal may reach. Default: `"packages"`',
    "network_allow": "list of `host:port` that a rehearsal may reach besides",
    "canary": "number of hosts that a change reaches first, alone. Default: 1",
    "wave": 'hosts of each wave after that: a number, or a share of all hosts. Default: `"25%"`',
    "pause": "duration to wait between waves. Default: none",
    "max_failures": "number of failed hosts that a rollout goes on with. Default: 0",
    "checks": "array of tables: what tells whether the application is healthy",
    "differs": "array of tables: what `compare` is to fold away, each with its reason",
    "what": "selector over kinds of facts, needed, such as `config:/srv/shop/.env#DATABASE_URL`",
    "why": "text, needed: why that is meant to differ",
    "guards": "array of tables: rules that may refuse a change",
    "audiences": "named tables: who is told of an incident",
    "mail": "table: how mail is sent",
    "backups": "array of tables: backups that an incident may want",
    "search": "table: what `search` looks through besides the record",
    "review": "table: when the review of an incident opens",
    "name": "text, needed, unique in its environment",
    "run": "text: a line for `sh -c`. A check is healthy when it exits 0",
    "http": "address: the check is healthy when the answer is below 400",
    "rehearsal": "table: how the application is started and asked in a rehearsal, for a check with `http`",
    "within": "duration: how long it may take to become healthy. Default: 10 s",
    "start": "text, needed: a line for `sh -c` that starts the application",
    "ok_exit": "list of exit codes that mean success. Default: 0",
    "expect": "list of selectors: what the command may touch; anything else refuses it",
    "timeout": "duration, after which the command is ended. Default: none",
}

GUARD_WORDS = {
    "name": "name, unique among all guards. Default: that of the rule, where no other guard has it",
    "rule": "the rule, needed: one of those below",
    "why": "text, needed: why it is there; every refusal says it",
    "environments": "list of environments that it judges. Default: all, and changes that belong to none",
    "says": "text: one sentence that a client understands",
    "owner": "text: who answers for it",
    "review_by": "date on which somebody is to look whether it is still worth its price",
    "incident": "text: the incident that it comes from",
    "override": "`true` where a person may pass it with `--override`. Default: `false`",
}

EXAMPLE = Found(
    services=("shop.service",), virtualenvs=("/srv/shop/venv",), requirements=("/srv/shop/requirements.txt",)
)


def commands() -> str:
    """Write every command with its options, as the parser knows them."""
    parser = build()
    shared = {option for action in parser._actions for option in action.option_strings}
    parts = ["## For every command\n", _table(parser, set())]
    for name, verb in verbs(parser).items():
        parts.append(f"## backout {name}\n\n{verb.description}\n\n```text\n{_usage(verb)}\n```\n")
        parts.append(_table(verb, shared))
    return "\n".join(parts)


def verbs(parser: argparse.ArgumentParser, before: str = "") -> dict[str, argparse.ArgumentParser]:
    """Give every command by its name; of one with actions, such as `guard`, each action: `guard list`."""
    found: dict[str, argparse.ArgumentParser] = {}
    for inner in (action for action in parser._actions if isinstance(action, argparse._SubParsersAction)):
        for name, verb in inner.choices.items():
            found |= verbs(verb, f"{before}{name} ") or {f"{before}{name}": verb}
    return found


def _usage(verb: argparse.ArgumentParser) -> str:
    verb.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=100)  # type: ignore[assignment]
    return verb.format_usage().removeprefix("usage: ").strip()


def _table(parser: argparse.ArgumentParser, without: set[str]) -> str:
    shown = [action for action in parser._actions if action.dest not in ("help", "verb")]
    rows = [_row(action) for action in shown if not without & set(action.option_strings)]
    return "| option | meaning |\n| --- | --- |\n" + "\n".join(rows) + "\n" if rows else ""


def _row(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else f" {action.metavar or '|'.join(map(str, action.choices or ()))}".rstrip()
    spelt = ", ".join(f"`{option}{value}`" for option in action.option_strings) or f"`{action.metavar or action.dest}`"
    return f"| {_cell(spelt)} | {_cell(action.help or '')} |"


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def exit_codes() -> str:
    """Write every exit code, those of the error tree in the words of its docstrings."""
    told = {
        DONE: "Done.",
        BACKED_OUT: "Applied, unhealthy, backed out, healthy again.",
        **{code: " ".join(words) for code, words in _error_codes().items()},
    }
    rows = [f"| {code} | {_cell(told[code])} |" for code in sorted(told)]
    return "| code | meaning |\n| --- | --- |\n" + "\n".join(rows) + "\n"


def _error_codes() -> dict[int, list[str]]:
    codes: dict[int, list[str]] = {}
    for _, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.BackoutError) and kind is not errors.BackoutError:
            words = re.sub(r" \(\d+\)\.$", ".", (kind.__doc__ or "").splitlines()[0])
            codes.setdefault(kind.exit_code, []).append(words)
    return codes


def kinds() -> str:
    """Write what each kind of effect is about."""
    rows = [f"| `{kind}` | {KIND_WORDS[kind][0]} | {KIND_WORDS[kind][1]} |" for kind in KINDS]
    return "| kind | subject | before and after |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"


def noise() -> str:
    """Write every noise rule, with its reason and what becomes of such a path."""
    fates = {
        "promote": "applied",
        "yield": "applied, unless the host has a newer one by then",
        "append": "what was added is appended",
        "never": "left as it is",
    }
    rows = []
    for rule in rules():
        paths = "<br>".join(f"`{path}`" for path in rule.paths)
        rows.append(f"| `{rule.name}` | {_cell(rule.why)} | {paths} | {fates[rule.promotion]} |")
    return "| rule | why | paths | in the apply |\n| --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"


INCIDENT_KEYS = {"[audiences.NAME]": AUDIENCE_KEYS, "[mail]": MAIL_KEYS, "[[backups]]": BACKUP_KEYS}
INCIDENT_KEYS |= {"[search]": SEARCH_KEYS, "[review]": REVIEW_KEYS}
INCIDENT_WORDS = {
    "[audiences.NAME]": {
        "to": "list of targets, each told by itself: `mailto:ADDRESS`, or a service's address as Apprise writes them, "
        "such as `json://hooks.example/backout`",
        "name": "how a letter addresses it. Default: NAME",
        "first": "the first word is due so long after the incident was declared. Default: `5m`",
        "every": "each next word is due so long after the last. Default: `30m`",
        "checks": "list of names of checks: while one of them is red, this audience is down. Default: all checks",
        "environments": "list: told of incidents on these alone. Default: all",
        "zone": "time zone of the times in its notices, such as `Europe/Berlin`. Default: that of the sender",
    },
    "[mail]": {
        "server": "HOST:PORT of the mail server. Default: `localhost:25`",
        "from": "the sender's address. Default: USER@HOST of the sender",
        "user": "name to log in with. Default: no login",
        "password_file": "absolute path of a file whose first line is the password",
        "password_env": "name of the environment variable that holds the password",
        "tls": "`starttls` (default; where the server offers it), `tls` from the first byte, or `none`",
        "ca_file": "absolute path of a file of certificates (PEM) that are trusted besides the system's",
    },
    "[[backups]]": {
        "name": "name, unique among all backups",
        "run": "command that makes it, for `sh -c` on the environment's first host",
        "environments": "list: whose backup it is. Default: all",
        "restore_test": "command that exits 0 when the last backup can be restored: offered by `panic` and `calm`, run "
        "on the same host when you say so",
        "max_age": "older than that, it is pointed out",
        "at_panic": "`true`: made at `panic`, unasked; else offered, since a dump can finish off a struggling database",
        "within": "how long `panic` lets it take, and its `restore_test`. Default: `10m`",
    },
    "[search]": {
        "folders": "list of folders whose Markdown and text files are searched, too; below the file's own where they "
        "are not absolute",
    },
    "[review]": {
        "cooling_off": "so long after an incident was resolved its review opens; `0`: at once. Default: `12h`",
    },
}


def keys() -> str:
    """Write every key of backout.toml, table by table."""
    tables = {
        "at the top": TOP_KEYS,
        "in [environments.NAME]": ENVIRONMENT_KEYS,
        "in [[environments.NAME.checks]]": CHECK_KEYS,
        "in [[environments.NAME.differs]]": DIFFERS_KEYS,
        "in the rehearsal table of a check": REHEARSAL_KEYS,
        "in [commands.NAME]": COMMAND_KEYS,
    }
    parts = []
    for where, known in tables.items():
        rows = [f"| `{key}` | {_cell(KEY_WORDS[key])} |" for key in known]
        parts.append(f"## Keys {where}\n\n| key | meaning |\n| --- | --- |\n" + "\n".join(rows) + "\n")
    for where, known in INCIDENT_KEYS.items():
        rows = [f"| `{key}` | {_cell(INCIDENT_WORDS[where][key])} |" for key in known]
        parts.append(f"## Keys in {where}\n\n| key | meaning |\n| --- | --- |\n" + "\n".join(rows) + "\n")
    return "\n".join(parts) + guards()


def guards() -> str:
    """Write the keys of every guard, and each rule with those of its own."""
    rows = [f"| `{key}` | {_cell(GUARD_WORDS[key])} |" for key in GUARD_KEYS]
    parts = ["\n## Keys in [[guards]]\n\n| key | meaning |\n| --- | --- |\n" + "\n".join(rows) + "\n"]
    parts.append("\n### Rules\n\n| rule | what it does | keys of its own |\n| --- | --- | --- |")
    for name in guard_rules.names():
        own = guard_rules.rule(name)
        keys = "<br>".join(f"`{key}`: {_cell(told.help)}" for key, told in own.KEYS.items())
        parts.append(f"| `{name}` | {_cell((own.__doc__ or '').splitlines()[0])} | {keys} |")
    return "\n".join(parts) + "\n"


def template() -> str:
    """Write the file that `init` makes on a host with one application."""
    return f"```toml\n{render_template(EXAMPLE)}```\n"


def documents() -> str:
    """Write the fields of every document, from its JSON Schema."""
    parts = []
    for name in names():
        known = schema(name)
        file = f"{SCHEMA_FOLDER}/{name.replace('/', '-')}.json"
        parts.append(f"## {name}\n\n{known['title']}. {{download}}`JSON Schema <{file}>`\n")
        parts.append(_fields(known))
        parts.extend(f"### {key} in {name}\n\n{_fields(inner)}" for key, inner in _inner(known))
    return "\n".join(parts)


def _inner(known: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, inner in known.get("$defs", {}).items():
        if "properties" in inner:
            yield key, inner


def _fields(known: dict[str, Any]) -> str:
    rows = []
    for key, value in known["properties"].items():
        rows.append(f"| `{key}` | {_cell(_type(value))} | {_cell(value.get('description', ''))} |")
    return "| field | type | |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"


def _type(value: dict[str, Any]) -> str:
    if "enum" in value or "const" in value:
        return " or ".join(f"`{word}`" for word in value.get("enum", [value.get("const")]))
    if "$ref" in value:
        return str(value["$ref"]).rpartition("/")[2]
    if either := value.get("anyOf") or value.get("oneOf"):
        return " or ".join(_type(one) for one in either)
    if "properties" in value:
        return f"object of {', '.join(f'`{key}`' for key in value['properties'])}"
    if value.get("type") == "array":
        return f"list of {_type(value.get('items', {}))}"
    types = value.get("type", "any")
    return types if isinstance(types, str) else " or ".join(types)


PARTS = {
    "commands": commands,
    "documents": documents,
    "exit-codes": exit_codes,
    "keys": keys,
    "kinds": kinds,
    "noise": noise,
    "template": template,
}


def from_checkout(name: str) -> str:
    """Give a page that lies at the top of the checkout, with its links as they are from here."""
    text = (Path(__file__).parents[1] / name).read_text()
    text = re.sub(r"\]\(docs/", "](", text)
    return re.sub(r"\]\(([A-Z]+)\.md\)", lambda match: f"]({match[1].lower()}.md)", text)


def expand(text: str) -> str:
    """Put what is meant in the place of each `% generated: NAME` and `% from the checkout: FILE`."""
    text = re.sub(r"(?m)^% from the checkout: (\S+)$", lambda match: from_checkout(match[1]), text)
    return re.sub(r"(?m)^% generated: (\S+)$", lambda match: PARTS[match[1]](), text)
