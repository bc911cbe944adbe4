"""Sample exports: the same each time, and every defect is where the list says."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections import Counter
from datetime import date, datetime
from pathlib import Path
from statistics import median

import pytest

from ispeed.months import Month
from ispeed.sample import (
    FIRST_SHAPE,
    FLAGS,
    QUARANTINE_REASONS,
    SAMPLE_NOTE,
    SECOND_SHAPE,
    is_sample,
    make_exports,
    make_month,
    network_age,
    read_registry,
)
from ispeed.settings import Settings
from ispeed.text import fold, split_kind

OCTOBER = Month(2024, 10)
NUMBERS = ("download_mbps", "upload_mbps", "ping_ms", "jitter_ms", "latitude", "longitude", "location_accuracy_m")
MISSING = ("", "NULL", "-")
MOBILE = ("2G", "3G", "4G", "5G")
Records = dict[tuple[str, int], list[str]]


def settings_in(folder: Path) -> Settings:
    return Settings.from_environment({"ISPEED_VAR": str(folder), "ISPEED_DEVICE_KEY": "test"})


def records(folder: Path) -> Records:
    """Every record of a month's exports by file and row number, fields as written."""
    found: Records = {}
    for path in sorted(folder.glob("ispeed_*")):
        first = path.suffix == ".csv"
        content = path.read_bytes() if first else gzip.decompress(path.read_bytes())
        reader = csv.reader(io.StringIO(content.decode("utf-8"), newline=""), delimiter="," if first else ";")
        assert next(reader) == list((FIRST_SHAPE if first else SECOND_SHAPE).values())
        found |= {(path.name, number): fields for number, fields in enumerate(reader, start=2)}
    return found


