"""The source contract: how one export format is to be read. What it does not declare is not guessed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from ispeed.errors import UserError
from ispeed.legacy_codecs import register
from ispeed.months import Month
from ispeed.policy import TECHNOLOGY_NETWORK
from ispeed.settings import INCLUDE
from ispeed.text import fold

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

register()

# The columns that staging knows, in the order of `staging_measurement.sql`.
COLUMNS = (
    "measurement_id",
    "measured_at",
    "device_id",
    "referral_code",
    "province_code",
    "district_code",
    "district_name",
    "commune_code",
    "commune_name",
    "operator",
    "technology",
    "download_mbps",
    "upload_mbps",
    "ping_ms",
    "jitter_ms",
    "packet_loss_pct",
    "latitude",
    "longitude",
    "location_accuracy_m",
    "os",
    "device_model",
    "app_version",
)
CODES = tuple(column for column in COLUMNS if column.rpartition("_")[2] in ("id", "code"))
REQUIRED = ("measured_at", "technology", "download_mbps")
# Columns of words, which other systems spell in their own way: a contract may say what their values mean.
WORDS = (
    "referral_code",
    "province_code",
    "district_code",
    "district_name",
    "commune_code",
    "commune_name",
    "operator",
    "technology",
    "os",
    "device_model",
    "app_version",
)
# Columns that may be the same for every row. One id, device or figure for all of them would make something up.
CONSTANTS = ("measured_at", *WORDS)

# A unit of an export by (times, per): value × times ÷ per is in our unit, which the column's name ends with. One of
# the two is 1, so that the result is rounded once.
UNITS: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "mbps": {
        "bit/s": (1, 1_000_000),
        "kbit/s": (1, 1_000),
        "Mbit/s": (1, 1),
        "Mbps": (1, 1),
        "Gbit/s": (1_000, 1),
        "B/s": (1, 125_000),
        "kB/s": (1, 125),
        "MB/s": (8, 1),
    },
    "ms": {"us": (1, 1_000), "ms": (1, 1), "s": (1_000, 1)},
    "pct": {"%": (1, 1), "share": (100, 1)},
    "m": {"m": (1, 1), "km": (1_000, 1)},
}


# What ends lines, and what stands for an empty one while a text is read.
_LINE_MARKS = ("\r", "\n", "\x1e")


@dataclass(frozen=True)
class Shape:
    """How files of one name pattern are written.

    Encoding, delimiter and quote ('' for none) are for text files, sheet and header row for workbooks; `decimal` and
    `thousands` are those of numbers written as text. No sheet named: the first visible one. No header row named: the
    first that has every required header.
    """

    pattern: str
    timestamp_formats: tuple[str, ...]
    format: str = "csv"
    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    decimal: str = "."
    thousands: str = ""
    sheet: str | None = None
    header_row: int | None = None


@dataclass(frozen=True)
class Header:
    """A header text that a column may have, from month `valid_from` (YYYY-MM) on where it is not None."""

    text: str
    valid_from: str | None = None

    def is_valid_in(self, month: Month) -> bool:
        return self.valid_from is None or self.valid_from <= str(month)


@dataclass(frozen=True)
class Contract:
    """One export format. `headers` maps each of our columns to the headers it may have.

    `missing` are texts that stand for nothing, `missing_figures` numbers that do, however they are written. `units` are
    those of columns that are not in ours. `values` says by column what folded texts mean, `constants` what every row
    has.
    """

    name: str
    timezone: str
    missing: tuple[str, ...]
    missing_figures: tuple[float, ...]
    shapes: tuple[Shape, ...]
    headers: Mapping[str, tuple[Header, ...]]
    units: Mapping[str, str]
    required: tuple[str, ...]
    ignored: tuple[str, ...]
    constants: Mapping[str, str]
    values: Mapping[str, Mapping[str, str]]

    @property
    def fingerprint(self) -> str:
        """sha256 of what the contract says, whatever its comments."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def shape_of(self, file_name: str) -> Shape:
        """The first shape whose pattern fits the name, or a member's own name in `archive.zip/member.csv`.

        Raises `UserError` where none does.
        """
        names = {file_name.lower(), file_name.lower().rpartition("/")[2]}
        for shape in self.shapes:
            if any(fnmatchcase(name, shape.pattern.lower()) for name in names):
                return shape
        raise UserError(
            f"file {file_name}",
            "no shape of the source contract fits its name",
            "a name like one of " + ", ".join(shape.pattern for shape in self.shapes),
            "rename or convert the file, or declare its shape in the source contract",
        )

    def unit_of(self, column: str) -> tuple[int, int]:
        """(times, per): a value of the export × times ÷ per is in our unit."""
        return UNITS[column.rpartition("_")[2]][self.units[column]] if column in self.units else (1, 1)

    def has_required(self, found: Sequence[str], month: Month) -> bool:
        """Whether these header texts hold one for each required column in that month."""
        column_of = self._columns_by_header(month)
        there = {column_of.get(fold(text)) for text in found}
        return all(column in self.constants or column in there for column in self.required)

    def _columns_by_header(self, month: Month) -> dict[str, str]:
        return {
            fold(header.text): column
            for column, headers in self.headers.items()
            for header in headers
            if header.is_valid_in(month)
        }

    def match_headers(self, file_name: str, found: Sequence[str], month: Month, row: int = 1) -> list[str | None]:
        """Our column for each header of a file of that month, None for one that is not declared.

        Raises `UserError` where a required column is missing or two headers mean the same column.
        """
        column_of = self._columns_by_header(month)
        columns = [column_of.get(fold(text)) for text in found]
        for column in COLUMNS:
            if columns.count(column) > 1:
                raise UserError(
                    f"file {file_name}, row {row}",
                    f"{columns.count(column)} headers for {column}: "
                    + ", ".join(text for text, name in zip(found, columns, strict=True) if name == column),
                    "one",
                    "remove one of the columns, or correct the source contract",
                )
        for column in self.required:
            if column not in columns and column not in self.constants:
                headers = self.headers.get(column, ())
                # What a decoder puts in place of bytes that it cannot read: no header is to be added for these.
                is_text = not any("\ufffd" in text for text in found)
                raise UserError(
                    f"file {file_name}, row {row}",
                    f"no header for the required column {column}; the headers are: " + (", ".join(found) or "none")
                    if is_text
                    else f"bytes that are no text, and no header for the required column {column}",
                    f"one of {', '.join(map(_described, headers))}" if headers else f"a declared {column}",
                    f"add the new header text under columns.{column}.headers of the source contract"
                    if is_text
                    else "correct `encoding` of the shape in the source contract, or export the file again",
                )
        return columns


