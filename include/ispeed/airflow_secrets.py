"""Secrets that Airflow keeps, for settings that name one: `ISPEED_DB=airflow:ispeed_reports` is a connection,
`ISPEED_DEVICE_KEY=airflow:ispeed_device_key` a variable. Airflow is imported only where a setting does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ispeed.errors import UserError

_CONTEXT: Final = "_AIRFLOW_PROCESS_CONTEXT"


def secret_of_airflow(setting: str, name: str) -> str:
    """The secret that a setting names, from where Airflow keeps it: a connection comes as SQLAlchemy's URL.

    A task asks its supervisor; Airflow's services and our commands ask the secrets backends and Airflow's database.
    Raises `UserError` where Airflow is not there, or has none of that name.
    """
    kind = "connection" if setting == "ISPEED_DB" else "variable"
    found, remedy = f"Airflow has no {kind} {name}", "add it there, or set the secret itself"
    try:
        with _asking():
            from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError

            try:
                secret = _url_of_connection(name) if kind == "connection" else _variable(name)
            except (AirflowNotFoundException, AirflowRuntimeError):
                secret = ""
    except ImportError:
        secret, found, remedy = "", "Airflow is not installed here", f"set the secret itself, or {setting}_FILE"
    if not secret:
        expected = f"a {kind} {name} in Airflow's secrets backend, its database, or the environment (AIRFLOW_…)"
        # Not with what Airflow said: it may quote.
        raise UserError(f"setting {setting}", found, expected, remedy) from None
    return secret


@contextmanager
def _asking() -> Iterator[None]:
    """What is no process of Airflow's asks as Airflow's own commands do: of its database too, in the project's home."""
    if "airflow" not in sys.modules:
        from ispeed.services import airflow_environment

        os.environ.update(airflow_environment())
    is_ours = _CONTEXT not in os.environ
    # In a task it does not count: there the supervisor is asked.
    os.environ.setdefault(_CONTEXT, "server")
    try:
        yield
    finally:
        if is_ours:
            del os.environ[_CONTEXT]


def _variable(name: str) -> str:
    from airflow.sdk import Variable

    return str(Variable.get(name) or "")


def _url_of_connection(name: str) -> str:
    from airflow.sdk import Connection
    from sqlalchemy import URL

    found = Connection.get(name)
    driver = "postgresql+psycopg2" if found.conn_type in ("postgres", "postgresql") else str(found.conn_type)
    options = {key: text for key, text in found.extra_dejson.items() if isinstance(text, str)}
    url = URL.create(driver, found.login, found.password, found.host, found.port, found.schema, options)
    return url.render_as_string(hide_password=False)
