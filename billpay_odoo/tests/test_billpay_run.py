# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Bulk runs: what they are about, what they make, and what stops them."""

import base64
import io
from contextlib import contextmanager
from unittest.mock import patch

import openpyxl

from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger
from odoo.tools.pdf import PdfFileReader

from ..wizards import billpay_card_print
from .test_billpay_purpose import PurposeCommon


@tagged("post_install", "-at_install")
class RunCommon(PurposeCommon):
    def _wizard(self, **values):
        return self.env["billpay.run.wizard"].with_company(self.company).create(values)

    def _prepared(self, **values):
        wizard = self._wizard(**values)
        if wizard.source == "sheet":
            wizard.action_preview()
        action = wizard.action_prepare()
        return self.env["billpay.run"].browse(action["res_id"])

    def _sheet(self, header, *rows, **values):
        """A run of a spreadsheet's rows; numbers stay numbers, as in Excel."""
        book = openpyxl.Workbook()
        book.active.append(header)
        for row in rows:
            book.active.append(row)
        buffer = io.BytesIO()
        book.save(buffer)
        return self._file(buffer.getvalue(), **values)

    def _file(self, data, **values):
        values.setdefault("purpose_ids", [Command.set(self.tuition.ids)])
        return self._prepared(
            source="sheet",
            file=base64.b64encode(data),
            filename="class.xlsx",
            **values,
        )

    def _work(self):
        self._run_cron("ir_cron_bulk_runs")
        self.env.invalidate_all()

    def _outcomes(self, run):
        return run.line_ids.sorted("row").mapped("outcome")

    def _one_page(self):
        from reportlab.pdfgen import canvas

        buffer = io.BytesIO()
        page = canvas.Canvas(buffer)
        page.drawString(10, 10, "Invoice")
        page.save()
        return buffer.getvalue()


