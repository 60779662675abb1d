# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One payment under two names: by its receipt, from a person, and by ClickPesa's id.

ClickPesa's second key of a payment is receipt and amount (contract, "How a BillPay
payment appears"). The upsert uses it whenever it sees the other row. Two transactions
at the same instant see nothing of each other, though, and leave two rows. The booking
closes that gap, for these reasons:

Let ``A`` and ``B`` be two rows of one payment, and ``Ta`` and ``Tb`` the transactions
that would book them. ``Ta`` has locked ``A``, so ``A`` was committed before the
snapshot of ``Ta``; likewise ``B`` and ``Tb``. If neither saw the other's row, ``B`` was
committed after the snapshot of ``Ta``, so after ``A``, and ``A`` after ``B``: a
contradiction. So one of them, say ``Ta``, sees both rows. It books ``A`` only with a
lock on ``B``:

* ``Tb`` has the lock: ``Ta`` leaves ``A`` for the next run, which finds ``B`` booked;
* ``Tb`` has committed since: the lock ends in a conflict, and ``Ta`` is run afresh;
* ``Ta`` gets the lock: it writes on ``B``, so that a ``Tb`` with an older snapshot
  ends in a conflict instead of booking what it once read.
"""

from datetime import timedelta

import psycopg2.errors

from odoo import api, fields, models
from odoo.exceptions import ConcurrencyError
from odoo.tools import float_compare, mute_logger

from ..receipts import MERGED_PREFIX, PROVISIONAL_PREFIX, receipt_key

# How long a payment waits for a worker that has its twin in hand.
TWIN_PAUSE = timedelta(seconds=5)


def _same_amount(one, other):
    return float_compare(float(one or 0), float(other or 0), precision_digits=2) == 0


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

    # === UPSERT === #

    @api.model
    def _find_told(self, owners, believed, entered=False):
        """Find the rows that are here already, by id or by receipt.

        :param dict owners: ``{told: application}``
        :param set believed: those of them that may be found by their receipt too.
            Whoever knows a receipt must not give its payment another name.
        :param bool entered: a person tells, who may have copied a wrong id
        :return: ``{told: row}``; a told payment that nothing is known of is left out
        :rtype: dict
        """
        keys = {receipt_key(told.receipt) for told in believed} - {""}
        domain = [("reference", "in", [told.id for told in owners])]
        if keys:
            domain = ["|", ("receipt_key", "in", list(keys)), *domain]
        rows = self.search(
            [("provider_id", "in", [p.id for p in owners.values()]), *domain],
            order="id",
        )
        by_id = {(row.provider_id, row.reference): row for row in rows}
        by_receipt = rows.filtered(lambda row: not row.merged_into_id).grouped(
            lambda row: (row.provider_id, row.receipt_key)
        )
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

    @api.model
    def _same_receipt(self, told, rows, entered):
        """Return the row among those with its receipt that is this payment."""
        if not rows:
            return None
        living = rows.filtered(lambda row: row.state != "ignored")
        same = living.filtered(
            lambda row: (
                _same_amount(row.amount, told.amount)
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

    def _adopt(self, told):
        """Give a row that is known by its receipt the id that ClickPesa gave.

        :raise ConcurrencyError: another transaction has just stored that id
        """
        self.ensure_one()
        if not self.provisional or told.id.startswith(PROVISIONAL_PREFIX):
            return
        known_as = self.reference
        values = {"reference": told.id, "provisional": False}
        other_number = self._is_other_number(told.reference)
        if other_number and not self.account_payment_ids:
            values["control_number_id"] = False
        entered = self.number
        try:
            with self.env.cr.savepoint(), mute_logger("odoo.sql_db"):
                self.write(values)
                self.flush_recordset()
        except psycopg2.errors.UniqueViolation:
            raise ConcurrencyError(
                "payment %s was stored by another transaction" % told.id
            ) from None
        self._message_log(
            body=self.env._(
                "ClickPesa's ID is %(id)s. Until now it was known as %(name)s.",
                id=told.id,
                name=known_as,
            )
        )
        if other_number:
            self._note_other_number(entered, told.reference)

    def _is_other_number(self, told):
        sent = (told or "").upper()
        return bool(sent) and not (
            {sent, sent.partition("-")[0]} & set(self._spellings())
        )

    def _note_other_number(self, entered, told):
        """The money was paid to another number than a person had entered."""
        text = self.env._(
            "It was entered for number %(entered)s, but ClickPesa says it was paid to "
            "%(told)s.",
            entered=entered or "?",
            told=told,
        )
        if self.account_payment_ids:
            reason = self.env._(
                "%s It stays booked as entered: check that the right bill was paid.",
                text,
            )
            self.write({"attention": True, "reason": reason})
        self._message_log(body=text)

    # === BOOKING === #

    def _without_twins(self):
        """Merge what is one payment; return those that are still to be booked.

        The argument that this is enough stands at the top of this file.
        """
        waiting = self.filtered(lambda p: p.state in ("confirmed", "failed"))
        keys = [key for key in waiting.mapped("receipt_key") if key]
        if not keys:
            return waiting
        rows = self.search(
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
            copied = group.filtered(lambda row: row._is_copied())
            if len(group) < 2 or not (copied or any(group.mapped("provisional"))):
                continue
            others = group - self
            if others and others.try_lock_for_update() != others:
                (group & waiting)._wait_for_twin()
                waiting -= group
                continue
            for typed in group.filtered("provisional"):
                typed._settle_twin(group - typed, waiting)
            for row in copied:
                row._settle_copied(group - copied, waiting)
        return waiting.filtered(lambda p: p.state in ("confirmed", "failed"))

    def _is_copied(self):
        """Tell whether only a person says so, under what looks like ClickPesa's id."""
        self.ensure_one()
        return bool(
            self.confirmed_by_id
            and not self.provisional
            and not self.webhook_at
            and not self.poll_at
        )

    def _settle_copied(self, others, waiting):
        """Book only one of this row and ClickPesa's own with its receipt and amount.

        The id of this row may have been copied wrongly, or be right: then these are
        two payments. Nothing says which, so the other one waits for a person.
        """
        self.ensure_one()
        told = others.filtered(
            lambda row: (
                row.state != "ignored"
                and not row.provisional
                and (row | self) & waiting
                and _same_amount(row.amount, self.amount)
                and row.currency_id == self.currency_id
            )
        )[:1]
        if not told:
            return
        row, other = (told, self) if self.account_payment_ids else (self, told)
        if row.state not in ("confirmed", "failed") or row._is_persons_choice():
            return
        row.write(
            {
                "state": "unmatched",
                "next_try_at": False,
                "reason": self.env._(
                    "Receipt %(receipt)s over the same amount stands here as %(other)s "
                    "already, so this one is not booked. If it is the same money, put "
                    "it aside; if it is another payment, press Match.",
                    receipt=row.receipt,
                    other=other.reference,
                ),
            }
        )

    def _settle_twin(self, others, waiting):
        """Find the twin of this provisional row, if it has one, and merge the two.

        One of them is about to be booked; of two that are booked, nothing goes.
        """
        self.ensure_one()
        if self.state == "ignored":
            return
        others = others.filtered(
            lambda row: (
                row.state != "ignored"
                and (row | self) & waiting
                and not (row.account_payment_ids and self.account_payment_ids)
            )
        ).sorted(lambda row: (row.provisional, row.id))
        same = others.filtered(
            lambda row: (
                _same_amount(row.amount, self.amount)
                and row.currency_id == self.currency_id
            )
        )
        if same:
            self._merge_with(same[0], waiting)
        elif told := others.filtered(lambda row: not row.provisional)[:1]:
            self._note_other_amount(told)

    def _wait_for_twin(self):
        """Another worker has the other row in hand: see what becomes of it first."""
        later = fields.Datetime.now() + TWIN_PAUSE
        self.write({"next_try_at": later})
        self.env["payment.provider"]._billpay_trigger(
            "ir_cron_process_payments", at=later
        )

    def _merge_with(self, told, waiting):
        """Make one payment of this provisional row and ClickPesa's; both are locked.

        Whichever is booked stays. Of two that are not, it is the one that is about to
        be, ClickPesa's first, unless a person has decided about the other.
        """
        self.ensure_one()
        decided = self.matched_partner_id or self.allocation_ids
        if told.account_payment_ids:
            keep = told
        elif self.account_payment_ids:
            keep = self
        elif told in waiting and not decided:
            keep = told
        else:
            keep = self if self in waiting else told
        gone = told if keep == self else self
        reference, number = told.reference, told.number
        gone_values = {
            "state": "ignored",
            "merged_into_id": keep.id,
            "next_try_at": False,
            "reason": self.env._(
                "The same money as %s, which stands in the books: one payment, told "
                "twice.",
                reference,
            ),
        }
        if gone == told:
            # The id is unique, so it is let go here before it is taken there.
            gone_values["reference"] = "%s%s" % (MERGED_PREFIX, told.id)
        gone.write(gone_values)
        gone.flush_recordset()
        if gone == told:
            keep._take_over(told, reference)
            if keep._is_other_number(number):
                keep._note_other_number(keep.number, number)
        for name in ("entered_at", "entered_by_id", "entered_how", "confirmed_by_id"):
            if not keep[name] and gone[name]:
                keep[name] = gone[name]
        gone.event_ids.write({"payment_id": keep.id})
        keep._message_log(
            body=self.env._(
                "Told twice, by receipt and as %s: made one payment, booked once.",
                reference,
            )
        )
        gone._message_log(body=gone.reason)

    def _take_over(self, told, reference):
        """Learn from ClickPesa's row, which goes, what this one does not know."""
        values = {"reference": reference, "provisional": told.provisional}
        for name in ("webhook_at", "poll_at", "channel_id", "payer_name"):
            if not self[name] and told[name]:
                values[name] = self._fields[name].convert_to_write(told[name], told)
        self.write({**values, "status": told.status, "told_at": told.told_at})

    def _note_other_amount(self, told):
        """One receipt, two amounts: ClickPesa's counts, and a person has to look."""
        self.ensure_one()
        reason = self.env._(
            "ClickPesa tells of receipt %(receipt)s over %(told)s, but %(entered)s was "
            "entered by hand.",
            receipt=self.receipt,
            told=told.currency_id.format(told.amount),
            entered=self.currency_id.format(self.amount),
        )
        if self.account_payment_ids:
            reason = self.env._(
                "%s Both are booked: cancel the entry of this one with the button "
                "Payment, if the amount was mistyped.",
                reason,
            )
            self.write({"attention": True, "reason": reason})
        else:
            reason = self.env._(
                "%s This one is not booked, ClickPesa's is: nothing is left to do if "
                "the amount was mistyped.",
                reason,
            )
            self.write({"state": "unmatched", "reason": reason, "next_try_at": False})
