# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import re
from datetime import timedelta
from unittest.mock import patch

from odoo import Command, fields
from odoo.exceptions import AccessError
from odoo.tests import new_test_user, tagged
from odoo.tools.safe_eval import safe_eval

from ..const import SEND_CRON
from ..controllers import health as controller
from ..models.provider import billpay_health as health
from .common import BillPayCommon, BillPayHttpCommon

FIGURE = re.compile(r"%.(?:\w+\).)?")
NAMES = [
    "last_webhook",
    "last_poll",
    "lag",
    "backlog",
    "unmatched",
    "unreported",
    "poll_only",
    "failed_deliveries",
    "quarantine",
    "collisions",
    "worker",
]


class HealthCase(BillPayCommon):
    """An application that is well, and what may befall it."""

    def setUp(self):
        super().setUp()
        self.now = fields.Datetime.now()
        self.provider.write(
            {"billpay_last_poll_at": self.now, "billpay_polled_until": self.now}
        )
        actions = self.env["billpay.health"]._scheduled_actions()
        self.crons = self.env["ir.cron"].sudo()
        for name in health.WORKERS:
            self.crons |= actions.pop("billpay_odoo.%s" % name)
        for cron in actions.values():
            cron.active = True
        self.crons.write({"nextcall": self.now, "active": True})
        self.delivery("done")

    def ago(self, **span):
        return self.now - timedelta(**span)

    def delivery(self, state, moment=None, times=1, provider=None):
        events = self.env["billpay.event"].sudo()
        return events.create(
            {
                "provider_id": (provider or self.provider).id,
                "state": state,
                "digest": "d%s" % events.search_count([]),
                "times": times,
                "received_at": moment or self.now,
                "last_received_at": moment or self.now,
            }
        )

    def payment(
        self, state="posted", age=timedelta(minutes=30), learned=None, **values
    ):
        """A payment that was paid ``age`` ago and learned ``learned`` later."""
        payments = self.env["billpay.payment"].sudo()
        payment = payments.create(
            {
                "provider_id": self.provider.id,
                "reference": "LCP%s" % payments.search_count([]),
                "state": state,
                "paid_at": self.now - age,
                "amount": 1000,
                "currency_id": self.tzs.id,
                **values,
            }
        )
        payment.flush_recordset()
        self.cr.execute(
            "UPDATE billpay_payment SET create_date = %s WHERE id = %s",
            (self.now - age + (learned or timedelta(seconds=1)), payment.id),
        )
        return payment

    def check(self, name):
        self.env.flush_all()
        self.env.invalidate_all()
        # Ages count from the moment at which the test began, however long it takes.
        with patch.object(fields.Datetime, "now", return_value=self.now):
            checks = self.env["billpay.health"]._health_checks(self.provider)[
                self.provider.id
            ]
        [found] = [check for check in checks if check.name == name]
        return found

    def assertCheck(self, name, colour, value=None, sentence=""):
        check = self.check(name)
        self.assertEqual(check.colour, colour, check)
        if value is not None:
            self.assertEqual(check.value, value)
        self.assertTrue(check.sentence)
        self.assertIn(sentence, check.sentence)


