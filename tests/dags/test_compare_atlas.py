"""compare_atlas, on the real DAG: it ends well whatever VNNIC does, and tells publish_reports of new figures only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.models.taskinstance import TaskInstance
from airflow.sdk import DAG
from airflow.utils.session import create_session
from sqlalchemy import select

from atlas_server import Reply, Site, listed, place, running_site
from ispeed import atlas
from ispeed.arrivals import read_arrival
from ispeed.months import Month
from ispeed.settings import Settings

MONTH = Month(2024, 10)
PROVINCES, COMMUNES = listed(place("56", 784, 44.54, 46.01, 25.43, 6.74)), listed(place("22366", 31, 60.5, 20, 30, 5))
pytestmark = pytest.mark.usefixtures("airflow_database")


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("ISPEED_VAR", str(tmp_path))
    monkeypatch.setenv("ISPEED_ATLAS_SECONDS", "1")
    monkeypatch.setattr(atlas, "PAUSES", ())
    monkeypatch.setattr(atlas, "PAUSE_SECONDS", 0)
    with running_site() as site:
        monkeypatch.setenv("ISPEED_ATLAS_URL", site.url)
        site.answer = lambda network, place: PROVINCES if place == "-1" else COMMUNES
        yield site


def states(dag: DAG) -> dict[str, Any]:
    """What a run of the month ended as, and each of its tasks."""
    run = dag.test(logical_date=None, run_conf={"month": str(MONTH)})
    with create_session() as session:
        tasks = session.scalars(select(TaskInstance).where(TaskInstance.run_id == run.run_id))
        return {"run": run.state, **{task.task_id: task.state for task in tasks}}


def noted() -> Any:
    arrival = read_arrival(Settings.from_environment(), MONTH, "atlas")
    return arrival and arrival.document


def test_a_month_that_is_not_published_has_its_figures_noted_and_nobody_told(dags: dict[str, DAG], site: Site) -> None:
    assert states(dags["compare_atlas"]) == {"run": "success", "ask_atlas": "success", "announce_atlas": "skipped"}
    assert len(noted()["rows"]) == 4


def test_figures_that_are_not_published_yet_are_announced(
    dags: dict[str, DAG], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atlas, "awaits_publishing", lambda settings, month: month == MONTH)
    assert states(dags["compare_atlas"]) == {"run": "success", "ask_atlas": "success", "announce_atlas": "success"}


@pytest.mark.parametrize(
    "reply",
    [Reply(status=500), Reply(b"<html>"), Reply(PROVINCES.body, how="cut"), Reply(how="silent"), listed()],
    ids=["500", "html", "cut", "silent", "empty"],
)
def test_a_site_that_fails_fails_no_run(dags: dict[str, DAG], site: Site, reply: Reply) -> None:
    site.answer = lambda network, place: reply
    assert states(dags["compare_atlas"]) == {"run": "success", "ask_atlas": "success", "announce_atlas": "skipped"}
    assert noted() is None


def test_a_site_out_of_reach_fails_no_run_and_what_was_noted_stays(
    dags: dict[str, DAG], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    states(dags["compare_atlas"])
    before = noted()
    monkeypatch.setenv("ISPEED_ATLAS_URL", "http://127.0.0.1:9/i-speed")
    assert states(dags["compare_atlas"])["run"] == "success"
    assert noted() == before


def test_a_wrong_setting_ends_the_task_with_its_name(
    dags: dict[str, DAG], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISPEED_ATLAS_URL", "ftp://internetatlas.vnnic.vn")
    assert states(dags["compare_atlas"]) == {
        "run": "failed",
        "ask_atlas": "failed",
        "announce_atlas": "upstream_failed",
    }
