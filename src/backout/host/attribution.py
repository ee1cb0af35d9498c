"""Who did it: what the logs of this host say of something that was changed outside backout. Reads only.

An answer is a guess with its evidence, a line as it stands in a log; where nothing is found, that is the answer.
"""

from __future__ import annotations

import calendar
import contextlib
import glob
import gzip
import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from backout.lens.wheel import normalised
from backout.model.redact import redact

UNKNOWN: dict[str, Any] = {"what": "unknown", "evidence": None}
_LOGS = "/var/log/"
_LARGEST = 64 << 20
"""Of a log that is longer only the end is read."""
_LONGEST_LINE = 300
_BEFORE_S = {"sudo": 900.0, "cron": 120.0, "puppet": 30.0, "dpkg": 30.0}
"""How long before a file's ctime that may have begun which changed it; an editor is open for a while."""
_AFTER_S = 5.0
_SUMMARIES = (
    "/var/lib/puppet/state/last_run_summary.yaml",
    "/var/cache/puppet/state/last_run_summary.yaml",
    "/opt/puppetlabs/puppet/public/last_run_summary.yaml",
    "/opt/puppetlabs/puppet/cache/state/last_run_summary.yaml",
)
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
_ZONE = re.compile(r"[.,\d]*(Z|[+-]\d\d:?\d\d)")
_TRADITIONAL = re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DPKG = re.compile(r"\S+ \S+ (?:install|upgrade|remove|purge|trigproc|configure) (\S+)")


class Line(NamedTuple):
    """A line of a log, when it was written (seconds since the epoch, UTC), and what it is about."""

    at: float
    what: str
    text: str


def attribute(wanted: Iterable[dict[str, str]], since_s: float) -> list[dict[str, Any]]:
    """Give {what, evidence} for each of these {kind, subject}: from lines that were written since then."""
    sources = _Sources(since_s)
    return [sources.told(one["kind"], one["subject"]) for one in wanted]


class _Sources:
    """Everything that logs say, read once."""

    def __init__(self, since_s: float) -> None:
        now = time.time()
        self._since_s = int(since_s)  # logs know whole seconds: what came just after would seem to come before
        begun_s = self._since_s - max(_BEFORE_S.values())
        logged = [*_sudo_and_cron(now), *_journal(begun_s), *_puppet_lines(now)]
        self._packages = [line for line in (*_apt(), *_dpkg()) if line.at >= self._since_s]
        self._logged = sorted(line for line in {*logged, *_summaries()} if line.at >= begun_s)

    def told(self, kind: str, subject: str) -> dict[str, Any]:
        found: Line | None = None
        if kind == "debian-package":
            found = self._package(subject)
        elif kind == "python-package":
            return self._python(subject)
        elif kind in ("file", "config", "certificate", "python"):
            found = self._path(subject.partition("#")[0] if kind == "config" else subject)
        if found is None:
            found = self._naming(subject)
        return UNKNOWN if found is None else {"what": found.what, "evidence": _evidence(found.text)}

    def _package(self, subject: str) -> Line | None:
        """Prefer what names the command over what names the package alone."""
        name = subject.partition(":")[0]
        word = re.compile(rf"(?<![\w.+-]){re.escape(name)}(?::\w+)?(?![\w.+-])")
        found = [line for line in self._packages if word.search(line.text)]
        commands = [line for line in found if line.what == "apt"]
        return max(commands or found, default=None)

    def _path(self, path: str) -> Line | None:
        """Find what was at work when the file was changed; what names it comes before what was only near."""
        try:
            at = os.lstat(path).st_ctime
        except OSError:  # it is gone: nothing tells since when
            return None
        near = [line for line in (*self._logged, *self._packages) if _near(line, at)]
        named = max((line for line in near if path in line.text), default=None)
        last = max(near, default=None)
        return named or (last and last._replace(what=f"perhaps {last.what}"))

    def _naming(self, subject: str) -> Line | None:
        """Find a command or a message that names what was changed."""
        name = re.split(r"[/:#]", subject.rstrip("/"))[-1]
        word = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])") if name else None
        lines = [
            line for line in self._logged if line.at >= self._since_s and word is not None and word.search(line.text)
        ]
        return max(lines, default=None)

    def _python(self, subject: str) -> dict[str, Any]:
        """Say which installer put a package there and when, and what was at work then."""
        prefix, _, name = subject.rpartition(":")
        for info in glob.glob(f"{glob.escape(prefix)}/lib*/python3*/*-packages/*.dist-info"):
            if normalised(os.path.basename(info).partition("-")[0]) == name:
                with contextlib.suppress(OSError):
                    return self._installed(info)
        found = self._naming(subject)
        return UNKNOWN if found is None else {"what": found.what, "evidence": _evidence(found.text)}

    def _installed(self, info: str) -> dict[str, Any]:
        at = os.lstat(info).st_ctime
        by = next(iter(_lines(f"{info}/INSTALLER")), "unknown")
        asked = "asked for" if os.path.exists(f"{info}/REQUESTED") else "not asked for by itself"
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
        near = max((line for line in self._logged if _near(line, at)), default=None)
        beside = f"; {near.what}: {near.text}" if near else ""
        return {"what": by, "evidence": _evidence(f"installed {when}, {asked}{beside}")}


def _near(line: Line, at: float) -> bool:
    begun = _BEFORE_S.get(line.what.partition(" ")[0], _BEFORE_S["puppet"])
    return at - begun <= line.at <= at + _AFTER_S


