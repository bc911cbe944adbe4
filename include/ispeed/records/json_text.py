"""JSON: an array of objects, or one object a line, parsed by DuckDB."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import duckdb

from ispeed.contracts import CODES, COLUMNS, Contract, Shape
from ispeed.engine import DuckDB
from ispeed.errors import UserError
from ispeed.landing import LandedFile
from ispeed.months import Month
from ispeed.records.delimited import MARK, plain_text
from ispeed.records.headers import Headers, check_columns, check_rows, describe_headers
from ispeed.records.lines import RECORD_BYTES_MAX
from ispeed.settings import Settings

_TAIL_BYTES = 1 << 16
_NESTED_MAX = 10_000


def read_json(
    engine: DuckDB, settings: Settings, month: Month, contract: Contract, file: LandedFile, with_undeclared: bool
) -> Headers:
    """Make a file with an array of objects the relation `source_record`, numbered from 1 by place in the array."""
    return _read(engine, settings, month, contract, file, with_undeclared, load_array)


def read_json_lines(
    engine: DuckDB, settings: Settings, month: Month, contract: Contract, file: LandedFile, with_undeclared: bool
) -> Headers:
    """Make a file with one object a line the relation `source_record`, numbered by line from 1."""
    return _read(engine, settings, month, contract, file, with_undeclared, load_lines)


def _read(
    engine: DuckDB,
    settings: Settings,
    month: Month,
    contract: Contract,
    file: LandedFile,
    with_undeclared: bool,
    load: Callable[[DuckDB, str], None],
) -> Headers:
    shape = contract.shape_of(file.source_file)
    # An array may have empty lines anywhere, and a control character nowhere.
    mark = MARK if load is load_lines else " "
    with plain_text(settings, month, file, shape.encoding, mark=mark) as text:
        if load is load_array:
            _refuse_open_array(file.source_file, text.path)
        try:
            load(engine, str(text.path))
        except duckdb.Error as error:
            raise UserError(
                f"file {file.source_file}",
                str(error).splitlines()[0].replace(str(text.path), file.source_file),
                "an array of objects" if load is load_array else "one object a line",
                "export the file again, or correct its shape in the source contract",
            ) from error
    check_rows(settings, file.source_file, engine.value("select count(*) from json_record"))
    found = read_keys(engine)
    check_columns(settings, file.source_file, len(found))
    columns = contract.match_headers(file.source_file, found, month)
    _extract(engine, contract, shape, dict(zip(columns, found, strict=True)), with_undeclared)
    return describe_headers(contract, found, columns)


def read_keys(engine: DuckDB) -> list[str]:
    """The keys of all objects in `json_record`, by the first record that has them."""
    rows = engine.rows(
        "select key, min(row_number) as first_row from "
        "(select row_number, unnest(json_keys(record)) as key from json_record where json_type(record) = 'OBJECT') "
        "group by key order by first_row, key"
    )
    return [row["key"] for row in rows]


def pointer_to(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _refuse_open_array(source_file: str, path: Path) -> None:
    """DuckDB takes an array that ends behind a comma for a whole one: the records that follow it would be lost."""
    with path.open("rb") as text:
        text.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        tail = text.read().rstrip()
    if tail and not tail.endswith(b"]"):
        raise UserError(
            f"file {source_file}",
            f"an array that does not end: {tail[-30:].decode(errors='replace')!r}",
            "an array of objects, up to its closing bracket",
            "fetch or export the file again",
        )


def load_array(engine: DuckDB, path: str) -> None:
    """Make an array of objects the relation `json_record`: row_number, record, and what cannot be read."""
    engine.run(
        "create or replace table json_record as select row_number() over () as row_number, "
        "case when strlen(json) <= $bytes_max then json end as record, "
        "case when strlen(json) > $bytes_max then cast(json as varchar) end as reject_text, "
        "case when strlen(json) > $bytes_max then $message end as reject_message "
        "from read_json_objects($path, format = 'array')",
        {"path": path, "bytes_max": RECORD_BYTES_MAX, "message": f"a record of more than {RECORD_BYTES_MAX:,} bytes"},
    )


def load_lines(engine: DuckDB, path: str) -> None:
    """Make one object a line the relation `json_record`, as `load_array` does."""
    engine.run("drop table if exists reject_errors; drop table if exists reject_scans")
    # One column that nothing ends but the line: the unit separator must be written \u001f inside JSON.
    engine.run(
        "create or replace table source_text as select row_number() over () as place, line from read_csv($path, "
        "header = false, auto_detect = false, delim = chr(31), quote = '', escape = '', columns = {'line': 'VARCHAR'}, "
        "strict_mode = true, store_rejects = true, rejects_limit = 0, max_line_size = $max_line_size)",
        {"path": path, "max_line_size": RECORD_BYTES_MAX},
    )
    engine.run(
        "create or replace table source_reject as "
        "select line, rtrim(csv_line, chr(10)) as csv_line, error_message from reject_errors"
    )
    engine.create("json_line", "staging/source_record.sql", {"mark": MARK, "header_rows": 0})
    engine.run(
        "create or replace table json_record as select row_number, "
        "case when is_json then cast(line as json) end as record, "
        "case when line is null then reject_text when not is_json then line end as reject_text, "
        "case when line is null then reject_message when not is_json then 'no JSON' end as reject_message "
        # To look into a line of many thousand brackets costs as much as it likes.
        "from (select *, case when len(regexp_extract_all(line, '[\\[{]')) > $nested_max then false "
        "else json_valid(line) end as is_json from json_line) as checked where line is null "
        "or trim(ltrim(line, chr(65279)), ' ' || chr(9)) not in ('', $mark)",
        {"mark": MARK, "nested_max": _NESTED_MAX},
    )


def _extract(
    engine: DuckDB, contract: Contract, shape: Shape, key_of: dict[str | None, str], with_undeclared: bool
) -> None:
    """Fields by key. An object that holds a key twice, or something nested where a field belongs, cannot be read."""
    present = [column for column in COLUMNS if column in key_of]
    parameters = {f"pointer_{column}": pointer_to(key_of[column]) for column in present} | {
        f"constant_{column}": value for column, value in contract.constants.items()
    }
    nested = " or ".join(f"json_type(record, $pointer_{column}) in ('OBJECT', 'ARRAY')" for column in present)
    fields = "".join(
        f", $constant_{column} as {column}"
        if column in contract.constants
        else f", json_code(record, $pointer_{column}) as {column}"
        if column in key_of and column in CODES
        else f", json_field(record, $pointer_{column}, $decimal) as {column}"
        if column in key_of
        else f", cast(null as varchar) as {column}"
        for column in COLUMNS
    )
    undeclared = "nullif(cast(json_merge_patch(record, $declared) as varchar), '{}')" if with_undeclared else "null"
    parameters["declared"] = json.dumps({key_of[column]: None for column in present})
    has_key_twice = "len(json_keys(record)) <> len(list_distinct(json_keys(record)))"
    statement = (
        "create or replace table source_record as select row_number, coalesce(reject_text, "
        f"case when json_type(record) <> 'OBJECT' or {has_key_twice} then cast(record as varchar) end) "
        "as reject_text, coalesce(reject_message, case "
        "when json_type(record) <> 'OBJECT' then 'no object' "
        f"when {has_key_twice} then 'a key that is there twice' "
        f"when {nested or 'false'} then 'a field that holds an object or a list' end) as reject_message, "
        f"cast({undeclared} as varchar) as undeclared_text{fields} "
        "from json_record order by row_number"
    )
    parameters["decimal"] = shape.decimal
    engine.run(statement, {name: value for name, value in parameters.items() if f"${name}" in statement})
