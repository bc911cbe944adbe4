"""The audit of pinned packages: what stops a change, what was accepted until when, and that silence is no answer."""

from __future__ import annotations

import importlib.util
from datetime import date
from types import ModuleType
from typing import Any

import pytest

from ispeed.settings import PROJECT

TODAY = date(2026, 11, 23)
FAULT = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["1.1"], "description": ""}
FOUND: list[dict[str, Any]] = [
    {"name": "sound", "version": "1.0", "vulns": []},
    {"name": "faulty", "version": "1.0", "vulns": [FAULT]},
]


@pytest.fixture
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", PROJECT / ".ci" / "audit.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def accepted(until: date, name: str = "CVE-2026-1") -> list[dict[str, Any]]:
    return [{"id": name, "package": "faulty", "until": until, "why": "…"}]


def test_a_known_fault_is_told_with_the_version_that_mends_it(audit: ModuleType) -> None:
    assert list(audit.faults(FOUND, [], TODAY)) == ["faulty 1.0: PYSEC-2026-1; mended in 1.1"]


def test_an_accepted_fault_is_silent_until_its_day_has_passed(audit: ModuleType) -> None:
    assert list(audit.faults(FOUND, accepted(TODAY), TODAY)) == []
    assert list(audit.faults(FOUND, accepted(TODAY, "CVE-2026-2"), TODAY)) != []
    (line,) = audit.faults(FOUND, accepted(date(2026, 11, 22)), TODAY)
    assert "was accepted until 2026-11-22" in line


def test_a_package_that_the_service_did_not_know_is_told_too(audit: ModuleType) -> None:
    skipped = [{"name": "ours", "skip_reason": "not found on PyPI"}]
    assert list(audit.faults(skipped, [], TODAY)) == ["ours: not found on PyPI"]


@pytest.mark.parametrize("answer", [None, [{"name": "first", "skip_reason": "not found"}]])
def test_a_service_that_cannot_be_reached_is_told_and_asked_once(
    audit: ModuleType, answer: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    monkeypatch.setattr(audit, "audit", lambda pins: asked.append(pins) or answer)
    assert audit.main() == 0
    assert capsys.readouterr().out.startswith("NOT AUDITED")
    assert [len(pins) for pins in asked] == [1]


def test_a_fault_that_nobody_accepted_fails_the_audit(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "audit", lambda pins: FOUND)
    monkeypatch.setattr(audit, "rounds", lambda pins: [pins])
    assert audit.main() == 1
    assert "faulty 1.0: PYSEC-2026-1" in capsys.readouterr().out


def test_every_pin_of_every_file_is_audited(audit: ModuleType) -> None:
    lines = (PROJECT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if audit.is_pin(line)]
    assert len(pins) > 100
    assert not [line for line in lines if line and line not in pins and not line.lstrip().startswith("#")]


def test_a_package_of_two_versions_is_asked_for_in_two_rounds(audit: ModuleType) -> None:
    assert audit.rounds(["a==1", "b==1", "b==2"]) == [["a==1", "b==1"], ["b==2"]]
