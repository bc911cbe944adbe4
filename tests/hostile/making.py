"""How hostile files are made: each function returns the bytes of one, or bends the bytes of an honest one."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import stat
import struct
import tempfile
import unicodedata
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import xlsxwriter

import ispeed.contracts  # noqa: F401  knows tcvn3

HEADERS = ("Mã phép đo", "Thời gian đo", "Loại mạng", "Download (Mbps)", "Mã xã", "Nhà mạng")
TIME_FORMAT = "%d/%m/%Y %H:%M:%S"
MIB = 1 << 20


def row(number: int, **changed: Any) -> list[Any]:
    """A sound measurement, told apart by its number: id m2, second 2, download 2.5."""
    fields = {
        "id": f"m{number}",
        "at": f"01/10/2024 08:{number // 60:02}:{number % 60:02}",
        "tech": "4G",
        "down": number + 0.5,
        "commune": "22366",
        "operator": "Viettel",
    }
    assert changed.keys() <= fields.keys()
    return list((fields | changed).values())


def rows(*numbers: int, **changed: Any) -> list[list[Any]]:
    return [row(number, **changed) for number in numbers]


def csv(
    *records: Sequence[Any] | str | bytes,
    header: Sequence[str] | None = HEADERS,
    delimiter: str = ",",
    end: str = "\n",
    encoding: str = "utf-8",
) -> bytes:
    """Delimited text. A record of fields is quoted where it must be; one that is text or bytes is a line as it is."""

    def quoted(field: Any) -> str:
        text = str(field)
        return '"' + text.replace('"', '""') + '"' if {delimiter, '"', "\n", "\r"} & set(text) else text

    def line(record: Sequence[Any] | str | bytes) -> bytes:
        if isinstance(record, bytes):
            return record
        text = record if isinstance(record, str) else delimiter.join(map(quoted, record))
        return text.encode(encoding)

    lines = [line(record) for record in ([header] if header else []) + list(records)]
    return b"".join(text + end.encode(encoding) for text in lines)


def packed_csv(*numbers: int, header: Sequence[str] | None = HEADERS) -> bytes:
    """What the contract declares of *.csv.gz, before it is packed: another delimiter, decimal mark and date."""
    return csv(
        *([f"m{n}", f"2024-10-01 08:00:{n:02}", "4G", f"{n},5", "22366", "Viettel"] for n in numbers),
        header=header,
        delimiter=";",
    )


def cp1258(text: str) -> bytes:
    """Windows' Vietnamese: letters with their own mark (ă, ê, ơ) are one byte, a tone stands behind its letter."""
    tones = "\u0300\u0301\u0303\u0309\u0323"
    parts = []
    for letter in unicodedata.normalize("NFC", text):
        marks = unicodedata.normalize("NFD", letter)
        tone = next((mark for mark in marks if mark in tones), "")
        parts.append(unicodedata.normalize("NFC", marks.replace(tone, "") if tone else marks) + tone)
    return "".join(parts).encode("cp1258")


def deflated(content: bytes, n_times: int = 1) -> bytes:
    """A deflate stream of `content` again and again, in as many bytes as one time and some more takes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    once = packer.compress(content) + packer.flush(zlib.Z_FULL_FLUSH)
    return once * n_times + packer.flush()


def gzip_bomb(n_bytes: int) -> bytes:
    return b"\x1f\x8b\x08" + b"\0" * 6 + b"\xff" + deflated(b"0" * MIB, n_bytes // MIB) + b"\0" * 8


def zipped(*members: tuple[str | zipfile.ZipInfo, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def linked(name: str, target: str) -> tuple[zipfile.ZipInfo, str]:
    """A member that is a symbolic link."""
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target


def forged(content: bytes, **fields: int) -> bytes:
    """An archive whose first member is declared otherwise than it is, in its own header and in the directory."""
    layout = {"flags": ("<H", 6, 8), "method": ("<H", 8, 10), "crc": ("<L", 14, 16), "size": ("<L", 22, 24)}
    forgery = bytearray(content)
    directory = content.index(b"PK\x01\x02")
    for name, value in fields.items():
        form, in_header, in_directory = layout[name]
        struct.pack_into(form, forgery, in_header, value)
        struct.pack_into(form, forgery, directory + in_directory, value)
    return bytes(forgery)


def zip_bomb(n_bytes: int, n_declared: int | None = None) -> bytes:
    """A member of zeros; its size is declared as it is, or otherwise."""
    stream = deflated(b"0" * MIB, n_bytes // MIB)
    return _archive([_Entry("a.csv", stream, 0, n_bytes if n_declared is None else n_declared)])


def overlapping(names: Sequence[str], kernel: bytes) -> bytes:
    """Members that share a packed kernel: each quotes the header of the next as its own first bytes (Fifield, 2019)."""
    stream, data = deflated(kernel), kernel
    entries: list[_Entry] = []
    for name in reversed(names):
        if entries:
            quoted = entries[0].header
            stream = b"\0" + struct.pack("<HH", len(quoted), 0xFFFF - len(quoted)) + quoted + stream
            data = quoted + data
        entries.insert(0, _Entry(name, stream, zlib.crc32(data), len(data)))
    return _archive(entries, is_nested=True)


@dataclass(frozen=True)
class _Entry:
    """A member as an archive has it: its packed bytes, and what is said of those that come out."""

    name: str
    stream: bytes
    crc: int
    n_bytes: int

    @property
    def _described(self) -> bytes:
        return struct.pack("<HHHHHLLLHH", 20, 0, 8, 0, 0, self.crc, len(self.stream), self.n_bytes, len(self.name), 0)

    @property
    def header(self) -> bytes:
        return b"PK\x03\x04" + self._described + self.name.encode()

    def in_directory(self, place: int) -> bytes:
        return b"PK\x01\x02\x14\0" + self._described + b"\0" * 10 + struct.pack("<L", place) + self.name.encode()


def _archive(entries: Sequence[_Entry], is_nested: bool = False) -> bytes:
    """The entries one behind the other, or each within the one before it, behind its five bytes of quoting."""
    content, directory, place = b"", b"", 0
    for entry in entries:
        directory += entry.in_directory(place)
        content += entry.header + entry.stream if not (is_nested and content) else b""
        place += len(entry.header) + (5 if is_nested else len(entry.stream))
    end = struct.pack("<HHHHLLH", 0, 0, len(entries), len(entries), len(directory), len(content), 0)
    return content + directory + b"PK\x05\x06" + end


def book(fill: Callable[[Any], None], **options: Any) -> bytes:
    """A workbook that `fill` writes with xlsxwriter."""
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True, **options}) as workbook:
        fill(workbook)
    return buffer.getvalue()


def write_rows(sheet: Any, *records: Sequence[Any], top: int = 0) -> None:
    for number, record in enumerate(records, start=top):
        for place, value in enumerate(record):
            sheet.write(number, place, value)


def sheet(*records: Sequence[Any], then: Callable[[Any, Any], None] | None = None, **options: Any) -> bytes:
    """A workbook of one sheet with the header and these rows; `then` is given the workbook and the sheet."""

    def fill(workbook: Any) -> None:
        made = workbook.add_worksheet()
        write_rows(made, HEADERS, *records)
        if then is not None:
            then(workbook, made)

    return book(fill, **options)


def edited(content: bytes, part: str, old: str, new: str | bytes, count: int = 1) -> bytes:
    """A workbook with one part edited, by a regular expression that must be found."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for info in source.infolist():
            text = source.read(info)
            if info.filename == part:
                replacement = new if isinstance(new, bytes) else new.encode()
                text, n_found = re.subn(old.encode(), lambda _: replacement, text, count=count, flags=re.DOTALL)  # noqa: B023
                assert n_found
            target.writestr(info.filename, text)
    return buffer.getvalue()


