"""Secrets that Airflow keeps, wherever settings are read: in tasks, by the commands, in the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.api_fastapi.app import init_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.models import Connection, Variable
from airflow.plugins_manager import get_fastapi_plugins
from airflow.sdk._shared.secrets_masker import redact
from airflow.utils.session import create_session
from fastapi.testclient import TestClient

from ispeed.airflow import settings_of_task
from ispeed.errors import UserError

pytestmark = pytest.mark.usefixtures("airflow_database")


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both secrets are named in the settings, and kept nowhere yet."""
    monkeypatch.setenv("ISPEED_VAR", str(tmp_path))
    monkeypatch.setenv("ISPEED_DB", "airflow:ispeed_reports")
    monkeypatch.setenv("ISPEED_DEVICE_KEY", "airflow:ispeed_device_key")


def test_secrets_that_airflow_keeps_are_read_and_missing_ones_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="setting ISPEED_DB\n.*no connection ispeed_reports"):
        settings_of_task()
    monkeypatch.setenv(
        "AIRFLOW_CONN_ISPEED_REPORTS", "postgres://ispeed:l0ng-w%40rd@reports-db:5432/reports?sslmode=require"
    )
    with pytest.raises(UserError, match="setting ISPEED_DEVICE_KEY\n.*no variable ispeed_device_key"):
        settings_of_task()
    monkeypatch.setenv("AIRFLOW_VAR_ISPEED_DEVICE_KEY", "")
    with pytest.raises(UserError, match="no variable ispeed_device_key"):
        settings_of_task()
    assert not (tmp_path / "device.key").exists(), "none is made up in its place"
    monkeypatch.setenv("AIRFLOW_VAR_ISPEED_DEVICE_KEY", "k3y of airflow")
    settings = settings_of_task()
    assert settings.device_key == "k3y of airflow"
    assert settings.database_url == "postgresql+psycopg2://ispeed:l0ng-w%40rd@reports-db:5432/reports?sslmode=require"
    assert redact(f"with {settings.device_key} and l0ng-w@rd") == "with *** and ***"


def test_a_command_finds_secrets_that_only_airflows_database_has() -> None:
    rows = [
        Connection("ispeed_reports", "postgres", host="db", login="ispeed", password="w0rd", schema="reports"),
        Variable("ispeed_device_key", "k3y of airflow"),
    ]
    with create_session() as session:
        session.add_all(rows)
        session.commit()
        # As somebody at a keyboard, in no process of Airflow's.
        code = """
import os
from ispeed.command_line import main
from ispeed.settings import Settings
assert main(["backfills"]) == 0
print("read:", Settings.from_environment().device_key, Settings.from_environment().database_url)
assert "_AIRFLOW_PROCESS_CONTEXT" not in os.environ
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
        for row in rows:
            session.delete(row)
    assert done.returncode == 0, done.stderr
    told, _, read = done.stdout.partition("read:")
    assert read.strip() == "k3y of airflow postgresql+psycopg2://ispeed:w0rd@db/reports"
    assert "k3y" not in told + done.stderr
    assert "w0rd" not in told + done.stderr


def test_the_page_reads_them_and_shows_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (mounted,) = (app for app in get_fastapi_plugins()[0] if app["url_prefix"] == "/ispeed")
    client = TestClient(mounted["app"])
    token = init_auth_manager().generate_jwt(SimpleAuthManagerUser(username="hoa", role="VIEWER"))
    client.headers["Authorization"] = f"Bearer {token}"
    answer = client.get("/")
    assert answer.status_code == 503
    assert "no connection ispeed_reports" in answer.text
    kept = {"conn_type": "sqlite", "schema": str(tmp_path / "s3cret.sqlite")}
    monkeypatch.setenv("AIRFLOW_CONN_ISPEED_REPORTS", json.dumps(kept))
    monkeypatch.setenv("AIRFLOW_VAR_ISPEED_DEVICE_KEY", "k3y of airflow")
    answer = client.get("/")
    assert answer.status_code == 200
    assert (tmp_path / "s3cret.sqlite").exists(), "the database that the connection names was asked"
    for secret in ("k3y", "s3cret"):
        assert secret not in answer.text + str(answer.headers)
    assert os.environ["ISPEED_DEVICE_KEY"] == "airflow:ispeed_device_key"
