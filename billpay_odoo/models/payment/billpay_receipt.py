# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One payment under two names: see docs/decisions/two-names.rst."""

import logging
import re
from datetime import timedelta

from odoo import fields, models
from odoo.tools import SQL

from ...clickpesa.values import is_gone, is_paid
from ...const import ENTRY_POSTED
from ...identity import (
    MERGED_PREFIX,
    PROVISIONAL_PREFIX,
    number_spellings,
    receipt_key,
    reference_as_receipt,
    same_amount,
    told_names,
)
from ...likeness import nearly_same_receipt
from ...transactions import each, taken

_logger = logging.getLogger(__name__)

BOOKABLE = ("confirmed", "failed")
# The cause of a warning, for `_warn`.
UNREPORTED = "unreported:%s"
# A word that names a payment is no shorter: a shorter one may be anything.
SHORTEST_NAME = 6
_SIGNS = re.compile("[^A-Z0-9]+")
# How long a payment waits for a worker that has its twin in hand.
TWIN_PAUSE = timedelta(seconds=5)
# A mistyped receipt and the payment that it means are no further apart.
LIKELY_WITHIN = timedelta(days=7)
# A payment may surface so long after it was made.
REPORTED_WITHIN = timedelta(minutes=15)
# What the first poll of an application reads.
FIRST_POLL = timedelta(days=7)


def _has(words, name):
    """Tell whether some of these words, one after the other, are a name."""
    for start in range(len(words)):
        found = ""
        for word in words[start:]:
            found += word
            if len(found) >= len(name):
                break
        if found == name:
            return True
    return False


