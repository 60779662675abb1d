# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Money that ClickPesa took back after it was booked.

Telling of it makes the row due (``next_try_at``). The worker then mirrors the entry, so
that the invoice asks for the money again, or only calls a person, as the application
says. A row whose money is back is ``reversed``: nothing is mirrored twice.
"""

import logging
from datetime import timedelta, timezone

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..clickpesa.values import REVERSED
from ..transactions import CONFLICTS
from .billpay_control_number_sync import pause_after

_logger = logging.getLogger(__name__)

REVERSE_BATCH = 20


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

    # The worker's question, answered without touching settled payments.
    _taken_back = models.Index(
        "(next_try_at) WHERE state = 'posted' AND next_try_at IS NOT NULL"
    )

    @api.model
    def _taken_back_domain(self):
        return [("state", "=", "posted"), ("next_try_at", "<=", fields.Datetime.now())]

    @api.model
    def _reverse_due(self):
        """Take booked money out of the books that went back; return how many."""
        payments = self._lock_some(self, self._taken_back_domain(), REVERSE_BATCH)
        for payment in payments:
            company_payment = payment.with_company(payment.company_id).with_context(
                tracking_disable=True, mail_activity_quick_update=True
            )
            try:
                with self.env.cr.savepoint():
                    company_payment._take_back()
            except CONFLICTS:
                raise
            except Exception as error:  # noqa: BLE001 - noted on the record
                company_payment._note_reversal_failure(error)
        return len(payments)

    def _take_back(self):
        """Reverse what was booked, or tell a person to."""
        self.ensure_one()
        automatic = self.provider_id.clickpesa_reversal == "auto"
        if self.status not in REVERSED or not automatic:
            # FAILED after SUCCESS is no word on money that went back: a person looks.
            self.next_try_at = False
            if self.attention:
                self._call_a_person(self.reason)
            return
        invoices = self._reverse_entries()
        reason = self.env._(
            "ClickPesa took this money back (%(status)s): %(amount)s. Its entry is "
            "reversed and what it paid is open again. Ask the payer.",
            status=self.status,
            amount=self.currency_id.format(self.amount),
        )
        self.write(
            {
                "state": "reversed",
                "next_try_at": False,
                "attempts": 0,
                "attention": True,
                "reason": reason,
            }
        )
        # The state of the row is written before: it says that this was no accident.
        self._booked_account_payments().action_reject()
        invoices._billpay_after_payment()
        for invoice in invoices:
            invoice._message_log(body=reason)
        self._call_a_person(reason)

    def _booked_account_payments(self):
        return self.account_payment_ids.filtered(
            lambda payment: payment.state in ("in_process", "paid")
        )

    def _reverse_entries(self):
        """Mirror the entries of this payment; history stays as it is.

        :return: the invoices that are open again
        """
        entries = self._booked_account_payments().move_id.filtered(
            lambda entry: entry.state == "posted"
        )
        credits = entries.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        paid = credits.matched_debit_ids.debit_move_id.move_id
        # A bank statement that shows the money keeps its match: it did come.
        credits.remove_move_reconcile()
        open_entries = entries.filtered(
            lambda entry: (
                not entry.reversal_move_ids.filtered(
                    lambda mirror: mirror.state == "posted"
                )
            )
        )
        if open_entries:
            mirrors = open_entries._reverse_moves(
                [
                    {
                        "date": self._day_taken_back(entry),
                        "ref": self.env._(
                            "Taken back by ClickPesa (%(status)s): %(ref)s",
                            status=self.status,
                            ref=entry.ref,
                        ),
                    }
                    for entry in open_entries
                ]
            )
            for entry, mirror in zip(open_entries, mirrors, strict=True):
                # A copy of an entry leaves the customer out.
                mirror.with_context(skip_invoice_sync=True).write(
                    {"partner_id": entry.partner_id.id}
                )
            mirrors._post(soft=False)
        return paid.filtered(lambda move: move.is_sale_document(include_receipts=True))

    def _day_taken_back(self, entry):
        """Return the day ClickPesa told of it, not before the entry, not locked."""
        moment = (self.told_at or fields.Datetime.now()).replace(tzinfo=timezone.utc)
        day = moment.astimezone(self.company_id._billpay_tz()).date()
        return self._open_day(max(day, entry.date))

    def _call_a_person(self, reason):
        """Raise an activity for whoever answers for the invoice."""
        self.activity_schedule(
            "mail.mail_activity_data_warning",
            summary=self.env._("Money taken back: %s", self.display_name),
            note=reason,
            user_id=self._person_in_charge().id,
        )

    def _person_in_charge(self):
        """Return who is to look at this payment: the seller, else a manager."""
        user = self.move_id.invoice_user_id
        if user.active and self.company_id in user.company_ids and not user.share:
            return user
        managers = self.env.ref("billpay_odoo.group_billpay_manager").all_user_ids
        managers = managers.filtered(
            lambda user: (
                user.active and not user.share and self.company_id in user.company_ids
            )
        )
        return managers.sorted("id")[:1] or self.env.user

    def _note_reversal_failure(self, error):
        """The entry still stands: keep it in sight and try again later."""
        self.ensure_one()
        _logger.warning("Payment %s was not reversed.", self.reference, exc_info=error)
        attempts = self.attempts + 1
        self.write(
            {
                "attempts": attempts,
                "next_try_at": fields.Datetime.now()
                + timedelta(seconds=pause_after(attempts)),
                "attention": True,
                "reason": self.env._(
                    "ClickPesa took this money back (%(status)s), but its entry could "
                    "not be reversed: %(error)s It is tried again by itself; correct "
                    "the cause, or reverse the entry by hand with the button Payment.",
                    status=self.status,
                    error=str(error)
                    if isinstance(error, UserError)
                    else self.env._("an unexpected error, written to the log."),
                ),
            }
        )
