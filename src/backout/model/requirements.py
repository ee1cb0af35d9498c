"""Requirements as pip reads them, from a command line or the text of a file: what is asked for, and how exactly. Pure.

Only as far as it takes to tell whether a line names one version or its very bits. The form of files is that of pip's
documentation, "Requirements File Format"; of a requirement, PEP 508; of a version, PEP 440.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Union

from backout.model.selector import normal

_COMMENT = re.compile(r"(^|\s+)#.*$")
_NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(.*)", re.DOTALL)
_CLAUSE = re.compile(r"\s*(===|==|~=|!=|<=|>=|<|>)\s*([^,\s()]+)\s*")
_COMMIT = re.compile(r"(?:\.git)?@(?:[0-9a-f]{40}|[0-9a-f]{64})(?=[#&\s]|$)")
_HASH = re.compile(r"[#&](?:sha256|sha384|sha512)=[0-9a-f]{64,128}")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9._-]+)")
_WHEEL = re.compile(r"([A-Za-z0-9_.]+)-[^-/]+(?:-\d[^-/]*)?-[^-/]+-[^-/]+-[^-/]+\.whl(?=[#?\s]|$)")
_REPOSITORY = re.compile(r"^(?:git|hg|svn|bzr)\+[^#]*/([A-Za-z0-9._-]+?)(?:\.git)?(?:@[^#/]*)?(?:#|$)")
_PIP = re.compile(r"pip(?:[0-9][0-9.]*)?")
_INCLUDES = {"-r": False, "--requirement": False, "-c": True, "--constraint": True}
_EDITABLE = ("-e", "--editable")
_PUNCTUATION = "();<>|&\n"
_LINE_AT = 2
_WITH_VALUE = {
    *("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-t", "--target", "-d", "--src", "--root", "-C"),
    *("--prefix", "--platform", "--python-version", "--implementation", "--abi", "--upgrade-strategy", "--cache-dir"),
    *("--no-binary", "--only-binary", "--progress-bar", "--root-user-action", "--report", "--config-settings", "--log"),
    *("--python", "--proxy", "--retries", "--timeout", "--exists-action", "--trusted-host", "--cert", "--client-cert"),
    *("--keyring-provider", "--use-feature", "--use-deprecated", "--global-option", "--config-setting", "--hash"),
}


class Requirement(NamedTuple):
    """What is asked for: `text` as it is written in `file` (empty: the command line).

    `name` is normalised (PEP 503), empty where it cannot be seen. `exact` tells whether one version or its very bits
    are named. A `constraint` asks for nothing by itself.
    """

    text: str
    name: str
    exact: bool
    constraint: bool = False
    file: str = ""

    @property
    def told(self) -> str:
        """Give it with the file that it stands in."""
        return _with_file(self.text, self.file)


class Include(NamedTuple):
    """Another file of requirements, or of constraints; no `path` where it is an address."""

    text: str
    path: str
    constraint: bool
    file: str = ""

    @property
    def told(self) -> str:
        """Give it with the file that it stands in."""
        return _with_file(self.text, self.file)


Row = Union[Requirement, Include]


def in_file(text: str, file: str, *, constraint: bool = False) -> list[Row]:
    """Read the text of a requirements file, or of one of constraints; what it includes is relative to its folder."""
    found: list[Row] = []
    for line in _lines(text):
        spec, options = _parted(line)
        if spec:
            one = _requirement(spec, hashed="--hash" in options)
            found.append(one._replace(constraint=constraint, file=file))
            continue
        asked = _asked(_words(options), os.path.dirname(file))
        found += [row._replace(constraint=constraint or row.constraint, file=file) for row in asked]
    return found


def in_command(words: Sequence[str], folder: str) -> list[Row]:
    """Read what a command asks pip for: the words of one, or a line for a shell; paths are relative to the folder.

    pip may stand anywhere in it: after sudo, in a pipeline, as `python -m pip` or `uv pip`. `cd` is followed.
    """
    found: list[Row] = []
    for command in _commands(list(words)):
        if command[0] == "cd" and len(command) > 1:
            folder = os.path.normpath(os.path.join(folder, command[1]))
        found += _asked(_of_pip(command), folder)
    return found


def _with_file(text: str, file: str) -> str:
    return f"{text} in {file}" if file else text


def _lines(text: str) -> Iterator[str]:
    """Join continued lines, then leave out comments, as pip does; a line of comment ends what was continued."""
    held = ""
    for line in text.splitlines():
        is_comment = _COMMENT.match(line) is not None
        if line.endswith("\\") and not is_comment:
            held += line.rstrip("\\")
            continue
        yield from _told(held + (" " if is_comment else "") + line)
        held = ""
    yield from _told(held)


def _told(line: str) -> Iterator[str]:
    told = _COMMENT.sub("", line).strip()
    if told:
        yield told


def _parted(line: str) -> tuple[str, str]:
    """Part a line of a file into the requirement and its options, which begin with the first word with a dash."""
    words = line.split(" ")
    at = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
    return " ".join(words[:at]).strip(), " ".join(words[at:])


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quotation that does not end
        return text.split()


def _commands(words: list[str]) -> Iterator[list[str]]:
    """Cut a command into simple ones, without redirections; a line for a shell, in each shell of it."""
    if not words:
        return
    shell = os.path.basename(words[0]) in ("sh", "bash", "dash", "zsh")
    if len(words) == 1 or (shell and words[1].startswith("-") and words[1].endswith("c") and len(words) > _LINE_AT):
        for command in _simple(words[0] if len(words) == 1 else words[_LINE_AT]):
            yield from _commands(command) if len(command) > 1 else [command]
        return
    yield words


def _simple(line: str) -> list[list[str]]:
    lexer = shlex.shlex(line.replace("\\\n", " "), posix=True, punctuation_chars=_PUNCTUATION)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    try:
        tokens = list(lexer)
    except ValueError:  # a quotation that does not end
        tokens = line.split()
    commands: list[list[str]] = [[]]
    skips = False
    for token in tokens:
        if skips:
            skips = False
        elif token and not token.strip(_PUNCTUATION):
            skips = bool(set("<>") & set(token))
            if not skips:
                commands.append([])
            elif commands[-1] and commands[-1][-1].isdigit():
                commands[-1].pop()  # the number of a descriptor
        else:
            commands[-1].append(token)
    return [command for command in commands if command]


def _of_pip(command: list[str]) -> list[str]:
    """Give the arguments of `pip install` in a simple command; none where it is another one."""
    at = next((at for at, word in enumerate(command) if _PIP.fullmatch(os.path.basename(word))), len(command))
    return command[command.index("install", at) + 1 :] if "install" in command[at:] else []


def _asked(words: Sequence[str], folder: str) -> Iterator[Row]:
    """Read arguments of `pip install`, or the options of a line in a file."""
    left = iter(words)
    for word in left:
        option, equals, value = word.partition("=")
        if word.startswith(("-r", "-c", "-e")) and not equals and len(word) > len("-r"):
            option, equals, value = word[:2], "=", word[2:]
        if option in _INCLUDES:
            yield _include(value if equals else next(left, ""), folder, constraint=_INCLUDES[option])
        elif option in _EDITABLE:
            yield _requirement(value if equals else next(left, ""), hashed=False)
        elif word in _WITH_VALUE:
            next(left, None)
        elif not word.startswith("-"):
            yield _requirement(word, hashed=False)


def _include(text: str, folder: str, *, constraint: bool) -> Include:
    path = "" if "://" in text or not text else os.path.normpath(os.path.join(folder, text))
    return Include(text, path, constraint)


def _requirement(text: str, *, hashed: bool) -> Requirement:
    match = _NAME.fullmatch(text)
    name, rest = (match[1], match[2].strip()) if match else ("", text)
    if match and rest.startswith("@"):
        return Requirement(text, normal(name), exact=hashed or _is_exact_address(rest))
    if "/" in text.partition(";")[0] or text.partition(" ;")[0].endswith((".whl", ".zip", ".gz", ".bz2", ".xz")):
        return Requirement(text, _name_in(text), exact=hashed or _is_exact_address(text))
    versions = rest.partition(";")[0].strip("() ")
    clauses = [_CLAUSE.fullmatch(clause) for clause in versions.split(",")]
    exact = any(clause and clause[1] in ("==", "===") and "*" not in clause[2] for clause in clauses)
    return Requirement(text, normal(name), exact=bool(name) and (hashed or exact))


def _is_exact_address(text: str) -> bool:
    """Tell whether an address or a path names a commit, a hash, or a wheel, whose name has the one version of it."""
    return any(pattern.search(text) for pattern in (_COMMIT, _HASH, _WHEEL))


def _name_in(text: str) -> str:
    egg, wheel, repository = _EGG.search(text), _WHEEL.search(text), _REPOSITORY.search(text)
    found = egg or wheel or repository
    return normal(found[1]) if found else ""
