"""A first source contract for an unknown export: what its bytes, headers and values say, and what they do not."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from ispeed.contracts import COLUMNS, REQUIRED, read_contract
from ispeed.engine import Row, open_engine
from ispeed.errors import UserError
from ispeed.export_look import (
    Column,
    Look,
    look_at,
    marks_of,
    median_of,
    nothing_marks_of,
    poor_columns_of,
    timestamp_formats_of,
)
from ispeed.landing import land
from ispeed.months import Month
from ispeed.policy import TECHNOLOGY_NETWORK
from ispeed.settings import INCLUDE, Settings
from ispeed.staging import stage
from ispeed.text import fold

N_PREVIEW: Final = 10
_FORMAT: Final = "%d/%m/%Y %H:%M:%S"
_LIKENESS_MIN: Final = 0.72
_FIGURES: Final = tuple(name for name in COLUMNS if name.endswith(("_mbps", "_ms", "_pct", "_m"))) + (
    "latitude",
    "longitude",
)
# What other exports call our columns, in plain words; the headers of `ispeed.yaml` come beside them.
_NAMES: Final = {
    "measurement_id": ("test id", "measurement id", "result id", "uuid"),
    "measured_at": ("date", "time", "datetime", "timestamp", "test date", "test time", "measured at", "ngay do"),
    "device_id": ("device id", "uid", "user uid", "user id", "client id", "imei", "ip", "client ip"),
    "referral_code": ("referral", "ref code"),
    "province_code": ("province code",),
    "district_code": ("district code",),
    "district_name": ("district",),
    "commune_code": ("commune code", "ward code"),
    "commune_name": ("commune", "ward", "phuong xa"),
    "operator": ("isp", "carrier", "provider", "provider name", "isp id", "operator name", "mang"),
    "technology": ("network type", "connection type", "tech", "rat", "radio"),
    "download_mbps": (
        "download",
        "dl",
        "download speed",
        "throughput",
        "mean throughput",
        "bandwidth",
        "toc do tai xuong",
    ),
    "upload_mbps": ("upload", "ul", "upload speed", "toc do tai len"),
    "ping_ms": ("ping", "latency", "rtt", "min rtt", "delay"),
    "jitter_ms": ("jitter",),
    "packet_loss_pct": ("packet loss", "loss"),
    "latitude": ("lat",),
    "longitude": ("lon", "lng", "long"),
    "location_accuracy_m": ("accuracy", "location accuracy", "gps accuracy"),
    "os": ("os version", "platform"),
    "device_model": ("model", "device"),
    "app_version": ("version",),
}
_TECHNOLOGIES: Final = {
    "gsm": "2G", "edge": "2G", "gprs": "2G", "umts": "3G", "hspa": "3G", "hspa+": "3G", "wcdma": "3G", "lte": "4G",
    "lte-a": "4G", "nr": "5G", "wi-fi": "WiFi", "wlan": "WiFi", "ftth": "Cố định", "fixed": "Cố định",
}  # fmt: skip
_UNITS: Final = ("bit/s", "kbit/s", "mbit/s", "kbps", "bps", "gbps", "mb/s", "kb/s", "b/s", "sec", "seconds", "us", "s")


@dataclass(frozen=True)
class ContractDraft:
    """A contract as text, `doubts` on it as sentences, and the first rows of the file as it would have them read."""

    text: str
    doubts: tuple[str, ...]
    preview: tuple[str, ...]


@dataclass(frozen=True)
class _Meaning:
    column: Column
    likeness: float


def draft_contract(path: Path) -> ContractDraft:
    """Look at a csv or csv.gz export and draft its contract. Raises `UserError` where it cannot be read as one."""
    known = read_contract(INCLUDE / "sources" / "ispeed.yaml")
    look = look_at(path)
    meanings = _meanings(look)
    doubts = list(look.doubts)
    decimal, thousands, of_marks = marks_of(_figures(meanings) or look.columns)
    missing, of_missing = nothing_marks_of(look.columns)
    formats, of_formats = (
        timestamp_formats_of(meanings["measured_at"].column) if "measured_at" in meanings else ([], [])
    )
    private = [meaning.column for name, meaning in meanings.items() if name == "device_id"]
    if not formats:
        doubts.append(f"no time says how times are written: {_FORMAT} stands in its place")
    elif not any("%H" in form or "%I" in form for form in formats):
        doubts.append(f"{meanings['measured_at'].column.header}: a day without a time; each counts as 00:00")
    doubts += [*of_marks, *of_formats, *of_missing, *_doubts_on_meanings(look, meanings, decimal, thousands)]
    doubts += poor_columns_of(look.columns, private)
    utc = any(form.endswith("Z") for form in formats)
    zone = "UTC" if utc else known.timezone
    doubts.append(f"timezone {zone} is taken; " + ("the times end in Z" if utc else "nothing in the file says one"))
    values, of_values = _technologies(meanings)
    doubts += of_values
    document = {
        "name": path.name.partition(".")[0],
        "timezone": zone,
        "missing": ["", *missing],
        "shape": {
            "pattern": "*" + "".join(path.suffixes[-2:] if path.name.lower().endswith(".gz") else path.suffixes[-1:]),
            "encoding": look.encoding,
            "delimiter": look.delimiter,
            "quote": look.quote,
            "decimal": decimal,
            "thousands": thousands,
            "timestamp_formats": formats or [_FORMAT],
        },
        "columns": {name: meanings[name] for name in COLUMNS if name in meanings},
        "ignored": [column.header for column in look.columns if column not in _columns(meanings)],
        "values": values,
    }
    missing_columns = [name for name in REQUIRED if name not in meanings]
    text = _written(path, document, doubts, missing_columns)
    counted, preview = _preview(path, look, text, missing_columns)
    return ContractDraft(text, (*doubts, *counted), tuple(preview))


def _columns(meanings: dict[str, _Meaning]) -> list[Column]:
    return [meaning.column for meaning in meanings.values()]


def _figures(meanings: dict[str, _Meaning]) -> list[Column]:
    return [meaning.column for name, meaning in meanings.items() if name in _FIGURES]


def _meanings(look: Look) -> dict[str, _Meaning]:
    """Which column each of ours may be: by the likeness of its header, the likest first, where its values allow it."""
    likely = sorted(
        (
            (_likeness(ours, column.header), -COLUMNS.index(ours), -column.place)
            for ours in COLUMNS
            for column in look.columns
            if column.header and (column.filled or ours not in REQUIRED) and _may_be(ours, column)
        ),
        reverse=True,
    )
    meanings: dict[str, _Meaning] = {}
    for likeness, ours, place in likely:
        name, column = COLUMNS[-ours], look.columns[-place]
        if likeness >= _LIKENESS_MIN and name not in meanings and column not in _columns(meanings):
            meanings[name] = _Meaning(column, likeness)
    if "measured_at" not in meanings:
        dated = [c for c in look.columns if c not in _columns(meanings) and c.filled and timestamp_formats_of(c)[0]]
        if len(dated) == 1:
            meanings["measured_at"] = _Meaning(dated[0], 0.0)
    return meanings


def _may_be(ours: str, column: Column) -> bool:
    """Whether a column's values can be what its header may mean."""
    if not column.filled:
        return True
    if ours in _FIGURES:
        return column.share_of_numbers > 0.5
    if ours == "measured_at":
        return any(character.isdigit() for character in column.filled[0])
    return True


