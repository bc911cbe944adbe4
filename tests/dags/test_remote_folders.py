"""Folders on SFTP and S3: what comes in, what may not, and how each fault is told. The servers are real."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from ispeed import incoming
from ispeed.airflow_waits import ExportTrigger, WaitForExport, look_at_returns
from ispeed.errors import RemoteFault, UserError
from ispeed.exports import read_export_folder
from ispeed.incoming import LOOKS, bring, bring_returns, look_at_exports
from ispeed.landing import land
from ispeed.month_content import workbook_policy
from ispeed.months import Month
from ispeed.policy import read_policy
from ispeed.registry import sync_registry
from ispeed.remote_folder import RemoteFolder
from ispeed.returns import asked_bodies
from ispeed.returns.collecting import collect_returns
from ispeed.returns.form import form_workbook
from ispeed.settings import Settings
from remote_servers import BUCKET, Proxy, Remote
from return_forms import as_typed

OCTOBER = Month(2024, 10)
FILES = {"a.csv": b"1,2\n" * 1000, "b.csv": b"3,4\n", ".sample": b"", ".done": b"", ".hidden": b"x", "~$a.xlsx": b"x"}


@pytest.fixture(params=["s3", "sftp"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    """An empty folder on each kind of server."""
    server: Remote = request.getfixturevalue(request.param)
    folder = server.below(f"{tmp_path.name}-{time.monotonic_ns()}")
    if folder.scheme == "sftp":
        folder.root.mkdir()
    return folder


@pytest.fixture
def settings_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Settings whose exports are there, and a connection in Airflow that reaches them."""

    def settings(remote: Remote, **more: str) -> Settings:
        for name, value in remote.environment().items():
            monkeypatch.setenv(name, value)
        environment = {"ISPEED_VAR": str(tmp_path / "var"), "ISPEED_DEVICE_KEY": "x", "ISPEED_EXPORTS": remote.uri}
        return Settings.from_environment(environment | more)

    return settings


@pytest.fixture
def proxy(remote: Remote) -> Iterator[Proxy]:
    proxy = Proxy(remote.port)
    yield proxy
    proxy.close()


def put_export(remote: Remote, files: dict[str, bytes] = FILES) -> None:
    for name, content in files.items():
        remote.write(f"2024-10/{name}", content)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def is_clean(folder: Path) -> bool:
    """Whether nothing lies beside a copy: no half of another."""
    return not folder.parent.exists() or names(folder.parent) == [folder.name] * folder.exists()


def test_a_folder_comes_in_as_it_is_without_what_is_hidden(remote: Remote, settings_of: Any) -> None:
    put_export(remote)
    remote.write("2024-10/cũ/c.csv", b"of last year")
    remote.write("2024-11/n.csv", b"of another month")
    folder = bring(settings_of(remote), "exports", "2024-10")
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == {
        name: FILES[name] for name in (".sample", "a.csv", "b.csv")
    }
    # Of a folder there is its name, so that what is told of local ones is told of it.
    assert [path.name for path in folder.iterdir() if path.is_dir()] == ["cũ"]
    remote.remove("2024-10/a.csv")
    remote.write("2024-10/b.csv", b"5,6\n7,8\n")
    assert (bring(settings_of(remote), "exports", "2024-10") / "b.csv").read_bytes() == b"5,6\n7,8\n"
    assert names(folder) == [".sample", "b.csv", "cũ"]


