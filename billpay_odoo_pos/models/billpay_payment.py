# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import fields, models


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"

    pos_config_id = fields.Many2one(
        "pos.config",
        string="Till",
        related="control_number_id.pos_config_id",
        store=True,
        index="btree_not_null",
    )
    pos_order_id = fields.Many2one(
        "pos.order", string="Till Order", related="control_number_id.pos_order_id"
    )

    def _flag_till(self, reason):
        """Keep it in sight on the desk, and say it on the order."""
        self.ensure_one()
        self._flag(reason)
        order = self.control_number_id.sudo()._till_order()
        if order:
            order._message_log(body=reason)
