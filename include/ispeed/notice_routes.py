"""The ways a notice takes: e-mail and a chat, each off unless it is configured."""

from __future__ import annotations

import json
import logging
import os
import re
import smtplib
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime, localtime, make_msgid
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from ispeed.errors import UserError
from ispeed.notice import Notice, secrets_of, without_secrets

log = logging.getLogger(__name__)

# Of the environment: AIRFLOW_CONN_ISPEED_SMTP and AIRFLOW_CONN_ISPEED_CHAT.
MAIL_CONNECTION: Final = "ispeed_smtp"
CHAT_CONNECTION: Final = "ispeed_chat"
# Airflow ends a process that goes on for 20 seconds after its task has ended (task_success_overtime).
TIMEOUT_SECONDS: Final = 6.0
_ADDRESS: Final = re.compile(r"[^\s@,;<>\"]+@[^\s@,;<>\"]+")


class Connection(Protocol):
    """What is used of Airflow's connections."""

    @property
    def host(self) -> str | None: ...
    @property
    def port(self) -> int | None: ...
    @property
    def login(self) -> str | None: ...
    @property
    def password(self) -> str | None: ...
    @property
    def extra_dejson(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Routes:
    """Where notices go. `connection` gives Airflow's connection of an id; it is asked only for a route that is on."""

    mail_to: tuple[str, ...]
    uses_chat: bool
    connection: Callable[[str], Connection]

    @classmethod
    def from_environment(
        cls,
        connection: Callable[[str], Connection],
        environment: Mapping[str, str] = os.environ,
        addresses: str = "ISPEED_MAIL_TO",
    ) -> Routes:
        """As `.env.example` tells; `addresses` names the setting that has them. Raises `UserError` for a bad one."""
        mail_to = tuple(filter(None, re.split(r"[\s,;]+", environment.get(addresses) or "")))
        for address in mail_to:
            if not _ADDRESS.fullmatch(address):
                raise UserError(f"setting {addresses}", repr(address), "addresses such as a@b.vn, c@d.vn", "correct it")
        return cls(mail_to, (environment.get("ISPEED_CHAT") or "0") != "0", connection)

    def send(self, notice: Notice) -> bool:
        """Send by every route; whether one of them took it. What goes wrong is logged with what to do, not raised."""
        ways: list[tuple[str, Callable[[Notice], None], str]] = []
        if self.mail_to:
            ways.append(("e-mail", self._mail, MAIL_CONNECTION))
        if self.uses_chat:
            ways.append(("chat", self._chat, CHAT_CONNECTION))
        taken = False
        for name, way, connection in ways:
            try:
                way(notice)
            except Exception as error:
                log.error(
                    "The notice “%s” did not go out by %s: %s: %s. No task's state is touched by this. What to do: "
                    "look at the connection %s (docs/notifications.md), and at the host that it names.",
                    notice.title,
                    name,
                    type(error).__name__,
                    without_secrets(str(error), tuple(secrets_of(os.environ))),
                    connection,
                )
            else:
                log.info("Told by %s: %s", name, notice.title)
                taken = True
        return taken

    def _mail(self, notice: Notice) -> None:
        connection = self.connection(MAIL_CONNECTION)
        extra = connection.extra_dejson
        sender = str(extra.get("from_email") or connection.login or "")
        if not connection.host or not _ADDRESS.fullmatch(sender):
            raise ValueError(f"connection {MAIL_CONNECTION} needs a host, and an address as from_email in its extra")
        if connection.login and extra.get("disable_tls") and not _is_here(connection.host):
            raise ValueError(
                f"connection {MAIL_CONNECTION} has a login and disable_tls: a password is not sent in the open"
            )
        message = mail_of(notice, sender, self.mail_to)
        context = ssl.create_default_context()
        if extra.get("ssl_context") == "none":
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        port = connection.port or 587
        # The name that greets the server is given: looking it up can take longer than there is time.
        greeting = sender.rpartition("@")[2]
        with (
            smtplib.SMTP_SSL(connection.host, port, greeting, timeout=TIMEOUT_SECONDS, context=context)
            if port == 465
            else smtplib.SMTP(connection.host, port, greeting, timeout=TIMEOUT_SECONDS)
        ) as server:
            if port != 465 and not extra.get("disable_tls"):
                server.starttls(context=context)
            if connection.login and connection.password:
                server.login(connection.login, connection.password)
            server.send_message(message)

    def _chat(self, notice: Notice) -> None:
        try:
            import apprise
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("apprise is not installed: pip install -r requirements-server.txt") from error
        connection = self.connection(CHAT_CONNECTION)
        config = connection.extra_dejson.get("config") or []
        services = [service["path"] for service in ([config] if isinstance(config, dict) else config)]
        services += [connection.password] if connection.password else []
        chat = apprise.Apprise()
        if not services or not chat.add(services):
            raise ValueError(
                f"connection {CHAT_CONNECTION} needs addresses of Apprise, such as mmosts://…, in config or password"
            )
        # The provider's hook does not tell whether it was taken.
        if not chat.notify(notice.chat_text, notice.title, body_format=apprise.NotifyFormat.TEXT):
            raise ConnectionError("the service did not take it")


@dataclass(frozen=True)
class EnvironmentConnection:
    """A connection as the environment has it."""

    host: str | None
    port: int | None
    login: str | None
    password: str | None = field(repr=False)
    extra_dejson: Mapping[str, Any] = field(repr=False)


def connection_of_environment(name: str, environment: Mapping[str, str] = os.environ) -> Connection:
    """Airflow's connection as `AIRFLOW_CONN_<NAME>` has it, JSON or an address, with nothing of Airflow there.

    Raises `LookupError` where it is not set, and `ValueError` where it cannot be read.
    """
    variable = f"AIRFLOW_CONN_{name.upper()}"
    text = environment.get(variable, "").strip()
    if not text:
        raise LookupError(f"{variable} is not set; a connection in Airflow's database is not read from here")
    try:
        return _of_json(json.loads(text)) if text.startswith("{") else _of_address(text)
    except (ValueError, AttributeError, TypeError) as error:
        # What it says may quote the password.
        raise ValueError(f"{variable} is neither JSON nor an address ({type(error).__name__})") from None


def _of_json(told: Mapping[str, Any]) -> EnvironmentConnection:
    extra = told.get("extra") or {}
    return EnvironmentConnection(
        host=told.get("host"),
        port=int(told["port"]) if told.get("port") else None,
        login=told.get("login"),
        password=told.get("password"),
        extra_dejson=json.loads(extra) if isinstance(extra, str) else dict(extra),
    )


def _of_address(text: str) -> EnvironmentConnection:
    parts = urlsplit(text)
    if not parts.scheme:
        raise ValueError("no address")
    query = dict(parse_qsl(parts.query))
    return EnvironmentConnection(
        host=unquote(parts.hostname or "") or None,
        port=parts.port,
        login=unquote(parts.username or "") or None,
        password=unquote(parts.password or "") or None,
        extra_dejson=json.loads(query["__extra__"]) if "__extra__" in query else query,
    )


def mail_of(notice: Notice, sender: str, to: Sequence[str]) -> MIMEMultipart:
    """The e-mail of a notice: plain text, and the same as HTML. No header can be made of what the notice says."""
    message = MIMEMultipart("alternative")
    # Not by EmailMessage: it loses spaces where a long Vietnamese subject goes on in a second line (Python 3.11).
    message["Subject"] = Header(notice.title, "utf-8")  # type: ignore[assignment]
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Date"] = format_datetime(localtime())
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    # So that nobody's absence note answers.
    message["Auto-Submitted"] = "auto-generated"
    message.attach(MIMEText(notice.text, "plain", "utf-8"))
    message.attach(MIMEText(notice.html, "html", "utf-8"))
    return message


def _is_here(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"
