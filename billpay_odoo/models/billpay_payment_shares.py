# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How the money of a payment is divided among invoices and credit.

Nothing is written here. The outcome is a list of :class:`Part`, each of which becomes
one ``account.payment``. Mostly that is one part per ClickPesa payment.
"""

import math
from dataclasses import dataclass, field

from odoo import models


@dataclass
class Share:
    """What a payment pays of one invoice.

    ``amount`` is in TZS; ``full`` tells that it closes the invoice. ``rate`` is how
    many units of the other currency one of the company's is worth, for invoices in
    another currency than TZS: just as the control number asked, so that what was paid
    is what was asked. ``balance`` is what the share is worth in the company's
    currency, where Odoo has no way to be told a rate.
    """

    move: models.Model
    lines: models.Model
    amount: float
    full: bool
    rate: float | None = None
    balance: float | None = None


@dataclass
class Part:
    """The money of one ClickPesa payment for one customer, in one entry.

    ``amount`` is in TZS. Only the last share may leave its invoice open, since Odoo
    reconciles as much of a journal item as there is.
    """

    payment: models.Model
    partner: models.Model
    account: models.Model
    shares: list = field(default_factory=list)
    amount: float = 0.0
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
        # What is still open of an invoice, in TZS, when the ones before have paid.
        still_open, parts = {}, []
        for payment in self:
            parts += payment._plan_own_parts(payment._plan_shares(still_open))
        return parts

    def _plan_shares(self, still_open):
        """Return what this payment pays, in order.

        :param dict still_open: TZS that invoices still ask for; counted down
        :rtype: list[Share]
        """
        self.ensure_one()
        shares, left = [], self.amount
        for move, limit in self._wanted_allocation():
            if self.currency_id.compare_amounts(left, 0) <= 0:
                break
            share = self._plan_share(move, min(limit, left), still_open)
            if share:
                shares.append(share)
                left -= share.amount
        return shares

    def _wanted_allocation(self):
        """Return invoices and the most that each may take of this payment, in TZS.

        A person's choice comes before the number's invoice.

        :rtype: list[tuple]
        """
        if self.allocation_ids:
            return [(item.move_id, item.amount) for item in self.allocation_ids]
        if self.matched_partner_id:
            return []
        return [(move, self.amount) for move in self.move_id]

    def _plan_share(self, move, limit, still_open):
        lines = self._open_lines(move)
        # One journal item pays lines of one account.
        lines = lines.filtered(lambda line: line.account_id == lines[0].account_id)
        if not lines:
            return None
        rate = self._asked_rate(move)
        due = still_open.get(move)
        if due is None:
            due = self._due_in_tzs(move, lines, rate)
        amount = self.currency_id.round(min(limit, due))
        if self.currency_id.compare_amounts(amount, 0) <= 0:
            return None
        still_open[move] = due - amount
        full = self.currency_id.compare_amounts(amount, due) >= 0
        share = Share(move, lines, amount, full)
        if move.currency_id == self.currency_id:
            return share
        company_currency = move.company_id.currency_id
        if company_currency not in (move.currency_id, self.currency_id):
            residual = sum(lines.mapped("amount_residual"))
            share.balance = company_currency.round(residual * amount / due)
        elif rate:
            share.rate = rate if move.currency_id == company_currency else 1 / rate
        return share

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
        if numbers.move_id != move:
            numbers = move.sudo().billpay_number_ids.sorted("id", reverse=True)
        for number in numbers:
            if number.bill_amount > 0 and number.bill_currency_id == move.currency_id:
                return number.amount / number.bill_amount
        return 0.0

    def _due_in_tzs(self, move, lines, rate):
        """Return what the payer has to pay to close these lines."""
        residual = sum(lines.mapped("amount_residual_currency"))
        if move.currency_id == self.currency_id:
            return residual
        if not rate:
            return move.currency_id._convert(
                residual, self.currency_id, self.company_id, self._accounting_date()
            )
        # Whole shillings, rounded up as on the number.
        return math.ceil(round(residual * rate, 4))

    def _plan_own_parts(self, shares):
        """Group the shares of this payment, and add what is left over.

        :rtype: list[Part]
        """
        self.ensure_one()
        parts, left = [], self.amount
        for share in shares:
            partner = share.move.commercial_partner_id
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
        return parts

    def _credit_partner(self):
        """Return whose money it is that pays no invoice."""
        partner = self.partner_id or self.move_id.partner_id
        return partner.commercial_partner_id