def test_a_local_folder_is_given_as_it_is(tmp_path: Path) -> None:
    settings = Settings.from_environment({"ISPEED_VAR": str(tmp_path), "ISPEED_DEVICE_KEY": "x"})
    assert bring(settings, "exports", "2024-10") == tmp_path / "exports" / "2024-10"
    assert bring_returns(settings, OCTOBER) == (tmp_path / "returns" / "2024-10", ())
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("markers", [(), (".done",), ("a.csv.done",), ("a.csv.done", "b.csv.done")])
def test_a_look_from_afar_finds_what_a_look_at_the_same_files_here_does(
    remote: Remote, settings_of: Any, tmp_path: Path, markers: tuple[str, ...]
) -> None:
    files = {name: FILES[name] for name in ("a.csv", "b.csv", "~$a.xlsx", ".hidden")} | dict.fromkeys(markers, b"")
    assert look_at_exports(settings_of(remote), OCTOBER).files == ()
    put_export(remote, files)
    (tmp_path / "here").mkdir()
    for name, content in files.items():
        (tmp_path / "here" / name).write_bytes(content)
    there, here = look_at_exports(settings_of(remote), OCTOBER), read_export_folder(tmp_path / "here")
    assert [(file.name, file.size) for file in there.files] == [(file.name, file.size) for file in here.files]
    assert (there.is_complete, str(there)) == (here.is_complete, str(here))


def test_a_file_written_anew_is_another_to_the_wait(remote: Remote, settings_of: Any) -> None:
    put_export(remote)
    first = look_at_exports(settings_of(remote), OCTOBER)
    assert look_at_exports(settings_of(remote), OCTOBER) == first
    remote.write("2024-10/b.csv", b"3,5\n")
    if remote.scheme == "sftp":
        os.utime(remote.root / "2024-10" / "b.csv", (1, 1))
    assert look_at_exports(settings_of(remote), OCTOBER).files != first.files


