# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Each place that shows a number, in each state in which nobody can pay it."""

import random
import re
import runpy
from pathlib import Path

from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import SQL

from .common import BASE_URL, BillPayHttpCommon
from .test_billpay_purpose import PurposeCommon
from .test_billpay_run import RunCommon
from .test_payment_transaction import CheckoutSteps

# How a number that could be paid comes to be one that cannot: its states, and what
# its page says to payers.
STATES = {
    "off": "unavailable",
    "company": "unavailable",
    "address": "unavailable",
    "client": "unavailable",
    "namba": "unavailable",
    "unknown": "pending",
    "amount": "pending",
    "reactivation": "pending",
    "mode": "pending",
    "refused change": "unavailable",
    "closed": "closed",
}
OBSTACLES = {
    **{"client": "address", "namba": "address", "refused change": "changing"},
    **dict.fromkeys(("amount", "reactivation", "mode"), "changing"),
}


class UnpayableSteps:
    """Steps into each state, for the tests of add-ons too."""

    def _make_unpayable(self, number, state):
        number, provider = number.sudo(), number.sudo().provider_id
        if state == "off":
            provider.state = "disabled"
        elif state == "company":
            self.company.billpay_provider_id = False
            name = f"Other {number.name}"
            other = self.env["res.company"].create({"name": name})
            self.env.flush_all()
            # Past the checks of its journal, as a company that was merged by SQL.
            self.env.cr.execute(
                "UPDATE payment_provider SET company_id = %s WHERE id = %s",
                [other.id, provider.id],
            )
            self.env.invalidate_all()
        elif state == "address":
            provider.clickpesa_base_url = f"{BASE_URL}/other"
        elif state == "client":
            provider.clickpesa_client_id = "IDother"
        elif state == "namba":
            provider.clickpesa_billpay_namba = "3344"
        elif state == "unknown":
            number.write({"state": "pending", "confirmed_at": False})
        elif state == "amount":
            number.amount = 777000
        elif state == "reactivation":
            number.known_active = False
        elif state == "mode":
            mode = "flexible" if number.mode == "exact" else "exact"
            number.write({"amount": number.amount or 5000, "mode": mode})
            number.known_amount = number.amount
        elif state == "refused change":
            number.write({"amount": 777000, "sync_error": "Not allowed."})
        elif state == "closed":
            number._close()
        self.env.flush_all()
        self.env.invalidate_all()

    def _amount_at_sandbox(self, name):
        return self.sandbox.number(name)["amount"]

    def assertHidden(self, number, text):
        bare = re.sub(r"<[^>]*>|&\w+;|\s", "", text)
        self.assertNotIn(number.sudo().name, text)
        self.assertNotIn(number.sudo().name, bare)


