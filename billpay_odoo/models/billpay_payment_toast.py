# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Money has come: the salesperson of the invoice sees it at once, if at a screen."""

from odoo import models

# Payments named in one message; more are counted.
NAMED = 3


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

    def _toast_salespeople(self):
        """Tell each salesperson, in one message, of booked payments on their invoices.

        The bus delivers when the transaction commits. To be called outside of
        savepoints: a rollback to one would not take the message back.
        """
        booked = self.filtered(
            lambda p: (
                p.state == "posted"
                and p.move_id
                and p.company_id.billpay_notify_salesperson
            )
        )
        for user, payments in booked.grouped("salesperson_id").items():
            # Whoever books it by hand is told by the wizard.
            if user.active and not user.share and user != self.env.user:
                payments.with_context(lang=user.lang)._toast(user)

    def _toast(self, user):
        user._bus_send(
            "simple_notification",
            {
                "type": "success",
                "title": self._toast_title(),
                "message": self._toast_text(),
            },
        )

    def _toast_title(self):
        if len(self) == 1:
            return self.env._("Paid by BillPay")
        return self.env._("%s payments by BillPay", len(self))

    def _toast_text(self):
        named = [
            self.env._(
                "%(customer)s: %(amount)s for %(invoice)s",
                customer=payment.partner_id.display_name,
                amount=payment.currency_id.format(payment.amount),
                invoice=payment.move_id.name,
            )
            for payment in self[:NAMED]
        ]
        if len(self) > NAMED:
            named.append(self.env._("and %s more", len(self) - NAMED))
        return "; ".join(named)
