"""Any table of measurements, written in any declared shape, is read back as the same rows.

The writers share no code with the readers. `pytest tests/hostile/test_round_trip.py --hypothesis-profile=search` looks
at thousands of other tables.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import xlsxwriter
import yaml
from hypothesis import given, note
from hypothesis import strategies as st

from ispeed.engine import open_engine
from ispeed.landing import land
from ispeed.months import Month
from ispeed.settings import INCLUDE
from ispeed.staging import stage
from pipeline import settings_in

MONTH = Month(2024, 10)
DEVICE_KEY = "for tests"
CONTRACT = yaml.safe_load((INCLUDE / "sources" / "ispeed.yaml").read_text(encoding="utf-8"))
CODES = ("measurement_id", "device_id", "referral_code", "province_code", "district_code", "commune_code")
NAMES = ("district_name", "commune_name", "operator", "os", "device_model", "app_version")
FIGURES = (
    "upload_mbps",
    "ping_ms",
    "jitter_ms",
    "packet_loss_pct",
    "latitude",
    "longitude",
    "location_accuracy_m",
)
OPTIONAL = CODES + NAMES + FIGURES
TECHNOLOGIES = ("2G", "3G", "4G", "5G", "WiFi", "Cố định")
ZONES = ("Asia/Ho_Chi_Minh", "UTC", "Asia/Tokyo")
TIME_FORMATS = (
    "%d/%m/%Y %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y%m%d%H%M%S",
    "%m-%d-%y %I:%M:%S %p",
    "%d %b %Y, %H:%M:%S",
    "%Y-%m-%d %H:%M:%S.%f",
)
ENCODINGS = (
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "cp1258",
    "tcvn3",
    "gb18030",
    "shift_jis",
    "latin-1",
)
MISSING = ("", "NULL", "-")
# A code that was taken for a number is told and not read: Excel's form of a long one, a data frame's mark for none.
LOST_CODE = re.compile(r"[0-9]([.,][0-9]+)?[eE]\+[0-9]+|nan|NaN|NAN")

Row = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """How one file of the month is declared and written."""

    kind: str
    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    quotes_all: bool = False
    end: str = "\n"
    decimal: str = "."
    thousands: str = ""
    time_format: str = TIME_FORMATS[0]
    missing: str = ""
    as_text: bool = False
    columns: tuple[str, ...] = ()
    undeclared: str | None = None

    def declare(self, pattern: str) -> dict[str, Any]:
        common = {"pattern": pattern, "decimal": self.decimal, "timestamp_formats": [self.time_format]}
        if self.kind in ("csv", "csv.gz", "zip"):
            text = {"encoding": self.encoding, "delimiter": self.delimiter, "quote": self.quote}
            return common | text | {"thousands": self.thousands}
        if self.kind in ("json", "jsonl"):
            return common | {"format": self.kind, "encoding": self.encoding, "thousands": self.thousands}
        return common | {"format": self.kind, "thousands": self.thousands}


# --- any table --------------------------------------------------------------------------------------------------------

# What breaks readers is not evenly spread over Unicode.
NASTY = list("\"'`,;\t|\\/ \u00a0\n\r=+-@#0123.eE") + [
    "\r\n",
    '""',
    "NULL",
    "nan",
    "Phường Lộc Thọ",
    "ờ",
    "Đ",
    "\u0301",
]
texts = st.lists(st.sampled_from(NASTY) | st.characters(exclude_categories=["Cs"]), max_size=10).map("".join)
codes = texts.filter(lambda text: not LOST_CODE.fullmatch(seen(text) or ""))
# The upper case of letters outside these is not the same everywhere; a device comes back as its hash only.
referral_codes = st.text("abcXYZ019-_/đĐờ", max_size=8)
devices = st.text("abc019-:,;\"'|", max_size=8)
figures = st.one_of(
    st.integers(-(10**10), 10**10).map(float),
    st.decimals(-(10**6), 10**6, places=3).map(float),
    st.floats(-1e300, 1e300),
)
rows = st.fixed_dictionaries(
    {
        "measured_at": st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1)),
        "technology": st.sampled_from(TECHNOLOGIES),
        "download_mbps": figures,
    }
    | {name: st.none() | codes for name in CODES}
    | {"referral_code": st.none() | referral_codes, "device_id": st.none() | devices}
    | {name: st.none() | texts for name in NAMES}
    | {name: st.none() | figures for name in FIGURES}
)


def is_apart(shape: Shape) -> bool:
    """Whether the declared marks can be told apart at all. Without quotes, no figure or time may hold the delimiter."""
    marks = (shape.delimiter, shape.quote, shape.thousands)
    return (
        shape.delimiter != shape.quote
        and all(_holds(shape.encoding, mark) for mark in marks)
        and (shape.quote != "" or shape.delimiter in ";\t|")
    )


shapes = (
    st.builds(
        Shape,
        kind=st.sampled_from(("csv", "csv", "csv.gz", "zip", "jsonl", "json", "parquet", "xlsx")),
        encoding=st.sampled_from(ENCODINGS),
        # YAML, in which a contract is written, takes some control characters for line ends.
        delimiter=st.one_of(
            st.sampled_from(",;\t| \x01\x1f"), st.characters(exclude_categories=["C", "Z"], exclude_characters="\ufeff")
        ),
        quote=st.sampled_from(('"', '"', "'", "`", "")),
        quotes_all=st.booleans(),
        end=st.sampled_from(("\n", "\r\n", "\r")),
        decimal=st.sampled_from(".,"),
        time_format=st.sampled_from(TIME_FORMATS),
        missing=st.sampled_from(MISSING),
        as_text=st.booleans(),
        columns=st.lists(st.sampled_from(OPTIONAL), unique=True).flatmap(
            lambda optional: st.permutations([*optional, "measured_at", "technology", "download_mbps"]).map(tuple)
        ),
        undeclared=st.none() | texts,
    )
    .flatmap(
        lambda shape: st.sampled_from(["", " ", "\u00a0", "'", "." if shape.decimal == "," else ","]).map(
            lambda thousands: replace(shape, thousands=thousands)
        )
    )
    .filter(is_apart)
)


# --- what a shape can hold --------------------------------------------------------------------------------------------


def _holds(encoding: str, text: str) -> bool:
    try:
        return text.encode(encoding).decode(encoding) == text
    except UnicodeError:
        return False


def held(shape: Shape, text: str) -> str:
    """As much of a text as the shape can write at all."""
    if shape.kind == "parquet":
        return text
    if shape.kind == "xlsx":
        return re.sub("[\x00-\x08\x0b-\x1f\ufffe\uffff]", "", text)
    if shape.encoding == "cp1258":
        text = "".join(letter if _holds("cp1258", letter) else tone_apart(letter) for letter in text)
    kept = "".join(letter for letter in text if _holds(shape.encoding, letter))
    if shape.quote or shape.kind in ("json", "jsonl"):
        return kept
    # Nothing says that a field goes on behind a delimiter or a line end.
    return re.sub("[\r\n" + re.escape(shape.delimiter) + "]", "", kept)


def tone_apart(letter: str) -> str:
    """ờ as ơ and its tone: the code page has the tones as letters of their own."""
    base, tones = "", ""
    for part in unicodedata.normalize("NFD", letter):
        if part in "\u0300\u0301\u0303\u0309\u0323":
            tones += part
        else:
            base += part
    return unicodedata.normalize("NFC", base) + tones


def number(shape: Shape, figure: float) -> str:
    """A figure as a person or a program would write it with the declared marks."""
    plain = repr(figure)
    if shape.thousands and "e" not in plain:
        plain = f"{figure:,}"
    return plain.translate({ord(","): shape.thousands, ord("."): shape.decimal})


def values(shape: Shape, row: Row) -> Row:
    """What the shape can say of a row, by column."""
    came: Row = {}
    for column in shape.columns:
        value = row[column]
        if column == "measured_at" and "%f" not in shape.time_format:
            value = value.replace(microsecond=0)
        elif column == "technology":
            value = value if held(shape, value) == value else "4G"
        elif isinstance(value, str):
            value = held(shape, value)
        if shape.kind == "xlsx" and not shape.as_text:
            # The library that writes it keeps milliseconds and 16 digits.
            if isinstance(value, float):
                value = float(f"{value:.15g}")
            elif isinstance(value, datetime):
                value = value.replace(microsecond=value.microsecond // 1000 * 1000)
        came[column] = value
    return came


def fields(shape: Shape, row: Row) -> list[str | None]:
    """The row's fields as text, None for nothing."""

    def text(value: Any) -> str | None:
        if isinstance(value, datetime):
            return value.strftime(shape.time_format)
        return number(shape, value) if isinstance(value, float) else value

    return [text(value) for value in values(shape, row).values()]


