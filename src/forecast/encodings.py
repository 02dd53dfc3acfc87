"""How the letters of a text file are written, told from all of it."""

import codecs
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from forecast.errors import FileError, MappingError

_BLOCK_BYTES = 1 << 20
_LIKELY_SHARE = 0.7


def find_encoding(path: Path) -> str:
    """Tell the encoding of a text file: by its mark, else strict UTF-8, Chinese GB18030, and last Windows' Latin.

    Raises:
        FileError: it is not text.
    """
    with path.open("rb") as file:
        head = file.read(65_536)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head.count(b"\x00") * 20 > len(head):
        raise FileError(f"{path} is not text; save it as a CSV file")
    if _is_whole(path, "utf-8"):
        return "utf-8-sig" if head.startswith(codecs.BOM_UTF8) else "utf-8"
    if _is_whole(path, "gb18030") and _looks_chinese(path):
        return "gb18030"
    return "cp1252" if _is_whole(path, "cp1252") else "latin-1"


def check_encoding(name: str) -> None:
    """Refuse an encoding that Python does not know.

    Raises:
        MappingError: the name is unknown, or not of an encoding of text.
    """
    try:
        known = codecs.lookup(name)._is_text_encoding  # noqa: SLF001  # the only word on it that Python gives
    except (LookupError, ValueError):
        known = False
    if not known:
        raise MappingError(f'encoding is "{name}"; give one such as utf-8, gb18030, utf-16 or cp1252')


def copy_as_utf8(path: Path, encoding: str, target: Path) -> None:
    """Write a text file as UTF-8 without a mark.

    Raises:
        FileError: it is not of this encoding.
    """
    lines = 1
    with target.open("w", encoding="utf-8", newline="") as file:
        try:
            for text in _texts(path, encoding):
                file.write(text)
                lines += text.count("\n")
        except UnicodeError as error:
            raise FileError(
                f"{path} is not {encoding} after line {lines}; set its encoding in a mapping, or save it as CSV UTF-8"
            ) from error


def _texts(path: Path, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


def _is_whole(path: Path, encoding: str) -> bool:
    try:
        for _ in _texts(path, encoding):
            pass
    except UnicodeError:
        return False
    return True


def _looks_chinese(path: Path) -> bool:
    """Tell whether most letters beyond ASCII are the usual Chinese ones, rather than pairs of Latin letters."""
    counts: Counter[str] = Counter()
    for text in _texts(path, "gb18030"):
        counts.update(text)
    beyond = {letter: count for letter, count in counts.items() if not letter.isascii()}
    likely = sum(count for letter, count in beyond.items() if _is_usual(letter))
    return likely >= _LIKELY_SHARE * sum(beyond.values())


def _is_usual(letter: str) -> bool:
    # The punctuation and the 3,755 most used characters of GB 2312; a Latin letter with its neighbour is seldom one.
    try:
        lead = letter.encode("gb2312")[0]
    except UnicodeEncodeError:
        return False
    return 0xA1 <= lead <= 0xA3 or 0xB0 <= lead <= 0xD7
