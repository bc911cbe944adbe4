"""What a workbook is written from: report rows, policy, checks, sources and changes, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from ispeed.months import Month
from ispeed.workbook.wording import day_text

Row = Mapping[str, object]


@dataclass(frozen=True)
class IntegrityPolicy:
    """What *Dấu hiệu bất thường* goes by. `rule` are the numbers in the definitions, `fewest_cases` from how many cases
    on an indicator can be judged.
    """

    n_measurements: int
    chance: float
    levels: Mapping[str, float]
    rule: Mapping[str, int]
    fewest_cases: Mapping[str, int]


@dataclass(frozen=True)
class WorkbookPolicy:
    """The policy of the month as the workbook tells it. Speeds in Mbps, distances in m, shares from 0 to 1.

    `reference` is the letter that the appendices go with, as it is cited: "Công văn số 3761/STTTT-CNTTBCVT ngày
    15/11/2024"; empty leaves room for a number by hand. `window` is the window of the representative sample in
    Vietnamese ("một ngày, giờ Việt Nam").
    """

    province_code: str
    province_name: str
    parent_body: str
    issuer: str
    place: str
    publish_minimum: int
    assess_minimum: int
    device_minimum: int
    targets: Mapping[str, float]
    speed_max: Mapping[str, float]
    low_location_accuracy_m: float
    drift_months: int
    drift_threshold: Mapping[str, float]
    window: str
    next_release: date
    contact: str
    licence: str
    integrity: IntegrityPolicy
    reference: str = ""
    ping_max_ms: float = 60_000


@dataclass(frozen=True)
class CheckLine:
    """One check of a suite as it ran: what it expects, what happens to a failing row, and how many failed.

    `finding` says what was found, in Vietnamese, where a check only tells and changes no row.
    """

    table: str
    description_vi: str
    severity: str
    action: Literal["stop", "quarantine", "flag", "tell"]
    reason: str
    passed: bool
    n_rows: int
    finding: str = ""


@dataclass(frozen=True)
class SourceFile:
    """One export file as received."""

    name: str
    sha256: str
    n_bytes: int


@dataclass(frozen=True)
class Change:
    """One cell that differs from the revision before, and why (a Vietnamese sentence)."""

    table: str
    key: str
    column: str
    old: object
    new: object
    cause: str


@dataclass(frozen=True)
class Content:
    """Everything that stands in one month's workbook.

    `tables` holds the rows of `ispeed.tables.REPORT_TABLES` by table name; `previous_province` the rows of
    `report_province_month` that were last published for the month before, for the changes of the key figures;
    `previous_counts` the mobile counts of communes and organisations of that month, by table, for recipients' changes.
    `absent_columns` and `undeclared_headers` tell by file which columns it does not have, and which of its headers
    nobody declared; `constants` what the source contract says of every row in place of a column; `places` where each
    commune stands on the map, east and north in degrees (`ispeed.commune_map`); `series` what is shown of the published
    months up to this one, the last (`ispeed.series`); `compared_with` the revision that `changes` are changes from;
    `ending` the communes that end with the month, by code with what they become, and `n_communes_next` how many there
    are on the day after; `told` what is to be said of what arrived beside the measurements, by kind of arrival
    (`ispeed.arrivals`).
    Where a month is restated, `boundaries_day` is the day on whose map its figures stand, `month_revision` the month's
    own revision, and the tables are those of `ispeed.tables.RESTATED_TABLES`.
    """

    month: Month
    revision: int
    tables: Mapping[str, Sequence[Row]]
    policy: WorkbookPolicy
    checks: Sequence[CheckLine]
    reasons: Mapping[str, str]
    sources: Sequence[SourceFile]
    changes: Sequence[Change]
    change_causes: Sequence[str]
    is_sample: bool
    previous_province: Sequence[Row] = ()
    absent_columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    undeclared_headers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    compared_with: int | None = None
    ending: Mapping[str, str] = field(default_factory=dict)
    n_communes_next: int | None = None
    previous_counts: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    series: Sequence[Row] = ()
    told: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    boundaries_day: date | None = None
    month_revision: int | None = None

    @property
    def edition(self) -> str:
        """Which revision this is, and on which day's map where that is not the month's own."""
        if self.boundaries_day is None:
            return f"bản phát hành r{self.revision}"
        return (
            f"bản quy đổi r{self.revision} theo địa giới hành chính ngày {day_text(self.boundaries_day)}, "
            f"từ bản phát hành r{self.month_revision}"
        )

    def rows(self, table: str, network: str | None = None) -> list[Row]:
        """The rows of one report table, of one network where it is given."""
        rows = self.tables.get(table, ())
        return [row for row in rows if network is None or row["network"] == network]


def count_by_cause(changes: Sequence[Change]) -> dict[str, int]:
    """How many cells each cause explains, or each set of causes that cannot be told apart; most first."""
    return dict(Counter(change.cause for change in changes).most_common())
