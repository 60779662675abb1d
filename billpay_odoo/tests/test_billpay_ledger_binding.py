# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Money that is there before its number."""

from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.tests import tagged

from ..clickpesa import Payment
from .ledger import LedgerCommon


@tagged("post_install", "-at_install")
class TestLateBinding(LedgerCommon):
    def _next_is(self, digits):
        """Let the application's next number be these digits."""
        names = iter(digits)
        return patch.object(
            type(self.env["billpay.numbering"]),
            "_next_references",
            lambda _self, _app, count, **_how: [next(names) for _i in range(count)],
        )

    def _waiting(self, digits, amount=7000, **values):
        row = self._post(self._confirmed(digits, amount, **values))
        self.assertEqual(row.state, "unmatched")
        return row

    def _imported(self, *digits):
        """Numbers with a life before their row, each for an invoice of its own."""
        moves = self.env["account.move"]
        for name in digits:
            move = self._invoice(7000)
            move.billpay_number_id.sudo().write({"origin": "imported", "name": name})
            moves |= move
        return moves

    def test_imported_number_finds_the_money_that_waits(self):
        row = self._waiting("11220000777701")
        [wizard] = self.env["billpay.number.import"].create([{}])
        move = self._invoice(7000)
        move.billpay_number_ids.sudo()._close()
        self.env.flush_all()
        wizard._import_lines(
            self.env["billpay.number.import.line"].new(
                {
                    "name": "11220000777701",
                    "kind": "order",
                    "mode": "flexible",
                    "move_id": move.id,
                }
            )
        )
        self.env.cr.flush()
        self.assertEqual(row.state, "confirmed")
        self.assertFalse(row.reason)
        self._process()
        self.assertBooked(row, 7000)
        self.assertEqual(move.amount_residual, 0)

    def test_registered_number_finds_it_when_clickpesa_confirms(self):
        """ClickPesa's answer was lost, and the payer had the number all the same."""
        self.provider.clickpesa_number_origin = "api"
        move = self._invoice(7000)
        row = self._waiting(move.billpay_number_id.name)
        self._sync()
        self.assertEqual(row.state, "confirmed")
        self._process()
        self.assertBooked(row, 7000)
        self.assertEqual(move.amount_residual, 0)

    def test_suffix_and_letter_case_do_not_matter(self):
        suffixed = self._waiting("11220000777703-8943")
        letters = self._waiting("1122abc")
        moves = self._imported("11220000777703", "1122ABC")
        self.env["billpay.ledger"]._bind_waiting(moves.billpay_number_ids.sudo())
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
        self._had_since("11220000777705", row.paid_at)
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
        # ClickPesa made it, and the answer was lost.
        self.sandbox.faults.add("timeout_after", match="bulk-create", times=1)
        self._sync()
        move.button_cancel()
        number.sync_at = "2020-01-01"
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
        self._had_since("11220000777706", row.paid_at)
        undone = self._post(
            self._confirmed(self._invoice(5000).billpay_number_id, 5000)
        )
        self.env["billpay.decision"]._undo_match(undone, "Wrong customer")
        ledger = self.env["billpay.payment"].sudo()
        self.assertFalse(ledger.env["billpay.ledger"]._bind_forgotten())
        number.partner_id = self.partner
        self.assertEqual(ledger.env["billpay.ledger"]._bind_forgotten(), row)


