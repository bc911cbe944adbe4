"""Parquet files, read by DuckDB; numbered by row from 1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from ispeed.archives import check_expansion, unpacked_path
from ispeed.contracts import CODES, COLUMNS, Contract
from ispeed.engine import DuckDB
from ispeed.errors import UserError
from ispeed.landing import LandedFile
from ispeed.months import Month
from ispeed.records.headers import (
    Headers,
    check_columns,
    check_rows,
    describe_headers,
    json_of_undeclared,
    undeclared_names,
)
from ispeed.settings import Settings

_MAGIC = b"PAR1"
# Up to here a number with a fraction is whole to the last digit.
_EXACT_MAX = {"FLOAT": 1e7, "DOUBLE": 1e15}


def read_parquet(
    engine: DuckDB, settings: Settings, month: Month, contract: Contract, file: LandedFile, with_undeclared: bool
) -> Headers:
    """Make a Parquet file the relation `source_record`: numbers with the declared decimal mark, times in the first
    declared format and the contract's zone.
    """
    with opened_parquet(engine, settings, month, file) as (path, types):
        found = _column_names(engine, str(path))
        columns = contract.match_headers(file.source_file, found, month)
        undeclared = undeclared_names(found, columns) if with_undeclared else {}
        _extract(engine, contract, file, str(path), columns, list(types.values()), undeclared)
    return describe_headers(contract, found, columns)


@contextmanager
def opened_parquet(
    engine: DuckDB, settings: Settings, month: Month, file: LandedFile
) -> Iterator[tuple[Path, dict[str, str]]]:
    """A Parquet file within bounds, and DuckDB's type of each column. Raises `UserError` where it is damaged."""
    with unpacked_path(settings, month, file) as path:
        with path.open("rb") as content:
            if content.read(len(_MAGIC)) != _MAGIC:
                raise _unreadable(file, "its first bytes are not those of one")
        try:
            n_rows = engine.value("select sum(num_rows) from parquet_file_metadata($path)", {"path": str(path)})
            check_rows(settings, file.source_file, n_rows)
            described = engine.rows(
                "describe select * from read_parquet($path, hive_partitioning = false)", {"path": str(path)}
            )
            check_columns(settings, file.source_file, len(described))
            # A figure that is there at all takes room: many rows in few bytes are made of nothing.
            n_bytes = engine.value(
                "select sum(total_uncompressed_size) from parquet_metadata($path)", {"path": str(path)}
            )
            n_least = max(n_rows * len(described), n_bytes or 0)
            check_expansion(settings, file.source_file, n_least, path.stat().st_size)
            types = {row["column_name"]: row["column_type"] for row in described}
            n_text_bytes = _text_bytes(engine, str(path), list(types.values()))
            check_expansion(settings, file.source_file, n_text_bytes, path.stat().st_size)
            yield path, types
        except duckdb.Error as error:
            raise _unreadable(file, str(error).splitlines()[0].replace(str(path), file.source_file)) from error


def _unreadable(file: LandedFile, found: str) -> UserError:
    return UserError(
        f"file {file.source_file}",
        f"no readable Parquet file: {found}",
        "a whole Parquet file",
        "fetch or export it again",
    )


def _column_names(engine: DuckDB, path: str) -> list[str]:
    """The names as the file gives them; DuckDB would call the second Mã xã of a file Mã xã_1, which nobody declares."""
    names, n_nested = [], 0
    for row in engine.rows("select name, num_children from parquet_schema($path)", {"path": path})[1:]:
        if n_nested:
            n_nested -= 1
        else:
            names.append(row["name"])
        n_nested += row["num_children"] or 0
    return names


def _text_bytes(engine: DuckDB, path: str, types: list[str]) -> int:
    """How much text the file makes. A long one that is there once may stand in every row of a column."""
    names = [f"column_{place}" for place in range(len(types))]
    texts = [f"coalesce(sum(strlen({name})), 0)" for name, kind in zip(names, types, strict=True) if kind == "VARCHAR"]
    n_bytes = engine.value(
        f"select {' + '.join(texts) or 0} from read_parquet($path, hive_partitioning = false) "
        f"as source ({', '.join(names)})",
        {"path": path},
    )
    return int(n_bytes or 0)


def _extract(
    engine: DuckDB,
    contract: Contract,
    file: LandedFile,
    path: str,
    columns: list[str | None],
    types: list[str],
    undeclared: dict[int, str],
) -> None:
    shape = contract.shape_of(file.source_file)
    # Names by place: what the file calls its columns never becomes part of a statement.
    names = [column or f"undeclared_{place}" for place, column in enumerate(columns)]
    type_of = dict(zip(names, types, strict=True))
    fields, rejects = [], []
    for column in COLUMNS:
        if column in contract.constants:
            fields.append(f"$constant_{column}")
        elif column in type_of:
            fields.append(text_of_field(column, type_of[column]))
            rejects += _reject_of(column, type_of[column])
        else:
            fields.append("cast(null as varchar)")
    undeclared_text, names_of_undeclared = json_of_undeclared(
        undeclared, {place: f"cast({name} as varchar)" for place, name in enumerate(names)}
    )
    statement = (
        "create or replace table source_record as select row_number() over () as row_number, "
        "cast(null as varchar) as reject_text, "
        + (f"nullif(concat_ws('; ', {', '.join(rejects)}), '')" if rejects else "cast(null as varchar)")
        + f" as reject_message, {undeclared_text} as undeclared_text, "
        + ", ".join(f"{field} as {column}" for field, column in zip(fields, COLUMNS, strict=True))
        + f" from read_parquet($path, hive_partitioning = false) as source ({', '.join(names)})"
    )
    parameters = {
        "path": path,
        "decimal": shape.decimal,
        "format": shape.timestamp_formats[0],
        "zone": contract.timezone,
        **names_of_undeclared,
    } | {f"constant_{column}": value for column, value in contract.constants.items()}
    engine.run(statement, {name: value for name, value in parameters.items() if f"${name}" in statement})


def text_of_field(column: str, kind: str) -> str:
    """SQL that writes a column of that type as text; bound: decimal, format, zone."""
    if kind in _EXACT_MAX and column in CODES:
        return f"float_code({column}, {_EXACT_MAX[kind]})"
    if kind in _EXACT_MAX or kind.startswith("DECIMAL"):
        return f"float_text({column}, $decimal)"
    if kind == "BLOB":
        return f"coalesce(try(decode({column})), cast({column} as varchar))"
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"strftime(timezone($zone, {column}), $format)"
    if kind.startswith("TIMESTAMP") or kind == "DATE":
        return f"strftime(cast({column} as timestamp), $format)"
    return f"cast({column} as varchar)"


def _reject_of(column: str, kind: str) -> list[str]:
    """What makes a row unreadable by this column, if anything can."""
    if kind == "BLOB":
        return [f"case when {column} is not null and try(decode({column})) is null then '{column}: no text' end"]
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")):
        return [f"case when {column} is not null then '{column} holds an object or a list' end"]
    return []