@tagged("post_install", "-at_install")
class TestHealth(HealthCase):
    def test_well(self):
        checks = self.env["billpay.health"]._health_checks(self.provider)[
            self.provider.id
        ]
        self.assertEqual([check.name for check in checks], NAMES)
        self.assertEqual({check.colour for check in checks}, {"green"}, checks)
        self.assertEqual(self.provider.billpay_health, "green")

    def test_worst_colour_is_shown(self):
        self.delivery("failed")
        self.assertEqual(self.provider.billpay_health, "amber")
        self.crons[0].active = False
        self.provider.invalidate_recordset()
        self.assertEqual(self.provider.billpay_health, "red")
        self.assertIn("text-danger", self.provider.billpay_health_report)

    def test_application_that_is_off_has_none(self):
        self.provider.state = "disabled"
        self.assertFalse(self.provider.billpay_health)
        self.assertFalse(self.provider.billpay_health_report)
        other = self.env["payment.provider"].search([("code", "!=", "clickpesa")])[:1]
        self.assertFalse(other.billpay_health)

    def test_form_of_a_new_application_opens(self):
        self.assertFalse(
            self.env["payment.provider"].new({"code": "clickpesa"}).billpay_health
        )

    def test_last_webhook(self):
        self.assertCheck("last_webhook", "green", self.now)
        self.delivery("quarantine", self.now + timedelta(days=1))
        self.assertCheck("last_webhook", "green", self.now)
        self.env["billpay.event"].sudo().search(
            [("provider_id", "=", self.provider.id)]
        ).unlink()
        self.assertCheck("last_webhook", "amber", sentence="No webhook has arrived")

    def test_last_poll(self):
        self.assertCheck("last_poll", "green", self.now)
        self.provider.billpay_poll_error = "ClickPesa does not answer."
        self.assertCheck("last_poll", "amber", sentence="The last poll failed at")
        self.assertCheck("last_poll", "amber", sentence="does not answer.")
        self.provider.billpay_polled_until = self.ago(hours=2)
        self.assertCheck("last_poll", "red")
        self.provider.billpay_poll_error = False
        self.assertCheck("last_poll", "red")
        self.provider.billpay_polled_until = self.ago(minutes=20)
        self.assertCheck("last_poll", "amber")

    def test_lag_and_backlog(self):
        self.delivery("new", self.ago(minutes=2))
        self.assertCheck("lag", "green")
        self.assertCheck("backlog", "green", 1)
        self.payment("confirmed", confirmed_at=self.ago(minutes=10))
        self.assertCheck("lag", "amber", 600)
        self.assertCheck("backlog", "green", 2)
        self.payment("failed", age=timedelta(hours=1))
        self.assertCheck("lag", "red")

    def test_what_may_be_no_money_is_no_lag(self):
        self.payment("received", age=timedelta(days=3))
        self.assertCheck("lag", "green", 0)
        self.assertCheck("backlog", "green", 1)

    def test_unmatched(self):
        payment = self.payment("unmatched")
        self.assertCheck("unmatched", "amber", 1, "1 payment is not matched")
        payment.sudo().paid_at = self.ago(days=8)
        self.assertCheck("unmatched", "red", 1)
        self.payment("unmatched")
        self.payment("unmatched")
        self.assertCheck(
            "unmatched", "red", 3, "3 payments are not matched to a customer"
        )

    def test_share_found_only_by_poll(self):
        for _each in range(9):
            self.payment(webhook_at=self.now)
        self.assertCheck("poll_only", "green", 0.0)
        self.payment(poll_at=self.now)
        self.assertCheck("poll_only", "amber", 10.0, "1 of the 10 payments")
        for _each in range(10):
            self.payment(poll_at=self.now)
        self.assertCheck("poll_only", "red", 55.0)

    def test_what_no_webhook_can_have_told_does_not_count(self):
        self.payment(age=timedelta(hours=20), learned=timedelta(hours=2))
        self.payment(age=timedelta(minutes=2))
        self.payment(age=timedelta(days=3))
        self.assertCheck("poll_only", "green", 0.0)

    def test_few_payments_are_never_red(self):
        self.payment(poll_at=self.now)
        self.assertCheck("poll_only", "amber", 100.0)

    def test_failed_deliveries(self):
        self.delivery("failed", self.ago(days=8))
        self.assertCheck("failed_deliveries", "green", 0)
        self.delivery("failed")
        self.assertCheck("failed_deliveries", "amber", 1)

    def test_quarantine(self):
        self.delivery("quarantine", self.ago(days=2))
        self.assertCheck("quarantine", "green", 0)
        self.delivery("quarantine", times=7)
        self.assertCheck("quarantine", "amber", 7)
        self.delivery("quarantine", times=200)
        self.assertCheck("quarantine", "red", 207)

    def test_digits_that_were_in_use(self):
        numbers = (
            self.env["billpay.control.number"]
            .sudo()
            ._reserve(self.provider, [{"amount": 1000}] * 4)
        )
        self.assertCheck("collisions", "green", 0)
        for count, age, colour, total in (
            # Once may be one that somebody made in the dashboard.
            (1, timedelta(hours=1), "green", 1),
            (5, timedelta(days=8), "green", 1),
            (2, timedelta(days=6), "amber", 3),
            (17, timedelta(0), "red", 20),
        ):
            with self.subTest(count=count):
                number, numbers = numbers[0], numbers[1:]
                number.write({"collisions": count, "digits_at": self.now - age})
                self.assertCheck("collisions", colour, total)
        self.assertIn("Another database", self.check("collisions").sentence)
        found = self.env.ref("billpay_odoo.action_billpay_health_collisions")
        domain = safe_eval(found.domain)
        self.assertEqual(self.env[found.res_model].search_count(domain), 4)

    def test_worker(self):
        self.crons[1].nextcall = self.ago(minutes=10)
        self.assertCheck("worker", "amber", 600)
        self.crons[1].nextcall = self.ago(hours=1)
        self.assertCheck("worker", "red", 3600)

    def test_nothing_works_in_the_background(self):
        """As with ``max_cron_threads = 0``: a person can do what must not wait."""
        moves = self._invoice(5000) + self._invoice(7000)
        numbers = moves.billpay_number_ids.sudo()
        self.assertEqual(numbers.mapped("state"), ["pending"] * 2)
        self.crons.nextcall = self.ago(minutes=21)
        self.assertCheck("worker", "red", 21 * 60, "late")
        with self._workers(), self.env.registry.cursor() as cr:
            self.env(cr=cr)["billpay.sync"]._sync_now(numbers.with_env(self.env(cr=cr)))
        self.assertEqual(numbers.mapped("state"), ["open"] * 2)
        for move, amount in zip(moves, (5000, 7000), strict=True):
            paid = self._pay(move.billpay_number_id.name, amount)
            self._event(paid)
            self.assertFalse(self._ledger(paid).account_payment_ids)
            with self._workers():
                move.action_billpay_check()
            self.assertBooked(self._ledger(paid), amount)
            self.assertEqual(move.amount_residual, 0)
        # The deliveries wait still, and book nothing more.
        self._process()
        self.assertEqual(len(moves.billpay_payment_ids.account_payment_ids), 2)

    def test_actions_that_are_deleted_or_switched_off(self):
        restored = self.env["billpay.health"]
        for key, cron in restored._scheduled_actions().items():
            name, code = cron.name, cron.code
            with self.subTest(off=key):
                cron.active = False
                colour = "green" if key == SEND_CRON else "red"
                self.assertCheck("worker", colour)
                self.assertEqual(name in self.check("worker").sentence, colour == "red")
                restored._restore_actions()
                self.assertCheck("worker", "green")
                cron.active = True
            with self.subTest(deleted=key):
                cron.unlink()
                self.assertCheck("worker", "red", sentence=name)
                # What else the file brings is not touched.
                others = restored._scheduled_actions()
                del others[key]
                for other in others.values():
                    other.interval_number = 17
                restored._restore_actions()
                self.assertEqual(self.env.ref(key).code, code)
                self.assertTrue(self.env.ref(key).active)
                self.assertEqual(
                    {other.interval_number for other in others.values()}, {17}
                )
                self.assertCheck("worker", "green")

    def test_only_administrators_restore_actions(self):
        self.crons.unlink()
        button = self.env.ref("billpay_odoo.action_billpay_restore_actions")
        user = new_test_user(
            self.env, "health", groups="billpay_odoo.group_billpay_manager"
        )
        with self.assertRaises(AccessError):
            button.with_user(user).run()
        with self.assertRaises(AccessError):
            self.env["billpay.health"].with_user(user)._restore_actions()
        admin = self.env.ref("base.user_admin")
        shown = button.with_user(admin).run()
        self.assertEqual(shown["params"]["type"], "success")
        for name in health.WORKERS:
            self.assertTrue(self.env.ref("billpay_odoo.%s" % name).active)
        shown = button.with_user(admin).run()
        self.assertEqual(shown["params"]["type"], "info")

    def test_sentences_have_the_same_figures_in_swahili(self):
        texts = [text for texts in health.TEXTS.values() for text in texts]
        texts += [
            health.NO_WEBHOOK,
            health.NO_CREDENTIALS,
            health.POLL_FAILED,
            health.ONE_UNMATCHED,
            health.SWITCHED_OFF,
        ]
        self.env["res.lang"]._activate_lang("sw")
        swahili = self.env(context={"lang": "sw"})
        for text in texts:
            english = self.env(context={"lang": "en_US"})._(text)
            translated = swahili._(text)
            self.assertNotEqual(translated, english)
            self.assertEqual(*(set(FIGURE.findall(t)) for t in (english, translated)))

    def test_figures_of_another_application_stay_there(self):
        other = self._make_application(self.company)
        other.write(
            {"billpay_last_poll_at": self.now, "billpay_polled_until": self.now}
        )
        self.delivery("new", self.ago(hours=1), provider=other)
        self.delivery("quarantine", provider=other)
        self.assertCheck("lag", "green", 0)
        self.assertCheck("quarantine", "green", 0)
        self.env.flush_all()
        reports = self.env["billpay.health"]._health_checks(self.provider + other)
        colours = {check.name: check.colour for check in reports[other.id]}
        self.assertEqual(colours["lag"], "red")
        self.assertEqual(colours["quarantine"], "amber")

    def test_list_takes_the_same_statements_for_many(self):
        others = self.provider
        for _each in range(3):
            others |= self._make_application(self.company)
        self.env.flush_all()
        counts = []
        for providers in (self.provider, others):
            self.env.invalidate_all()
            providers.mapped("state")
            before = self.cr.sql_log_count
            providers.mapped("billpay_health")
            counts.append(self.cr.sql_log_count - before)
        self.assertLessEqual(counts[1], counts[0] + 2)

    def test_names_in_the_report_are_escaped(self):
        self.provider.billpay_poll_error = "<script>alert(1)</script>"
        self.assertNotIn("<script>", self.provider.billpay_health_report)


