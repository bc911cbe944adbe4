"""The registry: communes, succession, operators, referral codes and organisations, each valid from a day to a day."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ispeed.engine import Engine, open_engine
from ispeed.errors import UserError
from ispeed.lake import registry_lock, replaced_folder, write_json
from ispeed.settings import Settings
from ispeed.text import fold, normalise

BEGINNING = date(1, 1, 1)
OPEN_END = date(9999, 12, 31)
COMMUNE_KINDS = ("xã", "phường", "thị trấn", "đặc khu")
ORGANISATION_KINDS = ("department", "district", "youth_union", "school", "other")
_FILES: Mapping[str, tuple[str, ...]] = {
    "communes": (
        "commune_code",
        "commune_name",
        "kind",
        "district_code",
        "district_name",
        "province_code",
        "province_name",
        "valid_from",
        "valid_to",
    ),
    "commune_succession": ("old_code", "new_code", "effective_date", "whole_or_part"),
    "operators": ("brand", "vnnic_mobile_label", "host_network", "seen_spellings"),
    "referral_codes": ("referral_code", "holder_kind", "holder_code", "valid_from", "valid_to"),
    "organisations": (
        "organisation_code",
        "organisation_name",
        "organisation_kind",
        "district_code",
        "headcount",
        "valid_from",
        "valid_to",
    ),
}


@dataclass(frozen=True)
class Entry:
    """One row of a registry file, with the place it came from. Empty cells are None."""

    place: str
    values: Mapping[str, str | None]

    def text(self, column: str) -> str:
        """The cell's text. Raises `UserError` where it is empty."""
        value = self.values[column]
        if value is None:
            raise UserError(f"{self.place}, column {column}", "nothing", "a value", "fill it in")
        return value

    def day(self, column: str, default: date) -> date:
        value = self.values[column]
        if value is None:
            return default
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise UserError(
                f"{self.place}, column {column}", repr(value), "a date such as 2024-11-01", "correct it"
            ) from error

    @property
    def valid_from(self) -> date:
        return self.day("valid_from", BEGINNING)

    @property
    def valid_to(self) -> date:
        return self.day("valid_to", OPEN_END)


def sync_registry(settings: Settings) -> dict[str, Any]:
    """Read, check and take over the registry files as the lake's registry tables.

    Returns rows per table. Raises `UserError` naming file, row and column of the first thing that is wrong; the
    tables that were there before then stay.
    """
    files = {name: _read_file(settings.registry, name) for name in _FILES}
    tables = _checked_tables(files)
    with (
        registry_lock(settings, to_write=True),
        replaced_folder(settings.lake / "registry") as folder,
        open_engine() as engine,
    ):
        for name, (columns, rows) in tables.items():
            engine.add_rows(name, columns, rows)
            engine.write_parquet(f"select * from {name}", folder / f"{name}.parquet")
        counts = {name: len(rows) for name, (_, rows) in tables.items()}
        write_json(folder / "registry.json", {"n_rows": counts, "files": _file_hashes(settings.registry)})
    return counts


def copy_registry(settings: Settings, target: Path) -> dict[str, str]:
    """Copy the registry as it is now to `target`, so that all that follows sees the same one.

    Returns the sha256 of the files that it was read from. Raises `UserError` where it has not been synced.
    """
    folder = settings.lake / "registry"
    with registry_lock(settings, to_write=False):
        if not (folder / "registry.json").exists():
            raise UserError(f"folder {folder}", "no registry", "the result of sync_registry", "run sync_registry first")
        shutil.copytree(folder, target)
    files: dict[str, str] = json.loads((target / "registry.json").read_text(encoding="utf-8"))["files"]
    return files


def read_registry(engine: Engine, folder: Path) -> None:
    """Make a copy of the registry the relations commune, commune_succession, operator, referral_code, organisation."""
    for path in folder.glob("*.parquet"):
        engine.read_parquet(path.stem, path)


Rows = tuple[dict[str, str], list[tuple[Any, ...]]]


