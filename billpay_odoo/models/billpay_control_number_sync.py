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
from odoo.exceptions import UserError
from odoo.tools import SQL

from .. import const
from ..clickpesa import (
    ClickPesaError,
    NotFound,
    NumberRequest,
    OutcomeUnknown,
    Refused,
    Unavailable,
    to_ascii,
)
from ..transactions import committed, end_transaction, own_transaction

_logger = logging.getLogger(__name__)

# Longer than any one call may take, retries of the client included (seconds).
LEASE = 180
# Growth of the pause between tries: a minute, doubling, at most six hours (seconds).
FIRST_PAUSE, LONGEST_PAUSE = 60, 6 * 3600
# How long a person's click waits for a call that a worker is already making (seconds).
CLICK_PATIENCE = 20


SETTLED = {"sync_at": False, "sync_attempts": 0, "sync_error": False}


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
            ]
        )

    @api.model
    def _claim(self, ids=None, down=()):
        """Lease up to 50 due numbers that one call can serve, and commit.

        :param ids: only these, whether due yet or not (a click does not wait for a
            pause to end), but never one that another worker has leased
        :param down: ids of applications to leave out
        :return: the leased numbers: all to be created, of one application and kind,
            or one number to be changed; empty when nothing is due
        """
        return committed(self.env, self._claim_once, ids, tuple(down))

    def _claim_once(self, ids, down):
        self.flush_model()
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
                 WHERE %s AND n.sync_at IS NOT NULL
                   AND p.code = 'clickpesa' AND p.state != 'disabled' AND %s
              ORDER BY n.sync_at, n.id
                 LIMIT 1
                """,
                wanted,
                SQL("p.id NOT IN %s", down) if down else SQL("TRUE"),
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
                   SET sync_at = %s, sync_error = NULL,
                       sync_attempts = COALESCE(sync_attempts, 0) + 1
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
        """Make the call for leased numbers and store its outcome.

        :return: False when the application itself is in trouble
        :rtype: bool
        """
        tries = {number.id: number.sync_attempts for number in numbers}
        try:
            client = numbers.provider_id._billpay_client()
        except (ClickPesaError, UserError) as error:
            trouble = Unavailable(str(error))
            committed(self.env, numbers._store_trouble, trouble, tries)
            return False
        if numbers[0]._is_known():
            return numbers._send_change(client, tries)
        return numbers._send_creation(client, tries)

    def _request(self):
        """Return what is to be created, as the gateway client wants it.

        :raise ValueError: ClickPesa could only refuse it
        """
        self.ensure_one()
        return NumberRequest(
            reference=self.name,
            amount=self.amount or None,
            mode=self.mode if self.amount else None,
            max_amount=self.max_amount or None,
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

    def _send_creation(self, client, tries):
        """Register new numbers, up to 50 in one call."""
        requests = {}
        for number in self:
            try:
                requests[number.id] = number._request()
            except ValueError as error:
                # ClickPesa would refuse it, and its neighbours with it.
                refusal = Refused(str(error))
                committed(self.env, number._store_trouble, refusal, tries)
        numbers = self.browse(requests)
        if not numbers:
            return True
        create = (
            client.create_order_numbers
            if numbers[0].kind == "order"
            else client.create_customer_numbers
        )
        end_transaction(self.env)
        try:
            reply = create(list(requests.values()))
        except Refused as error:
            if error.application_wide or len(numbers) == 1:
                committed(self.env, numbers._store_trouble, error, tries)
                return not error.application_wide
            # One item spoils the call: each for itself, so that it fails alone.
            return all(
                number._send_creation(client, tries)
                for number in numbers
                if committed(self.env, number._renew_lease, tries)
            )
        except ClickPesaError as error:
            committed(self.env, numbers._store_trouble, error, tries)
            return False
        refused = {numbers[index]: text for index, text in reply.errors.items()}
        made = numbers.filtered(lambda number: number not in refused)
        committed(self.env, made._store_created, requests, tries)
        for number, reason in refused.items():
            if committed(self.env, number._renew_lease, tries):
                number._settle_refusal(client, reason, tries)
        return True

    def _settle_refusal(self, client, reason, tries):
        """A creation was refused: is the number there already, and is it ours?"""
        self.ensure_one()
        name, request = self.name, self._request()
        end_transaction(self.env)
        try:
            there = client.get_number(name)
        except NotFound:
            committed(self.env, self._store_trouble, Refused(reason), tries)
            return
        except ClickPesaError as error:
            committed(self.env, self._store_trouble, error, tries)
            return
        # On the first try nobody can have sent it for us. Later, an amount may have
        # changed since it was sent; the description names our bill.
        ours = tries[self.id] > 1 and (
            there.fits(request)
            or (
                request.description
                and to_ascii(there.description, 500)
                == to_ascii(request.description, 500)
            )
        )
        if ours:
            committed(self.env, self._store_adopted, there, tries)
        else:
            committed(self.env, self._store_collision, tries)

    def _send_change(self, client, tries):
        """Send one PATCH with exactly what differs."""
        self.ensure_one()
        name, difference = self.name, self._difference()
        end_transaction(self.env)
        if difference:
            try:
                client.update_number(name, **difference)
            except ValueError as error:
                committed(self.env, self._store_trouble, Refused(str(error)), tries)
                return True
            except ClickPesaError as error:
                committed(self.env, self._store_trouble, error, tries)
                return not isinstance(error, Unavailable | OutcomeUnknown) and not (
                    getattr(error, "application_wide", False)
                )
        committed(self.env, self._store_known, difference, tries)
        return True

    # === OUTCOMES (each runs in a fresh transaction, maybe more than once) === #

    def _still_leased(self, tries):
        """Keep the rows that nobody else has taken since we leased them.

        A worker that is slower than its lease finds its rows settled by another one:
        what it learned is old then, and acting on it would harm.
        """
        self.invalidate_recordset()
        return self.exists().filtered(
            lambda number: number.sync_attempts == tries[number.id]
        )

    def _renew_lease(self, tries):
        """Lease once more before a further call; tell whether the row is still ours."""
        leased = self._still_leased(tries)
        leased._quiet().write(
            {"sync_at": fields.Datetime.now() + timedelta(seconds=LEASE)}
        )
        return bool(leased)

    def _quiet(self):
        return self.with_context(tracking_disable=True)

    def _store_created(self, requests, tries):
        """ClickPesa has these numbers now, as they were sent."""
        numbers = self._still_leased(tries)
        now = fields.Datetime.now()
        for number in numbers._quiet():
            sent = requests[number.id]
            number.write(
                {
                    "state": "open" if number.state == "pending" else number.state,
                    "confirmed_at": now,
                    "known_active": True,
                    "known_amount": sent.amount or 0,
                    "known_mode": sent.mode or False,
                    "known_max_amount": sent.max_amount or 0,
                    "known_description": sent.description or False,
                    **SETTLED,
                }
            )
        numbers._schedule_if_different()

    def _store_adopted(self, there, tries):
        """An earlier try of ours had come through: take it as it is there."""
        number = self._still_leased(tries)
        if not number:
            return
        number._quiet().write(
            {
                "state": "open" if number.state == "pending" else number.state,
                "confirmed_at": fields.Datetime.now(),
                "known_active": True if there.active is None else there.active,
                "known_amount": there.amount or 0,
                "known_mode": there.mode or False,
                "known_max_amount": there.max_amount or 0,
                "known_description": there.description or False,
                **SETTLED,
            }
        )
        number._schedule_if_different()

    def _store_collision(self, tries):
        """These digits are taken by somebody else: take the next ones."""
        number = self._still_leased(tries)
        if not number:
            return
        taken = number.name
        number._quiet().write(
            {
                "name": number.provider_id._billpay_next_references(1)[0],
                "sync_at": fields.Datetime.now(),
                "sync_attempts": 0,
                "sync_error": False,
            }
        )
        body = self.env._(
            "The number %(taken)s was already in use at ClickPesa, so %(name)s is "
            "taken instead.",
            taken=taken,
            name=number.name,
        )
        (number.move_id or number)._message_log(body=body)

    def _store_known(self, difference, tries):
        """ClickPesa has taken over these changes."""
        known = {
            "known_%s" % key: value
            for key, value in difference.items()
            if key in ("active", "amount", "max_amount", "mode", "description")
        }
        if difference.get("mode") == "exact":
            # The exact mode takes the maximum away (ClickPesa docs, "Update").
            known["known_max_amount"] = 0
        number = self._still_leased(tries)
        number._quiet().write({**known, **SETTLED})
        number._schedule_if_different()

    def _store_trouble(self, error, tries):
        """Note why ClickPesa does not have what we want, and when to try again."""
        temporary = isinstance(error, Unavailable | OutcomeUnknown) or getattr(
            error, "application_wide", False
        )
        numbers = self._still_leased(tries)
        now = fields.Datetime.now()
        for number in numbers._quiet():
            if temporary or number._is_known():
                pause = pause_after(number.sync_attempts)
                pause = max(pause, getattr(error, "retry_after", None) or 0)
                values = {"sync_at": now + timedelta(seconds=pause)}
            else:
                values = {"sync_at": False}
                if number.state == "pending":
                    values["state"] = "failed"
                    number._log_refusal(error.message)
            number.write({"sync_error": error.message, **values})
        _logger.info(
            "%s control number(s) not synchronised: %s", len(numbers), error.message
        )

    def _log_refusal(self, reason):
        self.ensure_one()
        (self.move_id or self)._message_log(
            body=self.env._(
                "ClickPesa refused the control number %(name)s: %(reason)s The bill is "
                "valid, but cannot be paid by control number yet. Correct the cause, "
                "then press Retry on the number.",
                name=self.name,
                reason=reason,
            )
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
        deadline = time.monotonic() + patience
        with own_transaction(self.env(su=True)) as env:
            numbers = env[self._name].browse(self.ids).exists()
            committed(env, numbers._make_due)
            while claimed := numbers._claim(numbers.ids):
                answered = numbers._sync_claimed(claimed)
                numbers.invalidate_recordset(["sync_error"])
                if (
                    not answered
                    or any(numbers.mapped("sync_error"))
                    or time.monotonic() > deadline
                ):
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
        return ""
