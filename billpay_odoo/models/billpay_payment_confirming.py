# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Asking ClickPesa about payments that somebody announced.

Few are asked for one by one, many by the pages of their days: 100 payments in one call.
What ClickPesa does not know is asked again with a growing pause and is never booked;
after a day of that it is for a person.
"""

import logging
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import const
from ..clickpesa import BudgetSpent, ClickPesaError
from ..transactions import committed, end_transaction
from .billpay_control_number_sync import pause_after

_logger = logging.getLogger(__name__)

CONFIRM_BATCH = 100
# Up to so many payments of one application are asked for one by one.
FEW = 5
# A window ends somewhere, whatever moments were announced.
WINDOW_PAGES, LONGEST = 5, timedelta(days=30)
# Denied for so long and so often, a payment is asked for once a day only.
DENIED_LONG, DENIED_OFTEN = timedelta(days=1), 5


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

    @api.model
    def _confirm_due(self):
        """Ask ClickPesa about payments that somebody announced; return how many.

        The row is given a later turn and committed before the call: no lock is held
        while ClickPesa is asked, and a second worker takes other rows.
        """
        payments = committed(self.env, self._take_unconfirmed)
        asked = self.browse()
        for provider, batch in payments.grouped("provider_id").items():
            if len(batch) > FEW:
                batch = self._confirm_window(provider, batch)
            for index, payment in enumerate(batch):
                # A later turn is set already, should ClickPesa not answer.
                trouble = self._confirm_one(payment)
                if isinstance(trouble, BudgetSpent):
                    committed(self.env, batch[index:]._store_unasked, trouble)
                asked |= batch[index:] if trouble else payment
                if trouble:
                    break
                if not self.env["ir.cron"]._commit_progress():
                    # Out of time: those not asked for must not wait out their pause.
                    now = fields.Datetime.now()
                    committed(self.env, (payments - asked)._give_back, now)
                    return len(payments)
        return len(payments)

    @api.model
    def _take_unconfirmed(self):
        """Give due payments their next turn; return those to ask for."""
        payments = self._lock_some(
            self,
            [
                *self._due_domain("received"),
                ("provider_id.state", "!=", "disabled"),
            ],
            CONFIRM_BATCH,
        )
        payments = payments.filtered(lambda p: p.provider_id._billpay_is_live())
        now = fields.Datetime.now()
        asked = payments.filtered(lambda p: p.provider_id._billpay_can_ask())
        for attempts, group in asked.grouped("attempts").items():
            attempts = max(attempts, 0) + 1
            group.write(
                {
                    "attempts": attempts,
                    "next_try_at": now + timedelta(seconds=pause_after(attempts)),
                }
            )
        (payments - asked)._wait_for_a_person(now)
        return asked

    def _wait_for_a_person(self, now):
        """Nobody can be asked about these announcements: they prove nothing."""
        for provider, group in self.grouped("provider_id").items():
            group.write(
                {
                    "next_try_at": now + timedelta(days=1),
                    "attention": True,
                    "reason": self.env._(
                        "The application %s has no Client ID and API key, so ClickPesa "
                        "cannot be asked, and nothing is booked. Compare with the "
                        "ClickPesa dashboard. Enter both on the application, then "
                        "press Process Now.",
                        provider.name,
                    ),
                }
            )

    # === ASK === #

    @api.model
    def _confirm_window(self, provider, payments):
        """Ask for all payments of the days of these, page by page.

        :return: the payments that were not there: to be asked for one by one
        """
        missing = {payment.reference: payment.id for payment in payments}
        now = fields.Datetime.now()
        # Anybody may announce any moment: no page is asked for from the year one.
        moments = [max(now - LONGEST, min(p.paid_at or now, now)) for p in payments]
        # Which zone the date filter means is not documented: a day more.
        start = (min(moments) - timedelta(days=1)).date()
        end = (max(moments) + timedelta(days=1)).date()
        skip = 0
        try:
            client = provider._billpay_client()
            for _page in range(WINDOW_PAGES):
                end_transaction(self.env)
                page = client.payments_page(
                    start=start,
                    end=end,
                    skip=skip,
                    limit=const.POLL_PAGE,
                    patience=0,
                )
                skip += page.rows
                told_list = [told for told in page.payments if told.id in missing]
                committed(self.env, self._store_answer, provider, told_list)
                for told in told_list:
                    missing.pop(told.id, None)
                all_read = page.total is not None and skip >= page.total
                if not missing or not page.rows or all_read:
                    break
        except (ClickPesaError, UserError) as error:
            _logger.info("Payments could not be confirmed together: %s", error)
        return self.browse(missing.values())

    @api.model
    def _confirm_one(self, payment):
        """Ask ClickPesa for one payment and store the answer.

        :return: the trouble when ClickPesa does not answer, else ``None``
        :rtype: Exception | None
        """
        provider, number = payment.provider_id, payment.number
        reference = payment.reference
        if not number:
            reason = self.env._(
                "The delivery names no control number to ask for. The poll brings the "
                "facts from ClickPesa."
            )
            committed(self.env, payment.write, {"reason": reason})
            return None
        try:
            client = provider._billpay_client()
            end_transaction(self.env)
            told_list = [told for told in client.payments(number, patience=0)]
        except (ClickPesaError, UserError) as error:
            _logger.info("Payment %s could not be confirmed: %s", reference, error)
            committed(self.env, payment._note_trouble, error)
            return error
        if reference not in [told.id for told in told_list]:
            committed(self.env, payment._note_denial)
        committed(self.env, self._store_answer, provider, told_list)
        return None

    def _store_unasked(self, error):
        """The limit of calls was reached: this was no try, and its turn is soon."""
        due = fields.Datetime.now() + timedelta(seconds=error.retry_after)
        self._give_back(due)
        self.env["payment.provider"]._billpay_trigger(
            "ir_cron_process_payments", at=due
        )

    def _give_back(self, due):
        """Their turn comes again: what was taken was not asked for."""
        waiting = self.filtered(lambda payment: payment.state == "received")
        for attempts, group in waiting.grouped("attempts").items():
            group.write({"next_try_at": due, "attempts": attempts - 1})

    def _note_trouble(self, error):
        """ClickPesa did not answer: say so, unless somebody else has learned more."""
        self.ensure_one()
        if self.state == "received":
            self.reason = str(error)

    def _note_denial(self):
        """ClickPesa does not know the payment: say so, and when it is for a person.

        Meanwhile the poll may have brought it: what is confirmed is left alone.
        """
        self.ensure_one()
        if self.state != "received":
            return
        now = fields.Datetime.now()
        if self.attempts < DENIED_OFTEN or self.create_date > now - DENIED_LONG:
            self.reason = self.env._(
                "ClickPesa does not know this payment, so nothing is booked. It is "
                "asked again; if it stays unknown, the announcement was false."
            )
            return
        self.write(
            {
                "attention": True,
                "next_try_at": now + timedelta(days=1),
                "reason": self.env._(
                    "ClickPesa does not know this payment since %s: the announcement "
                    "seems to be false, and nothing is booked. It is asked once a day. "
                    "Compare with the ClickPesa dashboard; if the money is there, "
                    "press Process Now.",
                    fields.Date.to_string(self.create_date),
                ),
            }
        )

    @api.model
    def _store_answer(self, provider, told_list):
        told_list = [told for told in told_list if told.id]
        rows, _failures = self._upsert_each(
            provider, told_list, source="query", trusted=True
        )
        return rows
