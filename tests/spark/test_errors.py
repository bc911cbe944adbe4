"""What Spark needs and does not find is one clear error, before anything is computed."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ispeed.engine import open_chosen_engine
from ispeed.errors import UserError
from ispeed.settings import Settings


def test_spark_is_a_setting(tmp_path: Path) -> None:
    environment = {"ISPEED_VAR": str(tmp_path), "ISPEED_ENGINE": "spark", "ISPEED_SPARK": "spark://head:7077"}
    settings = Settings.from_environment(environment)
    assert (settings.engine, settings.spark) == ("spark", "spark://head:7077")


def test_without_java_the_error_names_it(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    on_spark = replace(settings, engine="spark", spark="local[2]")
    with pytest.raises(UserError, match="no Java in JAVA_HOME"), open_chosen_engine(on_spark):
        pass
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    with pytest.raises(UserError, match="gone"), open_chosen_engine(on_spark):
        pass


def test_without_pyspark_the_error_names_its_packages(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_spec(name: str) -> Any:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    on_spark = replace(settings, engine="spark", spark="local[2]")
    with pytest.raises(UserError, match=r"requirements-spark\.txt"), open_chosen_engine(on_spark):
        pass


def test_without_a_master_the_error_names_the_setting(settings: Settings) -> None:
    with pytest.raises(UserError, match="ISPEED_SPARK"), open_chosen_engine(replace(settings, engine="spark")):
        pass
