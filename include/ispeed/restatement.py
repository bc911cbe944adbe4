"""Restating: a month's measurements on the map of another day, computed anew and published beside the month's own."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ispeed.boundaries import boundary_hashes, match_locations
from ispeed.changes import Edition, Tables, causes_of, changes_of
from ispeed.checks import add_policy, run_suite, stop_where_critical
from ispeed.core import require_same
from ispeed.csv_folder import write_csv
from ispeed.data_docs import Pages
from ispeed.database import Database
from ispeed.delivery import deliver, require_remote_share
from ispeed.draft import read_draft
from ispeed.engine import Engine, Row, open_chosen_engine
from ispeed.errors import UserError
from ispeed.lake import month_lock, read_step, replaced_folder, write_json
from ispeed.landing import read_landing
from ispeed.month_content import check_lines, workbook_policy
from ispeed.months import Month
from ispeed.origin import fingerprint_of, origin_of
from ispeed.policy import Policy, read_policy
from ispeed.publication import published_edition
from ispeed.registry import copy_registry, read_registry
from ispeed.registry_history import tables_of
from ispeed.registry_month import as_of_map
from ispeed.reports import PREVIOUS_FIGURES, add_figures, add_previous_figures, write_tables
from ispeed.revision_files import write_manifest
from ispeed.settings import Settings
from ispeed.share import point_to_latest, publisher
from ispeed.share_index import write_share_page
from ispeed.shared_folder import put_revision, require_folder, require_share
from ispeed.succession import Successions, Unit
from ispeed.tables import RESTATED_TABLES
from ispeed.workbook.content import Content, SourceFile
from ispeed.workbook.restated import REMAINDER, write_restated_workbook

log = logging.getLogger(__name__)


def restate(settings: Settings, month: Month, asked: date | None = None) -> dict[str, dict[str, Any]]:
    """Publish the published month on the map of the day asked for, and anew on those on which it already stands.

    Returns for each day its revision, whether that is new, its path, and its numbers of measurements. Nothing of the
    month's own revisions is touched. Raises `UserError` where the month is not published as it is now.
    """
    database = Database(settings.database_url)
    days = sorted({*database.restated_days(month), *([asked] if asked else [])})
    restated = {str(day): _restate_on(settings, database, month, day) for day in days}
    if restated:
        write_share_page(settings, database)
        deliver(settings)
    return restated


@dataclass(frozen=True)
class _Restated:
    """A month on the map of a day, as built and checked."""

    tables: Tables
    origin: Mapping[str, Any]
    results: Sequence[dict[str, Any]]


def _restate_on(settings: Settings, database: Database, month: Month, day: date) -> dict[str, Any]:
    policy = read_policy(settings.policy, month.last_day)
    lake, share = settings.restated_lake_of(month, day), settings.restated_share_of(month, day)
    with month_lock(settings, month):
        require_share(settings, database)
        require_remote_share(settings)
        month_revision = _published_revision(settings, database, month)
        with replaced_folder(lake) as folder:
            restated = _build(settings, database, month, day, policy, folder)
            shown = {"tables": restated.tables, "boundaries_day": day, "month_revision": month_revision}
            fingerprint = fingerprint_of(restated.origin, shown)
            published = database.publication(month, boundaries_day=day)
            is_new = published is None or published["fingerprint"] != fingerprint
            if published is None or is_new:
                revision = database.last_revision(month, day) + 1
                content = _content(settings, month, day, policy, restated, revision, month_revision, published)
                why = "; ".join(content.change_causes) or "Phát hành lần đầu"
                _write_files(folder, content, policy, restated, fingerprint, why)
            else:
                revision = published["revision"]
        counts = _counts(restated.tables, policy)
        if is_new:

            def transaction(manifest_sha256: str) -> AbstractContextManager[None]:
                about = {
                    "month_revision": month_revision,
                    "fingerprint": fingerprint,
                    "manifest_sha256": manifest_sha256,
                    "published_by": publisher(),
                    "why": why,
                    **counts,
                }
                return database.publishing(month, revision, restated.tables, about, day)

            put_revision(lake / "files", share / f"r{revision}", transaction)
        else:
            require_folder(share / f"r{revision}")
        point_to_latest(database, month, share, day)
    log.info("%s on the map of %s: revision %s, %s", month, day, revision, counts)
    return {"revision": revision, "is_new": is_new, "path": str(share / f"r{revision}"), **counts}


def _published_revision(settings: Settings, database: Database, month: Month) -> int:
    """The month's revision that the lake holds. Raises `UserError` where what it holds is not what is published."""
    published = database.publication(month)
    draft = read_draft(settings, month)
    if published is None or published["fingerprint"] != draft.fingerprint:
        raise UserError(
            f"month {month}",
            "reports that are not published" if published else "no publication",
            "the month published as it is now",
            f"run publish_reports for {month} first",
        )
    revision: int = published["revision"]
    return revision