def labels(folder: Path) -> dict[tuple[str, int], list[str]]:
    found: dict[tuple[str, int], list[str]] = {}
    with (folder / ".defects.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault((row["source_file"], int(row["row_number"])), []).append(row["label"])
    return found


def named(file: str, fields: list[str]) -> dict[str, str]:
    """A record by our column names; missing marks become the empty text, numbers get a decimal point."""
    headers = FIRST_SHAPE if file.endswith(".csv") else SECOND_SHAPE
    values = {column: "" if field in MISSING else field for column, field in zip(headers, fields, strict=True)}
    if headers is SECOND_SHAPE:
        values |= {column: values[column].replace(",", ".") for column in NUMBERS}
    return values


def moment(file: str, text: str) -> datetime:
    return datetime.strptime(text, "%d/%m/%Y %H:%M:%S" if file.endswith(".csv") else "%Y-%m-%d %H:%M:%S")


@pytest.fixture(scope="module")
def october(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = settings_in(tmp_path_factory.mktemp("sample"))
    make_exports(settings, [OCTOBER])
    return settings.exports_of(OCTOBER)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    def made(folder: str, seed: int) -> dict[str, bytes]:
        settings = settings_in(tmp_path / folder)
        make_exports(settings, [OCTOBER], n_rows=600, seed=seed)
        return {path.name: path.read_bytes() for path in settings.exports_of(OCTOBER).iterdir()}

    first = made("a", 1)
    assert sorted(first) == [
        ".defects.csv",
        ".done",
        ".sample",
        "ispeed_2024-10_1.csv",
        "ispeed_2024-10_2.csv.gz",
    ]
    assert made("b", 1) == first
    assert made("c", 2) != first


def test_every_python_makes_the_same_rows(tmp_path: Path) -> None:
    # Guards against a random module or libm that draws otherwise. The tables of sample.py and the seed registry change
    # it too: then the new digest belongs here. The bytes of the gz file may differ with zlib, so its content is taken.
    settings = settings_in(tmp_path)
    make_exports(settings, [OCTOBER], n_rows=600, seed=1)
    content = [repr(item) for item in records(settings.exports_of(OCTOBER)).items()]
    assert hashlib.sha256("\n".join(content).encode()).hexdigest()[:16] == "58753c777c63895f"


def test_a_month_says_that_it_is_sample_data(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    assert not is_sample(settings, OCTOBER)
    make_exports(settings, [OCTOBER], n_rows=300)
    assert is_sample(settings, OCTOBER)
    assert SAMPLE_NOTE in (settings.exports_of(OCTOBER) / ".sample").read_text(encoding="utf-8")


def test_a_month_has_its_rows_in_two_files(october: Path) -> None:
    by_file = Counter(file for file, _ in records(october))
    assert by_file.total() == 20_000
    assert by_file["ispeed_2024-10_1.csv"] == pytest.approx(14_000, rel=0.02)


def test_every_reason_and_every_flag_occurs_and_is_listed(october: Path) -> None:
    listed = labels(october)
    counts = Counter(label for of_row in listed.values() for label in of_row)
    assert set(counts) == {*QUARANTINE_REASONS, *FLAGS}
    assert {reason: counts[reason] for reason in QUARANTINE_REASONS} == {
        "unreadable_row": 40,
        "missing_required": 60,
        "bad_timestamp": 30,
        "future_timestamp": 20,
        "other_month": 80,
        "duplicate": 150,
        "implausible_value": 60,
    }
    assert min(counts.values()) >= 20


def test_a_row_has_one_reason_or_flags_and_never_both(october: Path) -> None:
    for of_row in labels(october).values():
        assert len(of_row) == len(set(of_row))
        assert len(of_row) == 1 or set(of_row) <= set(FLAGS)


def reason_of(file: str, fields: list[str], earlier: set[object]) -> str | None:
    """The first quarantine reason that applies, written a second time and apart from the generator."""
    if len(fields) != len(FIRST_SHAPE if file.endswith(".csv") else SECOND_SHAPE):
        return "unreadable_row"
    row = named(file, fields)
    try:
        number = {column: float(row[column]) if row[column] else None for column in NUMBERS}
    except ValueError:
        return "unreadable_row"
    download, upload, ping = number["download_mbps"], number["upload_mbps"], number["ping_ms"]
    if not row["measured_at"] or not row["technology"] or download is None:
        return "missing_required"
    try:
        when = moment(file, row["measured_at"])
    except ValueError:
        return "bad_timestamp"
    if when > datetime(2090, 1, 1):
        return "future_timestamp"
    if (when.year, when.month) != (2024, 10):
        return "other_month"
    identity = row["measurement_id"] or tuple(row.values())
    if identity in earlier:
        return "duplicate"
    earlier.add(identity)
    # The ceilings of policy.yaml.
    ceiling = {"2G": 1, "3G": 100, "4G": 1200, "5G": 5000, "WiFi": 10000, "Cố định": 10000}.get(row["technology"], 0)
    plausible = 0 < download <= ceiling and (upload is None or 0 < upload <= ceiling)
    return None if plausible and (ping is None or 0 < ping <= 60_000) else "implausible_value"


def test_each_row_has_the_reason_that_the_list_says_and_all_others_have_none(october: Path) -> None:
    listed = labels(october)
    earlier: set[object] = set()
    for (file, number), fields in records(october).items():
        expected = set(listed.get((file, number), [])) & set(QUARANTINE_REASONS)
        assert {reason_of(file, fields, earlier)} - {None} == expected, (file, number, fields)


@pytest.mark.parametrize("month", [OCTOBER, Month(2024, 11), Month(2025, 7)], ids=str)
def test_flags_about_places_and_codes_are_what_the_registry_says(month: Month, tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    make_exports(settings, [month])
    registry = read_registry(settings, month)
    units = {unit.code: unit for unit in (*registry.ours, *registry.neighbours)}
    by_name = {
        (unit.province_code, fold(unit.district_name), unit.kind, fold(unit.name)): unit for unit in units.values()
    }
    listed = labels(settings.exports_of(month))
    found_by_name = 0
    for (file, number), fields in records(settings.exports_of(month)).items():
        expected = listed.get((file, number), [])
        if set(expected) & set(QUARANTINE_REASONS):
            continue
        row = named(file, fields)
        day = moment(file, row["measured_at"]).date()
        unit = units.get(row["commune_code"])
        if unit is None:
            district_kind, district_name = split_kind(row["district_name"])
            district = f"{district_kind} {district_name}" if district_kind else ""
            kind, name = split_kind(row["commune_name"])
            unit = by_name.get((row["province_code"], district, kind or "", name))
            found_by_name += unit is not None
        flags = set()
        if unit is None:
            flags.add("unknown_commune")
        if (row["province_code"] or (unit.province_code if unit else "")) != "56":
            flags.add("outside_province")
        code = row["referral_code"].strip().upper()
        holder = registry.holder(code, day)
        if code and code not in registry.codes:
            flags.add("unknown_referral_code")
        elif code and holder is None:
            flags.add("expired_referral_code")
        elif holder and holder.holder_kind == "commune" and unit and unit.code != holder.holder_code:
            flags.add("commune_mismatch")
        if row["location_accuracy_m"] and float(row["location_accuracy_m"]) > 1000:
            flags.add("low_location_accuracy")
        spellings = {spelling.casefold() for known in registry.spellings.values() for spelling in known}
        if row["operator"].strip().casefold() not in spellings:
            flags.add("unknown_operator")
        assert flags == set(expected), (file, number, row)
    assert found_by_name > 300


@pytest.mark.parametrize(
    ("month", "n_units", "has_districts"),
    [
        (Month(2023, 2), 139, True),
        (OCTOBER, 139, True),
        (Month(2024, 11), 132, True),
        (Month(2025, 7), 65, False),
        (Month(2026, 12), 65, False),
    ],
    ids=str,
)
def test_any_month_measures_the_units_of_its_day(
    month: Month, n_units: int, has_districts: bool, tmp_path: Path
) -> None:
    settings = settings_in(tmp_path)
    ours = {unit.code for unit in read_registry(settings, month).ours}
    rows = [row for row in make_month(settings, month, 4_000, 7) if not row.reason]
    assert len(ours) == n_units
    met = {row.unit.code for row in rows if row.unit and row.unit.province_code == "56"}
    assert met <= ours
    assert len(met) > 0.8 * n_units
    assert any(row.values["district_name"] for row in rows if "outside_province" not in row.labels) == has_districts


def test_a_small_month_still_has_every_defect(tmp_path: Path) -> None:
    rows = make_month(settings_in(tmp_path), OCTOBER, 200, 3)
    assert len(rows) == 200
    assert {label for row in rows for label in row.labels} == {*QUARANTINE_REASONS, *FLAGS}


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 200"):
        make_month(settings_in(tmp_path), OCTOBER, 199, 1)


def test_the_month_looks_like_the_field(tmp_path: Path) -> None:
    rows = [row for row in make_month(settings_in(tmp_path), OCTOBER, 20_000, 20241115) if not row.reason]
    mobile = [row for row in rows if row.values["technology"] in MOBILE]
    assert 0.78 < len(mobile) / len(rows) < 0.86

    downloads = [float(str(row.values["download_mbps"])) for row in mobile]
    assert median(downloads) == pytest.approx(54.34 * 1.035**3, rel=0.08)  # VNNIC 07/2024, growing to 76.86 in 05/2025
    fifth = [speed for speed, row in zip(downloads, mobile, strict=True) if row.values["technology"] == "5G"]
    assert median(fifth) == pytest.approx(347, rel=0.12)

    by_unit = Counter(row.unit.code for row in mobile if row.unit and row.unit.province_code == "56")
    assert 95 <= sum(n >= 30 for n in by_unit.values()) <= 115
    assert 7 <= sum(n >= 300 for n in by_unit.values()) <= 14
    assert len(by_unit) < 139

    devices = Counter(row.values["device_id"] for row in rows if row.values["device_id"])
    assert 2_000 < len(devices) < 3_000
    assert devices.most_common(1)[0][1] > 250


def test_phones_measure_on_and_networks_grow_from_month_to_month(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    september, october = (
        {row.values["device_id"] for row in make_month(settings, month, 2_000, 5)}
        for month in (Month(2024, 9), OCTOBER)
    )
    assert len(september & october) > 0.5 * len(october)
    assert network_age(Month(2024, 7)) == 0 < network_age(OCTOBER) < network_age(Month(2025, 9))


def test_the_registry_of_the_settings_goes_before_the_seed(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    settings.registry.mkdir(parents=True)
    (settings.registry / "communes.csv").write_text(
        "commune_code,commune_name,kind,district_code,district_name,province_code,province_name,valid_from,valid_to\n"
        "00001,An Hòa,phường,001,Thành phố Mẫu,56,Tỉnh Khánh Hòa,,\n"
        "00002,Bình Minh,xã,001,Thành phố Mẫu,56,Tỉnh Khánh Hòa,,\n",
        encoding="utf-8",
    )
    rows = make_month(settings, OCTOBER, 300, 1)
    assert {row.unit.code for row in rows if row.unit} == {"00001", "00002"}
    assert read_registry(settings, OCTOBER).holder("MAU-DHNT-2", date(2024, 9, 30)) is not None
