"""The threat model names what holds an attacker off by its test: each is there."""

from __future__ import annotations

import re

from ispeed.settings import PROJECT


def test_every_test_that_the_threat_model_names_is_there() -> None:
    page = (PROJECT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    there = {
        name
        for file in (PROJECT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) > 20
    assert named - there == set()
