"""DuckDB under Great Expectations, which closes its connection before it fetches.

A rollback or commit would empty DuckDB's pending result; read-only checks need no transaction, so none is made.
"""

from __future__ import annotations

from typing import Any

import duckdb
from duckdb_sqlalchemy import ConnectionWrapper, Dialect
from sqlalchemy.dialects import registry


class ReadOnlyDialect(Dialect):
    """The DuckDB dialect without transactions."""

    supports_statement_cache = False

    def connect(self, *_: Any, database: str, **__: Any) -> Any:
        """Join the engine's own scratch database: settings of one's own would make it another instance."""
        return ConnectionWrapper(duckdb.connect(database))

    def do_begin(self, dbapi_connection: Any) -> None:
        """No transaction is begun."""

    def do_commit(self, dbapi_connection: Any) -> None:
        """Nothing to commit."""

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Nothing to roll back, and a pending result to keep."""


def register_dialect() -> None:
    """Have `duckdb://` mean this dialect in this process."""
    registry.register("duckdb", "ispeed.gx_duckdb", "ReadOnlyDialect")
