# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Who may do what: the ledger is written by the workers, not by people."""

from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from .common import BillPayCommon


@tagged("post_install", "-at_install")
class TestRights(BillPayCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.clerk = cls._user("billpay_clerk", "account.group_account_invoice")
        cls.accountant = cls._user(
            "billpay_accountant", "account.group_account_manager"
        )
        cls.auditor = cls._user("billpay_auditor", "account.group_account_readonly")

    def _booked(self, amount=150000):
        move = self._registered_invoice(amount)
        payment = self._pay(move.billpay_number_id.name, amount)
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertBooked(row, amount)
        return move, row

    def assertRefused(self, records, user, values):
        with self.assertRaises(AccessError), mute_logger("odoo.models"):
            records.with_user(user).write(values)

    # === The ledger === #

    def test_nobody_writes_the_ledger_by_hand(self):
        move, row = self._booked()
        number, event = move.billpay_number_ids, row.event_ids
        self.assertTrue(event)
        for user in (self.clerk, self.accountant, self.auditor):
            with self.subTest(user.login):
                self.assertRefused(row, user, {"state": "confirmed"})
                self.assertRefused(row, user, {"amount": 1})
                self.assertRefused(row, user, {"control_number_id": False})
                self.assertRefused(number, user, {"state": "open"})
                self.assertRefused(number, user, {"amount": 1})
                self.assertRefused(number, user, {"move_id": False})
                self.assertRefused(event, user, {"state": "new"})
                for records in (row, number, event):
                    with self.assertRaises(AccessError), mute_logger("odoo.models"):
                        records.with_user(user).unlink()

    def test_people_may_still_discuss_a_number(self):
        number = self._registered_invoice().billpay_number_id
        number.with_user(self.auditor).message_post(body="Juma asked about this one.")
        self.assertIn("Juma asked", number.message_ids[:1].body)

    def test_link_between_payment_and_ledger_is_not_made_by_hand(self):
        _move, row = self._booked()
        payment = row.account_payment_ids.with_user(self.accountant)
        values = {
            "payment_type": "inbound",
            "partner_type": "customer",
            "partner_id": self.partner.id,
            "amount": 5,
            "journal_id": payment.journal_id.id,
        }
        with self.assertRaises(AccessError):
            payment.create({**values, "billpay_payment_id": row.id, "billpay_part": 2})
        for defaults in (
            {"default_billpay_payment_id": row.id, "default_billpay_part": 2},
            {"default_billpay_undone_id": row.id},
            {"default_billpay_part": 2},
        ):
            with self.subTest(defaults), self.assertRaises(AccessError):
                payment.with_context(**defaults).create(values)
        other = payment.create({**values, "billpay_payment_id": False})
        for refused in (
            {"billpay_payment_id": row.id},
            {"billpay_part": 3},
        ):
            with self.assertRaises(AccessError):
                other.write(refused)
        with self.assertRaises(AccessError):
            payment.write({"billpay_payment_id": False})
        payment.write({"billpay_payment_id": row.id, "billpay_part": 0})
        self.assertEqual(payment.billpay_payment_id.sudo(), row.sudo())

    # === Entries of booked payments === #

    def test_booked_payment_is_not_deleted(self):
        _move, row = self._booked()
        payment = row.account_payment_ids.with_user(self.accountant)
        payment.action_draft()
        with self.assertRaises(UserError) as caught:
            payment.unlink()
        self.assertIn("Cancel it instead", str(caught.exception))

    def test_entry_reset_and_posted_again_is_told_by_the_ledger(self):
        _move, row = self._booked(150000)
        payment = row.account_payment_ids.with_user(self.accountant)
        self.assertFalse(row.attention)
        payment.action_draft()
        self.assertTrue(row.attention)
        self.assertIn("not in the books", row.reason)
        self.assertEqual(payment.move_id.state, "draft")
        payment.action_post()
        self.assertFalse(row.attention)
        self.assertFalse(row.reason)
        self.assertBooked(row, 150000)

    def test_cancelled_entry_is_told_by_the_ledger(self):
        _move, row = self._booked(150000)
        payment = row.account_payment_ids.with_user(self.accountant)
        entry = payment.move_id
        payment.action_cancel()
        self.assertTrue(row.attention)
        self.assertEqual(entry.state, "cancel")
        self.assertFalse(
            self.env["account.move.line"].search_count(
                [("move_id", "=", entry.id), ("parent_state", "=", "posted")]
            )
        )
        payment.action_draft()
        payment.action_post()
        self.assertFalse(row.attention)
        self.assertBooked(row, 150000)

    def test_entry_reset_on_its_own_form_is_told_by_the_ledger(self):
        _move, row = self._booked(150000)
        entry = row.account_payment_ids.move_id.with_user(self.accountant)
        entry.button_draft()
        self.assertTrue(row.attention)
        entry.action_post()
        self.assertFalse(row.attention)
        self.assertBooked(row, 150000)

    # === Invoices === #

    def test_invoice_shows_its_number_to_whoever_may_open_it(self):
        move = self._registered_invoice()
        seller = self._user("billpay_seller")
        self.env["ir.model.access"].sudo().create(
            {
                "name": "invoices for sellers",
                "model_id": self.env.ref("account.model_account_move").id,
                "group_id": self.env.ref("base.group_user").id,
                "perm_read": True,
            }
        )
        self.env.invalidate_all()
        seen = move.with_user(seller)
        with self.assertRaises(AccessError), mute_logger("odoo.models"):
            self.env["billpay.control.number"].with_user(seller).search([])
        names = [name for name in seen.fields_get() if name.startswith("billpay_")]
        self.assertIn("billpay_number_state", names)
        [values] = seen.read(names)
        number = move.billpay_number_id
        self.assertEqual(values["billpay_number"], number.display_number)
        self.assertEqual(values["billpay_number_digits"], number.name)
        self.assertEqual(values["billpay_number_state"], "open")
        self.assertEqual(values["billpay_number_count"], 1)
        self.assertEqual(values["billpay_payment_count"], 0)
        self.assertFalse(values["billpay_can_issue"])
        found = seen.search([("billpay_number", "ilike", number.display_number)])
        self.assertEqual(found, seen)

    # === Buttons === #

    def test_address_of_a_pay_page_is_for_whoever_may_see_the_bill(self):
        move = self._registered_invoice()
        portal = new_test_user(self.env, "billpay_portal", groups="base.group_portal")
        staff = self._user("billpay_staff")
        elsewhere = self.env["res.company"].create({"name": "Duka jingine"})
        stranger = new_test_user(
            self.env,
            "billpay_stranger",
            groups="account.group_account_invoice",
            company_id=elsewhere.id,
            company_ids=[Command.set(elsewhere.ids)],
        )
        for user in (portal, staff, stranger):
            for record, action in (
                (move, "action_billpay_pay_page"),
                (move.billpay_number_id, "action_open_pay_page"),
            ):
                with self.subTest(user.login, action=action):
                    with self.assertRaises(AccessError), mute_logger("odoo.models"):
                        getattr(record.with_user(user), action)()
        url = self.env["billpay.pay.page"]._get_pay_url(move.billpay_number_id.sudo())
        for user in (self.clerk, self.auditor):
            opened = move.with_user(user).action_billpay_pay_page()
            self.assertEqual(opened["url"], url)

    def test_refused_number_is_tried_again_by_clerks_only(self):
        number = self._invoice().billpay_number_id
        number.sudo().write({"state": "failed", "sync_at": False})
        with self.assertRaises(AccessError):
            number.with_user(self.auditor).action_retry()
        number.with_user(self.clerk).action_retry()
        self.assertEqual(number.state, "pending")

    def test_numbers_are_made_and_checked_by_clerks_only(self):
        self.company.billpay_issue_on = "manual"
        move = self._invoice()
        for action in ("action_billpay_issue", "action_billpay_check"):
            with self.assertRaises(AccessError):
                getattr(move.with_user(self.auditor), action)()
        move.with_user(self.clerk).action_billpay_issue()
        self.assertEqual(len(move.billpay_number_ids), 1)
        with self._workers():
            action = move.with_user(self.clerk).action_billpay_check()
        self.assertEqual(action["tag"], "display_notification")


@tagged("post_install", "-at_install")
class TestWritten(BillPayCommon):
    """What a view makes read-only, a call could write."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.clerk = cls._user("billpay_w_clerk", "account.group_account_invoice")
        cls.accountant = cls._user(
            "billpay_w_accountant", "account.group_account_manager"
        )
        cls.other = cls.setup_other_company(name="Shule ya Pili")["company"]
        cls.stranger = cls._user(
            "billpay_w_stranger",
            "account.group_account_manager",
            company=cls.other,
        )

    def _models(self):
        """The models of this add-on that some group may write."""
        access = self.env["ir.model.access"].search(
            [
                ("model_id.model", "=like", "billpay.%"),
                "|",
                ("perm_write", "=", True),
                ("perm_create", "=", True),
            ]
        )
        return [self.env[name] for name in sorted(set(access.model_id.mapped("model")))]

    def test_every_model_that_people_write_checks_it(self):
        for model in self._models():
            with self.subTest(model._name):
                self.assertIsInstance(model, type(self.env["billpay.guarded"]))

    def test_every_wizard_belongs_to_whoever_opened_it(self):
        wizards = [model for model in self._models() if model.is_transient()]
        self.assertGreater(len(wizards), 10)
        for model in wizards:
            with self.subTest(model._name):
                domain = self.env["ir.rule"].with_user(self.clerk)
                domain = domain._compute_domain(model._name, "read")
                self.assertIn("create_uid", str(domain))

    # === Runs === #

    def _run(self, *moves):
        wizard = self.env["billpay.run.wizard"].with_user(self.clerk)
        wizard = wizard.with_context(allowed_company_ids=self.company.ids)
        wizard = wizard.create(
            {
                "source": "invoices",
                "move_ids": [Command.set([move.id for move in moves])],
            }
        )
        action = wizard.action_prepare()
        return self.env["billpay.run"].browse(action["res_id"])

    def test_runs_are_written_by_odoo_alone(self):
        registered = self._registered_invoice(5)
        self.company.billpay_issue_on = "manual"
        move = self._invoice(1000)
        run = self._run(move)
        stranger = self._invoice(2000)
        mine = run.with_user(self.clerk)
        for values in (
            {"state": "running"},
            {"state": "done", "name": "Mine"},
            {"printing": True},
            {"company_id": self.other.id},
            {"line_ids": [Command.create({"move_id": stranger.id})]},
            {"line_ids": [Command.update(run.line_ids.id, {"is_made": True})]},
            {"started_by_id": self.accountant.id},
        ):
            with self.subTest(values), self.assertRaises(AccessError):
                mine.write(values)
        for values in (
            {"is_made": True},
            {"state": "waiting"},
            {"move_id": stranger.id},
            {"number_id": registered.billpay_number_id.id},
        ):
            with self.subTest(values), self.assertRaises(AccessError):
                run.line_ids.with_user(self.clerk).write(values)
        for model, values in (
            ("billpay.run", {"name": "Forged", "state": "running"}),
            ("billpay.run.line", {"run_id": run.id, "move_id": stranger.id}),
        ):
            with self.subTest(model), self.assertRaises(AccessError):
                self.env[model].with_user(self.clerk).create(values)
        # What is a person's stays a person's.
        mine.write({"name": "Term 1", "state": "draft"})
        mine.action_start()
        self._run_cron("ir_cron_bulk_runs")
        self.assertEqual(run.state, "running")
        self.assertEqual(run.started_by_id, self.clerk)
        self.assertTrue(move.billpay_number_id)
        with self.assertRaises(UserError):
            mine.unlink()

    def test_run_does_what_its_user_may_do(self):
        self.company.billpay_issue_on = "manual"
        kept, hidden = self._invoice(1000), self._invoice(2000)
        run = self._run(kept, hidden)
        run.with_user(self.clerk).action_start()
        # What the clerk may see has changed since.
        self.env["ir.rule"].sudo().create(
            {
                "name": "not this one",
                "model_id": self.env.ref("account.model_account_move").id,
                "domain_force": [("id", "!=", hidden.id)],
            }
        )
        self._run_cron("ir_cron_bulk_runs")
        self.assertTrue(kept.billpay_number_id)
        self.assertFalse(hidden.billpay_number_id)
        line = run.line_ids.filtered(lambda item: item.move_id == hidden)
        self.assertEqual(line.state, "failed")
        self.assertIn(self.clerk.name, line.error)

    def test_wizard_takes_no_records_of_others(self):
        foreign = (
            self.env["account.move"]
            .with_company(self.other)
            .create(
                {
                    "move_type": "out_invoice",
                    "partner_id": self.partner.id,
                    "company_id": self.other.id,
                }
            )
        )
        wizards = self.env["billpay.run.wizard"].with_user(self.clerk)
        for values in (
            {"move_ids": [Command.link(foreign.id)]},
            {"move_ids": [Command.set(foreign.ids)]},
            {"company_id": self.other.id},
        ):
            with self.subTest(values), self.assertRaises(AccessError):
                wizards.create({"source": "invoices", **values})
        with self.assertRaises(AccessError):
            wizards.with_context(default_company_id=self.other.id).create({})

    # === Links === #

    def test_purpose_takes_no_application_of_another_company(self):
        foreign = self._make_application(self.other)
        manager = self.accountant
        purposes = self.env["billpay.purpose"].with_user(manager)
        values = {"name": "Ada", "company_id": self.company.id}
        with self.assertRaises(AccessError):
            purposes.create({**values, "provider_id": foreign.id})
        purpose = purposes.create({**values, "provider_id": self.provider.id})
        with self.assertRaises(AccessError):
            purpose.write({"provider_id": foreign.id})
        # Nor does somebody who works in both companies.
        with self.assertRaises(ValidationError):
            purpose.sudo().provider_id = foreign
        self.assertEqual(purpose.sudo().provider_id, self.provider)

    def test_carried_number_is_set_by_odoo_alone(self):
        move, other = self._invoice(1000), self._registered_invoice(2000)
        number = other.billpay_number_id
        for user in (self.clerk, self.accountant):
            for values in ({"billpay_carried_number_id": number.id},):
                with self.subTest(user.login), self.assertRaises(AccessError):
                    move.with_user(user).write(values)
                with self.subTest(user.login), self.assertRaises(AccessError):
                    move.with_user(user).copy(values)
        move.with_user(self.clerk).write({"billpay_carried_number_id": False})

    # === Wizards === #

    def test_wizards_of_others_are_hidden(self):
        row = (
            self.env["billpay.payment"]
            .sudo()
            .create(
                {
                    "provider_id": self.provider.id,
                    "reference": "LCP77",
                    "payer_name": "ASHA JUMA",
                    "amount": 5000,
                    "state": "unmatched",
                }
            )
        )
        reason = {"kind": "ignore", "why": "x", "payment_ids": [Command.set(row.ids)]}
        colleague = self._user("billpay_w_two", "account.group_account_invoice")
        for model, values in (
            ("billpay.payment.match", {"payment_id": row.id}),
            ("billpay.payment.reason", reason),
            ("billpay.payment.entry", {"payer_name": "JUMA", "amount": 5000}),
            ("billpay.payment.import", {}),
        ):
            wizard = self.env[model].with_user(self.clerk).create(values)
            for user in (colleague, self.stranger):
                with self.subTest(model, user=user.login):
                    theirs = wizard.with_user(user)
                    with self.assertRaises(AccessError):
                        theirs.read(["create_date"])
                    with self.assertRaises(AccessError):
                        theirs.write({})
                    self.assertFalse(theirs.search([]))
            wizard.read()

    def test_wizard_reads_with_the_rights_of_its_user(self):
        row = (
            self.env["billpay.payment"]
            .sudo()
            .create(
                {
                    "provider_id": self.provider.id,
                    "reference": "LCP78",
                    "payer_name": "ASHA JUMA",
                    "amount": 5000,
                    "state": "unmatched",
                }
            )
        )
        matches = self.env["billpay.payment.match"].with_user(self.stranger)
        with self.assertRaises(AccessError):
            matches.create({"payment_id": row.id})
        with self.assertRaises(AccessError):
            matches.with_context(default_payment_id=row.id).create({})
        with self.assertRaises(AccessError):
            matches.new({"payment_id": row.id}).payer_name  # noqa: B018

    # === Shared records === #

    def test_channels_of_all_companies_are_the_administrators(self):
        tracked = {"tracking_disable": False, "mail_notrack": False}
        channel = self.env.ref("billpay_odoo.channel_mpesa").with_context(**tracked)
        self.assertFalse(channel.company_id)
        for values in (
            {"company_number": "999999"},
            {"ussd_code": "*150*99#"},
            {"steps_en": "Send it to me"},
            {"active": False},
        ):
            with self.subTest(values), self.assertRaises(AccessError):
                channel.with_user(self.accountant).write(values)
        channels = self.env["billpay.channel"].with_user(self.accountant)
        with self.assertRaises(AccessError):
            channels.create({"name": "Ours", "code": "ours", "company_id": False})
        mine = channels
        mine = mine.create({"name": "Mine", "code": "mine"})
        self.assertEqual(mine.company_id, self.company)
        own = channel.with_user(self.accountant).copy({"company_id": self.company.id})
        self.env.flush_all()
        self.env.cr.precommit.run()
        own.company_number = "123456"
        admin = self._user("billpay_w_admin", "base.group_system")
        channel.with_user(admin).company_number = "654321"
        self.env.flush_all()
        self.env.cr.precommit.run()
        for record, was in ((own, "123456"), (channel, "654321")):
            values = record.sudo().message_ids.tracking_value_ids
            self.assertIn(was, values.mapped("new_value_char"))