@tagged("post_install", "-at_install")
class TestPayable(UnpayableSteps, CheckoutSteps, RunCommon):
    """The places that are read without a browser."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.provider.clickpesa_number_origin = "api"
        cls.env.ref("billpay_odoo.channel_mpesa").sudo().company_number = "554433"

    def _case(self, state):
        """An invoice and a customer's number that could be paid, and cannot now."""
        move = self._invoice(150000, partner=self.asha)
        run = self._prepared(
            source="contacts",
            partner_ids=[Command.set(self.asha.ids)],
            purpose_ids=[Command.set(self.tuition.ids)],
        )
        run.action_start()
        self._work()
        self._sync()
        keeps = self._keeps(self.asha, self.tuition)
        number = move.billpay_number_id.sudo()
        self.assertEqual(number._payable() | keeps._payable(), number | keeps)
        self.assertEqual(run._ready_lines().number_id, keeps)
        if state:
            self._make_unpayable(number, state)
            self._make_unpayable(keeps, state)
        return move, number, keeps, run

    def _places(self, move, number, keeps, run):
        """Return what each place shows: ``{place: (number, text)}``."""
        page = self.env["billpay.pay.page"]
        report = self.env["ir.actions.report"]
        with self._workers():
            pdf, _type = report._render_qweb_html(
                "account.account_invoices", move.ids, data={"report_type": "pdf"}
            )
            document = page._document_for(move, "en_US")
        mail = document and page._render_mail_block(document)
        statement, _type = report._render_qweb_html(
            "billpay_odoo.report_billpay_statement", keeps.ids
        )
        wizard = keeps._cards_action(keeps, self.env["res.partner"])
        wizard = self.env["billpay.card.print"].browse(wizard["res_id"])
        cards, _type = report._render_qweb_html(
            "billpay_odoo.report_billpay_cards", wizard.ids
        )
        try:
            ready = run._ready_lines()
            sms = "".join(line._sms_text() for line in ready)
        except UserError:
            sms = ""
        blocks = {}
        for name, one in (("invoice's page", number), ("customer's page", keeps)):
            values = page._pay_page_values(one, "en")
            values["language_urls"] = {"en": "", "sw": ""}
            html = self.env["ir.qweb"]._render(
                "billpay_odoo.pay_block", {"billpay": {**values, "watch_url": ""}}
            )
            blocks[name] = (one, str(html))
        return {
            "form": (number, move.billpay_number_digits or ""),
            "PDF": (number, pdf.decode()),
            "mail": (number, str(mail or "")),
            "customer's mail": (keeps, str(keeps._billpay_mail_block())),
            "SMS list": (keeps, sms),
            "card": (keeps, cards.decode()),
            "statement": (keeps, statement.decode()),
            **blocks,
        }

    def _check(self, state):
        case = move, number, keeps, run = self._case(state)
        obstacle = OBSTACLES.get(state, state)
        for place, (one, text) in self._places(*case).items():
            with self.subTest(place, state=state):
                if "page" in place and state == "closed":
                    # Struck out: nothing to pay with.
                    self.assertIn("<s>", text)
                else:
                    self.assertHidden(one, text)
                for word in ('alt="QR"', "o_billpay_qr", "o_billpay_tab", "tel:*"):
                    self.assertNotIn(word, text)
        page = self.env["billpay.pay.page"]
        for one in (number, keeps):
            with self.subTest("what is said", state=state, kind=one.kind):
                self.assertEqual(one._obstacle(), obstacle)
                self.assertFalse(one.payable)
                self.assertEqual(one.payable_problem, one._problem_text())
                self.assertNotIn(one, one.search([("payable", "=", True)]))
                self.assertIn(one, one.search([("payable", "=", False)]))
                self.assertEqual(page._get_page_state(one), STATES[state])
                watched = page._page_watch(one.name, page._pay_signature(one))
                self.assertEqual(watched["state"], STATES[state])
                values = page._pay_page_values(one, "sw")
                self.assertEqual((values["channels"], values["qr"]), ([], ""))
        if state != "closed":
            self.assertEqual(move.billpay_number_problem, number._problem_text(move))
            # The button is where the text is.
            self.assertNotIn("Make New Numbers", move.billpay_number_problem)
            lost = "Make New Numbers" in number.payable_problem
            self.assertEqual(number.lost, lost)
            self.assertEqual("Get Control Number" in move.billpay_number_problem, lost)
            self.assertRegex(
                number.payable_problem, "switch|Make New Numbers|automatically"
            )
        return case

    def test_what_can_be_paid_is_shown_everywhere(self):
        case = _move, number, keeps, _run = self._case(None)
        for place, (one, text) in self._places(*case).items():
            with self.subTest(place):
                shown = text.replace("</span><span>", " ").replace("\u00a0", " ")
                digits = one.name in text or one.display_number in shown
                self.assertTrue(digits, text)
        page = self.env["billpay.pay.page"]
        for one in (number, keeps):
            self.assertTrue(one.payable)
            self.assertFalse(one.payable_problem)
            self.assertIn(one, one.search([("payable", "=", True)]))
            self.assertNotIn(one, one.search([("payable", "=", False)]))
            watched = page._page_watch(one.name, page._pay_signature(one))
            self.assertEqual(watched["state"], "open")

    def test_application_off(self):
        move, number, keeps, run = self._check("off")
        wizard = self.env["account.move.send.wizard"].create({"move_id": move.id})
        said = wizard.alerts["billpay_lost"]["message"]
        self.assertEqual(said, number._problem_text(move))
        self.assertNotIn("billpay_mail", wizard.alerts)
        # Switched on again, the same digits are back.
        number.provider_id.state = "test"
        self.env.invalidate_all()
        self.assertEqual(move.billpay_number_digits, number.name)
        self.assertEqual(keeps._payable(), keeps)
        self.assertTrue(run._ready_lines())

    def test_application_of_another_company(self):
        self._check("company")

    def test_other_address(self):
        _move, number, keeps, _run = self._check("address")
        # A mistake that is corrected costs nothing.
        number.provider_id.clickpesa_base_url = f" {BASE_URL}/ "
        self.assertEqual((number | keeps)._payable(), number | keeps)

    def test_other_client(self):
        self._check("client")

    def test_other_namba(self):
        self._check("namba")

    def test_never_confirmed(self):
        self._check("unknown")

    def test_amount_unsent(self):
        _move, number, keeps, run = self._check("amount")
        line = run.line_ids
        for outcome, found in (("coming", line), ("done", line.browse())):
            domain = [("run_id", "=", run.id), ("outcome", "in", [outcome])]
            self.assertEqual(line.search(domain), found)
        self.assertEqual(line.outcome, "coming")
        self.assertEqual((run.coming_count, run.done_count), (1, 0))
        self._sync()
        self.assertEqual(line.outcome, "done")
        self.assertEqual((run.coming_count, run.done_count), (0, 1))
        self.assertEqual((number | keeps)._payable(), number | keeps)
        self.assertEqual(self._amount_at_sandbox(keeps.name), 777000)

    def test_reactivation_unsent(self):
        self._check("reactivation")

    def test_mode_unsent(self):
        self._check("mode")

    def test_change_refused(self):
        self._check("refused change")

    def test_closed(self):
        self._check("closed")

    def test_invoice_cancelled(self):
        """Also where its number was not closed with it."""
        for act in ("button_draft", "button_cancel"):
            with self.subTest(act):
                move = self._registered_invoice()
                number = move.billpay_number_id.sudo()
                move.button_draft()
                if act == "button_cancel":
                    move.button_cancel()
                self._make_known(number)
                self.assertEqual(number._obstacle(), "cancelled")
                self.assertNotIn(number, number.search([("payable", "=", True)]))
                self.assertFalse(move.billpay_number_digits)

    def test_offline_numbers_lead_by_the_namba_alone(self):
        self.provider.clickpesa_number_origin = "offline"
        number = self._invoice().billpay_number_id.sudo()
        for values, obstacle in (
            ({"clickpesa_base_url": f"{BASE_URL}/other"}, ""),
            ({"clickpesa_client_id": "IDother"}, ""),
            ({"clickpesa_billpay_namba": "3344"}, "address"),
            ({"clickpesa_billpay_namba": "1122"}, ""),
            ({"state": "disabled"}, "off"),
            ({"state": "enabled"}, ""),
        ):
            with self.subTest(values):
                self.provider.write(values)
                self.assertEqual(number._obstacle(), obstacle)
                found = number.search([("payable", "=", True)])
                self.assertEqual(number in found, not obstacle)

    def test_archived_companies(self):
        """Whoever archives a company leaves its open bills payable."""
        parent = self.company
        branch = self.env["res.company"].create(
            {"name": "Tawi", "parent_id": parent.id, "currency_id": self.tzs.id}
        )
        number = self._registered_invoice().billpay_number_id.sudo()
        for archived, of in (
            (branch, branch),
            (parent, branch),
            (parent, parent),
            (parent | branch, branch),
        ):
            with self.subTest(archived=archived.mapped("name"), of=of.name):
                (parent | branch).flush_recordset()
                self._set("res_company", parent | branch, active=True)
                self._set("res_company", archived, active=False)
                self._set("billpay_control_number", number, company_id=of.id)
                self.assertEqual(number._obstacle(), "")
                self.assertIn(number, number.search([("payable", "=", True)]))

    def test_a_customer_of_an_archived_company_owes_the_same(self):
        self.provider.clickpesa_number_origin = "offline"
        keeps = self._keeps(self.asha, self.tuition)
        self._invoice(70000, partner=self.asha, billpay_purpose_id=self.tuition.id)
        self.assertEqual((keeps.amount_due, keeps.balance), (70000, 70000))
        self._set("res_company", self.company, active=False)
        self.assertEqual((keeps.amount_due, keeps.balance), (70000, 70000))

    def _set(self, table, records, **values):
        self.env.flush_all()
        for name, value in values.items():
            self.env.cr.execute(
                SQL(
                    "UPDATE %s SET %s = %s WHERE id = ANY(%s)",
                    SQL.identifier(table),
                    SQL.identifier(name),
                    value,
                    records.ids,
                )
            )
        self.env.invalidate_all()

    def test_the_rule_and_its_search_agree(self):
        """Whatever stands in a row: also what an upgrade or another add-on left."""
        dice = random.Random(15)
        place, now = self.provider.billpay_place, self.env.cr.now()
        choices = {
            "state": ["open"] * 9 + ["pending", "paid", "closed", "failed"],
            "origin": ["api", "api", "offline", "imported"],
            "confirmed_at": [now] * 6 + [None],
            "known_at": [place, place, place, None, "", "elsewhere"],
            "wanted_active": [True] * 5 + [False, None],
            "known_active": [True] * 5 + [False, None],
            "amount": [0, None, 5000],
            "known_amount": [0, None, 5000],
            "mode": ["exact", "flexible"],
            "known_mode": ["exact", "flexible", "flexible", None, ""],
            "max_amount": [0, 0, None, 9000],
            "known_max_amount": [0, None, 9000],
            "name_begins": ["1122", "1122", "3344"],
        }
        numbers = self.env["billpay.control.number"].sudo()
        numbers = numbers.create(
            [
                {
                    "name": f"1122{index:08}",
                    "provider_id": self.provider.id,
                    "currency_id": self.tzs.id,
                }
                for index in range(400)
            ]
        )
        for number in numbers:
            values = {name: dice.choice(of) for name, of in choices.items()}
            begins = values.pop("name_begins")
            values["name"] = begins + number.name[4:]
            if values["state"] == "failed":
                values["confirmed_at"] = None
            self._set("billpay_control_number", number, **values)
        found = numbers.search([("payable", "=", True), ("id", "in", numbers.ids)])
        for number in numbers:
            with self.subTest(number.read(list(choices)[:-1])):
                self.assertEqual(number in found, number.payable)
        self.assertGreater(len(found), 10)
        self.assertLess(len(found), 390)

    def test_checkout_page(self):
        for state in ("off", "address", "amount", "reactivation"):
            with self.subTest(state), self.env.cr.savepoint() as savepoint:
                tx = self._transaction()
                self.assertTrue(self._checkout(tx))
                number = self._number_of(tx)
                self.assertEqual(tx._billpay_page()["state"], "open")
                self._make_unpayable(number, state)
                if number.lost:
                    # No run makes what a customer makes.
                    payable = self.env["billpay.payable"]
                    self.assertFalse(payable._is_replaced_by_run(number))
                    self.assertIn("pays again", number.payable_problem)
                shown = tx._billpay_page("en")
                self.assertEqual(shown["state"], STATES[state])
                self.assertEqual((shown["channels"], shown["qr"]), ([], ""))
                savepoint.rollback()
                self.env.invalidate_all()

    def test_upgrade_takes_the_present_place_for_what_was_confirmed(self):
        known = self._registered_invoice().billpay_number_id
        waiting = self._invoice().billpay_number_id
        self.env.flush_all()
        self.env.cr.execute("UPDATE billpay_control_number SET known_at = NULL")
        self.env.invalidate_all()
        self.assertEqual(known._obstacle(), "")
        path = "19.0.1.6.0/post-known_at.py"
        migration = Path(__file__).parents[1] / "migrations" / path
        runpy.run_path(str(migration))["migrate"](self.env.cr, "19.0.1.5.0")
        self.env.invalidate_all()
        self.assertEqual(known.known_at, self.provider.billpay_place)
        self.assertFalse(waiting.known_at)
        self.provider.clickpesa_client_id = "IDother"
        self.assertEqual(known._obstacle(), "address")

    def test_asking_of_many_costs_no_query_per_number(self):
        def cost(count):
            moves = self.env["account.move"].union(
                *(self._invoice(1000) for _each in range(count))
            )
            self._sync()
            self.env.flush_all()
            self.env.invalidate_all()
            numbers = moves.billpay_number_ids.sudo()
            numbers.mapped("name")
            before = self.env.cr.sql_log_count
            self.assertEqual(numbers._payable(), numbers)
            return self.env.cr.sql_log_count - before

        self.assertEqual(cost(3), cost(12))

    # === Sending === #

    def test_no_invoice_is_sent_with_a_number_that_cannot_be_paid(self):
        for state, retry in (("off", False), ("namba", False)):
            with self.subTest(state), self.env.cr.savepoint() as savepoint:
                move = self._registered_invoice()
                # Another application works, so a new number can be had.
                other = self._make_application(self.company, state="enabled")
                self.company.billpay_provider_id = other
                self._make_unpayable(move.billpay_number_id, state)
                with self._workers():
                    errors = move.env[
                        "account.move.send"
                    ]._billpay_confirm_before_sending(move)
                self.assertEqual(errors[move.id]["retry"], retry)
                self.assertIn("Make New Numbers", errors[move.id]["error_title"])
                savepoint.rollback()
                self.env.invalidate_all()

    def test_what_is_unsent_is_sent_first(self):
        move = self._registered_invoice()
        number = move.billpay_number_id.sudo()
        self._make_unpayable(number, "amount")
        with self._workers():
            sending = move.env["account.move.send"]
            errors = sending._billpay_confirm_before_sending(move)
        self.assertFalse(errors)
        self.assertEqual(self._amount_at_sandbox(number.name), 777000)

    def test_a_company_without_billpay_sends_its_invoices_without_a_number(self):
        move = self._registered_invoice()
        self.provider.state = "disabled"
        with self._workers():
            sending = move.env["account.move.send"]
            self.assertFalse(sending._billpay_confirm_before_sending(move))
            html, _format = self.env["ir.actions.report"]._render_qweb_html(
                "account.account_invoices", move.ids, data={"report_type": "pdf"}
            )
        self.assertHidden(move.billpay_number_id, html.decode())
        self.assertIn("cannot be paid by control number at the moment", html.decode())

    # === Cards === #

    def test_cards_say_what_they_leave_out(self):
        known = self._keeps(self.asha, self.tuition)
        self._sync()
        fresh = self._keeps(self.juma, self.tuition)
        wizard = self.env["billpay.card.print"].browse(
            (known | fresh).action_billpay_cards()["res_id"]
        )
        self.assertEqual((wizard.number_count, wizard.unpayable_ids), (1, fresh))
        self.assertIn("does not know", wizard.unpayable_problem)
        [[line]] = wizard._card_pages()
        alone = self.env["billpay.card.print"].browse(
            known.action_billpay_cards()["res_id"]
        )
        self.assertEqual((alone.number_count, alone.unpayable_problem), (1, False))
        self.assertEqual([card and card["number"] for card in line], [known.name, None])
        wizard = self.env["billpay.card.print"].browse(
            fresh.action_billpay_cards()["res_id"]
        )
        with self.assertRaisesRegex(UserError, "none of these numbers can be paid"):
            wizard.action_print()
        self._sync()
        self.env.invalidate_all()
        self.assertEqual(wizard.number_count, 1)


