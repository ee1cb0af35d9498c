"""Redaction: what looks like a secret never reaches a report, a ledger or a journal."""

from __future__ import annotations

import re

MASK = "••••"
_NAME = (
    r"[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|credential"
    r"|api[_-]?key|private[_-]?key|access[_-]?key|auth[_-]?key)[\w.-]*"
)
_ASSIGNMENT = re.compile(rf"(?i)(\b{_NAME}[\"']?\s*[:=]\s*)(\"[^\"\n]*\"|'[^'\n]*'|[^\s,;&\"']+)")
_OPTION = re.compile(rf"(?i)(--?{_NAME}[ =])(\S+)")
_URL = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)([^\s@/]+)(@)", re.IGNORECASE)
_BEARER = re.compile(r"(?i)\b((?:bearer|basic)\s+)([A-Za-z0-9._~+/=-]{8,})")
_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_SECRET_KEY = re.compile(rf"(?i)^{_NAME}$")


def redact(text: str) -> str:
    """Mask values that look like secrets in free text.

    Assignments, options, URLs with passwords, tokens, private keys.
    """
    text = _KEY_BLOCK.sub(MASK, text)
    text = _URL.sub(rf"\g<1>{MASK}\g<3>", text)
    text = _BEARER.sub(rf"\g<1>{MASK}", text)
    text = _OPTION.sub(rf"\g<1>{MASK}", text)
    return _ASSIGNMENT.sub(rf"\g<1>{MASK}", text)


def redact_value(key: str, value: str) -> str:
    """Mask a configuration value when its key, or the value itself, looks like a secret."""
    last = key.rpartition(".")[2]
    return MASK if _SECRET_KEY.match(last) else redact(value)
