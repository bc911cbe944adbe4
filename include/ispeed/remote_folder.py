"""A folder on SFTP or S3, reached by one of Airflow's connections: what lies in it, read and written a file at a time.

The one place that makes an address a file system. Airflow is imported there when a folder is opened, and only then.
"""

from __future__ import annotations

import base64
import binascii
import errno
import logging
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from ispeed.errors import RemoteFault, UserError
from ispeed.settings import ADDRESS

BLOCK_BYTES: Final = 8 << 20
_UNFINISHED: Final = ".ispeed-new-"
_CONNECT_SECONDS: Final = 30
# A line that fell silent is given up after 4 × 15 seconds.
_KEEPALIVE: Final = {"keepalive_interval": 15, "keepalive_count_max": 4}


@dataclass(frozen=True)
class RemoteEntry:
    """What a listing says of one name. `kind` is file, directory, link or other; `version` an object store's ETag."""

    name: str
    kind: str
    size: int
    modified_ns: int
    version: str


class RemoteFolder:
    """An address of the settings, connected within a `with` block. Paths are relative to it, with slashes.

    Every method raises `UserError` where key, host key, bucket or permission are wrong, and `RemoteFault` where the
    other side does not answer; both name the connection, neither tells a secret.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        match = ADDRESS.fullmatch(uri)
        assert match, "an address of the settings"
        self._scheme, self._connection, root = (part for part in match.groups() if part)
        self._root = root.rstrip("/")
        self._fs: Any = None

    def __enter__(self) -> Self:
        with self._told(self.uri):
            self._fs = self._connected()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._scheme == "sftp":
            # Not left to the garbage collector: who waits for an export looks every minute, for days.
            self._fs.loop.call_soon_threadsafe(self._fs.client.close)
        self._fs = None

    def entries(self, below: str = "") -> tuple[RemoteEntry, ...]:
        """What lies in the folder or one below it, by name; nothing where there is none.

        Names are as the server gives them, and may lead elsewhere.
        """
        path = self._path(below)
        with self._told(self.shown(below)):
            try:
                # S3 would tell from memory what it told before.
                found = self._fs.ls(path or "/", detail=True, refresh=True)
            except FileNotFoundError as error:
                if _is_no_bucket(error):
                    raise
                if below and self._scheme == "sftp":
                    self.entries()
                elif self._scheme == "sftp":
                    raise UserError(
                        f"folder {self.uri}", "no such folder", "a folder that is there", "make it, or mend the setting"
                    ) from None
                return ()
        there = (_entry(info, path) for info in found if not _is_itself(info, path))
        return tuple(sorted(there, key=lambda entry: entry.name))

    def blocks(self, path: str) -> Iterator[bytes]:
        """A file's bytes, some megabytes at a time. Raises `FileNotFoundError` where it goes, or becomes another."""
        with self._told(self.shown(path)):
            file = self._fs.open(self._path(path), "rb", cache_type="none")
        try:
            while True:
                with self._told(self.shown(path)):
                    block = file.read(BLOCK_BYTES)
                if not block:
                    return
                yield block
        finally:
            # Where the line broke, that was told.
            with suppress(Exception):
                file.close()

    def read(self, path: str, most: int = 1 << 20) -> bytes | None:
        """A small file's bytes; None where there is none, or where it has more than `most`."""
        content = b""
        try:
            for block in self.blocks(path):
                content += block
                if len(content) > most:
                    return None
        except FileNotFoundError:
            return None
        return content

    def put(self, source: Path, path: str) -> None:
        """Write a file so that a reader sees the old one or the new one, never half; its size is looked at after."""
        target = self._path(path)
        with self._told(self.shown(path)):
            if self._scheme == "s3":
                self._fs.put_file(str(source), target)
            else:
                folder, _, name = target.rpartition("/")
                unfinished = f"{folder}/{_UNFINISHED}{name}"
                self._fs.put_file(str(source), unfinished)
                self._fs.mv(unfinished, target)
            size = self._fs.info(target, refresh=True)["size"]
        if size != source.stat().st_size:
            raise RemoteFault(
                self.shown(path), f"{size:,} bytes after the upload", f"{source.stat().st_size:,}", "run the task again"
            )

    def remove(self, path: str) -> None:
        """Remove a file, where it is there."""
        with self._told(self.shown(path)):
            try:
                self._fs.rm_file(self._path(path))
            except FileNotFoundError as error:
                if _is_no_bucket(error):
                    raise

    def remove_empty(self, below: str) -> None:
        """Remove a folder where nothing lies in it; S3 has no empty folders."""
        if self._scheme == "sftp" and not self.entries(below):
            with self._told(self.shown(below)):
                # Its rmdir does nothing at all; this one removes no folder that holds something.
                self._fs.rm(self._path(below), recursive=False)

    def shown(self, path: str) -> str:
        """The address of something in the folder, for messages."""
        return f"{self.uri}/{path}" if path else self.uri

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    def _connected(self) -> Any:
        try:
            from airflow.sdk import Connection
            from airflow.sdk.exceptions import AirflowNotFoundException
            from airflow.sdk.io import get_fs
        except ImportError:
            raise self._not_installed() from None
        try:
            connection = Connection.get(self._connection)
        except AirflowNotFoundException:
            raise UserError(
                f"connection {self._connection}, for {self.uri}",
                "no connection of that id",
                "one of Airflow's connections",
                f"add it in Airflow, or set AIRFLOW_CONN_{self._connection.upper()}",
            ) from None
        try:
            # Airflow's path objects have no way to hand these options on, and without them verify no host key.
            options = (self._ssh_options if self._scheme == "sftp" else self._s3_options)(connection)
            return get_fs(self._scheme, self._connection, options)
        except ImportError:
            raise self._not_installed() from None
        except ValueError as error:
            if "No filesystem registered" in str(error):
                raise self._not_installed() from None
            raise

    def _ssh_options(self, connection: Any) -> dict[str, Any]:
        """What the provider leaves out: the host's key, keys as text, and limits; nothing of this account's set-up."""
        import asyncssh

        # It would tell a dozen lines of each connection.
        asyncssh.set_log_level(logging.WARNING)
        extra: Mapping[str, Any] = connection.extra_dejson
        if str(extra.get("no_host_key_check", "")).lower() == "true":
            raise UserError(
                f"connection {self._connection}, for {self.uri}",
                "no_host_key_check: whoever answers in the server's place would be believed",
                "the server's key as host_key",
                "take it out, and give host_key as ssh-keyscan prints it, once the server's administrator confirms it",
            )
        passphrase = extra.get("private_key_passphrase")
        try:
            keys = [asyncssh.import_private_key(extra["private_key"], passphrase)] if extra.get("private_key") else []
            if extra.get("key_file"):
                keys.append(asyncssh.read_private_key(extra["key_file"], passphrase))
        except (OSError, ValueError, asyncssh.KeyEncryptionError):
            # What they say may quote the key.
            raise UserError(
                f"connection {self._connection}, for {self.uri}",
                "a private key that cannot be read",
                "private_key as text or key_file as a path, and private_key_passphrase where it has one",
                "correct the connection",
            ) from None
        return {
            # Without a key of its own, what the account that runs this knows: ~/.ssh/known_hosts.
            "known_hosts": _known_host(self._connection, str(extra["host_key"])) if extra.get("host_key") else (),
            "client_keys": keys or None,
            "agent_path": None,
            "config": None,
            "connect_timeout": _CONNECT_SECONDS,
            "login_timeout": _CONNECT_SECONDS,
            **_KEEPALIVE,
            # A name that is not UTF-8 is to be told of, not to hide the others.
            "sftp_client_kwargs": {"path_errors": "surrogateescape"},
            # A connection that broke must not come back.
            "skip_instance_cache": True,
        }

    @staticmethod
    def _s3_options(connection: Any) -> dict[str, Any]:
        """What botocore is told besides. s3fs tries five times by itself: not each of them five times, for minutes."""
        given = connection.extra_dejson.get("config_kwargs") or {}
        return {"retries": given.get("retries") or {"max_attempts": 0}}

    def _not_installed(self) -> UserError:
        return UserError(
            f"folder {self.uri}",
            f"Python packages for {self._scheme}:// that are not installed",
            "the packages of requirements-server.txt",
            "pip install -r requirements-server.txt",
        )

    @contextmanager
    def _told(self, where: str) -> Iterator[None]:
        """Turn what the libraries raise into an error that tells what to do; `FileNotFoundError` is for the caller."""
        try:
            yield
        except (UserError, RemoteFault):
            raise
        except FileNotFoundError as error:
            if not _is_no_bucket(error):
                raise
            raise UserError(
                f"{where} (connection {self._connection})",
                "no such bucket",
                "a bucket that is there",
                "have it made, or correct the setting; the connection's endpoint_url may also be another one's",
            ) from None
        except Exception as error:
            # The libraries' own errors stay out of the log's chain: one may quote what it was given.
            raise self._error(where, error) from None

    def _error(self, where: str, error: Exception) -> Exception:
        # By name: of two libraries only one may be there.
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if "FileExpired" in kinds:
            return FileNotFoundError(errno.ENOENT, "became another while it was read", where)
        where = f"{where} (connection {self._connection})"
        if "HostKeyNotVerifiable" in kinds:
            return UserError(
                where,
                f"a host key that is not known: {error}",
                "the key that the connection gives as host_key, or the account's ~/.ssh/known_hosts",
                "ask the server's administrator for its key; where it was changed on purpose, enter the new one",
            )
        if kinds & {"PermissionError", "SFTPPermissionDenied", "SFTPWriteProtect"}:
            return UserError(
                where,
                f"no permission: {str(error) or 'refused'}",
                "a login and key that the server takes, and the right to do this there",
                "correct the connection, or have the permissions given",
            )
        return RemoteFault(
            where,
            f"{type(error).__name__}: {error}",
            "a server that answers",
            "see that it is up and can be reached from here; the task is tried again by itself",
        )