def _build(settings: Settings, database: Database, month: Month, day: date, policy: Policy, folder: Path) -> _Restated:
    """Write the restated core, tables and checks to `folder`. Raises `CheckFailed` at a critical check."""
    report = read_step(settings, "report", month, "build_reports")
    require_same(month, report["core"], read_step(settings, "core", month, "build_core"), "build_reports")
    with open_chosen_engine(settings) as engine:
        # The registry of now: the one that the month stands on may not know yet what became of its communes.
        registry = copy_registry(settings, folder / "registry")
        read_registry(engine, folder / "registry")
        as_of = as_of_map(tables_of(engine), month, day, has_boundaries=settings.boundaries is not None)
        add_policy(engine, policy, month)
        engine.add_rows("map_day", {"boundaries_day": "date"}, [(day,)])
        engine.read_parquet("core_measurement", settings.lake_of("core", month) / "core_measurement.parquet")
        _add_candidates(engine, month, day)
        match_locations(engine, settings.boundaries, policy.province.code, "core_measurement", day, day)
        engine.create("restated_measurement", "report/restated_measurement.sql")
        core = folder / "core_measurement.parquet"
        engine.write_parquet("select * from restated_measurement order by source_file, row_number", core)
        # From here on the restated measurements are the measurements, and the day's communes the month's.
        engine.read_parquet("core_measurement", core)
        engine.create("month_commune", "report/map_commune.sql")
        if engine.value("select count(*) from month_commune") == 1:
            raise UserError(
                f"boundaries {day}",
                f"no commune of {policy.province.name} in the registry on that day",
                "a day on which the registry has some",
                "give another day",
            )
        engine.add_rows("month_referral_code", {"referral_code": "text"}, [])
        engine.add_rows("month_organisation", {"organisation_code": "text"}, [])
        previous = _add_previous(engine, database, month, day)
        add_figures(engine)
        write_tables(engine, RESTATED_TABLES, folder)
        engine.read_parquet("report_commune_month", settings.lake_of("report", month) / "report_commune_month.parquet")
        pages = Pages(folder / "data-docs", month)
        results = [result for table in RESTATED_TABLES for result in run_suite(engine, table.name, pages=pages)]
        noted = [asdict(result) for result in results]
        write_json(folder / "checks.json", noted)
        stop_where_critical(month, results)
        tables = {table.name: _rows(engine, folder / f"{table.name}.parquet") for table in RESTATED_TABLES}
    origin = {
        **origin_of(policy, report, check_lines(noted)),
        "registry": registry | {"as_of_month": as_of},
        "boundaries": boundary_hashes(settings.boundaries),
        "previous_revision": previous,
    }
    return _Restated(tables, origin, noted)


