# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Bulk runs: what goes wrong stops only itself, and a run closes only its own."""

from unittest.mock import patch

from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .test_billpay_run import RunCommon


class RunTrouble(RunCommon):
    def _moves(self, *amounts):
        self.company.billpay_issue_on = "manual"
        return self.env["account.move"].union(*map(self._invoice, amounts))

    def _run_of(self, moves, work=True):
        run = self._prepared(source="invoices", move_ids=[Command.set(moves.ids)])
        run.action_start()
        if work:
            self._work()
        return run


@tagged("post_install", "-at_install")
class TestRunMemory(RunTrouble):
    """The limit of a server's process is no fault of the lines in hand."""

    def _interrupted(self, model, method, calls):
        """Let the memory end at these calls of a step."""
        original = getattr(self.env.registry[model], method)
        count = 0

        def step(*args, **kwargs):
            nonlocal count
            count += 1
            if count in calls:
                raise MemoryError
            return original(*args, **kwargs)

        return patch.object(self.env.registry[model], method, step)

    def _worker_ends(self):
        with (
            self.assertRaises(MemoryError),
            self._workers(),
            self.env.registry.cursor() as cr,
        ):
            self.env(cr=cr)["billpay.run"]._cron_bulk_runs()
        self.env.invalidate_all()

    def _sync_and_work(self):
        self._work()
        self._sync()
        self._work()

    def test_run_goes_on_with_the_next_worker(self):
        # In the first chunk, twice in it, in the second one.
        for calls in ((1,), (1, 2), (2,)):
            with self.subTest(calls=calls):
                run = self._run_of(self._moves(1000, 2000, 3000), work=False)
                with (
                    patch.object(type(run), "_chunk", 2),
                    self._interrupted("billpay.run.line", "_reserve_numbers", calls),
                ):
                    for _worker in calls:
                        self._worker_ends()
                        self.assertEqual(run.state, "running")
                        self.assertNotIn("failed", run.line_ids.mapped("state"))
                self._sync_and_work()
                self.assertEqual(run.state, "done")
                self.assertEqual(set(run.line_ids.mapped("state")), {"reserved"})
                self.assertEqual(len(run.line_ids.number_id), 3)

    def test_sending_goes_on_with_the_next_worker(self):
        run = self._run_of(self._moves(1000, 2000))
        self._sync_and_work()
        clerk = self._user("sends_in_parts", "account.group_account_invoice")
        run.with_user(clerk)._send_in_background(run._ready_lines())
        with self._interrupted("billpay.run", "_queue_sending", (1,)):
            self._worker_ends()
            self.assertTrue(run.sending)
            self.assertFalse(any(run.line_ids.move_id.mapped("sending_data")))
            self._work()
        self.assertFalse(run.sending)
        self.assertTrue(all(run.line_ids.move_id.mapped("sending_data")))


