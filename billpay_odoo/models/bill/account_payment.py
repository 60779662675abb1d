# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from ... import const
from ...clickpesa.values import FAILED, REVERSED

# Set by the payments worker alone.
_LINK_FIELDS = ("billpay_payment_id", "billpay_part", "billpay_undone_id")


class AccountPayment(models.Model):
    _inherit = "account.payment"

    billpay_payment_id = fields.Many2one(
        "billpay.payment",
        string="BillPay Payment",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
    )
    billpay_payer = fields.Char(
        string="Paid By",
        related="billpay_payment_id.payer_name",
        help="Whose phone paid; the entry is of the customer.",
    )
    billpay_part = fields.Integer(
        readonly=True,
        copy=False,
        help="Which part of the ClickPesa payment this is, when it is split.",
    )
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

    # A ClickPesa payment is booked exactly once: the database says so.
    _billpay_part_unique = models.UniqueIndex(
        "(billpay_payment_id, COALESCE(billpay_part, 0))"
        " WHERE billpay_payment_id IS NOT NULL",
        "This part of the ClickPesa payment is already booked.",
    )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        if any(vals.get(name) for vals in vals_list for name in _LINK_FIELDS):
            self._billpay_check_worker()
        payments = super().create(vals_list)
        # Defaults, as of the context, are values as well.
        if not self.env.su and any(
            payment[name] for payment in payments for name in _LINK_FIELDS
        ):
            self._billpay_check_worker()
        return payments

    def write(self, vals):
        for name in vals.keys() & set(_LINK_FIELDS):
            write = self._fields[name].convert_to_write
            if any((write(p[name], p) or 0) != (vals[name] or 0) for p in self):
                self._billpay_check_worker()
        if "state" not in vals:
            return super().write(vals)
        # The context alone could come from anybody.
        if not (self.env.su and self.env.context.get("billpay_undoing")):
            undone = self.filtered("billpay_undone_id")
            undone.filtered(lambda p: p.state != vals["state"])._billpay_refuse_undone()
        linked = self.filtered("billpay_payment_id")
        before = linked.filtered(lambda p: p.state in const.ENTRY_POSTED)
        result = super().write(vals)
        after = linked.filtered(lambda p: p.state in const.ENTRY_POSTED)
        (before - after)._billpay_out_of_books()
        (after - before)._billpay_back_in_books()
        if not self.env.context.get("billpay_posting"):
            # With an entry, what is reconciled tells what is due.
            entryless = self.filtered(lambda payment: not payment.move_id)
            self.env["billpay.reservation"]._follow(entryless.invoice_ids)
        return result

    # === BUSINESS METHODS === #

    @api.ondelete(at_uninstall=False)
    def _unlink_never_billpay(self):
        self._billpay_refuse_unlink()
        if undone := self.filtered("billpay_undone_id"):
            raise UserError(
                self.env._(
                    "%s shows that a ClickPesa payment was first booked for something "
                    "else. It is not in the books and is kept as a trace.",
                    undone[0].display_name,
                )
            )

    def _billpay_refuse_unlink(self):
        """:raise UserError: one of them books a ClickPesa payment"""
        if any(payment.billpay_payment_id for payment in self):
            raise UserError(
                self.env._(
                    "This payment books a ClickPesa payment, so it is not deleted: "
                    "the money would vanish from the books. Cancel it instead; its "
                    "ClickPesa payment is then marked for attention."
                )
            )

    def _billpay_check_worker(self):
        if not self.env.su:
            raise AccessError(
                self.env._(
                    "The link between a payment and ClickPesa is made when the "
                    "ClickPesa payment is booked, and cannot be set or taken away by "
                    "hand. Nothing was changed."
                )
            )

    def action_cancel(self):
        """Override of `account`: keep also a draft entry with its fee and discount."""
        drafts = self.filtered(
            lambda p: p.billpay_payment_id and p.move_id.state == "draft"
        )
        if drafts:
            drafts.state = "canceled"
            drafts.move_id.button_cancel()
        others = self - drafts
        return super(AccountPayment, others).action_cancel() if others else None

    def _billpay_out_of_books(self):
        """Their entries were reset or cancelled: say so in the money ledger."""
        rows_sudo = self.sudo().billpay_payment_id
        for row_sudo in rows_sudo.filtered(lambda row: row.state == "posted"):
            if row_sudo.status in REVERSED | FAILED:
                row_sudo._move_to(
                    "reversed",
                    self.env._(
                        "ClickPesa reversed this payment, and its entry was reset or "
                        "cancelled: nothing is left to do."
                    ),
                )
            else:
                row_sudo._flag(
                    self.env._(
                        "Its entry was reset or cancelled: this money is not in the "
                        "books. Open it with the button Payment, set it to draft if "
                        "it is cancelled, and confirm it."
                    )
                )

    def _billpay_reversed(self):
        """Their entries were mirrored: say so in the money ledger.

        When the worker does it for money that went back, it says more right after.
        """
        for row_sudo in self.sudo().billpay_payment_id:
            if row_sudo.state == "posted" and row_sudo.status not in REVERSED | FAILED:
                row_sudo._flag(
                    self.env._(
                        "The journal entry was reversed manually, so this payment is "
                        "not in the books. Press Undo Match, then match it again."
                    )
                )

    def _billpay_back_in_books(self):
        """Their entries are posted again: nothing to look at any more."""
        for row_sudo in self.sudo().billpay_payment_id:
            # While it is booked for the first time the worker writes the outcome.
            if row_sudo.state not in ("posted", "reversed"):
                continue
            if row_sudo.status in REVERSED | FAILED:
                text = self.env._(
                    "ClickPesa reversed this payment, but its entry is posted again. "
                    "Cancel it: the button Payment opens it."
                )
                row_sudo._move_to("posted", text, flagged=True)
            elif row_sudo.state == "posted":
                row_sudo._settle()

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
        entry = self.move_id
        if not entry or self._billpay_may_be_cancelled(entry):
            self.action_cancel()
            return
        # Reversed by hand it is out of the books already.
        reverse = entry.reversal_move_ids.filtered(lambda move: move.state == "posted")
        if not reverse:
            ref = self.env._("Match undone: %s", entry.ref or entry.name)
            values = {"date": self._billpay_open_day(entry), "ref": ref}
            reverse = entry._reverse_moves([values])
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
        # Open period, no hash, no bank statement on its money.
        liquidity, _counterpart, _writeoff = self._seek_for_lines()
        locks = entry._get_violated_lock_dates(entry.date, entry._affect_tax_report())
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
        locks = entry._get_violated_lock_dates(today, entry._affect_tax_report())
        return max(day for day, _field in locks) + timedelta(days=1) if locks else today
