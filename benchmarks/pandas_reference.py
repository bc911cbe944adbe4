"""The report tables once more, in pandas: a second reading of the rules that shares no code with the pipeline.

`tests/reference/` holds the pipeline to these numbers, and the benchmark races it against them: whole columns at a
time, texts looked at once a different text, and the odd rows one by one so that every row is accounted for.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import math
import re
import unicodedata
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from scipy.stats import binom


@dataclass(frozen=True)
class Policy:
    """The numbers that a rule needs, with where each comes from."""

    province_code: str = "56"  # Statistics Office's unit list
    province_name: str = "Khánh Hòa"
    publish_minimum: int = 30  # internetatlas.vnnic.vn/i-speed: at least 30 samples a month to publish
    assess_minimum: int = 300  # 5691/BTTTT-CVT, 31/12/2024: at least 300 samples a month at every level
    window: str = "day"  # our policy: VNNIC does not publish the length of its window
    device_minimum: int = 5  # design, rule 8: no speeds where fewer devices could be told apart
    download_targets: dict[str, float] = field(  # QĐ 36/QĐ-TTg, 11/01/2024: 4G >= 40, 5G >= 100 Mbps
        default_factory=lambda: {"4G": 40.0, "5G": 100.0}
    )
    speed_maxima: dict[str, float] = field(  # our policy: beyond what the technology can carry (Mbps)
        default_factory=lambda: {"2G": 1, "3G": 100, "4G": 1200, "5G": 5000, "WiFi": 10000, "Cố định": 10000}
    )
    ping_maximum_ms: float = 60_000  # our policy: a minute
    accuracy_maximum_m: float = 1_000  # our policy: a position is no better than a commune
    integrity_minimum: int = 20  # our policy: measurements of a code before its indicators are told
    integrity_chance: float = 1e-5  # our policy: how seldom chance alone may bring a code to its threshold
    integrity_levels: dict[str, float] = field(  # our policy: how common a thing may be before anybody need ask
        default_factory=lambda: {
            "measurements_per_sample": 2.5,
            "samples_per_device": 10.0,
            "top_device_share": 0.75,
            "shared_device_share": 0.2,
            "identical_coordinates_share": 0.3,
            "commune_mismatch_share": 0.5,
            "regular_interval_share": 0.3,
            "night_share": 0.3,
            "deadline_repeat_share": 0.4,
            "identical_result_share": 0.05,
            "speed_difference_share": 0.75,
        }
    )
    return_day: int = 10  # letter 3761/STTTT-CNTTBCVT: returns before the 10th of the month after


POLICY = Policy()
LOCAL = ZoneInfo("Asia/Ho_Chi_Minh")
MOBILE = ("2G", "3G", "4G", "5G")
NETWORKS = ("mobile", "fixed")
METRICS = ("download_mbps", "upload_mbps", "ping_ms", "jitter_ms")
STATISTICS = ("median", "mean", "p10", "p25", "p75", "p90", "ci_low", "ci_high")
FIGURES = (
    *("n_measurements", "n_samples", "n_devices"),
    *(f"{metric}_{statistic}" for metric in METRICS for statistic in STATISTICS),
    *("share_at_target", "n_missing_to_publish", "n_missing_to_assess", "reason", "blank_metrics"),
)
TECHNOLOGIES = ("5G", "4G", "3G", "2G", "WiFi", "Cố định")
WINDOWS = {"hour": 3_600, "4h": 14_400, "day": 86_400}  # seconds; "month" is the whole of it
REASONS = (
    "unreadable_row",
    "missing_required",
    "bad_timestamp",
    "future_timestamp",
    "other_month",
    "duplicate",
    "implausible_value",
)
FLAGS = (
    "unknown_commune",
    "outside_province",
    "unknown_referral_code",
    "expired_referral_code",
    "commune_mismatch",
    "low_location_accuracy",
    "unknown_operator",
)
# Only with boundaries, which this reference does not know: a month without them has none of these.
LOCATION_FLAGS = ("located_by_coordinates", "outside_boundaries", "location_mismatch", "code_location_mismatch")
MISSING = ("", "NULL", "-")
NUMBERS = (*METRICS, "packet_loss_pct", "latitude", "longitude", "location_accuracy_m")
HEADERS = {  # every header of the two shapes → the canonical column
    "Mã phép đo": "measurement_id",
    "ID phép đo": "measurement_id",
    "Thời gian đo": "measured_at",
    "Thời điểm": "measured_at",
    "Mã thiết bị": "device_id",
    "Thiết bị ID": "device_id",
    "Mã giới thiệu": "referral_code",
    "Mã tỉnh": "province_code",
    "Mã huyện": "district_code",
    "Quận/Huyện": "district_name",
    "Huyện": "district_name",
    "Mã xã": "commune_code",
    "Xã/Phường": "commune_name",
    "Xã": "commune_name",
    "Nhà mạng": "operator",
    "Loại mạng": "technology",
    "Công nghệ": "technology",
    "Download (Mbps)": "download_mbps",
    "Tải xuống (Mbps)": "download_mbps",
    "Upload (Mbps)": "upload_mbps",
    "Tải lên (Mbps)": "upload_mbps",
    "Ping (ms)": "ping_ms",
    "Độ trễ (ms)": "ping_ms",
    "Jitter (ms)": "jitter_ms",
    "Tỷ lệ mất gói (%)": "packet_loss_pct",
    "Vĩ độ": "latitude",
    "Kinh độ": "longitude",
    "Sai số vị trí (m)": "location_accuracy_m",
    "Hệ điều hành": "os",
    "Thiết bị": "device_model",
    "Phiên bản": "app_version",
}
COLUMNS = tuple(dict.fromkeys(HEADERS.values()))
TEXTS = tuple(name for name in COLUMNS if name not in (*NUMBERS, "measurement_id", "device_id", "measured_at"))
DETAILS = ("os", "device_model", "app_version")  # of no figure: they tell rows without an id apart
NUMBER_LIMIT = 1e11  # beyond it a figure is no measurement


# Reading -------------------------------------------------------------------------------------------------------------

BLOCK_BYTES = 1 << 25  # of a file at a time: what its texts take in memory is gone before the next is read
NEWLINE, RETURN, QUOTE = b'\n\r"'
Array = np.ndarray


@dataclass(frozen=True)
class Shape:
    """How one kind of file writes its fields; a moment twice, for the eye of an array and for Python's."""

    delimiter: str
    decimal: str
    layout: str
    timestamp: str


FIRST_SHAPE = Shape(",", ".", "dd/mm/yyyy HH:MM:SS", "%d/%m/%Y %H:%M:%S")
SECOND_SHAPE = Shape(";", ",", "yyyy-mm-dd HH:MM:SS", "%Y-%m-%d %H:%M:%S")


class Texts(dict[str, int]):
    """The different texts of a column by number, over all files: millions of rows have few of them."""

    def codes(self, values: Array) -> Array:
        """The number of each value, -1 for none. Only different texts are cleaned."""
        places, distinct = pd.factorize(values)
        numbers = [self._number(_text(text)) for text in distinct]
        return np.array([*numbers, -1], dtype=np.int32)[places]

    def _number(self, text: str | None) -> int:
        return -1 if text is None else self.setdefault(text, len(self))


class Codes(Texts):
    """Referral codes: people type them in either case."""

    def _number(self, text: str | None) -> int:
        return super()._number(text and text.upper())


def export_files(folder: Path) -> list[Path]:
    """The exports by name; a name that begins with a dot is a marker, not an export."""
    files = (path for path in folder.iterdir() if path.name.endswith((".csv", ".csv.gz")))
    return sorted(path for path in files if not path.name.startswith("."))


def read_month(exports: Path, month: str) -> pd.DataFrame:
    """Every data row of a month's files, with file and row number; `unreadable` where a record or number is.

    Texts are categories; of ids only their 64-bit hashes are kept, 0 for none: a report names no device, and that
    two of 10 million different ids share a hash happens in one month of some 400,000.
    """
    files = export_files(exports / month)
    texts = {name: Codes() if name == "referral_code" else Texts() for name in TEXTS}
    blocks = [
        block.assign(source_file=np.int16(number))
        for number, path in enumerate(files)
        for block in read_file(path, texts)
    ]
    rows = pd.concat(blocks, ignore_index=True)
    blocks.clear()
    rows["source_file"] = pd.Categorical.from_codes(rows["source_file"], [path.name for path in files])
    for name in TEXTS:
        rows[name] = pd.Categorical.from_codes(rows[name], list(texts[name]))
    return rows