def part_of(content: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(name)


def with_part(content: bytes, name: str, part: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A workbook with one part more."""
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a", method) as archive:
        archive.writestr(name, part)
    return buffer.getvalue()


def parquet(query: str) -> bytes:
    """What a query gives, as DuckDB writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.parquet"
        duckdb.sql(query).write_parquet(str(path))
        return path.read_bytes()


def bent(content: bytes, old: bytes, new: bytes) -> bytes:
    """The same with some bytes changed for as many others."""
    assert old in content and len(old) == len(new)
    return content.replace(old, new)


def int96_parquet() -> bytes:
    """One row measured at 08:00:00, as older Spark and Impala write times; pyarrow made it, which DuckDB cannot."""
    return zlib.decompress(
        base64.b64decode(
            "eNoLcAwyFGUQlRCV0BFlAjLYRNlkGBgYmECYEUTmgqRVRFWwSDMwHG01lGJgWNmtyoDXDBN3oKiMqAxWM0Dgh70oi2SMKYMEW3FyRmpu"
            "oigHgyiPKpMEr+/hxQoFGYdXFigcmZivyuAD0ijKBpThD8l4uHtupkJ6ZmIeSA6q3if/4a6FmQq5QDIvHaaeC6TeJb88Lyc/MUVBwzep"
            "oFiTQYxJUkbSR41BRpRHUpWNQRLNLlGgAjE7MTs1Dk8ZUZDvmBhsxFgk2STVwA4H6WOD6EN3CVinl5iXmhtCpyayPph9KG6F2zeBEaeF"
            "XFAL0bwC1uok5qR2jhGLjWIdTGJMahxAikFDoSCxqLA0tUQ3uaBAN7GoKL9coSy1qDgzP0/ByEzPQM9QEhRgcMQwFRg9AcAEAgCef2NM"
        )
    )


def measured_parquet(*more: str, n_rows: int = 2, **changed: str) -> bytes:
    """A Parquet file of rows 1, 2 …; `changed` are SQL expressions over `n`, by field as for `row`, `more` columns."""
    fields = {
        "id": "'m' || n",
        "at": "strftime(timestamp '2024-10-01 08:00:00' + to_seconds(n), '%d/%m/%Y %H:%M:%S')",
        "tech": "'4G'",
        "down": "n + 0.5",
        "commune": "'22366'",
        "operator": "'Viettel'",
    }
    assert changed.keys() <= fields.keys()
    columns = [f'{field} as "{name}"' for field, name in zip((fields | changed).values(), HEADERS, strict=True)]
    return parquet(f"select {', '.join([*columns, *more])} from range(1, {n_rows + 1}) as numbers(n)")


def record(number: int, **changed: Any) -> dict[str, Any]:
    """A row as a JSON object."""
    return dict(zip(HEADERS, row(number, **changed), strict=True))


def literal(number: int, **changed: str) -> bytes:
    """A row as a JSON object in which these fields are written as given."""
    text = json.dumps(record(number, **{name: f"@{name}@" for name in changed}), ensure_ascii=False)
    for name, written in changed.items():
        text = text.replace(f'"@{name}@"', written)
    return text.encode()


def array(*records: dict[str, Any] | bytes | None) -> bytes:
    return b"[" + b",".join(map(_dumped, records)) + b"]"


def lines(*records: dict[str, Any] | bytes | None, end: bytes = b"\n") -> bytes:
    return b"".join(_dumped(record) + end for record in records)


def _dumped(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
