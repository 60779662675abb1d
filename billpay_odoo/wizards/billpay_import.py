# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import binascii
import gzip
import io
import json
import re
from datetime import datetime

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, LazyTranslate, split_every

from .. import binaries, cells, columns, files
from ..actions import dialog, window
from ..identity import word_key
from ..models.billpay_guarded import BillpayGuarded
from ..spreadsheet import download_xlsx

_lt = LazyTranslate(__name__)

# The words of files for a mode, those of ClickPesa's dashboard among them.
MODES = {
    "exact": "exact exactamount fixed full kamili kiasikamili".split(),
    "flexible": "flexible anyamount any partial over allowpartialandoverpayment"
    " chochote kiasichochote sehemu".split(),
}
# Rows that say nothing bad, in the status of a pupil, a bill or a payment.
GOOD = frozenset(
    "active current new old continuing enrolled present hai yupo anaendelea ok open"
    " unpaid sent posted notpaid inpayment partial overdue due hajalipa".split()
)
IGNORE = "ignore"
LABELS = {
    "name": _lt("Name"),
    "first_name": _lt("First Name"),
    "middle_name": _lt("Middle Name"),
    "last_name": _lt("Last Name"),
    "ref": _lt("Reference"),
    "tag": _lt("Class or Group"),
    "parent": _lt("Parent"),
    "phone": _lt("Phone"),
    "email": _lt("E-Mail"),
    "purpose": _lt("Purpose"),
    "amount": _lt("Amount"),
    "mode": _lt("Mode"),
    "status": _lt("Status"),
    "number": _lt("Control Number"),
    "kind": _lt("Kind of Number"),
    "description": _lt("Description"),
    "invoice": _lt("Invoice"),
    "customer": _lt("Customer"),
    "customer_ref": _lt("Customer Reference"),
    "id": _lt("ClickPesa ID"),
    "amount_out": _lt("Money Out"),
    "currency": _lt("Currency"),
    "receipt": _lt("Receipt"),
    "linked": _lt("Receipt It Takes Back"),
    "channel": _lt("Channel"),
    "payer_name": _lt("Payer"),
    "payer_phone": _lt("Payer's Phone"),
    "paid_at": _lt("Date"),
    "clock": _lt("Time"),
    "details": _lt("Details"),
}
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")


def _of_workbook(text):
    """Return the moment that a workbook kept, else the text as it is."""
    try:
        return datetime.fromisoformat(text) if _MOMENT.fullmatch(text) else text
    except ValueError:
        return text


def find_word(text, words):
    """Return the key whose words have this text; ``None`` for none."""
    word = word_key(text)
    return next((key for key, texts in words.items() if word in texts), None)