def read_file(path: Path, texts: dict[str, Texts]) -> Iterator[pd.DataFrame]:
    """The file's rows, block by block: whole columns where the lines are regular, field by field where they are not."""
    is_zipped = path.name.endswith(".gz")
    shape = SECOND_SHAPE if is_zipped else FIRST_SHAPE
    with gzip.open(path) if is_zipped else path.open("rb") as file:
        first_line = next(line for line in file if line.strip(b"\xef\xbb\xbf\r\n"))
        names = next(csv.reader([first_line.decode("utf-8-sig", errors="surrogateescape")], delimiter=shape.delimiter))
        header = [HEADERS.get(name.strip()) for name in names]
        block, n_rows = b"", 2
        while True:
            more = file.read(BLOCK_BYTES)
            block += more
            cut = block.rfind(b"\n") + 1 if more else len(block)
            lines = Lines.of(block[:cut], shape.delimiter, len(header))
            if lines.is_open and more:
                continue  # a text in quotes goes on in the next block
            rows = typed(lines.regular(header, shape), shape, texts)
            if lines.odd_records:
                odd = typed(lines.odd(header), shape, texts)
                rows = pd.concat([rows, odd]).sort_values("row_number", ignore_index=True)
            rows["row_number"] += n_rows
            yield rows
            block, n_rows = block[cut:], n_rows + lines.n_records
            if not more:
                return


@dataclass(frozen=True)
class Lines:
    """The lines of a block: those that pandas reads as the csv module does, and the records of all others.

    pandas fills a short line up without a word and stops at a long one; here every record has to be told.
    """

    block: bytes
    is_regular: Array
    lengths: Array
    numbers: Array  # of records before each line
    odd_records: list[tuple[int, list[str]]]
    n_records: int
    is_open: bool

    @classmethod
    def of(cls, block: bytes, delimiter: str, n_fields: int) -> Lines:
        letters = np.frombuffer(block, dtype=np.uint8)
        ends = np.flatnonzero(letters == NEWLINE)
        if len(block) and not block.endswith(b"\n"):
            ends = np.append(ends, len(block))
        starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
        is_odd = _odd_lines(block, letters, starts, ends, ord(delimiter), n_fields)
        is_blank = (ends == starts) | ((ends == starts + 1) & (letters[np.minimum(starts, len(block) - 1)] == RETURN))
        n_records, taken, is_open = np.where(is_blank, 0, 1), is_blank.copy(), False
        odd: list[tuple[int, list[list[str]]]] = []
        behind = 0
        for line in np.flatnonzero(is_odd & ~is_blank):
            if line < behind:
                continue  # part of the record before
            behind, records, is_open = _records_from(block, starts, ends, int(line), delimiter)
            taken[line:behind], n_records[line:behind] = True, 0
            n_records[line] = len(records)
            odd.append((int(line), records))
        numbers = np.cumsum(n_records) - n_records
        told = [(int(numbers[line]) + place, record) for line, found in odd for place, record in enumerate(found)]
        return cls(block, ~taken, ends + 1 - starts, numbers, told, int(n_records.sum()), is_open)

    def regular(self, header: list[str | None], shape: Shape) -> pd.DataFrame:
        places = {name: header.index(name) for name in COLUMNS if name in header}
        if not self.is_regular.any():
            return pd.DataFrame(columns=["row_number", *places]).astype({"row_number": np.int64})
        kept = np.repeat(self.is_regular, self.lengths)[: len(self.block)]
        content = self.block if kept.all() else np.frombuffer(self.block, dtype=np.uint8)[kept].tobytes()
        table = pd.read_csv(
            io.BytesIO(content),
            sep=shape.delimiter,
            decimal=shape.decimal,
            header=None,
            names=list(range(len(header))),
            usecols=list(places.values()),
            dtype={place: object for name, place in places.items() if name not in NUMBERS},
            na_values=list(MISSING),
            keep_default_na=False,
            skip_blank_lines=False,
            index_col=False,
            low_memory=False,
        )
        table = table.rename(columns={place: name for name, place in places.items()})
        table["row_number"] = self.numbers[self.is_regular]
        return table

    def odd(self, header: list[str | None]) -> pd.DataFrame:
        broken = [len(record) != len(header) or any(map(_undecodable, record)) for _, record in self.odd_records]
        columns: dict[str, list[str | None]] = {}
        for name in (name for name in COLUMNS if name in header):
            place = header.index(name)
            columns[name] = [
                None if bad else _text(record[place]) for (_, record), bad in zip(self.odd_records, broken, strict=True)
            ]
        table = pd.DataFrame(columns, dtype=object, index=range(len(broken)))
        table["row_number"] = np.array([number for number, _ in self.odd_records], dtype=np.int64)
        table["unreadable"] = np.array(broken, dtype=bool)
        return table


def _odd_lines(block: bytes, letters: Array, starts: Array, ends: Array, delimiter: int, n_fields: int) -> Array:
    """Lines with another number of fields than the header, quotes elsewhere than around a field, or damaged bytes."""
    marks = np.flatnonzero(letters == delimiter)
    n_marks = np.diff(np.searchsorted(marks, ends), prepend=0)
    is_odd = np.zeros(len(ends), dtype=bool)
    quotes = np.flatnonzero(letters == QUOTE)
    if len(quotes):
        n_before = np.searchsorted(quotes, starts)
        line = np.searchsorted(ends, quotes)
        is_odd |= np.diff(np.append(n_before, len(quotes))) % 2 == 1
        opens = (np.arange(len(quotes)) - n_before[line]) % 2 == 0
        before, behind = letters[quotes - 1], letters[np.minimum(quotes + 1, len(letters) - 1)]
        fits_before = (quotes == starts[line]) | (before == delimiter)
        fits_behind = (quotes + 1 == len(letters)) | np.isin(behind, (delimiter, NEWLINE, RETURN))
        is_odd[line[~np.where(opens, fits_before, fits_behind)]] = True
        paired = quotes[~is_odd[line]]
        quoted = np.searchsorted(marks, paired[1::2]) - np.searchsorted(marks, paired[0::2])
        n_marks -= np.bincount(line[~is_odd[line]][0::2], weights=quoted, minlength=len(ends)).astype(n_marks.dtype)
    is_odd |= n_marks != n_fields - 1
    returns = np.flatnonzero(letters[:-1] == RETURN)
    is_odd[np.searchsorted(ends, returns[letters[returns + 1] != NEWLINE])] = True
    is_odd[np.searchsorted(ends, np.flatnonzero(letters == 0))] = True
    try:
        block.decode()
    except UnicodeDecodeError:
        damaged = [not _is_utf8(line) for line in block.split(b"\n")]
        is_odd |= np.array(damaged[: len(ends)], dtype=bool)
    return is_odd


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _records_from(
    block: bytes, starts: Array, ends: Array, line: int, delimiter: str
) -> tuple[int, list[list[str]], bool]:
    """The line behind the records that begin on `line`, those records, and whether the last still wants a line."""
    at_end = True

    def pieces() -> Iterator[str]:
        nonlocal line, at_end
        while line < len(starts):
            text = block[starts[line] : ends[line] + 1].decode("utf-8", errors="surrogateescape")
            line += 1
            parts = list(io.StringIO(text, newline=""))
            for place, part in enumerate(parts, start=1):
                at_end = place == len(parts)
                yield part
        at_end = False  # asked for more than there is

    records = []
    for record in csv.reader(pieces(), delimiter=delimiter):
        records += [record] if record else []
        if at_end:
            return line, records, False
    return line, records, True


def typed(table: pd.DataFrame, shape: Shape, texts: dict[str, Texts]) -> pd.DataFrame:
    """Numbers, moments, hashes and numbers of texts from the fields; a missing column has none."""
    columns: dict[str, Array] = {"row_number": table["row_number"].to_numpy()}
    columns["unreadable"] = table["unreadable"].to_numpy() if "unreadable" in table else np.zeros(len(table), bool)
    nothing = np.full(len(table), None, dtype=object)
    for name in COLUMNS:
        values = table[name].to_numpy() if name in table else nothing
        if name in NUMBERS:
            columns[name], wrong = _numbers(values, shape.decimal)
            columns["unreadable"] = columns["unreadable"] | wrong
        elif name in ("measurement_id", "device_id"):
            columns[name] = _hashes(values)
        elif name == "measured_at":
            columns[name], columns["has_time"] = _moments(values, shape)
        else:
            columns[name] = texts[name].codes(values)
    return pd.DataFrame(columns)


def _undecodable(value: str) -> bool:
    return any("\udc80" <= letter <= "\udcff" for letter in value)


def _text(value: str) -> str | None:
    value = unicodedata.normalize("NFC", value.strip())
    return None if value in MISSING else value


def _hashes(values: Array) -> Array:
    given = ~pd.isna(values)
    known = values[given]
    if re.search(r"[^\n!-~]", "\n".join(known)):  # elsewhere there is nothing to clean
        known = np.array([_text(value) for value in known], dtype=object)
        given[given] = known_here = ~pd.isna(known)
        known = known[known_here]
    hashes = np.zeros(len(values), dtype=np.uint64)
    hashes[given] = pd.util.hash_array(known, categorize=False)
    return hashes