@tagged("post_install", "-at_install")
class TestHealthActivity(HealthCase):
    def setUp(self):
        super().setUp()
        self.manager = new_test_user(
            self.env,
            "billpay-manager",
            groups="billpay_odoo.group_billpay_manager",
            company_id=self.company.id,
            company_ids=[Command.set(self.company.ids)],
        )

    def told(self):
        self.env.flush_all()
        self.env["billpay.health"]._tell_health()
        return self.provider.activity_ids

    def test_nothing_is_told_while_all_is_well(self):
        self.assertFalse(self.told())

    def test_each_kind_once_and_gone_when_green(self):
        bad = {
            "quarantine": self.delivery("quarantine"),
            "webhook": self.payment(poll_at=self.now),
        }
        self.crons[0].nextcall = self.ago(hours=1)
        for _each in range(2):
            activities = self.told()
            self.assertEqual(
                set(activities.activity_type_id.mapped("name")),
                set(
                    self.env.ref("billpay_odoo.mail_activity_type_%s" % kind).name
                    for kind in ("quarantine", "webhook", "worker")
                ),
            )
            self.assertEqual(len(activities), 3)
        self.assertIn("checksum keys", str(activities.mapped("note")))
        bad["quarantine"].unlink()
        self.crons[0].nextcall = self.now
        self.assertEqual(
            self.told().activity_type_id,
            self.env.ref("billpay_odoo.mail_activity_type_webhook"),
        )

    def test_it_is_for_a_manager_of_the_company_who_may_settle_it(self):
        self.delivery("quarantine")
        [activity] = self.told()
        self.assertIn(self.company, activity.user_id.company_ids)
        self.assertTrue(
            activity.user_id.has_group("billpay_odoo.group_billpay_manager")
        )
        activity.user_id = self.manager
        activity.with_user(self.manager).action_feedback("The key was wrong.")
        self.assertFalse(activity.active)

    def test_what_a_person_settled_is_not_told_again_today(self):
        self.delivery("quarantine")
        [activity] = self.told()
        activity.action_feedback("Seen.")
        self.assertFalse(self.told())
        activity.date_done = self.ago(days=2)
        self.assertEqual(len(self.told()), 1)

    def test_application_that_is_switched_off_tells_nothing(self):
        self.delivery("quarantine")
        self.assertTrue(self.told())
        self.provider.state = "disabled"
        self.assertFalse(self.told())

    def test_poll_tells(self):
        self.delivery("quarantine")
        self._poll()
        self.assertEqual(len(self.provider.activity_ids), 1)

    def test_manager_reads_health_and_no_secret_nor_another_provider(self):
        provider = self.provider.with_user(self.manager)
        self.assertEqual(provider.billpay_health, "green")
        with self.assertRaises(AccessError):
            provider.read(["clickpesa_webhook_token"])
        with self.assertRaises(AccessError):
            provider.write({"name": "Mine"})
        others = self.env["payment.provider"].with_user(self.manager).search([])
        self.assertEqual(set(others.mapped("code")), {"clickpesa"})

    def test_administrator_still_sees_every_provider(self):
        admin = self.env.ref("base.user_admin")
        seen = self.env["payment.provider"].with_user(admin).search([])
        self.assertGreater(len(set(seen.mapped("code"))), 1)


