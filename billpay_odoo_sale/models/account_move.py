# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import models


class AccountMove(models.Model):
    _inherit = "account.move"

    def _billpay_people(self):
        """Override of `billpay_odoo`: the orders that were invoiced."""
        orders = self.invoice_line_ids.sale_line_ids.order_id
        return {**super()._billpay_people(), **{o: o.user_id for o in orders}}
