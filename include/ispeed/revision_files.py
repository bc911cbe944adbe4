"""The files of a revision: workbooks, csv folder, quarantine, Data Docs, page, and the manifest of them all."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import ispeed
from ispeed.checks import row_reasons
from ispeed.csv_folder import csv_cell, write_csv
from ispeed.data_docs import Pages
from ispeed.engine import DuckDB
from ispeed.lake import write_json
from ispeed.months import Month
from ispeed.page.month_page import downloads_in, month_page
from ispeed.policy import Policy
from ispeed.recipient_files import FOLDER, write_recipients
from ispeed.settings import Settings
from ispeed.tables import REPORT_TABLES
from ispeed.workbook.book import write_workbook
from ispeed.workbook.content import Content, count_by_cause
from ispeed.workbook.returns import write_consolidated

_PERSONAL: Final = ("latitude", "longitude", "location_accuracy_m", "device_model")


def write_files(
    engine: DuckDB,
    settings: Settings,
    folder: Path,
    content: Content,
    policy: Policy,
    origin: Mapping[str, Any],
    about: Mapping[str, Any],
    rows: Mapping[str, int],
) -> None:
    """Write everything that a revision consists of to the empty folder; `about` and `rows` go into its manifest."""
    _write_quarantine(engine, settings, content.month, folder / "quarantine.csv")
    Pages.of(settings, content.month).publish(folder / "data-docs", content.checks, is_sample=content.is_sample)
    write_workbook(content, folder / f"bao-cao-ispeed_{policy.province.slug}_{content.month}.xlsx")
    write_consolidated(content, folder / f"tong-hop-bao-cao_{policy.province.slug}_{content.month}.xlsx")
    write_recipients(folder / FOLDER, content, policy.recipient_groups)
    write_csv(folder / "csv", REPORT_TABLES, content)
    # Last but for the manifest: the page leads to all that is there.
    (folder / "index.html").write_text(month_page(content, downloads_in(folder)), encoding="utf-8", newline="\n")
    write_manifest(folder, content, policy, origin, about, rows)


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
        "changes": {
            "compared_with": content.compared_with,
            "n_cells": len(content.changes),
            "by_cause": count_by_cause(content.changes),
        },
        **about,
        "origin": origin,
        "inputs": [asdict(source) for source in content.sources],
        "outputs": outputs,
        "policy": asdict(policy),
        "rows": {**rows, "tables": {name: len(rows) for name, rows in content.tables.items()}},
        "versions": {"ispeed": ispeed.__version__} | {name: version(name) for name in ("duckdb", "xlsxwriter")},
    }
    write_json(folder / "manifest.json", manifest)


def _without_person(text: str | None) -> str | None:
    """The fields of a row without what tells where which phone was: whoever mends the export has file and row."""
    fields = json.loads(text) if text else None
    if not isinstance(fields, dict):
        return text
    return json.dumps({name: value for name, value in fields.items() if name not in _PERSONAL}, ensure_ascii=False)


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
                map(csv_cell, (file_name, number, reason, wording.get(reason, ""), detail, _without_person(text)))
                for file_name, number, reason, detail, text in batch
            )
