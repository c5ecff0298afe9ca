"""The engines of `bench_sources`: a server or file of each, filled, and the lines of its own tools.

It is no benchmark. Servers are those of the tests (`tests/parts`), and PostgreSQL's of `postgres.py`.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from shlex import quote
from typing import Any, ClassVar

from measuring import Missing, need
from postgres import GB_OF_SCALE_1, USER, Postgres


class Engine(ABC):
    """One engine. `copy` is the name that a restore makes; `keys` how many there are, where it has keys."""

    name: ClassVar[str]
    copy: str = "copy"
    over: bool = False
    keys: int = 0

    def __init__(self) -> None:
        self.held = ExitStack()

    @abstractmethod
    def start(self, folder: Path, size: float) -> None:
        """Start and fill it with about so many GB."""

    @abstractmethod
    def values(self) -> dict[str, object]:
        """The source's configuration."""

    @abstractmethod
    def dump_line(self) -> str:
        """The shell's words that dump to standard output."""

    @abstractmethod
    def restore_line(self) -> str:
        """The shell's words that restore from standard input, making what they need."""

    @abstractmethod
    def before_restore(self) -> None:
        """Remove what a restore made."""

    def env(self) -> dict[str, str]:
        """The shell's environment, with what the tools need to log in."""
        return {}

    def close(self) -> None:
        """Stop it."""
        self.held.close()

    def part(self, made: Callable[[], Any]) -> Any:
        """A server of the tests, ended with the engine. What skips a test is what a benchmark lacks."""
        import pytest

        try:
            return self.held.enter_context(contextmanager(made)())
        except (pytest.skip.Exception, pytest.fail.Exception) as lacking:
            raise Missing(str(lacking)) from lacking


class PostgreSQL(Engine):
    name = "postgresql"

    def start(self, folder: Path, size: float) -> None:
        self.server = self.held.enter_context(Postgres())
        self.server.fill("bench", size / GB_OF_SCALE_1)

    def values(self) -> dict[str, object]:
        server = self.server
        login = {"host": "127.0.0.1", "port": server.port, "user": USER}
        return {**login, "databases": ["bench"], "tools": str(server.binaries)}

    def _tool(self, tool: str) -> str:
        return " ".join(map(quote, [str(self.server.binaries / tool), *self.server.address]))

    def dump_line(self) -> str:
        return f"{self._tool('pg_dump')} -Fc -Z0 bench"

    def restore_line(self) -> str:
        return f"( {self._tool('createdb')} -T template0 copy && {self._tool('pg_restore')} -e -d copy )"

    def before_restore(self) -> None:
        subprocess.run(["bash", "-c", f"{self._tool('dropdb')} --if-exists copy"], check=True)


class MariaDB(Engine):
    name = "mariadb"

    def start(self, folder: Path, size: float) -> None:
        from tests.parts.mariadb import running

        self.server = self.part(
            lambda: running("--innodb-buffer-pool-size=512M", "--innodb-log-file-size=512M")
        )
        rows = round(size * 1e9 / 232)
        self.server.sql("CREATE DATABASE bench; CREATE DATABASE empty")
        self.server.sql(
            "CREATE TABLE orders (id INT PRIMARY KEY, day DATE, total DECIMAL(9,2), words TEXT, data BLOB)",
            "bench",
        )
        self.server.sql(
            "INSERT INTO orders SELECT seq, '2026-01-01' - INTERVAL seq SECOND, seq * 1.25,"  # noqa: S608
            f" REPEAT(MD5(seq), 4), UNHEX(CONCAT(MD5(seq + 1), MD5(seq + 2))) FROM seq_1_to_{rows}",
            "bench",
        )
        self.server.sql("CREATE INDEX by_time ON orders (day)", "bench")

    def values(self) -> dict[str, object]:
        return dict(self.server.values(databases=["bench"]))

    def _tool(self, tool: str) -> str:
        return f"{tool} --no-defaults --socket={self.server.socket} --user=root"

    def dump_line(self) -> str:
        options = "--single-transaction --quick --routines --events --triggers --hex-blob"
        return f"{self._tool('mariadb-dump')} {options} --default-character-set=utf8mb4 bench"

    def restore_line(self) -> str:
        return f"( {self._tool('mariadb')} -e 'CREATE DATABASE copy' && {self._tool('mariadb')} copy )"

    def before_restore(self) -> None:
        self.server.sql("DROP DATABASE IF EXISTS copy")


