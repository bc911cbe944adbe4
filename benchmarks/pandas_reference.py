"""The report tables once more, in plain pandas: a second reading of the rules that shares no code with the pipeline.

Correctness comes before speed here: files are read record by record so that every row is accounted for, and each rule
is written where a reader looks for it. `tests/reference/` holds the pipeline to these numbers.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import math
import re
import unicodedata
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
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
WINDOWS = {"hour": "h", "4h": "4h", "day": "D"}  # a policy's name → pandas' name; "month" is the whole of it
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


# Reading -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """How one kind of file writes its fields."""

    delimiter: str
    decimal: str
    timestamp: str


FIRST_SHAPE = Shape(",", ".", "%d/%m/%Y %H:%M:%S")
SECOND_SHAPE = Shape(";", ",", "%Y-%m-%d %H:%M:%S")


def export_files(folder: Path) -> list[Path]:
    """The exports by name; a name that begins with a dot is a marker, not an export."""
    files = (path for path in folder.iterdir() if path.name.endswith((".csv", ".csv.gz")))
    return sorted(path for path in files if not path.name.startswith("."))


def read_month(exports: Path, month: str) -> pd.DataFrame:
    """Every data row of a month's files, with file and row number; `unreadable` where a record or number is."""
    return pd.concat([read_file(path) for path in export_files(exports / month)], ignore_index=True)


def read_file(path: Path) -> pd.DataFrame:
    shape = SECOND_SHAPE if path.name.endswith(".gz") else FIRST_SHAPE
    content = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
    text = content.decode("utf-8-sig", errors="surrogateescape")  # a byte that is no UTF-8 stays visible as U+DCxx
    records = [record for record in csv.reader(io.StringIO(text, newline=""), delimiter=shape.delimiter) if record]
    header, data = [HEADERS.get(name.strip()) for name in records[0]], records[1:]
    broken = [len(record) != len(header) or any(map(_undecodable, record)) for record in data]

    def values(name: str) -> list[str | None]:
        if name not in header:
            return [None] * len(data)
        place = header.index(name)
        return [None if bad else _text(record[place]) for record, bad in zip(data, broken, strict=True)]

    rows = pd.DataFrame({name: pd.Series(values(name), dtype=object) for name in COLUMNS})
    rows.insert(0, "source_file", path.name)
    rows.insert(1, "row_number", np.arange(2, len(data) + 2))
    rows["unreadable"] = np.array(broken, dtype=bool)
    for name in NUMBERS:
        parsed = rows[name].map(lambda value: _number(value, shape.decimal))
        rows["unreadable"] |= rows[name].notna() & parsed.isna()
        rows[name] = parsed.astype(float)
    rows["measured_text"] = rows["measured_at"]
    rows["measured_at"] = pd.Series(
        [_timestamp(value, shape.timestamp) for value in rows["measured_at"]], index=rows.index, dtype=object
    )
    return rows


def _undecodable(value: str) -> bool:
    return any("\udc80" <= letter <= "\udcff" for letter in value)


def _text(value: str) -> str | None:
    value = unicodedata.normalize("NFC", value.strip())
    return None if value in MISSING else value


def _number(value: str | None, decimal: str) -> float:
    if value is None or not re.fullmatch(rf"[+-]?\d+({re.escape(decimal)}\d+)?([eE][+-]?\d+)?", value, re.ASCII):
        return math.nan
    return float(value.replace(decimal, "."))


def _timestamp(value: str | None, pattern: str) -> datetime | None:
    try:
        moment = datetime.strptime(value or "", pattern)
    except ValueError:
        return None
    return moment.replace(tzinfo=LOCAL) if moment.strftime(pattern) == value else None


# Judging -------------------------------------------------------------------------------------------------------------


