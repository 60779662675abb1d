# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The ledger of payments: see docs/decisions/matching.rst."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from pytz import utc

from odoo import fields, models
from odoo.fields import Domain
from odoo.tools import SQL, format_datetime

from ... import const
from ...clickpesa.values import (
    FAILED,
    PAID,
    TAKEN_BACK,
    has_charges,
    is_gone,
    is_paid,
    status_key,
    status_kind,
)
from ...const import ENTERED
from ...identity import (
    MERGED_PREFIX,
    OUR_NAMES,
    number_key,
    number_spellings,
    told_names,
    without_our_names,
)
from ...transactions import CONFLICTS, taken, wake

_logger = logging.getLogger(__name__)


# A payment with one of these is booked, or a person has had a hand in it.
DECIDED = ("account_payment_ids", "confirmed_by_id", "ignored_by_id", "undone_at")


# Before, there was no BillPay; and clocks differ by minutes, not by more.
EARLIEST, AHEAD = datetime(2020, 1, 1), timedelta(minutes=10)
# Clocks that the network sets. More would let money that somebody else paid shortly
# before digits were given out pay their bill.
CLOCKS_DIFFER = timedelta(seconds=30)
# By what a payment is let into the books, besides its status.
GATE_FACTS = ("amount", "currency_id", "currency_code", "paid_at")


def _naive(moment):
    """Odoo keeps moments in UTC without saying so."""
    return moment.astimezone(timezone.utc).replace(tzinfo=None) if moment else False


def _possible(moment):
    """Return a moment (UTC, without zone) if it may be true, else False."""
    known = moment and EARLIEST <= moment <= fields.Datetime.now() + AHEAD
    return moment if known else False


