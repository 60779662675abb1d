# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Tables out of files that people upload, and tables to hand back. No ORM.

Everything comes out as text, as a person sees it in the sheet.
"""

import csv
import io
import logging
import re
import zipfile
from collections import namedtuple
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import openpyxl
import xlsxwriter
from openpyxl.worksheet._reader import WorkSheetParser

from . import identity
from .actions import download
from .identity import is_placeholder, without_blanks, word_key

_logger = logging.getLogger(__name__)

# Bytes as uploaded, bytes when unpacked (a workbook is a ZIP file), columns that are
# kept, and cells of all kinds that are looked at: about five seconds of work.
MAX_BYTES = 10 * 1024 * 1024
MAX_UNPACKED = 150 * 1024 * 1024
MAX_COLUMNS = 200
MAX_CELLS = 500_000
# The header is looked for in this many rows: exports may begin with a title.
HEADER_DEPTH = 20
LONGEST_CELL = 1000

# What stands in a cell whose formula was never calculated.
NO_VALUE = "#FORMULA"
_ERRORS = ("#REF!", "#N/A", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!")

# A workbook keeps 15 digits of a number; a sheet then shows "1.12200000000012E+19".
_SCIENTIFIC = re.compile(r"[0-9]+([.,][0-9]+)?[eE]\+?[0-9]+")
_PLAIN = re.compile(r"[0-9]+(\.[0-9]{1,2})?")
_GROUPED = re.compile(r"[0-9]{1,3}([, ][0-9]{3})+(\.[0-9]{1,2})?")
_MONEY_WORDS = re.compile(r"(tzs|tshs?|sh|/=|/-)\.?", re.IGNORECASE)
_SERIAL = re.compile(r"[0-9]{5}(\.[0-9]+)?")
_CLOCK = (
    r"(?:[ ,T]+(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:\.[0-9]+)?)?\s*(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_DAY_FIRST = re.compile(
    r"(?P<day>[0-9]{1,2})[./-](?P<month>[0-9]{1,2})[./-](?P<year>[0-9]{4})" + _CLOCK,
    re.IGNORECASE,
)
_YEAR_FIRST = re.compile(
    r"(?P<year>[0-9]{4})[./-](?P<month>[0-9]{1,2})[./-](?P<day>[0-9]{1,2})" + _CLOCK,
    re.IGNORECASE,
)
# ="00123": how some programs keep a sheet from eating zeros.
_KEPT = re.compile(r'\A="(.+)"\Z', re.DOTALL)
# Day zero of the numbers by which workbooks mean dates.
_SERIAL_ZERO = datetime(1899, 12, 30)

_OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class SpreadsheetError(ValueError):
    """A file that cannot be read, or a text that makes no sense.

    :ivar str code: why, for the caller to put in words: "too_big", "too_many_rows",
        "too_many_cells", "empty", "old_format", "not_a_sheet", "encoding", "broken";
        for values "digits_lost", "formula", "cell_error", "not_money", "not_a_date"
    """

    def __init__(self, code):
        super().__init__(code)
        self.code = code


# ``header`` as text; ``rows`` as ``(number in the sheet, [text per column])``.
Sheet = namedtuple("Sheet", "header rows")


def read(data, max_rows, is_header):
    """Read the first :class:`Sheet` of an XLSX file, or a CSV file, but empty rows.

    :param int max_rows: how many rows below the header are accepted
    :param is_header: tells of a list of texts whether it is the header; the first
        row that holds anything is taken when none is
    :raises SpreadsheetError: for any bytes that are no such file
    """
    if len(data) > MAX_BYTES:
        raise SpreadsheetError("too_big")
    if data.startswith(_OLD_EXCEL):
        raise SpreadsheetError("old_format")
    rows, filled = [], 0
    try:
        lines = (_xlsx_lines if data.startswith(b"PK") else _csv_lines)(data)
        for number, cells, is_filled in lines:
            # Also a row that has something in columns that are not kept.
            filled += is_filled
            if any(cells):
                rows.append((number, cells))
            if filled > max_rows + HEADER_DEPTH:
                raise SpreadsheetError("too_many_rows")
    except SpreadsheetError:
        raise
    except Exception as error:
        _logger.info("An uploaded file could not be read: %r", error)
        raise SpreadsheetError("broken") from error
    if not rows:
        raise SpreadsheetError("empty")
    top = enumerate(rows[:HEADER_DEPTH])
    first = next((index for index, (_row, cells) in top if is_header(cells)), 0)
    header, body = rows[first][1], rows[first + 1 :]
    if len(body) > max_rows:
        raise SpreadsheetError("too_many_rows")
    return Sheet(
        header,
        [(row, cells + [""] * (len(header) - len(cells))) for row, cells in body],
    )


def _csv_lines(data):
    utf_16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    binary = not utf_16 and b"\x00" in data[:4096]
    if binary or data.startswith((b"%PDF", b"\x89PNG", b"\xff\xd8")):
        raise SpreadsheetError("not_a_sheet")
    try:
        text = data.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise SpreadsheetError("encoding") from None
    if "\x00" in text:
        raise SpreadsheetError("not_a_sheet")
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t|", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    for cells in reader:
        texts = (_KEPT.sub(r"\1", cell.strip()) for cell in cells[:MAX_COLUMNS])
        texts = [text.strip()[:LONGEST_CELL] for text in texts]
        yield reader.line_num, texts, any(cells)


def _xlsx_lines(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = archive.infolist()
        if "xl/workbook.xml" not in archive.namelist():
            raise SpreadsheetError("not_a_sheet")
        if sum(file.file_size for file in files) > MAX_UNPACKED:
            raise SpreadsheetError("too_big")
        has_formulas = any(
            b"<f" in archive.read(file)
            for file in files
            if file.filename.startswith("xl/worksheets/sheet")
        )
        for file in files:
            is_texts = file.filename.lower().endswith("sharedstrings.xml")
            if is_texts and archive.read(file).count(b"<si") > MAX_CELLS:
                raise SpreadsheetError("too_many_cells")
    # Read twice where there are formulas: the values alone do not tell an empty cell
    # from a formula that nothing has calculated yet.
    sheets = [_first_sheet(data, formulas) for formulas in range(1 + has_formulas)]
    for (number, row), *formulas in zip(*sheets, strict=True):
        kept = [column for column in row if column <= MAX_COLUMNS]
        for _number, meant in formulas:
            kept += [column for column in meant if column <= MAX_COLUMNS]
        texts = [""] * max(kept, default=0)
        for column in kept:
            texts[column - 1] = xlsx_text(row.get(column))
            meant = any(_is_formula(cells.get(column)) for _number, cells in formulas)
            if meant and not texts[column - 1]:
                texts[column - 1] = NO_VALUE
        yield number, texts, bool(row)


def _is_formula(value):
    # An array formula comes as an object that knows its cells.
    return hasattr(value, "ref") or isinstance(value, str) and value.startswith("=")


def _first_sheet(data, formulas):
    """Yield ``(row, {column: value})`` of the cells that are there.

    Rows of ``openpyxl`` are as wide as their last cell, and those between two rows are
    made up: one cell in the last corner would be sixteen billion.
    """
    book = openpyxl.load_workbook(
        io.BytesIO(data), read_only=True, data_only=not formulas, keep_links=False
    )
    sheet, seen = book.worksheets[0], 0
    with sheet._get_source() as source:
        parser = WorkSheetParser(
            source,
            sheet._shared_strings,
            data_only=book.data_only,
            epoch=book.epoch,
            date_formats=book._date_formats,
        )
        for number, cells in parser.parse():
            seen += 1 + len(cells)
            if seen > MAX_CELLS:
                raise SpreadsheetError("too_many_cells")
            yield (
                number,
                {
                    cell["column"]: cell["value"]
                    for cell in cells
                    if cell["value"] is not None
                },
            )


def xlsx_text(value):
    """Return a cell's value as text: ``150000.0`` as ``"150000"``."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        # 15 digits are what a workbook keeps; more would be made up.
        return format(value, ".15g")
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, date):
        return value.isoformat()
    return " ".join(str(value).split())[:LONGEST_CELL]


