"""Fixtures: settings on an empty folder, a month of one file, and the published demo months."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import settings as hypothesis_settings

from ispeed.database import Database
from ispeed.landing import read_landing
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.restatement import restate
from ispeed.settings import INCLUDE, Settings
from ispeed.tables import REPORT_TABLES
from made_once import copy, made_once, published_sample
from pipeline import BUILD, PublishedDemo, SampleMonths, Tables, built_tables, run_steps, settings_in

# Every run looks at the same tables; --hypothesis-profile=search looks at many others.
hypothesis_settings.register_profile("same", max_examples=40, derandomize=True, database=None, deadline=None)
hypothesis_settings.register_profile("search", max_examples=2_000, derandomize=False, database=None, deadline=None)
hypothesis_settings.load_profile("same")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings on an empty folder, with the seed registry."""
    return settings_in(tmp_path)


@pytest.fixture(scope="session")
def registry_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake's folder of registry tables, made of the seed registry."""
    settings = settings_in(tmp_path_factory.mktemp("registry"))
    sync_registry(settings)
    return settings.lake / "registry"


@pytest.fixture(scope="session")
def build_month(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Settings, Month]]:
    """A month of one file, up to its checked report tables."""

    def run(
        content: str | bytes,
        policy_overrides: Mapping[str, Any] | None = None,
        *,
        registry: Path | None = None,
        month: str = "2024-10",
        source: str = "ispeed",
        boundaries: Path | None = None,
    ) -> tuple[Settings, Month]:
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
            boundaries=boundaries,
        )
        key = Month.parse(month)
        settings.exports_of(key).mkdir(parents=True)
        export = settings.exports_of(key) / "export.csv"
        export.write_bytes(content.encode() if isinstance(content, str) else content)
        sync_registry(settings)
        run_steps(settings, key, BUILD)
        return settings, key

    return run


@pytest.fixture(scope="session")
def run_month(build_month: Callable[..., tuple[Settings, Month]]) -> Callable[..., Tables]:
    """The report tables of a month of one file; quarantine and flags row by row beside them."""

    def run(*arguments: Any, **named: Any) -> Tables:
        return built_tables(*build_month(*arguments, **named))

    return run


@pytest.fixture(scope="session")
def of_this_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes of this run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def sample_months(of_this_run: Path) -> SampleMonths:
    """Settings on a copy of a folder in which the named months of the sample, 2,000 rows each, are published."""

    def copied(folder: Path, *months: Month) -> Settings:
        return copy(published_sample(of_this_run, months, 2_000), folder)

    return copied


@pytest.fixture(scope="session")
def small_month(of_this_run: Path) -> tuple[Settings, Month]:
    """October 2024 of 3,000 sample rows, published, and once more on the map of 01/07/2025; nobody may change it."""
    month = Month(2024, 10)

    def make(folder: Path) -> None:
        restate(copy(published_sample(of_this_run, [month], 3_000), folder), month, date(2025, 7, 1))

    return settings_in(made_once(of_this_run / "small-month", make)), month


@pytest.fixture(scope="session")
def published_demo(of_this_run: Path) -> PublishedDemo:
    months = [Month(2024, number) for number in (8, 9, 10)]
    settings = settings_in(published_sample(of_this_run, months, 20_000))
    database = Database(settings.database_url)
    tables = {
        str(month): {table.name: database.rows(table.name, month, 1) for table in REPORT_TABLES} for month in months
    }
    received = read_landing(settings, months[-1]).files[0].received_at
    return PublishedDemo(settings, settings.exports, settings.registry, datetime.fromisoformat(received), tables)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests marked `tells` print is shown of a run that passes, too."""
    for report in terminalreporter.stats.get("passed", []):
        if "tells" in report.keywords and report.capstdout:
            terminalreporter.write(report.capstdout)
