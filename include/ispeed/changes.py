"""Why a revision differs from the one before, and in which cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ispeed.engine import Row
from ispeed.publication import published_origin
from ispeed.tables import Table
from ispeed.workbook.content import Change

Tables = dict[str, list[Row]]
_REGISTRY_CHANGED = "Danh mục (xã, mã giới thiệu, cơ quan, nhà mạng) thay đổi"


def causes_of(share: Path, published: Row | None, origin: Mapping[str, Any]) -> list[str]:
    """Vietnamese sentences on what differs from the published revision below `share`; none on a first issue."""
    if published is None:
        return []
    before = published_origin(share, published["revision"])
    before_inputs, inputs = before.get("inputs", {}), origin["inputs"]
    before_registry, registry = before.get("registry") or {}, origin["registry"]
    sentences = {
        "Tệp xuất được bổ sung hoặc thay đổi": before_inputs.get("files") != inputs["files"],
        "Cách đọc tệp (hợp đồng nguồn) thay đổi": before_inputs.get("contract") != inputs["contract"],
        # Most of what a new version changes has nothing to do with this month.
        _REGISTRY_CHANGED: before_registry.get("as_of_month") not in (None, registry.get("as_of_month")),
        "Bản đồ địa giới thay đổi": before.get("boundaries", {}) != origin["boundaries"],
        "Vị trí các đơn vị trên sơ đồ thay đổi": before.get("places") not in (None, origin.get("places")),
        "Chuỗi số liệu các tháng trước thay đổi": before.get("series") not in (None, origin.get("series")),
        "Chính sách (ngưỡng, mục tiêu) thay đổi": before.get("policy") != origin["policy"],
        "Quy tắc tính hoặc kiểm tra thay đổi": (before.get("rules"), before.get("version"))
        != (origin["rules"], origin["version"]),
        "Số liệu tháng trước được phát hành lại": before.get("previous_revision") != origin["previous_revision"],
        "Cảnh báo nêu để xem xét thay đổi": before.get("warnings", []) != origin["warnings"],
    }
    causes = [sentence for sentence, differs in sentences.items() if differs]
    if not causes and before_registry.get("version") != registry["version"]:
        causes.append(_REGISTRY_CHANGED)
    return causes


def changes_of(declared: Sequence[Table], published: Tables, tables: Tables, causes: Sequence[str]) -> list[Change]:
    """Every cell that differs from the published revision, by table and key."""
    cause = "; ".join(causes)
    changes = []
    for table in declared:
        before = {_key(table, row): row for row in published[table.name]}
        after = {_key(table, row): row for row in tables[table.name]}
        columns = [name for name in table.column_names if name not in ("month", "revision", *table.key)]
        for key in sorted(before.keys() | after.keys()):
            old, new = before.get(key, {}), after.get(key, {})
            changes += [
                Change(table.name, ", ".join(key), column, old.get(column), new.get(column), cause)
                for column in columns
                if old.get(column) != new.get(column)
            ]
    return changes


def changed_warnings(before: Mapping[str, Any], origin: Mapping[str, Any], causes: Sequence[str]) -> list[Change]:
    """Every warning that came, went, or says something else now."""
    old, new = (
        {(told["table"], told["description_vi"]): told["finding"] for told in made_from.get("warnings", [])}
        for made_from in (before, origin)
    )
    return [
        Change(table, description, "Cảnh báo", old.get((table, description)), new.get((table, description)), cause)
        for cause in ["; ".join(causes)]
        for table, description in sorted(old.keys() | new.keys())
        if old.get((table, description)) != new.get((table, description))
    ]


def _key(table: Table, row: Row) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in table.key)