# === COLUMNS AND VALUES === #


def find_columns(header, columns):
    """Find columns by their headings, in any order: ``{field: index}``.

    Of two columns with one meaning the first counts.

    :param dict columns: ``{field: "headings, that, mean it"}``
    """
    meanings = {
        word_key(heading): field
        for field, headings in columns.items()
        for heading in (field, *headings.split(", "))
    }
    fields = [meanings.get(word_key(heading)) for heading in header]
    return {field: fields.index(field) for field in fields if field}


def check_value(text):
    """Refuse what a sheet has spoilt."""
    if text == NO_VALUE:
        raise SpreadsheetError("formula")
    if text.upper() in _ERRORS:
        raise SpreadsheetError("cell_error")
    return text


def read_code(text):
    """Return a number or receipt without blanks; "1.12E+13" is refused."""
    text = without_blanks(check_value(text))
    if _SCIENTIFIC.fullmatch(text):
        raise SpreadsheetError("digits_lost")
    return text


def read_reference(text):
    """Return a reference without blanks; "" for a placeholder such as ``N/A``."""
    text = read_code(text)
    return "" if is_placeholder(text) else text


def read_number(text):
    """Return a control number as it is stored; with a suffix it stays as it is."""
    text = read_code(text)
    known = identity.number_key(text) in identity.number_spellings(text)
    return identity.number_as_stored(text) if known else text


