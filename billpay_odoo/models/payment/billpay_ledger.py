# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The ledger: one upsert for webhook, query, poll, typed receipts and imports.

Whose money is it? One merchant may have several applications, or share one. A payment
may be filed where it does not belong until ClickPesa, or the number, tells better. It
then moves, as long as nothing was decided about it: a second row would count the same
money twice.
"""

import logging
from datetime import timezone

import psycopg2.errors

from odoo import fields, models
from odoo.exceptions import ConcurrencyError
from odoo.fields import Domain
from odoo.tools import SQL, mute_logger

from ... import const
from ...const import ENTERED
from ...identity import number_key, number_spellings, without_our_names
from ...transactions import CONFLICTS

_logger = logging.getLogger(__name__)


def _naive(moment):
    """Odoo keeps moments in UTC without saying so."""
    return moment.astimezone(timezone.utc).replace(tzinfo=None) if moment else False


class BillpayLedger(models.AbstractModel):
    """Write ClickPesa payments into the ledger, from any source, once each."""

    _name = "billpay.ledger"
    _description = "BillPay Ledger"

    # === THE ONE UPSERT === #

    def _upsert(self, provider, told_list, *, source, trusted):
        """Write payments into the ledger, whoever tells of them.

        :param payment.provider provider: the application they belong to
        :param list told_list: ``clickpesa.Payment`` objects that have an ``id``
        :param str source: "webhook", "query" (asked for this one), "poll", or with a
            person behind it "typed" or "import"
        :param bool trusted: told by ClickPesa itself (a query or a verified
            signature) or by an accountant, not by anybody who knows the webhook
            address
        :return: the rows, in the order of ``told_list``
        :raise ConcurrencyError: another transaction has just stored one of them;
            to be run again on a fresh snapshot
        """
        self = self.sudo()
        entered = source in ENTERED
        if not entered:
            told_list = [without_our_names(told) for told in told_list]
        # A signature says nothing about what other applications hold.
        asked = trusted and source != "webhook"
        owners = {
            told: provider if entered else self._owner(provider, told, asked)
            for told in told_list
        }
        # One application's key says nothing about the money of another.
        believed = {
            told
            for told, owner in owners.items()
            if trusted and (source != "webhook" or owner == provider)
        }
        known = self.env["billpay.receipt"]._find_told(owners, believed, entered)
        now = fields.Datetime.now()
        seen = {"webhook_at" if source == "webhook" else "poll_at": now}
        if entered:
            user = self.env.uid
            seen = {"entered_at": now, "entered_by_id": user, "entered_how": source}
        rows, stored = [], {}
        for told, owner in owners.items():
            payment = stored.get((owner, told.id)) or known.get(told)
            if not payment:
                extra = (
                    self.env["billpay.receipt"]._entered_values(told) if entered else {}
                )
                payment = self._insert_told(
                    owner, told, told in believed, {**seen, **extra}
                )
            elif entered:
                self.env["billpay.receipt"]._update_entered(payment, told, seen)
            else:
                if told in believed:
                    self.env["billpay.receipt"]._adopt(payment, told)
                self._update_told(payment, told, told in believed, seen)
            stored[owner, told.id] = payment
            rows.append(payment.id)
        return self.env["billpay.payment"].browse(rows)

    def _upsert_each(self, provider, told_list, *, source, trusted):
        """The same, but one payment that cannot be stored stops only itself.

        :return: the rows, and the ids of payments that could not be stored
        :rtype: tuple
        """
        rows, failures = self.env["billpay.payment"].browse(), []
        for told in told_list:
            try:
                with self.env.cr.savepoint():
                    rows |= self._upsert(
                        provider, [told], source=source, trusted=trusted
                    )
            except CONFLICTS:
                raise
            except Exception:
                _logger.exception("Payment %s could not be stored.", told.id)
                failures.append(told.id)
        return rows, failures

    def _insert_told(self, provider, told, trusted, seen):
        values = {
            "provider_id": provider.id,
            "reference": told.id,
            **self._facts(self.env["billpay.payment"], told, provider),
            # Only ClickPesa's own word has a date that counts: a forged one far in the
            # future would make every true answer look like old news.
            **({} if trusted else {"told_at": False}),
            **seen,
            **self._state_told(told, trusted),
        }
        try:
            with self.env.cr.savepoint(), mute_logger("odoo.sql_db"):
                return (
                    self.env["billpay.payment"]
                    .with_context(tracking_disable=True, mail_create_nolog=True)
                    .create(values)
                )
        except psycopg2.errors.UniqueViolation:
            # Stored a moment ago; our snapshot will never show it.
            raise ConcurrencyError(
                "payment %s was stored by another transaction" % told.id
            ) from None

    def _update_told(self, payment, told, trusted, seen):
        """Learn more of a payment that is already here; never book it again."""
        payment.ensure_one()
        values = {name: moment for name, moment in seen.items() if not payment[name]}
        if trusted and not self._is_old_news(payment, told):
            values.update(self._learn(payment, told))
        elif (
            payment.state == "ignored"
            and not told.is_failed
            and not payment.ignored_by_id
        ):
            # It had failed; somebody says that it came through after all: ask.
            values.update(self._state_told(told, trusted=False))
        elif (
            payment.state == "received"
            and told.is_paid
            and told.status != payment.status
            and not self._is_old_news(payment, told)
        ):
            # It had not come yet; somebody says that now it has: ask at once.
            values["next_try_at"] = fields.Datetime.now()
        changed = {
            name: value
            for name, value in values.items()
            if (payment._fields[name].convert_to_write(payment[name], payment) or False)
            != (value or False)
        }
        if changed:
            payment.write(changed)

    def _is_old_news(self, payments, told):
        """Deliveries may come out of order: a later word of ClickPesa stands."""
        return bool(
            told.updated_at
            and payments.told_at
            and _naive(told.updated_at) < payments.told_at
        )

    def _learn(self, payments, told):
        """Return what a trusted word changes about this payment."""
        if payments.state in ("posted", "reversed") or payments.account_payment_ids:
            return self._learn_booked(payments, told)
        facts = self._facts(payments, told, payments.provider_id)
        same_money = (
            facts["amount"] == payments.amount
            and facts["currency_id"] == payments.currency_id.id
            and facts["number"] == (payments.number or "")
        )
        if payments.ignored_by_id:
            return facts
        if payments.undone_at and told.is_paid:
            # A person took its match apart: only a person matches it again.
            return facts
        if told.is_paid and same_money:
            if payments.state in ("confirmed", "failed"):
                return facts
            if payments.state == "unmatched" and not payments.env[
                "billpay.matching"
            ]._find_control_number(payments):
                return facts
        state = self._state_told(told, trusted=True)
        if payments.state == state["state"] == "received":
            # It keeps the turn that it was given, else it would be asked without end.
            state.pop("next_try_at")
        return {**facts, **state}

    def _learn_booked(self, payments, told):
        """The books stand; the worker takes out of them what went back afterwards."""
        values = {"status": told.status, "message": told.message}
        if told.updated_at:
            values["told_at"] = _naive(told.updated_at)
        if (
            told.is_paid
            and payments.state == "posted"
            and self._is_other_amount(payments, told)
        ):
            values["attention"] = True
            values["reason"] = payments.env._(
                "ClickPesa now tells of %(told)s, but %(booked)s is booked. The books "
                "were not changed: compare with the ClickPesa dashboard, and correct "
                "the entry with the button Payment.",
                told=payments.currency_id.format(float(told.amount)),
                booked=payments.currency_id.format(payments.amount),
            )
        if payments.status == told.status:
            return values
        if payments.state == "reversed":
            if told.is_paid:
                values["attention"] = True
                values["reason"] = payments.env._(
                    "ClickPesa says that this money came after all (%s), but its entry "
                    "is reversed. Compare with the ClickPesa dashboard and book it by "
                    "hand.",
                    told.status,
                )
        elif told.is_reversed or told.is_failed:
            values["attention"] = True
            values["next_try_at"] = fields.Datetime.now()
            values["attempts"] = 0
            values["reason"] = payments.env._(
                "ClickPesa took this money back (%s). The entry still stands: reverse "
                "the payment, then the invoice is open again.",
                told.status,
            )
        return values

    def _is_other_amount(self, payments, told):
        """Tell whether another amount than the booked one is told, as news.

        News is ClickPesa's first answer about it, and another status: what a person
        has looked at is not brought up again by each poll.
        """
        return (
            (not payments.poll_at or told.status != payments.status)
            and told.amount is not None
            and bool(
                payments.currency_id.compare_amounts(
                    float(told.amount), payments.amount
                )
            )
        )

    def _facts(self, payments, told, provider):
        """Return what was told, as field values."""
        currency = payments.env["res.currency"]
        if told.currency in ("", const.CURRENCY):
            currency = payments.env.ref("base.TZS")
        channel = payments.env["billpay.channel"]._find_by_code(
            told.channel, provider.company_id
        )
        return {
            "status": told.status,
            "message": told.message,
            "receipt": told.receipt,
            "number": told.reference,
            "amount": float(told.amount or 0),
            "currency_code": told.currency,
            "currency_id": currency.id,
            "channel_code": told.channel,
            "channel_id": channel.id,
            "payer_name": told.payer_name,
            "payer_phone": told.payer_phone,
            "paid_at": _naive(told.created_at or told.updated_at)
            or payments.paid_at
            or fields.Datetime.now(),
            "told_at": _naive(told.updated_at) or payments.told_at,
        }

    def _state_told(self, told, trusted):
        """Return the state in which a payment told like this enters the ledger."""
        now = fields.Datetime.now()
        if not trusted and not told.is_failed:
            return {
                "state": "received",
                "reason": self.env._("Waiting for ClickPesa to confirm it."),
                "next_try_at": now,
            }
        if told.is_failed:
            return {
                "state": "ignored",
                "attention": False,
                "reason": self.env._("The payment failed at ClickPesa: no money came."),
                "next_try_at": False,
            }
        if told.is_reversed:
            return {
                "state": "ignored",
                "attention": False,
                "reason": self.env._("ClickPesa gave the money back to the payer."),
                "next_try_at": False,
            }
        if not told.is_paid:
            return {
                "state": "received",
                "reason": self.env._(
                    "ClickPesa has not finished this payment yet (%s).", told.status
                ),
                "next_try_at": now,
            }
        confirmed = {
            "confirmed_at": now,
            "attempts": 0,
            "next_try_at": False,
            "attention": False,
        }
        trouble = self._why_not_bookable(told)
        if trouble:
            return {**confirmed, "state": "unmatched", "reason": trouble}
        return {**confirmed, "state": "confirmed", "reason": False}

    def _why_not_bookable(self, told):
        """Return why a paid payment cannot be booked as it was told, or ""."""
        if told.amount is None or told.amount <= 0:
            return self.env._(
                "ClickPesa gave no amount that can be booked. Compare with the "
                "ClickPesa dashboard and book it by hand."
            )
        if told.currency not in ("", const.CURRENCY):
            return self.env._(
                "ClickPesa reports the currency %s, but control numbers collect TZS. "
                "Nothing was booked: compare with the ClickPesa dashboard.",
                told.currency,
            )
        return ""

    # === LATE BINDING === #

    def _bind_forgotten(self):
        """Let payments be booked whose number appeared unseen.

        A number that is committed while a worker books does not see a payment that
        this worker is leaving unmatched, and the worker does not see the number. Nor
        does a number wake anybody that ClickPesa confirms after it was closed, or that
        gets its customer later. So this looks again, whatever the reason.

        The cost grows with unmatched payments, not with numbers.

        :return: the payments that the worker is woken for
        """
        self.env["billpay.control.number"].flush_model()
        self.env["billpay.payment"].flush_model()
        sent = self.env.execute_query(
            SQL(
                """
                    SELECT provider_id, array_agg(DISTINCT number) FROM billpay_payment
                     WHERE state = 'unmatched' AND number IS NOT NULL
                     GROUP BY provider_id
                    """
            )
        )
        numbers = self.env["billpay.control.number"].sudo()
        for provider_id, texts in sent:
            names = {name for text in texts for name in number_spellings(text)}
            numbers |= numbers.search(
                numbers._domain_of_keys(names)
                & Domain("provider_id", "=", provider_id)
                & Domain("confirmed_at", "!=", False)
                & (Domain("move_id", "!=", False) | Domain("partner_id", "!=", False))
            )
        found = self.env["billpay.payment"].browse()
        for group in numbers.grouped("provider_id").values():
            found |= self._bind_waiting(group)
        return found

    def _bind_waiting(self, numbers):
        """Let payments be booked that waited for these numbers to exist.

        Called when numbers have become payable. One indexed query for all of them, and
        one more when payments waited.

        :param numbers: control numbers
        :return: the payments that the worker is woken for
        """
        names = {number_key(number.name) for number in numbers if number.confirmed_at}
        if not names:
            return self.env["billpay.payment"].browse()
        self.env["billpay.payment"].flush_model()
        sent = self.env.execute_query(
            SQL(
                """
                    SELECT id, number FROM billpay_payment
                     WHERE state = 'unmatched' AND number IS NOT NULL
                       AND provider_id IN %s
                    """,
                tuple(numbers.provider_id.ids),
            )
        )
        ids = [i for i, text in sent if not names.isdisjoint(number_spellings(text))]
        if not ids:
            return self.env["billpay.payment"].browse()
        rows = self.env.execute_query(
            SQL(
                """
                    SELECT id FROM billpay_payment
                     WHERE id IN %s AND undone_at IS NULL
                       AND confirmed_at IS NOT NULL AND amount > 0
                       AND currency_id IS NOT NULL
                       -- A receipt that is booked and reported twice is for a person.
                       AND NOT EXISTS (
                           SELECT FROM billpay_payment AS other
                            WHERE other.provider_id = billpay_payment.provider_id
                              AND other.receipt_key = billpay_payment.receipt_key
                              AND other.id <> billpay_payment.id
                              AND other.posted_at IS NOT NULL
                              AND (other.confirmed_by_id IS NOT NULL
                                   OR billpay_payment.confirmed_by_id IS NOT NULL)
                       )
                    """,
                tuple(ids),
            )
        )
        waiting = self.env["billpay.payment"].sudo().browse(row[0] for row in rows)
        if waiting:
            waiting.with_context(tracking_disable=True).write(
                {"state": "confirmed", "reason": False, "next_try_at": False}
            )
            self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")
        return waiting

    # === BUSINESS METHODS === #

    def _owner(self, provider, told, trusted):
        """Return the application a payment belongs to.

        One merchant may have several applications, and the query API may tell one of
        the payments of the other.

        :param payment.provider provider: the application that is told
        :param bool trusted: ClickPesa itself tells, so what was filed elsewhere moves
        """
        # What names no application is of one that has the client ID of the teller.
        client_id = told.client_id or provider.sudo().clickpesa_client_id
        if not client_id:
            return provider
        sharing = (
            self.env["payment.provider"]
            .sudo()
            .search(
                [
                    ("code", "=", "clickpesa"),
                    ("clickpesa_client_id", "=", client_id),
                    ("clickpesa_base_url", "=", provider.clickpesa_base_url),
                ],
                order="id",
            )
        )
        owner = sharing[:1] or provider
        if not told.client_id and provider in sharing:
            owner = provider
        if len(sharing) > 1:
            # Companies that share one application: the number tells whose money it is.
            number = self.env["billpay.matching"]._find_control_number(
                self.env["billpay.payment"].new({"number": told.reference}), sharing
            )
            owner = number.provider_id or self._filed_with(told, sharing) or owner
        if trusted and (provider | sharing) - owner:
            return self._bring_home(told, provider | sharing, owner)
        return owner

    def _filed_with(self, told, providers):
        """Return the application among these that has the payment already."""
        return (
            self.env["billpay.payment"]
            .search(
                [
                    ("provider_id", "in", providers.ids),
                    ("reference", "=", told.id),
                    ("merged_into_id", "=", False),
                ],
                order="id",
                limit=1,
            )
            .provider_id
        )

    def _bring_home(self, told, providers, owner):
        """Move what these applications hold of a payment to its owner.

        :return: the owner; or another one, where the payment is decided about
        """
        rows = self.env["billpay.payment"].search(
            [
                ("provider_id", "in", providers.ids),
                ("reference", "=", told.id),
                ("merged_into_id", "=", False),
            ]
        )
        home = rows.filtered(lambda row: row.provider_id == owner)
        for stray in rows - home:
            if self._is_decided(stray):
                return stray.provider_id
            if home:
                self._merge_into_home(stray, home)
            else:
                self._move_home(stray, owner)
                home = stray
        return owner

    def _is_decided(self, payment):
        """Whether it is booked, or a person has had a hand in it."""
        payment.ensure_one()
        return bool(
            payment.account_payment_ids
            or payment.confirmed_by_id
            or payment.ignored_by_id
            or payment.undone_at
            or payment._is_persons_choice()
        )

    def _move_home(self, payment, owner):
        payment.ensure_one()
        was = payment.provider_id
        payment.write({"provider_id": owner.id, "control_number_id": False})
        payment._message_log(
            body=payment.env._(
                "It was announced to the application %(was)s and belongs to %(owner)s.",
                was=was.name,
                owner=owner.name,
            )
        )

    def _merge_into_home(self, payment, home):
        payment.ensure_one()
        payment.write(
            {
                "state": "ignored",
                "attention": False,
                "merged_into_id": home.id,
                "next_try_at": False,
                "reason": payment.env._(
                    "It was announced here and belongs to the application %s, where it "
                    "is: one payment, told twice.",
                    home.provider_id.name,
                ),
            }
        )
        payment.event_ids.write({"payment_id": home.id})
