"""The reports database: one table a report, written in one transaction a revision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from ispeed.months import Month
from ispeed.tables import PUBLICATION, REPORT_TABLES, Table

Row = dict[str, Any]
_TYPES: Mapping[str, sa.types.TypeEngine[Any]] = {
    "text": sa.Text(),
    "integer": sa.BigInteger(),
    "double": sa.Double(),
    "date": sa.Date(),
    "timestamp": sa.DateTime(),
}
METADATA = sa.MetaData()


def _declare(table: Table) -> sa.Table:
    key = ("month", "revision", *(name for name in table.key if name not in ("month", "revision")))
    return sa.Table(
        table.name,
        METADATA,
        *(
            sa.Column(
                column.name,
                _TYPES[column.type],
                primary_key=column.name in key,
                autoincrement=False,
                comment=column.comment,
            )
            for column in table.columns
        ),
        comment=table.comment,
    )


_DECLARED = {table.name: _declare(table) for table in (*REPORT_TABLES, PUBLICATION)}


class Database:
    """The report tables and publications at a SQLAlchemy URL; tables and columns are made where they are missing."""

    def __init__(self, url: str) -> None:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            from pathlib import Path

            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        self._engine = sa.create_engine(parsed)
        METADATA.create_all(self._engine)
        self._add_columns()

    def _add_columns(self) -> None:
        """Add the columns that a table of an earlier version does not have; its rows are blank there."""
        inspector = sa.inspect(self._engine)
        for table in METADATA.sorted_tables:
            there = {column["name"] for column in inspector.get_columns(table.name)}
            for column in table.columns:
                if column.name not in there:
                    kind = column.type.compile(self._engine.dialect)
                    with self._engine.begin() as connection:
                        connection.execute(sa.text(f"alter table {table.name} add column {column.name} {kind}"))
                        if self._engine.dialect.supports_comments:
                            connection.execute(sa.schema.SetColumnComment(column))

    def current_revision(self, month: Month) -> int | None:
        """The latest published revision of a month, None where there is none."""
        publication = self.publication(month)
        return publication["revision"] if publication else None

    def publication(self, month: Month, revision: int | None = None) -> Row | None:
        """A month's latest published revision, or the one that is asked for."""
        table = _DECLARED["publication"]
        query = sa.select(table).where(table.c.month == month.first_day).order_by(table.c.revision.desc())
        query = query.where(table.c.state == "published" if revision is None else table.c.revision == revision)
        with self._engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        return dict(row) if row else None

    def last_revision(self, month: Month) -> int:
        """The highest revision that a month ever had, 0 where it had none."""
        table = _DECLARED["publication"]
        query = sa.select(sa.func.max(table.c.revision)).where(table.c.month == month.first_day)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar() or 0

    def rows(self, name: str, month: Month, revision: int) -> list[Row]:
        """The rows of one report table of one revision, ordered by key, mobile before fixed."""
        table = _DECLARED[name]
        keys = [column.desc() if column.name == "network" else column for column in table.primary_key]
        query = sa.select(table).where(table.c.month == month.first_day, table.c.revision == revision).order_by(*keys)
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    @contextmanager
    def publishing(
        self, month: Month, revision: int, tables: Mapping[str, Sequence[Row]], publication: Mapping[str, Any]
    ) -> Iterator[None]:
        """Write a revision in one transaction that is committed when the block ends well.

        The revision before becomes superseded; its rows stay.
        """
        declared = _DECLARED["publication"]
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(declared)
                .where(declared.c.month == month.first_day, declared.c.state == "published")
                .values(state="superseded")
            )
            for name, rows in tables.items():
                if rows:
                    connection.execute(sa.insert(_DECLARED[name]), list(rows))
            connection.execute(
                sa.insert(declared),
                [
                    {
                        "month": month.first_day,
                        "revision": revision,
                        "state": "published",
                        "published_at": datetime.now(UTC).replace(tzinfo=None),
                        **publication,
                    }
                ],
            )
            yield
