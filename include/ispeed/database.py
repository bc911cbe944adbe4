"""The reports database: one table a report, written in one transaction a revision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from ispeed.months import Month
from ispeed.tables import PUBLICATION, REPORT_TABLES, RESTATED_TABLES, RESTATEMENT, Table
from ispeed.views import grant_reading, make_views

Row = dict[str, Any]
_TYPES: Mapping[str, sa.types.TypeEngine[Any]] = {
    "text": sa.Text(),
    "integer": sa.BigInteger(),
    "double": sa.Double(),
    "date": sa.Date(),
    "timestamp": sa.DateTime(),
    "boolean": sa.Boolean(),
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


_DECLARED = {table.name: _declare(table) for table in (*REPORT_TABLES, PUBLICATION, *RESTATED_TABLES, RESTATEMENT)}


class Database:
    """The report tables and publications at a SQLAlchemy URL; tables, columns, views are made where they are missing.

    Where a day is given (`boundaries_day`), it is the month as restated on the map of that day that is meant, whose
    revisions count for themselves.
    """

    def __init__(self, url: str) -> None:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            from pathlib import Path

            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        self._engine = sa.create_engine(parsed)
        METADATA.create_all(self._engine)
        self._add_columns()
        make_views(
            self._engine,
            [(_DECLARED[table.name], _DECLARED["publication"]) for table in REPORT_TABLES]
            + [(_DECLARED[table.name], _DECLARED["restatement"]) for table in RESTATED_TABLES],
        )
        grant_reading(self._engine, list(METADATA.tables))

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

    def current_revision(self, month: Month, boundaries_day: date | None = None) -> int | None:
        """The latest published revision of a month, None where there is none."""
        publication = self.publication(month, boundaries_day=boundaries_day)
        return publication["revision"] if publication else None

    def current_revisions(self) -> dict[Month, int]:
        """The latest published revision of every month that has one, in order."""
        table = _DECLARED["publication"]
        query = sa.select(table.c.month, table.c.revision).where(table.c.state == "published").order_by(table.c.month)
        with self._engine.connect() as connection:
            return {Month(row.month.year, row.month.month): row.revision for row in connection.execute(query)}

    def publication(self, month: Month, revision: int | None = None, boundaries_day: date | None = None) -> Row | None:
        """A month's latest published revision, or the one that is asked for."""
        table, of_month = _register(month, boundaries_day)
        query = sa.select(table).where(*of_month).order_by(table.c.revision.desc())
        query = query.where(table.c.state == "published" if revision is None else table.c.revision == revision)
        with self._engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        return dict(row) if row else None

    def last_revision(self, month: Month, boundaries_day: date | None = None) -> int:
        """The highest revision that a month ever had, 0 where it had none."""
        table, of_month = _register(month, boundaries_day)
        query = sa.select(sa.func.max(table.c.revision)).where(*of_month)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar() or 0

    def restated_days(self, month: Month) -> list[date]:
        """The days on whose map the month is published, beside its own."""
        table = _DECLARED["restatement"]
        query = sa.select(table.c.boundaries_day).where(table.c.month == month.first_day).distinct()
        with self._engine.connect() as connection:
            return sorted(connection.execute(query).scalars())

    def rows(self, name: str, month: Month, revision: int, boundaries_day: date | None = None) -> list[Row]:
        """The rows of one report table of one revision, ordered by key, mobile before fixed."""
        table = _DECLARED[name]
        keys = [column.desc() if column.name == "network" else column for column in table.primary_key]
        query = sa.select(table).where(*_of(table, month, boundaries_day), table.c.revision == revision).order_by(*keys)
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def months(self) -> list[Month]:
        """Every month that ever had a revision, in order."""
        table = _DECLARED["publication"]
        query = sa.select(table.c.month).distinct().order_by(table.c.month)
        with self._engine.connect() as connection:
            return [Month(day.year, day.month) for day in connection.execute(query).scalars()]

    def publications(self, month: Month, boundaries_day: date | None = None) -> list[Row]:
        """Every revision that a month ever had, in order."""
        table, of_month = _register(month, boundaries_day)
        query = sa.select(table).where(*of_month).order_by(table.c.revision)
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def register(self, month: Month | None = None, *, restated: bool = False) -> list[Row]:
        """Every revision of a month, or of all months; where `restated`, those on the maps of other days. In order."""
        table = _DECLARED["restatement" if restated else "publication"]
        query = sa.select(table).order_by(*table.primary_key)
        if month is not None:
            query = query.where(table.c.month == month.first_day)
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def note(self, month: Month, revision: int, about: Mapping[str, Any], boundaries_day: date | None = None) -> None:
        """Note something of a published revision: that it was withdrawn, or that its files were removed.

        The newest that is not withdrawn is the current one from then on.
        """
        register, of_month = _register(month, boundaries_day)
        standing = sa.select(sa.func.max(register.c.revision)).where(*of_month, register.c.withdrawn_at.is_(None))
        with self._engine.begin() as connection:
            connection.execute(sa.update(register).where(*of_month, register.c.revision == revision).values(**about))
            current = connection.execute(standing).scalar()
            state = sa.case(
                (register.c.withdrawn_at.is_not(None), "withdrawn"),
                (register.c.revision == current, "published"),
                else_="superseded",
            )
            connection.execute(sa.update(register).where(*of_month).values(state=state))

    @contextmanager
    def publishing(
        self,
        month: Month,
        revision: int,
        tables: Mapping[str, Sequence[Row]],
        publication: Mapping[str, Any],
        boundaries_day: date | None = None,
    ) -> Iterator[None]:
        """Write a revision in one transaction that is committed when the block ends well.

        The revision before becomes superseded; its rows stay.
        """
        register, of_month = _register(month, boundaries_day)
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(register).where(*of_month, register.c.state == "published").values(state="superseded")
            )
            for name, rows in tables.items():
                if rows:
                    connection.execute(sa.insert(_DECLARED[name]), list(rows))
            connection.execute(
                sa.insert(register),
                [
                    {
                        "month": month.first_day,
                        **({"boundaries_day": boundaries_day} if boundaries_day else {}),
                        "revision": revision,
                        "state": "published",
                        "published_at": datetime.now(UTC).replace(tzinfo=None),
                        **publication,
                    }
                ],
            )
            yield


def _register(month: Month, boundaries_day: date | None) -> tuple[sa.Table, list[sa.ColumnElement[bool]]]:
    """The table that tells a month's revisions, and what picks them out."""
    table = _DECLARED["publication" if boundaries_day is None else "restatement"]
    return table, _of(table, month, boundaries_day)


def _of(table: sa.Table, month: Month, boundaries_day: date | None) -> list[sa.ColumnElement[bool]]:
    of_month = [table.c.month == month.first_day]
    return of_month if boundaries_day is None else [*of_month, table.c.boundaries_day == boundaries_day]
