# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Payments that a person types, and the same ones when ClickPesa tells of them."""

import json
import runpy
from datetime import timedelta
from pathlib import Path

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..clickpesa import Payment, parse_notification
from .common import BillPayCommon


class ManualCommon(BillPayCommon):
    """An accountant, and steps with which money is entered by hand."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.clerk = cls._user("billpay_hand_clerk", "account.group_account_invoice")
        cls.auditor = cls._user(
            "billpay_hand_auditor", "account.group_account_readonly"
        )

    def _entry(self, user=None, **values):
        return (
            self.env["billpay.payment.entry"]
            .with_user(user or self.clerk)
            .with_context(allowed_company_ids=self.company.ids)
            .create(
                {
                    "application": str(self.provider.id),
                    "amount": 150000,
                    "receipt": "9XK4F7Q2",
                    "paid_at": "2026-03-02 09:00:00",
                    **values,
                }
            )
        )

    def _type(self, number, **values):
        """Type a receipt and let the worker book it; return the ledger's row."""
        entry = self._entry(number=number, **values)
        entry.action_enter()
        self._process()
        return self.env["billpay.payment"].search(
            [("receipt", "=", "".join(entry.receipt.split()))]
        )

    def _rows(self):
        return self.env["billpay.payment"].search(
            [("provider_id", "=", self.provider.id)]
        )

    def _offline_only(self):
        """The application is switched off: nobody can be asked."""
        provider_sudo = self.provider.sudo()
        # While it is on, reading the journal also chooses one.
        self.assertTrue(provider_sudo.journal_id)
        provider_sudo.state = "disabled"


