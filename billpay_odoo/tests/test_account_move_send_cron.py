# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from datetime import timedelta
from unittest.mock import patch

from freezegun import freeze_time

from odoo import Command, fields
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models.bill import account_move_send
from .common import BillPayCommon


class SendCronCommon(BillPayCommon):
    def _queue(self, moves):
        """Send & Print of many: Odoo sends them in the background."""
        self.env["account.move.send.batch.wizard"].with_context(
            active_model="account.move", active_ids=moves.ids
        ).create({}).action_send_and_print()

    def _send_queue(self):
        with self._workers():
            self.env.ref("account.ir_cron_account_move_send").method_direct_trigger()

    def _pause_is_over(self, moves):
        moves.billpay_number_ids.sudo().filtered("sync_at").sync_at = "2020-01-01"

    def _mailed(self, move):
        return move.message_ids.filtered(lambda m: m.attachment_ids and m.partner_ids)


@tagged("post_install", "-at_install")
class TestSendCron(SendCronCommon):
    def test_invoices_sent_in_the_background_have_their_numbers_before(self):
        self.company.billpay_issue_on = "send"
        moves = self._invoice(1000) + self._invoice(2000)
        self._queue(moves)
        self.assertFalse(moves.billpay_number_ids)
        self.assertTrue(all(moves.mapped("sending_data")))
        self._send_queue()
        self.assertEqual(moves.billpay_number_ids.mapped("state"), ["open"] * 2)
        self.assertEqual(len(self.sandbox.numbers()), 2)
        self.assertFalse(any(moves.mapped("sending_data")))
        mails = self.env["mail.mail"].sudo().search([("model", "=", "account.move")])
        for move in moves:
            mail = mails.filtered(lambda mail, move=move: mail.res_id == move.id)
            link = f"/billpay/{move.billpay_number_id.name}/"
            self.assertIn(link, mail.body_html)

    def test_queued_invoices_wait_for_clickpesa_and_are_sent_once(self):
        for issue_on in ("post", "send"):
            with self.subTest(issue_on=issue_on):
                self.company.billpay_issue_on = issue_on
                moves = self._invoice(1000) + self._invoice(2000)
                self._queue(moves)
                self.sandbox.faults.add("error", match="bulk-create", times=-1)
                self._send_queue()
                calls = self.sandbox.count_calls()
                self._send_queue()  # in the pause nobody is called
                self.assertEqual(self.sandbox.count_calls(), calls)
                for move in moves:
                    self.assertTrue(move.sending_data)
                    self.assertFalse(self._mailed(move))
                    notes = move.message_ids.filtered(
                        lambda m: "sends it as soon as" in (m.body or "")
                    )
                    self.assertEqual(len(notes), 1)
                self.sandbox.faults.clear()
                self._pause_is_over(moves)
                self._sync()
                self._send_queue()
                self._send_queue()
                for move in moves:
                    self.assertFalse(move.sending_data)
                    self.assertEqual(len(self._mailed(move)), 1)

    def test_the_first_answer_wakes_the_queue(self):
        # Odoo 19 cannot queue a single invoice.
        moves = self._invoice(1000) + self._invoice(2000)
        self._queue(moves)
        self.sandbox.faults.add("error", match="bulk-create", times=1)
        self._send_queue()
        self._pause_is_over(moves)
        cron = self.env.ref("account.ir_cron_account_move_send")
        triggers = self.env["ir.cron.trigger"].sudo()
        triggers.search([("cron_id", "=", cron.id)]).unlink()
        self._sync()
        self.assertTrue(triggers.search([("cron_id", "=", cron.id)]))

    def test_waiting_invoices_let_the_others_pass(self):
        waiting = self.env["account.move"].concat(
            *[self._invoice(1000 + index) for index in range(10)]
        )
        self.company.billpay_issue_on = "manual"
        other = self._invoice(5000)
        self._queue(waiting + other)
        self.sandbox.faults.add("error", match="bulk-create", times=-1)
        self._send_queue()
        self._send_queue()
        self.assertTrue(all(waiting.mapped("sending_data")))
        self.assertFalse(other.sending_data)
        self.assertTrue(self._mailed(other))

    def test_a_refused_number_leaves_the_queue(self):
        bad, good = self._invoice(1000), self._invoice(2000)
        bad.billpay_number_id.sudo().amount = -5
        self._queue(bad + good)
        self._send_queue()
        self.assertFalse(bad.sending_data)
        self.assertFalse(self._mailed(bad))
        self.assertIn("look at its control number", bad.message_ids[0].body)
        self.assertTrue(self._mailed(good))

    def test_invoices_that_cannot_have_a_number_are_told(self):
        self.company.billpay_issue_on = "send"
        moves = self._invoice(1000) + self._invoice(2000)
        self._queue(moves)
        text = "The ClickPesa application has no BillPay-Namba."
        with patch.object(
            type(self.env["billpay.numbering"]),
            "_next_references",
            side_effect=UserError(text),
        ):
            self._send_queue()
        for move in moves:
            self.assertFalse(move.sending_data, "a person has to act")
            self.assertFalse(self._mailed(move))
            self.assertIn(text, move.message_ids[0].body)

    def test_an_unexpected_error_stops_no_sending(self):
        own = self._invoice(1000)
        self.company.billpay_issue_on = "send"
        move = self._invoice(2000)
        self._queue(own + move)
        with (
            patch.object(
                type(self.env["billpay.numbering"]),
                "_next_references",
                side_effect=KeyError,
            ),
            mute_logger("odoo.addons.billpay_odoo"),
        ):
            self._send_queue()
        self.assertTrue(self._mailed(own))
        self.assertFalse(self._mailed(move))
        self.assertIn("server", move.message_ids[0].body)


