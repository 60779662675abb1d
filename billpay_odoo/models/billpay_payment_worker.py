# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The payments worker: deliveries → payments → confirmed → posted, in batches.

Each step commits. A crash between two steps leaves rows in the state before, and the
next run goes on from there. Several workers may run at once: rows are taken with SKIP
LOCKED, and what another has changed meanwhile ends in a conflict, which is run again.

Confirming (``billpay_payment_confirming``), booking (``billpay_payment_posting``) and
taking back (``billpay_payment_reversal``) are ideas of their own.
"""

import time

from odoo import api, fields, models
from odoo.tools import SQL

from ..transactions import committed, end_transaction
from .billpay_control_number_sync import CLICK_PATIENCE

EVENT_BATCH = 100
POST_BATCH = 200
# A worker looks at this many batches for rows that are not locked.
LOOK_AHEAD = 5


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

    @api.model
    def _cron_process_payments(self):
        """Work off all that is due. Idle, this is one indexed query."""
        if not self._has_work():
            return
        cron = self.env["ir.cron"]
        while True:
            done = committed(self.env, self._take_events)
            done += committed(self.env, self._post_due)
            done += committed(self.env, self._reverse_due)
            # Asking comes last: what is confirmed must not wait for an answer.
            done += self._confirm_due()
            if not done:
                break
            remaining = self._count_waiting()
            if not cron._commit_progress(done, remaining=remaining):
                if not remaining:
                    break
                # Out of time: Odoo would go on when its scheduler looks next, and a
                # delivery that sees an older one waiting does not wake it.
                self.env["payment.provider"]._billpay_trigger(
                    "ir_cron_process_payments"
                )
                break

    @api.model
    def _has_work(self):
        """Tell whether anything is due, for any of the steps."""
        self.env["billpay.event"].flush_model(["state"])
        self.flush_model(["state", "next_try_at"])
        now = fields.Datetime.now()
        [(due,)] = self.env.execute_query(
            SQL(
                """
                SELECT EXISTS (SELECT FROM billpay_event WHERE state = 'new')
                    OR EXISTS (
                       SELECT FROM billpay_payment
                        WHERE state IN ('received', 'confirmed', 'failed')
                          AND (next_try_at IS NULL OR next_try_at <= %s))
                    OR EXISTS (
                       SELECT FROM billpay_payment
                        WHERE state = 'posted' AND next_try_at <= %s)
                """,
                now,
                now,
            )
        )
        return due

    @api.model
    def _count_waiting(self):
        return (
            self.env["billpay.event"].search_count([("state", "=", "new")])
            + self.search_count(self._due_domain("received", "confirmed", "failed"))
            + self.search_count(self._taken_back_domain())
        )

    @api.model
    def _due_domain(self, *states):
        return [
            ("state", "in", states),
            "|",
            ("next_try_at", "=", False),
            ("next_try_at", "<=", fields.Datetime.now()),
        ]

    @api.model
    def _lock_some(self, model, domain, size):
        """Lock the first rows of a domain that no other worker has locked.

        Looks past what others have locked. A row that was changed since this
        transaction began ends in a conflict, so what is locked is as it was read.
        """
        waiting = model.search(domain, order="id", limit=size * LOOK_AHEAD)
        return waiting.try_lock_for_update(limit=size)

    # === STEP 1: DELIVERIES === #

    @api.model
    def _take_events(self):
        """Process a batch of stored deliveries; return how many."""
        events = self._lock_some(
            self.env["billpay.event"], [("state", "=", "new")], EVENT_BATCH
        )
        events._process()
        return len(events)

    # === STEP 2: POST === #

    @api.model
    def _post_due(self, ids=None):
        """Match, post and reconcile a batch of confirmed payments; return how many.

        :param ids: only these
        """
        domain = self._due_domain("confirmed", "failed")
        if ids is not None:
            domain = [("id", "in", ids), *domain]
        payments = self._lock_some(self, domain, POST_BATCH)
        for company, batch in payments.grouped("company_id").items():
            batch.with_company(company)._post_batch()
        payments._toast_salespeople()
        return len(payments)

    # === A CLICK === #

    @api.model
    def _check_numbers_now(self, numbers, patience=CLICK_PATIENCE):
        """Ask ClickPesa about these numbers and book what it knows, for a person.

        To be called in a transaction of its own (it commits). A payment that a worker
        is booking at this moment is waited for.

        :param numbers: control numbers
        :param float patience: seconds to wait for a worker
        :return: the payments that ClickPesa knows for them
        :raise ClickPesaError: ClickPesa could not be asked
        """
        found = self.browse()
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
