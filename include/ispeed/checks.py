"""The suites of `include/expectations/`: one rule, one place, run by Great Expectations.

A suite's rules are met in order. What a failing row gets stands beside the rule: `quarantine` and `flag` put it, with
the rule's reason, into a relation of that name; `stop` (always with severity critical) ends the month; `tell` says
what was found, in the log and in the workbook, and changes nothing.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal

from ispeed.contracts import read_contract
from ispeed.data_docs import Pages, describe
from ispeed.deferred_imports import deferred_imports
from ispeed.drift import add_landed_elsewhere
from ispeed.engine import Engine, Row, open_chosen_engine
from ispeed.errors import CheckFailed
from ispeed.lake import month_lock, read_step, replaced_folder, write_json
from ispeed.landing import read_landing
from ispeed.months import Month
from ispeed.originals import add_originals
from ispeed.policy import TECHNOLOGY_NETWORK, Policy, read_policy
from ispeed.settings import INCLUDE, Settings
from ispeed.staging import staging_inputs

log = logging.getLogger(__name__)

Outcome = Literal["stop", "quarantine", "flag", "tell"]
# A rule on rows each by itself: its condition, and perhaps one line a file.
_ROW_RULE = re.compile(
    r"select [^()]*(?:cast\(count\(\*\) as varchar\(20\)\)[^()]*)? from \{batch\} where (?P<what>.*?)"
    r"(?: group by source_file)?"
)


@dataclass(frozen=True)
class Rule:
    """One expectation of a suite. `query` is the SQL of its failing rows over `{batch}`, where it is one in SQL."""

    table: str
    type: str
    kwargs: dict[str, Any]
    severity: str
    description_vi: str
    on_failure: Outcome
    reason: str
    reason_vi: str
    compares: str = ""

    @property
    def query(self) -> str | None:
        return self.kwargs.get("unexpected_rows_query")

    @property
    def suspicion(self) -> str | None:
        """What is true of each row that can fail, in SQL; None where that cannot be told of a row of `{batch}` alone.

        A row can fail that has itself what the rule names, or that has the same `compares` as another.
        """
        if self.compares:
            shared = f"select {self.compares} from {{batch}} group by {self.compares} having count(*) > 1"
            return f"{self.compares} in ({shared})"
        told = _ROW_RULE.fullmatch(self.query or "")
        return told["what"] if told else None


@dataclass(frozen=True)
class CheckResult:
    """What a rule found. `n_rows` are the rows that fail it, or the value found where it is one of a whole table."""

    table: str
    description_vi: str
    severity: str
    on_failure: Outcome
    reason: str
    passed: bool
    n_rows: int
    examples: tuple[str, ...]


@cache
def read_suite(table: str) -> tuple[Rule, ...]:
    """The rules of `include/expectations/<table>.json`, in order."""
    suite = json.loads((INCLUDE / "expectations" / f"{table}.json").read_text(encoding="utf-8"))
    return tuple(
        Rule(
            table=suite["name"],
            type=expectation["type"],
            kwargs=expectation["kwargs"],
            severity=expectation["severity"],
            description_vi=expectation["meta"]["description_vi"],
            on_failure=expectation["meta"]["on_failure"],
            reason=expectation["meta"].get("reason", ""),
            reason_vi=expectation["meta"].get("reason_vi", ""),
            compares=expectation["meta"].get("compares", ""),
        )
        for expectation in suite["expectations"]
    )


def row_reasons() -> list[tuple[str, str, str]]:
    """(outcome, reason, Vietnamese wording) of every quarantine reason and flag, in the suites' order."""
    outcomes = {"quarantine": "quarantined", "flag": "flagged"}
    return [
        (outcomes[rule.on_failure], rule.reason, rule.reason_vi)
        for table in ("staging_measurement", "core_measurement")
        for rule in read_suite(table)
        if rule.on_failure in outcomes
    ]


def check_staging(settings: Settings, month: Month) -> dict[str, Any]:
    """Run the staging suite and write `quarantine/month=…/`: each failing row once, with its first reason.

    Returns rows per reason. Raises `CheckFailed` where a critical rule fails; the quarantine then still holds what
    was found, so that it can be looked at.
    """
    contract = read_contract(settings.source)
    landing = read_landing(settings, month)
    step = read_step(settings, "staging", month, "stage_files")
    if step["inputs"] != staging_inputs(contract, landing):
        raise RuntimeError(f"staging of {month} was made from other files or another contract: stage it again")
    policy = read_policy(settings.policy, month.last_day)
    with month_lock(settings, month), open_chosen_engine(settings) as engine:
        engine.read_parquet("staging_measurement", *settings.lake_of("staging", month).glob("*.parquet"))
        add_policy(engine, policy, month)
        add_source_files(engine, step["files"])
        add_landed_elsewhere(engine, settings, month, landing)
        add_row_reasons(engine, "quarantine_measurement")
        add_judged_measurement(engine)
        pages = Pages.of(settings, month)
        add_suspects(engine, "staging_measurement", "judged_measurement")
        _add_remaining(engine, "remaining_suspect", "suspect_measurement")
        results = run_suite(
            engine,
            "staging_measurement",
            "remaining_measurement",
            rows="quarantine_measurement",
            suspects="remaining_suspect",
            pages=pages,
        )
        add_originals(engine, settings, month, contract, landing, step["files"])
        results += run_suite(engine, "quarantine_measurement", "quarantine_original", pages=pages)
        with replaced_folder(settings.lake_of("quarantine", month)) as folder:
            engine.write_parquet(
                "select * from quarantine_original order by source_file, row_number",
                folder / "quarantine_measurement.parquet",
            )
            reasons = engine.rows("select reason, count(*) as n_rows from quarantine_measurement group by reason")
            n_rows = {row["reason"]: row["n_rows"] for row in reasons}
            note = {
                "inputs": step["inputs"],
                "policy": policy.fingerprint,
                "n_rows": n_rows,
                "results": [asdict(result) for result in results],
            }
            write_json(folder / "quarantine.json", note)
        stop_where_critical(month, results)
    return n_rows


