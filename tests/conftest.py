"""Whole months run through the pipeline without Airflow, for tests that look at what comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from ispeed.checks import check_staging
from ispeed.core import build_core
from ispeed.database import Database
from ispeed.draft import write_workbooks
from ispeed.engine import open_engine
from ispeed.landing import land, read_landing
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.reports import build_reports, check_reports, read_report
from ispeed.sample import make_exports
from ispeed.settings import INCLUDE, Settings
from ispeed.share import publish
from ispeed.staging import stage
from ispeed.tables import REPORT_TABLES

Tables = dict[str, list[dict[str, Any]]]
BUILD = (land, stage, check_staging, build_core, build_reports, check_reports)
PUBLISH = (write_workbooks, publish)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings on an empty folder, with the seed registry."""
    return settings_in(tmp_path)


def settings_in(folder: Path, **changed: Any) -> Settings:
    environment = {"ISPEED_VAR": str(folder), "ISPEED_DEVICE_KEY": "for tests"}
    return replace(Settings.from_environment(environment), **({"registry": INCLUDE / "registry"} | changed))


def run_steps(settings: Settings, month: Month, steps: tuple[Callable[..., Any], ...] = BUILD + PUBLISH) -> Any:
    """The tasks of a month, in order; what the last one returned."""
    result = None
    for step in steps:
        result = step(settings, month)
    return result


@pytest.fixture(scope="session")
def run_month(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Tables]:
    """A month of one file, up to its checked report tables; quarantine and flags row by row beside them."""

    def run(
        content: str | bytes,
        policy_overrides: Mapping[str, Any] | None = None,
        *,
        registry: Path | None = None,
        month: str = "2024-10",
        source: str = "ispeed",
    ) -> Tables:
        folder = tmp_path_factory.mktemp("month")
        policy = yaml.safe_load((INCLUDE / "policy.yaml").read_text(encoding="utf-8"))
        for name, value in (policy_overrides or {}).items():
            policy["values"][name] = [{"value": value, "source": "this test"}]
        (folder / "policy.yaml").write_text(yaml.safe_dump(policy, allow_unicode=True), encoding="utf-8")
        settings = settings_in(
            folder,
            policy=folder / "policy.yaml",
            source=INCLUDE / "sources" / f"{source}.yaml",
            registry=registry or INCLUDE / "registry",
        )
        key = Month.parse(month)
        settings.exports_of(key).mkdir(parents=True)
        export = settings.exports_of(key) / "export.csv"
        export.write_bytes(content.encode() if isinstance(content, str) else content)
        sync_registry(settings)
        run_steps(settings, key, BUILD)
        return built_tables(settings, key)

    return run


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


@pytest.fixture(scope="session")
def published_demo(tmp_path_factory: pytest.TempPathFactory) -> PublishedDemo:
    settings = settings_in(tmp_path_factory.mktemp("demo"))
    months = [Month(2024, number) for number in (8, 9, 10)]
    make_exports(settings, months)
    sync_registry(settings)
    database = Database(settings.database_url)
    tables = {}
    for month in months:
        run_steps(settings, month)
        tables[str(month)] = {table.name: database.rows(table.name, month, 1) for table in REPORT_TABLES}
    received = read_landing(settings, months[-1]).files[0].received_at
    return PublishedDemo(settings, settings.exports, settings.registry, datetime.fromisoformat(received), tables)
