"""Vietnamese text: made comparable for matching, never for showing."""

from __future__ import annotations

import re
import unicodedata

_SPACES = re.compile(r"[\s\u00a0\u200b\ufeff]+")
_KIND_ABBREVIATIONS = {
    "x": "xã",
    "p": "phường",
    "tt": "thị trấn",
    "tp": "thành phố",
    "tx": "thị xã",
    "h": "huyện",
    "q": "quận",
}
# "Phường Lộc Thọ", "P. Lộc Thọ", "TP.Nha Trang", "TX Ninh Hòa".
_KIND = re.compile(
    r"^(?:(?P<word>xã|phường|thị trấn|đặc khu|thành phố|thị xã|huyện|quận|tỉnh)\s+"
    r"|(?P<short>x|p|tt|tp|tx|h|q)(?:\s*\.\s*|\s+))"
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


def _move_tone(match: re.Match[str]) -> str:
    first, second, tone = match.groups()
    if (first, second) not in _ALLOWED_PAIRS or (
        first == "u" and match.string[match.start() - 1 : match.start()] == "q"
    ):
        return match[0]
    return first + tone + second


def split_kind(text: str) -> tuple[str | None, str]:
    """The kind of unit and the folded name: "P. Lộc Thọ" gives ("phường", "lộc thọ"); no kind gives None.

    Source of the abbreviations: P., X., TT., TP., TX., H., Q. as written on forms of the province.
    """
    folded = fold(text)
    match = _KIND.match(folded)
    if match is None:
        return None, folded
    kind = match["word"] or _KIND_ABBREVIATIONS[match["short"]]
    return kind, folded[match.end() :].strip()
