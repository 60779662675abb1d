# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import models


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    def _billpay_may_take(self, credit):
        """Override: the money of a till order waits for its session to close."""
        number = (
            credit.move_id.origin_payment_id.sudo().billpay_payment_id.control_number_id
        )
        if number.pos_config_id:
            return False
        return super()._billpay_may_take(credit)