def _add_candidates(engine: Engine, month: Month, day: date) -> None:
    """Make `unit_candidate`: for each commune met on a day, the units of the map in which its land may lie.

    Raises `UserError` where a commune of the month is not in the registry any more.
    """
    successions = Successions(engine.rows("select * from commune"), engine.rows("select * from commune_succession"))
    rows: list[tuple[Any, ...]] = []
    for met in engine.rows(
        "select distinct commune_code, commune_valid_from, measured_on from core_measurement "
        "where commune_code is not null"
    ):
        unit = Unit(met["commune_code"], met["commune_valid_from"])
        if not successions.is_valid(unit, met["measured_on"]):
            raise UserError(
                f"month {month}",
                f"commune {unit.commune_code} valid from {unit.valid_from}, which the registry does not have any more",
                "a month that stands on the registry of now",
                f"run ingest_measurements for {month} again",
            )
        for found in successions.units_on(unit, met["measured_on"], day):
            rows.append((*met.values(), *((found.commune_code, found.valid_from) if found else (None, None))))
    columns = {"commune_code": "text", "commune_valid_from": "date", "measured_on": "date"}
    engine.add_rows("unit_candidate", columns | {"candidate_code": "text", "candidate_valid_from": "date"}, rows)


def _add_previous(engine: Engine, database: Database, month: Month, day: date) -> int | None:
    """Make `previous_figure` of the month before on the same map. Returns its revision there, None if none."""
    revision = database.current_revision(month.previous, day)
    rows = database.rows("report_commune_restated", month.previous, revision, day) if revision else []
    figures = [
        ("commune", row["network"], row["commune_code"], "", *(row[figure] for figure in PREVIOUS_FIGURES))
        for row in rows
    ]
    add_previous_figures(engine, revision is not None, figures)
    return revision


def _rows(engine: Engine, path: Path) -> list[Row]:
    engine.read_parquet("written_table", path)
    return engine.rows("select * from written_table")


def _counts(tables: Tables, policy: Policy) -> dict[str, int]:
    rows = tables["report_restated_origin"]
    return {
        "n_measurements": sum(row["n_measurements"] for row in rows),
        "n_from_other_province": sum(
            row["n_measurements"] for row in rows if row["origin_province_code"] != policy.province.code
        ),
        "n_not_attributable": sum(row["n_measurements"] for row in rows if row["commune_code"] == REMAINDER),
    }


def _content(
    settings: Settings,
    month: Month,
    day: date,
    policy: Policy,
    restated: _Restated,
    revision: int,
    month_revision: int,
    published: Row | None,
) -> Content:
    landing = read_landing(settings, month)
    for rows in restated.tables.values():
        for row in rows:
            row["revision"] = revision
    before = published and published_edition(
        Database(settings.database_url),
        settings.restated_share_of(month, day),
        RESTATED_TABLES,
        month,
        published["revision"],
        day,
    )
    after = Edition(restated.origin, asdict(policy), restated.tables)
    causes = causes_of(before, after) if before else []
    return Content(
        month=month,
        revision=revision,
        tables=restated.tables,
        policy=workbook_policy(policy, month),
        checks=check_lines(restated.results),
        reasons={},
        sources=[SourceFile(file.source_file, file.sha256, file.n_bytes) for file in landing.files],
        changes=changes_of(RESTATED_TABLES, before, after, causes) if before else [],
        change_causes=[cause.sentence for cause in causes],
        is_sample=landing.is_sample,
        compared_with=published["revision"] if published else None,
        boundaries_day=day,
        month_revision=month_revision,
    )


def _write_files(
    folder: Path,
    content: Content,
    policy: Policy,
    restated: _Restated,
    fingerprint: str,
    why: str,
) -> None:
    files = folder / "files"
    files.mkdir()
    name = f"bao-cao-ispeed_{policy.province.slug}_{content.month}_dia-gioi-{content.boundaries_day}.xlsx"
    write_restated_workbook(content, files / name)
    write_csv(files / "csv", RESTATED_TABLES, content)
    Pages(folder / "data-docs", content.month).publish(files / "data-docs", content.checks, is_sample=content.is_sample)
    about = {
        "boundaries_day": str(content.boundaries_day),
        "month_revision": content.month_revision,
        "why": why,
        "fingerprint": fingerprint,
    }
    write_manifest(files, content, policy, restated.origin, about, _counts(restated.tables, policy))
