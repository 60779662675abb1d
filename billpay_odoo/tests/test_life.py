# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The life of a server: sell, uninstall, install again, neutralise a copy."""

from odoo.exceptions import UserError
from odoo.tests import tagged

from .test_concurrency import CHECKSUM_KEY, ConcurrencyCase

# Where workers find the tasks of this file.
HERE = __name__


@tagged("post_install", "-at_install")
class TestLife(ConcurrencyCase):
    def books(self):
        """Return every posted journal item, with what is open of it."""
        return self.db(
            "SELECT id, account_id, partner_id, balance, amount_residual"
            " FROM account_move_line WHERE parent_state = 'posted' ORDER BY id"
        )

    def applications(self):
        return self.db(
            # One without payments goes with the add-on, and comes with it.
            "SELECT company_id, count(*) FROM payment_provider"
            " WHERE code = 'clickpesa' GROUP BY company_id ORDER BY company_id"
        )

    def test_uninstalled_and_back(self):
        dependents = [
            name
            for (name,) in self.db(
                "SELECT m.name FROM ir_module_module m"
                " JOIN ir_module_module_dependency d ON d.module_id = m.id"
                " WHERE d.name = 'billpay_odoo' AND m.state = 'installed'"
            )
        ]
        *bills, [waiting, old] = self.invoices(1000, 25000, 5000)
        paid = [
            self.pay(number, amount)
            for (_move, number), amount in zip(bills, (1000, 25000), strict=True)
        ]
        for payment in paid:
            self.deliver(payment)
        self.run_worker("process")
        self.assertBookedOnce(*paid)
        old_numbers = self.numbers_here()
        other = self.run_worker(
            f"{HERE}:second_application",
            company=self.company,
            provider=self.provider,
            url=self.url,
            checksum_key=CHECKSUM_KEY,
        )
        before, applications = self.books(), self.applications()

        said = self.processes.uninstall("billpay_odoo")

        self.assertNotIn("SELECT", said, "no query in the log")
        self.assertEqual(self.books(), before)
        states = dict(
            self.db(
                "SELECT id, code || ' ' || state FROM payment_provider"
                " WHERE id IN (%s, %s)",
                self.provider,
                other,
            )
        )
        self.assertEqual(
            states, {self.provider: "none disabled", other: "none disabled"}
        )
        self.assertFalse(
            self.db("SELECT FROM ir_config_parameter WHERE value LIKE '%%SKsandbox%%'")
        )

        self.processes.install("billpay_odoo", *dependents)

        # What an update finds is what it leaves.
        self.processes.upgrade("billpay_odoo")
        self.assertEqual(self.applications(), applications)
        self.processes.restart()
        self.assertEqual(self.books(), before)
        # Every application can be enabled again, with its journal.
        for provider in (other, self.provider):
            journal = self.run_worker(
                f"{HERE}:enable",
                provider=provider,
                company=self.company,
                url=self.url,
                checksum_key=CHECKSUM_KEY,
            )
            self.assertTrue(journal)
        self.db("UPDATE ir_cron SET active = false")
        # The poll of the last week brings what is booked, and books nothing.
        late = self.pay(old, 5000)
        for _round in range(2):
            self.run_worker("poll_and_process")
        self.assertEqual(self.books(), before)
        booked = self.db(
            "SELECT p.reference, a.amount::int FROM billpay_payment p"
            " JOIN account_payment a ON a.billpay_payment_id = p.id"
            " WHERE p.state = 'posted' ORDER BY 1"
        )
        self.assertEqual(
            booked,
            sorted(
                (payment["id"], int(float(payment["collectedAmount"])))
                for payment in paid
            ),
        )
        # Money of an old number waits for a person; a newcomer gets other digits.
        self.assertEqual(
            self.db(
                "SELECT state FROM billpay_payment WHERE reference = %s", late["id"]
            ),
            [("unmatched",)],
        )
        [[_move, new]] = self.invoices(7000)
        self.assertNotIn(new, old_numbers)
        self.assertEqual(
            self.db.value(
                "SELECT amount_residual::int FROM account_move WHERE id = %s", waiting
            ),
            5000,
        )

    def test_neutralised_copy(self):
        [[move, number]] = self.invoices(1000)
        self.pay(number, 1000)
        calls = len(self.sandbox.calls())
        self.processes.neutralize()
        self.processes.restart()
        self.assertFalse(
            self.db("SELECT FROM ir_cron WHERE active AND cron_name LIKE 'BillPay%%'")
        )
        credentials = {
            "provider": self.provider,
            "company": self.company,
            "url": self.url,
            "checksum_key": CHECKSUM_KEY,
        }
        # Even with credentials nothing is called, and the cause is said.
        self.run_worker(f"{HERE}:enable", **credentials)
        self.run_worker("poll_and_process")
        for said in self.run_worker(f"{HERE}:ask", provider=self.provider):
            self.assertIn("neutralised", said)
            self.assertNotIn("Test Mode", said)
        self.assertEqual(len(self.sandbox.calls()), calls)
        # The steps of the operator guide.
        self.db("DELETE FROM ir_config_parameter WHERE key = 'database.is_neutralized'")
        self.db("UPDATE ir_cron SET active = true WHERE cron_name LIKE 'BillPay%%'")
        self.db("UPDATE payment_provider SET state = 'disabled'")
        self.processes.restart()
        self.run_worker(f"{HERE}:enable", **credentials)
        self.run_worker("poll_and_process")
        self.assertEqual(
            self.db.value(
                "SELECT amount_residual::int FROM account_move WHERE id = %s", move
            ),
            0,
        )
        self.assertEqual(
            self.db.value(
                "SELECT clickpesa_webhook_token IS NOT NULL"
                " AND clickpesa_health_token IS NOT NULL"
                " FROM payment_provider WHERE id = %s",
                self.provider,
            ),
            True,
        )
        self.db("UPDATE ir_cron SET active = false")


def ask(env, provider):
    """Return what a person reads who asks ClickPesa by a click."""
    application = env["payment.provider"].browse(provider)
    said = [application.action_billpay_poll()["params"]["message"]]
    try:
        application._billpay_client()
    except UserError as error:
        said.append(str(error))
    return said


def second_application(env, company, provider, **values):
    """Make another application of the company, with a journal."""
    first = env["payment.provider"].browse(provider)
    made = first.copy({"company_id": company, "name": "ClickPesa ya pili"})
    assert enable(env, made.id, company, **values)
    env["res.company"].browse(company).billpay_provider_id = first
    return made.id


def enable(env, provider, company, url, checksum_key):
    """Enter the credentials again and enable an application; return its journal."""
    application = env["payment.provider"].browse(provider)
    application.write(
        {
            "clickpesa_base_url": url,
            "clickpesa_client_id": "IDsandbox",
            "clickpesa_api_key": "SKsandbox",
            "clickpesa_checksum_key": checksum_key,
            "clickpesa_billpay_namba": "1122",
            "clickpesa_calls_per_minute": 0,
            "state": "test",
        }
    )
    env["res.company"].browse(company).billpay_provider_id = application
    return application.journal_id.id
