"""TCVN3 and VNI: every Vietnamese letter has its bytes, and one spelled by hand is what the fonts show."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest
from test_staging import HEADER, staged

from ispeed.errors import UserError
from ispeed.legacy_codecs import TCVN3, register

register()
TONES = ["", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323"]
LETTERS = [
    unicodedata.normalize("NFC", case(vowel) + tone)
    for vowel, tone, case in itertools.product("aăâeêioôơuưy", TONES, (str.lower, str.upper))
] + ["đ", "Đ"]


@pytest.mark.parametrize("encoding", ["tcvn3", "vni"])
def test_every_vietnamese_letter_comes_back(encoding: str) -> None:
    assert len(set(LETTERS)) == 2 * (12 * 6 + 1)
    text = "".join(LETTERS)
    assert unicodedata.normalize("NFC", text.encode(encoding).decode(encoding)) == text
    if encoding == "tcvn3":
        assert len(text.encode(encoding)) == len(text)


# Each letter as a western font shows it, from the tables of two keyboard programs, xvnkb and UniKey, which agree.
VNI_LETTERS = (
    "a aø aù aõ aû aï ă:aê aè aé aü aú aë â:aâ aà aá aã aå aä e eø eù eõ eû eï ê:eâ eà eá eã eå eä i ì í ó æ ò "
    "o oø où oõ oû oï ô:oâ oà oá oã oå oä ơ:ô ôø ôù ôõ ôû ôï u uø uù uõ uû uï ư:ö öø öù öõ öû öï y yø yù yõ yû î đ:ñ"
)
SHOWN = " ".join(text.rpartition(":")[2] for text in VNI_LETTERS.split())
MEANT = " ".join(letter for letter in LETTERS if letter.islower())


@pytest.mark.parametrize(
    ("seen", "meant"),
    [
        (SHOWN, MEANT),
        (SHOWN.upper(), MEANT.upper()),
        ("Coäng hoøa xaõ hoäi chuû nghóa Vieät Nam", "Cộng hòa xã hội chủ nghĩa Việt Nam"),
        ("Ñoäc laäp - Töï do - Haïnh phuùc", "Độc lập - Tự do - Hạnh phúc"),
        ("Khaùnh Hoøa", "Khánh Hòa"),
    ],
)
def test_what_a_western_font_shows_of_vni_is_vietnamese(seen: str, meant: str) -> None:
    assert unicodedata.normalize("NFC", seen.encode("cp1252").decode("vni")) == meant
    assert meant.encode("vni").decode("cp1252") == seen


@pytest.mark.parametrize(
    ("seen", "meant"),
    [
        ("Céng hßa x· héi chñ nghÜa ViÖt Nam", "Cộng hòa xã hội chủ nghĩa Việt Nam"),
        ("§éc lËp - Tù do - H¹nh phóc", "Độc lập - Tự do - Hạnh phúc"),
        ("B¶o Th¾ng, M\xadêng Kh\xad¬ng, B¸t X¸t", "Bảo Thắng, Mường Khương, Bát Xát"),
        ("Kh¸nh Hßa", "Khánh Hòa"),
    ],
)
def test_what_a_western_font_shows_is_vietnamese(seen: str, meant: str) -> None:
    assert seen.encode("latin-1").decode("tcvn3") == meant


@pytest.mark.skipif(shutil.which("iconv") is None, reason="glibc's iconv is not here")
def test_the_table_is_that_of_glibc() -> None:
    for byte in range(256):
        done = subprocess.run(["iconv", "-f", "TCVN5712-1", "-t", "UTF-8"], input=bytes([byte]), capture_output=True)
        if b"not supported" in done.stderr:
            pytest.skip("this iconv has no TCVN5712-1")
        assert done.stdout.decode() == TCVN3[byte], f"{byte:#x}"


def test_ascii_line_ends_and_delimiters_stay() -> None:
    for byte in (9, 10, 13, *range(32, 127)):
        assert TCVN3[byte] == chr(byte)


@pytest.mark.parametrize("encoding", ["tcvn3", "vni", "cp1258", "utf-16", "utf-16-le", "utf-16-be", "windows-1258"])
def test_an_export_is_read_in_its_declared_encoding(tmp_path: Path, encoding: str) -> None:
    text = HEADER + "01/10/2024 00:00:00,Cố định,1,,Thiết bị,22366\n"
    content = _encoded(text, encoding)
    row = staged(tmp_path, {"a.csv": content}, encoding=encoding)[0]
    assert (row["technology"], row["download_mbps"], row["commune_code"]) == ("Cố định", 1, "22366")


def _encoded(text: str, encoding: str) -> bytes:
    if "1258" not in encoding:
        return text.encode(encoding)
    # CP1258 has whole letters for some marks and combining ones for the five tones.
    parts = []
    for letter in text:
        try:
            parts.append(letter.encode(encoding))
        except UnicodeEncodeError:
            base, tone = unicodedata.normalize("NFD", letter)[:-1], unicodedata.normalize("NFD", letter)[-1]
            for mark in "\u0300\u0301\u0303\u0309\u0323":
                if mark in unicodedata.normalize("NFD", letter):
                    tone, base = mark, unicodedata.normalize("NFD", letter).replace(mark, "")
            parts.append(unicodedata.normalize("NFC", base).encode(encoding) + tone.encode(encoding))
    return b"".join(parts)


def test_bytes_outside_an_encoding_cost_one_record(tmp_path: Path) -> None:
    row = "01/10/2024 00:00:00,4G,{},,,\n"
    content = _encoded(HEADER + row.format(1), "cp1258") + b"01/10/2024 00:00:00,4G,2,,\x8a,\n" + row.format(3).encode()
    rows = staged(tmp_path / "1", {"a.csv": content}, encoding="cp1258")
    assert [(row["row_number"], row["read_error"] is None) for row in rows] == [(2, True), (3, False), (4, True)]
    half = (HEADER + row.format(1) + row.format(2).rstrip("\n")).encode("utf-16")[:-1]
    # A byte lost in the middle would change every letter behind it: such a file is refused.
    with pytest.raises(UserError, match="line 3 or after it"):
        staged(tmp_path / "2", {"a.csv": half}, encoding="utf-16")
