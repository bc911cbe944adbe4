"""The draft: a month's next revision as it will be published, or the word that nothing changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ispeed.changes import Edition, Tables, causes_of, changes_of
from ispeed.checks import require_passed
from ispeed.commune_map import commune_places, read_points
from ispeed.database import Database
from ispeed.engine import DuckDB, Row, open_engine
from ispeed.errors import UserError
from ispeed.lake import month_lock, read_step, replaced_folder, write_json
from ispeed.landing import read_landing
from ispeed.month_content import month_content, noted_checks
from ispeed.months import Month
from ispeed.origin import fingerprint_of, origin_of
from ispeed.policy import read_policy
from ispeed.publication import published_edition, refuse_withdrawn
from ispeed.registry import read_registry
from ispeed.reports import read_report
from ispeed.revision_files import write_files
from ispeed.rules import sha256_of
from ispeed.series import published_series, series_rows
from ispeed.settings import Settings
from ispeed.shared_folder import require_share
from ispeed.succession import Successions, Unit
from ispeed.tables import REPORT_TABLES


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
        checks = noted_checks(settings, month)
        successions = _successions(engine, settings, month)
        units = _units(successions, month, tables)
        places = commune_places(units, month.last_day, successions, read_points(settings.registry))
        ending = _ending(successions, month, units)
        n_next = engine.value(
            "select count(*) from commune where province_code = ? and ? between valid_from and valid_to",
            [policy.province.code, month.next.first_day],
        )
        earlier = published_series(database, before=month)
        origin = origin_of(policy, report, checks) | {"places": sha256_of(places), "series": sha256_of(earlier)}
        # Registry and the month before count by what is shown of them: most of their changes do nothing here.
        previous = _previous_province(database, month)
        counts = _previous_counts(database, month)
        shown = {
            "tables": tables,
            "previous_province": [{**row, "revision": None} for row in previous],
            "previous_counts": counts,
            # A registry that tells of the day after changes what is to be done next.
            "next": [ending, n_next],
        }
        fingerprint = fingerprint_of(origin, shown)
        require_share(settings, database)
        refuse_withdrawn(database, month, fingerprint)
        published = database.publication(month)
        is_unchanged = published is not None and published["fingerprint"] == fingerprint
        revision = published["revision"] if published and is_unchanged else database.last_revision(month) + 1
        for rows in tables.values():
            for row in rows:
                row["revision"] = revision
        share = settings.share_of(month)
        after = Edition(origin, asdict(policy), tables)
        before = published and published_edition(database, share, REPORT_TABLES, month, published["revision"])
        causes = causes_of(before, after) if before else []
        quality = _quality_totals(tables["report_quality_month"])
        draft = Draft(
            revision=revision,
            fingerprint=fingerprint,
            is_unchanged=is_unchanged,
            n_raw=quality["raw"],
            n_accepted=quality["accepted"],
            n_quarantined=quality["quarantined"],
            why="; ".join(cause.sentence for cause in causes) or "Phát hành lần đầu",
        )
        with replaced_folder(settings.lake_of("draft", month)) as folder:
            write_json(folder / "draft.json", asdict(draft))
            if not is_unchanged:
                content = month_content(
                    settings,
                    month,
                    policy,
                    landing,
                    revision,
                    tables,
                    checks,
                    changes_of(REPORT_TABLES, before, after, causes) if before else [],
                    causes,
                )
                content = replace(
                    content,
                    previous_province=previous,
                    previous_counts=counts,
                    told=report.get("told", {}),
                    places=places,
                    ending=ending,
                    n_communes_next=n_next,
                    series=[*earlier, *series_rows(tables["report_province_month"])],
                    compared_with=published["revision"] if published else None,
                )
                files = folder / "files"
                files.mkdir()
                about = {"why": draft.why, "fingerprint": draft.fingerprint}
                n_rows = {"raw": draft.n_raw, "accepted": draft.n_accepted, "quarantined": draft.n_quarantined}
                write_files(engine, settings, files, content, policy, origin, about, n_rows)
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


def _previous_province(database: Database, month: Month) -> list[Row]:
    """What the month before shows of the province, as published: the key figures are compared with it."""
    revision = database.current_revision(month.previous)
    return database.rows("report_province_month", month.previous, revision) if revision else []


def _previous_counts(database: Database, month: Month) -> Tables:
    """What the month before counts by commune and organisation, as published: recipients' figures are compared."""
    revision = database.current_revision(month.previous)
    wanted = {
        "report_commune_month": ("commune_code", "district_code", "n_measurements", "n_missing_to_assess"),
        "report_organisation_month": ("organisation_code", "n_measurements"),
    }
    return {
        table: [
            {column: row[column] for column in columns}
            for row in (database.rows(table, month.previous, revision) if revision else [])
            if row["network"] == "mobile"
        ]
        for table, columns in wanted.items()
    }


def _successions(engine: DuckDB, settings: Settings, month: Month) -> Successions:
    """Those of the registry that the month stands on."""
    read_registry(engine, settings.lake_of("core", month) / "registry")
    return Successions(engine.rows("select * from commune"), engine.rows("select * from commune_succession"))


def _units(successions: Successions, month: Month, tables: Tables) -> list[Unit]:
    """The month's communes as rows of the registry."""
    codes = {row["commune_code"] for row in tables["report_commune_month"]}
    return sorted(unit for code in codes if (unit := successions.unit(code, month.last_day)))


def _ending(successions: Successions, month: Month, units: Sequence[Unit]) -> dict[str, str]:
    """The communes that are not there any more on the day after the month, by code, with what they become."""
    day = month.next.first_day
    became = {unit: successions.units_on(unit, month.last_day, day) for unit in units}
    return {
        unit.commune_code: ", ".join(sorted(one.commune_code for one in new if one))
        for unit, new in became.items()
        if new != {unit}
    }


def _quality_totals(rows: Sequence[Row]) -> dict[str, int]:
    totals = {"raw": 0, "accepted": 0, "quarantined": 0, "flagged": 0}
    for row in rows:
        totals[row["outcome"]] += row["n_rows"]
    return totals
