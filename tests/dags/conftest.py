"""An Airflow of its own for these tests: an empty home, and the project's DAGs.

Airflow reads its settings when it is first imported, hence at the top of this file and not in a fixture.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator

_HOME = tempfile.mkdtemp(prefix="ispeed-airflow-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
for _name in [name for name in os.environ if name.startswith(("AIRFLOW", "ISPEED_"))]:
    del os.environ[_name]
os.environ["ISPEED_VAR"] = _HOME

from ispeed.services import airflow_environment  # noqa: E402

os.environ.update(airflow_environment())

import pytest  # noqa: E402
import sqlalchemy as sa  # noqa: E402
from airflow.dag_processing.dagbag import DagBag  # noqa: E402
from airflow.models.dagrun import DagRun  # noqa: E402
from airflow.models.taskinstance import TaskInstance  # noqa: E402
from airflow.sdk import DAG  # noqa: E402
from airflow.utils.db import initdb  # noqa: E402
from airflow.utils.session import create_session  # noqa: E402

from ispeed.services import DAG_IDS  # noqa: E402
from ispeed.settings import PROJECT  # noqa: E402
from remote_servers import Remote, s3_server, sftp_server  # noqa: E402


@pytest.fixture(scope="session")
def dags() -> dict[str, DAG]:
    """The project's DAGs; a file that cannot be imported fails here."""
    bag = DagBag(PROJECT / "dags")
    assert bag.import_errors == {}
    return bag.dags


@pytest.fixture(scope="session")
def airflow_database() -> Iterator[None]:
    """Airflow's tables, for tests that run a DAG."""
    initdb()
    yield


@pytest.fixture
def airflow_runs(airflow_database: None) -> Iterator[sa.Engine]:
    """Airflow's database, without runs of our DAGs before and after."""

    def clear() -> None:
        with create_session() as session:
            session.execute(sa.delete(TaskInstance).where(TaskInstance.dag_id.in_(DAG_IDS)))
            session.execute(sa.delete(DagRun).where(DagRun.dag_id.in_(DAG_IDS)))

    clear()
    with create_session() as session:
        engine = session.get_bind()
    yield engine
    clear()


@pytest.fixture(scope="module")
def s3() -> Iterator[Remote]:
    with s3_server() as remote:
        yield remote


@pytest.fixture(scope="module")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    with sftp_server(tmp_path_factory.mktemp("sftp") / "server") as remote:
        yield remote
