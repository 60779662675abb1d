# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What ClickPesa keeps, and the words in the books."""

from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import tagged

from ..clickpesa import Payment
from .ledger import LedgerCommon


@tagged("post_install", "-at_install")
class TestFees(LedgerCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.channel = cls.env["billpay.channel"].sudo()._find_by_code("M-PESA")
        cls.channel.write({"fee_percent": 1.5, "fee_fixed": 100})
        cls.account = cls.company_data["default_account_expense"]
        cls.provider.clickpesa_fee_account_id = cls.account

    def _paid(self, amount, due=None, **values):
        move = self._invoice(due or amount)
        row = self._confirmed(
            move.billpay_number_id, amount, channel_id=self.channel.id, **values
        )
        self._post(row)
        self.assertEqual(row.state, "posted", row.reason)
        return move, row

    def test_fee_is_a_line_of_the_entry(self):
        move, row = self._paid(150000)
        entry = self._entry(row)
        items = {line.account_id: line for line in entry.line_ids}
        self.assertEqual(len(items), 3)
        self.assertEqual(items[self.account].debit, 2350)
        payment = row.account_payment_ids
        self.assertEqual(items[payment.outstanding_account_id].debit, 147650)
        self.assertEqual(self._receivable(entry).credit, 150000)
        self.assertEqual(payment.amount, 147650)
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(row.amount, 150000)
        self.assertFalse(row.attention)

    def test_no_account_no_fee(self):
        self.provider.clickpesa_fee_account_id = False
        _move, row = self._paid(150000)
        self.assertBooked(row, 150000)

    def test_fee_is_rounded_to_the_currency(self):
        self.channel.write({"fee_percent": 1.234, "fee_fixed": 0})
        _move, row = self._paid(1001)
        fee = self._entry(row).line_ids.filtered(lambda x: x.account_id == self.account)
        self.assertEqual(fee.debit, self.tzs.round(1001 * 0.01234))

    def test_fee_never_exceeds_the_payment(self):
        self.channel.fee_fixed = 5000
        move, row = self._paid(700)
        self.assertEqual(self._receivable(self._entry(row)).credit, 700)
        self.assertEqual(row.account_payment_ids.amount, 0)
        self.assertEqual(move.amount_residual, 0)

    def test_fee_of_a_payment_in_parts_is_booked_once(self):
        moves = self._invoice(50000) | self._invoice(20000)
        row = self._confirmed(
            "1122999999",
            70000,
            channel_id=self.channel.id,
            matched_partner_id=self.partner.id,
            allocation_ids=[
                Command.create({"move_id": moves[0].id, "amount": 30000}),
                Command.create({"move_id": moves[1].id, "amount": 20000}),
            ],
        )
        self._post(row)
        entries = self._entry(row)
        fee = entries.line_ids.filtered(lambda x: x.account_id == self.account)
        self.assertEqual(sum(fee.mapped("debit")), 1150)
        self.assertEqual(sum(self._receivable(entries).mapped("credit")), 70000)
        self.assertEqual(moves.mapped("amount_residual"), [20000, 0])

    def test_payment_with_a_fee_goes_back_to_draft_and_is_posted_again(self):
        move, row = self._paid(150000)
        payment = row.account_payment_ids
        payment.action_draft()
        payment.payment_reference = "Looked at"
        payment.action_post()
        self.assertEqual(self._receivable(payment.move_id).credit, 150000)
        self.assertEqual(len(payment.move_id.line_ids), 3)

    def test_cancelled_and_confirmed_again_the_entry_is_as_it_was(self):
        move, row = self._paid(150000)
        payment, entry = row.account_payment_ids, self._entry(row)
        payment.action_draft()
        payment.action_cancel()
        self.assertEqual((payment.state, entry.state), ("canceled", "cancel"))
        self.assertTrue(row.attention)
        payment.action_draft()
        payment.action_post()
        self.assertEqual(payment.move_id, entry)
        self.assertEqual(self._receivable(entry).credit, 150000)
        self.assertEqual(len(entry.line_ids), 3)
        self.assertFalse(row.attention)

    def test_entry_is_not_deleted(self):
        _move, row = self._paid(150000)
        row.account_payment_ids.action_draft()
        with self.assertRaisesRegex(UserError, "vanish from the books"):
            self._entry(row).unlink()

    def test_reversal_takes_the_fee_back_too(self):
        move, row = self._paid(150000)
        told = Payment.parse({"id": row.reference, "status": "REVERSED"})
        self.env["billpay.ledger"]._upsert(
            self.provider.sudo(), [told], source="poll", trusted=True
        )
        self._process()
        self.assertEqual(row.state, "reversed")
        entries = self._entry(row) | self._entry(row).reversal_move_ids
        fee = entries.line_ids.filtered(lambda x: x.account_id == self.account)
        self.assertEqual(sum(fee.mapped("balance")), 0)
        self.assertEqual(len(fee), 2)
        self.assertEqual(move.amount_residual, 150000)

    def test_fee_with_books_in_dollars(self):
        dollars = self.setup_other_company(name="Dollar Books")
        self.env["res.currency.rate"].create(
            {
                "name": "2020-01-01",
                "currency_id": self.tzs.id,
                "rate": 2500,
                "company_id": dollars["company"].id,
            }
        )
        provider = self._make_application(
            dollars["company"], clickpesa_number_origin="offline"
        )
        account = dollars["default_account_expense"]
        provider.clickpesa_fee_account_id = account
        move = self._invoice(250000, journal_id=dollars["default_journal_sale"].id)
        row = self._confirmed(
            move.billpay_number_id,
            250000,
            provider_id=provider.id,
            channel_id=self.channel.id,
        )
        self._post(row)
        fee = self._entry(row).line_ids.filtered(lambda x: x.account_id == account)
        self.assertEqual((fee.amount_currency, fee.balance), (3850, 1.54))
        self.assertEqual(self._receivable(self._entry(row)).balance, -100)
        self.assertEqual(move.amount_residual, 0)

    def test_books_say_number_id_and_receipt(self):
        move, row = self._paid(150000)
        payment = row.account_payment_ids
        texts = [payment.memo, payment.payment_reference, payment.move_id.ref]
        money = payment.move_id.line_ids.filtered(
            lambda line: line.account_id != self.account
        )
        self.assertEqual(len(money), 2)
        texts += money.mapped("name")
        for text in texts:
            for word in (row.number, row.reference, row.receipt):
                self.assertIn(word, text)
        self.assertIn(move.name, payment.memo)
        self.assertEqual(payment.billpay_payer, "ASHA JUMA")
