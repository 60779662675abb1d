# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Tables out of files that people upload, and tables to hand back. No ORM.

Everything comes out as text, as a person sees it in the sheet: an import decides for
itself what a text means, and can quote it in its reasons.
"""

import base64
import csv
import io
import logging
import re
import zipfile
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font

from .identity import (
    is_placeholder,
    number_as_stored,
    number_key,
    number_spellings,
    receipt_text,
    without_blanks,
    word_key,
)

_logger = logging.getLogger(__name__)

# Bytes as uploaded, bytes when unpacked (a workbook is a ZIP file), and rows.
MAX_BYTES = 10 * 1024 * 1024
MAX_UNPACKED = 150 * 1024 * 1024
MAX_COLUMNS = 200
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
_DAY_FIRST = re.compile(
    r"([0-9]{1,2})[./-]([0-9]{1,2})[./-]([0-9]{4})"
    r"(?:[ ,T]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?)?"
)
_YEAR_FIRST = re.compile(
    r"([0-9]{4})[./-]([0-9]{1,2})[./-]([0-9]{1,2})"
    r"(?:[ ,T]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]+)?)?"
    r"\s*(Z|[+-][0-9]{2}:?[0-9]{2})?)?",
    re.IGNORECASE,
)
# Day zero of the numbers by which workbooks mean dates.
_SERIAL_ZERO = datetime(1899, 12, 30)

_OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class SpreadsheetError(ValueError):
    """A file that cannot be read, or a text that makes no sense.

    :ivar str code: why, for the caller to put in words: "too_big", "too_many_rows",
        "empty", "old_format", "not_a_sheet", "encoding", "broken"; for values
        "digits_lost", "formula", "cell_error", "not_money", "not_a_date"
    """

    def __init__(self, code):
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Sheet:
    """``header`` as text; ``rows`` as ``(number in the sheet, [text per column])``."""

    header: list
    rows: list


def read(data, max_rows, is_header=None):
    """Read the first sheet of an XLSX file, or a CSV file.

    :param bytes data: the file
    :param int max_rows: how many rows below the header are accepted
    :param is_header: tells of a list of texts whether it is the header; the first
        row that holds anything is taken when none is, or when this is not given
    :return: a :class:`Sheet`; empty rows are left out
    :raises SpreadsheetError: for any bytes that are no such file
    """
    if len(data) > MAX_BYTES:
        raise SpreadsheetError("too_big")
    if data.startswith(_OLD_EXCEL):
        raise SpreadsheetError("old_format")
    lines = _xlsx_lines(data) if data.startswith(b"PK") else _csv_lines(data)
    rows = []
    try:
        for number, cells in lines:
            if any(cells):
                rows.append((number, cells))
            if len(rows) > max_rows + HEADER_DEPTH:
                raise SpreadsheetError("too_many_rows")
    except SpreadsheetError:
        raise
    except Exception as error:
        _logger.info("An uploaded file could not be read: %r", error)
        raise SpreadsheetError("broken") from error
    if not rows:
        raise SpreadsheetError("empty")
    first = 0
    if is_header:
        for index, (_number, cells) in enumerate(rows[:HEADER_DEPTH]):
            if is_header(cells):
                first = index
                break
    header, body = rows[first][1], rows[first + 1 :]
    if len(body) > max_rows:
        raise SpreadsheetError("too_many_rows")
    return Sheet(header, [(number, _padded(cells, header)) for number, cells in body])


def _padded(cells, header):
    return cells + [""] * (len(header) - len(cells))


# === CSV === #


def _csv_lines(data):
    text = _decoded(data)
    if "\x00" in text:
        raise SpreadsheetError("not_a_sheet")
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t|", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    for cells in reader:
        yield reader.line_num, [_csv_text(cell) for cell in cells[:MAX_COLUMNS]]


def _decoded(data):
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\x00" in data[:4096] or data.startswith((b"%PDF", b"\x89PNG", b"\xff\xd8")):
        raise SpreadsheetError("not_a_sheet")
    else:
        encoding = "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise SpreadsheetError("encoding") from None


def _csv_text(cell):
    cell = cell.strip()
    # ="00123": how some programs keep a sheet from eating zeros.
    if len(cell) > 3 and cell.startswith('="') and cell.endswith('"'):
        cell = cell[2:-1].strip()
    return cell[:LONGEST_CELL]


# === XLSX === #


def _xlsx_lines(data):
    has_formulas = _checked_archive(data)
    values = _first_sheet(data, data_only=True)
    formulas = None
    if has_formulas:
        # Read twice: the values alone do not tell an empty cell from a formula
        # that nothing has calculated yet.
        formulas = _first_sheet(data, data_only=False)
    for number, row in enumerate(values, 1):
        cells = [xlsx_text(value) for value in row[:MAX_COLUMNS]]
        if formulas is not None:
            for index, meant in enumerate(next(formulas, ())[:MAX_COLUMNS]):
                if index < len(cells) and not cells[index] and _is_formula(meant):
                    cells[index] = NO_VALUE
        yield number, cells


def _is_formula(value):
    return isinstance(value, str) and value.startswith("=") or hasattr(value, "ref")


def _checked_archive(data):
    """Return whether any sheet has formulas.

    :raises SpreadsheetError: no workbook, or one that unpacks to far too much
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = archive.infolist()
            if "xl/workbook.xml" not in archive.namelist():
                raise SpreadsheetError("not_a_sheet")
            if sum(file.file_size for file in files) > MAX_UNPACKED:
                raise SpreadsheetError("too_big")
            return any(
                b"<f" in archive.read(file)
                for file in files
                if file.filename.startswith("xl/worksheets/sheet")
            )
    except SpreadsheetError:
        raise
    except Exception as error:
        raise SpreadsheetError("broken") from error


