# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Over, under, late: how a payment compares with what was due when it was booked.

Kept and not computed: what is due changes with every payment.
"""

from datetime import timezone

from odoo import fields, models


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

    asked_amount = fields.Monetary(
        string="Was Due",
        readonly=True,
        help="In TZS: what was due when it was booked. Zero if any amount was welcome.",
    )
    is_over = fields.Boolean(
        string="Over", readonly=True, help="More was paid than was due."
    )
    is_under = fields.Boolean(
        string="Under", readonly=True, help="Less was paid than was due."
    )
    is_late = fields.Boolean(
        string="Late", readonly=True, help="Paid after the due date."
    )

    def _note_asked(self):
        """Keep what is due now. Called once, right before these are booked.

        Payments of one batch on the same invoice are looked at in turn: the second
        finds only what the first has left.
        """
        left = {}
        for payment in self:
            bills = payment._bills_to_pay()
            any_amount = not bills and not payment.control_number_id.amount
            due = payment.control_number_id.amount if not bills else 0.0
            for move in bills:
                if move not in left:
                    left[move] = move._billpay_due_in(payment.currency_id)
                due += left[move]
            rest = payment.amount
            for move in bills:
                used = min(rest, left[move])
                left[move] -= used
                rest -= used
            asked = payment._asked_by_number(due) if bills else due
            payment.write(
                {
                    "asked_amount": asked,
                    # Numbers ask for whole shillings: less than one is rounding.
                    "is_over": not any_amount and payment.amount - due >= 1,
                    "is_under": not any_amount and asked - payment.amount >= 1,
                    "is_late": payment._is_late(bills),
                }
            )

    def _asked_by_number(self, due):
        """Return what the number asked for: an instalment is less than all that is
        due, and no payment of too little."""
        self.ensure_one()
        number = self.control_number_id
        if self.allocation_ids or not 0 < number.amount < due:
            return due
        return number.amount

    def _bills_to_pay(self):
        """Return the invoices it is to be booked on."""
        self.ensure_one()
        if self.allocation_ids:
            return self.allocation_ids.move_id
        return self.env["account.move"] if self.matched_partner_id else self.move_id

    def _is_late(self, bills):
        """Tell whether it was paid after the day its bill was due, at the company."""
        self.ensure_one()
        due_dates = [day for day in bills.mapped("invoice_date_due") if day]
        if not due_dates or not self.paid_at:
            return False
        moment = self.paid_at.replace(tzinfo=timezone.utc)
        paid_on = moment.astimezone(self.company_id._billpay_tz()).date()
        return paid_on > max(due_dates)
