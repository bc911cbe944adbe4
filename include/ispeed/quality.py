"""The quality of a month as its steps noted it: how far it came, where its rows went, what its checks found."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ispeed.checks import CheckResult, row_reasons
from ispeed.data_docs import INDEX, Pages
from ispeed.months import Month
from ispeed.settings import INCLUDE, Settings

# The tasks of a month in their order, the lake's layer that each writes, and its note there.
_STEPS: Final = (
    ("land", "landing", "landing.json"),
    ("stage_files", "staging", "staging.json"),
    ("check_staging", "quarantine", "quarantine.json"),
    ("build_core", "core", "core.json"),
    ("build_reports", "report", "report.json"),
    ("check_reports", "report", "checks.json"),
    ("write_workbooks", "draft", "draft.json"),
)
_LAST_STEP: Final = "publish"


@dataclass(frozen=True)
class Step:
    """One task of a month. `is_current`: it finished after the steps before it, so what it noted is of the same run."""

    task: str
    finished_at: datetime | None
    is_current: bool


@dataclass(frozen=True)
class ReadFile:
    """One export file as staging read it; `absent` are names of columns, `undeclared` headers as the file has them."""

    name: str
    n_rows: int
    absent: tuple[str, ...]
    undeclared: tuple[str, ...]


@dataclass(frozen=True)
class MonthQuality:
    """What the steps of a month's last run noted; a number that no step of it came to is None.

    `quarantined` and `flagged` have every reason in the suites' order. `unfinished_suites` ran after the last step that
    finished: their step stopped or is still at work, and only their pages of the Data Docs tell what they found.
    `revision` is the one that is published now, of this run or of one before.
    """

    month: Month
    is_sample: bool
    steps: tuple[Step, ...]
    files: tuple[ReadFile, ...]
    n_raw: int | None
    n_accepted: int | None
    quarantined: Mapping[str, int] | None
    flagged: Mapping[str, int] | None
    results: tuple[CheckResult, ...]
    unfinished_suites: tuple[str, ...]
    revision: int | None

    @property
    def warnings(self) -> tuple[CheckResult, ...]:
        """Those first that no row answers for: the others stand among the reasons too."""
        warnings = [result for result in self.results if not result.passed and result.severity != "critical"]
        return tuple(sorted(warnings, key=lambda result: result.on_failure != "tell"))

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """The critical checks that failed: the month stopped there."""
        return tuple(result for result in self.results if not result.passed and result.severity == "critical")

    @property
    def last_step(self) -> Step:
        """The last step that the last run finished; the first one always is."""
        return [step for step in self.steps if step.is_current][-1]

    @property
    def next_step(self) -> Step | None:
        """The first step that the last run did not finish, None where it finished all."""
        return next((step for step in self.steps if not step.is_current), None)

    @property
    def n_quarantined(self) -> int | None:
        return None if self.quarantined is None else sum(self.quarantined.values())

    @property
    def adds_up(self) -> bool | None:
        """Whether raw = accepted + quarantined; None while one of them is not known."""
        if self.n_raw is None or self.n_accepted is None or self.n_quarantined is None:
            return None
        return self.n_raw == self.n_accepted + self.n_quarantined


def read_quality(settings: Settings, month: Month, published: Mapping[str, Any] | None = None) -> MonthQuality | None:
    """What is noted of a month, None where nothing has landed. A month at work is told as far as it has come.

    `published` is the row of the month's current revision in the reports database; the share is not looked at.
    """
    steps: list[Step] = []
    notes: dict[str, Any] = {}
    since: datetime | None = datetime.min.replace(tzinfo=UTC)
    for task, layer, name in _STEPS:
        note, finished_at = _read_note(settings.lake_of(layer, month) / name)
        is_current = since is not None and finished_at is not None and since <= finished_at
        since = finished_at if is_current else None
        steps.append(Step(task, finished_at, is_current))
        if is_current:
            notes[task] = note
    if "land" not in notes:
        return None
    steps.append(_published_step(notes.get("write_workbooks"), since, published))
    files = notes["stage_files"]["files"] if "stage_files" in notes else {}
    return MonthQuality(
        month=month,
        is_sample=notes["land"]["is_sample"],
        steps=tuple(steps),
        files=tuple(
            ReadFile(name, file["n_rows"], tuple(file["absent"]), tuple(file["undeclared"]))
            for name, file in files.items()
        ),
        n_raw=sum(file["n_rows"] for file in files.values()) if "stage_files" in notes else None,
        n_accepted=notes["build_core"]["n_accepted"] if "build_core" in notes else None,
        quarantined=_by_reason("quarantined", notes["check_staging"]["n_rows"]) if "check_staging" in notes else None,
        flagged=_by_reason("flagged", notes["build_core"]["n_flagged"]) if "build_core" in notes else None,
        results=tuple(
            CheckResult(**{**result, "examples": tuple(result["examples"])})
            for result in (
                *notes.get("check_staging", {}).get("results", ()),
                *notes.get("build_core", {}).get("results", ()),
                *notes.get("check_reports", ()),
            )
        ),
        unfinished_suites=_suites_after(settings, month, steps),
        revision=published["revision"] if published else None,
    )


def read_data_docs(settings: Settings, month: Month, page: str) -> str | None:
    """A page of the Data Docs of the month's last run by its name.

    None where there is no such page. `page` is compared with the names that there can be, never used as a path.
    """
    if page not in data_docs_names():
        return None
    quality = read_quality(settings, month)
    if quality is None:
        return None
    pages = Pages.of(settings, month)
    if page == INDEX:
        return pages.index(quality.results, is_sample=quality.is_sample)
    return pages.read(page.removesuffix(".html"), is_sample=quality.is_sample)


def data_docs_names() -> tuple[str, ...]:
    """The names that a page of the Data Docs can have."""
    return (INDEX, *(f"{suite}.html" for suite in _suites()))


def _read_note(path: Path) -> tuple[Any, datetime | None]:
    """A step's note and when it was written; nothing where there is none, or its folder is being replaced just now."""
    try:
        with path.open(encoding="utf-8") as file:
            return json.load(file), datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
    except FileNotFoundError:
        return None, None


def _published_step(draft: Any, since: datetime | None, published: Mapping[str, Any] | None) -> Step:
    """The last step: done where what stands published is the draft that the step before wrote."""
    if published is None:
        return Step(_LAST_STEP, None, False)
    finished_at = published["published_at"].replace(tzinfo=UTC)
    if draft is None or since is None or draft["fingerprint"] != published["fingerprint"]:
        return Step(_LAST_STEP, finished_at, False)
    # A month that did not change is not published again.
    return Step(_LAST_STEP, max(since, finished_at), True)


def _by_reason(outcome: str, n_rows: Mapping[str, int]) -> dict[str, int]:
    known = {reason: n_rows.get(reason, 0) for kind, reason, _ in row_reasons() if kind == outcome}
    return known | dict(n_rows)


def _suites() -> list[str]:
    return sorted(path.stem for path in (INCLUDE / "expectations").glob("*.json"))


def _suites_after(settings: Settings, month: Month, steps: list[Step]) -> tuple[str, ...]:
    finished = [step.finished_at for step in steps if step.is_current and step.finished_at is not None]
    if len(finished) in (0, len(steps)):
        return ()
    folder = settings.lake_of("data-docs", month)
    pages = {suite: folder / f"{suite}.html" for suite in _suites()}
    return tuple(
        suite
        for suite, page in pages.items()
        if page.exists() and datetime.fromtimestamp(page.stat().st_mtime, UTC) > finished[-1]
    )
