# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Who may do what: the ledger is written by the workers, not by people."""

from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, new_test_user, tagged
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

    def test_context_of_a_user_switches_nothing_off(self):
        """What the worker says of itself, nobody else can say."""
        names = ("billpay_posting", "billpay_confirming")
        ours = dict.fromkeys(names, True)
        for user in (self.clerk, self.accountant):
            with self.subTest(user.login):
                # An invoice that goes leaves its money to do.
                move, row = self._booked()
                mine = move.with_user(user).with_context(**ours)
                mine.button_draft()
                mine.button_cancel()
                row.invalidate_recordset()
                self.assertEqual(row.credit_open, 150000)
                self.assertTrue(row.attention)
                self.assertIn("open credit", row.reason)
                mine.button_draft()
                mine.action_post()
                self.assertEqual(move.amount_residual, 0)
                self.assertFalse(row.attention, row.reason)
                # An entry that goes, and comes back from its own form.
                payment = row.account_payment_ids.with_user(user)
                payment = payment.with_context(**ours)
                for leave in (payment.action_draft, payment.move_id.button_draft):
                    leave()
                    self.assertTrue(row.attention)
                    self.assertIn("not in the books", row.reason)
                    payment.move_id.action_post()
                    self.assertFalse(row.attention, row.reason)
                    self.assertIn(payment.state, ("in_process", "paid"))
                    self.assertBooked(row, 150000)
                    self.assertEqual(move.amount_residual, 0)

    def test_invoice_that_a_user_pays_asks_for_nothing_more(self):
        def register(move, paid, env):
            env["account.payment.register"].with_context(
                active_model="account.move", active_ids=move.ids
            ).create({"amount": paid})._create_payments()

        def reconcile(move, paid, env):
            payment = env["account.payment"].create(
                {
                    "payment_type": "inbound",
                    "partner_id": self.partner.id,
                    "amount": paid,
                    "currency_id": self.tzs.id,
                }
            )
            payment.action_post()
            items = move.with_env(env).line_ids | payment.move_id.line_ids
            items.filtered(
                lambda item: item.account_id.account_type == "asset_receivable"
            ).reconcile()

        for step in (register, reconcile):
            for paid, left in ((7000, 0), (2000, 5000)):
                for context in ({}, {"billpay_posting": True}):
                    with self.subTest(step.__name__, paid=paid, context=context):
                        move = self._registered_invoice(7000)
                        number = move.billpay_number_id
                        env = move.with_user(self.clerk).with_context(**context).env
                        step(move, paid, env)
                        self._sync()
                        self.assertEqual(move.amount_residual, left)
                        self.assertEqual(number.state, "open" if left else "closed")
                        if left:
                            self.assertEqual(number.amount, left)

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
            {"state": "reserved"},
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

    def _work(self):
        """The numbers of runs are made, told to ClickPesa, and the lines are done."""
        self._run_cron("ir_cron_bulk_runs")
        self._sync()
        self._run_cron("ir_cron_bulk_runs")

    def test_run_of_somebody_who_left_stops_no_other(self):
        self.company.billpay_issue_on = "manual"
        leave = {
            "company": {
                "company_ids": [Command.set(self.other.ids)],
                "company_id": self.other.id,
            },
            "groups": {"group_ids": [Command.set(self.env.ref("base.group_user").ids)]},
        }
        for how, values in leave.items():
            with self.subTest(how):
                leaver = self._user("leaver_" + how, "account.group_account_invoice")
                first, second = self._invoice(1000), self._invoice(2000)
                run, other = self._run(first), self._run(second)
                run.with_user(leaver).action_start()
                other.with_user(self.accountant).action_start()
                leaver.sudo().write(values)
                self._work()
                self.assertTrue(second.billpay_number_id)
                self.assertEqual(other.line_ids.outcome, "done")
                self.assertFalse(first.billpay_number_id)
                self.assertEqual(run.line_ids.state, "failed")
                self.assertIn(leaver.name, run.line_ids.error)
                # A colleague goes on with it.
                run.with_user(self.accountant).action_retry_failed()
                self.assertEqual(run.started_by_id, self.accountant)
                self._work()
                self.assertEqual(run.line_ids.outcome, "done")
                self.assertFalse(run.line_ids.error)
                self.assertEqual(first.billpay_number_id.amount, 1000)

    def test_run_goes_on_with_the_rights_of_whoever_resumes_it(self):
        self.company.billpay_issue_on = "manual"
        for retried in (False, True):
            with self.subTest(retried=retried):
                leaver = self._user(
                    "leaver_%s" % retried, "account.group_account_invoice"
                )
                move = self._invoice(1000)
                run = self._run(move)
                run.with_user(leaver).action_start()
                run.with_user(leaver).action_pause()
                leaver.sudo().group_ids = self.env.ref("base.group_user")
                mine = run.with_user(self.accountant)
                mine.action_resume()
                if retried:
                    mine.action_retry_failed()
                self.assertEqual(run.started_by_id, self.accountant)
                self._work()
                self.assertEqual(run.line_ids.outcome, "done", run.line_ids.error)
                self.assertEqual(move.billpay_number_id.amount, 1000)
        # Not for whoever may not run it.
        run = self._run(self._invoice(3000))
        run.with_user(self.clerk).action_start()
        run.with_user(self.clerk).action_pause()
        auditor = self._user("billpay_w_auditor", "account.group_account_readonly")
        for user in (auditor, self.stranger):
            with self.assertRaises(AccessError):
                run.with_user(user).action_resume()
        self.assertEqual((run.state, run.started_by_id), ("paused", self.clerk))

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
        # Nor does anybody take it off.
        move.sudo().billpay_carried_number_id = number
        move.with_user(self.clerk).write({"billpay_carried_number_id": number.id})
        with self.assertRaises(AccessError):
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

    def _onchange(self, user, model, values, names, shown):
        """What a form tells a user, as text; nothing when it is refused."""
        env = self.env(user=user.id, context={"allowed_company_ids": []})
        self.env.flush_all()
        self.env.invalidate_all()
        context = {"allowed_company_ids": user.sudo().company_ids.ids}
        try:
            with mute_logger("odoo.models"):
                answer = (
                    env[model].with_context(**context).onchange(values, names, shown)
                )
        except AccessError:
            return ""
        return str(answer["value"])

    def test_form_that_is_being_filled_in_reads_nothing_of_others(self):
        secret = self.env["res.partner"].create({"name": "Secret Pupil"})
        move = self._registered_invoice(5000, partner=secret)
        payment = self._pay(move.billpay_number_id.name, 6000)
        self._poll()
        self._process()
        row = self._ledger(payment)
        self.assertBooked(row, 6000)
        row.sudo().payer_name = "Secret Payer"
        purpose = self.env["billpay.purpose"].create(
            {"name": "Tuition", "company_id": self.company.id, "default_amount": 777}
        )
        number = purpose._reserve(secret)
        named = {"fields": {"display_name": {}}}
        match = {"payment_id": row.id, "uses_credit": True}
        cases = (
            ("match", match, [], {"partner_id": named, "receipt": {}}),
            ("match", match, ["payment_id"], {"partner_id": named}),
            ("match", match, [], {"payer_name": {}, "number": {}, "reason": {}}),
            ("line", {"move_id": move.id}, ["move_id"], {"partner_id": named}),
            ("line", {"move_id": move.id}, ["move_id"], {"date_due": {}}),
            ("line", {"move_id": move.id}, ["move_id"], {"due": {}}),
            (
                "change",
                {"number_ids": [Command.set(number.ids)]},
                ["number_ids"],
                {"amount": {}, "mode": {}},
            ),
        )
        models = {
            "match": "billpay.payment.match",
            "line": "billpay.payment.match.line",
            "change": "billpay.number.change",
        }
        due = str(move.invoice_date_due)
        secrets = (secret.name, "Secret Payer", "777", row.receipt, number.name, due)
        told = ""
        for kind, values, names, shown in cases:
            shown = {**dict.fromkeys(values, {}), **shown}
            with self.subTest(kind, shown=list(shown)):
                answer = self._onchange(
                    self.stranger, models[kind], values, names, shown
                )
                for known in secrets:
                    self.assertNotIn(known, answer)
                self.assertNotIn("'due': 5000", answer)
                told += self._onchange(
                    self.accountant, models[kind], values, names, shown
                )
        # Who may see it is told: the test can fail.
        for known in (secret.name, "777"):
            self.assertIn(known, told)

    # === Purposes === #

    def test_manager_without_accounting_keeps_purposes(self):
        """Links to what a manager may not read stay, and stay out of sight."""
        manager = self._user("billpay_w_manager", "billpay_odoo.group_billpay_manager")
        plan = self.env["account.analytic.plan"].create({"name": "Departments"})
        department = self.env["account.analytic.account"].create(
            {"name": "School", "plan_id": plan.id}
        )
        journal, other = self.env["account.journal"].create(
            [
                {
                    "name": f"Fees {code}",
                    "code": code,
                    "type": "sale",
                    "company_id": self.company.id,
                }
                for code in ("FEE1", "FEE2")
            ]
        )
        purpose = self.env["billpay.purpose"].create(
            {
                "name": "Tuition",
                "company_id": self.company.id,
                "department_id": department.id,
                "journal_ids": [Command.set(journal.ids)],
                "provider_id": self.provider.id,
            }
        )
        mine = purpose.with_user(manager)
        mine = mine.with_context(allowed_company_ids=self.company.ids)
        with self.assertRaises(AccessError):
            journal.with_user(manager).check_access("read")
        for values in (
            {"name": "Ada"},
            {"name": "Ada ya shule", "provider_id": self.provider.id},
            {"department_id": department.id},
        ):
            with self.subTest(values):
                mine.web_save(values, {"name": {}})
                self.assertEqual(purpose.journal_ids, journal)
                self.assertEqual(purpose.department_id, department)
                self.assertEqual(purpose.provider_id, self.provider)
        self.assertEqual(purpose.name, "Ada ya shule")
        copied = mine.copy({"name": "Ada nyingine"}).sudo()
        self.assertEqual(copied.journal_ids, journal)
        self.assertEqual(copied.department_id, department)
        self.assertEqual(copied.provider_id, self.provider)
        self.assertEqual(copied.company_id, self.company)
        # New links need the right to read what is linked.
        for values in (
            {"journal_ids": [Command.link(other.id)]},
            {"journal_ids": [Command.set((journal | other).ids)]},
        ):
            with self.subTest(values):
                with self.assertRaises(AccessError):
                    mine.write(values)
                with self.assertRaises(AccessError):
                    mine.copy(values)
                self.assertEqual(purpose.journal_ids, journal)
        # Whoever reads journals changes them.
        theirs = purpose.with_user(self.accountant)
        for commands, linked in (
            ([Command.link(journal.id)], journal),
            ([Command.set((journal | other).ids)], journal | other),
            ([Command.unlink(journal.id)], other),
            ([Command.clear()], journal.browse()),
        ):
            with self.subTest(commands):
                theirs.web_save({"journal_ids": commands}, {"name": {}})
                self.assertEqual(purpose.journal_ids, linked)
        # Nor does a copy reach what is behind the wall.
        with self.assertRaises(AccessError):
            purpose.with_user(self.stranger).copy()

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

    def test_new_channel_is_of_the_company_of_its_manager(self):
        manager = self._user("billpay_w_manager", "billpay_odoo.group_billpay_manager")
        admin = self._user("billpay_w_admin", "base.group_system")
        for user, company in (
            (manager, self.company),
            (self.accountant, self.company),
            (self.stranger, self.other),
            (admin, self.env["res.company"]),
        ):
            with self.subTest(user.login):
                form = Form(self._channels(user))
                form.name, form.code = "Own", "own%s" % user.id
                channel = form.save().sudo()
                self.assertEqual(channel.company_id, company)

    def test_manager_makes_an_own_channel_from_a_general_one(self):
        manager = self._user("billpay_w_manager", "billpay_odoo.group_billpay_manager")
        general = self.env.ref("billpay_odoo.channel_mpesa")
        for user, company in ((manager, self.company), (self.stranger, self.other)):
            for how in ("customise", "copy"):
                with self.subTest(user.login, how=how):
                    channel = self._channels(user).browse(general.id)
                    if how == "copy":
                        own = channel.copy({"code": "copied%s" % user.id})
                    else:
                        own = channel.browse(channel.action_customise()["res_id"])
                    self.assertNotEqual(own, general)
                    self.assertEqual(own.company_id, company)
                    own.company_number = "123456"
                    self.assertFalse(general.company_number)

    def test_channel_of_a_company_is_not_given_to_all(self):
        for user in (self.accountant, self.stranger):
            with self.subTest(user.login):
                channel = self._channels(user).create(
                    {"name": "Own", "code": "own%s" % user.id}
                )
                with self.assertRaises(AccessError):
                    channel.company_id = False
                self.assertEqual(channel.sudo().company_id, user.company_id)

    def _channels(self, user):
        channels = self.env["billpay.channel"].with_user(user)
        return channels.with_context(allowed_company_ids=user.company_ids.ids)