@cache
def _known_names(ours: str) -> tuple[tuple[str, ...], ...]:
    contract = yaml.safe_load((INCLUDE / "sources" / "ispeed.yaml").read_text(encoding="utf-8"))
    headers = contract["columns"].get(ours, {}).get("headers", ())
    texts = [header if isinstance(header, str) else header["text"] for header in headers]
    return tuple(filter(None, map(_words, [*texts, ours, *_NAMES[ours]])))


def _likeness(ours: str, header: str) -> float:
    """From 0 to 1; 1 where accents, case, units and the way of joining words are all that differs."""
    words = _words(header)
    return max(_likeness_of(words, known) for known in _known_names(ours)) if words else 0.0


def _likeness_of(words: tuple[str, ...], known: tuple[str, ...]) -> float:
    if words == known:
        return 1.0
    if any(words[start : start + len(known)] == known for start in range(len(words))):
        return 0.7 + 0.25 * len(known) / len(words)
    return SequenceMatcher(None, " ".join(words), " ".join(known)).ratio() * 0.95


@cache
def _words(text: str) -> tuple[str, ...]:
    """Lower-case words without accents and units: "MeanThroughputMbps" and "mean throughput (Mbps)" are the same."""
    plain = unicodedata.normalize("NFD", fold(_apart(text))).replace("đ", "d")
    words = re.findall(r"[a-z0-9]+", "".join(c for c in plain if not unicodedata.combining(c)))
    return tuple(word for word in words if word not in ("mbps", "ms", "pct", "m", "kbps", "bps")) or tuple(words)


