"""A month run through the pipeline without Airflow, for tests that look at what comes out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ispeed.checks import check_staging
from ispeed.core import build_core
from ispeed.draft import write_workbooks
from ispeed.engine import open_engine
from ispeed.landing import land
from ispeed.months import Month
from ispeed.reports import build_reports, check_reports, read_report
from ispeed.settings import INCLUDE, Settings
from ispeed.share import publish
from ispeed.staging import stage
from ispeed.tables import REPORT_TABLES

more = pytest.mark.skipif(
    not os.environ.get("ISPEED_TEST_ALL"),
    reason="takes minutes, and something like it is tested without: make test ALL=1 runs it",
)
Tables = dict[str, list[dict[str, Any]]]
SampleMonths = Callable[..., Settings]
BUILD = (land, stage, check_staging, build_core, build_reports, check_reports)
PUBLISH = (write_workbooks, publish)
# What publish_reports does of a month whose measurements are as they were.
AGAIN = (build_reports, check_reports, *PUBLISH)


def settings_in(folder: Path, **changed: Any) -> Settings:
    environment = {"ISPEED_VAR": str(folder), "ISPEED_DEVICE_KEY": "for tests"}
    return replace(Settings.from_environment(environment), **({"registry": INCLUDE / "registry"} | changed))


def run_steps(settings: Settings, month: Month, steps: tuple[Callable[..., Any], ...] = BUILD + PUBLISH) -> Any:
    """The tasks of a month, in order; what the last one returned."""
    result = None
    for step in steps:
        result = step(settings, month)
    return result


def built_tables(settings: Settings, month: Month) -> Tables:
    """The report tables of a month as built, and its quarantined and flagged rows."""
    with open_engine() as engine:
        tables = {table.name: read_report(engine, settings, month, table) for table in REPORT_TABLES}
        for name, layer in (("quarantine", "quarantine"), ("flags", "core")):
            path = settings.lake_of(layer, month) / f"{name.removesuffix('s')}_measurement.parquet"
            engine.read_parquet(name, path)
            tables[name] = engine.rows(f"select source_file, row_number, reason from {name}")
    return tables


@dataclass(frozen=True)
class PublishedDemo:
    """The three demo months, published in order."""

    settings: Settings
    exports: Path
    registry: Path
    received_at: datetime
    tables: Mapping[str, Tables]