def _packed(rows):
    """Return rows in few bytes, written one by one: as text they are many."""
    buffer = io.BytesIO()
    with gzip.open(buffer, "wt", compresslevel=1, encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
    return buffer.getvalue()


def _unpacked(content):
    with gzip.open(io.BytesIO(content), "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def insert_many(model, vals_list):
    """Insert rows of one of our models at once: `create` takes minutes for 50,000.

    Defaults, computed fields and rights are the caller's work.
    """
    if not vals_list:
        return
    env, now = model.env, fields.Datetime.now()
    stored = [model._fields[name] for name in vals_list[0]]
    own = {"create_uid": env.uid, "write_uid": env.uid}
    own |= dict.fromkeys(("create_date", "write_date"), now)
    query = SQL(
        "INSERT INTO %s (%s) VALUES",
        SQL.identifier(model._table),
        SQL(", ").join(map(SQL.identifier, [*vals_list[0], *own])),
    )
    for part in split_every(1000, vals_list):
        rows = []
        for vals in part:
            texts = [f.convert_to_column_insert(vals[f.name], model) for f in stored]
            rows.append(SQL("%s", (*texts, *own.values())))
        env.cr.execute(SQL("%s %s", query, SQL(", ").join(rows)))
    model.invalidate_model()


class BillpayImport(models.AbstractModel):
    """What the imports share: a file, what its columns are, what becomes of each row.

    Nothing is created before a person has seen it and pressed Start.
    """

    _name = "billpay.import"
    _inherit = [BillpayGuarded._name]
    _description = "BillPay Import"

    # Set by each import: its part of the vocabulary, the fields without which the file
    # is the wrong one, and the models of its rows and columns.
    _billpay_server_fields = frozenset(
        "state made_count ignored_columns download download_name content"
        " asks_order sheet_ids".split()
    )
    _kind = None
    _needed = ()
    _max_rows = 50_000
    # Rows of one request.
    _chunk = 1000
    _line_model = None
    _column_model = None

    application = fields.Selection(
        selection=lambda self: self.env["payment.provider"]._billpay_choices(),
        default=lambda self: self.env["payment.provider"]._billpay_default_choice(),
        required=True,
        help="The ClickPesa application to which the rows belong.",
    )
    file = fields.Binary(string="Spreadsheet", attachment=False)
    filename = fields.Char()
    sheet_id = fields.Many2one("billpay.import.sheet")
    sheet_ids = fields.Many2many("billpay.import.sheet", readonly=True)
    has_sheets = fields.Boolean(compute="_compute_has_sheets")
    # The rows below the heading, packed: the file is read once.
    content = fields.Binary(attachment=False, readonly=True, copy=False)
    asks_order = fields.Boolean(readonly=True)
    date_order = fields.Selection(
        [("dmy", "Day first: 05/06 is 5 June"), ("mdy", "Month first: 05/06 is 6 May")],
        string="Dates Are Written",
    )
    download = fields.Binary(attachment=False, readonly=True, copy=False)
    download_name = fields.Char(readonly=True, copy=False)
    state = fields.Selection(
        [
            ("upload", "File"),
            ("map", "Columns"),
            ("preview", "Check"),
            ("running", "Started"),
            ("done", "Result"),
        ],
        default="upload",
        required=True,
        readonly=True,
    )
    new_count = fields.Integer(compute="_compute_counts")
    known_count = fields.Integer(compute="_compute_counts")
    doubtful_count = fields.Integer(compute="_compute_counts")
    unusable_count = fields.Integer(compute="_compute_counts")
    progress = fields.Float(compute="_compute_counts")
    ignored_columns = fields.Char(readonly=True)
    made_count = fields.Integer(readonly=True)

    @api.depends(
        lambda s: ["made_count", *["line_ids.verdict"] * ("line_ids" in s._fields)]
    )
    def _compute_counts(self):
        for wizard in self:
            count = {}
            if self._line_model:
                domain = [("wizard_id", "in", wizard.ids)]
                groups = self.env[self._line_model]._read_group(
                    domain, ["verdict"], ["__count"]
                )
                count = dict(groups)
            wizard.new_count = count.get("new", 0)
            wizard.known_count = count.get("known", 0)
            wizard.doubtful_count = sum(count.get(name, 0) for name in DOUBTFUL)
            unusable = ("same_as", "unusable")
            wizard.unusable_count = sum(count.get(name, 0) for name in unusable)
            done, new = count.get("done", 0), count.get("new", 0)
            wizard.progress = 100.0 * done / (done + new) if done else 0.0

    @api.depends("sheet_ids")
    def _compute_has_sheets(self):
        for wizard in self:
            wizard.has_sheets = len(wizard.sheet_ids) > 1

    # === FILE === #

    def action_preview(self):
        """Read the file, and show what each of its columns is taken for."""
        self._check_clerk()
        self._provider()
        if not self.file:
            raise UserError(
                self.env._("Choose an XLSX or CSV file first. Nothing was changed.")
            )
        try:
            self._read_file(files.read(binaries.from_field(self.file), self.filename))
        except (binascii.Error, files.FileError) as error:
            code = getattr(error, "code", "broken")
            raise UserError(self._why_unreadable(code)) from None
        return self._reopen()

    def _read_file(self, book):
        # What is long is kept in memory once.
        self.invalidate_recordset(["file"])
        if not book.sheets:
            raise files.FileError("empty")
        vocabulary = columns.VOCABULARIES[self._kind]
        wanted = self.sheet_id.position if self.sheet_id in self.sheet_ids else None
        best = None
        for place, sheet in enumerate(book.sheets):
            head = [texts for _number, texts in sheet.head()]
            found = columns.find_heading(head, vocabulary)
            fit = (place == wanted, columns.likeness(found[2], vocabulary), bool(head))
            if best is None or fit > best[0]:
                best = fit, place, found
        _fit, place, (index, height, headings) = best
        rows = []
        for order, (number, texts) in enumerate(book.sheets[place].rows):
            # Sheets that were printed say the headings once a page.
            if order >= index + height and texts != headings:
                rows.append((number, texts))
            if len(rows) > self._max_rows:
                raise files.FileError("too_many_rows")
        if not rows:
            raise files.FileError("empty")
        vals_list = self._columns_of(headings, rows)
        content = binaries.to_field(_packed(rows))
        names = [sheet.name or "1" for sheet in book.sheets]
        # The database's copy of a long file takes the room of these.
        del rows, book, sheet
        # sudo: what the file says is never typed.
        sheets = self.env["billpay.import.sheet"].sudo()
        sheets = sheets.create(
            [{"name": n, "position": i} for i, n in enumerate(names)]
        )
        self.column_ids.sudo().unlink()
        if self._line_model:
            self.line_ids.sudo().unlink()
        self.sudo().write(
            {
                "state": "map",
                "sheet_ids": [fields.Command.set(sheets.ids)],
                "sheet_id": sheets[place].id,
                "asks_order": False,
                "content": content,
            }
        )
        self.env[self._column_model].sudo().create(vals_list)

    def _columns_of(self, headings, rows):
        """Return the values of the columns that hold anything."""
        vocabulary = columns.VOCABULARIES[self._kind]
        width = max(len(headings), max(len(texts) for _number, texts in rows))
        headings = headings + [""] * (width - len(headings))
        samples = [[] for _heading in headings]
        for _number, texts in rows[:200]:
            for column, text in enumerate(texts):
                samples[column].append(text)
        guesses = columns.guess(headings, samples, vocabulary)
        known = self.env["billpay.import.mapping"]._known(self, headings)
        vals_list = []
        for guess in guesses:
            place = guess.column
            texts = [t[place] for _number, t in rows if len(t) > place and t[place]]
            heading = headings[place]
            if not heading and not texts:
                continue
            meaning, note = guess.field or IGNORE, ""
            if known:
                meaning = known.get(str(place), IGNORE)
            # What was chosen for one file says nothing of what stands in the next.
            is_new = not known
            asks = meaning == IGNORE or is_new and self._may_tell(meaning)
            if is_new and guess.rivals:
                meaning = False
                note = self.env._(
                    "%(field)s? So may be: %(others)s.",
                    field=LABELS[guess.field],
                    others=", ".join(headings[rival] for rival in guess.rivals),
                )
            elif asks and columns.is_telling(
                heading if is_new and meaning == IGNORE else "", texts
            ):
                meaning = False
                note = self.env._(
                    "It may say which rows do not count. Choose Status, or say that it "
                    "is not imported."
                )
            vals_list.append(
                {
                    "wizard_id": self.id,
                    "position": place,
                    "heading": heading,
                    "samples": " · ".join(list(dict.fromkeys(texts))[:3])[:200],
                    "meaning": meaning,
                    "note": note,
                }
            )
        return vals_list

    def _may_tell(self, meaning):
        """Whether nothing would look at what such a column says of its rows."""
        words = columns.VOCABULARIES[self._kind].get(meaning)
        is_text = words is None or words.kind == "text"
        return is_text and meaning not in ("status", "details")

    # === COLUMNS === #

    def _mapped_rows(self):
        """Return ``(row in the file, {field: text})``, as a person mapped the columns.

        :raise UserError: a choice is open, or a needed column is missing
        """
        vocabulary = columns.VOCABULARIES[self._kind]
        if not self.content:
            raise UserError(
                self.env._("Choose an XLSX or CSV file first. Nothing was changed.")
            )
        if open_columns := self.column_ids.filtered(lambda c: not c.meaning):
            raise UserError(
                self.env._(
                    "Choose what these columns are, or that they are not imported: "
                    "%s. Nothing was changed.",
                    ", ".join(column._title() for column in open_columns),
                )
            )
        places, used = {}, self.column_ids.filtered(lambda c: c.meaning in vocabulary)
        for column in used:
            other = places.setdefault(column.meaning, column)
            if other != column:
                raise UserError(
                    self.env._(
                        "Two columns are %(field)s: %(one)s and %(other)s. Choose one "
                        "of them. Nothing was changed.",
                        field=LABELS[column.meaning],
                        one=other._title(),
                        other=column._title(),
                    )
                )
        for name in self._missing(places):
            raise UserError(
                self.env._(
                    "This file has no column %(field)s; its columns are: %(columns)s. "
                    "Nothing was changed: choose for one of them that it is %(field)s, "
                    "or choose another file or sheet.",
                    field=LABELS[name],
                    columns=", ".join(c._title() for c in self.column_ids)[:300],
                )
            )
        ignored = self.column_ids - used
        self.sudo().ignored_columns = ", ".join(c._title() for c in ignored)[:500]
        self.env["billpay.import.mapping"]._remember(self)
        packed = binaries.from_field(self.with_context(bin_size=False).content)
        indexes = [(name, column.position) for name, column in places.items()]
        return [
            (number, {n: t[i] if i < len(t) else "" for n, i in indexes})
            for number, t in _unpacked(packed)
        ]

    def _missing(self, places):
        return [name for name in self._needed if name not in places]

    def _date_order(self, rows, name):
        """Return how a column writes its dates, or ``None`` to ask for it."""
        # What was a date in a workbook comes as this.
        texts = [found.get(name, "") for _number, found in rows]
        values = map(_of_workbook, texts)
        return cells.date_order(values, fields.Datetime.now()) or self.date_order

    # === ROWS === #

    def action_check(self):
        """Show what would become of each row."""
        self._check_clerk()
        self._provider()
        rows = self._mapped_rows()
        if self._asks(rows):
            self.sudo().asks_order = True
            return self._reopen()
        # sudo: what a row says is read from the file, and never typed.
        lines_sudo = self.env[self._line_model].sudo()
        self.line_ids.sudo().unlink()
        vals_list = self._prepare_lines(rows)
        self._judge_all(vals_list)
        insert_many(lines_sudo, vals_list)
        self.invalidate_recordset()
        self.sudo().state = "preview"
        return self._reopen()

    def _asks(self, rows):
        """Whether only a person can say how the file writes its dates."""
        return False

    def action_import(self):
        """Create what the check showed as new, of many rows the next ones.

        The window presses it again until nothing is left, and shows how far that is.
        """
        self._check_clerk()
        if self.state not in ("preview", "running"):
            return self._reopen()
        # sudo: what a row says is read from the file, and never typed.
        lines_sudo = self.env[self._line_model].sudo()
        new = [("wizard_id", "=", self.id), ("verdict", "=", "new")]
        chunk = lines_sudo.search(new, limit=self._chunk)
        # Whatever was created meanwhile counts: look once more before creating.
        chunk._judge_again()
        good = chunk.filtered(lambda line: line.verdict == "new")
        rest = lines_sudo.search_count(new) - len(good)
        if not good and not rest and self.state == "preview":
            raise UserError(
                self.env._(
                    "No row can be imported. Nothing was created: each row says why, "
                    "and the list can be downloaded."
                )
            )
        made = self._import_lines(good) if good else 0
        good.filtered(lambda line: line.verdict == "new").verdict = "done"
        state = "running" if rest else "done"
        self.sudo().write({"made_count": self.made_count + made, "state": state})
        return self._reopen()

    def action_back(self):
        """Choose the columns again, or another file."""
        self._check_clerk()
        values = {"state": "map"}
        if self.state == "map":
            values = {"state": "upload", "content": False, "sheet_id": False}
            self.column_ids.sudo().unlink()
        if self._line_model:
            self.line_ids.sudo().unlink()
        self.sudo().write(values)
        return self._reopen()

    def action_template(self):
        """Download an empty sheet with the right headings."""
        self._check_clerk()
        header = [
            words.strong.split(", ")[0].capitalize()
            for name, words in columns.VOCABULARIES[self._kind].items()
            if name not in self._not_in_template
        ]
        return download_xlsx(self, self._title(), header, [])

    _not_in_template = frozenset(
        "first_name middle_name last_name amount_out linked clock details".split()
    )

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

    def _company(self):
        return self._provider().company_id

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

    # === SENTENCES === #

    def _why_unreadable(self, code):
        reasons = {
            "too_big": self.env._(
                "This file is larger than 20 MB. Split it, or leave out pictures and "
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
            "password": self.env._(
                "This file has a password, or is not an Excel file. Save it as XLSX "
                "without a password."
            ),
            "no_xls": self.env._(
                "This server cannot read old Excel files (.xls). Save it as XLSX, or "
                "ask your administrator to install the Python package xlrd."
            ),
            "not_a_sheet": self.env._(
                "This is not a spreadsheet. Choose an XLSX, ODS, XLS or CSV file."
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
            "cell_error": self.env._(
                "The sheet shows an error here: %s. Type the value, or empty the cell.",
                text,
            ),
            "not_money": self.env._(
                "“%s” is not an amount. Write it as 150000 or 150,000.", text
            ),
            "not_a_name": self.env._("“%s” is no name: write it in letters.", text),
            "not_a_phone": self.env._(
                "“%s” is no Tanzanian mobile number. Write it as 0712345678.", text
            ),
            "not_an_address": self.env._(
                "“%s” is no e-mail address. Write it as name@example.com.", text
            ),
            "mixed_dates": self.env._(
                "“%s”: the sheet has swapped days and months of this column. Format "
                "it as text and enter the dates again.",
                text,
            ),
        }
        not_a_date = self.env._(
            "“%s” is not a date. Write it as 25/11/2026 14:30, day first.", text
        )
        return reasons.get(code, not_a_date)

    def _parsed(self, problems, reader, found, name, *args):
        """Return the value of one cell, or ``None`` and a problem more."""
        text = found.get(name, "")
        try:
            return reader(text, *args)
        except cells.CellError as error:
            problem = self._why_bad_value(error.code, text)
            problems.append(self._of_column(name, problem))

    def _of_column(self, name, problem):
        """Return a sentence with the heading of the column that it is about."""
        column = self.column_ids.filtered(lambda c: c.meaning == name)
        return "%s: %s" % (column._title(), problem) if column else problem

    def _why_status(self, found):
        """Return why a row's status says that it does not count, or ""."""
        status = found.get("status", "")
        if not status or word_key(status) in GOOD or not word_key(status):
            return ""
        text = self.env._(
            "Its status is “%s”. If the row counts, empty this cell.", status
        )
        return self._of_column("status", text)


DOUBTFUL = ("looks_like", "contradicts")
VERDICTS = [
    ("new", "New"),
    ("known", "Known"),
    ("looks_like", "Looks Like Another"),
    ("contradicts", "Contradicts"),
    ("same_as", "Same as Another Row"),
    ("unusable", "Cannot Be Used"),
]


class BillpayImportLine(models.AbstractModel):
    """One row of the file, and what becomes of it."""

    _name = "billpay.import.line"
    _inherit = [BillpayGuarded._name]
    _description = "BillPay Import Row"
    _billpay_server_fields = frozenset({"row", "problem", "verdict", "reason"})
    _order = "row, id"

    # What a person chooses in a row that is doubtful.
    _choices = ()
    # What `_judge_all` looks at, and gives back.
    _judged = ()

    row = fields.Integer(readonly=True, help="The row in the file.")
    # Why the row can never be imported as it stands in the file.
    problem = fields.Char(readonly=True)
    verdict = fields.Selection([*VERDICTS, ("done", "Imported")], readonly=True)
    reason = fields.Text(readonly=True)

    def write(self, vals):
        result = super().write(vals)
        if not set(self._choices).isdisjoint(vals):
            self.sudo()._judge_again()
        return result

    def _judge_again(self):
        for wizard, lines in self.grouped("wizard_id").items():
            vals_list = lines.read(
                ["row", "verdict", "reason", *self._judged], load=None
            )
            before = [(vals["verdict"], vals["reason"]) for vals in vals_list]
            wizard._judge_all(vals_list)
            for line, vals, old in zip(lines, vals_list, before, strict=True):
                if (vals["verdict"], vals["reason"]) != old:
                    line.write({"verdict": vals["verdict"], "reason": vals["reason"]})

    def _report_values(self):
        """Return the row as it was read, by the headings of the report."""
        raise NotImplementedError


class BillpayImportColumn(models.AbstractModel):
    """One column of the file, and what it is taken for."""

    _name = "billpay.import.column"
    _inherit = [BillpayGuarded._name]
    _description = "BillPay Import Column"
    _billpay_server_fields = frozenset(
        "wizard_id position heading samples note".split()
    )
    _order = "position, id"

    _kind = None

    position = fields.Integer(readonly=True)
    heading = fields.Char(string="Column in the File", readonly=True)
    samples = fields.Char(string="For Example", readonly=True)
    meaning = fields.Selection(
        lambda self: self._meanings(),
        string="Is",
        help="Columns that are not imported change nothing.",
    )
    note = fields.Char(readonly=True)

    @api.model
    def _meanings(self):
        fields_of = columns.VOCABULARIES.get(self._kind, ())
        choices = [(name, str(LABELS[name])) for name in fields_of]
        return [*choices, (IGNORE, self.env._("– not imported –"))]

    def _title(self):
        """Return the heading, or the letter by which sheets call the column."""
        if self.heading:
            return self.heading
        high, low = divmod(self.position, 26)
        letter = (chr(64 + high) if high else "") + chr(65 + low)
        return self.env._("column %s", letter)
