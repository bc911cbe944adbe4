"""Known faults of the pinned packages: pip-audit over requirements*.txt, and what was accepted of it, with a reason.

    python .ci/audit.py

Ends with 1 where a package has a known fault that `.ci/known-faults.yaml` does not list, or lists until a day that has
passed. Where the service that knows of faults cannot be reached, it says so and ends with 0: a build without internet
is not stopped, and nobody takes its silence for an answer.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[1]
ACCEPTED = PROJECT / ".ci" / "known-faults.yaml"
OK, FAULTS = 0, 1
Found = list[dict[str, Any]]


def main() -> int:
    """Audit every file of pins, once each package."""
    files = sorted(PROJECT.glob("requirements*.txt"))
    pins = sorted(
        {line.split(";")[0].strip(" \\\n") for file in files for line in file.read_text().splitlines() if is_pin(line)}
    )
    # One question first: without an answer to it, hundreds more would have none either.
    probe = audit(pins[:1])
    if probe is None or all("skip_reason" in package for package in probe):
        print("NOT AUDITED: the service that knows of faults in packages cannot be reached from here.")
        return OK
    found: Found = []
    for once in rounds(pins):
        told = audit(once)
        if told is None:
            print("NOT AUDITED: the service that knows of faults in packages went away.")
            return OK
        found += told
    accepted = yaml.safe_load(ACCEPTED.read_text(encoding="utf-8")) or []
    lines = list(faults(found, accepted, date.today()))
    print("\n".join([*lines, f"{len(pins)} packages audited: {len(lines)} known faults that nobody accepted"]))
    return FAULTS if lines else OK


def is_pin(line: str) -> bool:
    """Whether a line of a compiled file names a package and its version."""
    return "==" in line and not line.startswith((" ", "#", "-"))


def rounds(pins: Sequence[str]) -> list[list[str]]:
    """The pins in lists that have each package once, as pip-audit wants it: versions of Python have their own pins."""
    lists: list[dict[str, str]] = []
    for pin in pins:
        name = pin.partition("==")[0]
        free = next((one for one in lists if name not in one), None)
        if free is None:
            lists.append(free := {})
        free[name] = pin
    return [list(one.values()) for one in lists]


def audit(pins: Sequence[str]) -> Found | None:
    """What pip-audit says of each package; None where it could not ask."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pins) + "\n")
        file.flush()
        command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]
        command += ["--no-deps", "--disable-pip", "--requirement", file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages: Found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(done.stderr.strip().rpartition("\n")[2], file=sys.stderr)
        return None
    return packages


def faults(found: Found, accepted: Sequence[Mapping[str, Any]], today: date) -> Iterator[str]:
    """A line for each fault that nobody accepted, or only until a day that has passed; and for what was not told."""
    until = {str(entry["id"]): entry["until"] for entry in accepted}
    for package in found:
        if "skip_reason" in package:
            yield f"{package['name']}: {package['skip_reason']}"
        for fault in package.get("vulns", ()):
            days = [until[name] for name in (fault["id"], *fault["aliases"]) if name in until]
            if not days or max(days) < today:
                mended = ", ".join(fault["fix_versions"]) or "no version yet"
                since = f" (was accepted until {max(days)})" if days else ""
                yield f"{package['name']} {package['version']}: {fault['id']}{since}; mended in {mended}"


if __name__ == "__main__":
    sys.exit(main())
