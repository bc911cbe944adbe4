"""Which encoding unknown bytes are in, and where that stays a doubt: for who writes a source contract."""

from __future__ import annotations

import codecs
import re
import unicodedata
from itertools import islice
from typing import Final

from ispeed.legacy_codecs import register

register()
_ENCODINGS: Final = ("utf-8", "tcvn3", "vni", "cp1258", "cp1252", "gb18030")
_VOWELS: Final = "aăâeêioôơuưy"
_TONES: Final = ("", "\u0300", "\u0301", "\u0309", "\u0303", "\u0323")
_VIETNAMESE: Final = frozenset(
    letter
    for lower in [*(unicodedata.normalize("NFC", vowel + tone) for vowel in _VOWELS for tone in _TONES), "đ"]
    for letter in (lower, lower.upper())
)
_WORD: Final = re.compile(r"""[^\s,;|"']*[^\x00-\x7f\s][^\s,;|"']*""")
# One syllable without its tone. Wrong readings of Vietnamese bytes are Vietnamese letters too, but seldom syllables.
_SYLLABLE: Final = re.compile(
    r"(b|c|ch|d|đ|g|gh|gi|h|k|kh|kr|l|m|n|ng|ngh|nh|p|ph|qu|r|s|t|th|tr|v|x)?"
    r"(a|ă|â|e|ê|i|o|ô|ơ|u|ư|y|ai|ao|au|ay|âu|ây|eo|êu|ia|iê|iêu|iu|oa|oai|oay|oă|oe|oi|ôi|ơi|ua|uâ|uây|uê|ui|uô|uôi|uơ|"
    r"uy|uya|uyê|uyu|ưa|ưi|ươ|ươi|ươu|ưu|yê|yêu)(c|ch|k|m|n|ng|nh|p|t)?"
)


def read_text(data: bytes) -> tuple[str, str, list[str]]:
    """Encoding, text, and doubts: by the byte order mark, else by which reading looks like words of one script."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return encoding, data.decode(encoding, errors="replace").lstrip("\ufeff"), []
    head = data[:4096]
    if head.count(0) > len(head) // 4:
        encoding = "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
        text = data.decode(encoding, errors="replace")
        return encoding, text, [f"encoding {encoding} is taken by its zero bytes: no mark says so"]
    if data.isascii():
        return "utf-8", data.decode("ascii"), []
    texts = {name: data.decode(name, errors="replace") for name in _ENCODINGS}
    scores = {name: _likeness(text) for name, text in texts.items()}
    best = max(scores, key=lambda name: scores[name])
    doubts = []
    others = [name for name in scores if name != best and texts[name] != texts[best]]
    close = [name for name in others if scores[name] > scores[best] - 0.1]
    wrong_without_failing = ["utf-8"] if "utf-8" in others and "\ufffd" not in texts["utf-8"] else []
    for name in dict.fromkeys([*wrong_without_failing, *close]):
        doubts.append(
            f"encoding {best} is taken; {name} reads the same bytes without failing, but as other words: "
            f"{_compared(texts[best], texts[name])}"
        )
    words = ", ".join(repr(match[0]) for match in islice(_WORD.finditer(texts[best]), 3))
    if scores[best] < 0.9:
        doubts.append(
            f"encoding: none of {', '.join(scores)} reads all words well, so it may be another; {best} is taken, which "
            f"reads {words}"
        )
    elif best != "utf-8" and not doubts:
        doubts.append(f"encoding {best} is taken, since it reads words: {words}")
    n_lost = texts[best].count("\ufffd")
    if n_lost:
        line = texts[best][: texts[best].index("\ufffd")].count("\n") + 1
        doubts.append(f"{n_lost:,} bytes are not {best}, first in line {line:,}: their rows will be put aside")
    return best, texts[best], doubts


def _likeness(text: str) -> float:
    """The share of characters beyond ASCII that stand as they do in words; each distinct word counts once."""
    words = {unicodedata.normalize("NFC", match[0]) for match in islice(_WORD.finditer(text), 200_000)}
    found = [likely for word in words for likely in _likely_letters(word)]
    return sum(found) / len(found) if found else 0.0


def _likely_letters(word: str) -> list[float]:
    """How likely each character beyond ASCII is where it stands, from 0 to 1."""
    in_syllable = [False] * len(word)
    for match in re.finditer(r"[^\W\d_]+", word):
        if _is_syllable(match[0]):
            in_syllable[match.start() : match.end()] = [True] * len(match[0])
    return [
        1.0 if in_syllable[place] else _is_likely(word, place)
        for place, letter in enumerate(word)
        if not letter.isascii()
    ]


def _is_syllable(word: str) -> bool:
    parts = unicodedata.normalize("NFD", word.lower())
    tones = [part for part in parts if part in _TONES[1:]]
    plain = unicodedata.normalize("NFC", "".join(part for part in parts if part not in tones))
    is_one_case = word.islower() or word.isupper() or word[1:].islower()
    return len(tones) <= 1 and is_one_case and _SYLLABLE.fullmatch(plain) is not None


def _is_likely(word: str, place: int) -> float:
    letter, before, after = word[place], word[place - 1 : place], word[place + 1 : place + 2]
    if "\u4e00" <= letter <= "\u9fff":
        return not any(near.isalpha() and not "\u4e00" <= near <= "\u9fff" for near in (before, after))
    if letter in "–—‘’“”…°•²³·":
        return not (before.isalpha() and after.isalpha())
    if not unicodedata.name(letter, "").startswith("LATIN"):
        return 0.0
    if letter.isupper() and before.islower():
        return 0.0
    return 0.7 if letter in _VIETNAMESE else 0.5


def _compared(best: str, other: str) -> str:
    """The first words that two readings differ in, with their lines."""
    found = []
    for number, (line, line_of_other) in enumerate(zip(best.split("\n"), other.split("\n"), strict=False), start=1):
        if line != line_of_other:
            words = (next((match[0] for match in _WORD.finditer(text)), "") for text in (line, line_of_other))
            found.append("line {}: {!r}, not {!r}".format(f"{number:,}", *words))
        if len(found) == 3:
            break
    return "; ".join(found)
