"""The Docker set-up asks for its secrets, gives each service what it needs and no more, and tells of every setting."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from ispeed.settings import PROJECT, Settings
from topology import COMPOSE, SETTING, VARIABLE, image_environment, read_compose, read_example

AIRFLOW_SERVICES = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")
ONCE = ("airflow-init", "tools")
MORE_MACHINES = PROJECT / "deploy" / "more-machines.yaml"
# Where the file has a fixed place, or an address made of a password.
FIXED = {"ISPEED_VAR": "/data", "ISPEED_LAKE": "/data/lake", "ISPEED_DB": None}
CONCURRENCY = "AIRFLOW__CELERY__WORKER_CONCURRENCY"
SECRET = re.compile("PASSWORD|SECRET|KEY|TOKEN")
# Not for those who only show what is there, though nothing has to be set.
CONFIDENTIAL = re.compile(f"{SECRET.pattern}|HEARTBEAT_URL|_CONN_")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return read_compose()


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


@pytest.fixture(scope="module")
def example() -> dict[str, tuple[bool, str]]:
    return read_example()


def files_text() -> str:
    return COMPOSE.read_text(encoding="utf-8") + MORE_MACHINES.read_text(encoding="utf-8")


def test_airflow_runs_on_celery_and_postgresql_with_people_who_log_in(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == {"postgres", "redis", "watch", "cleaner", *ONCE, *AIRFLOW_SERVICES}
    for name in (*ONCE, *AIRFLOW_SERVICES):
        environment = services[name]["environment"]
        assert environment["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
        assert environment["AIRFLOW__CORE__AUTH_MANAGER"].endswith(".FabAuthManager")
        assert "@postgres/reports" in environment["ISPEED_DB"]


def test_every_lasting_service_tells_whether_it_is_well_and_comes_back(services: dict[str, dict[str, Any]]) -> None:
    assert tuple(name for name, service in services.items() if "healthcheck" not in service) == ONCE
    assert {name: service["restart"] for name, service in services.items()} == {
        name: "no" if name in ONCE else "unless-stopped" for name in services
    }


def test_no_service_may_more_than_it_needs(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}, name
        # The image's own user, else one that is named.
        assert service["image"] == "ispeed-airflow" or service["user"] not in ("root", "0"), name
        assert "mem_limit" in service or name == "tools", name


def test_databases_and_queue_are_reached_from_inside_only(compose: dict[str, Any]) -> None:
    services, networks = compose["services"], compose["networks"]
    assert [name for name, service in services.items() if "ports" in service] == ["api-server"]
    assert all(port.startswith("127.0.0.1:") for port in services["api-server"]["ports"]), "this machine's alone"
    for name in ("postgres", "redis"):
        assert all(networks[network]["internal"] for network in services[name]["networks"])
    assert {name for name, service in services.items() if "queue" in service.get("networks", ())} == {
        "redis",
        "scheduler",
        "worker",
    }


def test_what_lasts_lies_in_named_volumes_and_is_written_only_where_it_must(compose: dict[str, Any]) -> None:
    def written(service: str) -> set[str]:
        return {volume.split(":")[-1] for volume in compose["services"][service]["volumes"] if volume[-3:] != ":ro"}

    assert written("postgres") == {"/var/lib/postgresql/data"}
    for service in ("api-server", "scheduler", "triggerer"):
        assert written(service) == {"/var/lib/airflow/logs"}
    # It tells of tasks whose worker is gone, and notes there that it did.
    assert written("dag-processor") == {"/var/lib/airflow/logs", "/data/lake"}
    assert written("watch") == {"/data/lake"}
    assert written("airflow-init") == {"/data/registry"}
    assert written("worker") & {"/data/exports", "/data/registry", "/data/boundaries"} == set()
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            name = VARIABLE.sub(lambda match: match[3], volume).split(":")[0]
            assert name in compose["volumes"] or (PROJECT / name).is_file()


def test_a_worker_has_room_for_its_tasks(services: dict[str, dict[str, Any]]) -> None:
    tasks = int(VARIABLE.sub(lambda match: match[3], services["worker"]["environment"][CONCURRENCY]))
    gigabytes = VARIABLE.sub(lambda match: match[3], services["worker"]["mem_limit"])
    assert int(gigabytes.removesuffix("g")) * 2**30 >= tasks * (Settings.memory_bytes + 10**9) + 10**9


def test_no_secret_has_a_default(example: dict[str, tuple[bool, str]]) -> None:
    secrets = {(name, how) for name, how, _ in VARIABLE.findall(files_text()) if SECRET.search(name)}
    assert {how for _, how in secrets} == {":?"}
    assert {example[name] for name, _ in secrets} == {(False, "")}
    assert {name for name, _ in secrets} == {name for name, given in example.items() if given == (False, "")}


def test_no_password_is_written_into_the_file(services: dict[str, dict[str, Any]]) -> None:
    n_found = 0
    for service in services.values():
        for name, value in service["environment"].items():
            if SECRET.search(name) and value != "only those who work on the months have it":
                assert VARIABLE.fullmatch(value), name
            for password in re.findall(r"://\w*:([^@]*)@", str(value)):
                assert VARIABLE.fullmatch(password), name
                n_found += 1
    assert n_found > len(AIRFLOW_SERVICES)


def test_every_setting_stands_in_the_example(example: dict[str, tuple[bool, str]]) -> None:
    read = {name for name, _, _ in VARIABLE.findall(files_text())}
    for module in (PROJECT / "include" / "ispeed").rglob("*.py"):
        read.update(re.findall(r"""["'](ISPEED_[A-Z_]+)["']""", module.read_text(encoding="utf-8")))
    assert {"ISPEED_EXPORTS", "ISPEED_DEVICE_KEY", "ISPEED_WAIT_SECONDS"} <= read
    assert read - set(example) == set()


def test_the_example_tells_of_no_setting_that_nothing_reads(example: dict[str, tuple[bool, str]]) -> None:
    modules = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / "include" / "ispeed").rglob("*.py"))
    assert [name for name in example if f"{name}" not in modules + files_text()] == []