class Writer:
    """Writes to the remote folder while it is read: once within each of the first `times` readings of a.csv."""

    def __init__(self, remote: Remote, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        self.remote, self.n_written = remote, 0
        blocks = RemoteFolder.blocks

        def changing(folder: RemoteFolder, path: str) -> Iterator[bytes]:
            for number, block in enumerate(blocks(folder, path)):
                if path.endswith("a.csv") and self.n_written < times and number == 0:
                    self.n_written += 1
                    remote.write("2024-10/a.csv", self.content)
                    remote.write("2024-10/late.csv", self.content)
                yield block

        monkeypatch.setattr(RemoteFolder, "blocks", changing)

    @property
    def content(self) -> bytes:
        return b"9" * (5000 + self.n_written)


def test_a_file_that_changes_while_it_is_read_is_read_again(
    remote: Remote, settings_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_export(remote)
    writer = Writer(remote, monkeypatch, times=2)
    folder = bring(settings_of(remote), "exports", "2024-10")
    assert writer.n_written == 2
    assert {name: (folder / name).read_bytes() for name in ("a.csv", "b.csv", "late.csv")} == {
        "a.csv": writer.content,
        "b.csv": FILES["b.csv"],
        "late.csv": writer.content,
    }


def test_a_file_that_does_not_stop_changing_is_named_and_the_copy_of_before_stays(
    remote: Remote, settings_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_export(remote)
    folder = bring(settings_of(remote), "exports", "2024-10")
    writer = Writer(remote, monkeypatch, times=99)
    with pytest.raises(RemoteFault, match=r"changed while it was read: a\.csv"):
        bring(settings_of(remote), "exports", "2024-10")
    assert writer.n_written >= LOOKS - 1
    assert (folder / "a.csv").read_bytes() == FILES["a.csv"]
    assert is_clean(folder)


def test_a_file_that_goes_while_it_is_read_is_not_part_of_the_copy(
    remote: Remote, settings_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_export(remote)
    blocks = RemoteFolder.blocks

    def going(folder: RemoteFolder, path: str) -> Iterator[bytes]:
        if path.endswith("b.csv"):
            remote.remove("2024-10/b.csv")
        return blocks(folder, path)

    monkeypatch.setattr(RemoteFolder, "blocks", going)
    assert names(bring(settings_of(remote), "exports", "2024-10")) == [".sample", "a.csv"]


def test_a_line_that_is_cut_leaves_no_half_of_a_file(
    remote: Remote, settings_of: Any, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_export(remote)
    folder = bring(settings_of(remote.through(proxy)), "exports", "2024-10")
    put_export(remote, {"a.csv": os.urandom(3_000_000)})
    proxy.cut_after = {"down": 400_000}
    with pytest.raises(RemoteFault, match="connection ispeed_test") as fault:
        bring(settings_of(remote.through(proxy)), "exports", "2024-10")
    assert proxy.n_cut
    assert "a.csv" in str(fault.value)
    assert (folder / "a.csv").read_bytes() == FILES["a.csv"]
    assert is_clean(folder)
    proxy.cut_after = {}
    assert (bring(settings_of(remote.through(proxy)), "exports", "2024-10") / "a.csv").stat().st_size == 3_000_000


def test_a_file_that_is_too_large_is_not_fetched(
    remote: Remote, settings_of: Any, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_export(remote, {"a.csv": b"x" * 2_000_000})
    proxy.cut_after = {"down": 1_000_000}
    settings = settings_of(remote.through(proxy), ISPEED_FILE_BYTES_MAX="1999999")
    with pytest.raises(UserError, match=r"a\.csv[\s\S]*2,000,000 bytes[\s\S]*ISPEED_FILE_BYTES_MAX"):
        bring(settings, "exports", "2024-10")
    assert not settings.exports_of(OCTOBER).exists()
    assert is_clean(settings.exports_of(OCTOBER))


def test_a_file_that_has_more_bytes_than_its_listing_says_is_not_read_to_its_end(
    remote: Remote, settings_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_export(remote, {"a.csv": b"x"})
    read: list[int] = []

    def long(folder: RemoteFolder, path: str) -> Iterator[bytes]:
        for _ in range(100):
            read.append(1000)
            yield b"x" * 1000

    monkeypatch.setattr(RemoteFolder, "blocks", long)
    with pytest.raises(RemoteFault, match=r"changed while it was read: a\.csv"):
        bring(settings_of(remote), "exports", "2024-10")
    assert sum(read) == LOOKS * 1000


def test_files_that_are_too_large_together_are_not_fetched(remote: Remote, settings_of: Any, proxy: Proxy) -> None:
    put_export(remote, {f"{n}.csv": b"x" * 1_000_000 for n in range(3)})
    proxy.cut_after = {"down": 1_000_000}
    settings = settings_of(remote.through(proxy), ISPEED_FETCH_BYTES_MAX="2999999")
    with pytest.raises(UserError, match=r"2024-10\s+found: 3,000,000 bytes in 3 files\s.*ISPEED_FETCH_BYTES_MAX"):
        bring(settings, "exports", "2024-10")
    assert is_clean(settings.exports_of(OCTOBER))
    with pytest.raises(UserError, match="ISPEED_FETCH_BYTES_MAX"):
        bring_returns(replace(settings, returns=settings.exports, returns_uri=settings.exports_uri), OCTOBER)


def test_a_folder_of_too_many_files_is_not_fetched(remote: Remote, settings_of: Any) -> None:
    put_export(remote, {f"{n}.csv": b"x" for n in range(4)})
    with pytest.raises(UserError, match=r"4 files and folders[\s\S]*ISPEED_FILES_MAX"):
        bring(settings_of(remote, ISPEED_FILES_MAX="3"), "exports", "2024-10")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("..\\up.csv", "leads elsewhere"),
        ("a\x85b.csv", "cannot be printed"),
        ("a\x1b[2J.csv", "cannot be printed"),
        ("a.csv?versionId=1", "leads elsewhere"),
    ],
)
def test_a_name_that_is_none_does_not_come_in(remote: Remote, settings_of: Any, name: str, found: str) -> None:
    remote.write("2024-10/ok.csv", b"x")
    remote.write(f"2024-10/{name}", b"x")
    with pytest.raises(UserError, match=found) as error:
        bring(settings_of(remote), "exports", "2024-10")
    assert repr(name) in str(error.value)
    assert "rename the file" in str(error.value)
    assert len(str(error.value).splitlines()) == 4
    assert is_clean(settings_of(remote).exports_of(OCTOBER))


@pytest.mark.parametrize("key", ["../../../up.csv", "/root.csv", "x" * 300, "./a.csv"])
def test_a_key_that_is_no_path_does_not_come_in(s3: Remote, settings_of: Any, tmp_path: Path, key: str) -> None:
    remote = s3.below(f"keys-{time.monotonic_ns()}")
    remote.write(f"2024-10/{key}", b"x")
    with pytest.raises(UserError, match="leads elsewhere|a name of 300 bytes"):
        bring(settings_of(remote), "exports", "2024-10")
    assert not list(tmp_path.rglob("*.csv"))


def test_a_key_and_a_folder_of_one_name_are_told(s3: Remote, settings_of: Any) -> None:
    remote = s3.below(f"twice-{time.monotonic_ns()}")
    put_export(remote, {"a.csv": b"x", "a.csv/b.csv": b"x"})
    with pytest.raises(UserError, match="a file and a folder of one name"):
        bring(settings_of(remote), "exports", "2024-10")


def test_the_mark_that_s3_has_of_an_empty_folder_is_no_file(s3: Remote, settings_of: Any) -> None:
    remote = s3.below(f"mark-{time.monotonic_ns()}")
    remote.write("2024-10/", b"")
    remote.write("2024-10/a.csv", b"x")
    assert names(bring(settings_of(remote), "exports", "2024-10")) == ["a.csv"]


@pytest.mark.parametrize(
    "kind", ["a link", "a pipe", "a name of two lines", "a name that is not UTF-8", "a name with a path"]
)
def test_what_only_sftp_has_does_not_come_in(
    sftp: Remote, settings_of: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    remote = sftp.below(f"odd-{time.monotonic_ns()}")
    folder = remote.root / "2024-10"
    put_export(remote, {"ok.csv": b"x"})
    expected = kind
    if kind == "a link":
        (folder / "l.csv").symlink_to("/etc/hostname")
        expected = r"/2024-10/l\.csv\s+found: a link\s[\s\S]*put the file itself into the folder"
    elif kind == "a pipe":
        os.mkfifo(folder / "p.csv")
        expected = r"/2024-10/p\.csv\s+found: a pipe"
    elif kind == "a name of two lines":
        (folder / "a\nb.csv").write_bytes(b"x")
        expected = "cannot be printed"
    elif kind == "a name that is not UTF-8":
        (Path(os.fsdecode(os.fsencode(folder) + b"/b\xe1o c\xe1o.csv"))).write_bytes(b"x")
        expected = "cannot be printed"
    else:
        # No server of ours would send it: one that wants to write elsewhere does.
        import sshfs

        listing = sshfs.SSHFileSystem._ls

        async def lying(fs: Any, path: str, **options: Any) -> list[dict[str, Any]]:
            return [{**info, "name": f"{path}/../../../../x.csv"} for info in await listing(fs, path, **options)]

        monkeypatch.setattr(sshfs.SSHFileSystem, "_ls", lying)
        expected = "leads elsewhere"
    with pytest.raises(UserError, match=expected):
        bring(settings_of(remote), "exports", "2024-10")
    assert is_clean(settings_of(remote).exports_of(OCTOBER))


def no_bucket(remote: Remote) -> Remote:
    return Remote("s3", f"no-{BUCKET}/x", remote.connection, s3=remote.s3, secrets=remote.secrets)


def other_key(remote: Remote, name: str) -> str:
    text: str = (remote.files / name).read_text()
    return text


FAULTS: dict[str, tuple[str, Callable[[Remote], Remote], type[Exception], str]] = {
    "no such bucket": ("s3", no_bucket, UserError, "no such bucket"),
    "an S3 that is down": (
        "s3",
        lambda r: r.with_connection(extra={"endpoint_url": "http://127.0.0.1:9"}),
        RemoteFault,
        "a server that answers",
    ),
    "another key": (
        "sftp",
        lambda r: r.with_connection(extra={"private_key": other_key(r, "stranger")}),
        UserError,
        "no permission[\\s\\S]*correct the connection",
    ),
    "another login": ("sftp", lambda r: r.with_connection(login="nobody"), UserError, "no permission"),
    "a password where a key is wanted": (
        "sftp",
        lambda r: r.with_connection(password="a-password-of-the-tests", extra={"private_key": ""}),
        UserError,
        "no permission",
    ),
    "another host key": (
        "sftp",
        lambda r: r.with_connection(extra={"host_key": other_key(r, "stranger.pub")}),
        UserError,
        "host key that is not known[\\s\\S]*administrator",
    ),
    "no host key": ("sftp", lambda r: r.with_connection(extra={"host_key": ""}), UserError, "host key"),
    "a host key that is none": (
        "sftp",
        lambda r: r.with_connection(extra={"host_key": "ssh-rsa xxxx"}),
        UserError,
        "a host_key that is none",
    ),
    "host keys not looked at": (
        "sftp",
        lambda r: r.with_connection(extra={"no_host_key_check": "true"}),
        UserError,
        "no_host_key_check",
    ),
    "a private key that is none": (
        "sftp",
        lambda r: r.with_connection(extra={"private_key": "-----BEGIN OPENSSH PRIVATE KEY-----\na-secret-line\n"}),
        UserError,
        "a private key that cannot be read",
    ),
    "a server that is down": ("sftp", lambda r: r.with_connection(port=9), RemoteFault, "a server that answers"),
    "no such folder": ("sftp", lambda r: r.below("none"), UserError, "no such folder"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_each_fault_is_told_by_its_connection_and_without_a_secret(
    request: pytest.FixtureRequest,
    settings_of: Any,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    case: str,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setenv("HOME", str(tmp_path))
    scheme, broken, kind, told = FAULTS[case]
    remote = broken(request.getfixturevalue(scheme))
    for call in (lambda: look_at_exports(settings_of(remote), OCTOBER), lambda: bring(settings_of(remote), "exports")):
        with pytest.raises(kind, match=told) as error:
            call()
        assert error.value.__cause__ is None
        assert error.value.__suppress_context__ or error.value.__context__ is None
        if case != "no such folder":
            assert "connection ispeed_test" in str(error.value)
        output = str(error.value) + caplog.text + "".join(capfd.readouterr())
        for secret in (*remote.secrets, "a-password-of-the-tests", "a-secret-line"):
            assert secret not in output
    assert is_clean(settings_of(remote).exports)


@pytest.mark.parametrize(
    ("secret", "allowed", "told"),
    [
        ("wrong", ["s3:*"], "no permission"),
        ("right", ["s3:ListBucket"], "no permission"),
        ("right", ["s3:ListBucket", "s3:GetObject"], None),
    ],
    ids=["a wrong secret", "a key that may only list", "a key that may list and read"],
)
def test_a_key_of_s3_must_be_right_and_allowed(
    s3: Remote, settings_of: Any, secret: str, allowed: list[str], told: str | None
) -> None:
    import json
    import urllib.request

    import boto3

    remote = s3.below(f"iam-{time.monotonic_ns()}")
    put_export(remote)
    endpoint = s3.connection["extra"]["endpoint_url"]

    def guard(n_open: int) -> None:
        """Have Moto let in only keys that it knows, after so many more requests."""
        body, kind = str(n_open).encode(), {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset-auth", body, kind)).close()

    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
    iam = boto3.client("iam", endpoint_url=endpoint, **keys)
    user = f"u{time.monotonic_ns()}"
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": allowed, "Resource": "*"}]}
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(policy))
    password = key["SecretAccessKey"] if secret == "right" else "wrong" * 8
    settings = settings_of(remote.with_connection(login=key["AccessKeyId"], password=password))
    guard(0)
    try:
        if told is None:
            assert names(bring(settings, "exports", "2024-10")) == [".sample", "a.csv", "b.csv"]
        else:
            with pytest.raises(UserError, match=told) as error:
                bring(settings, "exports", "2024-10")
            assert password not in str(error.value)
    finally:
        guard(10**9)


def test_a_connection_that_airflow_does_not_have_is_named(
    remote: Remote, settings_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(remote)
    monkeypatch.delenv("AIRFLOW_CONN_ISPEED_TEST")
    with pytest.raises(UserError, match=r"connection ispeed_test[\s\S]*AIRFLOW_CONN_ISPEED_TEST"):
        look_at_exports(settings, OCTOBER)


def test_without_the_packages_of_a_server_it_is_said_which_to_install(
    remote: Remote, settings_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "s3fs" if remote.scheme == "s3" else "sshfs", None)
    with pytest.raises(UserError, match=r"pip install -r requirements-server\.txt"):
        look_at_exports(settings_of(remote), OCTOBER)


def test_the_host_key_of_known_hosts_is_believed_and_one_without_its_kind_too(
    sftp: Remote, settings_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, key, *_ = other_key(sftp, "host.pub").split()
    assert look_at_exports(settings_of(sftp.with_connection(extra={"host_key": key})), OCTOBER).files == ()
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{sftp.port} {kind} {key}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert look_at_exports(settings_of(sftp.with_connection(extra={"host_key": ""})), OCTOBER).files == ()


def test_a_private_key_with_a_passphrase_and_one_in_a_file_are_read(sftp: Remote, settings_of: Any) -> None:
    import asyncssh

    key = asyncssh.read_private_key(sftp.files / "client")
    locked = key.export_private_key(passphrase="open it").decode()
    extra = {"private_key": locked, "private_key_passphrase": "open it"}
    assert look_at_exports(settings_of(sftp.with_connection(extra=extra)), OCTOBER).files == ()
    in_file = {"private_key": "", "key_file": str(sftp.files / "client")}
    assert look_at_exports(settings_of(sftp.with_connection(extra=in_file)), OCTOBER).files == ()
    wrong = sftp.with_connection(extra=extra | {"private_key_passphrase": "wrong"})
    with pytest.raises(UserError, match="a private key that cannot be read"):
        look_at_exports(settings_of(wrong), OCTOBER)


def test_what_a_folder_elsewhere_lacks_is_told_by_its_address(remote: Remote, settings_of: Any) -> None:
    remote.write("registry/communes.csv", b"x")
    settings = settings_of(remote, ISPEED_REGISTRY=remote.below("registry").uri)
    with pytest.raises(UserError, match=rf"folder {remote.below('registry').uri}\s+found: neither"):
        sync_registry(settings)
    with pytest.raises(UserError, match=rf"folder {remote.uri}/2024-10\s+found: no export file"):
        land(settings, OCTOBER)


def test_a_copy_that_would_be_the_same_stays_where_it_is(remote: Remote, settings_of: Any) -> None:
    put_export(remote)
    folder = bring(settings_of(remote), "exports", "2024-10")
    before = folder.stat().st_ino
    assert bring(settings_of(remote), "exports", "2024-10").stat().st_ino == before
    put_export(remote, {"b.csv": b"3,5\n"})
    assert bring(settings_of(remote), "exports", "2024-10").stat().st_ino != before
    assert (folder / "b.csv").read_bytes() == b"3,5\n"


def wait(settings: Settings, meanwhile: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Run the trigger until its event; `meanwhile` is done after its first look."""

    async def first_event() -> dict[str, Any]:
        trigger = ExportTrigger(settings.export_place(OCTOBER), 0.2, time.time() + 20)
        event = asyncio.create_task(anext(trigger.run()))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(meanwhile)
        payload: dict[str, Any] = (await event).payload
        return payload

    return asyncio.run(first_event())


def test_the_wait_for_an_export_elsewhere_ends_when_it_is_marked_done_or_keeps_still(
    remote: Remote, settings_of: Any
) -> None:
    settings = settings_of(remote)
    assert wait(settings, lambda: put_export(remote))["is_complete"] is True
    remote.remove("2024-10/.done")
    event = wait(settings)
    assert event["is_complete"] is True
    assert "unchanged for 0.2 seconds" in event["found"]


def test_a_server_that_is_down_is_waited_for(remote: Remote, settings_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put_export(remote)
    proxy = Proxy(remote.port)
    proxy.cut_after = {"up": 0}
    settings = settings_of(remote.through(proxy))
    monkeypatch.setenv("ISPEED_EXPORTS", remote.uri)
    operator: Any = WaitForExport(task_id="wait_for_export")
    context: Any = {"dag_run": SimpleNamespace(partition_key="2024-10")}
    with pytest.raises(TaskDeferred):
        WaitForExport.execute.__wrapped__(operator, context)  # type: ignore[attr-defined]
    assert wait(settings, proxy.cut_after.clear)["is_complete"] is True
    assert proxy.n_cut
    proxy.close()


def test_a_key_that_is_refused_ends_the_wait_at_once(
    sftp: Remote, settings_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = sftp.with_connection(extra={"private_key": other_key(sftp, "stranger")})
    event = wait(settings_of(stranger))
    assert event["is_complete"] is False
    monkeypatch.setenv("ISPEED_EXPORTS", sftp.uri)
    operator, context = WaitForExport(task_id="wait_for_export"), {"dag_run": SimpleNamespace(partition_key="2024-10")}
    with pytest.raises(AirflowFailException, match=r"no permission[\s\S]*correct the connection") as failed:
        operator.execute_complete(context, event)  # type: ignore[arg-type]
    # With its parts, so that it is told in Vietnamese.
    assert failed.value.error.remedy == "correct the connection, or have the permissions given"  # type: ignore[attr-defined]


def test_looks_leave_no_connection_open(sftp: Remote, settings_of: Any) -> None:
    proxy = Proxy(sftp.port)
    settings = settings_of(sftp.through(proxy))
    for _ in range(15):
        look_at_exports(settings, OCTOBER)
    for _ in range(100):
        if not proxy.n_open:
            break
        time.sleep(0.05)
    assert proxy.n_open == 0
    proxy.close()


@pytest.fixture
def returns(remote: Remote, settings_of: Any, registry_tables: Path) -> Settings:
    """Settings whose returns are there, with a synced registry."""
    settings: Settings = settings_of(remote, ISPEED_RETURNS=remote.uri)
    shutil.copytree(registry_tables, settings.lake / "registry")
    return settings


def form(settings: Settings, *numbers: object, code: str = "SO-NV") -> bytes:
    policy = workbook_policy(read_policy(settings.policy, OCTOBER.last_day), OCTOBER)
    (body,) = (body for body in asked_bodies(settings, OCTOBER) if body.code == code)
    return as_typed(*numbers)(form_workbook(policy, OCTOBER, body))


def test_returns_that_lie_elsewhere_are_seen_to_come_and_are_collected(remote: Remote, returns: Settings) -> None:
    place = f"{returns.returns_uri}/{OCTOBER}"
    before = look_at_returns(place)
    remote.write(f"{OCTOBER}/gửi lại.xlsx", form(returns, 50, 40, 30))
    first = look_at_returns(place)
    assert first not in (before, "")
    assert look_at_returns(place) == first
    collected = collect_returns(returns, OCTOBER)
    assert [(outcome.file, outcome.state) for outcome in collected.outcomes] == [("gửi lại.xlsx", "accepted")]
    assert len(collected.missing) == collected.n_asked - 1
    # In folders of their own names, too; of two returns of one body the one written later stands.
    time.sleep(1.1)
    remote.write(f"{OCTOBER}/Sở Nội vụ/a.xlsx", form(returns, 60, 40, 30))
    second = look_at_returns(place)
    assert second != first
    remote.write(f"{OCTOBER}/Sở Nội vụ/Sở Tư pháp/phiếu/a.xlsx", form(returns, 30, 20, 10, code="SO-TP"))
    assert look_at_returns(place) != second
    again = collect_returns(returns, OCTOBER)
    assert {outcome.file: outcome.state for outcome in again.outcomes} == {
        "gửi lại.xlsx": "superseded",
        "Sở Nội vụ/a.xlsx": "accepted",
        "Sở Nội vụ/Sở Tư pháp/phiếu/a.xlsx": "accepted",
    }
    assert all(outcome.message.startswith(outcome.file) for outcome in again.outcomes)
    folder, _ = bring_returns(returns, OCTOBER)
    kept = folder.stat().st_ino
    assert bring_returns(returns, OCTOBER) == (folder, ())
    assert folder.stat().st_ino == kept
    remote.remove(f"{OCTOBER}/gửi lại.xlsx")
    remote.remove(f"{OCTOBER}/Sở Nội vụ/a.xlsx")
    bring_returns(returns, OCTOBER)
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("*.xlsx")] == [
        "Sở Nội vụ/Sở Tư pháp/phiếu/a.xlsx"
    ]


ODD: dict[str, tuple[str, str]] = {
    "{}/a\x1b[2J.xlsx": ("a\\x1b[2J.xlsx", "tên có ký tự"),
    "{}/Sở Y tế/..\\up.xlsx": ("Sở Y tế/..\\up.xlsx", "tên có ký tự"),
    "{}/1/2/3/4/5/6/a.xlsx": ("1/2/3/4/5/6", "thư mục nằm sâu quá 5 cấp"),
    "{}/phim.mp4": ("phim.mp4", "tệp lớn hơn"),
}
ODD_OF = {
    "s3": {
        "{}/../../up.xlsx": ("..", "tên có ký tự"),
        "{}//root.xlsx": ("(không tên)", "tên có ký tự"),
        f"{{}}/{'x' * 300}": ("x" * 200, "tên có ký tự"),
        "{}/twice/b.xlsx": ("twice", "một tệp và một thư mục cùng tên"),
    },
    "sftp": {
        "a link": ("Sở Y tế/link.xlsx", "liên kết"),
        "a link to a folder": ("folder", "liên kết"),
        "a pipe": ("pipe.xlsx", "thiết bị"),
        "a name that is not UTF-8": ("\\udce1.xlsx", "tên có ký tự"),
    },
}


def test_one_odd_entry_among_returns_is_set_aside_with_its_reason_and_the_others_count(
    remote: Remote, returns: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "BYTES_MAX", 100_000)
    odd = ODD | ODD_OF[remote.scheme]
    for path in odd:
        if path.startswith("{}"):
            remote.write(path.format(OCTOBER), b"x" * (100_001 if "phim" in path else 1))
    if remote.scheme == "s3":
        remote.write(f"{OCTOBER}/twice", b"x")
    else:
        folder = remote.root / str(OCTOBER)
        (folder / "Sở Y tế" / "link.xlsx").symlink_to("/etc/hostname")
        (folder / "folder").symlink_to("/etc")
        os.mkfifo(folder / "pipe.xlsx")
        Path(os.fsdecode(os.fsencode(folder) + b"/\xe1.xlsx")).write_bytes(b"x")
    remote.write(f"{OCTOBER}/1/2/3/4/5/phiếu.xlsx", form(returns, 50, 40, 30))
    assert look_at_returns(f"{returns.returns_uri}/{OCTOBER}")
    collected = collect_returns(returns, OCTOBER)
    accepted = [outcome.file for outcome in collected.outcomes if outcome.state == "accepted"]
    assert accepted == ["1/2/3/4/5/phiếu.xlsx"]
    told = [(outcome.file, outcome.message) for outcome in collected.outcomes if outcome.state == "refused"]
    for name, reason in odd.values():
        assert any(file == name and reason in message for file, message in told), (name, reason)
    # Of a file and a folder of one name the file is read: it is no form.
    assert len(told) == len(odd) + (remote.scheme == "s3")
    folder = returns.returns / str(OCTOBER)
    assert is_clean(folder)
    assert (folder / "1/2/3/4/5").exists()
    assert not (folder / "1/2/3/4/5/6").exists()


def test_more_returns_than_anyone_sends_are_not_fetched(remote: Remote, returns: Settings) -> None:
    for number in range(4):
        remote.write(f"{OCTOBER}/{number}/a.xlsx", b"x")
    with pytest.raises(UserError, match=r"8 files and folders[\s\S]*ISPEED_FILES_MAX"):
        collect_returns(replace(returns, files_max=7), OCTOBER)
