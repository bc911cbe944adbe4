"""What lies packed in a landed file: members of a zip archive and gzip streams, read within bounds, never unpacked by
the names that the archive gives."""

from __future__ import annotations

import gzip
import re
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ispeed.errors import UserError
from ispeed.settings import Settings

if TYPE_CHECKING:
    from ispeed.landing import LandedFile
    from ispeed.months import Month

# So much may come out of any file, however small it is; beyond it the setting ISPEED_EXPANSION_MAX counts.
_FREE_BYTES = 100 * 1024
# A central directory takes 46 bytes a member and the name; a longer one holds more members than it may.
_DIRECTORY_BYTES_A_MEMBER = 1024
# What stands before each member, its name not counted, and behind the directory, the comment not counted.
_HEADER_BYTES, _END_BYTES = 30, 22
_PACKED_SUFFIXES = (".zip", ".gz", ".7z", ".rar", ".tar", ".tgz", ".bz2", ".xz", ".zst")
_DAMAGES = (gzip.BadGzipFile, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError)


class Readable(Protocol):
    """A stream of bytes, as far as it is needed here."""

    def read(self, size: int, /) -> bytes: ...


def is_archive(name: str) -> bool:
    return name.lower().endswith(".zip")


def read_members(settings: Settings, path: Path, source_file: str) -> tuple[zipfile.ZipInfo, ...]:
    """The files in a zip archive, in the order of their names; folders, hidden files and office locks are none.

    Raises `UserError` where the archive is damaged, locked, empty or beyond a bound, or a member is an archive itself,
    a link, or named so that it would leave a folder.
    """
    with _told_damage(source_file, "zip"), checked_zip(settings, path, source_file) as archive:
        infos = archive.infolist()
    members = [info for info in infos if (info.file_size or not info.is_dir()) and not _is_hidden(info.filename)]
    for info in members:
        _check_member(source_file, info)
    names = [info.filename for info in members]
    for name in names:
        if names.count(name) > 1:
            raise UserError(
                f"file {source_file}", f"{names.count(name)} members named {name}", "one", "pack the files again"
            )
    if not members:
        raise UserError(f"file {source_file}", "an archive without files", "export files in it", "pack the files again")
    return tuple(sorted(members, key=lambda info: info.filename))


@contextmanager
def checked_zip(settings: Settings, path: Path, source_file: str) -> Iterator[zipfile.ZipFile]:
    """A zip file whose number of members and unpacked size are within bounds, as its directory says.

    `zipfile` never reads more of a member than the directory says, so these sizes hold.
    """
    n_packed = path.stat().st_size
    if _directory_bytes(path) > settings.archive_members_max * _DIRECTORY_BYTES_A_MEMBER:
        raise _too_many_members(source_file, "too long a directory", settings)
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        if len(infos) > settings.archive_members_max:
            raise _too_many_members(source_file, f"{len(infos):,} members", settings)
        check_expansion(settings, source_file, sum(info.file_size for info in infos), n_packed)
        _check_places(infos)
        for info in infos:
            # Others take memory as the archive says (LZMA: up to 4 GB before the first byte).
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise UserError(
                    f"file {source_file}, member {info.filename!r}",
                    f"packing method {info.compress_type}",
                    "stored or deflated, as an ordinary zip archive is",
                    "pack the files again with another program or its default method",
                )
        yield archive


def check_expansion(settings: Settings, source_file: str, n_bytes: int, n_packed: int) -> None:
    """Raise `UserError` where `n_bytes` are too many, or more than `n_packed` bytes can honestly hold."""
    if n_bytes > settings.file_bytes_max:
        raise UserError(
            f"file {source_file}",
            f"more than {settings.file_bytes_max:,} bytes unpacked",
            "at most the setting ISPEED_FILE_BYTES_MAX",
            "split the export, or raise the setting",
        )
    if n_bytes > _FREE_BYTES + settings.expansion_max * n_packed:
        raise UserError(
            f"file {source_file}",
            f"{n_packed:,} bytes that unpack to more than {settings.expansion_max} times as many",
            "at most the setting ISPEED_EXPANSION_MAX",
            "ask where the file comes from; if it is honest, raise the setting",
        )


@contextmanager
def opened(settings: Settings, month: Month, file: LandedFile) -> Iterator[Readable]:
    """The bytes of a landed file or of a member, unpacked while they are read. Reading to the end proves them whole."""
    path = file.path(settings, month)
    kind = "zip" if file.member else "gzip"
    with _told_damage(file.source_file, kind):
        if file.member:
            with checked_zip(settings, path, file.source_file) as archive:
                info = archive.getinfo(file.member)
                # `zipfile` stops at the size that the directory gives, even where more would come.
                longer = copy(info)
                longer.file_size += 1
                with archive.open(longer) as member:
                    yield _Exact(member, info.file_size)
        elif is_gzip(file.source_file):
            with gzip.open(path) as unpacked:
                yield _Bounded(settings, file.source_file, unpacked, path.stat().st_size)
        else:
            with path.open("rb") as plain:
                yield plain


