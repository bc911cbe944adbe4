"""deploy/databases.sql on a real PostgreSQL: run again with other passwords, those hold, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from ispeed.database import Database
from ispeed.months import Month
from ispeed.views import READER
from postgresql import USERS, postgresql


def test_running_it_again_changes_the_passwords_and_nothing_else(tmp_path: Path) -> None:
    before = {name: f"{user}-before" for name, user in USERS.items()}
    after = {name: f"{user}-after" for name, user in USERS.items()} | {"POSTGRES_PASSWORD": "of the superuser"}
    with postgresql(tmp_path / "postgres", before) as server:
        with Database(server.url("ispeed", "reports")).publishing(
            Month(2024, 10), 1, {}, {"fingerprint": "f", "manifest_sha256": "m", "why": "-"}
        ):
            pass
        changed = replace(server, passwords=after)
        changed.make_databases()
        with pytest.raises(sa.exc.OperationalError, match="password authentication failed"):
            sa.create_engine(server.url("ispeed_pages", "reports")).connect()
        with sa.create_engine(changed.url("ispeed_pages", "reports")).connect() as connection:
            assert connection.scalar(sa.text("select count(*) from latest_report_province_month")) == 0
            assert connection.scalar(sa.text("select count(*) from publication")) == 1
        assert "after" not in (server.folder / "log").read_text()


def test_an_analysts_user_is_made_by_one_statement_and_only_reads(tmp_path: Path) -> None:
    with postgresql(tmp_path / "postgres", dict(USERS)) as server:
        Database(server.url("ispeed", "reports"))
        server.superuser("--command", f"create role bi login password 'of bi' in role {READER}")
        url = server.url("ispeed", "reports").replace("ispeed:ispeed@", "bi:of bi@")
        with sa.create_engine(url).connect() as connection:
            assert connection.scalar(sa.text("select count(*) from latest_report_commune_month")) == 0
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                connection.execute(sa.text("delete from publication"))
