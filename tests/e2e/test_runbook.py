"""The runbook's entries as an engineer would type them, in a folder set up as a new installation, and what is seen.

Commands stand in the entries as blocks `sh`; a block `text` after one is what it prints, each line in its order, with …
for anything. A month is run by its steps without Airflow here (`make month` itself is run in `test_commands.py`); all
else by the Makefile.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ispeed.heartbeat import leave_heartbeat
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.sample import make_exports
from ispeed.settings import PROJECT, Settings
from pipeline import run_steps

RUNBOOK = PROJECT / "docs" / "runbook.md"
ENTRY = re.compile(r"^## (.+)\n((?:(?!^## ).*\n?)*)", re.MULTILINE)
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Such an entry says what it needs: "Not run by the tests: needs Docker."
NOT_RUN = re.compile(r"Not run by the tests: .+")
ASKED_FOR = (
    "First deployment",
    "A month is late",
    "Redo a month",
    "Backfill a year",
    "A check stops a month",
    "Release quarantined rows",
    "A code was wrong",
    "The registry changed",
    "Withdraw a revision",
    "Disk full",
    "Restore",
    "Upgrade",
    "Rotate the device key",
)
SEPTEMBER, OCTOBER, NOVEMBER = Month(2024, 9), Month(2024, 10), Month(2024, 11)


@dataclass(frozen=True)
class Command:
    """What is typed, and what it prints; nothing told: it must end well."""

    typed: str
    seen: str | None


def entries() -> dict[str, tuple[str, list[Command]]]:
    """Each entry's text, and its commands."""
    found = {}
    for title, text in ENTRY.findall(RUNBOOK.read_text(encoding="utf-8")):
        commands: list[Command] = []
        for kind, block in BLOCK.findall(text):
            if kind == "sh":
                commands.append(Command(block, None))
            else:
                commands[-1] = Command(commands[-1].typed, block)
        found[title] = (text, commands)
    return found


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder where September and October 2024 are published."""
    folder = tmp_path_factory.mktemp("installation") / "project"
    folder.mkdir()
    for name in ("include", "dags", "plugins"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy2(PROJECT / name, folder / name)
    (folder / ".venv").symlink_to(PROJECT / ".venv")
    settings = settings_of(folder)
    shutil.copytree(PROJECT / "include" / "registry", settings.registry)
    make_exports(settings, [SEPTEMBER, OCTOBER], n_rows=1_000)
    for path in settings.exports.rglob(".sample"):
        path.unlink()
    sync_registry(settings)
    for month in (SEPTEMBER, OCTOBER):
        run_steps(settings, month)
    return folder


def settings_of(folder: Path) -> Settings:
    return Settings.from_environment({"ISPEED_VAR": str(folder / "var")})


def nothing(folder: Path) -> None:
    """As it is after two published months."""


def a_late_export(folder: Path) -> None:
    """November's export has come, and is marked by nobody."""
    make_exports(settings_of(folder), [NOVEMBER], n_rows=300)
    for marker in (folder / "var" / "exports" / str(NOVEMBER)).glob("*.done"):
        marker.unlink()


def octobers_export_again(folder: Path) -> None:
    """November's folder holds October's file by mistake, and the right one lies beside."""
    settings = settings_of(folder)
    make_exports(settings, [NOVEMBER], n_rows=300)
    (folder / "right").mkdir()
    for path in settings.exports_of(NOVEMBER).iterdir():
        path.rename(folder / "right" / path.name)
    shutil.copy(next(settings.exports_of(OCTOBER).glob("*_1.csv")), settings.exports_of(NOVEMBER) / "export.csv")


