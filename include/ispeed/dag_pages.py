"""The page docs/dags.md, written from the DAGs themselves."""

from __future__ import annotations

from typing import Any

from ispeed.services import DAG_IDS
from ispeed.settings import PROJECT

PAGE = PROJECT / "docs" / "dags.md"


def write_dag_pages(*, check: bool = False) -> int:
    """Write docs/dags.md. With `check`, only say whether it is what the DAGs say; 1 where it is not."""
    text = dag_pages()
    if not check:
        PAGE.write_text(text, encoding="utf-8")
        print(f"written: {PAGE.relative_to(PROJECT)}")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE.relative_to(PROJECT)} is not what the DAGs say: run python -m ispeed docs")
    return 1


def dag_pages() -> str:
    """The text of docs/dags.md."""
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
        return f"`{name}`, theo asset `{timetable.asset_condition.name}`, mỗi partition một lần chạy"
    parts = [f"`{timetable.expression}`", str(timetable.timezone)]
    if hasattr(timetable, "key_format"):
        parts.append(f"partition `{timetable.key_format}` lùi {-timetable.run_offset} kỳ")
    return f"`{name}`, {', '.join(parts)}"
