# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One payment under two names: see docs/decisions/two-names.rst."""

from datetime import timedelta

from odoo import fields, models

from ...clickpesa.values import is_gone, is_paid
from ...identity import (
    MERGED_PREFIX,
    PROVISIONAL_PREFIX,
    number_spellings,
    receipt_key,
    same_amount,
)
from ...transactions import taken

BOOKABLE = ("confirmed", "failed")
# How long a payment waits for a worker that has its twin in hand.
TWIN_PAUSE = timedelta(seconds=5)


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
                ("provider_id", "in", provider.ids),
                ("receipt_key", "=", key),
                ("merged_into_id", "=", False),
                ("state", "!=", "ignored"),
                ("confirmed_at", "!=", False),
            ],
            limit=1,
        )

    def _numbers_known(self, provider, names):
        """Return those of these numbers that a payment would find, in capitals."""
        names = {name for sent in names for name in number_spellings(sent)}
        numbers_sudo = self.env["billpay.control.number"].sudo()
        return numbers_sudo._names_in_capitals(provider, names) if names else set()

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
        keys = {receipt_key(told.receipt) for told in believed} - {""}
        domain = [("reference", "in", [told.id for told in owners])]
        if keys:
            domain = ["|", ("receipt_key", "in", list(keys)), *domain]
        rows = self.env["billpay.payment"].search(
            [("provider_id", "in", [p.id for p in owners.values()]), *domain],
            order="id",
        )
        by_id = {(row.provider_id, row.reference): row for row in rows}
        unmerged = rows.filtered(lambda row: not row.merged_into_id)
        by_receipt = unmerged.grouped(lambda row: (row.provider_id, row.receipt_key))
        found = {}
        for told, owner in owners.items():
            row = by_id.get((owner, told.id))
            if row is None and told in believed and told.receipt:
                key = (owner, receipt_key(told.receipt))
                row = self._same_receipt(told, by_receipt.get(key), entered)
            if row:
                # What was merged lives on in the row that stands for it.
                found[told] = row.merged_into_id or row
        return found

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
        if not told.id.startswith(PROVISIONAL_PREFIX):
            known = same.filtered("provisional")[:1]
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

    def _adopt(self, payment, told):
        """Give a row that is known by its receipt the id that ClickPesa gave.

        :raise ConcurrencyError: another transaction has just stored that id
        """
        if not payment.provisional or told.id.startswith(PROVISIONAL_PREFIX):
            return
        body = payment.env._(
            "ClickPesa's ID is %(id)s. Until now it was known as %(name)s.",
            id=told.id,
            name=payment.reference,
        )
        values = {"reference": told.id, "provisional": False}
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
            payments._flag(reason)
        payments._message_log(body=text)

    def _without_twins(self, payments):
        """Merge what is one payment; return those that are still to be booked."""
        waiting = payments.filtered(lambda p: p.state in BOOKABLE)
        keys = [key for key in waiting.mapped("receipt_key") if key]
        if not keys:
            return waiting
        rows = payments.search(
            [
                ("provider_id", "in", waiting.provider_id.ids),
                ("receipt_key", "in", keys),
                ("state", "!=", "ignored"),
                # An announcement that nobody has confirmed is no payment yet.
                ("confirmed_at", "!=", False),
                # What a person has taken out of the books is for a person.
                ("undone_at", "=", False),
            ]
        )
        groups = rows.grouped(lambda row: (row.provider_id, row.receipt_key)).values()
        for group in groups:
            typed = group.filtered("provisional")
            # What only a person tells, under what looks like ClickPesa's id.
            copied = (group - typed).filtered(
                lambda p: p.confirmed_by_id and not p.webhook_at and not p.poll_at
            )
            if len(group) < 2 or not (copied or typed):
                continue
            others = group - payments
            if others and others.try_lock_for_update() != others:
                # Another worker has the other row: see what becomes of it first.
                later = fields.Datetime.now() + TWIN_PAUSE
                (group & waiting)._wait_until(later)
                payments.env["payment.provider"]._billpay_trigger(
                    "ir_cron_process_payments", at=later
                )
                waiting -= group
                continue
            for row in typed:
                self._settle_twin(row, group - row, waiting)
            for row in copied:
                self._settle_copied(row, group - copied, waiting)
        return waiting.filtered(lambda p: p.state in BOOKABLE)

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
        if row.state not in BOOKABLE or row._is_persons_choice():
            return
        reason = payment.env._(
            "Receipt %(receipt)s over the same amount already exists as %(other)s, so "
            "this one is not booked. If it is the same payment, put it aside; if it is "
            "another payment, press Match.",
            receipt=row.receipt,
            other=other.reference,
        )
        row._move_to("unmatched", reason)

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
            payment._flag(reason)
        else:
            reason = env._(
                "%s This one is not booked, ClickPesa's is: nothing is left to do if "
                "the amount was mistyped.",
                reason,
            )
            payment._move_to("unmatched", reason)
