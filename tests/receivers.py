"""Real receivers of notices on loopback: a mail server with STARTTLS and a login, and a chat that takes JSON."""

from __future__ import annotations

import email
import json
import logging
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ispeed.services import LOOPBACK, free_port

LOGIN, PASSWORD = "ispeed@so.example", "mat-khau/@bi-mat"


@dataclass
class MailServer:
    """What it got, in order, and the connection that leads to it, as `AIRFLOW_CONN_ISPEED_SMTP` has it."""

    port: int
    messages: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)

    @property
    def connection(self) -> str:
        extra = {"from_email": LOGIN, "ssl_context": "none"}
        login = {"login": LOGIN, "password": PASSWORD}
        return json.dumps({"conn_type": "smtp", "host": LOOPBACK, "port": self.port, **login, "extra": extra})

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        self.messages.append(email.message_from_bytes(envelope.content, policy=default))  # type: ignore[arg-type]
        return "250 OK"


@contextmanager
def mail_server(folder: Path) -> Iterator[MailServer]:
    """A mail server that takes nothing without STARTTLS and the login."""
    received = MailServer(free_port())

    def check(server: Any, session: Any, envelope: Any, mechanism: str, login: Any) -> AuthResult:
        known = LoginPassword(LOGIN.encode(), PASSWORD.encode())
        return AuthResult(success=login == known, handled=False)

    controller = Controller(
        received,
        hostname=LOOPBACK,
        port=received.port,
        tls_context=_own_certificate(folder),
        require_starttls=True,
        authenticator=check,
        auth_required=True,
    )
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    controller.start()
    try:
        yield received
    finally:
        controller.stop()


@dataclass
class Chat:
    """What it got, in order, and the connection that leads to it; `status` is what it answers."""

    port: int = 0
    messages: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200

    @property
    def connection(self) -> str:
        return json.dumps({"conn_type": "apprise", "password": f"json://{LOOPBACK}:{self.port}/notices"})


@contextmanager
def chat_server() -> Iterator[Chat]:
    chat = Chat()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802
            chat.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer()

        def do_GET(self) -> None:  # noqa: N802
            chat.messages.append({"path": self.path})
            self._answer()

        def _answer(self) -> None:
            self.send_response(chat.status)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    chat.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield chat
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _own_certificate(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "mail-server.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
