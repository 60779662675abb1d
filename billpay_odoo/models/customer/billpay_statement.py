# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The statement of a customer's number: what was billed, what was paid, what is left.

It is made of journal items alone, so that it says what the books say. Its last balance
is the number's balance."""

from datetime import date

from odoo import models
from odoo.fields import Domain

from ... import money
from ...clickpesa.values import FAILED, REVERSED
from ...const import INVOICES


class BillpayStatement(models.AbstractModel):
    """State what was billed, paid and is left on customers' control numbers."""

    _name = "billpay.statement"
    _description = "BillPay Customer Statement"

    def _balances(self, numbers):
        """Return what is due on customers' numbers, and their credit, in TZS.

        Only invoices of the number's own purpose count, whatever else its payments may
        pay: what is due on one number is not due on another.

        :rtype: dict[record, tuple[float, float]]
        """
        bills = self._bill_lines(numbers, [("reconciled", "=", False)])
        credits = self._payment_lines(
            numbers, [("reconciled", "=", False), ("amount_residual", "<", 0)]
        )
        balances = {}
        for number in numbers:
            due = credit = 0.0
            for line in bills[number]:
                if line.move_id.move_type == "out_refund":
                    credit -= money.open_shillings(line, number)
                else:
                    due += money.open_shillings(line, number)
            for line in credits[number]:
                payment = line.move_id.origin_payment_id.billpay_payment_id
                if payment.status not in REVERSED | FAILED:
                    credit -= money.open_shillings(line, number)
            balances[number] = due, credit
        return balances

    def _receivable(self, numbers, domain):
        return (
            numbers.env["account.move.line"]
            .sudo()
            .search(
                Domain("account_id.account_type", "=", "asset_receivable")
                & Domain("parent_state", "=", "posted")
                & Domain(domain),
                order="date_maturity, id",
            )
        )

    def _bill_lines(self, numbers, domain=()):
        """Return the receivable items of all invoices that each number is about.

        :param domain: that they also fulfil
        :rtype: dict
        """
        lines = self._receivable(
            numbers,
            [
                ("company_id", "child_of", numbers.company_id.ids),
                ("partner_id", "in", numbers.partner_id.commercial_partner_id.ids),
                ("move_id.move_type", "in", (*INVOICES, "out_refund")),
                *domain,
            ],
        )
        by_partner = lines.grouped("partner_id")
        return {
            number: by_partner.get(
                number.partner_id.commercial_partner_id, lines.browse()
            ).filtered(
                lambda line, number=number: (
                    line.move_id.billpay_purpose_id == number.purpose_id
                    and number._is_for(line.move_id)
                )
            )
            for number in numbers
        }

    def _payment_lines(self, numbers, domain=()):
        """Return the receivable items of all payments on each number.

        :param domain: that they also fulfil
        :rtype: dict
        """
        path = "move_id.origin_payment_id.billpay_payment_id.control_number_id"
        lines = self._receivable(numbers, [(path, "in", numbers.ids), *domain])
        by_number = lines.grouped(
            lambda line: (
                line.move_id.origin_payment_id.billpay_payment_id.control_number_id
            )
        )
        return {number: by_number.get(number, lines.browse()) for number in numbers}

    def _statement(self, number, date_from=None, date_to=None):
        """Return the statement of one number.

        :param date date_from: the first day; the first of this year by default. What
            was before is one line, the opening balance.
        :param date date_to: the last day; today by default
        :return: dict with ``date_from``, ``date_to``, ``opening``, ``closing`` (TZS)
            and ``lines``: dicts with ``date``, ``text``, ``detail``, ``due``, ``paid``
            and ``balance``
        :rtype: dict
        """
        number.ensure_one()
        today = number.company_id._billpay_today()
        date_to = date_to or today
        date_from = date_from or date(date_to.year, 1, 1)
        opening, balance, lines = 0.0, 0.0, []
        for entry in sorted(self._statement_entries(number), key=lambda e: e["order"]):
            if entry["date"] > date_to:
                continue
            balance += entry["due"] - entry["paid"]
            if entry["date"] < date_from:
                opening = balance
                continue
            lines.append({**entry, "balance": balance})
        return {
            "date_from": date_from,
            "date_to": date_to,
            "opening": opening,
            "closing": balance,
            "lines": lines,
        }

    def _statement_entries(self, numbers):
        """Return everything that moved the balance of this number.

        :rtype: list[dict]
        """
        bills = self._bill_lines(numbers)[numbers]
        payments = self._payment_lines(numbers)[numbers]
        entries = []
        for line in bills:
            refund = line.move_id.move_type == "out_refund"
            entries.append(
                self._statement_entry(
                    numbers,
                    line.move_id.invoice_date or line.date,
                    0 if refund else 1,
                    line,
                    numbers.env._("Credit note %s", line.move_id.name)
                    if refund
                    else numbers.env._("Invoice %s", line.move_id.name),
                    self._statement_detail(numbers, line.move_id),
                    due=money.billed_shillings(line, numbers),
                )
            )
        for line in payments:
            payment = line.move_id.origin_payment_id.billpay_payment_id
            detail = (payment.channel_id.name, payment.receipt, payment.payer_name)
            entries.append(
                self._statement_entry(
                    numbers,
                    numbers.env["billpay.entries"]._day(payment),
                    2,
                    line,
                    numbers.env._("Payment"),
                    ", ".join(filter(None, detail)),
                    paid=-money.billed_shillings(line, numbers),
                )
            )
        # What the bills got from elsewhere, and what the payments paid elsewhere.
        own = bills | payments
        for partial in own.matched_debit_ids | own.matched_credit_ids:
            debit, credit = partial.debit_move_id, partial.credit_move_id
            if debit in own and credit in own or money.is_exchange(partial):
                continue
            settled = money.settled_shillings(partial, numbers)
            if debit in own:
                entries.append(
                    self._statement_entry(
                        numbers,
                        credit.date,
                        2,
                        credit,
                        numbers.env._("Paid in another way"),
                        credit.move_id.name,
                        paid=settled,
                    )
                )
            else:
                entries.append(
                    self._statement_entry(
                        numbers,
                        max(credit.date, debit.date),
                        3,
                        debit,
                        numbers.env._("Taken back")
                        if debit.move_id.reversed_entry_id == credit.move_id
                        else numbers.env._("Used for %s", debit.move_id.name),
                        "",
                        due=settled,
                    )
                )
        return entries

    def _statement_entry(
        self, numbers, day, rank, line, text, detail, due=0.0, paid=0.0
    ):
        # A credit note takes back what was billed.
        if due < 0:
            due, paid = 0.0, -due
        return {
            "order": (day, rank, line.id),
            "date": day,
            "text": text,
            "detail": detail,
            "due": due,
            "paid": paid,
        }

    def _statement_detail(self, numbers, move):
        first = move.invoice_line_ids.filtered(lambda line: line.name)[:1]
        return (first.name or "").split("\n")[0]

    def _statement_text(self, amount):
        """Return an amount as it stands in a statement: whole shillings, grouped."""
        return "" if not amount else f"{amount:,.0f}"
