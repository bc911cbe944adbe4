"""The codec `tcvn3`: Vietnamese as fonts of the ABC family (.VnTime …) keep it, one byte a letter.

The table is TCVN 5712:1993's first part (VN1), as glibc's TCVN5712-1 has it; XFree86's tcvn agrees from 0x80 on.
ABC fonts use its small letters and its seven plain capitals; those with a tone are VN1's own.
"""

from __future__ import annotations

import codecs
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
DECODING_TABLE = "".join(_CONTROL.get(byte, chr(byte)) for byte in range(0x80)) + _UPPER
_ENCODING_TABLE = codecs.charmap_build(DECODING_TABLE)


class _Codec(codecs.Codec):
    def encode(self, input: str, errors: str = "strict") -> tuple[bytes, int]:
        return codecs.charmap_encode(input, errors, _ENCODING_TABLE)

    def decode(self, input: Any, errors: str = "strict") -> tuple[str, int]:
        return codecs.charmap_decode(input, errors, DECODING_TABLE)


class _IncrementalEncoder(codecs.IncrementalEncoder):
    def encode(self, input: str, final: bool = False) -> bytes:
        return codecs.charmap_encode(input, self.errors, _ENCODING_TABLE)[0]


class _IncrementalDecoder(codecs.IncrementalDecoder):
    def decode(self, input: Any, final: bool = False) -> str:
        return codecs.charmap_decode(input, self.errors, DECODING_TABLE)[0]


class _StreamWriter(_Codec, codecs.StreamWriter):
    pass


class _StreamReader(_Codec, codecs.StreamReader):
    pass


def _find(name: str) -> codecs.CodecInfo | None:
    if name not in ("tcvn3", "tcvn", "abc"):
        return None
    codec = _Codec()
    return codecs.CodecInfo(
        name="tcvn3",
        encode=codec.encode,
        decode=codec.decode,
        incrementalencoder=_IncrementalEncoder,
        incrementaldecoder=_IncrementalDecoder,
        streamreader=_StreamReader,
        streamwriter=_StreamWriter,
    )


def register() -> None:
    """Make `tcvn3` known to `codecs`; whoever reads contracts does so."""
    try:
        codecs.lookup("tcvn3")
    except LookupError:
        codecs.register(_find)
