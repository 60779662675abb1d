# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import re
from functools import reduce
from operator import and_

from odoo import api, fields, models
from odoo.tools import SQL

from .. import money
from ..const import LIVING, NUMBER_MODES
from ..identity import (
    email_key,
    is_placeholder,
    name_key,
    number_key,
    phone_key,
    reference_key,
)
from ..spreadsheet import read_money, read_number
from .billpay_import import MODES, BillpayImport, BillpayImportLine, find_word

_NUMBER = re.compile(r"[A-Za-z0-9]{1,20}")
_EMPTY = re.compile(r"[-–—.]*")

_KINDS = {
    "order": "order invoice bill onetime single agizo ankara".split(),
    "customer": "customer client reusable recurring mteja".split(),
}
# Columns that name a customer, and how each is compared with a field of contacts.
_SAID = ("customer_ref", "customer", "phone", "email")
_KEYS = {
    "customer_ref": ("ref", reference_key),
    "email": ("email_normalized", email_key),
    "phone": ("phone", phone_key),
    "customer": ("name", name_key),
}


class BillpayNumberImport(models.TransientModel):
    """Take over control numbers that were issued elsewhere."""

    _name = "billpay.number.import"
    _inherit = [BillpayImport._name]
    _description = "Import Control Numbers"

    _headings = {
        "number": "Control number, control no, controlnumber, billpay number, "
        "billpay namba, billpaynumber, bill reference, namba, namba ya malipo, "
        "kumbukumbu namba, control namba",
        "kind": "Kind, type, aina, number type",
        "amount": "Amount, bill amount, amount asked, kiasi, jumla",
        "mode": "Mode, payment mode, bill payment mode, njia, hali ya malipo",
        "description": "Description, bill description, details, maelezo, purpose, memo",
        "invoice": "Invoice, invoice number, invoice no, invoice reference, "
        "payment reference, ankara, namba ya ankara",
        "customer": "Customer, customer name, bill customer name, name, client, "
        "partner, mteja, jina, jina la mteja",
        "customer_ref": "Customer reference, customer code, customer id, account, "
        "reference, ref, namba ya mteja, student number",
        "phone": "Phone, customer phone, mobile, telephone, simu, namba ya simu",
        "email": "Email, customer email, e-mail, barua pepe, mail",
    }
    _needed = ("number",)
    _max_rows = 10000
    _line_model = "billpay.number.import.line"

    line_ids = fields.One2many("billpay.number.import.line", "wizard_id")

    def _prepare_lines(self, rows):
        """Return the lines' values of rows: ``(row number, {field: text})``."""
        first_rows, vals_list = {}, []
        for number, cells in rows:
            values = self._read_row(number, cells)
            if not values["problem"]:
                key = number_key(values["name"])
                first = first_rows.setdefault(key, number)
                if first != number:
                    values["problem"] = self.env._(
                        "The same number stands in row %s.", first
                    )
            vals_list.append(values)
        self._match(rows, vals_list)
        return vals_list

    def _read_row(self, number, cells):
        problems = []
        name = self._parsed(problems, read_number, cells, "number")
        if name is not None and _EMPTY.fullmatch(name):
            problems.append(self.env._("There is no control number in this row."))
        elif name is not None and not _NUMBER.fullmatch(name):
            problems.append(
                self.env._(
                    "“%s” is no control number: those have 1 to 20 letters and digits.",
                    name,
                )
            )
        amount = self._parsed(problems, read_money, cells, "amount")
        said_kind, said_mode = cells.get("kind", ""), cells.get("mode", "")
        kind, mode = find_word(said_kind, _KINDS), find_word(said_mode, MODES)
        if said_kind and not kind:
            problems.append(
                self.env._(
                    "“%s” is no kind of number: write “order” or “customer”.", said_kind
                )
            )
        if said_mode and not mode:
            problems.append(
                self.env._("“%s” is no mode: write “exact” or “flexible”.", said_mode)
            )
        if not kind:
            kind = "order" if cells.get("invoice") else "customer"
        return {
            "wizard_id": self.id,
            "row": number,
            "name": (name or cells.get("number", ""))[:64],
            "kind": kind,
            "amount": float(amount or 0),
            # Without an amount the mode means nothing at ClickPesa.
            "mode": mode or "flexible",
            "description": cells.get("description", "")[:500],
            "said_invoice": cells.get("invoice", ""),
            "said_customer": " · ".join(filter(None, map(cells.get, _SAID))),
            "problem": problems[0] if problems else False,
        }

    def _match(self, rows, vals_list):
        """Set invoice, customer and why there is none on the values of the lines."""
        invoices = self._find_invoices(cells.get("invoice") for _row, cells in rows)
        company, partners = self._provider().company_id, {}
        find = self.env["res.partner"]._billpay_find_same
        for name, (field, key) in _KEYS.items():
            texts = [cells.get(name) for _row, cells in rows]
            partners[name] = find(field, key, texts, company)
        for (_row, cells), values in zip(rows, vals_list, strict=True):
            values.update(self._match_row(cells, invoices, partners))

    def _match_row(self, cells, invoices, partners):
        partner, trouble = self._match_partner(cells, partners)
        said = reference_key(cells.get("invoice"))
        if not said:
            return {"partner_id": partner.id, "match_problem": trouble}
        found = invoices.get(said, self.env["account.move"])
        if len(found) == 1:
            # A customer that is named too is held against the invoice's.
            return {"move_id": found.id, "partner_id": partner.id}
        name = cells["invoice"]
        problem = self.env._("No invoice is called %s. Choose one here.", name)
        if found:
            problem = self.env._(
                "%(count)s invoices are called %(name)s. Choose one here.",
                count=len(found),
                name=name,
            )
        # A named invoice is what the number is for: the customer alone is not enough.
        return {"match_problem": problem}

    def _match_partner(self, cells, partners):
        """Return the one customer that all columns allow, and why there is none."""
        nobody = self.env["res.partner"]
        hits, named = {}, []
        for name, found in partners.items():
            text = cells.get(name)
            # "Hana" is a name too.
            if text and (name == "customer" or not is_placeholder(text)):
                named.append(text)
                if some := found.get(_KEYS[name][1](text)):
                    hits[name] = some
        if not named:
            return nobody, ""
        said = ", ".join(named)
        if not hits:
            return nobody, self.env._(
                "No customer is called %s. Choose one here, or make the customer "
                "first.",
                said,
            )
        fitting = reduce(and_, hits.values())
        if not fitting:
            return nobody, self.env._(
                "The columns mean different customers (%s). Choose one here.", said
            )
        if len(fitting) > 1:
            # Of a company and its contacts, the company is meant.
            company = fitting.commercial_partner_id
            # Parents and children of one name are different people.
            if not company[:1].is_company or company not in fitting:
                return nobody, self.env._(
                    "%(count)s customers fit %(said)s. Choose one here.",
                    count=len(fitting),
                    said=said,
                )
            fitting = company
        if list(hits) == ["customer"]:
            # A namesake: the name fits, the phone does not.
            if other := fitting._billpay_other_identity(
                cells.get("phone"), cells.get("email")
            ):
                return nobody, self.env._("%s Choose one here.", other)
        return fitting, ""

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

    def action_view_numbers(self):
        return self._view("control_number", self.line_ids.number_id)