def add_row_reasons(engine: Engine, name: str) -> None:
    """Make `name` an empty relation of rows and their reasons, for `run_suite` to fill."""
    engine.add_rows(name, {"source_file": "text", "row_number": "integer", "reason": "text"}, [])


def add_source_files(engine: Engine, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Make `source_file` the month's files with their rows as staged, and `row_reason` what a row of them may get."""
    rows = [(name, file["n_rows"]) for name, file in files.items()]
    engine.add_rows("source_file", {"source_file": "text", "n_rows": "integer"}, rows)
    reasons = [(outcome, reason) for outcome, reason, _ in row_reasons()]
    engine.add_rows("row_reason", {"outcome": "text", "reason": "text"}, reasons)


def add_policy(engine: Engine, policy: Policy, month: Month) -> None:
    """Make the policy the relations `params` (one row), `technology_policy` and `network`."""
    engine.add_rows(
        "params",
        {
            "first_day": "date",
            "last_day": "date",
            "province_code": "text",
            "province_name": "text",
            "sample_window": "text",
            "publish_minimum": "integer",
            "assess_minimum": "integer",
            "device_minimum": "integer",
            "ping_max_ms": "double",
            "location_accuracy_max_m": "double",
            "integrity_measurements_minimum": "integer",
        },
        [
            (
                month.first_day,
                month.last_day,
                policy.province.code,
                policy.province.name,
                policy.window,
                policy.publish_minimum,
                policy.assess_minimum,
                policy.device_minimum,
                policy.ping_max_ms,
                policy.location_accuracy_max_m,
                policy.integrity_measurements_minimum,
            )
        ],
    )
    engine.add_rows(
        "technology_policy",
        {"technology": "text", "network": "text", "speed_max_mbps": "double", "target_download_mbps": "double"},
        [
            (technology, network, policy.speed_max_mbps[technology], policy.target_download_mbps.get(technology))
            for technology, network in TECHNOLOGY_NETWORK.items()
        ],
    )
    engine.add_rows("network", {"network": "text"}, [("mobile",), ("fixed",)])


def add_judged_measurement(engine: Engine) -> None:
    """Make `judged_measurement`, staging beside the bounds that policy sets it, and `remaining_measurement`.

    The latter is what of it is not in `quarantine_measurement`.
    """
    engine.create_view(
        "judged_measurement",
        "select staging_measurement.*, params.first_day, params.last_day, "
        "params.ping_max_ms, technology_policy.speed_max_mbps from staging_measurement cross join params "
        "left join technology_policy on technology_policy.technology = staging_measurement.technology",
    )
    _add_remaining(engine, "remaining_measurement", "judged_measurement")


def add_judged_core(engine: Engine) -> None:
    """Make `judged_core`, the core beside what policy says of all of it."""
    engine.create_view(
        "judged_core",
        "select core_measurement.*, params.province_code as own_province_code, params.location_accuracy_max_m "
        "from core_measurement cross join params",
    )


def add_suspects(engine: Engine, table: str, batch: str) -> None:
    """Make `suspect_measurement`, the rows of a batch that can fail a rule of `table`.

    Rules that tell so of a row are then run over these few instead of over the month, once each.
    """
    told = [rule.suspicion for rule in read_suite(table) if rule.suspicion]
    where = " or ".join(f"({suspicion})" for suspicion in told).replace("{batch}", batch)
    engine.create_from_query("suspect_measurement", f"select * from {batch} where {where}")


def _add_remaining(engine: Engine, name: str, relation: str) -> None:
    engine.create_view(
        name,
        f"select * from {relation} where not exists ("
        "select 1 from quarantine_measurement where quarantine_measurement.source_file = "
        f"{relation}.source_file and quarantine_measurement.row_number = {relation}.row_number)",
    )


def run_suite(
    engine: Engine,
    table: str,
    batch: str | None = None,
    rows: str | None = None,
    suspects: str | None = None,
    pages: Pages | None = None,
) -> list[CheckResult]:
    """Run the rules of `table`'s suite, in order, over the relation `batch`, and write its page of the Data Docs.

    Failing rows of quarantine and flag rules are added to the relation `rows` (source_file, row_number, reason); a
    batch that leaves out what is in `rows` so gives each row its first reason. `suspects` are the rows of the batch
    that can fail a rule with a `suspicion`, where they are known.
    """
    results = []
    outcomes: list[Any] = []
    with ExitStack() as opened:
        validate_all = opened.enter_context(_great_expectations(engine, batch or table))
        validate_suspects = opened.enter_context(_great_expectations(engine, suspects)) if suspects else validate_all
        for rule in read_suite(table):
            is_of_suspects = suspects is not None and rule.suspicion is not None
            result, outcome = (validate_suspects if is_of_suspects else validate_all)(rule)
            outcomes.append(outcome)
            if not result.passed:
                level = logging.ERROR if rule.severity == "critical" else logging.WARNING
                examples = "; ".join(result.examples)
                log.log(level, "%s: %s: %s rows, such as %s", table, rule.description_vi, result.n_rows, examples)
                if rule.on_failure in ("quarantine", "flag") and rows is not None:
                    query = _over(rule, (suspects if is_of_suspects else batch) or table)
                    engine.append_query(
                        rows, f"select source_file, row_number, ? as reason from ({query}) as failing", [rule.reason]
                    )
            results.append(result)
    # Also of a month that stops: there its pages are needed most.
    if pages is not None:
        pages.write(table, outcomes)
    return results


def require_passed(month: Month, noted: Sequence[dict[str, Any]]) -> None:
    """Raise `CheckFailed` where the results that a step noted hold a critical failure: it does not go on from there."""
    stop_where_critical(month, [CheckResult(**{**result, "examples": tuple(result["examples"])}) for result in noted])


def stop_where_critical(month: Month, results: Sequence[CheckResult]) -> None:
    """Raise `CheckFailed` naming each critical rule that failed, its rows, and three examples."""
    failed = [result for result in results if not result.passed and result.severity == "critical"]
    if failed:
        raise CheckFailed(
            f"month {month}, checks of " + ", ".join(dict.fromkeys(result.table for result in failed)),
            [
                line
                for result in failed
                for line in (
                    f"{result.description_vi}: {result.n_rows:,} rows",
                    *(f"such as {example}" for example in result.examples),
                )
            ],
            "no row that fails a critical check",
            "correct the export, the registry or the source contract, then run the month again; nothing was published",
        )


def _over(rule: Rule, batch: str) -> str:
    """The rule's own query over a relation, as Great Expectations fills it in."""
    return (rule.query or "").replace("{batch}", batch)


@contextmanager
def _great_expectations(engine: Engine, relation: str) -> Iterator[Any]:
    """A function that has Great Expectations validate one rule over a relation: what we note of it, and all it says."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    # It tells of its own workings, hundreds of lines a suite, which say nothing to who reads the run's log. One of its
    # loggers has a level of its own.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    # Seconds to import: only where checks run, and without the charts and tests of distributions that no rule here has.
    with deferred_imports("altair", "scipy.stats"):
        import great_expectations as gx
        from great_expectations.expectations.registry import get_expectation_impl

    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}

    def validate(rule: Rule) -> tuple[CheckResult, Any]:
        expectation = get_expectation_impl(rule.type)(**rule.kwargs, severity=rule.severity, description=describe(rule))
        outcome = batch().validate(expectation)
        # A rule that crashed is one that did not pass, whatever its severity.
        crash = next((info for info in _crashes(outcome.exception_info)), None)
        if crash is not None:
            raise RuntimeError(f"check of {rule.table} could not run: {rule.description_vi}: {crash}")
        observed = outcome.result.get("unexpected_count", outcome.result.get("observed_value", 0))
        examples = _examples(engine, _over(rule, relation)) if rule.query and not outcome.success else ()
        result = CheckResult(
            rule.table,
            rule.description_vi,
            rule.severity,
            rule.on_failure,
            rule.reason,
            bool(outcome.success),
            0 if outcome.success else int(observed or 0),
            examples,
        )
        return result, outcome

    with engine.batch(context, relation) as batch:
        yield validate


def _crashes(exception_info: dict[str, Any]) -> Iterator[str]:
    infos = [exception_info] if "raised_exception" in exception_info else exception_info.values()
    for info in infos:
        if info.get("raised_exception"):
            yield str(info.get("exception_message"))


def _examples(engine: Engine, query: str) -> tuple[str, ...]:
    return tuple(
        _place(row) for row in engine.rows(f"select * from ({query}) as failing order by all nulls last limit 3")
    )


def _place(row: Row) -> str:
    if "finding_vi" in row:
        return str(row["finding_vi"])
    if "row_number" in row:
        return f"{row['source_file']} row {row['row_number']}"
    return ", ".join(f"{name} {value}" for name, value in row.items())