def judge(rows: pd.DataFrame, month: str, received_at: datetime, policy: Policy) -> pd.Series:
    """The first quarantine reason that applies to each row, or ''. `rows` are in the order of file name and row."""
    stamped = rows["measured_at"].notna()
    maximum = rows["technology"].map(policy.speed_maxima).astype(float)
    missing = rows["measured_text"].isna() | rows["technology"].isna() | rows["download_mbps"].isna()
    future = stamped & rows["measured_at"].map(lambda moment: moment is not None and moment > received_at)
    elsewhen = stamped & rows["measured_at"].map(lambda moment: moment is not None and f"{moment:%Y-%m}" != month)

    reason = pd.Series("", index=rows.index)

    def give(name: str, applies: pd.Series) -> None:
        reason[(reason == "") & applies] = name

    give("unreadable_row", rows["unreadable"])
    give("missing_required", missing)
    give("bad_timestamp", ~stamped)
    give("future_timestamp", future)
    give("other_month", elsewhen)
    candidates = rows[reason == ""]
    named, unnamed = candidates[candidates["measurement_id"].notna()], candidates[candidates["measurement_id"].isna()]
    again = pd.concat([named.duplicated("measurement_id"), unnamed.duplicated(list(COLUMNS))])
    give("duplicate", again.reindex(rows.index, fill_value=False))
    implausible = maximum.isna()
    for speed in ("download_mbps", "upload_mbps"):
        implausible |= rows[speed].notna() & ~((rows[speed] > 0) & (rows[speed] <= maximum))
    implausible |= rows["ping_ms"].notna() & ~((rows["ping_ms"] > 0) & (rows["ping_ms"] <= policy.ping_maximum_ms))
    give("implausible_value", implausible)
    return reason


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