@tagged("post_install", "-at_install")
class TestRunPrinting(RunTrouble):
    def _render(self, bad=(), error=None):
        page = self._one_page()

        def render(_self, _report, res_ids=None, **_values):
            if set(res_ids) & set(bad):
                raise error or UserError("wkhtmltopdf failed")
            return page, "pdf"

        return patch.object(
            type(self.env["ir.actions.report"]), "_render_qweb_pdf", render
        )

    def _printed(self, run):
        domain = [("res_model", "=", "billpay.run"), ("res_id", "=", run.id)]
        return self.env["ir.attachment"].search(domain)

    def test_one_bad_invoice_stops_nothing(self):
        for error in (UserError("No layout"), ValueError("x"), KeyError("y")):
            with self.subTest(error=error):
                moves = self._moves(*range(1000, 1007))
                run, other = self._run_of(moves[:5]), self._run_of(moves[5:])
                run.action_print_all()
                other.action_print_all()
                bad = moves[2]
                with (
                    self._render(bad.ids, error),
                    mute_logger("odoo.addons.billpay_odoo"),
                ):
                    self._work()
                self.assertFalse(run.printing or other.printing)
                self.assertTrue(self._printed(run) and self._printed(other))
                line = run.line_ids.filtered(lambda item, bad=bad: item.move_id == bad)
                self.assertIn("not printed", line.reason)
                self.assertIn("not printed", line.error)
                if isinstance(error, UserError):
                    self.assertIn("No layout", line.reason)
                self.assertFalse((run.line_ids - line).filtered("error"))
                self.assertEqual(line.outcome, "done", "its number can be paid")
                self.assertIn("1 invoice(s)", run.message_ids[0].body)
                found = self.env["billpay.run.line"].search(
                    run.action_view_problems()["domain"]
                )
                self.assertEqual(found, line)
                # Printed again, the trouble is over.
                run.action_print_all()
                self.assertFalse(line.error)
                with self._render():
                    self._work()
                self.assertFalse(line.error)

    def test_nothing_can_be_rendered(self):
        run = self._run_of(self._moves(1000, 2000, 3000))
        run.action_print_all()
        with (
            self._render(run.line_ids.move_id.ids),
            mute_logger("odoo.addons.billpay_odoo"),
        ):
            self._work()
        self.assertFalse(run.printing)
        self.assertFalse(self._printed(run))
        self.assertEqual(len(run.line_ids.filtered("error")), 3)
        self.assertIn("3 invoice(s)", run.message_ids[0].body)

    def test_unexpected_trouble_of_a_run_stops_no_other(self):
        moves = self._moves(1000, 2000)
        broken, other = self._run_of(moves[0]), self._run_of(moves[1])
        broken.action_print_all()
        other.action_print_all()
        runs = type(broken)
        real = runs._finish_printing

        def finish(run, *values):
            if run == broken:
                raise ValueError("no disk")
            return real(run, *values)

        with (
            self._render(),
            patch.object(runs, "_finish_printing", finish),
            mute_logger("odoo.addons.billpay_odoo"),
        ):
            self._work()
        self.assertFalse(broken.printing)
        self.assertIn("stopped", broken.message_ids[0].body)
        self.assertTrue(self._printed(other))

    def test_stop_printing(self):
        run = self._run_of(self._moves(1000, 2000, 3000))
        run.action_print_all()
        with self._render(), patch.object(type(run), "_print_chunk_size", 1):
            with self._workers():
                run._print_chunk()
            self.assertTrue(run._printed_parts())
            run.action_stop()
            self.assertFalse(run.printing)
            self.assertFalse(run._printed_parts())
            self._work()
        self.assertFalse(self._printed(run))

    def test_stop_sending(self):
        moves = self._moves(1000, 2000, 3000)
        run = self._run_of(moves)
        self.env["account.move.send.batch.wizard"].with_context(
            active_model="account.move", active_ids=moves.ids
        ).create({}).action_send_and_print()
        self.assertEqual(run.sending_count, 3)
        run.action_stop()
        run.invalidate_recordset()
        self.assertEqual(run.sending_count, 0)
        self.assertFalse(any(moves.mapped("sending_data")))
        with self._workers():
            self.env.ref("account.ir_cron_account_move_send").method_direct_trigger()
        self.assertFalse(moves.message_ids.filtered("attachment_ids"))

    def test_stop_the_mails_of_customers(self):
        self._keeps(self.asha | self.juma, self.tuition)
        self.parent.email = "neema@example.com"
        self.env["billpay.control.number"].sudo().search([])._close()
        run = self._prepared(
            source="contacts",
            partner_ids=[Command.set((self.asha | self.juma).ids)],
            purpose_ids=[Command.set(self.tuition.ids)],
        )
        run.action_start()
        self._work()
        run.action_send_all()
        self.assertEqual(run.sending_count, 2)
        run.action_stop()
        run.invalidate_recordset()
        self.assertEqual(run.sending_count, 0)

    def _found(self):
        self.provider.write({"state": "test", "clickpesa_client_id": "IDsandbox"})

    def _off(self):
        self.provider.state = "disabled"

    def _moved(self):
        self.provider.clickpesa_client_id = "IDanother"

    def _unsent(self):
        numbers = self.env["billpay.control.number"].sudo().search([])
        numbers.write({"origin": "api", "known_active": False})

    def test_invoices_whose_numbers_are_lost_meanwhile_are_not_printed(self):
        for lose in (self._off, self._moved, self._unsent):
            with self.subTest(lose.__name__):
                self._found()
                run = self._run_of(self._moves(1000, 2000, 3000))
                numbers = run.line_ids.number_id.sudo()
                numbers.write({"origin": "imported"})
                run.action_print_all()
                rendered = []

                def render(_self, _report, res_ids=None, **_values):
                    rendered.extend(res_ids)  # noqa: B023 - called in this turn only
                    return self._one_page(), "pdf"

                reports = type(self.env["ir.actions.report"])
                with (
                    patch.object(reports, "_render_qweb_pdf", render),
                    patch.object(type(run), "_print_chunk_size", 2),
                ):
                    with self._workers():
                        run._print_chunk()
                    lose()
                    self._work()
                self.assertEqual(rendered, run.line_ids[:2].move_id.ids)
                self.assertIn("not printed", run.line_ids[2].reason)
                self.assertTrue(run.has_problems, "the button is there")
                self.assertIn("1 invoice(s)", run.message_ids[0].body)

    def test_mails_with_numbers_that_are_lost_meanwhile_are_not_written(self):
        for lose in (self._off, self._moved, self._unsent):
            with self.subTest(lose.__name__):
                self._found()
                run = self._ready_pupils(5, lose.__name__)
                numbers = run.line_ids.number_id
                with patch.object(type(run), "_send_chunk_size", 2):
                    run.action_send_all()
                    with self._workers():
                        run._send_chunk()
                    lose()
                    self._work()
                mails = self.env["mail.mail"].search(
                    [("model", "=", numbers._name), ("res_id", "in", numbers.ids)]
                )
                self.assertEqual(len(mails), 2)
                self.assertFalse(run.sending)
                self.assertIn("3 line(s)", run.message_ids[0].body)
                left = run.line_ids.filtered(lambda n: "not sent" in (n.reason or ""))
                self.assertEqual(left, run.line_ids[2:])
                self.assertTrue(run.has_problems, "the button is there")

    def test_cards_of_numbers_that_are_lost_meanwhile_are_not_printed(self):
        for lose in (self._off, self._moved, self._unsent):
            with self.subTest(lose.__name__):
                self._found()
                run = self._ready_pupils(5, lose.__name__)
                action = run.action_cards()
                wizard = self.env["billpay.card.print"].browse(action["res_id"])
                with (
                    self._render(),
                    patch.object(type(wizard), "_part_size", 2),
                ):
                    wizard.action_print()
                    with self._workers():
                        run._print_chunk()
                    self.assertEqual(len(run._printed_parts()), 1)
                    lose()
                    with patch.object(
                        type(wizard), "_render_part", side_effect=AssertionError
                    ):
                        self._work()
                self.assertFalse(run.printing)
                self.assertEqual(len(self._printed(run)), 1)
                self.assertIn("3 card(s)", run.message_ids[0].body)

    def _ready_pupils(self, count, name):
        pupils = self.env["res.partner"].create(
            [
                {"name": f"{name} {n}", "email": f"p{n}@example.com"}
                for n in range(count)
            ]
        )
        purpose = self._purpose(name)
        numbers = purpose.sudo()._reserve(pupils).sudo()
        self._sync()
        now = self.env.cr.now()
        numbers.write({"state": "open", "origin": "imported", "confirmed_at": now})
        run = self._prepared(
            source="contacts",
            partner_ids=[Command.set(pupils.ids)],
            purpose_ids=[Command.set(purpose.ids)],
        )
        for line in run.line_ids:
            number = numbers.filtered(lambda n, of=line.partner_id: n.partner_id == of)
            line.sudo().write({"state": "reserved", "number_id": number.id})
        run.sudo().state = "done"
        return run


