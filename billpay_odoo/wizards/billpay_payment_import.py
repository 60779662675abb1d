# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import re
from dataclasses import replace

from odoo import api, fields, models

from ..clickpesa import Payment
from ..clickpesa.values import TAKEN_BACK, is_paid, status_key, status_kind
from ..identity import (
    PROVISIONAL_PREFIX,
    number_key,
    number_spellings,
    phone_key,
    receipt_key,
    told_names,
    without_blanks,
    word_key,
)
from ..spreadsheet import (
    read_moment,
    read_money,
    read_number,
    read_receipt,
    read_reference,
)
from .billpay_import import BillpayImport, BillpayImportLine

# A receipt that stands for a payment by itself: not "-", "n/a" or "cash".
_RECEIPT = re.compile(r"(?=.*[0-9])[A-Za-z0-9./_-]{4,64}|[A-Za-z]{8,64}")
_ID = re.compile(r"[A-Za-z0-9._-]{4,128}")
# What other programs write where ClickPesa says SUCCESS.
_PAID = "successful succeeded paid completed imelipwa".split()
# What takes money back in Swahili.
_TAKEN_BACK = ("imerud", "imerej")
# An amount below zero, also as accountants write it.
_NEGATIVE = re.compile(
    r"\s*(?:[-\u2010-\u2015\u2212]\s*(?P<minus>.*)|\((?P<paren>.*)\))\s*"
)


def _takes_back(status):
    taken = status_kind(status) == TAKEN_BACK
    return taken or word_key(status).startswith(_TAKEN_BACK)


def why_not_receipt(env, receipt):
    """Return why a receipt cannot stand for a payment, or ""."""
    if _RECEIPT.fullmatch(receipt) and len(receipt_key(receipt)) >= 4:
        return ""
    return env._(
        "“%s” is no receipt. Copy it from the operator's message: it has four or more "
        "letters and digits.",
        receipt,
    )


def told_payment(values):
    """Return what a person tells as a `Payment`; without an id its receipt names it.

    :param dict values: ``id``, ``number``, ``amount`` (Decimal, TZS), ``receipt``,
        ``channel``, ``payer_name``, ``payer_phone``, ``paid_at`` (UTC, without zone)
        and ``status``
    """
    told = Payment.parse(
        {
            "id": values.get("id") or "",
            "status": values.get("status") or "SUCCESS",
            "orderReference": values.get("number") or "",
            "paymentReference": values.get("receipt") or "",
            "collectedAmount": values["amount"],
            "collectedCurrency": "TZS",
            "channel": values.get("channel") or "",
            "customerName": values.get("payer_name") or "",
            "paymentPhoneNumber": values.get("payer_phone") or "",
            "createdAt": values["paid_at"].isoformat() + "Z",
        }
    )
    if told.id:
        return told
    return replace(told, id=PROVISIONAL_PREFIX + receipt_key(told.receipt))


