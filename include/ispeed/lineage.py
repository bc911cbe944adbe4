"""Lineage: what each step reads and writes, as data sets of OpenLineage, with their columns, rows and checks.

The events themselves are made and sent by Airflow's OpenLineage provider, where AIRFLOW__OPENLINEAGE__TRANSPORT says
where to; without it nothing of this is called. A data set is a table or a kind of file, the same in every month: which
month it was, and of which file how many rows, stands with the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ispeed.engine import DuckDB, open_engine
from ispeed.months import Month
from ispeed.registry_checks import TABLES as REGISTRY_TABLES
from ispeed.settings import Settings
from ispeed.step_counts import StepCounts
from ispeed.tables import PUBLICATION, REPORT_TABLES, RESTATED_TABLES, RESTATEMENT

NAMESPACE: Final = "ispeed"

_REGISTRY: Final = tuple(f"lake/registry/{name}" for name in REGISTRY_TABLES)
_BUILT: Final = tuple(f"lake/{table.name}" for table in REPORT_TABLES)
_PUBLISHED: Final = tuple(f"reports/{table.name}" for table in (*REPORT_TABLES, PUBLICATION))
_RESTATED: Final = tuple(f"reports/{table.name}" for table in (*RESTATED_TABLES, RESTATEMENT))
_CORE: Final = ("lake/staging_measurement", "lake/quarantine_measurement", "lake/core_measurement")

# By step, as its task is called: what it reads, what it writes. `place/thing`: a folder of files, a table.
DATA_SETS: Final[Mapping[str, tuple[Sequence[str], Sequence[str]]]] = {
    "sync_registry": (("registry/files",), _REGISTRY),
    "land": (("exports/files",), ("lake/landing",)),
    "stage_files": (("lake/landing",), ("lake/staging_part",)),
    "finish_staging": (("lake/staging_part",), ("lake/staging_measurement",)),
    "check_staging": (("lake/staging_measurement", "lake/landing"), ("lake/quarantine_measurement",)),
    "build_core": (
        ("lake/staging_measurement", "lake/quarantine_measurement", *_REGISTRY),
        ("lake/core_measurement", "lake/flag_measurement"),
    ),
    "build_reports": ((*_CORE, "lake/flag_measurement", *_REGISTRY, "lake/returns", "lake/atlas"), _BUILT),
    "check_reports": (_BUILT, ()),
    "write_workbooks": (_BUILT, ("lake/draft",)),
    "publish": (("lake/draft", *_BUILT), (*_PUBLISHED, "share/workbooks", "share/csv")),
    "restate": ((*_CORE, *_REGISTRY), (*_RESTATED, "share/restated")),
    "publish_forms": (("lake/registry/organisation",), ("share/forms",)),
    "ask_atlas": (("vnnic/internetatlas",), ("lake/atlas",)),
}
_CHECKED: Final = {"check_staging": "quarantine/quarantine.json", "check_reports": "report/checks.json"}


@dataclass(frozen=True)
class Lineage:
    """What Airflow's provider asks an operator for."""

    inputs: list[Any]
    outputs: list[Any]
    run_facets: dict[str, Any]
    job_facets: dict[str, Any]


def lineage_of(settings: Settings, month: Month | None, stage: str, outcome: str, counts: StepCounts) -> Lineage:
    """The data sets of a step that has ended; of one that failed or had nothing to do, only what it reads."""
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.generated.data_quality_assertions_dataset import (
        Assertion,
        DataQualityAssertionsDatasetFacet,
    )
    from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet
    from openlineage.client.generated.schema_dataset import SchemaDatasetFacet, SchemaDatasetFacetFields
    from openlineage.client.generated.tags_run import TagsRunFacet, TagsRunFacetFields

    inputs, outputs = DATA_SETS.get(stage, ((), ()))
    if outcome != "done" or (stage == "restate" and not counts.totals):
        outputs = ()
    with open_engine() as engine:
        columns = {name: list(_columns(engine, settings, month, name)) for name in {*inputs, *outputs}}
    schemas: dict[str, Any] = {
        name: {"schema": SchemaDatasetFacet([SchemaDatasetFacetFields(*column) for column in told])} if told else {}
        for name, told in columns.items()
    }
    found: dict[str, list[Assertion]] = {}
    for table, result in _results(settings, month, stage) if outcome == "done" else ():
        severity = "error" if result["severity"] == "critical" else "warn"
        assertion = Assertion(
            result["reason"] or result["on_failure"],
            result["passed"],
            severity=severity,
            description=result["description_vi"],
            actual=str(result["n_rows"]),
        )
        found.setdefault(f"lake/{table}", []).append(assertion)
    checks: dict[str, Any] = {
        name: {"dataQualityAssertions": DataQualityAssertionsDatasetFacet(told)} for name, told in found.items()
    }

    def written(name: str) -> dict[str, Any]:
        n_rows = counts.rows.get(name.rpartition("/")[2])
        if name == "lake/landing":
            n_bytes, n_files = (int(counts.totals[what]) for what in ("bytes", "files"))
            return {"outputStatistics": OutputStatisticsOutputDatasetFacet(size=n_bytes, fileCount=n_files)}
        return {} if n_rows is None else {"outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=n_rows)}

    # Tags are OpenLineage's own place for what is known of one run.
    tags = {"month": str(month or ""), **{name: str(value) for name, value in counts.totals.items()}}
    return Lineage(
        [InputDataset(NAMESPACE, name, checks.get(name, {}), facets=schemas[name]) for name in inputs],
        [OutputDataset(NAMESPACE, name, written(name), facets=schemas[name]) for name in outputs],
        {"tags": TagsRunFacet([TagsRunFacetFields(name, value, "ispeed") for name, value in tags.items() if value])},
        {},
    )


def _columns(
    engine: DuckDB, settings: Settings, month: Month | None, name: str
) -> Iterator[tuple[str, str] | tuple[str, str, str]]:
    """Name, type and comment of a data set's columns: as declared, else as the month's files in the lake have them."""
    place, _, thing = name.partition("/")
    for table in (*REPORT_TABLES, PUBLICATION, *RESTATED_TABLES, RESTATEMENT):
        if table.name == thing:
            for column in table.columns:
                if place == "reports" or column.name != "revision":
                    yield column.name, column.type, column.comment
            return
    if name in _REGISTRY:
        yield from REGISTRY_TABLES[thing.removeprefix("registry/")].items()
    elif month and thing.endswith("_measurement"):
        layer = "core" if thing == "flag_measurement" else thing.removesuffix("_measurement")
        pattern = "*" if layer == "staging" else thing
        for path in sorted(settings.lake_of(layer, month).glob(f"{pattern}.parquet"))[:1]:
            engine.read_parquet("described", path)
            for row in engine.rows("describe described"):
                yield row["column_name"], row["column_type"].lower()


def _results(settings: Settings, month: Month | None, stage: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The checks that a step ran, each with the table that it checked, as the step noted them."""
    if month is None or stage not in _CHECKED:
        return
    layer, _, note = _CHECKED[stage].partition("/")
    noted = json.loads((settings.lake_of(layer, month) / note).read_text(encoding="utf-8"))
    for result in noted if isinstance(noted, list) else noted["results"]:
        yield result["table"], result