@tagged("post_install", "-at_install")
class TestManualPayment(ManualCommon):
    def test_typed_receipt_pays_the_invoice(self):
        move = self._registered_invoice(150000)
        number = move.billpay_number_id
        row = self._type(number.display_number, payer_name="ASHA", payer_phone="0712")
        self.assertBooked(row, 150000)
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(number.state, "paid")
        self.assertRecordValues(
            row,
            [
                {
                    "reference": "RECEIPT/9XK4F7Q2",
                    "provisional": True,
                    "entered_how": "typed",
                    "entered_by_id": self.clerk.id,
                    "confirmed_by_id": self.clerk.id,
                    "payer_name": "ASHA",
                    "number": number.name,
                    "paid_at": fields.Datetime.to_datetime("2026-03-02 09:00:00"),
                }
            ],
        )
        self.assertIn(self.clerk.name, "".join(row.message_ids.mapped("body")))
        self.assertEqual(
            str(row.account_payment_ids.date), "2026-03-02", "the day of the receipt"
        )

    def test_company_without_any_connection(self):
        """Nothing but an accountant who types receipts."""
        move = self._invoice(150000)
        move.billpay_number_ids.sudo().write(
            {"origin": "offline", "state": "open", "confirmed_at": "2026-03-01"}
        )
        self._offline_only()
        calls = self.sandbox.count_calls()
        row = self._type(move.billpay_number)
        self.assertBooked(row, 150000)
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(self.sandbox.count_calls(), calls)

    def test_typed_then_told_by_clickpesa_is_one_payment(self):
        for source in ("webhook", "poll"):
            with self.subTest(source):
                self.sandbox.reset()
                move = self._registered_invoice(150000)
                number = move.billpay_number_id.name
                payment = self._pay(number, 150000)
                receipt = payment["paymentReference"]
                typed = self._type(number, receipt=" %s " % receipt.lower())
                self.assertBooked(typed, 150000)
                self.assertTrue(typed.provisional)
                if source == "webhook":
                    self._event(payment)
                else:
                    self._poll()
                self._process()
                self.assertEqual(self._ledger(payment), typed)
                self.assertFalse(typed.provisional)
                self.assertEqual(typed.reference, payment["id"])
                self.assertBooked(typed, 150000)
                self.assertFalse(typed.attention)
                self.assertEqual(len(move.billpay_payment_ids), 1)
                self.assertEqual(len(typed.account_payment_ids), 1)
                self.assertIn(payment["id"], "".join(typed.message_ids.mapped("body")))

    def test_receipt_that_clickpesa_told_is_already_known(self):
        move = self._registered_invoice(150000)
        payment = self._pay(move.billpay_number_id.name, 150000)
        self._poll()
        self._process()
        row = self._ledger(payment)
        entry = self._entry(
            number=move.billpay_number, receipt=payment["paymentReference"].lower()
        )
        self.assertIn("already", entry.warning)
        self.assertEqual(entry.action_enter()["params"]["type"], "warning")
        self._process()
        self.assertEqual(self._rows(), row)
        self.assertBooked(row, 150000)
        self.assertFalse(row.provisional)
        self.assertFalse(row.confirmed_by_id)
        self.assertEqual(row.entered_by_id, self.clerk)

    def test_however_a_receipt_is_typed_it_is_the_one_that_clickpesa_tells(self):
        def divided(receipt):
            return "-".join(receipt[i : i + 3] for i in range(0, len(receipt), 3))

        for typed in (
            lambda receipt: receipt + ".",
            lambda receipt: "No. " + receipt,
            lambda receipt: "Receipt no: " + receipt.lower(),
            lambda receipt: "RISITI " + receipt,
            divided,
        ):
            self.sandbox.reset()
            move = self._registered_invoice(150000)
            payment = self._pay(move.billpay_number_id.name, 150000)
            known_receipt = payment["paymentReference"]
            with self.subTest(receipt=typed(known_receipt)):
                before = self._rows()
                entry = self._entry(
                    number=move.billpay_number, receipt=typed(known_receipt)
                )
                entry.action_enter()
                self._process()
                row = self._rows() - before
                self.assertBooked(row, 150000)
                self.assertEqual(row.receipt_key, known_receipt.upper())
                self._poll()
                self._process()
                self.assertEqual(self._ledger(payment), row)
                self.assertEqual(self._rows() - before, row)
                self.assertEqual(len(move.billpay_payment_ids), 1)
                self.assertEqual(move.amount_residual, 0)

    def test_receipts_that_differ_by_a_letter_o_stay_two(self):
        moves = self._registered_invoice(150000), self._registered_invoice(150000)
        for move, receipt in zip(moves, ("QW012345", "QWO12345"), strict=True):
            row = self._type(move.billpay_number, receipt=receipt)
            self.assertBooked(row, 150000)
            self.assertEqual(move.amount_residual, 0)

    def _mistyped(self, receipt):
        """Slips with which people type a receipt."""
        middle = len(receipt) // 2
        swapped = receipt[:middle] + receipt[middle + 1] + receipt[middle]
        yield swapped + receipt[middle + 2 :]
        yield receipt + "7"
        yield receipt[:middle] + receipt[middle + 1 :]
        yield receipt.replace("0", "O", 1)
        yield "TZ" + receipt

    def test_nearly_the_same_receipt_of_a_customers_number_waits(self):
        purpose = self.env["billpay.purpose"].create(
            {"name": "Ada", "company_id": self.company.id}
        )
        number = self.env["billpay.control.number"]._reserve(
            self.provider.sudo(),
            [
                {
                    "kind": "customer",
                    "partner_id": self.partner.id,
                    "purpose_id": purpose.id,
                }
            ],
        )
        self._sync()
        for first in ("told", "typed", "together"):
            for slip in range(5):
                self.sandbox.reset()
                payment = self.sandbox.pay(number.name, 50000, deliver=False)
                receipt = "MP%s0X4821%s" % (slip, len(self._rows()))
                with self.sandbox.store.transaction() as gateway:
                    gateway.execute(
                        "UPDATE payment SET receipt = ? WHERE id = ?",
                        (receipt, payment["id"]),
                    )
                typed = list(self._mistyped(receipt))[slip]
                with self.subTest(first=first, receipt=receipt, typed=typed):
                    before = self._rows()
                    entry = self._entry(
                        number=number.name,
                        receipt=typed,
                        amount=50000,
                        paid_at=fields.Datetime.now() - timedelta(hours=30),
                    )
                    steps = [self._poll, entry.action_enter]
                    for step in steps if first == "told" else steps[::-1]:
                        step()
                        if first != "together":
                            self._process()
                    self._process()
                    rows = self._rows() - before
                    self.assertEqual(len(rows), 2)
                    held = rows.filtered(lambda row: row.state == "unmatched")
                    self.assertEqual(len(held), 1, rows.mapped("state"))
                    self.assertBooked(rows - held, 50000)
                    self.assertFalse(held.account_payment_ids)
                    if first == "together":
                        self.assertTrue(held.provisional)
                    # It is the same payment: nothing is left to do.
                    self.env["billpay.decision"]._put_aside(held, "the same")

    def test_other_receipts_amounts_and_days_are_other_payments(self):
        number = self.env["billpay.control.number"]._reserve(
            self.provider.sudo(), [{"kind": "customer", "partner_id": self.partner.id}]
        )
        self._sync()
        # It may have been paid before.
        self.env.cr.execute(
            "UPDATE billpay_control_number SET create_date = '2026-01-01'"
            " WHERE id = %s",
            [number.id],
        )
        number.invalidate_recordset()
        payment = self.sandbox.pay(number.name, 50000, deliver=False)
        receipt = payment["paymentReference"]
        self._poll()
        self._process()
        now = fields.Datetime.now()
        for typed, amount, days in (
            # The operator's next receipt.
            (receipt[:-1] + ("7" if receipt[-1] != "7" else "8"), 50000, 1),
            (receipt + "7", 60000, 1),
            (receipt + "8", 50000, 30),
        ):
            with self.subTest(typed=typed, amount=amount, days=days):
                row = self._type(
                    number.name,
                    receipt=typed,
                    amount=amount,
                    paid_at=now - timedelta(days=days),
                )
                self.assertBooked(row, amount)

    # === Receipts that ClickPesa does not report === #

    def _colour(self):
        checks = self.env["billpay.health"]._health_checks(self.provider)
        return {c.name: c.colour for c in checks[self.provider.id]}["unreported"]

    def _polled(self):
        self.env.cr.execute(
            "UPDATE billpay_payment SET create_date = create_date - interval '1 minute'"
        )
        self.env.invalidate_all()
        self._poll()
        self._process()

    def test_receipt_that_clickpesa_does_not_report_needs_a_person(self):
        for source in ("typed", "unknown number", "never booked"):
            with self.subTest(source=source):
                partner = self.env["res.partner"].create({"name": "Neema"})
                move = self._registered_invoice(150000, partner=partner)
                number = move.billpay_number
                if source == "unknown number":
                    number = "112299990000"
                row = self._type(
                    number,
                    receipt="FAKE%s" % len(self._rows()) + "77X",
                    paid_at=fields.Datetime.now() - timedelta(hours=5),
                )
                self.assertFalse(row.attention)
                before = self._colour()
                self._polled()
                self.assertTrue(row.attention)
                self.assertTrue(row.unreported_at)
                self.assertIn("does not report", row.reason)
                self.assertIn(self.clerk.name, row.reason)
                self.assertIn(row, row.search(row._todo_domain()))
                self.assertEqual(self._colour(), "amber")
                if source == "typed":
                    self.assertEqual(before, "green")
                    self.assertBooked(row, 150000)
                    self.assertEqual(partner.billpay_unreported_count, 1)
                    action = partner.action_view_billpay_unreported()
                    self.assertEqual(row.search(action["domain"]), row)

    def test_what_clickpesa_reports_after_all_is_no_warning(self):
        move = self._registered_invoice(150000)
        moment = fields.Datetime.now() - timedelta(hours=5)
        rows = self.env["billpay.payment"]
        for amount, due in ((150000, False), (170000, True)):
            with self.subTest(amount=amount):
                move = self._registered_invoice(150000)
                row = self._type(
                    move.billpay_number,
                    receipt="LATE%s77X" % amount,
                    amount=amount,
                    paid_at=moment,
                )
                self._polled()
                self.assertTrue(row.unreported_at and row.attention)
                self._report_late(row, move.billpay_number_id.name, amount)
                self.assertEqual(row.attention, due)
                self.assertEqual("More than was due" in (row.reason or ""), due)
                rows |= row
        self.assertEqual(sum(rows.mapped("amount")), 320000)

    def _unreported(self, number, receipt, **values):
        """A receipt that a person entered and that a poll did not find."""
        moment = fields.Datetime.now() - timedelta(hours=5)
        row = self._type(number, receipt=receipt, **{"paid_at": moment, **values})
        self._polled()
        self.assertTrue(row.unreported_at and row.attention, row.reason)
        return row

    def _report_late(self, row, number, amount=150000):
        """ClickPesa has it after all, as paid to a number."""
        payment = self._pay(number, amount)
        with self.sandbox.store.transaction() as gateway:
            gateway.execute(
                "UPDATE payment SET receipt = ? WHERE id = ?",
                (row.receipt, payment["id"]),
            )
        self._poll()
        self._process()
        self.assertEqual(self._ledger(payment), row)
        self.assertFalse(row.unreported_at)

    def _old_number(self, **values):
        """A number of the customer that may have been paid long ago."""
        number = self.env["billpay.control.number"]._reserve(
            self.provider.sudo(),
            [{"kind": "customer", "partner_id": self.partner.id, **values}],
        )
        self._sync()
        self.env.cr.execute(
            "UPDATE billpay_control_number SET create_date = '2026-01-01'"
            " WHERE id = %s",
            [number.id],
        )
        number.invalidate_recordset()
        return number

    def test_unreported_receipt_stays_to_do_whatever_it_is_used_for(self):
        def match(row, move):
            self.env["billpay.decision"]._match_by_hand(
                row, [(move, move.amount_residual)], self.partner
            )

        def use_credit(row, move):
            self.env["billpay.decision"]._use_credit(row, move)

        cases = (
            ("unmatched", match, 150000),
            ("unmatched", match, 149000),
            ("credit", use_credit, 150000),
            ("credit", use_credit, 149000),
        )
        for index, (kind, step, amount) in enumerate(cases):
            with self.subTest(kind=kind, amount=amount):
                number = "1122999900%02d" % index
                if kind == "credit":
                    # Its own allocation leaves the money to a person.
                    number = self._old_number(allocation_policy="credit").name
                row = self._unreported(number, "FAKE%s0077X" % index)
                move = self._invoice(amount)
                step(row.with_user(self.clerk), move.with_user(self.clerk))
                self._polled()
                self.assertBooked(row, 150000)
                self.assertEqual(move.amount_residual, 0)
                self.assertEqual(row.credit_open, 150000 - amount)
                self.assertTrue(row.attention)
                self.assertIn("does not report", row.reason)
                self.assertIn(row, row.search(row._todo_domain()))
                self._report_late(row, row.number)
                self.assertFalse(row.attention)
                self.assertNotIn("does not report", row.reason or "")
                self.assertBooked(row, 150000)

    def test_entered_receipt_that_clickpesa_denies_when_asked_is_doubted(self):
        """Older than what polls read: the question for its number finds out."""
        for days in (20, 60, 200):
            for known in (False, True):
                with self.subTest(days=days, known=known):
                    move = self._registered_invoice(150000)
                    number = "11229999%s%d" % (days, known)
                    receipt = "FAKE%sQ%d77" % (days, known)
                    if known:
                        payment = self._pay(number, 150000)
                        with self.sandbox.store.transaction() as gateway:
                            gateway.execute(
                                "UPDATE payment SET receipt = ? WHERE id = ?",
                                (receipt, payment["id"]),
                            )
                    row = self._type(
                        number,
                        receipt=receipt,
                        paid_at=fields.Datetime.now() - timedelta(days=days),
                    )
                    self.env["billpay.decision"]._match_by_hand(
                        row.with_user(self.clerk), [(move, 150000)], self.partner
                    )
                    self.assertBooked(row, 150000)
                    self.assertFalse(row.attention)
                    self.assertTrue(row.sudo().ask_at)
                    row.sudo().ask_at = fields.Datetime.now() - timedelta(minutes=1)
                    self._process()
                    self.assertBooked(row, 150000)
                    self.assertEqual(move.amount_residual, 0)
                    self.assertEqual(row.attention, not known)
                    self.assertEqual(bool(row.unreported_at), not known)
                    self.assertEqual("does not report" in (row.reason or ""), not known)

    def test_entered_receipt_that_a_switched_off_application_vouched_for(self):
        """The live application of the merchant asks about what the other entered."""
        off = self._make_application(
            self.company, name="Old", clickpesa_client_id="IDold"
        )
        off.state = "disabled"
        for app in (off, self.provider):
            with self.subTest(app.name):
                move = self._registered_invoice(150000)
                row = self._unreported(
                    move.billpay_number,
                    "FAKE%s0099X" % app.id,
                    application=str(app.id),
                )
                self.assertBooked(row, 150000)
                self.assertIn("does not report", row.reason)

    def test_other_number_of_an_unreported_receipt_is_told(self):
        for same, amount in ((False, 150000), (False, 7000), (True, 150000)):
            with self.subTest(same=same, amount=amount):
                wrong = self._registered_invoice(amount)
                right = self._registered_invoice(amount)
                row = self._unreported(
                    wrong.billpay_number, "LATE%s77X" % wrong.id, amount=amount
                )
                move = wrong if same else right
                self._report_late(row, move.billpay_number_id.name, amount)
                self.assertBooked(row, amount)
                self.assertEqual(wrong.amount_residual, 0)
                self.assertEqual(right.amount_residual, amount)
                self.assertEqual(row.attention, not same)
                self.assertNotIn("does not report", row.reason or "")
                if not same:
                    self.assertIn("It stays booked as entered", row.reason)
                    self.assertIn(right.billpay_number_id.name, row.reason)
                    self.assertIn(row, row.search(row._todo_domain()))

    def test_warning_of_the_books_outlives_that_clickpesa_reports_it(self):
        def cancel(row, move):
            row.account_payment_ids.action_draft()
            row.account_payment_ids.action_cancel()

        def reset(row, move):
            row.account_payment_ids.action_draft()

        def cancel_invoice(row, move):
            move.button_draft()
            move.button_cancel()

        for step, told, left in (
            (cancel, "not in the books", 150000),
            # Odoo leaves a draft reconciled until it is cancelled or confirmed.
            (reset, "not in the books", 0),
            (cancel_invoice, "open credit", None),
        ):
            with self.subTest(step.__name__):
                move = self._registered_invoice(150000)
                row = self._unreported(move.billpay_number, "LATE%s88X" % move.id)
                step(row, move)
                self.assertTrue(row.attention)
                number = move.billpay_number_ids[:1] or row.control_number_id
                self._report_late(row, number.name)
                self.assertTrue(row.attention, row.reason)
                self.assertNotIn("does not report", row.reason)
                self.assertIn(row, row.search(row._todo_domain()))
                self.assertIn(told, row.reason)
                if left is None:
                    self.assertEqual(row.credit_open, 150000)
                else:
                    self.assertEqual(move.amount_residual, left)

    def test_reported_receipt_of_an_unknown_number_says_why_it_waits(self):
        row = self._unreported("112299990000", "LATE8899X")
        self.assertEqual(row.state, "unmatched")
        self._report_late(row, "112299990000")
        self.assertEqual(row.state, "unmatched")
        self.assertNotIn("does not report", row.reason)
        self.assertTrue(row.reason)

    def test_put_aside_name_of_a_booked_payment_calls_when_it_goes_back(self):
        number = self._old_number()
        for status in ("REVERSED", "REFUNDED", "REVERSE WITH CHARGES"):
            with self.subTest(status):
                payment = self._pay(number.name, 150000)
                typed = self._type(
                    number.name,
                    receipt=payment["paymentReference"] + "7",
                    paid_at=fields.Datetime.now() - timedelta(hours=5),
                )
                self.assertBooked(typed, 150000)
                self._polled()
                told = self._ledger(payment)
                self.assertEqual(told.state, "unmatched")
                self.env["billpay.decision"]._put_aside(
                    told.with_user(self.clerk), "the same"
                )
                self.assertFalse(told.attention)
                self.sandbox.set_status(payment["id"], status)
                self._poll()
                self._process()
                self.assertEqual(told.state, "ignored")
                self.assertEqual(told.status, status)
                self.assertTrue(told.attention)
                self.assertIn(status, told.reason)
                self.assertIn("the same", told.reason)
                self.assertIn(told, told.search(told._todo_domain()))
                self.assertBooked(typed, 150000)
                # Said once: what a person has seen does not come back.
                told.action_mark_seen()
                self._poll()
                self._process()
                self.assertFalse(told.attention)
                # The next round types another payment.
                typed.account_payment_ids.action_draft()
                typed.account_payment_ids.action_cancel()

    def test_doubtful_row_keeps_its_reason(self):
        number = self._old_number()
        payment = self._pay(number.name, 150000)
        self._poll()
        self._process()
        typed = self._type(
            number.name,
            receipt=payment["paymentReference"] + "7",
            paid_at=fields.Datetime.now() - timedelta(hours=5),
        )
        self.assertEqual(typed.state, "unmatched")
        self.assertTrue(typed.is_doubtful)
        reason = typed.reason
        self.assertIn(payment["paymentReference"], reason)
        self._polled()
        self.assertEqual(typed.state, "unmatched")
        self.assertIn(reason, typed.reason)
        # Each word of ClickPesa about it leaves what is asked of the person.
        other = self._pay(number.name, 150000)
        with self.sandbox.store.transaction() as gateway:
            gateway.execute(
                "UPDATE payment SET receipt = ? WHERE id = ?",
                (typed.receipt, other["id"]),
            )
        for status in ("ON-HOLD", "SUCCESS", "PROCESSING", "SETTLED"):
            with self.subTest(status):
                self.sandbox.set_status(other["id"], status)
                self._poll()
                self._process()
                self.assertEqual(self._ledger(other), typed)
                self.assertFalse(typed.account_payment_ids)
                if status in ("SUCCESS", "SETTLED"):
                    self.assertEqual(typed.state, "unmatched")
                    self.assertTrue(typed.is_doubtful)
                    self.assertIn("press Match", typed.reason)
        self.assertBooked(self._ledger(payment), 150000)

    def test_nothing_is_doubted_that_no_poll_can_know(self):
        now = fields.Datetime.now()
        move = self._registered_invoice(10)
        cases = {
            "just paid": now - timedelta(minutes=1),
            "before the application": now - timedelta(days=300),
        }
        for case, moment in cases.items():
            with self.subTest(case):
                row = self._type(
                    move.billpay_number,
                    receipt="X%s7799" % len(self._rows()),
                    paid_at=moment,
                )
                self._polled()
                self.assertFalse(row.attention and row.unreported_at)
        row = self._type(
            move.billpay_number,
            receipt="FAIL770099",
            paid_at=now - timedelta(hours=5),
        )
        # A poll that failed knows nothing.
        self.provider.sudo().clickpesa_client_id = "IDwrong"
        self._polled()
        self.assertTrue(self.provider.sudo().billpay_poll_error)
        self.assertFalse(row.unreported_at)

    def test_keys_of_before_are_computed_anew_by_the_upgrade(self):
        """Until 19.0.1.3.0 dashes, dots and labels counted."""
        known = {
            receipt: self._type(
                self._registered_invoice(150000).billpay_number, receipt=receipt
            )
            for receipt in ("AB12-CD34", "EF56.GH78", "JK90LM12")
        }
        nothing = self._type(
            self._registered_invoice(150000).billpay_number, receipt="NP34QR56"
        )
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE billpay_payment SET receipt_key = upper(receipt) WHERE id IN %s",
            (tuple(row.id for row in known.values()),),
        )
        self.env.cr.execute(
            "UPDATE billpay_payment SET receipt = 'N/A', receipt_key = 'N/A'"
            " WHERE id = %s",
            (nothing.id,),
        )
        path = Path(__file__).parents[1] / "migrations/19.0.1.4.0/post-receipt_keys.py"
        script = runpy.run_path(str(path))
        self.assertEqual(script["recompute_receipt_keys"](self.env.cr, batch=2), 3)
        self.assertEqual(script["recompute_receipt_keys"](self.env.cr), 0)
        self.env.invalidate_all()
        self.assertEqual(
            [row.receipt_key for row in known.values()],
            ["AB12CD34", "EF56GH78", "JK90LM12"],
        )
        self.assertFalse(nothing.receipt_key)
        entry = self._entry(receipt="ab12cd34")
        self.assertEqual(entry.payment_id, known["AB12-CD34"])
        script["migrate"](self.env.cr, "19.0.1.3.0")

    def test_receipt_typed_twice_is_one_payment(self):
        move = self._registered_invoice(150000)
        row = self._type(move.billpay_number)
        entry = self._entry(number=move.billpay_number, amount=99, receipt="9xk4 f7q2")
        self.assertIn("150,000", entry.warning.replace("\xa0", " "))
        entry.action_enter()
        self._process()
        self.assertEqual(self._rows(), row)
        self.assertEqual(row.amount, 150000)
        self.assertBooked(row, 150000)

    def test_forged_announcement_takes_no_typed_payment_over(self):
        """Whoever knows a receipt and the address must not rename its payment."""
        move = self._registered_invoice(150000)
        number = move.billpay_number_id.name
        payment = self._pay(number, 150000)
        typed = self._type(number, receipt=payment["paymentReference"])
        body = self.sandbox.webhook_body(payment["id"])
        body["data"]["id"] = "FORGED1"
        self._store_body(body)
        self.env["billpay.worker"].sudo()._take_events()
        self.assertEqual(typed.reference, "RECEIPT/" + payment["paymentReference"])
        self._poll()
        self._process()
        self.assertEqual(typed.reference, payment["id"])
        forged = self._rows() - typed
        self.assertEqual(forged.reference, "FORGED1")
        self.assertFalse(forged.account_payment_ids)
        self.assertBooked(typed, 150000)

    def test_forged_names_stand_in_nobodys_way(self):
        move = self._registered_invoice(150000)
        number = move.billpay_number_id.name
        payment = self._pay(number, 150000)
        for forged in ("RECEIPT/9XK4F7Q2", "MERGED/1"):
            body = self.sandbox.webhook_body(payment["id"])
            body["data"] |= {"id": forged, "paymentReference": "OTHER1"}
            self._store_body(body)
        self._process()
        row = self._type(number)
        self.assertBooked(row, 150000)
        self.assertEqual(row.reference, "RECEIPT/9XK4F7Q2")

    def _store_body(self, body):
        raw = json.dumps(body).encode()
        self.env["billpay.event"]._store_delivery(
            self.provider.sudo(),
            raw,
            parse_notification(raw),
            signed=False,
        )

    def test_mistyped_number_is_corrected_before_and_flagged_after_booking(self):
        move = self._registered_invoice(150000)
        other = self._registered_invoice(150000)
        payment = self._pay(move.billpay_number_id.name, 150000)
        receipt = payment["paymentReference"]
        typed = self._type(other.billpay_number_id.name, receipt=receipt)
        self.assertEqual(other.amount_residual, 0)
        self._poll()
        self._process()
        self.assertEqual(self._ledger(payment), typed)
        self.assertTrue(typed.attention)
        self.assertIn(move.billpay_number_id.name, typed.reason)
        self.assertBooked(typed, 150000)
        # Not booked yet: ClickPesa's number counts.
        payment = self._pay(self._registered_invoice(7000).billpay_number_id.name, 7000)
        unmatched = self._type(
            "1122000000", receipt=payment["paymentReference"], amount=7000
        )
        self.assertEqual(unmatched.state, "unmatched")
        self._poll()
        self._process()
        self.assertEqual(self._ledger(payment), unmatched)
        self.assertBooked(unmatched, 7000)

    def test_other_amount_of_a_typed_receipt_is_told(self):
        move = self._registered_invoice(150000)
        number = move.billpay_number_id.name
        payment = self._pay(number, 150000)
        typed = self._type(number, receipt=payment["paymentReference"], amount=15000)
        self._poll()
        self._process()
        told = self._ledger(payment)
        self.assertNotEqual(told, typed)
        self.assertBooked(told, 150000)
        self.assertTrue(typed.attention)
        self.assertIn("mistyped", typed.reason)

    def test_two_rows_of_one_payment_are_booked_once(self):
        """As two transactions at one instant leave them, whatever is booked first."""
        for first in ("typed", "told", "together"):
            for decided in (False, True):
                with self.subTest(first=first, decided=decided):
                    self._two_rows(first, decided)

    def _two_rows(self, first, decided):
        self.sandbox.reset()
        move = self._registered_invoice(150000)
        number = move.billpay_number_id.name
        payment = self._pay(number, 150000)
        self._poll()
        told = self._ledger(payment).sudo()
        receipt, told.receipt = told.receipt, False
        entry = self._entry(number=number, receipt=receipt)
        entry.action_enter()
        typed = self._rows().sudo().filtered(lambda row: row.receipt == receipt)
        self.assertNotEqual(typed, told)
        told.receipt = receipt
        if decided:
            typed.matched_partner_id = self.partner
        late = {"typed": told, "told": typed, "together": told.browse()}[first]
        if late:
            late.next_try_at = fields.Datetime.now() + timedelta(hours=1)
        self._process()
        late.next_try_at = False
        self._process()
        rows = told | typed
        [row] = rows.filtered(lambda row: row.state == "posted")
        gone = rows - row
        self.assertEqual(gone.state, "ignored")
        self.assertEqual(gone.merged_into_id, row)
        self.assertEqual(row.reference, payment["id"])
        self.assertFalse(row.provisional)
        self.assertBooked(row, 150000)
        self.assertFalse(gone.account_payment_ids)
        # A person had said of the typed one that it is the customer's credit.
        credit = decided and row == typed
        self.assertEqual(move.amount_residual, 150000 if credit else 0)
        # Whoever tells of it again finds the row that is booked.
        self._event(payment)
        self._poll()
        self._entry(number=number, receipt=receipt).action_enter()
        self._process()
        self.assertEqual(self._rows() & rows, rows)
        self.assertEqual(len(rows.account_payment_ids), 1)
        self.assertTrue(row.webhook_at)
        self.assertEqual(row.event_ids.payment_id, row)

    def test_reversed_payment_is_not_typed_back(self):
        move = self._registered_invoice(150000)
        number = move.billpay_number_id.name
        payment = self._pay(number, 150000)
        self.sandbox.set_status(payment["id"], "REVERSED")
        self._poll()
        row = self._ledger(payment)
        self.assertEqual(row.state, "ignored")
        self._type(number, receipt=payment["paymentReference"])
        self.assertEqual(self._rows(), row)
        self.assertEqual(move.amount_residual, 150000)

    def test_statement_of_money_that_is_not_ours_makes_no_second_row(self):
        """Refunded or put aside, and then in a file with the receipt as its id."""
        for how in ("REFUNDED", "REVERSED", "aside"):
            for with_receipt in (True, False):
                with self.subTest(how=how, with_receipt=with_receipt):
                    move = self._registered_invoice(9000)
                    payment = self._pay(move.billpay_number_id.name, 9000)
                    if how != "aside":
                        self.sandbox.set_status(payment["id"], how)
                    self._poll()
                    row = self._ledger(payment)
                    if how == "aside":
                        self.env["billpay.decision"]._put_aside(
                            row.with_user(self.clerk), "not ours"
                        )
                    self._process()
                    self.assertEqual(row.state, "ignored")
                    before = self._rows()
                    receipt = payment["paymentReference"]
                    told = Payment.parse(
                        {
                            "id": receipt,
                            "status": "SUCCESS",
                            "orderReference": move.billpay_number_id.name,
                            "paymentReference": receipt if with_receipt else "",
                            "collectedAmount": 9000,
                            "collectedCurrency": "TZS",
                            "createdAt": "2026-11-29T10:00:00Z",
                        }
                    )
                    receipts = self.env["billpay.receipt"].with_user(self.clerk)
                    receipts._enter(self.provider.sudo(), [told], source="import")
                    self._process()
                    self.assertEqual(self._rows(), before)
                    self.assertEqual(row.state, "ignored")
                    self.assertFalse(row.account_payment_ids)
                    self.assertEqual(move.amount_residual, 9000)

    # === What is refused === #

    def test_what_cannot_be_right_is_refused(self):
        number = self._registered_invoice().billpay_number
        dollar = self.env.ref("base.USD")
        for text, values in (
            ("above zero", {"amount": 0}),
            ("above zero", {"amount": -5}),
            ("not USD", {"currency_id": dollar.id}),
            ("future", {"paid_at": fields.Datetime.now() + timedelta(hours=2)}),
            ("control number", {"number": " "}),
            ("receipt", {"receipt": " "}),
            ("no receipt", {"receipt": "cash"}),
            ("no receipt", {"receipt": "n/a"}),
        ):
            with self.subTest(text, values=values):
                entry = self._entry(**{"number": number, **values})
                with self.assertRaises(UserError) as caught:
                    entry.action_enter()
                self.assertIn(text, str(caught.exception))
                self.assertIn("Nothing was booked", str(caught.exception))
        self.assertFalse(self._rows())

    def test_unknown_number_is_said_before_and_waits_on_the_desk(self):
        entry = self._entry(number="1122 9999 99")
        self.assertIn("Unmatched", entry.warning)
        row = self._type("1122 9999 99")
        self.assertEqual(row.state, "unmatched")
        self.assertFalse(row.account_payment_ids)

    def test_invoice_form_fills_in_what_it_knows(self):
        move = self._registered_invoice(150000)
        entry = (
            self.env["billpay.payment.entry"]
            .with_user(self.clerk)
            .with_context(
                allowed_company_ids=self.company.ids, default_billpay_move_id=move.id
            )
            .create({})
        )
        self.assertRecordValues(
            entry,
            [
                {
                    "number": move.billpay_number,
                    "amount": 150000,
                    "application": str(self.provider.id),
                    "currency_id": self.tzs.id,
                }
            ],
        )
        self.assertIn(move.name, entry.bill)
        self.assertFalse(entry.warning)

    # === Rights === #

    def test_only_accountants_enter_and_confirm(self):
        with self.assertRaises(AccessError):
            self._entry(user=self.auditor, number="1122")
        row = self._announced()
        with self.assertRaises(AccessError):
            row.with_user(self.auditor).action_confirm_by_hand()
        with self.assertRaises(AccessError):
            self.env["billpay.receipt"].with_user(self.auditor)._enter(
                self.provider, [], source="typed"
            )

    def test_application_of_another_company_is_refused(self):
        foreign = self._make_application(
            self.setup_other_company(name="Duka la Pili")["company"]
        )
        choices = (
            self.env["payment.provider"]
            .with_user(self.clerk)
            .with_context(allowed_company_ids=self.company.ids)
            ._billpay_choices()
        )
        self.assertEqual([key for key, _name in choices], [str(self.provider.id)])
        with self.assertRaises(AccessError):
            self._entry(number="1122", application=str(foreign.id)).action_enter()
        self.assertFalse(
            self.env["billpay.payment"]
            .sudo()
            .search_count([("provider_id", "in", (foreign | self.provider).ids)])
        )

    # === Confirm by hand === #

    def _announced(self, amount=150000, status="SUCCESS"):
        """A payment that a webhook announced, and that nobody has confirmed."""
        self.provider.sudo().state = "test"
        move = self._registered_invoice(amount)
        payment = self._pay(move.billpay_number_id.name, amount)
        self.sandbox.set_status(payment["id"], status)
        self._event(payment)
        self._offline_only()
        self._process()
        row = self._ledger(payment)
        self.assertEqual(row.state, "received")
        return row

    def test_announced_payment_is_confirmed_by_hand_when_nobody_can_be_asked(self):
        row = self._announced()
        self.assertTrue(row.can_confirm_by_hand)
        row.with_user(self.clerk).action_confirm_by_hand()
        self.assertEqual(row.confirmed_by_id, self.clerk)
        self.assertIn(self.clerk.name, row.message_ids[:1].body)
        self._process()
        self.assertBooked(row, 150000)
        with self.assertRaises(UserError):
            row.with_user(self.clerk).action_confirm_by_hand()

    def test_confirming_by_hand_is_refused_while_clickpesa_can_be_asked(self):
        row = self._announced()
        self.provider.sudo().state = "test"
        row.invalidate_recordset()
        self.assertFalse(row.can_confirm_by_hand)
        with self.assertRaises(UserError) as caught:
            row.with_user(self.clerk).action_confirm_by_hand()
        self.assertIn("Process Now", str(caught.exception))
        self.assertEqual(row.state, "received")

    def test_hand_confirmed_under_a_false_id_is_found_by_its_receipt(self):
        row = self._announced()
        true_id = row.reference
        row.sudo().reference = "FORGED2"
        row.with_user(self.clerk).action_confirm_by_hand()
        self._process()
        self.assertBooked(row, 150000)
        self.provider.sudo().state = "test"
        self._poll()
        self._process()
        self.assertEqual(self._rows(), row)
        self.assertEqual(row.reference, true_id)
        self.assertBooked(row, 150000)

    def test_typing_an_announced_receipt_confirms_it(self):
        row = self._announced()
        typed = self._type(row.number, receipt=row.receipt)
        self.assertEqual(typed, row)
        self.assertEqual(row.confirmed_by_id, self.clerk)
        self.assertBooked(row, 150000)

    def test_only_what_was_announced_as_paid_is_confirmed_by_hand(self):
        for status in ("PENDING", "ON-HOLD", "REVERSED", "REVERSE WITH CHARGES", "?"):
            with self.subTest(status):
                row = self._announced(status=status)
                move = (
                    row.control_number_id.browse()
                    .search([("name", "=", row.number)])
                    .move_id
                )
                with self.assertRaises(UserError) as caught:
                    row.with_user(self.clerk).action_confirm_by_hand()
                self.assertIn(status, str(caught.exception))
                self.assertIn("Nothing was booked", str(caught.exception))
                self.assertEqual(row.state, "received")
                self._process()
                self.assertFalse(row.account_payment_ids)
                self.assertEqual(move.amount_residual, 150000)
        for status in ("SUCCESS", "SETTLED", "SETTLEMENT COMPLETED"):
            with self.subTest(status):
                row = self._announced(status=status)
                row.with_user(self.clerk).action_confirm_by_hand()
                self._process()
                self.assertBooked(row, 150000)

    def test_advice_for_an_unfinished_announcement_leads_to_the_books(self):
        for status in ("PENDING", "ON-HOLD", "PROCESSING"):
            with self.subTest(status):
                row = self._announced(status=status)
                self.assertEqual(self._type(row.number, receipt=row.receipt), row)
                self.assertBooked(row, 150000)

    def test_receipt_of_an_announced_reversal_is_not_booked(self):
        for status in ("REVERSED", "REFUND", "CHARGEBACK"):
            with self.subTest(status):
                row = self._announced(status=status)
                self.assertEqual(self._type(row.number, receipt=row.receipt), row)
                self.assertEqual(row.state, "received")
                self.assertFalse(row.account_payment_ids)

    def test_later_announcement_that_it_is_paid_can_be_confirmed(self):
        row = self._announced(status="PENDING")
        self.sandbox.set_status(row.reference, "SUCCESS")
        self._event({"id": row.reference})
        self._process()
        row.with_user(self.clerk).action_confirm_by_hand()
        self._process()
        self.assertBooked(row, 150000)

    def test_word_of_clickpesa_is_not_vouched_for(self):
        """It said itself that the payment is not finished, before it fell silent."""
        row = self._announced(status="ON-HOLD")
        self.provider.sudo().state = "test"
        self._poll()
        self.assertTrue(row.told_at)
        self._offline_only()
        self.assertEqual(self._type(row.number, receipt=row.receipt), row)
        self.assertFalse(row.account_payment_ids)
        with self.assertRaises(UserError):
            row.with_user(self.clerk).action_confirm_by_hand()
