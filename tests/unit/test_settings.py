from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ispeed.engine import open_engine
from ispeed.errors import UserError
from ispeed.months import Month
from ispeed.settings import INCLUDE, Settings


def test_everything_lies_under_var_where_nothing_is_set(tmp_path: Path) -> None:
    settings = Settings.from_environment({"ISPEED_VAR": str(tmp_path)})
    assert settings.exports == tmp_path / "exports"
    assert settings.registry == tmp_path / "registry"
    assert settings.share == tmp_path / "share"
    assert settings.database_url == f"sqlite:///{tmp_path}/reports.sqlite"


def test_a_device_key_is_made_once_and_kept_secret(tmp_path: Path) -> None:
    first = Settings.from_environment({"ISPEED_VAR": str(tmp_path)}).device_key
    assert Settings.from_environment({"ISPEED_VAR": str(tmp_path)}).device_key == first
    assert len(first) == 64
    assert (tmp_path / "device.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("name", "value"), [("ISPEED_LAKE", "s3://bucket/lake"), ("ISPEED_ENGINE", "oracle")])
def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(UserError, match=name):
        Settings.from_environment({"ISPEED_VAR": str(tmp_path), name: value})


def test_the_memory_of_a_task_is_a_setting_that_the_engine_keeps_to(tmp_path: Path) -> None:
    environment = {"ISPEED_VAR": str(tmp_path)}
    assert Settings.from_environment(environment).memory_bytes == 1_000_000_000
    settings = Settings.from_environment(environment | {"ISPEED_MEMORY_BYTES": "256000000"})
    with open_engine(settings.memory_bytes) as engine:
        assert engine.value("select current_setting('memory_limit')") == "244.1 MiB"


def test_what_is_elsewhere_has_its_copy_in_the_lake(tmp_path: Path) -> None:
    places = {"exports": "s3://ispeed_s3@bucket/a b/exports/", "share": "sftp://ispeed_sftp@/srv/chia sẻ"}
    addresses = {f"ISPEED_{name.upper()}": address for name, address in places.items()}
    settings = Settings.from_environment({"ISPEED_VAR": str(tmp_path), **addresses})
    assert settings.exports_of(Month(2024, 10)) == tmp_path / "lake" / "incoming" / "exports" / "2024-10"
    assert settings.export_place(Month(2024, 10)) == "s3://ispeed_s3@bucket/a b/exports/2024-10"
    assert (settings.share, settings.share_uri) == (tmp_path / "lake" / "share", places["share"])
    assert (settings.registry, settings.registry_uri) == (tmp_path / "registry", "")


@pytest.mark.parametrize(
    "value",
    [
        "s3://bucket/exports",
        "s3://me:SECRET@bucket/exports",
        "sftp://me:SECRET@host/srv",
        "sftp://ispeed_sftp@host/srv",
        "gs://ispeed@bucket/exports",
        "s3://ispeed@/exports",
        "sftp://ispeed@/srv/../etc",
        "s3://ispeed@bucket/a\nb",
        "file:///srv/exports",
    ],
)
def test_an_address_without_a_connection_or_with_a_password_is_refused_and_not_repeated(
    tmp_path: Path, value: str
) -> None:
    with pytest.raises(UserError, match="setting ISPEED_EXPORTS") as error:
        Settings.from_environment({"ISPEED_VAR": str(tmp_path), "ISPEED_EXPORTS": value})
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize("name", ["ISPEED_LAKE", "ISPEED_SOURCE", "ISPEED_POLICY", "ISPEED_BOUNDARIES"])
def test_what_must_be_here_takes_no_address(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"setting {name}[\s\S]*ISPEED_SHARE may be addresses"):
        Settings.from_environment({"ISPEED_VAR": str(tmp_path), name: "s3://ispeed_s3@bucket/x"})


def test_only_the_modules_of_makes_commands_and_of_folders_elsewhere_know_airflow() -> None:
    def imports_airflow(path: Path) -> bool:
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
        return any(name.split(".")[0] == "airflow" for name in names)

    found = {path.name for path in (INCLUDE / "ispeed").rglob("*.py") if imports_airflow(path)}
    assert found == {
        *("airflow.py", "airflow_approval.py", "airflow_notices.py", "airflow_runs.py", "airflow_secrets.py"),
        "airflow_waits.py",
        *("dag_pages.py", "deployment.py", "month_run.py", "remote_folder.py"),
    }
