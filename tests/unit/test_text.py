from __future__ import annotations

import unicodedata

import pytest

from ispeed.text import fold, slug, split_kind


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("Phường Lộc Thọ", "phường", "lộc thọ"),
        ("P. Lộc Thọ", "phường", "lộc thọ"),
        ("P.Lộc Thọ", "phường", "lộc thọ"),
        ("PHƯỜNG  LỘC THỌ ", "phường", "lộc thọ"),
        ("TP. Nha Trang", "thành phố", "nha trang"),
        ("TX Ninh Hoà", "thị xã", "ninh hòa"),
        ("Thị Trấn Vạn Giã", "thị trấn", "vạn giã"),
        ("TT. Vạn Giã", "thị trấn", "vạn giã"),
        ("H. Vạn Ninh", "huyện", "vạn ninh"),
        ("T.P. Nha Trang", "thành phố", "nha trang"),
        ("ĐK Trường Sa", "đặc khu", "trường sa"),
        ("TP. Phan Rang – Tháp Chàm", "thành phố", "phan rang tháp chàm"),
        ("\ufeffXã Vĩnh \u200bNgọc\u2060", "xã", "vĩnh ngọc"),
        ("Xã\u00a0Vĩnh Ngọc", "xã", "vĩnh ngọc"),
        ("Ðại Lãnh", None, "đại lãnh"),
        ("Phước Tiến", None, "phước tiến"),
        ("Xuân Sơn", None, "xuân sơn"),
        ("Thanh Hải", None, "thanh hải"),
    ],
)
def test_kind_and_name_are_read_from_any_spelling(text: str, kind: str | None, name: str) -> None:
    assert split_kind(text) == (kind, name)
    assert split_kind(unicodedata.normalize("NFD", text)) == (kind, name)


def test_accents_make_different_names() -> None:
    assert fold("Thành Hải") != fold("Thanh Hải")


@pytest.mark.parametrize(("old", "new"), [("hoà", "hòa"), ("khoẻ", "khỏe"), ("thuỷ", "thủy"), ("HOÀ", "hòa")])
def test_the_tone_stands_in_one_place(old: str, new: str) -> None:
    assert fold(old) == new


@pytest.mark.parametrize("word", ["hoàng", "quý", "toàn", "thuyền", "loan"])
def test_a_tone_that_has_one_place_only_stays(word: str) -> None:
    assert fold(word) == word


def test_a_slug_keeps_letters_digits_and_single_dashes() -> None:
    assert slug("Huyện  Diên Khánh") == slug("HUYỆN DIÊN-KHÁNH") == "huyen-dien-khanh"
    assert slug("Đặc khu Trường Sa (2025)") == "dac-khu-truong-sa-2025"
    assert slug("../=数") == ""
