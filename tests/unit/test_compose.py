"""The Docker set-up asks for its secrets, and .env.example tells of every setting."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ispeed.settings import PROJECT

COMPOSE = PROJECT / "docker-compose.yaml"
AIRFLOW_SERVICES = ("api-server", "scheduler", "dag-processor", "triggerer")
# ${NAME:?message}, ${NAME:-default} or ${NAME}; $$ is a dollar sign.
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(:\?|:-)?([^}]*)\}")
# A line of .env.example: NAME=value, or #NAME=default
SETTING = re.compile(r"^(#?)([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def example() -> dict[str, tuple[bool, str]]:
    """Each setting of .env.example: whether it is commented out, and its value."""
    text = (PROJECT / ".env.example").read_text(encoding="utf-8")
    return {name: (mark == "#", value) for mark, name, value in SETTING.findall(text)}


def test_airflow_runs_on_postgresql_with_the_reports_apart(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"postgres", "reports-db", "airflow-init", *AIRFLOW_SERVICES}
    for name in ("airflow-init", *AIRFLOW_SERVICES):
        environment = compose["services"][name]["environment"]
        assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
        assert "@postgres/airflow" in environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        assert "@reports-db/reports" in environment["ISPEED_DB"]


def test_every_lasting_service_tells_whether_it_is_well(compose: dict[str, Any]) -> None:
    assert [name for name, service in compose["services"].items() if "healthcheck" not in service] == ["airflow-init"]


def test_databases_keep_their_data_in_named_volumes(compose: dict[str, Any]) -> None:
    for service in ("postgres", "reports-db"):
        (volume,) = compose["services"][service]["volumes"]
        assert volume.split(":")[0] in compose["volumes"]


def test_the_page_is_for_this_machine_only_unless_someone_decides_otherwise(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_secret_has_a_default(example: dict[str, tuple[bool, str]]) -> None:
    secrets = {
        (name, how)
        for name, how, _ in VARIABLE.findall(COMPOSE.read_text(encoding="utf-8"))
        if re.search("PASSWORD|SECRET|KEY", name)
    }
    assert len(secrets) == 6
    assert {how for _, how in secrets} == {":?"}
    assert {example[name] for name, _ in secrets} == {(False, "")}


def test_no_password_is_written_into_the_file(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, value in service["environment"].items():
            if re.search("PASSWORD|SECRET|KEY", name):
                assert VARIABLE.fullmatch(value), name
            for password in re.findall(r"://\w+:([^@]*)@", str(value)):
                assert VARIABLE.fullmatch(password), name


def test_every_setting_stands_in_the_example(example: dict[str, tuple[bool, str]]) -> None:
    read = {name for name, _, _ in VARIABLE.findall(COMPOSE.read_text(encoding="utf-8"))}
    for module in (PROJECT / "include" / "ispeed").rglob("*.py"):
        read.update(re.findall(r"""["'](ISPEED_[A-Z_]+)["']""", module.read_text(encoding="utf-8")))
    assert {"ISPEED_EXPORTS", "ISPEED_DEVICE_KEY", "ISPEED_WAIT_SECONDS"} <= read
    assert read - set(example) == set()


def test_the_example_tells_of_no_setting_that_nothing_reads(example: dict[str, tuple[bool, str]]) -> None:
    modules = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / "include" / "ispeed").rglob("*.py"))
    assert [name for name in example if f"{name}" not in modules + COMPOSE.read_text(encoding="utf-8")] == []


def test_the_image_has_pinned_packages_compiled_and_no_root() -> None:
    lines = (PROJECT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert "FROM python:3.12-slim" in lines
    assert "RUN pip install --compile --requirement requirements.txt" in lines
    assert [line for line in lines if line.startswith("USER")][-1] == "USER airflow"


def test_docker_compose_takes_the_file_once_the_secrets_are_given(
    example: dict[str, tuple[bool, str]], tmp_path: Path
) -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not on the PATH: the file was only read as YAML")
    required = [name for name, (is_comment, value) in example.items() if not is_comment and not value]
    command = [program, "--file", str(COMPOSE), "--project-directory", str(tmp_path), "config"]
    path = {"PATH": os.environ["PATH"]}
    given = subprocess.run(command, env={**path, **dict.fromkeys(required, "x")}, capture_output=True, text=True)
    assert given.returncode == 0, given.stderr
    assert "ispeed:x@reports-db" in given.stdout
    for name in required:
        others = dict.fromkeys([other for other in required if other != name], "x")
        refused = subprocess.run(command, env={**path, **others}, capture_output=True, text=True)
        assert refused.returncode != 0
        assert name in refused.stderr