@tagged("post_install", "-at_install")
class TestLost(UnpayableSteps, RunCommon):
    """Applications that are switched off or changed, and new numbers for old ones."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.provider.clickpesa_number_origin = "api"

    def _replace(self, numbers):
        action = numbers.action_new_numbers()
        run = self.env["billpay.run"].search(action["domain"])
        self._work()
        self._sync()
        self._work()
        return run

    def test_the_form_says_what_a_change_takes_from_payers(self):
        self._registered_invoice()
        self._registered_invoice()
        for values, told in (
            ({"state": "disabled"}, True),
            ({"clickpesa_base_url": f"{BASE_URL}/other"}, True),
            ({"clickpesa_client_id": "IDother"}, True),
            ({"clickpesa_billpay_namba": "3344"}, True),
            ({"clickpesa_base_url": f"{BASE_URL}/"}, False),
            ({"state": "enabled"}, False),
        ):
            with self.subTest(values):
                # Each question of a form comes with a cache of its own.
                self.env.invalidate_all()
                warning = self.provider.onchange(
                    values, list(values), dict.fromkeys(values, {})
                ).get("warning")
                self.assertEqual(bool(warning), told, warning)
                if told:
                    message = warning["message"]
                    self.assertIn("2 control numbers", message)
                    self.assertIn("Make New Numbers", message)

    def test_without_open_numbers_nothing_is_said(self):
        answer = self.provider.onchange({"state": "disabled"}, ["state"], {"state": {}})
        self.assertFalse(answer.get("warning"))

    def test_the_application_notes_what_it_lost(self):
        self._registered_invoice()
        for values, count in (
            ({"state": "disabled"}, 1),
            ({"state": "test"}, 0),
            ({"clickpesa_client_id": "IDother"}, 1),
        ):
            with self.subTest(values):
                known = self.provider.message_ids
                self.provider.write(values)
                self.assertEqual(self.provider.billpay_lost_count, count)
                text = "".join((self.provider.message_ids - known).mapped("body"))
                self.assertEqual("1 open control numbers" in text, bool(count), text)
                self.provider.invalidate_recordset()

    def test_new_numbers_of_another_application(self):
        move = self._registered_invoice(partner=self.asha)
        own, keeps = move.billpay_number_id.sudo(), self._keeps(self.asha, self.tuition)
        keeps._want({"amount": 45000, "mode": "exact"})
        self._sync()
        self.provider.state = "disabled"
        other = self._make_application(self.company, clickpesa_client_id="IDsandbox")
        self.company.billpay_provider_id = other
        run = self._replace(own | keeps)
        self.assertEqual((run.state, run.done_count), ("done", 2))
        self.assertEqual((own | keeps).mapped("state"), ["closed", "closed"])
        new = move.billpay_number_id.sudo()
        self.assertRecordValues(
            new, [{"provider_id": other.id, "state": "open", "amount": 150000}]
        )
        self.assertEqual(new._payable(), new)
        kept = self._keeps(self.asha, self.tuition)
        self.assertRecordValues(
            kept, [{"provider_id": other.id, "amount": 45000, "mode": "exact"}]
        )
        self.assertNotEqual(kept, keeps)
        self.assertEqual(self._amount_at_sandbox(kept.name), 45000)
        with self.assertRaisesRegex(UserError, "None of these numbers needs"):
            (new | kept).action_new_numbers()

    def test_at_another_address_the_same_digits_are_registered_again(self):
        """From the sandbox to production: what is on paper stays right."""
        move = self._registered_invoice()
        number = move.billpay_number_id.sudo()
        digits = number.name
        self.provider.clickpesa_client_id = "IDproduction"
        self.sandbox.reset()
        self.sandbox.settings.update({"client_id": "IDproduction"})
        self.addCleanup(self.sandbox.settings.update, {"client_id": "IDsandbox"})
        self.assertTrue(move.billpay_can_issue)
        self.provider.action_billpay_new_numbers()
        self._work()
        self._sync()
        self.assertRecordValues(number, [{"name": digits, "state": "open"}])
        self.assertEqual(number._payable(), number)
        self.assertEqual(self._amount_at_sandbox(digits), 150000)
        self.assertEqual(move.sudo().billpay_number_ids, number)

    def _new_client(self):
        """The merchant's next application: another client ID, the same numbers."""
        self.provider.clickpesa_client_id = "IDnext"
        self.sandbox.settings.update({"client_id": "IDnext"})
        self.addCleanup(self.sandbox.settings.update, {"client_id": "IDsandbox"})

    def assertAsked(self, number, amount):
        self.assertEqual(number.state, "open", number.sync_error)
        self.assertEqual((number._obstacle(), number.sync_at), ("", False))
        [there] = [n for n in self.sandbox.numbers() if n["number"] == number.name]
        self.assertEqual((there["state"], there["amount"]), ("ACTIVE", amount))

    def test_what_takes_a_change_there_is_there(self):
        for values in (
            {"amount": 140000},
            {"description": "Ada ya muhula"},
            {"mode": "exact"},
        ):
            with self.subTest(values):
                number = self._registered_invoice().billpay_number_id.sudo()
                self._new_client()
                self.assertEqual(number._obstacle(), "address")
                number._want(values)
                self._sync()
                self.assertAsked(number, values.get("amount", 150000))
                self.provider.clickpesa_client_id = "IDsandbox"
                self.sandbox.settings.update({"client_id": "IDsandbox"})

    def test_what_is_opened_again_is_registered_at_the_present_place(self):
        for told, known in ((True, True), (False, True), (True, False), (False, False)):
            with self.subTest(told=told, known=known):
                move = self._registered_invoice()
                number = move.billpay_number_id.sudo()
                digits = number.name
                move.button_draft()
                if told:
                    self._sync()
                if not known:
                    self.sandbox.reset()
                self._new_client()
                move.action_post()
                for _round in range(3):
                    self._sync()
                self.assertEqual(move.billpay_number_id, number)
                self.assertEqual(number.name, digits)
                self.assertAsked(number, 150000)
                self.assertEqual(move.billpay_number_digits, digits)
                self.provider.clickpesa_client_id = "IDsandbox"
                self.sandbox.settings.update({"client_id": "IDsandbox"})

    def test_of_another_namba_new_digits_are_made(self):
        move = self._registered_invoice()
        number = move.billpay_number_id.sudo()
        self.provider.clickpesa_billpay_namba = "3344"
        self._replace(number)
        new = move.billpay_number_id.sudo()
        self.assertEqual(number.state, "closed")
        self.assertEqual(new.name[:4], "3344")
        self.assertEqual(new._payable(), new)

    def test_without_an_application_the_next_click_is_said(self):
        number = self._registered_invoice().billpay_number_id
        self.provider.state = "disabled"
        with self.assertRaisesRegex(UserError, "no active ClickPesa application"):
            number.action_new_numbers()
        self.assertEqual(number.state, "open")

    def test_get_control_number_replaces_a_lost_one(self):
        move = self._registered_invoice()
        number = move.billpay_number_id.sudo()
        self.provider.state = "disabled"
        other = self._make_application(self.company)
        self.company.billpay_provider_id = other
        self.env.invalidate_all()
        self.assertTrue(move.billpay_can_issue)
        move.action_billpay_issue()
        self.assertEqual(number.state, "closed")
        self.assertEqual(move.billpay_number_id.sudo().provider_id, other)

    def test_a_refused_number_that_is_lost_is_replaced(self):
        """Of an application that is off, nobody can register it after all."""
        for how in ("off", "company"):
            with self.subTest(how):
                self.company.billpay_provider_id = self._make_application(self.company)
                move, kept = self._invoice(), self._keeps(self.asha, self.tuition)
                number = move.billpay_number_id.sudo()
                refused = number | kept
                refused.write({"state": "failed", "sync_at": False, "sync_error": "No"})
                self.assertFalse(move.billpay_can_issue)
                self._make_unpayable(number, how)
                self.company.billpay_provider_id = self.provider
                self.env.invalidate_all()
                self.assertTrue(move.billpay_can_issue)
                move.action_billpay_issue()
                new = move.billpay_number_id.sudo()
                new |= self._keeps(self.asha, self.tuition)
                self.assertEqual(set(refused.mapped("state")), {"closed"})
                self.assertEqual(new.provider_id, self.provider)
                self._sync()
                self.assertEqual(new._payable(), new)
                new._close()