class BillpayLedger(models.AbstractModel):
    """Write ClickPesa payments into the ledger, from any source, once each."""

    _name = "billpay.ledger"
    _description = "BillPay Ledger"

    def _upsert(self, provider, told_list, *, source, trusted):
        """Write payments into the ledger, whoever tells of them.

        :param payment.provider provider: the application they belong to
        :param list told_list: ``clickpesa.Payment`` objects that have an ``id``
        :param str source: "webhook", "query" (asked for this one), "poll", or with a
            person behind it "typed" or "import"
        :param bool trusted: told by ClickPesa itself (a query or a verified
            signature) or by an accountant
        :return: the rows, in the order of ``told_list``
        :raise ConcurrencyError: another transaction has just stored one of them;
            to be run again on a fresh snapshot
        """
        self = self.sudo()
        if source not in ENTERED:
            told_list = [
                without_our_names(told) if told.id.startswith(OUR_NAMES) else told
                for told in told_list
            ]
        told_list = [self._rounded(told) for told in told_list]
        found = {}
        for round_ in self._rounds(told_list):
            found.update(self._upsert_round(provider, round_, source, trusted))
        ids = dict.fromkeys(found[told].id for told in told_list)
        return self.env["billpay.payment"].browse(ids)

    def _currency_of(self, told):
        """Return the currency of what was told; none if it is not shillings."""
        currencies = self.env["res.currency"]
        if told.currency not in ("", const.CURRENCY):
            return currencies
        # Cached, while ``env.ref`` looks each time whether it is there.
        data = self.env["ir.model.data"]
        return currencies.browse(
            data._xmlid_to_res_id("base.TZS", raise_if_not_found=True)
        )

    def _rounded(self, told):
        """Return what was told with its amount as the ledger keeps it.

        Else a fraction of a cent would be an amount, or a change at each poll.
        """
        currency = self._currency_of(told)
        if told.amount is None or not currency:
            return told
        amount = Decimal(repr(currency.round(float(told.amount))))
        return told if amount == told.amount else replace(told, amount=amount)

    def _upsert_each(self, provider, told_list, *, source, trusted):
        """Write all at once; if that fails, each half for itself, down to the cause.

        :return: the rows, and the ids of payments that could not be stored
        """
        nothing = self.env["billpay.payment"]
        if not told_list:
            return nothing, []
        how = {"source": source, "trusted": trusted}
        try:
            with self.env.cr.savepoint():
                return self._upsert(provider, told_list, **how), []
        except CONFLICTS:
            raise
        except Exception:
            if len(told_list) == 1:
                _logger.exception("Payment %s could not be stored.", told_list[0].id)
                return nothing, [told_list[0].id]
        middle = len(told_list) // 2
        rows, failures = self._upsert_each(provider, told_list[:middle], **how)
        others, more = self._upsert_each(provider, told_list[middle:], **how)
        return rows | others, failures + more

    def _rounds(self, told_list):
        """Divide payments so that no round tells twice of an id or of a receipt."""
        if len(told_list) < 2:
            return [told_list]
        rounds, last = [], {}
        for told in told_list:
            keys = {("id", told.id), *told_names(told)}
            turn = 1 + max(last.get(key, -1) for key in keys)
            last.update(dict.fromkeys(keys, turn))
            rounds[turn:] = rounds[turn:] or [[]]
            rounds[turn].append(told)
        return rounds

    def _upsert_round(self, provider, told_list, source, trusted):
        """Write payments that are all different; return ``{told: row}``."""
        receipts = self.env["billpay.receipt"]
        entered = source in ENTERED
        if entered:
            owners = dict.fromkeys(told_list, provider)
        else:
            # A signature says nothing about what other applications hold.
            asked = trusted and source != "webhook"
            owners = self._owners(provider, told_list, asked, trusted)
        # One application's key says nothing about the money of another.
        believed = {
            told
            for told, owner in owners.items()
            if trusted and (source != "webhook" or owner == provider)
        }
        found = receipts._find_told(owners, believed, entered)
        numbers = self._numbers_of_unmatched(found)
        now = fields.Datetime.now()
        seen = {"webhook_at" if source == "webhook" else "poll_at": now}
        if entered:
            user = self.env.uid
            seen = {"entered_at": now, "entered_by_id": user, "entered_how": source}
        new = {}
        for told, owner in owners.items():
            if not (payment := found.get(told)):
                extra = receipts._entered_values(told) if entered else {}
                extra = {**seen, **extra}
                new[told] = self._new_values(owner, told, told in believed, extra)
            elif entered:
                receipts._update_entered(payment, told, seen)
            else:
                if told in believed:
                    if told.id != payment.reference:
                        receipts._adopt(payment, told)
                    if payment.unreported_at:
                        receipts._reported(payment)
                self._update_told(payment, told, told in believed, seen, numbers)
        # In the order in which they were paid, whoever tells: so two transactions
        # that store the same payments do not wait for each other.
        new = dict(sorted(new.items(), key=lambda n: (n[1]["paid_at"], n[0].id)))
        if new:
            found.update(zip(new, self._insert_told(list(new.values())), strict=True))
        return found

    def _numbers_of_unmatched(self, found):
        """Return the control numbers that unmatched payments would find now."""
        rows = self.env["billpay.payment"].union(*found.values())
        rows = rows.filtered(lambda p: p.state == "unmatched" and not p._is_held())
        return self._find_control_numbers(rows) if rows else {}

    def _new_values(self, provider, told, trusted, seen):
        """Return the values of a payment that is not here yet."""
        payments = self.env["billpay.payment"]
        values = {
            "provider_id": provider.id,
            "reference": told.id,
            **self._facts(payments, told, provider),
            **seen,
        }
        if not trusted:
            # Only ClickPesa's own word has a date that counts: a forged one far in
            # the future would make every true answer look like old news.
            values["told_at"] = False
        else:
            values.update(payments._question_after(told.status, values["paid_at"]))
        state, reason, how = self._turn_told(told, values, provider, payments, trusted)
        return payments._values_of_new(state, reason, **values, **how)

    def _insert_told(self, vals_list):
        payments = self.env["billpay.payment"].with_context(
            tracking_disable=True, mail_create_nolog=True
        )
        with taken("payments"):
            return payments.create(vals_list)

    def _update_told(self, payment, told, trusted, seen, numbers):
        """Learn more of a payment that is already here; never book it again."""
        seen = {name: moment for name, moment in seen.items() if not payment[name]}
        told_at, known = _possible(_naive(told.updated_at)), _possible(payment.told_at)
        # Deliveries may come out of order: a later word of ClickPesa stands.
        old = told_at and known and told_at < known
        if trusted and not old:
            seen.update(payment._question_after(told.status, payment.paid_at))
            if payment.state in ("posted", "reversed") or payment.account_payment_ids:
                self._learn_booked(payment, told, seen)
            else:
                self._learn(payment, told, seen, numbers)
        elif (
            payment.state == "ignored"
            and status_kind(told.status) != FAILED
            and not payment.ignored_by_id
        ):
            # It had failed; somebody says that it came through after all: ask.
            due, question = payment._next_question()
            payment._move_to(*self._announced(), due=due, **question, **seen)
        else:
            if payment._is_only_announced() and status_kind(told.status) == PAID:
                seen["status"] = told.status
            was = payment.status
            payment._write_changed(seen)
            # What nobody has proved changes nothing; ClickPesa is asked instead. An
            # old word that money came is no news.
            known = old and is_paid(told.status) and is_paid(was)
            if told.status != was and not known:
                payment._ask_soon()

    def _learn(self, payment, told, seen, numbers):
        """Write what a trusted word changes about a payment that is not booked."""
        facts = self._facts(payment, told, payment.provider_id)
        if self._is_settled(payment, told, facts, numbers):
            was = payment.status
            payment._write_changed({**seen, **facts})
            if payment.ignored_by_id and is_gone(told.status) and not is_gone(was):
                payment._flag(
                    payment.env._(
                        "%(was)s Since then ClickPesa reports it as %(status)s: if it "
                        "was put aside as another name of a booked payment, take that "
                        "one out of the books.",
                        was=payment.reason or "",
                        status=told.status,
                    )
                )
            return
        state, reason, how = self._turn_told(
            told, facts, payment.provider_id, payment, trusted=True
        )
        if payment.state == state == "received":
            # It keeps the turn that it was given, else it would be asked without end.
            how = {}
        payment._move_to(state, reason, **how, **seen, **facts)

    def _is_settled(self, payment, told, facts, numbers):
        """Tell whether a payment stays where it is, whatever is told."""
        if payment.ignored_by_id or status_kind(told.status) != PAID:
            return bool(payment.ignored_by_id)
        # Only a person matches again what a person took apart.
        if payment.undone_at and payment.state == "unmatched":
            return True
        return (
            facts["amount"] == payment.amount
            and facts["currency_id"] == payment.currency_id.id
            and facts["number"] == (payment.number or "")
            and (
                payment.state in ("confirmed", "failed")
                or (payment.state == "unmatched" and not numbers.get(payment))
            )
        )

    def _learn_booked(self, payment, told, seen):
        """The books stand; the worker takes out of them what went back afterwards."""
        env = payment.env
        facts = {**seen, "status": told.status, "message": told.message}
        if told.updated_at:
            facts["told_at"] = _possible(_naive(told.updated_at))
        paid = status_kind(told.status) == PAID
        news = status_key(told.status) != status_key(payment.status)
        if payment.state == "reversed":
            if news and paid:
                reason = env._(
                    "ClickPesa reports this payment as %s again, but its entry is "
                    "reversed. Compare with the ClickPesa dashboard and book it by "
                    "hand.",
                    told.status,
                )
                payment._flag(reason, **facts)
                self.env["billpay.reversal"]._call_people(payment, (), reason)
            else:
                payment._write_changed(facts)
            return
        if not paid:
            if news:
                self._doubt(payment, told.status, facts)
            else:
                payment._write_changed(facts)
            return
        if news and status_kind(payment.status) != PAID:
            self.env["billpay.reversal"]._end_doubt(payment, facts)
        if (
            payment.state == "posted"
            # What a person has looked at is not brought up again by each poll.
            and (news or not payment.poll_at)
            and told.amount is not None
            and payment.currency_id.compare_amounts(float(told.amount), payment.amount)
        ):
            reason = env._(
                "ClickPesa now reports %(told)s, but %(booked)s is booked. The books "
                "were not changed: compare with the ClickPesa dashboard, and correct "
                "the entry with the button Payment.",
                told=payment.currency_id.format(float(told.amount)),
                booked=payment.currency_id.format(payment.amount),
            )
            payment._flag(reason, **facts)
        else:
            payment._write_changed(facts)

    def _doubt(self, payment, status, facts):
        """Booked money, and a status that is not paid: the worker acts on it.

        It asks ClickPesa once more before it tells a person to do something.
        """
        reason = payment.env._(
            "ClickPesa now reports this payment as %s, but it is booked. The books are "
            "not changed yet: Odoo looks into it in the next minutes.",
            status or "?",
        )
        facts = {**facts, "attempts": 0}
        payment._flag(reason, due=fields.Datetime.now(), **facts)

    def _facts(self, payments, told, provider):
        """Return what was told, as field values."""
        channel = payments.channel_id
        if not channel or told.channel != payments.channel_code:
            channel = channel._find_by_code(told.channel, provider.company_id)
        paid_at = _naive(told.created_at or told.updated_at)
        told_at = _possible(payments.told_at)
        if told.updated_at:
            # One that cannot be would make every later word look like old news.
            told_at = _possible(_naive(told.updated_at))
        return {
            "status": told.status,
            "message": told.message,
            "receipt": told.receipt,
            "number": told.reference,
            "amount": float(told.amount or 0),
            "currency_code": told.currency,
            "currency_id": self._currency_of(told).id,
            "channel_code": told.channel,
            "channel_id": channel.id,
            "payer_name": told.payer_name,
            "payer_phone": told.payer_phone,
            # What cannot be is shown to a person; the day is the one it came.
            "paid_at": _possible(paid_at)
            or _possible(payments.paid_at)
            or fields.Datetime.now(),
            "paid_at_told": paid_at if paid_at and not _possible(paid_at) else False,
            "told_at": told_at,
        }

    # === THE GATE === #

    def _announced(self):
        return "received", self.env._("Waiting for ClickPesa to confirm it.")

    def _turn_told(self, told, facts, provider, payments, trusted):
        """Return where a payment told like this belongs: state, reason, more values."""
        if not trusted and status_kind(told.status) != FAILED:
            return *self._announced(), {"due": fields.Datetime.now()}
        return self._turn_by(told.status, facts, provider, payments)

    def _let_through(self, payments):
        """Return ``{payment: number}`` of those of these that may be booked.

        The others go where they belong.

        The one gate to the books, whichever way a payment took. ClickPesa's last word
        is *paid*; or ClickPesa said nothing, and a person vouches.
        """
        through = payments.browse()
        for payment in payments:
            state, reason, how = self._turn_of(payment)
            if state == "confirmed":
                through |= payment
            else:
                payment._move_to(state, reason, **how)
        return self._find_control_numbers(through)

    def _turn_of(self, payment):
        """Return the same of a payment by all that is known of it."""
        if not payment.confirmed_at:
            return *self._announced(), {"due": fields.Datetime.now()}
        vouched = "SUCCESS" if payment.confirmed_by_id else ""
        status = payment.status or vouched
        facts = {name: payment[name] for name in GATE_FACTS}
        return self._turn_by(status, facts, payment.provider_id, payment)

    def _turn_by(self, status, facts, provider, payments):
        """Return where this status leads: state, reason, more values.

        :param dict facts: at least ``GATE_FACTS``
        :param payments: the row, if there is one
        """
        env = self.env
        now = fields.Datetime.now()
        kind = status_kind(status)
        if kind == FAILED:
            reason = env._("The payment failed at ClickPesa. No money was received.")
            return "ignored", reason, {}
        if kind == TAKEN_BACK:
            reason = env._("ClickPesa refunded the payer.")
            news = status_key(status) != status_key(payments.status)
            # Charges are money too: a person hears of them, once.
            flagged = has_charges(status) and (news or payments.attention)
            how = {"flagged": flagged}
            return "ignored", self._with_charges(reason, status), how
        if kind != PAID:
            reason = env._(
                "ClickPesa has not finished this payment yet (%s).", status or "?"
            )
            return "received", reason, {"due": now}
        reason, start = False, provider.billpay_book_from
        early = start and facts["paid_at"] and facts["paid_at"] < start
        if not facts["currency_id"]:
            reason = env._(
                "ClickPesa reports the currency %s, but control numbers collect TZS. "
                "Nothing was booked: compare with the ClickPesa dashboard.",
                facts["currency_code"] or "?",
            )
        elif facts["amount"] <= 0:
            reason = env._(
                "ClickPesa reported no valid amount. Compare with the ClickPesa "
                "dashboard and book it by hand."
            )
        elif (
            not (early or payments.undone_at or payments.is_doubtful)
            or payments._is_persons_choice()
        ):
            pass
        elif payments.undone_at:
            # Its number counts for nothing, ever after.
            reason = payments._undone_reason()
        elif payments.is_doubtful:
            # Nothing that is said again decides it. Elsewhere its reason was another.
            reason = payments.state == "unmatched" and payments.reason
            reason = reason or env._(
                "It may be a payment that is known under another name, so it is not "
                "booked: its log says which. If it is the same payment, put it aside; "
                "if it is another payment, press Match."
            )
        else:
            zone = provider.company_id._billpay_tz().zone
            reason = env._(
                "Paid before %s, the moment from which on payments are booked (Book "
                "Payments From, on the application). It may be in your books already, "
                "so it is not booked automatically: press Match to book it, or Not "
                "Ours if it is booked.",
                format_datetime(env, start, tz=zone),
            )
        state = "unmatched" if reason else "confirmed"
        return state, reason, {"confirmed_at": now}

    def _with_charges(self, text, status):
        """Add to a text what ClickPesa keeps for taking money back."""
        if not has_charges(status):
            return text
        return self.env._(
            "%s ClickPesa keeps charges for it, which are not in the books yet: its "
            "statement shows them. Book them as an expense.",
            text,
        )

    # === WHICH NUMBER === #

    def _find_control_number(self, payment, provider):
        among = {payment: provider._billpay_of_merchant()}
        return self._find_control_numbers(payment, among)[payment]

    def _find_control_numbers(self, payments, among=None, younger=False):
        """Return ``{payment: number}`` with one search: by the digits, never by guess.

        Only numbers that a payer can have: digits that ClickPesa has not confirmed may
        be somebody else's there, and money that is older than the digits was paid for
        somebody else, as after a restored backup.

        :param dict among: the applications to look in, by payment; else all of its
            merchant, its own first
        :param bool younger: those that are too young for their money, instead
        """
        if among is None:
            merchant = {p: p._billpay_of_merchant() for p in payments.provider_id}
            among = {payment: merchant[payment.provider_id] for payment in payments}
        spelled = {payment: number_spellings(payment.number) for payment in payments}
        numbers = payments.env["billpay.control.number"]
        providers = payments.provider_id.union(*among.values())
        found = numbers.search(
            numbers._domain_of_keys({name for s in spelled.values() for name in s})
            & Domain("provider_id", "in", providers.ids)
            & Domain("confirmed_at", "!=", False)
        )
        known = {(n.provider_id, number_key(n.name)): n for n in found}
        result = {}
        for payment, names in spelled.items():
            keys = [(provider, name) for name in names for provider in among[payment]]
            hits = (known[key] for key in keys if key in known)
            hits = (n for n in hits if self._is_older(payment, n) == younger)
            result[payment] = next(hits, numbers)
        return result

    def _is_older(self, payment, number):
        """Tell whether money was there before the digits, so that it is not for them.

        The counter may count again to digits that somebody had before, as after a
        restored backup. Imported numbers have a life before their row.
        """
        if number.origin == "imported":
            return False
        # Who types a receipt names the number that is meant, and maybe a day only.
        paid_at = payment.entered_how != "typed" and payment.paid_at
        since = number.digits_at or number.create_date
        if not paid_at or paid_at >= since - CLOCKS_DIFFER:
            return False
        return paid_at + self._not_told_of(payment) <= since

    def _not_told_of(self, payment):
        """Return how much later than its moment a payment may have been made: files
        tell of many the minute only, of some the day."""
        paid_at, zone = payment.paid_at, payment.company_id._billpay_tz()
        if payment.entered_how != "import" or paid_at.second:
            return timedelta()
        at_midnight = not any(utc.localize(paid_at).astimezone(zone).timetuple()[3:6])
        return timedelta(days=1) if at_midnight else timedelta(minutes=1)

    def _why_no_number(self, payments):
        """Return ``{payment: (sentence, whether a person is called)}`` of these, whose
        number is not found."""
        found, reasons = self._find_control_numbers(payments, younger=True), {}
        for payment, number in found.items():
            env, digits = payment.env, number.display_number or payment.number or "?"
            reason = env._(
                "Control number %s does not exist in Odoo. The money is at ClickPesa "
                "and not booked.",
                digits,
            )
            if number:
                reason = env._(
                    "This money was paid before Odoo gave out the control number %s, "
                    "as after a restored backup, so it is not booked on its bill: "
                    "somebody else may have had these digits. Compare the payer with "
                    "the ClickPesa dashboard, then press Match and choose what it "
                    "pays.",
                    digits,
                )
            reasons[payment] = reason, bool(number)
        return reasons

    # === LATE BINDING === #

    def _bind_forgotten(self):
        """Wake the worker for payments whose number appeared unseen; return them.

        A number that is committed while a worker books does not see a payment that
        this worker is leaving unmatched, and the worker does not see the number. Nor
        does a number wake anybody that ClickPesa confirms after it was closed, or that
        gets its customer later. The cost grows with unmatched payments, not numbers.
        """
        payments = self.env["billpay.payment"].sudo()
        unmatched = payments.search([("state", "=", "unmatched")])
        # What the books learned meanwhile, as from a person who typed the receipt.
        self.env["billpay.receipt"]._link_all_booked(unmatched)
        unmatched = unmatched.filtered(lambda p: p.state == "unmatched" and p.number)
        numbers = self._find_control_numbers(unmatched) if unmatched else {}
        known = {
            p.id
            for p, n in numbers.items()
            if (n.move_id or n.partner_id)
            # Its person is told to enter it in the other company.
            and not (p._is_persons_word() and n.company_id != p.company_id)
        }
        return self._wake_bookable(payments.browse(known))

    def _bind_waiting(self, numbers):
        """Wake the worker for payments that waited for these control numbers."""
        names = {number_key(number.name) for number in numbers if number.confirmed_at}
        payments = self.env["billpay.payment"].sudo()
        if not names:
            return payments
        payments.flush_model(["state", "number", "merchant"])
        sent = self.env.execute_query(
            SQL(
                """
                    SELECT id, number FROM billpay_payment
                     WHERE state = 'unmatched' AND number IS NOT NULL
                       AND merchant IN %s
                    """,
                tuple(numbers.provider_id.mapped("billpay_merchant")),
            )
        )
        ids = [i for i, text in sent if not names.isdisjoint(number_spellings(text))]
        found = self._find_control_numbers(payments.browse(ids)) if ids else {}
        return self._wake_bookable(payments.union(*(p for p, n in found.items() if n)))

    def _wake_bookable(self, payments):
        """Let those of these unmatched payments be booked that are not for a person:
        no undone match, and no receipt that is booked already."""
        payments = payments.filtered(lambda p: p._is_bookable())
        if not payments:
            return payments
        receipts = list(filter(None, payments.mapped("receipt_key")))
        booked = payments.search(
            [
                ("merchant", "in", payments.mapped("merchant")),
                ("receipt_key", "in", receipts),
                ("posted_at", "!=", False),
            ]
        ).grouped(lambda row: (row.merchant, row.receipt_key))

        def is_alone(payment):
            others = booked.get((payment.merchant, payment.receipt_key))
            return not others or not (payment | others).confirmed_by_id

        waiting = payments.filtered(is_alone)
        if waiting:
            waiting.with_context(tracking_disable=True)._move_to("confirmed", False)
            wake(self.env, "ir_cron_process_payments")
        return waiting

    # === WHOSE IT IS === #

    def _owners(self, provider, told_list, asked, trusted):
        """Return the application whose ledger each payment belongs to.

        Payments are identified within a merchant, so this only decides on the books:
        the number's application, else that of the client ID, else the one that is
        notified. One that is disabled gives way to a live one of its company.

        :param payment.provider provider: the application that is notified
        :param bool asked: ClickPesa itself reports, so what was filed elsewhere moves
        :param bool trusted: else only the client ID counts: anybody may name the
            number of another company
        """
        # What names no application is of one that has the client ID of the teller.
        own = provider.sudo().clickpesa_client_id
        clients = {told: told.client_id or own for told in told_list}
        apps = provider._billpay_at_address()
        by_client = apps.filtered("clickpesa_client_id").grouped("clickpesa_client_id")
        by_merchant = apps.grouped("billpay_merchant")
        owners, sharing, named = {}, {}, set()
        for told, client in clients.items():
            among = by_client.get(client) or provider
            owners[told] = provider if provider in among else among[0]
            merchant = by_merchant[owners[told].billpay_merchant]
            if len(merchant) > 1 or owners[told] != provider:
                sharing[told] = merchant
            if told.client_id in by_client and len(among) == 1:
                named.add(told)
        if not trusted:
            return owners
        shared = self._owners_of_shared(provider, sharing, owners, named, asked)
        return {**owners, **shared}

    def _owners_of_shared(self, provider, sharing, owners, named, asked):
        """Return whose the payments are that several applications (`sharing`) know.

        :param set named: those with the client ID of one application
        """
        if not sharing:
            return {}
        payments = self.env["billpay.payment"]
        # The number tells whose money it is.
        asking = {
            told: payments.new(
                {
                    "number": told.reference,
                    "paid_at": _possible(_naive(told.created_at or told.updated_at)),
                }
            )
            for told in sharing
        }
        numbers = self._find_control_numbers(
            payments.union(*asking.values()),
            {asking[told]: owners[told] | apps for told, apps in sharing.items()},
        )
        filed = payments.search(
            [
                ("provider_id", "in", provider.union(*sharing.values()).ids),
                ("reference", "in", [told.id for told in sharing]),
                ("merged_into_id", "=", False),
            ],
            order="id",
        ).grouped("reference")
        result = {}
        for told, apps in sharing.items():
            may_have = apps | provider
            rows = filed.get(told.id, payments).filtered(
                lambda row, may_have=may_have: row.provider_id in may_have
            )
            known = rows.filtered(lambda row, apps=apps: row.provider_id in apps)
            owner = owners[told]
            if number := numbers[asking[told]]:
                owner = number.provider_id
            elif told not in named and known:
                owner = known[0].provider_id
            owner = self._live(owner, apps)
            result[told] = self._bring_home(rows, owner) if asked else owner
        return result

    def _live(self, provider, merchant):
        """Return this application, or a live one of its merchant and company."""
        others = merchant.filtered(
            lambda a: a._billpay_is_on() and a.company_id == provider.company_id
        )
        return provider if provider._billpay_is_on() else others[:1] or provider

    def _bring_home(self, rows, owner):
        """Move what was filed of one payment to its owner, unless it is decided about;
        return where it is."""
        home = rows.filtered(lambda row: row.provider_id == owner)
        for stray in rows - home:
            if stray._is_persons_choice() or any(stray[name] for name in DECIDED):
                return stray.provider_id
            if home:
                self._merge_into_home(stray, home)
            else:
                self._move_home(stray, owner)
                home = stray
        return owner

    def _bring_to_number(self, payment, number):
        """File a payment where the money of its number belongs.

        :return: whether it can be booked in this company's batch
        """
        owner = number.provider_id
        owner = self._live(owner, owner._billpay_of_merchant())
        if owner.company_id == payment.company_id:
            if owner != payment.provider_id:
                self._move_home(payment, owner)
                # It may be that this one books only what was paid later.
                return self._turn_of(payment)[0] == "confirmed"
            return True
        if not payment._is_persons_word():
            # Booked next, with those of its own company.
            self._move_home(payment, owner)
            return False
        reason = payment.env._(
            "Control number %s belongs to another company, so the payment is not "
            "booked here. Put it aside, and enter it in that company.",
            number.display_number,
        )
        payment._move_to("unmatched", reason)
        return False

    def _move_home(self, payment, owner):
        body = payment.env._(
            "It was announced to the application %(was)s and belongs to %(owner)s.",
            was=payment.provider_id.name,
            owner=owner.name,
        )
        payment.write({"provider_id": owner.id, "control_number_id": False})
        payment._message_log(body=body)

    def _unite(self, providers):
        """Let one row stand for each payment of applications that are of one merchant
        from now on.

        To be called before they are. Of two rows that are both booked, a person has to
        undo one.
        """
        self = self.sudo()
        payments = self.env["billpay.payment"]
        payments.flush_model(["provider_id", "reference", "merged_into_id"])
        twice = self.env.execute_query(
            SQL(
                """
                    SELECT array_agg(id ORDER BY id) FROM billpay_payment
                     WHERE provider_id IN %s
                     GROUP BY reference HAVING count(*) > 1
                    """,
                tuple(providers.ids),
            )
        )
        for [ids] in twice:
            rows = payments.browse(ids).sorted(
                lambda row: (
                    bool(row.merged_into_id),
                    not row.account_payment_ids,
                    not any(row[name] for name in DECIDED),
                    row.state == "ignored",
                    row.id,
                )
            )
            home = rows[0]
            for stray in rows[1:]:
                self._unite_with(stray, home)
        self._warn_of_receipts_booked_twice(providers)
        self.env.flush_all()

    def _warn_of_receipts_booked_twice(self, providers):
        """What is not booked yet meets its twin when it is."""
        payments = self.env["billpay.payment"]
        payments.flush_model(["provider_id", "receipt_key", "amount", "state"])
        twice = self.env.execute_query(
            SQL(
                """
                    SELECT array_agg(id ORDER BY provisional IS TRUE, id)
                      FROM billpay_payment
                     WHERE provider_id IN %s AND state = 'posted'
                       AND receipt_key IS NOT NULL
                     GROUP BY receipt_key, amount
                    HAVING count(DISTINCT provider_id) > 1
                    """,
                tuple(providers.ids),
            )
        )
        for [ids] in twice:
            home, *strays = payments.browse(ids)
            for stray in strays:
                if stray.provider_id != home.provider_id:
                    self._warn_twice(stray, home)

    def _unite_with(self, stray, home):
        name = stray.reference
        # Its name is the other's; the id makes this one unique.
        stray.reference = "%s%s/%s" % (MERGED_PREFIX, name, stray.id)
        if stray.account_payment_ids:
            self._warn_twice(stray, home)
        elif not stray.merged_into_id:
            self._merge_into_home(stray, home)

    def _warn_twice(self, stray, home):
        reason = home.env._(
            "ClickPesa payment %(name)s is booked twice: here and at the application "
            "%(other)s, which is of the same merchant. Undo the match of this one, "
            "then put it aside.",
            name=home.reference,
            other=home.provider_id.name,
        )
        stray._warn("twice:%s" % home.id, reason)

    def _merge_into_home(self, payment, home):
        reason = payment.env._(
            "Reported here, but it belongs to the application %s, where it is "
            "recorded.",
            home.provider_id.name,
        )
        payment._move_to("ignored", reason, merged_into_id=home.id)
        payment.event_ids.write({"payment_id": home.id})