class BillpayReceipt(models.AbstractModel):
    """Enter payments that a person vouches for; merge one known under two names."""

    _name = "billpay.receipt"
    _description = "BillPay Receipts"

    def _enter(self, provider, told_list, *, source):
        """Store payments that the user vouches for, and wake the worker.

        They go through the same upsert as what ClickPesa tells.

        :param payment.provider provider: the application, in sudo
        :param list told_list: ``clickpesa.Payment`` objects with an ``id``
        :param str source: "typed" or "import"
        :return: ``(rows, new rows, rows that were completed, ids that failed)``
        """
        payments = self.env["billpay.payment"]
        payments._check_accountant()
        self = self.sudo()
        owners = dict.fromkeys(told_list, provider)
        found = self._find_told(owners, set(told_list), entered=True).values()
        before = payments.sudo().union(*found)
        provisional = before.filtered("provisional")
        rows, failures = self.env["billpay.ledger"]._upsert_each(
            provider, told_list, source=source, trusted=True
        )
        new = rows - before
        completed = (rows & provisional).filtered(lambda row: not row.provisional)
        how = dict(payments._fields["entered_how"]._description_selection(self.env))
        body = self.env._(
            "%(how)s by %(user)s, who confirmed it.",
            how=how[source],
            user=self.env.user.name,
        )
        new._message_log_batch(bodies=dict.fromkeys(new.ids, body))
        self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")
        return rows, new, completed, failures

    def _entered_values(self, told):
        """Return what a payment that a person vouches for has besides its facts."""
        return {
            "confirmed_by_id": self.env.uid,
            "provisional": told.id.startswith(PROVISIONAL_PREFIX),
        }

    def _update_entered(self, payment, told, seen):
        """A person tells of a payment that is already here.

        ClickPesa's facts stand. A person's word gives a provisional row its id, and
        confirms what was only announced, when nobody can be asked.
        """
        if self._completes(payment, told):
            self._adopt(payment, told)
        payment._write_changed(
            {name: value for name, value in seen.items() if not payment[name]}
        )
        if (
            payment.state == "received"
            and payment.amount == float(told.amount or 0)
            and payment.currency_id
            and not payment.provider_id._billpay_can_ask()
            and self._may_vouch(payment)
        ):
            # What was only announced proves nothing, the receipt does.
            payment._write_changed({"status": told.status})
            self._confirm_by_person(payment)

    def _may_vouch(self, payment):
        """Whether a person with the receipt may confirm this announced payment."""
        if payment._is_only_announced():
            return not is_gone(payment.status)
        return is_paid(payment.status)

    def _with_receipt(self, provider, receipt):
        """Return the payment that a typed receipt would find, or nothing."""
        payments, key = self.env["billpay.payment"], receipt_key(receipt)
        if not key:
            return payments
        return payments.search(
            [
                ("merchant", "=", provider.billpay_merchant),
                *self._domain_of_names([key]),
                ("merged_into_id", "=", False),
                ("state", "!=", "ignored"),
                ("confirmed_at", "!=", False),
            ],
            limit=1,
        )

    def _numbers_known(self, provider, names):
        """Return those of these numbers that a payment would find, in capitals."""
        names = {name for sent in names for name in number_spellings(sent)}
        return self.env["billpay.numbering"]._known(provider, names) if names else set()

    def _where_it_stands(self, payment, amount):
        """Say what has become of a payment that is told again, over ``amount`` TZS."""
        env = payment.env
        states = dict(payment._fields["state"]._description_selection(payment.env))
        receipt, state = payment.receipt or payment.reference, states[payment.state]
        if payment.amount != amount:
            return env._(
                "Receipt %(receipt)s already exists, over %(here)s and not %(told)s "
                "(%(state)s). Nothing was created: compare the amounts.",
                receipt=receipt,
                here=payment.currency_id.format(payment.amount),
                told=payment.currency_id.format(amount),
                state=state,
            )
        return env._(
            "Receipt %(receipt)s already exists (%(state)s). Nothing was created.",
            receipt=receipt,
            state=state,
        )

    def _confirm_by_person(self, payments):
        """Take the user's word for announced payments."""
        payments._move_to(
            "confirmed",
            False,
            confirmed_at=fields.Datetime.now(),
            confirmed_by_id=payments.env.uid,
            # Its id came from an announcement that nobody has verified.
            provisional=True,
        )
        for payment in payments:
            body = payments.env._(
                "Confirmed by hand by %(user)s: %(amount)s for number %(number)s, "
                "receipt %(receipt)s. ClickPesa was not asked.",
                user=payments.env.user.name,
                amount=payment.currency_id.format(payment.amount),
                number=payment.number or "?",
                receipt=payment.receipt or "?",
            )
            payment._message_log(body=body)

    def _find_told(self, owners, believed, entered=False):
        """Find the rows that are here already, by id or by receipt.

        :param dict owners: ``{told: application}``
        :param set believed: those of them that may be found by their receipt too.
            Whoever knows a receipt must not give its payment another name.
        :param bool entered: a person tells, who may have copied a wrong id
        :return: ``{told: row}``; a told payment that nothing is known of is left out
        """
        names = {told: told_names(told) for told in believed}
        keys = {key for told in names for key in names[told]}
        domain = [("reference", "in", [told.id for told in owners])]
        if keys:
            domain = ["|", *self._domain_of_names(keys), *domain]
        rows = self.env["billpay.payment"].search(
            [
                ("merchant", "in", [p.billpay_merchant for p in owners.values()]),
                *domain,
            ],
            order="id",
        )
        by_id = {(row.merchant, row.reference): row for row in rows}
        unmerged = rows.filtered(lambda row: not row.merged_into_id)
        by_name = self._by_names(unmerged)
        found = {}
        for told, owner in owners.items():
            merchant = owner.billpay_merchant
            row = by_id.get((merchant, told.id))
            if row is None and told in believed:
                known = [by_name.get((merchant, key), ()) for key in names[told]]
                known = rows.browse().union(*filter(None, known)).sorted("id")
                row = self._same_receipt(told, known, entered)
            if row:
                # What was merged lives on in the row that stands for it.
                found[told] = row.merged_into_id or row
        return found

    def _domain_of_names(self, keys):
        keys = list(keys)
        return ["|", ("receipt_key", "in", keys), ("reference_key", "in", keys)]

    def _names(self, payment):
        """Return the keys under which a payment is known, for ``identity``."""
        return {payment.receipt_key, payment.reference_key} - {False}

    def _by_names(self, rows):
        """Return ``{(merchant, key): rows}``; a row stands under each of its names."""
        found = {}
        for row in rows:
            for key in self._names(row):
                found.setdefault((row.merchant, key), []).append(row.id)
        return {name: rows.browse(ids) for name, ids in found.items()}

    def _same_receipt(self, told, rows, entered):
        """Return the row among those with its receipt that is this payment."""
        if not rows:
            return None
        living = rows.filtered(lambda row: row.state != "ignored")
        same = living.filtered(
            lambda row: (
                same_amount(row.amount, told.amount)
                and told.currency in ("", row.currency_id.name)
            )
        )
        named = reference_as_receipt(told.id)
        if named and not (entered and named in rows.mapped("receipt_key")):
            known = same.filtered(lambda row: self._is_nameless(row, told))[:1]
            if not known and entered:
                # Not a second payment: ClickPesa tells of one whose id is another.
                known = same.filtered("confirmed_at")[:1]
            return known
        # A receipt is used once: what is known under it is that payment. But a mere
        # announcement over another amount, or of a failure, must not stand in its way
        # (what ClickPesa itself told has a told_at).
        return (
            living.filtered("confirmed_at")
            or same
            or rows.filtered(lambda row: row.told_at or row.ignored_by_id)
        )[:1]

    def _is_nameless(self, payment, told):
        """Whether a row has no id of ClickPesa yet: only its receipt, which a person
        may have entered as the id."""
        mistaken = payment.reference_key and payment.reference_key in told_names(told)
        return payment.provisional or bool(mistaken and payment._is_persons_word())

    def _completes(self, payment, told):
        """Whether a person's word gives a row the id of ClickPesa that it lacks."""
        name = reference_as_receipt(told.id)
        if told.id == payment.reference or name in ("", payment.receipt_key):
            return False
        return self._is_nameless(payment, told)

    def _adopt(self, payment, told):
        """Give a row that is known by its receipt the id that ClickPesa gave.

        :raise ConcurrencyError: another transaction has just stored that id
        """
        name = reference_as_receipt(told.id)
        if not name:
            return
        if not self._is_nameless(payment, told):
            return
        body = payment.env._(
            "ClickPesa's ID is %(id)s. Until now it was known as %(name)s.",
            id=told.id,
            name=payment.reference,
        )
        values = {"reference": told.id, "provisional": False}
        if not payment.receipt or payment.receipt_key == name:
            values["receipt"] = told.receipt
        other_number = self._is_other_number(payment, told.reference)
        if other_number and not payment.account_payment_ids:
            values["control_number_id"] = False
        entered = payment.number
        with taken("payment %s" % told.id):
            payment.write(values)
            payment.flush_recordset()
        payment._message_log(body=body)
        if other_number:
            self._note_other_number(payment, entered, told.reference)

    def _is_other_number(self, payments, told):
        sent = set(number_spellings(told))
        return bool(sent) and sent.isdisjoint(number_spellings(payments.number))

    def _note_other_number(self, payments, entered, told):
        """The money was paid to another number than a person had entered."""
        env = payments.env
        text = env._(
            "It was entered for number %(entered)s, but ClickPesa reports that it was "
            "paid to %(told)s.",
            entered=entered or "?",
            told=told,
        )
        if payments.account_payment_ids:
            reason = env._(
                "%s It stays booked as entered: check that the right bill was paid.",
                text,
            )
            payments._warn("number:%s" % payments.id, reason)
        payments._message_log(body=text)

    def _without_twins(self, payments):
        """Merge what is one payment; return those that are still to be booked."""
        waiting = payments.filtered(lambda p: p.state in BOOKABLE)
        keys = {key for payment in waiting for key in self._names(payment)}
        if not keys:
            return waiting
        rows = payments.search(
            [
                ("merchant", "in", waiting.mapped("merchant")),
                *self._domain_of_names(keys),
                ("state", "!=", "ignored"),
                # An announcement that nobody has confirmed is no payment yet.
                ("confirmed_at", "!=", False),
                # What a person has taken out of the books is for a person.
                ("undone_at", "=", False),
            ],
            order="id",
        )
        for (_merchant, key), group in self._by_names(rows).items():
            group = group.filtered(lambda row: row.state != "ignored")
            if len(group) < 2 or not group & waiting:
                continue
            if not self._hold_others(group, payments, waiting):
                waiting -= group
                continue
            typed = group.filtered(
                lambda row, key=key: (
                    row.provisional
                    or (row.reference_key == key and row._is_persons_word())
                )
            )
            # What only a person tells, under what looks like ClickPesa's id.
            copied = (group - typed).filtered(lambda row: row._is_persons_word())
            for row in typed:
                self._settle_twin(row, group - row, waiting)
            for row in copied:
                self._settle_copied(row, group - copied, waiting)
            self._settle_told_twice(group - typed - copied, waiting)
        return self._without_booked(waiting.filtered(lambda p: p.state in BOOKABLE))

    def _hold_others(self, group, payments, waiting):
        """Lock the rows of a group that this worker does not have; tell whether it
        could."""
        others = group - payments
        if not others or others.try_lock_for_update() == others:
            return True
        # Another worker has the other row: see what becomes of it first.
        later = fields.Datetime.now() + TWIN_PAUSE
        (group & waiting)._wait_until(later)
        payments.env["payment.provider"]._billpay_trigger(
            "ir_cron_process_payments", at=later
        )
        return False

    def _settle_told_twice(self, told, waiting):
        """Book one of the rows that ClickPesa tells with one receipt and amount.

        Operators give a receipt once. It may be one payment under two ids, or two:
        nothing says which, so the later ones wait for a person.
        """
        told = told.sorted(lambda row: (not row.account_payment_ids, row.id))
        for row in told & waiting:
            before = told[: told.ids.index(row.id)].filtered(
                lambda other, row=row: (
                    other.receipt_key == row.receipt_key
                    and self._is_same_amount(other, row)
                    and other.state not in ("ignored", "reversed")
                )
            )
            # What was merged just now is settled.
            waits = row.state in BOOKABLE and not row._is_persons_choice()
            if before and row.receipt_key and waits:
                self._hold_for_person(row, before[0])

    def _without_likely_twins(self, payments):
        """Hold what may be another payment with a mistyped receipt.

        Only where one of the two is a person's word: ClickPesa's own receipts differ
        because payments do.
        """
        numbers, days = payments.control_number_id, LIKELY_WITHIN
        entered = payments.filtered("confirmed_by_id")
        typed = entered.filtered(lambda p: p._is_persons_word())
        moments = [payment.paid_at for payment in payments if payment.paid_at]
        if not (numbers and moments):
            return
        rows = payments.search(
            [
                ("control_number_id", "in", numbers.ids),
                ("confirmed_at", "!=", False),
                ("state", "in", ("confirmed", "failed", "posted")),
                ("undone_at", "=", False),
                ("paid_at", ">=", min(moments) - days),
                ("paid_at", "<=", max(moments) + days),
                "|",
                ("control_number_id", "in", typed.control_number_id.ids),
                ("confirmed_by_id", "!=", False),
            ],
            order="id",
        )
        if not rows.filtered(lambda row: row._is_persons_word()):
            return
        # Of two that wait, the typed one is held.
        payments = payments.filtered(lambda p: p.paid_at and not p._is_persons_choice())
        for payment in payments.sorted(lambda p: not p._is_persons_word()):
            likely = rows.filtered(
                lambda row, p=payment: (
                    row != p
                    and row.state != "unmatched"
                    and row.control_number_id == p.control_number_id
                    and (row | p).filtered(lambda one: one._is_persons_word())
                    and self._is_same_amount(row, p)
                    and abs(row.paid_at - p.paid_at) <= days
                    and nearly_same_receipt(row.receipt, p.receipt)
                )
            )
            if likely:
                self._hold_for_person(payment, likely[0])

    def _hold_for_person(self, row, other):
        reason = row.env._(
            "Receipt %(receipt)s over the same amount may be the payment %(other)s "
            "(receipt %(known)s), so this one is not booked. If it is the same "
            "payment, put it aside; if it is another payment, press Match.",
            receipt=row.receipt or row.reference,
            other=other.reference,
            known=other.receipt or "?",
        )
        row._move_to("unmatched", reason, is_doubtful=True)
        row._message_log(body=reason)

    # === RECEIPTS THAT THE BOOKS HAVE ALREADY === #

    def _without_booked(self, payments):
        """Link what the books have already, hold what contradicts; return the others.

        The books may know more than the ledger: after uninstalling and installing
        again, after a backup of less than everything, and of receipts that were typed
        into Odoo's own payments. So the texts of these are asked, which survive.
        """
        for payment, booked in self._booked_elsewhere(payments):
            if self._is_booked_by(payment, booked):
                self._link_booked(payment, booked)
            elif not (payment.is_doubtful and payment._is_persons_choice()):
                self._hold_booked(payment, booked)
            else:
                continue  # a person has read of it, and has matched it all the same
            payments -= payment
        return payments

    def _link_all_booked(self, payments):
        """Link those of these that wait for a person and are in the books already."""

        def failed(payment, error):
            _logger.error("%s was not linked.", payment.reference, exc_info=error)

        for payment, booked in self._booked_elsewhere(payments):
            if self._is_booked_by(payment, booked):

                def link(payment, booked=booked):
                    payment._move_to("confirmed")
                    self._link_booked(payment, booked)

                each(payment, link, failed)

    def _booked_elsewhere(self, payments):
        """Yield each payment with the payments of Odoo that have its id or receipt.

        With one search, and without those that book another ClickPesa payment.
        """
        names = {
            payment: self._words_for(payment)
            for payment in payments
            if payment.confirmed_at
            and (is_paid(payment.status) or not payment.status)
            and (not payment.undone_at or payment._is_persons_choice())
        }
        words = {word for wanted in names.values() for word in wanted.values()}
        if not words:
            return
        model = payments.env["account.payment"].sudo()
        model.flush_model(
            ["billpay_payment_id", "memo", "payment_reference", "payment_type", "state"]
        )
        rows = payments.env.execute_query(
            SQL(
                """
                    SELECT id FROM account_payment
                     WHERE payment_type = 'inbound'
                       AND state NOT IN ('canceled', 'rejected')
                       AND (%s && %s OR billpay_payment_id IN %s)
                    """,
                SQL(model._billpay_words),
                list(words),
                tuple(payment.id for payment in names),
            )
        )
        known = model.browse([id_ for (id_,) in rows]).filtered(
            # What was reversed is in the books no longer.
            lambda p: "posted" not in p.move_id.reversal_move_ids.mapped("state")
        )
        said = {other: _SIGNS.split(self._text(other)) for other in known}
        for payment, wanted in names.items() if known else ():
            roots = payment.provider_id._billpay_of_merchant().company_id.root_id
            booked = known.browse()
            for other in known.filtered(
                lambda p, roots=roots: p.company_id.root_id in roots
            ):
                if any(_has(said[other], name) for name in wanted):
                    if self._is_free(other, payment, said[other]):
                        booked |= other
                elif other.billpay_payment_id == payment:
                    # Of a row of this id that a restored backup took away.
                    other.write({"billpay_payment_id": False, "billpay_part": 0})
                    other.flush_recordset(["billpay_payment_id"])
            if booked:
                yield payment, booked

    def _words_for(self, payment):
        """Return ``{key: a word to look for}`` of the names of a payment."""
        names = {}
        for key, text in (
            (payment.receipt_key, payment.receipt),
            (payment.reference_key, payment.reference),
        ):
            if key and len(key) >= SHORTEST_NAME:
                word = max(_SIGNS.split((text or "").upper()), key=len)
                names[key] = word if len(word) >= SHORTEST_NAME else key
        return names

    def _text(self, account_payment):
        texts = account_payment.payment_reference, account_payment.memo
        return " ".join(filter(None, texts)).upper()

    def _is_free(self, account_payment, payment, said):
        """Whether it books no other ClickPesa payment, by its link and by its text."""
        other = account_payment.billpay_payment_id.exists()
        if not other or other == payment:
            return True
        return not any(_has(said, name) for name in self._words_for(other))

    def _is_booked_by(self, payment, booked):
        """Whether these are all of this payment: posted, here, and over its amount.

        They may be less by the fee that was booked, and credit more by a discount.
        """
        if any(
            other.state not in ENTRY_POSTED
            or other.company_id != payment.company_id
            or other.currency_id != payment.currency_id
            for other in booked
        ):
            return False
        arrived = sum(booked.mapped("amount"))
        credited = sum(
            -sum(other._seek_for_lines()[1].mapped("amount_currency"))
            if other.move_id
            else other.amount
            for other in booked
        )
        compare = payment.currency_id.compare_amounts
        amount = payment.amount
        return compare(arrived, amount) <= 0 <= compare(credited, amount)

    def _link_booked(self, payment, booked):
        """Let a payment be the one that these book: nothing is booked again."""
        env = payment.env
        booked = booked.sorted("id").with_context(billpay_posting=True)
        for part, other in enumerate(booked):
            other.write({"billpay_payment_id": payment.id, "billpay_part": part})
        text = env._(
            "Already in the books as %s, with this receipt: linked, and not booked "
            "again.",
            ", ".join(booked.mapped("display_name")),
        )
        payment.allocation_ids.unlink()
        number = payment.control_number_id
        number = (
            number
            or payment.env["billpay.ledger"]._find_control_numbers(payment)[payment]
        )
        wanted = (payment.matched_partner_id or number.partner_id).commercial_partner_id
        others = booked.partner_id.commercial_partner_id
        reason = False
        if wanted and others != wanted:
            reason = env._(
                "%(text)s It is on %(customer)s there, but the control number is of "
                "%(owner)s: check which is right.",
                text=text,
                customer=", ".join(others.mapped("display_name")) or "?",
                owner=wanted.display_name,
            )
        payment._move_to(
            "posted",
            reason,
            flagged=bool(reason),
            posted_at=fields.Datetime.now(),
            matched_partner_id=False,
            is_doubtful=False,
            control_number_id=number.id,
        )
        payment._message_log(body=reason or text)
        # However it was booked, ClickPesa has closed the number that it was paid on.
        booking = env["billpay.booking"]
        payment = payment.with_context(billpay_posting=True)
        booking._settle_numbers(payment, ())
        booking._tell_bills(payment)

    def _hold_booked(self, payment, booked):
        """Call a person: the books have this receipt, but not this payment."""
        env = payment.env
        states = dict(booked._fields["state"]._description_selection(env))
        reason = env._(
            "Receipt %(receipt)s over %(amount)s is already on %(booked)s, so nothing "
            "was booked. Open it and compare: if it is this payment, press Not Ours; "
            "if it is another payment, press Match.",
            receipt=payment.receipt or payment.reference,
            amount=payment.currency_id.format(payment.amount),
            booked=", ".join(
                env._(
                    "%(payment)s of %(company)s over %(amount)s (%(state)s)",
                    payment=other.display_name,
                    company=other.company_id.display_name,
                    amount=other.currency_id.format(other.amount),
                    state=states[other.state],
                )
                for other in booked
            ),
        )
        payment._move_to("unmatched", reason, is_doubtful=True)
        payment._message_log(body=reason)

    # === RECEIPTS THAT CLICKPESA DOES NOT REPORT === #

    def _doubt_unreported(self, providers, until):
        """Flag what persons entered and a complete poll has not found.

        :param datetime until: the poll knows every payment up to this moment
        """
        for provider in providers:
            rows = self.env["billpay.payment"].search(
                [
                    ("merchant", "=", provider.billpay_merchant),
                    ("confirmed_by_id", "!=", False),
                    ("told_at", "=", False),
                    ("poll_at", "=", False),
                    ("unreported_at", "=", False),
                    ("state", "not in", ("ignored", "reversed")),
                    ("paid_at", "<=", until - REPORTED_WITHIN),
                    # Nobody has asked for what was paid before.
                    ("paid_at", ">=", provider.create_date - FIRST_POLL),
                    ("create_date", "<=", until),
                ]
            )
            self._doubt(rows)

    def _doubt(self, rows):
        """ClickPesa was asked, and does not report what a person entered."""
        for row in rows:
            row.unreported_at = fields.Datetime.now()
            self._warn_unreported(row)
            row._message_log(body=row.reason)

    def _reported(self, payment):
        """ClickPesa reports what it did not report before: its warning ends."""
        payment.unreported_at = False
        payment._end_warning(UNREPORTED % payment.id)

    def _warn_unreported(self, payments):
        """Call a person until ClickPesa reports these, whatever becomes of them."""
        for row in payments:
            reason = row.env._(
                "%(user)s entered receipt %(receipt)s, but ClickPesa does not "
                "report this payment. Compare with the ClickPesa dashboard. If the "
                "money is not there, undo the match and put the payment aside.",
                user=row.confirmed_by_id.name,
                receipt=row.receipt or row.reference,
            )
            row._warn(UNREPORTED % row.id, reason)

    def _settle_copied(self, payment, others, waiting):
        """Book only one of this row and ClickPesa's own with its receipt and amount.

        The id of this row may have been copied wrongly, or be right: then these are
        two payments. Nothing says which, so the other one waits for a person.
        """
        told = others.filtered(
            lambda row: (
                row.state != "ignored"
                and not row.provisional
                and (row | payment) & waiting
                and self._is_same_amount(row, payment)
            )
        )[:1]
        if not told:
            return
        row, other = (told, payment) if payment.account_payment_ids else (payment, told)
        if row.state in BOOKABLE and not row._is_persons_choice():
            self._hold_for_person(row, other)

    def _settle_twin(self, payment, others, waiting):
        """Find the twin of this provisional row, if it has one, and merge the two.

        One of them is about to be booked; of two that are booked, nothing goes.
        """
        if payment.state == "ignored":
            return
        others = others.filtered(
            lambda row: (
                row.state != "ignored"
                and (row | payment) & waiting
                and not (row.account_payment_ids and payment.account_payment_ids)
            )
        ).sorted(lambda row: (row.provisional, row.id))
        same = others.filtered(lambda row: self._is_same_amount(row, payment))
        if same:
            self._merge_with(payment, same[0], waiting)
        elif told := others.filtered(lambda row: not row.provisional)[:1]:
            self._note_other_amount(payment, told)

    def _is_same_amount(self, row, other):
        same = same_amount(row.amount, other.amount)
        return same and row.currency_id == other.currency_id

    def _merge_with(self, payment, told, waiting):
        """Make one payment of this provisional row and ClickPesa's; both are locked.

        Whichever is booked stays. Of two that are not, it is the one that is about to
        be, ClickPesa's first, unless a person has decided about the other.
        """
        env = payment.env
        if told.account_payment_ids:
            keep = told
        elif payment.account_payment_ids:
            keep = payment
        elif told in waiting and not payment._is_persons_choice():
            keep = told
        else:
            keep = payment if payment in waiting else told
        gone = told if keep == payment else payment
        reference, number = told.reference, told.number
        extra = {"merged_into_id": keep.id}
        if gone == told:
            # The id is unique, so it is let go here before it is taken there.
            extra["reference"] = "%s%s" % (MERGED_PREFIX, told.id)
        reason = env._(
            "Duplicate of %s, which is booked.",
            reference,
        )
        gone._move_to("ignored", reason, **extra)
        gone.flush_recordset()
        if gone == told:
            self._take_over(keep, told, reference)
            if self._is_other_number(keep, number):
                self._note_other_number(keep, keep.number, number)
        for name in ("entered_at", "entered_by_id", "entered_how", "confirmed_by_id"):
            if not keep[name] and gone[name]:
                keep[name] = gone[name]
        gone.event_ids.write({"payment_id": keep.id})
        body = env._(
            "Reported twice (receipt and %s). Merged into one payment.",
            reference,
        )
        keep._message_log(body=body)
        gone._message_log(body=reason)

    def _take_over(self, payments, told, reference):
        """Learn from ClickPesa's row, which goes, what this one does not know."""
        values = {"reference": reference, "provisional": told.provisional}
        for name in ("webhook_at", "poll_at", "channel_id", "payer_name"):
            if not payments[name] and told[name]:
                values[name] = payments._fields[name].convert_to_write(told[name], told)
        payments.write({**values, "status": told.status, "told_at": told.told_at})

    def _note_other_amount(self, payment, told):
        """One receipt, two amounts: ClickPesa's counts, and a person has to look."""
        env = payment.env
        reason = env._(
            "ClickPesa reports %(told)s for receipt %(receipt)s, but %(entered)s was "
            "entered by hand.",
            receipt=payment.receipt,
            told=told.currency_id.format(told.amount),
            entered=payment.currency_id.format(payment.amount),
        )
        if payment.account_payment_ids:
            reason = env._(
                "%s Both are booked: cancel the entry of this one with the button "
                "Payment, if the amount was mistyped.",
                reason,
            )
            payment._warn("amount:%s" % payment.id, reason)
        else:
            reason = env._(
                "%s This one is not booked, ClickPesa's is: nothing is left to do if "
                "the amount was mistyped.",
                reason,
            )
            payment._move_to("unmatched", reason, is_doubtful=True)
