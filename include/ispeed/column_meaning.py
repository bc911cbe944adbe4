"""Which of our columns those of an unknown export may be: by the likeness of names, where the values allow it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from typing import Final

import yaml

from ispeed.column_look import Column, is_dated, words_of_header
from ispeed.contracts import COLUMNS, REQUIRED
from ispeed.policy import TECHNOLOGY_NETWORK
from ispeed.settings import INCLUDE
from ispeed.text import fold

LIKENESS_MIN: Final = 0.72
FIGURES: Final = tuple(name for name in COLUMNS if name.endswith(("_mbps", "_ms", "_pct", "_m"))) + (
    "latitude",
    "longitude",
)
# Words that say a unit and not what is measured.
_UNIT_WORDS: Final = frozenset(
    ("mbps", "kbps", "bps", "gbps", "mbit", "kbit", "bit", "bits", "byte", "bytes", "mb", "kb", "gb", "per", "sec")
    + ("ms", "us", "s", "second", "seconds", "giay", "m", "km", "pct", "percent", "in")
)
# What other exports call our columns, in plain words; the headers of `ispeed.yaml` come beside them.
_NAMES: Final = {
    "measurement_id": ("test id", "measurement id", "result id", "uuid"),
    "measured_at": (
        "date",
        "time",
        "datetime",
        "date time",
        "timestamp",
        "test date",
        "test time",
        "measured at",
        "measurement time",
        "start time",
        "ngay do",
        "ngay gio do",
    ),
    "device_id": (
        "device id",
        "handset id",
        "phone id",
        "terminal id",
        "uid",
        "user uid",
        "user id",
        "client id",
        "imei",
        "ip",
        "client ip",
    ),
    "referral_code": ("referral", "ref code", "referral code"),
    "province_code": ("province code", "province", "province id", "tinh", "tinh thanh pho"),
    "district_code": ("district code", "district id"),
    "district_name": ("district", "district name", "quan huyen"),
    "commune_code": ("commune code", "ward code"),
    "commune_name": ("commune", "ward", "commune name", "ward name", "phuong xa"),
    "operator": ("isp", "carrier", "provider", "provider name", "isp id", "operator name", "network operator", "mang"),
    "technology": ("network type", "connection type", "access type", "network technology", "tech", "rat", "radio"),
    "download_mbps": (
        "download",
        "dl",
        "down",
        "download speed",
        "download rate",
        "dl speed",
        "downlink",
        "throughput",
        "mean throughput",
        "bandwidth",
        "toc do tai xuong",
    ),
    "upload_mbps": ("upload", "ul", "up", "upload speed", "upload rate", "ul speed", "uplink", "toc do tai len"),
    "ping_ms": ("ping", "latency", "rtt", "min rtt", "delay"),
    "jitter_ms": ("jitter",),
    "packet_loss_pct": ("packet loss", "loss"),
    "latitude": ("lat",),
    "longitude": ("lon", "lng", "long"),
    "location_accuracy_m": ("accuracy", "location accuracy", "gps accuracy"),
    "os": ("os version", "platform", "operating system"),
    "device_model": ("model", "device", "handset"),
    "app_version": ("version",),
}
# What other systems call our technologies.
TECHNOLOGIES: Final = {
    "gsm": "2G", "edge": "2G", "gprs": "2G", "umts": "3G", "hspa": "3G", "hspa+": "3G", "wcdma": "3G", "lte": "4G",
    "lte-a": "4G", "lte+": "4G", "4g lte": "4G", "nr": "5G", "5g nr": "5G", "nr-sa": "5G", "nr-nsa": "5G",
    "wi-fi": "WiFi", "wlan": "WiFi", "ftth": "Cố định", "fixed": "Cố định", "ethernet": "Cố định",
    "cáp quang": "Cố định",
}  # fmt: skip


@dataclass(frozen=True)
class Meaning:
    """The column that one of ours may be.

    `likeness` of the names is 1 where accents, case, units and joints alone differ, and 0 where the values say it.
    """

    column: Column
    likeness: float


def meanings_of(columns: Sequence[Column]) -> dict[str, Meaning]:
    """Which column each of ours may be, the likest first, where its values allow it."""
    likely = sorted(
        (
            (likeness(ours, column.header), -COLUMNS.index(ours), -place)
            for ours in COLUMNS
            for place, column in enumerate(columns)
            if column.header and (column.filled or ours not in REQUIRED) and _may_be(ours, column)
        ),
        reverse=True,
    )
    meanings: dict[str, Meaning] = {}
    taken: set[int] = set()
    for found, ours, place in likely:
        name = COLUMNS[-ours]
        if found >= LIKENESS_MIN and name not in meanings and -place not in taken:
            meanings[name] = Meaning(columns[-place], found)
            taken.add(-place)
    for name, is_one in (("measured_at", is_dated), ("technology", _is_technology)):
        left = [column for place, column in enumerate(columns) if place not in taken and is_one(column)]
        if name not in meanings and len(left) == 1:
            meanings[name] = Meaning(left[0], 0.0)
    return meanings


def rivals_of(ours: str, columns: Sequence[Column], meanings: Mapping[str, Meaning]) -> list[str]:
    """Headers of columns that nothing else was taken for, and that are like this one of ours too."""
    taken = [meaning.column for meaning in meanings.values()]
    return [
        column.header
        for column in columns
        if not any(column is other for other in taken) and likeness(ours, column.header) >= LIKENESS_MIN
    ]


def likeness_of_header(texts: Sequence[str]) -> float:
    """How many of a row's texts are like a header of ours, each counted by its likeness."""
    found = (max(likeness(ours, text) for ours in COLUMNS) for text in texts[:200] if len(text) <= 100)
    return sum(like for like in found if like >= LIKENESS_MIN)


