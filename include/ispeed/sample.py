"""Sample exports: made-up measurements with labelled defects, for the demo and the tests.

Nothing in them was measured. A hidden file `.sample` in a month's exports folder says so, and whatever is made from
such a month carries "DỮ LIỆU MẪU". A hidden file `.defects.csv` lists every defect that was put in, so that tests can
compare. Medians of mobile networks and their growth follow VNNIC's national figures of 07/2024 to 08/2026; what has no
source there (shares, fixed lines, 2G and 3G, habits of staff) is invented. Two referral codes of a month are there for
*Dấu hiệu bất thường* to show; an honest month goes without.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random
from statistics import NormalDist
from typing import Final

from ispeed.months import Month
from ispeed.policy import read_policy
from ispeed.settings import INCLUDE, Settings

SAMPLE_MARKER: Final = ".sample"
DONE_MARKER: Final = ".done"
DEFECTS_FILE: Final = ".defects.csv"
SAMPLE_NOTE: Final = "DỮ LIỆU MẪU"

QUARANTINE_REASONS: Final = (
    "unreadable_row",
    "missing_required",
    "bad_timestamp",
    "future_timestamp",
    "other_month",
    "duplicate",
    "implausible_value",
)
FLAGS: Final = (
    "unknown_commune",
    "outside_province",
    "unknown_referral_code",
    "expired_referral_code",
    "commune_mismatch",
    "low_location_accuracy",
    "unknown_operator",
)

# Rows of each defect per 20,000; every kind occurs at least once in a smaller month.
DEFECTS_PER_20_000: Final = {
    "unreadable_row": 40,
    "missing_required": 60,
    "bad_timestamp": 30,
    "future_timestamp": 20,
    "other_month": 80,
    "duplicate": 150,
    "implausible_value": 60,
    "unknown_commune": 120,
    "outside_province": 90,
    "unknown_referral_code": 100,
    "expired_referral_code": 80,
    "low_location_accuracy": 150,
    "unknown_operator": 130,
}
LOCATION_ACCURACY_LIMIT_M: Final = 1000

OPEN_START, OPEN_END = date.min, date.max

# Weight among mobile tests, and how the operator's speeds stand to the national median.
MOBILE_OPERATORS: Final = {
    "Viettel": (52.0, 1.18),
    "VinaPhone": (22.0, 0.95),
    "MobiFone": (16.0, 0.80),
    "Vietnamobile": (4.0, 0.19),
    "iTel": (3.0, 0.82),
    "Wintel (ex Reddi)": (1.5, 0.78),
    "Local": (1.0, 0.68),
    "VNSKY": (0.5, 0.70),
}
FIXED_OPERATORS: Final = {"Viettel": (46.0, 1.05), "VinaPhone": (44.0, 1.0), "MobiFone": (10.0, 0.85)}
OPERATORS_WITH_5G: Final = ("Viettel", "VinaPhone", "MobiFone")
UNKNOWN_OPERATORS: Final = ("", "Không xác định", "AIS", "T-Mobile", "SIM nước ngoài")
FIXED_SHARE: Final = 0.18


@dataclass(frozen=True)
class Technology:
    """Median speeds (Mbps) and ping (ms) in 07/2024, their monthly growth, and the highest download made."""

    download: float
    upload: float
    ping: float
    growth: float
    highest: float


TECHNOLOGIES: Final = {
    "2G": Technology(0.12, 0.05, 320, 0.0, 0.25),
    "3G": Technology(6.0, 1.8, 75, 0.0, 30.0),
    "4G": Technology(53.0, 21.0, 32, 0.024, 280.0),
    "5G": Technology(300.0, 60.0, 21, 0.01, 1400.0),
    "WiFi": Technology(95.0, 88.0, 14, 0.01, 900.0),
    "Cố định": Technology(150.0, 140.0, 6, 0.01, 940.0),
}
GROWTH_STARTS: Final = Month(2024, 7)
# From here on networks grow at half the pace: 54 Mbps in 07/2024, 77 in 05/2025, 91 in 08/2026.
GROWTH_SLOWS_AFTER: Final = 10
GROWTH_ENDS_AFTER: Final = 60

# Texts of districts as people write them; the long form is the registry's.
ABBREVIATIONS: Final = {
    "Thành phố ": "TP. ",
    "Thị xã ": "TX. ",
    "Huyện ": "H. ",
    "Phường ": "P. ",
    "Xã ": "X. ",
    "Thị trấn ": "TT. ",
}
# Real units of other provinces: (province, district, district name, commune, commune name).
FAR_AWAY: Final = (
    ("79", "760", "Quận 1", "26740", "Phường Bến Nghé"),
    ("01", "001", "Quận Ba Đình", "00001", "Phường Phúc Xá"),
)
# No unit of the registry, by code or by name, on any day.
NO_SUCH_COMMUNES: Final = (
    ("29999", "Phường Hòn Chồng"),
    ("", "Xã Bãi Dài"),
    ("2236", "Phường Lộc Thọo"),
    ("", ""),
)
# What people type into the field: slips, and a text that a spreadsheet would compute.
UNKNOWN_CODES: Final = ("MAU-2236O-A", "MAU-99999-A", "MAU22363A", "KHONG CO", "=1+1")

PHONES: Final = (
    ("Android 14", "Samsung SM-A556E"),
    ("Android 14", "Samsung SM-S921B"),
    ("Android 13", "Xiaomi 2201117TG"),
    ("Android 13", "OPPO CPH2577"),
    ("Android 12", "vivo V2120"),
    ("Android 11", "Vsmart Live 4"),
    ("iOS 17.6", "iPhone13,2"),
    ("iOS 17.6", "iPhone14,5"),
    ("iOS 16.7", "iPhone10,6"),
)
APP_VERSIONS: Final = ("2.4.1", "2.4.2", "2.5.0")
OFFICE_HOURS: Final = (8, 9, 10, 14, 15, 16)
NIGHT_HOURS: Final = (22, 23, 0, 1, 2, 3, 4, 5)
HOUR_WEIGHTS: Final = (1, 1, 0, 0, 0, 1, 4, 18, 40, 42, 34, 22, 14, 20, 36, 38, 34, 22, 14, 14, 14, 10, 5, 2)

FIRST_SHAPE: Final = {
    "measurement_id": "Mã phép đo",
    "measured_at": "Thời gian đo",
    "device_id": "Mã thiết bị",
    "referral_code": "Mã giới thiệu",
    "province_code": "Mã tỉnh",
    "district_code": "Mã huyện",
    "district_name": "Quận/Huyện",
    "commune_code": "Mã xã",
    "commune_name": "Xã/Phường",
    "operator": "Nhà mạng",
    "technology": "Loại mạng",
    "download_mbps": "Download (Mbps)",
    "upload_mbps": "Upload (Mbps)",
    "ping_ms": "Ping (ms)",
    "jitter_ms": "Jitter (ms)",
    "packet_loss_pct": "Tỷ lệ mất gói (%)",
    "latitude": "Vĩ độ",
    "longitude": "Kinh độ",
    "location_accuracy_m": "Sai số vị trí (m)",
    "os": "Hệ điều hành",
    "device_model": "Thiết bị",
    "app_version": "Phiên bản",
}
SECOND_SHAPE: Final = {
    "measured_at": "Thời điểm",
    "measurement_id": "ID phép đo",
    "device_id": "Thiết bị ID",
    "referral_code": "Mã giới thiệu",
    "province_code": "Mã tỉnh",
    "district_code": "Mã huyện",
    "district_name": "Huyện",
    "commune_code": "Mã xã",
    "commune_name": "Xã",
    "operator": "Nhà mạng",
    "technology": "Công nghệ",
    "download_mbps": "Tải xuống (Mbps)",
    "upload_mbps": "Tải lên (Mbps)",
    "ping_ms": "Độ trễ (ms)",
    "jitter_ms": "Jitter (ms)",
    "latitude": "Vĩ độ",
    "longitude": "Kinh độ",
    "location_accuracy_m": "Sai số vị trí (m)",
    "os": "Hệ điều hành",
}
DECIMALS: Final = {"latitude": 5, "longitude": 5, "location_accuracy_m": 0}
MISSING_MARKS: Final = ("", "", "", "NULL", "-")


@dataclass(frozen=True)
class Shape:
    """How one of the two export files is written."""

    headers: dict[str, str]
    delimiter: str
    decimal_sign: str
    time_format: str
    bad_times: tuple[str, ...]


SHAPES: Final = (
    Shape(FIRST_SHAPE, ",", ".", "%d/%m/%Y %H:%M:%S", ("31/02/2024 08:15:00", "2024-10-05 08:15:00", "sáng thứ hai")),
    Shape(SECOND_SHAPE, ";", ",", "%Y-%m-%d %H:%M:%S", ("2024-13-05 08:15:00", "05/10/2024 08:15:00", "hôm qua")),
)
FIRST_FILE_SHARE: Final = 0.7


# The registry, as far as the sample needs it


@dataclass(frozen=True)
class Unit:
    """One commune as of the month; texts carry the kind, as exports do."""

    code: str
    name: str
    kind: str
    district_code: str
    district_name: str
    province_code: str

    @property
    def full_name(self) -> str:
        return f"{self.kind.capitalize()} {self.name}"


@dataclass(frozen=True)
class CodePeriod:
    """One referral code with one holder, `valid_to` inclusive."""

    referral_code: str
    holder_kind: str
    holder_code: str
    valid_from: date
    valid_to: date

    def valid_on(self, day: date) -> bool:
        return self.valid_from <= day <= self.valid_to


@dataclass(frozen=True)
class Registry:
    """The province, its units of the month, the neighbours', those that have ended, codes, spellings and points."""

    province_code: str

    ours: tuple[Unit, ...]
    neighbours: tuple[Unit, ...]
    ended: tuple[Unit, ...]
    found_by_name: frozenset[str]
    codes: dict[str, tuple[CodePeriod, ...]]
    spellings: dict[str, tuple[str, ...]]
    points: dict[str, tuple[float, float]]

    def holder(self, referral_code: str, day: date) -> CodePeriod | None:
        for period in self.codes.get(referral_code, ()):
            if period.valid_on(day):
                return period
        return None


