# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo.tests import tagged

from .common import BillPayCommon


@tagged("post_install", "-at_install")
class TestSendCron(BillPayCommon):
    def test_invoices_sent_in_the_background_have_their_numbers_before(self):
        self.company.billpay_issue_on = "send"
        moves = self._invoice(1000) + self._invoice(2000)
        self.env["account.move.send.batch.wizard"].with_context(
            active_model="account.move", active_ids=moves.ids
        ).create({}).action_send_and_print()
        self.assertFalse(moves.billpay_number_ids)
        self.assertTrue(all(moves.mapped("sending_data")))
        with self._workers():
            self.env.ref("account.ir_cron_account_move_send").method_direct_trigger()
        self.assertEqual(moves.billpay_number_ids.mapped("state"), ["open"] * 2)
        self.assertEqual(len(self.sandbox.numbers()), 2)
        self.assertFalse(any(moves.mapped("sending_data")))
        mails = self.env["mail.mail"].sudo().search([("model", "=", "account.move")])
        for move in moves:
            mail = mails.filtered(lambda mail, move=move: mail.res_id == move.id)
            link = f"/billpay/{move.billpay_number_id.name}/"
            self.assertIn(link, mail.body_html)
