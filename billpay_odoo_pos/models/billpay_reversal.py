# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import models


class BillpayReversal(models.AbstractModel):
    _inherit = "billpay.reversal"

    def _reverse_entries(self, payment):
        """Override: what was carried over to another customer goes back as well."""
        paid = self.env["billpay.till.entries"]._end_carrying(payment)
        invoices = super()._reverse_entries(payment)
        return invoices | paid.filtered(
            lambda move: move.is_sale_document(include_receipts=True)
        )
