"""Why a revision differs from the one before, and in which cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from ispeed.engine import Row
from ispeed.policy import BESIDE_REPORTS
from ispeed.tables import METRICS, Table
from ispeed.workbook.content import Change
from ispeed.workbook.wording import number

Tables = dict[str, list[Row]]
Kind = Literal[
    "late_rows",
    "sent_again",
    "taken_back",
    "contract",
    "registry",
    "boundaries",
    "policy",
    "code",
    "previous_month",
    "returns",
    "atlas",
    "warnings",
]
_LABELS: Final[dict[Kind, str]] = {
    "late_rows": "Số liệu đến muộn",
    "sent_again": "Tệp xuất được gửi lại",
    "taken_back": "Tệp xuất được rút lại",
    "contract": "Cách đọc tệp (hợp đồng nguồn) thay đổi",
    "registry": "Danh mục (xã, mã giới thiệu, cơ quan, nhà mạng) thay đổi",
    "boundaries": "Bản đồ địa giới thay đổi",
    "policy": "Chính sách (ngưỡng, mục tiêu) thay đổi",
    "code": "Quy tắc tính hoặc kiểm tra thay đổi",
    "previous_month": "Số liệu các tháng trước được phát hành lại",
    "returns": "Phiếu báo cáo của cơ quan, đơn vị",
    "atlas": "Số liệu VNNIC công bố",
    "warnings": "Cảnh báo nêu để xem xét thay đổi",
}
_FILES: Final[frozenset[Kind]] = frozenset({"late_rows", "sent_again", "taken_back"})
# What a change against the month before is made of, and what it is shown in.
_COMPARED: Final = ("download_mbps_median", "download_mbps_ci_low", "download_mbps_ci_high")
_COMPARISON: Final = ("download_mbps_median_change", "change_reason", "change_sign")
# The tables that what arrived beside the measurements fills, and what in them comes from the measurements.
_ARRIVED: Final[Mapping[str, Kind]] = {"report_return_month": "returns", "report_atlas_month": "atlas"}
_MEASURED: Final = (
    *("n_measurements", "n_devices", "n_samples", "download_mbps_ci_low", "download_mbps_ci_high"),
    *(f"{metric}_median" for metric in METRICS),
)
_COUNTED: Final = ("n_measurements", "n_samples", "n_devices", "n_rows", "evidence")
_MINOR: Final = ("_rank", "n_ranked", "_p10", "_p25", "_p75", "_p90")
_NAMES: Final = frozenset(
    {
        *("commune_name", "kind", "district_code", "district_name", "province_name", "host_network"),
        *("holder_kind", "holder_code", "holder_name", "holder_since", "earlier_holder_name", "holder_until"),
        *("organisation_name", "organisation_kind", "headcount", "n_communes"),
    }
)


@dataclass(frozen=True)
class Cause:
    """One thing that differs between two revisions; `sentence` tells it in Vietnamese, with its numbers."""

    kind: Kind
    sentence: str

    @property
    def label(self) -> str:
        """The same in few words, for each cell."""
        return _LABELS[self.kind]


@dataclass(frozen=True)
class Edition:
    """A revision as two are compared: the origin and policy of its manifest, and its report tables."""

    origin: Mapping[str, Any]
    policy: Mapping[str, Any]
    tables: Tables


def causes_of(before: Edition, after: Edition) -> list[Cause]:
    """What differs in what two revisions were made from. What only follows from something else is no cause."""
    old, new = before.origin, after.origin
    causes = _file_causes(before, after)
    differing: dict[Kind, bool] = {
        "contract": old["inputs"]["contract"] != new["inputs"]["contract"],
        # Most of what a new version changes has nothing to do with this month.
        "registry": (old["registry"] or {}).get("as_of_month") != (new["registry"] or {}).get("as_of_month"),
        "boundaries": old.get("boundaries", {}) != new.get("boundaries", {}),
        "policy": old["policy"] != new["policy"],
        "code": (old["rules"], old["version"]) != (new["rules"], new["version"]),
        "previous_month": old.get("previous_revision") != new.get("previous_revision")
        or old.get("series", new.get("series")) != new.get("series"),
        **{kind: _shown(old, kind) != _shown(new, kind) for kind in _ARRIVED.values()},
    }
    details: dict[Kind, str] = {
        "contract": _released(before, after),
        "policy": _policy_values(before.policy, after.policy),
    }
    for kind, differs in differing.items():
        if differs:
            causes.append(Cause(kind, _LABELS[kind] + (f": {details[kind]}" if details.get(kind) else "")))
    # A warning that comes or goes with something else is what follows from it.
    if not causes and old.get("warnings", []) != new.get("warnings", []):
        causes.append(Cause("warnings", _LABELS["warnings"]))
    if not causes and (old["registry"] or {}).get("version") != (new["registry"] or {}).get("version"):
        causes.append(Cause("registry", _LABELS["registry"]))
    return causes


def changes_of(declared: Sequence[Table], before: Edition, after: Edition, causes: Sequence[Cause]) -> list[Change]:
    """Every cell that differs, by table and key, each with the causes that can explain it; then every warning."""
    changes = []
    for table in declared:
        rows_before, rows_after = (
            {tuple(str(row[name]) for name in table.key): row for row in edition.tables.get(table.name, ())}
            for edition in (before, after)
        )
        columns = [name for name in table.column_names if name not in ("month", "revision", *table.key)]
        for key in sorted(rows_before.keys() | rows_after.keys()):
            old, new = rows_before.get(key, {}), rows_after.get(key, {})
            changes += [
                Change(
                    *(table.name, ", ".join(key), column, old.get(column), new.get(column)),
                    _labels(_explaining(causes, table.name, column, old, new)),
                )
                for column in columns
                if old.get(column) != new.get(column)
            ]
    # What a reader looks for first: a rank among 109 instead of 108 is in every row.
    changes.sort(key=lambda change: change.column.startswith("jitter_") or change.column.endswith(_MINOR))
    return changes + _changed_warnings(before.origin, after.origin, _labels(causes))


def _file_causes(before: Edition, after: Edition) -> list[Cause]:
    old, new = (dict(edition.origin["inputs"]["files"]) for edition in (before, after))
    added, gone = new.keys() - old.keys(), old.keys() - new.keys()
    again = {name for name in old.keys() & new.keys() if old[name] != new[name]}
    found: list[tuple[Kind, set[str], str]] = [
        ("late_rows", added, f"{_rows_of(after, added)} dòng trong {number(len(added))} tệp mới"),
        (
            "sent_again",
            again,
            f"{number(len(again))} tệp, {_rows_of(before, again)} dòng nay là {_rows_of(after, again)} dòng",
        ),
        ("taken_back", gone, f"{number(len(gone))} tệp, {_rows_of(before, gone)} dòng"),
    ]
    return [Cause(kind, f"{_LABELS[kind]}: {detail}") for kind, names, detail in found if names]


def _rows_of(edition: Edition, names: set[str]) -> str:
    return number(_quality(edition, "raw", names))


def _quality(edition: Edition, outcome: str, names: set[str]) -> int:
    """Rows with an outcome in files of these names, or in archives of these names."""
    return sum(
        row["n_rows"]
        for row in edition.tables.get("report_quality_month", ())
        if row["outcome"] == outcome and (row["source_file"] in names or row["source_file"].partition("/")[0] in names)
    )


def _released(before: Edition, after: Edition) -> str:
    """How many rows of the files that both were made from left the quarantine, or came into it."""
    old, new = (dict(edition.origin["inputs"]["files"]) for edition in (before, after))
    same = {name for name, sha256 in old.items() if new.get(name) == sha256}
    released = _quality(before, "quarantined", same) - _quality(after, "quarantined", same)
    if not released:
        return ""
    return f"{number(abs(released))} dòng " + ("cách ly được nhận lại" if released > 0 else "nữa bị cách ly")


def _policy_values(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The names of the values that differ, with both where they are short."""
    told = []
    for name in sorted((old.keys() | new.keys()) - BESIDE_REPORTS):
        if old.get(name) != new.get(name):
            values = [str(policy.get(name, "không có")) for policy in (old, new)]
            told.append(f"{name} {values[0]} → {values[1]}" if max(map(len, values)) <= 40 else name)
    return ", ".join(told)


