# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A till of the version before is upgraded by the real server."""

from odoo.tests import tagged

from odoo.addons.billpay_odoo.tests.older import make_older, number_keys
from odoo.addons.billpay_odoo.tests.test_upgrade import UpgradeCase

TASKS = "odoo.addons.billpay_odoo_pos.tests.till_tasks:"
AT_TILL = {"one_asking_at_till": "(pos_order_uuid) WHERE pos_order_uuid IS NOT NULL"}
VERSIONS = (("billpay_odoo", "19.0.1.3.0"), ("billpay_odoo_pos", "19.0.1.0.0"))


@tagged("post_install", "-at_install")
class TestTillUpgrade(UpgradeCase):
    def at_till(self, task, **arguments):
        return self.run_worker(TASKS + task, company=self.company, **arguments)

    def test_numbers_of_the_version_before(self):
        till = self.at_till("make_till")["till"]
        asked = self.at_till("ask", uuid="aaaaaaaa-0001", amount=45000)["number"]
        [leased, *_others] = self.at_till("lease", device="aaaaaaaa-1111")
        [[move, _number]] = self.invoices(7000)
        make_older(self.db, AT_TILL.items(), VERSIONS)
        self.db("DELETE FROM billpay_control_number WHERE move_id = %s", move)
        order = {"pos_config_id": till, "pos_order_uuid": "aaaaaaaa-0002"}
        self.number("11230001", state="closed", **order)
        self.number("11230002", origin="offline", **order)
        invoiced = {"pos_config_id": till, "pos_order_uuid": "aaaaaaaa-0003"}
        self.number("11230003", move_id=move, **invoiced)

        # Odoo upgrades what hangs on an add-on with it.
        self.processes.upgrade("billpay_odoo")

        keys = number_keys(self.db, self.provider)
        for name, key in {
            asked: "till:aaaaaaaa-0001",
            leased: None,
            "11230001": "till:aaaaaaaa-0002",
            "11230002": "till:aaaaaaaa-0002",
            "11230003": f"invoice:{move}",
        }.items():
            self.assertEqual(keys[name][0], key, name)
        # Its device may be printing from it today.
        [[heard]] = self.db(
            "SELECT pos_leased_at > now() AT TIME ZONE 'UTC' - interval '1 hour'"
            "  FROM billpay_control_number WHERE name = %s",
            leased,
        )
        self.assertTrue(heard)
        indexes = self.indexes()
        self.assertIn("UNIQUE", indexes["billpay_control_number_one_per_bill"])
        self.assertNotIn("billpay_control_number_one_asking_at_till", indexes)
        self.assertSecondRefused("till:aaaaaaaa-0001")
        self.assertSecondRefused("till:aaaaaaaa-0002")
        # The order keeps its number, and is paid by it; the next one gets its own.
        stand = self.at_till("ask", uuid="aaaaaaaa-0001", amount=45000)
        self.assertEqual(stand["number"], asked)
        payment = self.pay(asked, 45000)
        self.deliver(payment)
        self.run_worker("process")
        self.assertBookedOnce(payment)
        fresh = self.at_till("ask", uuid="aaaaaaaa-0004", amount=1000)["number"]
        self.assertEqual(
            number_keys(self.db, self.provider)[fresh], ("till:aaaaaaaa-0004", "open")
        )


@tagged("post_install", "-at_install")
class TestTillUninstalled(UpgradeCase):
    def test_the_method_leaves_the_tills(self):
        made = self.run_worker(TASKS + "make_till", company=self.company)
        till, method, session = made["till"], made["billpay"], made["session"]
        on_till = (
            "SELECT pos_payment_method_id FROM pos_config_pos_payment_method_rel"
            " WHERE pos_config_id = %s"
        )
        self.assertIn((method,), self.db(on_till, till))
        others = set(self.db(on_till, till)) - {(method,)}
        # The session is open meanwhile.
        self.assertEqual(
            self.db.value("SELECT state FROM pos_session WHERE id = %s", session),
            "opened",
        )

        said = self.processes.uninstall("billpay_odoo_pos")

        self.assertNotIn("bad query", said)
        self.assertEqual(set(self.db(on_till, till)), others)
        self.assertEqual(
            self.db(
                "SELECT active, use_payment_terminal FROM pos_payment_method"
                " WHERE id = %s",
                method,
            ),
            [(False, None)],
        )
