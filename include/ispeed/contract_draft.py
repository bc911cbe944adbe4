"""A first source contract for an unknown export: what its bytes, headers and values say, and what they do not."""

from __future__ import annotations

import glob
import json
import re
import shutil
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final

from ispeed.checks import add_policy, add_row_reasons
from ispeed.column_look import (
    SENTINELS,
    Unit,
    marks_of,
    median_of,
    nothing_marks_of,
    offset_of,
    poor_columns_of,
    time_hint,
    timestamp_formats_of,
    unit_of,
)
from ispeed.column_meaning import FIGURES, TECHNOLOGIES, Meaning, likeness_of_header, meanings_of, rivals_of
from ispeed.contracts import COLUMNS, CONSTANTS, REQUIRED
from ispeed.engine import Engine, Row, open_engine
from ispeed.errors import UserError
from ispeed.export_look import Look, look_at
from ispeed.landing import LandedFile, land, read_landing
from ispeed.months import Month
from ispeed.policy import TECHNOLOGY_NETWORK, read_policy
from ispeed.registry import match_operators, match_places, read_registry, sync_registry
from ispeed.settings import INCLUDE, Settings
from ispeed.staging import LOCAL_ZONE, stage
from ispeed.text import fold, split_kind

N_PREVIEW: Final = 10
_MONTH: Final = Month(2000, 1)
_FORMAT: Final = "%d/%m/%Y %H:%M:%S"
_OWN_UNITS: Final = ("Mbit/s", "ms", "%", "m")
# Any file may land, so that it can be looked at by the readers that would read it.
_ANY_FILE: Final = {"name": "any", "timezone": "UTC", "missing": [], "columns": {}} | {
    "shapes": [{"pattern": "*", "format": "jsonl", "timestamp_formats": [_FORMAT]}]
}
_EXAMPLES: Final = {"technology": "Cố định", "measured_at": "01/10/2024 00:00:00"}


@dataclass(frozen=True)
class ContractDraft:
    """A contract as text, `doubts` on it as sentences, and the first rows of the file as it would have them read."""

    text: str
    doubts: tuple[str, ...]
    preview: tuple[str, ...]


def draft_contract(path: Path, registry: Path = INCLUDE / "registry") -> ContractDraft:
    """Look at an export (csv, xlsx, json, jsonl, Parquet, packed as .gz or .zip) and draft its contract.

    Raises `UserError` where it holds no table that could be read.
    """
    with tempfile.TemporaryDirectory(prefix="ispeed-") as name:
        defaults = Settings.from_environment({"ISPEED_VAR": name, "ISPEED_DEVICE_KEY": "preview"})
        settings = replace(defaults, source=Path(name) / "contract.yaml", registry=registry)
        settings.exports_of(_MONTH).mkdir(parents=True)
        try:
            shutil.copyfile(path, settings.exports_of(_MONTH) / path.name)
        except OSError as error:
            raise UserError(
                f"file {path}", str(error.strerror), "an export file", "give the path of one: FILE=…"
            ) from error
        settings.source.write_text(json.dumps(_ANY_FILE), encoding="utf-8")
        land(settings, _MONTH)
        sources = read_landing(settings, _MONTH).sources(settings, _MONTH)
        with open_engine() as engine:
            of_registry = _add_registry(engine, settings)
            looks, of_members = _looks(settings, sources)
            parts = [_read_part(engine, look, len(sources) > 1) for look in looks]
        document, of_parts = _put_together(path, parts)
        doubts = [*of_registry, *of_members, *of_parts]
        text = _written(path, document, doubts)
        settings.source.write_text(text + _placeholders(document), encoding="utf-8")
        counted, preview = _preview(settings, document)
    return ContractDraft(text, (*doubts, *counted), tuple(preview))


def _looks(settings: Settings, sources: Sequence[LandedFile]) -> tuple[list[Look], list[str]]:
    """A look at each file; a member of an archive that holds no table is a doubt, unless none does."""
    looks: list[Look] = []
    doubts: list[str] = []
    for file in sources:
        try:
            looks.append(look_at(settings, _MONTH, file, likeness_of_header))
        except UserError as error:
            if not file.member or (file is sources[-1] and not looks):
                raise
            doubts.append(
                f"{_line(file.source_file)}: {_line(error.found)}; no month lands with a file that no shape fits: have it "
                "left out"
            )
    return looks, doubts


