"""How often *Dấu hiệu bất thường* would name a code in honest months, indicator by indicator.

    PYTHONPATH=include .venv/bin/python benchmarks/false_alarms.py --months 200

Months are made by `ispeed.sample`, each with a seed of its own, over two years of the seed registry. What reading,
checks and registry make of such a month is known beforehand and goes straight into the core; from there on the SQL is
the pipeline's. `tests/reference/test_integrity.py` runs a few whole months and finds the same rows.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ispeed.checks import add_policy
from ispeed.engine import Engine, open_engine
from ispeed.integrity import add_integrity
from ispeed.months import Month
from ispeed.policy import TECHNOLOGY_NETWORK, Policy, read_policy
from ispeed.reports import add_samples
from ispeed.sample import DECIMALS, Registry, Row, make_month, read_registry
from ispeed.settings import Settings

MONTHS = [Month(year, number) for year in (2024, 2025) for number in range(1, 13)]
CORE = {
    "measured_at": "timestamp",
    "measured_on": "date",
    "window_start": "timestamp",
    "device_hash": "text",
    "device_key": "text",
    "referral_code": "text",
    "referral_code_status": "text",
    "holder_kind": "text",
    "holder_code": "text",
    "commune_code": "text",
    "commune_valid_from": "date",
    "operator": "text",
    "network": "text",
    "technology": "text",
    "target_download_mbps": "double",
    "download_mbps": "double",
    "upload_mbps": "double",
    "ping_ms": "double",
    "jitter_ms": "double",
    "latitude": "double",
    "longitude": "double",
    "stratum_number": "integer",
    "code_number": "integer",
    "organisation_number": "integer",
}
NUMBERS = ("download_mbps", "upload_mbps", "ping_ms", "jitter_ms", "latitude", "longitude")
Found = dict[str, Any]


@dataclass
class Tally:
    """Codes judged and named, and how near to its threshold an indicator came, over months."""

    judged: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    closest: dict[str, float] = field(default_factory=dict)
    n_code_months: int = 0
    n_code_months_named: int = 0
    months_named: list[int] = field(default_factory=list)

    def add(self, rows: Sequence[Found]) -> None:
        named = [row for row in rows if row["value"] >= row["threshold"]]
        self.judged.update(row["indicator"] for row in rows)
        self.named.update(row["indicator"] for row in named)
        for row in rows:
            nearness = row["value"] / row["threshold"]
            self.closest[row["indicator"]] = max(nearness, self.closest.get(row["indicator"], 0.0))
        self.n_code_months += len({row["referral_code"] for row in rows})
        self.months_named.append(len({row["referral_code"] for row in named}))
        self.n_code_months_named += self.months_named[-1]


def settings_for(folder: Path) -> Settings:
    return Settings.from_environment({"ISPEED_VAR": str(folder), "ISPEED_DEVICE_KEY": "honest months"})


def honest_month(settings: Settings, month: Month, n_rows: int, seed: int) -> list[Row]:
    return make_month(settings, month, n_rows, seed, honest=True)


def evidence_of(settings: Settings, month: Month, rows: Sequence[Row], policy: Policy | None = None) -> list[Found]:
    """`report_integrity_month` of rows as the generator made them."""
    policy = policy or read_policy(settings.policy, month.last_day)
    with open_engine() as engine:
        add_core(engine, read_registry(settings, month), rows, policy)
        add_policy(engine, policy, month)
        add_samples(engine)
        add_integrity(engine, policy, month)
        engine.create("report_integrity_month", "report/report_integrity_month.sql")
        return engine.rows("select * from report_integrity_month order by referral_code, indicator")


def add_core(engine: Engine, registry: Registry, rows: Sequence[Row], policy: Policy) -> None:
    """Make `core_measurement` of the rows that no quarantine reason holds back, as their makers know them."""
    brands = {spelling.strip().casefold(): brand for brand, known in registry.spellings.items() for spelling in known}
    accepted = [row for row in rows if row.reason is None]
    numbers: dict[Any, int] = defaultdict(count(1).__next__)
    cores = [_core(number, row, registry, brands, policy) for number, row in enumerate(accepted)]
    engine.add_rows("core_measurement", CORE, [(*core, *_numbers(core, numbers)) for core in cores])


def _numbers(core: tuple[Any, ...], numbers: dict[Any, int]) -> tuple[int | None, ...]:
    """Those of the row's stratum, code and organisation: any will do that tell them apart."""
    row = dict(zip(CORE, core, strict=False))
    place = (row["commune_code"], row["commune_valid_from"], row["operator"], row["technology"])
    return (
        numbers[place],
        numbers[row["referral_code"]] if row["referral_code"] else None,
        numbers["organisation", row["holder_code"]] if row["holder_kind"] == "organisation" else None,
    )


def _core(number: int, row: Row, registry: Registry, brands: dict[str, str], policy: Policy) -> tuple[Any, ...]:
    values, day = row.values, row.measured_at.date()
    code = str(values["referral_code"]).strip().upper() if values["referral_code"] else None
    holder = registry.holder(code, day) if code else None
    status = None if code is None else "valid" if holder else "expired" if code in registry.codes else "unknown"
    technology = str(values["technology"])
    return (
        row.measured_at,
        day,
        row.measured_at.replace(hour=0, minute=0, second=0),
        values["device_id"],
        values["device_id"] or f"row {number}",
        code,
        status,
        holder.holder_kind if holder else None,
        holder.holder_code if holder else None,
        row.unit.code if row.unit else None,
        day.replace(day=1) if row.unit else None,
        brands.get(str(values["operator"]).strip().casefold(), "unknown"),
        TECHNOLOGY_NETWORK[technology],
        technology,
        policy.target_download_mbps.get(technology),
        *(None if values[name] is None else float(f"{values[name]:.{DECIMALS.get(name, 2)}f}") for name in NUMBERS),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--months", type=int, default=200)
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()
    tally = Tally()
    with TemporaryDirectory() as folder:
        settings = settings_for(Path(folder))
        for seed in range(options.months):
            month = MONTHS[seed % len(MONTHS)]
            tally.add(evidence_of(settings, month, honest_month(settings, month, options.rows, seed)))
    print("\n".join(told(tally)))


def told(tally: Tally) -> Iterator[str]:
    n_months, n_named = len(tally.months_named), tally.n_code_months_named
    yield f"{'indicator':30} judged  named  per 1,000  closest to threshold"
    for indicator, n in sorted(tally.judged.items()):
        named, closest = tally.named[indicator], tally.closest[indicator]
        yield f"{indicator:30} {n:6} {named:6} {1000 * named / n:10.2f} {closest:21.2f}"
    yield (
        f"{n_months} honest months, {tally.n_code_months} codes judged in them: {n_named} named in "
        f"{sum(n > 0 for n in tally.months_named)} months, {n_named / n_months:.3f} a month"
    )


if __name__ == "__main__":
    main()
