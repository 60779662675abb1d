# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The sync worker: brings ClickPesa to what we want, one short transaction at a time.

A row is leased by moving its ``sync_at``; a creation that was refused is read back and
adopted when it is ours (docs/decisions/leases.rst). Methods named ``_store_…`` run in a
fresh transaction, maybe more than once.
"""

import json
import logging
import threading
import time
from datetime import timedelta

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from ... import const
from ...clickpesa import (
    BudgetSpent,
    ClickPesaError,
    Conflict,
    NotFound,
    NumberRequest,
    Refused,
    Unavailable,
    to_ascii,
)
from ...crowd import Registrar
from ...exceptions import NumberSpaceExhausted
from ...transactions import (
    CLICK_PATIENCE,
    CLOCK_AHEAD,
    FURTHEST_PAUSE,
    committed,
    end_transaction,
    own_transaction,
    pause_after,
)

_logger = logging.getLogger(__name__)

# Calls at once with which one process registers what payers wait for: two of them do
# not wait for each other, and a crowd still needs a handful of calls.
CALLS = 2
_registrars, _lock = {}, threading.Lock()


def _register(env, keys):
    ids, patiences = zip(*keys, strict=True)
    numbers = env["billpay.control.number"].browse(ids)
    outcomes = env["billpay.sync"]._sync_now(numbers, patience=max(patiences))
    return {key: outcomes.get(key[0]) for key in keys}


SETTLED = {"sync_at": False, "sync_attempts": 0, "sync_error": False}
# What is sent first: by what payers can pay, then what it asks, then how it is called.
# Each has its share of the calls, and the rank is its place.
RANKS = ("creation", "change", "text")
# Longer than any one call may take, retries of the client included (seconds).
LEASE = 180
# None ends later than so long from now.
FURTHEST_LEASE = timedelta(seconds=LEASE + CLOCK_AHEAD)


class BillpaySync(models.AbstractModel):
    _name = "billpay.sync"
    _description = "BillPay Synchronisation"

    # Numbers of one bulk call.
    _bulk_limit = const.BULK_LIMIT
    # What of a number says how far it is at ClickPesa.
    _facts = ("state", "sync_at", "sync_attempts", "sent")

    # === CALLS === #

    def _request(self, number):
        """:raise ValueError: ClickPesa could only refuse it"""
        customer = {}
        if number.kind == "customer":
            contact = number.partner_id.ensure_one()._billpay_contact_values()
            for name in ("name", "phone", "email"):
                customer[f"customer_{name}"] = contact[name]
        return NumberRequest(
            reference=number.name,
            amount=number.amount or None,
            mode=number.mode if number.amount else None,
            max_amount=number.max_amount or None,
            description=number.description or "",
            **customer,
        )

    def _send_creation(self, records, client, tries, earlier=None):
        """Register new numbers, up to 50 in one call.

        :param dict earlier: what was sent of each number before this claim
        :return: whether ClickPesa answered and that is not stored yet
        :raise ClickPesaError: trouble of the application, not of one number
        """
        requests = {}
        if over := records.filtered(lambda number: number.state == "closed"):
            self._settle_closed(over, client, tries)
            records -= over
        for number in records:
            try:
                requests[number.id] = self._request(number)
            except ValueError as error:
                # ClickPesa would refuse it, and its neighbours with it.
                refusal = Refused(str(error))
                committed(records.env, self._store_trouble, number, refusal, tries)
        if not requests:
            return bool(over)
        numbers = records.browse(requests)
        if earlier is None:
            earlier = {number.id: number.sent or [] for number in numbers}
        order = numbers[0].kind == "order"
        numbers = committed(records.env, self._note_sent, numbers, requests, tries)
        if not numbers:
            return False
        create = (
            client.create_order_numbers if order else client.create_customer_numbers
        )
        end_transaction(records.env)
        try:
            reply = create([requests[number.id] for number in numbers])
        except Refused as error:
            if error.application_wide:
                raise
            if len(numbers) > 1:
                # One item spoils the call: each for itself, so that it fails alone.
                for number in numbers:
                    if committed(records.env, self._renew_lease, number, tries):
                        self._send_creation(number, client, tries, earlier)
            elif earlier[numbers.id] or isinstance(error, Conflict):
                sent = earlier[numbers.id]
                self._settle_refusal(numbers, client, error.message, tries, sent)
            else:
                committed(records.env, self._store_trouble, numbers, error, tries)
            return True
        refused = {numbers[index]: text for index, text in reply.errors.items()}
        made = numbers.filtered(lambda number: number not in refused)
        committed(records.env, self._store_created, made, requests, tries)
        for number, reason in refused.items():
            if committed(records.env, self._renew_lease, number, tries):
                self._settle_refusal(number, client, reason, tries, earlier[number.id])
        return not made

    def _settle_closed(self, numbers, client, tries):
        """These were given up before ClickPesa confirmed them: it gets none of them.

        An earlier try may have made one all the same: that is switched off.

        :raise ClickPesaError: trouble of the application, not of one number
        """
        for number in numbers:
            there = None
            if sent := number.sent:
                name = number.name
                end_transaction(number.env)
                try:
                    there = client.get_number(name)
                except NotFound:
                    there = None
                except Refused as error:
                    if error.application_wide:
                        raise
                    committed(number.env, self._store_trouble, number, error, tries)
                    continue
            if there and self._is_ours(there, sent):
                there = {number.id: there}
                committed(number.env, self._store_created, number, there, tries)
            else:
                committed(number.env, self._store_unmade, number, tries)

    def _store_unmade(self, number, tries):
        """ClickPesa does not have this closed number, and is not to get it."""
        self._quiet(self._still_leased(number, tries)).write(SETTLED)

    def _note_sent(self, records, requests, tries):
        """Note what is about to be sent: the bill may change before it is answered.

        :return: the rows that are still leased, and so may be sent
        """
        records.flush_model(["sent", "sync_at", "sync_attempts"])
        items = [
            {
                "amount": float(requests[number.id].amount or 0),
                "description": requests[number.id].description or "",
            }
            for number in records
        ]
        rows = self.env.execute_query(
            SQL(
                """
                    UPDATE billpay_control_number n
                       SET sent = COALESCE(n.sent, '[]') || CASE
                           WHEN COALESCE(n.sent, '[]') @> jsonb_build_array(item)
                           THEN '[]' ELSE jsonb_build_array(item) END
                      FROM unnest(%s, %s, %s::jsonb[]) AS noted (id, tries, item)
                     WHERE n.id = noted.id AND n.sync_at IS NOT NULL
                       AND n.sync_attempts = noted.tries
                 RETURNING n.id
                    """,
                records.ids,
                [tries[number.id] for number in records],
                [json.dumps(item) for item in items],
            )
        )
        records.invalidate_recordset(["sent"])
        leased = {number_id for (number_id,) in rows}
        return records.filtered(lambda number: number.id in leased)

    def _settle_refusal(self, number, client, reason, tries, sent):
        """A creation was refused: is the number there already, and is it ours?

        :param list sent: what was sent before this claim
        """
        name = number.name
        end_transaction(number.env)
        try:
            there = client.get_number(name)
        except Refused as error:
            if error.application_wide:
                raise
            refusal = Refused(reason) if isinstance(error, NotFound) else error
            committed(number.env, self._store_trouble, number, refusal, tries)
            return
        if self._is_ours(there, sent):
            there = {number.id: there}
            committed(number.env, self._store_created, number, there, tries)
        else:
            committed(number.env, self._store_collision, number, tries)

    def _is_ours(self, there, sent):
        """Tell whether a number at ClickPesa is what we sent of it before."""
        text, amount = to_ascii(there.description or "", 500), float(there.amount or 0)
        # The description names the bill; only without one the amount has to do.
        return any(
            to_ascii(item["description"], 500) == text
            and (text or item["amount"] == amount)
            for item in sent
        )

    def _difference(self, number):
        """Return what ClickPesa lacks, as arguments of the client.

        :rtype: dict
        """
        difference, compare = {}, number.currency_id.compare_amounts
        if number.wanted_active != number.known_active:
            difference["active"] = number.wanted_active
        if not number.wanted_active:
            # What a switched-off number asks for does not matter to anybody.
            return difference
        # An amount can be changed, not taken away (ClickPesa docs, "Update").
        if number.amount and compare(number.amount, number.known_amount):
            difference["amount"] = number.amount
        # The mode only counts together with an amount.
        if number.amount or number.known_amount:
            if number.mode != (number.known_mode or False):
                difference["mode"] = number.mode
        if number.mode == "flexible" and number.max_amount:
            if compare(number.max_amount, number.known_max_amount):
                difference["max_amount"] = number.max_amount
        if number.description and number.description != number.known_description:
            difference["description"] = number.description
        return difference

    def _why_not_asked(self, number, values):
        """Return why phones would not take what these values ask, as a sentence."""
        amount = values.get("amount", number.amount)
        mode = values.get("mode", number.mode)
        taken = number._mode_on_phones(mode)
        if mode == taken and not number._cannot_ask({"amount": amount}):
            return ""
        if taken == "exact":
            return number.env._(
                "Control number %(number)s was imported: Odoo does not change it at "
                "ClickPesa, so phones take exactly %(amount)s and nothing else. Close "
                "it and get the customer another number.",
                number=number.display_number,
                amount=number.currency_id.format(number.known_amount),
            )
        return number.env._(
            "Control number %s is imported or was made offline: Odoo does not change "
            "it at ClickPesa, so phones go on to take any amount. Let payers pay any "
            "amount, or close it and get the customer a registered number.",
            number.display_number,
        )

    def _rank(self, difference):
        """Return the place in ``RANKS`` of what ClickPesa lacks of a known number."""
        return RANKS.index("text" if difference.keys() == {"description"} else "change")

    def _send_change(self, number, client, tries):
        """Send one PATCH with exactly what differs.

        :return: whether ClickPesa answered
        :raise ClickPesaError: trouble of the application, not of this number
        """
        name, difference = number.name, self._difference(number)
        end_transaction(number.env)
        refusal = None
        try:
            if difference:
                client.update_number(name, **difference)
        except Refused as error:
            if error.application_wide:
                raise
            # What is not there takes no money, which may be all that was wanted.
            gone = isinstance(error, NotFound)
            refusal = None if gone and difference == {"active": False} else error
            if gone and refusal and self._is_missing(name, client):
                committed(number.env, self._store_gone, number, tries)
                return True
        except ValueError as error:
            refusal = Refused(str(error))
        if refusal:
            committed(number.env, self._store_trouble, number, refusal, tries)
        else:
            committed(number.env, self._store_known, number, difference, tries)
        return bool(difference)

    def _is_missing(self, name, client):
        """Tell whether ClickPesa does not have a number, whatever it says of changes.

        :raise ClickPesaError: trouble of the application, not of this number
        """
        try:
            client.get_number(name)
        except NotFound:
            return True
        except Refused as error:
            if error.application_wide:
                raise
        return False

    # === BUSINESS METHODS === #

    def _sync_with_others(self, number, patience):
        """Register this number now; a crowd at this process shares the calls.

        :param float patience: seconds
        :return: as ``_sync_now`` for one; all of it is "" when nobody came to it
        :rtype: dict
        """
        with _lock:
            registrar = _registrars.setdefault(
                number.env.cr.dbname, Registrar(_register, self._bulk_limit, CALLS)
            )
        outcome = registrar(number.env, (number.id, patience), patience)
        # Not read: it may have been made after the caller's snapshot.
        unknown = dict.fromkeys(("name", "state", "error", "problem"), "")
        return outcome or {**unknown, "obstacle": "unknown"}

    def _still_leased(self, numbers, tries):
        """Keep the rows that nobody else has taken since we leased them.

        A worker that is slower than its lease finds its rows settled by another one:
        what it learned is old then, and acting on it would harm.
        """
        numbers.invalidate_recordset()
        # What others do with them is read at once, too.
        leased = numbers.search_fetch(
            [("id", "in", numbers.ids), ("sync_at", "!=", False)], self._facts
        )
        return numbers.filtered(
            lambda number: number in leased and number.sync_attempts == tries[number.id]
        )

    def _renew_lease(self, numbers, tries):
        """Lease once more before a further call; tell whether the row is still ours."""
        leased = self._still_leased(numbers, tries)
        until = fields.Datetime.now() + timedelta(seconds=LEASE)
        self._quiet(leased).sync_at = until
        return bool(leased)

    def _quiet(self, numbers):
        return numbers.with_context(tracking_disable=True)

    def _store_created(self, records, requests, tries):
        """ClickPesa has these numbers: as sent now, or as an earlier try left them.

        :param dict requests: ``NumberRequest`` or ``NumberReply`` of each id
        """
        numbers = self._still_leased(records, tries)
        now = fields.Datetime.now()
        for number in self._quiet(numbers):
            there = requests[number.id]
            number.write(
                {
                    "state": "open" if number.state == "pending" else number.state,
                    "confirmed_at": now,
                    "known_active": getattr(there, "active", None) is not False,
                    "known_amount": there.amount or 0,
                    "known_mode": there.mode or False,
                    "known_max_amount": there.max_amount or 0,
                    "known_description": there.description or False,
                    **SETTLED,
                }
            )
        numbers._schedule_if_different()
        self.env["billpay.gate"]._answered(records.provider_id)
        # A run ends with its last number, not at the next full minute; and what waits
        # to be sent goes.
        records.env["billpay.run"]._wake_running()
        records.env["account.move.send"]._billpay_wake_queue(numbers)

    def _store_collision(self, numbers, tries):
        """These digits are taken by somebody else: take the next ones."""
        number = self._still_leased(numbers, tries)
        if not number:
            return
        numbering, provider = self.env["billpay.numbering"], number.provider_id
        number.collisions += 1
        try:
            if number.collisions > 1:
                numbering._leap(provider, number.collisions)
            (reference,) = numbering._next_references(provider, 1)
        except NumberSpaceExhausted as error:
            # Of this number alone: what has its digits is registered all the same.
            self._store_trouble(number, Refused(str(error)), tries)
            return
        text = numbers.env._(
            "The number %(taken)s was already in use at ClickPesa. Control number "
            "%(name)s replaces it.",
            taken=number.name,
            name=reference,
        )
        self._take_digits({number: (reference, text)})

    def _store_known(self, numbers, difference, tries):
        """ClickPesa has taken over these changes."""
        known = {f"known_{key}": value for key, value in difference.items()}
        if difference.get("mode") == "exact":
            # The exact mode takes the maximum away (ClickPesa docs, "Update").
            known["known_max_amount"] = 0
        number = self._still_leased(numbers, tries)
        if difference:
            # What takes a change at this place is there, wherever it was made.
            known["known_at"] = number.provider_id.billpay_place
        self._quiet(number).write({**known, **SETTLED})
        number._schedule_if_different()
        # A payer of the rest is told when the number can be paid, not before.
        self.env["billpay.pay.page"]._tell_payers(number)

    def _store_gone(self, records, tries):
        """ClickPesa had these numbers and has them no more."""
        numbers = self._still_leased(records, tries)
        self._register_again(numbers)
        for number in numbers:
            number._message_log(
                body=number.env._(
                    "ClickPesa does not know this number any more, as after a move "
                    "from the sandbox to production. Odoo registers it again under the "
                    "same digits; until then nobody can pay it."
                )
            )

    def _take_others(self, refused):
        """Register refused numbers under other digits."""
        numbering = self.env["billpay.numbering"]
        for provider, numbers in refused.grouped("provider_id").items():
            references, taken = numbering._next_references(provider, len(numbers)), {}
            for number, reference in zip(numbers, references, strict=True):
                text = self.env._(
                    "Control number %(name)s replaces %(old)s, which ClickPesa "
                    "refused. Payments sent to the old number appear under BillPay "
                    "Payments, Unmatched.",
                    name=reference,
                    old=number.name,
                )
                taken[number] = reference, text
            self._take_digits(taken, state="pending")
        if refused:
            self.env["payment.provider"]._billpay_trigger("ir_cron_sync_numbers")

    def _take_digits(self, taken, **values):
        """Register numbers anew, under other digits.

        :param dict taken: of each number the digits, and a text that keeps the old
            ones findable: somebody may have copied them
        """
        values.update(
            sync_at=fields.Datetime.now(),
            digits_at=fields.Datetime.now(),
            # Of new digits ClickPesa cannot know anything.
            sync_rank=0,
            sync_attempts=0,
            sync_error=False,
            sent=False,
        )
        bodies = {}
        for number, (reference, text) in taken.items():
            number.with_context(tracking_disable=True).write(
                {"name": reference, **values}
            )
            bill = number.move_id or number
            bodies.setdefault(bill._name, {})[bill.id] = text
        for model, texts in bodies.items():
            self.env[model].browse(texts)._message_log_batch(bodies=texts)

    def _register_again(self, numbers):
        """Have ClickPesa make these numbers once more, under the same digits."""
        for number in self._quiet(numbers):
            item = {
                "amount": number.known_amount,
                "description": number.known_description or "",
            }
            sent = number.sent or []
            number.write(
                {
                    "state": "pending" if number.state == "open" else number.state,
                    "confirmed_at": False,
                    "known_at": False,
                    "known_active": False,
                    "known_amount": 0,
                    "known_mode": False,
                    "known_max_amount": 0,
                    "known_description": False,
                    # Should it be there after all, it is ours.
                    "sent": sent if item in sent else [*sent, item],
                    "sync_at": fields.Datetime.now(),
                    "sync_rank": RANKS.index("creation"),
                    # A payer may have it: it never goes with its invoice.
                    "sync_attempts": 1,
                    "sync_error": False,
                }
            )

    def _store_trouble(self, records, error, tries):
        """Note why ClickPesa does not have what we want, and when to try again.

        Trouble of the application lets all its numbers wait; a refusal concerns
        these numbers only. A spent budget was no try: nothing was sent.
        """
        numbers = self._still_leased(records, tries)
        until = None
        if isinstance(error, BudgetSpent) and records[:1]._is_known():
            # What waits for a change leaves the other calls to new numbers.
            wait = timedelta(seconds=error.retry_after or 1)
            until = fields.Datetime.now() + wait
            self.env["payment.provider"]._billpay_trigger(
                "ir_cron_sync_numbers", at=until
            )
        elif not isinstance(error, Refused) or error.application_wide:
            until = records.env["billpay.gate"]._pause(records.provider_id, error)
        for number in self._quiet(numbers):
            values = {"sync_error": error.message}
            if until:
                values["sync_at"] = until
                if isinstance(error, BudgetSpent):
                    values["sync_attempts"] = max(number.sync_attempts - 1, 0)
            elif number._is_known():
                pause = timedelta(seconds=pause_after(number.sync_attempts))
                values["sync_at"] = fields.Datetime.now() + pause
            else:
                values["sync_at"] = False
                if number.state == "pending":
                    values["state"] = "failed"
            number.write(values)
            if values.get("state") == "failed":
                self._tell_refusal(number, error.message)
        _logger.info(
            "%s control number(s) not synchronised: %s", len(numbers), error.message
        )

    def _tell_refusal(self, number, reason):
        """Note a refusal in the chatter and ask the responsible user to act."""
        bill = number.move_id or number
        user = number.company_id._billpay_person_in_charge(
            number.move_id.invoice_user_id, bill.create_uid
        )
        env = number.with_context(lang=user.lang or number.env.lang).env
        text = env._(
            "ClickPesa refused the control number %(name)s: %(reason)s The bill is "
            "valid, but cannot be paid by control number yet. Correct the cause and "
            "press Retry, or press Take Another Number.",
            name=number.name,
            # ClickPesa's own words end without a full stop, ours have one.
            reason=reason.rstrip(" .") + ".",
        )
        bill._message_log(body=text)
        if number.refusal_activity_id.active:
            number.refusal_activity_id.note = text
            return
        # Quietly: an application that is set up wrongly would send a mail per bill.
        quiet = bill.with_context(mail_activity_quick_update=True)
        number.refusal_activity_id = quiet.activity_schedule(
            "mail.mail_activity_data_warning",
            summary=env._("Control number %s was refused", number.name),
            note=text,
            user_id=user.id,
        )

    def _claim(self, ids=None, down=None, even_paused=None):
        """Lease up to 50 due numbers that one call can serve, and commit.

        An application in trouble gets one call per pause: whoever claims for it
        prolongs the pause until the outcome of that call is stored.

        :param ids: only these, but never one that another worker has leased
        :param dict down: from which rank on to leave out numbers, by the id of their
            application
        :param bool even_paused: do not wait for a pause of the number or of its
            application to end; by default true for a click, which names ``ids``
        :return: the leased numbers: all to be created, of one application and kind,
            or one number to be changed; empty when nothing is due
        """
        if even_paused is None:
            even_paused = ids is not None
        return committed(self.env, self._claim_once, ids, down or {}, even_paused)

    def _claim_once(self, ids, down, even_paused):
        self.env.flush_all()
        numbers, providers = (
            self.env["billpay.control.number"],
            self.env["payment.provider"],
        )
        now = fields.Datetime.now()
        lease = now + timedelta(seconds=LEASE)
        furthest = now + timedelta(seconds=FURTHEST_PAUSE)
        # A leased row has no error, a row in a pause has one.
        wanted = SQL(
            "(n.sync_at <= %s OR n.sync_at > %s"
            " OR n.sync_at > %s AND n.sync_error IS NULL"
            " OR %s AND n.sync_at IS NOT NULL AND n.sync_error IS NOT NULL)",
            now,
            furthest,
            now + FURTHEST_LEASE,
            even_paused,
        )
        if ids is not None:
            wanted = SQL("n.id = ANY(%s) AND %s", list(ids), wanted)
        first = self.env.execute_query(
            SQL(
                """
                    SELECT n.provider_id, n.kind, n.confirmed_at IS NULL,
                           p.billpay_trouble_count > 0
                      FROM billpay_control_number n
                      JOIN payment_provider p ON p.id = n.provider_id
                     WHERE %s AND p.code = 'clickpesa' AND %s
                       AND NOT EXISTS (
                           SELECT FROM unnest(%s::int[], %s::int[]) AS down (id, rank)
                            WHERE down.id = p.id AND n.sync_rank >= down.rank)
                       AND (%s OR COALESCE(p.billpay_paused_until <= %s
                                           OR p.billpay_paused_until > %s, TRUE))
                  ORDER BY n.sync_rank, n.sync_at, n.id
                     LIMIT 1
                       FOR NO KEY UPDATE OF n SKIP LOCKED
                    """,
                wanted,
                providers._billpay_on_sql("p"),
                list(down),
                list(down.values()),
                even_paused,
                now,
                furthest,
            )
        )
        if not first:
            return numbers
        provider_id, kind, new, in_trouble = first[0]
        provider = providers.browse(provider_id)
        # That it is on, the question above said.
        if not provider._billpay_is_real():
            return numbers
        if in_trouble and not even_paused:
            self.env["billpay.gate"]._probe(provider, lease)
        rows = self.env.execute_query(
            SQL(
                """
                    UPDATE billpay_control_number
                       SET sync_at = %s, sync_error = NULL,
                           sync_attempts = COALESCE(sync_attempts, 0) + 1
                     -- Once and for all, not per row: a plan could pass the limit.
                     WHERE id = ANY(ARRAY(
                           SELECT n.id FROM billpay_control_number n
                            WHERE %s AND n.provider_id = %s AND n.kind = %s
                              AND (n.confirmed_at IS NULL) = %s
                         ORDER BY n.sync_rank, n.sync_at, n.id
                            LIMIT %s
                              FOR NO KEY UPDATE SKIP LOCKED))
                 RETURNING id
                    """,
                lease,
                wanted,
                provider_id,
                kind,
                new,
                self._bulk_limit if new else 1,
            )
        )
        numbers.invalidate_model(["sync_at", "sync_attempts", "sync_error"])
        return numbers.browse(sorted(row[0] for row in rows))

    def _sync_claimed(self, numbers, person=False):
        """Make the call for leased numbers and store its outcome.

        :param bool person: somebody waits for it
        :return: ``None``, or from which rank on nothing goes to the application now
        """
        tries = {number.id: number.sync_attempts for number in numbers}
        provider = numbers.provider_id
        # One call shows whether the trouble is over; repeats only cost time.
        patience = 0 if provider.billpay_trouble_count else None
        trouble, rank = None, self._rank_now(numbers[0])
        try:
            share = "person" if person else RANKS[rank]
            client = provider._billpay_client(patience=patience, share=share)
            if numbers[0]._is_known():
                answered = self._send_change(numbers, client, tries)
            else:
                answered = self._send_creation(numbers, client, tries)
        except ClickPesaError as error:
            trouble = error
        except UserError as error:
            trouble = Unavailable(str(error))
        if trouble:
            committed(self.env, self._store_trouble, numbers, trouble, tries)
        elif answered:
            committed(self.env, self.env["billpay.gate"]._answered, provider)
        if trouble:
            return rank if isinstance(trouble, BudgetSpent) else 0
        return None

    def _rank_now(self, number):
        difference = self._difference(number)
        return self._rank(difference) if number._is_known() else 0

    def _sync_now(self, numbers, patience=CLICK_PATIENCE, even_paused=True):
        """Make the outstanding calls for these numbers now, for a waiting person.

        Runs in its own transactions; the caller's transaction sees nothing of it.
        Each number is tried once; what one is refused does not stop the others. A
        number that a worker has leased is waited for.

        :param float patience: seconds to wait for a worker
        :param bool even_paused: ask even an application in trouble
        :return: ``{id: {"name": str, "state": str, "error": str, "off": str,
            "obstacle": str, "problem": str}}`` afterwards, for the numbers that are
            committed; ``off``: why the application makes no calls, where a number
            cannot be paid for that
        :rtype: dict
        """
        deadline = time.monotonic() + patience
        with own_transaction(numbers.env(su=True)) as env:
            sync, numbers = env[self._name], numbers.with_env(env)
            committed(env, sync._make_due, numbers)
            left, down = numbers, {}
            while left and (claimed := sync._claim(left.ids, down, even_paused)):
                provider = claimed.provider_id
                rank = sync._sync_claimed(claimed, person=even_paused)
                if rank is not None:
                    down[provider.id] = 0
                # Once more only if the call led to another one: new digits, a change.
                led_on = Domain("sync_error", "=", False) & Domain(
                    "sync_at", "!=", False
                )
                left -= claimed - claimed.search(
                    Domain("id", "in", claimed.ids) & led_on
                )
                if time.monotonic() > deadline:
                    break
            numbers.invalidate_recordset()
            while time.monotonic() < deadline and sync._leased_elsewhere(left):
                time.sleep(0.1)
                end_transaction(env)
                env.invalidate_all()
            return sync._outcomes(numbers)

    def _outcomes(self, numbers):
        """Return what became of these, as ``_sync_now`` says, in one query if all can
        be paid."""
        gate, nothing = self.env["billpay.gate"], dict.fromkeys(("error", "off"), "")
        chosen = Domain("id", "in", numbers.ids)
        payable = numbers.search_fetch(
            chosen & self.env["billpay.payable"]._domain(), ["name", "state"]
        )
        outcomes = {
            number.id: {
                **nothing,
                "name": number.name,
                "state": number.state,
                "obstacle": "",
                "problem": "",
            }
            for number in payable
        }
        for number in (numbers - payable).exists():
            outcomes[number.id] = {
                "name": number.name,
                "state": number.state,
                "error": self._why_not_called(number),
                "off": gate._refusal(number.provider_id),
                "obstacle": (obstacle := number._obstacle()),
                "problem": number._problem_text() if obstacle else "",
            }
        return outcomes

    def _make_due(self, numbers):
        """Refused numbers get another try when somebody waits for them."""
        refused = Domain("id", "in", numbers.ids)
        refused &= Domain("state", "=", "failed") & Domain("origin", "=", "api")
        numbers.search(refused).write(
            {"state": "pending", "sync_at": fields.Datetime.now()}
        )

    def _leased_elsewhere(self, numbers):
        if not numbers:
            return numbers
        now = fields.Datetime.now()
        leased = Domain("id", "in", numbers.ids) & Domain("state", "=", "pending")
        leased &= Domain("sync_error", "=", False) & Domain("sync_at", ">", now)
        leased &= Domain("sync_at", "<=", now + FURTHEST_LEASE)
        return numbers.search(leased).filtered(
            lambda n: n.provider_id._billpay_may_call()
        )

    def _why_not_called(self, number):
        provider = number.provider_id
        if number.state == "pending" and not provider._billpay_may_call():
            return number.env._(
                "The ClickPesa application %s is switched off.", provider.name
            )
        paused = number.state == "pending" and provider._billpay_is_paused()
        return number.sync_error or (paused and provider.billpay_trouble) or ""

    def _sync_numbers(self):
        """Synchronise all due numbers with ClickPesa."""
        cron, numbers = self.env["ir.cron"], self.env["billpay.control.number"]
        down = {}
        while claimed := self._claim(down=down):
            provider = claimed.provider_id
            rank = self._sync_claimed(claimed)
            if rank is not None:
                # An application that does not answer does not hold up the others, and
                # what may have no more calls not what comes before it.
                down[provider.id] = rank
            now = fields.Datetime.now()
            waiting = Domain.AND(
                Domain("provider_id", "!=", app) | Domain("sync_rank", "<", rank)
                for app, rank in down.items()
            )
            remaining = numbers.search_count(
                [
                    *waiting,
                    ("sync_at", "<=", now),
                    *self.env["payment.provider"]._billpay_on_domain("provider_id."),
                    *~self.env["billpay.gate"]._paused_domain("provider_id."),
                ]
            )
            if not cron._commit_progress(len(claimed), remaining=remaining):
                break
