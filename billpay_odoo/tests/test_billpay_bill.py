# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One number is given out for a bill, whatever else stays payable beside it."""

import psycopg2.errors

from odoo.exceptions import ConcurrencyError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .test_billpay_purpose import PurposeCommon


@tagged("post_install", "-at_install")
class TestBillKey(PurposeCommon):
    def _merge(self, kept, *others):
        partners = kept.union(*others)
        wizard = self.env["base.partner.merge.automatic.wizard"].sudo()
        wizard._merge(partners.ids, kept)

    def _contact(self, name):
        return self.env["res.partner"].create({"name": name, "phone": "0712345678"})

    def test_each_kind_of_bill_has_its_key(self):
        move = self._invoice(1000)
        self.assertEqual(move.billpay_number_id.bill_key, f"invoice:{move.id}")
        number = self._keeps(self.asha, self.tuition)
        self.assertEqual(number.bill_key, f"purpose:{self.asha.id}:{self.tuition.id}")
        stray = self.env["billpay.control.number"]._reserve(
            self.provider, [{"kind": "customer", "partner_id": self.asha.id}]
        )
        self.assertFalse(stray.bill_key, "of no purpose: it asks for no one bill")

    def test_a_second_living_number_is_refused_in_words(self):
        move = self._invoice(1000)
        numbers = self.env["billpay.control.number"].sudo()
        values = {"kind": "order", "move_id": move.id, "partner_id": move.partner_id.id}
        with self.assertRaises(ConcurrencyError), self.env.cr.savepoint():
            numbers._reserve(self.provider, [values])
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(psycopg2.errors.UniqueViolation) as caught,
            self.env.cr.savepoint(),
        ):
            move.billpay_number_id.sudo().copy({"name": "11229999999999"})
        message = numbers._sql_error_to_message(caught.exception)
        self.assertIn("has a control number to pay already", message)

    def test_a_number_takes_the_key_of_the_bill_it_moves_to(self):
        number = self.env["billpay.control.number"]._reserve(
            self.provider, [{"kind": "order", "partner_id": self.asha.id}]
        )
        self.assertFalse(number.bill_key)
        self.company.billpay_issue_on = "manual"
        move = self._invoice(1000)
        number.sudo().move_id = move
        self.assertEqual(number.bill_key, f"invoice:{move.id}")

    def test_a_paid_number_leaves_its_place_to_the_next(self):
        move = self._invoice(1000)
        first = move.billpay_number_id
        self._post(self._confirmed(first, 400))
        second = move.billpay_number_id
        self.assertNotEqual(second, first)
        self.assertEqual((first.state, second.bill_key), ("paid", first.bill_key))

    def test_reopening_takes_the_place_again_or_is_refused(self):
        move = self._invoice(1000)
        first = move.billpay_number_id.sudo()
        first._close()
        first._reopen()
        self.assertEqual(first.bill_key, f"invoice:{move.id}")
        first._close()
        self.provider.clickpesa_number_origin = "api"
        second = move._billpay_reserve()
        self.assertNotEqual(second, first)
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(psycopg2.errors.UniqueViolation),
            self.env.cr.savepoint(),
        ):
            first._reopen()
            self.env.flush_all()

    def test_contacts_with_a_number_each_are_merged(self):
        kept, other = self._contact("Neema"), self._contact("Neema M.")
        first = self._keeps(kept, self.tuition)
        second = self._keeps(other, self.tuition)
        self._merge(kept, other)
        self.assertEqual((first | second).partner_id, kept)
        self.assertEqual((first | second).mapped("state"), ["open", "open"])
        self.assertEqual(first.bill_key, f"purpose:{kept.id}:{self.tuition.id}")
        self.assertFalse(second.bill_key, "payable, but not given out")
        self.assertEqual(kept.billpay_number_id, first)
        self.assertEqual(self._keeps(kept, self.tuition), first)
        for number in (second, first):
            row = self._pay_number(number, 1000)
            self.assertEqual(row.partner_id, kept)
        second.action_close()
        with self.assertRaisesRegex(UserError, "close that one first"):
            second.action_reopen()
        first.action_close()
        second.action_reopen()
        self.assertEqual(second.bill_key, f"purpose:{kept.id}:{self.tuition.id}")

    def test_merged_numbers_mean_one_customer(self):
        """Bills and money of either are those of both, in whichever order they came."""
        kept, other, third = map(self._contact, ("Neema", "Neema M.", "N. Mushi"))
        numbers = self.env["billpay.control.number"].sudo()
        for partner in (other, kept, third):
            numbers |= self._keeps(partner, self.tuition)
        bills = self._fee(kept, self.tuition, 10000)
        bills |= self._fee(third, self.tuition, 30000, "2026-03-20")
        self._pay_number(numbers[0], 4000)
        self._merge(kept, other, third)
        self.assertEqual(numbers.partner_id, kept)
        self.assertEqual(numbers.filtered("bill_key"), numbers[1])
        self.assertEqual(set(numbers.mapped("state")), {"open"})

        def figures():
            numbers.invalidate_recordset()
            for number in numbers:
                statement = self.env["billpay.statement"]._statement(number)
                self.assertEqual(statement["closing"], number.balance)
            return {(n.amount_due, n.amount_credit) for n in numbers}

        self.assertEqual(figures(), {(40000, 4000)})
        paid = [(10000, 30000, 4000), (25000, 5000, 4000), (6000, 0, 5000)]
        for number, (amount, due, credit) in zip(numbers, paid, strict=True):
            row = self._pay_number(number, amount)
            self.assertEqual(row.partner_id, kept)
            self.assertEqual(figures(), {(due, credit)})
        self.assertEqual(set(bills.mapped("amount_residual")), {0})

    def test_contacts_of_one_bulk_run_are_merged(self):
        """Whatever the run has done for them: numbers, nothing yet, or one of each."""
        for made in ("both", "none", "the first", "the second"):
            with self.subTest(made):
                kept, other, third = map(self._contact, ("Neema", "Neema M.", "N."))
                partners = kept | other | third
                run = self.env["billpay.run"].sudo()
                run = run.create({"company_id": self.company.id, "name": made})
                lines = self.env["billpay.run.line"].sudo()
                for partner in partners:
                    number = {
                        "both": True,
                        "the first": partner == kept,
                        "the second": partner == other,
                    }.get(made) and self._keeps(partner, self.tuition)
                    lines |= lines.create(
                        {
                            "run_id": run.id,
                            "partner_id": partner.id,
                            "purpose_id": self.tuition.id,
                            "number_id": number and number.id,
                            "state": "reserved" if number else "waiting",
                        }
                    )
                numbers = lines.number_id
                self._merge(kept, other, third)
                self.assertEqual(lines.exists(), lines)
                self.assertEqual(lines.partner_id, kept)
                self.assertEqual(
                    set(numbers.mapped("state")), set(numbers and ["open"])
                )
                self.assertEqual(len(numbers.filtered("bill_key")), bool(numbers))
                waiting = lines.filtered(lambda line: line.state == "waiting")
                self.assertEqual(len(waiting), int(made != "both"))
                waiting._reserve_numbers()
                self.assertEqual(set(lines.mapped("state")) - {"problem"}, {"reserved"})
                living = self._keeps(kept, self.tuition)
                self.assertIn(living, lines.number_id)
                self.assertEqual(len(lines.number_id.filtered("bill_key")), 1)

    def test_of_merged_numbers_a_refused_one_is_not_given_out(self):
        for refused_is_own in (True, False):
            with self.subTest(refused_is_own=refused_is_own):
                kept, other = self._contact("Neema"), self._contact("Neema M.")
                own = self._keeps(kept, self.tuition)
                moved = self._keeps(other, self.tuition)
                refused, good = (own, moved) if refused_is_own else (moved, own)
                refused.state = "failed"
                self._merge(kept, other)
                self.assertFalse(refused.bill_key)
                self.assertEqual(good.bill_key, f"purpose:{kept.id}:{self.tuition.id}")
                self.assertEqual(self._keeps(kept, self.tuition), good)
                self.assertEqual(kept.billpay_number_id, good)

    def test_of_merged_contacts_the_only_number_is_given_out(self):
        kept, other = self._contact("Neema"), self._contact("Neema M.")
        closed = self._keeps(kept, self.tuition)
        closed.action_close()
        number = self._keeps(other, self.tuition)
        hostel = self._keeps(other, self.hostel)
        self._merge(kept, other)
        self.assertEqual(number.bill_key, f"purpose:{kept.id}:{self.tuition.id}")
        self.assertEqual(hostel.bill_key, f"purpose:{kept.id}:{self.hostel.id}")
        self.assertEqual(self._keeps(kept, self.tuition), number)