@tagged("post_install", "-at_install")
class TestRuns(RunCommon):
    def test_open_invoices_get_their_numbers(self):
        self.company.billpay_issue_on = "manual"
        moves = self._invoice(1000) | self._invoice(2000) | self._invoice(3000)
        draft = self._invoice(4000, post=False)
        run = self._prepared(source="invoices")
        self.assertEqual(run.line_ids.move_id, moves)
        self.assertEqual((run.state, run.waiting_count), ("draft", 3))
        self.assertFalse(moves.billpay_number_id)
        run.action_start()
        self._work()
        self.assertEqual(run.state, "done")
        self.assertEqual((run.done_count, run.progress), (3, 100))
        self.assertEqual(run.line_ids.number_id, moves.sudo().billpay_number_ids)
        self.assertEqual(len(moves.billpay_number_id), 3)
        self.assertFalse(draft.billpay_number_id)

    def test_chosen_invoices_say_why_not(self):
        has = self._invoice(1000)
        draft = self._invoice(2000, post=False)
        run = self._prepared(
            source="invoices", move_ids=[Command.set((has | draft).ids)]
        )
        reasons = {line.move_id: line.reason for line in run.line_ids}
        self.assertIn(has.billpay_number, reasons[has])
        self.assertIn("not confirmed", reasons[draft])
        self.assertEqual(run.problem_count, 2)
        with self.assertRaisesRegex(UserError, "No line"):
            run.action_start()

    def test_small_rest_of_an_invoice_says_why_not(self):
        self.company.billpay_issue_on = "manual"
        move, other = self._invoice(100000), self._invoice(7)
        run = self._prepared(
            source="invoices", move_ids=[Command.set((move | other).ids)]
        )
        # Most of it is paid after the run was prepared.
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=move.ids
        ).create({"amount": 99700})._create_payments()
        run.action_start()
        self._work()
        line = run.line_ids.filtered(lambda item: item.move_id == move)
        self.assertEqual(line.state, "failed")
        for part in ("300", "500", move.name, "smallest rest"):
            self.assertIn(part, line.error)
        self.assertFalse(move.billpay_number_id)
        # A small bill is no small rest.
        self.assertEqual((run.line_ids - line).outcome, "done")
        self.assertEqual(other.billpay_number_id.amount, 7)

    def test_mode_of_a_run_is_the_invoices(self):
        self.company.billpay_issue_on = "manual"
        move = self._invoice(1000)
        run = self._prepared(source="invoices", mode="exact")
        run.action_start()
        self._work()
        self.assertEqual(move.billpay_number_id.mode, "exact")
        self.assertEqual(move.billpay_mode, "exact")

    def test_contacts_with_a_tag(self):
        tag = self.env["res.partner.category"].create({"name": "Form 1"})
        pupils = self.asha | self.juma
        pupils.category_id = tag
        nobody = self.env["res.partner"].create(
            {"name": "Paulo", "category_id": [Command.set(tag.ids)]}
        )
        self._keeps(self.juma, self.hostel)
        run = self._prepared(
            source="tags",
            tag_ids=[Command.set(tag.ids)],
            purpose_ids=[Command.set((self.tuition | self.hostel).ids)],
            amount=5000,
        )
        self.assertEqual(len(run.line_ids), 6)
        self.assertEqual((run.waiting_count, run.problem_count), (3, 3))
        run.action_start()
        self._work()
        self.assertEqual(run.state, "done")
        self.assertEqual(len(self.asha.billpay_number_ids), 2)
        self.assertEqual(self.asha.billpay_number_ids.mapped("amount"), [5000, 5000])
        self.assertFalse(nobody.billpay_number_ids)

    def test_one_bad_line_costs_only_itself(self):
        self.company.billpay_issue_on = "manual"
        moves = self._invoice(1000) | self._invoice(2000) | self._invoice(3000)
        run = self._prepared(source="invoices")
        run.action_start()
        lines = type(self.env["billpay.run.line"])
        reserve = lines._reserve_for_invoices

        def broken(batch):
            if moves[1] in batch.move_id:
                raise ValueError("broken record")
            return reserve(batch)

        with (
            patch.object(lines, "_reserve_for_invoices", broken),
            mute_logger("odoo.addons.billpay_odoo"),
        ):
            self._work()
        self.assertEqual(self._outcomes(run), ["done", "failed", "done"])
        self.assertFalse(moves[1].billpay_number_id)
        self.assertEqual(run.state, "done")
        run.action_retry_failed()
        self._work()
        self.assertEqual(self._outcomes(run), ["done", "done", "done"])

    def test_what_clickpesa_refuses_is_told_and_tried_again(self):
        self.provider.clickpesa_number_origin = "api"
        self.company.billpay_issue_on = "manual"
        self._invoice(1000)
        move = self._invoice(2000)
        run = self._prepared(source="invoices")
        run.action_start()
        self._work()
        self.assertEqual((run.state, run.coming_count), ("running", 2))
        # ClickPesa can only refuse that.
        move.billpay_number_id.sudo().amount = -5
        self._sync()
        self._work()
        self.assertEqual((run.done_count, run.failed_count), (1, 1))
        self.assertEqual(run.state, "done")
        [refused] = run.line_ids.filtered("reason")
        self.assertEqual((refused.move_id, refused.outcome), (move, "failed"))
        move.billpay_number_id.sudo().amount = 2000
        run.action_retry_failed()
        self.assertEqual(run.state, "running")
        self._sync()
        self._work()
        self.assertEqual((run.state, run.done_count), ("done", 2))
        self.assertEqual(move.billpay_number_id.state, "open")

    def test_pause_resume_cancel(self):
        self.company.billpay_issue_on = "manual"
        for amount in (1000, 2000, 3000):
            self._invoice(amount)
        run = self._prepared(source="invoices")
        run.action_start()
        run.action_pause()
        self._work()
        self.assertEqual((run.state, run.waiting_count), ("paused", 3))
        run.action_resume()
        with patch.object(type(self.env["billpay.run"]), "_chunk", 1):
            with self._workers():
                run._reserve_chunk()
            self.env.invalidate_all()
            self.assertEqual((run.done_count, run.waiting_count), (1, 2))
            run.action_cancel()
            self._work()
        self.assertEqual(self._outcomes(run), ["done", "cancelled", "cancelled"])
        number = run.line_ids.number_id
        self.assertEqual(number.state, "open")
        run.action_close_numbers()
        self.assertEqual(number.state, "closed")

    def test_closing_leaves_paid_numbers_and_those_that_were_there(self):
        self.asha.phone = "0712000111"
        there = self._keeps(self.asha, self.hostel)
        run = self._prepared(
            source="contacts",
            partner_ids=[Command.set((self.asha | self.juma).ids)],
            purpose_ids=[Command.set(self.tuition.ids)],
        )
        run.action_start()
        self._work()
        paid, unpaid = run.line_ids.number_id
        self._pay_number(paid, 500)
        run.action_cancel()
        run.sudo().state = "cancelled"
        run.action_close_numbers()
        self.assertEqual(
            (there.state, paid.state, unpaid.state), ("open", "open", "closed")
        )

    def test_a_started_run_is_kept(self):
        self.company.billpay_issue_on = "manual"
        self._invoice(1000)
        run = self._prepared(source="invoices")
        self._prepared(source="invoices").unlink()
        run.action_start()
        with self.assertRaisesRegex(UserError, "cannot delete"):
            run.unlink()

    def test_idle_runs_cost_one_query_for_each_kind_of_work(self):
        self.env.flush_all()
        runs = self.env["billpay.run"]
        runs._cron_bulk_runs()
        before = self.env.cr.sql_log_count
        runs._cron_bulk_runs()
        self.assertLessEqual(self.env.cr.sql_log_count - before, 2)

    # === After the run === #

    def _ready_run(self):
        self.parent.email = "neema@example.com"
        nobody = self.env["res.partner"].create(
            {"name": "Paulo", "phone": "0755 111 222"}
        )
        run = self._prepared(
            source="contacts",
            partner_ids=[Command.set((self.asha | nobody).ids)],
            purpose_ids=[Command.set(self.tuition.ids)],
        )
        run.action_start()
        self._work()
        return run

    def test_send_shows_first_who_has_no_email(self):
        run = self._ready_run()
        action = run.action_send_all()
        self.assertEqual(action["res_model"], "billpay.run.send")
        wizard = (
            self.env["billpay.run.send"].with_context(**action["context"]).create({})
        )
        self.assertEqual(wizard.line_ids.partner_id.name, "Paulo")
        self.assertEqual(wizard.others_count, 1)
        wizard.action_send()
        [mail] = self.env["mail.mail"].search(
            [("model", "=", "billpay.control.number")]
        )
        to = mail.email_to or mail.recipient_ids.email
        self.assertEqual(to, "neema@example.com")
        number = self.asha.billpay_number_ids
        self.assertIn(number.display_number.split()[1], mail.body_html)
        self.assertIn(self.env["billpay.pay.page"]._get_pay_url(number), mail.body_html)
        self.assertEqual(mail.state, "outgoing")

    def test_list_for_sms_and_list_of_lines(self):
        run = self._ready_run()
        run.name = "Fees, Form 1/2: [all] \x07"
        run.action_sms_list()
        rows = self._download_rows(run)
        texts = {row[0]: row[1] for row in rows[1:]}
        self.assertEqual(set(texts), {"255712345678", "255755111222"})
        number = self.asha.billpay_number_ids
        self.assertIn(number.name, texts["255712345678"])
        run.action_download()
        rows = self._download_rows(run)
        self.assertEqual(len(rows), 3)
        self.assertIn(number.display_number, rows[1])

    def _download_rows(self, run):
        data = base64.b64decode(run.with_context(bin_size=False).download)
        book = openpyxl.load_workbook(io.BytesIO(data))
        return list(book.active.iter_rows(values_only=True))

    def test_all_invoices_come_as_one_pdf(self):
        self.company.billpay_issue_on = "manual"
        for amount in (1000, 2000, 3000):
            self._invoice(amount)
        run = self._prepared(source="invoices")
        run.action_start()
        self._work()
        run.action_print_all()
        rendered = []

        def render(_self, _report, res_ids=None, **_values):
            rendered.append(len(res_ids))
            return self._one_page(), "pdf"

        reports = type(self.env["ir.actions.report"])
        with (
            patch.object(reports, "_render_qweb_pdf", render),
            patch.object(type(run), "_print_chunk_size", 2),
        ):
            self._work()
            self.assertEqual(rendered, [2, 1])
            # Once more, over what a crash left behind.
            run.action_print_all()
            with self._workers():
                run._print_chunk()
            run.sudo().printing = False
            run.action_print_all()
            self._work()
        self.assertFalse(run.printing)
        attachments = self.env["ir.attachment"].search(
            [("res_model", "=", "billpay.run"), ("res_id", "=", run.id)]
        )
        self.assertEqual(len(attachments), 2, "one for each time")
        attachment = attachments[0]
        self.assertEqual(self._pages(attachment.raw), 2)

    def test_cards_of_a_run(self):
        run = self._ready_run()
        action = run.action_cards()
        wizard = self.env["billpay.card.print"].browse(action["res_id"])
        self.assertEqual(wizard.number_count, 2)
        [page] = wizard._card_pages()
        self.assertEqual([card["name"] for card in page[0]], ["Asha Mushi", "Paulo"])
        html, _type = self.env["ir.actions.report"]._render_qweb_html(
            "billpay_odoo.report_billpay_cards", wizard.ids
        )
        text = html.decode()
        for number in run.line_ids.number_id:
            for group in number.display_number.split():
                self.assertIn(group, text)
        self.assertEqual(text.count('class="o_card"'), 2)
        wizard.layout = "sticker"
        html, _type = self.env["ir.actions.report"]._render_qweb_html(
            "billpay_odoo.report_billpay_cards", wizard.ids
        )
        self.assertEqual(html.decode().count('class="o_sticker"'), 2)

    def test_cards_speak_the_language_that_is_chosen(self):
        """Swahili is on cards, be it a language of Odoo or not."""
        run = self._ready_run()
        wizard = self.env["billpay.card.print"].browse(run.action_cards()["res_id"])
        for installed in (False, True):
            if installed:
                self.env["res.lang"]._activate_lang("sw")
                self.tuition.with_context(lang="sw").name = "Ada"
                self.asha.lang = "sw"
            for lang, expected in (
                ("en", ["Tuition", "Tuition"]),
                ("sw", ["Ada", "Ada"] if installed else ["Tuition", "Tuition"]),
                ("customer", ["Ada" if installed else "Tuition", "Tuition"]),
            ):
                with self.subTest(lang=lang, installed=installed):
                    wizard.lang = lang
                    [page] = wizard._card_pages()
                    self.assertEqual([c["purpose"] for c in page[0]], expected)

    # === Many cards, many e-mails === #

    def _pupils(self, count):
        """Contacts with an e-mail address and a number for tuition, and the numbers."""
        pupils = self.env["res.partner"].create(
            [
                {"name": f"Pupil {n:03d}", "email": f"pupil{n}@example.com"}
                for n in range(count)
            ]
        )
        numbers = self.tuition.sudo()._reserve(pupils).sudo()
        numbers.write({"state": "open", "sync_at": False})
        return pupils, numbers

    def _ready_pupils(self, count):
        """A run that is done, for so many contacts."""
        pupils, numbers = self._pupils(count)
        run = self._prepared(
            source="contacts",
            partner_ids=[Command.set(pupils.ids)],
            purpose_ids=[Command.set(self.tuition.ids)],
        )
        lines = run.line_ids.sorted("id")
        by_partner = numbers.grouped("partner_id")
        for line in lines:
            number = by_partner[line.partner_id]
            line.sudo().write({"state": "reserved", "number_id": number.id})
        run.sudo().state = "done"
        return run

    def test_cards_cost_the_same_statements_however_many(self):
        _pupils, numbers = self._pupils(50)
        first = numbers.browse(numbers.ids[:5])
        for layout, lang in (
            ("card", "customer"),
            ("sticker", "sw"),
            ("card", "en"),
        ):
            taken = []
            for some in (first, first, numbers):
                wizard = self.env["billpay.card.print"].create(
                    {
                        "number_ids": [Command.set(some.ids)],
                        "layout": layout,
                        "lang": lang,
                    }
                )
                self.env.flush_all()
                self.env.invalidate_all()
                before = self.env.cr.sql_log_count
                pages = wizard._card_pages()
                taken.append(self.env.cr.sql_log_count - before)
                cards = [card for page in pages for row in page for card in row]
                self.assertEqual(len([*filter(None, cards)]), len(some))
            with self.subTest(layout=layout, lang=lang):
                self.assertEqual(taken[1], taken[2])

    def test_a_channel_that_changes_is_on_the_next_card(self):
        _pupils, numbers = self._pupils(1)
        wizard = self.env["billpay.card.print"].create(
            {"number_ids": [Command.set(numbers.ids)]}
        )

        def names():
            [[[card, _none]]] = wizard._card_pages()
            return [channel["name"] for channel in card["channels"]]

        first, *_others = self.env["billpay.channel"]._for_company(self.company)
        self.assertIn(first.name, names())
        first.name = "M-Pesa ya kesho"
        self.assertIn("M-Pesa ya kesho", names())
        first.active = False
        self.assertNotIn("M-Pesa ya kesho", names())
        first.copy({"active": True, "company_id": self.company.id, "code": "own"})
        self.assertIn("M-Pesa ya kesho", names())

    def test_many_cards_are_printed_in_parts(self):
        _pupils, numbers = self._pupils(7)
        wizard = self.env["billpay.card.print"].create(
            {"number_ids": [Command.set(numbers.ids[::-1])]}
        )
        with self._rendered(3) as rendered:
            action = wizard.action_print()
        self.assertEqual([len(names) for names in rendered], [3, 3, 1])
        printed = [name for names in rendered for name in names]
        self.assertEqual(printed, sorted(printed), "in the order of their names")
        self.assertEqual(action["type"], "ir.actions.act_url")
        content = base64.b64decode(wizard.with_context(bin_size=False).download)
        self.assertEqual(self._pages(content), 3)
        # A few are the report itself, as before.
        wizard.number_ids = numbers[:3]
        with self._rendered(3) as rendered:
            self.assertEqual(wizard.action_print()["type"], "ir.actions.report")
        self.assertFalse(rendered)
        # More than a click may take say so.
        wizard.number_ids = numbers
        with (
            self._rendered(3),
            patch(f"{billpay_card_print.__name__}.MOST", 6),
            self.assertRaisesRegex(UserError, "7 cards .* bulk run"),
        ):
            wizard.action_print()

    @contextmanager
    def _rendered(self, size):
        """Parts of so many cards; yields the names that each part had."""
        rendered = []

        def render(reports, _report, res_ids=None, **_values):
            pages = reports.env["billpay.card.print"].browse(res_ids)._card_pages()
            cards = [card for page in pages for row in page for card in row]
            rendered.append([card["name"] for card in filter(None, cards)])
            return self._one_page(), "pdf"

        reports = type(self.env["ir.actions.report"])
        with (
            patch.object(reports, "_render_qweb_pdf", render),
            patch.object(type(self.env["billpay.card.print"]), "_part_size", size),
        ):
            yield rendered

    def _pages(self, content):
        return PdfFileReader(io.BytesIO(content)).getNumPages()

    def test_many_cards_of_a_run_are_printed_by_its_worker(self):
        run = self._ready_pupils(7)
        wizard = self.env["billpay.card.print"].browse(run.action_cards()["res_id"])
        with self._rendered(3) as rendered:
            self.assertIn("background", wizard.action_print()["params"]["message"])
            self.assertFalse(rendered, "the click prints nothing")
            self.assertEqual(run.background, "0 of 7 cards are printed.")
            # A second click prints nothing twice.
            again = wizard.action_print()["params"]
            self.assertIn("0 of 7", again["message"])
            with self._workers():
                self.assertTrue(run._print_chunk())
            self.assertEqual(run.background, "3 of 7 cards are printed.")
            # One is closed meanwhile: nobody gets its card.
            last = run.line_ids.number_id.sorted(lambda n: n.partner_id.name)[-1]
            last.sudo()._close()
            self._work()
        self.assertEqual([len(names) for names in rendered], [3, 3])
        self.assertFalse(run.background)
        self.assertFalse(run.printing)
        [attachment] = self.env["ir.attachment"].search(
            [("res_model", "=", "billpay.run"), ("res_id", "=", run.id)]
        )
        self.assertEqual(self._pages(attachment.raw), 2)
        self.assertIn("cards", run.message_ids[0].body)

    def test_who_only_reads_a_run_prints_its_cards_at_once(self):
        run = self._ready_pupils(4)
        reader = self._user("cards_reader", "billpay_odoo.group_billpay_user")
        action = run.with_user(reader).action_cards()
        wizard = self.env["billpay.card.print"].with_user(reader)
        with self._rendered(3) as rendered:
            action = wizard.browse(action["res_id"]).action_print()
        self.assertEqual(action["type"], "ir.actions.act_url")
        self.assertEqual(len(rendered), 2)
        self.assertFalse(run.printing)

    def _mails(self, numbers):
        domain = [("model", "=", numbers._name), ("res_id", "in", numbers.ids)]
        return self.env["mail.mail"].search(domain)

    def test_many_emails_are_written_by_the_worker(self):
        run = self._ready_pupils(7)
        numbers = run.line_ids.number_id
        clerk = self._user("sends_all", "account.group_account_invoice")
        with patch.object(type(run), "_send_chunk_size", 3):
            message = run.with_user(clerk).action_send_all()["params"]["message"]
            self.assertIn("7 lines", message)
            self.assertFalse(self._mails(numbers), "the click writes none")
            self.assertEqual(run.background, "0 of 7 lines are sent.")
            # A second click sends nothing twice.
            run.with_user(clerk).action_send_all()
            with self._workers():
                self.assertTrue(run._send_chunk())
            self.assertEqual(run.background, "3 of 7 lines are sent.")
            self.assertEqual(len(self._mails(numbers)), 3)
            # One is closed meanwhile: it asks for nothing.
            run.line_ids[-1].number_id.sudo()._close()
            self._work()
        self.assertFalse(run.sending)
        self.assertFalse(run.background)
        mails = self._mails(numbers)
        self.assertEqual(sorted(mails.mapped("res_id")), sorted(numbers.ids[:-1]))
        self.assertEqual(set(mails.mapped("state")), {"outgoing"})
        self.assertEqual(mails.author_id, clerk.partner_id)

    def test_one_that_cannot_be_written_stops_only_itself(self):
        run = self._ready_pupils(7)
        bad, written = run.line_ids[2].number_id, type(run)._mail_numbers

        def mail(runs, numbers):
            if bad in numbers:
                raise ValueError("a broken template")
            return written(runs, numbers)

        with (
            patch.object(type(run), "_send_chunk_size", 3),
            patch.object(type(run), "_mail_numbers", mail),
            mute_logger("odoo.addons.billpay_odoo"),
        ):
            run.action_send_all()
            self._work()
        mails = self._mails(run.line_ids.number_id)
        self.assertEqual(len(mails), 6)
        self.assertNotIn(bad.id, mails.mapped("res_id"))
        texts = "".join(run.message_ids.mapped("body"))
        self.assertIn(bad.display_number, texts)

    def test_many_invoices_wait_in_the_queue_of_odoo(self):
        self.partner.email = "juma@example.com"
        self.company.billpay_issue_on = "manual"
        moves = self.env["account.move"].union(
            *(self._invoice(1000 + n) for n in range(5))
        )
        run = self._prepared(source="invoices", move_ids=[Command.set(moves.ids)])
        run.action_start()
        self._sync_and_work()
        self.assertEqual(len(run._ready_lines()), 5)
        clerk = self._user("sends_invoices", "account.group_account_invoice")
        queue = self.env.ref("account.ir_cron_account_move_send").sudo()
        with patch.object(type(run), "_send_chunk_size", 2):
            queue.active = False
            with self.assertRaisesRegex(UserError, "switched off"):
                run.with_user(clerk).action_send_all()
            self.assertFalse(run.sending)
            queue.unlink()
            with self.assertRaisesRegex(UserError, "switched off"):
                run.with_user(clerk).action_send_all()
            self.env["billpay.health"]._restore_actions()
            run.with_user(clerk).action_send_all()
            self.assertFalse(any(moves.mapped("sending_data")))
            self._work()
        for move in moves:
            self.assertEqual(move.sending_data["author_user_id"], clerk.id)
        self.assertFalse(run.sending)

    def _sync_and_work(self):
        self._work()
        self._sync()
        self._work()

    def test_contacts_without_a_number_are_told_before_printing(self):
        self._keeps(self.asha, self.tuition)
        action = (self.asha | self.partner).action_billpay_cards()
        wizard = self.env["billpay.card.print"].browse(action["res_id"])
        self.assertEqual(wizard.without_ids, self.partner)
        self.assertEqual(wizard.number_count, 1)
        action = self.partner.action_billpay_cards()
        wizard = self.env["billpay.card.print"].browse(action["res_id"])
        with self.assertRaisesRegex(UserError, "no number to print"):
            wizard.action_print()


