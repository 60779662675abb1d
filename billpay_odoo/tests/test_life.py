# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The life of a server: sell, update from each version, uninstall, install again,
restore a backup while the original lives, neutralise a copy."""

from contextlib import contextmanager

from odoo.exceptions import UserError
from odoo.tests import tagged

from ..clickpesa import parse_notification
from . import older
from .processes import DatabaseCopy, Processes
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

    def payable(self):
        """Return what each number asks for, and whether it is to be paid."""
        return self.db(
            "SELECT name, state, move_id, amount::int, bill_key"
            " FROM billpay_control_number WHERE provider_id = %s ORDER BY id",
            self.provider,
        )

    def residuals(self, *moves):
        return [
            self.db.value(
                "SELECT amount_residual::int FROM account_move WHERE id = %s", move
            )
            for move in moves
        ]

    def told_again(self, *payments):
        """All that ClickPesa has told comes again, by every way."""
        self.run_worker(
            f"{HERE}:tell_again",
            token=self.token,
            bodies=[self.delivery(payment) for payment in payments],
        )

    @contextmanager
    def living_in(self, database, **environment):
        """Work on a database meanwhile, with a server of one's own."""
        processes = Processes(database, environment)
        self.addCleanup(processes.stop)
        processes.start()
        here = self.db, self.processes
        self.db, self.processes = database, processes
        try:
            yield
        finally:
            self.db, self.processes = here

    def applications(self):
        return self.db(
            # One without payments goes with the add-on, and comes with it.
            "SELECT company_id, count(*) FROM payment_provider"
            " WHERE code = 'clickpesa' GROUP BY company_id ORDER BY company_id"
        )

    def test_update_from_each_version(self):
        [part, number], [whole, other], [unpaid, _open] = self.invoices(
            25000, 15000, 5000
        )
        paid = [self.pay(number, 10000), self.pay(other, 15000)]
        self.deliver(paid[0])
        self.run_worker("poll_and_process")
        self.assertBookedOnce(*paid)
        before, payable = self.books(), self.payable()
        registered = self.numbers_there()
        for version in older.VERSIONS:
            with self.subTest(version=version):
                older.make_version(self.db, version)
                self.processes.upgrade("billpay_odoo")
                self.assertEqual(self.books(), before)
                self.assertEqual(self.payable(), payable)
                self.db("UPDATE ir_cron SET active = false")
                self.told_again(*paid)
                self.assertEqual(self.books(), before)
                self.assertEqual(self.payable(), payable)
                self.assertBookedOnce(*paid)
                self.assertEqual(self.residuals(part, whole, unpaid), [15000, 0, 5000])
                self.assertEqual(self.numbers_there(), registered)

    def test_backup_is_restored_while_the_original_lives(self):
        """Two live databases with one BillPay-Namba, one of them older."""
        [paid_early, early_number], [old, old_number] = self.invoices(20000, 15000)
        early = self.pay(early_number, 5000)
        self.deliver(early)
        self.run_worker("process")
        backup = DatabaseCopy(self.db.name, "backup")
        self.addCleanup(backup.drop)
        self.db.close()
        backup.make()
        self.db.connect()
        # What the backup does not know.
        late = self.pay(old_number, 6000)
        [[lost, lost_number], [open_lost, open_number]] = self.run_worker(
            "invoices", company=self.company, amounts=[30000, 8000]
        )
        self.run_worker("sync")
        paid = self.pay(lost_number, 30000)
        self.run_worker("poll_and_process")
        self.assertBookedOnce(early, late, paid)
        olds = paid_early, old
        self.assertEqual(self.residuals(*olds, lost, open_lost), [15000, 9000, 0, 8000])
        books = self.books()

        with self.living_in(backup):
            self.assertEqual(self.residuals(*olds), [15000, 15000])
            self.told_again(early, late, paid)
            # Money of numbers that are there is booked, once; the other is seen.
            self.assertEqual(self.residuals(*olds), [15000, 9000])
            unmatched = (
                "SELECT reference FROM billpay_payment"
                " WHERE state = 'unmatched' AND provider_id = %s ORDER BY 1"
            )
            self.assertEqual(self.db(unmatched, self.provider), [(paid["id"],)])
            restored = self.books()
            self.told_again(early, late, paid)
            self.assertEqual(self.books(), restored)
            # The counter is back where it was; nobody's digits are taken over.
            new = self.run_worker(
                "invoices", company=self.company, amounts=[1000, 2000]
            )
            for _try in range(6):
                self.later()
                self.run_worker("sync")
            digits = [
                self.db.value(
                    "SELECT name FROM billpay_control_number"
                    " WHERE move_id = %s AND state = 'open'",
                    move,
                )
                for move, _number in new
            ]
            self.assertFalse({*digits} & {lost_number, open_number, old_number})
            self.assertEqual(len({*digits}), 2)
            # Both databases say what is wrong.
            checks = self.run_worker(f"{HERE}:health", provider=self.provider)
            self.assertIn(checks["collisions"][0], ("amber", "red"), checks)
            self.assertIn("Another database", checks["collisions"][1])
            # A bill of the other one is paid.
            other = self.pay(digits[0], 1000)
            wrong = self.pay(open_number, 8000)
            self.run_worker("poll_and_process")
            self.assertEqual(
                self.db(unmatched, self.provider),
                [(ref,) for ref in sorted([paid["id"], wrong["id"]])],
            )
            self.assertEqual(self.residuals(new[0][0], new[1][0]), [0, 2000])

        self.run_worker("poll_and_process")
        self.assertEqual(self.residuals(*olds, lost, open_lost), [15000, 9000, 0, 0])
        self.assertEqual(self.db(unmatched, self.provider), [(other["id"],)])
        # Nothing moved but the bill that was paid: one entry more.
        now = self.books()
        self.assertEqual([row[:4] for row in now[: len(books)]], [r[:4] for r in books])
        self.assertEqual([row[3] for row in now[len(books) :]], [8000, -8000])
        self.told_again(early, late, paid, wrong, other)
        self.assertEqual(self.books(), now)
        checks = self.run_worker(f"{HERE}:health", provider=self.provider)
        self.assertEqual(checks["unmatched"][0], "amber")

    def test_server_and_database_in_other_time_zones(self):
        """Days are the company's, moments are Odoo's, wherever a server stands."""
        for server, database in (
            ("America/New_York", "Asia/Tokyo"),
            ("Asia/Tokyo", "America/New_York"),
        ):
            with (
                self.subTest(server=server),
                self.living_in(self.db, TZ=server, PGTZ=database),
            ):
                self.again()
                self.assertEqual(self.run_worker(f"{HERE}:zone"), database)
                [[move, number]] = self.invoices(1000)
                payment = self.pay(number, 1000)
                self.deliver(payment)
                self.run_worker("poll_and_process")
                self.assertBookedOnce(payment)
                self.assertPaid(move)
                [(booked, paid, polled, learned)] = self.db(
                    "SELECT a.date - (p.paid_at AT TIME ZONE 'UTC'"
                    "       AT TIME ZONE 'Africa/Dar_es_Salaam')::date,"
                    " extract(epoch FROM p.paid_at AT TIME ZONE 'UTC' - now())::int,"
                    " extract(epoch FROM v.billpay_polled_until AT TIME ZONE 'UTC'"
                    "       - now())::int,"
                    " extract(epoch FROM p.create_date AT TIME ZONE 'UTC' - now())::int"
                    " FROM billpay_payment p"
                    " JOIN account_payment ap ON ap.billpay_payment_id = p.id"
                    " JOIN account_move a ON a.id = ap.move_id"
                    " JOIN payment_provider v ON v.id = p.provider_id"
                    " WHERE p.provider_id = %s",
                    self.provider,
                )
                self.assertEqual(booked, 0)
                for seconds in (paid, polled, learned):
                    self.assertLess(abs(seconds), 600)

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
        self.assertFalse(
            self.db(
                "SELECT FROM payment_provider"
                " WHERE code = 'clickpesa' AND clickpesa_sequence_id IS NULL"
            ),
            "each has a counter",
        )
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
        before, payable = self.books(), self.payable()
        self.processes.neutralize()
        self.assertEqual(self.books(), before)
        self.assertEqual(self.payable(), payable)
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
        self.assertEqual(self.books(), before)
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


def tell_again(env, token, bodies):
    """Deliver again, poll, and book what there is to book."""
    for body in bodies:
        events = env["billpay.event"]
        raw = body.encode()
        events._store_delivery(
            events._find_address(token), raw, parse_notification(raw), signed=True
        )
        env.cr.commit()
    env["payment.provider"]._cron_poll_payments()
    env["billpay.payment"]._cron_process_payments()


def zone(env):
    """Return the time zone in which PostgreSQL speaks to us."""
    env.cr.execute("SHOW timezone")
    return env.cr.fetchone()[0]


def health(env, provider):
    """Return ``{check: [colour, sentence]}``."""
    checks = env["billpay.health"]._health_checks(
        env["payment.provider"].browse(provider)
    )
    return {check.name: [check.colour, check.sentence] for check in checks[provider]}


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
