"""Backup and restore on a real PostgreSQL: everything destroyed, put back, verified, and gone on with."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from ispeed.backup import back_up, restore
from ispeed.database import Database
from ispeed.errors import UserError
from ispeed.lake import month_lock, write_file
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.sample import make_exports
from ispeed.settings import INCLUDE, Settings
from ispeed.verification import verify
from pipeline import run_steps, settings_in
from postgresql import USERS, Server, postgresql

SEPTEMBER, OCTOBER = Month(2024, 9), Month(2024, 10)
ROWS = 2_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    passwords = {name: f"{user}-password" for name, user in USERS.items()}
    with postgresql(tmp_path_factory.mktemp("backup") / "postgres", passwords) as server:
        # pg_dump of the same version as the server.
        path = os.environ["PATH"]
        os.environ["PATH"] = f"{server.programs}{os.pathsep}{path}"
        yield server
        os.environ["PATH"] = path


@pytest.fixture(scope="module")
def settings(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """September published, on PostgreSQL; Airflow's metadata have a table."""
    folder = tmp_path_factory.mktemp("data")
    settings = settings_in(folder, registry=folder / "registry", database_url=server.url("ispeed", "reports"))
    shutil.copytree(INCLUDE / "registry", settings.registry)
    settings.returns.mkdir()
    (settings.returns / "2024-09.xlsx").write_bytes(b"what a body returned")
    make_exports(settings, [SEPTEMBER, OCTOBER], n_rows=ROWS)
    sync_registry(settings)
    run_steps(settings, SEPTEMBER)
    metadata(server, "create type kind as enum ('a')", "create table dag (dag_id text, kind kind)")
    metadata(server, "insert into dag values ('publish_reports', 'a')")
    return settings


@pytest.fixture(scope="module")
def backup(settings: Settings, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backups") / "2024-11-22"
    done = back_up(settings, server.url("airflow", "airflow"), folder)
    assert done.databases == ("reports", "airflow")
    return folder


def metadata(server: Server, *statements: str) -> list[tuple[object, ...]]:
    engine = sa.create_engine(server.url("airflow", "airflow"))
    with engine.begin() as connection:
        results = [connection.execute(sa.text(text)) for text in statements]
        rows = [tuple(row) for row in results[-1]] if results[-1].returns_rows else []
    engine.dispose()
    return rows


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def bytes_below(*folders: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "locks" not in path.parts
    }


def test_what_was_destroyed_comes_back_is_verified_and_the_next_month_follows(
    settings: Settings, server: Server, backup: Path
) -> None:
    folders = (settings.lake, settings.share, settings.registry, settings.returns)
    before = bytes_below(*folders)
    for folder in folders:
        shutil.rmtree(folder)
    for name in ("reports", "airflow"):
        server.superuser("--command", f"drop database {name} with (force)")
    server.make_databases()

    restore(settings, server.url("airflow", "airflow"), backup)

    assert bytes_below(*folders) == before
    assert metadata(server, "select * from dag") == [("publish_reports", "a")]
    assert verify(settings, SEPTEMBER, 1).differences == []
    assert (run_steps(settings, SEPTEMBER)["revision"], run_steps(settings, OCTOBER)["revision"]) == (1, 1)
    changes = Database(settings.database_url).rows("report_province_month", OCTOBER, 1)
    assert changes[0]["download_mbps_median_change"] is not None, "compared with the restored September"
    reader = sa.create_engine(server.url("ispeed_pages", "reports"))
    with reader.connect() as connection:
        assert connection.scalar(sa.text("select count(*) from latest_report_province_month")) == 4
    reader.dispose()


def test_a_month_that_was_published_since_is_unknown_after_a_restore_and_is_published_again(
    settings: Settings, server: Server, backup: Path
) -> None:
    url = server.url("airflow", "airflow")
    if OCTOBER not in Database(settings.database_url).months():
        run_steps(settings, OCTOBER)
    # Connections of the steps above, which this process keeps until then.
    gc.collect()
    with pytest.raises(UserError, match="is not empty") as refused:
        restore(settings, url, backup)
    assert "the database reports has" in str(refused.value)
    assert Database(settings.database_url).months() == [SEPTEMBER, OCTOBER], "nothing was touched"
    gc.collect()

    restore(settings, url, backup, is_replacing=True)

    assert Database(settings.database_url).months() == [SEPTEMBER]
    assert not settings.share_of(OCTOBER).exists()
    assert "2024-10" not in (settings.share / "index.html").read_text()
    assert run_steps(settings, OCTOBER)["revision"] == 1


@pytest.mark.parametrize("damage", ["changed", "gone", "added"])
def test_a_backup_that_is_not_as_it_was_made_is_refused_before_anything_is_touched(
    damage: str, settings: Settings, server: Server, backup: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(backup, copy)
    file = copy / "share" / "2024-09" / "latest.json"
    if damage == "changed":
        file.write_bytes(file.read_bytes()[:-1] + b" ")
    elif damage == "gone":
        file.unlink()
    else:
        file = copy / "share" / "2024-09" / "more.json"
        file.write_text("{}")
    before = bytes_below(settings.lake, settings.share)
    with pytest.raises(UserError, match=f"{file.name} is not as it was backed up"):
        restore(settings, server.url("airflow", "airflow"), copy, is_replacing=True)
    assert bytes_below(settings.lake, settings.share) == before


def test_nothing_is_restored_while_somebody_works_on_a_database(
    settings: Settings, server: Server, backup: Path
) -> None:
    engine = sa.create_engine(server.url("airflow", "airflow"))
    with engine.connect() as connection, pytest.raises(UserError, match="airflow has 1 other connections"):
        connection.execute(sa.text("select 1"))
        restore(settings, server.url("airflow", "airflow"), backup, is_replacing=True)
    engine.dispose()


def test_a_backup_is_new_and_whole_or_not_there(settings: Settings, server: Server, backup: Path) -> None:
    url = server.url("airflow", "airflow")
    with pytest.raises(UserError, match="something is there already"):
        back_up(settings, url, backup)
    with pytest.raises(UserError, match="password authentication failed") as refused:
        back_up(settings, url.replace("airflow-password", "another-secret"), backup.with_name("later"))
    assert "another-secret" not in str(refused.value)
    assert sorted(path.name for path in backup.parent.iterdir()) == [backup.name]


def test_without_postgresql_the_two_sqlite_files_are_kept_and_put_back(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "var", registry=tmp_path / "var" / "registry")
    Database(settings.database_url)
    metadata_url = f"sqlite:///{tmp_path}/airflow.db"
    engine = sa.create_engine(metadata_url)
    with engine.begin() as connection:
        connection.execute(sa.text("create table dag (dag_id text)"))
    engine.dispose()
    with month_lock(settings, OCTOBER):
        write_file(settings.lake / "note.json", b"{}")
    back_up(settings, metadata_url, tmp_path / "backup")
    assert mode(tmp_path / "backup") == 0o700
    assert {mode(path) for path in (tmp_path / "backup" / "databases").iterdir()} == {0o600}
    (tmp_path / "airflow.db").unlink()
    shutil.rmtree(tmp_path / "var")
    restore(settings, metadata_url, tmp_path / "backup")
    assert mode(settings.lake) == 0o700
    assert sa.inspect(sa.create_engine(metadata_url)).get_table_names() == ["dag"]
    assert "publication" in sa.inspect(sa.create_engine(settings.database_url)).get_table_names()