def _checked_tables(files: Mapping[str, Sequence[Entry]]) -> dict[str, Rows]:
    """The registry tables from the files' entries. Raises `UserError` at the first thing that is wrong."""
    for name, code in (
        ("communes", "commune_code"),
        ("referral_codes", "referral_code"),
        ("organisations", "organisation_code"),
    ):
        _check_validity(files[name], code)
    _check_holders(files)
    _check_succession(files)
    validity = {"valid_from": "date", "valid_to": "date"}
    return {
        "commune": (
            dict.fromkeys((*_FILES["communes"][:7], "full_name"), "text") | validity,
            [
                (
                    entry.text("commune_code"),
                    entry.text("commune_name"),
                    _one_of(entry, "kind", COMMUNE_KINDS),
                    entry.values["district_code"],
                    entry.values["district_name"],
                    entry.text("province_code"),
                    entry.values["province_name"],
                    f"{entry.text('kind').capitalize()} {entry.text('commune_name')}",
                    entry.valid_from,
                    entry.valid_to,
                )
                for entry in files["communes"]
            ],
        ),
        "commune_succession": (
            {"old_code": "text", "new_code": "text", "effective_date": "date", "whole_or_part": "text"},
            [
                (e.text("old_code"), e.text("new_code"), e.day("effective_date", BEGINNING), e.text("whole_or_part"))
                for e in files["commune_succession"]
            ],
        ),
        "operator": ({"spelling": "text", "brand": "text", "host_network": "text"}, _spellings(files["operators"])),
        "referral_code": (
            dict.fromkeys(("referral_code", "holder_kind", "holder_code"), "text") | validity,
            [
                (
                    e.text("referral_code").upper(),
                    e.text("holder_kind"),
                    e.text("holder_code"),
                    e.valid_from,
                    e.valid_to,
                )
                for e in files["referral_codes"]
            ],
        ),
        "organisation": (
            dict.fromkeys(("organisation_code", "organisation_name", "organisation_kind", "district_code"), "text")
            | {"headcount": "integer"}
            | validity,
            [
                (
                    e.text("organisation_code"),
                    e.text("organisation_name"),
                    _one_of(e, "organisation_kind", ORGANISATION_KINDS),
                    e.values["district_code"],
                    _whole_number(e, "headcount"),
                    e.valid_from,
                    e.valid_to,
                )
                for e in files["organisations"]
            ],
        ),
    }


def _spellings(entries: Iterable[Entry]) -> list[tuple[Any, ...]]:
    """Every spelling of every brand, folded. Raises `UserError` where one means two brands."""
    found: dict[str, tuple[Any, ...]] = {}
    for entry in entries:
        brand = entry.text("brand")
        texts = [brand, entry.values["vnnic_mobile_label"], *(entry.values["seen_spellings"] or "").split("|")]
        for text in filter(None, texts):
            row = (fold(text), brand, entry.values["host_network"])
            if found.setdefault(fold(text), row) != row:
                raise UserError(
                    f"{entry.place}, column seen_spellings",
                    f"{text!r}, which also means {found[fold(text)][1]}",
                    "each spelling with one brand",
                    "remove it from one of them",
                )
    return list(found.values())


def _check_validity(entries: Sequence[Entry], code: str) -> None:
    """No row that ends before it begins; no code with two meanings on one day."""
    by_code: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.valid_from > entry.valid_to:
            raise UserError(
                f"{entry.place}, column valid_to",
                f"{entry.valid_to}, before valid_from {entry.valid_from}",
                "a day on or after it",
                "correct one of the two",
            )
        by_code[normalise(entry.text(code)).upper()].append(entry)
    for same in by_code.values():
        same.sort(key=lambda entry: entry.valid_from)
        for earlier, later in zip(same, same[1:], strict=False):
            if later.valid_from <= earlier.valid_to:
                raise UserError(
                    f"{later.place}, column valid_from",
                    f"{later.text(code)} valid from {later.valid_from}, while {earlier.place} holds it until "
                    f"{earlier.valid_to}",
                    "one meaning of a code on any day",
                    "end the earlier one the day before, or correct the code",
                )


def _check_holders(files: Mapping[str, Sequence[Entry]]) -> None:
    """Every referral code is held by a commune or organisation that exists on at least one of its days.

    On all of them would be too much to ask: few who keep such a list end a code on the day when its commune merges.
    """
    holders: dict[tuple[str, str], list[tuple[date, date]]] = defaultdict(list)
    for kind, name, code in (
        ("commune", "communes", "commune_code"),
        ("organisation", "organisations", "organisation_code"),
    ):
        for entry in files[name]:
            holders[kind, entry.text(code)].append((entry.valid_from, entry.valid_to))
    for entry in files["referral_codes"]:
        kind = _one_of(entry, "holder_kind", ("commune", "organisation"))
        spans = holders[kind, entry.text("holder_code")]
        if not any(first <= entry.valid_to and entry.valid_from <= last for first, last in spans):
            raise UserError(
                f"{entry.place}, column holder_code",
                f"{entry.text('holder_code')}, no {kind} on any day from {entry.valid_from} to {entry.valid_to}",
                f"a {kind} that exists while the code is valid",
                "correct the holder, or end the code with it",
            )