@tagged("post_install", "-at_install")
class TestNobodyWaits(SendCronCommon):
    """What cannot be sent now lets all others pass, whatever keeps it."""

    def _other_company(self):
        other = self.setup_other_company(name="Shule ya Pili", currency_id=self.tzs.id)
        company = other["company"]
        return company, self._make_application(
            company, clickpesa_client_id="IDother", clickpesa_billpay_namba="3344"
        )

    def _invoices_of(self, company, count, **values):
        moves = self.env["account.move"].with_context(
            allowed_company_ids=company.ids, default_currency_id=self.tzs.id
        )
        line = {"name": "Ada", "price_unit": 500, "tax_ids": []}
        moves = moves.create(
            [
                {
                    "move_type": "out_invoice",
                    "partner_id": self.partner.id,
                    "invoice_date": "2026-01-01",
                    "currency_id": self.tzs.id,
                    "invoice_line_ids": [Command.create(line)],
                    **values,
                }
            ]
            * count
        )
        moves.action_post()
        return moves.with_env(self.env)

    def _pass(self, stuck, queued=None):
        """Queue ``stuck`` and others behind them; assert that the others are sent."""
        others = self._invoice(5000) + self._invoice(6000)
        self._queue(stuck + others)
        if queued:
            queued()
        for _turn in range(3):
            self._send_queue()
        for move in others:
            self.assertTrue(self._mailed(move), "sent past the others")
            self.assertEqual(move.billpay_number_id.state, "open")
        self.assertFalse(any(others.mapped("sending_data")))
        return others

    def test_switched_off_application(self):
        company, provider = self._other_company()
        stuck = self._invoices_of(company, 12)
        self.assertEqual(stuck.billpay_number_ids.mapped("state"), ["pending"] * 12)
        provider.state = "disabled"
        self._pass(stuck)
        for move in stuck:
            self.assertFalse(move.sending_data, "an error, and no retry")
            self.assertFalse(self._mailed(move))
            note = move.message_ids[0].body
            self.assertIn("is switched off", note)
            self.assertIn("BillPay Applications", note, "the next click")
        # The next click leads to the promised end.
        provider.state = "test"
        provider.clickpesa_client_id = "IDsandbox"
        self._queue(stuck[:2])
        self._send_queue()
        self.assertTrue(self._mailed(stuck[0]))

    def test_carried_number_that_is_pending(self):
        purpose = self.env["billpay.purpose"].create(
            {
                "name": "Ada ya mwezi",
                "company_id": self.company.id,
                "invoice_number": "customer",
            }
        )
        self.partner.phone = "0712345678"
        stuck = self.env["account.move"].concat(
            *[
                self._invoice(
                    1000 + i, billpay_purpose_id=purpose.id, invoice_date="2026-01-01"
                )
                for i in range(11)
            ]
        )
        number = stuck.billpay_carried_number_id
        self.assertEqual((len(number), number.state), (1, "pending"))
        self.sandbox.faults.add("error", match="customer", times=-1)
        self.sandbox.faults.add("error", match="bulk-create", times=1)
        self.company.billpay_issue_on = "manual"
        others = self._invoice(5000) + self._invoice(6000)
        self._queue(stuck + others)
        for _turn in range(3):
            self._send_queue()
        for move in others:
            self.assertTrue(self._mailed(move))
        self.assertTrue(all(stuck.mapped("sending_data")))
        self.sandbox.faults.clear()
        number.sudo().sync_at = "2020-01-01"
        self._sync()
        self.assertEqual(number.state, "open")
        self._send_queue()
        self._send_queue()
        for move in stuck:
            self.assertTrue(self._mailed(move))

    def test_refused_numbers(self):
        stuck = self.env["account.move"].concat(
            *[self._invoice(1000, invoice_date="2026-01-01") for _i in range(11)]
        )
        stuck.billpay_number_ids.sudo().amount = -5
        self._pass(stuck)
        for move in stuck:
            self.assertFalse(move.sending_data)
            self.assertIn("look at its control number", move.message_ids[0].body)

    def test_broken_template(self):
        stuck = self.env["account.move"].concat(
            *[self._invoice(1000, invoice_date="2026-01-01") for _i in range(11)]
        )
        others = self._invoice(5000) + self._invoice(6000)
        # It fits most invoices, and so could be saved.
        template = self.env.ref("account.email_template_edi_invoice")
        self._queue(stuck + others)
        template.subject = "{{ 1 / (object.amount_total - 1000) }}"
        with (
            mute_logger("odoo.addons.mail.models.mail_render_mixin"),
            mute_logger("odoo.addons.billpay_odoo"),
        ):
            for _turn in range(3):
                self._send_queue()
        for move in others:
            self.assertTrue(self._mailed(move))
        for move in stuck:
            self.assertFalse(move.sending_data)
            self.assertFalse(self._mailed(move))
            self.assertIn("was not sent", move.message_ids[0].body)

    def test_even_the_note_fails(self):
        stuck = self.env["account.move"].concat(
            *[self._invoice(1000, invoice_date="2026-01-01") for _i in range(11)]
        )
        sending = type(self.env["account.move.send"])
        real = sending._generate_and_send_invoices

        def send(this, moves, **values):
            if 1000 in moves.mapped("amount_total"):
                raise KeyError("broken")
            return real(this, moves, **values)

        with (
            patch.object(sending, "_generate_and_send_invoices", send),
            patch.object(sending, "_hook_if_errors", side_effect=KeyError),
            mute_logger("odoo.addons.billpay_odoo"),
        ):
            self._pass(stuck)
        self.assertFalse(any(stuck.mapped("sending_data")))

    def test_archived_company(self):
        company, provider = self._other_company()
        provider.clickpesa_client_id = "IDsandbox"
        stuck = self._invoices_of(company, 11)

        def archive():
            company.active = False

        self._pass(stuck, archive)
        # Its application goes on, so its numbers can be paid.
        self.assertFalse(any(stuck.mapped("sending_data")))
        for move in stuck:
            self.assertTrue(self._mailed(move), move.message_ids[0].body)

    def test_errors_of_other_addons_that_may_go_later(self):
        stuck = self.env["account.move"].concat(
            *[self._invoice(1000, invoice_date="2026-01-01") for _i in range(11)]
        )
        self._sync()
        sending = type(self.env["account.move.send"])
        real = sending._call_web_service_before_invoice_pdf_render

        def not_now(this, invoices_data):
            real(this, invoices_data)
            for move, data in invoices_data.items():
                if move.amount_total == 1000:
                    data["error"] = {"error_title": "Not now", "retry": True}

        with patch.object(
            sending, "_call_web_service_before_invoice_pdf_render", not_now
        ):
            self._pass(stuck)
        self.assertTrue(all(stuck.mapped("sending_data")))
        # They are tried again by themselves, when their moment comes.
        cron = self.env.ref("account.ir_cron_account_move_send")
        triggers = self.env["ir.cron.trigger"].sudo()
        later = [("cron_id", "=", cron.id), ("call_at", ">", fields.Datetime.now())]
        self.assertTrue(triggers.search(later))
        with freeze_time(fields.Datetime.now() + timedelta(minutes=5)):
            self._send_queue()
            self._send_queue()
        self.assertFalse(any(stuck.mapped("sending_data")))
        self.assertTrue(self._mailed(stuck[0]))

    def test_each_that_waits_is_tried_when_its_moment_comes(self):
        """Odoo's own turn of the queue comes once a day."""
        moves = self.env["account.move"].concat(
            *[self._invoice(1000 + i) for i in range(3)]
        )
        self._sync()
        sending = type(self.env["account.move.send"])
        real = sending._call_web_service_before_invoice_pdf_render

        def not_now(this, invoices_data):
            real(this, invoices_data)
            for data in invoices_data.values():
                data["error"] = {"error_title": "Not now", "retry": True}

        self._queue(moves)
        begun = fields.Datetime.now()
        pauses = [50, 70, 4000]
        with (
            patch.object(
                sending, "_call_web_service_before_invoice_pdf_render", not_now
            ),
            patch.object(account_move_send, "pause_after", lambda _n: pauses.pop(0)),
        ):
            self._send_queue()
        self.assertTrue(all(moves.mapped("sending_data")))
        cron = self.env.ref("account.ir_cron_account_move_send")
        triggers = self.env["ir.cron.trigger"].sudo()
        for seconds, sent in ((50, 1), (70, 2), (4000, 3)):
            moment = begun + timedelta(seconds=seconds)
            with self.subTest(seconds), freeze_time(moment + timedelta(seconds=5)):
                due = triggers.search(
                    [
                        ("cron_id", "=", cron.id),
                        ("call_at", ">=", moment),
                        ("call_at", "<=", fields.Datetime.now()),
                    ]
                )
                self.assertTrue(due)
                self._send_queue()
                gone = moves.filtered(lambda move: not move.sending_data)
                self.assertEqual(len(gone), sent)

    def test_numbers_of_later_invoices_are_reserved_too(self):
        """Ten that never get a number do not keep the eleventh from getting one."""
        stuck = self.env["account.move"].concat(
            *[
                self._invoice(
                    1000, invoice_date="2026-01-01", billpay_issue_on="manual"
                )
                for _i in range(11)
            ]
        )
        self.company.billpay_issue_on = "send"
        self._pass(stuck)
        self.assertFalse(stuck.billpay_number_ids)
        self.assertTrue(self._mailed(stuck[10]))

    def test_neutralised_database(self):
        stuck = self.env["account.move"].concat(
            *[self._invoice(1000, invoice_date="2026-01-01") for _i in range(11)]
        )
        self.company.billpay_issue_on = "manual"
        other = self._invoice(5000)
        parameters = self.env["ir.config_parameter"].sudo()
        parameters.set_param("database.is_neutralized", True)
        self._queue(stuck + other)
        self._send_queue()
        self._send_queue()
        self.assertTrue(self._mailed(other))
        self.assertFalse(any(stuck.mapped("sending_data")))
        self.assertEqual(self.sandbox.count_calls(), 0)

    def test_the_number_that_opens_wakes_what_waits_for_it(self):
        move = self._invoice(1000) + self._invoice(2000)
        self._queue(move)
        with patch.object(
            type(self.env["billpay.sync"]),
            "_sync_now",
            lambda _sync, numbers, **_kw: {
                number.id: {
                    "name": number.name,
                    "state": "pending",
                    "error": "",
                    "off": "",
                    "obstacle": "unknown",
                    "problem": "",
                }
                for number in numbers
            },
        ):
            self._send_queue()
            self._send_queue()
        self.assertTrue(all(move.mapped("sending_data")))
        self.assertEqual(move[0].sending_data["billpay_tries"], 1, "no second try")
        cron = self.env.ref("account.ir_cron_account_move_send")
        triggers = self.env["ir.cron.trigger"].sudo()
        triggers.search([("cron_id", "=", cron.id)]).unlink()
        self._sync()
        now = [("cron_id", "=", cron.id), ("call_at", "<=", fields.Datetime.now())]
        self.assertTrue(triggers.search(now))
        self._send_queue()
        self.assertTrue(self._mailed(move[0]) and self._mailed(move[1]))
