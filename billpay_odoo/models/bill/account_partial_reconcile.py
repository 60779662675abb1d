# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, models


class AccountPartialReconcile(models.Model):
    """What is due has changed: control numbers follow."""

    _inherit = "account.partial.reconcile"

    # === BUSINESS METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        partials = super().create(vals_list)
        if moves := partials._billpay_moves():
            self.env["billpay.reservation"]._follow(moves)
        return partials

    def unlink(self):
        moves = self._billpay_moves()
        result = super().unlink()
        self.env["billpay.reservation"]._follow(moves.exists())
        return result

    def _billpay_moves(self):
        # While ClickPesa payments are posted the worker settles the numbers itself.
        if self.env.context.get("billpay_posting"):
            return self.env["account.move"]
        return (self.debit_move_id | self.credit_move_id).move_id
