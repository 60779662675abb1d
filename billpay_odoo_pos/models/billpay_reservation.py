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
            entries = moves.env["billpay.till.entries"].sudo()
            for order in orders:
                if not order.payment_ids.filtered("is_billpay"):
                    continue
                if not order.payment_ids._billpay_lines():
                    # Else it was paid in its session, which pays the invoice.
                    due = move.line_ids.filtered(
                        lambda line: (
                            line.display_type == "payment_term" and not line.reconciled
                        )
                    )
                    entries._pay(order, due)
                order._billpay_bind_invoice(move)
            orders._billpay_compare()
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

    def _row(self, line):
        """Override: money that an entry carried over to another customer."""
        row = super()._row(line)
        if row or line.move_id.move_type != "entry":
            return row
        carried = [("carrying_move_ids", "in", line.move_id.ids)]
        return row.sudo().search(carried, limit=1)

    def _warn_of(self, moves, freed=()):
        """Override: what came too much at a till may be paid back or used by now."""
        result = super()._warn_of(moves, freed)
        if not (self.env.su and self.env.context.get("billpay_posting")):
            rows = {row.id for row, _move in freed if row.pos_config_id}
            payments = self.env["billpay.payment"].sudo().browse(rows)
            self.env["billpay.till.balance"].sudo()._ask_money(payments)
        return result