def a_new_word_for_4g(folder: Path) -> None:
    """Twenty rows of October call 4G something that the contract does not know."""
    settings = settings_of(folder)
    path = next(settings.exports_of(OCTOBER).glob("*_1.csv"))
    lines = path.read_text(encoding="utf-8").split("\n")
    changed = [number for number, line in enumerate(lines) if ",4G," in line][:20]
    for number in changed:
        lines[number] = lines[number].replace(",4G,", ",4G VoLTE,")
    path.write_text("\n".join(lines), encoding="utf-8")
    run_steps(settings, OCTOBER)


def a_full_share(folder: Path) -> None:
    """The share is a small disk that somebody's film fills; November's export has come."""
    make_exports(settings_of(folder), [NOVEMBER], n_rows=300)
    share = folder / "var" / "share"
    share.rename(folder / "var" / "kept")
    share.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(share)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can only be mounted by root")
    shutil.copytree(folder / "var" / "kept", share, dirs_exist_ok=True)
    (share / "film.mp4").write_bytes(b"x" * (shutil.disk_usage(share).free - 64 * 1024))


def a_sign_of_life(folder: Path) -> None:
    """The daily DAG has run."""
    (folder / "var" / "airflow" / "logs").mkdir(parents=True)
    leave_heartbeat(settings_of(folder), datetime.now(UTC))


SITUATIONS: dict[str, Callable[[Path], None]] = {
    "A month is late": a_late_export,
    "Redo a month": nothing,
    "A check stops a month": octobers_export_again,
    "Release quarantined rows": a_new_word_for_4g,
    "A code was wrong": nothing,
    "The registry changed": nothing,
    "Withdraw a revision": nothing,
    "Disk full": a_full_share,
    "Restore": nothing,
    "Rotate the device key": nothing,
    "The bodies' returns": nothing,
    "Nobody was told, or Airflow is silent": a_sign_of_life,
}


def test_what_was_asked_for_has_an_entry() -> None:
    assert [title for title in ASKED_FOR if title not in entries()] == []


def test_an_entry_with_commands_is_run_here_or_says_why_not() -> None:
    for title, (text, commands) in entries().items():
        if commands:
            assert (title in SITUATIONS) != bool(NOT_RUN.search(text)), title
    assert [title for title in SITUATIONS if not entries()[title][1]] == []


@pytest.mark.parametrize("title", SITUATIONS)
def test_an_entry_does_what_it_says(title: str, installation: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(installation, folder, symlinks=True)
    try:
        SITUATIONS[title](folder)
        for command in entries()[title][1]:
            done = typed(command.typed, folder)
            output = done.stdout + done.stderr
            if command.seen is None:
                assert done.returncode == 0, f"{command.typed}\n{output}"
            else:
                assert re.search(expected(command.seen), output, re.DOTALL), f"{command.typed}\n{output}"
    finally:
        subprocess.run(["umount", "-l", str(folder / "var" / "share")], capture_output=True, check=False)


def expected(seen: str) -> str:
    """The lines as a pattern: in their order, others may stand between, … is anything within a line."""
    lines = [re.escape(line.strip()).replace("…", "[^\n]*") for line in seen.strip().split("\n")]
    return r"[^\n]*\n(?:.*\n)?[^\n]*".join(lines)


def typed(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run what is typed in a shell in the project's folder, where `make month` runs the steps alone."""
    month = f'"{sys.executable}" "{PROJECT / "tests" / "month_steps.py"}"'
    shell = f'make() {{ if [ "$1" = month ]; then shift; {month} "$@"; else command make "$@"; fi; }}\n'
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = {**kept, "PYTHONPATH": str(folder / "include")}
    return subprocess.run(
        ["bash", "-euc", shell + text], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


def test_patterns_are_strict_about_order_and_figures() -> None:
    assert re.search(expected("rows in  …\naccepted 5"), "rows in  7\nother\naccepted 5", re.DOTALL)
    assert not re.search(expected("accepted 5\nrows in …"), "rows in  7\nother\naccepted 5", re.DOTALL)
    assert not re.search(expected("accepted 6"), "accepted 5", re.DOTALL)
