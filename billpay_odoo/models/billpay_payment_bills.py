# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Other bills than invoices: a checkout. Further kinds extend ``_tell_bills``."""

from odoo import api, fields, models


class BillpayControlNumber(models.Model):
    _inherit = "billpay.control.number"  # pylint: disable=consider-merging-classes-inherited

    transaction_id = fields.Many2one(
        "payment.transaction",
        string="Checkout",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
        copy=False,
    )

    # A checkout asks for its money once: the database says so.
    _one_per_checkout = models.UniqueIndex(
        "(transaction_id) WHERE transaction_id IS NOT NULL"
        " AND state IN ('pending', 'open', 'failed')",
        "This checkout has a control number to pay already. Nothing was changed.",
    )

    @api.model
    def _bill_fields(self):
        return [*super()._bill_fields(), "transaction_id"]

    def _get_page_bill(self):
        # EXTENDS billpay.control.number
        bill = super()._get_page_bill()
        if self.transaction_id and not bill["name"]:
            bill.update(name=self.transaction_id.reference, label="order")
        return bill


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

    transaction_id = fields.Many2one(
        "payment.transaction",
        string="Checkout",
        related="control_number_id.transaction_id",
        store=True,
        index="btree_not_null",
    )

    def _book(self):
        """Override: other bills hear of the money in the transaction that books it."""
        result = super()._book()
        self._tell_bills()
        return result

    def _tell_bills(self):
        """Tell bills other than invoices that these payments are booked."""
        for payment in self.filtered(lambda p: p.state == "posted"):
            tx = payment.transaction_id
            if tx and not payment._is_persons_choice():
                tx.with_company(tx.company_id)._billpay_follow_money(payment)

    def _wanted_allocation(self, waiting, still_open):
        """Override: a checkout pays its invoices, where it has some already."""
        invoices = self.transaction_id.invoice_ids.filtered(
            lambda move: move.state == "posted"
        )
        if invoices and not self._is_persons_choice():
            return [(self._open_lines(move), self.amount) for move in invoices]
        return super()._wanted_allocation(waiting, still_open)

    def _flag_checkout(self, reason):
        """Tell the shop: on the payment, on its order, and as something to do."""
        self.ensure_one()
        self.write({"reason": reason, "attention": True})
        self.transaction_id._log_message_on_linked_documents(reason)
        self.activity_schedule(
            "mail.mail_activity_data_todo",
            summary=self.env._("BillPay: look at a checkout"),
            note=reason,
            user_id=self.provider_id._billpay_health_user().id,
        )
