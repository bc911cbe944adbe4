"""`datapackage.json`: what the csv files of a revision hold, as a Frictionless Tabular Data Package (version 1).

Version 1, since every reader knows it and readers of version 2 take it too (specs.frictionlessdata.io).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ispeed.tables import COUNTS, Column, Table
from ispeed.workbook.content import Content

_TYPES: Final = {
    "text": "string",
    "integer": "integer",
    "double": "number",
    "date": "date",
    "timestamp": "datetime",
    "boolean": "boolean",
}
ESCAPED: Final = (
    "A text that starts with = + - @ tab or a line break has a ' put before it, so that no program runs it."
)


def data_package(tables: Sequence[Table], files: Mapping[str, bytes], content: Content) -> dict[str, Any]:
    """The descriptor of the csv files `files`, each of the table of its name, without the time at which it was made."""
    policy, day = content.policy, content.boundaries_day
    return {
        "profile": "tabular-data-package",
        "name": f"ispeed-{policy.province_code}-{content.month}-"
        + (f"boundaries-{day}-" if day else "")
        + f"r{content.revision}",
        "title": f"i-Speed {policy.province_name} {content.month}"
        + (f" on the boundaries of {day}" if day else "")
        + (" (DỮ LIỆU MẪU)" * content.is_sample),
        "description": "Monthly figures of i-Speed, VNNIC's mobile speed test. A figure that is blank has its reason "
        f"beside it. Units are UCUM's. {ESCAPED}",
        "version": str(content.revision),
        # The words are the policy's; no code of opendefinition.org stands for them.
        "licenses": [{"name": "custom", "title": policy.licence}],
        "contributors": [{"title": policy.issuer, "role": "publisher", "organization": policy.parent_body}],
        "sources": [
            {"title": source.name, "sha256": source.sha256, "bytes": source.n_bytes} for source in content.sources
        ],
        "resources": [_resource(table, files[table.name]) for table in tables],
    }


def _resource(table: Table, file: bytes) -> dict[str, Any]:
    key = list(table.key) if table.name == "tidy" else ["month", "revision", *table.key]
    return {
        "name": table.name,
        "path": f"{table.name}.csv",
        "profile": "tabular-data-resource",
        "format": "csv",
        "mediatype": "text/csv",
        # With a byte order mark, for Excel.
        "encoding": "utf-8",
        "bytes": len(file),
        "hash": f"sha256:{hashlib.sha256(file).hexdigest()}",
        "title": table.comment,
        "description": ESCAPED,
        "schema": {
            "primaryKey": key,
            # In report_quality_month an empty reason is a value: it is part of the key.
            "missingValues": [] if table.name == "report_quality_month" else [""],
            "fields": [_field(column, is_key=column.name in key) for column in table.columns],
        },
    }


def _field(column: Column, *, is_key: bool) -> dict[str, Any]:
    constraints: dict[str, Any] = {}
    if is_key or column in COUNTS:
        constraints["required"] = True
    if column.values:
        constraints["enum"] = list(column.values)
    if column.type == "integer":
        constraints["minimum"] = 1 if column.name.endswith(("revision", "REVISION", "_rank")) else 0
    elif column.unit and not column.name.endswith(("_change", "_difference")):
        constraints["minimum"] = 0
    if "share" in column.name:
        constraints["maximum"] = 1
    return {
        "name": column.name,
        "type": "yearmonth" if column.name == "TIME_PERIOD" else _TYPES[column.type],
        "title": column.heading,
        "description": column.comment,
        **({"unit": column.unit} if column.unit else {}),
        **({"constraints": constraints} if constraints else {}),
    }