# --- writers ----------------------------------------------------------------------------------------------------------


def delimited(shape: Shape, table: list[Row]) -> bytes:
    def quoted(text: str) -> str:
        needs = bool({shape.delimiter, shape.quote, "\r", "\n"} & set(text))
        if not shape.quote or not (needs or shape.quotes_all):
            return text
        return shape.quote + text.replace(shape.quote, shape.quote * 2) + shape.quote

    def line(texts: list[str | None]) -> str:
        return shape.delimiter.join(quoted(shape.missing if text is None else text) for text in texts) + shape.end

    extra = [] if shape.undeclared is None else [held(shape, shape.undeclared)]
    header = line([*shape.columns, *("note" for _ in extra)])
    return (header + "".join(line(fields(shape, row) + extra) for row in table)).encode(shape.encoding)


def objects(shape: Shape, table: list[Row]) -> list[Row]:
    """JSON objects: figures as numbers or text, nothing as null or not there."""
    made = []
    for row in table:
        texts = dict(zip(shape.columns, fields(shape, row), strict=True))
        if not shape.as_text:
            texts |= {name: value for name, value in values(shape, row).items() if isinstance(value, float)}
        made.append({name: value for name, value in texts.items() if value is not None or shape.quotes_all})
    return made


def json_array(shape: Shape, table: list[Row]) -> bytes:
    return json.dumps(objects(shape, table), indent=1 if shape.as_text else None).encode(shape.encoding)


