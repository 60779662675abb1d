# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Customers keep one number per purpose, and money stays with its purpose."""

from lxml import etree

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.modules.migration import load_script
from odoo.tests import Form, tagged
from odoo.tools import file_path

from .. import money, page_texts
from .ledger import LedgerCommon


@tagged("post_install", "-at_install")
class PurposeCommon(LedgerCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tuition = cls._purpose("Tuition")
        cls.hostel = cls._purpose("Hostel", sequence=20)
        cls.parent = cls.env["res.partner"].create(
            {"name": "Neema Mushi", "phone": "0712 345 678"}
        )
        cls.asha = cls._pupil("Asha Mushi")
        cls.juma = cls._pupil("Juma Mushi")

    @classmethod
    def _purpose(cls, name, **values):
        return cls.env["billpay.purpose"].create(
            {"name": name, "company_id": cls.company.id, **values}
        )

    @classmethod
    def _pupil(cls, name, **values):
        return cls.env["res.partner"].create(
            {"name": name, "parent_id": cls.parent.id, "type": "other", **values}
        )

    def _keeps(self, partner, purpose):
        """The number that a customer keeps."""
        return purpose._reserve(partner).sudo()

    def _fee(self, partner, purpose, amount, day="2026-03-10", **values):
        return self._invoice(
            amount,
            partner=partner,
            billpay_purpose_id=purpose.id,
            invoice_date_due=day,
            **values,
        )

    def _pay_number(self, number, amount, **values):
        row = self._post(self._confirmed(number, amount, **values))
        self.assertEqual(row.state, "posted", row.reason)
        return row

    def _credit(self, row):
        """What is left of the receivable items of a payment."""
        return -sum(self._receivable(self._entry(row)).mapped("amount_residual"))


@tagged("post_install", "-at_install")
class TestPurposeMoney(PurposeCommon):
    def test_tuition_never_pays_hostel(self):
        hostel = self._fee(self.asha, self.hostel, 30000)
        tuition = self._fee(self.asha, self.tuition, 50000)
        row = self._pay_number(self._keeps(self.asha, self.tuition), 80000)
        self.assertEqual(tuition.amount_residual, 0)
        self.assertEqual(hostel.amount_residual, 30000)
        self.assertEqual(self._credit(row), 30000)
        self.assertEqual(row.purpose_id, self.tuition)

    def test_by_hand_no_invoice_gets_a_number_of_its_own_by_money(self):
        """Money on the customer's number, part of it or taken back, is no wish."""
        for moment in ("manual", "send"):
            with self.subTest(moment):
                self.company.billpay_issue_on = moment
                fee = self._fee(self.asha, self.tuition, 50000)
                row = self._pay_number(self._keeps(self.asha, self.tuition), 20000)
                self.assertEqual(fee.amount_residual, 30000)
                self.assertFalse(fee.billpay_number_ids)
                self._pay_number(self._keeps(self.asha, self.tuition), 30000)
                self.assertEqual(row.state, "posted")

    def test_by_hand_the_rest_of_an_own_number_is_asked_for(self):
        self.company.billpay_issue_on = "manual"
        fee = self._fee(self.asha, self.tuition, 50000)
        fee.action_billpay_issue()
        row = self._pay_number(fee.billpay_number_id, 20000)
        self.assertEqual(row.move_id, fee)
        rest = fee.billpay_number_id
        self.assertRecordValues(rest, [{"state": "open", "amount": 30000}])

    def test_by_hand_losing_the_customers_number_makes_none(self):
        self.company.billpay_issue_on = "manual"
        self.tuition.invoice_number = "customer"
        for change in (
            {"billpay_purpose_id": False},
            {"billpay_purpose_id": self.hostel.id},
        ):
            with self.subTest(change):
                fee = self._fee(self.asha, self.tuition, 50000)
                fee.action_billpay_issue()
                self.assertTrue(fee.billpay_carried_number_id)
                fee.write(change)
                self.assertFalse(fee.billpay_carried_number_id)
                self.assertFalse(fee.billpay_number_ids)
        # Confirmed with numbers, it gets one of its own.
        self.company.billpay_issue_on = "post"
        fee = self._fee(self.asha, self.tuition, 50000)
        fee.billpay_purpose_id = False
        self.assertTrue(fee.billpay_number_ids)

    def test_also_not_when_it_fits_exactly(self):
        hostel = self._fee(self.asha, self.hostel, 30000)
        tuition = self._fee(self.asha, self.tuition, 50000)
        self._pay_number(self._keeps(self.asha, self.tuition), 30000)
        self.assertEqual(hostel.amount_residual, 30000)
        self.assertEqual(tuition.amount_residual, 20000)

    def test_a_new_purpose_pays_plain_invoices_after_its_own(self):
        """A gym has one purpose and makes plain invoices."""
        for amount, left in (
            (20000, [0, 10000]),
            (25000, [0, 5000]),
            (9000, [1000, 10000]),
        ):
            with self.subTest(amount):
                gym = self._purpose("Membership %s" % amount)
                member = self._pupil("Member %s" % amount)
                plain = self._invoice(
                    10000, partner=member, invoice_date_due="2026-01-01"
                )
                own = self._fee(member, gym, 20000 if amount > 9000 else 10000)
                row = self._pay_number(self._keeps(member, gym), amount)
                self.assertEqual((own | plain).mapped("amount_residual"), left)
                self.assertEqual(self._credit(row), 0)

    def test_unassigned_invoices_are_left_alone_when_the_purpose_says_so(self):
        self.tuition.reach = "own"
        plain = self._invoice(10000, partner=self.asha, invoice_date_due="2026-01-01")
        row = self._pay_number(self._keeps(self.asha, self.tuition), 10000)
        self.assertEqual(plain.amount_residual, 10000)
        self.assertEqual(self._credit(row), 10000)

    def test_unassigned_invoices_are_reached_when_the_purpose_says_so(self):
        self.tuition.reach = "own_unassigned"
        plain = self._invoice(10000, partner=self.asha, invoice_date_due="2026-01-01")
        hostel = self._fee(self.asha, self.hostel, 30000, "2026-01-01")
        own = self._fee(self.asha, self.tuition, 50000)
        self._pay_number(self._keeps(self.asha, self.tuition), 55000)
        # Its own first, although the other one is older.
        self.assertEqual(own.amount_residual, 0)
        self.assertEqual(plain.amount_residual, 5000)
        self.assertEqual(hostel.amount_residual, 30000)

    def test_any_reaches_all_in_the_order_of_purposes(self):
        self.tuition.reach = "any"
        uniform = self._purpose("Uniform", sequence=5)
        last = self._fee(self.asha, self.hostel, 30000, "2026-01-01")
        second = self._fee(self.asha, uniform, 20000, "2026-02-01")
        first = self._fee(self.asha, self.tuition, 10000)
        self._pay_number(self._keeps(self.asha, self.tuition), 45000)
        self.assertEqual(
            (first | second | last).mapped("amount_residual"), [0, 0, 15000]
        )

    def test_a_pupil_never_pays_the_brothers_fees(self):
        brothers = self._fee(self.juma, self.tuition, 50000, "2026-01-01")
        own = self._fee(self.asha, self.tuition, 50000)
        row = self._pay_number(self._keeps(self.asha, self.tuition), 70000)
        self.assertEqual(own.amount_residual, 0)
        self.assertEqual(brothers.amount_residual, 50000)
        self.assertEqual(self._credit(row), 20000)

    def test_the_parents_number_pays_for_all_children(self):
        asha = self._fee(self.asha, self.tuition, 50000, "2026-01-01")
        juma = self._fee(self.juma, self.tuition, 50000, "2026-02-01")
        self._pay_number(self._keeps(self.parent, self.tuition), 60000)
        self.assertEqual((asha | juma).mapped("amount_residual"), [0, 40000])

    def test_invoices_made_out_to_the_parent_come_after_the_pupils(self):
        family = self._fee(self.parent, self.tuition, 50000, "2026-01-01")
        own = self._fee(self.asha, self.tuition, 20000)
        row = self._pay_number(self._keeps(self.asha, self.tuition), 30000)
        self.assertEqual((own | family).mapped("amount_residual"), [0, 40000])
        self.assertEqual(self._entry(row).partner_id, self.parent)

    def test_entries_on_the_contact_leave_the_family_alone(self):
        self.company.billpay_entries_on = "contact"
        family = self._fee(self.parent, self.tuition, 50000, "2026-01-01")
        own = self._fee(self.asha, self.tuition, 20000)
        row = self._pay_number(self._keeps(self.asha, self.tuition), 30000)
        self.assertEqual((own | family).mapped("amount_residual"), [0, 50000])
        receivable = self._receivable(self._entry(row))
        self.assertEqual(receivable.partner_id, self.asha)
        self.assertEqual(self._credit(row), 10000)

    def test_pocket_money_stays_credit(self):
        pocket = self._purpose("Pocket money", allocation_policy="credit")
        fee = self._fee(self.asha, pocket, 5000)
        number = self._keeps(self.asha, pocket)
        row = self._pay_number(number, 5000)
        self.assertEqual(fee.amount_residual, 5000)
        self.assertEqual(self._credit(row), 5000)
        self.company.billpay_apply_credit = True
        later = self._fee(self.asha, pocket, 5000)
        self.assertEqual(later.amount_residual, 5000)

    def test_credit_pays_the_next_invoice_of_its_purpose_only(self):
        self.company.billpay_apply_credit = True
        row = self._pay_number(self._keeps(self.asha, self.tuition), 30000)
        hostel = self._fee(self.asha, self.hostel, 10000)
        brothers = self._fee(self.juma, self.tuition, 10000)
        own = self._fee(self.asha, self.tuition, 40000)
        self.assertEqual(
            (hostel | brothers | own).mapped("amount_residual"), [10000, 10000, 10000]
        )
        self.assertEqual(self._credit(row), 0)

    def test_surplus_pays_no_brothers_invoice(self):
        """However the surplus came about; entries are on the parent."""
        self.company.billpay_apply_credit = True
        matched = self._confirmed("1122999999", 12000)
        fee = self._fee(self.asha, self.tuition, 2000)
        plain = self._invoice(2000, partner=self.asha)
        number = self._keeps(self.asha, self.tuition)
        ways = [
            ("an invoice of the purpose", fee.billpay_number_id, 12000),
            ("a plain invoice", plain.billpay_number_id, 12000),
            ("the customer's number", number, 10000),
        ]
        matched.matched_partner_id = self.asha
        rows = {"by a person": self._post(matched)}
        for way, paid, amount in ways:
            rows[way] = self._pay_number(paid, amount)
        for way, row in rows.items():
            with self.subTest(way):
                self.assertEqual(self._entry(row).partner_id, self.parent)
                self.assertEqual(self._credit(row), 10000 if row != matched else 12000)
        brothers = self._fee(self.juma, self.tuition, 50000)
        plain = self._invoice(50000, partner=self.juma)
        self.assertEqual((brothers | plain).mapped("amount_residual"), [50000, 50000])
        # The pupil's own, and after them the family's.
        own = self._fee(self.asha, self.tuition, 30000)
        self.assertEqual(own.amount_residual, 0)
        family = self._fee(self.parent, self.tuition, 12000)
        self.assertEqual(family.amount_residual, 0)

    def test_parents_surplus_pays_for_all_children(self):
        self.company.billpay_apply_credit = True
        fee = self._fee(self.parent, self.tuition, 2000)
        self._pay_number(fee.billpay_number_id, 12000)
        asha = self._fee(self.asha, self.tuition, 7000)
        juma = self._fee(self.juma, self.tuition, 7000)
        hostel = self._fee(self.juma, self.hostel, 7000)
        self.assertEqual(
            (asha | juma | hostel).mapped("amount_residual"), [0, 4000, 7000]
        )

    def test_surplus_of_entries_on_the_contact_stays_there(self):
        self.company.write(
            {"billpay_apply_credit": True, "billpay_entries_on": "contact"}
        )
        fee = self._fee(self.asha, self.tuition, 2000)
        self._pay_number(fee.billpay_number_id, 12000)
        family = self._fee(self.parent, self.tuition, 5000)
        brothers = self._fee(self.juma, self.tuition, 5000)
        own = self._fee(self.asha, self.tuition, 5000)
        self.assertEqual(
            (family | brothers | own).mapped("amount_residual"), [5000, 5000, 0]
        )

    def test_credit_gives_parent_company_and_branch_the_same_answer(self):
        self.company.write({"child_ids": [Command.create({"name": "Mwanza"})]})
        branch = self.company.child_ids
        self.cr.precommit.run()  # the chart of accounts of the branch
        self.env.user.company_ids |= branch
        branch.billpay_provider_id = self.provider
        self.company.billpay_apply_credit = True
        for paid_in, next_in in (
            (branch, branch),
            (self.company, branch),
            (branch, self.company),
            (self.company, self.company),
        ):
            with self.subTest(paid_in=paid_in.name, next_in=next_in.name):
                pupil = self._pupil("Pupil")
                fee = self._fee(pupil, self.tuition, 2000, company_id=paid_in.id)
                row = self._pay_number(fee.billpay_number_id, 12000)
                self.assertEqual(fee.amount_residual, 0)
                # As somebody who works in that company alone.
                clerk = self._user(
                    f"clerk{paid_in.id}.{next_in.id}",
                    "account.group_account_invoice",
                    company=next_in,
                )
                own = self._fee(
                    pupil, self.tuition, 30000, company_id=next_in.id, post=False
                )
                own.with_user(clerk).with_company(next_in).action_post()
                self.assertEqual(own.amount_residual, 20000)
                self.assertEqual(own.billpay_number_id.amount, 20000)
                self.assertEqual(self._credit(row), 0)

    def test_surplus_on_an_invoice_stays_with_its_purpose(self):
        self.company.billpay_apply_credit = True
        first = self._fee(self.asha, self.hostel, 10000)
        self._pay_number(first.billpay_number_id, 15000)
        tuition = self._fee(self.asha, self.tuition, 20000)
        hostel = self._fee(self.asha, self.hostel, 20000)
        self.assertEqual((tuition | hostel).mapped("amount_residual"), [20000, 15000])

    def test_credit_counts_for_the_purposes_analytics(self):
        plan = self.env["account.analytic.plan"].create({"name": "Departments"})
        account = self.env["account.analytic.account"].create(
            {"name": "School", "plan_id": plan.id, "company_id": self.company.id}
        )
        self.tuition.analytic_distribution = {str(account.id): 100}
        row = self._pay_number(self._keeps(self.asha, self.tuition), 30000)
        [line] = self._receivable(self._entry(row))
        self.assertEqual(line.analytic_distribution, {str(account.id): 100})
        counted = self.env["account.analytic.line"].search(
            [(plan._column_name(), "=", account.id)]
        )
        self.assertEqual(counted.mapped("amount"), [30000])


@tagged("post_install", "-at_install")
class TestPurposeNumbers(PurposeCommon):
    def test_one_number_per_customer_and_purpose(self):
        pupils = self.asha | self.juma
        numbers = self._keeps(pupils, self.tuition)
        self.assertEqual(numbers.partner_id, pupils)
        self.assertEqual(self._keeps(pupils, self.tuition), numbers)
        other = self._keeps(self.asha, self.hostel)
        self.assertNotEqual(other.name, numbers[0].name)
        self.assertEqual(len(self.asha.billpay_number_ids), 2)
        self.assertEqual(
            self.asha.billpay_number, numbers[0].display_number, "of the first purpose"
        )

    def test_the_database_knows_no_second_one(self):
        number = self._keeps(self.asha, self.tuition)
        with self.assertRaisesRegex(Exception, "one_per_bill"):
            with self.env.cr.savepoint():
                number.copy({"name": "11229999999999"}).flush_recordset()

    def test_closed_number_comes_back_instead_of_a_new_one(self):
        number = self._keeps(self.asha, self.tuition)
        self._pay_number(number, 1000)
        number.action_close()
        self.assertEqual(number.state, "closed")
        self.assertEqual(self._keeps(self.asha, self.tuition), number)
        self.assertEqual(number.state, "open")

    def test_reopening_looks_for_the_other_one(self):
        number = self._keeps(self.asha, self.tuition)
        number.action_close()
        number.provider_id.clickpesa_number_origin = "api"
        other = self._keeps(self.asha, self.tuition)
        self.assertNotEqual(other, number)
        with self.assertRaisesRegex(UserError, "close that one first"):
            number.action_reopen()

    def test_text_amount_and_mode_are_the_purposes(self):
        self.provider.clickpesa_number_origin = "api"
        self.tuition.write(
            {
                "description": "Ada {reference} {customer}",
                "default_amount": 450000,
                "default_mode": "exact",
            }
        )
        self.asha.ref = "S-17"
        number = self._keeps(self.asha, self.tuition)
        self.assertEqual(number.description, "Ada S-17 Asha Mushi")
        self.assertEqual((number.amount, number.mode), (450000, "exact"))
        self.tuition.description = "Karo {customer}"
        self.assertEqual(number.description, "Karo Asha Mushi")

    def test_purpose_that_cannot_work_is_refused(self):
        with self.assertRaisesRegex(ValidationError, "{child}"):
            self.tuition.description = "Fees of {child}"
        with self.assertRaisesRegex(ValidationError, "exact amount"):
            self.tuition.default_mode = "exact"

    def test_clickpesa_is_told_of_the_parents_phone(self):
        self.provider.clickpesa_number_origin = "api"
        number = self._keeps(self.asha, self.tuition)
        self._sync()
        self.assertEqual(number.state, "open")
        [there] = self.sandbox.numbers()
        self.assertEqual(there["customer_name"], "Asha Mushi")
        self.assertEqual(there["customer_phone"], "255712345678")

    def test_contacts_tell_what_is_missing(self):
        pupil = self.env["res.partner"].create({"name": "Peter", "phone": "12"})
        nothing = self.env["res.partner"].create({"name": "Paulo"})
        abroad = self.env["res.partner"].create(
            {"name": "Jane", "phone": "+44 20 7946 0958"}
        )
        problems = (
            self.asha | self.partner | pupil | nothing | abroad
        )._billpay_contact_problems()
        self.assertEqual(problems[self.asha], "")
        self.assertEqual(problems[self.partner], "", "has an e-mail")
        self.assertIn("12 is no Tanzanian mobile", problems[pupil])
        self.assertIn("Neither", problems[nothing])
        self.assertIn("Tanzanian", problems[abroad])

    def test_dialog_shows_before_it_makes(self):
        nobody = self.env["res.partner"].create({"name": "Paulo"})
        self._keeps(self.asha, self.tuition)
        wizard = (
            self.env["billpay.partner.number"]
            .with_company(self.company)
            .create(
                {
                    "partner_ids": [Command.set((self.asha | self.juma | nobody).ids)],
                    "purpose_ids": [Command.set((self.tuition | self.hostel).ids)],
                }
            )
        )
        self.assertEqual(wizard.new_count, 3)
        self.assertEqual(wizard.existing_count, 1)
        self.assertEqual(wizard.problem_count, 2)
        self.assertFalse(self.juma.billpay_number_ids)
        wizard.action_confirm()
        self.assertEqual(len(self.juma.billpay_number_ids), 2)
        self.assertEqual(len(self.asha.billpay_number_ids), 2)
        self.assertFalse(nobody.billpay_number_ids)

    def test_change_of_what_is_asked_reaches_clickpesa(self):
        self.provider.clickpesa_number_origin = "api"
        number = self._keeps(self.asha, self.tuition)
        self._sync()
        wizard = self.env["billpay.number.change"].create(
            {"number_ids": [Command.set(number.ids)], "amount": 5000, "mode": "exact"}
        )
        wizard.action_confirm()
        self._sync()
        self.assertEqual((number.known_amount, number.known_mode), (5000, "exact"))
        wizard.write({"amount": 0, "mode": "flexible"})
        with self.assertRaisesRegex(UserError, "not take it away"):
            wizard.action_confirm()

    def _change(self, number, amount, mode):
        """Press *Change* on a customer's number."""
        wizard = self.env["billpay.number.change"].create(
            {"number_ids": [Command.set(number.ids)], "amount": amount, "mode": mode}
        )
        return wizard.action_confirm()

    def test_offline_number_promises_no_exact_amount(self):
        self.provider.clickpesa_number_origin = "offline"
        for values in ({}, {"default_amount": 5000, "default_mode": "exact"}):
            with self.subTest(values):
                purpose = self.tuition.copy({"name": "Ada %s" % len(values), **values})
                number = self._keeps(self.asha, purpose)
                self.assertEqual((number.origin, number.mode), ("offline", "flexible"))
                amount = number.amount
                with self.assertRaisesRegex(UserError, "take any amount"):
                    self._change(number, 7000, "exact")
                self.assertEqual((number.amount, number.mode), (amount, "flexible"))
                self._change(number, 7000, "flexible")
                self.assertEqual((number.amount, number.mode), (7000, "flexible"))

    def test_imported_number_promises_what_phones_know(self):
        for known_mode, known, amount, mode, why in (
            ("flexible", 0, 5000, "exact", "take any amount"),
            ("flexible", 5000, 5000, "exact", "take any amount"),
            ("exact", 5000, 6000, "exact", "exactly"),
            ("exact", 5000, 6000, "flexible", "exactly"),
            ("exact", 5000, 5000, "flexible", "exactly"),
            ("flexible", 0, 6000, "flexible", ""),
            ("exact", 5000, 5000, "exact", ""),
        ):
            with self.subTest(known_mode=known_mode, known=known, amount=amount):
                purpose = self.tuition.copy(
                    {"name": f"{known_mode} {known} {amount} {mode}"}
                )
                number = self._keeps(self.asha, purpose).sudo()
                number.write(
                    {
                        "origin": "imported",
                        "state": "open",
                        "confirmed_at": fields.Datetime.now(),
                        "amount": known,
                        "known_amount": known,
                        "mode": known_mode,
                        "known_mode": known_mode if known else False,
                    }
                )
                if why:
                    with self.assertRaisesRegex(UserError, why):
                        self._change(number, amount, mode)
                    self.assertEqual((number.amount, number.mode), (known, known_mode))
                else:
                    self._change(number, amount, mode)
                    self.assertEqual((number.amount, number.mode), (amount, mode))

    def test_imported_number_is_not_reopened_silently(self):
        number = self._keeps(self.asha, self.tuition).sudo()
        known = {"state": "open", "confirmed_at": fields.Datetime.now()}
        number.write({"origin": "imported", **known})
        number.action_close()
        # What is given out next is a number that phones know.
        other = self._keeps(self.asha, self.tuition)
        self.assertNotEqual(other, number)
        self.assertEqual((number.state, other.state), ("closed", "open"))
        other.action_close()
        action = number.action_reopen()
        self.assertIn("dashboard", action["params"]["message"])
        self.assertIn("dashboard", number.message_ids[0].body)
        self.assertEqual(number.state, "open")

    def test_offline_number_of_another_namba_is_not_reopened(self):
        self.provider.clickpesa_number_origin = "offline"
        number = self._keeps(self.asha, self.tuition)
        number.action_close()
        self.provider.clickpesa_billpay_namba = "3344"
        with self.assertRaisesRegex(UserError, "BillPay-Namba 3344"):
            number.action_reopen()
        self.assertEqual(number.state, "closed")
        self.assertEqual(self._keeps(self.asha, self.tuition).name[:4], "3344")

    # === Balances === #

    def test_figures_of_a_number(self):
        number = self._keeps(self.asha, self.tuition)
        self._fee(self.asha, self.tuition, 50000)
        self._fee(self.asha, self.hostel, 7000)
        self._fee(self.juma, self.tuition, 9000)
        today = fields.Datetime.now()
        self._pay_number(number, 20000, paid_at=today)
        self._pay_number(number, 1000, paid_at="2020-06-01 10:00:00")
        number.invalidate_recordset()
        self.assertEqual(number.amount_due, 29000)
        self.assertEqual(number.balance, 29000)
        self.assertEqual(number.paid_this_year, 20000)
        self.assertEqual(number.amount_paid, 21000)
        self.assertEqual(number.last_payment_at, today)
        self._pay_number(number, 40000, paid_at=today)
        number.invalidate_recordset()
        self.assertEqual(
            (number.amount_due, number.amount_credit, number.balance),
            (0, 11000, -11000),
        )

    def test_what_is_due_is_what_the_number_pays(self):
        """A plain invoice counts once: on the first number that may pay it."""
        tuition = self._keeps(self.asha, self.tuition)
        hostel = self._keeps(self.asha, self.hostel)
        numbers = tuition | hostel
        statements = self.env["billpay.statement"]

        def due():
            numbers.invalidate_recordset()
            for number in numbers:
                closing = statements._statement(number)["closing"]
                self.assertEqual(closing, number.balance)
            return numbers.mapped("amount_due")

        self._fee(self.asha, self.hostel, 7000)
        self._invoice(10000, partner=self.asha)
        self.assertEqual(due(), [10000, 7000])
        self._pay_number(hostel, 9000)
        # The hostel's number pays it after its own, and says so.
        self.assertEqual(due(), [8000, 0])
        self.tuition.reach = "own"
        self.assertEqual(due(), [0, 8000])
        tuition.action_close()
        self.tuition.reach = "any"
        self.assertEqual(hostel.amount_due, 8000)

    def test_other_purposes_count_where_the_customer_has_no_number_of_them(self):
        number = self._keeps(self.asha, self.tuition)
        self._fee(self.asha, self.hostel, 7000)
        for reach, due in (("own", 0), ("own_unassigned", 0), ("any", 7000)):
            with self.subTest(reach):
                self.tuition.reach = reach
                number.invalidate_recordset()
                self.assertEqual(number.amount_due, due)

    def test_open_credit_notes_count(self):
        number = self._keeps(self.asha, self.tuition)
        move = self._fee(self.asha, self.tuition, 50000)
        self._pay_number(number, 50000)
        refund = move._reverse_moves([{"invoice_date": "2026-03-20"}])
        refund.action_post()
        self.assertEqual(refund.billpay_purpose_id, self.tuition)
        self.assertEqual(refund.payment_state, "not_paid")
        number.invalidate_recordset()
        self.assertEqual((number.amount_due, number.amount_credit), (0, 50000))
        self.assertEqual(number.balance, -50000)
        self.assertEqual(
            self.env["billpay.statement"]._statement(number)["closing"], -50000
        )

    def test_money_that_went_back_is_said_so(self):
        number = self._keeps(self.asha, self.tuition)
        row = self._pay_number(number, 50000)
        row.account_payment_ids.move_id._reverse_moves(cancel=True)
        texts = [
            line["text"]
            for line in self.env["billpay.statement"]._statement(number)["lines"]
        ]
        self.assertEqual(texts, ["Payment", "Reversed"])
        self.assertEqual(self.env["billpay.statement"]._statement(number)["closing"], 0)

    def test_customers_with_numbers_are_not_deleted(self):
        number = self._keeps(self.asha, self.tuition)
        with self.assertRaisesRegex(UserError, "archive the contact"):
            self.asha.unlink()
        self.assertEqual(number.partner_id, self.asha)
        lonely = self._pupil("Rehema Mushi")
        lonely.unlink()
        self.assertFalse(lonely.exists())

    def test_a_new_text_wakes_the_worker_once(self):
        self.provider.clickpesa_number_origin = "api"
        self._keeps(self.asha | self.juma, self.tuition)
        self._sync()
        woken = []
        self.patch(
            type(self.provider),
            "_billpay_trigger",
            lambda _provider, name, *_args, **_kw: woken.append(name),
        )
        self.tuition.name = "School Fees"
        self.assertEqual(woken, ["ir_cron_sync_numbers"])

    def test_figures_cost_the_same_for_many_numbers(self):
        pupils = self.env["res.partner"].create(
            [{"name": "Pupil %s" % i, "phone": "0712345678"} for i in range(12)]
        )
        numbers = self._keeps(pupils, self.tuition)
        for pupil in pupils:
            self._fee(pupil, self.tuition, 5000)
        self._post(self._confirmed(numbers[0], 1000))

        def statements(records):
            self.env.flush_all()
            self.env.invalidate_all()
            records.read(["state"])
            before = self.env.cr.sql_log_count
            records.mapped("balance")
            records.mapped("paid_this_year")
            return self.env.cr.sql_log_count - before

        statements(numbers)
        few, many = statements(numbers[:2]), statements(numbers)
        self.assertLessEqual(many, few + 1)


@tagged("post_install", "-at_install")
class TestOpeningBalances(PurposeCommon):
    """What customers owed before Odoo, by journal entry."""

    def _opening(self, owed, day="2026-02-15", **values):
        """Return the receivable items of one entry, ``{contact: amount}``."""
        account = self.company_data["default_account_receivable"]
        equity = self.company_data["default_account_revenue"]
        lines = [
            {
                "name": "Balance of 2025",
                "account_id": account.id,
                "partner_id": partner.id,
                "balance": amount,
                **values,
            }
            for partner, amount in owed.items()
        ]
        lines.append({"account_id": equity.id, "balance": -sum(owed.values())})
        entry = self.env["account.move"].create(
            {
                "move_type": "entry",
                "date": day,
                "line_ids": list(map(Command.create, lines)),
            }
        )
        entry.action_post()
        return entry.line_ids.filtered(lambda line: line.account_id == account)

    def _numbers(self):
        """Each kind of number that pays an opening balance, of a contact of its own."""
        for how, purpose, policy in (
            ("no purpose", False, "oldest"),
            ("a new purpose", self.tuition, "oldest"),
            ("exact or oldest", self.hostel, "exact_oldest"),
        ):
            pupil = self._pupil("Pupil")
            if purpose:
                purpose.allocation_policy = policy
                yield how, pupil, purpose, self._keeps(pupil, purpose)
                continue
            values = {"allocation_policy": policy, "partner_id": pupil.id}
            number = self._number(kind="customer", **values).sudo()
            yield how, pupil, self.env["billpay.purpose"], number

    def test_opening_balance_is_paid_in_its_place_by_date(self):
        for how, pupil, purpose, number in self._numbers():
            with self.subTest(how):
                before = self._fee(pupil, purpose, 10000, "2026-01-31")
                opening = self._opening({pupil: 20000})
                after = self._fee(pupil, purpose, 40000, "2026-03-31")
                statements = self.env["billpay.statement"]
                self.assertEqual(number.amount_due, 70000)
                row = self._pay_number(number, 25000)
                self.assertEqual(before.amount_residual, 0)
                self.assertEqual(opening.amount_residual, 5000)
                self.assertEqual(after.amount_residual, 40000)
                [paid] = self._receivable(self._entry(row))
                self.assertEqual(paid.balance, -25000)
                self.assertTrue(paid.reconciled)
                self.assertIn(opening, paid.matched_debit_ids.debit_move_id)
                number.invalidate_recordset()
                self.assertEqual(number.amount_due, 45000)
                statement = statements._statement(number)
                self.assertEqual(statement["closing"], 45000)
                self._pay_number(number, 45000)
                self.assertTrue(opening.reconciled)
                self.assertEqual(after.payment_state, "paid")
                number.invalidate_recordset()
                self.assertEqual((number.amount_due, number.amount_credit), (0, 0))
                texts = [
                    line["text"] for line in statements._statement(number)["lines"]
                ]
                self.assertIn(f"Entry {opening.move_id.name}", texts)

    def test_due_date_of_the_item_counts(self):
        number = self._keeps(self.asha, self.tuition)
        opening = self._opening({self.asha: 20000}, date_maturity="2026-04-30")
        fee = self._fee(self.asha, self.tuition, 10000, "2026-03-31")
        self._pay_number(number, 15000)
        self.assertEqual(fee.amount_residual, 0)
        self.assertEqual(opening.amount_residual, 15000)

    def test_one_entry_of_many_customers_is_booked_together(self):
        """Each payment pays its own customer's item, also below one family."""
        pupils = [self._pupil(f"Pupil {i}") for i in range(6)]
        # Entries name the contact, or the family: both are found.
        items = self._opening({p: 1000 * i for i, p in enumerate(pupils, 1)})
        rows = self.env["billpay.payment"].sudo()
        for i, pupil in enumerate(pupils, 1):
            rows |= self._confirmed(self._keeps(pupil, self.tuition), 1000 * i)
        self._post(rows)
        self.assertTrue(all(items.mapped("reconciled")))
        for row, item in zip(rows, items, strict=True):
            self.assertEqual(self._credit(row), 0)
            self.assertEqual(
                item.matched_credit_ids.credit_move_id.move_id, self._entry(row)
            )

    def test_family_owes_it_after_the_pupils_own(self):
        family = self._opening({self.parent: 20000}, "2026-01-15")
        brothers = self._opening({self.juma: 5000}, "2026-01-10")
        fee = self._fee(self.asha, self.tuition, 10000)
        self._pay_number(self._keeps(self.asha, self.tuition), 15000)
        self.assertEqual(fee.amount_residual, 0)
        self.assertEqual(family.amount_residual, 15000)
        self.assertEqual(brothers.amount_residual, 5000)

    def test_credit_of_before_counts(self):
        number = self._keeps(self.asha, self.tuition)
        self._opening({self.asha: -8000})
        self._fee(self.asha, self.tuition, 10000)
        self.assertEqual((number.amount_due, number.amount_credit), (10000, 8000))
        closing = self.env["billpay.statement"]._statement(number)["closing"]
        self.assertEqual(closing, 2000)

    def test_what_went_back_is_no_bill(self):
        """Money paid out, and a payment that was reversed, are not asked for again."""
        number = self._keeps(self.asha, self.tuition)
        out = self.env["account.payment"].create(
            {
                "payment_type": "outbound",
                "partner_type": "customer",
                "partner_id": self.asha.id,
                "amount": 5000,
                "journal_id": self.company_data["default_journal_bank"].id,
            }
        )
        out.action_post()
        row = self._pay_number(number, 3000)
        mirror = self._entry(row)._reverse_moves()
        mirror.action_post()
        mirror.line_ids.remove_move_reconcile()
        number.invalidate_recordset()
        self.assertEqual(number.amount_due, 0)
        paid = self._pay_number(number, 9000)
        self.assertEqual(self._credit(paid), 9000)

    def test_unmatched_payment_of_its_amount_suggests_the_customer(self):
        self._opening({self.juma: 20000, self.asha: 23450})
        for amount, found in ((23450, self.parent), (23451, None), (43450, None)):
            with self.subTest(amount):
                nobody = {"payer_name": "X", "payer_phone": False}
                row = self._confirmed("1122999999", amount, **nobody)
                suggested = self.env["billpay.suggestion"]._suggest(row)
                self.assertEqual(
                    [s.partner for s in suggested], [found] if found else []
                )

    def test_purpose_that_pays_its_own_only_leaves_it(self):
        self.tuition.reach = "own"
        number = self._keeps(self.asha, self.tuition)
        opening = self._opening({self.asha: 20000})
        self._pay_number(number, 15000)
        self.assertEqual(opening.amount_residual, 20000)
        self.assertEqual(number.amount_due, 0)


@tagged("post_install", "-at_install")
class TestPurposeInvoices(PurposeCommon):
    def test_purpose_comes_from_the_lines_else_the_journal(self):
        school = self.env["product.category"].create({"name": "School"})
        beds = self.env["product.category"].create(
            {"name": "Beds", "parent_id": school.id}
        )
        self.tuition.product_category_ids = school
        self.hostel.product_category_ids = beds
        products = self.env["product.product"].create(
            [
                {"name": "Term 1", "categ_id": school.id},
                {"name": "Bed", "categ_id": beds.id},
                {"name": "Book"},
            ]
        )
        club = self._purpose("Club")
        journal = self.company_data["default_journal_sale"]

        def invoice(product):
            return self.env["account.move"].create(
                {
                    "move_type": "out_invoice",
                    "partner_id": self.asha.id,
                    "journal_id": journal.id,
                    "invoice_line_ids": [Command.create({"product_id": product.id})],
                }
            )

        term, bed, book = (invoice(product) for product in products)
        self.assertEqual(term.billpay_purpose_id, self.tuition)
        self.assertEqual(bed.billpay_purpose_id, self.hostel)
        self.assertFalse(book.billpay_purpose_id)
        club.journal_ids = journal
        self.assertEqual(invoice(products[2]).billpay_purpose_id, club)
        self.assertEqual(invoice(products[0]).billpay_purpose_id, self.tuition)

    def test_a_persons_choice_stays(self):
        move = self._invoice(5000, partner=self.asha, post=False)
        move.billpay_purpose_id = self.hostel
        with Form(move) as form:
            with form.invoice_line_ids.new() as line:
                line.name = "Taa"
                line.price_unit = 10
        self.assertEqual(move.billpay_purpose_id, self.hostel)

    def test_purpose_of_another_company_is_refused(self):
        other = self.setup_other_company(name="Gym", currency_id=self.tzs.id)
        purpose = self.env["billpay.purpose"].create(
            {"name": "Gym", "company_id": other["company"].id}
        )
        with self.assertRaisesRegex(ValidationError, "choose one of this"):
            self._invoice(5000, post=False, billpay_purpose_id=purpose.id)

    def test_invoices_carry_the_customers_number(self):
        self.tuition.invoice_number = "customer"
        first = self._fee(self.asha, self.tuition, 50000)
        number = first.billpay_number_id
        self.assertEqual(number.kind, "customer")
        self.assertEqual(number.partner_id, self.asha)
        self.assertFalse(first.sudo().billpay_number_ids)
        second = self._fee(self.asha, self.tuition, 50000, "2026-04-10")
        self.assertEqual(second.billpay_number_id, number)
        self.assertEqual(
            self.env["account.move.send"]._billpay_document_number(second)["name"],
            number.name,
        )
        found = self.env["account.move"].search(
            [("billpay_number", "=", number.display_number)]
        )
        self.assertEqual(found, first | second)
        self._pay_number(number, 60000)
        self.assertEqual((first | second).mapped("amount_residual"), [0, 40000])
        self.assertFalse((first | second).sudo().billpay_number_ids)

    def test_a_changed_invoice_carries_the_right_number(self):
        (self.tuition + self.hostel).invoice_number = "customer"
        move = self._fee(self.asha, self.tuition, 50000)
        self.assertEqual(
            move.billpay_carried_number_id, self._keeps(self.asha, self.tuition)
        )
        # Of another purpose while it is posted.
        move.billpay_purpose_id = self.hostel
        self.assertEqual(
            move.billpay_carried_number_id, self._keeps(self.asha, self.hostel)
        )
        # Of another customer while it is a draft.
        move.button_draft()
        move.partner_id = self.juma
        move.action_post()
        self.assertEqual(
            move.billpay_carried_number_id, self._keeps(self.juma, self.hostel)
        )
        # Of no purpose: a number of its own.
        move.billpay_purpose_id = False
        self.assertFalse(move.billpay_carried_number_id)
        self.assertEqual(move.billpay_number_id.move_id, move)

    def test_the_customers_wish_comes_first(self):
        self.asha.with_company(self.company).billpay_invoice_number = "customer"
        self.tuition.invoice_number = "order"
        fee = self._fee(self.asha, self.tuition, 50000)
        self.assertEqual(fee.billpay_number_id.kind, "customer")
        other = self._fee(self.juma, self.tuition, 50000)
        self.assertEqual(other.billpay_number_id.kind, "order")

    def test_recurring_invoices_carry_the_same_number(self):
        self.tuition.invoice_number = "customer"
        move = self._fee(
            self.asha, self.tuition, 50000, post=False, auto_post="monthly"
        )
        move.date = move.invoice_date
        with self._workers():
            self.env.ref(
                "account.ir_cron_auto_post_draft_entry"
            ).method_direct_trigger()
        following = self.env["account.move"].search(
            [("auto_post_origin_id", "=", move.id), ("id", "!=", move.id)]
        )
        self.assertEqual(move.state, "posted")
        self.assertTrue(following)
        self.assertTrue(move.billpay_number_id)
        for each in following.filtered(lambda m: m.state == "posted"):
            self.assertEqual(each.billpay_number_id, move.billpay_number_id)
        self.assertEqual(following.billpay_purpose_id, self.tuition)

    def test_document_waits_until_clickpesa_knows_the_number(self):
        self.provider.clickpesa_number_origin = "api"
        self.tuition.invoice_number = "customer"
        move = self._fee(self.asha, self.tuition, 50000)
        self.assertEqual(move.billpay_number_id.state, "pending")
        pending = self.env["billpay.reservation"]._pending(move)
        self.assertEqual(pending, {move.sudo().billpay_number_id: move.sudo()})
        self._sync()
        self.assertFalse(self.env["billpay.reservation"]._pending(move))


@tagged("post_install", "-at_install")
class TestOneNumberForOneDebt(PurposeCommon):
    """An invoice shows its own number or the customer's; the other one is not open."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.provider.clickpesa_number_origin = "api"

    def _open(self, move):
        """Digits with which this debt is asked for at ClickPesa, after the worker."""
        self._sync()
        self.env.invalidate_all()
        shown = move.sudo().billpay_number_ids | move.sudo().billpay_carried_number_id
        active = {n["number"] for n in self.sandbox.numbers() if n["state"] == "ACTIVE"}
        return active & set(shown.mapped("name"))

    def assertOne(self, move, number):
        self.assertEqual(move.billpay_number_id, number)
        self.assertEqual(self._open(move), {number.name})

    def _own(self, amount=50000):
        """A posted invoice of the purpose, with a number of its own at ClickPesa."""
        self.tuition.invoice_number = "order"
        move = self._fee(self.asha, self.tuition, amount)
        self._sync()
        self.assertEqual(move.billpay_number_id.kind, "order")
        return move

    def test_purpose_is_set_to_carry_and_a_number_is_got(self):
        for by in ("purpose", "customer"):
            with self.subTest(by=by):
                move = self._own()
                own = move.billpay_number_id
                if by == "purpose":
                    self.tuition.invoice_number = "customer"
                else:
                    asha = self.asha.with_company(self.company)
                    asha.billpay_invoice_number = "customer"
                # Nobody closes by the way what a payer may have.
                self.assertOne(move, own)
                move.invalidate_recordset(["billpay_can_issue"])
                self.assertTrue(move.billpay_can_issue)
                move.action_billpay_issue()
                keeps = self._keeps(self.asha, self.tuition)
                self.assertEqual(own.state, "closed")
                self.assertOne(move, keeps)
                # Money that comes to the old one finds the invoice all the same.
                row = self._post(self._confirmed(own, 50000))
                self.assertEqual((row.move_id, move.amount_residual), (move, 0))
                self.assertTrue(all(self._receivable(move).mapped("reconciled")))
                self.assertEqual(self._credit(row), 0)

    def test_purpose_is_chosen_later(self):
        self.hostel.invoice_number = "customer"
        for clicked in (False, True):
            with self.subTest(clicked=clicked):
                move = self._own()
                own = move.billpay_number_id
                move.billpay_purpose_id = self.hostel
                self.assertOne(move, own)
                if clicked:
                    move.action_billpay_issue()
                    self.assertOne(move, self._keeps(self.asha, self.hostel))
                move.billpay_purpose_id = self.tuition
                self.assertEqual(move.billpay_number_id.kind, "order")
                self.assertOne(move, own)

    def test_purpose_stops_carrying_and_a_number_is_got(self):
        self.tuition.invoice_number = "customer"
        move = self._fee(self.asha, self.tuition, 50000)
        keeps = move.billpay_number_id
        self.assertOne(move, keeps)
        self.tuition.invoice_number = "order"
        move.action_billpay_issue()
        own = move.billpay_number_id
        self.assertEqual(own.kind, "order")
        self.assertFalse(move.billpay_carried_number_id)
        self.assertOne(move, own)
        # The customer's own number stays, and pays it by its policy.
        self.assertEqual(keeps.state, "open")
        self._pay_number(keeps, 50000)
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(own.state, "closed")

    def test_reset_and_confirmed_again(self):
        for carries_after in (True, False):
            with self.subTest(carries_after=carries_after):
                before, after = "customer", "order"
                if carries_after:
                    before, after = after, before
                self.tuition.invoice_number = before
                move = self._fee(self.asha, self.tuition, 50000)
                self._sync()
                shown = move.billpay_number_id
                move.button_draft()
                self.tuition.invoice_number = after
                move.action_post()
                self.assertNotEqual(move.billpay_number_id, shown)
                kind = "customer" if carries_after else "order"
                self.assertEqual(move.billpay_number_id.kind, kind)
                self.assertOne(move, move.billpay_number_id)

    def test_paid_otherwise_undone_and_of_another_purpose_meanwhile(self):
        self.hostel.invoice_number = "customer"
        move = self._own()
        own = move.billpay_number_id
        payment = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=move.ids)
            .create({})
            ._create_payments()
        )
        self.assertEqual(own.state, "closed")
        move.billpay_purpose_id = self.hostel
        payment.move_id.line_ids.remove_move_reconcile()
        self.assertOne(move, self._keeps(self.asha, self.hostel))
        self.assertEqual(own.state, "closed")

    def test_sent_with_a_number_of_its_own(self):
        move = self._own()
        own = move.billpay_number_id
        move.billpay_issue_on = "send"
        self.tuition.invoice_number = "customer"
        self.assertFalse(
            self.env["account.move.send"]._billpay_confirm_before_sending(move)
        )
        self.assertOne(move, own)

    def test_upgrade_mends_what_was_left(self):
        move = self._own()
        own = move.billpay_number_id
        keeps = self._keeps(self.asha, self.hostel)
        move.sudo().billpay_carried_number_id = keeps
        exact = self._fee(self.juma, self.hostel, 7000)
        exact.sudo().billpay_number_ids._close()
        number = self._keeps(self.juma, self.hostel)
        number.write({"amount": 9000, "mode": "exact"})
        exact.sudo().billpay_carried_number_id = number
        stale = self._invoice(100000)
        asking = stale.billpay_number_id.sudo()
        self._sync()
        asking.write({"amount": 90000})
        self.company.billpay_provider_id = False
        path = "billpay_odoo/migrations/19.0.1.6.0/post-one_debt.py"
        load_script(file_path(path), "one_debt").migrate(self.env.cr, "19.0.1.5.0")
        self.assertOne(move, own)
        self.assertEqual(number.mode, "flexible")
        self._sync()
        self.assertEqual(self.sandbox.number(asking.name)["amount"], 100000)

    def test_carried_by_many(self):
        """A run over invoices of which some have their own leaves each with one."""
        own = self._own()
        self.tuition.invoice_number = "customer"
        others = self._fee(self.juma, self.tuition, 7000)
        others |= self._fee(self.asha, self.tuition, 8000)
        (own | others).action_billpay_issue()
        for move in own | others:
            self.assertEqual(move.billpay_number_id.kind, "customer")
            self.assertOne(move, move.billpay_number_id)


@tagged("post_install", "-at_install")
class TestCarriedNumberAsks(PurposeCommon):
    """What carries the customer's number asks for what the invoice owes."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.provider.clickpesa_number_origin = "api"
        cls.tuition.invoice_number = "customer"

    def _there(self, number):
        self._sync()
        return self.sandbox.number(number.name)

    def _fees(self, usual, amount):
        """A fee of a new pupil, whose number asks for the usual amount."""
        self.tuition.default_amount = usual
        partner = self._pupil("Pupil")
        self.tuition.invoice_number = "customer"
        move = self._fee(partner, self.tuition, amount)
        self._sync()
        return move, self._keeps(partner, self.tuition)

    def _printed(self, move, lang="en_US"):
        return self.env["billpay.pay.page"]._document_for(move, lang)["amount"]

    def test_every_document_says_what_the_invoice_owes(self):
        for usual, amount, cash in (
            (0, 50000, 0),
            (30000, 50000, 0),
            (90000, 50000, 20000),
            (50000, 12345.4, 345.4),
        ):
            with self.subTest(usual=usual, amount=amount, cash=cash):
                move, number = self._fees(usual, amount)
                if cash:
                    self.env["account.payment.register"].with_context(
                        active_model="account.move", active_ids=move.ids
                    ).create(
                        {"amount": cash, "payment_difference_handling": "open"}
                    )._create_payments()
                owed = page_texts.amount_text(
                    money.whole_shillings(amount - cash), self.tzs
                )
                self.assertEqual(self._printed(move), owed)
                mail = self.env["account.move.send"]._get_mail_params(
                    move,
                    {
                        "mail_lang": "en_US",
                        "mail_body": "x",
                        "mail_subject": "x",
                        "author_partner_id": self.env.user.partner_id.id,
                        "mail_partner_ids": move.partner_id.ids,
                        "mail_attachments_widget": [],
                        "mail_template": self.env["mail.template"],
                    },
                )
                self.assertIn(owed, mail["body"])
                page = self.env["billpay.pay.page"]._pay_page_values(
                    number, lang="en", carrying=move
                )
                self.assertEqual(page["amount"], owed)
                self.assertEqual(page["bill"]["name"], move.name)
                html, _type = self.env["ir.actions.report"]._render_qweb_html(
                    "account.account_invoices", move.ids, {"report_type": "pdf"}
                )
                [digits] = etree.HTML(html).xpath("//*[@name='billpay_amount']/text()")
                self.assertEqual(digits, owed)
                line = self.env["billpay.run.line"].sudo()
                line = line.create(
                    {
                        "run_id": self.env["billpay.run"].sudo().create({}).id,
                        "move_id": move.id,
                        "number_id": number.id,
                        "partner_id": move.partner_id.id,
                    }
                )
                self.assertIn(owed.replace("\u00a0", " "), line._sms_text())

    def test_of_several_invoices_each_says_its_own(self):
        first, number = self._fees(90000, 50000)
        second = self._fee(first.partner_id, self.tuition, 7000)
        self.assertEqual(second.billpay_number_id, number)
        for move, owed in ((first, 50000), (second, 7000)):
            self.assertEqual(
                self._printed(move), page_texts.amount_text(owed, self.tzs)
            )

    def test_the_address_on_the_invoice_leads_to_what_it_owes(self):
        pages = self.env["billpay.pay.page"]
        first, number = self._fees(90000, 50000)
        second = self._fee(first.partner_id, self.tuition, 7000)
        other, strange = self._fees(90000, 3000)
        tokens = {}
        for move in first | second | other:
            url = pages._document_for(move, "en_US")["url"]
            tokens[move] = url.partition("?invoice=")[2]
        for move in first | second:
            carrying = pages._carrying(number, tokens[move])
            self.assertEqual(carrying, move)
        for token in (
            tokens[other],
            tokens[first].replace(str(first.id), str(second.id), 1),
            f"{first.id}-",
            str(first.id),
            f"{first.id}-\u00e9",
            "9" * 40,
            "\u0663-1",
            "-",
            "",
            None,
        ):
            with self.subTest(token=token):
                self.assertFalse(pages._carrying(number, token))
        self.assertFalse(pages._carrying(strange, tokens[first]))
        self._pay_number(number, 50000)
        self.assertEqual(first.amount_residual, 0)
        self.assertFalse(pages._carrying(number, tokens[first]))
        self.assertEqual(pages._carrying(number, tokens[second]), second)

    # === Exact amounts === #

    def test_exact_number_is_made_flexible(self):
        for wish in ("purpose", "customer"):
            with self.subTest(wish=wish):
                self.tuition.write(
                    {
                        "invoice_number": "order",
                        "default_amount": 90000,
                        "default_mode": "exact",
                    }
                )
                partner = self._pupil("Pupil")
                number = self._keeps(partner, self.tuition)
                self.assertEqual(self._there(number)["mode"], "EXACT")
                if wish == "purpose":
                    self.tuition.invoice_number = "customer"
                else:
                    partner = partner.with_company(self.company)
                    partner.billpay_invoice_number = "customer"
                move = self._fee(partner, self.tuition, 50000)
                self.assertEqual(move.billpay_number_id, number)
                there = self._there(number)
                self.assertEqual(there["mode"], "ALLOW_PARTIAL_AND_OVER_PAYMENT")
                row = self._pay_number(number, 50000)
                self.assertEqual(move.amount_residual, 0)
                self.assertEqual(self._credit(row), 0)

    def test_new_number_of_a_purpose_that_invoices_carry(self):
        self.tuition.write({"default_amount": 90000, "default_mode": "exact"})
        move = self._fee(self.asha, self.tuition, 50000)
        number = move.billpay_number_id
        self.assertEqual((number.amount, number.mode), (90000, "flexible"))

    def test_nobody_makes_it_exact_while_it_is_carried(self):
        move, number = self._fees(90000, 50000)
        change = self.env["billpay.number.change"].create(
            {"number_ids": number.ids, "amount": 90000, "mode": "exact"}
        )
        with self.assertRaisesRegex(UserError, "carries the number"):
            change.action_confirm()
        # Nor by opening it again, nor by a run.
        self.tuition.write({"invoice_number": "order", "default_mode": "exact"})
        number.action_close()
        self.tuition._reserve(move.partner_id)
        self.assertEqual((number.state, number.mode), ("open", "flexible"))
        self._pay_number(number, 50000)
        self.assertEqual(move.payment_state, "paid")
        change.action_confirm()
        self.assertEqual(self._there(number)["mode"], "EXACT")

    def test_imported_number_of_an_exact_amount_is_not_carried(self):
        """A phone takes nothing else, and nobody here can change that."""
        partner = self._pupil("Pupil")
        number = self._keeps(partner, self.tuition)
        number.write(
            {
                "origin": "imported",
                "state": "open",
                "mode": "exact",
                "known_mode": "exact",
                "amount": 90000,
                "known_amount": 90000,
            }
        )
        for amount in (50000, 90000, 7000):
            with self.subTest(amount=amount):
                move = self._fee(partner, self.tuition, amount)
                self.assertEqual(move.billpay_number_id.kind, "order")
                self.assertFalse(move.billpay_carried_number_id)
                self.assertEqual(len(move._billpay_living()), 1)
                move.button_draft()
                move.action_post()
                self.assertEqual(len(move.sudo().billpay_number_ids), 1)


@tagged("post_install", "-at_install")
class TestDepartments(PurposeCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        plan = cls.env["account.analytic.plan"].create({"name": "Departments"})
        cls.school, cls.boarding = cls.env["account.analytic.account"].create(
            [
                {"name": name, "plan_id": plan.id, "company_id": cls.company.id}
                for name in ("School", "Boarding")
            ]
        )
        cls.tuition.department_id = cls.school
        cls.hostel.department_id = cls.boarding
        cls.clerk = (
            cls.env["res.users"]
            .sudo()
            .with_context(no_reset_password=True)
            .create(
                {
                    "name": "Boarding clerk",
                    "login": "boarding_clerk",
                    "company_id": cls.company.id,
                    "company_ids": [Command.set(cls.company.ids)],
                    "group_ids": [
                        Command.set(
                            [
                                cls.env.ref("base.group_user").id,
                                cls.env.ref("account.group_account_invoice").id,
                            ]
                        )
                    ],
                }
            )
        )

    def _visible(self, model):
        records = self.env[model].with_user(self.clerk)
        return records.search([("company_id", "=", self.company.id)])

    def test_staff_see_their_department_only(self):
        numbers = self._keeps(self.asha, self.tuition)
        numbers |= self._keeps(self.asha, self.hostel)
        fee = self._fee(self.juma, self.hostel, 5000)
        numbers |= fee.sudo().billpay_number_ids
        plain = self._invoice(5000).sudo().billpay_number_ids
        rows = self._post(
            self._confirmed(numbers[0], 1000) | self._confirmed(numbers[1], 2000)
        )
        self.assertEqual(self._visible("billpay.control.number"), numbers | plain)
        self.assertEqual(self._visible("billpay.payment"), rows)
        self.clerk.billpay_department_ids = self.boarding
        self.assertEqual(
            self._visible("billpay.control.number"), numbers[1] | numbers[2]
        )
        self.assertEqual(self._visible("billpay.payment"), rows[1])
        # Whoever has lost the last department sees nothing, however that came.
        self.clerk.billpay_department_ids = False
        for model in ("billpay.control.number", "billpay.payment", "billpay.run"):
            self.assertFalse(self._visible(model), model)
        self.clerk.billpay_all_departments = True
        self.assertEqual(self._visible("billpay.payment"), rows)

    def test_wall_stands_when_departments_go(self):
        rows = self._post(
            self._confirmed(self._keeps(self.asha, self.tuition), 1000)
            | self._confirmed(self._keeps(self.asha, self.hostel), 2000)
        )
        event = (
            self.env["billpay.event"]
            .sudo()
            .create(
                {
                    "provider_id": self.provider.id,
                    "payment_id": rows[0].id,
                    "digest": "wall",
                    "state": "done",
                    "received_at": fields.Datetime.now(),
                    "last_received_at": fields.Datetime.now(),
                }
            )
        )
        allocation = (
            self.env["billpay.payment.allocation"]
            .sudo()
            .create(
                {"payment_id": rows[0].id, "move_id": self._invoice(5).id, "amount": 5}
            )
        )
        hidden = rows[0] | rows[1]
        for gone in ("active", "unlink"):
            mine = self.env["account.analytic.account"].create(
                {"name": "Mine", "plan_id": self.school.plan_id.id}
            )
            self.clerk.billpay_department_ids = mine
            self.assertFalse(self.clerk.billpay_all_departments)
            if gone == "active":
                mine.active = False
            else:
                mine.unlink()
            with self.subTest(gone=gone):
                self.assertFalse(self._visible("billpay.payment"))
                self.assertFalse(self._visible("billpay.control.number"))
                for record in (*hidden, event, allocation):
                    with self.assertRaises(AccessError):
                        record.with_user(self.clerk).read(["create_date"])
                entry = rows[0].account_payment_ids.with_user(self.clerk)
                self.assertTrue(rows[0].payer_name)
                self.assertFalse(entry.billpay_payer)
        self.clerk.billpay_department_ids = self.school
        self.assertEqual(self._visible("billpay.payment"), rows[0])
        self.assertTrue(event.with_user(self.clerk).read(["create_date"]))
        entry.invalidate_recordset()
        self.assertEqual(entry.billpay_payer, rows[0].payer_name)

    def test_wizards_stand_behind_the_wall(self):
        number = self._keeps(self.asha, self.hostel)
        self.clerk.billpay_department_ids = self.school
        entry = self.env["billpay.payment.entry"].with_user(self.clerk)
        entry = entry.with_context(allowed_company_ids=self.company.ids)
        entry = entry.create({"number": number.name, "amount": 5})
        self.assertFalse(entry.bill)
        wizard = self.env["billpay.partner.number"].with_user(self.clerk)
        wizard = wizard.with_context(allowed_company_ids=self.company.ids)
        wizard = wizard.create(
            {"partner_ids": self.asha.ids, "purpose_ids": self.hostel.ids}
        )
        self.assertEqual(wizard.existing_count, 1)
        self.assertNotIn(number.display_number, wizard.line_ids.mapped("number"))
        self.clerk.billpay_department_ids = self.boarding
        entry.invalidate_recordset()
        self.assertIn(self.asha.display_name, entry.bill)

    def test_totals_per_department(self):
        self._post(
            self._confirmed(self._keeps(self.asha, self.tuition), 1000)
            | self._confirmed(self._keeps(self.juma, self.tuition), 500)
            | self._confirmed(self._keeps(self.asha, self.hostel), 2000)
        )
        totals = self.env["billpay.payment"]._read_group(
            [("company_id", "=", self.company.id)],
            ["department_id"],
            ["amount:sum"],
        )
        self.assertEqual(totals, [(self.school, 1500), (self.boarding, 2000)])

    def test_department_follows_the_invoices_purpose(self):
        fee = self._fee(self.asha, self.tuition, 5000)
        self.assertEqual(fee.billpay_number_id.sudo().department_id, self.school)
        fee.billpay_purpose_id = self.hostel
        self.assertEqual(fee.billpay_number_id.sudo().department_id, self.boarding)

    def test_staff_of_a_department_run_for_it(self):
        self.clerk.billpay_department_ids = self.boarding
        wizard = (
            self.env["billpay.run.wizard"]
            .with_user(self.clerk)
            .with_company(self.company)
            .create(
                {
                    "source": "contacts",
                    "partner_ids": [Command.set(self.asha.ids)],
                    "purpose_ids": [Command.set(self.hostel.ids)],
                }
            )
        )
        action = wizard.action_prepare()
        run = self.env["billpay.run"].with_user(self.clerk).browse(action["res_id"])
        self.assertEqual(run.department_id, self.boarding)
        run.action_start()
        self.assertEqual(run.state, "running")
        self.clerk.billpay_department_ids = self.school
        self.assertFalse(self._visible("billpay.run"))


@tagged("post_install", "-at_install")
class TestTexts(PurposeCommon):
    """What ClickPesa shows beside the payment follows the names of today."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.provider.clickpesa_number_origin = "api"

    def _upstream(self, number):
        self._sync()
        return self.sandbox.number(number.name)["description"]

    def test_a_customers_new_name_or_reference_reaches_clickpesa(self):
        self.hostel.description = "{purpose} of {customer}, {reference}"
        tuition = self._keeps(self.asha, self.tuition)
        hostel = self._keeps(self.asha, self.hostel)
        brother = self._keeps(self.juma, self.tuition)
        self._sync()
        for values, texts in (
            (
                {"name": "Asha J. Mushi"},
                ("Tuition, Asha J. Mushi", "Hostel of Asha J. Mushi,"),
            ),
            (
                {"ref": "S-17"},
                ("Tuition, Asha J. Mushi", "Hostel of Asha J. Mushi, S-17"),
            ),
            (
                {"name": "Asha Mrema", "ref": "S-18"},
                ("Tuition, Asha Mrema", "Hostel of Asha Mrema, S-18"),
            ),
        ):
            with self.subTest(values):
                self.asha.write(values)
                shown = (self._upstream(tuition), self._upstream(hostel))
                self.assertEqual(shown, texts)
                self.assertEqual(self._upstream(brother), "Tuition, Juma Mushi")
        calls = self.sandbox.count_calls()
        self.asha.write({"name": "Asha Mrema", "phone": "0712 999 888"})
        self._sync()
        self.assertEqual(self.sandbox.count_calls(), calls)

    def test_the_familys_name_is_no_text_of_its_children(self):
        number = self._keeps(self.asha, self.tuition)
        self._sync()
        calls = self.sandbox.count_calls()
        self.parent.name = "Neema Mrema"
        self._sync()
        self.assertEqual(self.sandbox.count_calls(), calls)
        self.assertEqual(self._upstream(number), "Tuition, Asha Mushi")

    def test_a_purposes_new_name_reaches_clickpesa(self):
        self.env["res.lang"]._activate_lang("sw")
        self.juma.lang = "sw"
        english = self._keeps(self.asha, self.tuition)
        swahili = self._keeps(self.juma, self.tuition)
        self._sync()
        self.tuition.name = "School Fees"
        self.assertEqual(self._upstream(english), "School Fees, Asha Mushi")
        self.tuition.with_context(lang="sw").name = "Ada"
        self.assertEqual(self._upstream(swahili), "Ada, Juma Mushi")
        # Past `write`, as the dialog of translations does.
        self.tuition.update_field_translations("name", {"sw": "Ada ya shule"})
        self.assertEqual(self._upstream(swahili), "Ada ya shule, Juma Mushi")
        self.assertEqual(self._upstream(english), "School Fees, Asha Mushi")

    def test_closed_and_imported_numbers_keep_their_text(self):
        closed = self._keeps(self.asha, self.tuition)
        imported = self._keeps(self.juma, self.tuition)
        imported.origin = "imported"
        self._sync()
        closed._close()
        self._sync()
        calls = self.sandbox.count_calls()
        self.tuition.name = "School Fees"
        (self.asha | self.juma).write({"name": "Somebody Else"})
        self._sync()
        self.assertEqual(self.sandbox.count_calls(), calls)
        self.assertEqual(imported.description, "Tuition, Juma Mushi")

    def test_renaming_of_many_is_not_paid_per_number(self):
        def cost(count):
            pupils = self.env["res.partner"].union(
                *(self._pupil(f"Pupil {i} of {count}") for i in range(count))
            )
            purpose = self._purpose(f"Purpose of {count}")
            numbers = purpose._reserve(pupils).sudo()
            self._sync()
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            purpose.name = f"Renamed {count}"
            self.env.flush_all()
            cost = self.env.cr.sql_log_count - before
            self.assertEqual(len(numbers.filtered("sync_at")), count)
            return cost

        few, many = cost(5), cost(45)
        self.assertLess((many - few) / 40, 0.5)
