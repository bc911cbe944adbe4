"""The codecs `tcvn3` and `vni`: Vietnamese as it was kept for fonts, before Unicode.

`tcvn3` has a byte for each letter, for fonts of the ABC family (.VnTime …). The table is TCVN 5712:1993's first part
(VN1), as glibc's TCVN5712-1 has it; XFree86's tcvn agrees from 0x80 on. ABC fonts use its small letters and its seven
plain capitals; those with a tone are VN1's own.

`vni` has a letter and then a byte for what stands above or below it, for VNI-Times and its like: "Khaùnh Hoøa". The
table is that of VNI for Windows; the keyboard programs xvnkb and UniKey, each on its own, have the same letters.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Mapping
from typing import Any

_CONTROL = {
    0x01: "Ú", 0x02: "Ụ", 0x04: "Ừ", 0x05: "Ử", 0x06: "Ữ",
    0x11: "Ứ", 0x12: "Ự", 0x13: "Ỳ", 0x14: "Ỷ", 0x15: "Ỹ", 0x16: "Ý", 0x17: "Ỵ",
}  # fmt: skip
# 0x80 to 0xFF; 0xB0 to 0xB4 are the five tones as combining marks.
_UPPER = (
    "ÀẢÃÁẠẶẬÈẺẼÉẸỆÌỈĨ"
    "ÍỊÒỎÕÓỌỘỜỞỠỚỢÙỦŨ"
    "\u00a0ĂÂÊÔƠƯĐăâêôơưđẰ"
    "\u0300\u0309\u0303\u0301\u0323àảãáạẲằẳẵắẴ"
    "ẮẦẨẪẤỀặầẩẫấậèỂẻẽ"
    "éẹềểễếệìỉỄẾỒĩíịò"
    "Ổỏõóọồổỗốộờởỡớợù"
    "ỖủũúụừửữứựỳỷỹýỵỐ"
)
TCVN3: Mapping[int, str] = dict(
    enumerate("".join(_CONTROL.get(byte, chr(byte)) for byte in range(0x80)) + _UPPER),
)

_GRAVE, _ACUTE, _TILDE, _HOOK, _DOT = "\u0300", "\u0301", "\u0303", "\u0309", "\u0323"
_CIRCUMFLEX, _BREVE = "\u0302", "\u0306"
# Small letters; a capital is 0x20 below, and a mark has the case of its letter.
_VNI_LETTERS = {"ô": "ơ", "ö": "ư", "í": "í", "ì": "ì", "æ": "ỉ", "ó": "ĩ", "ò": "ị", "î": "ỵ", "ñ": "đ"}
_VNI_MARKS = {
    "ù": _ACUTE, "ø": _GRAVE, "û": _HOOK, "õ": _TILDE, "ï": _DOT,
    "â": _CIRCUMFLEX, "á": _CIRCUMFLEX + _ACUTE, "à": _CIRCUMFLEX + _GRAVE, "å": _CIRCUMFLEX + _HOOK,
    "ã": _CIRCUMFLEX + _TILDE, "ä": _CIRCUMFLEX + _DOT,
    "ê": _BREVE, "é": _BREVE + _ACUTE, "è": _BREVE + _GRAVE, "ú": _BREVE + _HOOK, "ü": _BREVE + _TILDE,
    "ë": _BREVE + _DOT,
}  # fmt: skip
_VNI_SINGLE = {ord(seen): letter for seen, letter in _VNI_LETTERS.items()} | {
    ord(seen) - 0x20: letter.upper() for seen, letter in _VNI_LETTERS.items()
}
# What is no Vietnamese letter stands where Windows' western code page has it.
_WESTERN = {byte: bytes([byte]).decode("cp1252") for byte in range(0x100) if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}
VNI: Mapping[int, str] = (
    _WESTERN | _VNI_SINGLE | {ord(seen) - case: marks for seen, marks in _VNI_MARKS.items() for case in (0, 0x20)}
)
_TCVN3_BYTES = {ord(text): bytes([byte]) for byte, text in sorted(TCVN3.items(), reverse=True)}
_VNI_BYTES = (
    {ord(text): bytes([byte]) for byte, text in VNI.items() if text == _WESTERN[byte]}
    | {
        ord(whole): bytes([byte, ord(seen) - (0x20 if text.isupper() else 0)])
        for byte, text in VNI.items()
        if text.lower() in ("a", "e", "o", "u", "y", "ơ", "ư")
        for seen, marks in _VNI_MARKS.items()
        if len(whole := unicodedata.normalize("NFC", text + marks)) == 1
    }
    | {ord(letter): bytes([byte]) for byte, letter in _VNI_SINGLE.items()}
)


def _codec(name: str, decoding: Mapping[int, str], encoding: Mapping[int, bytes]) -> codecs.CodecInfo:
    """A codec of one string a byte, which may be marks alone: text is composed where it is compared, not here."""

    class Codec(codecs.Codec):
        def encode(self, input: str, errors: str = "strict") -> tuple[bytes, int]:
            return codecs.charmap_encode(input, errors, encoding)

        def decode(self, input: Any, errors: str = "strict") -> tuple[str, int]:
            return codecs.charmap_decode(input, errors, decoding)

    class IncrementalEncoder(codecs.IncrementalEncoder):
        def encode(self, input: str, final: bool = False) -> bytes:
            return codecs.charmap_encode(input, self.errors, encoding)[0]

    class IncrementalDecoder(codecs.IncrementalDecoder):
        def decode(self, input: Any, final: bool = False) -> str:
            return codecs.charmap_decode(input, self.errors, decoding)[0]

    class StreamWriter(Codec, codecs.StreamWriter):
        pass

    class StreamReader(Codec, codecs.StreamReader):
        pass

    codec = Codec()
    return codecs.CodecInfo(
        name=name,
        encode=codec.encode,
        decode=codec.decode,
        incrementalencoder=IncrementalEncoder,
        incrementaldecoder=IncrementalDecoder,
        streamreader=StreamReader,
        streamwriter=StreamWriter,
    )


def _find(name: str) -> codecs.CodecInfo | None:
    if name in ("tcvn3", "tcvn", "abc"):
        return _codec("tcvn3", TCVN3, _TCVN3_BYTES)
    return _codec("vni", VNI, _VNI_BYTES) if name == "vni" else None


def register() -> None:
    """Make the codecs known to `codecs`; whoever reads contracts does so."""
    try:
        codecs.lookup("tcvn3")
    except LookupError:
        codecs.register(_find)
