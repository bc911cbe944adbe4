"""The runbook's commands that encrypt a backup and read it again, typed on a small folder with a key of their own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ispeed.settings import PROJECT

TITLE = "## A backup leaves the machine"


def commands() -> list[str]:
    """The blocks of the entry: making the key, encrypting, reading."""
    entry = (PROJECT / "docs" / "runbook.md").read_text(encoding="utf-8").partition(TITLE)[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", entry, re.MULTILINE | re.DOTALL)


@pytest.fixture
def gpg_home() -> Iterator[Path]:
    """Short, since gpg's agent listens there."""
    if shutil.which("gpg") is None:
        pytest.skip("no gpg: apt-get install gnupg")
    folder = Path(tempfile.mkdtemp(prefix="gpg-"))
    yield folder
    subprocess.run(["gpgconf", "--kill", "all"], env=os.environ | {"GNUPGHOME": str(folder)}, check=False)
    shutil.rmtree(folder)


def test_an_encrypted_backup_is_read_with_its_key_only(tmp_path: Path, gpg_home: Path) -> None:
    backup = tmp_path / "backup-of-today"
    backup.mkdir(mode=0o700)
    (backup / "backup.json").write_bytes(b"rows of people")
    make_key, encrypt, read = commands()

    def typed(command: str, home: Path) -> subprocess.CompletedProcess[bytes]:
        # Without somebody who could be asked for a passphrase.
        command = re.sub(r"\bgpg --", "gpg --batch --pinentry-mode loopback --passphrase '' --", command)
        environment = os.environ | {"GNUPGHOME": str(home)}
        return subprocess.run(["bash", "-ec", command], cwd=tmp_path, env=environment, capture_output=True, check=False)

    made = typed(make_key, gpg_home)
    assert made.returncode == 0, made.stderr
    # The server that makes the backup has the public half in a file and no key ring.
    nobody = tmp_path / "server"
    nobody.mkdir(mode=0o700)
    done = typed(encrypt, nobody)
    assert done.returncode == 0, done.stderr
    assert not backup.exists()
    encrypted = tmp_path / "backup-of-today.tar.gpg"
    assert b"rows of people" not in encrypted.read_bytes()
    assert typed(read, nobody).returncode != 0
    assert not backup.exists()
    done = typed(read, gpg_home)
    assert done.returncode == 0, done.stderr
    assert (backup / "backup.json").read_bytes() == b"rows of people"
    assert backup.stat().st_mode & 0o777 == 0o700