class BillpayPaymentImport(models.TransientModel):
    """Bring payments of a spreadsheet into the ledger, as ClickPesa would tell them."""

    _name = "billpay.payment.import"
    _inherit = [BillpayImport._name]
    _description = "Import BillPay Payments"

    _headings = {
        "id": "ClickPesa ID, payment id, transaction id, paymentid",
        "number": "Control number, order reference, orderreference, billpay number, "
        "billpay namba, reference, namba, kumbukumbu namba",
        "amount": "Amount, collected amount, collectedamount, amount paid, kiasi, paid",
        "currency": "Currency, collected currency, collectedcurrency, sarafu",
        "receipt": "Receipt, payment reference, paymentreference, receipt number, "
        "receipt no, operator receipt, risiti, namba ya risiti",
        "channel": "Channel, payment method, operator, mtandao, njia",
        "payer_name": "Payer name, payer, name, customer, customer name, jina, mlipaji",
        "payer_phone": "Phone, payer phone, payment phone number, customer phone, "
        "phone number, simu, namba ya simu",
        "paid_at": "Date, paid at, paid on, created at, createdat, payment date, time, "
        "tarehe",
        "status": "Status, payment status, hali",
    }
    _needed = ("amount", "paid_at")
    _max_rows = 5000
    _line_model = "billpay.payment.import.line"

    line_ids = fields.One2many("billpay.payment.import.line", "wizard_id")

    def _prepare_lines(self, rows):
        """Return the lines' values of rows: ``(row number, {field: text})``."""
        zone = self._provider().company_id._billpay_tz()
        first_rows, vals_list = {}, []
        for number, cells in rows:
            values = self._read_row(number, cells, zone)
            if not (values["problem"] or values["takes_back"]):
                keys = [("id", values["reference"])] if values["reference"] else []
                keys += [(name, values["amount"]) for name in self._names(values)]
                first = min(first_rows.setdefault(key, number) for key in keys)
                if first != number:
                    values["problem"] = self.env._(
                        "The same payment stands in row %s.", first
                    )
            vals_list.append(values)
        self._hold_pairs(vals_list)
        return vals_list

    def _hold_pairs(self, vals_list):
        """Find the payments that other rows of the same file take back.

        Both rows go to a person. They share the id or the receipt; where neither does,
        the control number and the amount.
        """
        money = [v for v in vals_list if not (v["problem"] or v["takes_back"])]
        for back in vals_list:
            if not back["takes_back"]:
                continue
            own = [vals for vals in money if self._names_same(vals, back)] or [
                vals
                for vals in money
                if back["number"]
                and number_key(vals["number"]) == number_key(back["number"])
                and vals["amount"] == back["amount"]
            ]
            for vals in own:
                vals["taken_back_row"] = back["row"]
            if own:
                back["problem"] = self.env._(
                    "It takes back the payment in row %s. Odoo books neither by "
                    "itself; if that payment is booked, ClickPesa is asked.",
                    ", ".join(str(vals["row"]) for vals in own),
                )
            elif not back["problem"]:
                back["problem"] = self.env._(
                    "It takes money back, and the file has no payment that it belongs "
                    "to. If that payment is booked here, ClickPesa is asked about it."
                )

    def _names_same(self, vals, other):
        return not self._names(vals).isdisjoint(self._names(other))

    def _names(self, vals):
        """Return the keys of a row's names: statements call a receipt an id."""
        return {receipt_key(vals["reference"]), receipt_key(vals["receipt"])} - {""}

    def _read_row(self, number, cells, zone):
        problems = []

        def parsed(reader, name, *args):
            return self._parsed(problems, reader, cells, name, *args)

        reference = parsed(read_reference, "id") or ""
        sent = parsed(read_number, "number") or ""
        receipt = parsed(read_receipt, "receipt") or ""
        phone = cells.get("payer_phone", "")
        below_zero = _NEGATIVE.fullmatch(cells.get("amount", ""))
        if below_zero:
            amount = below_zero["minus"] or below_zero["paren"] or ""
            cells = {**cells, "amount": amount}
        amount = parsed(read_money, "amount")
        paid_at = parsed(read_moment, "paid_at", zone)
        problems += self._why_not_row(cells, reference, receipt, amount, paid_at)
        told = cells.get("status", "")
        return {
            "wizard_id": self.id,
            "row": number,
            "reference": reference[:128],
            "number": sent[:64],
            "receipt": receipt[:64],
            "amount": float(amount or 0),
            "channel": cells.get("channel", "")[:64],
            "payer_name": cells.get("payer_name", "")[:256],
            "payer_phone": phone_key(phone) or without_blanks(phone)[:32],
            "paid_at": paid_at,
            "status": status_key(told) if is_paid(told) else "SUCCESS",
            "takes_back": bool(below_zero) or _takes_back(told),
            "problem": next(filter(None, problems), False),
        }

    def _why_not_row(self, cells, reference, receipt, amount, paid_at):
        """Yield what is wrong with a row whose cells can be read."""
        currency = cells.get("currency", "").strip().upper()
        status = cells.get("status", "")
        if reference and not _ID.fullmatch(reference):
            yield self.env._("“%s” is no ClickPesa ID.", reference)
        if not reference and not receipt:
            yield self.env._(
                "Neither a ClickPesa ID nor a receipt: nothing identifies this payment."
            )
        elif not reference:
            yield why_not_receipt(self.env, receipt)
        if currency not in ("", "TZS", "TSH", "TSHS", "SH"):
            yield self.env._("Control numbers collect TZS, not %s.", currency)
        if amount is None or amount <= 0:
            yield self.env._("There is no amount above zero in this row.")
        known = is_paid(status) or _takes_back(status) or word_key(status) in _PAID
        if status and not known:
            yield self.env._("Its status is “%s”, not a completed payment.", status)
        if not paid_at:
            yield self.env._("There is no date in this row.")
        elif paid_at > fields.Datetime.now():
            yield self.env._("Its date lies in the future.")

    def action_import(self):
        """Override: ask ClickPesa about booked money that the file takes back."""
        self._check_clerk()
        booked_sudo = self._booked_and_taken_back()
        for payment_sudo in booked_sudo:
            reason = self.env._(
                "An imported file takes this money back. Odoo asks ClickPesa in the "
                "next minutes; if the money went back, the entry is reversed."
            )
            payment_sudo._warn("file:%s" % payment_sudo.id, reason)
            payment_sudo._ask_soon()
        if booked_sudo:
            self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")
        self.line_ids.sudo()._compute_verdict()
        if booked_sudo and "ok" not in self.line_ids.mapped("verdict"):
            self.sudo().state = "done"
            return self._reopen()
        return super().action_import()

    def _booked_and_taken_back(self):
        """Return the booked payments that rows of the file take back, in sudo."""
        receipts_sudo = self.env["billpay.receipt"].sudo()
        rows = self.line_ids.filtered(lambda line: line.takes_back and line.amount)
        told = [line._told() for line in rows if line.reference or line.receipt]
        owners = dict.fromkeys(told, self._provider())
        found = receipts_sudo._find_told(owners, set(told), entered=True)
        payments_sudo = receipts_sudo.env["billpay.payment"].union(*found.values())
        return payments_sudo.filtered(lambda row: row.state == "posted")

    def _import_lines(self, lines):
        """Hand the rows to the ledger, and return how many are new or completed."""
        told_of = {line._told(): line for line in lines}
        receipts = self.env["billpay.receipt"]
        rows, new, completed, failures = receipts._enter(
            self._provider(), list(told_of), source="import"
        )
        known = {row.reference: row.id for row in rows}
        by_name = {name: row.id for row in rows for name in receipts._names(row)}
        for told, line in told_of.items():
            others = (by_name[name] for name in told_names(told) if name in by_name)
            line.payment_id = known.get(told.id) or next(others, False)
            if line.taken_back_row:
                line._hold()
            if told.id in failures:
                line.problem = self.env._(
                    "It could not be stored; the server's log says why. The other rows "
                    "were imported."
                )
        return len(new | completed)

    def action_view_payments(self):
        return self._view("payment", self.line_ids.payment_id)