@tagged("post_install", "-at_install")
class TestRunRests(RunTrouble):
    def test_a_run_whose_application_is_off_rests_and_goes_on(self):
        self.provider.clickpesa_number_origin = "api"
        for kind in ("invoices", "contacts", "sheet"):
            with self.subTest(kind):
                if kind == "invoices":
                    run = self._run_of(self._moves(1000, 2000), work=False)
                elif kind == "contacts":
                    purpose = self._purpose("Fees of contacts")
                    run = self._prepared(
                        source="contacts",
                        partner_ids=[Command.set((self.asha | self.juma).ids)],
                        purpose_ids=[Command.set(purpose.ids)],
                    )
                    run.action_start()
                else:
                    run = self._sheet(
                        ("Name", "Phone"),
                        ("Zuhura", "0712000001"),
                        ("Ali", "0712000002"),
                    )
                    run.action_start()
                self.assertFalse(run.rest_reason)
                self.provider.state = "disabled"
                self._work()
                self._work()
                self.assertEqual(run.state, "running")
                self.assertEqual(self._outcomes(run), ["waiting"] * 2)
                self.assertIn("switched off", run.rest_reason)
                self.assertIn("2 line(s)", run.rest_reason)
                self.assertIn("BillPay Applications", run.rest_reason)
                cron = self.env.ref("billpay_odoo.ir_cron_bulk_runs")
                triggers = self.env["ir.cron.trigger"].sudo()
                triggers.search([("cron_id", "=", cron.id)]).unlink()
                self._work()
                self.assertFalse(triggers.search([("cron_id", "=", cron.id)]))
                self.provider.state = "test"
                self.env.cr.flush()
                self.assertTrue(triggers.search([("cron_id", "=", cron.id)]))
                self._work()
                self._sync()
                self._work()
                self.assertFalse(run.rest_reason)
                self.assertEqual(self._outcomes(run), ["done"] * 2)
                self.assertEqual(run.state, "done")

    def test_it_rests_while_its_numbers_wait(self):
        self.provider.clickpesa_number_origin = "api"
        run = self._run_of(self._moves(1000, 2000))
        self.assertEqual(self._outcomes(run), ["coming"] * 2)
        self.provider.state = "disabled"
        self._work()
        self.assertIn("2 line(s)", run.rest_reason)
        self.assertEqual(run.state, "running")

    def test_one_application_off_and_one_on(self):
        other = self._make_application(
            self.company,
            clickpesa_client_id="IDother",
            clickpesa_billpay_namba="3344",
            clickpesa_number_origin="offline",
        )
        hostel = self._purpose("Hostel of another", provider_id=other.id)
        fees = self._purpose("Fees of this")
        run = self._prepared(
            source="contacts",
            partner_ids=[Command.set((self.asha | self.juma).ids)],
            purpose_ids=[Command.set((hostel | fees).ids)],
        )
        run.action_start()
        other.state = "disabled"
        self._work()
        outcomes = {
            purpose: set(lines.mapped("outcome"))
            for purpose, lines in run.line_ids.grouped("purpose_id").items()
        }
        self.assertEqual(outcomes, {hostel: {"waiting"}, fees: {"done"}})
        self.assertIn("2 line(s)", run.rest_reason)
        other.state = "test"
        self._work()
        self.assertEqual(set(self._outcomes(run)), {"done"})

    def test_no_run_stops_another(self):
        moves = self._moves(1000, 2000)
        broken = self._run_of(moves[0], work=False)
        other = self._run_of(moves[1], work=False)
        runs = type(broken)
        real = runs._reserve_chunk

        def reserve(run):
            if run == broken:
                raise KeyError("unexpected")
            return real(run)

        with (
            patch.object(runs, "_reserve_chunk", reserve),
            mute_logger("odoo.addons.billpay_odoo"),
        ):
            self._work()
        self.assertEqual((broken.state, other.state), ("paused", "done"))
        self.assertIn("stopped", "".join(broken.message_ids.mapped("body")))


