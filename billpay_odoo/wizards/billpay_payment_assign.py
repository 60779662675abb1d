# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import fields, models


class BillpayPaymentAssign(models.TransientModel):
    """Gives payments to a colleague, as an activity each."""

    _name = "billpay.payment.assign"
    _description = "Assign BillPay Payments"

    payment_ids = fields.Many2many("billpay.payment", readonly=True)
    user_id = fields.Many2one(
        "res.users",
        string="To",
        required=True,
        default=lambda self: self.env.user,
        domain=lambda self: [
            ("share", "=", False),
            (
                "all_group_ids",
                "in",
                self.env.ref("billpay_odoo.group_billpay_user").ids,
            ),
        ],
    )
    date_deadline = fields.Date(
        string="Until", required=True, default=fields.Date.context_today
    )
    note = fields.Char(string="What to Do")

    def action_assign(self):
        """Schedule one activity per payment, for whoever is to look at it."""
        self.ensure_one()
        self.payment_ids.activity_schedule(
            "mail.mail_activity_data_todo",
            date_deadline=self.date_deadline,
            summary=self.note or self.env._("Look at this BillPay payment"),
            user_id=self.user_id.id,
        )
        return {"type": "ir.actions.act_window_close"}
