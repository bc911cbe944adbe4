"""Vietnamese text: made comparable for matching, never for showing."""

from __future__ import annotations

import re
import unicodedata

# Marks without a width (from web pages and PDF files) part words or stand beside spaces; nobody sees them.
_SPACES = re.compile(r"[\s\u200b-\u200f\u2060\ufeff]+")
# Phan Rang-Tháp Chàm is also written with spaces around a dash of any length, or with none.
_DASHES = re.compile(r" ?[-\u2010-\u2015] ?")
_KIND_ABBREVIATIONS = {
    "x": "xã",
    "p": "phường",
    "tt": "thị trấn",
    "tp": "thành phố",
    "tx": "thị xã",
    "h": "huyện",
    "q": "quận",
    "đk": "đặc khu",
}
# "Phường Lộc Thọ", "P. Lộc Thọ", "TP.Nha Trang", "T.P. Nha Trang", "TX Ninh Hòa".
_KIND = re.compile(
    r"^(?:(?P<word>xã|phường|thị trấn|đặc khu|thành phố|thị xã|huyện|quận|tỉnh)\s+"
    r"|(?P<short>x|p|t\.?t|t\.?p|t\.?x|h|q|đ\.?k)(?:\s*\.\s*|\s+))"
)
# The tone of a final oa, oe, uy stands on either vowel (hoà, hòa): both become the newer place, on the first.
_TONES = "\u0300\u0301\u0303\u0309\u0323"
_TONE_ON_SECOND = re.compile(rf"(o|u)([aey])([{_TONES}])(?![a-z\u0300-\u036f])")
_ALLOWED_PAIRS = {("o", "a"), ("o", "e"), ("u", "y")}


def normalise(text: str) -> str:
    """NFC, one kind of Đ, single spaces: what a person reads as the same text."""
    composed = unicodedata.normalize("NFC", text).replace("\u00d0", "\u0110").replace("\u00f0", "\u0111")
    return _SPACES.sub(" ", composed).strip()


def fold(text: str) -> str:
    """`normalise`, then lower case and one place for the tone mark. Accents stay: Thành Hải is not Thanh Hải."""
    decomposed = unicodedata.normalize("NFD", normalise(text).lower())
    moved = _TONE_ON_SECOND.sub(_move_tone, decomposed)
    return unicodedata.normalize("NFC", moved)


def fold_place(text: str) -> str:
    """`fold`, with dashes as spaces: for names of places only."""
    return _DASHES.sub(" ", fold(text))


def slug(text: str) -> str:
    """Lower-case ASCII letters, digits and single dashes, for names of files: "Huyện Diên Khánh" gives
    "huyen-dien-khanh"; empty where nothing of the text is left.
    """
    plain = unicodedata.normalize("NFKD", normalise(text).casefold().replace("đ", "d"))
    return re.sub(r"[^a-z0-9]+", "-", "".join(c for c in plain if not unicodedata.combining(c))).strip("-")


def _move_tone(match: re.Match[str]) -> str:
    first, second, tone = match.groups()
    if (first, second) not in _ALLOWED_PAIRS or (
        first == "u" and match.string[match.start() - 1 : match.start()] == "q"
    ):
        return match[0]
    return first + tone + second


def split_kind(text: str) -> tuple[str | None, str]:
    """The kind of unit and the folded name: "P. Lộc Thọ" gives ("phường", "lộc thọ"); no kind gives None.

    Source of the abbreviations: P., X., TT., TP., TX., H., Q., ĐK. as written on forms of the province.
    """
    folded = fold_place(text)
    match = _KIND.match(folded)
    if match is None:
        return None, folded
    kind = match["word"] or _KIND_ABBREVIATIONS[match["short"].replace(".", "")]
    return kind, folded[match.end() :].strip()
