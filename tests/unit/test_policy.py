from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ispeed.errors import UserError
from ispeed.policy import TECHNOLOGY_NETWORK, read_policy
from ispeed.settings import INCLUDE

POLICY = INCLUDE / "policy.yaml"


def test_the_issuer_is_the_one_of_the_day() -> None:
    assert read_policy(POLICY, date(2025, 2, 28)).issuer == "SỞ THÔNG TIN VÀ TRUYỀN THÔNG"
    assert read_policy(POLICY, date(2025, 3, 1)).issuer == "SỞ KHOA HỌC VÀ CÔNG NGHỆ"


def test_every_technology_has_a_maximum() -> None:
    assert read_policy(POLICY, date(2024, 10, 31)).speed_max_mbps.keys() == TECHNOLOGY_NETWORK.keys()


def test_every_value_says_where_it_comes_from() -> None:
    import yaml

    values = yaml.safe_load(POLICY.read_text(encoding="utf-8"))["values"]
    assert all(entry["source"] for entries in values.values() for entry in entries)


def test_a_value_that_is_not_yet_valid_is_named(tmp_path: Path) -> None:
    text = POLICY.read_text(encoding="utf-8").replace("- value: 30\n", "- value: 30\n      valid_from: 2030-01-01\n")
    (tmp_path / "policy.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"values\.publish_minimum"):
        read_policy(tmp_path / "policy.yaml", date(2024, 10, 31))


def test_comments_do_not_change_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("# more\n" + POLICY.read_text(encoding="utf-8"), encoding="utf-8")
    day = date(2024, 10, 31)
    assert read_policy(tmp_path / "policy.yaml", day).fingerprint == read_policy(POLICY, day).fingerprint


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("- value: 30\n", "- value: thirty\n", "values.publish_minimum"),
        ("- value: day\n", "- value: week\n", "values.window"),
        ("{2G: 1, 3G: 100,", "{3G: 100,", "values.speed_max_mbps"),
        ("valid_from: 2025-03-01", 'valid_from: "2025-03-01"', "values.issuer"),
        ("  report_day:\n    - value: 10", "  report_day:\n    - value: 31", "values.report_day"),
        ("  ping_max_ms:", "  ping_maximum_ms:", "values.ping_max_ms"),
        ("      source: Ours, about the half-width of a small commune\n", "", "values.location_accuracy_max_m"),
        ("      valid_from: 2025-03-01\n      source: Merger", "      source: Merger", "values.issuer"),
        ("night_share: 0.3", "night_share: 1.3", "values.integrity_threshold"),
        ("samples_per_device: 10", "samples_per_device: 1", "values.integrity_threshold"),
        ("- value: 0.00001", "- value: 0.9", "values.integrity_chance"),
        ("night_to_hour: 5", "night_to_hour: 25", "values.integrity_rule"),
        ("deadline_days: 3", "deadline_days: 10", "values.integrity_rule"),
        ("- value: {}\n", '- value: {A: ["1", "2"], B: ["2"]}\n', "values.recipient_groups"),
        ("- value: {}\n", "- value: {A: [22651]}\n", "values.recipient_groups"),
        ("- value: {}\n", "- value: {A: []}\n", "values.recipient_groups"),
        ("  slug: khanh-hoa", "  slug: ../khanh-hoa", "province.slug"),
        ("province:\n", "country:\n", "province"),
        ("values:\n", "values: [\n", "YAML"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    text = POLICY.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "policy.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError) as error:
        read_policy(tmp_path / "policy.yaml", date(2025, 4, 1))
    assert named in str(error.value)
