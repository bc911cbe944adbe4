"""VNNIC's site on loopback, as a test wants it to answer: well, in another form, or not at all."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

Behaviour = Literal["whole", "cut", "silent", "trickle", "endless", "hang_up"]


@dataclass(frozen=True)
class Reply:
    """What is sent, and how: `cut` half of it, `silent` never, `trickle` byte by byte, `endless` again and again."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    how: Behaviour = "whole"


def place(code: str, value: Any, download: Any, upload: Any, ping: Any, jitter: Any) -> dict[str, Any]:
    """One place in the form of the site's answers."""
    return {"code": code, "value": value, "download": download, "upload": upload, "ping": ping, "jitter": jitter}


def listed(*places: Any) -> Reply:
    return Reply(json.dumps(places, separators=(",", ":")).encode(), headers={"Content-Type": "application/json"})


@dataclass
class Site:
    """A running site. `answer` gives the reply to (network as the site calls it, cityId); `asked` is what was asked."""

    url: str = ""
    answer: Callable[[str, str], Reply] = lambda network, place: Reply(status=404)
    asked: list[str] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    closed: threading.Event = field(default_factory=threading.Event)


@contextmanager
def running_site(certificate: Path | None = None) -> Iterator[Site]:
    """A site of its own on a free port of this machine; with a certificate (and its key, one file) by https."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            site.agents.add(self.headers.get("User-Agent", ""))
            parts = urlsplit(self.path)
            network = parts.path.removeprefix("/i-speed/").split("/")[0]
            self._send(site.answer(network, parse_qs(parts.query).get("cityId", [""])[0]))

        def _send(self, reply: Reply) -> None:
            if reply.how == "hang_up":
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.how != "endless":
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            try:
                match reply.how:
                    case "whole":
                        self.wfile.write(reply.body)
                    case "cut":
                        self.wfile.write(reply.body[: len(reply.body) // 2])
                    case "silent":
                        site.closed.wait()
                    case "trickle":
                        for byte in reply.body:
                            self.wfile.write(bytes([byte]))
                            if site.closed.wait(0.05):
                                return
                    case _:
                        while not site.closed.is_set():
                            self.wfile.write(reply.body)
            except OSError:
                pass

        def handle(self) -> None:
            # A client that breaks off is part of what is tested.
            with suppress(OSError):
                super().handle()

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # The handshake is made by the thread of the request, so that a refused one ends only that.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    site.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}/i-speed"
    try:
        yield site
    finally:
        site.closed.set()
        server.shutdown()
        server.server_close()
        thread.join()
