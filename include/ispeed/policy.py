"""What is decided (thresholds, targets, issuer), each since a day and on a source's word: `include/policy.yaml`."""

from __future__ import annotations

import hashlib
import json
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
    integrity_threshold: dict[str, float]

    @property
    def fingerprint(self) -> str:
        """sha256 of every value, the same wherever the file lies and however it is commented."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "province"}
        values["province"] = vars(self.province)
        return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def read_policy(path: Path, day: date) -> Policy:
    """The policy of `path` as of `day`. Raises `UserError` naming the value that is missing or not yet valid."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(str(path), str(error), "a policy file in YAML", "restore include/policy.yaml") from error
    names = [field.name for field in fields(Policy) if field.name != "province"]
    return Policy(
        province=Province(**document["province"]),
        **{name: _value_as_of(path, document, name, day) for name in names},
    )


def _value_as_of(path: Path, document: dict[str, Any], name: str, day: date) -> Any:
    entries = document.get("values", {}).get(name, [])
    valid = [entry for entry in entries if entry.get("valid_from", date.min) <= day]
    if not valid:
        raise UserError(
            f"{path}, values.{name}", f"no value valid on {day}", "one with valid_from on or before it", "add it"
        )
    return max(valid, key=lambda entry: entry.get("valid_from", date.min))["value"]