def _numbers(values: Array, decimal: str) -> tuple[Array, Array]:
    """The numbers of a column and where a text is none. pandas leaves a column as texts when one of them is none."""
    if values.dtype.kind in "fiu":
        parsed, missing = values.astype(float), pd.isna(values)
    else:
        # A column of nothing but "true" arrives as one of truths.
        texts = pd.Series(values.astype(str if values.dtype.kind == "b" else object), dtype=object)
        missing = texts.isna().to_numpy(copy=True)
        plain = (
            texts
            if decimal == "."
            else texts.where(~texts.str.contains(".", regex=False, na=False)).str.replace(decimal, ".", regex=False)
        )
        parsed = pd.to_numeric(plain, errors="coerce").to_numpy(dtype=float, copy=True)
        for place in np.flatnonzero(~missing & np.isnan(parsed)):
            text = _text(texts[place])
            missing[place] = text is None
            parsed[place] = _number(text, decimal)
    wrong = ~missing & ~(np.abs(parsed) < NUMBER_LIMIT)
    parsed[wrong] = math.nan
    return parsed, wrong


def _number(value: str | None, decimal: str) -> float:
    mark = re.escape(decimal)
    if value is None or not re.fullmatch(rf"[+-]?(\d+{mark}?\d*|{mark}\d+)([eE][+-]?\d+)?", value, re.ASCII):
        return math.nan
    return float(value.replace(decimal, "."))


def _moments(values: Array, shape: Shape) -> tuple[Array, Array]:
    """Local times, NaT where a text is none, and whether there is a text at all."""
    given = ~pd.isna(values)
    width = len(shape.layout)
    letters = np.where(given, values, "").astype(f"U{width + 1}").view(np.uint32).reshape(len(values), width + 1)
    fits = letters[:, width] == 0
    for place, sign in enumerate(shape.layout):
        fits &= (letters[:, place] - 48 <= 9) if sign.isalpha() else letters[:, place] == ord(sign)

    def read(sign: str) -> Array:
        number = np.zeros(len(values), dtype=np.int64)
        for place in (place for place, other in enumerate(shape.layout) if other == sign):
            number = number * 10 + np.where(fits, letters[:, place] - 48, 0)
        return number

    year, month, day, hour, minute, second = map(read, "ymdHMS")
    first = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    date_ = first.astype("datetime64[D]") + (day - 1)
    fits &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (date_.astype("datetime64[M]") == first)
    fits &= (hour < 24) & (minute < 60) & (second < 60)
    moments = date_.astype("datetime64[s]") + (hour * 3600 + minute * 60 + second)
    moments[~fits] = np.datetime64("NaT")
    for place in np.flatnonzero(given & ~fits):
        text = _text(values[place])
        given[place] = text is not None
        moments[place] = _timestamp(text, shape.timestamp)
    return moments, given


def _timestamp(value: str | None, pattern: str) -> np.datetime64:
    try:
        moment = datetime.strptime(value or "", pattern)
    except ValueError:
        return np.datetime64("NaT")
    return np.datetime64(moment if moment.strftime(pattern) == value else "NaT")


# Judging -------------------------------------------------------------------------------------------------------------


def judge(rows: pd.DataFrame, month: str, received_at: datetime, policy: Policy) -> pd.Series:
    """The first quarantine reason that applies to each row, or ''. `rows` are in the order of file name and row."""
    first = np.datetime64(month, "M")
    stamped = rows["measured_at"].notna().to_numpy()
    measured_month = rows["measured_at"].to_numpy().astype("datetime64[M]")
    maximum = of_each(rows["technology"], lambda text: policy.speed_maxima.get(text, math.nan), math.nan)
    speed = rows["download_mbps"].to_numpy()
    received = np.datetime64(received_at.astimezone(LOCAL).replace(tzinfo=None))
    reason = np.zeros(len(rows), dtype=np.int8)

    def give(name: str, applies: Array) -> None:
        reason[(reason == 0) & applies] = 1 + REASONS.index(name)

    give("unreadable_row", rows["unreadable"].to_numpy())
    give("missing_required", ~rows["has_time"].to_numpy() | rows["technology"].isna().to_numpy() | np.isnan(speed))
    give("bad_timestamp", ~stamped)
    give("future_timestamp", stamped & (rows["measured_at"].to_numpy() > received))
    give("other_month", stamped & (measured_month != first))
    named = (rows["measurement_id"] != 0).to_numpy()
    for candidates, columns in (((reason == 0) & named, ["measurement_id"]), ((reason == 0) & ~named, list(COLUMNS))):
        again = np.zeros(len(rows), dtype=bool)
        again[candidates] = rows.loc[candidates, columns].duplicated().to_numpy()
        give("duplicate", again)
    implausible = np.isnan(maximum)
    for name, limit in (("download_mbps", maximum), ("upload_mbps", maximum), ("ping_ms", policy.ping_maximum_ms)):
        values = rows[name].to_numpy()
        implausible |= ~np.isnan(values) & ~((values > 0) & (values <= limit))
    give("implausible_value", implausible)
    return pd.Series(pd.Categorical.from_codes(reason, ["", *REASONS]), index=rows.index)


# Groups of rows ------------------------------------------------------------------------------------------------------


def of_each(column: pd.Series, function: Callable[[Any], Any], missing: Any) -> Array:
    """What a function makes of each text, asked once a different text."""
    return np.array([*map(function, column.cat.categories), missing])[column.cat.codes.to_numpy()]


def numbers_of(column: pd.Series | Array) -> Array:
    """A column as small whole numbers that stand for its values, -1 for none."""
    if isinstance(column, pd.Series) and isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy()
    values = np.asarray(column)
    return pd.factorize(values)[0] if values.dtype.kind not in "ib" else values


def group(*columns: pd.Series | Array) -> tuple[Array, Array]:
    """The number of each row's group, in the order they are met, and the place of each group's first row."""
    key, size = np.zeros(len(columns[0]), dtype=np.int64), 1
    for column in map(numbers_of, columns):
        if not len(column):
            break
        width = int(column.max()) + 2
        if size * width >= 1 << 62:
            key, distinct = pd.factorize(key)
            size = len(distinct)
        key, size = key * width + (column + np.int64(1)), size * width
    ids, distinct = pd.factorize(key)
    firsts = np.empty(len(distinct), dtype=np.int64)
    firsts[ids[::-1]] = np.arange(len(ids))[::-1]
    return ids, firsts


def count(groups: Array, n: int, where: Array | None = None) -> Array:
    """Rows in each of `n` groups; -1 is none of them."""
    kept = groups >= 0 if where is None else (groups >= 0) & where
    return np.bincount(groups[kept], minlength=n)


# Vietnamese text -----------------------------------------------------------------------------------------------------

KINDS = {  # each kind of unit, and the letters that stand for it on forms: P., T.P., ĐK …
    "phường": "p",
    "xã": "x",
    "thị trấn": "tt",
    "đặc khu": "đk",
    "thành phố": "tp",
    "thị xã": "tx",
    "quận": "q",
    "huyện": "h",
    "tỉnh": "",
}
TONES = "\u0300\u0301\u0303\u0309\u0323"  # huyền, sắc, ngã, hỏi, nặng
BLANKS = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"  # have no width: nobody sees them
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015"


@cache
def fold(text: str) -> str:
    """One spelling for what reads the same: '  Phước  Hoà' → 'phước hòa'."""
    text = unicodedata.normalize("NFC", text).replace("\u00d0", "Đ").replace("\u00f0", "đ")
    text = " ".join(text.translate(dict.fromkeys(map(ord, BLANKS), " ")).split()).casefold()
    for first, second in ("oa", "oe", "uy"):  # an open syllable carries its tone on either vowel: hoà, hòa
        for tone in TONES:
            late = unicodedata.normalize("NFC", second + tone)
            early = unicodedata.normalize("NFC", first + tone)
            text = re.sub(rf"(?<!q){first}{late}(?!\w)", early + second, text)
    return text


@cache
def fold_place(text: str) -> str:
    """`fold`, and a dash of any length reads as a space: 'Phan Rang - Tháp Chàm', 'Phan Rang-Tháp Chàm'."""
    return " ".join(fold(text).translate(dict.fromkeys(map(ord, "-" + DASHES), " ")).split())


@cache
def split_kind(text: str) -> tuple[str, str]:
    """('phường', 'lộc thọ') from 'Phường Lộc Thọ' or 'P.Lộc Thọ'; ('', 'lộc thọ') where no kind is written."""
    folded = fold_place(text)
    for kind, letters in KINDS.items():
        if folded.startswith(f"{kind} "):
            return kind, folded.removeprefix(f"{kind} ")
        name = _behind_letters(folded, letters) if letters else None
        if name is not None:
            return kind, name
    return "", folded


def _behind_letters(text: str, letters: str) -> str | None:
    """What follows the letters, with dots between them or not, and a dot or a space behind them; None otherwise."""
    for place, letter in enumerate(letters):
        text = text.removeprefix(".") if place else text
        if not text.startswith(letter):
            return None
        text = text[1:]
    if text.lstrip().startswith("."):
        return text.lstrip()[1:].lstrip()
    return text.lstrip() if text.startswith(" ") else None


# The registry as of the day ------------------------------------------------------------------------------------------

PLACE = ("province_code", "district_code", "district_name", "commune_code", "commune_name")


