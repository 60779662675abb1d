# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import models


class BillpayReservation(models.AbstractModel):
    _inherit = "billpay.reservation"

    def _apply_checkout(self, moves):
        """Override: the money of a till order pays the invoice of that order.

        And what has not come yet comes with the number that is on the receipt: an
        invoice gets no second one.
        """
        result = super()._apply_checkout(moves)
        for move in moves.filtered(lambda m: m.state == "posted"):
            # sudo: whoever posts an invoice need not see tills.
            orders = move.sudo().pos_order_ids
            # The till's order is invoiced while it is being received.
            for order in orders:
                order._billpay_bind()
            payments = orders.payment_ids.filtered("is_billpay")
            if not payments:
                continue
            due = move.line_ids.filtered(
                lambda line: line.display_type == "payment_term" and not line.reconciled
            )
            for account, lines in due.grouped("account_id").items():
                money = payments._billpay_entries().filtered(
                    lambda line, account=account: line.account_id == account
                )
                if money:
                    (lines + money).reconcile()
            for order in orders:
                order._billpay_bind_invoice(move)
        return result

    def _follow(self, moves):
        """Override: orders ask for what their closed session left to be paid."""
        result = super()._follow(moves)
        entries = moves.filtered(lambda move: move.move_type == "entry")
        if entries:
            payments_sudo = moves.env["pos.payment"].sudo()
            waiting = payments_sudo.search(
                [("billpay_line_id.move_id", "in", entries.ids)]
            )
            for order in waiting.pos_order_id:
                order._billpay_follow()
        return result
