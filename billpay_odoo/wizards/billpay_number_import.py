# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import re

from odoo import api, fields, models
from odoo.tools import SQL

from .. import money
from ..cells import CellError, read_amount, read_number, read_phone
from ..const import LIVING, NUMBER_MODES
from ..identity import is_blank, number_key, reference_key
from ..likeness import with_zeros
from .billpay_import import (
    DOUBTFUL,
    MODES,
    BillpayImport,
    BillpayImportColumn,
    BillpayImportLine,
    find_word,
)

_NUMBER = re.compile(r"[A-Za-z0-9]{1,20}")
_EMPTY = re.compile(r"[-–—.]*")

_KINDS = {
    "order": "order invoice bill onetime single agizo ankara".split(),
    "customer": "customer client reusable recurring mteja".split(),
}
# Columns that name a customer, as contacts are looked for by them.
_SAID = {"customer_ref": "ref", "customer": "name", "phone": "phone", "email": "email"}


class BillpayNumberImport(models.TransientModel):
    """Take over control numbers that were issued elsewhere."""

    _name = "billpay.number.import"
    _inherit = [BillpayImport._name]
    _description = "Import Control Numbers"

    _kind = "numbers"
    _needed = ("number",)
    _line_model = "billpay.number.import.line"
    _column_model = "billpay.number.import.column"

    column_ids = fields.One2many("billpay.number.import.column", "wizard_id")
    line_ids = fields.One2many("billpay.number.import.line", "wizard_id")

    def _prepare_lines(self, rows):
        """Return the lines' values of rows: ``(row number, {field: text})``."""
        first_rows, vals_list = {}, []
        for number, found in rows:
            values = self._read_row(number, found)
            if not values["problem"]:
                key = number_key(values["name"])
                first = first_rows.setdefault(key, number)
                if first != number:
                    values["verdict"] = "same_as"
                    values["problem"] = self.env._(
                        "The same number stands in row %s.", first
                    )
            vals_list.append(values)
        self._match(rows, vals_list)
        return vals_list

    def _read_row(self, number, found):
        problems = []
        name = self._parsed(problems, read_number, found, "number")
        if name is not None and _EMPTY.fullmatch(name):
            problems.append(self.env._("There is no control number in this row."))
        elif name is not None and not _NUMBER.fullmatch(name):
            text = self.env._(
                "“%s” is no control number: those have 1 to 20 letters and digits.",
                name,
            )
            problems.append(self._of_column("number", text))
        amount = self._parsed(problems, read_amount, found, "amount")
        if amount is not None and amount < 0:
            text = self._why_bad_value("not_money", found["amount"])
            problems.append(self._of_column("amount", text))
        said_kind, said_mode = found.get("kind", ""), found.get("mode", "")
        kind, mode = find_word(said_kind, _KINDS), find_word(said_mode, MODES)
        if said_kind and not kind:
            text = self.env._(
                "“%s” is no kind of number: write “order” or “customer”.", said_kind
            )
            problems.append(self._of_column("kind", text))
        if said_mode and not mode:
            text = self.env._(
                "“%s” is no mode: write “exact” or “flexible”.", said_mode
            )
            problems.append(self._of_column("mode", text))
        if trouble := self._why_status(found):
            problems.append(trouble)
        if not kind:
            kind = "order" if found.get("invoice") else "customer"
        said = [found[n] for n in _SAID if found.get(n)]
        return {
            "wizard_id": self.id,
            "row": number,
            "name": (name or found.get("number", ""))[:64],
            "kind": kind,
            "amount": float(amount or 0),
            # Without an amount the mode means nothing at ClickPesa.
            "mode": mode or "flexible",
            "description": found.get("description", "")[:500],
            "said_invoice": found.get("invoice", ""),
            "said_customer": " · ".join(said),
            "move_id": False,
            "partner_id": False,
            "match_verdict": False,
            "match_problem": False,
            "problem": problems[0] if problems else False,
            "verdict": False,
            "reason": False,
        }

    def _match(self, rows, vals_list):
        """Set invoice, customer and why there is none on the values of the lines."""
        invoices = self._find_invoices(found.get("invoice") for _row, found in rows)
        said = [self._said(found) for _row, found in rows]
        matcher = self.env["billpay.contact.match"]
        matches = matcher._match(said, self._company())
        for (_row, found), values, who, match in zip(
            rows, vals_list, said, matches, strict=True
        ):
            values.update(self._match_row(found, invoices, who, match))

    def _said(self, found):
        """Return what a row says of its customer; a bad cell says nothing."""
        said = {}
        for name, key in _SAID.items():
            text = found.get(name, "")
            # "Hana" is a name too.
            if text and (name == "customer" or not is_blank(text)):
                said[key] = text
        if "phone" in said:
            try:
                said["phone"] = read_phone(said["phone"])
            except CellError:
                del said["phone"]
        return said

    def _match_row(self, found, invoices, who, match):
        name = found.get("invoice")
        if said := reference_key(name):
            moves = invoices.get(said, self.env["account.move"])
            if len(moves) == 1:
                # A customer that is named too is held against the invoice's.
                known = match.partner if match.verdict == "known" else moves.browse()
                return {"move_id": moves.id, "partner_id": known.id}
            problem = self.env._("No invoice is called %s. Choose one here.", name)
            if moves:
                problem = self.env._(
                    "%(count)s invoices are called %(name)s. Choose one here.",
                    count=len(moves),
                    name=name,
                )
            # A named invoice is what the number is for: the customer is not enough.
            return {"match_verdict": "looks_like", "match_problem": problem}
        if match.verdict == "known":
            return {
                "partner_id": match.partner.id,
                "match_verdict": "known",
                "match_problem": match.text,
            }
        if match.verdict in DOUBTFUL:
            text = self.env._("%s Choose one here.", match.text)
            return {"match_verdict": match.verdict, "match_problem": text}
        if who:
            text = self.env._(
                "No customer is called %s. Choose one here, or make the customer "
                "first.",
                ", ".join(who.values()),
            )
            return {"match_problem": text}
        return {}

    def _find_invoices(self, texts):
        """Return ``{key: invoices}``, by name or reference."""
        wanted = {reference_key(text) for text in texts} - {""}
        if not wanted:
            return {}
        self.env["account.move"].flush_model(["name", "payment_reference"])
        # Somewhat more than the keys find; those are compared below.
        ids = self.env.execute_query(
            SQL(
                r"""
                SELECT id FROM account_move,
                       LATERAL (VALUES (name), (payment_reference)) AS said (text)
                 WHERE move_type IN ('out_invoice', 'out_receipt')
                   AND ltrim(upper(regexp_replace(
                           translate(text, '‐‑‒–—―−', '-------'), '\s', '', 'g'
                       )), '0') IN %s
                """,
                tuple(key.lstrip("0") for key in wanted),
            )
        )
        domain = [
            ("id", "in", [row[0] for row in ids]),
            ("company_id", "child_of", self._provider().company_id.id),
        ]
        moves = self.env["account.move"].search(domain)
        found = {}
        for move in moves:
            keys = {reference_key(move.name), reference_key(move.payment_reference)}
            for key in keys & wanted:
                found[key] = found.get(key, moves.browse()) | move
        return found

    def _import_lines(self, lines):
        """Create the numbers, known as they are, without a call to ClickPesa."""
        provider = self._provider()
        currency = self.env.ref("base.TZS")
        now = fields.Datetime.now()
        silent = {"tracking_disable": True, "mail_create_nolog": True}
        numbers_sudo = self.env["billpay.control.number"].sudo().with_context(**silent)
        numbers = numbers_sudo.create(
            [
                {
                    "name": line.name,
                    "kind": line.kind,
                    "origin": "imported",
                    "state": "open",
                    "provider_id": provider.id,
                    "currency_id": currency.id,
                    "move_id": line.move_id.id if line.kind == "order" else False,
                    "partner_id": line._partner().id,
                    "amount": line.amount,
                    "known_amount": line.amount,
                    "mode": line.mode,
                    "known_mode": line.mode if line.amount else False,
                    "description": line.description,
                    "known_description": line.description,
                    "known_active": True,
                    "confirmed_at": now,
                }
                for line in lines
            ]
        )
        text = self.env._(
            "Imported by %(user)s from %(file)s.",
            user=self.env.user.name,
            file=self.filename or "?",
        )
        numbers._message_log_batch(bodies=dict.fromkeys(numbers.ids, text))
        for line, number in zip(lines, numbers, strict=True):
            line.number_id = number
        # One debt shows one number; money on the customer's pays it as before.
        carrying = numbers.move_id.filtered("billpay_carried_number_id")
        carrying.billpay_carried_number_id = False
        # Money that came before its number was known here finds it now.
        self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")
        return len(lines)

    def _judge_all(self, vals_list):
        """Set verdict and reason of rows, as they stand now."""
        provider = self._provider()
        names = {number_key(v["name"]) for v in vals_list if v["name"]}
        taken = names and self.env["billpay.numbering"]._known(provider, names)
        zeros = self._lost_zeros(provider, names)
        wanted = [v for v in vals_list if self._is_for_invoice(v)]
        ids = [v["move_id"] for v in wanted]
        others = self.line_ids.filtered_domain([("move_id", "in", ids)]) if ids else ()
        known = others and others.read(["row", "kind", "move_id", "problem"], load=None)
        first_rows = {}
        for v in sorted([*wanted, *known], key=lambda v: v["row"]):
            if self._is_for_invoice(v):
                first_rows.setdefault(v["move_id"], v["row"])
        for v in vals_list:
            v["verdict"], v["reason"] = self._judge(v, provider, taken, first_rows)
            whole = zeros.get(number_key(v["name"]))
            if whole and v["verdict"] == "new":
                text = self.env._(
                    "“%(number)s” is not in Odoo, but %(whole)s is: the sheet has "
                    "dropped its zeros. Format the column as text and enter the number "
                    "again.",
                    number=v["name"],
                    whole=whole,
                )
                v["verdict"], v["reason"] = "unusable", self._of_column("number", text)

    def _lost_zeros(self, provider, names):
        """Return ``{key: number that is here}`` of those that differ by zeros only."""
        apps = provider._billpay_of_merchant()
        domain = [("provider_id", "in", apps.ids), ("name", "=like", "0%")]
        if not self.env["billpay.control.number"].sudo().search_count(domain, limit=1):
            return {}
        wanted = {whole: name for name in names for whole in with_zeros(name)}
        known = self.env["billpay.numbering"]._known(provider, set(wanted))
        return {wanted[whole]: whole for whole in known}

    @api.model
    def _is_for_invoice(self, v):
        return v["move_id"] and v["kind"] == "order" and not v["problem"]

    def _judge(self, v, provider, taken, first_rows):
        if v["problem"]:
            return v["verdict"] or "unusable", v["problem"]
        if number_key(v["name"]) in taken:
            return "known", self.env._("This number is in Odoo already.")
        move = self.env["account.move"].browse(v["move_id"] or ())
        partner = self.env["res.partner"].browse(v["partner_id"] or ())
        if v["kind"] == "order" and move:
            if trouble := self._why_not_this_invoice(move, partner, provider):
                return "unusable", trouble
            first = first_rows.get(move.id, v["row"])
            if first != v["row"]:
                return "same_as", self.env._(
                    "Row %s has a number for this invoice already.", first
                )
        if v["kind"] == "customer" and move:
            return "new", self.env._(
                "Customer numbers take many payments: linked to the customer of the "
                "invoice."
            )
        if move or partner:
            if v["match_verdict"] != "known":
                return "new", False
            by = v["match_problem"]
            return "new", self.env._("The customer is known by %s.", by)
        is_doubtful = v["match_verdict"] in DOUBTFUL
        verdict = v["match_verdict"] if is_doubtful else "unusable"
        return verdict, v["match_problem"] or self.env._(
            "The row names no invoice and no customer. Choose one here."
        )

    def _why_not_this_invoice(self, move, partner, provider):
        if provider.company_id not in move.company_id.sudo().parent_ids:
            return self.env._(
                "Invoice %s belongs to a company that does not use this application.",
                move.display_name,
            )
        if move.state != "posted":
            return self.env._(
                "Invoice %s is not confirmed. Confirm it, or choose another one.",
                move.display_name,
            )
        if move.currency_id.name != "TZS":
            return self.env._(
                "Invoice %(invoice)s is in %(currency)s; control numbers collect TZS.",
                invoice=move.display_name,
                currency=move.currency_id.name,
            )
        if not money.is_due(move):
            return self.env._("Invoice %s is paid already.", move.display_name)
        other = move.sudo().billpay_number_ids.filtered(lambda n: n.state in LIVING)
        if other:
            return self.env._(
                "Invoice %(invoice)s has the open number %(number)s. One bill with two "
                "numbers could be paid twice.",
                invoice=move.display_name,
                number=other[0].display_number,
            )
        customer, owner = partner, move.partner_id
        if customer and customer.commercial_partner_id != owner.commercial_partner_id:
            return self.env._(
                "Invoice %(invoice)s belongs to %(owner)s, not to %(customer)s.",
                invoice=move.display_name,
                owner=owner.display_name,
                customer=customer.display_name,
            )
        return ""

    def action_view_numbers(self):
        return self._view("control_number", self.line_ids.number_id)


