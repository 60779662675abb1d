# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import fields, models

from ..models.billpay_guarded import BillpayGuarded


class BillpayRunSend(models.TransientModel):
    """Shows who has no e-mail address, before the others get theirs."""

    _name = "billpay.run.send"
    _inherit = [BillpayGuarded._name]
    _description = "Send the Numbers of a Run"

    run_id = fields.Many2one("billpay.run", readonly=True)
    line_ids = fields.Many2many("billpay.run.line", readonly=True)
    others_count = fields.Integer(readonly=True)

    def action_send(self):
        self.ensure_one()
        run = self.run_id.with_context(billpay_send_anyway=True)
        return run.action_send_all()
