# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Tables out of files that people upload: .xlsx, .ods, .xls, .csv and .tsv. No ORM.

Every cell comes out as text, as a person sees it in the sheet. Rows are read one after
the other, and those of a sheet that is not chosen are never read.
"""

import csv
import io
import itertools
import logging
import re
import zipfile
from collections import Counter, namedtuple
from contextlib import contextmanager

import chardet
import openpyxl
from lxml import etree
from openpyxl.worksheet._reader import FORMULA_TAG, WorkSheetParser

from .cells import NO_VALUE, cell_text

try:
    import xlrd
except ImportError:  # Odoo works without it
    xlrd = None

_logger = logging.getLogger(__name__)

# Bytes as uploaded, bytes when unpacked (workbooks are ZIP files), columns that are
# kept, and cells of all kinds that are looked at: about fifteen seconds of work.
MAX_BYTES = 20 * 1024 * 1024
MAX_UNPACKED = 300 * 1024 * 1024
MAX_COLUMNS = 200
MAX_CELLS = 1_500_000
# The delimiter, the heading and the right sheet are looked for in this many rows.
HEAD = 40

# ="00123": how some programs keep a sheet from eating zeros.
_KEPT = re.compile(r'\A="(.*)"\Z', re.DOTALL)
_SEP = re.compile(r"\Asep=(.)\r?\n", re.IGNORECASE)
_OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PICTURES = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"


class FileError(ValueError):
    """A file that cannot be read.

    :ivar str code: why, for the caller to put in words: "too_big", "too_many_cells",
        "empty", "password", "no_xls", "not_a_sheet", "encoding", "broken"
    """

    def __init__(self, code):
        super().__init__(code)
        self.code = code


Book = namedtuple("Book", "sheets")


class Sheet:
    """One table; ``rows`` begins anew whenever it is asked for.

    :ivar str name: "" where the format has no names
    """

    def __init__(self, name, lines):
        self.name = name
        self._lines = lines

    @property
    def rows(self):
        """Yield ``(number in the sheet, [text per column])``, empty rows left out.

        :raises FileError: for any bytes that are no such sheet
        """
        seen = 0
        with _file_errors():
            for number, cells in self._lines():
                seen += 1 + len(cells)
                if seen > MAX_CELLS:
                    raise FileError("too_many_cells")
                texts = [cell_text(value) for value in cells[:MAX_COLUMNS]]
                while texts and not texts[-1]:
                    texts.pop()
                # Also a row that has something in columns that are not kept.
                if texts or any(cell_text(value) for value in cells[MAX_COLUMNS:]):
                    yield number, texts

    def head(self):
        return list(itertools.islice(self.rows, HEAD))


@contextmanager
def _file_errors():
    """Say of any trouble with a file that it is broken."""
    try:
        yield
    except (FileError, MemoryError):
        raise
    except Exception as error:
        _logger.info("An uploaded file could not be read: %r", error)
        raise FileError("broken") from error


def read(content, name=""):
    """Return the :class:`Book` in the bytes of a file; its name tells nothing.

    :raises FileError: for any bytes that are no such file
    """
    if len(content) > MAX_BYTES:
        raise FileError("too_big")
    with _file_errors():
        if content.startswith(_OLD_EXCEL):
            sheets = _xls_sheets(content)
        elif content.startswith(b"PK"):
            sheets = _zip_sheets(content)
        else:
            text = _decoded(content)
            sheets = [Sheet("", lambda: _csv_lines(text))]
    return Book(sheets)


# === TEXT FILES === #


def _decoded(content):
    utf_16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    if content.startswith(_PICTURES) or not utf_16 and b"\x00" in content[:4096]:
        raise FileError("not_a_sheet")
    encodings = ["utf-16"] if utf_16 else ["utf-8-sig"]
    if not utf_16:
        # Old programs write the letters of their country; the samples show which.
        guess = chardet.detect(content[:20000])["encoding"] or ""
        arabic = guess.lower() in ("windows-1256", "iso-8859-6")
        encodings += [guess if arabic else "cp1252"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if any(sign < " " and sign not in "\t\r\n\f\x0b" for sign in text[:20000]):
            raise FileError("not_a_sheet")
        return text
    raise FileError("encoding")


def _csv_lines(text):
    if said := _SEP.match(text):
        text, delimiter = text[said.end() :], said[1]
    else:
        delimiter = max(",;\t|", key=lambda sign: _fits(text, sign))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    # The number that a spreadsheet program shows beside it.
    for number, cells in enumerate(reader, 1):
        yield number, [_KEPT.sub(r"\1", cell.strip()) for cell in cells]


def _fits(text, delimiter):
    """Return how well a delimiter divides the head of a file, to be compared."""
    head = io.StringIO(text[:50_000], newline="")
    rows = list(itertools.islice(csv.reader(head, delimiter=delimiter), HEAD))
    widths = Counter(len(cells) for cells in rows if len(cells) > 1)
    width, count = max(
        widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0)
    )
    return count, width


# === WORKBOOKS === #


def _xls_sheets(content):
    if xlrd is None:
        raise FileError("no_xls")
    try:
        book = xlrd.open_workbook(file_contents=content, on_demand=True)
    except (xlrd.XLRDError, xlrd.compdoc.CompDocError) as error:
        # Workbooks of today with a password look like this too.
        raise FileError("password") from error

    def lines(index):
        sheet = book.sheet_by_index(index)
        for row in range(sheet.nrows):
            yield row + 1, [_xls_value(book, cell) for cell in sheet.row(row)]

    return [
        Sheet(name, lambda index=index: lines(index))
        for index, name in enumerate(book.sheet_names())
    ]


def _xls_value(book, cell):
    if cell.ctype == xlrd.XL_CELL_DATE:
        moment = xlrd.xldate_as_datetime(cell.value, book.datemode)
        return moment.time() if cell.value < 1 else moment
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return xlrd.error_text_from_code.get(cell.value, "#VALUE!")
    return bool(cell.value) if cell.ctype == xlrd.XL_CELL_BOOLEAN else cell.value


def _zip_sheets(content):
    archive = zipfile.ZipFile(io.BytesIO(content))
    names = archive.namelist()
    if sum(file.file_size for file in archive.infolist()) > MAX_UNPACKED:
        raise FileError("too_big")
    if "xl/workbook.xml" in names:
        return _xlsx_sheets(content, archive)
    if "content.xml" in names and b"spreadsheet" in archive.read("mimetype"):
        return _ods_sheets(archive)
    raise FileError("not_a_sheet")


class _Cells(WorkSheetParser):
    """Tell an empty cell from a formula that nothing has calculated yet."""

    def parse_cell(self, element):
        cell = super().parse_cell(element)
        if cell["value"] is None and element.find(FORMULA_TAG) is not None:
            cell["value"] = NO_VALUE
        return cell


def _xlsx_sheets(content, archive):
    for file in archive.infolist():
        is_texts = file.filename.lower().endswith("sharedstrings.xml")
        if is_texts and archive.read(file).count(b"<si") > MAX_CELLS:
            raise FileError("too_many_cells")
    book = openpyxl.load_workbook(
        io.BytesIO(content), read_only=True, data_only=True, keep_links=False
    )

    def lines(sheet):
        """Rows of openpyxl are as wide as their last cell, and those between two rows
        are made up: one cell in the last corner would be sixteen billion."""
        with sheet._get_source() as source:
            parser = _Cells(
                source,
                sheet._shared_strings,
                data_only=True,
                epoch=book.epoch,
                date_formats=book._date_formats,
            )
            seen = 0
            for number, cells in parser.parse():
                seen += 1 + len(cells)
                if seen > MAX_CELLS:
                    raise FileError("too_many_cells")
                filled = [c for c in cells if c["value"] is not None]
                row = [None] * max(
                    (min(c["column"], MAX_COLUMNS + 1) for c in filled), default=0
                )
                for cell in filled:
                    row[min(cell["column"] - 1, MAX_COLUMNS)] = cell["value"]
                yield number, row

    shown = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    return [
        Sheet(sheet.title, lambda sheet=sheet: lines(sheet))
        for sheet in shown or book.worksheets
    ]


def _ods_sheets(archive):
    def elements():
        return etree.iterparse(
            archive.open("content.xml"),
            events=("start", "end"),
            tag=[_TABLE + "table", _TABLE + "table-row"],
            resolve_entities=False,
        )

    names = []
    for event, element in elements():
        if event == "end":
            element.clear(keep_tail=False)
        elif element.tag == _TABLE + "table":
            names.append(element.get(_TABLE + "name") or "")

    def lines(index):
        table, number = -1, 0
        for event, element in elements():
            is_row = element.tag == _TABLE + "table-row"
            if event == "start":
                table += not is_row
                continue
            if is_row and table == index:
                # What is repeated is empty, or a few rows that were copied.
                times = int(element.get(_TABLE + "number-rows-repeated", 1))
                cells = _ods_cells(element)
                for copy in range(times if any(cells) else 0):
                    yield number + copy + 1, cells
                number += times
            if is_row or table == index:
                element.clear(keep_tail=False)
            if not is_row and table == index:
                return

    return [
        Sheet(name, lambda index=index: lines(index))
        for index, name in enumerate(names)
    ]


def _ods_cells(row):
    cells = []
    for cell in row:
        value = _ods_value(cell)
        times = int(cell.get(_TABLE + "number-columns-repeated", 1))
        cells += [value] * min(times, MAX_COLUMNS + 1 - len(cells))
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _ods_value(cell):
    kind = cell.get(_OFFICE + "value-type")
    if kind in ("float", "currency", "percentage"):
        return float(cell.get(_OFFICE + "value"))
    if kind == "date":
        return cell.get(_OFFICE + "date-value").replace("T", " ")
    if kind is None and cell.get(_TABLE + "formula"):
        return NO_VALUE
    return "\n".join("".join(p.itertext()) for p in cell.findall(_TEXT + "p"))