class BillpayNumberImportLine(models.TransientModel):
    _name = "billpay.number.import.line"
    _inherit = [BillpayImportLine._name]
    _description = "Control Number to Import"
    _billpay_server_fields = BillpayImportLine._billpay_server_fields.union(
        "name mode amount description said_invoice said_customer match_problem"
        " match_verdict number_id".split()
    )
    _choices = ("kind", "move_id", "partner_id")
    _judged = (*_choices, "name", "problem", "match_verdict", "match_problem")

    wizard_id = fields.Many2one(
        "billpay.number.import", required=True, ondelete="cascade", index=True
    )
    name = fields.Char(string="Control Number", readonly=True)
    kind = fields.Selection(
        [("order", "Order"), ("customer", "Customer")], required=True
    )
    mode = fields.Selection(NUMBER_MODES, readonly=True)
    amount = fields.Float(readonly=True, digits=(16, 2), help="In TZS.")
    description = fields.Char(readonly=True)
    said_invoice = fields.Char(string="Invoice in File", readonly=True)
    said_customer = fields.Char(string="Customer in File", readonly=True)
    # Why nothing was found, or more than one; a person may choose all the same. Where
    # one was found, by what.
    match_problem = fields.Char(readonly=True)
    match_verdict = fields.Char(readonly=True)
    move_id = fields.Many2one(
        "account.move",
        string="Invoice",
        domain=[
            ("move_type", "in", ("out_invoice", "out_receipt")),
            ("state", "=", "posted"),
        ],
    )
    partner_id = fields.Many2one("res.partner", string="Customer")
    number_id = fields.Many2one("billpay.control.number", readonly=True)

    def _partner(self):
        return self.partner_id or self.move_id.partner_id

    def _report_values(self):
        return {
            self.env._("Control Number"): self.name,
            self.env._("Invoice"): self.move_id.name or self.said_invoice,
            self.env._("Customer"): self._partner().display_name or self.said_customer,
        }


class BillpayNumberImportColumn(models.TransientModel):
    _name = "billpay.number.import.column"
    _inherit = [BillpayImportColumn._name]
    _description = "Column of Control Numbers to Import"
    _kind = "numbers"

    wizard_id = fields.Many2one(
        "billpay.number.import", required=True, ondelete="cascade", index=True
    )
