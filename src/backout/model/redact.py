"""Redaction: what looks like a secret never reaches a report, a ledger or a journal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

MASK = "••••"


class _Pattern:
    """A pattern that is compiled when it is first used: that takes long, and most texts hold nothing it is about."""

    def __init__(self, text: str, flags: int = 0) -> None:
        self._text, self._flags = text, flags

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        return re.compile(self._text, self._flags)


_HINT = re.compile(
    r"://|-----BEGIN|bearer|basic|curl|mysql|pass|pwd|secret|token|credential|(?:api|private|access|auth)[_-]?key"
    r"|gh[pousr]_|github_pat_|glpat-|xox|AKIA|ASIA|AIza|sk-|k_live_|SG\.|npm_|pypi-|eyJ",
    re.IGNORECASE,
)
"""What a text must hold for any of the patterns below to match: looked for first, since it is cheap."""
_WORD = (
    r"(?:passw(?:or)?d|passphrase|secret|token|credential|(?<=[_.-])(?:pass|pwd)(?![a-z])"
    r"|api[_-]?key|private[_-]?key|access[_-]?key|auth[_-]?key)"
)
# Looked for ahead, and from the start of a name alone: a long line of output must not take quadratic time.
_NAME = rf"(?=[\w.-]*?{_WORD})[\w.-]+"
_BARE = r"[^\s,;&\"'\\]+(?:[\"'\\](?=\w)[^\s,;&\"'\\]+)*"
_VALUE = rf"(?:\\+\"[^\"\n]*\"?|\\+'[^'\n]*'?|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?|{_BARE}|\\+)"
_ASSIGNMENT = _Pattern(
    rf"((?<![\w.-]){_NAME}\\*[\"']?\]?\s*(?:=>|:=|=+|:)\s*){_VALUE}(?:[ \t]*=[ \t]*{_VALUE})?", re.IGNORECASE
)
_OPTION = _Pattern(rf"((?<![\w.-])--?{_NAME}[ =]){_VALUE}", re.IGNORECASE)
_URL = _Pattern(r"(://[^\s:/@]*:)[^\s@/]+(?:@[^\s@/\"'<>,;]+)*(@)")
_URL_TOKEN = _Pattern(r"(://)[^\s:/@]{20,}(@)")
_BEARER = _Pattern(r"(?i)\b((?:bearer|basic)\s+)([A-Za-z0-9._~+/=-]{8,})")
_TOKEN = _Pattern(
    r"(?<![\w-])(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{10,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{30,}|sk-[\w-]{20,}|[rs]k_live_\w{10,}|SG\.[\w-]{16,}\.[\w-]{16,}|npm_\w{30,}"
    r"|pypi-[\w-]{40,}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]*)"
)
"""Tokens that say by their own beginning what they are, as their issuers document: GitHub, GitLab, Slack, AWS, Google,
OpenAI, Stripe, SendGrid, npm, PyPI; and JSON Web Tokens (RFC 7519)."""
_ELEMENT = _Pattern(rf"(<({_NAME})(?:\s[^<>]*)?>)[^<]+(?=</\2>)", re.IGNORECASE)
_SECRET_OPTION = _Pattern(rf"--?{_NAME}", re.IGNORECASE)
_TOOL = _Pattern(
    r"((?:\bcurl\b[^\n|;&]*?[\s\0](?:-u|--user)[ =\0]?[^\s:\0]+:|\b(?:mysql|mysqldump|mysqladmin)\b[^\n|;&]*?[\s\0]-p))"
    r"[^\s\0]+"
)
"""Tools that take a password in an option that is named for something else: curl(1) -u, mysql(1) -p."""
_KEY_BLOCK = _Pattern(
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)", re.DOTALL
)
_SECRET_KEY = _Pattern(rf"{_NAME}$", re.IGNORECASE)


def redact(text: str) -> str:
    """Mask values that look like secrets in free text.

    Assignments, options, URLs with passwords or tokens, bearer tokens, private keys.
    """
    if _HINT.search(text) is None:
        return text
    text = _KEY_BLOCK.compiled.sub(MASK, text)
    text = _URL.compiled.sub(rf"\g<1>{MASK}\g<2>", text)
    text = _URL_TOKEN.compiled.sub(rf"\g<1>{MASK}\g<2>", text)
    text = _TOKEN.compiled.sub(MASK, text)
    text = _ELEMENT.compiled.sub(rf"\g<1>{MASK}", text)
    text = _BEARER.compiled.sub(rf"\g<1>{MASK}", text)
    text = _TOOL.compiled.sub(rf"\g<1>{MASK}", text)
    text = _OPTION.compiled.sub(rf"\g<1>{MASK}", text)
    return _ASSIGNMENT.compiled.sub(rf"\g<1>{MASK}", text)


def redact_words(words: Sequence[str]) -> list[str]:
    """Mask secrets in a command's words: also a word that follows an option which is named a secret, alone."""
    if _HINT.search("\0".join(words)) is None:
        return list(words)
    masked = [redact(word) for word in words]
    for at, word in enumerate(words[:-1]):
        if _SECRET_OPTION.compiled.fullmatch(word):
            masked[at + 1] = MASK
    text = "\0".join(masked)
    return _TOOL.compiled.sub(rf"\g<1>{MASK}", text).split("\0")


def redact_value(key: str, value: str) -> str:
    """Mask a configuration value when its key, or the value itself, looks like a secret."""
    last = key.rpartition(".")[2]
    is_secret = _HINT.search(last) is not None and _SECRET_KEY.compiled.match(last) is not None
    return MASK if is_secret else redact(value)
