# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Taking a wrong match apart, so that the payment can be matched again.

A ClickPesa payment is booked exactly once, which a unique index on ``account.payment``
says. So the wrong booking leaves the books first (cancelled, or reversed where the
period is closed) and is linked by ``billpay_undone_id`` from then on, no longer by
``billpay_payment_id``. It can never come back into the books (see
``account_payment_undone.py``), and the next booking is the only one again.
"""

from odoo import fields, models
from odoo.exceptions import UserError

from ..clickpesa.values import FAILED, REVERSED


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

    undone_at = fields.Datetime(
        string="Match Undone",
        readonly=True,
        help="Until a person matches it again, its number counts for nothing.",
    )
    undone_by_id = fields.Many2one("res.users", readonly=True)
    undone_why = fields.Char(string="Why the Match Was Undone", readonly=True)
    undone_payment_ids = fields.One2many(
        "account.payment", "billpay_undone_id", string="Undone Bookings"
    )

    def _forget_undone(self):
        """Return the values with which a payment is decided about once more."""
        return {"undone_at": False, "undone_by_id": False, "undone_why": False}

    def _undo_match(self, why):
        """Take booked payments out of the books; they are unmatched again.

        Entry, reconciliation and states change together, or not at all.

        :param str why: kept, and shown with the payment and its invoices
        :raise UserError: one of them cannot be taken out
        """
        self._check_accountant()
        self._hold()
        for payment in self:
            payment._check_undo()
        for payment_sudo in self.sudo():
            payment_sudo._undo_one(why)

    def _check_undo(self):
        self.ensure_one()
        if self.state != "posted":
            raise UserError(
                self.env._(
                    "%s is not booked, so there is no match to undo. Nothing was "
                    "changed: press Match to say what it pays.",
                    self.display_name,
                )
            )
        if self.status in REVERSED | FAILED:
            raise UserError(
                self.env._(
                    "ClickPesa took the money of %s back, so it cannot be matched with "
                    "something else. Nothing was changed: its entry is to be reversed.",
                    self.display_name,
                )
            )

    def _undo_one(self, why):
        self.ensure_one()
        bookings = self.account_payment_ids
        entries = bookings.move_id
        receivable = entries.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        invoices = receivable.matched_debit_ids.debit_move_id.move_id - entries
        bookings.write({"billpay_payment_id": False, "billpay_undone_id": self.id})
        self.write(
            {
                "state": "unmatched",
                "attention": False,
                "posted_at": False,
                "next_try_at": False,
                "matched_partner_id": False,
                "matched_by_id": False,
                "matched_at": False,
                "undone_at": fields.Datetime.now(),
                "undone_by_id": self.env.uid,
                "undone_why": why,
                "asked_amount": 0,
                "is_over": False,
                "is_under": False,
                "is_late": False,
                "reason": self.env._(
                    "Match undone by %(user)s: %(why)s. The money is at ClickPesa and "
                    "not in the books: press Match and choose what it pays.",
                    user=self.env.user.name,
                    why=why.rstrip(" ."),
                ),
            }
        )
        self.allocation_ids.unlink()
        receivable.remove_move_reconcile()
        for booking in bookings.with_context(billpay_undoing=True):
            booking._billpay_leave_books()
        if bookings:
            body = self.env._(
                "No longer the booking of ClickPesa payment %(payment)s. %(reason)s",
                payment=self.display_name,
                reason=self.reason,
            )
            bookings._message_log_batch(bodies=dict.fromkeys(bookings.ids, body))
        self._message_log(body=self.reason)
        self._tell_undone(invoices, why)

    def _tell_undone(self, invoices, why):
        """The invoices are due again: say so, and give them a number to pay."""
        if not invoices:
            return
        body = self.env._(
            "The payment of %(amount)s, receipt %(receipt)s, was taken off this "
            "invoice by %(user)s: %(why)s",
            amount=self.currency_id.format(self.amount),
            receipt=self.receipt or self.reference,
            user=self.env.user.name,
            why=why,
        )
        invoices._message_log_batch(bodies=dict.fromkeys(invoices.ids, body))
        bills = invoices.filtered(lambda move: move.is_sale_document())
        bills._billpay_after_payment()
