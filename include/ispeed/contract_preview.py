"""How a source contract would have an export read: its first rows, and what would become of all of them."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

import yaml

from ispeed.checks import add_policy, add_row_reasons
from ispeed.contracts import REQUIRED, read_contract
from ispeed.core import create_core_measurement
from ispeed.engine import Engine, Row, open_engine
from ispeed.errors import UserError
from ispeed.landing import land
from ispeed.months import Month
from ispeed.policy import read_policy
from ispeed.registry import read_registry
from ispeed.settings import Settings
from ispeed.staging import stage

N_ROWS: Final = 10
# An export that is looked at alone has no month of its own.
_MONTH: Final = Month(2000, 1)
# Stand for required columns that nobody named yet, so that the others can be looked at.
PLACEHOLDERS: Final = {"technology": "Cố định", "measured_at": "01/10/2024 00:00:00"}
TIME_FORMAT: Final = "%d/%m/%Y %H:%M:%S"


@dataclass(frozen=True)
class ContractPreview:
    """The first rows as staging would have them, and sentences on what would become of all rows."""

    rows: tuple[str, ...]
    doubts: tuple[str, ...]


@contextmanager
def landed_alone(path: Path, contract: str) -> Iterator[tuple[Settings, Month]]:
    """Settings on a scratch folder in which one file landed under a contract, and the month that it landed in.

    Raises `UserError` where there is no such file, or it cannot land.
    """
    with tempfile.TemporaryDirectory(prefix="ispeed-") as name:
        defaults = Settings.from_environment({"ISPEED_VAR": name, "ISPEED_DEVICE_KEY": "preview"})
        settings = replace(defaults, source=Path(name) / "contract.yaml")
        settings.exports_of(_MONTH).mkdir(parents=True)
        try:
            shutil.copyfile(path, settings.exports_of(_MONTH) / path.name)
        except OSError as error:
            raise UserError(
                f"file {path}", str(error.strerror), "an export file", "give the path of one: FILE=…"
            ) from error
        settings.source.write_text(contract, encoding="utf-8")
        land(settings, _MONTH)
        yield settings, _MONTH


def preview_contract(path: Path, contract: Path, registry: Path) -> ContractPreview:
    """How an export would be read by a contract; `registry` is the lake's folder of registry tables.

    Raises `UserError` where the contract itself is wrong.
    """
    known = read_contract(contract)
    document = yaml.safe_load(contract.read_text(encoding="utf-8"))
    unnamed = [name for name in REQUIRED if name not in known.headers and name not in known.constants]
    if "download_mbps" in unnamed:
        return ContractPreview((), ("no row can be shown before a header is named for download_mbps",))
    document["constants"] = dict(known.constants) | {name: PLACEHOLDERS[name] for name in unnamed}
    if "measured_at" in unnamed:
        document["shapes"] = [{**shape, "timestamp_formats": [TIME_FORMAT]} for shape in document["shapes"]]
    try:
        with landed_alone(path, json.dumps(document)) as (settings, month):
            stage(settings, month)
            with open_engine() as engine:
                engine.read_parquet("staging_measurement", *settings.lake_of("staging", month).glob("*.parquet"))
                rows = engine.rows(
                    "select * from staging_measurement order by source_file, row_number limit ?", [N_ROWS]
                )
                doubts = [*_unread(engine), *_unknown(engine, settings, month, registry)]
    except UserError as error:
        return ContractPreview((), (f"the file cannot be read by this contract yet: {error.where}: {error.found}",))
    hidden = {"source_file", "row_number", "measured_at_text", "measurement_hash", "received_at", *unnamed}
    return ContractPreview(tuple(_shown(row, hidden) for row in rows), tuple(map(one_line, doubts)))


def one_line(text: str) -> str:
    """Text that cannot end the line that it stands in."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _unread(engine: Engine) -> list[str]:
    """How many rows would be put aside as unreadable or for lack of what is required, and why."""
    absent = " or ".join(f"{column} is null" for column in REQUIRED)
    (counts,) = engine.rows(
        "select count(*) as n_rows, count(*) filter (where read_error is not null) as n_unreadable, "
        f"count(*) filter (where read_error is null and ({absent})) as n_empty from staging_measurement"
    )
    errors = engine.rows(
        "select read_error, count(*) as n_rows, min(row_number) as first_row from staging_measurement "
        "where read_error is not null group by read_error order by n_rows desc, first_row limit 3"
    )
    return [
        f"by this contract, of {counts['n_rows']:,} rows {counts['n_unreadable']:,} would be unreadable and "
        f"{counts['n_empty']:,} more lack what is required",
        *(f"unreadable: {e['read_error'][:100]} ({e['n_rows']:,} rows, first row {e['first_row']})" for e in errors),
    ]


def _unknown(engine: Engine, settings: Settings, month: Month, registry: Path) -> list[str]:
    """How many rows name a technology, an operator or a commune that nobody knows on their day."""
    policy = read_policy(settings.policy, date.max)
    read_registry(engine, registry)
    add_policy(engine, policy, month)
    add_row_reasons(engine, "quarantine_measurement")
    create_core_measurement(engine, settings, policy, month)
    doubts = []
    by_values = "say under values what they are"
    for what, text, is_unknown, remedy in (
        ("technology", "staging_measurement.technology", "core_measurement.network is null", by_values),
        ("operator", "staging_measurement.operator", "core_measurement.operator = 'unknown'", by_values),
        (
            "commune",
            "coalesce(staging_measurement.commune_name, staging_measurement.commune_code)",
            "core_measurement.commune_code is null",
            "such rows stay, and are flagged",
        ),
    ):
        found = engine.rows(
            f"select {text} as text, count(*) as n_rows, count(*) filter (where {is_unknown}) as n_unknown "
            "from core_measurement inner join staging_measurement using (source_file, row_number) "
            f"where staging_measurement.measured_at is not null and {text} is not null "
            "group by all order by n_unknown desc, text"
        )
        unknown = [row["text"] for row in found if row["n_unknown"]]
        if unknown:
            shown = ", ".join(map(repr, unknown[:5])) + (f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else "")
            doubts.append(
                f"{what}: of {sum(row['n_rows'] for row in found):,} rows that name one, "
                f"{sum(row['n_unknown'] for row in found):,} name none that is known on their day: {shown}; {remedy}"
            )
    return doubts


def _shown(row: Row, hidden: Iterable[str]) -> str:
    cells = [f"{name}={value}" for name, value in row.items() if name not in hidden and value is not None]
    return f"row {row['row_number']}: " + one_line(", ".join(cells))
