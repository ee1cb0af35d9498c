"""X.509 certificates as far as people ask for them: whose, and until when (RFC 5280, X.690 for DER).

Nothing is verified here, and nothing of it is needed to be true: what cannot be read is no certificate.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import NamedTuple

_PEM = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END")
_NAMED = re.compile(rb"\.(?:pem|crt|cer|cert)$")
_SEQUENCE, _SET, _VERSION, _OID = 0x30, 0x31, 0xA0, 0x06
_UTC_TIME, _TIME = 0x17, 0x18
_SHORT = {
    b"\x55\x04\x03": "CN",
    b"\x55\x04\x06": "C",
    b"\x55\x04\x07": "L",
    b"\x55\x04\x08": "ST",
    b"\x55\x04\x0a": "O",
    b"\x55\x04\x0b": "OU",
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01": "emailAddress",
}
"""Attributes of names (RFC 4519, RFC 2985), by their object identifiers."""
_WIDE = {0x1E: "utf-16-be", 0x1C: "utf-32-be"}
_CENTURY_TURNS = 50
_LONG_BYTES = 4


class Shown(NamedTuple):
    """A certificate: its subject as `CN=…, O=…`, and the end of its validity in RFC 3339, UTC."""

    subject: str
    not_after: str


def is_named_so(path: bytes) -> bool:
    """Tell whether a file's name says that it may hold a certificate."""
    return _NAMED.search(path) is not None


def first(content: bytes) -> Shown | None:
    """Read the first certificate of a PEM file, which is the server's own (RFC 8446, 4.4.2); None without one."""
    found = _PEM.search(content)
    if found is None:
        return None
    try:
        return shown(base64.b64decode(b"".join(found[1].split()), validate=True))
    except (ValueError, binascii.Error):
        return None


def shown(der: bytes) -> Shown:
    """Read one certificate; ValueError when it is none."""
    (certificate,) = _take(der, 1)
    (signed,) = _take(_body(certificate, _SEQUENCE), 1)
    fields = list(_parts(_body(signed, _SEQUENCE)))
    at = 1 if fields and fields[0][0] == _VERSION else 0  # a version 1 does not say so
    if len(fields) < at + 5:
        raise ValueError("too few fields")
    validity, subject = fields[at + 3], fields[at + 4]
    _, end = _take(_body(validity, _SEQUENCE), 2)
    return Shown(_name(_body(subject, _SEQUENCE)), _when(*end))


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Give the tags and bodies that data is made of (X.690, 8.1)."""
    at = 0
    while at < len(data):
        tag, at = data[at], at + 1
        length, at = _length(data, at)
        if at + length > len(data):
            raise ValueError("cut short")
        yield tag, data[at : at + length]
        at += length


def _length(data: bytes, at: int) -> tuple[int, int]:
    if at >= len(data):
        raise ValueError("cut short")
    length, at = data[at], at + 1
    if length & 0x80:
        count = length & 0x7F
        if not 0 < count <= _LONG_BYTES or at + count > len(data):
            raise ValueError("a length that is none")
        length, at = int.from_bytes(data[at : at + count], "big"), at + count
    return length, at


def _take(data: bytes, count: int) -> list[tuple[int, bytes]]:
    """Give the first parts of what may be followed by more."""
    found = []
    for part in _parts(data):
        found.append(part)
        if len(found) == count:
            return found
    raise ValueError("too few parts")


def _body(part: tuple[int, bytes], tag: int) -> bytes:
    if part[0] != tag:
        raise ValueError("another type")
    return part[1]


def _name(data: bytes) -> str:
    words = []
    for relative in _parts(data):
        for pair in _parts(_body(relative, _SET)):
            oid, value = _take(_body(pair, _SEQUENCE), 2)
            key = _body(oid, _OID)
            words.append(f"{_SHORT.get(key, key.hex())}={_text(*value)}")
    return ", ".join(words)


def _text(tag: int, data: bytes) -> str:
    return data.decode(_WIDE.get(tag, "utf-8"), "replace")


def _when(tag: int, data: bytes) -> str:
    """Write a time of RFC 5280, 4.1.2.5: years of two digits begin with 1950."""
    if tag not in (_UTC_TIME, _TIME):
        raise ValueError("no time")
    digits = data.decode("ascii")
    year = 2 if tag == _UTC_TIME else 4
    if not re.fullmatch(rf"\d{{{year + 10}}}Z", digits):
        raise ValueError("no time")
    century = "" if year != 2 else ("19" if int(digits[:2]) >= _CENTURY_TURNS else "20")  # noqa: PLR2004 - two digits
    month, day, hour, minute, second = (digits[at : at + 2] for at in range(year, year + 10, 2))
    return f"{century}{digits[:year]}-{month}-{day}T{hour}:{minute}:{second}Z"
