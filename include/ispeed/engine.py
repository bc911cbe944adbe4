"""The one way to run SQL: files of `include/sql/` and rule queries over named relations, on DuckDB or on Spark.

Values reach SQL as relations (`params`) or bound parameters, never as text. DuckDB reads the files of an export in any
event; what computes a month's tables is the setting `ISPEED_ENGINE`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import duckdb

from ispeed.settings import INCLUDE, Settings

Row = dict[str, Any]
# A month's rows are written and read by machines only. Figures have too many values for a dictionary: give up early.
AS_LARGE_PARQUET: Final = "(format parquet, compression lz4_raw, dictionary_size_limit 2000)"
_TYPES = {
    "text": "varchar",
    "integer": "bigint",
    "double": "double",
    "date": "date",
    "timestamp": "timestamp",
    "boolean": "boolean",
}


class Engine(Protocol):
    """Named relations and SQL over them: what computes a month's tables, whichever engine it is."""

    def read_parquet(self, name: str, *paths: Path) -> None:
        """Make the Parquet files the relation `name`, in the order of their names."""

    def read_table(self, name: str, path: Path) -> None:
        """Make a Parquet file that memory holds at once, of the registry or a report table, the relation `name`."""

    def add_rows(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Make `rows` the relation `name`; `columns` gives each column's type (text, integer, double, date, …)."""

    def append_rows(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Add `rows` to the relation `name`, whose columns are as for `add_rows`."""

    def append_query(self, name: str, query: str, parameters: Sequence[Any] = ()) -> None:
        """Add the result of a query, column by column, to the relation `name`, which `add_rows` made."""

    def create(self, name: str, sql_file: str, *, is_checked: bool = False) -> None:
        """Make the result of `include/sql/<sql_file>` the relation `name`; say so where checks are to see it."""

    def append(self, name: str, sql_file: str) -> None:
        """Add the result of `include/sql/<sql_file>` to the relation `name`, which has the same columns."""

    def create_from_query(self, name: str, query: str) -> None:
        """Make the result of a rule's query the relation `name`."""

    def view(self, name: str, sql_file: str) -> None:
        """Make what `include/sql/<sql_file>` gives, asked anew each time, the relation `name`."""

    def create_view(self, name: str, query: str) -> None:
        """Make `name` what the query gives whenever it is asked, also after its own relations have changed."""

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """The result of a query as dicts by column name."""

    def arrays(self, query: str) -> dict[str, Any]:
        """The result of a query as one numpy array a column, for what is computed on all rows at once."""

    def value(self, query: str) -> Any:
        """The first column of the first row."""

    def write_parquet(self, query: str, path: Path) -> None:
        """Write a query's result, in its order, to the one file `path`."""

    def write_file(self, sql_file: str, path: Path) -> None:
        """Write the result of `include/sql/<sql_file>`, which may be as long as a month, in any order to `path`."""

    def batch(self, context: Any, relation: str) -> AbstractContextManager[Callable[[], Any]]:
        """What gives, each time it is called, the relation as it is then as a batch of Great Expectations."""


class DuckDB:
    """The engine on a scratch DuckDB. Its database file is gone when the engine closes."""

    def __init__(self, folder: Path, memory_bytes: int | None = None) -> None:
        self.database = folder / "scratch.duckdb"
        self._connection = duckdb.connect(str(self.database))
        if memory_bytes is not None:
            self._connection.execute(f"set memory_limit = '{memory_bytes}B'")
        self._connection.execute("set timezone = 'UTC'")

    def close(self) -> None:
        self._connection.close()

    def read_parquet(self, name: str, *paths: Path) -> None:
        self._connection.read_parquet([str(path) for path in sorted(paths)]).create_view(name, replace=True)

    def read_table(self, name: str, path: Path) -> None:
        self.read_parquet(name, path)

    def read_numbered_parquet(self, name: str, path: Path) -> None:
        """Make a Parquet file the relation `name`, with the place of each row, 0 the first, as `file_row_number`."""
        self._connection.read_parquet(str(path), file_row_number=True).create_view(name, replace=True)

    def add_rows(
        self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]], *, is_checked: bool = True
    ) -> None:
        """As every engine; not in the file, and so without its log, where no check is to see the relation."""
        declared = ", ".join(f"{_quoted(column)} {_TYPES[kind]}" for column, kind in columns.items())
        kind = "table" if is_checked else "temp table"
        self._connection.execute(f"create or replace {kind} {_quoted(name)} ({declared})")
        if rows:
            self.append_rows(name, columns, rows)

    def append_rows(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        # One bound list a column: inserting row by row costs a statement each.
        values = ", ".join(f"unnest(?::{_TYPES[kind]}[])" for kind in columns.values())
        self._connection.execute(
            f"insert into {_quoted(name)} select {values}", [list(column) for column in zip(*rows, strict=True)]
        )

    def append_query(self, name: str, query: str, parameters: Sequence[Any] = ()) -> None:
        self._connection.execute(f"insert into {_quoted(name)} {query}", parameters)

    def create(
        self, name: str, sql_file: str, parameters: Mapping[str, Any] | None = None, *, is_checked: bool = False
    ) -> None:
        """As every engine, with bound parameters besides: the files of `staging/` have some."""
        sql = (INCLUDE / "sql" / sql_file).read_text(encoding="utf-8")
        # Great Expectations comes by a connection of its own and so sees what is in the file only. A table that is not
        # costs a third: nothing is compressed, and nothing written while memory suffices.
        kind = "table" if is_checked else "temp table"
        # Relations have no order; to keep one of many millions of rows takes memory that a large month does not have.
        self._connection.execute("set preserve_insertion_order = false")
        try:
            self._connection.execute(f"create or replace {kind} {_quoted(name)} as {sql}", parameters)
        finally:
            self._connection.execute("set preserve_insertion_order = true")

    def view(self, name: str, sql_file: str) -> None:
        self.create_view(name, (INCLUDE / "sql" / sql_file).read_text(encoding="utf-8"))

    def append(self, name: str, sql_file: str) -> None:
        sql = (INCLUDE / "sql" / sql_file).read_text(encoding="utf-8")
        self._connection.execute(f"insert into {_quoted(name)} {sql}")

    def create_from_query(self, name: str, query: str) -> None:
        self._connection.execute(f"create or replace table {_quoted(name)} as {query}")

    def create_view(self, name: str, query: str) -> None:
        self._connection.execute(f"create or replace view {_quoted(name)} as {query}")

    def run(self, query: str, parameters: Any = None) -> None:
        """Run a statement of DuckDB's own."""
        self._connection.execute(query, parameters)

    def rows(self, query: str, parameters: Any = None) -> list[Row]:
        cursor = self._connection.execute(query, parameters)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]

    def batches(self, query: str, parameters: Any = None, n_rows: int = 10_000) -> Iterator[list[tuple[Any, ...]]]:
        """The result of a query as tuples, a part at a time, for results that may be as long as a month."""
        cursor = self._connection.execute(query, parameters)
        while batch := cursor.fetchmany(n_rows):
            yield batch

    def arrays(self, query: str, parameters: Any = None) -> dict[str, Any]:
        return self._connection.execute(query, parameters).fetchnumpy()

    def value(self, query: str, parameters: Any = None) -> Any:
        row = self._connection.execute(query, parameters).fetchone()
        return row[0] if row else None

    def write_parquet(self, query: str, path: Path) -> None:
        self._connection.sql(query).write_parquet(str(path), compression="zstd")

    def write_file(self, sql_file: str, path: Path) -> None:
        sql = (INCLUDE / "sql" / sql_file).read_text(encoding="utf-8")
        self.run(f"copy ({sql}) to $path {AS_LARGE_PARQUET}", {"path": str(path)})

    @contextmanager
    def batch(self, context: Any, relation: str) -> Iterator[Callable[[], Any]]:
        from ispeed.gx_duckdb import register_dialect

        register_dialect()
        source = context.data_sources.add_sql("scratch", connection_string=f"duckdb:///{self.database}")
        asset = source.add_table_asset(relation, table_name=relation)
        batch = asset.add_batch_definition_whole_table("all").get_batch()
        try:
            yield lambda: batch
        finally:
            source.get_engine().dispose()


@contextmanager
def open_engine(memory_bytes: int | None = None) -> Iterator[DuckDB]:
    """DuckDB on a scratch folder that is removed with it; beyond `memory_bytes` it uses that folder."""
    with tempfile.TemporaryDirectory(prefix="ispeed-") as folder:
        engine = DuckDB(Path(folder), memory_bytes)
        try:
            yield engine
        finally:
            engine.close()


@contextmanager
def open_chosen_engine(settings: Settings) -> Iterator[Engine]:
    """The engine that `ISPEED_ENGINE` names, to compute a month's tables on.

    Raises `UserError` where Spark is named and there is no Java, no pyspark or no master to reach it with.
    """
    if settings.engine == "spark":
        from ispeed.spark_engine import open_spark  # pyspark is installed only where it is used

        with open_spark(settings.spark) as spark:
            yield spark
    else:
        with open_engine(settings.memory_bytes) as duck:
            yield duck


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
