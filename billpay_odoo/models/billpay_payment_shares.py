# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How the money of a payment is divided among invoices and credit.

Nothing is written here. The outcome is a list of :class:`Part`, each of which becomes
one ``account.payment``. Mostly that is one part per ClickPesa payment.
"""

import math
from dataclasses import dataclass, field

from odoo import models

from ..allocation import CREDIT, EXACT_OLDEST, exact_bills, oldest_first


@dataclass
class Share:
    """What a payment pays of one invoice.

    ``amount`` is in TZS; ``full`` tells that it closes the journal items.

    ``rate`` is how many units of the other currency one of the company's is worth, for
    invoices in another currency than TZS: just as the control number asked, so that
    what was paid is what was asked. ``balance`` is what the share is worth in the
    company's currency, where Odoo has no way to be told a rate. ``write_offs`` are the
    journal items of an early payment discount.
    """

    move: models.Model
    lines: models.Model
    amount: float
    full: bool
    rate: float | None = None
    balance: float | None = None
    write_offs: list = field(default_factory=list)


@dataclass
class Part:
    """The money of one ClickPesa payment for one customer, in one entry.

    ``amount`` is in TZS; ``fee`` is what ClickPesa keeps of it. Only the last share may
    leave its invoice open, since Odoo reconciles as much of a journal item as there is.
    """

    payment: models.Model
    partner: models.Model
    account: models.Model
    shares: list = field(default_factory=list)
    amount: float = 0.0
    fee: float = 0.0
    rate: float | None = None
    balance: float | None = None
    account_payment: models.Model | None = None

    def takes(self, share, partner):
        """Whether one more share may be paid from the same journal item."""
        return (
            self.partner == partner
            and self.account == share.lines.account_id
            and self.is_open
            and self.rate is None
            and share.rate is None
            and share.balance is None
        )

    @property
    def is_open(self):
        """Whether money may be added without paying more of the last invoice."""
        return self.balance is None and all(share.full for share in self.shares)


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

    def _plan_parts(self):
        """Divide the money of these payments, in their order.

        :rtype: list[Part]
        """
        # What journal items still ask for, in TZS, when the payments before have paid.
        still_open, parts = {}, []
        waiting = self._open_lines_of_customers()
        for payment in self:
            wanted = payment._wanted_allocation(waiting, still_open)
            shares = payment._plan_shares(wanted, still_open)
            parts += payment._plan_own_parts(shares)
        return parts

    def _plan_shares(self, wanted, still_open):
        """Return what this payment pays, in order.

        :param list wanted: open journal items of an invoice, and TZS for them at most
        :param dict still_open: TZS that journal items still ask for; counted down
        :rtype: list[Share]
        """
        self.ensure_one()
        shares, left = [], self.amount
        for lines, limit in wanted:
            # One journal item pays lines of one account.
            for items in lines.grouped("account_id").values():
                if self.currency_id.compare_amounts(min(limit, left), 0) <= 0:
                    break
                share = self._plan_share(items, min(limit, left), still_open)
                if share:
                    shares.append(share)
                    left -= share.amount
                    limit -= share.amount
        return shares

    def _wanted_allocation(self, waiting, still_open):
        """Return journal items and the most that each group takes of this payment.

        A person's choice comes before the number's invoice, and that before the
        policy of a customer's number.

        :param dict waiting: open journal items by customer
        :rtype: list[tuple]
        """
        if self.allocation_ids:
            return [
                (self._open_lines(item.move_id), item.amount)
                for item in self.allocation_ids
            ]
        if self.matched_partner_id:
            return []
        if self.move_id:
            return [(self._open_lines(self.move_id), self.amount)]
        if not self._has_policy():
            return []
        lines = waiting.get(self.partner_id.commercial_partner_id)
        tiers = self.control_number_id._tiers(lines) if lines else []
        return self._by_policy(tiers, still_open)

    def _has_policy(self):
        """Whether the number leaves it to its policy what is paid."""
        number = self.control_number_id
        return (
            not self._is_persons_choice()
            and not self.move_id
            and number.kind == "customer"
            and number.allocation_policy != CREDIT
        )

    def _by_policy(self, tiers, still_open):
        """Return what a customer's number pays: the oldest, or bills that fit exactly.

        Bills that fit are looked for among the first ones, then among more of them.

        :param list tiers: open journal items in the order of their tiers, in each the
            oldest due first
        """
        policy = self.control_number_id.allocation_policy
        unit = self.currency_id.rounding

        def due(items):
            return round(self._due_of(items, still_open) / unit)

        amount = round(self.amount / unit)
        lines = self.env["account.move.line"]
        for tier in tiers:
            lines += tier
            if policy == EXACT_OLDEST:
                bills = list(lines.grouped("move_id").values())
                found = exact_bills(amount, [due(items) for items in bills])
                if found:
                    return [(bills[i], self.amount) for i in found]
        # Instalments count by their own dates, whatever invoice they belong to.
        dues = [due(line) for line in lines]
        return [
            (line, part * unit)
            for line, part in zip(lines, oldest_first(amount, dues), strict=True)
            if part
        ]

    def _open_lines_of_customers(self):
        """Return open journal items for payments on customer numbers, by customer.

        One search for all of them; oldest due first.
        """
        payments = self.filtered(lambda payment: payment._has_policy())
        partners = payments.partner_id.commercial_partner_id
        if not partners:
            return {}
        lines = self.env["account.move.line"].search(
            [
                ("company_id", "child_of", payments.company_id.ids),
                ("partner_id", "in", partners.ids),
                ("account_id.account_type", "=", "asset_receivable"),
                ("parent_state", "=", "posted"),
                ("reconciled", "=", False),
                ("amount_residual_currency", ">", 0),
                ("move_id.move_type", "in", ("out_invoice", "out_receipt")),
            ],
            order="date_maturity, id",
        )
        return lines.grouped("partner_id")

    def _plan_share(self, lines, limit, still_open):
        move = lines.move_id
        due = self._due_of(lines, still_open)
        amount = self.currency_id.round(min(limit, due))
        if self.currency_id.compare_amounts(amount, 0) <= 0:
            return None
        full = self.currency_id.compare_amounts(amount, due) >= 0
        share = Share(move, lines, amount, full)
        if not full:
            self._discount(share, due)
        if move.currency_id != self.currency_id:
            self._value(share, still_open)
        taken = due if share.full else amount
        for line in lines:
            part = min(taken, still_open[line])
            still_open[line] -= part
            taken -= part
        return share

    def _discount(self, share, due):
        """Close the invoice with less, when it is paid early and that was agreed.

        The conditions and the journal items are Odoo's own.
        """
        move, line = share.move, share.lines
        day = self._day()
        if not (
            move.invoice_payment_term_id.early_discount
            and len(line) == 1
            and not self.currency_id.compare_amounts(due, line.amount_residual_currency)
            and move._is_eligible_for_early_payment_discount(self.currency_id, day)
        ):
            return
        wanted = self.currency_id.round(line.discount_amount_currency)
        if self.currency_id.compare_amounts(share.amount, wanted) < 0:
            return

        def in_books(amount):
            return self.currency_id._convert(
                amount, move.company_id.currency_id, self.company_id, day
            )

        items = move._get_invoice_counterpart_amls_for_early_payment_discount(
            [{"aml": line, "amount_currency": -due, "balance": in_books(-due)}],
            in_books(due - wanted),
        )
        share.write_offs = [vals for group in items.values() for vals in group]
        share.amount, share.full = wanted, True

    def _value(self, share, still_open):
        """Say what the share of an invoice in another currency is worth."""
        move = share.move
        company_currency = move.company_id.currency_id
        if company_currency in (move.currency_id, self.currency_id):
            rate = self._asked_rate(move)
            if rate:
                at_home = move.currency_id == company_currency
                share.rate = rate if at_home else 1 / rate
            return
        # Neither currency is the company's: the entry gets the invoice's value.
        worth = sum(share.lines.mapped("amount_residual"))
        given = still_open.get(move, 0.0)
        if share.full:
            share.balance = worth - given
        else:
            asked = sum(self._due_in_tzs(line) for line in share.lines)
            share.balance = company_currency.round(worth * share.amount / asked)
        still_open[move] = given + share.balance

    def _due_of(self, lines, still_open):
        """Return what the payer has to pay to close these lines, in TZS."""
        for line in lines:
            if line not in still_open:
                still_open[line] = self._due_in_tzs(line)
        due = sum(still_open[line] for line in lines)
        if lines.currency_id == self.currency_id:
            return due
        # Whole shillings, rounded up as on the number.
        return math.ceil(round(due, 4))

    def _open_lines(self, move):
        """Receivable lines of a posted invoice that still ask for money, oldest due
        first."""
        if move.state != "posted":
            return self.env["account.move.line"]
        return move.line_ids.filtered(
            lambda line: (
                line.account_id.account_type == "asset_receivable"
                and not line.reconciled
                and line.amount_residual_currency > 0
            )
        ).sorted(lambda line: (line.date_maturity or line.date, line.id))

    def _asked_rate(self, move):
        """Return how many TZS the payer was asked for one unit of the invoice.

        :return: zero for invoices in TZS, and where no number says it
        :rtype: float
        """
        if move.currency_id == self.currency_id:
            return 0.0
        numbers = self.control_number_id
        checkout = numbers.transaction_id.sudo()
        if numbers.move_id != move and move not in checkout.invoice_ids:
            numbers = move.sudo().billpay_number_ids.sorted("id", reverse=True)
        for number in numbers:
            if number.bill_amount > 0 and number.bill_currency_id == move.currency_id:
                # A number that names no amount was made at a rate all the same.
                return (number.amount or 0) / number.bill_amount or number.bill_rate
        return 0.0

    def _due_in_tzs(self, line):
        residual, currency = line.amount_residual_currency, line.currency_id
        if currency == self.currency_id:
            return residual
        rate = self._asked_rate(line.move_id)
        if rate:
            return residual * rate
        return currency._convert(
            residual,
            self.currency_id,
            self.company_id,
            self._accounting_date(),
            round=False,
        )

    def _plan_own_parts(self, shares):
        """Group the shares of this payment, and add what is left over.

        :rtype: list[Part]
        """
        self.ensure_one()
        parts, left = [], self.amount
        for share in shares:
            # The entry of a till's session has no customer of its own; its lines do.
            owner = share.move.partner_id or share.lines.partner_id
            partner = self._entry_partner(owner)
            if not (parts and parts[-1].takes(share, partner)):
                parts.append(Part(self, partner, share.lines.account_id))
                parts[-1].rate, parts[-1].balance = share.rate, share.balance
            parts[-1].shares.append(share)
            parts[-1].amount += share.amount
            left -= share.amount
        left = self.currency_id.round(left)
        if left > 0 or not parts:
            partner = self._credit_partner()
            if not (parts and parts[-1].is_open and parts[-1].partner == partner):
                account = partner.property_account_receivable_id
                parts.append(Part(self, partner, account))
            parts[-1].amount += left
        largest = max(parts, key=lambda part: part.amount)
        largest.fee = min(self._fee(), largest.amount)
        return parts

    def _fee(self):
        """Return what ClickPesa keeps of this payment, in TZS; zero if not booked."""
        channel = self.channel_id
        if not self.provider_id.clickpesa_fee_account_id or not channel:
            return 0.0
        fee = self.amount * channel.fee_percent / 100 + channel.fee_fixed
        return self.currency_id.round(fee)

    def _credit_partner(self):
        """Return whose money it is that pays no invoice."""
        return self._entry_partner(self.partner_id or self.move_id.partner_id)

    def _entry_partner(self, partner):
        """Return on whom the entry is written: the pupil, or the family."""
        if self.company_id.billpay_entries_on == "contact":
            return partner
        return partner.commercial_partner_id
