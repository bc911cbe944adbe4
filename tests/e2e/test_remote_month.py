"""A month whose exports and registry lie on S3 and whose share is on SFTP, by the commands and on a real scheduler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ispeed.months import Month
from ispeed.sample import make_exports
from ispeed.services import airflow_environment
from ispeed.settings import INCLUDE
from ispeed.withdrawal import NOTE
from pipeline import more, settings_in
from remote_servers import Remote, s3_server, sftp_server

OCTOBER = Month(2024, 10)
SECONDS = 600


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """Exports without a mark that they are all there, so that the triggerer waits for them, and the registry."""
    made = settings_in(tmp_path_factory.mktemp("made"))
    make_exports(made, [OCTOBER], n_rows=400)
    with s3_server() as remote:
        (made.exports_of(OCTOBER) / ".done").unlink()
        remote.below("exports").copy(made.exports)
        remote.below("registry").copy(INCLUDE / "registry")
        yield remote


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Remote]:
    with sftp_server(tmp_path / "server") as remote:
        yield remote


@pytest.fixture
def environment(s3: Remote, share: Remote, tmp_path: Path) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "ISPEED_", "_AIRFLOW"))
    }
    return airflow_environment(
        {
            **kept,
            "ISPEED_VAR": str(tmp_path / "var"),
            "ISPEED_EXPORTS": s3.below("exports").uri,
            "ISPEED_REGISTRY": s3.below("registry").uri,
            "ISPEED_SHARE": share.uri.replace("ispeed_test", "ispeed_share"),
            "ISPEED_SETTLE_SECONDS": "3",
        }
    )


def run(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr + logs(environment)
    return done.stdout


def logs(environment: dict[str, str]) -> str:
    folder = Path(environment["ISPEED_VAR"])
    return "\n".join(log.read_text(errors="replace")[-4000:] for log in sorted(folder.rglob("*.log")))


def of_share(share: Remote) -> str:
    return json.dumps(share.connection)


def test_a_month_by_hand_and_its_withdrawal_with_connections_of_the_environment(
    environment: dict[str, str], s3: Remote, share: Remote
) -> None:
    environment |= {**s3.environment(), "AIRFLOW_CONN_ISPEED_SHARE": of_share(share)}
    told = run(environment, "ispeed", "month", "2024-10")
    assert "delivered    sftp://ispeed_share@" in told
    assert json.loads(share.read("2024-10/latest.json"))["revision"] == 1
    assert "0 files sent" in run(environment, "ispeed", "deliver")
    run(environment, "ispeed", "withdraw", "2024-10", "1", "mã giới thiệu sai")
    there = share.contents()
    assert f"2024-10/r1/{NOTE}" in there
    assert "2024-10/latest.json" not in there
    for secret in (*s3.secrets, *share.secrets):
        assert secret not in logs(environment)


@more
def test_a_backfill_and_the_commands_find_connections_that_only_airflow_has(
    environment: dict[str, str], s3: Remote, share: Remote
) -> None:
    run(environment, "airflow", "db", "migrate")
    for name, connection in (("ispeed_test", json.dumps(s3.connection)), ("ispeed_share", of_share(share))):
        run(environment, "airflow", "connections", "add", name, "--conn-json", connection)
    told = run(environment, "ispeed", "backfill", "2024-10", "2024-10")
    assert "1 of 1 months done" in told
    assert json.loads(share.read("2024-10/latest.json"))["revision"] == 1
    waited = [log for log in Path(environment["AIRFLOW_HOME"]).rglob("*.log") if "wait_for_export" in str(log)]
    assert any("unchanged for 3 seconds" in log.read_text() for log in waited)
    assert "unchanged: nothing new was published" in run(environment, "ispeed", "month", "2024-10")
    assert "unchanged: version 1 stands" in run(environment, "ispeed", "sync", "--dry-run")
    assert "0 files sent" in run(environment, "ispeed", "deliver")
    for secret in (*s3.secrets, *share.secrets):
        assert secret not in logs(environment)