def _rows(settings: Settings, name: str) -> list[dict[str, str]]:
    """Rows of a registry file: the configured one, else the seed that the project ships."""
    path = settings.registry / name
    if not path.exists():
        path = INCLUDE / "registry" / name
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def _period(row: dict[str, str]) -> tuple[date, date]:
    start, end = row["valid_from"], row["valid_to"]
    return date.fromisoformat(start) if start else OPEN_START, date.fromisoformat(end) if end else OPEN_END


def read_registry(settings: Settings, month: Month) -> Registry:
    """The registry of `settings.registry`, file by file else the seed, as the month needs it."""
    province_code = read_policy(settings.policy, month.last_day).province.code
    ours: list[Unit] = []
    neighbours: list[Unit] = []
    ended: list[Unit] = []
    for row in _rows(settings, "communes.csv"):
        unit = Unit(
            row["commune_code"],
            row["commune_name"],
            row["kind"],
            row["district_code"],
            row["district_name"],
            row["province_code"],
        )
        valid_from, valid_to = _period(row)
        if valid_from <= month.first_day and month.last_day <= valid_to:
            (ours if unit.province_code == province_code else neighbours).append(unit)
        elif valid_to < month.first_day and unit.province_code == province_code:
            ended.append(unit)
    present = {unit.code for unit in ours + neighbours}
    names = {_loose_name(unit) for unit in ours + neighbours}
    keys = [_loose_key(unit) for unit in ours + neighbours]
    codes: dict[str, tuple[CodePeriod, ...]] = {}
    for row in _rows(settings, "referral_codes.csv"):
        text = row["referral_code"].strip().upper()
        period = CodePeriod(text, row["holder_kind"], row["holder_code"], *_period(row))
        codes[text] = (*codes.get(text, ()), period)
    return Registry(
        province_code=province_code,
        ours=tuple(ours),
        neighbours=tuple(neighbours),
        # An ended unit serves as an unknown one, so neither its code nor its name may live on.
        ended=tuple(unit for unit in ended if unit.code not in present and _loose_name(unit) not in names),
        found_by_name=frozenset(unit.code for unit in ours if keys.count(_loose_key(unit)) == 1),
        codes=codes,
        spellings={row["brand"]: tuple(row["seen_spellings"].split("|")) for row in _rows(settings, "operators.csv")},
        points=_points(settings),
    )