def _shown(origin: Mapping[str, Any], kind: str) -> str | None:
    """What counts for a revision of what arrived beside its measurements; None where nothing had."""
    shown: str | None = origin.get(kind, {}).get("shown")
    return shown


def _explaining(causes: Sequence[Cause], table: str, column: str, old: Row, new: Row) -> Sequence[Cause]:
    """The causes that a changed cell can come from; all of them where none is likelier than another."""
    if len(causes) < 2:
        return causes
    by_kind = {cause.kind: cause for cause in causes}
    arrived = _ARRIVED.get(table)
    if arrived in by_kind and (not (old and new) or column not in (*_MEASURED, *_NAMES, "registry_headcount")):
        return [by_kind[arrived]]
    causes = [cause for cause in causes if cause.kind not in _ARRIVED.values() or cause.kind == arrived] or causes
    if column in _COMPARISON and "previous_month" in by_kind and _same(old, new, _COMPARED):
        return [by_kind["previous_month"]]
    if column in _NAMES and "registry" in by_kind:
        return [by_kind["registry"]]
    unlikely: set[Kind] = {"previous_month", "warnings"}
    if old and new and _same(old, new, _COUNTED):
        # Not a row more or less: what came in late is elsewhere.
        unlikely |= _FILES
    return [cause for cause in causes if cause.kind not in unlikely] or causes


def _same(old: Row, new: Row, columns: Sequence[str]) -> bool:
    return all(old.get(column) == new.get(column) for column in columns)


def _labels(causes: Sequence[Cause]) -> str:
    return "; ".join(cause.label for cause in causes)


def _changed_warnings(before: Mapping[str, Any], after: Mapping[str, Any], cause: str) -> list[Change]:
    """Every warning that came, went, or says something else now."""
    old, new = (
        {(told["table"], told["description_vi"]): told["finding"] for told in origin.get("warnings", [])}
        for origin in (before, after)
    )
    return [
        Change(table, description, "Cảnh báo", old.get((table, description)), new.get((table, description)), cause)
        for table, description in sorted(old.keys() | new.keys())
        if old.get((table, description)) != new.get((table, description))
    ]
