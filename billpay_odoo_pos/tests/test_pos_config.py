# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""New tills: BillPay is there where somebody ticked it, and nowhere else."""

from odoo import Command
from odoo.exceptions import ValidationError
from odoo.tests import Form, tagged

from odoo.addons.billpay_odoo.tests.common import BillPayCommon

from ..models.pos_config import SETTINGS
from .common import TillSteps


@tagged("post_install", "-at_install")
class TestNewTills(TillSteps, BillPayCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tills = cls.env["pos.config"].with_company(cls.company)

    def _types(self, till):
        return set(till.payment_method_ids.mapped("type"))

    def test_a_new_till_has_cash_and_not_our_method(self):
        till = self.tills.create({"name": "Duka la Ubungo"})
        self.assertNotIn(self.billpay, till.payment_method_ids)
        self.assertFalse(till.billpay)
        self.assertEqual(self._types(till), {"cash", "bank", "pay_later"})
        account = till.payment_method_ids.filtered(lambda m: m.type == "pay_later")
        self.assertTrue(account.split_transactions)
        # The manager ticks it.
        till.billpay = True
        self.assertEqual(till._billpay_method(), self.billpay)
        till.open_ui()
        self.assertTrue(till.current_session_id)

    def test_beside_other_methods_it_is_no_default_either(self):
        card = self.env["pos.payment.method"].create(
            {
                "name": "Card",
                "journal_id": self.company_data["default_journal_bank"].id,
                "company_id": self.company.id,
            }
        )
        till = self.tills.create({"name": "Duka la Mwenge"})
        self.assertEqual(till.payment_method_ids, card)
        copied = self.till.copy()
        self.assertNotIn(self.billpay, copied.payment_method_ids)
        self.assertIn(self.billpay, copied.payment_method_ids.search([]))

    def test_a_till_that_a_manager_makes_by_hand(self):
        form = Form(self.tills)
        form.name = "Duka la Temeke"
        till = form.save()
        self.assertNotIn(self.billpay, till.payment_method_ids)
        self.assertIn("cash", self._types(till))

    def test_onboarding_makes_a_customer_account_of_its_own(self):
        """Shops, bars, restaurants and kiosks that Odoo offers on an empty screen."""
        scenarios = [
            name
            for name in dir(type(self.tills))
            if name.startswith("load_onboarding_") and name.endswith("_scenario")
        ]
        self.assertGreater(len(scenarios), 5)
        for name in scenarios:
            with self.subTest(name):
                known = self.tills.search([])
                options = {} if "kiosk" in name else {"with_demo_data": False}
                getattr(self.tills, name)(**options)
                till = self.tills.search([]) - known
                self.assertEqual(len(till), 1)
                self.assertNotIn(self.billpay, till.payment_method_ids)
                cash = set() if "kiosk" in name else {"cash"}
                self.assertEqual(self._types(till), {"bank", "pay_later"} | cash)
                account = till.payment_method_ids.filtered(
                    lambda m: m.type == "pay_later"
                )
                self.assertTrue(account.split_transactions)
                self.assertFalse(account.use_payment_terminal)

    def test_a_till_in_another_currency(self):
        usd = self.env.ref("base.USD")
        usd.active = True
        journal = self.env["account.journal"].create(
            {
                "name": "Sales in dollars",
                "type": "sale",
                "code": "SUSD",
                "currency_id": usd.id,
                "company_id": self.company.id,
            }
        )
        values = {
            "name": "Duka la Uwanja wa Ndege",
            "journal_id": journal.id,
            "invoice_journal_id": journal.id,
        }
        till = self.tills.create(values)
        self.assertEqual(till.currency_id, usd)
        self.assertFalse(till.billpay)
        # BillPay collects shillings: it says so, and the till stays as it is.
        with self.assertRaisesRegex(ValidationError, "sells in USD"):
            till.billpay = True
        with self.assertRaisesRegex(ValidationError, "sells in USD"):
            self.till.journal_id = journal

    def test_a_pricelist_in_another_currency_is_refused(self):
        usd = self.env.ref("base.USD")
        usd.active = True
        pricelist = self.env["product.pricelist"].create(
            {"name": "Dollars", "currency_id": usd.id}
        )
        with self.assertRaisesRegex(ValidationError, "same currency"):
            self.till.write(
                {
                    "use_pricelist": True,
                    "available_pricelist_ids": [Command.link(pricelist.id)],
                    "pricelist_id": pricelist.id,
                }
            )

    def test_the_application_of_the_method_changes_while_a_till_is_open(self):
        self._open()
        other = self._make_application(self.company)
        other.clickpesa_billpay_namba = "3344"
        kept = {row["number"] for row in self._lease()}
        self.billpay.billpay_provider_id = other
        self.assertEqual(self.till._billpay_provider(), other)
        leased = self._lease()
        self.assertTrue(leased)
        self.assertFalse(kept & {row["number"] for row in leased})
        self.assertEqual({row["number"][:4] for row in leased}, {"3344"})

    def test_settings_that_change_while_a_till_is_open(self):
        self._open()
        loaded = self.tills._load_pos_data_read(self.till, self.till)[0]
        self.assertEqual(
            self.till.billpay_settings(),
            {name: loaded[name] for name in (*SETTINGS, "_billpay")},
        )
        self.till.write(
            {"billpay_later": "never", "billpay_change": True, "billpay_lang": "en"}
        )
        channel = self.env["billpay.channel"].sudo()._for_company(self.company)[:1]
        channel.name = "Pesa Mpya"
        settings = self.till.billpay_settings()
        self.assertEqual(settings["billpay_later"], "never")
        self.assertEqual(settings["billpay_lang"], "en")
        self.assertTrue(settings["billpay_change"])
        names = [way["name"] for way in settings["_billpay"]["en"]["channels"]]
        self.assertIn("Pesa Mpya", names)
