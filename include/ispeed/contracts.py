"""The source contract: how one export format is to be read. What it does not declare is not guessed."""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from ispeed.errors import UserError
from ispeed.settings import INCLUDE
from ispeed.tcvn3 import register
from ispeed.text import fold

# The columns that staging knows, in the order of `staging_measurement.sql`.
COLUMNS = (
    "measurement_id",
    "measured_at",
    "device_id",
    "referral_code",
    "province_code",
    "district_code",
    "district_name",
    "commune_code",
    "commune_name",
    "operator",
    "technology",
    "download_mbps",
    "upload_mbps",
    "ping_ms",
    "jitter_ms",
    "packet_loss_pct",
    "latitude",
    "longitude",
    "location_accuracy_m",
    "os",
    "device_model",
    "app_version",
)
REQUIRED = ("measured_at", "technology", "download_mbps")


@dataclass(frozen=True)
class Shape:
    """How files of one name pattern are written.

    Encoding, delimiter and quote are for text files, sheet and header row for workbooks; `decimal` and `thousands` are
    those of numbers written as text. No sheet named: the first visible one. No header row named: the first that has
    every required header.
    """

    pattern: str
    timestamp_formats: tuple[str, ...]
    format: str = "csv"
    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    decimal: str = "."
    thousands: str = ""
    sheet: str | None = None
    header_row: int | None = None


@dataclass(frozen=True)
class Contract:
    """One export format. `headers` maps each of our columns to the header texts it may have."""

    name: str
    timezone: str
    missing: tuple[str, ...]
    shapes: tuple[Shape, ...]
    headers: Mapping[str, tuple[str, ...]]
    required: tuple[str, ...]
    ignored: tuple[str, ...]
    constants: Mapping[str, str]
    values: Mapping[str, Mapping[str, str]]

    @property
    def fingerprint(self) -> str:
        """sha256 of what the contract says, whatever its comments."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def shape_of(self, file_name: str) -> Shape:
        """The first shape whose pattern fits the name, or a member's own name in `archive.zip/member.csv`.

        Raises `UserError` where none does.
        """
        names = {file_name.lower(), file_name.lower().rpartition("/")[2]}
        for shape in self.shapes:
            if any(fnmatchcase(name, shape.pattern) for name in names):
                return shape
        raise UserError(
            f"file {file_name}",
            "no shape of the source contract fits its name",
            "a name like " + " or ".join(shape.pattern for shape in self.shapes),
            "rename or convert the file, or declare its shape in the source contract",
        )

    def has_required(self, found: Sequence[str]) -> bool:
        """Whether these header texts hold one for each required column."""
        folded = {fold(text) for text in found}
        return all(
            column in self.constants or any(fold(text) in folded for text in self.headers.get(column, ()))
            for column in self.required
        )

    def match_headers(self, file_name: str, found: Sequence[str], row: int = 1) -> list[str | None]:
        """Our column for each header of a file, None for one that is not declared.

        Raises `UserError` where a required column is missing or two headers mean the same column.
        """
        column_of = {fold(text): column for column, texts in self.headers.items() for text in texts}
        columns = [column_of.get(fold(text)) for text in found]
        for column in COLUMNS:
            if columns.count(column) > 1:
                raise UserError(
                    f"file {file_name}, row {row}",
                    f"{columns.count(column)} headers for {column}: "
                    + ", ".join(text for text, name in zip(found, columns, strict=True) if name == column),
                    "one",
                    "remove one of the columns, or correct the source contract",
                )
        for column in self.required:
            if column not in columns and column not in self.constants:
                raise UserError(
                    f"file {file_name}, row {row}",
                    f"no header for the required column {column}; the headers are: " + ", ".join(found),
                    " or ".join(repr(text) for text in self.headers.get(column, ())) or f"a declared {column}",
                    f"add the new header text under columns.{column}.headers of the source contract",
                )
        return columns


def read_contract(path: Path) -> Contract:
    """Read a contract. Raises `UserError` naming the file and the key that is wrong."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(str(path), str(error), "a source contract in YAML", "mend or restore the file") from error
    _check_form(path, document)
    contract = Contract(
        name=document["name"],
        timezone=document["timezone"],
        missing=tuple(document["missing"]),
        shapes=tuple(_read_shape(shape) for shape in document["shapes"]),
        headers={column: tuple(entry["headers"]) for column, entry in document["columns"].items()},
        required=tuple(
            column
            for column in COLUMNS
            if column in REQUIRED or document["columns"].get(column, {}).get("required", False)
        ),
        ignored=tuple(document.get("ignored", ())),
        constants=dict(document.get("constants", {})),
        values={
            column: {fold(found): value for found, value in mapping.items()}
            for column, mapping in document.get("values", {}).items()
        },
    )
    _check_contract(path, contract)
    return contract


def _check_form(path: Path, document: Any) -> None:
    """Raise `UserError` naming the first key that the schema of contracts does not allow."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match  # a third of a second, and only where a contract is read

    schema = json.loads((INCLUDE / "sources" / "contract.schema.json").read_text(encoding="utf-8"))
    error = best_match(Draft202012Validator(schema).iter_errors(document))
    if error is not None:
        where = ".".join(str(part) for part in error.absolute_path)
        raise UserError(
            f"{path}, {where}" if where else str(path),
            error.message,
            "what include/sources/contract.schema.json allows",
            "compare with include/sources/ispeed.yaml",
        )


def _read_shape(shape: dict[str, Any]) -> Shape:
    return Shape(**{**shape, "timestamp_formats": tuple(shape["timestamp_formats"])})


def _check_contract(path: Path, contract: Contract) -> None:
    for name in (*contract.headers, *contract.constants, *contract.values):
        if name not in COLUMNS:
            raise UserError(f"{path}, {name}", "not a column of ours", ", ".join(COLUMNS), "correct the name")
    try:
        ZoneInfo(contract.timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UserError(
            f"{path}, timezone", repr(contract.timezone), "a zone such as Asia/Ho_Chi_Minh", "correct it"
        ) from error
    for shape in contract.shapes:
        register()
        try:
            codecs.lookup(shape.encoding)
        except LookupError as error:
            raise UserError(
                f"{path}, shape {shape.pattern}", f"encoding {shape.encoding!r}", "one such as utf-8", "correct it"
            ) from error
        if shape.decimal == shape.thousands:
            raise UserError(
                f"{path}, shape {shape.pattern}",
                f"decimal {shape.decimal!r} and thousands {shape.thousands!r}",
                "decimal '.' or ',' and another mark (or none) for thousands",
                "declare how the export writes numbers",
            )
