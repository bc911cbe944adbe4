"""What a file's headers say beside what the contract declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ispeed.contracts import COLUMNS, Contract
from ispeed.errors import UserError
from ispeed.settings import Settings
from ispeed.text import fold


@dataclass(frozen=True)
class Headers:
    """Headers of the file that the contract does not declare, and our columns that the file does not have."""

    undeclared: tuple[str, ...]
    absent: tuple[str, ...]


def describe_headers(contract: Contract, found: Sequence[str], columns: Sequence[str | None]) -> Headers:
    ignored = set(map(fold, contract.ignored))
    return Headers(
        undeclared=tuple(
            text for text, column in zip(found, columns, strict=True) if column is None and fold(text) not in ignored
        ),
        absent=tuple(name for name in COLUMNS if name not in columns and name not in contract.constants),
    )


def undeclared_names(found: Sequence[str], columns: Sequence[str | None]) -> dict[int, str]:
    """The name of each column that the contract does not declare, by its place; no two are the same."""
    names: dict[int, str] = {}
    for place, (text, column) in enumerate(zip(found, columns, strict=True)):
        if column is None:
            name = text.strip()
            is_told_apart = name and name not in names.values()
            names[place] = name if is_told_apart else f"{name} (column {place + 1})".strip()
    return names


def json_of_undeclared(names: Mapping[int, str], fields: Mapping[int, str]) -> tuple[str, dict[str, str]]:
    """SQL that makes one text of what stands in undeclared columns, and its parameters; `fields` are SQL by place."""
    if not names:
        return "cast(null as varchar)", {}
    pairs = ", ".join(f"$undeclared_{place}, {fields[place]}" for place in names)
    return f"cast(json_object({pairs}) as varchar)", {f"undeclared_{place}": name for place, name in names.items()}


def check_columns(settings: Settings, source_file: str, n_columns: int) -> None:
    if n_columns > settings.columns_max:
        raise UserError(
            f"file {source_file}",
            f"{n_columns:,} columns",
            f"at most {settings.columns_max:,}, the setting ISPEED_COLUMNS_MAX",
            "remove columns, or raise the setting",
        )


def check_rows(settings: Settings, source_file: str, n_rows: int) -> None:
    if n_rows > settings.rows_max:
        raise UserError(
            f"file {source_file}",
            f"more than {settings.rows_max:,} records",
            "at most the setting ISPEED_ROWS_MAX",
            "split the export, or raise the setting",
        )
