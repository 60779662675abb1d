# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import re
from dataclasses import replace
from datetime import datetime, time, timezone

from odoo import fields, models

from .. import columns
from ..cells import (
    CellError,
    read_amount,
    read_date,
    read_number,
    read_receipt,
    read_reference,
)
from ..clickpesa import Payment
from ..clickpesa.values import TAKEN_BACK, is_paid, status_key, status_kind
from ..identity import (
    PROVISIONAL_PREFIX,
    name_words,
    number_key,
    number_spellings,
    phone_key,
    receipt_key,
    told_names,
    word_key,
)
from .billpay_import import BillpayImport, BillpayImportColumn, BillpayImportLine

# A receipt that stands for a payment by itself: not "-", "n/a" or "cash".
_RECEIPT = re.compile(r"(?=.*[0-9])[A-Za-z0-9./_-]{4,64}|[A-Za-z]{8,64}")
_ID = re.compile(r"[A-Za-z0-9._-]{4,128}")
# What other programs write where ClickPesa says SUCCESS.
_PAID = frozenset(
    "successful successfully succeeded success paid complete completed approved posted"
    " received confirmed done ok settled imefanikiwa imekamilika imelipwa imepokelewa"
    " imethibitishwa yamefanikiwa umefanikiwa yamekamilika umekamilika".split()
)
# Words beside them that take nothing back: "Transaction Successful".
_BESIDE = frozenset(
    "transaction payment txn the is was has been muamala malipo".split()
)
# What takes money back in Swahili.
_TAKEN_BACK = ("imerud", "imerej")
_BACK = re.compile(r"revers|refund|charge ?back|imerud|imerej|marejesho", re.I)
_CHARGE = re.compile(r"charge(?! ?back)|\bfee\b|tozo|makato", re.IGNORECASE)


def _takes_back(status):
    taken = status_kind(status) == TAKEN_BACK
    return taken or word_key(status).startswith(_TAKEN_BACK)


def _says_paid(status):
    words = {word.lower() for word in name_words(status)} - _BESIDE
    return bool(words) and words <= _PAID


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


def _told(v):
    return told_payment({**v, "id": v["reference"]})


def _read_clock(text):
    said = read_date("2000-01-01 " + text) if text else None
    if said and not isinstance(said, datetime):
        raise CellError("not_a_date")
    return said and said.time()