@dataclass(frozen=True)
class _Part:
    """What one file, or one member of an archive, says of the contract."""

    look: Look
    meanings: Mapping[str, Meaning]
    shape: Mapping[str, Any]
    missing: Sequence[str]
    units: Mapping[str, Unit]
    values: Mapping[str, Mapping[str, str]]
    offset: str
    doubts: Sequence[str]


def _read_part(engine: Engine, look: Look, is_one_of_many: bool) -> _Part:
    meanings = meanings_of(look.columns)
    doubts = list(look.doubts)
    figures = [meaning.column for name, meaning in meanings.items() if name in FIGURES]
    decimal, thousands, of_marks = marks_of(figures or look.columns)
    missing, of_missing = nothing_marks_of(look.columns)
    formats, of_formats, offset = _times(look, meanings)
    units = {
        name: unit
        for name, meaning in meanings.items()
        if name in FIGURES and (unit := unit_of(name, meaning.column, median_of(meaning.column, decimal, thousands)))
    }
    values, of_values = _values(engine, meanings)
    doubts += [*of_marks, *of_formats, *of_missing, *_doubts_on_meanings(look, meanings)]
    doubts += [unit.doubt for unit in units.values() if unit.doubt]
    doubts += poor_columns_of(look.columns, [meanings["device_id"].column] if "device_id" in meanings else [])
    doubts += of_values
    has_written_numbers = any(column.written for column in figures)
    marks = {"decimal": decimal, "thousands": thousands} if look.format == "csv" or has_written_numbers else {}
    return _Part(
        look,
        meanings,
        ({} if look.format == "csv" else {"format": look.format})
        | {**look.shape, **marks, "timestamp_formats": formats or [_FORMAT]},
        missing,
        units,
        values,
        offset,
        [f"{look.source_file}: {doubt}" for doubt in doubts] if is_one_of_many else doubts,
    )


def _times(look: Look, meanings: Mapping[str, Meaning]) -> tuple[list[str], list[str], str]:
    """Time formats, doubts on them, and what the times end in to say their zone."""
    if "measured_at" not in meanings:
        return (
            [],
            [f"nothing says how times are written: {_FORMAT} stands for it"],
            "",
        )
    column = meanings["measured_at"].column
    formats, doubts = timestamp_formats_of(column)
    if not formats and not column.has_times_alone:
        hint = time_hint(column, look.format)
        if look.format != "xlsx" or column.written or not hint:
            doubts.append(f"no format fits the times of {column.header!r}: {_FORMAT} stands for it")
        doubts += [hint] if hint else []
    elif formats and not any("%H" in form or "%-H" in form or "I" in form for form in formats):
        doubts.append(f"{column.header}: a day without a time; each counts as 00:00")
    return formats, doubts, offset_of(column) if formats else ""