@tagged("post_install", "-at_install")
class TestMovedCompany(PurposeCommon):
    """A company that makes its numbers with another application now."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.provider.clickpesa_number_origin = "api"
        cls.tuition.invoice_number = "customer"

    def _carrying(self):
        return self._fee(self.asha, self.tuition, 50000)

    def _moved(self, **values):
        other = self._make_application(self.company)
        self.company.billpay_provider_id = other
        self.provider.write(values)
        self.env.flush_all()
        self.env.invalidate_all()
        return other

    def test_new_invoices_carry_a_number_of_the_new_application(self):
        for values, state in (
            ({"state": "disabled"}, "closed"),
            # Both work: what the customer has stays payable beside it.
            ({}, "open"),
            ({"clickpesa_client_id": "IDother"}, "closed"),
        ):
            with self.subTest(values), self.env.cr.savepoint() as savepoint:
                before = self._carrying()
                old = before.billpay_carried_number_id.sudo()
                self._sync()
                self.assertEqual(before.billpay_number_digits, old.name)
                other = self._moved(**values)
                after = self._carrying()
                new = after.billpay_carried_number_id.sudo()
                self.assertEqual(new.provider_id, other)
                self.assertEqual(old.state, state)
                self.assertEqual(
                    before.billpay_carried_number_id, old if state == "open" else new
                )
                self.assertEqual(self._keeps(self.asha, self.tuition), new)
                savepoint.rollback()
                self.env.invalidate_all()

    def test_a_purpose_with_an_application_of_its_own_keeps_it(self):
        self.tuition.provider_id = self.provider
        old = self._carrying().billpay_carried_number_id
        self._moved()
        self.assertEqual(self._carrying().billpay_carried_number_id, old)


@tagged("post_install", "-at_install")
class TestPayableRoutes(UnpayableSteps, PurposeCommon, BillPayHttpCommon):
    """What a browser gets: public pages, their state, and the portal."""

    def setUp(self):
        super().setUp()
        self.provider.clickpesa_number_origin = "api"
        self.move = self._registered_invoice(partner=self.parent)
        self.number = self.move.billpay_number_id.sudo()
        self.keeps = self._keeps(self.asha, self.tuition)
        self._sync()
        self.portal = (
            self.env["res.users"]
            .sudo()
            .with_context(no_reset_password=True)
            .create(
                {
                    "name": "Neema",
                    "login": "neema_portal",
                    "password": "neema_portal",
                    "partner_id": self.parent.id,
                    "group_ids": [Command.set(self.env.ref("base.group_portal").ids)],
                }
            )
        )
        self.move.message_subscribe(self.parent.ids)

    def _addresses(self):
        page = self.env["billpay.pay.page"]
        return {
            page._get_pay_path(self.number): self.number,
            page._get_pay_path(self.keeps): self.keeps,
            self.move.get_portal_url(): self.number,
            "/my/invoices": self.number,
            "/my/billpay": self.keeps,
            f"/my/billpay/{self.keeps.id}": self.keeps,
        }

    def test_no_page_offers_what_nobody_can_pay(self):
        self.env.flush_all()
        self.authenticate("neema_portal", "neema_portal")
        for address, number in self._addresses().items():
            with self.subTest(address):
                text = self.url_open(address).text
                self.assertIn(number.display_number.split()[-1], text)
        for state, says in (
            ("amount", "pending"),
            ("reactivation", "pending"),
            ("off", "unavailable"),
        ):
            for number in (self.number, self.keeps):
                self._make_unpayable(number, state)
            for address, number in self._addresses().items():
                with self.subTest(address, state=state):
                    response = self.url_open(address)
                    self.assertEqual(response.status_code, 200)
                    # Its address has the digits: of all else nothing may.
                    path = self.env["billpay.pay.page"]._get_pay_path(number)
                    text = response.text.replace(path, "")
                    self.assertHidden(number, text)
                    for word in ("data-number", "o_billpay_tab", "tel:"):
                        self.assertNotIn(word, text)
                    if "o_billpay_body" in text:
                        self.assertIn(f'data-state="{says}"', text)
            answer = self.url_open(f"/my/billpay/{self.keeps.id}/statement")
            self.assertEqual(answer.headers["Content-Type"], "application/pdf")
            # Also the file that the customer keeps.
            self.assertHidden(self.keeps, answer.headers["Content-Disposition"])
            for number in (self.number, self.keeps):
                path = self.env["billpay.pay.page"]._get_pay_path(number)
                told = self.url_open(f"{path}/state").json()
                self.assertEqual(told["state"], says)
                self.assertFalse(told["final"])