def _loose_name(unit: Unit) -> str:
    """Kind and name without accents: two units alike here are never told apart by name in the sample."""
    text = unicodedata.normalize("NFD", unit.full_name.casefold().replace("đ", "d"))
    return "".join(letter for letter in text if not unicodedata.combining(letter))


def _loose_key(unit: Unit) -> tuple[str, str, str]:
    return unit.province_code, unit.district_name, _loose_name(unit)


def _points(settings: Settings) -> dict[str, tuple[float, float]]:
    """A point for every commune code, and for the province; an older unit takes that of what it became part of."""
    points = {
        row["commune_code"]: (float(row["latitude"]), float(row["longitude"]))
        for row in _rows(settings, "commune_points_2025.csv")
    }
    # Newest first, so that a chain of two successions ends at a point.
    for row in sorted(_rows(settings, "commune_succession.csv"), key=lambda row: row["effective_date"], reverse=True):
        if row["old_code"] not in points and row["new_code"] in points:
            points[row["old_code"]] = points[row["new_code"]]
    return points


# Who measures where


@dataclass(frozen=True)
class Place:
    """A commune with its share of the tests and how its networks do."""

    unit: Unit
    weight: float
    speed: float
    growth: float
    latitude: float
    longitude: float


@dataclass(frozen=True)
class Device:
    """One phone of one person: where it lives, what it is, how much and how well it measures."""

    device_id: str
    home: Place
    away: tuple[Place, ...]
    away_share: float
    referral_code: str | None
    mobile_operator: str
    fixed_operator: str
    fixed_share: float
    os: str
    model: str
    speed: float
    activity: float


@dataclass
class Row:
    """One record: what is written, and the truth behind it. A text in a number's place is written as it is."""

    values: dict[str, str | float | datetime | None]
    unit: Unit | None
    measured_at: datetime
    file: int
    place_in_file: float
    missing_mark: str
    device: Device
    reason: str | None = None
    extra_fields: int = 0
    labels: list[str] = field(default_factory=list)

    def twin(self, file: int, place_in_file: float) -> Row:
        return replace(self, values=dict(self.values), file=file, place_in_file=place_in_file, labels=[])


def make_places(registry: Registry, seed: int) -> list[Place]:
    """The month's communes, uneven: the nearer the middle of its towns and the more urban, the more tests.

    Weights are the quantiles of a lognormal whose shape was chosen so that, of 139 communes and 20,000 rows, about
    three quarters reach 30 mobile tests, about ten reach 300, and the last ones have none.
    """
    scored = []
    centre = registry.points[registry.province_code]
    for unit in registry.ours:
        rng = Random(f"{seed}/unit/{unit.code}/{unit.name}")
        latitude, longitude = registry.points.get(unit.code, centre)
        distance = math.hypot(latitude - centre[0], longitude - centre[1])
        urban = {"phường": 0.6, "thị trấn": 0.7}.get(unit.kind, 0.0)
        scored.append((urban - distance / 0.35 + rng.gauss(0, 0.35), unit, latitude, longitude, rng))
    scored.sort(key=lambda item: -item[0])
    n_silent = 3 if len(scored) > 30 else 0
    places = []
    for rank, (_, unit, latitude, longitude, rng) in enumerate(scored):
        height = 1 - (rank + 0.5) / len(scored)
        places.append(
            Place(
                unit=unit,
                weight=0.0 if rank >= len(scored) - n_silent else math.exp(1.07 * NormalDist().inv_cdf(height)),
                speed=0.72 + 0.45 * height + rng.gauss(0, 0.05),
                growth=rng.gauss(0, 0.012),
                latitude=latitude + rng.gauss(0, 0.01),
                longitude=longitude + rng.gauss(0, 0.01),
            )
        )
    return places


