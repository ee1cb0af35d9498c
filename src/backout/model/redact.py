"""Redaction: what looks like a secret never reaches a report, a ledger or a journal."""

from __future__ import annotations

import re
from collections.abc import Sequence

MASK = "••••"
_WORD = (
    r"(?:passw(?:or)?d|passphrase|secret|token|credential|(?<=[_.-])(?:pass|pwd)(?![a-z])"
    r"|api[_-]?key|private[_-]?key|access[_-]?key|auth[_-]?key)"
)
# Looked for ahead, and from the start of a name alone: a long line of output must not take quadratic time.
_NAME = rf"(?=[\w.-]*?{_WORD})[\w.-]+"
_BARE = r"[^\s,;&\"'\\]+(?:[\"'\\](?=\w)[^\s,;&\"'\\]+)*"
_VALUE = rf"(?:\\+\"[^\"\n]*\"?|\\+'[^'\n]*'?|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?|{_BARE}|\\+)"
_ASSIGNMENT = re.compile(
    rf"((?<![\w.-]){_NAME}\\*[\"']?\]?\s*(?:=>|:=|=+|:)\s*){_VALUE}(?:[ \t]*=[ \t]*{_VALUE})?", re.IGNORECASE
)
_OPTION = re.compile(rf"((?<![\w.-])--?{_NAME}[ =]){_VALUE}", re.IGNORECASE)
_URL = re.compile(r"(://[^\s:/@]*:)[^\s@/]+(?:@[^\s@/\"'<>,;]+)*(@)")
_URL_TOKEN = re.compile(r"(://)[^\s:/@]{20,}(@)")
_BEARER = re.compile(r"(?i)\b((?:bearer|basic)\s+)([A-Za-z0-9._~+/=-]{8,})")
_TOKEN = re.compile(
    r"(?<![\w-])(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{10,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{30,}|sk-[\w-]{20,}|[rs]k_live_\w{10,}|SG\.[\w-]{16,}\.[\w-]{16,}|npm_\w{30,}"
    r"|pypi-[\w-]{40,}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]*)"
)
"""Tokens that say by their own beginning what they are, as their issuers document: GitHub, GitLab, Slack, AWS, Google,
OpenAI, Stripe, SendGrid, npm, PyPI; and JSON Web Tokens (RFC 7519)."""
_ELEMENT = re.compile(rf"(<({_NAME})(?:\s[^<>]*)?>)[^<]+(?=</\2>)", re.IGNORECASE)
_SECRET_OPTION = re.compile(rf"--?{_NAME}", re.IGNORECASE)
_TOOL = re.compile(
    r"((?:\bcurl\b[^\n|;&]*?[\s\0](?:-u|--user)[ =\0]?[^\s:\0]+:|\b(?:mysql|mysqldump|mysqladmin)\b[^\n|;&]*?[\s\0]-p))"
    r"[^\s\0]+"
)
"""Tools that take a password in an option that is named for something else: curl(1) -u, mysql(1) -p."""
_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)", re.DOTALL
)
_SECRET_KEY = re.compile(rf"{_NAME}$", re.IGNORECASE)


def redact(text: str) -> str:
    """Mask values that look like secrets in free text.

    Assignments, options, URLs with passwords or tokens, bearer tokens, private keys.
    """
    text = _KEY_BLOCK.sub(MASK, text)
    text = _URL.sub(rf"\g<1>{MASK}\g<2>", text)
    text = _URL_TOKEN.sub(rf"\g<1>{MASK}\g<2>", text)
    text = _TOKEN.sub(MASK, text)
    text = _ELEMENT.sub(rf"\g<1>{MASK}", text)
    text = _BEARER.sub(rf"\g<1>{MASK}", text)
    text = _TOOL.sub(rf"\g<1>{MASK}", text)
    text = _OPTION.sub(rf"\g<1>{MASK}", text)
    return _ASSIGNMENT.sub(rf"\g<1>{MASK}", text)


def redact_words(words: Sequence[str]) -> list[str]:
    """Mask secrets in a command's words: also a word that follows an option which is named a secret, alone."""
    masked = [redact(word) for word in words]
    for at, word in enumerate(words[:-1]):
        if _SECRET_OPTION.fullmatch(word):
            masked[at + 1] = MASK
    text = "\0".join(masked)
    return _TOOL.sub(rf"\g<1>{MASK}", text).split("\0")


def redact_value(key: str, value: str) -> str:
    """Mask a configuration value when its key, or the value itself, looks like a secret."""
    last = key.rpartition(".")[2]
    return MASK if _SECRET_KEY.match(last) else redact(value)
