from __future__ import annotations

from pathlib import Path

import pytest

from ispeed.engine import open_engine
from ispeed.errors import UserError
from ispeed.settings import Settings


def test_everything_lies_under_var_where_nothing_is_set(tmp_path: Path) -> None:
    settings = Settings.from_environment({"ISPEED_VAR": str(tmp_path)})
    assert settings.exports == tmp_path / "exports"
    assert settings.registry == tmp_path / "registry"
    assert settings.share == tmp_path / "share"
    assert settings.database_url == f"sqlite:///{tmp_path}/reports.sqlite"


def test_a_device_key_is_made_once_and_kept_secret(tmp_path: Path) -> None:
    first = Settings.from_environment({"ISPEED_VAR": str(tmp_path)}).device_key
    assert Settings.from_environment({"ISPEED_VAR": str(tmp_path)}).device_key == first
    assert len(first) == 64
    assert (tmp_path / "device.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("name", "value"), [("ISPEED_LAKE", "s3://bucket/lake"), ("ISPEED_ENGINE", "oracle")])
def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(UserError, match=name):
        Settings.from_environment({"ISPEED_VAR": str(tmp_path), name: value})


def test_the_memory_of_a_task_is_a_setting_that_the_engine_keeps_to(tmp_path: Path) -> None:
    environment = {"ISPEED_VAR": str(tmp_path)}
    assert Settings.from_environment(environment).memory_bytes == 1_000_000_000
    settings = Settings.from_environment(environment | {"ISPEED_MEMORY_BYTES": "256000000"})
    with open_engine(settings.memory_bytes) as engine:
        assert engine.value("select current_setting('memory_limit')") == "244.1 MiB"
