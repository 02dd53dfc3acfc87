"""Packed files: zip archives and gzip, unpacked within limits."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from forecast.errors import FileError

ENDINGS = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".parquet", ".sql")
UNPACKED_BYTES_MAX = 8 << 30
RATIO_MAX = 200
MEMBERS_MAX = 200
_FREE_BYTES = 64 << 20  # up to here any ratio may be: short lines that repeat do pack a thousandfold
_BLOCK_BYTES = 1 << 20
_WORKBOOK_MEMBERS = frozenset({"[Content_Types].xml", "content.xml"})


@dataclass(frozen=True)
class Part:
    """A file to be read: the one that was given, or one that was packed in it, called `name` there."""

    given: Path
    name: str
    path: Path


def unpack(path: Path, folder: Path) -> list[Part]:
    """Give the files in a zip archive or a gzip file, unpacked into a folder; any other file as it is.

    Names in an archive are shown, never used as paths. Members that are no tables by their ending are left out.

    Raises:
        FileError: it is broken, unpacks to too much, or holds no file of a known ending.
    """
    with path.open("rb") as file:
        signature = file.read(4)
    if signature.startswith(b"\x1f\x8b"):
        return [Part(path, "", _unpack_gzip(path, folder))]
    if signature == b"PK\x03\x04":
        return _unpack_zip(path, folder)
    return [Part(path, "", path)]


def _unpack_gzip(path: Path, folder: Path) -> Path:
    target = folder / f"unpacked{len(list(folder.iterdir()))}{_ending(path.stem)}"
    try:
        with gzip.open(path) as packed:
            _copy(packed, target, path, packed_bytes=path.stat().st_size)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FileError(f"{path} is not a whole gzip file: {error}; fetch or pack it again") from error
    return target


def _unpack_zip(path: Path, folder: Path) -> list[Part]:
    try:
        with zipfile.ZipFile(path) as archive:
            if _WORKBOOK_MEMBERS.isdisjoint(archive.namelist()):
                return list(_members(archive, path, folder))
            # A workbook is an archive too; its reader believes the sizes that it claims.
            _check_size(path, sum(member.file_size for member in archive.infolist()), path.stat().st_size)
            return [Part(path, "", path)]
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError) as error:
        raise FileError(f"{path} is not a whole zip file: {error}; fetch or pack it again") from error
    except RuntimeError as error:
        raise FileError(f"{path} is locked by a password: {error}; unpack it and import what it holds") from error


def _members(archive: zipfile.ZipFile, path: Path, folder: Path) -> Iterator[Part]:
    chosen = [member for member in archive.infolist() if _is_table(member)]
    if not chosen:
        raise FileError(f"{path} holds no table; expected files ending in {', '.join(ENDINGS)}")
    if len(chosen) > MEMBERS_MAX:
        raise FileError(f"{path} holds {len(chosen)} files; expected at most {MEMBERS_MAX}, split it")
    packed_bytes = path.stat().st_size
    written = 0
    for member in chosen:
        target = folder / f"unpacked{len(list(folder.iterdir()))}{_ending(member.filename)}"
        with archive.open(member) as packed:
            written += _copy(packed, target, path, packed_bytes=packed_bytes, before=written)
        yield Part(path, member.filename, target)


def _is_table(member: zipfile.ZipInfo) -> bool:
    name = PurePosixPath(member.filename)
    hidden = name.name.startswith(".") or "__MACOSX" in name.parts
    return not member.is_dir() and not hidden and _ending(member.filename) != ""


def _ending(name: str) -> str:
    return next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")


def _copy(packed: IO[bytes] | gzip.GzipFile, target: Path, path: Path, *, packed_bytes: int, before: int = 0) -> int:
    # What the archive claims of its sizes is not believed: the bytes are counted as they come.
    written = 0
    with target.open("wb") as file:
        while block := packed.read(_BLOCK_BYTES):
            written += len(block)
            _check_size(path, before + written, packed_bytes)
            file.write(block)
    return written


def _check_size(path: Path, unpacked_bytes: int, packed_bytes: int) -> None:
    if unpacked_bytes > UNPACKED_BYTES_MAX:
        raise FileError(f"{path} unpacks to more than {UNPACKED_BYTES_MAX >> 30} GiB; split it")
    if unpacked_bytes > max(_FREE_BYTES, RATIO_MAX * packed_bytes):
        raise FileError(
            f"{path} unpacks to more than {RATIO_MAX} times its size, as a zip bomb does; unpack it yourself if you trust it"
        )
