"""The one way to run SQL: files of `include/sql/` and rule queries over named relations on a scratch DuckDB.

Values reach SQL as relations (`params`) or bound parameters, never as text.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from ispeed.settings import INCLUDE

Row = dict[str, Any]
_TYPES = {"text": "varchar", "integer": "bigint", "double": "double", "date": "date", "timestamp": "timestamp"}


class Engine:
    """Named relations and the SQL files over them. Its database file is scratch, gone when the engine closes."""

    def __init__(self, folder: Path, memory_bytes: int | None = None) -> None:
        self.database = folder / "scratch.duckdb"
        self._connection = duckdb.connect(str(self.database))
        if memory_bytes is not None:
            self._connection.execute(f"set memory_limit = '{memory_bytes}B'")
        self._connection.execute("set timezone = 'UTC'")

    def close(self) -> None:
        self._connection.close()

    def read_parquet(self, name: str, *paths: Path) -> None:
        """Make the Parquet files the relation `name`, in the order of their names."""
        self._connection.read_parquet([str(path) for path in sorted(paths)]).create_view(name, replace=True)

    def read_numbered_parquet(self, name: str, path: Path) -> None:
        """Make a Parquet file the relation `name`, with the place of each row, 0 the first, as `file_row_number`."""
        self._connection.read_parquet(str(path), file_row_number=True).create_view(name, replace=True)

    def add_rows(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Make `rows` the relation `name`; `columns` gives each column's type (text, integer, double, date, …)."""
        declared = ", ".join(f"{_quoted(column)} {_TYPES[kind]}" for column, kind in columns.items())
        self._connection.execute(f"create or replace table {_quoted(name)} ({declared})")
        if rows:
            self.append_rows(name, columns, rows)

    def append_rows(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Add `rows` to the relation `name`, whose columns are as for `add_rows`."""
        # One bound list a column: inserting row by row costs a statement each.
        values = ", ".join(f"unnest(?::{_TYPES[kind]}[])" for kind in columns.values())
        self._connection.execute(
            f"insert into {_quoted(name)} select {values}", [list(column) for column in zip(*rows, strict=True)]
        )

    def create(self, name: str, sql_file: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Make the result of `include/sql/<sql_file>` the relation `name`."""
        sql = (INCLUDE / "sql" / sql_file).read_text(encoding="utf-8")
        self._connection.execute(f"create or replace table {_quoted(name)} as {sql}", parameters)

    def view(self, name: str, sql_file: str) -> None:
        """Make `include/sql/<sql_file>` the relation `name`, asked anew each time it is read."""
        sql = (INCLUDE / "sql" / sql_file).read_text(encoding="utf-8")
        self._connection.execute(f"create or replace view {_quoted(name)} as {sql}")

    def append(self, name: str, sql_file: str) -> None:
        """Add the result of `include/sql/<sql_file>` to the relation `name`, which has the same columns."""
        sql = (INCLUDE / "sql" / sql_file).read_text(encoding="utf-8")
        self._connection.execute(f"insert into {_quoted(name)} {sql}")

    def create_from_query(self, name: str, query: str) -> None:
        """Make the result of a rule's query the relation `name`."""
        self._connection.execute(f"create or replace table {_quoted(name)} as {query}")

    def run(self, query: str, parameters: Any = None) -> None:
        self._connection.execute(query, parameters)

    def rows(self, query: str, parameters: Any = None) -> list[Row]:
        """The result of a query as dicts by column name."""
        cursor = self._connection.execute(query, parameters)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]

    def batches(self, query: str, parameters: Any = None, n_rows: int = 10_000) -> Iterator[list[tuple[Any, ...]]]:
        """The result of a query as tuples, a part at a time, for results that may be as long as a month."""
        cursor = self._connection.execute(query, parameters)
        while batch := cursor.fetchmany(n_rows):
            yield batch

    def arrays(self, query: str, parameters: Any = None) -> dict[str, Any]:
        """The result of a query as one numpy array a column, for what is computed on all rows at once."""
        return self._connection.execute(query, parameters).fetchnumpy()

    def value(self, query: str, parameters: Any = None) -> Any:
        """The first column of the first row."""
        row = self._connection.execute(query, parameters).fetchone()
        return row[0] if row else None

    def write_parquet(self, query: str, path: Path) -> None:
        """Write a query's result to `path`."""
        self._connection.sql(query).write_parquet(str(path), compression="zstd")


@contextmanager
def open_engine(memory_bytes: int | None = None) -> Iterator[Engine]:
    """An engine on a scratch folder that is removed with it; beyond `memory_bytes` it uses that folder."""
    with tempfile.TemporaryDirectory(prefix="ispeed-") as folder:
        engine = Engine(Path(folder), memory_bytes)
        try:
            yield engine
        finally:
            engine.close()


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
