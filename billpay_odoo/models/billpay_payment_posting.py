# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""From a confirmed payment to journal items, in batches.

The steps are ideas of their own: ``billpay_payment_matching`` finds what a payment is
for, ``billpay_payment_shares`` divides the money, ``billpay_payment_entry`` makes and
reconciles the entries, ``billpay_payment_telling`` writes down and says what happened.
"""

import logging
from datetime import timedelta

from odoo import fields, models
from odoo.exceptions import UserError

from ..transactions import CONFLICTS
from .billpay_control_number_sync import pause_after

_logger = logging.getLogger(__name__)


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

    def _post_batch(self):
        """Book these locked, confirmed payments; one that cannot be stops only itself.

        Runs in the caller's transaction: entry, reconciliation and state become
        visible together, or not at all.
        """
        self.with_context(
            billpay_posting=True, tracking_disable=True, mail_create_nolog=True
        )._book_together()

    def _book_together(self):
        """Book all at once; if that fails, each half for itself, down to the cause.

        So a bad record among two hundred costs some eight more tries.
        """
        try:
            with self.env.cr.savepoint():
                self._match()._book()
        except CONFLICTS:
            raise
        except Exception as error:  # noqa: BLE001 - any record may be the cause
            if len(self) == 1:
                self._note_failure(error)
                return
            _logger.info("Booking %s payments together: %s", len(self), error)
            middle = len(self) // 2
            self[:middle]._book_together()
            self[middle:]._book_together()

    def _note_failure(self, error):
        """Keep a payment that could not be booked in sight and try it again later."""
        self.ensure_one()
        _logger.warning("Payment %s was not booked.", self.reference, exc_info=error)
        attempts = self.attempts + 1
        reason = (
            str(error)
            if isinstance(error, UserError)
            else self.env._("An unexpected error, written to the server's log.")
        )
        self.write(
            {
                "state": "failed",
                "attempts": attempts,
                "next_try_at": fields.Datetime.now()
                + timedelta(seconds=pause_after(attempts)),
                "reason": self.env._(
                    "The money is at ClickPesa but not in the books yet: %s It is "
                    "tried again by itself; correct the cause, then press Process Now.",
                    reason,
                ),
            }
        )

    # === BOOK === #

    def _book(self):
        """Create, post and reconcile; write the outcome on payments and numbers.

        Everything is made for all of them together: payments, entries, postings and
        one reconciliation.
        """
        if not self:
            return
        self._note_asked()
        parts = self._plan_parts()
        self._make_account_payments(parts)
        self._reconcile_booked(parts)
        self._store_outcome(parts)
        self._settle_numbers(parts)
        self._tell(parts)
