"""Redaction: what looks like a secret never reaches a report, a ledger or a journal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from backout.model.tokens import HOOKS, TOKENS

MASK = "••••"


class _Pattern:
    """A pattern that is compiled when it is first used: that takes long, and most texts hold nothing it is about."""

    def __init__(self, text: str, flags: int = 0) -> None:
        self._text, self._flags = text, flags

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        return re.compile(self._text, self._flags)


_KEYS = ("api", "private", "access", "auth", "account", "shared", "signing", "encryption")
_HINTS = (
    *("://", "-----begin", "-----end", "bearer", "basic", "authorization", "cookie", "pass", "pwd", "secret", "token"),
    *("credential", "identified", "curl", "mysql", "mariadb", "redis-cli", "ldap", "mongo", "docker", "sudo", "kinit"),
    *("cryptsetup", "useradd", "usermod", "smbclient", "rabbitmqctl", "vault", "zip", "from-literal", "pw="),
    *(f"{what}{between}key" for what in _KEYS for between in ("", "_", "-")),
    *(hint for hints, _ in TOKENS.values() for hint in hints.split()),
)
"""What a text must hold, in small letters, for any of the patterns to match: looked for first, since it is cheap."""
_WORD = (
    r"(?:passw(?:or)?d|passphrase|secret|token|credential|(?<=[_.-])(?:pass|pwd|pw)(?![a-z])"
    rf"|(?:{'|'.join(_KEYS)})[_-]?key)"
)
# Looked for ahead, and from the start of a name alone: a long line of output must not take quadratic time.
_NAME = rf"(?=[\w.-]*?{_WORD})[\w.-]+"
_BARE = r"[^\s,;&\"'\\]+(?:[\"'\\](?=\w)[^\s,;&\"'\\]+)*"
_VALUE = rf"(?:\\+\"[^\"\n]*\"?|\\+'[^'\n]*'?|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?|{_BARE}|\\+)"
_ASSIGNMENT = _Pattern(
    rf"((?<![\w.-]){_NAME}\\*[\"']?\]?\s*(?:=>|:=|=+|:)\s*){_VALUE}(?:[ \t]*=[ \t]*{_VALUE})?", re.IGNORECASE
)
_SHORT = _Pattern(rf"((?<![\w.-])(?:pass|pw)=(?!\d+\b)){_VALUE}", re.IGNORECASE)
"""Not where it counts what has passed."""
_OPTION = _Pattern(rf"((?<![\w.-])--?{_NAME}[ =]){_VALUE}", re.IGNORECASE)
_URL = _Pattern(r"(://[^\s:/@]*:)[^\s@/]+(?:@[^\s@/\"'<>,;]+)*(@)")
_URL_TOKEN = _Pattern(r"(://)[^\s:/@]{20,}(@)")
_BEARER = _Pattern(r"(?i)\b((?:bearer|basic)\s+)([A-Za-z0-9._~+/=-]{8,})")
_TOKEN = _Pattern(rf"(?<![\w-])(?:{'|'.join(pattern for _, pattern in TOKENS.values())})")
_HOOK = _Pattern(HOOKS)
_HEADER = _Pattern(
    r"\b((?:proxy-)?authorization[\"']?\s*:\s*[\"']?(?:[\w-]+[ \t]+)?)[^\s\"',;]+"
    r"|\b((?:set-)?cookie2?:[ \t]*)[^\r\n\"']+",
    re.IGNORECASE,
)
_SQL = _Pattern(
    r"(\b(?:identified[ \t]+by|password(?:[ \t]+for[ \t]+\S+[ \t]*=)?)[ \t]+)'(?:[^'\\\n]|\\.|'')*'?", re.IGNORECASE
)
_ELEMENT = _Pattern(rf"(<({_NAME})(?:\s[^<>]*)?>)[^<]+(?=</\2>)", re.IGNORECASE)
_SECRET_OPTION = _Pattern(rf"--?{_NAME}", re.IGNORECASE)
_NEAR = r"[^\n|;&]{0,1000}?"
"""What may stand between a tool and its option; without a limit, a long line would take quadratic time."""
_GAP = r"[ \t\0]+"
_TOOL = _Pattern(
    rf"((?:\bcurl\b{_NEAR}[\s\0](?:-u|--user)[ =\0]?[^\s:\0]+:"
    rf"|\b(?:mysql(?:dump|admin|check|import|show)?|mariadb(?:-\w+)?)\b{_NEAR}[\s\0]-p"
    rf"|\b(?:sshpass|docker[\s\0]+login|mongo(?:sh|dump|restore)?|user(?:add|mod))\b{_NEAR}[\s\0]-p[ \0]?"
    rf"|\bredis-cli\b{_NEAR}[\s\0]-a[\s\0]+|\bldap[a-z]+\b{_NEAR}[\s\0]-w[ \0]?"
    rf"|\bsmbclient\b{_NEAR}[\s\0]-U[ \0]?[^\s\0%]+%|\b(?:un)?zip\b{_NEAR}[\s\0]-P[ \0]?"
    rf"|\b(?:sudo|chpasswd|passwd|cryptsetup|kinit)\b{_NEAR}<<<[ \t]*|--from-literal[= \0][^\s\0=]+="
    rf"|\bvault{_GAP}login{_GAP}(?!-)|\brabbitmqctl{_GAP}(?:add_user|change_password){_GAP}[^\s\0]+{_GAP}"
    rf"|\bconfigure{_GAP}set{_GAP}[\w.]*(?:secret|password|token)[\w.]*{_GAP}"
    rf"|\b(?:htpasswd{_GAP}-[a-zA-Z]*b|openssl{_GAP}passwd)[^\n|;&>]{{0,1000}}[ \t\0](?=[^\s\0>-])"
    r"|[\s\0]-pass(?:in|out)?[\s\0]+pass:))"
    r"[^\s\0]+"
)
"""Tools that take a password in an option that is named for something else: curl(1) -u, mysql(1) -p, sshpass(1) -p,
redis-cli -a, ldapsearch(1) -w, openssl(1) -passin pass:…; or as a word of its own, the last of htpasswd(1) -b.
"""
_READS = r"sudo\b[^|\n]{0,100}?[ \t](?:-[a-zA-Z]*S\b|--stdin\b)|[^|\n]{0,100}?(?:\bchpasswd\b|-stdin\b)"
_PIPED = _Pattern(rf"(\b(?:echo|printf)[ \t]+)[^|\n]{{1,300}}?(?=[ \t]*\|[ \t]*(?:{_READS}))")
"""What is said to a tool that reads a password: sudo(8) -S, chpasswd(8), docker login --password-stdin."""
_KEY_BLOCK = _Pattern(
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)", re.DOTALL
)
_KEY_END = _Pattern(r"\A(?:(?!-----BEGIN)[^-]|(?!-----BEGIN)-)*?-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----")
_SECRET_KEY = _Pattern(rf"{_NAME}$", re.IGNORECASE)


def _is_hinted(text: str) -> bool:
    folded = text.casefold()  # as a pattern that ignores case does: some letters beyond ASCII are small ones of it, too
    return any(hint in folded for hint in _HINTS)


def redact(text: str) -> str:
    """Mask values that look like secrets in free text.

    Assignments, options, URLs with passwords or tokens, headers, tokens of well-known issuers, private keys.
    """
    if not _is_hinted(text):
        return text
    text = _KEY_BLOCK.compiled.sub(MASK, text)
    text = _URL.compiled.sub(rf"\g<1>{MASK}\g<2>", text)
    text = _URL_TOKEN.compiled.sub(rf"\g<1>{MASK}\g<2>", text)
    text = _HOOK.compiled.sub(rf"\g<1>{MASK}", text)
    text = _TOKEN.compiled.sub(MASK, text)
    text = _ELEMENT.compiled.sub(rf"\g<1>{MASK}", text)
    text = _BEARER.compiled.sub(rf"\g<1>{MASK}", text)
    text = _HEADER.compiled.sub(lambda found: f"{found[1] or found[2]}{MASK}", text)
    text = _SQL.compiled.sub(rf"\g<1>{MASK}", text)
    text = _PIPED.compiled.sub(rf"\g<1>{MASK}", text)
    text = _TOOL.compiled.sub(rf"\g<1>{MASK}", text)
    text = _OPTION.compiled.sub(rf"\g<1>{MASK}", text)
    text = _SHORT.compiled.sub(rf"\g<1>{MASK}", text)
    return _ASSIGNMENT.compiled.sub(rf"\g<1>{MASK}", text)


def redact_end(text: str) -> str:
    """Mask secrets in the end of a text whose beginning is not there: it may begin within a private key."""
    return redact(_KEY_END.compiled.sub(MASK, text, count=1) if "PRIVATE KEY" in text else text)


def redact_words(words: Sequence[str]) -> list[str]:
    """Mask secrets in a command's words: also a word that follows an option which is named a secret, alone."""
    if not _is_hinted("\0".join(words)):
        return list(words)
    masked = [redact(word) for word in words]
    for at, word in enumerate(words[:-1]):
        if _SECRET_OPTION.compiled.fullmatch(word):
            masked[at + 1] = MASK
    text = "\0".join(masked)
    return _TOOL.compiled.sub(rf"\g<1>{MASK}", text).split("\0")


def redact_json(value: Any) -> Any:
    """Mask the secrets in every text of a JSON value; keys stay as they are."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [redact_json(item) for item in value]
    return {key: redact_json(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def redact_value(key: str, value: str) -> str:
    """Mask a configuration value when its key, or the value itself, looks like a secret."""
    last = key.rpartition(".")[2]
    is_secret = _is_hinted(last) and _SECRET_KEY.compiled.match(last) is not None
    return MASK if is_secret else redact(value)
