# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from datetime import date

from odoo import models
from odoo.fields import Domain

from ... import money
from ...clickpesa.values import is_gone
from ...const import INVOICES


class BillpayStatement(models.AbstractModel):
    """State what was billed, paid and is left on customers' control numbers.

    Of journal items alone, so that it says what the books say. The last balance of a
    statement is the number's balance.
    """

    _name = "billpay.statement"
    _description = "BillPay Customer Statement"

    def _balances(self, numbers):
        """Return what is due on customers' numbers, and their credit, in TZS.

        Only invoices of the number's own purpose count, whatever else its payments may
        pay: what is due on one number is not due on another.
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
                if not is_gone(payment.status):
                    credit -= money.open_shillings(line, number)
            balances[number] = due, credit
        return balances

    def _receivable(self, numbers, domain):
        receivable = Domain("account_id.account_type", "=", "asset_receivable")
        domain = receivable & Domain("parent_state", "=", "posted") & Domain(domain)
        lines_sudo = numbers.env["account.move.line"].sudo()
        return lines_sudo.search(domain, order="date_maturity, id")

    def _bill_lines(self, numbers, domain=()):
        """Return the receivable items of all invoices that each number is about."""
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
        found = {}
        for number in numbers:
            owner = number.partner_id.commercial_partner_id
            found[number] = by_partner.get(owner, lines.browse()).filtered(
                lambda line, number=number: (
                    line.move_id.billpay_purpose_id == number.purpose_id
                    and number._is_for(line.move_id)
                )
            )
        return found

    def _payment_lines(self, numbers, domain=()):
        """Return the receivable items of all payments on each number."""
        path = "billpay_payment_id.control_number_id"
        # From the few payments to their items: the other way round, PostgreSQL may
        # read all items of a school again for each of its numbers.
        payments_sudo = numbers.env["account.payment"].sudo()
        moves = payments_sudo.search([(path, "in", numbers.ids)]).move_id
        lines = self._receivable(numbers, [("move_id", "in", moves.ids), *domain])
        by_number = lines.grouped(
            lambda line: line.move_id.origin_payment_id.mapped(path)
        )
        return {number: by_number.get(number, lines.browse()) for number in numbers}

    def _statement(self, number, date_from=None, date_to=None):
        """Return the statement of one number, by default of this year until today.

        :return: dict with ``date_from``, ``date_to``, ``opening``, ``closing`` (TZS)
            and ``lines``: dicts with ``date``, ``text``, ``detail``, ``due``, ``paid``
            and ``balance``
        """
        number.ensure_one()
        date_to = date_to or number.company_id._billpay_today()
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
        """Return everything that moved the balance of this number, as dicts."""
        env = numbers.env
        bills = self._bill_lines(numbers)[numbers]
        payments = self._payment_lines(numbers)[numbers]
        entries = []

        def add(day, rank, line, text, detail, due=0.0, paid=0.0):
            entries.append(
                {
                    "order": (day, rank, line.id),
                    "date": day,
                    "text": text,
                    "detail": detail,
                    # A credit note takes back what was billed.
                    "due": max(due, 0.0),
                    "paid": paid - min(due, 0.0),
                }
            )

        for line in bills:
            move, due = line.move_id, money.billed_shillings(line, numbers)
            day = move.invoice_date or line.date
            named = move.invoice_line_ids.filtered("name")[:1]
            detail = (named.name or "").split("\n")[0]
            if move.move_type == "out_refund":
                add(day, 0, line, env._("Credit note %s", move.name), detail, due)
            else:
                add(day, 1, line, env._("Invoice %s", move.name), detail, due)
        for line in payments:
            payment = line.move_id.origin_payment_id.billpay_payment_id
            detail = (payment.channel_id.name, payment.receipt, payment.payer_name)
            detail = ", ".join(filter(None, detail))
            day = env["billpay.entries"]._day(payment)
            paid = -money.billed_shillings(line, numbers)
            add(day, 2, line, env._("Payment"), detail, paid=paid)
        # What the bills got from elsewhere, and what the payments paid elsewhere.
        own = bills | payments
        for partial in own.matched_debit_ids | own.matched_credit_ids:
            debit, credit = partial.debit_move_id, partial.credit_move_id
            if debit in own and credit in own or money.is_exchange(partial):
                continue
            settled = money.settled_shillings(partial, numbers)
            if debit in own:
                text = env._("Paid in another way")
                add(credit.date, 2, credit, text, credit.move_id.name, paid=settled)
                continue
            text = env._("Used for %s", debit.move_id.name)
            if debit.move_id.reversed_entry_id == credit.move_id:
                text = env._("Reversed")
            add(max(credit.date, debit.date), 3, debit, text, "", settled)
        return entries

    def _statement_text(self, amount):
        return f"{amount:,.0f}" if amount else ""