def _first_sheet(data, data_only):
    book = openpyxl.load_workbook(
        io.BytesIO(data), read_only=True, data_only=data_only, keep_links=False
    )
    sheet = book.worksheets[0]
    # The size that a file claims may be wrong; what is there counts.
    sheet.reset_dimensions()
    return sheet.iter_rows(values_only=True)


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
    """Find columns by their headings, in any order.

    :param dict columns: ``{field: headings that mean it}``
    :return: ``{field: index}``; of two columns with one meaning the first counts
    """
    meanings = {
        word_key(heading): field
        for field, headings in columns.items()
        for heading in (field, *headings)
    }
    found = {}
    for index, heading in enumerate(header):
        field = meanings.get(word_key(heading))
        if field and field not in found:
            found[field] = index
    return found


def check_value(text):
    """Refuse what a sheet has spoilt.

    :raises SpreadsheetError: "formula" or "cell_error"
    """
    if text == NO_VALUE:
        raise SpreadsheetError("formula")
    if text.upper() in _ERRORS:
        raise SpreadsheetError("cell_error")
    return text


def read_code(text):
    """Return a number or receipt without blanks, letter case kept.

    :raises SpreadsheetError: "digits_lost" for "1.12E+13"
    """
    text = without_blanks(check_value(text))
    if _SCIENTIFIC.fullmatch(text):
        raise SpreadsheetError("digits_lost")
    return text


def read_reference(text):
    """Return a reference without blanks; "" for a placeholder such as ``N/A``.

    :raises SpreadsheetError: "digits_lost"
    """
    text = read_code(text)
    return "" if is_placeholder(text) else text


def read_number(text):
    """Return a control number as it is stored; with a suffix it stays as it is.

    :raises SpreadsheetError: "digits_lost"
    """
    text = read_code(text)
    return (
        number_as_stored(text) if number_key(text) in number_spellings(text) else text
    )


def read_receipt(text):
    """Return a receipt without blanks and label.

    :raises SpreadsheetError: "digits_lost"
    """
    read_code(text)
    return receipt_text(text)


def read_phone(text):
    """Return a phone number as text, also one that a sheet shows as 2.55712345678E+11.

    :raises SpreadsheetError: "digits_lost" when the sheet has kept too few of them
    """
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

    :raises SpreadsheetError: "not_money"
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
    Local time, unless it says ``Z`` or an offset.

    :param zone: pytz zone of what says none
    :raises SpreadsheetError: "not_a_date"
    """
    text = check_value(text).strip()
    if not text:
        return None
    try:
        if match := _YEAR_FIRST.fullmatch(text):
            year, month, day, hour, minute, second, offset = match.groups()
        elif match := _DAY_FIRST.fullmatch(text):
            day, month, year, hour, minute, second = match.groups()
            offset = None
        elif _SERIAL.fullmatch(text):
            return _to_utc(_SERIAL_ZERO + timedelta(days=float(text)), zone)
        else:
            raise SpreadsheetError("not_a_date")
        parts = (year, month, day, hour or 0, minute or 0, second or 0)
        moment = datetime(*map(int, parts))
        if offset:
            return (
                datetime.fromisoformat(
                    moment.isoformat() + offset.upper().replace("Z", "+00:00")
                )
                .astimezone(timezone.utc)
                .replace(tzinfo=None)
            )
        return _to_utc(moment, zone)
    except (ValueError, OverflowError):
        raise SpreadsheetError("not_a_date") from None


def _to_utc(moment, zone):
    moment = zone.localize(moment.replace(microsecond=0))
    return moment.astimezone(timezone.utc).replace(tzinfo=None)


# === WRITING === #


def write_xlsx(title, header, rows, widths=()):
    """Return an XLSX file with one sheet in which every cell is text.

    Text keeps long numbers whole, and nothing of it is ever run as a formula.

    :param widths: of the columns, in characters
    :rtype: bytes
    """
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(title[:31])
    sheet.freeze_panes = "A2"
    for index in range(len(header)):
        letter = openpyxl.utils.get_column_letter(index + 1)
        width = widths[index] if index < len(widths) else 22
        sheet.column_dimensions[letter].width = width
        # Also of the cells that a person fills in.
        sheet.column_dimensions[letter].number_format = "@"

    def cell(value, **style):
        made = WriteOnlyCell(sheet)
        made.value = openpyxl.cell.cell.ILLEGAL_CHARACTERS_RE.sub(" ", str(value))
        made.data_type = "s"
        made.number_format = "@"
        for name, setting in style.items():
            setattr(made, name, setting)
        return made

    sheet.append([cell(text, font=Font(bold=True)) for text in header])
    wrap = Alignment(wrap_text=True, vertical="top")
    for row in rows:
        sheet.append([cell(text or "", alignment=wrap) for text in row])
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def download_xlsx(record, name, header, rows):
    """Keep a spreadsheet on a record, and return the action that fetches it.

    :param record: has the fields ``download`` and ``download_name``
    :param header: headings
    :param rows: an iterable of rows of texts
    """
    record.ensure_one()
    record.sudo().write(
        {
            "download": base64.b64encode(write_xlsx(name, header, rows)),
            "download_name": "%s.xlsx" % name,
        }
    )
    return {
        "type": "ir.actions.act_url",
        "url": "/web/content/%s/%s/download?download=true&filename_field="
        "download_name" % (record._name, record.id),
        "target": "download",
    }
