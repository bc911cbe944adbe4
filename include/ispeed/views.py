"""What analysts read in the reports database: a view of each report with what is current, and a role that only reads.

`latest_report_commune_month` has the rows of `report_commune_month` of the latest published revision of each month;
of the restated tables those of each month and map. A superseded or withdrawn revision does not show.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from functools import cache

import sqlalchemy as sa

log = logging.getLogger(__name__)

READER = "ispeed_reader"
# Whoever makes views or grants holds it until the end of the transaction: tasks start side by side.
_LOCK = 5691_2024
_UNREADABLE = sa.text(
    "select relname from pg_class where relnamespace = current_schema()::regnamespace and relname = any(:names) "
    "and not has_table_privilege(:role, oid, 'select') order by relname"
)


def latest_name(table: str) -> str:
    """The name of the view that has the current rows of a report table."""
    return f"latest_{table}"


def make_views(engine: sa.Engine, reports: Sequence[tuple[sa.Table, sa.Table]]) -> None:
    """Make the view of each report table where it is missing or another than it should be.

    `reports` gives each report table with the table that tells of its revisions. On PostgreSQL every view and column
    has a comment. A view that cannot be replaced, since somebody built on it, stays and is told of in the log.
    """
    found = _definitions(engine)
    for table, register in reports:
        name = latest_name(table.name)
        query = _text(engine, _latest(table, register))
        if found.get(name, "").endswith(query if engine.dialect.name == "sqlite" else _mark(query)):
            continue
        try:
            with engine.begin() as connection:
                _lock(connection)
                connection.execute(sa.text(f"drop view if exists {name}"))
                connection.execute(sa.text(f"create view {name} as {query}"))
                for statement in _comments(engine, table, query):
                    connection.execute(statement)
        except sa.exc.DBAPIError as error:
            log.warning("view %s stays as it was: %s", name, str(error.orig).strip())


def grant_reading(engine: sa.Engine, tables: Sequence[str]) -> None:
    """On PostgreSQL, let the role `ispeed_reader` read these tables and their views, and nothing else.

    The role is made where the database user may; it cannot log in itself but is granted to those who may read. Where
    it is missing and cannot be made, the log says what a DBA has to run.
    """
    if engine.dialect.name != "postgresql":
        return
    try:
        with engine.begin() as connection:
            if not _has_reader(connection):
                _lock(connection)
                _make_reader(connection)
            schema = connection.scalar(sa.text("select current_schema()"))
            quoted = engine.dialect.identifier_preparer.quote(str(schema))
            if not connection.scalar(
                sa.text("select has_schema_privilege(:role, :schema, 'usage')"), {"role": READER, "schema": schema}
            ):
                connection.execute(sa.text(f"grant usage on schema {quoted} to {READER}"))
            # One by one: whatever else lies in the schema is not for readers, now or later.
            names = [*tables, *map(latest_name, tables)]
            for name in connection.execute(_UNREADABLE, {"role": READER, "names": names}).scalars().all():
                connection.execute(sa.text(f"grant select on {name} to {READER}"))
    except sa.exc.DBAPIError as error:
        _tell_once(
            f"the role {READER} cannot be given its rights ({str(error.orig).strip()}); a DBA can make it: "
            f"create role {READER} nologin; the next run of any step grants it what it may read"
        )


@cache
def _tell_once(text: str) -> None:
    """Warn once a process: the database is opened by every step."""
    log.warning("%s", text)


def _latest(table: sa.Table, register: sa.Table) -> sa.Select[tuple[object, ...]]:
    """The rows of each month's (and map's) latest revision that stands published."""
    of = [column for column in register.primary_key if column.name != "revision"]
    latest = (
        sa.select(*of, sa.func.max(register.c.revision).label("revision"))
        .where(register.c.state == "published")
        .group_by(*of)
        .subquery("latest")
    )
    same = sa.and_(*(table.c[column.name] == column for column in latest.c))
    return sa.select(*table.c).join_from(table, latest, same)


def _text(engine: sa.Engine, query: sa.Select[tuple[object, ...]]) -> str:
    return str(query.compile(engine, compile_kwargs={"literal_binds": True}))


def _mark(query: str) -> str:
    """What tells one definition from another: PostgreSQL keeps the query in words of its own."""
    return f"[definition {hashlib.sha256(query.encode()).hexdigest()[:12]}]"


def _definitions(engine: sa.Engine) -> dict[str, str]:
    """What tells how each view is defined: its SQL on SQLite, its comment with a mark on PostgreSQL."""
    query = (
        "select name, sql as text from sqlite_master where type = 'view'"
        if engine.dialect.name == "sqlite"
        else "select relname as name, coalesce(obj_description(oid), '') as text from pg_class "
        "where relkind = 'v' and relnamespace = current_schema()::regnamespace"
    )
    with engine.connect() as connection:
        return {str(row.name): str(row.text) for row in connection.exec_driver_sql(query)}


def _comments(engine: sa.Engine, table: sa.Table, query: str) -> list[sa.TextClause]:
    if not engine.dialect.supports_comments:
        return []
    name = latest_name(table.name)
    about = f"{table.comment}. The latest published revision of each month {_mark(query)}"
    told = [(f"view {name}", about), *((f"column {name}.{column.name}", column.comment or "") for column in table.c)]
    # A comment takes no bound value.
    return [sa.text(f"comment on {what} is {_quoted(text)}") for what, text in told]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''").replace(":", "\\:") + "'"


def _lock(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def _has_reader(connection: sa.Connection) -> bool:
    return bool(connection.scalar(sa.text("select 1 from pg_roles where rolname = :role"), {"role": READER}))


def _make_reader(connection: sa.Connection) -> None:
    if not _has_reader(connection):
        connection.execute(sa.text(f"create role {READER} nologin"))