def _doubts_on_meanings(look: Look, meanings: Mapping[str, Meaning]) -> list[str]:
    doubts = []
    for name, meaning in meanings.items():
        header, likeness = meaning.column.header, meaning.likeness
        if likeness < 1.0:
            values = "technologies" if name == "technology" else "times"
            why = f"the names are alike ({likeness:.0%})" if likeness else f"its values alone are {values}"
            rivals = rivals_of(name, look.columns, meanings)
            or_these = f"; it could also be {', '.join(map(repr, rivals))}" if rivals else ""
            doubts.append(f"{header!r} is taken for {name}: {why}{or_these}")
    device = meanings.get("device_id")
    if device is not None and device.column.filled:
        value, n_rows = Counter(device.column.filled).most_common(1)[0]
        if n_rows > max(100, len(device.column.values) // 50):
            doubts.append(
                f"{device.column.header!r}: one value stands for {n_rows:,} of {len(device.column.values):,} rows; "
                "is it a device, or a way to say that none is known?"
            )
    taken = [meaning.column for meaning in meanings.values()]
    not_read = [column.header for column in look.columns if not any(column is other for other in taken)]
    if not_read:
        doubts.append("not read, since no column of ours has a name like theirs: " + ", ".join(map(repr, not_read)))
    return doubts


# Values --------------------------------------------------------------------------------------------------------------


def _values(engine: Engine, meanings: Mapping[str, Meaning]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Spellings of technologies, operators and provinces that we know the meaning of, and doubts on the others."""
    values: dict[str, dict[str, str]] = {}
    doubts = []
    for name, known, likely in (
        ("technology", {fold(own): own for own in TECHNOLOGY_NETWORK}, TECHNOLOGIES),
        ("operator", _operators(engine), {}),
        ("province_code", {code: code for code in _provinces(engine).values()}, _provinces(engine)),
    ):
        if name not in meanings or not known:
            continue
        found = Counter(" ".join(text.split()) for text in meanings[name].column.filled if text not in SENTINELS)
        means: dict[str, str] = {}
        unknown: Counter[str] = Counter()
        for text, n_rows in found.most_common(1_000):
            if fold(text) in known or fold(text) in map(fold, means):
                continue
            meaning = (
                likely.get(fold(text))
                or likely.get(_plain(text))
                or (_likest(text, known) if name == "operator" else None)
            )
            if meaning:
                means[fold(text)] = meaning
            else:
                unknown[text] = n_rows
        if means:
            told = ", ".join(f"{text!r} for {meaning}" for text, meaning in means.items())
            doubts.append(f"{name}: taken are {told}")
        # Provinces elsewhere are as they are: that a row is outside the province is told by its flag.
        if unknown and not (name == "province_code" and all(text.isdigit() for text in unknown)):
            shown = ", ".join(map(repr, list(unknown)[:8])) + (" and more" if len(unknown) > 8 else "")
            doubts.append(
                f"{name}: {sum(unknown.values()):,} rows with {shown}; say under values.{name} what they are"
                + (", or add the spelling to the registry's operators" if name == "operator" else "")
            )
        if means:
            values[name] = means
    return values, doubts


def _likest(text: str, known: Mapping[str, str]) -> str | None:
    """The brand that a text names, or is nearly spelled like; None where none is, or two are."""
    words = _apart(text)
    spellings = {_apart(spelling): brand for spelling, brand in known.items()}
    named = {brand for spelling, brand in spellings.items() if spelling in words}
    if not named:
        ratio_of = {spelling: SequenceMatcher(None, words, spelling).ratio() for spelling in spellings}
        best = max(0.85, *ratio_of.values())
        named = {spellings[spelling] for spelling, ratio in ratio_of.items() if ratio == best}
    return named.pop() if len(named) == 1 else None


def _apart(text: str) -> str:
    """The words of a text without accents and marks, a space around each."""
    return f" {' '.join(re.findall('[a-z0-9]+', _plain(text)))} "


def _add_registry(engine: Engine, settings: Settings) -> list[str]:
    """Make the registry relations of the engine; a doubt where it cannot be read."""
    try:
        sync_registry(settings)
    except UserError as error:
        return [f"operators and provinces were not compared: the registry cannot be read ({_line(error.where)})"]
    read_registry(engine, settings.lake / "registry")
    return []


def _operators(engine: Engine) -> dict[str, str]:
    if not _has_registry(engine):
        return {}
    return {row["spelling"]: row["brand"] for row in engine.rows("select spelling, brand from operator")}


def _provinces(engine: Engine) -> dict[str, str]:
    """The code of each province by its name, without Tỉnh, with accents and without."""
    if not _has_registry(engine):
        return {}
    rows = engine.rows("select distinct province_name, province_code from commune where province_name is not null")
    return {
        spelled: row["province_code"]
        for row in rows
        for text in (row["province_name"], split_kind(row["province_name"])[1])
        for spelled in (fold(text), _plain(text))
    }


def _has_registry(engine: Engine) -> bool:
    return bool(engine.value("select count(*) from duckdb_views() where view_name = 'operator'"))


def _plain(text: str) -> str:
    """Folded, without accents."""
    letters = unicodedata.normalize("NFD", fold(text)).replace("đ", "d")
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


# The contract --------------------------------------------------------------------------------------------------------


def _put_together(path: Path, parts: Sequence[_Part]) -> tuple[dict[str, Any], list[str]]:
    """One contract of all parts: each file's shape, and every header that a column has in any of them."""
    doubts = [doubt for part in parts for doubt in part.doubts]
    headers: dict[str, list[str]] = {}
    column_of: dict[str, str] = {}
    units: dict[str, str] = {}
    for part in parts:
        for name in COLUMNS:
            if name not in part.meanings:
                continue
            header = part.meanings[name].column.header
            if column_of.setdefault(fold(header), name) != name:
                doubts.append(
                    f"{part.look.source_file}: {header!r} is {column_of[fold(header)]} in another file, not {name}"
                )
                continue
            if header not in headers.setdefault(name, []):
                headers[name].append(header)
            unit = part.units[name].name if name in part.units else ""
            if unit and units.setdefault(name, unit) != unit:
                doubts.append(
                    f"{part.look.source_file}: {name} is in {unit} here and in {units[name]} in another file, and one "
                    "contract cannot read both"
                )
    missing_columns = [name for name in REQUIRED if name not in headers]
    doubts += [
        f"no column is {name}, which is required: name its header"
        + (", or if every row has the same, say it in constants" if name in CONSTANTS else "")
        for name in missing_columns
    ]
    doubts += [
        f"{part.look.source_file}: no column is {name}, which is required"
        for part in parts
        for name in REQUIRED
        if name not in part.meanings and name in headers
    ]
    zone, question = _zone({part.offset for part in parts if "measured_at" in part.meanings})
    marks = dict.fromkeys(mark for part in parts for mark in part.missing)
    return {
        "name": path.name.partition(".")[0],
        "timezone": zone,
        "missing": ["", *(int(mark) if mark in SENTINELS else mark for mark in marks)],
        "shapes": _shapes(parts),
        "columns": {
            name: {"headers": headers[name]}
            | ({"unit": units[name]} if units.get(name, _OWN_UNITS[0]) not in _OWN_UNITS else {})
            | ({"required": True} if name in REQUIRED else {})
            for name in COLUMNS
            if name in headers
        },
        "ignored": list(
            dict.fromkeys(
                column.header
                for part in parts
                for column in part.look.columns
                if column.header and fold(column.header) not in column_of
            )
        ),
        "values": {
            name: dict(pair for part in parts for pair in part.values.get(name, {}).items())
            for name in COLUMNS
            if any(name in part.values for part in parts)
        },
        "missing_columns": missing_columns,
    }, [*doubts, question]


def _zone(offsets: set[str]) -> tuple[str, str]:
    """The time zone, and the question whether it is right."""
    offset = offsets.pop() if len(offsets) == 1 else ""
    plain = offset.replace(":", "")
    if offset and (plain == "Z" or plain[1:] in ("00", "0000")):
        return "UTC", f"timezone UTC is taken: the times end in {offset}"
    if plain in ("+07", "+0700"):
        return LOCAL_ZONE, f"timezone {LOCAL_ZONE} is taken: the times end in {offset}"
    if offset:
        # Names of this kind count the other way: Etc/GMT-9 is nine hours before UTC.
        zone = f"Etc/GMT{'-' if plain[0] == '+' else '+'}{int(plain[1:3])}"
        return zone, f"timezone {zone} is taken: the times end in {offset}"
    return LOCAL_ZONE, f"timezone: in which zone are the times? Nothing in the file says one; {LOCAL_ZONE} is taken"


def _shapes(parts: Sequence[_Part]) -> list[dict[str, Any]]:
    """A shape for each kind of name; a file that is written unlike another of its kind has one by its own name."""
    by_pattern: dict[str, Mapping[str, Any]] = {}
    by_name: dict[str, Mapping[str, Any]] = {}
    for part in parts:
        name = part.look.source_file.lower().rpartition("/")[2]
        suffixes = Path(name).suffixes
        pattern = "*" + "".join(suffixes[-2:] if name.endswith(".gz") else suffixes[-1:])
        if by_pattern.setdefault(pattern, part.shape) != part.shape:
            by_name[glob.escape(name)] = part.shape
    return [{"pattern": pattern, **shape} for pattern, shape in (by_name | by_pattern).items()]


def _written(path: Path, document: Mapping[str, Any], doubts: Sequence[str]) -> str:
    """The contract in YAML, its doubts above it as comments."""
    lines = [
        f"# A first contract for {_line(path.name)}, drafted by `make contract`. Not sure:",
        *(f"# - {_line(doubt)}" for doubt in doubts),
        f"name: {_flow(document['name'])}",
        f"timezone: {document['timezone']}",
        f"missing: {_flow(document['missing'])}",
        "",
        "shapes:",
    ]
    for shape in document["shapes"]:
        lines += [
            f"  {'- ' if key == 'pattern' else '  '}{key}: {value if key in ('format', 'encoding') else _flow(value)}"
            for key, value in shape.items()
        ]
    lines += ["", "columns:" if document["columns"] else "columns: {}"]
    for name, column in document["columns"].items():
        said = ", ".join(f"{key}: {value if key == 'unit' else _flow(value)}" for key, value in column.items())
        lines.append(f"  {name}: {{{said}}}")
    lines += ["", f"ignored: {_flow(document['ignored'])}"]
    if document["values"]:
        lines.append("values:")
        for name, meanings in document["values"].items():
            lines += [f"  {name}:", *(f"    {_flow(text)}: {_flow(value)}" for text, value in meanings.items())]
    constants = [name for name in document["missing_columns"] if name in _EXAMPLES]
    if constants:
        lines += ["# What is the same for every row and in no column:", "# constants:"]
        lines += [f"#   {name}: {_flow(_EXAMPLES[name])}" for name in constants]
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """A value as JSON, which YAML reads too."""
    return json.dumps(value, ensure_ascii=False)


def _line(text: str) -> str:
    """Text that cannot end the comment that it stands in."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


# The preview ---------------------------------------------------------------------------------------------------------


def _placeholders(document: Mapping[str, Any]) -> str:
    """Required columns that nobody named yet, so that the others can be looked at."""
    constants = {name: _EXAMPLES[name] for name in document["missing_columns"] if name in _EXAMPLES}
    return f"constants: {_flow(constants)}\n" if constants else ""


def _preview(settings: Settings, document: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """What staging and the registry make of the file: sentences on all rows, and the first rows, a line each."""
    if "download_mbps" in document["missing_columns"]:
        return ["no row can be shown before a header is named for download_mbps"], []
    try:
        land(settings, _MONTH)
        stage(settings, _MONTH)
    except UserError as error:
        return [f"the file cannot be read by this contract yet: {_line(error.where)}: {_line(error.found)}"], []
    with open_engine() as engine:
        engine.read_parquet("staging_measurement", *settings.lake_of("staging", _MONTH).glob("*.parquet"))
        absent = [f"{column} is null" for column in REQUIRED]
        unread = engine.rows(
            "select count(*) as n_rows, count(*) filter (where read_error is not null) as n_unreadable, "
            f"count(*) filter (where read_error is null and ({' or '.join(absent)})) as n_empty "
            "from staging_measurement"
        )[0]
        errors = engine.rows(
            "select read_error, count(*) as n_rows, min(row_number) as first_row from staging_measurement "
            "where read_error is not null group by read_error order by n_rows desc, first_row limit 3"
        )
        rows = engine.rows("select * from staging_measurement order by source_file, row_number limit ?", [N_PREVIEW])
        of_places = _places(engine, settings) if (settings.lake / "registry").exists() else []
    counted = [
        f"by this contract, of {unread['n_rows']:,} rows {unread['n_unreadable']:,} would be unreadable and "
        f"{unread['n_empty']:,} more lack what is required"
    ]
    counted += [
        f"unreadable: {_line(error['read_error'][:100])} ({error['n_rows']:,} rows, first row {error['first_row']})"
        for error in errors
    ]
    hidden = ("source_file", "measured_at_text", "measurement_key", "received_at", *document["missing_columns"])
    return [*counted, *of_places], [_shown(row, hidden) for row in rows]


def _places(engine: Engine, settings: Settings) -> list[str]:
    """How many rows name a commune that the registry does not have on that day."""
    policy = read_policy(settings.policy, date.max)
    read_registry(engine, settings.lake / "registry")
    add_policy(engine, policy, _MONTH)
    add_row_reasons(engine, "quarantine_measurement")
    match_places(engine, policy.province.code)
    match_operators(engine)
    engine.create("core_measurement", "core/core_measurement.sql")
    named = engine.rows(
        "select count(*) as n_rows, count(*) filter (where core_measurement.commune_code is null) as n_unknown, "
        "min(coalesce(staging_measurement.commune_name, staging_measurement.commune_code)) "
        "filter (where core_measurement.commune_code is null) as example "
        "from core_measurement inner join staging_measurement using (source_file, row_number) "
        "where staging_measurement.measured_at is not null and staging_measurement.read_error is null "
        "and coalesce(staging_measurement.commune_name, staging_measurement.commune_code) is not null"
    )[0]
    if not named["n_unknown"]:
        return []
    return [
        f"of {named['n_rows']:,} rows with a commune, {named['n_unknown']:,} name none that the registry has on that "
        f"day, such as {_line(named['example'])!r}"
    ]


def _shown(row: Row, hidden: Iterable[str]) -> str:
    cells = [
        f"{name}={value}"
        for name, value in row.items()
        if name != "row_number" and name not in hidden and value is not None
    ]
    return f"row {row['row_number']}: " + _line(", ".join(cells))
