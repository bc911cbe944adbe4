"""What the tests of the engine on Spark share: where they can run, and a month computed once more beside its first."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ispeed.checks import check_staging
from ispeed.core import build_core
from ispeed.months import Month
from ispeed.reports import build_reports, check_reports
from ispeed.settings import Settings
from ispeed.spark_engine import java
from pipeline import built_tables

BUILT = (check_staging, build_core, build_reports)
COMPUTED = (*BUILT, check_reports)
LAYERS = ("quarantine", "core", "report")
needs_spark = pytest.mark.skipif(
    java() is None or importlib.util.find_spec("pyspark") is None,
    reason="no Java in JAVA_HOME or PATH, or no pyspark: nothing of the engine on Spark is tested",
)
# A month of tests is small: what Spark does for large ones would only cost time.
QUICK = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "false",
}
# Java's second compiler takes more of a short run than it gives back.
IN_SHORT = {"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
# Of forty rows, code that Spark writes and compiles for each statement, and a task for each half of them, are most of
# the time. With `make test ALL=1` they are as Spark has them.
OF_FORTY_ROWS = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.leafNodeDefaultParallelism": "1",
}


def twin_of(settings: Settings, folder: Path, spark: str) -> Settings:
    """The same settings on a copy of the lake, for Spark to compute its months anew from staging on."""
    shutil.copytree(settings.lake, folder / "lake")
    for layer in (*LAYERS, "data-docs"):
        shutil.rmtree(folder / "lake" / layer)
    return replace(settings, lake=folder / "lake", engine="spark", spark=spark)


def differences(settings: Settings, twin: Settings, month: Month, *, are_checked: bool = True) -> Iterator[str]:
    """One line for each part of a month that is not the same, bit by bit, in both lakes.

    Of a month whose report tables were not checked on Spark, what the checks found is left out.
    """
    ours, theirs = (built_tables(one, month) for one in (settings, twin))
    for table, rows in ours.items():
        by_place: Any = str if table in ("quarantine", "flags") else None
        first, second = (sorted(found, key=by_place) if by_place else found for found in (rows, theirs[table]))
        if len(first) != len(second):
            yield f"{table}: {len(first)} rows, on Spark {len(second)}"
        for row, other in zip(first, second, strict=False):
            if row != other:
                yield f"{table}: " + ", ".join(
                    f"{name} {row[name]!r}, on Spark {other.get(name)!r}"
                    for name in row
                    if row[name] != other.get(name)
                )
    for layer in LAYERS:
        for path in sorted(settings.lake_of(layer, month).glob("*.*")):
            if path.name == "checks.json" and not are_checked:
                continue
            other_path = twin.lake_of(layer, month) / path.name
            if path.suffix == ".json":
                notes = [json.loads(one.read_text(encoding="utf-8")) for one in (path, other_path)]
                if notes[0] != notes[1]:
                    yield f"{path.name}: {notes[0]}\n on Spark {notes[1]}"
            else:
                types, other_types = (
                    {name: str(kind) for name, kind in zip(found.columns, found.types, strict=True)}
                    for found in (duckdb.read_parquet(str(one)) for one in (path, other_path))
                )
                if types != other_types:
                    yield f"{path.name}: {types.items() - other_types.items()}, on Spark {other_types}"