def json_lines(shape: Shape, table: list[Row]) -> bytes:
    is_ascii = not shape.encoding.startswith("utf")
    return "".join(json.dumps(row, ensure_ascii=is_ascii) + shape.end for row in objects(shape, table)).encode(
        shape.encoding
    )


def parquet(shape: Shape, table: list[Row]) -> bytes:
    def kind(column: str) -> str:
        if shape.as_text:
            return "varchar"
        if column == "measured_at":
            return "timestamp"
        return "double" if column in (*FIGURES, "download_mbps") else "varchar"

    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        path = Path(folder) / "made.parquet"
        lists = [fields(shape, row) if shape.as_text else list(values(shape, row).values()) for row in table]
        names = ", ".join(f"unnest(?::{kind(name)}[]) as {name}" for name in shape.columns)
        connection.execute(
            f"create table made as select {names}", [list(column) for column in zip(*lists, strict=True)]
        )
        connection.table("made").write_parquet(str(path))
        return path.read_bytes()


def workbook(shape: Shape, table: list[Row]) -> bytes:
    made = io.BytesIO()
    book = xlsxwriter.Workbook(made, {"in_memory": True})
    dated = book.add_format({"num_format": "dd/mm/yyyy hh:mm:ss"})
    sheet = book.add_worksheet()
    for place, column in enumerate(shape.columns):
        sheet.write_string(0, place, column)
    for at, row in enumerate(table, start=1):
        for place, (value, text) in enumerate(zip(values(shape, row).values(), fields(shape, row), strict=True)):
            if isinstance(value, float) and not shape.as_text:
                sheet.write_number(at, place, value)
            elif isinstance(value, datetime) and not shape.as_text:
                sheet.write_datetime(at, place, value, dated)
            elif text is not None:
                sheet.write_string(at, place, text)
    book.close()
    return made.getvalue()