def likeness(ours: str, header: str) -> float:
    """From 0 to 1; 1 where accents, case, units and the way of joining words are all that differs."""
    words = _words(header)
    return max(_likeness_of(words, known) for known in _known_names(ours)) if words else 0.0


def _may_be(ours: str, column: Column) -> bool:
    """Whether a column's values can be what its header may mean."""
    if not column.filled:
        return True
    if ours in FIGURES:
        return column.share_of_numbers > 0.5 and not column.n_times
    if ours == "measured_at":
        return any(character.isdigit() for character in column.filled[0])
    return True


def _is_technology(column: Column) -> bool:
    known = {*map(fold, TECHNOLOGY_NETWORK), *TECHNOLOGIES}
    return bool(column.filled) and all(fold(value) in known for value in set(column.filled))


@cache
def _known_names(ours: str) -> tuple[tuple[str, ...], ...]:
    contract = yaml.safe_load((INCLUDE / "sources" / "ispeed.yaml").read_text(encoding="utf-8"))
    headers = contract["columns"].get(ours, {}).get("headers", ())
    texts = [header if isinstance(header, str) else header["text"] for header in headers]
    return tuple(dict.fromkeys(filter(None, map(_words, [*texts, ours, *_NAMES[ours]]))))


def _likeness_of(words: tuple[str, ...], known: tuple[str, ...]) -> float:
    if words == known:
        return 1.0
    if any(words[start : start + len(known)] == known for start in range(len(words))):
        return 0.7 + 0.25 * len(known) / len(words)
    return SequenceMatcher(None, " ".join(words), " ".join(known)).ratio() * 0.95


@cache
def _words(text: str) -> tuple[str, ...]:
    """Lower-case words without accents and units: "MeanThroughputMbps" and "mean throughput (Mbps)" are the same."""
    plain = unicodedata.normalize("NFD", fold(words_of_header(text))).replace("đ", "d")
    words = re.findall(r"[a-z0-9]+", "".join(c for c in plain if not unicodedata.combining(c)))
    return tuple(word for word in words if word not in _UNIT_WORDS) or tuple(words)
