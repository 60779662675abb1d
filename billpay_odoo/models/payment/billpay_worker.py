# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Deliveries, confirming, booking: see docs/decisions/own-transactions.rst."""

import logging
import time
from datetime import timedelta

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ... import const
from ...clickpesa import BudgetSpent, ClickPesaError, Refused
from ...clickpesa.values import is_paid
from ...transactions import CLICK_PATIENCE, committed, end_transaction

_logger = logging.getLogger(__name__)

CONFIRM_BATCH = 100
# Up to so many payments of one application are asked for one by one.
FEW = 5
# Questions about what is in the ledger already: at once, and in one run. One that was
# not answered comes again after a while.
QUESTION_BATCH, QUESTIONS, UNANSWERED = 5, 50, timedelta(minutes=10)
# A window ends somewhere, whatever moments were announced.
WINDOW_PAGES, LONGEST = 5, timedelta(days=30)
# Denied for so long and so often, a payment is asked for once a day only.
DENIED_LONG, DENIED_OFTEN = timedelta(days=1), 5
# A worker looks at this many batches for rows that are not locked.
LOOK_AHEAD = 5


class BillpayWorker(models.AbstractModel):
    """Take deliveries, confirm payments and have them posted, in batches."""

    _name = "billpay.worker"
    _description = "BillPay Payments Worker"

    # Rows of one transaction.
    _event_batch = 100
    _post_batch = 200
    _reverse_batch = 20

    def _confirm_due(self):
        """Ask ClickPesa about payments that somebody announced; return how many.

        The row is given a later turn and committed before the call: no lock is held
        while ClickPesa is asked, and a second worker takes other rows.
        """
        payments = committed(self.env, self._take_unconfirmed)
        asked = self.env["billpay.payment"].browse()
        for provider, batch in payments.grouped("provider_id").items():
            if len(batch) > FEW:
                batch = self._confirm_window(provider, batch)
            for index, payment in enumerate(batch):
                # A later turn is set already, should ClickPesa not answer.
                trouble = self._confirm_one(payment)
                if isinstance(trouble, BudgetSpent):
                    committed(self.env, self._store_unasked, batch[index:], trouble)
                asked |= batch[index:] if trouble else payment
                if trouble:
                    break
                if not self.env["ir.cron"]._commit_progress():
                    # Out of time: those not asked for must not wait out their pause.
                    committed(self.env, self._store_unasked, payments - asked)
                    return len(payments)
        return len(payments)

    def _take_unconfirmed(self):
        """Give due payments their next turn; return those to ask for."""
        active = self.env["payment.provider"]._billpay_on_domain("provider_id.")
        payments = self._lock_some(
            "billpay.payment", [*self._due_domain("received"), *active], CONFIRM_BATCH
        )
        able = payments.provider_id.filtered(lambda p: p._billpay_can_ask())
        asked = payments.filtered(lambda p: p.provider_id in able)
        asked._try_later()
        self._wait_for_a_person(payments - asked)
        return asked

    def _ask_once_more(self):
        """Ask ClickPesa again, before a person is told to take money out of the books.

        Without an answer its last word counts.
        """
        payments = committed(self.env, self._take_doubted)
        for payment in payments:
            self._confirm_one(payment)
        if payments:
            committed(self.env, self._act_on_doubted, payments)

    def _take_doubted(self):
        """Give booked payments that are due for a person a later turn; return them."""
        payments = self._lock_some(
            "billpay.payment", self._taken_back_domain(), self._reverse_batch
        )
        payments = payments.filtered(self._is_doubted)
        payments._try_later()
        return payments

    def _is_doubted(self, payment):
        """Whether ClickPesa is still to be asked about this booked payment."""
        return (
            not payment.attempts
            and payment.number
            and not is_paid(payment.status)
            and not self.env["billpay.reversal"]._is_automatic(payment)
            and payment.provider_id._billpay_can_ask()
        )

    def _act_on_doubted(self, payments):
        # What ClickPesa calls paid again has no turn any more.
        payments.filtered(lambda p: p.state == "posted" and p.next_try_at)._due_now()

    def _wait_for_a_person(self, payments):
        """Nobody can be asked about these announcements: they prove nothing."""
        tomorrow = fields.Datetime.now() + timedelta(days=1)
        for provider, group in payments.grouped("provider_id").items():
            if not provider._billpay_may_call():
                continue
            reason = payments.env._(
                "The application %s has no Client ID and API key, so ClickPesa cannot "
                "be asked, and nothing is booked. Compare with the ClickPesa "
                "dashboard. Enter both on the application, then press Process Now.",
                provider.name,
            )
            group._flag(reason, due=tomorrow)

    def _due(self):
        """Return what is due: "deliveries", "booking", "reversal", "asking" or
        "questions"."""
        self.env["billpay.event"].flush_model(["state"])
        self.env["billpay.payment"].flush_model(["state", "next_try_at", "ask_at"])
        query = SQL(
            """
                SELECT EXISTS (SELECT FROM billpay_event WHERE state = 'new'),
                       EXISTS (SELECT FROM billpay_payment
                                WHERE state IN ('confirmed', 'failed')
                                  AND (next_try_at IS NULL OR next_try_at <= %(now)s)),
                       EXISTS (SELECT FROM billpay_payment
                                WHERE state = 'posted' AND next_try_at <= %(now)s),
                       EXISTS (SELECT FROM billpay_payment
                                WHERE state = 'received'
                                  AND (next_try_at IS NULL OR next_try_at <= %(now)s)),
                       EXISTS (SELECT FROM billpay_payment WHERE ask_at <= %(now)s)
                """,
            now=fields.Datetime.now(),
        )
        [row] = self.env.execute_query(query)
        steps = ("deliveries", "booking", "reversal", "asking", "questions")
        return {step for step, due in zip(steps, row, strict=True) if due}

    def _count_waiting(self):
        payments = self.env["billpay.payment"]
        return (
            self.env["billpay.event"].search_count([("state", "=", "new")])
            + payments.search_count(self._due_domain("received", "confirmed", "failed"))
            + payments.search_count(self._taken_back_domain())
        )

    def _taken_back_domain(self):
        return [("state", "=", "posted"), ("next_try_at", "<=", fields.Datetime.now())]

    def _due_domain(self, *states):
        return [
            ("state", "in", states),
            "|",
            ("next_try_at", "=", False),
            ("next_try_at", "<=", fields.Datetime.now()),
        ]

    def _lock_some(self, model, domain, size):
        """Lock the first rows of a domain that no other worker has locked."""
        waiting = self.env[model].search(domain, order="id", limit=size * LOOK_AHEAD)
        return waiting.try_lock_for_update(limit=size)

    def _check_numbers_now(self, numbers, patience=CLICK_PATIENCE):
        """Ask ClickPesa about these numbers, book and return the payments it knows.

        To be called in a transaction of its own (it commits).

        :param float patience: seconds to wait for a worker that books one of them
        :raise ClickPesaError: ClickPesa could not be asked
        """
        found = self.env["billpay.payment"].browse()
        for number in numbers:
            client = number.provider_id._billpay_client()
            provider, name = number.provider_id, number.name
            end_transaction(self.env)
            told_list = client.payments(name)
            found |= committed(self.env, self._store_answer, provider, told_list)
        deadline = time.monotonic() + patience
        while found.filtered(lambda p: p.state == "confirmed"):
            if not committed(self.env, self._post_due, found.ids):
                if time.monotonic() > deadline:
                    break
                time.sleep(0.1)  # a worker is at it
            # Committed: what is read from here on is as it stands now.
            found.invalidate_recordset()
        return found

    def _process_payments(self):
        """Work off all that is due. Idle, this is one indexed query."""
        cron = self.env["ir.cron"]
        left = QUESTIONS
        while due := self._due():
            done = 0
            if "deliveries" in due:
                done += committed(self.env, self._take_events)
                due = self._due()
            if "booking" in due:
                done += committed(self.env, self._post_due)
            if "reversal" in due:
                self._ask_once_more()
                done += committed(self.env, self._reverse_due)
            # Asking comes last: what is confirmed must not wait for an answer.
            if "asking" in due:
                done += self._confirm_due()
            # No question about what is known keeps anything waiting.
            if "questions" in due and not done and left > 0:
                done += self._ask_again()
                left -= QUESTION_BATCH
            if not done:
                break
            remaining = self._count_waiting()
            if not cron._commit_progress(done, remaining=remaining):
                if remaining:
                    # Out of time: Odoo would go on when its scheduler looks next, and
                    # a delivery that sees an older one waiting does not wake it.
                    self.env["payment.provider"]._billpay_trigger(
                        "ir_cron_process_payments"
                    )
                break

    def _confirm_window(self, provider, payments):
        """Ask for all payments of the days of these; return those not there."""
        missing = {payment.reference: payment.id for payment in payments}
        now = fields.Datetime.now()
        # Anybody may announce any moment: no page is asked for from the year one.
        moments = [max(now - LONGEST, min(p.paid_at or now, now)) for p in payments]
        # Which zone the date filter means is not documented: a day more.
        start = (min(moments) - timedelta(days=1)).date()
        end = (max(moments) + timedelta(days=1)).date()
        skip = 0
        try:
            client = provider._billpay_client(patience=0, share="question")
            for _page in range(WINDOW_PAGES):
                end_transaction(self.env)
                page = client.payments_page(
                    start=start, end=end, skip=skip, limit=const.POLL_PAGE
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
        return self.env["billpay.payment"].browse(missing.values())

    def _confirm_one(self, payment):
        """Ask ClickPesa for one payment and store the answer; return the trouble."""
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
            client = provider._billpay_client(patience=0, share="question")
            end_transaction(self.env)
            told_list = client.payments(number)
        except (ClickPesaError, UserError) as error:
            _logger.info("Payment %s could not be confirmed: %s", reference, error)
            committed(self.env, self._note_trouble, payment, error)
            return error
        if reference not in [told.id for told in told_list]:
            committed(self.env, self._note_denial, payment)
        committed(self.env, self._store_answer, provider, told_list)
        return None

    def _ask_again(self):
        """Ask whether what ClickPesa reported still holds; return how many were asked.

        Of money that it has not settled, and where somebody reports otherwise.
        """
        asked = 0
        payments = committed(self.env, self._take_questions)
        for batch in payments.grouped("provider_id").values():
            for index, payment in enumerate(batch):
                trouble = self._confirm_one(payment)
                if isinstance(trouble, BudgetSpent):
                    wait = timedelta(seconds=trouble.retry_after)
                    due = {"ask_at": fields.Datetime.now() + wait}
                    committed(self.env, batch[index:].write, due)
                if type(trouble) is Refused:
                    # It is this number that ClickPesa will not be asked about.
                    continue
                if trouble:
                    break
                committed(self.env, payment._question_answered)
                asked += 1
                if not self.env["ir.cron"]._commit_progress():
                    return asked
        return asked

    def _take_questions(self):
        """Postpone due questions, should no answer come; return those to ask."""
        now = fields.Datetime.now()
        apps = self.env["payment.provider"]
        apps = apps.search([("code", "=", "clickpesa"), *apps._billpay_on_domain()])
        able = apps.filtered(lambda p: p._billpay_can_ask())
        domain = [("ask_at", "<=", now), ("provider_id", "in", able.ids)]
        payments = self._lock_some("billpay.payment", domain, QUESTION_BATCH)
        payments.ask_at = now + UNANSWERED
        # There is nothing else to ask by.
        payments.filtered(lambda p: not p.number).ask_at = False
        return payments.filtered(
            lambda p: p.number and p.provider_id._billpay_can_ask()
        )

    def _store_unasked(self, payments, spent=None):
        """This was no try: their turn comes again, when the limit of calls allows."""
        now = fields.Datetime.now()
        due = now + timedelta(seconds=spent.retry_after) if spent else now
        payments.filtered(lambda p: p.state == "received")._give_back_try(due)
        if spent:
            self.env["payment.provider"]._billpay_trigger(
                "ir_cron_process_payments", at=due
            )

    def _note_trouble(self, payment, error):
        # Somebody else may have learned more.
        if payment.state == "received":
            payment.reason = str(error)

    def _note_denial(self, payment):
        """ClickPesa does not know the payment: say so, and when it is for a person.

        Meanwhile the poll may have brought it: what is confirmed is left alone.
        """
        if payment.state != "received":
            entered = payment._is_persons_word() and not payment.unreported_at
            if entered and payment.state not in ("ignored", "reversed"):
                self.env["billpay.receipt"]._doubt(payment)
            return
        now, since = fields.Datetime.now(), payment.create_date
        if payment.attempts < DENIED_OFTEN or since > now - DENIED_LONG:
            payment.reason = payment.env._(
                "ClickPesa does not know this payment, so nothing is booked. It is "
                "asked again; if it stays unknown, the announcement was false."
            )
            return
        reason = payment.env._(
            "ClickPesa does not know this payment since %s: the announcement seems to "
            "be false, and nothing is booked. It is asked once a day. Compare with the "
            "ClickPesa dashboard; if the money is there, press Process Now.",
            fields.Date.to_string(since),
        )
        payment._flag(reason, due=now + timedelta(days=1))

    def _store_answer(self, provider, told_list):
        told_list = [told for told in told_list if told.id]
        rows, _failures = self.env["billpay.ledger"]._upsert_each(
            provider, told_list, source="query", trusted=True
        )
        return rows

    def _take_events(self):
        """Process a batch of stored deliveries; return how many."""
        new = [("state", "=", "new")]
        events = self._lock_some("billpay.event", new, self._event_batch)
        events._process()
        return len(events)

    def _post_due(self, ids=None):
        """Match, post and reconcile confirmed payments (these ids); return how many."""
        domain = self._due_domain("confirmed", "failed")
        if ids is not None:
            domain = [("id", "in", ids), *domain]
        payments = self._lock_some("billpay.payment", domain, self._post_batch)
        if payments:
            self.env["billpay.booking"]._post(payments)
        return len(payments)

    def _reverse_due(self):
        """Take booked money out of the books that went back; return how many."""
        payments = self._lock_some(
            "billpay.payment", self._taken_back_domain(), self._reverse_batch
        )
        # One that was heard of since is asked about first.
        payments = payments.filtered(lambda p: not self._is_doubted(p))
        self.env["billpay.reversal"]._take_back(payments)
        return len(payments)
