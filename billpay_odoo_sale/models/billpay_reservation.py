# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import models


class BillpayReservation(models.AbstractModel):
    _inherit = "billpay.reservation"

    def _checkouts(self, move):
        """Override: of several orders in one invoice, Odoo links one's checkouts."""
        # sudo: whoever posts an invoice need not see orders.
        orders = move.sudo().invoice_line_ids.sale_line_ids.order_id
        ours = orders.transaction_ids.filtered(
            lambda tx: tx.provider_code == "clickpesa" and tx.state != "cancel"
        )
        return super()._checkouts(move) | ours