@tagged("post_install", "-at_install")
class TestRunOwns(RunTrouble):
    """What a run made is its own, and what was there is not."""

    def _close_all(self, run):
        run.sudo().state = "cancelled"
        run.action_close_numbers()

    def test_closing_leaves_what_was_there(self):
        """Adopted, opened again, carried: none of them was made by the run."""
        purpose = self._purpose("Monthly", invoice_number="customer")
        carried = self._keeps(self.asha, purpose)
        again = self._keeps(self.juma, self.tuition)
        again._close()
        self.company.billpay_issue_on = "post"
        reopened = self._invoice(3000)
        before = reopened.billpay_number_id.sudo()
        before._close()
        self.company.billpay_issue_on = "manual"
        carrying = self._invoice(1000, partner=self.asha, billpay_purpose_id=purpose.id)
        carrying.sudo().billpay_carried_number_id = False
        fresh = self._invoice(2000)
        run = self._run_of(carrying | fresh | reopened)
        contacts = self._prepared(
            source="contacts",
            partner_ids=[Command.set((self.asha | self.juma).ids)],
            purpose_ids=[Command.set(self.tuition.ids)],
        )
        contacts.action_start()
        self._work()
        self.assertEqual(set(self._outcomes(run) + self._outcomes(contacts)), {"done"})
        made = run.line_ids.filtered("is_made")
        self.assertEqual(made.move_id, fresh)
        self.assertEqual(contacts.line_ids.filtered("is_made").partner_id, self.asha)
        self._close_all(run)
        self._close_all(contacts)
        self.assertEqual(fresh.billpay_number_id.state, "closed")
        self.assertEqual(
            (carried | again | before).mapped("state"), ["open", "open", "open"]
        )
        asha = contacts.line_ids.filtered(lambda line: line.partner_id == self.asha)
        self.assertEqual(asha.number_id.state, "closed")

    def test_two_runs_of_one_invoice_close_it_once(self):
        move = self._moves(1000)
        first = self._prepared(source="invoices", move_ids=[Command.set(move.ids)])
        second = self._prepared(source="invoices", move_ids=[Command.set(move.ids)])
        first.action_start()
        self._work()
        second.action_start()
        self._work()
        self.assertTrue(first.line_ids.is_made)
        self.assertFalse(second.line_ids.is_made)
        self._close_all(second)
        self.assertEqual(move.billpay_number_id.state, "open")
        self._close_all(first)
        self.assertEqual(move.billpay_number_id.state, "closed")

    def test_draft_invoices_of_a_run_can_be_deleted(self):
        self.provider.clickpesa_number_origin = "api"
        for stage in ("draft", "started", "reserved"):
            with self.subTest(stage):
                moves = self._moves(1000, 2000)
                run = self._prepared(
                    source="invoices", move_ids=[Command.set(moves.ids)]
                )
                if stage != "draft":
                    run.action_start()
                if stage == "reserved":
                    self._work()
                    self.assertEqual(self._outcomes(run), ["coming"] * 2)
                gone = moves[0]
                gone.button_draft()
                gone.unlink()
                self.assertFalse(gone.exists())
                self.env.flush_all()
                self.assertEqual(run.line_ids.move_id, moves[1])
                if stage != "draft":
                    self._work()
                    self._sync()
                    self._work()
                    self.assertEqual(run.state, "done")
                    self.assertEqual(self._outcomes(run), ["done"])

    def test_a_deleted_number_leaves_its_line_without_one(self):
        self.provider.clickpesa_number_origin = "api"
        run = self._prepared(
            source="contacts",
            partner_ids=[Command.set((self.asha | self.juma).ids)],
            purpose_ids=[Command.set(self.tuition.ids)],
        )
        run.action_start()
        self._work()
        line = run.line_ids[0]
        line.number_id.sudo().state = "failed"
        line.number_id.sudo().unlink()
        self.env.invalidate_all()
        self.assertEqual(line.outcome, "cancelled")
        found = run.line_ids.search(
            [("run_id", "=", run.id), ("outcome", "=", "cancelled")]
        )
        self.assertEqual(found, line)
        self.assertEqual(run.remaining_count, 1)

    def test_a_branch_sees_its_run_of_the_parents_purpose(self):
        """The purpose and so the numbers are the parent's; the run is the branch's."""
        purpose = self._purpose("Of the parent", invoice_number="customer")
        branch = self.env["res.company"].create(
            {"name": "Tawi", "parent_id": self.company.id}
        )
        branch.billpay_provider_id = self.provider
        branch.billpay_issue_on = "manual"
        self.env.user.company_ids |= branch
        self.env.cr.precommit.run()
        moves = self.env["account.move"].with_context(allowed_company_ids=branch.ids)
        move = moves.create(
            {
                "move_type": "out_invoice",
                "partner_id": self.asha.id,
                "invoice_date": "2026-03-01",
                "currency_id": self.tzs.id,
                "billpay_purpose_id": purpose.id,
                "invoice_line_ids": [
                    Command.create({"name": "x", "price_unit": 900, "tax_ids": []})
                ],
            }
        )
        move.action_post()
        wizard = self.env["billpay.run.wizard"].with_company(branch)
        wizard = wizard.create(
            {"source": "invoices", "move_ids": [Command.set(move.ids)]}
        )
        run = self.env["billpay.run"].browse(wizard.action_prepare()["res_id"])
        run.action_start()
        self._work()
        self.assertEqual(run.line_ids.number_id.company_id, self.company)
        for groups in (
            ("billpay_odoo.group_billpay_user",),
            ("account.group_account_invoice",),
        ):
            with self.subTest(groups):
                clerk = self._user(f"tawi {groups[0]}", *groups, company=branch)
                seen = run.with_user(clerk).with_context(allowed_company_ids=branch.ids)
                self.env.invalidate_all()
                self.assertEqual(seen.done_count, 1)
                line = seen.line_ids
                line.read(["who", "number", "outcome", "reason", "shown_amount"])
                self.assertEqual(line.number, move.billpay_number)
                if "invoice" in groups[0]:
                    seen.action_download()
                    seen.action_sms_list()
                    self.assertEqual(seen._ready_lines(), line)
        # Somebody of another company sees nothing of it.
        other = self.setup_other_company(name="Shule ya Pili", currency_id=self.tzs.id)
        stranger = self._user(
            "stranger", "account.group_account_invoice", company=other["company"]
        )
        runs = self.env["billpay.run"].with_user(stranger)
        self.assertFalse(runs.search([("id", "=", run.id)]))

    def test_invoices_of_another_company_stay_there(self):
        """Chosen by somebody of both; a colleague of one sees what is of that one."""
        other = self.setup_other_company(name="Shule ya Pili", currency_id=self.tzs.id)
        line = {"name": "x", "price_unit": 123456, "tax_ids": []}
        theirs = self.env["account.move"].with_context(
            allowed_company_ids=other["company"].ids
        )
        theirs = theirs.create(
            {
                "move_type": "out_invoice",
                "partner_id": self.partner.copy({"company_id": other["company"].id}).id,
                "invoice_date": "2026-03-01",
                "currency_id": self.tzs.id,
                "invoice_line_ids": [Command.create(line)],
            }
        )
        theirs.action_post()
        ours = self._moves(1000)
        both = (self.company | other["company"]).ids
        wizard = self.env["billpay.run.wizard"].with_context(allowed_company_ids=both)
        wizard = wizard.create(
            {
                "source": "invoices",
                "move_ids": [Command.set((ours | theirs.with_env(ours.env)).ids)],
            }
        )
        run = self.env["billpay.run"].browse(wizard.action_prepare()["res_id"])
        self.assertEqual((run.waiting_count, run.problem_count), (1, 1))
        run.action_start()
        self._work()
        self.assertEqual(set(self._outcomes(run)), {"done", "problem"})
        clerk = self._user("clerk of ours", "account.group_account_invoice")
        self.env.invalidate_all()
        seen = run.with_user(clerk).with_context(allowed_company_ids=self.company.ids)
        rows = seen.line_ids.read(
            ["who", "number", "reason", "shown_amount", "move_id"]
        )
        self.assertEqual(len(rows), 2)
        self.assertNotIn("123456", str(rows))
        self.assertIn("another company", str(rows))
        seen.action_download()
        self.assertEqual(seen._ready_lines().move_id, ours)
        stranger = self._user(
            "clerk of theirs", "account.group_account_invoice", company=other["company"]
        )
        runs = self.env["billpay.run"].with_user(stranger)
        self.assertFalse(runs.search([("id", "=", run.id)]))

    def test_each_department_sees_its_part(self):
        plan = self.env["account.analytic.plan"].create({"name": "Departments"})
        first, second = self.env["account.analytic.account"].create(
            [{"name": n, "plan_id": plan.id} for n in ("One", "Two")]
        )
        fees = self._purpose("Fees One", department_id=first.id)
        bus = self._purpose("Bus Two", department_id=second.id)
        run = self._prepared(
            source="contacts",
            partner_ids=[Command.set((self.asha | self.juma).ids)],
            purpose_ids=[Command.set((fees | bus).ids)],
            department_id=first.id,
        )
        run.action_start()
        self._work()
        clerk = self._user("clerk of one", "account.group_account_invoice")
        clerk.sudo().billpay_department_ids = first
        clerk.sudo().billpay_all_departments = False
        self.env.invalidate_all()
        seen = run.with_user(clerk).with_context(allowed_company_ids=self.company.ids)
        self.assertEqual((seen.line_count, seen.done_count), (4, 4))
        seen.line_ids.read(["who", "number", "outcome", "reason"])
        seen.action_download()
        self.assertEqual(seen._ready_lines().purpose_id, fees)
        seen.action_sms_list()
        seen.action_cards()


