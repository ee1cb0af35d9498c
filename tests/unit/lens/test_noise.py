"""Noise folds away what nobody asks about, and nothing that anybody would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backout.lens import noise
from backout.model.effect import RawEffect
from backout.model.state import State
from kit.trees import DIR, regular

A, LONGER = regular(b"a"), regular(b"a and more")


def rule(path: str, before: State | None, after: State | None) -> str | None:
    """The name of the rule that folds a path away."""
    found = noise.rule_for(path.encode(), before, after)
    return None if found is None else found.name


@pytest.mark.parametrize(
    ("path", "before", "after", "name"),
    [
        ("/srv/shop/app.py", A, A, "untouched"),
        ("/", DIR, DIR._replace(mtime_ns=1), "carrier-directories"),
        ("/srv/shop/app.py", A, A._replace(mtime_ns=1), "mtime-only"),
        ("/run/shop.sock", None, State("socket", 0o755, 0, 0), "sockets"),
        ("/var/lib/dpkg/lock-frontend", None, A, "locks"),
        ("/var/lib/apt/lists/lock", None, A, "locks"),
        ("/run/nginx/nginx.pid", None, A, "pid-files"),
        ("/var/log/wtmp", A, LONGER, "login-records"),
        ("/var/log/journal/0/system.journal", A, LONGER, "journald"),
        ("/srv/shop/shop.db-shm", A, LONGER, "sqlite-index"),
        ("/root/.bash_history", A, LONGER, "shell-history"),
        ("/var/log/dpkg.log", A, LONGER, "logs"),
        ("/srv/shop/logs/app.log", None, A, "logs"),
        ("/var/log/nginx", None, DIR, "log-folders"),
        ("/srv/shop/error.log", A, LONGER, "growing-logs"),
        ("/srv/shop/__pycache__/app.cpython-311.pyc", A, None, "byte-code"),
        ("/srv/shop/__pycache__", None, DIR, "byte-code"),
        ("/var/lib/apt/lists/deb_x_Packages", None, A, "apt-lists"),
        ("/var/cache/apt/pkgcache.bin", A, LONGER, "apt-caches"),
        ("/var/lib/dpkg/status-old", A, LONGER, "package-manager-records"),
        ("/etc/shadow-", A, LONGER, "account-backups"),
        ("/etc/ld.so.cache", A, LONGER, "linker-cache"),
        ("/var/cache/man/index.db", A, LONGER, "man-db"),
        ("/var/cache/fontconfig/x", None, A, "desktop-indexes"),
        ("/home/ana/.cache/pip/http/x", None, A, "user-caches"),
        ("/var/cache/puppet/state/last_run_report.yaml", None, A, "configuration-runs"),
        ("/var/lib/puppet/ssl/private_keys", None, DIR, "configuration-folders"),
        ("/var/lib/systemd/random-seed", A, LONGER, "random-seeds"),
    ],
)
def test_a_rule_folds_away_what_it_names(path: str, before: State, after: State, name: str) -> None:
    """A report in which byte code buries the one changed setting is not read."""
    assert rule(path, before, after) == name


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("/srv/shop/error.log", None, A),
        ("/srv/shop/error.log", A, None),
        ("/var/log/shop.log", LONGER, A),
        ("/var/log/shop.log", A, None),
        ("/var/log/shop.log", A, State("symlink", 0o777, 0, 0, target=b"/etc/shadow")),
        ("/var/log/shop.log", A, LONGER._replace(mode=0o666)),
        ("/var/log/shop.log", None, A._replace(mode=0o4755)),
        ("/home/ana/.cache/tool", None, A._replace(xattrs=((b"security.capability", b"x"),))),
        ("/srv/shop/app.pyc", None, A),
        ("/srv/shop/uv.lock", A, LONGER),
        ("/srv/shop/package-lock.json", A, LONGER),
        ("/srv/shop/my-journal", A, LONGER),
        ("/srv/shop/shop.db-wal", A, None),
        ("/srv/shop/shop.db-journal", A, LONGER),
        ("/srv/shop/cache/x", None, A),
        ("/etc/cron.d", DIR, DIR._replace(mode=0o777)),
        ("/etc/passwd", A, LONGER),
        ("/var/lib/dpkg/status", A, LONGER),
        ("/srv/var/log/x", None, A),
        ("/var/lib/puppet/ssl/private_keys/web1.pem", None, A),
        ("/var/lib/puppet/ssl/certs", DIR, None),
    ],
)
def test_what_a_person_would_want_to_see_is_never_noise(path: str, before: State, after: State) -> None:
    """A log that vanishes, a mode that opens a file to all, a lock file of dependencies: each would bite unseen."""
    assert rule(path, before, after) is None


def test_a_name_with_a_newline_matches_like_any_other() -> None:
    """A line-oriented rule would let such a name slip past, or match half of it."""
    assert rule("/var/cache/man/a\nb", None, A) == "man-db"
    assert rule("/etc/x\n/var/cache/man/a", None, A) is None


def test_locks_sockets_and_journals_are_never_promoted_and_logs_only_appended() -> None:
    """Switching a file that a live process holds loses that process's writes (traps, C6)."""
    promotions = {rule.name: rule.promotion for rule in noise.rules()}
    never = ["untouched", "mtime-only", "locks", "sockets", "journald", "login-records", "sqlite-index", "pid-files"]
    assert {promotions[name] for name in never} == {"never"}
    assert promotions["logs"] == promotions["growing-logs"] == "append"


def test_each_rule_says_why_in_one_sentence_and_has_a_name_of_its_own() -> None:
    """Whoever asks why a path was folded away gets an answer from the data file."""
    document = json.loads((Path(noise.__file__).parent / "noise.json").read_text())
    assert all(entry["why"].endswith(".") and len(entry["why"]) > 20 for entry in document)
    assert len({entry["name"] for entry in document}) == len(document)
    assert all(entry["promotion"] in {"promote", "yield", "append", "never"} for entry in document)


def test_each_path_is_noise_or_not_and_never_both() -> None:
    """Law 2: counted, never dropped."""
    raw = {path: RawEffect(path, None, A) for path in (b"/etc/x", b"/var/cache/man/x", b"/\xff")}
    rows, rest = noise.fold_noise(raw)
    assert sorted([row.path for row in rows] + [effect.path for effect in rest]) == sorted(raw)