def _evidence(text: str) -> str:
    return redact(text)[:_LONGEST_LINE]


def _apt() -> Iterator[Line]:
    """Read apt's history: a block a run, its times local (apt.conf(5), Dir::Log)."""
    for path in _rotated("apt/history.log"):
        for block in "\n".join(_lines(path)).split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            at = _local(fields.get("End-Date", fields.get("Start-Date", "")).replace("  ", " "))
            if at is not None:
                asked = f" ({fields['Requested-By']})" if "Requested-By" in fields else ""
                told = [
                    f"{key}: {fields[key]}"
                    for key in ("Install", "Upgrade", "Downgrade", "Remove", "Purge")
                    if key in fields
                ]
                command = fields.get("Commandline", "apt")
                yield Line(at, "apt", f"{fields.get('Start-Date', '')} {command}{asked}; {'; '.join(told)}")


def _dpkg() -> Iterator[Line]:
    for path in _rotated("dpkg.log"):
        for text in _lines(path):
            at = _local(text[:19]) if _DPKG.match(text) else None
            if at is not None:
                yield Line(at, "dpkg", text)


def _sudo_and_cron(now: float) -> Iterator[Line]:
    for name in ("auth.log", "syslog", "cron.log"):
        for path in _rotated(name):
            for text in _lines(path):
                what = _who(text)
                at = _at(text, now) if what else None
                if what and at is not None:
                    yield Line(at, what, text)


def _who(text: str) -> str | None:
    """Tell what a line of the system's log is of; None for what changes nothing."""
    command = re.search(r"\bsudo(?:\[\d+\])?:\s+(\S+) : .*COMMAND=", text)
    if command:
        return f"sudo by {command[1]}"
    if re.search(r"\bCRON\[\d+\]: \(\S+\) CMD ", text, re.IGNORECASE):
        return "cron"
    account = re.search(r"\b((?:user|group)(?:add|mod|del)|passwd|chage|gpasswd|chpasswd)\[\d+\]: ", text)
    if account:
        return account[1]
    return "puppet" if "puppet-agent[" in text or "puppet-user[" in text or " puppet[" in text else None


def _journal(since_s: float) -> Iterator[Line]:
    """Ask journald for what it has of the same; where there is none, there is nothing."""
    words = ["journalctl", "--quiet", "--no-pager", "--output=short-unix", f"--since=@{int(since_s)}"]
    tags = [f"--identifier={tag}" for tag in ("sudo", "CRON", "puppet-agent", "useradd", "usermod", "groupadd")]
    try:
        said = subprocess.run(
            [*words, *tags], capture_output=True, timeout=20, check=False, stdin=subprocess.DEVNULL
        ).stdout.decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return
    for text in said.splitlines():
        stamp, what = text.partition(" ")[0], _who(text)
        if what and re.fullmatch(r"\d+\.\d+", stamp):
            yield Line(float(stamp), what, text)


def _puppet_lines(now: float) -> Iterator[Line]:
    for path in [*glob.glob(f"{_LOGS}puppet*/*.log"), *glob.glob(f"{_LOGS}puppetlabs/*/*.log")]:
        for text in _lines(path):
            at = _at(text, now)
            if at is not None:
                yield Line(at, "puppet", text)


def _summaries() -> Iterator[Line]:
    """Read when Puppet ran last (last_run_summary.yaml): the end of that run, and how long it took."""
    for path in _SUMMARIES:
        text = "\n".join(_lines(path))
        last = re.search(r"^ *last_run: *(\d+)", text, re.MULTILINE)
        if last:
            yield Line(float(last[1]), "puppet", f"{path}: last_run: {last[1]}")


def _rotated(name: str) -> list[str]:
    """Name a log and what of it was put aside, oldest first."""
    return sorted(glob.glob(f"{_LOGS}{name}*"), key=_changed)


def _changed(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _lines(path: str) -> list[str]:
    """Read the lines of a log; of one that is not there, or may not be read, none."""
    try:
        with gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb") as file:
            if not path.endswith(".gz"):
                file.seek(max(0, os.fstat(file.fileno()).st_size - _LARGEST))
            return file.read(_LARGEST).decode(errors="replace").splitlines()
    except (OSError, EOFError):
        return []


def _at(text: str, now: float) -> float | None:
    """Read the time at the beginning of a line: RFC 3339, or that of RFC 3164, which has no year."""
    if _ISO.match(text):
        at, zone = _local(text[:19].replace("T", " ")), _ZONE.match(text, 19)
        return at if at is None or zone is None else _zoned(text[:19].replace("T", " "), zone[1])
    if not _TRADITIONAL.match(text) or text[:3] not in _MONTHS:
        return None
    year, month = time.localtime(now).tm_year, _MONTHS.index(text[:3]) + 1
    ats = [_local(f"{year - back}-{month:02}-{int(text[4:6]):02} {text[7:15]}") for back in (0, 1)]
    return next((at for at in ats if at is not None and at <= now + 86400), None)


def _local(text: str) -> float | None:
    try:
        return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S"))
    except (ValueError, OverflowError):
        return None


def _zoned(text: str, zone: str) -> float | None:
    try:
        at = calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M:%S"))
    except ValueError:
        return None
    if zone == "Z":
        return float(at)
    digits = zone[1:].replace(":", "")
    offset = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return float(at - offset if zone[0] == "+" else at + offset)