def _check_succession(files: Mapping[str, Sequence[Entry]]) -> None:
    """Both codes of a succession exist: the old one on the day before, the new one on the day."""
    spans: dict[str, list[tuple[date, date]]] = defaultdict(list)
    for entry in files["communes"]:
        spans[entry.text("commune_code")].append((entry.valid_from, entry.valid_to))
    for entry in files["commune_succession"]:
        day = entry.day("effective_date", BEGINNING)
        before = date.fromordinal(max(day.toordinal() - 1, 1))
        for column, code, on in (
            ("old_code", entry.text("old_code"), before),
            ("new_code", entry.text("new_code"), day),
        ):
            if not any(first <= on <= last for first, last in spans[code]):
                raise UserError(
                    f"{entry.place}, column {column}", f"{code}", f"a commune valid on {on}", "correct code or date"
                )


def _one_of(entry: Entry, column: str, allowed: Sequence[str]) -> str:
    value = entry.text(column)
    if value not in allowed:
        raise UserError(f"{entry.place}, column {column}", repr(value), " or ".join(allowed), "correct it")
    return value


def _whole_number(entry: Entry, column: str) -> int | None:
    value = entry.values[column]
    if value is None:
        return None
    if not value.isdecimal() or len(value) > 9:
        raise UserError(f"{entry.place}, column {column}", repr(value), "a whole number", "correct it")
    return int(value)


def _file_hashes(folder: Path) -> dict[str, str]:
    """sha256 of each registry file, by name."""
    paths = [path for name in _FILES for path in sorted(folder.glob(f"{name}.*")) if path.suffix in (".csv", ".xlsx")]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _read_file(folder: Path, name: str) -> list[Entry]:
    readers: Mapping[str, Callable[[Path], list[list[str]]]] = {".csv": _read_csv, ".xlsx": _read_xlsx}
    paths = [folder / f"{name}{suffix}" for suffix in readers if (folder / f"{name}{suffix}").exists()]
    if len(paths) != 1:
        raise UserError(
            f"folder {folder}",
            "both " + " and ".join(path.name for path in paths) if paths else f"neither {name}.csv nor {name}.xlsx",
            f"one of {name}.csv and {name}.xlsx",
            "put it there (include/registry holds a first version)" if not paths else "remove one",
        )
    path = paths[0]
    rows = readers[path.suffix](path)
    header = rows[0] if rows else []
    for column in _FILES[name]:
        if header.count(column) != 1:
            raise UserError(
                f"file {path.name}, row 1",
                f"{header.count(column)} columns {column}; the headers are: " + ", ".join(header),
                "the columns " + ", ".join(_FILES[name]),
                "add or rename the column",
            )
    places = [header.index(column) for column in _FILES[name]]
    return [
        Entry(
            f"file {path.name}, row {number}",
            {
                column: row[place].strip() or None if place < len(row) else None
                for column, place in zip(_FILES[name], places, strict=True)
            },
        )
        for number, row in enumerate(rows[1:], start=2)
        if any(cell.strip() for cell in row)
    ]


def _read_csv(path: Path) -> list[list[str]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return list(csv.reader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"file {path.name}", str(error), "a csv file in UTF-8", "save it as CSV UTF-8") from error


def _read_xlsx(path: Path) -> list[list[str]]:
    """The first sheet's cells as text: dates as ISO days, whole numbers without a decimal point."""
    from zipfile import BadZipFile

    from openpyxl import load_workbook  # a second to import, and only where a file is an Excel file
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        workbook = load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, KeyError, InvalidFileException) as error:
        raise UserError(f"file {path.name}", str(error), "an Excel workbook", "save it as .xlsx again") from error
    try:
        return [[_cell_text(cell) for cell in row] for row in workbook.worksheets[0].iter_rows(values_only=True)]
    finally:
        workbook.close()


def _cell_text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.date().isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
