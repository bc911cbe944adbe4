"""Where secrets come from: the environment, a file that it names, Airflow; and that nobody sees them by accident."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ispeed.errors import UserError
from ispeed.settings import Settings


def settings(tmp_path: Path, **environment: str) -> Settings:
    return Settings.from_environment({"ISPEED_VAR": str(tmp_path), **environment})


def test_a_secret_is_read_from_the_file_that_the_environment_names(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file\n", encoding="utf-8")
    (tmp_path / "url").write_text("postgresql://ispeed:word@reports-db/reports\n", encoding="utf-8")
    found = settings(tmp_path, ISPEED_DEVICE_KEY_FILE=str(tmp_path / "key"), ISPEED_DB_FILE=str(tmp_path / "url"))
    assert (found.device_key, found.database_url) == ("from a file", "postgresql://ispeed:word@reports-db/reports")
    assert not (tmp_path / "device.key").exists()


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({"ISPEED_DEVICE_KEY": "a", "ISPEED_DEVICE_KEY_FILE": "{folder}/key"}, "ISPEED_DEVICE_KEY_FILE is set too"),
        ({"ISPEED_DEVICE_KEY_FILE": "{folder}/none"}, "No such file"),
        ({"ISPEED_DEVICE_KEY_FILE": "{folder}/empty"}, "empty"),
        ({"ISPEED_DB_FILE": "{folder}"}, "Is a directory"),
        ({"ISPEED_DB": "airflow:ispeed_reports"}, "Airflow is not installed here"),
        ({"ISPEED_DEVICE_KEY": "airflow:ispeed_device_key"}, "Airflow is not installed here"),
    ],
    ids=["both", "no file", "an empty one", "a folder", "Airflow's connection, without it", "Airflow's variable"],
)
def test_a_secret_that_cannot_be_read_is_told_and_none_is_made_up(
    tmp_path: Path, environment: dict[str, str], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("airflow", "airflow.sdk.exceptions"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "key").write_text("b", encoding="utf-8")
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    with pytest.raises(UserError, match=found):
        settings(tmp_path, **{name: text.format(folder=tmp_path) for name, text in environment.items()})
    assert not (tmp_path / "device.key").exists()


def test_settings_that_are_shown_show_no_secret(tmp_path: Path) -> None:
    shown = repr(settings(tmp_path, ISPEED_DEVICE_KEY="k3y", ISPEED_DB="postgresql://ispeed:w0rd@host/reports"))
    assert "k3y" not in shown
    assert "w0rd" not in shown


def test_the_id_of_a_key_tells_keys_apart_and_does_not_change(tmp_path: Path) -> None:
    ids = [settings(tmp_path, ISPEED_DEVICE_KEY=key).device_key_id for key in ("one", "two", "one")]
    assert ids == ["a026e7b6", "71b26b2b", "a026e7b6"]
