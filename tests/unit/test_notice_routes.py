"""Notices through a real mail server (STARTTLS, login) and to a chat; what goes wrong is logged and never raised."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ispeed import notice_routes
from ispeed.errors import UserError
from ispeed.notice import notice
from ispeed.notice_routes import Connection, Routes, connection_of_environment
from ispeed.services import free_port
from receivers import LOGIN, PASSWORD, Chat, MailServer, chat_server, mail_server

TOLD = notice("[i-Speed] Tháng 10/2024: lỗi", {"Tháng": "10/2024", "Vị trí": "file @a.csv"}, environment={})


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[MailServer]:
    with mail_server(tmp_path) as server:
        yield server


@pytest.fixture
def chat() -> Iterator[Chat]:
    with chat_server() as server:
        yield server


def routes(environment: dict[str, str]) -> Routes:
    def connection(name: str) -> Connection:
        return connection_of_environment(name, environment)

    return Routes.from_environment(connection, environment)


def test_a_mail_arrives_as_text_and_html_at_everybody(mail: MailServer) -> None:
    environment = {"ISPEED_MAIL_TO": "a@x.vn, b@x.vn", "AIRFLOW_CONN_ISPEED_SMTP": mail.connection}
    assert routes(environment).send(TOLD) is True
    (message,) = mail.messages
    assert mail.envelopes == [(LOGIN, ["a@x.vn", "b@x.vn"])]
    assert (message["Subject"], message["From"], message["To"]) == (TOLD.title, LOGIN, "a@x.vn, b@x.vn")
    assert message["Auto-Submitted"] == "auto-generated"
    plain, page = message.iter_parts()
    assert (plain.get_content_type(), plain.get_content().replace("\r\n", "\n")) == ("text/plain", TOLD.text)
    assert (page.get_content_type(), page.get_content().replace("\r\n", "\n")) == ("text/html", TOLD.html)


def test_a_connection_is_read_as_an_address_too(mail: MailServer) -> None:
    address = f"smtp://{LOGIN.replace('@', '%40')}:mat-khau%2F%40bi-mat@127.0.0.1:{mail.port}/?ssl_context=none"
    assert routes({"ISPEED_MAIL_TO": "a@x.vn", "AIRFLOW_CONN_ISPEED_SMTP": address}).send(TOLD) is True
    assert len(mail.messages) == 1


def test_a_chat_gets_title_and_text(chat: Chat) -> None:
    assert routes({"ISPEED_CHAT": "1", "AIRFLOW_CONN_ISPEED_CHAT": chat.connection}).send(TOLD) is True
    (message,) = chat.messages
    assert message["title"] == TOLD.title
    assert message["message"] == TOLD.chat_text.rstrip("\n")
    assert "@a.csv" not in message["message"]


def test_the_form_of_airflows_apprise_provider_is_read_too(chat: Chat) -> None:
    config = {"path": f"json://127.0.0.1:{chat.port}/", "tag": "alerts"}
    for extra in ({"config": config}, {"config": [config]}):
        connection = json.dumps({"conn_type": "apprise", "extra": extra})
        assert routes({"ISPEED_CHAT": "1", "AIRFLOW_CONN_ISPEED_CHAT": connection}).send(TOLD) is True
    assert len(chat.messages) == 2


def test_one_route_that_fails_does_not_stop_the_other(
    mail: MailServer, chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    chat.status = 500
    environment = {
        "ISPEED_MAIL_TO": "a@x.vn",
        "ISPEED_CHAT": "1",
        "AIRFLOW_CONN_ISPEED_SMTP": mail.connection,
        "AIRFLOW_CONN_ISPEED_CHAT": chat.connection,
    }
    assert routes(environment).send(TOLD) is True
    assert len(mail.messages) == 1
    assert "did not go out by chat" in caplog.text


WRONG_PASSWORD = {"login": LOGIN, "password": "wrong-one"}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"port": 1}, "Connection refused"),
        (WRONG_PASSWORD, "SMTPAuthenticationError"),
        ({"extra": {"from_email": LOGIN}}, "certificate verify failed"),
        ({"host": None}, "needs a host"),
        ({"login": None, "password": None, "extra": {}}, "as from_email"),
        ({"host": "mail.example", "extra": {"from_email": LOGIN, "disable_tls": True}}, "not sent in the open"),
    ],
    ids=["nobody listens", "wrong password", "unknown certificate", "no host", "no sender", "password in the open"],
)
def test_what_goes_wrong_is_logged_with_what_to_do_and_without_the_password(
    mail: MailServer, changed: dict[str, object], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    connection = json.dumps({**json.loads(mail.connection), **changed})
    assert routes({"ISPEED_MAIL_TO": "a@x.vn", "AIRFLOW_CONN_ISPEED_SMTP": connection}).send(TOLD) is False
    assert mail.messages == []
    assert told in caplog.text
    assert "What to do: look at the connection ispeed_smtp" in caplog.text
    assert PASSWORD not in caplog.text
    assert "wrong-one" not in caplog.text


def test_a_connection_that_is_nowhere_or_spoilt_is_named_without_its_content(caplog: pytest.LogCaptureFixture) -> None:
    assert routes({"ISPEED_MAIL_TO": "a@x.vn"}).send(TOLD) is False
    assert "AIRFLOW_CONN_ISPEED_SMTP is not set" in caplog.text
    assert (
        routes({"ISPEED_MAIL_TO": "a@x.vn", "AIRFLOW_CONN_ISPEED_SMTP": '{"password": "hunter-22"'}).send(TOLD) is False
    )
    assert "AIRFLOW_CONN_ISPEED_SMTP is neither JSON nor an address" in caplog.text
    assert "hunter" not in caplog.text


def test_without_apprise_the_log_says_what_to_install(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    assert routes({"ISPEED_CHAT": "1", "AIRFLOW_CONN_ISPEED_CHAT": chat.connection}).send(TOLD) is False
    assert "pip install -r requirements-server.txt" in caplog.text


def test_nobody_is_told_where_nothing_is_set() -> None:
    assert routes({"ISPEED_MAIL_TO": " ", "ISPEED_CHAT": "0"}).send(TOLD) is False


@pytest.mark.parametrize("address", ["nobody", "a@x.vn\r\nBcc:b@x.vn <c>", "a@b@c"])
def test_an_address_that_is_none_is_a_user_error(address: str) -> None:
    with pytest.raises(UserError, match="ISPEED_MAIL_TO"):
        routes({"ISPEED_MAIL_TO": address})


def test_a_server_that_hangs_is_given_up_before_airflow_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 2 * notice_routes.TIMEOUT_SECONDS < 20, "Airflow's task_success_overtime"
    monkeypatch.setattr(notice_routes, "TIMEOUT_SECONDS", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", free_port()))
        silent.listen()
        connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": silent.getsockname()[1]}
        environment = {
            "ISPEED_MAIL_TO": "a@x.vn",
            "AIRFLOW_CONN_ISPEED_SMTP": json.dumps({**connection, "extra": {"from_email": LOGIN}}),
        }
        started = time.monotonic()
        assert routes(environment).send(TOLD) is False
        assert time.monotonic() - started < 5
