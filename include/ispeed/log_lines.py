"""Log lines that can be grepped: one form, `month=2024-10 stage=land file="a.csv" rows=12`, for every step."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ispeed.step_counts import Number, StepCounts

log = logging.getLogger(__name__)


def log_line(stage: str, fields: Mapping[str, Number | str], month: str = "-", file: str | None = None) -> str:
    """One line: month, stage, file where there is one, then the other fields in the order given.

    A file's name stands in quotes, with what would end them or the line escaped. A month that is none is `-`.
    """
    named = f" file={json.dumps(file, ensure_ascii=False)}" if file is not None else ""
    return f"month={month} stage={stage}{named}" + "".join(f" {name}={_shown(value)}" for name, value in fields.items())


def log_end(stage: str, month: str, outcome: str, counts: StepCounts, seconds: float) -> None:
    """Tell how a step ended: a line for each file it knows, then one line for all of it."""
    for name, numbers in counts.files.items():
        log.info("%s", log_line(stage, numbers, month, name))
    log.info("%s", log_line(stage, {"outcome": outcome, **counts.totals, "seconds": f"{seconds:.1f}"}, month))


@contextmanager
def errors_alone(name: str) -> Iterator[None]:
    """Let the loggers of `name` tell errors alone within the block: its command prints the rest itself."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _shown(value: Number | str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
