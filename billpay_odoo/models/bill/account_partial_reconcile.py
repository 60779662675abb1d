# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, models

from ... import money


class AccountPartialReconcile(models.Model):
    """What is due has changed: control numbers follow."""

    _inherit = "account.partial.reconcile"

    # === BUSINESS METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        partials = super().create(vals_list)
        if moves := partials._billpay_moves():
            reservation = self.env["billpay.reservation"]
            reservation._follow(moves)
            reservation._warn_of(
                moves.filtered("reversed_entry_id"), partials._billpay_paid()
            )
        return partials

    def unlink(self):
        moves, paid = self._billpay_moves(), self._billpay_paid()
        result = super().unlink()
        reservation = self.env["billpay.reservation"]
        reservation._follow(moves.exists())
        reservation._warn_of(moves.exists().filtered("reversed_entry_id"), paid)
        return result

    def _billpay_paid(self):
        """Return pairs of a ClickPesa payment and an entry that it pays, in sudo."""
        row = self.env["billpay.reservation"]._row
        return [
            (payment, partial.debit_move_id.move_id)
            for partial in self.sudo()
            for payment in row(partial.credit_move_id)
            if not money.is_exchange(partial)
        ]

    def _billpay_moves(self):
        # While ClickPesa payments are posted the worker settles the numbers itself.
        if self.env.su and self.env.context.get("billpay_posting"):
            return self.env["account.move"]
        return (self.debit_move_id | self.credit_move_id).move_id
