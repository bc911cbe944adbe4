"""The draft: a month's next revision as it will be published, or the word that nothing changed."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ispeed
from ispeed.checks import require_passed, row_reasons
from ispeed.data_docs import Pages
from ispeed.database import Database
from ispeed.engine import DuckDB, Row, open_engine
from ispeed.errors import UserError
from ispeed.integrity import fewest_cases
from ispeed.lake import month_lock, read_step, replaced_folder, write_json
from ispeed.landing import Landing, read_landing
from ispeed.months import Month
from ispeed.policy import Policy, read_policy
from ispeed.publication import published_origin
from ispeed.reports import read_report
from ispeed.rules import rules_fingerprint, sha256_of
from ispeed.settings import Settings
from ispeed.tables import REPORT_TABLES, Table
from ispeed.workbook.book import write_workbook
from ispeed.workbook.content import Change, CheckLine, Content, IntegrityPolicy, SourceFile, WorkbookPolicy
from ispeed.workbook.wording import number

Tables = dict[str, list[Row]]
_WINDOWS = {
    "hour": "một giờ",
    "4h": "bốn giờ",
    "day": "một ngày, giờ Việt Nam",
    "month": "một tháng",
}
_REGISTRY_CHANGED = "Danh mục (xã, mã giới thiệu, cơ quan, nhà mạng) thay đổi"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
_ADAPTED = {"text": "string", "integer": "integer", "double": "number", "date": "date", "timestamp": "datetime"}


@dataclass(frozen=True)
class Draft:
    """What `draft.json` says of a draft. `revision` is the one it would become, or the one that it equals."""

    revision: int
    fingerprint: str
    is_unchanged: bool
    n_raw: int
    n_accepted: int
    n_quarantined: int
    why: str


def write_workbooks(settings: Settings, month: Month) -> dict[str, Any]:
    """Write `draft/month=…/`: workbook, csv folder, manifest, as the next revision of the month.

    Returns what `draft.json` says. Where nothing changed since the published revision, only that is noted.
    """
    policy = read_policy(settings.policy, month.last_day)
    landing = read_landing(settings, month)
    report = read_step(settings, "report", month, "build_reports")
    noted = settings.lake_of("report", month) / "checks.json"
    if not noted.exists():
        raise UserError(
            f"month {month}", "reports that were not checked", "the result of check_reports", "run it first"
        )
    require_passed(month, json.loads(noted.read_text(encoding="utf-8")))
    database = Database(settings.database_url)
    with month_lock(settings, month), open_engine(settings.memory_bytes) as engine:
        tables: Tables = {table.name: read_report(engine, settings, month, table) for table in REPORT_TABLES}
        checks = _noted_checks(settings, month)
        origin = origin_of(policy, report, checks)
        # Registry and the month before count by what is shown of them: most of their changes do nothing here.
        previous = _previous_province(database, month)
        shown = {"tables": tables, "previous_province": [{**row, "revision": None} for row in previous]}
        fingerprint = fingerprint_of(origin, shown)
        published = database.publication(month)
        is_unchanged = published is not None and published["fingerprint"] == fingerprint
        revision = published["revision"] if published and is_unchanged else database.last_revision(month) + 1
        for rows in tables.values():
            for row in rows:
                row["revision"] = revision
        causes = causes_of(settings.share_of(month), published, origin)
        quality = _quality_totals(tables["report_quality_month"])
        draft = Draft(
            revision=revision,
            fingerprint=fingerprint,
            is_unchanged=is_unchanged,
            n_raw=quality["raw"],
            n_accepted=quality["accepted"],
            n_quarantined=quality["quarantined"],
            why="; ".join(causes) or "Phát hành lần đầu",
        )
        with replaced_folder(settings.lake_of("draft", month)) as folder:
            write_json(folder / "draft.json", asdict(draft))
            if not is_unchanged:
                before = {
                    name: database.rows(name, month, published["revision"]) if published else [] for name in tables
                }
                changes: list[Change] = []
                if published:
                    changes = changes_of(REPORT_TABLES, before, tables, causes)
                    told = published_origin(settings.share_of(month), published["revision"])
                    changes += _changed_warnings(told, origin, causes)
                content = _content(
                    settings, month, policy, landing, revision, tables, checks, previous, changes, causes
                )
                files = folder / "files"
                files.mkdir()
                _write_quarantine(engine, settings, month, files / "quarantine.csv")
                Pages.of(settings, month).publish(files / "data-docs", content.checks, is_sample=content.is_sample)
                _write_files(files, content, policy, origin, draft)
    return asdict(draft)


def read_draft(settings: Settings, month: Month) -> Draft:
    """The month's draft. Raises `UserError` where none was written."""
    return Draft(**read_step(settings, "draft", month, "write_workbooks"))


def read_draft_tables(settings: Settings, month: Month, revision: int) -> Tables:
    """The report tables of the draft, with their revision, as they go into the reports database."""
    with open_engine(settings.memory_bytes) as engine:
        tables = {table.name: read_report(engine, settings, month, table) for table in REPORT_TABLES}
    for rows in tables.values():
        for row in rows:
            row["revision"] = revision
    return tables