class BillpayPaymentImport(models.TransientModel):
    """Bring payments of a spreadsheet into the ledger, as ClickPesa would tell them."""

    _name = "billpay.payment.import"
    _inherit = [BillpayImport._name]
    _description = "Import BillPay Payments"

    _kind = "payments"
    _needed = ("amount", "paid_at")
    _line_model = "billpay.payment.import.line"
    _column_model = "billpay.payment.import.column"

    column_ids = fields.One2many("billpay.payment.import.column", "wizard_id")
    line_ids = fields.One2many("billpay.payment.import.line", "wizard_id")

    def _asks(self, rows):
        """Override."""
        return not self._date_order(rows, "paid_at")

    def _prepare_lines(self, rows):
        """Return the lines' values of rows: ``(row number, {field: text})``."""
        zone = self._company()._billpay_tz()
        order = self._date_order(rows, "paid_at")
        first_rows, vals_list = {}, []
        for number, found in rows:
            values = self._read_row(number, found, zone, order)
            if not (values["problem"] or values["takes_back"]):
                keys = [("id", values["reference"])] if values["reference"] else []
                keys += [(name, values["amount"]) for name in self._names(values)]
                first = min(first_rows.setdefault(key, number) for key in keys)
                if first != number:
                    values["verdict"] = "same_as"
                    values["problem"] = self.env._(
                        "The same payment stands in row %s.", first
                    )
            vals_list.append(values)
        self._hold_pairs(vals_list)
        for values in vals_list:
            del values["linked"], values["is_out"]
        return vals_list

    def _hold_pairs(self, vals_list):
        """Find the payments that other rows of the same file take back.

        Both rows go to a person. They share the id or the receipt; where neither does,
        the control number and the amount.
        """
        money = [v for v in vals_list if not (v["problem"] or v["takes_back"])]
        by_name, by_number = {}, {}
        for vals in money:
            for name in self._names(vals):
                by_name.setdefault(name, []).append(vals)
            key = number_key(vals["number"]), vals["amount"]
            by_number.setdefault(key, []).append(vals)
        for back in vals_list:
            own = [v for name in self._names(back) for v in by_name.get(name, ())]
            if back["is_out"] and not back["takes_back"]:
                # Money out under a payment's name: its charge, or all of it.
                own = [
                    v for v in own if v["amount"] == back["amount"] or back["linked"]
                ]
                back["takes_back"] = bool(own)
            if not back["takes_back"]:
                continue
            if not own and back["number"]:
                own = by_number.get((number_key(back["number"]), back["amount"]), [])
            for vals in own:
                vals["taken_back_row"] = back["row"]
            if own:
                back["problem"] = self.env._(
                    "It takes back the payment in row %s. Odoo books neither by "
                    "itself; if that payment is booked, ClickPesa is asked.",
                    ", ".join(dict.fromkeys(str(vals["row"]) for vals in own)),
                )
            elif not back["problem"] or back["is_out"]:
                back["problem"] = self.env._(
                    "It takes money back, and the file has no payment that it belongs "
                    "to. If that payment is booked here, ClickPesa is asked about it."
                )

    def _names(self, vals):
        """Return the keys of a row's names: statements call a receipt an id."""
        names = vals["reference"], vals["receipt"], vals["linked"]
        return set(map(receipt_key, names)) - {""}

    def _read_row(self, number, found, zone, order):
        problems = []

        def parsed(reader, name, *args):
            return self._parsed(problems, reader, found, name, *args)

        reference = parsed(read_reference, "id") or ""
        sent = parsed(read_number, "number") or ""
        receipt = parsed(read_receipt, "receipt") or ""
        amount, out = parsed(read_amount, "amount"), parsed(read_amount, "amount_out")
        is_out = bool(out and not amount) or (amount or 0) < 0
        paid_at = self._moment(problems, found, zone, order)
        phone, told = found.get("payer_phone", ""), found.get("status", "")
        details = found.get("details", "")
        is_charge = bool(_CHARGE.search(details))
        says_back = _takes_back(told) or bool(_BACK.search(details)) and not is_charge
        below_zero = (amount or 0) < 0 and not is_charge
        amount = abs(amount or out or 0)
        problems += self._why_not_row(found, reference, receipt, amount, paid_at)
        if is_out and not (says_back or below_zero):
            text = self.env._("It pays money out: no payment of a customer.")
            problems.insert(0, self._of_column("amount_out", text))
        return {
            "wizard_id": self.id,
            "row": number,
            "reference": reference[:128],
            "number": sent[:64],
            "receipt": receipt[:64],
            "linked": "" if is_charge else found.get("linked", ""),
            "is_out": is_out and not is_charge,
            "amount": float(amount),
            "channel": found.get("channel", "")[:64],
            "payer_name": found.get("payer_name", "")[:256],
            "payer_phone": phone_key(phone) or ("".join(phone.split()))[:32],
            "paid_at": paid_at,
            "status": status_key(told) if is_paid(told) else "SUCCESS",
            "takes_back": below_zero or says_back,
            "taken_back_row": 0,
            "payment_id": False,
            "problem": next(filter(None, problems), False),
            "verdict": False,
            "reason": False,
        }

    def _moment(self, problems, found, zone, order):
        """Return a row's moment in UTC, without zone; ``None`` for none."""
        said = self._parsed(problems, read_date, found, "paid_at", order)
        if said is None:
            return None
        if not isinstance(said, datetime):
            clock = self._parsed([], _read_clock, found, "clock")
            said = datetime.combine(said, clock or time())
        elif said.time() == time() and found.get("clock"):
            clock = self._parsed([], _read_clock, found, "clock")
            said = datetime.combine(said.date(), clock or time(), said.tzinfo)
        try:
            said = said if said.tzinfo else zone.localize(said)
            return said.astimezone(timezone.utc).replace(tzinfo=None)
        except (ValueError, OverflowError):
            text = self._why_bad_value("not_a_date", found["paid_at"])
            problems.append(self._of_column("paid_at", text))

    def _why_not_row(self, found, reference, receipt, amount, paid_at):
        """Yield what is wrong with a row whose cells can be read."""
        currency = found.get("currency", "").strip().upper()
        status = found.get("status", "")
        if reference and not _ID.fullmatch(reference):
            text = self.env._("“%s” is no ClickPesa ID.", reference)
            yield self._of_column("id", text)
        if not reference and not receipt:
            yield self.env._(
                "Neither a ClickPesa ID nor a receipt: nothing identifies this "
                "payment. Type one of them, or choose the column that holds it."
            )
        elif not reference:
            yield why_not_receipt(self.env, receipt)
        if currency not in ("", "TZS", "TSH", "TSHS", "SH"):
            yield self.env._("Control numbers collect TZS, not %s.", currency)
        if not amount:
            yield self.env._(
                "There is no amount above zero in this row. Type what was paid, in TZS."
            )
        known = is_paid(status) or _takes_back(status) or _says_paid(status)
        if status and not known:
            text = self.env._(
                "Its status is “%s”, not a completed payment. If the money came, write "
                "“Paid” there.",
                status,
            )
            yield self._of_column("status", text)
        details = found.get("details", "")
        if (
            not status
            and columns.is_telling("", [details])
            and not _BACK.search(details)
        ):
            text = self.env._(
                "It says “%s”. If the money came, empty this cell.", details
            )
            yield self._of_column("details", text)
        if not paid_at:
            yield self.env._(
                "There is no date in this row. Type it as 25/11/2026 14:30, day first."
            )
        elif paid_at > fields.Datetime.now():
            text = self.env._(
                "“%s” lies in the future. Type when it was paid, as 25/11/2026 14:30.",
                found["paid_at"],
            )
            yield self._of_column("paid_at", text)

    def _judge_all(self, vals_list):
        """Set verdict and reason of rows, as they stand now."""
        receipts_sudo = self.env["billpay.receipt"].sudo()
        provider = self._provider()
        told_of = {v["row"]: _told(v) for v in vals_list if not v["problem"]}
        owners = dict.fromkeys(told_of.values(), provider)
        known = receipts_sudo._find_told(owners, set(owners), entered=True)
        names = {v["number"] for v in vals_list}
        numbers = receipts_sudo._numbers_known(provider, names)
        for v in vals_list:
            told = told_of.get(v["row"])
            v["verdict"], v["reason"] = self._judge(v, told, known.get(told), numbers)

    def _judge(self, v, told, payment, numbers):
        """Return verdict and reason of a row that may be a payment of the ledger."""
        if v["problem"]:
            return v["verdict"] or "unusable", v["problem"]
        receipts = self.env["billpay.receipt"]
        if payment and receipts._completes(payment, told):
            return "new", self.env._(
                "Entered by hand before, as receipt %s: it gets its ClickPesa ID.",
                payment.receipt,
            )
        if payment:
            same = payment.amount == v["amount"]
            text = receipts._where_it_stands(payment, v["amount"])
            return "known" if same else "contradicts", text
        if v["taken_back_row"]:
            return "new", self.env._(
                "Row %s takes this money back: it is imported, and kept for a person "
                "under Unmatched instead of being booked.",
                v["taken_back_row"],
            )
        start = self._provider().billpay_book_from
        if start and v["paid_at"] < start:
            return "new", self.env._(
                "Paid before the application books payments: it will wait under Before "
                "Go-Live until you match it."
            )
        if numbers.isdisjoint(number_spellings(v["number"])):
            return "new", self.env._(
                "No such control number here: it will wait under Unmatched."
            )
        return "new", False

    def action_import(self):
        """Override: ask ClickPesa about booked money that the file takes back."""
        self._check_clerk()
        booked_sudo = self.env["billpay.payment"].sudo()
        if self.state == "preview":
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
            self.line_ids.sudo()._judge_again()
            if "new" not in self.line_ids.mapped("verdict"):
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
                line.verdict = "unusable"
                line.reason = line.problem = self.env._(
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

    _judged = (
        "reference number receipt amount channel payer_name payer_phone paid_at status"
        " taken_back_row problem".split()
    )

    def _told(self):
        return _told({name: self[name] for name in self._judged})

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

    def _report_values(self):
        paid_at = self.paid_at and fields.Datetime.to_string(self.paid_at)
        return {
            self.env._("ClickPesa ID"): self.reference,
            self.env._("Receipt"): self.receipt,
            self.env._("Control Number"): self.number,
            self.env._("Amount"): "%.2f" % self.amount,
            self.env._("Paid At (UTC)"): paid_at,
        }


class BillpayPaymentImportColumn(models.TransientModel):
    _name = "billpay.payment.import.column"
    _inherit = [BillpayImportColumn._name]
    _description = "Column of Payments to Import"
    _kind = "payments"

    wizard_id = fields.Many2one(
        "billpay.payment.import", required=True, ondelete="cascade", index=True
    )