@contextmanager
def unpacked_path(settings: Settings, month: Month, file: LandedFile) -> Iterator[Path]:
    """A path with the file's bytes unpacked: where it lies if it is not packed, else a scratch copy."""
    if not is_packed(file):
        yield file.path(settings, month)
        return
    with tempfile.TemporaryDirectory(prefix="ispeed-") as folder:
        copy = Path(folder) / "unpacked"
        with opened(settings, month, file) as source, copy.open("wb") as target:
            while block := source.read(1 << 20):
                target.write(block)
        yield copy


def is_gzip(name: str) -> bool:
    return name.lower().endswith(".gz")


def is_packed(file: LandedFile) -> bool:
    return bool(file.member) or is_gzip(file.source_file)


class _Bounded:
    """A stream that stops with a `UserError` where more comes out than the bounds allow."""

    def __init__(self, settings: Settings, source_file: str, stream: Readable, n_packed: int) -> None:
        self._settings, self._source_file, self._stream = settings, source_file, stream
        self._n_packed, self._n_bytes = n_packed, 0

    def read(self, size: int, /) -> bytes:
        block = self._stream.read(size)
        self._n_bytes += len(block)
        check_expansion(self._settings, self._source_file, self._n_bytes, self._n_packed)
        return block


class _Exact:
    """A member's stream, which must hold as many bytes as the directory says: a shorter reading would lose rows."""

    def __init__(self, stream: Readable, n_bytes: int) -> None:
        self._stream, self._n_left = stream, n_bytes

    def read(self, size: int, /) -> bytes:
        block = self._stream.read(size)
        self._n_left -= len(block)
        if self._n_left < 0 or (not block and self._n_left):
            raise zipfile.BadZipFile("a member is longer or shorter than the directory says")
        return block


@contextmanager
def _told_damage(source_file: str, kind: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGES as error:
        raise UserError(
            f"file {source_file}", f"a damaged {kind} file: {error}", "a whole one", "fetch it again"
        ) from error


def _too_many_members(source_file: str, found: str, settings: Settings) -> UserError:
    return UserError(
        f"file {source_file}",
        found,
        f"at most {settings.archive_members_max:,}, the setting ISPEED_ARCHIVE_MEMBERS_MAX",
        "split the archive, or raise the setting",
    )


def _is_hidden(name: str) -> bool:
    parts = name.split("/")
    return parts[0] == "__MACOSX" or (parts[-1] != ".." and parts[-1].startswith((".", "~$")))


def _check_places(infos: Sequence[zipfile.ZipInfo]) -> None:
    """Raise `BadZipFile` where bytes count for two members, or stand before the first, as another archive's would."""
    n_read = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < n_read:
            raise zipfile.BadZipFile(f"{info.filename!r} overlaps another member")
        if n_read == 0 < info.header_offset:
            raise zipfile.BadZipFile(f"{info.header_offset:,} bytes before the first member")
        n_read = info.header_offset + _HEADER_BYTES + len(info.filename) + info.compress_size


def _check_member(source_file: str, info: zipfile.ZipInfo) -> None:
    # zipfile cuts names at a NUL byte; what stood behind it is in orig_filename.
    name = info.orig_filename
    where = f"file {source_file}, member {name!r}"
    parts = re.split(r"[/\\]", name)
    if not name.isprintable() or ".." in parts or parts[0] == "" or re.match(r"[A-Za-z]:", name):
        raise UserError(where, "a name that leads elsewhere", "the name of a file in the archive", "pack it again")
    if info.is_dir():
        raise UserError(where, f"a folder that holds {info.file_size:,} bytes itself", "a file", "pack the files again")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise UserError(where, "a link", "a file", "pack the file that it points to")
    if info.flag_bits & 0x1:
        raise UserError(where, "locked with a password", "an open archive", "pack the files again without password")
    if name.lower().endswith(_PACKED_SUFFIXES):
        raise UserError(where, "an archive in an archive", "export files", "unpack the inner one and send its files")


def _directory_bytes(path: Path) -> int:
    """How long the archive says its directory is, before `zipfile` reads it all into memory.

    Raises `BadZipFile` where something follows the archive; zeros may, which some tools fill up with.
    """
    n_bytes = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, n_bytes - 65_557 - 76))
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + _END_BYTES:
        return 0
    length: int
    length, comment_length = struct.unpack_from("<LxxxxH", tail, end + 12)
    if any(tail[end + _END_BYTES + comment_length :]):
        raise zipfile.BadZipFile("bytes behind its end")
    wide = tail.rfind(b"PK\x06\x06", 0, end)
    if wide >= 0 and end - wide >= 56:
        length = max(length if length < 0xFFFFFFFF else 0, struct.unpack_from("<Q", tail, wide + 40)[0])
    return length
