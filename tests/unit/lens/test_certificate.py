"""Certificates: whose and until when; whatever else a file holds is none, and never a crash."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.lens.certificate import Shown, first, is_named_so, shown
from kit.hostile import hunted, mutated

PEM = b"""\
-----BEGIN CERTIFICATE-----
MIIBzTCCAXOgAwIBAgIUT6RGhORt9V1KO9d5eP/+jQLAOQ4wCgYIKoZIzj0EAwIw
PDELMAkGA1UEBhMCREUxEjAQBgNVBAoMCVNob3AgR21iSDEZMBcGA1UEAwwQc2hv
cC5leGFtcGxlLmNvbTAeFw0yNjExMjQyMjQzMDhaFw0zNjExMjEyMjQzMDhaMDwx
CzAJBgNVBAYTAkRFMRIwEAYDVQQKDAlTaG9wIEdtYkgxGTAXBgNVBAMMEHNob3Au
ZXhhbXBsZS5jb20wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS8LvTV4NrKg43i
vk+6sf5i7iI7qh+H0B2N+1QQcQua90TslFnACcW18D9omhjz5CX5UII8fBFoZZbR
98MkVyoAo1MwUTAdBgNVHQ4EFgQUJONzYu+53sH4ZQ4soXCeq9m5IwEwHwYDVR0j
BBgwFoAUJONzYu+53sH4ZQ4soXCeq9m5IwEwDwYDVR0TAQH/BAUwAwEB/zAKBggq
hkjOPQQDAgNIADBFAiEA/D6AXEc+FsY6HDgORtqou/TWHCY41sjphzM/RND10PYC
ICqtNom/x/wC4ea6SxsTvvwswuQ7Yfj+AvvlM8j34YpT
-----END CERTIFICATE-----
"""
"""Made by openssl req -x509 for /C=DE/O=Shop GmbH/CN=shop.example.com; its notAfter is Nov 21 22:43:08 2036 GMT."""
SHOP = Shown("C=DE, O=Shop GmbH, CN=shop.example.com", "2036-11-21T22:43:08Z")
DER = base64.b64decode(b"".join(PEM.splitlines()[1:-1]))


@pytest.mark.parametrize(
    "before", [b"", b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"]
)
def test_a_certificate_tells_whose_it_is_and_until_when(before: bytes) -> None:
    """As openssl x509 says it; keys and texts before it do not matter, nor does the chain behind it."""
    assert first(before + PEM + PEM.replace(b"MIIBz", b"MIIBx")) == SHOP


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n", PEM[:300]])
def test_what_is_no_certificate_is_none(content: bytes) -> None:
    """A file's name promises nothing."""
    assert first(content) is None


def test_years_of_two_digits_turn_with_1950() -> None:
    """RFC 5280, 4.1.2.5.1; local times and what is no time at all are none."""
    assert shown(DER.replace(b"361121224308Z", b"491231235959Z")).not_after == "2049-12-31T23:59:59Z"
    assert shown(DER.replace(b"361121224308Z", b"500101000000Z")).not_after == "1950-01-01T00:00:00Z"
    with pytest.raises(ValueError, match="no time"):
        shown(DER.replace(b"361121224308Z", b"3611212243080"))


@hunted(100)
@given(mutated((DER,)) | st.binary(max_size=200))
def test_no_certificate_breaks_the_look(content: bytes) -> None:
    """They lie in folders where others may write; whatever is read of one can be written down."""
    text = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(content) + b"-----END CERTIFICATE-----\n"
    found = first(text)
    assert found is None or found.subject.encode("utf-8", "surrogateescape") is not None


def test_certificates_are_looked_for_by_their_names() -> None:
    """Every file under watch is not opened for that."""
    assert [name for name in (b"/a.pem", b"/b.crt", b"/c.pem.bak", b"/d") if is_named_so(name)] == [
        b"/a.pem",
        b"/b.crt",
    ]