def read_receipt(text):
    """Return a receipt without blanks and label."""
    read_code(text)
    return identity.receipt_text(text)


def read_phone(text):
    """Return a phone number as text, also one shown as 2.55712345678E+11."""
    text = check_value(text).strip()
    if is_placeholder(text):
        return ""
    bare = without_blanks(text).replace(",", ".")
    if not _SCIENTIFIC.fullmatch(bare):
        return text
    number = Decimal(bare)
    kept = sum(sign.isdigit() for sign in bare.upper().partition("E")[0])
    whole = str(int(number))
    # What a sheet rounded away came out as zeros.
    if number != int(number) or kept < len(whole):
        raise SpreadsheetError("digits_lost")
    return whole


def read_money(text):
    """Return an amount as ``Decimal``, or ``None`` for an empty text.

    Takes ``150000``, ``150,000.00`` and ``TZS 150 000/=``. What could be read in
    two ways, such as ``150.000``, is refused.
    """
    text = check_value(text)
    bare = " ".join(_MONEY_WORDS.sub(" ", text).split())
    if not bare and not text:
        return None
    if _PLAIN.fullmatch(bare) or _GROUPED.fullmatch(bare):
        digits = bare.replace(",", "").replace(" ", "")
        if len(digits) <= 15:
            return Decimal(digits)
    raise SpreadsheetError("not_money")


def read_moment(text, zone):
    """Return a moment in UTC, without zone, or ``None`` for an empty text.

    Day first (``25/11/2026 14:30``) or year first; a workbook's own number of a date.

    :param zone: pytz zone of what has neither ``Z`` nor an offset
    """
    text = check_value(text).strip()
    if not text:
        return None
    match = _DAY_FIRST.fullmatch(text) or _YEAR_FIRST.fullmatch(text)
    try:
        if match:
            parts = match.groupdict()
            offset = parts.pop("offset")
            moment = datetime(**{name: int(part or 0) for name, part in parts.items()})
            if offset:
                return moment - datetime.strptime(offset.upper(), "%z").utcoffset()
        elif _SERIAL.fullmatch(text):
            moment = _SERIAL_ZERO + timedelta(days=float(text))
        else:
            raise SpreadsheetError("not_a_date")
        moment = zone.localize(moment.replace(microsecond=0))
        return moment.astimezone(timezone.utc).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise SpreadsheetError("not_a_date") from None


# === WRITING === #


def sheet_title(text):
    """Return a text as the name of a sheet: "Term 1/2026" as "Term 1 2026"."""
    text = " ".join(re.sub(r"[\x00-\x1f\[\]:*?/\\]", " ", text).split())
    text = text[:31].strip(" '")
    # Excel keeps this one for itself.
    return text if text and text.lower() != "history" else "Sheet1"


def write_xlsx(title, header, rows):
    """Return the bytes of an XLSX file with one sheet in which every cell is text.

    Text keeps long numbers whole, and nothing of it is ever run as a formula.
    """
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        sheet = book.add_worksheet(sheet_title(title))
        bold = book.add_format({"num_format": "@", "bold": True})
        wrap = book.add_format({"num_format": "@", "text_wrap": True, "valign": "top"})
        sheet.freeze_panes(1, 0)
        # Also of the cells that a person fills in.
        sheet.set_column(0, len(header) - 1, 22, book.add_format({"num_format": "@"}))
        for row, texts in enumerate((header, *rows)):
            for column, text in enumerate(texts):
                sheet.write_string(row, column, str(text or ""), wrap if row else bold)
    return buffer.getvalue()


def download_xlsx(record, name, header, rows):
    """Keep a spreadsheet in ``download`` of a record; return the action that fetches
    it.
    """
    return download(record, "%s.xlsx" % name, write_xlsx(name, header, rows))
