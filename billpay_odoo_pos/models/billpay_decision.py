# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import models


class BillpayDecision(models.AbstractModel):
    _inherit = "billpay.decision"

    def _undo_one(self, payment, why):
        """Override: what was carried over to another customer goes back as well."""
        paid = self.env["billpay.till.entries"]._end_carrying(payment)
        result = super()._undo_one(payment, why)
        if invoices := paid.filtered(lambda move: move.is_invoice()):
            self._tell_undone(payment, invoices, why)
        self.env["billpay.till.balance"].sudo()._ask_money(payment)
        return result
