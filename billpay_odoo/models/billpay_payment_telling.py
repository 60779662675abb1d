# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""After the booking: the outcome on payments and numbers, and a word on invoices."""

from markupsafe import Markup

from odoo import fields, models


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

    def _store_outcome(self, parts):
        """Write what was booked, with one write per kind of outcome."""
        credit = dict.fromkeys(self, 0.0)
        for part in parts:
            lines = self._credit_lines(part)
            credit[part.payment] -= sum(lines.mapped("amount_residual_currency"))
        outcomes = {}
        for payment in self:
            verdict = payment._verdict(credit[payment])
            outcomes.setdefault(tuple(sorted(verdict.items())), []).append(payment.id)
        now = fields.Datetime.now()
        for verdict, ids in outcomes.items():
            self.browse(ids).write(
                {
                    "state": "posted",
                    "posted_at": now,
                    "next_try_at": False,
                    **dict(verdict),
                }
            )

    def _verdict(self, credit):
        """Say in what way the booking is unusual, if it is.

        :param float credit: TZS that paid no invoice
        """
        self.ensure_one()
        move = self.move_id
        usual = {"reason": False, "attention": False}
        # Numbers ask for whole shillings: less than one is rounding, not a surplus.
        if credit < 1 or not move or self._is_persons_choice():
            return usual
        if move.state != "posted":
            reason = self.env._("The invoice is not open: kept as customer credit.")
        else:
            reason = self.env._(
                "More than was due: %(credit)s is kept as customer credit.",
                credit=self.currency_id.format(credit),
            )
        return {"reason": reason, "attention": True}

    def _settle_numbers(self, parts):
        """Close what was paid and, for a rest, reserve the number that asks for it."""
        self.control_number_id._settle_paid()
        moves = self.control_number_id.move_id
        for part in parts:
            for share in part.shares:
                moves |= share.move
        moves._billpay_after_payment()

    def _tell(self, parts):
        """Note the payment where people look: on the invoices."""
        told = {}
        for payment in self:
            # Money that came too late for its invoice is told there all the same.
            if payment.move_id and not payment._is_persons_choice():
                told.setdefault(payment.move_id.id, []).append(payment)
        for part in parts:
            for share in part.shares:
                payments = told.setdefault(share.move.id, [])
                if part.payment not in payments:
                    payments.append(part.payment)
        if told:
            self.env["account.move"].browse(told)._message_log_batch(
                bodies={
                    move_id: Markup("<br/>").join(p._tell_text() for p in payments)
                    for move_id, payments in told.items()
                }
            )

    def _tell_text(self):
        self.ensure_one()
        return self.env._(
            "Paid by %(channel)s: %(amount)s, receipt %(receipt)s, from %(payer)s, "
            "control number %(number)s.",
            channel=self.channel_id.name or self.channel_code or "BillPay",
            amount=self.currency_id.format(self.amount),
            receipt=self.receipt or self.reference,
            payer=" ".join(filter(None, (self.payer_name, self.payer_phone))) or "?",
            number=self.control_number_id.display_number or self.number or "?",
        )