def origin_of(policy: Policy, report: Mapping[str, Any], checks: Sequence[CheckLine]) -> dict[str, Any]:
    """Everything that a revision is made from, by hash; what differs between two is why they differ.

    What is told of a month beside others (drift, a file of two months) may change with those: it counts as it is shown.
    """
    return {
        "inputs": report["core"]["inputs"],
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
    }


def fingerprint_of(origin: Mapping[str, Any], shown: Mapping[str, Any]) -> str:
    """sha256 of what a revision is made from and shows; registry, boundaries and the month before count as shown."""
    return sha256_of({**origin, "registry": None, "boundaries": None, "previous_revision": None, **shown})


def _previous_province(database: Database, month: Month) -> list[Row]:
    """What the month before shows of the province, as published: the key figures are compared with it."""
    revision = database.current_revision(month.previous)
    return database.rows("report_province_month", month.previous, revision) if revision else []


def causes_of(share: Path, published: Row | None, origin: Mapping[str, Any]) -> list[str]:
    """Vietnamese sentences on what differs from the published revision below `share`; none on a first issue."""
    if published is None:
        return []
    before = published_origin(share, published["revision"])
    before_inputs, inputs = before.get("inputs", {}), origin["inputs"]
    before_registry, registry = before.get("registry") or {}, origin["registry"]
    sentences = {
        "Tệp xuất được bổ sung hoặc thay đổi": before_inputs.get("files") != inputs["files"],
        "Cách đọc tệp (hợp đồng nguồn) thay đổi": before_inputs.get("contract") != inputs["contract"],
        # Most of what a new version changes has nothing to do with this month.
        _REGISTRY_CHANGED: before_registry.get("as_of_month") not in (None, registry.get("as_of_month")),
        "Bản đồ địa giới thay đổi": before.get("boundaries", {}) != origin["boundaries"],
        "Chính sách (ngưỡng, mục tiêu) thay đổi": before.get("policy") != origin["policy"],
        "Quy tắc tính hoặc kiểm tra thay đổi": (before.get("rules"), before.get("version"))
        != (origin["rules"], origin["version"]),
        "Số liệu tháng trước được phát hành lại": before.get("previous_revision") != origin["previous_revision"],
        "Cảnh báo nêu để xem xét thay đổi": before.get("warnings", []) != origin["warnings"],
    }
    causes = [sentence for sentence, differs in sentences.items() if differs]
    if not causes and before_registry.get("version") != registry["version"]:
        causes.append(_REGISTRY_CHANGED)
    return causes


def changes_of(declared: Sequence[Table], published: Tables, tables: Tables, causes: Sequence[str]) -> list[Change]:
    """Every cell that differs from the published revision, by table and key."""
    cause = "; ".join(causes)
    changes = []
    for table in declared:
        before = {_key(table, row): row for row in published[table.name]}
        after = {_key(table, row): row for row in tables[table.name]}
        columns = [name for name in table.column_names if name not in ("month", "revision", *table.key)]
        for key in sorted(before.keys() | after.keys()):
            old, new = before.get(key, {}), after.get(key, {})
            changes += [
                Change(table.name, ", ".join(key), column, old.get(column), new.get(column), cause)
                for column in columns
                if old.get(column) != new.get(column)
            ]
    return changes


def _changed_warnings(before: Mapping[str, Any], origin: Mapping[str, Any], causes: Sequence[str]) -> list[Change]:
    """Every warning that came, went, or says something else now."""
    old, new = (
        {(told["table"], told["description_vi"]): told["finding"] for told in made_from.get("warnings", [])}
        for made_from in (before, origin)
    )
    return [
        Change(table, description, "Cảnh báo", old.get((table, description)), new.get((table, description)), cause)
        for cause in ["; ".join(causes)]
        for table, description in sorted(old.keys() | new.keys())
        if old.get((table, description)) != new.get((table, description))
    ]


def _key(table: Table, row: Row) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in table.key)


def _quality_totals(rows: Sequence[Row]) -> dict[str, int]:
    totals = {"raw": 0, "accepted": 0, "quarantined": 0, "flagged": 0}
    for row in rows:
        totals[row["outcome"]] += row["n_rows"]
    return totals


def _noted_checks(settings: Settings, month: Month) -> list[CheckLine]:
    """Every check that a step of the month noted, in the order in which they ran."""
    noted = settings.lake_of("report", month) / "checks.json"
    return check_lines(
        [
            *read_step(settings, "quarantine", month, "check")["results"],
            *read_step(settings, "core", month, "build_core")["results"],
            *json.loads(noted.read_text(encoding="utf-8")),
        ]
    )


def _finding(result: Mapping[str, Any]) -> str:
    n_more = result["n_rows"] - len(result["examples"])
    return "; ".join(result["examples"]) + (f" và {number(n_more)} trường hợp khác" if n_more > 0 else "")


