# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Money that ClickPesa took back: see docs/decisions/reversal.rst."""

import logging

from odoo import fields, models
from odoo.exceptions import UserError

from ... import const
from ...clickpesa.values import TAKEN_BACK, is_gone, is_paid, status_kind
from ...transactions import each

_logger = logging.getLogger(__name__)


class BillpayReversal(models.AbstractModel):
    """Take money out of the books that ClickPesa took back."""

    _name = "billpay.reversal"
    _description = "BillPay Reversal"

    def _take_back(self, payments):
        """Take these locked payments out of the books, each for itself."""
        payments = payments.with_context(
            tracking_disable=True, mail_activity_quick_update=True
        )
        for company, group in payments.grouped("company_id").items():
            each(
                group.with_company(company),
                self._take_one_back,
                self._note_reversal_failure,
            )

    def _take_one_back(self, payment):
        """Reverse what was booked, or tell a person to."""
        if is_paid(payment.status):
            payment._leave_turn()
            return
        bills = self._bills(payment)
        if not self._is_automatic(payment):
            if is_gone(payment.status) and not self._standing_entries(payment):
                self._end_by_hand(payment)
                return
            reason = self._advice(payment)
            payment._flag(reason, due=False)
            self._call_people(payment, bills, reason)
            return
        ledger = self.env["billpay.ledger"]
        invoices = self._reverse_entries(payment)
        reason = payment.env._(
            "ClickPesa reversed this payment (%(status)s): %(amount)s. Its entry is "
            "reversed and what it paid is open again. Ask the payer.",
            status=payment.status,
            amount=payment.currency_id.format(payment.amount),
        )
        reason = ledger._with_charges(reason, payment.status)
        payment._move_to("reversed", reason, flagged=True)
        # The state of the row is written before: it says that this was no accident.
        self._booked_account_payments(payment).action_reject()
        invoices._billpay_after_payment()
        invoices._message_log_batch(bodies=dict.fromkeys(invoices.ids, reason))
        self._call_people(payment, bills, reason)

    def _bills(self, payment):
        """Return the bills that this payment was for, or paid."""
        own = payment.control_number_id._bill()
        if payment._is_persons_choice():
            own = own.browse()
        credits = payment.account_payment_ids.move_id.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        paid = credits.matched_debit_ids.debit_move_id.move_id
        return own, paid.filtered(lambda m: m.is_sale_document(include_receipts=True))

    def _end_by_hand(self, payment):
        """Somebody has followed the advice: the entry is mirrored."""
        reason = payment.env._(
            "ClickPesa reports this payment as %s, and its entry was reversed "
            "manually: nothing is left to do.",
            payment.status,
        )
        payment._move_to("reversed", reason)
        payment.activity_unlink(["mail.mail_activity_data_warning"])
        self._booked_account_payments(payment).action_reject()

    def _standing_entries(self, payments):
        """Return the posted entries of this payment that nothing has mirrored."""
        return self._booked_account_payments(payments).move_id.filtered(
            lambda entry: (
                entry.state == "posted"
                and "posted" not in entry.reversal_move_ids.mapped("state")
            )
        )

    def _is_automatic(self, payment):
        """Whether the worker reverses it. FAILED after SUCCESS, or an unknown word, is
        no word on money that went back: a person looks."""
        automatic = payment.provider_id.clickpesa_reversal == "auto"
        return automatic and status_kind(payment.status) == TAKEN_BACK

    def _advice(self, payment):
        """Return what a person is to do about booked money that is not paid."""
        env = payment.env
        if not is_gone(payment.status):
            return env._(
                "ClickPesa now reports this payment as %s, but it is booked. The books "
                "were not changed: compare with the ClickPesa dashboard. If the money "
                "is there, press Mark as Seen; if it went back, press Undo Match.",
                payment.status or "?",
            )
        reason = env._(
            "ClickPesa reports this payment as %s, and its entry is still posted: open "
            "it with the button Payment, reset it to draft and cancel it. Then the "
            "invoice is open again.",
            payment.status,
        )
        return env["billpay.ledger"]._with_charges(reason, payment.status)

    def _end_doubt(self, payment, facts):
        """ClickPesa calls booked money paid again: what was said of it has ended."""
        # What else was said of it has not ended.
        warned = payment.warned or {}
        unusual = self.env["billpay.booking"]._why_unusual(payment)
        reason = " ".join(filter(None, [*warned.values(), unusual])) or False
        facts = {**facts, "warned": warned or False}
        payment._move_to("posted", reason, flagged=bool(reason), **facts)
        payment.activity_unlink(["mail.mail_activity_data_warning"])
        bookings = payment.account_payment_ids
        standing = self._booked_account_payments(payment)
        mirrored = standing.filtered(
            lambda p: "posted" in p.move_id.reversal_move_ids.mapped("state")
        )
        # Somebody has taken it out of the books before: that has not ended.
        (bookings - standing)._billpay_out_of_books()
        mirrored._billpay_reversed()

    def _booked_account_payments(self, payments):
        return payments.account_payment_ids.filtered(
            lambda payment: payment.state in const.ENTRY_POSTED
        )

    def _reverse_entries(self, payments):
        """Mirror the entries of this payment; return the invoices open again."""
        entries = self._booked_account_payments(payments).move_id.filtered(
            lambda entry: entry.state == "posted"
        )
        credits = entries.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        paid = credits.matched_debit_ids.debit_move_id.move_id
        # A bank statement that shows the money keeps its match: it did come.
        credits.remove_move_reconcile()
        entries = entries.filtered(
            lambda entry: "posted" not in entry.reversal_move_ids.mapped("state")
        )
        vals_list = [
            {
                "date": self._day_taken_back(payments, entry),
                "ref": payments.env._(
                    "Reversed by ClickPesa (%(status)s): %(ref)s",
                    status=payments.status,
                    ref=entry.ref,
                ),
            }
            for entry in entries
        ]
        if entries:
            mirrors = entries._reverse_moves(vals_list)
            for entry, mirror in zip(entries, mirrors, strict=True):
                # A copy of an entry leaves the customer out.
                mirror.with_context(skip_invoice_sync=True).write(
                    {"partner_id": entry.partner_id.id}
                )
            mirrors._post(soft=False)
        return paid.filtered(lambda move: move.is_sale_document(include_receipts=True))

    def _day_taken_back(self, payments, entry):
        """Return the day ClickPesa told of it, not before the entry, not locked."""
        entries = payments.env["billpay.entries"]
        moment = payments.told_at or fields.Datetime.now()
        day = payments.company_id._billpay_day(moment)
        return entries._open_day(
            payments, max(day, entry.date), entry._affect_tax_report
        )

    def _call_people(self, payments, bills, reason):
        """Raise an activity for whoever answers for the invoice, and for the bills.

        A new word stands for the ones before.
        """
        for bill in bills:
            bill._billpay_on_taken_back(payments, reason)
        payments.activity_unlink(["mail.mail_activity_data_warning"])
        payments.activity_schedule(
            "mail.mail_activity_data_warning",
            summary=payments.env._("Payment reversed: %s", payments.display_name),
            note=reason,
            user_id=payments.company_id._billpay_person_in_charge(
                payments.move_id.invoice_user_id
            ).id,
        )

    def _note_reversal_failure(self, payment, error):
        """The entry still stands: keep it in sight and try again later."""
        env, why = payment.env, str(error)
        _logger.warning(
            "Payment %s was not reversed.", payment.reference, exc_info=error
        )
        if not isinstance(error, UserError):
            why = env._("an unexpected error, written to the log.")
        reason = env._(
            "ClickPesa reversed this payment (%(status)s), but its entry could not "
            "be reversed: %(error)s Odoo retries automatically. Correct the cause, "
            "or reverse the entry by hand with the button Payment.",
            status=payment.status,
            error=why,
        )
        payment._flag(reason)
        payment._try_later()