@tagged("post_install", "-at_install")
class TestNamesakes(RunTrouble):
    header = ("Name", "Parent", "Phone", "Email")

    def _parents(self, *rows):
        run = self._sheet(self.header, *rows)
        run.action_start()
        self._work()
        lines = run.line_ids.sorted("row")
        self.assertEqual(set(lines.mapped("outcome")), {"done"}, lines.mapped("reason"))
        return [line.partner_id.parent_id for line in lines]

    def test_two_parents_of_one_name(self):
        for rows, count in (
            # Phones differ, addresses differ, one has a phone and one an address.
            ((("Mama Ali", "0712000001", ""), ("Mama Ali", "0712000002", "")), 2),
            ((("Mama Juma", "", "a@x.tz"), ("Mama Juma", "", "b@x.tz")), 2),
            ((("Mama Sara", "0712000003", ""), ("Mama Sara", "", "s@x.tz")), 2),
            # The second identifier agrees, however it is written.
            ((("Mama Rose", "0712000004", ""), ("MAMA ROSE", "255712000004", "")), 1),
            ((("Mama Ana", "", "ana@x.tz"), ("mama  ana", "", "Ana@X.tz")), 1),
        ):
            with self.subTest(rows=rows):
                named = [(f"Child {i} of {row[0]}", *row) for i, row in enumerate(rows)]
                parents = self._parents(*named)
                self.assertEqual(len(self.env["res.partner"].union(*parents)), count)

    def test_parents_that_are_known_already(self):
        known = self.env["res.partner"].create(
            {"name": "Baba Musa", "phone": "0755 111 222", "email": "musa@x.tz"}
        )
        for row, same in (
            (("C1", "Baba Musa", "0755111222", ""), True),
            (("C2", "BABA MUSA", "+255 755 111 222", "else@x.tz"), True),
            (("C3", "Baba Musa", "", "MUSA@x.tz"), True),
            (("C4", "Baba Musa", "0755999888", ""), False),
            (("C5", "Baba Musa", "", "other@x.tz"), False),
            (("C6", "Baba Musa Jr", "0755111222", ""), False),
        ):
            with self.subTest(row=row):
                [parent] = self._parents(row)
                self.assertEqual(parent == known, same)

    def test_an_other_address_is_asked_for(self):
        self.parent.email = "neema@example.com"
        self.parent.phone = False
        run = self._sheet(self.header, ("Asha Mushi", "Neema Mushi", "", "else@x.tz"))
        self.assertFalse(run.line_ids.partner_id)
        self.assertIn("another e-mail address here", run.line_ids.reason)
        self.assertIn("neema@example.com", run.line_ids.reason)
        run = self._sheet(
            self.header, ("Asha Mushi", "Neema Mushi", "", "Neema@Example.com")
        )
        self.assertEqual(run.line_ids.partner_id, self.asha)

    def test_signs_of_searches_are_letters(self):
        """``%``, ``_`` and a backslash mean themselves, on either side."""
        partners = self.env["res.partner"]
        for place, sign in enumerate(("%", "_", "\\", "100%_\\")):
            with self.subTest(sign):
                decoys = partners.create(
                    [
                        {"name": "Mama X Tano", "phone": "0713000001"},
                        {"name": "Mama Tano", "email": "decoy@x.tz"},
                        {"name": "Any", "ref": "S-5"},
                    ]
                )
                [parent] = self._parents(
                    (f"Pupil {place}", f"Mama {sign} Tano", f"071300010{place}", "")
                )
                self.assertNotIn(parent, decoys)
                self.assertEqual(parent.name, f"Mama {sign} Tano")
                run = self._sheet(
                    ("Name", "Reference", "Phone"), ("New", f"S{sign}5", "0713000008")
                )
                self.assertFalse(run.line_ids.partner_id, "S-5 is another one")
                run = self._sheet(("Name", "Phone"), (f"An{sign}", "0713000007"))
                self.assertFalse(run.line_ids.partner_id & decoys)
                run = self._sheet(
                    ("Name", "Phone", "Purpose"), ("New", "0713000006", f"{sign}uition")
                )
                self.assertEqual(run.line_ids.state, "problem")
                run = self._sheet(
                    ("Name", "Phone", "Class"),
                    (f"Tag {place}", "0713000005", f"F{sign}1"),
                )
                run.action_start()
                self._work()
                self.assertEqual(run.line_ids.partner_id.category_id.name, f"F{sign}1")
                decoys.unlink()