@tagged("post_install", "-at_install")
class TestRunSheets(RunCommon):
    HEADER = ("Name", "Reference", "Class", "Parent", "Phone", "Amount")

    def assertNothingMade(self, contacts):
        self.assertEqual(self.env["res.partner"].search_count([]), contacts)
        self.assertFalse(
            self.env["billpay.control.number"].search_count(
                [("purpose_id", "!=", False)]
            )
        )

    def test_from_a_class_list_to_numbers(self):
        contacts = self.env["res.partner"].search_count([])
        run = self._sheet(
            self.HEADER,
            ("Zuhura Ally", "S-1", "Form 1", "Ally Hassan", "0712 000 001", 450000),
            ("Amani Ally", "S-2", "Form 2", "Ally Hassan", 255712000001, None),
            ("Asha Mushi", None, "Form 1", "Neema Mushi", "0712345678", None),
        )
        self.assertEqual(run.problem_count, 0, run.line_ids.mapped("reason"))
        self.assertNothingMade(contacts)
        run.action_start()
        self._work()
        self.assertEqual(run.state, "done")
        pupils = run.line_ids.sorted("row").partner_id
        self.assertEqual(pupils[2], self.asha)
        self.assertEqual(pupils[:2].mapped("ref"), ["S-1", "S-2"])
        self.assertEqual(len(pupils[:2].parent_id), 1)
        self.assertEqual(pupils[0].parent_id.name, "Ally Hassan")
        self.assertEqual(pupils[:2].mapped("category_id.name"), ["Form 1", "Form 2"])
        self.assertEqual(len(pupils.billpay_number_ids), 3)
        self.assertEqual(pupils[0].billpay_number_ids.amount, 450000)
        # Once more, by reference and by name: nobody is made twice.
        again = self._sheet(
            self.HEADER,
            ("Zuhura Ally", "S-1", "Form 1", "Ally Hassan", "0712 000 001", None),
            ("Asha Mushi", None, "Form 1", "Neema Mushi", "0712345678", None),
        )
        self.assertEqual(again.problem_count, 2)
        self.assertIn("Has the number", again.line_ids[0].reason)

    def test_rows_per_purpose_make_one_contact(self):
        run = self._sheet(
            ("Name", "Phone", "Purpose"),
            ("Zuhura", "0712000001", "Tuition"),
            ("Zuhura", "0712000001", "hostel"),
            ("Zuhura", "0712000001", "Dinner"),
        )
        self.assertEqual(self._outcomes(run), ["waiting", "waiting", "problem"])
        self.assertIn("no purpose “Dinner”", run.line_ids[2].reason)
        run.action_start()
        with patch.object(type(self.env["billpay.run"]), "_chunk", 1):
            self._work()
        made = run.line_ids.partner_id
        self.assertEqual(len(made), 1)
        self.assertEqual(len(made.billpay_number_ids), 2)

    def test_each_bad_row_says_why(self):
        contacts = self.env["res.partner"].search_count([])
        run = self._sheet(
            self.HEADER,
            ("Zuhura", "S-1", "", "", "0712000001", 1000),
            ("Zuhura Twice", "s-1", "", "", "0712000001", 1000),
            ("", "S-3", "", "", "0712000001", 1000),
            ("Peter", "S-4", "", "", "12", 1000),
            ("Paulo", "S-5", "", "", "", 1000),
            ("Jane", "S-6", "", "", "0712000002", "12,50,0"),
            ("Rose", "S-7", "", "", "=1+1", 1000),
            ("Mary", "S-8", "", "", "#REF!", 1000),
            ("Anna", "S-9", "", "", "0712000002", 10.5),
            ("Lulu", "S-10", "", "", "2.55E+11", 1000),
            ("Good", "S-11", "", "", "2.55712000009E+11", 1000),
        )
        reasons = run.line_ids.sorted("row").mapped("reason")
        for reason, words in zip(
            reasons,
            (
                "",
                "stands in row 2",
                "no name",
                "no Tanzanian mobile",
                "needs a phone",
                "not an amount",
                "formula",
                "shows an error",
                "whole shillings",
                "lost digits",
                "",
            ),
            strict=True,
        ):
            self.assertIn(words, reason or "")
            self.assertEqual(bool(words), bool(reason), reason)
        self.assertEqual(run.line_ids.mapped("row"), list(range(2, 13)))
        self.assertEqual(run.line_ids[-1].new_phone, "+255712000009")
        self.assertNothingMade(contacts)

    def test_bad_files_change_nothing(self):
        contacts = self.env["res.partner"].search_count([])
        runs = self.env["billpay.run"].search_count([])
        for data, words in (
            (b"a" * 21 * 1024 * 1024, "larger than 20 MB"),
            (b"", "Choose an XLSX"),
            (b"\x89PNG nothing", "not a spreadsheet"),
            (b"PK\x03\x04 broken", "damaged"),
            (b"Colour,Size\nred,4\n", "no column Name"),
            (b"Name,Phone\n", "no rows"),
        ):
            with self.assertRaisesRegex(UserError, words):
                self._file(data)
        self.assertEqual(self.env["billpay.run"].search_count([]), runs)
        self.assertNothingMade(contacts)

    def test_template_fits(self):
        wizard = self._wizard(source="sheet")
        wizard.action_template()
        data = base64.b64decode(wizard.with_context(bin_size=False).download)
        with self.assertRaisesRegex(UserError, "no rows"):
            self._file(data)

    def test_new_contacts_only_when_wanted(self):
        run = self._sheet(
            ("Name", "Phone"), ("Zuhura", "0712000001"), create_contacts=False
        )
        self.assertIn("creating contacts is disabled", run.line_ids.reason)

    def test_contacts_are_known_however_they_are_written(self):
        """Case, blanks, apostrophes, dropped zeros: nobody is made twice."""
        ngombe = self._pupil("Ng'ombe Ally")
        seven = self._pupil("Amina Said", ref="007")
        run = self._sheet(
            ("Name", "Reference", "Parent", "Phone"),
            ("ASHA  MUSHI", "-", "NEEMA MUSHI", "N/A"),
            ("ng’ombe ally", "HANA", "Neema  Mushi", "-"),
            ("Amina S.", 7, "", ""),
        )
        self.assertEqual(
            run.line_ids.sorted("row").mapped("partner_id.id"),
            [self.asha.id, ngombe.id, seven.id],
            run.line_ids.mapped("reason"),
        )

    def test_a_namesake_with_another_phone_is_asked_for(self):
        self.asha.phone = "0712 345 678"
        header = ("Name", "Reference", "Phone")
        for phone in ("0755000111", "+255 (0) 755 000 111", 755000111):
            run = self._sheet(header, ("Asha Mushi", "", phone))
            self.assertFalse(run.line_ids.partner_id)
            self.assertIn("has another phone here, 0712 345 678", run.line_ids.reason)
        run = self._sheet(header, ("Asha Mushi", "", "712345678.0"))
        self.assertEqual(run.line_ids.partner_id, self.asha)
        self.asha.ref = "S-1"
        run = self._sheet(header, ("Asha Mushi", "S-1", "0755000111"))
        self.assertEqual(run.line_ids.partner_id, self.asha)

    def test_of_two_references_the_one_as_it_is_written(self):
        seven = self._pupil("Amina Said", ref="7")
        agent = self._pupil("Bakari Said", ref="007")
        run = self._sheet(("Name", "Reference"), ("Bakari", "007"), ("Amina", "7x"))
        self.assertEqual(run.line_ids.sorted("row")[0].partner_id, agent)
        run = self._sheet(("Name", "Reference"), ("Amina", "7"))
        self.assertEqual(run.line_ids.partner_id, seven)
        run = self._sheet(("Name", "Reference"), ("Amina", "0007"))
        self.assertEqual(run.line_ids.partner_id, seven)
        agent.name = "Amina Juma"
        run = self._sheet(("Name", "Reference"), ("Amina", "0007"))
        self.assertIn("2 contacts fit", run.line_ids.reason)

    def test_siblings_with_arabic_or_chinese_names_are_different_pupils(self):
        """Letters of other scripts were none: all of these had one empty key."""
        run = self._sheet(
            ("Name", "Phone"),
            ("محمد علي", "0712000001"),
            ("فاطمة علي", "0712000001"),
            ("王小明", "0712000001"),
            ("王小红", "0712000001"),
            ("مُحَمَّد علي", "+255 (0) 712 000 001"),
        )
        lines = run.line_ids.sorted("row")
        self.assertEqual(lines.mapped("state"), ["waiting"] * 4 + ["problem"])
        self.assertIn("stands in row 2", lines[4].reason)
        run.action_start()
        self._work()
        self.assertEqual(len(run.line_ids.partner_id), 4)

    def test_purposes_with_arabic_names_are_not_mixed_up(self):
        fees, books = (
            self.tuition.copy({"name": name}) for name in ("رسوم الدراسة", "كتب")
        )
        run = self._sheet(
            ("Name", "Phone", "Purpose"),
            ("Zuhura", "0712000001", "رسوم الدراسة"),
            ("Zuhura", "0712000001", "كتب"),
            ("Zuhura", "0712000001", "طعام"),
        )
        lines = run.line_ids.sorted("row")
        self.assertEqual(lines.mapped("purpose_id"), fees | books)
        self.assertEqual(lines.mapped("state"), ["waiting", "waiting", "problem"])

    def test_two_phones_in_a_cell_and_landlines(self):
        run = self._sheet(
            ("Name", "Phone"),
            ("Zuhura", "022 211 1234 / 0712 000 001"),
            ("Amani", "022 211 1234"),
            ("Baraka", "712000002.0"),
        )
        lines = run.line_ids.sorted("row")
        self.assertEqual(lines[0].new_phone, "+255712000001")
        self.assertIn("no Tanzanian mobile", lines[1].reason)
        self.assertEqual(lines[2].new_phone, "+255712000002")

    def test_namesakes_are_told_apart_or_asked_for(self):
        twin = self._pupil("Asha Mushi")
        run = self._sheet(("Name", "Parent"), ("Asha Mushi", "Neema Mushi"))
        self.assertIn("2 contacts fit", run.line_ids.reason)
        twin.ref = "S-44"
        run = self._sheet(("Name", "Reference"), ("Asha Mushi", "S-44"))
        self.assertEqual(run.line_ids.partner_id, twin)
