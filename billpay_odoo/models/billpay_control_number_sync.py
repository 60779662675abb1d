# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The sync worker: brings ClickPesa to what we want, one short transaction at a time.

A row is *claimed* by moving its ``sync_at`` into the near future and committing: a
lease, not a lock, so nothing is held across HTTP, and a worker that dies gives its
rows back by itself. References are ours, so a repeated creation can never make a twin:
ClickPesa refuses it, the number is read back, and adopted when it is ours.
"""

import logging
import random
import time
from datetime import timedelta

from odoo import api, fields, models
from odoo.tools import SQL

from .. import const
from ..clickpesa import (
    ClickPesaError,
    NotFound,
    NumberRequest,
    OutcomeUnknown,
    Refused,
    Unavailable,
)
from ..transactions import committed, end_transaction, own_transaction

_logger = logging.getLogger(__name__)

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
        while claimed := self._claim():
            self._sync_claimed(claimed)
            remaining = self._count_due()
            if not cron._commit_progress(len(claimed), remaining=remaining):
                break

    @api.model
    def _count_due(self):
        return self.search_count(
            [
                ("sync_at", "<=", fields.Datetime.now()),
                ("provider_id.state", "!=", "disabled"),
            ]
        )

    @api.model
    def _claim(self, ids=None):
        """Lease up to 50 due numbers that one call can serve, and commit.

        :param ids: only these, whether due yet or not (a click does not wait for a
            pause to end), but never one that another worker has leased
        :return: the leased numbers: all to be created, of one application and kind,
            or one number to be changed; empty when nothing is due
        """
        return committed(self.env, self._claim_once, ids)

    def _claim_once(self, ids):
        now = fields.Datetime.now()
        wanted = SQL("n.sync_at <= %s", now)
        if ids is not None:
            # A lease ends at most LEASE seconds from now; a pause has an error.
            wanted = SQL(
                "n.id IN %s AND (n.sync_at <= %s OR n.sync_error IS NOT NULL)",
                tuple(ids),
                now,
            )
        first = self.env.execute_query(
            SQL(
                """
                SELECT n.provider_id, n.kind, n.confirmed_at IS NULL
                  FROM billpay_control_number n
                  JOIN payment_provider p ON p.id = n.provider_id
                 WHERE %s AND n.sync_at IS NOT NULL AND p.state != 'disabled'
              ORDER BY n.sync_at, n.id
                 LIMIT 1
                """,
                wanted,
            )
        )
        if not first:
            return self.browse()
        provider_id, kind, new = first[0]
        if not self.env["payment.provider"].browse(provider_id)._billpay_is_live():
            return self.browse()
        rows = self.env.execute_query(
            SQL(
                """
                UPDATE billpay_control_number
                   SET sync_at = %s, sync_attempts = sync_attempts + 1,
                       sync_error = NULL
                 WHERE id IN (
                       SELECT n.id FROM billpay_control_number n
                        WHERE %s AND n.sync_at IS NOT NULL
                          AND n.provider_id = %s AND n.kind = %s
                          AND (n.confirmed_at IS NULL) = %s
                     ORDER BY n.sync_at, n.id
                        LIMIT %s
                          FOR NO KEY UPDATE SKIP LOCKED)
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

    # === CALLS === #

    @api.model
    def _sync_claimed(self, numbers):
        """Make the call for leased numbers and store its outcome."""
        if not numbers:
            return
        if numbers[0]._is_known():
            numbers._send_change()
        else:
            numbers._send_creation()

    def _request(self):
        """Return what is to be created, as the gateway client wants it."""
        self.ensure_one()
        return NumberRequest(
            reference=self.name,
            amount=self.amount or None,
            mode=self.mode if self.amount else None,
            description=self.description or "",
            **(
                {
                    "customer_name": self.partner_id.name or "",
                    "customer_phone": self.partner_id.phone or "",
                    "customer_email": self.partner_id.email or "",
                }
                if self.kind == "customer"
                else {}
            ),
        )

    def _send_creation(self):
        """Register new numbers, up to 50 in one call."""
        provider = self.provider_id
        requests = []
        for number in self:
            try:
                requests.append(number._request())
            except ValueError as error:
                # ClickPesa would refuse it, and its neighbours with it.
                committed(self.env, number._store_trouble, Refused(str(error)))
                others = self - number
                if others:
                    others._send_creation()
                return
        tries = {number.id: number.sync_attempts for number in self}
        bulk = (
            "create_order_numbers"
            if self[0].kind == "order"
            else "create_customer_numbers"
        )
        client = provider._billpay_client()
        end_transaction(self.env)
        try:
            reply = getattr(client, bulk)(requests)
        except Refused as error:
            if error.application_wide or len(self) == 1:
                committed(self.env, self._store_trouble, error)
            else:
                # One item spoils the call: each for itself, so it fails alone.
                for number in self:
                    number._send_creation()
            return
        except ClickPesaError as error:
            committed(self.env, self._store_trouble, error)
            return
        refused = {self[index]: reason for index, reason in reply.errors.items()}
        made = self.filtered(lambda number: number not in refused)
        committed(
            self.env, made._store_created, dict(zip(self.ids, requests, strict=True))
        )
        for number, reason in refused.items():
            number._settle_refusal(reason, first_try=tries[number.id] == 1)

    def _settle_refusal(self, reason, first_try):
        """A creation was refused: is the number there already, and is it ours?"""
        self.ensure_one()
        client = self.provider_id._billpay_client()
        name, request = self.name, self._request()
        end_transaction(self.env)
        try:
            there = client.get_number(name)
        except NotFound:
            committed(self.env, self._store_trouble, Refused(reason))
            return
        except ClickPesaError as error:
            committed(self.env, self._store_trouble, error)
            return
        # On the first try nobody can have sent it for us.
        if not first_try and there.fits(request):
            committed(self.env, self._store_adopted, there)
        else:
            committed(self.env, self._store_collision)

    def _send_change(self):
        """Send one PATCH with exactly what differs."""
        self.ensure_one()
        name, difference = self.name, self._difference()
        if not difference:
            committed(self.env, self._store_known, {})
            return
        client = self.provider_id._billpay_client()
        end_transaction(self.env)
        try:
            client.update_number(name, **difference)
        except ClickPesaError as error:
            committed(self.env, self._store_trouble, error)
            return
        committed(self.env, self._store_known, difference)

    # === OUTCOMES (each runs in a fresh transaction, maybe more than once) === #

    def _quiet(self):
        return self.with_context(tracking_disable=True)

    def _store_created(self, requests):
        """ClickPesa has these numbers now, as they were sent."""
        now = fields.Datetime.now()
        for number in self._quiet():
            sent = requests[number.id]
            number.write(
                {
                    "state": "open" if number.state == "pending" else number.state,
                    "confirmed_at": now,
                    "known_active": True,
                    "known_amount": sent.amount or 0,
                    "known_mode": sent.mode or False,
                    "known_description": sent.description or False,
                    "sync_at": False,
                    "sync_attempts": 0,
                    "sync_error": False,
                }
            )
        self._schedule_if_different()

    def _store_adopted(self, there):
        """An earlier try of ours had come through: take it as it is there."""
        self._quiet().write(
            {
                "state": "open" if self.state == "pending" else self.state,
                "confirmed_at": fields.Datetime.now(),
                "known_active": True if there.active is None else there.active,
                "known_amount": there.amount or 0,
                "known_mode": there.mode or False,
                "known_description": there.description or False,
                "sync_at": False,
                "sync_attempts": 0,
                "sync_error": False,
            }
        )
        self._schedule_if_different()

    def _store_collision(self):
        """These digits are taken by somebody else: take the next ones."""
        taken = self.name
        self._quiet().write(
            {
                "name": self.provider_id._billpay_next_references(1)[0],
                "sync_at": fields.Datetime.now(),
                "sync_attempts": 0,
                "sync_error": self.env._(
                    "The number %s was already in use at ClickPesa.", taken
                ),
            }
        )
        body = self.env._(
            "The number %(taken)s was already in use at ClickPesa, so %(name)s is "
            "taken instead. No payer has seen the old one.",
            taken=taken,
            name=self.name,
        )
        (self.move_id or self)._message_log(body=body)

    def _store_known(self, difference):
        """ClickPesa has taken over these changes."""
        known = {
            "known_%s" % key: value
            for key, value in difference.items()
            if key in ("active", "amount", "mode", "description")
        }
        self._quiet().write(
            {**known, "sync_at": False, "sync_attempts": 0, "sync_error": False}
        )
        self._schedule_if_different()

    def _store_trouble(self, error):
        """Note why ClickPesa does not have what we want, and when to try again."""
        temporary = (
            isinstance(error, Unavailable | OutcomeUnknown)
            or getattr(error, "application_wide", False)
            or all(number._is_known() for number in self)
        )
        now = fields.Datetime.now()
        for number in self._quiet():
            pause = pause_after(number.sync_attempts)
            if retry_after := getattr(error, "retry_after", None):
                pause = max(pause, retry_after)
            if temporary:
                number.write(
                    {
                        "sync_error": error.message,
                        "sync_at": now + timedelta(seconds=pause),
                    }
                )
            else:
                number.write(
                    {
                        "sync_error": error.message,
                        "sync_at": False,
                        "state": "failed"
                        if number.state == "pending"
                        else number.state,
                    }
                )
                (number.move_id or number)._message_log(
                    body=self.env._(
                        "ClickPesa refused the control number %(name)s: %(reason)s "
                        "The invoice is valid, but cannot be paid by control number "
                        "yet. Correct the cause, then press Retry on the number.",
                        name=number.name,
                        reason=error.message,
                    )
                )
        _logger.info(
            "%s control number(s) not synchronised: %s", len(self), error.message
        )

    # === A CLICK === #

    def _sync_now(self, patience=CLICK_PATIENCE):
        """Make the outstanding calls for these numbers now, for a waiting person.

        Runs in its own transactions; the caller's transaction sees nothing of it.
        A number that a worker has leased is waited for.

        :param float patience: seconds to wait for a worker
        :return: ``{id: {"name": str, "state": str, "error": str}}`` as it stands
            afterwards, for the numbers that are committed
        :rtype: dict
        """
        with own_transaction(self.env(user=self.env.uid, su=True)) as env:
            numbers = env[self._name].browse(self.ids).exists()
            deadline = time.monotonic() + patience
            while claimed := numbers._claim(numbers.ids):
                numbers._sync_claimed(claimed)
                if time.monotonic() > deadline or any(
                    number.sync_error for number in numbers
                ):
                    break
            while time.monotonic() < deadline:
                end_transaction(env)
                env.invalidate_all()
                if not any(n.state == "pending" and not n.sync_error for n in numbers):
                    break
                time.sleep(0.1)
            return {
                number.id: {
                    "name": number.name,
                    "state": number.state,
                    "error": number.sync_error or "",
                }
                for number in numbers
            }
