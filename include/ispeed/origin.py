"""What a revision is made from, and the one hash of that and of what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ispeed
from ispeed.arrivals import KINDS
from ispeed.policy import Policy
from ispeed.rules import rules_fingerprint, sha256_of
from ispeed.workbook.content import CheckLine


def origin_of(policy: Policy, report: Mapping[str, Any], checks: Sequence[CheckLine]) -> dict[str, Any]:
    """Everything that a revision is made from, by hash; what differs between two is why they differ.

    What is told of a month beside others (drift, a file of two months) may change with those: it counts as it is shown.
    """
    return {
        "inputs": report["core"]["inputs"],
        "device_key": report["core"].get("device_key"),
        "policy": policy.fingerprint,
        "rules": rules_fingerprint(),
        "version": ispeed.__version__,
        "previous_revision": report["previous"],
        "registry": report["core"]["registry"],
        "boundaries": report["core"].get("boundaries", {}),
        "warnings": [
            {"table": check.table, "description_vi": check.description_vi, "finding": check.finding}
            for check in checks
            if check.finding
        ],
        # Nothing stands for what did not arrive: a month without is as it was before there were any.
        **report.get("arrivals", {}),
    }


def fingerprint_of(origin: Mapping[str, Any], shown: Mapping[str, Any]) -> str:
    """sha256 of what a revision is made from and shows; registry, boundaries and the month before count as shown.

    The device key does not count, since figures are the same under any; nor does where the symbols of a map stand: a
    unit's successors of years to come move them.
    """
    beside = dict.fromkeys(("registry", "boundaries", "previous_revision", "places", "device_key"))
    beside |= {kind: origin[kind]["shown"] for kind in KINDS if kind in origin}
    return sha256_of({**origin, **beside, **shown})
