# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Invoices and entries as the money desk needs them."""

import math

from odoo import api, fields, models


class AccountMove(models.Model):
    _inherit = "account.move"  # pylint: disable=consider-merging-classes-inherited

    # The desk looks for open bills of an amount, however many are settled.
    _billpay_open_amount = models.Index(
        "(amount_residual) WHERE state = 'posted'"
        " AND move_type IN ('out_invoice', 'out_receipt')"
        " AND payment_state IN ('not_paid', 'partial')"
    )

    billpay_refund_by_hand = fields.Boolean(
        compute="_compute_billpay_refund_by_hand",
        compute_sudo=True,
        help="This credit note is of an invoice that was paid by control number.",
    )

    @api.depends("move_type", "payment_state", "reversed_entry_id")
    def _compute_billpay_refund_by_hand(self):
        for move in self:
            invoice = move.reversed_entry_id
            move.billpay_refund_by_hand = (
                move.move_type == "out_refund"
                and move.payment_state in ("not_paid", "partial")
                and bool(
                    invoice.billpay_payment_ids
                    or invoice.matched_payment_ids.billpay_payment_id
                )
            )

    def _billpay_due_in(self, currency):
        """Return what this invoice still asks for, in the currency of a payment.

        In another currency than the invoice's, at the rate of its control number.
        """
        self.ensure_one()
        if self.state != "posted":
            return 0.0
        residual = max(self.amount_residual, 0.0)
        if self.currency_id == currency:
            return residual
        for number in self.sudo().billpay_number_ids.sorted("id", reverse=True):
            if number.bill_amount > 0 and number.bill_currency_id == self.currency_id:
                # At the rate at which the payer was asked, in whole shillings.
                due = residual * number.amount / number.bill_amount
                return float(math.ceil(round(due, 4)))
        return self.currency_id._convert(
            residual, currency, self.company_id, fields.Date.context_today(self)
        )

    @api.ondelete(at_uninstall=False)
    def _unlink_never_billpay(self):
        """An entry made anew would lack the fee and the discount."""
        self.origin_payment_id._billpay_refuse_unlink()

    def write(self, vals):
        """Entries of undone bookings, and what reversed them, stay as they are."""
        if "state" in vals and not (
            self.env.su and self.env.context.get("billpay_undoing")
        ):
            moves = self.filtered(lambda move: move.state != vals["state"])
            sources = moves.origin_payment_id
            sources |= moves.reversed_entry_id.origin_payment_id
            sources.filtered("billpay_undone_id")._billpay_refuse_undone()
        return super().write(vals)