def _apart(text: str) -> str:
    """The words of a name in camel case, apart."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)


def _doubts_on_meanings(look: Look, meanings: dict[str, _Meaning], decimal: str, thousands: str) -> list[str]:
    doubts = []
    for name, meaning in meanings.items():
        header, likeness = meaning.column.header, meaning.likeness
        if likeness < 1.0:
            why = f"the names are alike ({likeness:.0%})" if likeness else "its values alone are times"
            rivals = [
                column.header
                for column in look.columns
                if column not in _columns(meanings) and _likeness(name, column.header) >= _LIKENESS_MIN
            ]
            or_these = f"; it could also be {', '.join(map(repr, rivals))}" if rivals else ""
            doubts.append(f"{header!r} is taken for {name}: {why}{or_these}")
        if name in _FIGURES:
            doubts += _doubts_on_unit(name, meaning.column, median_of(meaning.column, decimal, thousands))
    doubts += [
        f"no column is {name}, which is required: name its header, or if every row has the same, say it in constants"
        for name in REQUIRED
        if name not in meanings
    ]
    device = meanings.get("device_id")
    if device is not None and device.column.filled:
        value, n_rows = Counter(device.column.filled).most_common(1)[0]
        if n_rows > max(100, len(device.column.values) // 50):
            doubts.append(
                f"{device.column.header!r}: one value stands for {n_rows:,} of {len(device.column.values):,} rows; "
                "is it a device, or a way to say that none is known?"
            )
    not_read = [column.header for column in look.columns if column not in _columns(meanings)]
    if not_read:
        doubts.append("not read, since no column of ours has a name like theirs: " + ", ".join(map(repr, not_read)))
    return doubts


def _doubts_on_unit(name: str, column: Column, median: float | None) -> list[str]:
    written = _apart(column.header).lower()
    unit = next(
        (unit for unit in _UNITS if re.search(rf"(?<![^\W_])(?<!/){re.escape(unit)}(?![^\W_]|/)", written)), None
    )
    ours = name.rpartition("_")[2]
    if ours not in ("mbps", "ms", "pct", "m"):
        return []
    if unit is not None and unit not in ("mbit/s", ours):
        return [f"{column.header!r} seems to be in {unit}; {name} is in {ours}"]
    if median is not None and ours == "mbps" and not 0.5 <= median <= 2_000:
        return [f"{column.header!r} has the median {median:g}, which is not likely in Mbit/s: look at its unit"]
    if median is not None and name == "ping_ms" and median < 1:
        return [f"{column.header!r} has the median {median:g}: seconds, perhaps, and not ms"]
    return [] if ours in written else [f"{column.header!r} names no unit; {ours} is taken"]


def _technologies(meanings: dict[str, _Meaning]) -> tuple[dict[str, str], list[str]]:
    """Spellings of technologies that we know the meaning of, and doubts on those that we do not."""
    if "technology" not in meanings:
        return {}, []
    own = {fold(name) for name in TECHNOLOGY_NETWORK}
    found = Counter(fold(value) for value in meanings["technology"].column.filled)
    values = {spelling: _TECHNOLOGIES[spelling] for spelling in found if spelling in _TECHNOLOGIES}
    unknown = [spelling for spelling in found if spelling not in own and spelling not in values]
    doubts = [f"technology {spelling!r} is taken for {name}" for spelling, name in values.items()]
    if unknown:
        n_rows = sum(found[spelling] for spelling in unknown)
        shown = ", ".join(map(repr, unknown[:8])) + (" and more" if len(unknown) > 8 else "")
        doubts.append(f"technology: {n_rows:,} rows with {shown}; say under values.technology what they are")
    return values, doubts


def _written(path: Path, document: dict[str, Any], doubts: Sequence[str], missing_columns: Sequence[str]) -> str:
    """The contract in YAML, its doubts above it as comments."""
    shape = document["shape"]
    lines = [
        f"# A first contract for {_line(path.name)}, drafted by `make contract`. Not sure:",
        *(f"# - {_line(doubt)}" for doubt in doubts),
        f"name: {_scalar(document['name'])}",
        f"timezone: {document['timezone']}",
        f"missing: {_list(document['missing'])}",
        "",
        "shapes:",
        f"  - pattern: {_scalar(shape['pattern'])}",
        *(
            f"    {key}: {_list(value) if isinstance(value, list) else _scalar(value)}"
            for key, value in shape.items()
            if key != "pattern"
        ),
        "",
        "columns:" if document["columns"] else "columns: {}",
    ]
    for name, meaning in document["columns"].items():
        required = ", required: true" if name in REQUIRED else ""
        lines.append(f"  {name}: {{headers: {_list([meaning.column.header])}{required}}}")
    lines += ["", f"ignored: {_list(document['ignored'])}"]
    if document["values"]:
        lines += ["values:", "  technology:"]
        lines += [f"    {_scalar(spelling)}: {_scalar(name)}" for spelling, name in document["values"].items()]
    if missing_columns:
        examples = {"technology": "Cố định", "measured_at": "01/10/2024 00:00:00", "download_mbps": "0"}
        lines += ["# What is the same for every row and in no column:", "# constants:"]
        lines += [f"#   {name}: {_scalar(examples[name])}" for name in missing_columns]
    return "\n".join(lines) + "\n"


def _scalar(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _list(texts: Sequence[str]) -> str:
    return "[" + ", ".join(map(_scalar, texts)) + "]"


def _line(text: str) -> str:
    """Text that cannot end the comment that it stands in."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _preview(path: Path, look: Look, contract: str, missing_columns: Sequence[str]) -> tuple[list[str], list[str]]:
    """What staging makes of the file: a sentence on how many rows it reads, and the first rows, a line each."""
    month = Month(2000, 1)
    with tempfile.TemporaryDirectory(prefix="ispeed-") as name:
        folder = Path(name)
        source = folder / "contract.yaml"
        # Required columns that nobody named yet are empty here, so that the others can be looked at.
        constants = "".join(f"\n  {column}: ''" for column in missing_columns)
        source.write_text(contract + (f"constants:{constants}\n" if constants else ""), encoding="utf-8")
        defaults = Settings.from_environment({"ISPEED_VAR": name, "ISPEED_DEVICE_KEY": "preview"})
        settings = replace(defaults, source=source)
        settings.exports_of(month).mkdir(parents=True)
        shutil.copyfile(path, settings.exports_of(month) / path.name)
        try:
            land(settings, month)
            stage(settings, month)
        except UserError as error:
            return [f"the file cannot be read by this contract yet: {_line(error.found)}"], []
        with open_engine() as engine:
            engine.read_parquet("staging", *settings.lake_of("staging", month).glob("*.parquet"))
            absent = [f"{column} is null" for column in _needed(missing_columns)]
            unread = engine.rows(
                "select count(*) as n_rows, count(*) filter (where read_error is not null) as n_unreadable, "
                f"count(*) filter (where read_error is null and ({' or '.join(absent) or 'false'})) as n_empty "
                "from staging"
            )[0]
            rows = engine.rows("select * from staging order by row_number limit ?", [N_PREVIEW])
    counted = (
        f"by this contract, of {unread['n_rows']:,} rows {unread['n_unreadable']:,} would be unreadable and "
        f"{unread['n_empty']:,} more lack what is required"
    )
    return [counted], [_shown(row) for row in rows]


def _needed(missing_columns: Sequence[str]) -> list[str]:
    return [column for column in REQUIRED if column not in missing_columns]


def _shown(row: Row) -> str:
    hidden = ("source_file", "row_number", "measured_at_text", "measurement_key", "received_at")
    cells = [f"{name}={value}" for name, value in row.items() if name not in hidden and value is not None]
    return f"row {row['row_number']}: " + _line(", ".join(cells))
