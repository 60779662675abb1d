# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, models
from odoo.fields import Domain


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

    @api.model
    def _billpay_domain(self, companies, move_types):
        """Override: what a session leaves to be paid has a number of its own."""
        of_tills = self.env["pos.payment"].sudo()
        of_tills = of_tills._search([("billpay_line_id", "!=", False)])
        domain = super()._billpay_domain(companies, move_types)
        return domain & Domain("id", "not in", of_tills.subselect("billpay_line_id"))
