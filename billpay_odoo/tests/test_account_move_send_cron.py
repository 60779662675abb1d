# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import BillPayCommon


@tagged("post_install", "-at_install")
class TestSendCron(BillPayCommon):
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