class SQLite(Engine):
    """The shell's restore syncs and checks the file, as ours does; a bare `cat` would take less than half."""

    name = "sqlite"

    def start(self, folder: Path, size: float) -> None:
        need("sqlite3")
        self.file = folder / "bench.sqlite"
        with closing(sqlite3.connect(self.file)) as database, database:
            database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, words TEXT, data BLOB)")
            database.executemany(
                "INSERT INTO orders VALUES (?, ?, ?)",
                ((n, f"row {n} " * 40, os.urandom(64)) for n in range(round(size * 1e9 / 460))),
            )

    def values(self) -> dict[str, object]:
        return {"path": str(self.file)}

    def dump_line(self) -> str:
        copy = quote(str(self.file) + ".backup")
        return (
            f"{{ sqlite3 {quote(str(self.file))} '.backup {self.file}.backup' && cat {copy} && rm {copy}; }}"
        )

    def restore_line(self) -> str:
        copy = quote(str(self.file.with_name("copy.sqlite")))
        return f"( cat > {copy} && sync {copy} && sqlite3 {copy} 'PRAGMA quick_check' )"

    def before_restore(self) -> None:
        self.file.with_name("copy.sqlite").unlink(missing_ok=True)


class Files(Engine):
    name = "files"

    def start(self, folder: Path, size: float) -> None:
        self.folder = folder / "tree"
        chance = random.Random(42)
        for number in range(round(size * 1e9 / 250_000)):
            place = self.folder / f"{number % 40}" / f"{number % 7}"
            place.mkdir(parents=True, exist_ok=True)
            words = f"line {number} of a file that compresses\n".encode() * 3000
            (place / f"{number}.txt").write_bytes(words + chance.randbytes(140_000))

    def values(self) -> dict[str, object]:
        return {"path": str(self.folder)}

    def dump_line(self) -> str:
        return f"tar --format=posix --xattrs --acls -C {quote(str(self.folder))} -c ."

    def restore_line(self) -> str:
        target = quote(str(self.folder.with_name("copy")))
        return f"( mkdir {target} && tar --xattrs --acls -C {target} -x )"

    def before_restore(self) -> None:
        shutil.rmtree(self.folder.with_name("copy"), ignore_errors=True)


