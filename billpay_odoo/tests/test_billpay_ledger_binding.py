# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Money that is there before its number."""

from unittest.mock import patch

from odoo.tests import tagged

from .ledger import LedgerCommon


@tagged("post_install", "-at_install")
class TestLateBinding(LedgerCommon):
    def _next_is(self, digits):
        """Let the application's next number be these digits."""
        names = iter(digits)
        return patch.object(
            type(self.env["billpay.numbering"]),
            "_next_references",
            lambda _service, _provider, count: [next(names) for _i in range(count)],
        )

    def _waiting(self, digits, amount=7000, **values):
        row = self._post(self._confirmed(digits, amount, **values))
        self.assertEqual(row.state, "unmatched")
        return row

    def test_offline_number_finds_the_money_that_waits(self):
        row = self._waiting("11220000777701")
        with self._next_is(["11220000777701"]):
            move = self._invoice(7000)
        self.env.cr.flush()
        self.assertEqual(row.state, "confirmed")
        self.assertFalse(row.reason)
        self._process()
        self.assertBooked(row, 7000)
        self.assertEqual(move.amount_residual, 0)

    def test_registered_number_finds_it_when_clickpesa_confirms(self):
        self.provider.clickpesa_number_origin = "api"
        row = self._waiting("11220000777702")
        with self._next_is(["11220000777702"]):
            move = self._invoice(7000)
        self.assertEqual(row.state, "unmatched")
        self._sync()
        self.assertEqual(row.state, "confirmed")
        self._process()
        self.assertBooked(row, 7000)
        self.assertEqual(move.amount_residual, 0)

    def test_suffix_and_letter_case_do_not_matter(self):
        suffixed = self._waiting("11220000777703-8943")
        letters = self._waiting("1122abc")
        with self._next_is(["11220000777703", "1122ABC"]):
            moves = self._invoice(7000) | self._invoice(7000)
        self.env.cr.flush()
        self._process()
        self.assertEqual((suffixed | letters).mapped("state"), ["posted", "posted"])
        self.assertEqual(moves.mapped("amount_residual"), [0, 0])

    def test_money_of_other_merchants_and_without_facts_keeps_waiting(self):
        other = self._make_application(
            self.company,
            clickpesa_client_id="IDother",
            clickpesa_billpay_namba="3344",
        )
        theirs = self._waiting("11220000777704", provider_id=other.id)
        unclear = self._confirmed("11220000777704", 0, state="unmatched")
        failed = self._confirmed("11220000777704", 5, state="ignored")
        with self._next_is(["11220000777704"]):
            self._invoice(7000)
        self.env.cr.flush()
        self.assertEqual(
            (theirs | unclear | failed).mapped("state"),
            ["unmatched", "unmatched", "ignored"],
        )

    def test_numbers_of_a_batch_cost_one_search(self):
        ledger = type(self.env["billpay.ledger"])
        bind = ledger._bind_waiting
        asked = []

        def counted(service, numbers):
            with self.assertQueryCount(1):
                found = bind(service, numbers)
            asked.append(len(numbers))
            return found

        with patch.object(ledger, "_bind_waiting", counted):
            for _index in range(5):
                self._number(partner_id=self.partner.id)
            self.env.cr.flush()
        self.assertEqual(asked, [5])

    def test_money_that_missed_its_number_is_found_by_the_next_poll(self):
        """Each was committed while the other's transaction did not see it."""
        row = self._waiting("11220000777705")
        move = self._invoice(7000)
        self.env.cr.flush()
        move.billpay_number_id.sudo().name = "11220000777705"
        self._process()
        self.assertEqual(row.state, "unmatched")
        self._poll()
        self._process()
        self.assertBooked(row, 7000)
        self.assertEqual(move.amount_residual, 0)

    def test_money_on_a_number_that_was_closed_before_it_was_confirmed(self):
        self.provider.clickpesa_number_origin = "api"
        move = self._invoice(7000)
        number = move.billpay_number_id.sudo()
        row = self._waiting(number.name)
        # The call that makes it is under way.
        number.sync_attempts = 1
        move.button_cancel()
        self._sync()
        self.assertEqual(number.state, "closed")
        self.assertTrue(number.confirmed_at)
        self._poll()
        self._process()
        self.assertBooked(row, 7000)
        self.assertEqual(row.partner_id, self.partner)

    def test_money_that_waits_for_a_person_is_not_woken(self):
        row = self._waiting("11220000777706")
        number = self._number().sudo()
        self.env.cr.flush()
        number.name = "11220000777706"
        undone = self._post(
            self._confirmed(self._invoice(5000).billpay_number_id, 5000)
        )
        self.env["billpay.decision"]._undo_match(undone, "Wrong customer")
        ledger = self.env["billpay.payment"].sudo()
        self.assertFalse(ledger.env["billpay.ledger"]._bind_forgotten())
        number.partner_id = self.partner
        self.assertEqual(ledger.env["billpay.ledger"]._bind_forgotten(), row)