def read_registry(registry: Path, name: str) -> pd.DataFrame:
    table = pd.read_csv(registry / f"{name}.csv", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    for column in table.columns:
        table[column] = table[column].map(lambda value: unicodedata.normalize("NFC", value.strip()))
    for column, bound, default in (("valid_from", "starts", date.min), ("valid_to", "ends", date.max)):
        if column not in table:
            table[column] = ""  # a file without validities holds for all time
        days = [date.fromisoformat(day) if day else default for day in table[column]]
        table[bound] = pd.Series(days, index=table.index, dtype=object)
    return table


def valid_on(table: pd.DataFrame, day: date) -> pd.DataFrame:
    return table[(table["starts"] <= day) & (table["ends"] >= day)]


def valid_within(table: pd.DataFrame, first: date, last: date) -> pd.DataFrame:
    return table[(table["starts"] <= last) & (table["ends"] >= first)]


def ask_each(rows: pd.DataFrame, columns: Sequence[str], first: date, answer: Callable[..., Any]) -> list[Any]:
    """What the registry answers to the texts of each row on its day, asked once for all rows that are alike.

    `first` is the day that is number 1; a missing text is asked as ''. One array for each part of the answer: texts as
    categories, numbers as they are.
    """
    groups, firsts = group(*(rows[name] for name in columns), rows["day"])
    asked = rows.iloc[firsts]
    texts = [asked[name].astype(object).where(asked[name].notna(), "") for name in columns]
    days = [first + timedelta(days=int(day) - 1) for day in asked["day"]]
    answers = [answer(*key) for key in zip(*texts, days, strict=True)] or [answer(*[""] * len(columns), first)]
    parts: list[Any] = []
    for part in zip(*answers, strict=True):
        codes, different = pd.factorize(np.array(part, dtype=object))
        is_text = isinstance(part[0], str)
        parts.append(pd.Categorical.from_codes(codes[groups], different) if is_text else np.array(part)[groups])
    return parts


def find_communes(
    rows: pd.DataFrame, first: date, communes: pd.DataFrame, succession: pd.DataFrame, policy: Policy
) -> Array:
    """The registry row (its place) of each measured commune, -1 where none or more than one fits."""
    named = communes.assign(name=communes["commune_name"].map(fold_place), districts=_districts(communes, succession))
    by_code = named.groupby("commune_code").groups
    by_name = dict(iter(named.groupby("name")))
    starts, ends = named["starts"].to_list(), named["ends"].to_list()
    meant: dict[tuple[str, ...], list[int]] = {}

    def find(*place_and_day: Any) -> tuple[int]:
        *place, day = place_and_day
        fitting = [unit for unit in by_code.get(place[3], ()) if starts[unit] <= day <= ends[unit]]
        if not fitting:
            key = tuple(place)
            if key not in meant:
                meant[key] = _find_by_name(by_name, named.iloc[:0], key, policy)
            fitting = [unit for unit in meant[key] if starts[unit] <= day <= ends[unit]]
        return (fitting[0] if len(fitting) == 1 else -1,)

    return ask_each(rows, PLACE, first, find)[0]


def _districts(communes: pd.DataFrame, succession: pd.DataFrame) -> list[set[tuple[str, str]]]:
    """The districts, (code, name), that a text may give for each unit.

    Since 07/2025 there are none; people go on naming those that the unit's parts were in on the day before.
    """
    found: list[set[tuple[str, str]]] = []
    for unit in communes.itertuples():
        units = {(unit.district_code, unit.district_name)}
        if units == {("", "")}:
            merged = succession[
                (succession["new_code"] == unit.commune_code) & (succession["effective_date"] == unit.valid_from)
            ]
            parts = communes[communes["commune_code"].isin(merged["old_code"])]
            parts = parts[(parts["starts"] < unit.starts) & (parts["ends"] >= unit.starts - timedelta(days=1))]
            units = set(zip(parts["district_code"], parts["district_name"], strict=True))
        found.append(units - {("", "")})
    return found


def _find_by_name(
    by_name: dict[Any, pd.DataFrame], nothing: pd.DataFrame, place: tuple[str, ...], policy: Policy
) -> list[int]:
    """Units of any day that fit all that the row tells: province, district, kind and name. What it leaves out is not
    compared. Where no unit has the name behind the kind, what looks like a kind is part of the name."""
    province, district_code, district_name, _, commune_name = place
    if not commune_name:
        return []
    kind, name = split_kind(commune_name)
    units = by_name.get(name, nothing) if name else nothing
    units = units[(kind == "") | (units["kind"] == kind)]
    if units.empty:
        units = by_name.get(fold_place(commune_name), nothing)
    asked_kind, asked_name = split_kind(district_name)

    def is_in(districts: set[tuple[str, str]]) -> bool:
        return not districts or any(
            ("" in (district_code, code) or code == district_code)
            and (full == "" or asked_name in ("", split_kind(full)[1]))
            and (full == "" or asked_kind in ("", split_kind(full)[0]))
            for code, full in districts
        )

    units = units[units["province_code"] == (province or policy.province_code)]
    return [unit for unit, districts in zip(units.index, units["districts"], strict=True) if is_in(districts)]


def find_operators(rows: pd.DataFrame, first: date, operators: pd.DataFrame) -> list[pd.Categorical]:
    """The brand of each row's operator text on the day, 'unknown' where the registry does not have it, and its host."""
    brands: dict[str, list[Any]] = {}
    for row in operators.itertuples():
        for spelling in {fold(text) for text in (row.brand, row.vnnic_mobile_label, *row.seen_spellings.split("|"))}:
            brands.setdefault(spelling, []).append(row)

    def find(text: str, day: date) -> tuple[str, str]:
        meant = [row for row in brands.get(fold(text), ()) if text and row.starts <= day <= row.ends]
        return (meant[0].brand, meant[0].host_network) if meant else ("unknown", "")

    return ask_each(rows, ["operator"], first, find)


def find_holders(rows: pd.DataFrame, first: date, codes: pd.DataFrame) -> list[pd.Categorical]:
    """Who holds each row's referral code on the day of measurement: state ('', valid, expired, unknown), kind, code."""
    known = {code: list(held.itertuples()) for code, held in codes.groupby("referral_code")}

    def find(code: str, day: date) -> tuple[str, str, str]:
        held = [row for row in known.get(code, ()) if row.starts <= day <= row.ends]
        if held:
            return "valid", held[-1].holder_kind, held[-1].holder_code
        return ("expired" if code in known else "unknown") if code else "", "", ""

    return ask_each(rows, ["referral_code"], first, find)


@dataclass(frozen=True)
class Outcomes:
    """File and `reason` of every row of a month, and the accepted rows with what the registry knows about them."""

    rows: pd.DataFrame
    accepted: pd.DataFrame


def reference_outcomes(
    exports: Path, registry: Path, month: str, received_at: datetime, policy: Policy = POLICY
) -> Outcomes:
    """Each row's quarantine reason, else its flags (one boolean column a flag)."""
    return outcomes_of(read_month(exports, month), registry, month, received_at, policy)


def outcomes_of(
    rows: pd.DataFrame, registry: Path, month: str, received_at: datetime, policy: Policy = POLICY
) -> Outcomes:
    reason = judge(rows, month, received_at, policy)
    told = rows[["source_file", "row_number"]].assign(reason=reason)
    accepted = rows[(reason == "").to_numpy()].drop(columns=["unreadable", "has_time", "packet_loss_pct", *DETAILS])
    return Outcomes(told, add_registry(accepted, registry, month, policy))


def add_registry(accepted: pd.DataFrame, registry: Path, month: str, policy: Policy) -> pd.DataFrame:
    """The accepted rows with day, window and network; commune, brand and holder as of the day; and their flags."""
    first = date.fromisoformat(f"{month}-01")
    second = (accepted["measured_at"].to_numpy() - np.datetime64(first, "s")).astype(np.int64)
    accepted["second"] = second.astype(np.int32)  # of the month
    accepted["day"] = (second // 86_400 + 1).astype(np.int8)
    accepted["window"] = (second // WINDOWS.get(policy.window, 1 << 30)).astype(np.int16)
    network = of_each(accepted["technology"], lambda text: 0 if text in MOBILE else 1, 1)
    accepted["network"] = pd.Categorical.from_codes(network, list(NETWORKS))
    devices, _ = pd.factorize(accepted["device_id"].where(accepted["device_id"] != 0))
    alone = devices < 0  # without a device each row counts as its own
    devices[alone] = devices.max(initial=-1) + 1 + np.arange(alone.sum())
    accepted["device"], accepted["has_device"] = devices.astype(np.int32), ~alone

    communes = read_registry(registry, "communes")
    unit = find_communes(accepted, first, communes, read_registry(registry, "commune_succession"), policy)
    code_of_unit, codes = pd.factorize(np.append(communes["commune_code"], ""))
    found_code = code_of_unit[unit]  # the last for -1: none
    accepted["unit"], accepted["found_commune_code"] = (
        unit.astype(np.int16),
        pd.Categorical.from_codes(found_code, codes),
    )
    brand, host = find_operators(accepted, first, read_registry(registry, "operators"))
    accepted["brand"], accepted["host_network"] = brand, host
    state, kind, holder = find_holders(accepted, first, read_referral_codes(registry))
    accepted["code_state"], accepted["holder_kind"], accepted["holder_code"] = state, kind, holder

    named_elsewhere = of_each(accepted["province_code"], lambda text: text != policy.province_code, False)
    found_elsewhere = np.append(communes["province_code"] != policy.province_code, False)[unit]
    is_found, holder_code = unit >= 0, pd.Index(codes).get_indexer(holder.categories)[holder.codes]
    accepted["unknown_commune"] = ~is_found
    accepted["outside_province"] = np.where(accepted["province_code"].isna(), found_elsewhere, named_elsewhere)
    accepted["unknown_referral_code"] = state == "unknown"
    accepted["expired_referral_code"] = state == "expired"
    accepted["commune_mismatch"] = (kind == "commune") & is_found & (found_code != holder_code)
    accepted["low_location_accuracy"] = accepted["location_accuracy_m"] > policy.accuracy_maximum_m
    accepted["unknown_operator"] = brand == "unknown"
    return accepted.drop(columns=[*PLACE, "operator", "measurement_id", "device_id"]).reset_index(drop=True)


def read_referral_codes(registry: Path) -> pd.DataFrame:
    """The codes on the days on which their holder exists, too: a code ends with its holder, and counts as expired."""
    codes = read_registry(registry, "referral_codes")
    codes["referral_code"] = codes["referral_code"].str.upper()
    communes, organisations = read_registry(registry, "communes"), read_registry(registry, "organisations")
    lives: dict[tuple[str, str], list[tuple[date, date]]] = {}
    for kind, table in (("commune", communes), ("organisation", organisations)):
        for code, starts, ends in table[[f"{kind}_code", "starts", "ends"]].itertuples(index=False, name=None):
            lives.setdefault((kind, code), []).append((starts, ends))
    cut = []
    for row in codes.to_dict("records"):
        for starts, ends in joined(lives.get((row["holder_kind"], row["holder_code"]), [])):
            if starts <= row["ends"] and ends >= row["starts"]:
                cut.append({**row, "starts": max(starts, row["starts"]), "ends": min(ends, row["ends"])})
    return pd.DataFrame(cut, columns=codes.columns).sort_values("starts", kind="stable", ignore_index=True)


def joined(spans: list[tuple[date, date]]) -> list[tuple[date, date]]:
    """Spans of days, those that meet or overlap made one: a holder that is renamed lives on."""
    whole: list[tuple[date, date]] = []
    for starts, ends in sorted(spans):
        if whole and starts.toordinal() <= whole[-1][1].toordinal() + 1:
            whole[-1] = (whole[-1][0], max(ends, whole[-1][1]))
        else:
            whole.append((starts, ends))
    return whole


# Figures -------------------------------------------------------------------------------------------------------------


def publish(value: float | None, digits: int = 2) -> float | None:
    """Half up to 6 decimals, then half up to `digits`: the noise of binary sums is gone before the cut that counts."""
    if value is None or math.isnan(value):
        return None
    fine = Decimal(repr(float(value))).quantize(Decimal("0.000001"), ROUND_HALF_UP)
    return float(fine.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


@cache
def interval_rank(n: int) -> int:
    """The largest k with P(Binomial(n, 1/2) < k) <= 0.025."""
    return int(binom.ppf(0.025, n, 0.5))


GRAIN = ("device", "unit", "brand", "technology", "window")


def representative_samples(
    rows: pd.DataFrame, within: Sequence[str] = (), metrics: Sequence[str] = METRICS
) -> pd.DataFrame:
    """One row per cell of `within` and device, commune, operator, technology and window: medians of what was measured.

    Most groups are of one row, which is its own median; only the others are sorted.
    """
    groups, firsts = group(*(rows[name] for name in (*within, *GRAIN)))
    samples = rows[["network", "commune_code", *within, *GRAIN, *metrics]].iloc[firsts]
    samples = samples.reset_index(drop=True)
    repeated = (np.bincount(groups) > 1)[groups] if len(groups) else np.zeros(0, dtype=bool)
    medians = rows.loc[repeated, list(metrics)].groupby(groups[repeated]).median()
    for metric in metrics:
        values = samples[metric].to_numpy(copy=True)
        values[medians.index] = medians[metric]
        samples[metric] = values
    return samples


def cells_of(rows: pd.DataFrame, units: pd.DataFrame, key: list[str]) -> Array:
    """The line of `units` that each row belongs to, -1 for none."""
    groups, firsts = group(*(rows[name] for name in key))
    lines = {cell: line for line, cell in enumerate(units[key].itertuples(index=False, name=None))}
    met = rows[key].iloc[firsts].astype(object).itertuples(index=False, name=None)
    return np.array([lines.get(cell, -1) for cell in met], dtype=np.int32)[groups]


@dataclass(frozen=True)
class Cell:
    """The representative samples of one line of a table."""

    metrics: dict[str, Array]
    devices: Array
    technologies: Array
    brands: Array

    @property
    def n_devices(self) -> int:
        return len(np.unique(self.devices))


def sample_cells(units: pd.DataFrame, samples: pd.DataFrame, key: list[str]) -> Iterator[Cell]:
    """The samples of each line of `units`, in their order."""
    lines = cells_of(samples, units, key)
    order = np.argsort(lines.astype(np.int16) if len(units) < 1 << 15 else lines, kind="stable")
    bounds = np.searchsorted(lines[order], np.arange(len(units) + 1))
    metrics = {metric: samples[metric].to_numpy()[order] for metric in METRICS}
    devices = samples["device"].to_numpy()[order]
    technologies = samples["technology"].cat.codes.to_numpy()[order]
    brands = samples["brand"].cat.codes.to_numpy()[order]
    for start, end in itertools.pairwise(bounds):
        part = slice(start, end)
        cut = {metric: values[part] for metric, values in metrics.items()}
        yield Cell(cut, devices[part], technologies[part], brands[part])


def quantile(ordered: Array, share: float) -> float:
    """By linear interpolation."""
    place = (len(ordered) - 1) * share
    below = int(place)
    low, high = float(ordered[below]), float(ordered[min(below + 1, len(ordered) - 1)])
    return low + (high - low) * (place - below)


def speed_figures(cell: Cell, n_devices: int, device_minimum: int) -> dict[str, float | None]:
    figures: dict[str, float | None] = {}
    for metric, measured in cell.metrics.items():
        known = ~np.isnan(measured)
        all_known = bool(known.all())
        values = np.sort(measured if all_known else measured[known])
        if (n_devices if all_known else len(np.unique(cell.devices[known]))) < device_minimum:
            values = values[:0]  # a metric of few devices tells of persons, too
        n = len(values)
        k = interval_rank(n) if n else 0
        raw = {
            "median": quantile(values, 0.5) if n else math.nan,
            "mean": float(values.mean()) if n else math.nan,
            **{f"p{percent}": quantile(values, percent / 100) if n else math.nan for percent in (10, 25, 75, 90)},
            "ci_low": values[k - 1] if k else math.nan,
            "ci_high": values[n - k] if k else math.nan,
        }
        figures |= {f"{metric}_{statistic}": publish(raw[statistic]) for statistic in STATISTICS}
    return figures


def add_figures(
    units: pd.DataFrame,
    rows: pd.DataFrame,
    samples: pd.DataFrame,
    key: list[str],
    policy: Policy,
    *,
    mix: bool = False,
) -> pd.DataFrame:
    """`units` (one row a cell) with counts, speeds, share, what is missing, and why figures are blank.

    With `mix` also what a cell pools: its samples by technology, and the operator with most of them.
    """
    n_measurements = count(cells_of(rows, units, key), len(units))
    names, brands = list(samples["technology"].cat.categories), list(samples["brand"].cat.categories)
    targets = np.array([policy.download_targets.get(name, math.nan) for name in names])
    blank = dict.fromkeys((f"{metric}_{statistic}" for metric in METRICS for statistic in STATISTICS), None)
    lines: list[dict[str, object]] = []
    for n_rows, cell in zip(map(int, n_measurements), sample_cells(units, samples, key), strict=True):
        n_devices = cell.n_devices
        reason = None
        if n_rows == 0:
            reason = "no_samples"
        elif n_rows < policy.publish_minimum:
            reason = "below_publish_minimum"
        elif n_devices < policy.device_minimum:
            reason = "too_few_devices"
        target = targets[cell.technologies]
        n_targets = int((~np.isnan(target)).sum())
        share = float((cell.metrics["download_mbps"] >= target).sum() / n_targets) if n_targets else None
        speeds = blank if reason else speed_figures(cell, n_devices, policy.device_minimum)
        unmeasured = [metric for metric in METRICS if not reason and speeds[f"{metric}_median"] is None]
        line: dict[str, object] = {
            "n_measurements": n_rows,
            "n_samples": len(cell.devices),
            "n_devices": n_devices,
            **speeds,
            "share_at_target": None if reason else share,
            "n_missing_to_publish": max(0, policy.publish_minimum - n_rows),
            "n_missing_to_assess": max(0, policy.assess_minimum - n_rows),
            "reason": reason,
            "blank_metrics": ", ".join(unmeasured) or None,
        }
        lines.append(line | (mixed(cell, n_devices, names, brands, policy) if mix else {}))
    columns = [*FIGURES, *(MIX if mix else ())]
    figures = pd.DataFrame(lines, index=units.index, columns=columns)
    return pd.concat([units, figures.astype(object).where(figures.notna(), None)], axis=1)


MIX = ("technology_mix", "top_operator", "top_operator_share")


def mixed(cell: Cell, n_devices: int, names: list[str], brands: list[str], policy: Policy) -> dict[str, object]:
    if n_devices < policy.device_minimum:
        return dict.fromkeys(MIX)
    counts = dict(zip(names, np.bincount(cell.technologies, minlength=len(names)), strict=True))
    n_brand = np.bincount(cell.brands, minlength=len(brands))
    top = min(range(len(brands)), key=lambda place: (-n_brand[place], brands[place]))
    texts = [f"{name} {counts[name]}" for name in TECHNOLOGIES if counts.get(name)]
    return dict(zip(MIX, (", ".join(texts), brands[top], float(n_brand[top] / len(cell.devices))), strict=True))


def add_change(
    table: pd.DataFrame, key: list[str], previous: pd.DataFrame | None, same_unit: set[Hashable] | None = None
) -> pd.DataFrame:
    """The change of the published median against the month before and its sign, or why there is none."""
    interval = ["download_mbps_ci_low", "download_mbps_ci_high"]
    before: dict[Hashable, float | None] = {}
    bounds: dict[Hashable, tuple[float, float]] = {}
    if previous is not None:
        cells = list(previous[key].itertuples(index=False, name=None))
        before = dict(zip(cells, previous["download_mbps_median"].to_numpy(dtype=object), strict=True))
        bounds = dict(zip(cells, previous[interval].astype(float).itertuples(index=False, name=None), strict=True))
    changes: list[float | None] = []
    reasons: list[str | None] = []
    for cell, now in zip(table[key].itertuples(index=False, name=None), table["download_mbps_median"], strict=True):
        then, reason = before.get(cell), None
        if previous is None:
            reason = "no_previous_month"
        elif cell not in before or (same_unit is not None and cell[1] not in same_unit):
            reason = "new_unit"
        elif now is None:
            reason = "blank_now"
        elif then is None or pd.isna(then):
            reason = "blank_before"
        reasons.append(reason)
        changes.append(None if reason or now is None or then is None else publish(float(now) - float(then)))
    signs: list[str | None] = []
    ends = table[interval].astype(float).itertuples(index=False, name=None)
    for cell, change, (low, high) in zip(table[key].itertuples(index=False, name=None), changes, ends, strict=True):
        if change is None:
            signs.append(None)
        else:  # a comparison with NaN, the end of an interval that does not exist, is False
            low_then, high_then = bounds[cell]
            signs.append("up" if low > high_then else "down" if high < low_then else "unclear")
    return table.assign(
        change_sign=pd.Series(signs, index=table.index, dtype=object),
        download_mbps_median_change=pd.Series(changes, index=table.index, dtype=object),
        change_reason=pd.Series(reasons, index=table.index, dtype=object),
    )


def add_rank(table: pd.DataFrame, among: list[str]) -> pd.DataFrame:
    """1 + how many of the same group lie wholly above, and how many have an interval at all."""
    low = pd.to_numeric(table["download_mbps_ci_low"])
    high = pd.to_numeric(table["download_mbps_ci_high"])
    rank = pd.Series([None] * len(table), index=table.index, dtype=object)
    n_ranked = rank.copy()
    for _, ranked in table[low.notna()].groupby(among):
        lows = np.sort(low[ranked.index])
        rank[ranked.index] = 1 + len(lows) - np.searchsorted(lows, high[ranked.index], side="right")
        n_ranked[ranked.index] = len(ranked)
    return table.assign(download_mbps_median_rank=rank, n_ranked=n_ranked)


def add_progress(table: pd.DataFrame, rows: pd.DataFrame, first: date, horizon: int, policy: Policy) -> pd.DataFrame:
    """Measurements a day up to day `horizon`, and the day when a commune has, or at that pace would have, enough."""
    cells = cells_of(rows, table, ["network", "commune_code"])
    by_day = count(np.where(cells < 0, -1, cells * 31 + rows["day"].to_numpy() - 1), len(table) * 31).reshape(-1, 31)
    paces: list[float | None] = []
    reached: list[date | None] = []
    for total in np.cumsum(by_day, axis=1):
        n, day = int(total[-1]), None
        if n >= policy.assess_minimum:
            day = 1 + int(np.argmax(total >= policy.assess_minimum))
        elif n:
            day = -(-policy.assess_minimum * horizon // n)  # the first on which n / horizon a day make enough
        reached.append(first + timedelta(days=day - 1) if day else None)
        paces.append(publish(n / horizon) if n else None)
    return table.assign(
        n_measurements_per_day=pd.Series(paces, index=table.index, dtype=object),
        assess_day=pd.Series(reached, index=table.index, dtype=object),
    )


# Tables --------------------------------------------------------------------------------------------------------------


def reference_tables(
    exports: Path,
    registry: Path,
    month: str,
    received_at: datetime,
    previous: dict[str, pd.DataFrame] | None,
    policy: Policy = POLICY,
) -> dict[str, pd.DataFrame]:
    """The report tables of a month, without `month` and `revision`.

    `exports` holds a folder a month; `previous` are the tables as published for the month before, None where nothing
    was. A blank is None.
    """
    outcomes = reference_outcomes(exports, registry, month, received_at, policy)
    return tables_of(outcomes, exports, registry, month, previous, policy)


def tables_of(
    outcomes: Outcomes,
    exports: Path,
    registry: Path,
    month: str,
    previous: dict[str, pd.DataFrame] | None,
    policy: Policy = POLICY,
) -> dict[str, pd.DataFrame]:
    rows = outcomes.accepted
    first = date.fromisoformat(f"{month}-01")
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    communes = read_registry(registry, "communes")
    organisations = read_registry(registry, "organisations")

    ours = valid_on(communes[communes["province_code"] == policy.province_code], last)
    # A code alone may mean another unit earlier in the month: only rows of these very units are theirs.
    place_of_unit = np.full(len(communes) + 1, -1)
    place_of_unit[ours.index] = np.arange(len(ours))
    rows["commune_code"] = pd.Categorical.from_codes(place_of_unit[rows["unit"]], ours["commune_code"].to_list())
    samples = representative_samples(rows)

    def finish(
        units: pd.DataFrame,
        name: str,
        key: list[str],
        rows: pd.DataFrame,
        samples: pd.DataFrame,
        same_unit: set[Hashable] | None = None,
        mix: bool = False,
    ) -> pd.DataFrame:
        before = None if previous is None else previous[name]
        return add_change(add_figures(units, rows, samples, key, policy, mix=mix), key, before, same_unit)

    same_unit = same_registry_row(communes, last, first - timedelta(days=1))
    commune = finish(
        for_both_networks(ours[["commune_code", "commune_name", "kind", "district_code", "district_name"]]),
        "report_commune_month",
        ["network", "commune_code"],
        rows,
        samples,
        same_unit,
        mix=True,
    )
    technology = finish(
        ours[["commune_code", "commune_name", "kind"]].merge(
            distinct(samples, ["network", "commune_code", "technology"]), on="commune_code"
        ),
        "report_commune_technology_month",
        ["network", "commune_code", "technology"],
        rows,
        samples,
        same_unit,
    )
    codes = codes_of_month(registry, rows, communes, organisations, first, last)
    coded = rows[rows["referral_code"].notna()]
    coded_samples = representative_samples(coded, ["referral_code"])
    referral_code = finish(
        for_both_networks(codes),
        "report_referral_code_month",
        ["network", "referral_code"],
        coded,
        coded_samples,
        same_holders(codes, None if previous is None else previous["report_referral_code_month"]),
        mix=True,
    )
    held = rows[rows["holder_kind"] == "organisation"].rename(columns={"holder_code": "organisation_code"})
    organisation = add_per_head(
        finish(
            for_both_networks(organisations_of_month(organisations, first, last)),
            "report_organisation_month",
            ["network", "organisation_code"],
            held,
            representative_samples(held, ["organisation_code"]),
            mix=True,
        )
    )
    met = distinct(samples, ["network", "brand", "technology"])
    met.insert(2, "host_network", met["brand"].map(hosts_of_month(rows)))
    operator = finish(
        met.rename(columns={"brand": "operator"}),
        "report_operator_month",
        ["network", "operator", "technology"],
        rows.rename(columns={"brand": "operator"}),
        samples.assign(operator=samples["brand"]),
    )
    province = finish(province_units(commune, policy), "report_province_month", ["network"], rows, samples, mix=True)
    return {
        "report_commune_month": add_progress(
            add_rank(commune, ["network"]), rows, first, int(rows["day"].max()) if len(rows) else last.day, policy
        ),
        "report_commune_technology_month": add_rank(technology, ["network", "technology"]),
        "report_referral_code_month": add_earlier(referral_code, coded, first),
        "report_organisation_month": organisation,
        "report_operator_month": add_rank(operator, ["network", "technology"]),
        "report_province_month": province,
        "report_quality_month": quality(outcomes, exports / month),
        "report_integrity_month": integrity(rows, coded, coded_samples, last, policy),
    }


def distinct(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Each combination of these texts that is met, without those that lack one."""
    _, firsts = group(*(rows[name] for name in columns))
    return rows[columns].iloc[firsts].astype(object).dropna().reset_index(drop=True)


def hosts_of_month(rows: pd.DataFrame) -> dict[str, str]:
    """The network that carried each brand: the first and the last one where it changed within the month."""
    known = rows.loc[rows["host_network"] != "", ["brand", "host_network", "day"]]
    hosts = dict.fromkeys(rows["brand"].cat.categories, "")
    _, firsts = group(known["brand"], known["host_network"], known["day"])
    for brand, met in known.iloc[firsts].sort_values("day").groupby("brand", observed=True)["host_network"]:
        hosts[brand] = met.iloc[0] if met.nunique() == 1 else f"{met.iloc[0]} → {met.iloc[-1]}"
    return hosts


def for_both_networks(units: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([units.assign(network=network) for network in NETWORKS], ignore_index=True)


def same_registry_row(communes: pd.DataFrame, day: date, earlier: date) -> set[Hashable]:
    both = valid_on(communes, day).merge(valid_on(communes, earlier), on=["commune_code", "valid_from"])
    return set(both["commune_code"])


def codes_of_month(
    registry: Path, rows: pd.DataFrame, communes: pd.DataFrame, organisations: pd.DataFrame, first: date, last: date
) -> pd.DataFrame:
    """Codes valid on any day of the month, and codes met that are expired or unknown, each with its latest holder."""
    codes = read_referral_codes(registry)
    known = {code: list(held.itertuples()) for code, held in codes.groupby("referral_code")}
    met = rows["referral_code"].cat.remove_unused_categories().cat.categories
    lines = []
    for code in sorted(set(valid_within(codes, first, last)["referral_code"]) | set(met)):
        validities = [row for row in known.get(code, ()) if row.starts <= last] or known.get(code, [])[:1]
        held = [
            (row, holder_name(row.holder_kind, row.holder_code, communes, organisations, min(last, row.ends)))
            for row in validities[-2:]
        ]
        if not held:
            lines.append((code, "", "", "", None, "", None))
            continue
        latest, name = held[-1]
        earlier, earlier_name = held[0]
        handed_on = (
            len(held) > 1
            and earlier.ends >= first
            and (earlier.holder_kind, earlier.holder_code) != (latest.holder_kind, latest.holder_code)
        )
        since, before = (latest.starts, earlier_name) if handed_on else (None, "")
        until = latest.ends if latest.ends < last else None
        lines.append((code, latest.holder_kind, latest.holder_code, name, since, before, until))
    columns = ["referral_code", "holder_kind", "holder_code", "holder_name", "holder_since", "earlier_holder_name"]
    return pd.DataFrame(lines, columns=[*columns, "holder_until"]).astype(object)


def holder_name(kind: str, code: str, communes: pd.DataFrame, organisations: pd.DataFrame, day: date) -> str:
    if kind == "organisation":
        return name_as_of(organisations[organisations["organisation_code"] == code], "organisation_name", day)
    held_by = communes[communes["commune_code"] == code]
    # Phường and xã of one name are two units: the kind belongs to the name.
    return f"{name_as_of(held_by, 'kind', day).capitalize()} {name_as_of(held_by, 'commune_name', day)}"


def add_earlier(table: pd.DataFrame, rows: pd.DataFrame, first: date) -> pd.DataFrame:
    """Of a code that was handed on within the month, how much was measured before that day."""
    since = [None if pd.isna(day) else (day - first).days + 1 for day in table["holder_since"]]
    cells = cells_of(rows, table, ["network", "referral_code"])
    until = np.array([day or 0 for day in since] + [0])[cells]
    n_rows = count(cells, len(table), rows["day"].to_numpy() < until)
    told = [None if day is None else int(n) for day, n in zip(since, n_rows, strict=True)]
    return table.assign(n_measurements_earlier=pd.Series(told, index=table.index, dtype=object))


def same_holders(codes: pd.DataFrame, previous: pd.DataFrame | None) -> set[Hashable]:
    """Codes with one holder, the same one, in this month and the one before. A commune's name says which unit it is."""
    if previous is None:
        return set()
    both = codes.merge(previous.drop_duplicates("referral_code"), on="referral_code", suffixes=("", "_before"))
    for name in ("holder_kind", "holder_code", "holder_name"):
        changed = both[name].fillna("") != both[f"{name}_before"].fillna("")
        both = both[~changed | ((name == "holder_name") & (both["holder_kind"] != "commune"))]
    return set(both.loc[both["holder_since"].isna() & both["holder_since_before"].isna(), "referral_code"])


def name_as_of(versions: pd.DataFrame, column: str, day: date) -> str:
    begun = versions[versions["starts"] <= day].sort_values("starts")
    return str(begun[column].iloc[-1]) if len(begun) else ""


def organisations_of_month(organisations: pd.DataFrame, first: date, last: date) -> pd.DataFrame:
    versions = valid_within(organisations, first, last).sort_values("starts")
    latest = versions.drop_duplicates("organisation_code", keep="last")
    headcount = latest["headcount"].map(lambda text: int(text) if text else None).astype(object)
    kept = latest[["organisation_code", "organisation_name", "organisation_kind"]].assign(headcount=headcount)
    return kept.sort_values("organisation_code", ignore_index=True)


def add_per_head(table: pd.DataFrame) -> pd.DataFrame:
    pairs = zip(table["n_measurements"], table["headcount"], strict=True)
    per_head = [publish(n / people) if people and not pd.isna(people) else None for n, people in pairs]
    staff = zip(table["n_devices"], table["headcount"], strict=True)
    share = [min(1.0, n / people) if people and not pd.isna(people) else None for n, people in staff]
    return table.assign(
        n_measurements_per_head=pd.Series(per_head, index=table.index, dtype=object),
        staff_share_at_most=pd.Series(share, index=table.index, dtype=object),
    )


def province_units(commune: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    lines = []
    for network in NETWORKS:
        counts = commune.loc[commune["network"] == network, "n_measurements"]
        lines.append(
            {
                "network": network,
                "province_code": policy.province_code,
                "province_name": policy.province_name,
                "n_communes": len(counts),
                "n_communes_publishable": int((counts >= policy.publish_minimum).sum()),
                "n_communes_assessable": int((counts >= policy.assess_minimum).sum()),
            }
        )
    return pd.DataFrame(lines)


def quality(outcomes: Outcomes, folder: Path) -> pd.DataFrame:
    """raw = accepted + quarantined, file by file; flagged rows are among the accepted."""
    rows, accepted = outcomes.rows, outcomes.accepted
    by_reason = pd.crosstab(rows["source_file"], rows["reason"], dropna=False)
    lines: list[tuple[str, str, str, int]] = []
    for number, name in enumerate(path.name for path in export_files(folder)):
        of_file = (accepted["source_file"].cat.codes == number).to_numpy()
        counts = by_reason.loc[name]
        lines += [(name, "raw", "", int(counts.sum())), (name, "accepted", "", int(counts[""]))]
        lines += [(name, "quarantined", reason, int(counts[reason])) for reason in REASONS]
        lines += [(name, "flagged", flag, int((accepted[flag].to_numpy() & of_file).sum())) for flag in FLAGS]
        lines += [(name, "flagged", flag, 0) for flag in LOCATION_FLAGS]
    return pd.DataFrame(lines, columns=["source_file", "outcome", "reason", "n_rows"])


# Integrity -----------------------------------------------------------------------------------------------------------

NIGHT = (23, 0, 1, 2, 3, 4)
RUSH_DAYS, RUSH_TESTS = 3, 3  # the last days before a deadline; so many tests of a phone there are what is asked for
BUSY_PHONE, PAUSE_S, SAME_PAUSE_S = 20, (60, 3600), 5
Counts = dict[str, tuple[Array, Array]]  # hits and cases of each code, by indicator


def integrity(
    rows: pd.DataFrame, coded: pd.DataFrame, samples: pd.DataFrame, last: date, policy: Policy
) -> pd.DataFrame:
    """What stands out about a code, as 'hits/cases' with the value and the code's own threshold."""
    codes = list(rows["referral_code"].cat.categories)
    n_rows = count(numbers_of(coded["referral_code"]), len(codes))
    told = (n_rows >= policy.integrity_minimum).tolist()
    counts: Counts = {
        **who_measured(coded, samples, len(codes)),
        **where_measured(coded, len(codes)),
        **when_measured(coded, last, policy, len(codes)),
        **what_was_measured(rows, coded, samples, len(codes)),
    }
    lines: list[tuple[str, str, float | None, float | None, str]] = []
    for place in sorted(np.flatnonzero(told), key=lambda place: codes[place]):
        for indicator, (all_hits, all_cases) in counts.items():
            level, n, hits = policy.integrity_levels[indicator], int(all_cases[place]), int(all_hits[place])
            if n < 0:
                continue
            is_mean = not indicator.endswith("_share")  # tests a sample: tests after the first that made no new sample
            hits, n = (n - hits, n - 1) if is_mean else (hits, n)
            fewest = fewest_unlikely(n, 1 - 1 / level if is_mean else level, policy.integrity_chance)
            if fewest is None:
                continue
            value, threshold = ((n + 1) / (n + 1 - k) if is_mean else k / n for k in (hits, fewest))
            evidence = f"{n + 1}/{n + 1 - hits}" if is_mean else f"{hits}/{n}"
            lines.append((codes[place], indicator, publish(value, 6), publish(threshold, 6), evidence))
    return pd.DataFrame(lines, columns=["referral_code", "indicator", "value", "threshold", "evidence"])


@cache
def fewest_unlikely(n: int, rate: float, chance: float) -> int | None:
    """The smallest k with P(Binomial(n, rate) >= k) <= chance; none where even n is not that unlikely."""
    if n < 1:
        return None  # without a case there is nothing to judge
    fewest = int(binom.isf(chance, n, rate)) + 1
    return fewest if fewest <= n else None


def largest(groups: Array, values: Array, n: int) -> Array:
    """The largest value of each group, 0 where it has none."""
    found = np.zeros(n, dtype=np.int64)
    np.maximum.at(found, groups, values)
    return found


def per_device(coded: pd.DataFrame, where: Array | None = None) -> tuple[Array, Array, Array]:
    """Code, device and number of rows of each pair of them that is met."""
    kept = coded if where is None else coded[where]
    pairs, firsts = group(kept["referral_code"], kept["device"])
    return (
        numbers_of(kept["referral_code"])[firsts],
        kept["device"].to_numpy()[firsts],
        np.bincount(pairs, minlength=len(firsts)),
    )


def who_measured(coded: pd.DataFrame, samples: pd.DataFrame, n_codes: int) -> Counts:
    n_rows = count(numbers_of(coded["referral_code"]), n_codes)
    n_samples = count(numbers_of(samples["referral_code"]), n_codes)
    code, _, n_tests = per_device(coded)
    belongs = coded[((coded["code_state"] == "valid") & coded["has_device"]).to_numpy()]
    lent = np.zeros(int(coded["device"].max()) + 1 if len(coded) else 1, dtype=bool)
    lent[:] = True
    for column in ("holder_code", "referral_code"):  # with codes of more than one holder
        _, firsts = group(belongs["device"], belongs[column])
        lent &= np.bincount(belongs["device"].to_numpy()[firsts], minlength=len(lent)) > 1
    known_code, known_device, _ = per_device(belongs)
    return {
        "measurements_per_sample": (n_samples, n_rows),
        "samples_per_device": (count(code, n_codes), n_samples),
        "top_device_share": (largest(code, n_tests, n_codes), n_rows),
        "shared_device_share": (count(known_code, n_codes, lent[known_device]), count(known_code, n_codes)),
    }


def where_measured(coded: pd.DataFrame, n_codes: int) -> Counts:
    latitude, longitude = coded["latitude"].to_numpy(), coded["longitude"].to_numpy()
    fine = (np.round(latitude, 3) != latitude) | (np.round(longitude, 3) != longitude)
    placed = coded[~np.isnan(latitude) & ~np.isnan(longitude) & fine]
    hour = (placed["second"] // 3600).to_numpy()
    _, firsts = group(placed["referral_code"], placed["device"], hour, placed["latitude"], placed["longitude"])
    stays = placed.iloc[firsts]
    points, point_firsts = group(stays["referral_code"], stays["latitude"], stays["longitude"])
    point_code = numbers_of(stays["referral_code"])[point_firsts]
    at_point = largest(point_code, np.bincount(points, minlength=len(point_firsts)), n_codes)

    code = numbers_of(coded["referral_code"])
    of_commune = (coded["holder_kind"] == "commune").to_numpy()
    away = of_commune & coded["commune_mismatch"].to_numpy()
    away_code, _, n_away = per_device(coded, away)
    of_one = largest(away_code, n_away, n_codes)
    located = count(code, n_codes, of_commune & (coded["unit"] >= 0).to_numpy())
    cases = np.where(count(code, n_codes, of_commune) > 0, located - of_one, -1)
    return {
        "identical_coordinates_share": (at_point, count(numbers_of(stays["referral_code"]), n_codes)),
        "commune_mismatch_share": (count(code, n_codes, away) - of_one, cases),
    }


def when_measured(coded: pd.DataFrame, last: date, policy: Policy, n_codes: int) -> Counts:
    code, day = numbers_of(coded["referral_code"]), coded["day"].to_numpy()
    rushes = np.zeros(n_codes, dtype=np.int64)
    for end in (policy.return_day - 1, last.day):
        rush_code, _, n_tests = per_device(coded, (day > end - RUSH_DAYS) & (day <= end))
        beyond = np.bincount(rush_code, weights=np.maximum(0, n_tests - RUSH_TESTS), minlength=n_codes)
        rushes = np.maximum(rushes, beyond.astype(np.int64))

    pairs, firsts = group(coded["referral_code"], coded["device"])
    is_busy = np.bincount(pairs, minlength=len(firsts))[pairs] >= BUSY_PHONE
    order = np.lexsort((coded["second"].to_numpy()[is_busy], pairs[is_busy]))
    phone = (pairs[is_busy].astype(np.int64) * 32 + day[is_busy])[order]
    pause = np.diff(coded["second"].to_numpy()[is_busy][order])
    before, after = pause[:-1], pause[1:]
    is_pair = phone[:-2] == phone[2:]
    for seconds in (before, after):
        is_pair &= (seconds >= PAUSE_S[0]) & (seconds <= PAUSE_S[1])
    pair_code = code[is_busy][order][:-2]
    night = np.isin(coded["second"].to_numpy() // 3600 % 24, NIGHT)
    return {
        "night_share": (count(code, n_codes, night), count(code, n_codes)),
        "deadline_repeat_share": (rushes, count(code, n_codes)),
        "regular_interval_share": (
            count(pair_code, n_codes, is_pair & (np.abs(after - before) <= SAME_PAUSE_S)),
            count(pair_code, n_codes, is_pair),
        ),
    }


def what_was_measured(rows: pd.DataFrame, coded: pd.DataFrame, samples: pd.DataFrame, n_codes: int) -> Counts:
    full = coded[(coded["upload_mbps"].notna() & coded["ping_ms"].notna()).to_numpy()]
    twins, _ = group(full["referral_code"], full["technology"], *(full[metric] for metric in METRICS))
    full_code = numbers_of(full["referral_code"])
    is_twin = (np.bincount(twins) > 1)[twins] if len(twins) else np.zeros(0, dtype=bool)
    low, high = ordinary_speeds(rows, samples)
    code, speed = numbers_of(samples["referral_code"]), samples["download_mbps"].to_numpy()
    faster, slower = count(code, n_codes, speed > high), count(code, n_codes, speed < low)
    return {
        "identical_result_share": (count(full_code, n_codes, is_twin), count(full_code, n_codes)),
        "speed_difference_share": (np.maximum(faster, slower), count(code, n_codes, ~np.isnan(low))),
    }


def ordinary_speeds(rows: pd.DataFrame, samples: pd.DataFrame) -> tuple[Array, Array]:
    """For each sample the 95 % interval of the median download of those without a code in the same commune, with the
    same operator and technology; NaN where there is none."""
    others = rows[(rows["referral_code"].isna() & (rows["unit"] >= 0) & (rows["brand"] != "unknown")).to_numpy()]
    ordinary = representative_samples(others, metrics=("download_mbps",))
    both = [pd.concat([ordinary[name], samples[name]], ignore_index=True) for name in ("unit", "brand", "technology")]
    kinds, firsts = group(*both)
    own, asked = kinds[: len(ordinary)], kinds[len(ordinary) :]
    order = np.lexsort((ordinary["download_mbps"].to_numpy(), own))
    bounds = np.searchsorted(own[order], np.arange(len(firsts) + 1))
    speeds = ordinary["download_mbps"].to_numpy()[order]
    low, high = np.full((2, len(firsts)), math.nan)
    for kind, (start, end) in enumerate(itertools.pairwise(bounds)):
        k = interval_rank(int(end - start)) if end > start else 0
        if k:
            low[kind], high[kind] = speeds[start + k - 1], speeds[end - k]
    return low[asked], high[asked]
