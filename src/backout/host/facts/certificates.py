"""Certificates where servers usually have their own, beside those under `watch`."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator

from backout.host.facts.looking import Looking
from backout.lens import certificate
from backout.model.fact import Fact

_PLACES = (
    *("/etc/letsencrypt/live/*/cert.pem", "/etc/ssl/*.pem", "/etc/ssl/*.crt", "/etc/ssl/private/*.pem"),
    *("/etc/ssl/private/*.crt", "/etc/nginx/ssl/*", "/etc/nginx/certs/*", "/etc/apache2/ssl/*", "/etc/haproxy/certs/*"),
    *("/etc/pki/tls/certs/*.crt", "/etc/postfix/*.pem", "/etc/dovecot/*.pem", "/etc/dovecot/private/*.pem"),
)
_BUNDLES = ("ca-certificates.crt", "ca-bundle.crt", "ca-bundle.trust.crt")


def usual(looking: Looking) -> Iterator[Fact]:
    """Tell the first certificate of each file in the usual places; links are followed, as certbot's are meant."""
    for path in sorted({path for place in _PLACES for path in glob.glob(place)}):
        if looking.is_watched(path) or os.path.basename(path) in _BUNDLES or not os.path.isfile(path):
            continue
        shown = certificate.first(looking.read(path) or b"")
        if shown is not None:
            yield Fact("certificate", path, shown._asdict())
