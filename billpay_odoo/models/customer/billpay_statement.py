# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from datetime import date

from odoo import models
from odoo.fields import Domain

from ... import money
from ...allocation import CREDIT
from ...clickpesa.values import is_gone
from ...const import INVOICES, LIVING


class BillpayStatement(models.AbstractModel):
    """State what was billed, paid and is left on customers' control numbers.

    Of journal items alone, so that it says what the books say. The last balance of a
    statement is the number's balance.
    """

    _name = "billpay.statement"
    _description = "BillPay Customer Statement"

    def _balances(self, numbers):
        """Return what is due on customers' numbers, and their credit, in TZS.

        What is due on one number is not due on another purpose's: see `_bill_lines`.
        """
        bills = self._bill_lines(numbers, [("reconciled", "=", False)])
        credits = self._payment_lines(
            numbers, [("reconciled", "=", False), ("amount_residual", "<", 0)]
        )
        balances = {}
        for number in numbers:
            due = credit = 0.0
            for items in money.bills(bills[number]):
                left = money.open_shillings(items, number)
                left -= money.coming_shillings(items, number)
                due += max(left, 0.0)
                credit -= min(left, 0.0)
            for line in credits[number]:
                if not self._is_gone(line):
                    credit -= money.open_shillings(line, number)
            # A phone takes whole shillings, of all of it together.
            balance = money.whole_shillings(due - credit)
            due = money.whole_shillings(due)
            balances[number] = float(due), float(due - balance)
        return balances

    def _is_gone(self, line):
        """Tell whether ClickPesa took back the money that a journal item books."""
        return is_gone(line.move_id.origin_payment_id.billpay_payment_id.status)

    def _numbers_of(self, numbers):
        """Return all numbers of the customers that have these, by customer."""
        numbers_sudo = numbers.sudo()
        domain = [
            ("kind", "=", "customer"),
            ("partner_id", "in", numbers_sudo.partner_id.ids),
        ]
        return (numbers_sudo.search(domain) | numbers_sudo).grouped("partner_id")

    def _bill_lines(self, numbers, domain=()):
        """Return the receivable items of all bills that each number is about.

        A bill counts on the numbers of its purpose. One of no purpose, or of one for
        which the customer has no number, counts on those of the first purpose that may
        pay it.
        """
        lines_sudo = numbers.env["account.move.line"].sudo()
        families = numbers.partner_id.commercial_partner_id
        # An entry may name a contact of the family, an invoice names the family.
        bills = Domain("partner_id.commercial_partner_id", "in", families.ids)
        types = (*INVOICES, "out_refund")
        bills &= lines_sudo._billpay_domain(numbers.company_id, types)
        lines = lines_sudo.search(bills & Domain(domain))._billpay_bills()
        by_family = lines.grouped(lambda line: line.partner_id.commercial_partner_id)
        numbers_of, found = self._numbers_of(numbers), {}
        for number in numbers.sudo():
            living = numbers_of[number.partner_id].filtered(
                lambda other, number=number: other.state in LIVING or other == number
            )
            own = by_family.get(number.partner_id.commercial_partner_id, lines.browse())
            found[number] = own.filtered(
                lambda line, number=number, living=living: (
                    line._billpay_kinship(number.partner_id, number.company_id) == 0
                    and self._is_shown(line, number, living)
                )
            )
        return found

    def _is_shown(self, line, number, living):
        """Tell whether a bill counts on this one of its customer's living numbers."""
        place = self._place(line, number)
        places = (self._place(line, other) for other in living)
        return place is not None and place == min(p for p in places if p is not None)

    def _place(self, line, number):
        """Return how much a bill is a number's, to sort by; ``None`` if not at all."""
        purpose, wanted = number.purpose_id, line.move_id.billpay_purpose_id
        company = line.company_id.with_context(active_test=False)
        if number.company_id not in company.parent_ids:
            return None
        if purpose == wanted:
            return (0, 0, 0)
        if number.allocation_policy == CREDIT:
            return None
        if not purpose:
            return (2, 0, 0)
        if purpose._tier(line.move_id) is None:
            return None
        return (1, purpose.sequence, purpose.id)

    def _payment_lines(self, numbers, domain=()):
        """Return the receivable items of all payments on each number.

        Numbers of one customer and purpose are one account: what is paid on one of them
        counts on each.
        """
        path = "billpay_payment_id.control_number_id"
        same, numbers_of = {}, self._numbers_of(numbers)
        for number in numbers.sudo():
            others = numbers_of[number.partner_id].filtered(
                lambda other, number=number: (
                    other == number
                    or (number.purpose_id and other.purpose_id == number.purpose_id)
                )
            )
            same[number] = others
        # From the few payments to their items, step by step: the other way round, or in
        # one join, PostgreSQL may read all of a school again for each of its numbers.
        payments_sudo = numbers.sudo().union(*same.values()).payment_ids
        moves = payments_sudo.account_payment_ids.move_id
        lines = numbers.env["account.move.line"].sudo()
        lines = lines.search(
            [
                ("account_id.account_type", "=", "asset_receivable"),
                ("parent_state", "=", "posted"),
                ("move_id", "in", moves.ids),
                *domain,
            ]
        )
        by_number = lines.grouped(
            lambda line: line.move_id.origin_payment_id.mapped(path)
        )
        paid = {}
        for number, others in same.items():
            own = (by_number.get(other, lines.browse()) for other in others)
            paid[number] = lines.browse().union(*own)
        return paid

    def _statement(self, number, date_from=None, date_to=None):
        """Return the statement of one number, by default of this year until today,
        or until the last date of its bills.

        :return: dict with ``date_from``, ``date_to``, ``opening``, ``closing`` (TZS)
            and ``lines``: dicts with ``date``, ``text``, ``detail``, ``due``, ``paid``
            and ``balance``
        """
        number.ensure_one()
        entries = sorted(self._statement_entries(number), key=lambda e: e["order"])
        today = number.company_id._billpay_today()
        date_to = date_to or max(today, *(entry["date"] for entry in entries), today)
        date_from = date_from or date(min(today, date_to).year, 1, 1)
        whole = money.whole_shillings
        opening, balance, lines = 0.0, 0.0, []
        for entry in entries:
            if entry["date"] > date_to:
                continue
            balance += entry["due"] - entry["paid"]
            if entry["date"] < date_from:
                opening = balance
                continue
            lines.append({**entry, "balance": float(whole(balance))})
        return {
            "date_from": date_from,
            "date_to": date_to,
            "opening": float(whole(opening)),
            "closing": float(whole(balance)),
            "lines": lines,
        }

    def _statement_entries(self, numbers):
        """Return everything that moved the balance of this number, as dicts."""
        env = numbers.env
        bills = self._bill_lines(numbers)[numbers]
        payments = self._payment_lines(numbers)[numbers]
        entries = []

        def add(day, rank, lines, text, detail, due=0.0, paid=0.0):
            entries.append(
                {
                    "order": (day, rank, lines[:1].id),
                    "date": day,
                    "text": text,
                    "detail": detail,
                    # A credit note takes back what was billed.
                    "due": max(due, 0.0),
                    "paid": paid - min(due, 0.0),
                }
            )

        for items in money.bills(bills):
            move, due = items.move_id, money.billed_shillings(items, numbers)
            day = move.invoice_date or move.date
            named = move.invoice_line_ids.filtered("name")[:1]
            if move.move_type == "entry":
                named = items.filtered("name")[:1]
            detail = (named.name or move.ref or "").split("\n")[0]
            if move.move_type == "entry":
                add(day, 1, items, env._("Entry %s", move.name), detail, due)
            elif move.move_type == "out_refund":
                add(day, 0, items, env._("Credit note %s", move.name), detail, due)
            else:
                add(day, 1, items, env._("Invoice %s", move.name), detail, due)
            if coming := money.coming_shillings(items, numbers):
                text = env._("Paid in another way, not in the books yet")
                add(day, 2, items, text, move.name, paid=coming)
        for line in payments:
            payment = line.move_id.origin_payment_id.billpay_payment_id
            detail = (payment.channel_id.name, payment.receipt, payment.payer_name)
            detail = ", ".join(filter(None, detail))
            day = env["billpay.entries"]._day(payment)
            paid = -money.billed_shillings(line, numbers)
            add(day, 2, line, env._("Payment"), detail, paid=paid)
            if self._is_gone(line) and not line.reconciled:
                back = -money.open_shillings(line, numbers)
                add(day, 3, line, env._("Taken back at ClickPesa"), detail, back)
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
        amount = float(round(amount, 2))
        return f"{amount:,.{0 if amount.is_integer() else 2}f}" if amount else ""