class BillpayNumberImportLine(models.TransientModel):
    _name = "billpay.number.import.line"
    _inherit = [BillpayImportLine._name]
    _description = "Control Number to Import"
    _billpay_server_fields = BillpayImportLine._billpay_server_fields.union(
        "name mode amount description said_invoice said_customer match_problem"
        " number_id".split()
    )

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
    # Why nothing was found, or more than one; a person may choose all the same.
    match_problem = fields.Char(readonly=True)
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

    @api.depends("problem", "match_problem", "kind", "move_id", "partner_id")
    def _compute_verdict(self):
        numbering = self.env["billpay.numbering"]
        for wizard, lines in self.grouped("wizard_id").items():
            provider = wizard._provider()
            names = {number_key(line.name) for line in lines if line.name}
            taken = names and numbering._known(provider, names)
            first_lines = {}
            for line in wizard.line_ids.sorted("row"):
                if line.move_id and line.kind == "order" and not line.problem:
                    first_lines.setdefault(line.move_id, line)
            for line in lines:
                line.verdict, line.reason = line._judge(provider, taken, first_lines)

    def _partner(self):
        return self.partner_id or self.move_id.partner_id

    def _judge(self, provider, taken, first_lines):
        if self.problem:
            return "skip", self.problem
        if number_key(self.name) in taken:
            return "here", self.env._("This number is in Odoo already.")
        if self.kind == "order" and self.move_id:
            if trouble := self._why_not_this_invoice(provider):
                return "skip", trouble
            first = first_lines.get(self.move_id, self)
            if first != self:
                return "skip", self.env._(
                    "Row %s has a number for this invoice already.", first.row
                )
        if self.kind == "customer" and self.move_id:
            return "ok", self.env._(
                "Customer numbers take many payments: linked to the customer of the "
                "invoice."
            )
        if self.move_id or self.partner_id:
            return "ok", False
        return "skip", self.match_problem or self.env._(
            "The row names no invoice and no customer. Choose one here."
        )

    def _why_not_this_invoice(self, provider):
        move = self.move_id
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
        customer, owner = self.partner_id, move.partner_id
        if customer and customer.commercial_partner_id != owner.commercial_partner_id:
            return self.env._(
                "Invoice %(invoice)s belongs to %(owner)s, not to %(customer)s.",
                invoice=move.display_name,
                owner=owner.display_name,
                customer=customer.display_name,
            )
        return ""

    def _report_values(self):
        return {
            self.env._("Control Number"): self.name,
            self.env._("Invoice"): self.move_id.name or self.said_invoice,
            self.env._("Customer"): self._partner().display_name or self.said_customer,
        }