@tagged("post_install", "-at_install")
class TestRestoredBackup(LedgerCommon):
    """The counter counts again to digits that somebody was given before."""

    def setUp(self):
        super().setUp()
        self.counter = self.env["ir.sequence"].create(
            {"name": "Duka", "implementation": "standard", "number_next": 4200}
        )
        self.provider.clickpesa_sequence_id = self.counter

    def _paid_before(self, ago, amount=7000):
        """What somebody paid so long ago on digits that the backup does not have."""
        moment = self.env.cr.now() - ago
        digits = self.env["billpay.numbering"]._next_references(self.provider, 1)[0]
        self.sandbox.clock.set(moment)
        payment = self._pay(digits, amount)
        self.sandbox.clock.reset()
        self.counter.number_next = int(digits[4:-2])
        return digits, payment

    def assertHeld(self, row, move):
        self.assertEqual(row.state, "unmatched", row.reason)
        self.assertTrue(row.attention)
        self.assertIn("before Odoo gave out the control number", row.reason)
        self.assertIn("press Match", row.reason)
        self.assertFalse(row.account_payment_ids | row.undone_payment_ids)
        self.assertFalse(row.control_number_id)
        self.assertEqual(move.amount_residual, move.amount_total)
        self.assertEqual(move.payment_state, "not_paid")
        number = move.billpay_number_id
        self.assertEqual((number.state, number.amount), ("open", move.amount_total))
        self.assertFalse(number.payment_ids)

    def _tell(self, how, payment):
        if how == "poll":
            self._poll()
        elif how == "import":
            self.env["billpay.ledger"]._upsert(
                self.provider.sudo(),
                [Payment.parse(self.sandbox.payment(payment["id"]))],
                source="import",
                trusted=True,
            )
        else:
            self.provider.clickpesa_confirmation = (
                "signature" if how == "signature" else "query"
            )
            self._event(payment, signed=how != "unsigned")
        self._process()

    def test_older_money_is_held_whoever_tells_of_it(self):
        for how in ("poll", "signature", "query", "unsigned", "import"):
            for ago in (
                timedelta(minutes=1),
                timedelta(hours=1),
                timedelta(days=1),
            ):
                with self.subTest(how, ago=ago):
                    digits, payment = self._paid_before(ago)
                    move = self._invoice(7000)
                    self.assertEqual(move.billpay_number_id.name, digits)
                    self._tell(how, payment)
                    row = self._ledger(payment)
                    self.assertHeld(row, move)
                    # Nor does anything bind it later.
                    self.assertFalse(self.env["billpay.ledger"]._bind_forgotten())
                    self._poll()
                    row.action_process_now()
                    self._process()
                    self.assertHeld(row, move)

    def test_much_older_money_is_held(self):
        for days in (30, 400):
            with self.subTest(days=days):
                digits, payment = self._paid_before(timedelta(days=days))
                move = self._invoice(7000)
                self.assertEqual(move.billpay_number_id.name, digits)
                self._tell("signature", payment)
                self.assertHeld(self._ledger(payment), move)

    def test_money_that_came_afterwards_is_booked(self):
        digits, old = self._paid_before(timedelta(hours=3))
        move = self._invoice(7000)
        self._tell("signature", old)
        told = self.sandbox.payment(old["id"])
        told.update(id="LCPNEW", paymentReference="R-NEW")
        told.update(createdAt=self.sandbox.clock.iso())
        told.update(updatedAt=self.sandbox.clock.iso())
        [new] = self.env["billpay.ledger"]._upsert(
            self.provider.sudo(), [Payment.parse(told)], source="poll", trusted=True
        )
        self._process()
        self.assertBooked(new, 7000)
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(self._ledger(old).state, "unmatched")

    def test_a_person_may_match_it_all_the_same(self):
        _digits, payment = self._paid_before(timedelta(hours=3))
        move = self._invoice(7000)
        self._tell("poll", payment)
        row = self._ledger(payment)
        self.env["billpay.decision"]._match_by_hand(row, [(move, 7000)], self.partner)
        self.assertBooked(row, 7000)
        self.assertFalse(row.attention)
        self.assertEqual(move.amount_residual, 0)

    def test_digits_that_are_known_to_be_paid_are_left_out(self):
        digits, payment = self._paid_before(timedelta(hours=3))
        self._tell("poll", payment)
        move = self._invoice(7000)
        self.assertNotEqual(move.billpay_number_id.name, digits)
        row = self._ledger(payment)
        self.assertEqual(row.state, "unmatched")
        self.assertFalse(row.attention)
        self.assertIn("does not exist in Odoo", row.reason)
        self.assertEqual(move.amount_residual, 7000)

    def test_registering_binds_no_older_money(self):
        self.provider.clickpesa_number_origin = "api"
        for minutes in (2, 90, 60 * 24 * 40):
            with self.subTest(minutes=minutes):
                move = self._invoice(7000)
                number = move.billpay_number_id
                moment = number.create_date - timedelta(minutes=minutes)
                row = self.env["billpay.payment"].sudo()
                row = row.create(
                    {
                        "provider_id": self.provider.id,
                        "reference": "OLD%s" % minutes,
                        "number": number.name,
                        "amount": 7000,
                        "currency_id": self.tzs.id,
                        "currency_code": "TZS",
                        "paid_at": moment,
                        "status": "SUCCESS",
                        "state": "confirmed",
                        "confirmed_at": fields.Datetime.now(),
                    }
                )
                self._post(row)
                self._sync()
                self.assertEqual(number.state, "open")
                self._process()
                self._poll()
                self._process()
                self.assertEqual(row.state, "unmatched")
                self.assertEqual(move.amount_residual, 7000)

    def test_new_digits_of_an_old_row_are_young(self):
        """ClickPesa gave them to others, and the number took other digits."""
        number = self._invoice(7000).billpay_number_id.sudo()
        self._had_since(number.name, "2026-03-05 10:00:00")
        [digits] = self.env["billpay.numbering"]._next_references(self.provider, 1)
        self.env["billpay.sync"]._take_digits(
            {number: (digits, "Others have them.")}, state="pending"
        )
        number.write({"state": "open", "confirmed_at": fields.Datetime.now()})
        paid = {"paid_at": fields.Datetime.now() - timedelta(hours=1)}
        row = self._confirmed(number.name, 7000, **paid)
        self._post(row)
        self.assertHeld(row, number.move_id)

    def test_older_money_of_a_customers_number_is_held(self):
        purpose = self.env["billpay.purpose"].create(
            {"name": "Ada", "company_id": self.company.id}
        )
        digits, payment = self._paid_before(timedelta(days=2))
        number = purpose._reserve(self.partner)
        self.assertEqual(number.name, digits)
        self._tell("signature", payment)
        row = self._ledger(payment)
        self.assertEqual(row.state, "unmatched")
        self.assertIn("before Odoo gave out", row.reason)
        self.assertFalse(number.payment_ids)