def make_devices(registry: Registry, places: Sequence[Place], month: Month, n_devices: int, seed: int) -> list[Device]:
    """The phones. As long as the communes stay, the same phones measure month after month."""
    rng = Random(f"{seed}/devices/{len(places)}")
    commune_codes: dict[str, list[str]] = {}
    organisation_codes: list[str] = []
    for text in sorted(registry.codes):
        holder = registry.holder(text, month.first_day)
        if holder is None:
            continue
        if holder.holder_kind == "commune":
            commune_codes.setdefault(holder.holder_code, []).append(text)
        else:
            organisation_codes.append(text)
    by_district: dict[str, list[Place]] = {}
    for place in places:
        if place.weight:
            by_district.setdefault(place.unit.district_code, []).append(place)
    # Flatter than the tests, so that small communes have a few phones too and one phone seldom is a code's majority.
    homes = rng.choices(places, [place.weight**0.55 for place in places], k=n_devices)
    mobile = [(name, weight) for name, (weight, _) in MOBILE_OPERATORS.items()]
    fixed = [(name, weight) for name, (weight, _) in FIXED_OPERATORS.items()]
    devices = []
    for home in homes:
        kind = rng.random()
        referral_code: str | None = None
        if kind < 0.6 and home.unit.code in commune_codes:
            referral_code = rng.choice(commune_codes[home.unit.code])
        elif 0.6 <= kind < 0.82 and organisation_codes:
            referral_code = rng.choice(organisation_codes)
        os, model = rng.choice(PHONES)
        devices.append(
            Device(
                device_id=f"{rng.getrandbits(64):016x}",
                home=home,
                away=tuple(rng.choices(by_district[home.unit.district_code], k=3)),
                away_share=0.02 if kind < 0.6 else 0.12,
                referral_code=referral_code,
                mobile_operator=_pick(rng, mobile),
                fixed_operator=_pick(rng, fixed),
                fixed_share=FIXED_SHARE * 2 * rng.random(),
                os=os,
                model=model,
                speed=math.exp(rng.gauss(0, 0.25)),
                activity=min(rng.paretovariate(1.8), 12.0),
            )
        )
    return devices


def _pick(rng: Random, weighted: Sequence[tuple[str, float]]) -> str:
    return rng.choices([name for name, _ in weighted], [weight for _, weight in weighted])[0]


# One test


def make_test(rng: Random, registry: Registry, device: Device, place: Place, when: datetime, age: float) -> Row:
    """One measurement of a phone at a place; `age` is the number of months that networks have grown at full pace."""
    technology, operator = _network(rng, device, age)
    download, upload, ping, jitter = _figures(rng, technology, operator, device, place, age)
    unit = place.unit
    values: dict[str, str | float | datetime | None] = {
        "measurement_id": f"IS{when:%y%m}{rng.getrandbits(52):013x}".upper(),
        "measured_at": when,
        "device_id": device.device_id,
        "referral_code": device.referral_code,
        "province_code": unit.province_code,
        "district_code": unit.district_code,
        "district_name": _written(rng, unit.district_name),
        "commune_code": unit.code,
        "commune_name": _written(rng, unit.full_name),
        "operator": rng.choice(registry.spellings.get(operator, (operator,))),
        "technology": technology,
        "download_mbps": download,
        "upload_mbps": upload,
        "ping_ms": ping,
        "jitter_ms": jitter,
        "packet_loss_pct": 0.0 if rng.random() < 0.9 else round(rng.expovariate(1.2), 2),
        "latitude": place.latitude + rng.gauss(0, 0.006),
        "longitude": place.longitude + rng.gauss(0, 0.006),
        "location_accuracy_m": float(min(round(math.exp(rng.gauss(2.9, 0.8))), 400)),
        "os": device.os,
        "device_model": device.model,
        "app_version": rng.choice(APP_VERSIONS),
    }
    file = 0 if rng.random() < FIRST_FILE_SHARE else 1
    row = Row(values, unit, when, file, 0.0, rng.choice(MISSING_MARKS), device)
    _leave_out(rng, registry, row)
    return row


def _network(rng: Random, device: Device, age: float) -> tuple[str, str]:
    """Technology and operator (a brand of the registry) of one test."""
    if rng.random() < device.fixed_share:
        return ("WiFi" if rng.random() < 0.85 else "Cố định"), device.fixed_operator
    draw = rng.random()
    if device.mobile_operator in OPERATORS_WITH_5G and draw < min(0.015 + 0.005 * max(age, 0), 0.25):
        return "5G", device.mobile_operator
    return ("2G" if draw > 0.996 else "3G" if draw > 0.955 else "4G"), device.mobile_operator


def _figures(
    rng: Random, technology: str, operator: str, device: Device, place: Place, age: float
) -> tuple[float, float, float, float]:
    """Download and upload (Mbps), ping and jitter (ms): lognormal; upload goes with download, ping against it."""
    typical = TECHNOLOGIES[technology]
    operators = FIXED_OPERATORS if technology in ("WiFi", "Cố định") else MOBILE_OPERATORS
    standing = operators[operator][1] * place.speed * device.speed * math.exp(age * (typical.growth + place.growth))
    luck = rng.gauss(0, 0.5)
    download = typical.download * standing * math.exp(luck)
    upload = typical.upload * math.sqrt(standing) * math.exp(0.6 * luck + rng.gauss(0, 0.3))
    ping = typical.ping * math.exp(rng.gauss(0, 0.28) - 0.12 * luck) / math.sqrt(place.speed)
    jitter = ping * 0.2 * math.exp(rng.gauss(0, 0.5))
    # Above the ceiling a test ends somewhere below it: a pile of equal figures would look forged.
    ceiling = typical.highest * (1 - 0.25 * rng.random())
    return (
        round(min(max(download, 0.02), ceiling), 2),
        round(min(max(upload, 0.01), ceiling / 2), 2),
        round(min(max(ping, 2.0), 2000.0), 2),
        round(jitter, 2),
    )


def _written(rng: Random, text: str) -> str:
    """A name as the registry has it, or in one of the ways that real files have it."""
    if not text or rng.random() > 0.12:
        return text
    way = rng.randrange(7)
    if way == 0:
        return unicodedata.normalize("NFD", text)
    if way == 1:
        return next((short + text[len(long) :] for long, short in ABBREVIATIONS.items() if text.startswith(long)), text)
    if way == 2:
        return text + " "
    if way == 3:
        return text.replace(" ", "\u00a0", 1) + "\u00a0"
    if way == 4:
        return text.replace("Đ", "Ð")
    if way == 5:
        return text.replace("òa", "oà").replace("ủy", "uỷ")
    return text.replace("Thị xã", "Thị Xã").replace(" ", "  ", 1)


