"""The signature of a fault: the line of an output that tells what broke, without what differs each time. Pure.

The same fault on another day, on another host or in another sandbox has the same signature, and another fault has
another one. It is made to be compared, to be read, and to be searched for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice

ANY = "*"
"""What stands for a number, a time, an address, an id, the folders of a path."""
_LONGEST = 400
_MOST_READ = 1000
_FAR = 20
"""How many lines above its first frame an exception is looked for: Node puts the way to a missing module between."""

# ---------------------------------------------------------------- which line
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[()][0-9A-B]")
_LEAD = re.compile(
    r"^(?:(?:[A-Z][a-z]{2} [ \d]\d [\d:]{8}|\d{4}-\d\d-\d\dT[\d:.+-]+Z?) [\w.-]+ [^\s:]+: |[\w.-]+ +\| | *\| (?=.))"
)
"""What others put before each line: journalctl(1) and syslogd, docker compose, the margin of an exception group."""
_PYTHON_FRAME = re.compile(r'\s+File ".*", line \d+')
_FRAME = re.compile(r"\s+(?:at \S|\.\.\. \d+ )")
"""A frame of Java, JavaScript or .NET."""
_THROWN = re.compile(r"(?<![\w.$])[\w.$]*(?:Error|Exception)(?=[:\s]|$).*")
_ALONE = re.compile(r"\s*[A-Za-z_][\w.$]*(?:Error|Exception): \S")
"""An exception of which nothing but its last line was copied."""
_PANICKED = re.compile(r"thread '.*' (?:\(\d+\) )?panicked at [^']*:$")
_PANIC = re.compile(r"(?:panic|fatal error): .")
_WRAPPING = re.compile(
    r"""\W*$|<|Exit\ code\ \d|No\ end\ within|The\ application\ said:
    |.*\b(?:TRACE|DEBUG|INFO|NOTICE)\b|.*\[(?:trace|debug|info|notice)\]|\S+\ \S+\ \S+\ \[[^]]+\]\ "[A-Z]+\ \S+\ HTTP/
    |\s*%\ Total|\s+Dload|(?:\s*[\d.]+[kMG]?\s){4}|(?:\s|[\d-]*:)*--:--
    |.*\[(?:ERROR|CRITICAL)\]\ (?:Worker\ \(pid|Shutting\ down|Reason:\ |Exception\ in\ worker)
    |nginx:\ configuration\ file\ \S+\ test\ failed|\s+Is\ the\ server\ running|LINE\ \d+:|(?:HINT|Hint|note):
    |Job\ for\ \S+\ failed|See\ "|\S+\.[a-z]+:\ (?:\w+\ process\ exited|Failed\ with|Scheduled|Start\ request|Consumed)
    |(?:Failed\ to\ start|Starting|Started|Stopped|Stopping)\ |exit\ status\ \d|make(?:\[\d+])?:\ \*\*\*
    |E:\ Sub-process|Errors\ were\ encountered|BEGIN\ failed--|Node\.js\ v|.*A\ complete\ log|goroutine\ \d|\[signal\b
    |.*\bok=\d|More\ details\ here|curl\ failed\ to\ verify|Action\ '|The\ Apache\ error\ log|\d+\ failed\b""",
    re.VERBOSE,
)
"""Lines that decorate, that tell of what went well, or that something failed but not what: of gunicorn and access logs,
curl, nginx, psql, systemd, make, apt, Perl, Node, npm, Go, Ansible, Apache, pytest, and of our own checks."""
_COMPLAINTS = (
    *("error", "fatal", "emerg", "alert", "crit", "critical", "panic", "failed", "failure", "cannot", "can't"),
    *("couldn't", "unable", "denied", "refused", "not found", "no such", "no module", "invalid", "undefined"),
    *("unknown", "missing", "unexpected"),
)
_COMPLAINT = re.compile(rf"\b(?:{'|'.join(_COMPLAINTS)}|\w+Error|\w+Exception)\b|^E:|^curl:", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")
_HINTS = (*_COMPLAINTS, "exception", "e:", "curl:")
"""What a line must hold, in small letters, to complain: looked for first in a long output, since it is cheap."""

# ---------------------------------------------------------------- what differs each time
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = r"\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?"
_TIME = re.compile(
    rf"(?<![\w.])(?:\d{{4}}[-/]\d\d[-/]\d\d(?:[T ]{_CLOCK})?|\d\d/{_MONTH}/\d{{4}}:{_CLOCK}"
    rf"|(?:[A-Z][a-z]{{2}},? )?(?:{_MONTH} [ \d]?\d|\d\d? {_MONTH} \d{{4}}) {_CLOCK}(?: \d{{4}})?"
    rf"|\d\d:\d\d:\d\d(?:[.,]\d+)?)(?!\w)"
)
_ID = re.compile(
    r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b0x[0-9a-fA-F]+\b"
    r"|\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,128}\b|(?<=\btmp)(?:[a-z0-9_]{8}|\.\w{6,})(?!\w)|(?<=\.)\w{6}(?=/)"
)
"""UUIDs, addresses in memory, digests and commits, names by mkstemp(3), mktemp(1) and Python's tempfile."""
_ADDRESS = re.compile(
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.])"
    r"|\[?(?<![\w:])(?=[0-9a-fA-F:]*\d)(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{1,4}(?![\w:])\]?"
)
_PATH = re.compile(r"(?<![\w.*~/-])~?/(?!/)(?:[^\s/:'\"`()\[\]{},;<>|]+/+)+(?=[^\s/:'\"`()\[\]{},;<>|])")
"""The folders of an absolute path: the last name stays, for it tells one missing file from another."""
_NUMBER = re.compile(
    r"""(?P<kept>^\d{3}\ (?=[A-Z])|\b(?:errno|error|status|code|signal|HTTP/[\d.]+|curl:)["']?[\ :=(]{1,3}\d{1,4}\b
    |\b(?:got|returned|answered)\ [45]\d\d\b)
    |(?<![\w.])\d+(?:[.,:]\d+)*(?:\ ?(?:[num]?s|min|[kKMGT]i?B)|%)?(?!\w)""",
    re.VERBOSE | re.IGNORECASE,
)
"""A number, and its unit; kept are those that tell one fault from another: HTTP's status, an errno, an exit code."""
_FRONT = re.compile(r"^(?:\[?\*(?:[#:*]\*)*\]?[:,]? +)+")


