# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The sync worker: brings ClickPesa to what we want, one short transaction at a time.

A row is *claimed* by moving its ``sync_at`` into the near future and committing: a
lease, not a lock, so nothing is held across HTTP, and a worker that dies gives its
rows back by itself. References are ours, so a repeated creation can never make a twin:
ClickPesa refuses it, the number is read back, and adopted when it is ours.
"""

import random
import time
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from .. import const
from ..clickpesa import ClickPesaError, Unavailable
from ..transactions import committed, end_transaction, own_transaction

# Longer than any one call may take, retries of the client included (seconds).
LEASE = 180
# Growth of the pause between tries: a minute, doubling, at most six hours (seconds).
FIRST_PAUSE, LONGEST_PAUSE = 60, 6 * 3600
# How long a person's click waits for a call that a worker is already making (seconds).
CLICK_PATIENCE = 20


def pause_after(attempts):
    """Seconds to wait after the ``attempts``-th failed try, with ±20 % jitter."""
    pause = min(FIRST_PAUSE * 2 ** min(max(attempts - 1, 0), 20), LONGEST_PAUSE)
    return pause * random.uniform(0.8, 1.2)


class BillpayControlNumber(models.Model):
    _inherit = "billpay.control.number"  # pylint: disable=consider-merging-classes-inherited

    # === CRON === #

    @api.model
    def _cron_sync_numbers(self):
        """Tell ClickPesa what has changed. Idle, this is one indexed query."""
        cron = self.env["ir.cron"]
        down = set()
        while claimed := self._claim(down=down):
            providers = claimed.provider_id
            if not self._sync_claimed(claimed):
                # An application that does not answer does not hold up the others.
                down.update(providers.ids)
            remaining = self._count_due()
            if not cron._commit_progress(len(claimed), remaining=remaining):
                break

    @api.model
    def _count_due(self):
        return self.search_count(
            [
                ("sync_at", "<=", fields.Datetime.now()),
                ("provider_id.state", "!=", "disabled"),
                "|",
                ("provider_id.billpay_paused_until", "=", False),
                ("provider_id.billpay_paused_until", "<=", fields.Datetime.now()),
            ]
        )

    @api.model
    def _claim(self, ids=None, down=(), even_paused=None):
        """Lease up to 50 due numbers that one call can serve, and commit.

        An application in trouble gets one call per pause: whoever claims for it
        prolongs the pause until the outcome of that call is stored.

        :param ids: only these, but never one that another worker has leased
        :param down: ids of applications to leave out
        :param bool even_paused: do not wait for a pause of the number or of its
            application to end; by default true for a click, which names ``ids``
        :return: the leased numbers: all to be created, of one application and kind,
            or one number to be changed; empty when nothing is due
        """
        if even_paused is None:
            even_paused = ids is not None
        return committed(self.env, self._claim_once, ids, tuple(down), even_paused)

    def _claim_once(self, ids, down, even_paused):
        self.env.flush_all()
        now = fields.Datetime.now()
        wanted = SQL("n.sync_at <= %s", now)
        if even_paused:
            # A leased row has no error, a row in a pause has one.
            wanted = SQL("(%s OR n.sync_error IS NOT NULL)", wanted)
        if ids is not None:
            wanted = SQL("n.id IN %s AND %s", tuple(ids) or (0,), wanted)
        first = self.env.execute_query(
            SQL(
                """
                SELECT n.provider_id, n.kind, n.confirmed_at IS NULL,
                       p.billpay_trouble_count > 0
                  FROM billpay_control_number n
                  JOIN payment_provider p ON p.id = n.provider_id
                 WHERE %s AND n.sync_at IS NOT NULL
                   AND p.code = 'clickpesa' AND p.state != 'disabled'
                   AND %s AND %s
              ORDER BY n.sync_at, n.id
                 LIMIT 1
                   FOR NO KEY UPDATE OF n SKIP LOCKED
                """,
                wanted,
                SQL("p.id NOT IN %s", down) if down else SQL("TRUE"),
                SQL("TRUE")
                if even_paused
                else SQL(
                    "(p.billpay_paused_until IS NULL OR p.billpay_paused_until <= %s)",
                    now,
                ),
            )
        )
        if not first:
            return self.browse()
        provider_id, kind, new, in_trouble = first[0]
        provider = self.env["payment.provider"].browse(provider_id)
        if not provider._billpay_is_live():
            return self.browse()
        if in_trouble and not even_paused:
            provider._billpay_probe(now + timedelta(seconds=LEASE))
        rows = self.env.execute_query(
            SQL(
                """
                UPDATE billpay_control_number
                   SET sync_at = %s, sync_error = NULL,
                       sync_attempts = COALESCE(sync_attempts, 0) + 1
                 -- Once and for all, not per row: else a plan may go past the limit.
                 WHERE id = ANY(ARRAY(
                       SELECT n.id FROM billpay_control_number n
                        WHERE %s AND n.sync_at IS NOT NULL
                          AND n.provider_id = %s AND n.kind = %s
                          AND (n.confirmed_at IS NULL) = %s
                     ORDER BY n.sync_at, n.id
                        LIMIT %s
                          FOR NO KEY UPDATE SKIP LOCKED))
             RETURNING id
                """,
                now + timedelta(seconds=LEASE),
                wanted,
                provider_id,
                kind,
                new,
                const.BULK_LIMIT if new else 1,
            )
        )
        self.invalidate_model(["sync_at", "sync_attempts", "sync_error"])
        return self.browse(sorted(row[0] for row in rows))

    @api.model
    def _sync_claimed(self, numbers):
        """Make the call for leased numbers and store its outcome.

        :return: False when the application itself is in trouble
        :rtype: bool
        """
        tries = {number.id: number.sync_attempts for number in numbers}
        provider = numbers.provider_id
        # One call shows whether the trouble is over; repeats only cost time.
        patience = 0 if provider.billpay_trouble_count else None
        trouble = None
        try:
            client = provider._billpay_client(patience=patience)
            if numbers[0]._is_known():
                answered = numbers._send_change(client, tries)
            else:
                answered = numbers._send_creation(client, tries)
        except ClickPesaError as error:
            trouble = error
        except UserError as error:
            trouble = Unavailable(str(error))
        if trouble:
            committed(self.env, numbers._store_trouble, trouble, tries)
        elif answered:
            committed(self.env, provider._billpay_answered)
        return not trouble

    # === A CLICK === #

    def _sync_now(self, patience=CLICK_PATIENCE, even_paused=True):
        """Make the outstanding calls for these numbers now, for a waiting person.

        Runs in its own transactions; the caller's transaction sees nothing of it.
        Each number is tried once; what one is refused does not stop the others. A
        number that a worker has leased is waited for.

        :param float patience: seconds to wait for a worker
        :param bool even_paused: ask even an application in trouble; a scheduled
            action does not
        :return: ``{id: {"name": str, "state": str, "error": str}}`` as it stands
            afterwards, for the numbers that are committed
        :rtype: dict
        """
        deadline = time.monotonic() + patience
        with own_transaction(self.env(su=True)) as env:
            numbers = env[self._name].browse(self.ids).exists()
            committed(env, numbers._make_due)
            left, down = numbers, set()
            while claimed := numbers._claim(left.ids, down, even_paused):
                provider = claimed.provider_id
                if not numbers._sync_claimed(claimed):
                    down.add(provider.id)
                numbers.invalidate_recordset()
                # Once more only if the call led to another one: new digits, a change.
                left -= claimed.filtered(lambda n: n.sync_error or not n.sync_at)
                if time.monotonic() > deadline:
                    break
            while time.monotonic() < deadline and numbers._leased_elsewhere():
                time.sleep(0.1)
                end_transaction(env)
                env.invalidate_all()
            return {
                number.id: {
                    "name": number.name,
                    "state": number.state,
                    "error": number.sync_error or number._why_not_called(),
                }
                for number in numbers
            }

    def _make_due(self):
        """Refused numbers get another try when somebody waits for them."""
        self.filtered(lambda n: n.state == "failed" and n.origin == "api").write(
            {"state": "pending", "sync_at": fields.Datetime.now()}
        )

    def _leased_elsewhere(self):
        now = fields.Datetime.now()
        return self.filtered(
            lambda n: (
                n.state == "pending"
                and not n.sync_error
                and n.sync_at
                and n.sync_at > now
                and n.provider_id._billpay_is_live()
            )
        )

    def _why_not_called(self):
        self.ensure_one()
        if self.state == "pending" and not self.provider_id._billpay_is_live():
            return self.env._(
                "The ClickPesa application %s is switched off.", self.provider_id.name
            )
        if self.state == "pending" and self.provider_id._billpay_is_paused():
            return self.provider_id.billpay_trouble or ""
        return ""