@tagged("post_install", "-at_install")
class TestHealthRoute(HealthCase, BillPayHttpCommon):
    def setUp(self):
        super().setUp()
        self.patch(controller, "_answers", {})
        self.token = self.provider.sudo().clickpesa_health_token

    def ask(self, token=None):
        self.env.flush_all()
        return self.url_open("/payment/clickpesa/health/%s" % (token or self.token))

    def test_each_token_opens_its_own_address_only(self):
        webhook = self.provider.sudo().clickpesa_webhook_token
        self.assertEqual(self.ask(webhook).status_code, 404)
        self.assertEqual(self.ask().status_code, 200)
        self.assertEqual(self._deliver({}, token=self.token).status_code, 404)
        copy = self.provider.sudo().copy()
        self.assertNotIn(copy.clickpesa_health_token, (False, self.token, webhook))
        self.provider.sudo().clickpesa_health_token = "h" * 32
        self.assertEqual(self.ask().status_code, 404)
        self.assertEqual(self.ask("h" * 32).status_code, 200)

    def test_token_in_a_header(self):
        for token, status in ((self.token, 200), ("x" * 32, 404), ("", 404)):
            with self.subTest(token):
                self.env.flush_all()
                answer = self.url_open(
                    "/payment/clickpesa/health", headers={"X-BillPay-Token": token}
                )
                self.assertEqual(answer.status_code, status)

    def test_address_is_shown_to_administrators_only(self):
        self.assertTrue(
            self.provider.sudo().clickpesa_health_url.endswith(
                "/payment/clickpesa/health/" + self.token
            )
        )
        manager = new_test_user(
            self.env, "billpay_manager", groups="billpay_odoo.group_billpay_manager"
        )
        for name in ("clickpesa_health_url", "clickpesa_health_token"):
            with self.assertRaises(AccessError):
                self.provider.with_user(manager).read([name])

    def test_same_figures_as_on_the_form(self):
        self.delivery("quarantine", times=7)
        answer = self.ask()
        self.assertEqual(answer.status_code, 200)
        told = answer.json()
        self.assertEqual(told["status"], "amber")
        self.assertEqual([check["name"] for check in told["checks"]], NAMES)
        self.assertIn(
            {"name": "quarantine", "status": "amber", "value": 7, "unit": "deliveries"},
            told["checks"],
        )
        self.assertEqual(answer.headers["Cache-Control"], "no-store")

    def test_no_name_and_no_secret(self):
        text = self.ask().text
        for word in (
            self.provider.name,
            self.company.name,
            self.token,
            self.provider.sudo().clickpesa_checksum_key,
        ):
            self.assertNotIn(word, text)

    def test_unknown_token_and_switched_off_are_404(self):
        self.assertEqual(self.ask("x" * 32).status_code, 404)
        self.provider.state = "disabled"
        self.assertEqual(self.ask().status_code, 404)

    def test_asking_again_at_once_costs_nothing(self):
        self.ask()
        self.delivery("quarantine")
        self.assertEqual(self.ask().json()["status"], "green")
        self.patch(controller, "ANSWER_LASTS", -1)
        self.assertEqual(self.ask().json()["status"], "amber")
