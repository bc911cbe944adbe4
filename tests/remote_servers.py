"""Real servers for tests: OpenSSH's sshd, an S3, and a proxy that cuts the line; on loopback, each on a free port."""

from __future__ import annotations

import getpass
import json
import logging
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ispeed.services import LOOPBACK, free_port

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
S3_USER = {"login": "AKIAISPEEDTEST000000", "password": "a-secret-of-the-tests-0123456789"}
BUCKET = "ispeed"


class Proxy:
    """Passes bytes on to a port; after `cut_after` so many in one direction (`up`, `down`) it cuts the line."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self.cut_after: dict[str, int] = {}
        self.n_cut = self.n_open = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((LOOPBACK, self._target))
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.n_open += 1
                passing = [
                    threading.Thread(target=self._pass, args=(client, server, "up"), daemon=True),
                    threading.Thread(target=self._pass, args=(server, client, "down"), daemon=True),
                ]
                for thread in passing:
                    thread.start()
                threading.Thread(target=self._ended, args=(passing, client, server), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, direction: str) -> None:
        n_bytes = 0
        with suppress(OSError):
            while block := source.recv(1 << 16):
                n_bytes += len(block)
                if n_bytes > self.cut_after.get(direction, n_bytes):
                    self.n_cut += 1
                    break
                target.sendall(block)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _ended(self, ends: list[threading.Thread], *sockets: socket.socket) -> None:
        for end in ends:
            end.join()
        for one in sockets:
            one.close()
        self.n_open -= 1


@dataclass(frozen=True)
class Remote:
    """A folder on a server, as a test sees it from the other side, and the connection that reaches it."""

    scheme: str
    place: str
    connection: dict[str, Any]
    root: Path = Path()
    s3: Any = None
    secrets: tuple[str, ...] = ()
    port: int = 0
    files: Any = field(default=None)

    @property
    def uri(self) -> str:
        return f"{self.scheme}://ispeed_test@{self.place}"

    def below(self, name: str) -> Remote:
        return replace(self, place=f"{self.place}/{name}", root=self.root / name)

    def with_connection(self, **changed: Any) -> Remote:
        extra = self.connection["extra"] | changed.pop("extra", {})
        return replace(self, connection=self.connection | changed | {"extra": extra})

    def through(self, proxy: Proxy) -> Remote:
        """The same by way of the proxy."""
        if self.scheme == "sftp":
            return self.with_connection(port=proxy.port)
        return self.with_connection(extra={"endpoint_url": f"http://{LOOPBACK}:{proxy.port}"})

    def environment(self) -> dict[str, str]:
        return {"AIRFLOW_CONN_ISPEED_TEST": json.dumps(self.connection)}

    def write(self, path: str, content: bytes) -> None:
        if self.scheme == "s3":
            self.s3.put_object(Bucket=self._bucket, Key=self._key(path), Body=content)
        else:
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(content)

    def read(self, path: str) -> bytes:
        if self.scheme == "s3":
            content: bytes = self.s3.get_object(Bucket=self._bucket, Key=self._key(path))["Body"].read()
            return content
        return (self.root / path).read_bytes()

    def remove(self, path: str) -> None:
        if self.scheme == "s3":
            self.s3.delete_object(Bucket=self._bucket, Key=self._key(path))
        else:
            (self.root / path).unlink()

    def contents(self) -> dict[str, bytes]:
        """Every file there by its path."""
        if self.scheme == "s3":
            pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._key(""))
            keys = [item["Key"].removeprefix(self._key("")) for page in pages for item in page.get("Contents", [])]
        else:
            keys = [path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()]
        return {key: self.read(key) for key in sorted(keys)}

    def copy(self, folder: Path) -> None:
        """Put a local folder's files there."""
        for path in folder.rglob("*"):
            if path.is_file():
                self.write(path.relative_to(folder).as_posix(), path.read_bytes())

    @property
    def _bucket(self) -> str:
        return self.place.partition("/")[0]

    def _key(self, path: str) -> str:
        return f"{self.place.partition('/')[2]}/{path}"


@contextmanager
def sftp_server(folder: Path) -> Iterator[Remote]:
    """OpenSSH's server with a host key of its own, for this account with one key, and for SFTP only."""
    if SSHD is None:
        pytest.skip("no sshd: apt-get install openssh-server")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "root").mkdir()
    for name in ("host", "client", "stranger"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True)
    shutil.copy(folder / "client.pub", folder / "authorized_keys")
    port = free_port()
    config = {
        "Port": port,
        "ListenAddress": LOOPBACK,
        "HostKey": folder / "host",
        "PidFile": "none",
        "AuthorizedKeysFile": folder / "authorized_keys",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "MaxStartups": "100",
        "Subsystem": "sftp internal-sftp",
        # As on a server of a department: SFTP and no shell.
        "ForceCommand": "internal-sftp",
    }
    (folder / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in config.items()))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    try:
        _wait_for(port, process, folder / "sshd.log")
        private_key = (folder / "client").read_text()
        yield Remote(
            scheme="sftp",
            place=str(folder / "root"),
            connection={
                "conn_type": "sftp",
                "host": LOOPBACK,
                "port": port,
                "login": getpass.getuser(),
                "extra": {"private_key": private_key, "host_key": (folder / "host.pub").read_text()},
            },
            root=folder / "root",
            secrets=(private_key.splitlines()[2], private_key.splitlines()[3]),
            port=port,
            files=folder,
        )
    finally:
        process.terminate()
        process.wait()


@contextmanager
def s3_server() -> Iterator[Remote]:
    """Moto's S3 with one bucket; any key is let in until `guarded`."""
    moto_server = pytest.importorskip("moto.server", reason="no moto: requirements-dev.txt")
    import boto3

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto_server.ThreadedMotoServer(ip_address=LOOPBACK, port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    endpoint = f"http://{LOOPBACK}:{port}"
    keys = {"aws_access_key_id": S3_USER["login"], "aws_secret_access_key": S3_USER["password"]}
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
    s3.create_bucket(Bucket=BUCKET)
    try:
        yield Remote(
            scheme="s3",
            place=f"{BUCKET}/root",
            connection={
                "conn_type": "aws",
                **S3_USER,
                "extra": {"endpoint_url": endpoint, "region_name": "us-east-1"},
            },
            s3=s3,
            secrets=(S3_USER["password"],),
            port=port,
        )
    finally:
        server.stop()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(log.read_text())
