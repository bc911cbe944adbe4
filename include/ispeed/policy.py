"""What is decided (thresholds, targets, issuer), each since a day and on a source's word: `include/policy.yaml`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from ispeed.errors import UserError

TECHNOLOGY_NETWORK = {
    "2G": "mobile",
    "3G": "mobile",
    "4G": "mobile",
    "5G": "mobile",
    "WiFi": "fixed",
    "Cố định": "fixed",
}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _has_amounts(names: Iterable[str], *, all_of_them: bool) -> Callable[[Any], bool]:
    known = set(names)

    def check(value: Any) -> bool:
        if not isinstance(value, dict) or not all(map(_is_amount, value.values())):
            return False
        return set(value) == known if all_of_them else set(value) <= known

    return check


_TEXT = (_is_text, "a text")
_COUNT = (_is_count, "a whole number")
_AMOUNT = (_is_amount, "a number above 0")
INDICATORS = (
    "measurements_per_sample",
    "samples_per_device",
    "top_device_share",
    "shared_device_share",
    "identical_coordinates_share",
    "commune_mismatch_share",
    "regular_interval_share",
    "night_share",
    "deadline_repeat_share",
    "identical_result_share",
    "speed_difference_share",
)
_INTEGRITY_RULE = (
    "night_from_hour",
    "night_to_hour",
    "deadline_days",
    "deadline_measurements",
    "interval_measurements",
    "interval_min_s",
    "interval_max_s",
    "interval_tolerance_s",
)


def _is_level(level: tuple[str, float]) -> bool:
    name, value = level
    return value < 1 if name.endswith("_share") else value > 1


def _is_integrity_rule(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == set(_INTEGRITY_RULE)
        and all(map(_is_count, value.values()))
        and value["night_to_hour"] < value["night_from_hour"] < 24
        and 1 <= value["deadline_days"] <= 7
    )


def _is_groups(value: Any) -> bool:
    if not isinstance(value, dict) or not all(isinstance(codes, list) for codes in value.values()):
        return False
    codes = [code for group in value.values() for code in group]
    return (
        all(isinstance(name, str) and name.strip() for name in value)
        and all(value.values())
        and all(isinstance(code, str) and code.strip() for code in codes)
        and len(codes) == len(set(codes))
    )


_DRIFTS = ("volume", "operator_share", "new_device_share", "no_device_share", "download_median")
WINDOWS = ("hour", "4h", "day", "month")
# What each value must be, so that a slip of the pen is told by its name and not deep in a computation.
_EXPECTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "parent_body": _TEXT,
    "issuer": _TEXT,
    "contact": _TEXT,
    "licence": _TEXT,
    "reference": _TEXT,
    "recipient_groups": (_is_groups, "lists of commune codes (in quotes) by the name of a group, no code twice"),
    "report_day": (lambda value: _is_count(value) and 1 <= value <= 28, "a day from 1 to 28"),
    "publish_minimum": _COUNT,
    "assess_minimum": _COUNT,
    "device_minimum": _COUNT,
    "window": (lambda value: value in WINDOWS, "one of " + ", ".join(WINDOWS)),
    "target_download_mbps": (_has_amounts(TECHNOLOGY_NETWORK, all_of_them=False), "Mbps by technology"),
    "speed_max_mbps": (_has_amounts(TECHNOLOGY_NETWORK, all_of_them=True), "Mbps for each technology"),
    "ping_max_ms": _AMOUNT,
    "location_accuracy_max_m": _AMOUNT,
    "integrity_measurements_minimum": _COUNT,
    "integrity_chance": (lambda value: _is_amount(value) and value < 0.5, "a chance above 0 and below 0.5"),
    "integrity_threshold": (
        lambda value: _has_amounts(INDICATORS, all_of_them=True)(value) and all(map(_is_level, value.items())),
        "for each indicator a share below 1, or a mean above 1",
    ),
    "integrity_rule": (_is_integrity_rule, "whole numbers for " + ", ".join(_INTEGRITY_RULE)),
    "drift_months": (lambda value: _is_count(value) and 1 <= value <= 12, "a number of months from 1 to 12"),
    "drift_threshold": (_has_amounts(_DRIFTS, all_of_them=True), "a number for each indicator"),
    "keep_superseded_days": (_is_count, "a number of days, 0 to keep them all"),
}
# What no figure and no word of a report depends on.
BESIDE_REPORTS = frozenset({"keep_superseded_days"})


_ORDERS: dict[str, Iterable[str]] = {
    "target_download_mbps": TECHNOLOGY_NETWORK,
    "speed_max_mbps": TECHNOLOGY_NETWORK,
    "integrity_threshold": INDICATORS,
    "integrity_rule": _INTEGRITY_RULE,
    "drift_threshold": _DRIFTS,
}


@dataclass(frozen=True)
class Province:
    code: str
    name: str
    slug: str
    place: str


@dataclass(frozen=True)
class Policy:
    """The policy as of one day. Speeds in Mbps, times in ms, distances in m."""

    province: Province
    parent_body: str
    issuer: str
    contact: str
    licence: str
    reference: str
    recipient_groups: dict[str, list[str]]
    report_day: int
    publish_minimum: int
    assess_minimum: int
    device_minimum: int
    window: str
    target_download_mbps: dict[str, float]
    speed_max_mbps: dict[str, float]
    ping_max_ms: float
    location_accuracy_max_m: float
    integrity_measurements_minimum: int
    integrity_chance: float
    integrity_threshold: dict[str, float]
    integrity_rule: dict[str, int]
    drift_months: int
    drift_threshold: dict[str, float]
    keep_superseded_days: int

    @property
    def fingerprint(self) -> str:
        """sha256 of every value of the reports, the same wherever the file lies and however it is commented."""
        names = (field.name for field in fields(self) if field.name not in {"province", *BESIDE_REPORTS})
        values = {name: getattr(self, name) for name in names}
        values["province"] = vars(self.province)
        return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def read_policy(path: Path, day: date) -> Policy:
    """The policy of `path` as of `day`. Raises `UserError` naming the value that is missing or not yet valid."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise UserError(str(path), repr(document), "province and values", "restore include/policy.yaml")
    except (OSError, yaml.YAMLError) as error:
        raise UserError(str(path), str(error), "a policy file in YAML", "restore include/policy.yaml") from error
    values = {name: _value_as_of(path, document, name, day) for name in _EXPECTED}
    for name, (is_right, expected) in _EXPECTED.items():
        if not is_right(values[name]):
            raise UserError(f"{path}, values.{name}", repr(values[name]), expected, "correct it")
    province = document.get("province")
    if not isinstance(province, dict) or set(province) != {"code", "name", "slug", "place"}:
        raise UserError(f"{path}, province", repr(province), "code, name, slug and place", "correct it")
    if not re.fullmatch(r"[a-z0-9-]+", str(province["slug"])):
        raise UserError(f"{path}, province.slug", repr(province["slug"]), "a name such as khanh-hoa", "correct it")
    for name, order in _ORDERS.items():
        # However the file lists them: a workbook names them in this order.
        values[name] = {key: values[name][key] for key in order if key in values[name]}
    return Policy(province=Province(**{name: str(value) for name, value in province.items()}), **values)


def _value_as_of(path: Path, document: dict[str, Any], name: str, day: date) -> Any:
    try:
        entries = document["values"][name]
        valid = [entry for entry in entries if entry.get("valid_from", date.min) <= day and "value" in entry]
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}, values.{name}",
            f"missing or not of the right form ({error})",
            "a list of value, valid_from (a day such as 2025-03-01, without quotes) and source",
            "correct it",
        ) from error
    for entry in entries:
        if not (isinstance(entry.get("source"), str) and entry["source"].strip()):
            raise UserError(
                f"{path}, values.{name}",
                f"value {entry.get('value')!r} without a source",
                "source: on whose word it holds, such as a decision's number and day",
                "add it",
            )
    days = [entry.get("valid_from", date.min) for entry in entries]
    if len(days) > len(set(days)):
        raise UserError(
            f"{path}, values.{name}", "two values valid from the same day", "one on any day", "correct a valid_from"
        )
    if not valid:
        raise UserError(
            f"{path}, values.{name}", f"no value valid on {day}", "one with valid_from on or before it", "add it"
        )
    return max(valid, key=lambda entry: entry.get("valid_from", date.min))["value"]
