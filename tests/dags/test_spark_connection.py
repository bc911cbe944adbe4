"""Where Spark computes and no setting names a master, Airflow's connection does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ispeed.airflow import run_of

CONTEXT: Any = {"dag_run": SimpleNamespace(partition_key="2024-10")}
pytestmark = pytest.mark.usefixtures("airflow_database")


@pytest.mark.parametrize(
    ("connection", "master"),
    [
        ("spark://head:7077", "spark://head:7077"),
        ('{"conn_type": "spark", "host": "spark://head", "port": 7077}', "spark://head:7077"),
        ('{"conn_type": "spark", "host": "local[2]"}', "local[2]"),
        ('{"conn_type": "spark_connect", "host": "head", "port": 15002}', "sc://head:15002"),
    ],
)
def test_the_connection_supplies_the_master(monkeypatch: pytest.MonkeyPatch, connection: str, master: str) -> None:
    monkeypatch.setenv("ISPEED_ENGINE", "spark")
    monkeypatch.setenv("AIRFLOW_CONN_ISPEED_SPARK", connection)
    assert run_of(CONTEXT)[0].spark == master
    monkeypatch.setenv("ISPEED_SPARK", "local[4]")
    assert run_of(CONTEXT)[0].spark == "local[4]"


def test_without_a_connection_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISPEED_ENGINE", "spark")
    assert run_of(CONTEXT)[0].spark == ""
