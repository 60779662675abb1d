# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import io
from unittest.mock import patch

from pypdf import PdfReader

from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import BillPayCommon, BillPayHttpCommon


@tagged("post_install", "-at_install")
class TestInvoiceDocument(BillPayCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env.ref("billpay_odoo.channel_mpesa").sudo().company_number = "554433"

    def _document(self, move):
        """The HTML that wkhtmltopdf prints."""
        with self._workers():
            html, _format = self.env["ir.actions.report"]._render_qweb_html(
                "account.account_invoices", move.ids, data={"report_type": "pdf"}
            )
        return html.decode()

    # === PDF === #

    def test_document_carries_number_amount_and_steps(self):
        move = self._registered_invoice()
        html = self._document(move)
        self.assertIn("o_billpay_document", html)
        for group in move.billpay_number_id.display_number.split():
            self.assertIn(f">{group}</span>", html)
        self.assertIn("TZS\u00a0150,000", html)
        self.assertIn(f"<strong>{move.billpay_number_id.name}</strong>", html)
        self.assertIn("<strong>554433</strong>", html)
        self.assertIn("data:image/png;base64,", html)

    def test_offline_company_without_credentials_prints_its_numbers(self):
        self.provider.write(
            {
                "clickpesa_number_origin": "offline",
                "clickpesa_client_id": False,
                "clickpesa_api_key": False,
            }
        )
        move = self._invoice()
        html = self._document(move)
        self.assertIn(f"<strong>{move.billpay_number_id.name}</strong>", html)
        self.assertIn("TZS\u00a0150,000", html)
        self.assertEqual(self.sandbox.calls(), [])

    def test_document_shows_four_channels_at_most(self):
        html = self._document(self._registered_invoice())
        self.assertIn("HaloPesa", html)
        self.assertNotIn("SimBanking", html)

    def test_qr_code_leads_to_the_pay_page(self):
        move = self._registered_invoice()
        page = type(self.env["billpay.pay.page"])
        with patch.object(page, "_qr_png", return_value=b"x") as made:
            self._document(move)
        url = self.env["billpay.pay.page"]._get_pay_url(move.billpay_number_id.sudo())
        self.assertEqual([call.args for call in made.call_args_list], [(url,)])

    def test_document_in_swahili(self):
        self.env["res.lang"]._activate_lang("sw")
        self.partner.lang = "sw"
        html = self._document(self._registered_invoice())
        self.assertIn("Kumbukumbu namba", html)
        self.assertIn("Chagua 4, Lipa bili", html)
        self.assertNotIn("Choose 4", html)

    def test_document_without_a_confirmed_number_has_none(self):
        move = self._invoice()
        number = move.billpay_number_id
        for state in ("pending", "failed", "closed"):
            number.sudo().state = state
            with self.subTest(state=state):
                html = self._document(move)
                self.assertNotIn("o_billpay", html)
                self.assertNotIn(number.name, html)

    def test_document_of_a_paid_invoice_asks_for_nothing(self):
        move = self._registered_invoice()
        number = move.billpay_number_id.sudo()
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=move.ids
        ).create({})._create_payments()
        number.state = "open"
        self.assertNotIn("o_billpay", self._document(move))

    def test_portals_html_view_does_not_repeat_the_block(self):
        move = self._registered_invoice()
        with self._workers():
            html, _format = self.env["ir.actions.report"]._render_qweb_html(
                "account.account_invoices", move.ids
            )
        self.assertNotIn("o_billpay", html.decode())

    def test_company_without_billpay_opens_no_second_transaction(self):
        self.company.sudo().billpay_provider_id = False
        move = self._invoice()
        with patch.object(
            type(self.env["account.move.send"]), "_billpay_document_number"
        ) as asked:
            self._document(move)
        asked.assert_not_called()

    # === Sending === #

    def _send(self, moves, **settings):
        with self._workers():
            self.env["account.move.send"]._generate_and_send_invoices(
                moves, sending_methods=["email"], **settings
            )

    def _mails(self, move):
        return move.message_ids.filtered(
            lambda message: message.attachment_ids and message.partner_ids
        )

    def test_sending_confirms_and_carries_number_and_link(self):
        move = self._invoice()
        self.assertEqual(move.billpay_number_id.state, "pending")
        self._send(move)
        self.assertEqual(move.billpay_number_id.state, "open")
        (mail,) = self._mails(move)
        number = move.billpay_number_id.sudo()
        body = str(mail.body).replace("&nbsp;", " ")
        self.assertIn(number.display_number, body)
        self.assertIn("TZS 150,000", body)
        self.assertIn(
            f'href="{self.env["billpay.pay.page"]._get_pay_url(number)}"', body
        )
        self.assertIn("INV/", mail.body, "the template's own words are kept")

    def test_number_made_on_sending_is_in_document_and_mail(self):
        self.company.billpay_issue_on = "send"
        move = self._invoice()
        self.assertFalse(move.billpay_number_ids)
        self._send(move)
        (mail,) = self._mails(move)
        self.assertIn(
            self.env["billpay.pay.page"]._get_pay_url(move.billpay_number_id.sudo()),
            mail.body,
        )

    def test_what_a_user_wrote_is_kept(self):
        move = self._registered_invoice()
        self._send(move, mail_body="<p>Habari Juma, karibu tena!</p>")
        (mail,) = self._mails(move)
        self.assertTrue(mail.body.startswith("<p>Habari Juma, karibu tena!</p>"))
        self.assertIn("o_billpay_mail", mail.body)

    def test_link_written_by_the_user_is_not_repeated(self):
        move = self._registered_invoice()
        url = self.env["billpay.pay.page"]._get_pay_url(move.billpay_number_id.sudo())
        self._send(move, mail_body=f"<p>{url}</p>")
        (mail,) = self._mails(move)
        self.assertNotIn("o_billpay_mail", mail.body)

    def test_unconfirmed_number_stops_a_single_sending(self):
        move = self._invoice()
        self.sandbox.faults.add("error", match="bulk-create")
        with self.assertRaisesRegex(UserError, "not sent"):
            self._send(move)
        self.assertFalse(self._mails(move))
        self.assertFalse(move.invoice_pdf_report_id)

    def test_unconfirmed_number_leaves_the_others_of_a_batch(self):
        good = self._registered_invoice()
        bad = self._invoice()
        self.sandbox.faults.add("error", match="bulk-create")
        self._send(good | bad, allow_raising=False)
        self.assertTrue(self._mails(good))
        self.assertFalse(self._mails(bad))
        self.assertFalse(bad.invoice_pdf_report_id)
        self.assertTrue(
            bad.message_ids.filtered(lambda message: "not sent" in message.body)
        )

    def test_no_pro_forma_goes_out_instead(self):
        move = self._invoice()
        self.sandbox.faults.add("error", match="bulk-create")
        self._send(move, allow_fallback_pdf=True)
        self.assertFalse(self._mails(move))
        self.assertFalse(
            move.message_ids.attachment_ids
            | self.env["ir.attachment"].search(
                [("res_model", "=", "account.move"), ("res_id", "=", move.id)]
            )
        )

    def test_other_documents_are_sent_as_before(self):
        self.company.sudo().billpay_provider_id = False
        move = self._invoice()
        self._send(move)
        (mail,) = self._mails(move)
        self.assertNotIn("o_billpay", mail.body)

    def test_sender_needs_no_right_on_numbers(self):
        move = self._registered_invoice()
        user = (
            self.env["res.users"]
            .sudo()
            .create(
                {
                    "name": "Clerk",
                    "login": "billpay_clerk",
                    "email": "clerk@example.com",
                    "company_id": self.company.id,
                    "company_ids": [Command.set(self.company.ids)],
                    "group_ids": [
                        Command.set(self.env.ref("account.group_account_invoice").ids)
                    ],
                }
            )
        )
        group = self.env.ref("billpay_odoo.group_billpay_user").sudo()
        implying = (
            self.env["res.groups"].sudo().search([("implied_ids", "in", group.id)])
        )
        implying.implied_ids = [Command.unlink(group.id)]
        numbers = self.env["billpay.control.number"].with_user(user)
        self.assertFalse(numbers.has_access("read"))
        wizard = (
            self.env["account.move.send.wizard"]
            .with_user(user)
            .create({"move_id": move.id})
        )
        self.assertIn("billpay_mail", wizard.alerts)
        with self._workers():
            wizard.action_send_and_print()
        self.assertTrue(self._mails(move))

    def test_wizard_tells_what_the_mail_will_carry(self):
        move = self._registered_invoice()
        wizard = self.env["account.move.send.wizard"].create({"move_id": move.id})
        self.assertIn(
            move.billpay_number_id.display_number,
            wizard.alerts["billpay_mail"]["message"],
        )
        move.billpay_number_id.sudo().state = "failed"
        wizard = self.env["account.move.send.wizard"].create({"move_id": move.id})
        self.assertEqual(wizard.alerts["billpay_refused"]["level"], "warning")


@tagged("post_install", "-at_install", "slow")
class TestInvoicePdf(BillPayHttpCommon):
    def test_pdf_has_one_page_and_its_digits_are_found(self):
        self.env.ref("billpay_odoo.channel_mpesa").sudo().company_number = "554433"
        move = self._registered_invoice()
        pdf, _format = (
            self.env["ir.actions.report"]
            .with_context(force_report_rendering=True)
            ._render_qweb_pdf("account.account_invoices", move.ids)
        )
        reader = PdfReader(io.BytesIO(pdf))
        self.assertEqual(len(reader.pages), 1)
        text = reader.pages[0].extract_text()
        self.assertIn(move.billpay_number_id.name, text)