def _described(header: Header) -> str:
    return repr(header.text) + (f" ({header.valid_from} →)" if header.valid_from else "")


def read_contract(path: Path) -> Contract:
    """Read a contract. Raises `UserError` naming the file, the line and the key that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
        places = _Places(path, yaml.compose(text, Loader=yaml.SafeLoader))
        document = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(str(path), str(error), "a source contract in YAML", "mend or restore the file") from error
    _check_form(places, document)
    contract = Contract(
        name=document["name"],
        timezone=document["timezone"],
        missing=tuple(map(_written, document["missing"])),
        missing_figures=tuple(float(mark) for mark in document["missing"] if not isinstance(mark, str)),
        shapes=tuple(_read_shape(shape) for shape in document["shapes"]),
        headers={column: tuple(map(_read_header, entry["headers"])) for column, entry in document["columns"].items()},
        units={column: entry["unit"] for column, entry in document["columns"].items() if "unit" in entry},
        required=tuple(
            column
            for column in COLUMNS
            if column in REQUIRED or document["columns"].get(column, {}).get("required", False)
        ),
        ignored=tuple(document.get("ignored", ())),
        constants=dict(document.get("constants", {})),
        values={
            column: {fold(found): value for found, value in mapping.items()}
            for column, mapping in document.get("values", {}).items()
        },
    )
    _check_columns(places, document)
    _check_values(places, document)
    _check_contract(places, contract)
    return contract


Key = tuple[str | int, ...]


class _Places:
    """Where in the file each key stands.

    Raises `UserError` where a key is there twice, of which YAML would take the last, or is no text: without quotes 056
    is 46, and no is false.
    """

    def __init__(self, path: Path, root: yaml.Node | None) -> None:
        self._path = path
        self._line_of: dict[Key, int] = {}
        if root is not None:
            self._note((), root)

    def _note(self, key: Key, node: yaml.Node) -> None:
        self._line_of.setdefault(key, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                inner = (*key, str(name.value))
                if name.tag != "tag:yaml.org,2002:str":
                    raise UserError(
                        f"{self._path}, line {name.start_mark.line + 1}, {_dotted(inner)}",
                        f"{name.value}, which YAML does not read as text",
                        "a text as key",
                        f'write it in quotes: "{name.value}"',
                    )
                if inner in self._line_of:
                    raise UserError(
                        f"{self._path}, line {name.start_mark.line + 1}, {_dotted(inner)}",
                        f"the same key as in line {self._line_of[inner]}",
                        "each key once",
                        "put the two together",
                    )
                self._line_of[inner] = name.start_mark.line + 1
                self._note(inner, value)
        elif isinstance(node, yaml.SequenceNode):
            for place, value in enumerate(node.value):
                self._note((*key, place), value)

    def line_of(self, key: Key) -> int:
        """The line of a key, else of the nearest one that holds it."""
        while key and key not in self._line_of:
            key = key[:-1]
        return self._line_of.get(key, 1)

    def where(self, *key: str | int) -> str:
        return f"{self._path}, line {self.line_of(key)}" + (f", {_dotted(key)}" if key else "")


def _dotted(key: Key) -> str:
    return ".".join(map(str, key))


def _check_form(places: _Places, document: Any) -> None:
    """Raise `UserError` naming the first key that the schema of contracts does not allow."""
    from jsonschema import Draft202012Validator  # a third of a second, and only where a contract is read

    schema = json.loads((INCLUDE / "sources" / "contract.schema.json").read_text(encoding="utf-8"))
    errors = [
        ((*error.absolute_path, *_unknown_key(error)), error)
        for error in Draft202012Validator(schema).iter_errors(document)
    ]
    if errors:
        key, error = min(errors, key=lambda found: places.line_of(found[0]))
        raise UserError(
            places.where(*key),
            "a key that files of this format do not have" if error.validator == "not" else error.message,
            "what include/sources/contract.schema.json allows",
            "compare with include/sources/ispeed.yaml",
        )


def _unknown_key(error: ValidationError) -> tuple[str, ...]:
    """The first key that the schema does not know; such an error itself names only what holds it."""
    unknown = re.search(r"\('([^']*)' was unexpected\)|\('([^']*)', ", error.message)
    return (unknown[1] or unknown[2],) if unknown and "dditionalProperties" in str(error.validator) else ()


def _read_shape(shape: dict[str, Any]) -> Shape:
    return Shape(**{**shape, "timestamp_formats": tuple(shape["timestamp_formats"])})


def _read_header(entry: str | dict[str, str]) -> Header:
    return Header(entry) if isinstance(entry, str) else Header(**entry)


def _written(mark: str | float) -> str:
    return mark if isinstance(mark, str) else str(int(mark) if mark == int(mark) else mark)


def _check_columns(places: _Places, document: dict[str, Any]) -> None:
    for part, allowed in (("columns", COLUMNS), ("constants", CONSTANTS), ("values", WORDS)):
        for name in document.get(part, ()):
            if name not in allowed:
                what = "no column that this can be said of" if name in COLUMNS else "not a column of ours"
                raise UserError(places.where(part, name), what, f"one of {', '.join(allowed)}", "correct or remove it")
    means: dict[str, str] = {}
    for column, entry in document["columns"].items():
        for place, header in enumerate(map(_read_header, entry["headers"])):
            other = means.setdefault(fold(header.text), column)
            if other != column:
                raise UserError(
                    places.where("columns", column, "headers", place),
                    f"{header.text!r}, which is also a header of {other}",
                    "each header for one column",
                    "remove it from one of them",
                )
        if column in document.get("constants", ()):
            raise UserError(
                places.where("constants", column),
                "a constant for a column that has headers",
                "one of the two: a constant would hide what the file says",
                f"remove it, or columns.{column}",
            )
        known = UNITS.get(column.rpartition("_")[2], {})
        if "unit" in entry and entry["unit"] not in known:
            raise UserError(
                places.where("columns", column, "unit"),
                repr(entry["unit"]),
                f"one of {', '.join(known)}" if known else "no unit for this column",
                "correct or remove it",
            )
    for place, text in enumerate(document.get("ignored", ())):
        if fold(text) in means:
            raise UserError(
                places.where("ignored", place),
                f"{text!r}, which is also a header of {means[fold(text)]}",
                "a header that is either read or not",
                "remove it from one of them",
            )


def _check_values(places: _Places, document: dict[str, Any]) -> None:
    """What texts are said to mean: each text one thing, none of them also nothing, and technologies that there are."""
    nothing = {fold(mark) for mark in document["missing"] if isinstance(mark, str)}
    for column, mapping in document.get("values", {}).items():
        seen: dict[str, str] = {}
        for text, value in mapping.items():
            where = places.where("values", column, text)
            if seen.setdefault(fold(text), text) != text:
                raise UserError(
                    where, f"the same text as {seen[fold(text)]!r}, but for case or marks", "it once", "remove one"
                )
            if fold(text) in nothing:
                raise UserError(
                    where, "a text that stands for nothing", "a text that is not in missing", "remove it from one"
                )
            if column == "technology":
                _check_technology(where, value)
    if "technology" in document.get("constants", {}):
        _check_technology(places.where("constants", "technology"), document["constants"]["technology"])


def _check_technology(where: str, name: str) -> None:
    if name not in TECHNOLOGY_NETWORK:
        raise UserError(where, repr(name), f"one of {', '.join(TECHNOLOGY_NETWORK)}", "correct it")


def _check_contract(places: _Places, contract: Contract) -> None:
    try:
        ZoneInfo(contract.timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UserError(
            places.where("timezone"), repr(contract.timezone), "a zone such as Asia/Ho_Chi_Minh", "correct it"
        ) from error
    patterns = [shape.pattern.lower() for shape in contract.shapes]
    for place, shape in enumerate(contract.shapes):
        if (first := patterns.index(patterns[place])) < place:
            raise UserError(
                places.where("shapes", place, "pattern"),
                f"{shape.pattern!r}, the same as shape {first}, which every such file is read by",
                "another pattern",
                "put the two together, or tell the files apart by their names",
            )
        try:
            b"0000".decode(shape.encoding, "replace")
        except (LookupError, UnicodeError) as error:
            raise UserError(
                places.where("shapes", place, "encoding"),
                repr(shape.encoding),
                "one such as utf-8, utf-16, cp1258, tcvn3",
                "correct it",
            ) from error
        marks = (shape.delimiter, shape.quote)
        if shape.delimiter == shape.quote or any(mark in _LINE_MARKS for mark in marks) or not shape.quote.isascii():
            raise UserError(
                places.where("shapes", place, "delimiter"),
                f"delimiter {shape.delimiter!r} and quote {shape.quote!r}",
                "two characters, neither a line end nor a record separator, and the quote one of ASCII",
                "declare how the export is delimited and quoted",
            )
        if shape.decimal == shape.thousands:
            raise UserError(
                places.where("shapes", place, "decimal"),
                f"decimal {shape.decimal!r} and thousands {shape.thousands!r}",
                "decimal '.' or ',' and another mark (or none) for thousands",
                "declare how the export writes numbers",
            )
        _check_times(places, place, shape, contract.constants.get("measured_at"))


def _check_times(places: _Places, place: int, shape: Shape, constant: str | None) -> None:
    """No two formats that the same digits fit: whichever stood first would decide which is day and which is month."""
    forms: dict[str, str] = {}
    for number, form in enumerate(shape.timestamp_formats):
        if re.search(r"%-.%|%\w%-", form):
            raise UserError(
                places.where("shapes", place, "timestamp_formats", number),
                f"{form}: numbers of one or two digits with nothing between them",
                "a mark between them, or numbers of two digits",
                "correct the format; if the export is so, ask for another",
            )
        padded = form.replace("%-", "%")
        other = forms.setdefault(timestamp_pattern(padded), padded)
        if other != padded:
            raise UserError(
                places.where("shapes", place, "timestamp_formats", number),
                f"{form}, which the same texts fit as {other}",
                "formats that tell a text apart",
                "declare the one that the export has; files that differ need a shape each",
            )
    if constant is not None and not any(reads_time(form, constant) for form in shape.timestamp_formats):
        raise UserError(
            places.where("constants", "measured_at"),
            repr(constant),
            f"one of {', '.join(shape.timestamp_formats)}, as shape {shape.pattern} has it",
            "write the time as the shapes declare it",
        )


_DIGITS = {"%d": 2, "%m": 2, "%Y": 4, "%y": 2, "%H": 2, "%I": 2, "%M": 2, "%S": 2, "%j": 3}


def timestamp_pattern(form: str) -> str:
    """A format's regular expression: strptime alone would also take 1/10/24 for %d/%m/%Y. %-d has one digit or two."""
    return "".join(
        f"[0-9]{{{_DIGITS[part]}}}"
        if part in _DIGITS
        else f"[0-9]{{1,{_DIGITS['%' + part[2:]]}}}"
        if part.startswith("%-")
        else ".+"
        if part.startswith("%")
        else re.escape(part)
        for part in re.split(r"(%-?[A-Za-z])", form)
    )


def reads_time(form: str, text: str) -> bool:
    """Whether staging reads a text by this format."""
    if not re.fullmatch(timestamp_pattern(form), text):
        return False
    try:
        # Python has no %-d, %g (milliseconds) or %n (nanoseconds); DuckDB has.
        datetime.strptime(text, form.replace("%-", "%").replace("%g", "%f").replace("%n", "%f"))
    except ValueError:
        return False
    return True
