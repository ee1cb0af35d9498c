"""Databases that clients write to while a change is rehearsed, applied and taken back: no row is lost, no page torn."""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.busy import Again, again
from kit.cli import Backout

NO_NETWORK = ("--network", "none")
UNRELATED = "echo workers = 4 > app.conf; mkdir new; echo 1 > new/f; sleep 0.1"
OURS = 'sqlite3 app.db "insert into t values (-1)"'
CLIENT = """
def opened():
    connection = sqlite3.connect(sys.argv[1], timeout=30)
    connection.execute(f'pragma journal_mode={sys.argv[2]}')
    connection.execute('create table if not exists t (n integer)')
    return connection
connection = opened()
def turn(count):
    global connection
    if sys.argv[3] == 'comes and goes':
        connection.close()
        connection = opened()
    connection.execute('insert into t values (?)', (count,))
    connection.commit()
    if sys.argv[3] == 'comes and goes':
        connection.close()
def last():
    return None
"""
"""Inserts one row after the other, through one connection or one for each."""
MODES = ("wal", "delete")


@pytest.fixture
def database(backout: Backout) -> Path:
    """Name a SQLite database that is yet to be made."""
    return backout.folder / "app.db"


def rows(database: Path) -> list[int]:
    """Give all rows in the order of their insertion; the database must be whole."""
    connection = sqlite3.connect(database)
    try:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        return [n for (n,) in connection.execute("select n from t order by rowid")]
    finally:
        connection.close()


def there_and_back(backout: Backout, command: str) -> None:
    """Have a command rehearsed, applied and taken back; each must go well."""
    for words in (("rehearse", *NO_NETWORK, "--", command), ("run", "--yes", *NO_NETWORK, "--", command), ("back",)):
        done = backout(*words)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("mode", MODES)
def test_a_sqlite_database_beside_a_change_goes_on(backout: Backout, database: Path, mode: str) -> None:
    """The change's folder holds the database; its client, its file and its rows notice nothing."""
    with again(CLIENT, database, mode, "stays") as client:
        inode = database.stat().st_ino
        there_and_back(backout, UNRELATED)
        count, _ = client.end()
    assert database.stat().st_ino == inode
    assert rows(database) == [*range(1, count + 1)]


@pytest.mark.parametrize("mode", MODES)
def test_a_command_that_writes_a_sqlite_database_in_use_is_refused(backout: Backout, database: Path, mode: str) -> None:
    """Traps C6: a database under an open connection is not exchanged; of its client's rows none is missing."""
    with again(CLIENT, database, mode, "stays") as client:
        inode = database.stat().st_ino
        document, code = backout.json("run", "--yes", *NO_NETWORK, "--", f"{OURS}; sleep 0.1")
        assert code == 3, document
        assert f"process {client.pid}" in " ".join(reason["what"] for reason in document["verdict"]["reasons"])
        count, _ = client.end()
    assert database.stat().st_ino == inode
    assert rows(database) == [*range(1, count + 1)]


@pytest.mark.parametrize("mode", MODES)
def test_a_sqlite_database_that_moved_on_is_a_conflict(backout: Backout, database: Path, mode: str) -> None:
    """Law 4 where clients come and go, so that none may hold it at the moment of the look."""
    with again(CLIENT, database, mode, "comes and goes") as client:
        document, code = backout.json("run", "--yes", *NO_NETWORK, "--", f"sleep 0.1; {OURS}; sleep 0.1")
        assert code in {3, 6}, document
        count, _ = client.end()
    assert rows(database) == [*range(1, count + 1)]


@pytest.mark.parametrize("mode", MODES)
def test_a_sqlite_database_that_nobody_uses_is_changed_and_taken_back(
    backout: Backout, database: Path, mode: str
) -> None:
    """Its client was killed, so that what it wrote last lies beside the database: that is carried along both ways."""
    with again(CLIENT, database, mode, "stays") as client:
        client.kill()
    before = rows_of_a_copy(backout.folder)
    document, code = backout.json("run", "--yes", *NO_NETWORK, "--", OURS)
    assert code == 0, document
    assert rows_of_a_copy(backout.folder) == [*before, -1]
    undone, code = backout.json("back")
    assert code == 0, undone
    assert rows(database) == before


def rows_of_a_copy(folder: Path) -> list[int]:
    """Give the rows, without the database being touched by who looks."""
    with tempfile.TemporaryDirectory() as copy:
        for path in folder.glob("app.db*"):
            shutil.copy(path, copy)
        return rows(Path(copy) / "app.db")


def test_what_a_killed_client_left_meanwhile_is_not_mixed_with_ours(backout: Backout, database: Path) -> None:
    """Law 4: its rows lie in the write-ahead log alone; over our database, SQLite would replay them as its own."""
    with sqlite3.connect(database) as connection:
        connection.execute("pragma journal_mode=wal")
        connection.execute("create table t (n integer)")
    connection.close()
    refused, code = backout.json("run", *NO_NETWORK, "--", OURS)
    assert code == 3
    assert [effect["subject"] for effect in refused["effects"]] == [str(database)]
    with again(CLIENT, database, "wal", "stays") as client:
        client.kill()
    before = rows_of_a_copy(backout.folder)
    document, code = backout.json("run", "--change", refused["change"], "--yes")
    assert code == 6
    assert f"{database}-wal" in document["what"]
    assert rows(database) == before != []


def test_rows_since_a_change_are_a_conflict_of_back(backout: Backout, database: Path) -> None:
    """Law 4 for undo: what clients inserted since is not thrown away with ours."""
    with sqlite3.connect(database) as connection:
        connection.execute("create table t (n integer)")
    connection.close()
    assert backout("run", "--yes", *NO_NETWORK, "--", OURS).returncode == 0
    with again(CLIENT, database, "wal", "stays") as client:
        assert backout("back").returncode == 6
        count, _ = client.end()
    assert backout("back").returncode == 6
    assert rows(database) == [-1, *range(1, count + 1)]