def packed(shape: Shape, table: list[Row]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("khánh hòa/tháng 10.csv", delimited(shape, table))
    return made.getvalue()


WRITERS: dict[str, Callable[[Shape, list[Row]], bytes]] = {
    "csv": delimited,
    "csv.gz": lambda shape, table: gzip.compress(delimited(shape, table)),
    "zip": packed,
    "json": json_array,
    "jsonl": json_lines,
    "parquet": parquet,
    "xlsx": workbook,
}


# --- what must come back ----------------------------------------------------------------------------------------------


def seen(text: str | None) -> str | None:
    """What a reader sees of a text: composed letters, one kind of line end, no control characters, no outer blanks."""
    if text is None:
        return None
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufeff]", "", unicodedata.normalize("NFC", lines))
    ends = "\t\n\r " + "".join(map(chr, (0xA0, *range(0x2000, 0x2010), *range(0x2028, 0x2030), 0x2060, 0x3000)))
    return None if kept.strip(ends) in MISSING else unicodedata.normalize("NFC", kept.strip(ends))


def expected(shape: Shape, row: Row, number: int, zone: str) -> Row:
    came = dict.fromkeys((*CODES, *NAMES, *FIGURES)) | values(shape, row)
    for column in (*CODES, *NAMES):
        came[column] = seen(came[column])
    device = came.pop("device_id")
    local = came["measured_at"].replace(tzinfo=ZoneInfo(zone)).astimezone(ZoneInfo("Asia/Ho_Chi_Minh"))
    too_far = [column for column in (*FIGURES, "download_mbps") if abs(came[column] or 0) >= 1e11]
    return (
        came
        | dict.fromkeys(too_far)
        | {
            "row_number": number,
            "measured_at": local.replace(tzinfo=None),
            "referral_code": came["referral_code"] and came["referral_code"].upper(),
            "device_hash": device and int(sha256(f"{DEVICE_KEY}:{device}".encode()).hexdigest()[:16], 16) >> 1,
            "is_sound": not too_far,
        }
    )


def staged(folder: Path, table: list[Row], month: list[Shape], zone: str) -> dict[str, list[Row]]:
    """The staged rows of each file, one file a shape."""
    columns = {name: entry | {"headers": [*entry["headers"], name]} for name, entry in CONTRACT["columns"].items()}
    patterns = [f"{place}.zip/*" if shape.kind == "zip" else f"{place}.*" for place, shape in enumerate(month)]
    document = CONTRACT | {
        "timezone": zone,
        "missing": list(MISSING),
        "columns": columns,
        "shapes": [shape.declare(pattern) for shape, pattern in zip(month, patterns, strict=True)],
    }
    (folder / "contract.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    settings = settings_in(folder, source=folder / "contract.yaml")
    settings.exports_of(MONTH).mkdir(parents=True)
    for place, shape in enumerate(month):
        (settings.exports_of(MONTH) / f"{place}.{shape.kind}").write_bytes(WRITERS[shape.kind](shape, table))
    land(settings, MONTH)
    stage(settings, MONTH)
    with open_engine() as engine:
        engine.read_parquet("staging", *settings.lake_of("staging", MONTH).glob("*.parquet"))
        found = engine.rows("select * from staging order by source_file, row_number")
    files: dict[str, list[Row]] = {str(place): [] for place in range(len(month))}
    for row in found:
        files[row["source_file"].partition(".")[0]].append(row)
    return files


def compared(row: Row) -> Row:
    texts = {name: seen(row[name]) for name in (*CODES, *NAMES) if name != "device_id"}
    names = ("row_number", "measured_at", "technology", "download_mbps", "device_hash", *FIGURES)
    return texts | {name: row[name] for name in names} | {"is_sound": row["read_error"] is None}


@given(st.lists(rows, min_size=1, max_size=6), st.lists(shapes, min_size=4, max_size=4), st.sampled_from(ZONES))
def test_any_table_in_any_declared_shape_is_read_back_the_same(table: list[Row], month: list[Shape], zone: str) -> None:
    with tempfile.TemporaryDirectory(prefix="ispeed-") as folder:
        files = staged(Path(folder), table, month, zone)
    for place, shape in enumerate(month):
        first = 2 if shape.kind in ("csv", "csv.gz", "zip", "xlsx") else 1
        wanted = [expected(shape, row, number, zone) for number, row in enumerate(table, start=first)]
        note(f"{shape}")
        assert [compared(row) for row in files[str(place)]] == wanted
