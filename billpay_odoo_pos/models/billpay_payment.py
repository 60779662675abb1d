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

    carrying_move_ids = fields.Many2many(
        "account.move",
        "billpay_payment_carrying_rel",
        string="Carried Over",
        readonly=True,
        copy=False,
        help="Entries that carry this money over from the customer on whom it was "
        "booked to the one whose till order it paid.",
    )

    def _open_credit_lines(self):
        # EXTENDS billpay_odoo
        carried = self.carrying_move_ids.line_ids.filtered(
            lambda line: (
                line.parent_state == "posted"
                and not line.reconciled
                and line.amount_residual < 0
            )
        )
        return super()._open_credit_lines() | carried
