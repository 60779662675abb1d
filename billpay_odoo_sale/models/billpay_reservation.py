# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import models

from odoo.addons.billpay_odoo.const import ENTRY_NOT_AT_BANK


class BillpayReservation(models.AbstractModel):
    _inherit = "billpay.reservation"

    def _checkouts(self, move):
        """Override: of several orders in one invoice, Odoo links one's checkouts.

        What another provider brought pays the invoice before it takes a number, too.
        """
        # sudo: whoever posts an invoice need not see orders.
        orders = move.sudo().invoice_line_ids.sale_line_ids.order_id
        checkouts = orders.transaction_ids
        ours = checkouts._billpay_ours().filtered(lambda tx: tx.state != "cancel")
        others = (checkouts | move.sudo().transaction_ids).filtered(
            lambda tx: tx.state == "done" and tx.payment_id.state == ENTRY_NOT_AT_BANK
        )
        return super()._checkouts(move) | ours | others