@pytest.mark.parametrize("service", [*AIRFLOW_SERVICES, *ONCE])
def test_every_setting_of_ours_in_env_reaches_the_services(
    service: str, services: dict[str, dict[str, Any]], example: dict[str, tuple[bool, str]]
) -> None:
    environment = services[service]["environment"]
    works_on_months = service in ("worker", *ONCE)
    # A file in place of a value: here the file of settings has the value itself.
    for name in (name for name in example if name.startswith("ISPEED_") and not name.endswith("_FILE")):
        if name in FIXED:
            assert environment[name] == FIXED[name] or FIXED[name] is None
        elif not CONFIDENTIAL.search(name) or works_on_months:
            block = "x-pipeline" if CONFIDENTIAL.search(name) else "x-settings"
            assert environment.get(name, "").startswith(f"${{{name}:"), f"add {name} to {block} of docker-compose.yaml"
        else:
            assert not VARIABLE.search(environment.get(name, "")), f"{service} has no use for {name}"


def test_what_is_left_empty_is_as_if_it_were_not_set() -> None:
    names = {name for name in read_example() if name.startswith("ISPEED_")}
    assert Settings.from_environment(
        dict.fromkeys(names, "") | {"ISPEED_DEVICE_KEY": "k"}
    ) == Settings.from_environment({"ISPEED_DEVICE_KEY": "k"})


def test_the_image_has_pinned_packages_compiled_and_no_root() -> None:
    text = (PROJECT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [re.sub(r" +", " ", line) for line in text.splitlines()]
    assert "FROM python:3.12-slim-trixie" in lines
    (install,) = [line for line in lines if line.startswith("RUN pip")]
    assert "--compile --requirement requirements.txt --requirement requirements-server.txt" in install
    assert [line for line in lines if line.startswith("USER")][-1] == "USER airflow"
    assert image_environment()["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    ignored = (PROJECT / ".dockerignore").read_text().split()
    copied = [name.rstrip("/") for line in lines if line.startswith("COPY") for name in line.split()[1:-1]]
    assert {f"!{name}" for name in copied} <= set(ignored)
    assert ignored[0] == "*", ".env and var/ stay out of the image"


def test_pg_dump_in_the_image_is_as_new_as_the_server(services: dict[str, dict[str, Any]]) -> None:
    version = services["postgres"]["image"].removeprefix("postgres:")
    assert f"postgresql-client-{version}" in (PROJECT / "Dockerfile").read_text()


def docker_compose(folder: Path, *files: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not on the PATH: the file was only read as YAML")
    command = [program, *(option for file in files for option in ("--file", str(file)))]
    command += ["--project-directory", str(folder), "config"]
    return subprocess.run(command, env={"PATH": os.environ["PATH"], **environment}, capture_output=True, text=True)


def test_docker_compose_takes_the_file_once_the_secrets_are_given(
    example: dict[str, tuple[bool, str]], tmp_path: Path
) -> None:
    required = [name for name, (is_comment, value) in example.items() if not is_comment and not value]
    given = docker_compose(tmp_path, COMPOSE, **dict.fromkeys(required, "x"))
    assert given.returncode == 0, given.stderr
    assert "ispeed:x@postgres/reports" in given.stdout
    for name in required:
        others = dict.fromkeys([other for other in required if other != name], "x")
        refused = docker_compose(tmp_path, COMPOSE, **others)
        assert refused.returncode != 0
        assert name in refused.stderr


def test_further_machines_reach_the_first_by_one_address(example: dict[str, tuple[bool, str]], tmp_path: Path) -> None:
    given = dict.fromkeys([name for name, (is_comment, value) in example.items() if not (is_comment or value)], "x")
    refused = docker_compose(tmp_path, COMPOSE, MORE_MACHINES, **given)
    assert refused.returncode != 0
    assert "FIRST_MACHINE" in refused.stderr
    made = docker_compose(tmp_path, COMPOSE, MORE_MACHINES, FIRST_MACHINE="10.0.0.5", **given)
    assert made.returncode == 0, made.stderr
    services = yaml.safe_load(made.stdout)["services"]
    ports = {name: [str(port) for port in service.get("ports", [])] for name, service in services.items()}
    assert "10.0.0.5:5432" in ports["postgres"][0]
    assert "10.0.0.5:6379" in ports["redis"][0]
    assert [port.split(":8080")[0].split("/")[0] for port in ports["api-server"]] == ["127.0.0.1", "10.0.0.5"]
    for name in ("postgres", "redis", "api-server"):
        assert re.search(rf"{name}[:=]\W*10\.0\.0\.5", str(services["worker"]["extra_hosts"]).replace("': '", ":"))


def test_the_lines_of_the_first_deployment_fill_in_whatever_is_empty(tmp_path: Path) -> None:
    page = (PROJECT / "docs" / "deployment.md").read_text(encoding="utf-8")
    first = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)[0]
    shutil.copy(PROJECT / ".env.example", tmp_path)
    subprocess.run(["sh", "-ec", first], cwd=tmp_path, check=True)
    filled = {name: value for mark, name, value in SETTING.findall((tmp_path / ".env").read_text()) if not mark}
    assert "" not in filled.values()
    assert len(set(filled.values())) == len(filled), "no two alike"
    Fernet(filled["AIRFLOW__CORE__FERNET_KEY"])
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    made = docker_compose(tmp_path, COMPOSE, **filled)
    assert made.returncode == 0, made.stderr
