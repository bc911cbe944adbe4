"""Fixtures: settings on an empty folder, a month of one file, and the published demo months."""

from __future__ import annotations

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
from ispeed.sample import make_exports
from ispeed.settings import INCLUDE, Settings
from ispeed.tables import REPORT_TABLES
from pipeline import BUILD, PublishedDemo, Tables, built_tables, run_steps, settings_in

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
def small_month(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Month]:
    """October 2024 of 3,000 sample rows, published, and once more on the map of 01/07/2025; nobody may change it."""
    settings, month = settings_in(tmp_path_factory.mktemp("small")), Month(2024, 10)
    make_exports(settings, [month], n_rows=3_000)
    sync_registry(settings)
    run_steps(settings, month)
    restate(settings, month, date(2025, 7, 1))
    return settings, month


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests marked `tells` print is shown of a run that passes, too."""
    for report in terminalreporter.stats.get("passed", []):
        if "tells" in report.keywords and report.capstdout:
            terminalreporter.write(report.capstdout)
