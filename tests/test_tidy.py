"""The house rules that a machine can hold us to. Docstrings and style are ruff's part, types are mypy's."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "backout"
TOOLS = Path(sys.executable).parent

FILE_LINES = 500
FUNCTION_LINES = 60
USUAL_FUNCTION_LINES = 25
NAMES_THAT_SAY_NOTHING = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}


PURE = {
    *("__future__", "base64", "binascii", "bisect", "collections", "collections.abc", "configparser", "csv", "difflib"),
    *("fnmatch", "functools", "hashlib", "importlib", "itertools", "json", "pkgutil", "posixpath", "re", "shlex"),
    *("datetime", "math", "sys", "tomllib", "typing", "unicodedata", "urllib.parse"),
}
PURE_PATHS = {f"os.path.{name}" for name in ("basename", "dirname", "join", "normpath", "split", "splitext")}


def python_files(*folders: Path) -> list[Path]:
    """Every Python file below the folders (or the files named), in order."""
    found = [path for folder in folders for path in (folder.rglob("*.py") if folder.is_dir() else [folder])]
    return sorted(path for path in found if path.is_file())


def target_half() -> list[Path]:
    """What runs on a host: standard library only, Python 3.9 (design, section 5)."""
    rooms = [SOURCE / room for room in ("__init__.py", "errors.py", "model", "lens", "host")]
    return python_files(*rooms)


def functions(paths: list[Path]) -> Iterator[tuple[str, int]]:
    """Each function as `file:line name`, with the lines it takes."""
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                where = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
                yield where, (node.end_lineno or node.lineno) - node.lineno + 1


def run(*command: str | Path) -> None:
    """Run a tool; what it prints is the test's message when it fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_room_imports_only_from_the_rooms_below_it() -> None:
    """A room that reaches upward can no longer be understood, tested or sent to a host by itself."""
    run(TOOLS / "lint-imports", "--no-cache")


def test_the_target_half_imports_nothing_but_the_standard_library() -> None:
    """It is sent to hosts where nothing is installed; one foreign import and no change can be taken back there."""
    allowed = sys.stdlib_module_names | {"backout"}
    foreign = [
        f"{path.relative_to(ROOT)} {name}"
        for path in target_half()
        for node in ast.walk(ast.parse(path.read_text()))
        for name in imported(node)
        if name.split(".")[0] not in allowed
    ]
    assert foreign == []


def imported(node: ast.AST) -> list[str]:
    """The modules that an import statement names; relative ones are ours."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [node.module or ""]
    return []


def test_the_target_half_uses_nothing_newer_than_python_39() -> None:
    """Debian 11 has 3.9; where the suite finds no 3.9 to run on, this is what notices a newer call."""
    run(TOOLS / "vermin", "--target=3.9-", "--no-tips", "--violations", *target_half())


def test_decisions_know_neither_clock_nor_disk() -> None:
    """Law 8: plans, verdicts, folds and lenses are asked again by tests, by `split` and by redo, and answer the same.

    What lies beside a lens as data is read as part of the program.
    """
    pure = python_files(SOURCE / "model", SOURCE / "lens", SOURCE / "host" / "plan.py")
    impure = [
        f"{path.relative_to(ROOT)} {name}"
        for path in pure
        for node in ast.walk(ast.parse(path.read_text()))
        for name in reached(node)
        if not is_pure(name)
    ]
    assert impure == []


def reached(node: ast.AST) -> list[str]:
    """The modules and functions beyond a file that a statement reaches for."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
        return [f"os.{node.attr}"]
    if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os.path":
        return [f"os.path.{node.attr}"]
    if isinstance(node, ast.Attribute) and node.attr in ("now", "today", "utcnow", "fromtimestamp"):
        name = ast.unparse(node.value)  # a day is a value; today is a clock, and a zone's
        return [f"{name}.{node.attr}"] if name.rpartition(".")[2] in ("date", "datetime") else []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("open", "print", "input"):
        return [node.func.id]
    return [name for name in imported(node) if not name.startswith(("backout", "os"))]


def is_pure(name: str) -> bool:
    """Whether it only computes."""
    return name in PURE or name.removeprefix("os.") in ("fsencode", "fsdecode", "path") or name in PURE_PATHS


def test_no_file_outgrows_its_reader() -> None:
    """Raising this budget is a commit of its own that says why."""
    lengths = {p: len(p.read_text().splitlines()) for p in python_files(SOURCE, ROOT / "tests")}
    assert {str(p.relative_to(ROOT)): n for p, n in lengths.items() if n > FILE_LINES} == {}


def test_no_function_outgrows_its_reader() -> None:
    """What tells readable code apart is not the median function but the tail."""
    too_long = {name: n for name, n in functions(python_files(SOURCE, ROOT / "tests")) if n > FUNCTION_LINES}
    assert too_long == {}


def test_nine_functions_of_ten_fit_in_one_glance() -> None:
    """The same rule for the body of the distribution, so that 59 lines do not become the custom."""
    lengths = [n for _, n in functions(python_files(SOURCE))]
    within = sum(n <= USUAL_FUNCTION_LINES for n in lengths)
    assert within >= 0.9 * len(lengths), f"{within} of {len(lengths)}"


@pytest.mark.parametrize("path", python_files(SOURCE, ROOT / "tests"), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_has_a_name_that_says_something(path: Path) -> None:
    """A thing that has no room yet gets a room with a name."""
    assert NAMES_THAT_SAY_NOTHING.isdisjoint(path.relative_to(ROOT).with_suffix("").parts)
