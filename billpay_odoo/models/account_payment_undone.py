# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Bookings whose match was undone stay out of the books: their money is, or will be,
booked by another payment."""

from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError


class AccountPayment(models.Model):
    _inherit = "account.payment"  # pylint: disable=consider-merging-classes-inherited

    billpay_undone_id = fields.Many2one(
        "billpay.payment",
        string="Undone BillPay Payment",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
        help="It booked this ClickPesa payment until the match was undone.",
    )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        if any(vals.get("billpay_undone_id") for vals in vals_list):
            self._billpay_check_worker()
        return super().create(vals_list)

    def write(self, vals):
        if "billpay_undone_id" in vals and any(
            payment.billpay_undone_id.id != (vals["billpay_undone_id"] or False)
            for payment in self
        ):
            self._billpay_check_worker()
        if "state" in vals and not self._billpay_is_undoing():
            undone = self.filtered("billpay_undone_id")
            undone.filtered(lambda p: p.state != vals["state"])._billpay_refuse_undone()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_never_undone(self):
        undone = self.filtered("billpay_undone_id")
        if undone:
            raise UserError(
                self.env._(
                    "%s shows that a ClickPesa payment was first booked for something "
                    "else. It is not in the books and is kept as a trace.",
                    undone[0].display_name,
                )
            )

    # === BUSINESS METHODS === #

    def _billpay_is_undoing(self):
        # The context alone could come from anybody.
        return self.env.su and self.env.context.get("billpay_undoing")

    def _billpay_refuse_undone(self):
        """:raise UserError: there are any"""
        if not self:
            return
        raise UserError(
            self.env._(
                "%(payment)s booked ClickPesa payment %(reference)s until that match "
                "was undone. Changing it would put the same money into the books "
                "twice, so nothing was changed: open the ClickPesa payment to see how "
                "it is booked now.",
                payment=self[0].display_name,
                reference=self[0].sudo().billpay_undone_id.display_name,
            )
        )

    def _billpay_leave_books(self):
        """Cancel the entry, or reverse it where it must not be touched any more."""
        self.ensure_one()
        entry = self.move_id
        if not entry or self._billpay_may_be_cancelled(entry):
            self.action_cancel()
            return
        # Reversed by hand it is out of the books already.
        reverse = entry.reversal_move_ids.filtered(lambda move: move.state == "posted")
        if not reverse:
            reverse = entry._reverse_moves(
                [
                    {
                        "date": self._billpay_open_day(entry),
                        "ref": self.env._("Match undone: %s", entry.ref or entry.name),
                    }
                ]
            )
            reverse.action_post()
        lines = entry.line_ids + reverse.line_ids
        open_lines = lines.filtered(
            lambda line: line.account_id.reconcile and not line.reconciled
        )
        for group in open_lines.grouped("account_id").values():
            # The bank side may be matched with a statement: that stays as it is.
            if len(group.move_id) > 1:
                group.reconcile()

    def _billpay_may_be_cancelled(self, entry):
        """Tell whether the entry may still be changed: open period, no hash, no bank
        statement on its money."""
        liquidity, _counterpart, _writeoff = self._seek_for_lines()
        locks = entry._get_violated_lock_dates(entry.date, False)
        at_bank = liquidity.matched_debit_ids or liquidity.matched_credit_ids
        return (
            entry.state == "posted"
            and entry.show_reset_to_draft_button
            and "posted" not in entry.reversal_move_ids.mapped("state")
            and not locks
            and not at_bank
        )

    def _billpay_open_day(self, entry):
        """Return today, or the first open day after a period that is closed."""
        tz = self.company_id._billpay_tz().zone
        today = fields.Date.context_today(self.with_context(tz=tz))
        locks = entry._get_violated_lock_dates(today, False)
        return max(day for day, _field in locks) + timedelta(days=1) if locks else today
