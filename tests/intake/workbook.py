"""Write small Excel files, as Excel itself lays them out."""

import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_MANIFEST = (
    '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
    '<manifest:file-entry manifest:full-path="/" manifest:media-type="application/vnd.oasis.opendocument.spreadsheet"/>'
    "</manifest:manifest>"
)
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"


@dataclass(frozen=True)
class Day:
    """A cell shown as a date: the days since the end of 1899."""

    serial: float


def write_workbook(path: Path, sheets: dict[str, list[list[object]]]) -> Path:
    """Write sheets of rows; a cell is a text, a number, a boolean, a Day or None."""
    numbered = list(enumerate(sheets, start=1))
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
        f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
        f'ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/></Types>',
        "_rels/.rels": _relations([("r1", "officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        + "".join(f'<sheet name="{name}" sheetId="{place}" r:id="s{place}"/>' for place, name in numbered)
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": _relations(
            [(f"s{place}", "worksheet", f"worksheets/sheet{place}.xml") for place, _ in numbered]
            + [("styles", "styles", "styles.xml")]
        ),
        "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><cellXfs count="2"><xf numFmtId="0"/>'
        '<xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>',
    }
    for place, name in numbered:
        parts[f"xl/worksheets/sheet{place}.xml"] = _sheet(sheets[name])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


def _relations(given: list[tuple[str, str, str]]) -> str:
    inside = "".join(
        f'<Relationship Id="{id_}" Type="{_OFFICE}/{kind}" Target="{target}"/>' for id_, kind, target in given
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{inside}</Relationships>'


def _sheet(rows: list[list[object]]) -> str:
    body = "".join(
        f'<row r="{number}">'
        + "".join(_cell(value, f"{chr(64 + column)}{number}") for column, value in enumerate(row, start=1))
        + "</row>"
        for number, row in enumerate(rows, start=1)
    )
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{body}</sheetData></worksheet>'


def _cell(value: object, place: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'
    if isinstance(value, Day):
        return f'<c r="{place}" s="1"><v>{value.serial}</v></c>'
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    return f'<c r="{place}"><v>{value}</v></c>'


def write_binary_workbook(path: Path, rows: list[list[object]]) -> Path:
    """Write a sheet as Excel's binary form (.xlsb) has it; a cell is a text, a number or a Day."""
    book = [_record(131), _record(143), _record(156, struct.pack("<II", 0, 1) + _wide("r1") + _wide("Deals"))]
    styles = [_record(278), _record(617, struct.pack("<I", 2)), _look(0), _look(14), _record(618), _record(279)]
    size = struct.pack("<IIII", 0, len(rows) - 1, 0, len(rows[0]) - 1)
    sheet = [_record(129), _record(148, size), _record(145)]
    for number, row in enumerate(rows):
        sheet.append(_record(0, struct.pack("<IIHHBI", number, 0, 300, 0, 0, 0)))
        sheet += [_binary_cell(column, value) for column, value in enumerate(row)]
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"/>',
        "_rels/.rels": _relations([("r1", "officeDocument", "xl/workbook.bin")]),
        "xl/workbook.bin": b"".join([*book, _record(144), _record(132)]),
        "xl/_rels/workbook.bin.rels": _relations(
            [("r1", "worksheet", "worksheets/sheet1.bin"), ("r2", "styles", "styles.bin")]
        ),
        "xl/styles.bin": b"".join(styles),
        "xl/worksheets/sheet1.bin": b"".join([*sheet, _record(146), _record(130)]),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def _record(number: int, body: bytes = b"") -> bytes:
    return (
        b"".join(bytes([one]) if one < 128 else bytes([one % 128 + 128, one // 128]) for one in (number, len(body)))
        + body
    )


def _wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def _look(number_format: int) -> bytes:
    return _record(47, struct.pack("<HH12x", 0, number_format))


def _binary_cell(column: int, value: object) -> bytes:
    if isinstance(value, str):
        return _record(6, struct.pack("<II", column, 0) + _wide(value))
    number = value.serial if isinstance(value, Day) else value
    return _record(5, struct.pack("<IId", column, int(isinstance(value, Day)), number))


def write_open_document(path: Path, rows: list[list[str]]) -> Path:
    """Write a sheet of texts as LibreOffice lays them out."""
    cells = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p></table:table-cell>' for cell in row
        )
        + "</table:table-row>"
        for row in rows
    )
    spaces = "".join(
        f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    body = f'<office:spreadsheet><table:table table:name="Deals">{cells}</table:table></office:spreadsheet>'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", _MANIFEST)
        archive.writestr(
            "content.xml",
            f'<?xml version="1.0" encoding="UTF-8"?><office:document-content{spaces}>'
            f"<office:body>{body}</office:body></office:document-content>",
        )
    return path
