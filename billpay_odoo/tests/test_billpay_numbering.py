# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The digits of numbers, and companies that make them without any network."""

import json

from stdnum.iso7064 import mod_97_10

from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..clickpesa import parse_notification
from ..models.provider.payment_provider import LONGEST, SHORTEST
from .common import BillPayCommon


@tagged("post_install", "-at_install")
class TestNumbering(BillPayCommon):
    def _own_counter(self, **values):
        return self.env["ir.sequence"].create(
            {"name": "Duka", "implementation": "standard", **values}
        )

    def test_prefix_length_and_counter_of_the_application(self):
        self.provider.write(
            {
                "clickpesa_number_prefix": "11227",
                "clickpesa_number_length": 10,
                "clickpesa_sequence_id": self._own_counter(number_next=7).id,
            }
        )
        self.assertEqual(self.provider.clickpesa_number_example[:8], "11227042")
        name = self._invoice().billpay_number_id.name
        self.assertEqual((name[:8], len(name)), ("11227007", 10))
        self.assertTrue(mod_97_10.is_valid(name))

    def test_every_length_that_is_allowed_is_made(self):
        self.provider.write(
            {
                "clickpesa_number_prefix": "1",
                "clickpesa_sequence_id": self._own_counter().id,
            }
        )
        for length in range(SHORTEST, LONGEST + 1):
            self.provider.clickpesa_number_length = length
            [name] = self.env["billpay.numbering"]._next_references(self.provider, 1)
            self.assertEqual(len(name), length)
            self.assertTrue(mod_97_10.is_valid(name))

    def test_settings_that_cannot_work_are_refused(self):
        for values in (
            {"clickpesa_number_prefix": "11A"},
            {"clickpesa_number_prefix": "11 22"},
            {"clickpesa_number_prefix": "١١٢٢"},
            {"clickpesa_number_length": 5},
            {"clickpesa_number_length": 21},
            {"clickpesa_number_length": 8},
            {"clickpesa_number_prefix": "1234567890123"},
            {"clickpesa_number_origin": "offline", "clickpesa_number_prefix": "99"},
        ):
            with self.assertRaises(ValidationError, msg=values):
                with self.env.cr.savepoint():
                    self.provider.write(values)

    def test_used_up_digits_are_said_and_nothing_is_made_longer(self):
        counter = self._own_counter(number_next=999)
        self.provider.write(
            {
                "clickpesa_number_length": 9,
                "clickpesa_sequence_id": counter.id,
            }
        )
        self.assertEqual(
            len(self.env["billpay.numbering"]._next_references(self.provider, 1)[0]), 9
        )
        with self.assertRaises(UserError) as caught:
            self.env["billpay.numbering"]._next_references(self.provider, 1)
        self.assertIn("no control numbers left", str(caught.exception))

    def test_used_up_digits_stop_neither_invoices_nor_money(self):
        counter = self._own_counter(number_next=999)
        self.provider.write(
            {"clickpesa_number_length": 9, "clickpesa_sequence_id": counter.id}
        )
        move = self._registered_invoice(150000)
        other = self._invoice(20000)
        self.assertEqual(other.state, "posted")
        self.assertFalse(other.billpay_number_ids)
        self.assertIn("no control numbers left", other.message_ids[0].body)
        self.assertIn("Get Control Number", other.message_ids[0].body)
        # A part is paid, and there is no number for the rest.
        payment = self._pay(move.billpay_number_id.name, 100000)
        self._event(payment)
        self._process()
        self.assertBooked(self._ledger(payment), 100000)
        self.assertEqual(move.amount_residual, 50000)
        self.assertEqual(move.billpay_number_ids.mapped("state"), ["paid"])
        self.assertIn(
            "no control numbers left", "".join(move.message_ids.mapped("body"))
        )
        with self.assertRaises(UserError):
            move.action_billpay_issue()
        self.provider.clickpesa_number_length = 14
        move.action_billpay_issue()
        self.assertEqual(move.billpay_number_id.amount, 50000)

    def test_counter_that_was_set_back_skips_what_is_here(self):
        counter = self._own_counter()
        self.provider.clickpesa_sequence_id = counter
        used = [self._invoice().billpay_number_id.name for _invoice in range(3)]
        counter.number_next = 1
        fresh = self.env["billpay.numbering"]._next_references(self.provider, 2)
        self.assertFalse(set(used) & set(fresh))
        self.assertEqual(len(set(fresh)), 2)

    def test_applications_never_share_digits(self):
        other = self._make_application(self.company, name="Mauzo ya pili")
        other.clickpesa_sequence_id = self.provider.clickpesa_sequence_id
        with self.assertRaises(ValidationError):
            with self.env.cr.savepoint():
                other.clickpesa_sequence_id = self._own_counter()
        with self.assertRaises(ValidationError):
            with self.env.cr.savepoint():
                other.clickpesa_number_prefix = "112212"
        other.write(
            {
                "clickpesa_number_prefix": "3344",
                "clickpesa_sequence_id": self._own_counter().id,
            }
        )