def _content(
    settings: Settings,
    month: Month,
    policy: Policy,
    landing: Landing,
    revision: int,
    tables: Tables,
    checks: Sequence[CheckLine],
    previous_province: Sequence[Row],
    changes: Sequence[Change],
    causes: Sequence[str],
) -> Content:
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
        change_causes=causes,
        is_sample=landing.is_sample,
        absent_columns={name: file["absent"] for name, file in files.items()},
        undeclared_headers={name: file["undeclared"] for name, file in files.items()},
        constants=staging["constants"],
        previous_province=previous_province,
    )


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


def _write_files(folder: Path, content: Content, policy: Policy, origin: Mapping[str, Any], draft: Draft) -> None:
    write_workbook(content, folder / f"bao-cao-ispeed_{policy.province.slug}_{content.month}.xlsx")
    write_csv(folder / "csv", REPORT_TABLES, content)
    rows = {"raw": draft.n_raw, "accepted": draft.n_accepted, "quarantined": draft.n_quarantined}
    write_manifest(folder, content, policy, origin, {"why": draft.why, "fingerprint": draft.fingerprint}, rows)


def write_csv(folder: Path, tables: Sequence[Table], content: Content) -> None:
    """Write the tables as csv files, with a description of every column beside them."""
    folder.mkdir()
    for table in tables:
        (folder / f"{table.name}.csv").write_bytes(_csv(table, content.tables[table.name]))
    write_json(folder / "datapackage.json", _data_package(tables, content))


def write_manifest(
    folder: Path,
    content: Content,
    policy: Policy,
    origin: Mapping[str, Any],
    about: Mapping[str, Any],
    rows: Mapping[str, int],
) -> None:
    """Write what the folder's files were made from, and the sha256 of each."""
    outputs = [
        {
            "path": path.relative_to(folder).as_posix(),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "n_bytes": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    manifest = {
        "month": str(content.month),
        "revision": content.revision,
        "is_sample": content.is_sample,
        **about,
        "origin": origin,
        "inputs": [asdict(source) for source in content.sources],
        "outputs": outputs,
        "policy": asdict(policy),
        "rows": {**rows, "tables": {name: len(rows) for name, rows in content.tables.items()}},
        "versions": {"ispeed": ispeed.__version__} | {name: version(name) for name in ("duckdb", "xlsxwriter")},
    }
    write_json(folder / "manifest.json", manifest)


def _write_quarantine(engine: DuckDB, settings: Settings, month: Month, path: Path) -> None:
    """Write the quarantined rows for those who mend the export, without device ids, whole or hashed.

    A record that could not be split into fields has no text here: its line may hold the device id in any place.
    """
    engine.read_parquet("quarantine", settings.lake_of("quarantine", month) / "quarantine_measurement.parquet")
    wording = {reason: reason_vi for outcome, reason, reason_vi in row_reasons() if outcome == "quarantined"}
    rows = engine.batches(
        "select source_file, row_number, reason, detail, case when not is_raw_line then original_text end "
        "from quarantine order by source_file, row_number"
    )
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(("source_file", "row_number", "reason", "reason_vi", "detail", "original_text"))
        for batch in rows:
            writer.writerows(
                map(_csv_cell, (file_name, number, reason, wording.get(reason, ""), detail, text))
                for file_name, number, reason, detail, text in batch
            )


def _csv(table: Table, rows: Sequence[Mapping[str, object]]) -> bytes:
    """UTF-8 with a byte order mark, for Excel; a text that a spreadsheet would run as a formula gets a leading '."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(table.column_names)
    for row in rows:
        writer.writerow([_csv_cell(row[name]) for name in table.column_names])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def _csv_cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return value


def _data_package(tables: Sequence[Table], content: Content) -> dict[str, Any]:
    """The csv folder's description (Frictionless Data Package)."""
    day = content.boundaries_day
    return {
        "profile": "tabular-data-package",
        "name": f"ispeed-{content.policy.province_code}-{content.month}-"
        + (f"boundaries-{day}-" if day else "")
        + f"r{content.revision}",
        "title": f"i-Speed {content.policy.province_name} {content.month}"
        + (f" on the boundaries of {day}" if day else "")
        + (" (DỮ LIỆU MẪU)" * content.is_sample),
        "version": str(content.revision),
        "resources": [
            {
                "name": table.name,
                "path": f"{table.name}.csv",
                "profile": "tabular-data-resource",
                "encoding": "utf-8-sig",
                "title": table.comment,
                "description": "Text that starts with = + - @ tab or line break has a ' put before it.",
                "schema": {
                    "primaryKey": ["month", "revision", *table.key],
                    "missingValues": [""],
                    "fields": [
                        {
                            "name": column.name,
                            "type": _ADAPTED[column.type],
                            "title": column.heading,
                            "description": column.comment,
                        }
                        for column in table.columns
                    ],
                },
            }
            for table in tables
        ],
    }
