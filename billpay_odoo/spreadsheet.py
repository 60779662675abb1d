# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Tables to hand back. No ORM; for those that people upload see ``files``."""

import io
import re

import xlsxwriter

from .actions import download


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