@tagged("post_install", "-at_install")
class TestOfflineCompany(BillPayCommon):
    """An application with no credentials at all."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.provider.write(
            {
                "clickpesa_number_origin": "offline",
                "clickpesa_client_id": False,
                "clickpesa_api_key": False,
            }
        )

    def test_registering_needs_credentials(self):
        with self.assertRaises(ValidationError):
            self.provider.clickpesa_number_origin = "api"

    def test_numbers_are_payable_at_birth_and_nothing_is_called(self):
        move = self._invoice(150000)
        number = move.billpay_number_id
        self.assertRecordValues(number, [{"state": "open", "origin": "offline"}])
        self.assertEqual(number.name[:4], "1122")
        self.assertTrue(mod_97_10.is_valid(number.name))
        self._sync()
        self._poll()
        with self._workers():
            self.assertEqual(
                self.env["account.move.send"]._billpay_confirm_before_sending(move), {}
            )
        move.button_draft()
        move.action_post()
        self.assertEqual(move.billpay_number_id, number)
        self._sync()
        self.assertEqual(self.sandbox.calls(), [])

    def test_what_cannot_be_asked_says_so(self):
        move = self._invoice(150000)
        with self._workers(), self.assertRaises(UserError) as caught:
            move.action_billpay_check()
        self.assertIn("Enter Payment", str(caught.exception))
        checks = self.env["billpay.connection.test"]._connection_checks(self.provider)
        self.assertEqual([passed for passed, _sentence in checks][:2], [None, True])
        reports = self.env["billpay.health"]._health_checks(self.provider)
        checks = {check.name: check for check in reports[self.provider.id]}
        self.assertEqual(checks["last_poll"].colour, "green")
        self.assertIn("there is no poll", checks["last_poll"].sentence)
        self.assertEqual(self.sandbox.calls(), [])

    def test_invoice_prints_its_number(self):
        move = self._invoice(150000)
        block = self.env["billpay.pay.page"]._document_for(move, "en_US")
        self.assertEqual(block["number"], move.billpay_number_id.name)
        self.assertIn("150,000", block["amount"])

    def test_signed_delivery_books_and_a_rest_gets_the_next_number(self):
        self.provider.clickpesa_confirmation = "signature"
        move = self._invoice(150000)
        first = move.billpay_number_id
        payment = self._pay(first.name, 100000)
        self._event(payment)
        self._process()
        self.assertBooked(self._ledger(payment), 100000)
        self.assertEqual(move.amount_residual, 50000)
        second = move.billpay_number_id
        self.assertRecordValues(
            second, [{"state": "open", "amount": 50000, "predecessor_id": first.id}]
        )
        payment = self._pay(second.name, 50000)
        self._event(payment)
        self._process()
        self.assertEqual(move.amount_residual, 0)

    def test_payment_on_a_predecessor_is_booked_on_the_invoice(self):
        self.provider.clickpesa_confirmation = "signature"
        move = self._invoice(150000)
        first = move.billpay_number_id
        payment = self._pay(first.name, 100000)
        self._event(payment)
        self._process()
        self.assertEqual(first.state, "paid")
        second = move.billpay_number_id
        late = {**self.sandbox.webhook_body(payment["id"])}
        late["data"] = {
            **late["data"],
            "id": "LATE1",
            "paymentReference": "R2",
            "collectedAmount": "50000",
        }
        late["checksum"] = self.sandbox.sign(late)
        self._store(late)
        self._process()
        booked = self.env["billpay.payment"].search([("reference", "=", "LATE1")])
        self.assertBooked(booked, 50000)
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual((first.state, second.state), ("paid", "closed"))

    def _store(self, body):
        raw = json.dumps(body).encode()
        self.env["billpay.event"]._store_delivery(
            self.provider.sudo(),
            raw,
            parse_notification(raw),
            signed=True,
        )


@tagged("post_install", "-at_install")
class TestSuccessor(BillPayCommon):
    def _part_paid(self, **values):
        move = self._registered_invoice(150000, **values)
        number = move.billpay_number_id
        self._pay(number.name, 100000)
        self._poll()
        self._process()
        return move, number

    def test_payer_is_not_told_unless_the_company_wants_it(self):
        move, _number = self._part_paid()
        self._sync()
        self.assertFalse(move.billpay_number_id.told_at)

    def test_payer_is_told_once_clickpesa_knows_the_number(self):
        self.company.billpay_tell_successor = True
        move, number = self._part_paid()
        successor = move.billpay_number_id
        self.assertEqual(successor.state, "pending")
        self.assertFalse(successor.told_at)
        self._sync()
        self.assertTrue(successor.told_at)
        mail = self.env["mail.mail"].search(
            [("model", "=", "account.move"), ("res_id", "=", move.id)]
        )
        self.assertEqual(mail.recipient_ids, self.partner)
        self.assertIn(
            self.env["billpay.pay.page"]._get_pay_url(successor), mail.body_html
        )
        self.assertIn("50,000", mail.body_html)
        self.assertIn("100,000", mail.body_html)
        self.assertIn("View Invoice", mail.body_html)
        self.assertNotIn("Journal Entry", mail.body_html)
        self.env["billpay.reservation"]._follow(move)
        self._sync()
        again = self.env["mail.mail"].search_count(
            [("model", "=", "account.move"), ("res_id", "=", move.id)]
        )
        self.assertEqual(again, 1)

    def test_a_broken_template_keeps_no_number_from_being_registered(self):
        self.company.billpay_tell_successor = True
        move, _number = self._part_paid()
        self.env.ref(
            "billpay_odoo.mail_pay_block"
        ).arch = '<t t-name="billpay_odoo.mail_pay_block"><t t-out="nothing.here"/></t>'
        with mute_logger("odoo.addons.billpay_odoo"):
            self._sync()
        successor = move.billpay_number_id
        self.assertRecordValues(
            successor, [{"state": "open", "told_at": False, "sync_at": False}]
        )
        self.assertIn("can be paid", move.message_ids[0].body)

    def test_first_number_of_an_invoice_tells_nobody(self):
        self.company.billpay_tell_successor = True
        move = self._registered_invoice()
        self.assertFalse(move.billpay_number_id.told_at)