def read_registry(registry: Path, name: str) -> pd.DataFrame:
    table = pd.read_csv(registry / f"{name}.csv", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    for column in table.columns:
        table[column] = table[column].map(lambda value: unicodedata.normalize("NFC", value.strip()))
    if "valid_from" in table:
        table["starts"] = table["valid_from"].map(lambda day: date.fromisoformat(day) if day else date.min)
        table["ends"] = table["valid_to"].map(lambda day: date.fromisoformat(day) if day else date.max)
    return table


def valid_on(table: pd.DataFrame, day: date) -> pd.DataFrame:
    return table[(table["starts"] <= day) & (table["ends"] >= day)]


def valid_within(table: pd.DataFrame, first: date, last: date) -> pd.DataFrame:
    return table[(table["starts"] <= last) & (table["ends"] >= first)]


def find_communes(rows: pd.DataFrame, communes: pd.DataFrame, succession: pd.DataFrame, policy: Policy) -> pd.Series:
    """The registry row (its index) of each measured commune, -1 where none or more than one fits."""
    named = communes.assign(name=communes["commune_name"].map(fold_place), districts=_districts(communes, succession))
    asked = ["day", "province_code", "district_code", "district_name", "commune_code", "commune_name"]
    text = rows[asked].fillna(dict.fromkeys(asked[1:], "")).replace({"province_code": {"": policy.province_code}})
    found: dict[Hashable, int] = {}
    meant: dict[Hashable, pd.DataFrame] = {}
    for day, units in ((day, valid_on(named, day)) for day in text["day"].unique()):
        for place in text.loc[text["day"] == day].drop_duplicates().itertuples(index=False):
            by_code = units.index[units["commune_code"] == place.commune_code]
            if len(by_code):
                fitting = by_code
            else:
                key = tuple(place)[1:]
                if key not in meant:
                    meant[key] = _find_by_name(named, place)
                fitting = valid_on(meant[key], day).index
            found[tuple(place)] = int(fitting[0]) if len(fitting) == 1 else -1
    return pd.Series([found[place] for place in text.itertuples(index=False, name=None)], index=rows.index, dtype=int)


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


def _find_by_name(named: pd.DataFrame, place: object) -> pd.DataFrame:
    """Units of any day that fit all that the row tells: province, district, kind and name. What it leaves out is not
    compared. Where no unit has the name behind the kind, what looks like a kind is part of the name."""
    province, district_code, district_name, commune_name = (
        getattr(place, name) for name in ("province_code", "district_code", "district_name", "commune_name")
    )
    kind, name = split_kind(commune_name)
    units = named[(named["name"] == name) & (name != "") & ((kind == "") | (named["kind"] == kind))]
    if units.empty:
        units = named[(named["name"] == fold_place(commune_name)) & (commune_name != "")]
    asked_kind, asked_name = split_kind(district_name)

    def is_in(districts: set[tuple[str, str]]) -> bool:
        return not districts or any(
            ("" in (district_code, code) or code == district_code)
            and (full == "" or asked_name in ("", split_kind(full)[1]))
            and (full == "" or asked_kind in ("", split_kind(full)[0]))
            for code, full in districts
        )

    return units[(units["province_code"] == province) & units["districts"].map(is_in).astype(bool)]


def find_operators(rows: pd.DataFrame, operators: pd.DataFrame) -> pd.Series:
    """The brand of each row's operator text, 'unknown' where the registry does not have it."""
    brands: dict[str, str] = {}
    for row in operators.itertuples():
        for spelling in (row.brand, row.vnnic_mobile_label, *row.seen_spellings.split("|")):
            if spelling:
                brands.setdefault(fold(spelling), row.brand)
    return rows["operator"].map(lambda text: brands.get(fold(text), "unknown") if isinstance(text, str) else "unknown")


def find_holders(rows: pd.DataFrame, codes: pd.DataFrame) -> pd.DataFrame:
    """Who holds each row's referral code on the day of measurement: state ('', valid, expired, unknown), kind, code."""
    known = set(codes["referral_code"])
    asked = rows[["referral_code", "day"]].fillna({"referral_code": ""})
    found: dict[Hashable, tuple[str, str, str]] = {}
    for code, day in asked.drop_duplicates().itertuples(index=False, name=None):
        held = valid_on(codes[codes["referral_code"] == code], day)
        if code == "":
            found[(code, day)] = ("", "", "")
        elif len(held):
            found[(code, day)] = ("valid", held["holder_kind"].iloc[-1], held["holder_code"].iloc[-1])
        else:
            found[(code, day)] = ("expired" if code in known else "unknown", "", "")
    return pd.DataFrame(
        [found[pair] for pair in asked.itertuples(index=False, name=None)],
        columns=["code_state", "holder_kind", "holder_code"],
        index=rows.index,
    )


@dataclass(frozen=True)
class Outcomes:
    """Every row of a month with its `reason`, and the accepted rows with what the registry knows about them."""

    rows: pd.DataFrame
    accepted: pd.DataFrame


def reference_outcomes(
    exports: Path, registry: Path, month: str, received_at: datetime, policy: Policy = POLICY
) -> Outcomes:
    """Each row's quarantine reason, else its flags (one boolean column a flag)."""
    rows = read_month(exports, month)
    rows["reason"] = judge(rows, month, received_at, policy)
    accepted = rows[rows["reason"] == ""].copy()
    accepted["day"] = accepted["measured_at"].map(lambda moment: moment.date())
    accepted["referral_code"] = accepted["referral_code"].map(
        lambda code: code.upper() if isinstance(code, str) else None
    )
    local = pd.to_datetime(accepted["measured_at"].map(lambda moment: moment.replace(tzinfo=None)))
    accepted["window"] = local.dt.floor(WINDOWS[policy.window]) if policy.window in WINDOWS else local.min()
    accepted["network"] = np.where(accepted["technology"].isin(MOBILE), "mobile", "fixed")
    own = "row without a device: " + accepted["source_file"] + " " + accepted["row_number"].astype(str)
    accepted["device"] = accepted["device_id"].where(accepted["device_id"].notna(), own)

    communes = read_registry(registry, "communes")
    unit = find_communes(accepted, communes, read_registry(registry, "commune_succession"), policy)
    for column in ("commune_code", "province_code", "valid_from"):
        accepted[f"found_{column}"] = unit.map(communes[column].to_dict()).fillna("")
    accepted["brand"] = find_operators(accepted, read_registry(registry, "operators"))
    accepted = accepted.join(find_holders(accepted, read_referral_codes(registry)))

    province = accepted["province_code"].where(accepted["province_code"].notna(), accepted["found_province_code"])
    commune = accepted["found_commune_code"]
    accepted["unknown_commune"] = commune == ""
    accepted["outside_province"] = ~province.isin(["", policy.province_code])
    accepted["unknown_referral_code"] = accepted["code_state"] == "unknown"
    accepted["expired_referral_code"] = accepted["code_state"] == "expired"
    accepted["commune_mismatch"] = (
        (accepted["holder_kind"] == "commune") & (commune != "") & (commune != accepted["holder_code"])
    )
    accepted["low_location_accuracy"] = accepted["location_accuracy_m"] > policy.accuracy_maximum_m
    accepted["unknown_operator"] = accepted["brand"] == "unknown"
    return Outcomes(rows, accepted)


def read_referral_codes(registry: Path) -> pd.DataFrame:
    codes = read_registry(registry, "referral_codes")
    codes["referral_code"] = codes["referral_code"].str.upper()
    return codes.sort_values("starts", kind="stable")


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


def speed_figures(samples: pd.DataFrame, device_minimum: int) -> dict[str, float | None]:
    figures: dict[str, float | None] = {}
    for metric in METRICS:
        measured = samples[samples[metric].notna()]
        if measured["device"].nunique() < device_minimum:  # a metric of few devices tells of persons, too
            measured = measured.iloc[:0]
        values = np.sort(measured[metric].to_numpy(dtype=float))
        n = len(values)
        k = interval_rank(n) if n else 0
        p10, p25, p50, p75, p90 = np.percentile(values, [10, 25, 50, 75, 90]) if n else [math.nan] * 5
        raw = {
            "median": p50,
            "mean": math.fsum(values) / n if n else math.nan,
            "p10": p10,
            "p25": p25,
            "p75": p75,
            "p90": p90,
            "ci_low": values[k - 1] if k else math.nan,
            "ci_high": values[n - k] if k else math.nan,
        }
        figures |= {f"{metric}_{statistic}": publish(value) for statistic, value in raw.items()}
    return figures


def representative_samples(rows: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """One row per cell of `key` and device, commune, operator, technology and window: medians of what was measured."""
    grain = list(dict.fromkeys([*key, "device", "found_commune_code", "brand", "technology", "window"]))
    return rows.groupby(grain, as_index=False, sort=False)[list(METRICS)].median()


def add_figures(units: pd.DataFrame, rows: pd.DataFrame, key: list[str], policy: Policy) -> pd.DataFrame:
    """`units` (one row a cell) with counts, speeds, share, what is missing, and why figures are blank."""
    samples = dict(iter(representative_samples(rows, key).groupby(key, sort=False))) if len(rows) else {}
    measured = dict(iter(rows.groupby(key, sort=False))) if len(rows) else {}
    nothing, blank = rows.iloc[:0], dict.fromkeys(speed_figures(rows.iloc[:0], policy.device_minimum))
    lines: list[dict[str, object]] = []
    for cell in units[key].itertuples(index=False, name=None):
        cell_rows, cell_samples = measured.get(cell, nothing), samples.get(cell, nothing)
        counts = {
            "n_measurements": len(cell_rows),
            "n_samples": len(cell_samples),
            "n_devices": cell_rows["device"].nunique(),
        }
        reason = None
        if counts["n_measurements"] == 0:
            reason = "no_samples"
        elif counts["n_measurements"] < policy.publish_minimum:
            reason = "below_publish_minimum"
        elif counts["n_devices"] < policy.device_minimum:
            reason = "too_few_devices"
        target = cell_samples["technology"].map(policy.download_targets).astype(float)
        reached = cell_samples["download_mbps"] >= target
        share = float(reached.sum() / target.notna().sum()) if target.notna().any() else None
        speeds = blank if reason else speed_figures(cell_samples, policy.device_minimum)
        unmeasured = [metric for metric in METRICS if not reason and speeds[f"{metric}_median"] is None]
        lines.append(
            {
                **counts,
                **speeds,
                "share_at_target": None if reason else share,
                "n_missing_to_publish": max(0, policy.publish_minimum - counts["n_measurements"]),
                "n_missing_to_assess": max(0, policy.assess_minimum - counts["n_measurements"]),
                "reason": reason,
                "blank_metrics": ", ".join(unmeasured) or None,
            }
        )
    figures = pd.DataFrame(lines, index=units.index, columns=list(FIGURES))
    return pd.concat([units, figures.astype(object).where(figures.notna(), None)], axis=1)


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


def add_mix(table: pd.DataFrame, rows: pd.DataFrame, key: list[str], policy: Policy) -> pd.DataFrame:
    """What a cell pools: its samples by technology, and the operator with most of them."""
    samples = dict(iter(representative_samples(rows, key).groupby(key, sort=False)))
    lines: list[tuple[str | None, str | None, float | None]] = []
    for cell in table[key].itertuples(index=False, name=None):
        found = samples.get(cell)
        if found is None or found["device"].nunique() < policy.device_minimum:
            lines.append((None, None, None))
            continue
        counts = found["technology"].value_counts()
        mix = ", ".join(f"{name} {counts[name]}" for name in TECHNOLOGIES if name in counts)
        brands = sorted((-n, brand) for brand, n in found["brand"].value_counts().items())
        lines.append((mix, brands[0][1], -brands[0][0] / len(found)))
    mixed = pd.DataFrame(lines, columns=["technology_mix", "top_operator", "top_operator_share"], index=table.index)
    return pd.concat([table, mixed.astype(object).where(mixed.notna(), None)], axis=1)


def add_rank(table: pd.DataFrame, among: list[str]) -> pd.DataFrame:
    """1 + how many of the same group lie wholly above, and how many have an interval at all."""
    low = pd.to_numeric(table["download_mbps_ci_low"])
    high = pd.to_numeric(table["download_mbps_ci_high"])
    rank = pd.Series([None] * len(table), index=table.index, dtype=object)
    n_ranked = rank.copy()
    for _, group in table[low.notna()].groupby(among):
        for index in group.index:
            rank[index] = 1 + sum(low[other] > high[index] for other in group.index)
            n_ranked[index] = len(group)
    return table.assign(download_mbps_median_rank=rank, n_ranked=n_ranked)


def add_progress(table: pd.DataFrame, rows: pd.DataFrame, horizon: date, policy: Policy) -> pd.DataFrame:
    """Measurements a day up to `horizon`, and the day on which a commune has, or at that pace would have, enough."""
    days = dict(iter(rows.groupby(["network", "commune_code"])["day"]))
    paces: list[float | None] = []
    reached: list[date | None] = []
    for cell in table[["network", "commune_code"]].itertuples(index=False, name=None):
        measured = sorted(days[cell]) if cell in days else []
        pace = len(measured) / horizon.day
        if not measured:
            reached.append(None)
        elif len(measured) >= policy.assess_minimum:
            reached.append(measured[policy.assess_minimum - 1])
        else:
            needed = next(n for n in itertools.count(1) if n * len(measured) >= policy.assess_minimum * horizon.day)
            reached.append(horizon.replace(day=1) + timedelta(days=needed - 1))
        paces.append(publish(pace) if measured else None)
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
    rows = outcomes.accepted
    first = date.fromisoformat(f"{month}-01")
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    communes = read_registry(registry, "communes")
    organisations = read_registry(registry, "organisations")

    def finish(
        units: pd.DataFrame, rows: pd.DataFrame, name: str, key: list[str], same_unit: set[Hashable] | None = None
    ) -> pd.DataFrame:
        before = None if previous is None else previous[name]
        return add_change(add_figures(units, rows, key, policy), key, before, same_unit)

    ours = valid_on(communes[communes["province_code"] == policy.province_code], last)
    in_units = rows_of_units(rows, ours)
    same_unit = same_registry_row(communes, last, first - timedelta(days=1))
    commune = finish(
        for_both_networks(ours[["commune_code", "commune_name", "kind", "district_code", "district_name"]]),
        in_units,
        "report_commune_month",
        ["network", "commune_code"],
        same_unit,
    )
    technology = finish(
        ours[["commune_code", "commune_name", "kind"]].merge(
            in_units[["network", "commune_code", "technology"]].drop_duplicates(), on="commune_code"
        ),
        in_units,
        "report_commune_technology_month",
        ["network", "commune_code", "technology"],
        same_unit,
    )
    codes = codes_of_month(registry, rows, communes, organisations, first, last)
    coded = rows[rows["code_state"] != ""]
    referral_code = finish(
        for_both_networks(codes),
        coded,
        "report_referral_code_month",
        ["network", "referral_code"],
        same_holders(codes, None if previous is None else previous["report_referral_code_month"]),
    )
    held = rows[rows["holder_kind"] == "organisation"].assign(organisation_code=lambda kept: kept["holder_code"])
    organisation = add_per_head(
        finish(
            for_both_networks(organisations_of_month(organisations, first, last)),
            held,
            "report_organisation_month",
            ["network", "organisation_code"],
        )
    )
    hosts = read_registry(registry, "operators").set_index("brand")["host_network"].to_dict()
    met = rows[["network", "brand", "technology"]].drop_duplicates().rename(columns={"brand": "operator"})
    met.insert(2, "host_network", met["operator"].map(hosts).fillna(""))
    operator = finish(
        met.reset_index(drop=True),
        rows.assign(operator=rows["brand"]),
        "report_operator_month",
        ["network", "operator", "technology"],
    )
    province = finish(province_units(commune, policy), rows, "report_province_month", ["network"])
    return {
        "report_commune_month": add_progress(
            add_rank(add_mix(commune, in_units, ["network", "commune_code"], policy), ["network"]),
            in_units,
            max(rows["day"], default=last),
            policy,
        ),
        "report_commune_technology_month": add_rank(technology, ["network", "technology"]),
        "report_referral_code_month": add_mix(
            add_earlier(referral_code, coded), coded, ["network", "referral_code"], policy
        ),
        "report_organisation_month": add_mix(organisation, held, ["network", "organisation_code"], policy),
        "report_operator_month": add_rank(operator, ["network", "technology"]),
        "report_province_month": add_mix(province, rows, ["network"], policy),
        "report_quality_month": quality(outcomes, exports / month),
        "report_integrity_month": integrity(rows, policy),
    }


def for_both_networks(units: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([units.assign(network=network) for network in NETWORKS], ignore_index=True)


def rows_of_units(rows: pd.DataFrame, units: pd.DataFrame) -> pd.DataFrame:
    """Rows measured in one of these registry rows: a code alone may mean another unit earlier in the month."""
    keys = set(units[["commune_code", "valid_from"]].itertuples(index=False, name=None))
    found = zip(rows["found_commune_code"], rows["found_valid_from"], strict=True)
    inside = np.array([pair in keys for pair in found], dtype=bool)
    return rows[inside].assign(commune_code=lambda kept: kept["found_commune_code"])


def same_registry_row(communes: pd.DataFrame, day: date, earlier: date) -> set[Hashable]:
    both = valid_on(communes, day).merge(valid_on(communes, earlier), on=["commune_code", "valid_from"])
    return set(both["commune_code"])


def codes_of_month(
    registry: Path, rows: pd.DataFrame, communes: pd.DataFrame, organisations: pd.DataFrame, first: date, last: date
) -> pd.DataFrame:
    """Codes valid on any day of the month, and codes met that are expired or unknown, each with its latest holder."""
    codes = read_referral_codes(registry)
    valid = valid_within(codes, first, last)
    lines = []
    for code in sorted(set(valid["referral_code"]) | set(rows["referral_code"].dropna())):
        validities = valid[valid["referral_code"] == code]
        if validities.empty:
            validities = codes[codes["referral_code"] == code]
        held = [
            (kind, holder, holder_name(kind, holder, communes, organisations, min(last, ends)), starts)
            for kind, holder, starts, ends in validities[["holder_kind", "holder_code", "starts", "ends"]].to_numpy()
        ]
        kind, holder, name, since = held[-1] if held else ("", "", "", None)
        handed_on = len(held) > 1 and since > first and held[-2][:2] != held[-1][:2]
        lines.append((code, kind, holder, name, since if handed_on else None, held[-2][2] if handed_on else ""))
    columns = ["referral_code", "holder_kind", "holder_code", "holder_name", "holder_since", "earlier_holder_name"]
    return pd.DataFrame(lines, columns=columns).astype(object)


def holder_name(kind: str, code: str, communes: pd.DataFrame, organisations: pd.DataFrame, day: date) -> str:
    if kind == "organisation":
        return name_as_of(organisations[organisations["organisation_code"] == code], "organisation_name", day)
    held_by = communes[communes["commune_code"] == code]
    # Phường and xã of one name are two units: the kind belongs to the name.
    return f"{name_as_of(held_by, 'kind', day).capitalize()} {name_as_of(held_by, 'commune_name', day)}"


def add_earlier(table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Of a code that was handed on within the month, how much was measured before that day."""
    n_rows: list[int | None] = []
    for cell in table.itertuples():
        own = rows[(rows["network"] == cell.network) & (rows["referral_code"] == cell.referral_code)]
        n_rows.append(None if cell.holder_since is None else int((own["day"] < cell.holder_since).sum()))
    return table.assign(n_measurements_earlier=pd.Series(n_rows, index=table.index, dtype=object))


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
    lines: list[tuple[str, str, str, int]] = []
    for name in (path.name for path in export_files(folder)):
        rows = outcomes.rows[outcomes.rows["source_file"] == name]
        accepted = outcomes.accepted[outcomes.accepted["source_file"] == name]
        lines += [(name, "raw", "", len(rows)), (name, "accepted", "", len(accepted))]
        lines += [(name, "quarantined", reason, int((rows["reason"] == reason).sum())) for reason in REASONS]
        lines += [(name, "flagged", flag, int(accepted[flag].sum())) for flag in FLAGS]
        lines += [(name, "flagged", flag, 0) for flag in LOCATION_FLAGS]
    return pd.DataFrame(lines, columns=["source_file", "outcome", "reason", "n_rows"])


# Integrity -----------------------------------------------------------------------------------------------------------

NIGHT = (23, 0, 1, 2, 3, 4)
RUSH_DAYS, RUSH_TESTS = 3, 3  # the last days before a deadline; so many tests of a phone there are what is asked for
BUSY_PHONE, PAUSE_S, SAME_PAUSE_S = 20, (60, 3600), 5


def integrity(rows: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """What stands out about a code, as 'hits/cases' with the value and the code's own threshold."""
    coded = rows[rows["code_state"] != ""]
    belongs = coded[(coded["code_state"] == "valid") & coded["device_id"].notna()]
    used = belongs.groupby("device")
    lent = set(used["holder_code"].nunique().loc[lambda n: n > 1].index) & set(
        used["referral_code"].nunique().loc[lambda n: n > 1].index
    )
    ordinary = ordinary_speeds(rows[rows["code_state"] == ""])
    lines: list[tuple[str, str, float | None, float | None, str]] = []
    for code, group in coded.groupby("referral_code"):
        if len(group) < policy.integrity_minimum:
            continue
        counts = {
            **who_measured(group, lent),
            **where_measured(group),
            **when_measured(group, policy),
            **what_was_measured(group, ordinary),
        }
        for indicator, (hits, cases) in counts.items():
            level, n = policy.integrity_levels[indicator], int(cases)
            is_mean = not indicator.endswith("_share")  # tests a sample: tests after the first that made no new sample
            hits, n = (n - int(hits), n - 1) if is_mean else (int(hits), n)
            fewest = fewest_unlikely(n, 1 - 1 / level if is_mean else level, policy.integrity_chance)
            if fewest is None:
                continue
            value, threshold = ((n + 1) / (n + 1 - k) if is_mean else k / n for k in (hits, fewest))
            told = f"{n + 1}/{n + 1 - hits}" if is_mean else f"{hits}/{n}"
            lines.append((str(code), indicator, publish(value, 6), publish(threshold, 6), told))
    return pd.DataFrame(lines, columns=["referral_code", "indicator", "value", "threshold", "evidence"])


@cache
def fewest_unlikely(n: int, rate: float, chance: float) -> int | None:
    """The smallest k with P(Binomial(n, rate) >= k) <= chance, by adding up the distribution from its upper end."""
    tail, fewest = 0.0, None
    for k in range(n, -1, -1):
        tail += float(binom.pmf(k, n, rate))
        if tail > chance:
            return fewest
        fewest = k
    return None  # without a case there is nothing to judge


def who_measured(group: pd.DataFrame, lent: set[Hashable]) -> dict[str, tuple[int, int]]:
    n_samples = len(representative_samples(group, ["referral_code"]))
    known = group.loc[(group["code_state"] == "valid") & group["device_id"].notna(), "device"].unique()
    return {
        "measurements_per_sample": (n_samples, len(group)),
        "samples_per_device": (group["device"].nunique(), n_samples),
        "top_device_share": (int(group["device"].value_counts().iloc[0]), len(group)),
        "shared_device_share": (len(lent & set(known)), len(known)),
    }


def where_measured(group: pd.DataFrame) -> dict[str, tuple[int, int]]:
    fine = group[["latitude", "longitude"]].map(lambda degrees: round(degrees, 3) != degrees).any(axis=1)
    placed = group[group["latitude"].notna() & group["longitude"].notna() & fine]
    hour = placed["measured_at"].map(lambda moment: moment.strftime("%Y-%m-%d %H"))
    stays = placed.assign(hour=hour)[["device", "hour", "latitude", "longitude"]].drop_duplicates()
    at_point = stays.groupby(["latitude", "longitude"]).size()
    counts = {"identical_coordinates_share": (int(at_point.max()) if len(stays) else 0, len(stays))}
    if (group["holder_kind"] == "commune").any():
        located = group[(group["holder_kind"] == "commune") & (group["found_commune_code"] != "")]
        away = located[located["commune_mismatch"]]
        of_one = int(away["device"].value_counts().max()) if len(away) else 0
        counts["commune_mismatch_share"] = (len(away) - of_one, len(located) - of_one)
    return counts


def when_measured(group: pd.DataFrame, policy: Policy) -> dict[str, tuple[int, int]]:
    day = group["day"].map(lambda day: day.day)
    last = (group["day"].iloc[0].replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    rushes = []
    for end in (policy.return_day - 1, last.day):
        rushed = group[(day > end - RUSH_DAYS) & (day <= end)]
        rushes.append(sum(max(0, n - RUSH_TESTS) for n in rushed["device"].value_counts()))
    same = pairs = 0
    for (device, _), tests in group.groupby(["device", "day"]):
        if (group["device"] == device).sum() < BUSY_PHONE:
            continue
        moments = sorted(moment.timestamp() for moment in tests["measured_at"])
        pauses = np.diff(moments)
        for before, pause in zip(pauses, pauses[1:], strict=False):
            if all(PAUSE_S[0] <= seconds <= PAUSE_S[1] for seconds in (before, pause)):
                pairs += 1
                same += abs(pause - before) <= SAME_PAUSE_S
    return {
        "night_share": (int(group["measured_at"].map(lambda moment: moment.hour in NIGHT).sum()), len(group)),
        "deadline_repeat_share": (max(rushes), len(group)),
        "regular_interval_share": (int(same), pairs),
    }


UNIT = ["found_commune_code", "found_valid_from", "brand", "technology"]


def ordinary_speeds(uncoded: pd.DataFrame) -> dict[Hashable, tuple[float, float]]:
    """The 95 % interval of the median download of those without a code, by commune, operator and technology."""
    placed = uncoded[(uncoded["found_commune_code"] != "") & (uncoded["brand"] != "unknown")]
    found = {}
    for unit, samples in placed.groupby([*UNIT, "device", "window"])["download_mbps"].median().groupby(level=UNIT):
        speeds, k = np.sort(samples.to_numpy()), interval_rank(len(samples))
        if k:
            found[unit] = (float(speeds[k - 1]), float(speeds[len(speeds) - k]))
    return found


def what_was_measured(group: pd.DataFrame, ordinary: dict[Hashable, tuple[float, float]]) -> dict[str, tuple[int, int]]:
    full = group[group["upload_mbps"].notna() & group["ping_ms"].notna()]
    twins = full.duplicated(["technology", *METRICS], keep=False)
    faster = slower = compared = 0
    samples = group.groupby([*UNIT, "device", "window"])["download_mbps"].median()
    for (*unit, _, _), speed in samples.items():
        if tuple(unit) in ordinary:
            low, high = ordinary[tuple(unit)]
            compared += 1
            faster += speed > high
            slower += speed < low
    return {
        "identical_result_share": (int(twins.sum()), len(full)),
        "speed_difference_share": (int(max(faster, slower)), compared),
    }
