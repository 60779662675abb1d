# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The statement of a customer's number: what was billed, what was paid, what is left.

It is made of journal items alone, so that it says what the books say. Its last balance
is the number's balance.
"""

from datetime import date

from odoo import models


class BillpayControlNumber(models.Model):
    _inherit = "billpay.control.number"  # pylint: disable=consider-merging-classes-inherited

    def _statement(self, date_from=None, date_to=None):
        """Return the statement of one number.

        :param date date_from: the first day; the first of this year by default. What
            was before is one line, the opening balance.
        :param date date_to: the last day; today by default
        :return: dict with ``date_from``, ``date_to``, ``opening``, ``closing`` (TZS)
            and ``lines``: dicts with ``date``, ``text``, ``detail``, ``due``, ``paid``
            and ``balance``
        :rtype: dict
        """
        self.ensure_one()
        today = self.company_id._billpay_today()
        date_to = date_to or today
        date_from = date_from or date(date_to.year, 1, 1)
        opening, balance, lines = 0.0, 0.0, []
        for entry in sorted(self._statement_entries(), key=lambda e: e["order"]):
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

    def _statement_entries(self):
        """Return everything that moved the balance of this number.

        :rtype: list[dict]
        """
        bills = self._bill_lines()
        payments = self._payment_lines()
        entries = []
        for line in bills:
            refund = line.move_id.move_type == "out_refund"
            entries.append(
                self._statement_entry(
                    line.move_id.invoice_date or line.date,
                    0 if refund else 1,
                    line,
                    self.env._("Credit note %s", line.move_id.name)
                    if refund
                    else self.env._("Invoice %s", line.move_id.name),
                    self._statement_detail(line.move_id),
                    due=self._to_shillings(line, line.amount_currency),
                )
            )
        for line in payments:
            payment = line.move_id.origin_payment_id.billpay_payment_id
            detail = (payment.channel_id.name, payment.receipt, payment.payer_name)
            entries.append(
                self._statement_entry(
                    payment._day(),
                    2,
                    line,
                    self.env._("Payment"),
                    ", ".join(filter(None, detail)),
                    paid=-self._to_shillings(line, line.amount_currency),
                )
            )
        # What the bills got from elsewhere, and what the payments paid elsewhere.
        own = bills | payments
        for partial in own.matched_debit_ids | own.matched_credit_ids:
            debit, credit = partial.debit_move_id, partial.credit_move_id
            if debit in own and credit in own:
                continue
            if debit in own:
                entries.append(
                    self._statement_entry(
                        credit.date,
                        2,
                        credit,
                        self.env._("Paid in another way"),
                        credit.move_id.name,
                        paid=self._to_shillings(debit, partial.debit_amount_currency),
                    )
                )
            else:
                entries.append(
                    self._statement_entry(
                        max(credit.date, debit.date),
                        3,
                        debit,
                        self.env._("Taken back")
                        if debit.move_id.reversed_entry_id == credit.move_id
                        else self.env._("Used for %s", debit.move_id.name),
                        "",
                        due=self._to_shillings(credit, partial.credit_amount_currency),
                    )
                )
        return entries

    def _statement_entry(self, day, rank, line, text, detail, due=0.0, paid=0.0):
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

    def _statement_detail(self, move):
        first = move.invoice_line_ids.filtered(lambda line: line.name)[:1]
        return (first.name or "").split("\n")[0]

    def _to_shillings(self, line, amount):
        return line.currency_id._convert(
            amount, self.currency_id, line.company_id, line.date
        )

    def _bill_lines(self):
        """Return the receivable items of all invoices that this number is about."""
        lines = (
            self.env["account.move.line"]
            .sudo()
            .search(
                [
                    ("company_id", "child_of", self.company_id.ids),
                    ("partner_id", "=", self.partner_id.commercial_partner_id.id),
                    ("account_id.account_type", "=", "asset_receivable"),
                    ("parent_state", "=", "posted"),
                    (
                        "move_id.move_type",
                        "in",
                        ("out_invoice", "out_receipt", "out_refund"),
                    ),
                    ("move_id.billpay_purpose_id", "=", self.purpose_id.id),
                ]
            )
        )
        return lines.filtered(lambda line: self._is_for(line.move_id))

    def _payment_lines(self):
        """Return the receivable items of all payments on this number."""
        return (
            self.env["account.move.line"]
            .sudo()
            .search(
                [
                    (
                        "move_id.origin_payment_id.billpay_payment_id"
                        ".control_number_id",
                        "=",
                        self.id,
                    ),
                    ("account_id.account_type", "=", "asset_receivable"),
                    ("parent_state", "=", "posted"),
                ]
            )
        )

    def action_print_statement(self):
        self.ensure_one()
        return self.env.ref("billpay_odoo.action_report_statement").report_action(self)

    def _statement_text(self, amount):
        """Return an amount as it stands in a statement: whole shillings, grouped."""
        return "" if not amount else f"{amount:,.0f}"