def _is_no_bucket(error: FileNotFoundError) -> bool:
    answer = getattr(error.__cause__, "response", None) or {}
    return bool(answer.get("Error", {}).get("Code") == "NoSuchBucket")


def _known_host(connection: str, host_key: str) -> bytes:
    """The connection's `host_key` (`ssh-ed25519 AAAA…`, or `AAAA…` alone) as a line of known_hosts."""
    parts = host_key.split()
    key = next((part for part in parts if part.startswith("AAAA")), "")
    try:
        blob = base64.b64decode(key, validate=True)
        kind = blob[4 : 4 + int.from_bytes(blob[:4])].decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        kind = ""
    if not kind:
        raise UserError(
            f"connection {connection}",
            "a host_key that is none",
            "the server's public key: ssh-ed25519 AAAA…",
            "enter it as ssh-keyscan prints it, once its administrator confirms it",
        )
    return f"* {kind} {key}\n".encode()


def _is_itself(info: Mapping[str, Any], path: str) -> bool:
    """Whether an entry is that of the path: a file, or the object by which S3 marks an empty folder."""
    is_mark = info["name"] == f"{path}/" and info["type"] == "file" and not info.get("size")
    return is_mark or info["name"] == path


def _entry(info: Mapping[str, Any], path: str) -> RemoteEntry:
    modified = info.get("LastModified") or info.get("mtime")
    kind = str(info["type"])
    # A link that leads to a file is still a link.
    if stat.S_ISLNK(info.get("permissions") or 0):
        kind = "link"
    return RemoteEntry(
        name=str(info["name"]).removeprefix(f"{path}/").removesuffix("/" if kind == "directory" else ""),
        kind=kind if kind in ("file", "directory", "link") else "other",
        # A folder's own change with what lies in it.
        size=int(info.get("size") or 0) if kind == "file" else 0,
        modified_ns=round(modified.timestamp() * 1e9) if modified and kind == "file" else 0,
        version=str(info.get("ETag") or ""),
    )
