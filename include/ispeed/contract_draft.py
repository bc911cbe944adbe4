"""A first source contract for an unknown export: what its bytes, headers and values say, and what they do not."""

from __future__ import annotations

import glob
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final

from ispeed.column_look import (
    SENTINELS,
    Column,
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
from ispeed.column_meaning import FIGURES, TECHNOLOGIES, Meaning, meanings_of, rivals_of
from ispeed.contract_preview import PLACEHOLDERS, TIME_FORMAT, landed_alone, one_line
from ispeed.contracts import COLUMNS, CONSTANTS, REQUIRED
from ispeed.engine import DuckDB, open_engine
from ispeed.errors import UserError
from ispeed.export_look import Look, look_at
from ispeed.landing import read_landing
from ispeed.months import LOCAL_ZONE, Month
from ispeed.policy import TECHNOLOGY_NETWORK
from ispeed.registry import read_registry
from ispeed.settings import Settings
from ispeed.text import fold, fold_place, split_kind

_OWN_UNITS: Final = ("Mbit/s", "ms", "%", "m")
# Any file may land, so that it can be looked at by the readers that would read it.
_ANY_FILE: Final = {"name": "any", "timezone": "UTC", "missing": [], "columns": {}} | {
    "shapes": [{"pattern": "*", "format": "jsonl", "timestamp_formats": [TIME_FORMAT]}]
}


@dataclass(frozen=True)
class ContractDraft:
    """A contract as text, and `doubts` on it as sentences, which stand at its top too."""

    text: str
    doubts: tuple[str, ...]


def draft_contract(path: Path, registry: Path) -> ContractDraft:
    """Look at an export (csv, xlsx, json, jsonl, Parquet, packed as .gz or .zip) and draft its contract.

    `registry` is the lake's folder of registry tables: by them operators, provinces and communes are known. Raises
    `UserError` where the export holds no table that could be read.
    """
    with landed_alone(path, json.dumps(_ANY_FILE)) as (settings, month), open_engine() as engine:
        read_registry(engine, registry)
        looks, of_members = _looks(settings, month)
        parts = [_read_part(engine, look, len(looks) > 1) for look in looks]
    document, of_parts = _put_together(path, parts)
    doubts = [*of_members, *of_parts]
    return ContractDraft(_written(path, document, doubts), tuple(doubts))


def _looks(settings: Settings, month: Month) -> tuple[list[Look], list[str]]:
    """A look at each file; a member of an archive that holds no table is a doubt, unless none does."""
    sources = read_landing(settings, month).sources(settings, month)
    looks: list[Look] = []
    doubts: list[str] = []
    for file in sources:
        try:
            looks.append(look_at(settings, month, file))
        except UserError as error:
            if not file.member or (file is sources[-1] and not looks):
                raise
            doubts.append(
                f"{file.source_file}: {error.found}; no month lands with a file that no shape fits: have it left out"
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


def _read_part(engine: DuckDB, look: Look, is_one_of_many: bool) -> _Part:
    meanings = meanings_of(look.columns, _known_values(engine))
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
        | {**look.shape, **marks, "timestamp_formats": formats or [TIME_FORMAT]},
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
            [f"nothing says how times are written: {TIME_FORMAT} stands for it"],
            "",
        )
    column = meanings["measured_at"].column
    formats, doubts = timestamp_formats_of(column)
    if not formats and not column.has_times_alone:
        hint = time_hint(column, look.format)
        if look.format != "xlsx" or column.written or not hint:
            doubts.append(f"no format fits the times of {column.header!r}: {TIME_FORMAT} stands for it")
        doubts += [hint] if hint else []
    elif formats and not any("%H" in form or "%-H" in form or "I" in form for form in formats):
        doubts.append(f"{column.header}: a day without a time; each counts as 00:00")
    return formats, doubts, offset_of(column) if formats else ""


def _doubts_on_meanings(look: Look, meanings: Mapping[str, Meaning]) -> list[str]:
    doubts = []
    for name, meaning in meanings.items():
        header, likeness = meaning.column.header, meaning.likeness
        if likeness < 1.0:
            why = f"the names are alike ({likeness:.0%})" if likeness else "its values say so, not its name"
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
    not_read = [column for column in look.columns if not any(column is other for other in taken)]
    if not_read:
        doubts.append("not read, since nothing says what they are: " + "; ".join(map(_sketched, not_read)))
    return doubts


def _sketched(column: Column) -> str:
    """A column's header and three of its values; where nearly every row has another, they may tell of persons."""
    values = list(dict.fromkeys(column.filled))
    if not values:
        return f"{column.header!r} (empty)"
    if len(values) > 200 or (len(values) > 20 and len(values) * 10 > len(column.filled)):
        return f"{column.header!r} ({len(values):,} different values)"
    return f"{column.header!r} ({', '.join(value[:40] for value in values[:3])}{', …' if len(values) > 3 else ''})"


# Values --------------------------------------------------------------------------------------------------------------


def _values(engine: DuckDB, meanings: Mapping[str, Meaning]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Spellings of technologies, operators and provinces that we know the meaning of, and doubts on the others."""
    values: dict[str, dict[str, str]] = {}
    doubts = []
    for name, known, likely in (
        ("technology", {fold(own): own for own in TECHNOLOGY_NETWORK}, TECHNOLOGIES),
        ("operator", _operators(engine), {}),
        ("province_code", {code: code for code in _provinces(engine).values()}, _provinces(engine)),
    ):
        if name not in meanings:
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


def _known_values(engine: DuckDB) -> dict[str, Callable[[str], bool]]:
    """How to know a value of ours by itself, for the columns of words of which the registry or the policy knows all.

    Districts come first: since 07/2025 there are communes by their names.
    """
    technologies = {*map(fold, TECHNOLOGY_NETWORK), *TECHNOLOGIES}
    communes = engine.rows("select commune_code, commune_name, district_name from commune")
    operators = _operators(engine)
    districts = {split_kind(row["district_name"])[1] for row in communes if row["district_name"]}
    names = {fold_place(row["commune_name"]) for row in communes}
    commune_codes = {row["commune_code"] for row in communes}
    referral_codes = {row["referral_code"] for row in engine.rows("select referral_code from referral_code")}
    return {
        "technology": lambda text: fold(text) in technologies,
        "operator": lambda text: fold(text) in operators or _likest(text, operators) is not None,
        "district_name": lambda text: split_kind(text)[1] in districts,
        "commune_name": lambda text: split_kind(text)[1] in names,
        "commune_code": lambda text: text in commune_codes,
        "referral_code": lambda text: text.upper() in referral_codes,
    }


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


def _operators(engine: DuckDB) -> dict[str, str]:
    return {row["spelling"]: row["brand"] for row in engine.rows("select spelling, brand from operator")}


def _provinces(engine: DuckDB) -> dict[str, str]:
    """The code of each province by its name, without Tỉnh, with accents and without."""
    rows = engine.rows("select distinct province_name, province_code from commune where province_name is not null")
    return {
        spelled: row["province_code"]
        for row in rows
        for text in (row["province_name"], split_kind(row["province_name"])[1])
        for spelled in (fold(text), _plain(text))
    }


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
        f"{part.look.source_file}: written unlike the other {pattern}, so its shape goes by its name; give it a "
        "pattern that the files of other months have too"
        for part in parts
        if part.shape != _shape_of_pattern(parts)[pattern := _pattern_of(part)]
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
    by_pattern = _shape_of_pattern(parts)
    by_name = {glob.escape(_name_of(part)): part.shape for part in parts if part.shape != by_pattern[_pattern_of(part)]}
    return [{"pattern": pattern, **shape} for pattern, shape in (by_name | by_pattern).items()]


def _shape_of_pattern(parts: Sequence[_Part]) -> dict[str, Mapping[str, Any]]:
    return {_pattern_of(part): part.shape for part in reversed(parts)}


def _pattern_of(part: _Part) -> str:
    name = _name_of(part)
    suffixes = Path(name).suffixes
    return "*" + "".join(suffixes[-2:] if name.endswith(".gz") else suffixes[-1:])


def _name_of(part: _Part) -> str:
    return part.look.source_file.lower().rpartition("/")[2]


def _written(path: Path, document: Mapping[str, Any], doubts: Sequence[str]) -> str:
    """The contract in YAML, its doubts above it as comments."""
    lines = [
        f"# A first contract for {one_line(path.name)}, drafted by `make contract`. Not sure:",
        *(f"# - {one_line(doubt)}" for doubt in doubts),
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
    constants = [name for name in document["missing_columns"] if name in PLACEHOLDERS]
    if constants:
        lines += ["# What is the same for every row and in no column:", "# constants:"]
        lines += [f"#   {name}: {_flow(PLACEHOLDERS[name])}" for name in constants]
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """A value as JSON, which YAML reads too."""
    return json.dumps(value, ensure_ascii=False)
