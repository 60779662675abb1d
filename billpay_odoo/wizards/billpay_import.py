# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import binascii

from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import binaries
from ..actions import dialog, window
from ..identity import word_key
from ..models.billpay_guarded import BillpayGuarded
from ..spreadsheet import SpreadsheetError, download_xlsx, find_columns, read

# The words of files for a mode, those of ClickPesa's dashboard among them.
MODES = {
    "exact": "exact exactamount fixed full kamili kiasikamili".split(),
    "flexible": "flexible anyamount any partial over allowpartialandoverpayment"
    " chochote kiasichochote sehemu".split(),
}


def find_word(text, words):
    """Return the key whose words have this text; ``None`` for none."""
    word = word_key(text)
    return next((key for key, texts in words.items() if word in texts), None)


class BillpayImport(models.AbstractModel):
    """What the imports share: a file, a preview with a verdict per row, a report.

    Nothing is created before the preview was seen and confirmed.
    """

    _name = "billpay.import"
    _inherit = [BillpayGuarded._name]
    _description = "BillPay Import"

    # Set by each import: the headings of each field, of which the template shows the
    # first, the fields without which the file is the wrong one, and how many rows one
    # go may have.
    _billpay_server_fields = frozenset(
        "state made_count ignored_columns download download_name".split()
    )
    _headings = {}
    _needed = ()
    _max_rows = 0
    _line_model = None

    application = fields.Selection(
        selection=lambda self: self.env["payment.provider"]._billpay_choices(),
        default=lambda self: self.env["payment.provider"]._billpay_default_choice(),
        required=True,
        help="The ClickPesa application to which the rows belong.",
    )
    file = fields.Binary(string="Spreadsheet", attachment=False)
    filename = fields.Char()
    download = fields.Binary(attachment=False, readonly=True, copy=False)
    download_name = fields.Char(readonly=True, copy=False)
    state = fields.Selection(
        [("upload", "File"), ("preview", "Check"), ("done", "Result")],
        default="upload",
        required=True,
        readonly=True,
    )
    ok_count = fields.Integer(compute="_compute_counts")
    here_count = fields.Integer(compute="_compute_counts")
    skip_count = fields.Integer(compute="_compute_counts")
    ignored_columns = fields.Char(readonly=True)
    made_count = fields.Integer(readonly=True)

    @api.depends(lambda s: ["line_ids.verdict"] if "line_ids" in s._fields else [])
    def _compute_counts(self):
        for wizard in self:
            # A bulk run has its lines on the run that it makes.
            lines = wizard.line_ids if "line_ids" in wizard._fields else ()
            verdicts = [line.verdict for line in lines]
            for verdict in ("ok", "here", "skip"):
                wizard["%s_count" % verdict] = verdicts.count(verdict)

    def action_preview(self):
        """Read the file and show what would become of each row."""
        self._check_clerk()
        rows = self._read_rows()
        self._provider()
        self.line_ids.unlink()
        # sudo: what a row says is read from the file, and never typed.
        self.env[self._line_model].sudo().create(self._prepare_lines(rows))
        self.sudo().state = "preview"
        return self._reopen()

    def action_import(self):
        """Create what the preview showed as good."""
        self._check_clerk()
        # Whatever was created meanwhile counts: look once more before creating.
        lines_sudo = self.line_ids.sudo()
        lines_sudo._compute_verdict()
        good = lines_sudo.filtered(lambda line: line.verdict == "ok")
        if not good:
            raise UserError(
                self.env._(
                    "No row can be imported. Nothing was created: each row says why, "
                    "and the list can be downloaded."
                )
            )
        made = self._import_lines(good)
        good.filtered(lambda line: line.verdict == "ok").verdict = "done"
        self.sudo().write({"made_count": made, "state": "done"})
        return self._reopen()

    def action_back(self):
        self._check_clerk()
        self.line_ids.unlink()
        self.sudo().write({"state": "upload", "file": False, "filename": False})
        return self._reopen()

    def action_template(self):
        """Download an empty sheet with the right headings."""
        self._check_clerk()
        header = [headings.split(", ")[0] for headings in self._headings.values()]
        return download_xlsx(self, self._title(), header, [])

    def action_report(self):
        """Download what becomes, or became, of each row."""
        self._check_clerk()
        verdict = self.line_ids._fields["verdict"]
        verdicts = dict(verdict._description_selection(self.env))
        rows = [
            {
                self.env._("Row"): line.row,
                self.env._("Verdict"): verdicts[line.verdict],
                self.env._("Reason"): line.reason,
                **line._report_values(),
            }
            for line in self.line_ids.sorted("row")
        ]
        header = list(next(iter(rows), ()))
        return download_xlsx(
            self, self.env._("Import report"), header, map(dict.values, rows)
        )

    def _check_clerk(self):
        # What follows acts as the superuser on what the file says.
        self.check_access("write")
        self.env.user._billpay_check("book")

    def _provider(self):
        return self.env["payment.provider"]._billpay_chosen(self.application)

    def _title(self):
        return self.env["ir.model"]._get(self._name).name

    def _view(self, name, records):
        domain = [("id", "in", records.ids)]
        action = "action_billpay_%s" % name
        return window(self.env, action, domain=domain, target="main")

    def _reopen(self):
        self.ensure_one()
        context = {**self.env.context, "dialog_size": "extra-large"}
        return dialog(self, self._title(), context=context)

    def _read_rows(self):
        """Return ``(row in the file, {field: text})``; note what columns it ignores.

        :raise UserError: the file cannot be read, or is not the right one
        """
        if not self.file:
            raise UserError(
                self.env._("Choose an XLSX or CSV file first. Nothing was changed.")
            )

        def is_header(cells):
            return set(self._needed) <= find_columns(cells, self._headings).keys()

        try:
            sheet = read(binaries.from_field(self.file), self._max_rows, is_header)
        except (binascii.Error, SpreadsheetError) as error:
            code = getattr(error, "code", "broken")
            raise UserError(self._why_unreadable(code)) from None
        columns = find_columns(sheet.header, self._headings)
        missing = [name for name in self._needed if name not in columns]
        if missing:
            raise UserError(
                self.env._(
                    "This file has no column %(missing)s; its columns are: "
                    "%(columns)s. Nothing was changed: download the template to see "
                    "the headings, or rename the column.",
                    missing=", ".join(missing),
                    columns=", ".join(filter(None, sheet.header))[:300],
                )
            )
        if not sheet.rows:
            raise UserError(self._why_unreadable("empty"))
        known = set(columns.values())
        ignored = [
            text for i, text in enumerate(sheet.header) if text and i not in known
        ]
        self.sudo().ignored_columns = ", ".join(ignored)[:500]
        return [
            (number, {field: cells[index] for field, index in columns.items()})
            for number, cells in sheet.rows
        ]

    def _why_unreadable(self, code):
        reasons = {
            "too_big": self.env._(
                "This file is larger than 10 MB. Split it, or leave out pictures and "
                "other sheets."
            ),
            "too_many_rows": self.env._(
                "This file has more than %s rows. Split it into several files.",
                self._max_rows,
            ),
            "too_many_cells": self.env._(
                "This file has too many cells. Leave out the columns and rows that are "
                "not needed, or split it."
            ),
            "empty": self.env._("This file has no rows below its headings."),
            "old_format": self.env._(
                "This is an old Excel file (.xls) or has a password. Save it as XLSX "
                "without a password."
            ),
            "not_a_sheet": self.env._(
                "This is not a spreadsheet. Choose an XLSX or CSV file."
            ),
            "encoding": self.env._(
                "The letters of this CSV file cannot be read. Save it as “CSV UTF-8” "
                "or as XLSX."
            ),
        }
        broken = self.env._(
            "This file is damaged or is not a spreadsheet. Save it once more as XLSX."
        )
        return self.env._(
            "%s Nothing was changed; then choose the file again.",
            reasons.get(code, broken),
        )

    def _why_bad_value(self, code, text):
        reasons = {
            "digits_lost": self.env._(
                "“%s”: the sheet has lost digits. Format the column as text and enter "
                "the number again.",
                text,
            ),
            "formula": self.env._(
                "A formula that has no value yet. Open the file in your spreadsheet "
                "program, save it, and choose it again."
            ),
            "cell_error": self.env._("The sheet shows an error here: %s.", text),
            "not_money": self.env._(
                "“%s” is not an amount. Write it as 150000 or 150,000.", text
            ),
            "not_a_date": self.env._(
                "“%s” is not a date. Write it as 25/11/2026 14:30, day first.", text
            ),
        }
        return reasons[code]

    def _parsed(self, problems, reader, cells, name, *args):
        """Return the value of one cell, or ``None`` and a problem more."""
        text = cells.get(name, "")
        try:
            return reader(text, *args)
        except SpreadsheetError as error:
            problems.append(self._why_bad_value(error.code, text))


class BillpayImportLine(models.AbstractModel):
    """One row of the file, and what becomes of it."""

    _name = "billpay.import.line"
    _inherit = [BillpayGuarded._name]
    _description = "BillPay Import Row"
    _billpay_server_fields = frozenset({"row", "problem", "verdict", "reason"})
    _order = "row, id"

    row = fields.Integer(readonly=True, help="The row in the file.")
    # Why the row can never be imported as it stands in the file.
    problem = fields.Char(readonly=True)
    verdict = fields.Selection(
        [
            ("ok", "Ready"),
            ("done", "Imported"),
            ("here", "Already Here"),
            ("skip", "Skipped"),
        ],
        compute="_compute_verdict",
        store=True,
    )
    reason = fields.Text(compute="_compute_verdict", store=True)

    def _compute_verdict(self):
        raise NotImplementedError

    def _report_values(self):
        """Return the row as it was read, by the headings of the report."""
        raise NotImplementedError
