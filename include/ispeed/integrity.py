"""Signs that a referral code's tests need a second look: what each one counts, and what chance does not explain.

Every indicator counts cases and hits among them: tests made at night among all tests, say. Policy holds how common
hits may be before anybody need ask (`integrity_threshold`), and how seldom chance alone may bring a code to its
threshold (`integrity_chance`). The threshold that is published is the code's own: the smallest value that a code with
so many cases reaches no more often than that. A code with too few cases to reach any is not judged. More in
docs/integrity.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from math import ceil, log
from typing import Final

from ispeed.engine import Engine
from ispeed.months import Month
from ispeed.policy import Policy
from ispeed.statistics import interval_ranks, unlikely_hits

_FAMILIES: Final = ("integrity_people", "integrity_time", "integrity_place", "integrity_result")


def usual_rates(thresholds: Mapping[str, float]) -> dict[str, float]:
    """The chance of a hit that policy takes for usual, by indicator.

    A share is one already. With m tests a sample, a test adds no sample with the chance 1 - 1/m: n tests then make
    1 + Binomial(n - 1, 1/m) samples.
    """
    return {name: level if name.endswith("_share") else 1 - 1 / level for name, level in thresholds.items()}


def fewest_cases(policy: Policy) -> dict[str, int]:
    """From how many tests, samples or other cases on an indicator judges: with fewer no threshold is in reach."""
    rates = usual_rates(policy.integrity_threshold)
    # The first test of a mean is no case: it makes a sample in any event.
    return {
        name: ceil(log(policy.integrity_chance) / log(rate)) + (not name.endswith("_share"))
        for name, rate in rates.items()
    }


def add_integrity(engine: Engine, policy: Policy, month: Month) -> None:
    """Make `integrity_evidence` and `integrity_bound`, which `report_integrity_month` is read from.

    Needs the month's core_measurement, core_sample and params.
    """
    _add_rule(engine, policy, month)
    for name in ("integrity_device", "integrity_code", "integrity_uncoded"):
        engine.create(name, f"report/{name}.sql")
    counts = engine.rows("select distinct n from integrity_uncoded")
    engine.add_rows("integrity_rank", {"n": "integer", "k": "integer"}, interval_ranks(row["n"] for row in counts))
    for name in (*_FAMILIES, "integrity_evidence"):
        engine.create(name, f"report/{name}.sql")
    rates = usual_rates(policy.integrity_threshold)
    cases = engine.rows("select distinct indicator, n_cases from integrity_evidence")
    bounds = [
        (indicator, n, hits)
        for indicator, rate in rates.items()
        for n, hits in unlikely_hits(
            (row["n_cases"] for row in cases if row["indicator"] == indicator), rate, policy.integrity_chance
        )
    ]
    engine.add_rows("integrity_bound", {"indicator": "text", "n_cases": "integer", "n_hits_minimum": "integer"}, bounds)


def _add_rule(engine: Engine, policy: Policy, month: Month) -> None:
    """Make `integrity_rule`, one row: what counts as a hit, with the days of this month."""
    rule = dict(policy.integrity_rule)
    before_return, before_end = deadline_windows(month, policy)
    days = {
        "return_first_day": before_return[0],
        "return_last_day": before_return[1],
        "end_first_day": before_end[0],
        "end_last_day": before_end[1],
    }
    columns = dict.fromkeys(rule, "integer") | dict.fromkeys(days, "date")
    engine.add_rows("integrity_rule", columns, [[*rule.values(), *days.values()]])


def deadline_windows(month: Month, policy: Policy) -> tuple[tuple[date, date], tuple[date, date]]:
    """First and last day of the rush before the return on the month before is due, and of that at the month's end."""
    n_days = timedelta(days=policy.integrity_rule["deadline_days"])
    due = month.first_day.replace(day=policy.report_day)
    return (due - n_days, due - timedelta(days=1)), (month.next.first_day - n_days, month.last_day)
