# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models

from ..actions import CLOSE
from ..models.billpay_guarded import BillpayGuarded


class BillpayPaymentReason(models.TransientModel):
    """Asks why, before payments are put aside or a match is undone."""

    _name = "billpay.payment.reason"
    _inherit = [BillpayGuarded._name]
    _description = "Decide about BillPay Payments"

    kind = fields.Selection(
        [("ignore", "Not Ours"), ("undo", "Undo Match")], required=True, readonly=True
    )
    payment_ids = fields.Many2many("billpay.payment", readonly=True)
    payment_count = fields.Integer(compute="_compute_payment_count")
    why = fields.Char(required=True)

    @api.depends("payment_ids")
    def _compute_payment_count(self):
        for wizard in self:
            wizard.payment_count = len(wizard.payment_ids)

    def action_confirm(self):
        self.ensure_one()
        decision = self.env["billpay.decision"]
        decide = decision._undo_match if self.kind == "undo" else decision._put_aside
        decide(self.payment_ids, self.why)
        return CLOSE