class Redis(Engine):
    """The shell's restore starts a server on the file, which is no restore into one that runs."""

    name = "redis"
    copy = "redis"

    def start(self, folder: Path, size: float) -> None:
        from tests.parts.redis import running

        self.keys = 100_000
        self.server = self.part(lambda: running("redis", password="of-the-benchmark"))  # noqa: S106
        self.bytes = max(16, round(size * 1e9 / self.keys) - 60)
        with self.server.client() as client:
            pipe = client.pipeline(transaction=False)
            for number in range(self.keys):
                pipe.set(f"user:{number}", os.urandom(self.bytes // 2).hex()[: self.bytes])
                if number % 5000 == 0:
                    pipe.execute()
            pipe.execute()
        self.target = self.part(lambda: running("redis", password="of-the-benchmark"))  # noqa: S106
        self.over = True

    def values(self) -> dict[str, object]:
        return dict(self.server.values())

    def env(self) -> dict[str, str]:
        return {"REDISCLI_AUTH": self.server.password}

    def dump_line(self) -> str:
        return f"redis-cli -h 127.0.0.1 -p {self.server.port} --rdb -"

    def restore_line(self) -> str:
        folder = self.target.folder
        stop = f"env -u REDISCLI_AUTH redis-cli -s {folder}/other shutdown nosave"
        serve = f"redis-server --port 0 --unixsocket {folder}/other --dir {folder} --dbfilename copy.rdb"
        asked = f"env -u REDISCLI_AUTH redis-cli -s {folder}/other"
        wait = f"until {asked} ping 2>/dev/null | grep -q PONG; do sleep 0.05; done"
        return f"cat > {folder}/copy.rdb; {serve} --save '' --daemonize yes && {wait}; {stop}"

    def before_restore(self) -> None:
        (self.target.folder / "copy.rdb").unlink(missing_ok=True)


class Firebird(Engine):
    name = "firebird"

    def start(self, folder: Path, size: float) -> None:
        from tests.parts.firebird import firebird

        self.server = self.part(firebird.__wrapped__)
        self.file = self.server.make("bench", {})
        self.copy = self.server.path("copy")
        rows = round(size * 1e9 / 317)
        self.server.isql(
            "CREATE TABLE orders (id INTEGER, words VARCHAR(300), more VARCHAR(60));\nCOMMIT;\n"  # noqa: S608
            "SET TERM ^ ;\nEXECUTE BLOCK AS DECLARE n INTEGER = 0; BEGIN WHILE (n < "
            f"{rows}) DO BEGIN INSERT INTO orders VALUES (:n, RPAD('row ' || :n, 250, 'words of it '), "
            "UUID_TO_CHAR(GEN_UUID())); n = n + 1; END END^\nSET TERM ; ^\nCOMMIT;\n",
            "bench",
        )

    def values(self) -> dict[str, object]:
        from tests.parts.firebird import PASSWORD

        login = {"host": "127.0.0.1", "port": self.server.port, "password": PASSWORD}
        return {**login, "databases": [self.file]}

    def env(self) -> dict[str, str]:
        from tests.parts.firebird import PASSWORD, USER

        return {"ISC_USER": USER, "ISC_PASSWORD": PASSWORD}

    def dump_line(self) -> str:
        return f"gbak -b -g {quote(self.server.target('bench'))} stdout"

    def restore_line(self) -> str:
        return f"gbak -c stdin {quote(self.server.target('copy'))}"

    def before_restore(self) -> None:
        Path(self.copy).unlink(missing_ok=True)


# Without a file of its own, Python's DuckDB paints a progress bar on standard output.
_EXPORT = """import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
connection.execute("SET enable_progress_bar = false")
connection.execute(f"EXPORT DATABASE '{sys.argv[2]}' (FORMAT parquet)")"""
_IMPORT = """import duckdb, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("SET enable_progress_bar = false")
connection.execute(f"IMPORT DATABASE '{sys.argv[2]}'")"""


class DuckDB(Engine):
    """DuckDB's own tool is the library: it has no other here."""

    name = "duckdb"

    def start(self, folder: Path, size: float) -> None:
        import duckdb

        self.file = folder / "bench.duckdb"
        with duckdb.connect(str(self.file)) as database:
            database.execute(
                "CREATE TABLE orders AS SELECT i AS id, md5(i::VARCHAR) || md5((i + 1)::VARCHAR) AS words,"  # noqa: S608
                f" i * 1.25 AS total FROM range({round(size * 1e9 / 45)}) t(i)"
            )

    def values(self) -> dict[str, object]:
        return {"path": str(self.file)}

    def dump_line(self) -> str:
        made = quote(f"{self.file}.export")
        export = f"{quote(sys.executable)} -c {quote(_EXPORT)} {quote(str(self.file))} {made}"
        return f"{{ rm -rf {made} && {export} && tar -C {made} -c . && rm -rf {made}; }}"

    def restore_line(self) -> str:
        made, copy = quote(f"{self.file}.import"), quote(str(self.file.with_name("copy.duckdb")))
        load = f"{quote(sys.executable)} -c {quote(_IMPORT)} {copy} {made}"
        # The file tells where it was exported to; the tar is at another place.
        mend = f"sed -i \"s|'[^']*/|'{self.file}.import/|\" {made}/load.sql"
        return f"( rm -rf {made} && mkdir {made} && tar -C {made} -x && {mend} && {load} && rm -rf {made} )"

    def before_restore(self) -> None:
        self.file.with_name("copy.duckdb").unlink(missing_ok=True)


ENGINES: dict[str, type[Engine]] = {
    its.name: its for its in (PostgreSQL, MariaDB, SQLite, Files, Redis, Firebird, DuckDB)
}
