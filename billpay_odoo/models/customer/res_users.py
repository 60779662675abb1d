# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import fields, models


class ResUsers(models.Model):
    _inherit = "res.users"

    billpay_department_ids = fields.Many2many(
        "account.analytic.account",
        "billpay_user_department_rel",
        "user_id",
        "account_id",
        string="BillPay Departments",
        help="Whose control numbers and payments this user sees. Empty: everybody's.",
    )

    # === BUSINESS METHODS === #

    def write(self, vals):
        result = super().write(vals)
        if "billpay_department_ids" in vals:
            # What a rule allows is kept per user.
            self.env.registry.clear_cache()
        return result