def _leave_out(rng: Random, registry: Registry, row: Row) -> None:
    """Leave out what may be missing without any consequence, and a commune code that the name makes up for."""
    values = row.values
    for column, share in (
        ("measurement_id", 0.005),
        ("device_id", 0.02),
        ("upload_mbps", 0.012),
        ("ping_ms", 0.005),
        ("jitter_ms", 0.02),
        ("packet_loss_pct", 0.3),
        ("device_model", 0.03),
    ):
        if rng.random() < share:
            values[column] = None
    if rng.random() < 0.03:
        values["latitude"] = values["longitude"] = values["location_accuracy_m"] = None
    if row.unit is not None and row.unit.code in registry.found_by_name and rng.random() < 0.03:
        values["commune_code"] = None
        if rng.random() < 0.5:
            values["district_code"] = None
    elif rng.random() < 0.02:
        values["province_code"] = None
    if isinstance(values["referral_code"], str) and rng.random() < 0.03:
        values["referral_code"] = rng.choice((str.lower, " {}".format, "{} ".format))(values["referral_code"])


# A month of tests


def make_moments(rng: Random, month: Month, n: int) -> list[datetime]:
    """Times of `n` tests: working days and hours, more towards the end of the month; in no order."""
    days = [month.first_day + timedelta(days=offset) for offset in range(month.last_day.day)]
    weights = [(0.4 if day.weekday() >= 5 else 1.0) * (2.2 if day.day > len(days) - 4 else 1.0) for day in days]
    hours = rng.choices(range(24), HOUR_WEIGHTS, k=n)
    return [
        datetime.combine(day, time(hour, rng.randrange(60), rng.randrange(60)))
        for day, hour in zip(rng.choices(days, weights, k=n), hours, strict=True)
    ]


def network_age(month: Month) -> float:
    """Months of growth at full pace since 07/2024, negative before."""
    age = (month.year - GROWTH_STARTS.year) * 12 + month.number - GROWTH_STARTS.number
    age = max(-GROWTH_ENDS_AFTER, min(age, GROWTH_ENDS_AFTER))
    return min(age, GROWTH_SLOWS_AFTER) + max(age - GROWTH_SLOWS_AFTER, 0) / 2


