# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a payment was for, and which department's money it is."""

from odoo import api, fields, models


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

    purpose_id = fields.Many2one(
        "billpay.purpose",
        compute="_compute_purpose_id",
        store=True,
        index="btree_not_null",
    )
    department_id = fields.Many2one(
        "account.analytic.account",
        compute="_compute_purpose_id",
        store=True,
        index="btree_not_null",
    )

    @api.depends(
        "control_number_id.purpose_id",
        "control_number_id.department_id",
        "move_id.billpay_purpose_id.department_id",
    )
    def _compute_purpose_id(self):
        for payment in self:
            number = payment.control_number_id
            payment.purpose_id = number.purpose_id or payment.move_id.billpay_purpose_id
            payment.department_id = (
                number.department_id or payment.purpose_id.department_id
            )
