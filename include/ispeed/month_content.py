"""What a month's readers are told: its tables, policy, checks, sources and changes, gathered from the lake."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from ispeed.changes import Cause, Tables
from ispeed.checks import row_reasons
from ispeed.integrity import fewest_cases
from ispeed.lake import read_step
from ispeed.landing import Landing
from ispeed.months import Month
from ispeed.policy import Policy
from ispeed.settings import Settings
from ispeed.workbook.content import Change, CheckLine, Content, IntegrityPolicy, SourceFile, WorkbookPolicy
from ispeed.workbook.wording import number

_WINDOWS = {
    "hour": "một giờ",
    "4h": "bốn giờ",
    "day": "một ngày, giờ Việt Nam",
    "month": "một tháng",
}


def month_content(
    settings: Settings,
    month: Month,
    policy: Policy,
    landing: Landing,
    revision: int,
    tables: Tables,
    checks: Sequence[CheckLine],
    changes: Sequence[Change],
    causes: Sequence[Cause],
) -> Content:
    """What the month itself tells; what other months and the map have to say of it is left empty."""
    staging = read_step(settings, "staging", month, "stage_files")
    files = staging["files"]
    return Content(
        month=month,
        revision=revision,
        tables=tables,
        policy=workbook_policy(policy, month),
        checks=checks,
        reasons={reason: wording for _, reason, wording in row_reasons()},
        sources=[SourceFile(file.source_file, file.sha256, file.n_bytes) for file in landing.files],
        changes=changes,
        change_causes=[cause.sentence for cause in causes],
        is_sample=landing.is_sample,
        absent_columns={name: file["absent"] for name, file in files.items()},
        undeclared_headers={name: file["undeclared"] for name, file in files.items()},
        constants=staging["constants"],
    )


def noted_checks(settings: Settings, month: Month) -> list[CheckLine]:
    """Every check that a step of the month noted, in the order in which they ran."""
    noted = settings.lake_of("report", month) / "checks.json"
    return check_lines(
        [
            *read_step(settings, "quarantine", month, "check")["results"],
            *read_step(settings, "core", month, "build_core")["results"],
            *json.loads(noted.read_text(encoding="utf-8")),
        ]
    )


def check_lines(results: Sequence[Mapping[str, Any]]) -> list[CheckLine]:
    """Results of checks, as a step noted them, as the workbook tells them."""
    return [
        CheckLine(
            table=result["table"],
            description_vi=result["description_vi"],
            severity=result["severity"],
            action=result["on_failure"],
            reason=result["reason"],
            passed=result["passed"],
            n_rows=result["n_rows"],
            finding=_finding(result) if result["on_failure"] == "tell" else "",
        )
        for result in results
    ]


def _finding(result: Mapping[str, Any]) -> str:
    n_more = result["n_rows"] - len(result["examples"])
    return "; ".join(result["examples"]) + (f" và {number(n_more)} trường hợp khác" if n_more > 0 else "")


def workbook_policy(policy: Policy, month: Month) -> WorkbookPolicy:
    """The policy as the workbook of a month tells it."""
    next_month = month.next.next
    return WorkbookPolicy(
        province_code=policy.province.code,
        province_name=policy.province.name,
        parent_body=policy.parent_body,
        issuer=policy.issuer,
        place=policy.province.place,
        publish_minimum=policy.publish_minimum,
        assess_minimum=policy.assess_minimum,
        device_minimum=policy.device_minimum,
        targets=policy.target_download_mbps,
        speed_max=policy.speed_max_mbps,
        ping_max_ms=policy.ping_max_ms,
        low_location_accuracy_m=policy.location_accuracy_max_m,
        drift_months=policy.drift_months,
        drift_threshold=policy.drift_threshold,
        window=_WINDOWS[policy.window],
        next_release=date(next_month.year, next_month.number, policy.report_day),
        contact=policy.contact,
        licence=policy.licence,
        integrity=IntegrityPolicy(
            n_measurements=policy.integrity_measurements_minimum,
            chance=policy.integrity_chance,
            levels=policy.integrity_threshold,
            rule=policy.integrity_rule,
            fewest_cases=fewest_cases(policy),
        ),
        reference=policy.reference,
    )