def make_month(settings: Settings, month: Month, n_rows: int, seed: int, *, honest: bool = False) -> list[Row]:
    """All rows of a month, defects included, in the order of their files. `n_rows` is at least 200.

    An honest month is one in which no code needs a second look: it goes without the displaced team and the busy phone.
    """
    if n_rows < 200:
        raise ValueError(f"n_rows is {n_rows}: every kind of defect needs room, give at least 200")
    rng = Random(f"{seed}/rows/{month}")
    registry = read_registry(settings, month)
    places = make_places(registry, seed)
    devices = make_devices(registry, places, month, max(n_rows // 8, 40), seed)
    age = network_age(month)
    n_duplicates = _scaled("duplicate", n_rows)
    n_busy, n_displaced = (0, 0) if honest else (n_rows * 3 // 200, n_rows // 160)
    moments = make_moments(rng, month, n_rows - n_duplicates - n_busy)
    usual = _usual_tests(rng, registry, places, devices, moments[n_displaced:], age)
    rows = usual + _displaced_tests(rng, registry, places, devices, moments[:n_displaced], age)
    rows += _busy_device_tests(rng, registry, devices, month, n_busy, age)
    rows.sort(key=lambda row: row.measured_at)

    _quarantine_some(rng, rows, n_rows)
    _give_habits(registry, places, [row for row in usual if row.reason is None], month, seed)
    for number, row in enumerate(sorted(rows, key=lambda row: row.measured_at)):
        row.place_in_file = number
    _flag_some(rng, registry, rows, n_rows)
    for row in rows:
        row.labels = [row.reason] if row.reason else flags_of(registry, row)
    rows += _duplicates(rng, rows, n_duplicates)
    rows.sort(key=lambda row: (row.file, row.place_in_file))
    return rows


def _usual_tests(
    rng: Random,
    registry: Registry,
    places: Sequence[Place],
    devices: Sequence[Device],
    moments: Sequence[datetime],
    age: float,
) -> list[Row]:
    """Tests of everyone, by commune first, so that communes get their shares whoever lives there."""
    residents: dict[str, list[Device]] = {}
    for device in devices:
        residents.setdefault(device.home.unit.code, []).append(device)
    lively = [place for place in places if place.unit.code in residents]
    activities = {code: [device.activity for device in group] for code, group in residents.items()}
    rows = []
    homes = rng.choices(lively, [place.weight for place in lively], k=len(moments))
    for moment, home in zip(moments, homes, strict=True):
        device = rng.choices(residents[home.unit.code], activities[home.unit.code])[0]
        place = rng.choice(device.away) if rng.random() < device.away_share else home
        rows.append(make_test(rng, registry, device, place, moment, age))
    return rows


def _displaced_tests(
    rng: Random,
    registry: Registry,
    places: Sequence[Place],
    devices: Sequence[Device],
    moments: Iterable[datetime],
    age: float,
) -> list[Row]:
    """A small commune's code whose tests mostly lie in the busiest commune: Dấu hiệu bất thường has to show it."""
    small = sorted(places[1:], key=lambda place: abs(place.weight - 0.4))
    ranks = {place.unit.code: rank for rank, place in enumerate(small)}
    leaders = [device for device in devices if device.home.unit.code in ranks and _has_home_code(registry, device)]
    leader = min(leaders, key=lambda device: ranks[device.home.unit.code], default=devices[0])
    team = [replace(device, referral_code=leader.referral_code) for device in devices if device.home is leader.home][:8]
    return [make_test(rng, registry, rng.choice(team), places[0], moment, age) for moment in moments]


def _has_home_code(registry: Registry, device: Device) -> bool:
    periods = registry.codes.get(device.referral_code or "", ())
    return any(period.holder_kind == "commune" and period.holder_code == device.home.unit.code for period in periods)


def _busy_device_tests(
    rng: Random, registry: Registry, devices: Sequence[Device], month: Month, n: int, age: float
) -> list[Row]:
    """One phone that tests again and again, every three minutes at night before the month's end."""
    middling = sorted(devices, key=lambda device: device.home.weight)[len(devices) // 4 :]
    device = next((device for device in middling if _has_home_code(registry, device)), middling[0])
    start = datetime.combine(month.last_day - timedelta(days=2), time(0, 30))
    return [
        make_test(
            rng,
            registry,
            device,
            device.home,
            start + timedelta(days=number % 3, minutes=3 * (number // 3 % 420), seconds=rng.randrange(40)),
            age,
        )
        for number in range(n)
    ]


# Habits


@dataclass(frozen=True)
class Person:
    """How the owner of a phone measures in a month.

    `again` is the chance that a test is followed by another on the spot. Who heeds the body's call to a `measuring_day`
    moves a sitting there, and some more. `is_settled` phones tell the very same point wherever they lie still, and
    `decimals` is how finely the app writes it. `referral_code` is the phone's own, or that of the commune where a
    commuter works; few people have a `second_code`, of another body.
    """

    referral_code: str | None
    second_code: str | None
    again: float
    measuring_day: date | None
    works_nights: bool
    is_settled: bool
    decimals: int


def _give_habits(registry: Registry, places: Sequence[Place], rows: Sequence[Row], month: Month, seed: int) -> None:
    """Let tests come as people make them: in sittings, at home and at work, some at night, many on a measuring day.

    Times, coordinates and referral codes change and nothing else does; the numbers drawn for it are its own.
    """
    centres = {place.unit.code: place for place in places}
    by_device: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.measured_at):
        by_device.setdefault(row.device.device_id, []).append(row)
    for device_id, tests in by_device.items():
        rng = Random(f"{seed}/habits/{month}/{device_id}")
        device = tests[0].device
        person = _person(registry, device, places, month, seed)
        before: Row | None = None
        heeds = 1.0
        for row in tests:
            if before is not None and before.unit is row.unit and rng.random() < person.again:
                when = before.measured_at + timedelta(seconds=35 + round(rng.lognormvariate(3.3, 0.7)))
            else:
                before, when = None, _begin_of_sitting(rng, person, row.measured_at, heeds)
                heeds = 0.3
            if when.date() <= month.last_day:
                row.measured_at = row.values["measured_at"] = when
            if row.values["referral_code"] == device.referral_code:
                is_second = person.second_code is not None and rng.random() < 0.4
                row.values["referral_code"] = person.second_code if is_second else person.referral_code
            if row.values["latitude"] is not None and row.unit is not None:
                row.values.update(_whereabouts(rng, person, row, centres[row.unit.code], before, seed))
            before = row


def _person(registry: Registry, device: Device, places: Sequence[Place], month: Month, seed: int) -> Person:
    rng = Random(f"{seed}/person/{device.device_id}")
    code, second_code = device.referral_code, None
    commutes, has_two, is_keen, works_nights, is_settled, is_coarse = (
        rng.random() < share for share in (0.08, 0.02, 0.1, 0.03, 0.05, 0.2)
    )
    if commutes and code is not None and _has_home_code(registry, device):
        district = [place for place in places if place.unit.district_code == device.home.unit.district_code]
        work = rng.choices(district, [place.weight for place in district])[0]
        code = _code_of(registry, "commune", work.unit.code, month) or code
    if has_two and code is not None:
        every = (period for periods in registry.codes.values() for period in periods)
        bodies = sorted({period.holder_code for period in every if period.holder_kind == "organisation"})
        second_code = _code_of(registry, "organisation", rng.choice(bodies), month) if bodies else None
    day, heeded = _measuring_day(code, month, seed)
    return Person(
        referral_code=code,
        second_code=second_code,
        again=0.65 if is_keen else 0.3,
        measuring_day=day if Random(f"{seed}/call/{month}/{device.device_id}").random() < heeded else None,
        works_nights=works_nights,
        is_settled=is_settled,
        decimals=3 if is_coarse else 5,
    )


def _code_of(registry: Registry, holder_kind: str, holder_code: str, month: Month) -> str | None:
    """A code that a body holds all month."""
    for text, periods in sorted(registry.codes.items()):
        for period in periods:
            if (period.holder_kind, period.holder_code) == (holder_kind, holder_code) and (
                period.valid_from <= month.first_day and month.last_day <= period.valid_to
            ):
                return text
    return None


def _measuring_day(referral_code: str | None, month: Month, seed: int) -> tuple[date, float]:
    """When a body calls its people to measure, and the share of them that heed it; half the bodies call.

    Most call at the end of the month, some before the return on the month before is due.
    """
    rng = Random(f"{seed}/measuring day/{month}/{referral_code}")
    calls = referral_code is not None and rng.random() < 0.5
    days = [month.first_day + timedelta(days=offset) for offset in range(month.last_day.day)]
    working = [day for day in days if day.weekday() < 5]
    day = rng.choice([day for day in working if 5 <= day.day <= 9] if rng.random() < 0.25 else working[-4:])
    return day, rng.uniform(0.3, 0.9) if calls else 0.0


def _begin_of_sitting(rng: Random, person: Person, usual: datetime, heeds: float) -> datetime:
    if person.measuring_day is not None and rng.random() < heeds:
        in_office = time(rng.choice(OFFICE_HOURS), rng.randrange(60), rng.randrange(60))
        return datetime.combine(person.measuring_day, in_office)
    if person.works_nights and rng.random() < 0.6:
        return usual.replace(hour=rng.choice(NIGHT_HOURS))
    return usual


def _whereabouts(
    rng: Random, person: Person, row: Row, centre: Place, before: Row | None, seed: int
) -> dict[str, str | float | datetime | None]:
    """Coordinates as a phone tells them: mostly the last ones within a sitting, else some metres around the spot."""
    if before is not None and before.values["latitude"] is not None and rng.random() < 0.7:
        return {name: before.values[name] for name in ("latitude", "longitude")}
    at_work = row.measured_at.weekday() < 5 and row.measured_at.hour in OFFICE_HOURS
    whose = person.referral_code if at_work and person.referral_code else row.device.device_id
    spot = rng if rng.random() < 0.25 else Random(f"{seed}/spot/{whose}/{centre.unit.code}")
    latitude, longitude = centre.latitude + spot.gauss(0, 0.006), centre.longitude + spot.gauss(0, 0.006)
    blur = 0.0 if person.is_settled else 0.00015
    return {
        "latitude": round(latitude + rng.gauss(0, blur), person.decimals),
        "longitude": round(longitude + rng.gauss(0, blur), person.decimals),
    }


# Defects


def _scaled(label: str, n_rows: int) -> int:
    return max(1, DEFECTS_PER_20_000[label] * n_rows // 20_000)


def _quarantine_some(rng: Random, rows: Sequence[Row], n_rows: int) -> None:
    """Break rows so that exactly one reason of the quarantine applies to each."""
    spoil: dict[str, Callable[[Random, Row, int], None]] = {
        "unreadable_row": _make_unreadable,
        "missing_required": _leave_out_required,
        "bad_timestamp": _spoil_timestamp,
        "future_timestamp": _move_to_future,
        "other_month": _move_to_other_month,
        "implausible_value": _make_implausible,
    }
    counts = {reason: _scaled(reason, n_rows) for reason in spoil}
    chosen = iter(rng.sample(range(len(rows)), sum(counts.values())))
    for reason, count in counts.items():
        for number in range(count):
            row = rows[next(chosen)]
            row.reason = reason
            spoil[reason](rng, row, number)


def _make_unreadable(rng: Random, row: Row, number: int) -> None:
    """A record too short or too long, or a number that is none."""
    if number % 4 == 0:
        row.extra_fields = -3
    elif number % 4 == 1:
        row.extra_fields = 2
    else:
        column = rng.choice(("download_mbps", "upload_mbps", "ping_ms", "latitude"))
        row.values[column] = "abc" if number % 4 == 2 else "12,5,3"


def _leave_out_required(rng: Random, row: Row, number: int) -> None:
    row.values[("measured_at", "technology", "download_mbps")[number % 3]] = None


def _spoil_timestamp(rng: Random, row: Row, number: int) -> None:
    row.values["measured_at"] = rng.choice(SHAPES[row.file].bad_times)


def _move_to_future(rng: Random, row: Row, number: int) -> None:
    row.values["measured_at"] = row.measured_at.replace(year=2099, day=1 + number % 28)


def _move_to_other_month(rng: Random, row: Row, number: int) -> None:
    """Late rows of the month before, and clocks that stand a year behind."""
    if number % 4:
        day = row.measured_at.date().replace(day=1) - timedelta(days=rng.randrange(1, 6))
    else:
        day = date(row.measured_at.year - 1, row.measured_at.month, min(row.measured_at.day, 28))
    row.values["measured_at"] = datetime.combine(day, row.measured_at.time())


def _make_implausible(rng: Random, row: Row, number: int) -> None:
    column, value = (
        ("technology", "6G"),
        ("download_mbps", 0.0),
        ("download_mbps", 99999.0),
        ("upload_mbps", -4.2),
        ("upload_mbps", 88888.0),
        ("ping_ms", 0.0),
        ("ping_ms", 75000.0),
        ("technology", "Vệ tinh"),
    )[number % 8]
    row.values[column] = value


def _flag_some(rng: Random, registry: Registry, rows: Sequence[Row], n_rows: int) -> None:
    """Change rows that stay accepted. A row may be changed twice; its labels are read off it afterwards."""
    sound = [row for row in rows if row.reason is None]
    for row in rng.sample(sound, _scaled("unknown_commune", n_rows)):
        _make_commune_unknown(rng, registry, row)
    for row in rng.sample(sound, _scaled("outside_province", n_rows)):
        _move_outside(rng, registry, row)
    for row in rng.sample(sound, _scaled("unknown_referral_code", n_rows)):
        row.values["referral_code"] = rng.choice([code for code in UNKNOWN_CODES if code not in registry.codes])
    for row in rng.sample(sound, _scaled("expired_referral_code", n_rows)):
        day = row.measured_at.date()
        invalid = sorted(code for code in registry.codes if registry.holder(code, day) is None)
        ended = [code for code in invalid if any(period.valid_to < day for period in registry.codes[code])]
        if invalid:
            row.values["referral_code"] = rng.choice(ended or invalid)
    for row in rng.sample(sound, _scaled("low_location_accuracy", n_rows)):
        row.values["location_accuracy_m"] = float(rng.randrange(LOCATION_ACCURACY_LIMIT_M + 1, 5000))
    for row in rng.sample(sound, _scaled("unknown_operator", n_rows)):
        row.values["operator"] = rng.choice(UNKNOWN_OPERATORS) or None


def _make_commune_unknown(rng: Random, registry: Registry, row: Row) -> None:
    """A unit that has ended, where there is one; else one that never was. Its province stays declared."""
    row.unit = None
    if registry.ended and rng.random() < 0.7:
        ended = rng.choice(registry.ended)
        code, name = ended.code, ended.full_name
    else:
        code, name = rng.choice(NO_SUCH_COMMUNES)
    row.values.update(province_code=registry.province_code, commune_code=code or None, commune_name=name or None)


def _move_outside(rng: Random, registry: Registry, row: Row) -> None:
    """A test on a journey: in a neighbouring province of the registry, or far away where the registry ends."""
    if registry.neighbours and rng.random() < 0.7:
        unit = rng.choice(registry.neighbours)
        row.unit = unit
        # A third says the province only through the commune's code.
        province = None if rng.random() < 0.33 else unit.province_code
        place = (province, unit.district_code, unit.district_name, unit.code, unit.full_name)
    else:
        row.unit = None
        place = rng.choice([place for place in FAR_AWAY if place[0] != registry.province_code])
    columns = ("province_code", "district_code", "district_name", "commune_code", "commune_name")
    row.values.update(zip(columns, place, strict=True))
    row.values.update(latitude=None, longitude=None)


def flags_of(registry: Registry, row: Row) -> list[str]:
    """The flags that an accepted row must get, from the truth behind it."""
    values, flags = row.values, []
    if row.unit is None:
        flags.append("unknown_commune")
    province = values["province_code"] or (row.unit.province_code if row.unit else registry.province_code)
    if province != registry.province_code:
        flags.append("outside_province")
    referral_code = values["referral_code"]
    if isinstance(referral_code, str):
        text = referral_code.strip().upper()
        holder = registry.holder(text, row.measured_at.date())
        if text not in registry.codes:
            flags.append("unknown_referral_code")
        elif holder is None:
            flags.append("expired_referral_code")
        elif holder.holder_kind == "commune" and row.unit is not None and holder.holder_code != row.unit.code:
            flags.append("commune_mismatch")
    accuracy = values["location_accuracy_m"]
    if isinstance(accuracy, float) and accuracy > LOCATION_ACCURACY_LIMIT_M:
        flags.append("low_location_accuracy")
    if not any(values["operator"] in spellings for spellings in registry.spellings.values()):
        flags.append("unknown_operator")
    return flags


def _duplicates(rng: Random, rows: Sequence[Row], n: int) -> list[Row]:
    """Second copies of sound rows: in the same file, in the other file, and some without a measurement id."""
    sound = [row for row in rows if not row.labels and (row.file == 0 or row.values["measurement_id"])]
    copies = []
    for number, row in enumerate(rng.sample(sound, n)):
        if row.file == 0 and number % 3 == 0:
            # The copy goes to the later file, as the first file's row is the one that stays. The second shape lacks
            # columns, so that only the measurement id tells that the two are one.
            row.values["measurement_id"] = row.values["measurement_id"] or f"IS{number:017d}"
            copy = row.twin(1, row.place_in_file)
        else:
            if number % 5 == 0:
                row.values["measurement_id"] = None
            copy = row.twin(row.file, row.place_in_file + 0.5 + rng.randrange(2000))
        copy.reason = "duplicate"
        copy.labels = ["duplicate"]
        copies.append(copy)
    return copies


# Files


def make_exports(settings: Settings, months: Sequence[Month], n_rows: int = 20_000, seed: int = 20241115) -> None:
    """Write the exports of each month. The same month, rows, seed and registry give the same files."""
    for month in months:
        write_exports(settings, month, make_month(settings, month, n_rows, seed), f"{n_rows} rows, seed {seed}")


def write_exports(settings: Settings, month: Month, rows: Sequence[Row], about: str) -> None:
    """Write a month's two exports, with the markers `.sample` and `.done` and the list of defects.

    `.defects.csv` has one line for each defect: source_file, row_number (the header is 1), label (a quarantine reason
    or a flag); rows not in it are clean.
    """
    folder = settings.exports_of(month)
    folder.mkdir(parents=True, exist_ok=True)
    # Taken away first and put back last: a sensor must not see half an export as complete.
    (folder / DONE_MARKER).unlink(missing_ok=True)
    note = f"{SAMPLE_NOTE}: made up by ispeed.sample, nothing was measured; {about}\n"
    (folder / SAMPLE_MARKER).write_text(note, encoding="utf-8")
    names = (f"ispeed_{month}_1.csv", f"ispeed_{month}_2.csv.gz")
    defects = [("source_file", "row_number", "label")]
    for number, name in enumerate(names):
        of_file = [row for row in rows if row.file == number]
        _write_export(folder / name, SHAPES[number], of_file)
        for row_number, row in enumerate(of_file, start=2):
            defects += [(name, str(row_number), label) for label in row.labels]
    (folder / DEFECTS_FILE).write_bytes(_as_csv(defects, ","))
    (folder / DONE_MARKER).touch()


def is_sample(settings: Settings, month: Month) -> bool:
    """Whether the month's exports are made up."""
    return (settings.exports_of(month) / SAMPLE_MARKER).exists()


def _write_export(path: Path, shape: Shape, rows: Sequence[Row]) -> None:
    content = _as_csv([list(shape.headers.values()), *(_fields(shape, row) for row in rows)], shape.delimiter)
    if path.suffix == ".gz":
        # Neither name nor time goes into the header: the same rows give the same bytes.
        buffer = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=buffer, mtime=0) as file:
            file.write(content)
        content = buffer.getvalue()
    path.write_bytes(content)


def _fields(shape: Shape, row: Row) -> list[str]:
    fields = []
    for column in shape.headers:
        value = row.values[column]
        if value is None:
            fields.append(row.missing_mark)
        elif isinstance(value, datetime):
            fields.append(value.strftime(shape.time_format))
        elif isinstance(value, float):
            fields.append(f"{value:.{DECIMALS.get(column, 2)}f}".replace(".", shape.decimal_sign))
        else:
            fields.append(value)
    return fields[: len(fields) + row.extra_fields] + ["?"] * row.extra_fields


def _as_csv(rows: Iterable[Sequence[str]], delimiter: str) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8")
