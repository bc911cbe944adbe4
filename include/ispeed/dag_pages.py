"""`docs/dags.md`: the DAGs as their files declare them."""

from __future__ import annotations

from typing import Any

from ispeed.services import DAG_IDS
from ispeed.settings import PROJECT


def dags_page() -> str:
    """The page as Markdown."""
    from airflow.dag_processing.dagbag import DagBag

    dags = DagBag(PROJECT / "dags").dags
    lines = ["# Các DAG", "", "Trang này do `python -m ispeed docs` viết từ các tệp trong `dags/`; đừng sửa tay.", ""]
    for dag_id in sorted(dags, key=lambda dag_id: (*DAG_IDS, dag_id).index(dag_id)):
        dag = dags[dag_id]
        lines += [f"## `{dag_id}`", "", str(dag.doc_md).strip(), "", f"Lịch trong mã: {_schedule(dag.timetable)}.", ""]
        lines += ["| tác vụ | tên trên giao diện | báo cho |", "|---|---|---|"]
        for task in sorted(dag.tasks, key=lambda task: len(task.get_flat_relative_ids(upstream=True))):
            outlets = ", ".join(f"`{asset.name}`" for asset in task.outlets)
            lines.append(f"| `{task.task_id}` | {task.task_display_name} | {outlets} |")
        lines.append("")
    return "\n".join(lines)


def _schedule(timetable: Any) -> str:
    name = type(timetable).__name__
    if timetable.asset_condition is not None:
        assets = " hoặc ".join(f"`{asset.name}`" for asset in _assets(timetable.asset_condition))
        return f"`{name}`, theo asset {assets}, mỗi partition một lần chạy"
    parts = [f"`{timetable.expression}`", str(timetable.timezone)]
    if hasattr(timetable, "key_format"):
        parts.append(f"partition `{timetable.key_format}` lùi {-timetable.run_offset} kỳ")
    return f"`{name}`, {', '.join(parts)}"


def _assets(condition: Any) -> list[Any]:
    """One asset, or those of which any one will do."""
    return list(getattr(condition, "objects", [condition]))