class Postgres:
    """A server of its own, on a socket in its folder, with one table."""

    def __init__(self, root: Path) -> None:
        self.data, self.socket = root / "work/pg", root / "run"
        self.binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
        self.user = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
        for folder in (self.data, self.socket):
            folder.mkdir()
            os.chown(folder, pwd.getpwnam("postgres").pw_uid, pwd.getpwnam("postgres").pw_gid)
        self("initdb", "--pgdata", self.data, "--no-sync", "--auth=trust", "--data-checksums", "--encoding=UTF8")
        settings = f"listen_addresses = ''\nunix_socket_directories = '{self.socket}'\nfsync = off\n"
        (self.data / "postgresql.conf").write_text(settings)

    def __call__(self, program: str, *words: str | Path) -> str:
        """Run one of PostgreSQL's programs as its user; it must go well."""
        command = [*self.user, self.binaries / program, *words]
        done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self("pg_ctl", "--pgdata", self.data, "--log", self.socket / "log", "--wait", "start")

    def stop(self) -> None:
        """Stop it; every page that it wrote must have its checksum."""
        self("pg_ctl", "--pgdata", self.data, "--mode=fast", "--wait", "stop")
        self("pg_checksums", "--check", "--pgdata", self.data)

    def ask(self, query: str) -> list[str]:
        """Give the rows that a query has."""
        return self("psql", *self.options(query)).split()

    def options(self, query: str) -> list[str]:
        """Give psql's words for a query."""
        return ["-X", "-q", "-A", "-t", "-h", str(self.socket), "-U", "postgres", "-c", query]

    def inserting(self) -> Any:
        """Have a client insert one row after the other."""
        return again(PSQL, self.binaries / "psql", self.socket)

    def file(self) -> Path:
        """Name the file of the table."""
        (path,) = self.ask("select pg_relation_filepath('t')")
        return self.data / path


PSQL = """
psql = [sys.argv[1], '-X', '-q', '-h', sys.argv[2], '-U', 'postgres', '-v', 'ON_ERROR_STOP=1']
client = subprocess.Popen([*psql, '-A', '-t'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
def turn(count):
    client.stdin.write(f'insert into t values ({count}) returning n;\\n')
    client.stdin.flush()
    assert client.stdout.readline() == f'{count}\\n'
def last():
    client.stdin.close()
    return client.wait()
"""


@pytest.fixture
def postgres() -> Iterator[tuple[Backout, Postgres]]:
    """Give the command line in a folder that holds the data of a server that runs."""
    root = Path(tempfile.mkdtemp(prefix="backout-test-", dir="/var/tmp"))
    try:
        root.chmod(0o755)
        backout = Backout(root)
        (backout.folder / "app.conf").write_text("workers = 2\n")
        server = Postgres(root)
        server.start()
        try:
            server.ask("create table t (n integer)")
            yield backout, server
        finally:
            server.stop()
    finally:
        shutil.rmtree(root)


def inserted(client: Again, server: Postgres) -> None:
    """End a client; every row that it was told of must be there, and no other."""
    count, code = client.end()
    assert code == 0
    assert server.ask("select n from t order by n") == [str(n) for n in range(1, count + 1)]
    assert f"{count}\n" in server("pg_dump", "-h", server.socket, "-U", "postgres", "-a", "-t", "t", "postgres")


def test_a_postgresql_beside_a_change_goes_on(postgres: tuple[Backout, Postgres]) -> None:
    """The change's folder holds the server's data; its client notices nothing, and its files are the same inodes."""
    backout, server = postgres
    with server.inserting() as client:
        inode = server.file().stat().st_ino
        there_and_back(backout, UNRELATED)
        inserted(client, server)
    assert server.file().stat().st_ino == inode


def test_a_server_of_the_host_is_not_reached_and_that_is_said(postgres: tuple[Backout, Postgres]) -> None:
    """Law 1: what a rehearsal asked of the live database would be done, and nothing could take it back."""
    backout, server = postgres
    words = [str(server.binaries / "psql"), *server.options("insert into t values (-1)")]
    document, code = backout.json("run", "--yes", *NO_NETWORK, "--", *words)
    assert code == 1
    assert document["exit_code"] == 2
    assert "runs on the host" in " ".join(document["limits"])
    assert server.ask("select n from t") == []


SINGLE = "echo 'insert into t values (-1)' | {user} {binaries}/postgres --single -D {data} postgres"


@pytest.mark.parametrize("clients", [True, False])
def test_a_second_postgresql_on_the_same_data_is_refused(postgres: tuple[Backout, Postgres], clients: bool) -> None:
    """Traps C6: in a rehearsal nothing stops it from starting; what it wrote is not put under the first one."""
    backout, server = postgres
    command = SINGLE.format(user=" ".join(server.user), binaries=server.binaries, data=server.data)
    if not clients:
        server.stop()
        server.start()
        refused(backout, command)
        assert server.ask("select n from t") == []
        return
    with server.inserting() as client:
        inode = server.file().stat().st_ino
        refused(backout, command)
        inserted(client, server)
    assert server.file().stat().st_ino == inode


def refused(backout: Backout, command: str) -> None:
    """Run a command, which must be refused for what a live process holds open."""
    document, code = backout.json("run", "--yes", *NO_NETWORK, "--", command)
    assert code == 3, document
    assert "(postgres)" in " ".join(reason["what"] for reason in document["verdict"]["reasons"])
