# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What each person does in the user guide, in its order, with their own rights only."""

import base64
import io
from unittest.mock import patch

import openpyxl
from pypdf import PdfWriter

from odoo import Command
from odoo.exceptions import AccessError, RedirectWarning, UserError
from odoo.tests import tagged

from .test_billpay_purpose import PurposeCommon
from .walks import Person


@tagged("post_install", "-at_install")
class WalkCommon(PurposeCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.provider.clickpesa_number_origin = "api"
        cls.parent.email = "neema@example.com"

    def _person(self, login, *groups, **values):
        user = self._user("walk_" + login, *groups)
        user.sudo().write(values)
        return Person(self, user)

    def _told(self, number, amount, **values):
        """ClickPesa announces a payment, and the worker has its turn."""
        payment = self._pay(number.name, amount, **values)
        self._event(payment)
        self._process()
        return self._ledger(payment)

    def _work(self):
        """The workers have their turns: runs, ClickPesa, runs."""
        self._run_cron("ir_cron_bulk_runs")
        self._sync()
        self._run_cron("ir_cron_bulk_runs")

    def _there(self, number):
        """What ClickPesa has of a number."""
        [there] = [n for n in self.sandbox.numbers() if n["number"] == number.name]
        return there

    def assertCarries(self, html, number):
        for group in number.display_number.split():
            self.assertIn(group, html)

    def _mails(self, records):
        """What was sent about records to customers."""
        domain = [("model", "=", records._name), ("res_id", "in", records.ids)]
        return self.env["mail.mail"].sudo().search(domain)

    def _workbook(self, *rows):
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        buffer = io.BytesIO()
        book.save(buffer)
        return base64.b64encode(buffer.getvalue())

    def _new_invoice(self, person, amount, partner=None, **values):
        """A person fills in the form of a customer invoice."""
        model = person.env["account.move"].with_context(default_move_type="out_invoice")
        form = person.form(model)
        form.partner_id = person.here(partner or self.partner)
        for name, value in values.items():
            setattr(form, name, value)
        with form.invoice_line_ids.new() as line:
            line.name = "Ada ya shule"
            line.price_unit = amount
            line.tax_ids.clear()
        return person.save(form)


@tagged("post_install", "-at_install")
class TestClerk(WalkCommon):
    def setUp(self):
        super().setUp()
        self.clerk = self._person("clerk", "account.group_account_invoice")

    def test_an_invoice_and_its_number(self):
        clerk = self.clerk
        clerk.open_menu("account.menu_action_move_out_invoice_type")
        move = self._new_invoice(clerk, 150000)
        clerk.press(move, "action_post")
        number = move.sudo().billpay_number_id
        self.assertEqual((move.state, number.state), ("posted", "pending"))
        self._sync()
        self.assertEqual(move.billpay_number_state, "open")
        self.assertEqual(self._there(number)["amount"], 150000)
        page = clerk.press(move, "action_billpay_pay_page")
        self.assertIn(number.name, page["url"])
        window = clerk.press(move, "action_view_billpay_numbers")
        self.assertEqual(clerk.open(window), number)
        # What the phone accepts.
        form = clerk.form(move)
        form.billpay_mode = "exact"
        clerk.save(form)
        self._sync()
        self.assertEqual(self._there(number)["mode"], "EXACT")
        # Sent with the number.
        dialog = clerk.press(move, "action_invoice_sent")
        wizard = clerk.save(clerk.form(dialog))
        clerk.call(wizard, "action_send_and_print")
        [mail] = self._mails(move)
        self.assertIn(number.display_number.split()[1], mail.body_html)
        # A part is paid in cash: the number asks for the rest.
        dialog = clerk.press(move, "action_register_payment")
        form = clerk.form(dialog)
        form.amount = 50000
        clerk.call(clerk.save(form), "action_create_payments")
        self._sync()
        self.assertEqual((move.amount_residual, number.amount), (100000, 100000))
        self.assertEqual(self._there(number)["amount"], 100000)
        # The customer says "I paid".
        payment = self._pay(number.name, 100000)
        with self._workers():
            clerk.press(move, "action_billpay_check")
        row = self._ledger(payment)
        self.assertBooked(row, 100000)
        self.assertEqual((move.payment_state, number.state), ("paid", "paid"))
        window = clerk.press(move, "action_view_billpay_payments")
        self.assertEqual(clerk.open(window), row)
        # The number is Odoo's to change, and the keys are the administrator's.
        self.assertTrue(number.with_user(clerk.user).has_access("read"))
        clerk.assertRefused(clerk.call, number, "write", {"amount": 1})
        clerk.assertRefused(clerk.model_call, "payment.provider", "search_read", [])

    def test_the_list_of_invoices(self):
        clerk = self.clerk
        move = self._registered_invoice(70000)
        number = move.billpay_number_id
        other = self._registered_invoice(80000)
        moves = clerk.env["account.move"].with_context(default_move_type="out_invoice")
        for text in (number.name, number.display_number, number.name[-6:]):
            with self.subTest(text):
                found = clerk.call(moves, "search", [("billpay_number", "ilike", text)])
                self.assertEqual(found, move.ids)
        waiting = [("billpay_number_ids.state", "in", ("pending", "open"))]
        action = clerk.open("account.action_move_out_invoice", domain=waiting)
        self.assertEqual(action & (move | other), move | other)

    def test_draft_again_and_by_hand(self):
        clerk = self.clerk
        move = self._new_invoice(clerk, 60000)
        clerk.press(move, "action_post")
        self._sync()
        number = move.billpay_number_id
        clerk.press(move, "button_draft")
        self._sync()
        self.assertEqual(number.state, "closed")
        self.assertEqual(self._there(number)["status"], "INACTIVE")
        form = clerk.form(move)
        with form.invoice_line_ids.edit(0) as line:
            line.price_unit = 65000
        clerk.save(form)
        clerk.press(move, "action_post")
        self._sync()
        self.assertEqual((number.state, number.amount), ("open", 65000))
        self.assertEqual(self._there(number)["amount"], 65000)
        # ClickPesa is down, and an invoice must go out.
        other = self._new_invoice(clerk, 7000)
        clerk.press(other, "action_post")
        clerk.press(other, "button_draft")
        form = clerk.form(other)
        form.billpay_issue_on = "manual"
        clerk.save(form)
        clerk.press(other, "action_post")
        self.assertEqual(other.billpay_number_state, "closed")
        clerk.press(other, "action_billpay_issue")
        self._sync()
        self.assertEqual(other.billpay_number_state, "open")
        self.assertEqual(self._there(other.billpay_number_id)["amount"], 7000)
        clerk.press(move, "button_draft")
        clerk.press(move, "button_cancel")
        self._sync()
        self.assertEqual(number.state, "closed")
        # One that ClickPesa never heard of goes with its invoice.
        last = self._new_invoice(clerk, 8000)
        clerk.press(last, "action_post")
        unheard = last.sudo().billpay_number_id
        clerk.press(last, "button_draft")
        clerk.call(last, "unlink")
        self.assertFalse(unheard.exists())
        with self.assertRaises(UserError), self.env.cr.savepoint():
            clerk.call(move, "unlink")
        clerk.assertRefused(clerk.call, number, "unlink")

    def test_a_refused_number(self):
        clerk = self.clerk
        move = self._new_invoice(clerk, 60000)
        clerk.press(move, "action_post")
        number = move.billpay_number_id
        # ClickPesa can only refuse that.
        number.sudo().amount = -5
        self._sync()
        self.assertEqual((move.billpay_number_state, number.state), ("failed",) * 2)
        clerk.press(number, "action_retry")
        self._sync()
        self.assertEqual(number.state, "failed")
        number.sudo().amount = 60000
        refused = number.name
        clerk.press(move, "action_billpay_take_another_number")
        self._sync()
        self.assertNotEqual(number.name, refused)
        self.assertEqual(move.billpay_number_state, "open")
        self.assertEqual(self._there(number)["amount"], 60000)

    def test_customers_numbers(self):
        clerk = self.clerk
        clerk.open_menu("account.menu_account_customer")
        clerk.open_menu("billpay_odoo.menu_billpay_numbers")
        dialog = clerk.press(self.asha, "action_billpay_customer_numbers")
        form = clerk.form(dialog)
        form.purpose_ids.add(clerk.here(self.tuition))
        self.assertEqual((form.new_count, form.problem_count), (1, 0))
        window = clerk.call(clerk.save(form), "action_confirm")
        number = clerk.open(window)
        self.assertEqual((number.partner_id, number.state), (self.asha, "pending"))
        self._sync()
        # The term's invoice carries it, and money on it pays the invoice.
        move = self._new_invoice(
            clerk, 250000, self.asha, billpay_purpose_id=clerk.here(self.tuition)
        )
        clerk.press(move, "action_post")
        row = self._told(number, 300000)
        self.assertBooked(row, 300000)
        self.assertEqual((move.amount_residual, self._credit(row)), (0, 50000))
        for partner in (self.asha, self.parent):
            clerk.open(
                {
                    "res_model": "res.partner",
                    "res_id": partner.id,
                    "views": [(False, "form")],
                }
            )
        # Change, close, open again.
        form = clerk.form(clerk.press(number, "action_change"))
        form.amount, form.mode = 120000, "exact"
        clerk.call(clerk.save(form), "action_confirm")
        self._sync()
        self.assertEqual(self._there(number)["amount"], 120000)
        clerk.press(number, "action_close")
        self._sync()
        self.assertEqual(self._there(number)["status"], "INACTIVE")
        clerk.press(number, "action_reopen")
        self._sync()
        self.assertEqual(number.state, "open")
        # Statement and card.
        text = clerk.print(clerk.press(number, "action_print_statement"))
        self.assertIn("250,000", text)
        form = clerk.form(clerk.press(number, "action_billpay_cards"))
        for form.layout, form.lang in (("card", "sw"), ("sticker", "customer")):
            text = clerk.print(clerk.call(clerk.save(form), "action_print"))
            self.assertCarries(text, number)
        # The same from the Actions menu, of contacts and of numbers.
        action = clerk.choose(self.juma, "billpay_odoo.action_partner_billpay_numbers")
        form = clerk.form(action)
        form.purpose_ids.add(clerk.here(self.tuition))
        number |= clerk.open(clerk.call(clerk.save(form), "action_confirm"))
        self._sync()
        for records, name in (
            (self.asha | self.juma, "billpay_odoo.action_partner_billpay_cards"),
            (number, "billpay_odoo.action_number_billpay_cards"),
        ):
            with self.subTest(name):
                form = clerk.form(clerk.choose(records, name))
                self.assertEqual(form.number_count, 2)
                text = clerk.print(clerk.call(clerk.save(form), "action_print"))
                for one in number:
                    self.assertCarries(text, one)
        action = clerk.choose(self.juma, "billpay_odoo.action_billpay_run_partners")
        self.assertEqual(clerk.form(action).source, "contacts")
        # Purposes are the manager's.
        clerk.assertRefused(clerk.call, self.tuition, "write", {"default_amount": 5})

    def test_a_bulk_run_of_a_class_list(self):
        clerk = self.clerk
        clerk.open_menu("billpay_odoo.menu_billpay_runs")
        form = clerk.form("billpay.run.wizard")
        form.source = "sheet"
        template = clerk.call(clerk.save(form), "action_template")
        header = clerk.download_rows(template)[0]
        self.assertIn("Name", header)
        form = clerk.form("billpay.run.wizard")
        form.source = "sheet"
        form.file = self._workbook(
            ["Jina la mwanafunzi", "Darasa", "Mzazi", "Simu", "Kiasi"],
            ["Rehema Ally", "Form 1", "Halima Ally", "0713 000 111", 250000],
            ["Salum Ally", "Form 1", "Halima Ally", "0713 000 111", 250000],
            ["Bakari Said", "Form 2", "Said Bakari", "2.55712E+11", 100000],
            ["Rehema Ally", "Form 1", "Halima Ally", "0713 000 111", 250000],
        )
        form.purpose_ids.add(clerk.here(self.tuition))
        wizard = clerk.save(form)
        clerk.call(wizard, "action_preview")
        action = clerk.call(wizard, "action_prepare")
        run = clerk.open(action)
        self.assertEqual((run.waiting_count, run.problem_count), (2, 2))
        clerk.open(clerk.press(run, "action_view_problems"))
        clerk.press(run, "action_start")
        clerk.press(run, "action_pause")
        clerk.press(run, "action_resume")
        self._work()
        self.assertEqual((run.state, run.done_count), ("done", 2))
        pupils = run.line_ids.filtered("number_id").partner_id
        self.assertEqual(pupils.parent_id.mapped("name"), ["Halima Ally"])
        self.assertEqual(pupils.category_id.mapped("name"), ["Form 1"])
        numbers = clerk.open(clerk.press(run, "action_view_numbers"))
        self.assertEqual(numbers.mapped("amount"), [250000, 250000])
        clerk.open(clerk.press(run, "action_view_lines"))
        # What comes after.
        rows = clerk.download_rows(clerk.press(run, "action_download"))
        self.assertEqual(len(rows), 5)
        rows = clerk.download_rows(clerk.press(run, "action_sms_list"))
        self.assertEqual({row[0] for row in rows[1:]}, {"255713000111"})
        form = clerk.form(clerk.press(run, "action_cards"))
        text = clerk.print(clerk.call(clerk.save(form), "action_print"))
        for number in numbers:
            self.assertCarries(text, number)
        # The clerk of this school has no right to change contacts.
        pupils.parent_id.sudo().email = "halima@example.com"
        answer = clerk.press(run, "action_send_all")
        self.assertEqual(answer["tag"], "display_notification")
        mails = self.env["mail.mail"].sudo()
        sent = mails.search([("model", "=", "billpay.control.number")])
        self.assertEqual(len(sent), 2)
        # A mother pays.
        row = self._told(numbers[0], 250000)
        self.assertBooked(row, 250000)
        self.assertEqual(clerk.open(clerk.press(run, "action_view_payments")), row)
        # Lines are Odoo's.
        line = run.line_ids.filtered("number_id")[0]
        clerk.assertRefused(clerk.call, line, "write", {"number_id": False})

    def test_a_bulk_run_of_open_invoices(self):
        clerk = self.clerk
        self.company.billpay_issue_on = "manual"
        self.partner.email = False
        reached = self.env["res.partner"].create(
            {"name": "Rose", "email": "rose@example.com"}
        )
        moves = self._invoice(1000) | self._invoice(2000, partner=reached)
        clerk.open(
            {
                "res_model": "account.move",
                "views": [(False, "list")],
                "domain": [("id", "in", moves.ids)],
            }
        )
        action = clerk.choose(moves, "billpay_odoo.action_billpay_run_invoices")
        form = clerk.form(action)
        run = clerk.open(clerk.call(clerk.save(form), "action_prepare"))
        clerk.press(run, "action_start")
        self._work()
        self.assertEqual(run.state, "done")
        self.assertEqual(moves.mapped("billpay_number_id.state"), ["open", "open"])
        dialog = clerk.press(run, "action_send_all")
        form = clerk.form(dialog)
        self.assertEqual(form.others_count, 1)
        wizard = clerk.save(form)
        dialog = clerk.call(wizard, "action_send")
        wizard = clerk.save(clerk.form(dialog))
        clerk.call(wizard, "action_send_and_print")
        self.assertEqual(self._mails(moves).mapped("res_id"), moves[1].ids)
        clerk.press(run, "action_print_all")
        writer, page = PdfWriter(), io.BytesIO()
        writer.add_blank_page(200, 200)
        writer.write(page)
        reports = type(self.env["ir.actions.report"])
        rendered = patch.object(
            reports, "_render_qweb_pdf", lambda *_a, **_k: (page.getvalue(), "pdf")
        )
        with rendered:
            self._run_cron("ir_cron_bulk_runs")
        self.assertFalse(run.printing)
        [attachment] = clerk.here(run.sudo().message_ids.attachment_ids)
        with clerk._request():
            self.assertTrue(attachment.read(["datas"])[0]["datas"])

    def test_many_invoices_are_sent_together(self):
        clerk = self.clerk
        moves = self._registered_invoice(1000) | self._registered_invoice(
            2000, partner=self.parent
        )
        dialog = clerk.call(moves, "action_send_and_print")
        clerk.call(clerk.save(clerk.form(dialog)), "action_send_and_print")
        with self._workers():
            self.env.ref(
                "account.ir_cron_account_move_send"
            ).sudo().method_direct_trigger()
        mails = self._mails(moves)
        self.assertEqual(set(mails.mapped("res_id")), set(moves.ids))
        for mail in mails:
            number = self.env["account.move"].browse(mail.res_id).billpay_number_id
            self.assertCarries(mail.body_html, number)
        clerk.assertRefused(clerk.call, moves.billpay_number_ids, "write", {"sent": 0})

    def test_a_credit_note(self):
        clerk = self.clerk
        move = self._registered_invoice(50000)
        number = move.billpay_number_id
        row = self._told(number, 50000)
        dialog = clerk.press(move, "action_reverse")
        form = clerk.form(dialog)
        form.reason = "Left school"
        window = clerk.call(clerk.save(form), "reverse_moves")
        note = clerk.open(window)
        self.assertTrue(note.billpay_refund_by_hand)
        clerk.press(note, "action_post")
        dialog = clerk.press(note, "action_register_payment")
        clerk.call(clerk.save(clerk.form(dialog)), "action_create_payments")
        self.assertEqual(note.amount_residual, 0)
        self.assertBooked(row, 50000)
        # Another one takes a part off an invoice that is not paid.
        move = self._registered_invoice(50000)
        form = clerk.form(clerk.press(move, "action_reverse"))
        note = clerk.open(clerk.call(clerk.save(form), "reverse_moves"))
        form = clerk.form(note)
        with form.invoice_line_ids.edit(0) as line:
            line.price_unit = 20000
        clerk.save(form)
        clerk.press(note, "action_post")
        items = (move | note).line_ids
        clerk.call(
            items.filtered(lambda i: i.account_id.account_type == "asset_receivable"),
            "reconcile",
        )
        self._sync()
        self.assertEqual(move.amount_residual, 30000)
        self.assertEqual(self._there(move.billpay_number_id)["amount"], 30000)
        clerk.assertRefused(clerk.call, row, "write", {"status": "REVERSED"})

    def test_contacts_that_are_merged(self):
        clerk = self._person(
            "contacts", "account.group_account_invoice", "base.group_partner_manager"
        )
        double = self._pupil("Asha Mushi")
        numbers = self._keeps(self.asha, self.tuition)
        numbers |= self._keeps(double, self.tuition)
        self._sync()
        form = clerk.form(self.asha)
        form.phone = "0713 111 222"
        clerk.save(form)
        action = clerk.env.ref("base.action_partner_merge")
        action = action.sudo()._get_action_dict()
        action["context"] = {
            "active_model": "res.partner",
            "active_ids": (self.asha | double).ids,
        }
        form = clerk.form(action)
        form.dst_partner_id = clerk.here(self.asha)
        clerk.call(clerk.save(form), "action_merge")
        self.assertEqual(numbers.partner_id, self.asha)
        row = self._told(numbers[1], 5000)
        self.assertBooked(row, 5000)
        self.assertEqual(numbers.mapped("balance"), [-5000, -5000])
        clerk.assertRefused(clerk.call, numbers, "unlink")

    def test_a_branch_that_uses_the_application_of_its_parent(self):
        self.company.write({"child_ids": [Command.create({"name": "Mwanza"})]})
        branch = self.company.child_ids
        self.cr.precommit.run()  # the chart of accounts of the branch
        branch.billpay_provider_id = self.provider
        user = self._user(
            "walk_branch", "account.group_account_invoice", company=branch
        )
        clerk = Person(self, user)
        move = self._new_invoice(clerk, 40000)
        self.assertEqual(move.company_id, branch)
        clerk.press(move, "action_post")
        self._sync()
        number = move.sudo().billpay_number_id
        self.assertEqual(move.billpay_number_state, "open")
        clerk.open(clerk.press(move, "action_view_billpay_numbers"))
        self.assertIn(number, clerk.open_menu("billpay_odoo.menu_billpay_numbers"))
        payment = self._pay(number.name, 40000)
        with self._workers():
            clerk.press(move, "action_billpay_check")
        self.assertBooked(self._ledger(payment), 40000)
        self.assertEqual(move.amount_residual, 0)
        clerk.form(move)
        clerk.form(number)
        # A purpose of its own, with a number of the parent company's application.
        own = self._purpose("Mwanza", company_id=branch.id)
        form = clerk.form(clerk.press(self.asha, "action_billpay_customer_numbers"))
        self.assertEqual(form.purpose_ids.ids, own.ids)
        kept = clerk.open(clerk.call(clerk.save(form), "action_confirm"))
        self._sync()
        self.assertEqual((kept.state, kept.company_id), ("open", branch))
        clerk.print(clerk.press(kept, "action_print_statement"))
        clerk.open_menu("billpay_odoo.menu_billpay_payments")
        clerk.open_menu("billpay_odoo.menu_billpay_runs")
        # The ledger is the parent company's.
        clerk.assertRefused(clerk.call, self._ledger(payment), "read", ["amount"])


@tagged("post_install", "-at_install")
class TestAdministrator(WalkCommon):
    def test_setting_up(self):
        """An administrator who keeps the books sets up; see *Setting up*."""
        admin = self._person(
            "admin", "base.group_system", "account.group_account_manager"
        )
        admin.open_menu("billpay_odoo.menu_billpay_provider")
        form = admin.form(self.provider)
        form.clickpesa_checksum_key = "CHKnext"
        admin.save(form)
        self.sandbox.settings.update({"checksum_key": "CHKnext"})
        with self._workers():
            admin.press(self.provider, "action_billpay_test_connection")
            admin.press(self.provider, "action_billpay_poll")
        self.assertTrue(self.provider.billpay_connection_report)
        admin.open_menu("billpay_odoo.menu_billpay_channel")
        general = self.env.ref("billpay_odoo.channel_mpesa")
        form = admin.form(general)
        form.company_number = "554433"
        admin.save(form)
        form = admin.form("res.config.settings")
        form.billpay_default_mode = "exact"
        form.billpay_apply_credit = True
        admin.call(admin.save(form), "execute")
        self.assertEqual(self.company.billpay_default_mode, "exact")
        move = self._registered_invoice(9000)
        self.assertEqual(self._there(move.billpay_number_id)["mode"], "EXACT")
        # The ledger is Odoo's, for administrators as well.
        row = self._told(move.billpay_number_id, 9000)
        self.assertBooked(row, 9000)
        admin.assertRefused(admin.call, row, "write", {"amount": 1})


@tagged("post_install", "-at_install")
class TestAccountant(WalkCommon):
    def setUp(self):
        super().setUp()
        self.accountant = self._person("accountant", "account.group_account_manager")

    def _unmatched(self, number, amount, **values):
        row = self._confirmed(number, amount, **values)
        self._process()
        self.assertEqual(row.state, "unmatched", row.reason)
        return row

    def test_the_list_to_do(self):
        accountant = self.accountant
        move = self._registered_invoice(90000)
        other = self._registered_invoice(40000)
        digits = move.billpay_number_id.name
        swapped = digits[:-2] + digits[-1] + digits[-2]
        row = self._unmatched(swapped, 100000)
        strange = self._unmatched("998877", 5000)
        found = accountant.open_menu("billpay_odoo.menu_billpay_payments")
        self.assertLessEqual(row | strange, found)
        desk = accountant.model_call("billpay.payment", "retrieve_desk")
        self.assertEqual((desk["unmatched"], desk["todo"]), (2, 2))
        # Match: the likeliest first.
        form = accountant.form(accountant.press(row, "action_open_match"))
        with form.line_ids.edit(0) as line:
            self.assertEqual(line.move_id, move)
            line.use = True
        self.assertEqual(form.line_ids.edit(0).amount, 90000)
        self.assertEqual(form.rest, 10000)
        accountant.call(accountant.save(form), "action_match")
        self.assertBooked(row, 100000)
        self.assertEqual(row.matched_by_id, accountant.user)
        self.assertEqual((move.amount_residual, row.credit_open), (0, 10000))
        self.assertEqual(move.billpay_number_id.state, "closed")
        # The rest pays another invoice of this customer.
        form = accountant.form(accountant.press(row, "action_open_match"))
        self.assertEqual(form.line_ids.edit(0).move_id, other)
        with form.line_ids.edit(0) as line:
            line.use = True
        accountant.call(accountant.save(form), "action_match")
        self._sync()
        self.assertEqual((other.amount_residual, row.credit_open), (30000, 0))
        self.assertEqual(self._there(other.billpay_number_id)["amount"], 30000)
        # Not ours, and taken up again.
        form = accountant.form(accountant.press(strange, "action_open_put_aside"))
        form.why = "Of the other shop"
        accountant.call(accountant.save(form), "action_confirm")
        self.assertEqual(strange.state, "ignored")
        self.assertEqual(strange.ignored_by_id, accountant.user)
        accountant.press(strange, "action_take_up")
        self._process()
        self.assertEqual(strange.state, "unmatched")
        # Matched as credit of a customer.
        form = accountant.form(accountant.press(strange, "action_open_match"))
        form.partner_id = accountant.here(self.juma)
        accountant.call(accountant.save(form), "action_match")
        self.assertBooked(strange, 5000)
        self.assertEqual(strange.partner_id, self.juma.commercial_partner_id)
        # For the wrong invoice.
        form = accountant.form(accountant.press(row, "action_open_undo"))
        form.why = "Of somebody else"
        accountant.call(accountant.save(form), "action_confirm")
        self.assertEqual(row.state, "unmatched")
        self.assertEqual((move.amount_residual, other.amount_residual), (90000, 40000))
        self._sync()
        self.assertEqual(move.billpay_number_id.state, "open")
        # The ledger is written by its buttons only.
        accountant.assertRefused(accountant.call, row, "write", {"state": "confirmed"})
        accountant.assertRefused(accountant.call, row, "unlink")

    def test_what_could_not_be_posted(self):
        accountant = self.accountant
        move = self._registered_invoice(10000)
        row = self._confirmed(move.billpay_number_id, 10000)
        row._move_to("failed", "The journal was missing.")
        accountant.press(row, "action_process_now")
        self._process()
        self.assertBooked(row, 10000)
        self.assertEqual(move.amount_residual, 0)
        auditor = self._person("auditor", "account.group_account_readonly")
        self.assertFalse(auditor.sees_button(row, "action_open_undo"))
        auditor.assertRefused(auditor.call, row, "action_process_now")

    def test_warnings_and_colleagues(self):
        accountant = self.accountant
        move = self._registered_invoice(10000)
        row = self._told(move.billpay_number_id, 15000)
        self.assertTrue(row.attention)
        colleague = self._person("colleague", "account.group_account_invoice")
        action = accountant.env.ref("billpay_odoo.action_billpay_payment_assign")
        action = action.sudo()._get_action_dict()
        action["context"] = {
            **accountant._context(action),
            "active_model": row._name,
            "active_ids": row.ids,
        }
        form = accountant.form(action)
        form.activity_user_id = accountant.here(colleague.user)
        accountant.call(accountant.save(form), "action_schedule_activities")
        self.assertEqual(row.activity_ids.user_id, colleague.user)
        colleague.press(row, "action_mark_seen")
        self.assertFalse(row.attention)
        self.assertEqual(row.credit_open, 5000)
        # The entry of the payment: reset, confirmed again.
        window = accountant.press(row, "action_view_entries")
        payment = accountant.open(window)
        accountant.press(payment, "action_draft")
        self.assertTrue(row.attention)
        accountant.press(payment, "action_post")
        self.assertBooked(row, 15000)
        self.assertEqual(move.amount_residual, 0)
        # Its amount is nobody's to change.
        accountant.press(payment, "action_draft")
        with self.assertRaises(RedirectWarning):
            accountant.call(payment, "write", {"amount": 5})

    def test_payments_that_a_person_enters(self):
        accountant = self.accountant
        move = self._registered_invoice(20000)
        number = move.billpay_number_id
        self.assertTrue(accountant.sees_button(move, "action_billpay_check"))
        action = accountant.env.ref("billpay_odoo.action_billpay_payment_entry")
        action = action.sudo()._get_action_dict()
        action["context"] = {"default_billpay_move_id": move.id}
        form = accountant.form(action)
        self.assertEqual((form.number, form.amount), (number.display_number, 20000))
        form.receipt = "9XK4F7Q2"
        self.assertIn(move.name, form.bill)
        accountant.call(accountant.save(form), "action_enter")
        self._process()
        row = self.env["billpay.payment"].search([("receipt", "=", "9XK4F7Q2")])
        self.assertBooked(row, 20000)
        self.assertEqual(move.amount_residual, 0)
        # A spreadsheet.
        other = self._registered_invoice(30000)
        self._had_since(other.billpay_number_id.name, "2026-03-01 10:00:00")
        form = accountant.form("billpay.payment.import")
        accountant.download(accountant.call(accountant.save(form), "action_template"))
        form.file = self._workbook(
            ["Control number", "Amount", "Receipt", "Date"],
            [other.billpay_number_id.name, 30000, "8AA1BB2C", "25/03/2026 10:00"],
            ["", "", "8AA1BB2D", "25/03/2026 10:00"],
        )
        wizard = accountant.save(form)
        accountant.call(wizard, "action_preview")
        form = accountant.form(wizard)
        if "date_order" in form._view["fields"] and form.asks_order:
            form.date_order = "dmy"
        accountant.call(accountant.save(form), "action_check")
        form = accountant.form(wizard)
        self.assertEqual((form.new_count, form.unusable_count), (1, 1))
        wizard = accountant.save(form)
        accountant.call(wizard, "action_import")
        accountant.download_rows(accountant.call(wizard, "action_report"))
        self._process()
        shown = accountant.open(accountant.call(wizard, "action_view_payments"))
        self.assertBooked(shown, 30000)
        self.assertEqual(other.amount_residual, 0)
        # Who entered it stays.
        accountant.assertRefused(accountant.call, row, "write", {"provisional": False})

    def test_numbers_from_elsewhere(self):
        accountant = self.accountant
        self.company.billpay_issue_on = "manual"
        move = self._invoice(50000)
        self.asha.ref = "0007"
        accountant.open_menu("billpay_odoo.menu_billpay_number_import")
        form = accountant.form("billpay.number.import")
        accountant.download(accountant.call(accountant.save(form), "action_template"))
        form.file = self._workbook(
            ["Control number", "Kind", "Amount", "Invoice", "Customer", "Reference"],
            ["55667788", "order", 50000, move.name, "", ""],
            ["55667799", "customer", "", "", "Asha Mushi", "7"],
            ["", "order", 50000, "INV/1", "", ""],
        )
        wizard = accountant.save(form)
        accountant.call(wizard, "action_preview")
        form = accountant.form(wizard)
        if "date_order" in form._view["fields"] and form.asks_order:
            form.date_order = "dmy"
        accountant.call(accountant.save(form), "action_check")
        form = accountant.form(wizard)
        self.assertEqual((form.new_count, form.unusable_count), (2, 1))
        wizard = accountant.save(form)
        accountant.call(wizard, "action_import")
        numbers = accountant.open(accountant.call(wizard, "action_view_numbers"))
        self.assertEqual(set(numbers.mapped("name")), {"55667788", "55667799"})
        accountant.download_rows(accountant.call(wizard, "action_report"))
        row = self._confirmed("55667788", 50000)
        self._process()
        self.assertBooked(row, 50000)
        self.assertEqual(move.amount_residual, 0)
        accountant.assertRefused(accountant.call, numbers[0], "write", {"amount": 1})

    def test_health_purposes_and_channels(self):
        accountant = self.accountant
        self._registered_invoice(10000)
        applications = accountant.open_menu("billpay_odoo.menu_billpay_health")
        self.assertIn(self.provider, applications)
        for menu in ("purpose", "channel", "event", "quarantine", "runs", "numbers"):
            accountant.open_menu("billpay_odoo.menu_billpay_" + menu)
        purpose = accountant.create_by_form("billpay.purpose", name="Transport")
        self.assertEqual(purpose.company_id, self.company)
        accountant.assertRefused(
            accountant.call, self.provider, "write", {"journal_id": False}
        )
        with self.assertRaises(AccessError):
            self.provider.with_user(accountant.user).read(["clickpesa_api_key"])


@tagged("post_install", "-at_install")
class TestBursar(WalkCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        plan = cls.env["account.analytic.plan"].create({"name": "Departments"})
        cls.primary, cls.secondary = cls.env["account.analytic.account"].create(
            [{"name": name, "plan_id": plan.id} for name in ("Primary", "Secondary")]
        )
        cls.tuition.department_id = cls.primary
        cls.hostel.department_id = cls.secondary

    def test_a_term_of_one_department(self):
        for groups in (
            ("account.group_account_invoice",),
            ("account.group_account_manager", "analytic.group_analytic_accounting"),
        ):
            with self.subTest(groups[0]):
                self._term(
                    self._person(
                        groups[0].split("_")[-1],
                        *groups,
                        billpay_department_ids=[Command.set(self.primary.ids)],
                    )
                )

    def _term(self, bursar):
        pupil = self._pupil("Rehema " + bursar.user.login)
        self.assertFalse(bursar.user.billpay_all_departments)
        elsewhere = self._told(self._keeps_open(pupil, self.hostel), 7000)
        # A run of her own.
        form = bursar.form("billpay.run.wizard")
        form.source = "contacts"
        form.partner_ids.add(bursar.here(pupil))
        form.purpose_ids.add(bursar.here(self.tuition))
        form.amount = 100000
        run = bursar.open(bursar.call(bursar.save(form), "action_prepare"))
        self.assertEqual(run.department_id, self.primary)
        bursar.press(run, "action_start")
        self._work()
        number = bursar.open(bursar.press(run, "action_view_numbers"))
        self.assertEqual((number.state, number.department_id), ("open", self.primary))
        for action in ("action_cards", "action_sms_list", "action_download"):
            bursar.press(run, action)
        found = bursar.open_menu("billpay_odoo.menu_billpay_numbers")
        self.assertEqual(found.department_id, self.primary)
        # The term's invoices.
        first, second = (
            self._new_invoice(
                bursar, amount, pupil, billpay_purpose_id=bursar.here(self.tuition)
            )
            for amount in (60000, 80000)
        )
        bursar.call(first | second, "action_post")
        # Money comes, and is matched again by hand.
        row = self._told(number, 60000)
        self.assertBooked(row, 60000)
        self.assertEqual((first.amount_residual, second.amount_residual), (0, 80000))
        found = bursar.open_menu("billpay_odoo.menu_billpay_payments")
        self.assertIn(row, found)
        self.assertNotIn(elsewhere, found)
        desk = bursar.model_call("billpay.payment", "retrieve_desk")
        self.assertEqual(desk["unmatched"], 0)
        form = bursar.form(bursar.press(row, "action_open_undo"))
        form.why = "For the second one"
        bursar.call(bursar.save(form), "action_confirm")
        self.assertEqual((row.state, first.amount_residual), ("unmatched", 60000))
        form = bursar.form(bursar.press(row, "action_open_match"))
        lines = [line["move_id"] for line in form.line_ids._records]
        with form.line_ids.edit(lines.index(second.id)) as line:
            line.use = True
            line.amount = 50000
        bursar.call(bursar.save(form), "action_match")
        items = self._receivable(self._entry(row))
        self.assertEqual((row.state, sum(items.mapped("credit"))), ("posted", 60000))
        self.assertEqual((second.amount_residual, row.credit_open), (30000, 10000))
        form = bursar.form(bursar.press(row, "action_open_match"))
        lines = [line["move_id"] for line in form.line_ids._records]
        with form.line_ids.edit(lines.index(first.id)) as line:
            line.use = True
        bursar.call(bursar.save(form), "action_match")
        self.assertEqual((first.amount_residual, row.credit_open), (50000, 0))
        # Reports, and the pupil's form.
        text = bursar.print(bursar.press(number, "action_print_statement"))
        self.assertIn("60,000", text)
        bursar.open(
            {
                "res_model": "res.partner",
                "res_id": pupil.id,
                "views": [(False, "form")],
            }
        )
        bursar.press(number, "action_close")
        self._sync()
        self.assertEqual(self._there(number)["status"], "INACTIVE")
        # A receipt that she has seen.
        bursar.press(number, "action_reopen")
        self._sync()
        form = bursar.form("billpay.payment.entry")
        form.number, form.amount = number.name, 30000
        form.receipt = "9XK4%s" % bursar.user.id
        self.assertIn(pupil.name, form.bill)
        bursar.call(bursar.save(form), "action_enter")
        self._process()
        found = bursar.open_menu("billpay_odoo.menu_billpay_payments")
        entered = found.filtered(lambda p: p.receipt == "9XK4%s" % bursar.user.id)
        self.assertBooked(entered, 30000)
        # Behind the wall.
        hidden = elsewhere.control_number_id
        bursar.assertRefused(bursar.call, hidden, "action_close")
        bursar.assertRefused(bursar.call, elsewhere, "read", ["amount"])
        bursar.assertRefused(
            bursar.call, run, "write", {"department_id": self.secondary.id}
        )

    def _keeps_open(self, partner, purpose):
        number = self._keeps(partner, purpose)
        self._sync()
        return number


@tagged("post_install", "-at_install")
class TestStaff(WalkCommon):
    """BillPay's own groups, without any right of accounting."""

    def test_a_manager_without_accounting(self):
        manager = self._person("manager", "billpay_odoo.group_billpay_manager")
        move = self._registered_invoice(10000)
        row = self._told(move.billpay_number_id, 15000)
        number = self._keeps(self.asha, self.tuition)
        self.assertIn(row, manager.open_menu("billpay_odoo.menu_billpay_payments"))
        self.assertIn(number, manager.open_menu("billpay_odoo.menu_billpay_numbers"))
        for menu in ("runs", "health", "event", "quarantine"):
            manager.open_menu("billpay_odoo.menu_billpay_" + menu)
        # Purposes.
        manager.open_menu("billpay_odoo.menu_billpay_purpose")
        form = manager.form("billpay.purpose")
        form.name = "Transport"
        form.default_amount = 30000
        form.allocation_policy = "oldest"
        purpose = manager.save(form)
        self.assertEqual(purpose.company_id, self.company)
        form = manager.form(self.tuition)
        form.default_amount = 5000
        manager.save(form)
        self.assertEqual(self.tuition.default_amount, 5000)
        manager.open(manager.press(self.tuition, "action_view_numbers"))
        # Channels.
        manager.open_menu("billpay_odoo.menu_billpay_channel")
        general = self.env.ref("billpay_odoo.channel_mpesa")
        own = general.browse(manager.call(general, "copy"))
        form = manager.form(own)
        form.company_number = "123456"
        manager.save(form)
        self.assertEqual((own.company_id, own.company_number), (self.company, "123456"))
        shown = self.env["billpay.channel"]._for_company(self.company)
        self.assertIn(own, shown)
        self.assertNotIn(general, shown)
        # A delivery once more.
        event = row.event_ids[:1]
        self.assertTrue(event)
        event.sudo().state = "failed"
        manager.press(event, "action_replay")
        self._process()
        self.assertBooked(row, 15000)
        # What is of all companies, of accountants, and of administrators.
        for menu in ("account.menu_account_config", "account.account_account_menu"):
            self.assertFalse(manager.sees_menu(menu))
        manager.assertRefused(manager.call, general, "write", {"company_number": "1"})
        manager.assertRefused(manager.call, row, "action_open_undo")
        manager.assertRefused(manager.call, row, "action_mark_seen")
        manager.assertRefused(manager.call, self.provider, "write", {"name": "X"})
        self.assertFalse(manager.sees_button(row, "action_open_undo"))

    def test_a_user_without_accounting_looks(self):
        user = self._person("user", "billpay_odoo.group_billpay_user")
        move = self._registered_invoice(10000)
        row = self._told(move.billpay_number_id, 15000)
        number = self._keeps(self.asha, self.tuition)
        self._sync()
        self.assertIn(row, user.open_menu("billpay_odoo.menu_billpay_payments"))
        self.assertIn(number, user.open_menu("billpay_odoo.menu_billpay_numbers"))
        user.open_menu("billpay_odoo.menu_billpay_runs")
        self.assertFalse(user.sees_menu("billpay_odoo.menu_billpay_purpose"))
        page = user.press(number, "action_open_pay_page")
        self.assertIn(number.name, page["url"])
        text = user.print(user.press(number, "action_print_statement"))
        self.assertIn(self.asha.name, text)
        form = user.form(user.press(number, "action_billpay_cards"))
        text = user.print(user.call(user.save(form), "action_print"))
        self.assertCarries(text, number)
        user.open(
            {
                "res_model": "res.partner",
                "res_id": self.asha.id,
                "views": [(False, "form")],
            }
        )
        user.open(user.press(self.asha, "action_view_billpay_numbers"))
        form = user.form(
            user.choose(number, "billpay_odoo.action_number_billpay_cards")
        )
        self.assertEqual(form.number_count, 1)
        # Asks a colleague to look at it.
        colleague = self._person("asked", "account.group_account_invoice")
        action = user.env.ref("billpay_odoo.action_billpay_payment_assign")
        action = action.sudo()._get_action_dict()
        active = {"active_model": row._name, "active_ids": row.ids}
        action["context"] = {**user._context(action), **active}
        form = user.form(action)
        form.activity_user_id = user.here(colleague.user)
        user.call(user.save(form), "action_schedule_activities")
        self.assertEqual(row.activity_ids.user_id, colleague.user)
        user.call(row, "message_post", body="The mother has asked about it.")
        for record, button in (
            (row, "action_mark_seen"),
            (row, "action_open_undo"),
            (number, "action_close"),
        ):
            self.assertFalse(user.sees_button(record, button))
            user.assertRefused(user.call, record, button)
        self.assertTrue(row.attention)