def signature(check: str, output: str) -> str:
    """Give the name of the check, and what its output says is wrong: an exception, else the last telling line.

    Numbers, times, addresses, ids and the folders of paths are folded to `*`. Where the output says nothing, it is the
    name alone.
    """
    line = folded(telling(output))
    return f"{check}: {line}" if line else check


def telling(output: str) -> str:
    """Give the line of an output that tells what broke, as it is there; empty where there is none.

    It is the last exception or panic; of Java's, the innermost cause. Without one it is the last line that complains,
    else the last that is no decoration, and only else a line that says no more than that something failed.
    """
    lines = _lines(output)
    raised = list(_raised(lines))
    if raised:
        return raised[-1].strip()
    telling = [line for line in lines if not _WRAPPING.match(line)]
    complaining = [line for line in telling if _COMPLAINT.search(line)]
    wrapping = [line for line in lines if _COMPLAINT.search(line)]
    return next((found[-1].strip() for found in (complaining, telling, wrapping, lines) if found), "")


def telling_lines(output: str, most: int) -> dict[str, str]:
    """Give the lines of an output that tell what broke, by what they are when `folded`; at most so many.

    Exceptions and panics come first, then what complains, each in the order of the output. Of an output with thousands
    of such lines the first ones are looked at.
    """
    lines = _lines(output)
    found: dict[str, str] = {}
    for line in islice(chain(_raised(lines), _complaining(lines)), _MOST_READ):
        found.setdefault(folded(line.strip()), line.strip()[:_LONGEST])
        if len(found) == most:
            break
    return found


def exceptions(text: str) -> list[str]:
    """Give the exceptions and panics of a text, whatever else it is: by their stacks, or as lines of their own."""
    lines = _lines(text)
    return [line.strip() for line in dict.fromkeys((*_raised(lines), *filter(_ALONE.match, lines)))]


def is_decoration(line: str) -> bool:
    """Tell whether a line says no more than that something failed, or decorates what does."""
    return bool(_WRAPPING.match(line))


def folded(line: str) -> str:
    """Give a line without what differs each time; at most 400 characters."""
    line = _TIME.sub(ANY, line)
    line = _ID.sub(ANY, line)
    line = _ADDRESS.sub(ANY, line)
    line = _PATH.sub(f"{ANY}/", line)
    line = _NUMBER.sub(lambda found: found.group("kept") or ANY, line)
    return _FRONT.sub("", " ".join(line.split()))[:_LONGEST]


def _complaining(lines: Sequence[str]) -> Iterator[str]:
    """Give the lines that complain; of those that differ in digits alone, as a retry's, the first."""
    seen: set[str] = set()
    for line in lines:
        small = line.casefold()
        for hint in _HINTS:
            if hint in small:
                alike = _DIGITS.sub("", line)
                if alike not in seen and _COMPLAINT.search(line) and not _WRAPPING.match(line):
                    yield line
                seen.add(alike)
                break


def _lines(output: str) -> list[str]:
    """Give what was said, without colours, without what others put before each line."""
    return [_LEAD.sub("", line) for line in _COLOUR.sub("", output).splitlines() if line.strip()]


def _raised(lines: Sequence[str]) -> Iterator[str]:
    """Give the heads of exceptions and panics, in the order of their stacks."""
    framed = False
    for at, line in enumerate(lines):
        if _PYTHON_FRAME.match(line):
            framed = True
        elif framed and not line[0].isspace():
            framed = False
            yield line
        elif _FRAME.match(line) and at and not _FRAME.match(lines[at - 1]):
            above = (_THROWN.search(lines[before]) for before in range(at - 1, max(-1, at - _FAR), -1))
            yield from [thrown.group() for thrown in above if thrown][:1]
        elif _PANIC.match(line):
            yield line
        elif _PANICKED.match(line):
            yield from lines[at + 1 : at + 2]