class BillpayPaymentImportLine(models.TransientModel):
    _name = "billpay.payment.import.line"
    _inherit = [BillpayImportLine._name]
    _description = "BillPay Payment to Import"
    _billpay_server_fields = BillpayImportLine._billpay_server_fields.union(
        "reference number receipt amount channel payer_name payer_phone paid_at status"
        " takes_back taken_back_row payment_id".split()
    )

    wizard_id = fields.Many2one(
        "billpay.payment.import", required=True, ondelete="cascade", index=True
    )
    reference = fields.Char(string="ClickPesa ID", readonly=True)
    number = fields.Char(string="Control Number", readonly=True)
    receipt = fields.Char(readonly=True)
    amount = fields.Float(readonly=True, digits=(16, 2), help="In TZS.")
    channel = fields.Char(readonly=True)
    payer_name = fields.Char(readonly=True)
    payer_phone = fields.Char(readonly=True)
    paid_at = fields.Datetime(readonly=True)
    status = fields.Char(readonly=True)
    takes_back = fields.Boolean(readonly=True)
    taken_back_row = fields.Integer(
        readonly=True, help="The row in the file that takes this money back."
    )
    payment_id = fields.Many2one("billpay.payment", readonly=True)

    def _told(self):
        names = ("number", "receipt", "amount", "channel", "payer_name", "payer_phone")
        values = {name: self[name] for name in (*names, "paid_at", "status")}
        return told_payment({"id": self.reference, **values})

    def _hold(self):
        """Keep the payment for a person: the same file takes it back."""
        payment_sudo = self.payment_id.sudo()
        if payment_sudo.state in ("received", "confirmed", "failed"):
            reason = self.env._(
                "The imported file takes this money back in its row %s, so it is not "
                "booked. Ask ClickPesa which is true: press Match if the money is "
                "there, else Not Ours.",
                self.taken_back_row,
            )
            payment_sudo._move_to("unmatched", reason, is_doubtful=True)

    @api.depends("problem", "reference", "receipt", "amount", "number")
    def _compute_verdict(self):
        receipts_sudo = self.env["billpay.receipt"].sudo()
        for wizard, lines in self.grouped("wizard_id").items():
            provider = wizard._provider()
            told_of = {line: line._told() for line in lines if not line.problem}
            providers = dict.fromkeys(told_of.values(), provider)
            known = receipts_sudo._find_told(providers, set(providers), entered=True)
            numbers = receipts_sudo._numbers_known(provider, lines.mapped("number"))
            for line in lines:
                payment = known.get(told_of.get(line))
                line.verdict, line.reason = line._judge(payment, numbers)

    def _judge(self, payment, numbers):
        """Return verdict and reason of a line that may be a payment of the ledger."""
        if self.problem:
            return "skip", self.problem
        receipts = self.env["billpay.receipt"]
        if payment and receipts._completes(payment, self._told()):
            return "ok", self.env._(
                "Entered by hand before, as receipt %s: it gets its ClickPesa ID.",
                payment.receipt,
            )
        if payment:
            return "here", receipts._where_it_stands(payment, self.amount)
        if self.taken_back_row:
            return "ok", self.env._(
                "Row %s takes this money back: it is imported, and kept for a person "
                "under Unmatched instead of being booked.",
                self.taken_back_row,
            )
        start = self.wizard_id._provider().billpay_book_from
        if start and self.paid_at < start:
            return "ok", self.env._(
                "Paid before the application books payments: it will wait under Before "
                "Go-Live until you match it."
            )
        if numbers.isdisjoint(number_spellings(self.number)):
            return "ok", self.env._(
                "No such control number here: it will wait under Unmatched."
            )
        return "ok", False

    def _report_values(self):
        paid_at = self.paid_at and fields.Datetime.to_string(self.paid_at)
        return {
            self.env._("ClickPesa ID"): self.reference,
            self.env._("Receipt"): self.receipt,
            self.env._("Control Number"): self.number,
            self.env._("Amount"): "%.2f" % self.amount,
            self.env._("Paid At (UTC)"): paid_at,
        }
