# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The ledger of payments: see docs/decisions/matching.rst."""

import logging
from datetime import timezone

from odoo import fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ... import const
from ...clickpesa.values import FAILED, PAID, REVERSED
from ...const import ENTERED
from ...identity import (
    MERGED_PREFIX,
    OUR_NAMES,
    number_key,
    number_spellings,
    told_names,
    without_our_names,
)
from ...transactions import CONFLICTS, taken

_logger = logging.getLogger(__name__)


# A payment with one of these is booked, or a person has had a hand in it.
DECIDED = ("account_payment_ids", "confirmed_by_id", "ignored_by_id", "undone_at")


def _naive(moment):
    """Odoo keeps moments in UTC without saying so."""
    return moment.astimezone(timezone.utc).replace(tzinfo=None) if moment else False


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
        found = {}
        for round_ in self._rounds(told_list):
            found.update(self._upsert_round(provider, round_, source, trusted))
        ids = dict.fromkeys(found[told].id for told in told_list)
        return self.env["billpay.payment"].browse(ids)

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
                    receipts._adopt(payment, told)
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
        rows = rows.filtered(lambda p: p.state == "unmatched" and not p.undone_at)
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
        state, reason, how = self._turn_told(told, trusted)
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
        told_at = _naive(told.updated_at)
        # Deliveries may come out of order: a later word of ClickPesa stands.
        old = told_at and payment.told_at and told_at < payment.told_at
        if trusted and not old:
            seen.update(payment._question_after(told.status, payment.paid_at))
            if payment.state in ("posted", "reversed") or payment.account_payment_ids:
                self._learn_booked(payment, told, seen)
            else:
                self._learn(payment, told, seen, numbers)
        elif (
            payment.state == "ignored"
            and told.status not in FAILED
            and not payment.ignored_by_id
        ):
            # It had failed; somebody says that it came through after all: ask.
            state, reason, how = self._turn_told(told, trusted=False)
            how["due"], question = payment._next_question()
            payment._move_to(state, reason, **how, **question, **seen)
        else:
            payment._write_changed(seen)
            # What nobody has proved changes nothing; ClickPesa is asked instead. An
            # old word that money came is no news.
            known = old and told.status in PAID and payment.status in PAID
            if told.status != payment.status and not known:
                payment._ask_soon()

    def _learn(self, payment, told, seen, numbers):
        """Write what a trusted word changes about a payment that is not booked."""
        facts = self._facts(payment, told, payment.provider_id)
        if self._is_settled(payment, told, facts, numbers):
            payment._write_changed({**seen, **facts})
            return
        state, reason, how = self._turn_told(told, trusted=True)
        if payment.state == state == "received":
            # It keeps the turn that it was given, else it would be asked without end.
            how = {}
        payment._move_to(state, reason, **how, **seen, **facts)

    def _is_settled(self, payment, told, facts, numbers):
        """Tell whether a payment stays where it is, whatever is told."""
        if payment.ignored_by_id or told.status not in PAID:
            return bool(payment.ignored_by_id)
        # Only a person matches again what a person took apart.
        return bool(payment.undone_at) or (
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
            facts["told_at"] = _naive(told.updated_at)
        news = told.status != payment.status
        if payment.state != "reversed" and news and (told.status in REVERSED | FAILED):
            reason = env._(
                "ClickPesa reversed this payment (%s). The entry is still posted: "
                "reverse the payment, then the invoice is open again.",
                told.status,
            )
            facts.update(due=fields.Datetime.now(), attempts=0)
        elif payment.state == "reversed" and news and told.status in PAID:
            reason = env._(
                "ClickPesa reports this payment as %s again, but its entry is "
                "reversed. Compare with the ClickPesa dashboard and book it by hand.",
                told.status,
            )
        elif (
            told.status in PAID
            and payment.state == "posted"
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
        else:
            payment._write_changed(facts)
            return
        payment._flag(reason, **facts)

    def _facts(self, payments, told, provider):
        """Return what was told, as field values."""
        currency_id = False
        if told.currency in ("", const.CURRENCY):
            # Cached, while ``env.ref`` looks each time whether it is there.
            data = payments.env["ir.model.data"]
            currency_id = data._xmlid_to_res_id("base.TZS", raise_if_not_found=True)
        channel = payments.channel_id
        if not channel or told.channel != payments.channel_code:
            channel = channel._find_by_code(told.channel, provider.company_id)
        return {
            "status": told.status,
            "message": told.message,
            "receipt": told.receipt,
            "number": told.reference,
            "amount": float(told.amount or 0),
            "currency_code": told.currency,
            "currency_id": currency_id,
            "channel_code": told.channel,
            "channel_id": channel.id,
            "payer_name": told.payer_name,
            "payer_phone": told.payer_phone,
            "paid_at": _naive(told.created_at or told.updated_at)
            or payments.paid_at
            or fields.Datetime.now(),
            "told_at": _naive(told.updated_at) or payments.told_at,
        }

    def _turn_told(self, told, trusted):
        """Return where a payment told like this belongs: state, reason, more values."""
        env = self.env
        now = fields.Datetime.now()
        if not trusted and told.status not in FAILED:
            return (
                "received",
                env._("Waiting for ClickPesa to confirm it."),
                {"due": now},
            )
        if told.status in FAILED:
            reason = env._("The payment failed at ClickPesa. No money was received.")
            return "ignored", reason, {}
        if told.status in REVERSED:
            reason = env._("ClickPesa refunded the payer.")
            return "ignored", reason, {}
        if told.status not in PAID:
            reason = env._(
                "ClickPesa has not finished this payment yet (%s).", told.status
            )
            return "received", reason, {"due": now}
        trouble = False
        if told.amount is None or told.amount <= 0:
            trouble = env._(
                "ClickPesa reported no valid amount. Compare with the ClickPesa "
                "dashboard and book it by hand."
            )
        elif told.currency not in ("", const.CURRENCY):
            trouble = env._(
                "ClickPesa reports the currency %s, but control numbers collect TZS. "
                "Nothing was booked: compare with the ClickPesa dashboard.",
                told.currency,
            )
        state = "unmatched" if trouble else "confirmed"
        return state, trouble, {"confirmed_at": now}

    # === WHICH NUMBER === #

    def _find_control_number(self, payment, provider):
        among = {payment: provider._billpay_of_merchant()}
        return self._find_control_numbers(payment, among)[payment]

    def _find_control_numbers(self, payments, among=None):
        """Return ``{payment: number}`` with one search: by the digits, never by guess.

        Only numbers that a payer can have: digits that ClickPesa has not confirmed may
        be somebody else's there, as after a restored backup.

        :param dict among: the applications to look in, by payment; else all of its
            merchant, its own first
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
            hits = [known[key] for key in keys if key in known]
            result[payment] = hits[0] if hits else numbers
        return result

    # === LATE BINDING === #

    def _bind_forgotten(self):
        """Wake the worker for payments whose number appeared unseen; return them.

        A number that is committed while a worker books does not see a payment that
        this worker is leaving unmatched, and the worker does not see the number. Nor
        does a number wake anybody that ClickPesa confirms after it was closed, or that
        gets its customer later. The cost grows with unmatched payments, not numbers.
        """
        payments = self.env["billpay.payment"].sudo()
        unmatched = payments.search(
            [("state", "=", "unmatched"), ("number", "!=", False)]
        )
        numbers = self._find_control_numbers(unmatched) if unmatched else {}
        known = {p.id for p, n in numbers.items() if n.move_id or n.partner_id}
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
        return self._wake_bookable(payments.browse(ids))

    def _wake_bookable(self, payments):
        """Let those of these unmatched payments be booked that are not for a person:
        no undone match, and no receipt that is booked already."""
        payments = payments.filtered(lambda p: p._is_bookable() and not p.undone_at)
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
            self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")
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
        apps = self.env["payment.provider"].search(
            [
                ("code", "=", "clickpesa"),
                ("clickpesa_base_url", "=", provider.clickpesa_base_url),
            ]
        )
        apps = (provider | apps).sorted(lambda a: (not a._billpay_is_on(), a.id))
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
        asking = {told: payments.new({"number": told.reference}) for told in sharing}
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
        if owner == payment.provider_id:
            return True
        owner = self._live(owner, owner._billpay_of_merchant())
        if owner.company_id == payment.company_id:
            if owner != payment.provider_id:
                self._move_home(payment, owner)
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
        self.env.flush_all()

    def _unite_with(self, stray, home):
        env, name = home.env, stray.reference
        # Its name is the other's; the id makes this one unique.
        stray.reference = "%s%s/%s" % (MERGED_PREFIX, name, stray.id)
        if stray.account_payment_ids:
            reason = env._(
                "ClickPesa payment %(name)s is booked twice: here and at the "
                "application %(other)s, which is of the same merchant. Undo one match, "
                "then put that payment aside.",
                name=name,
                other=home.provider_id.name,
            )
            stray._flag(reason)
        elif not stray.merged_into_id:
            self._merge_into_home(stray, home)

    def _merge_into_home(self, payment, home):
        reason = payment.env._(
            "Reported here, but it belongs to the application %s, where it is "
            "recorded.",
            home.provider_id.name,
        )
        payment._move_to("ignored", reason, merged_into_id=home.id)
        payment.event_ids.write({"payment_id": home.id})
