# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import datetime
import io
import re
from datetime import timedelta
from unittest.mock import patch

from freezegun import freeze_time
from PIL import Image

from odoo import fields
from odoo.tests import tagged
from odoo.tools.translate import code_translations

from .. import page_texts
from .common import BillPayCommon, BillPayHttpCommon, slow


@tagged("post_install", "-at_install")
class TestPayPageModel(BillPayCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.Number = cls.env["billpay.control.number"].sudo()

    def _number(self, state="open", amount=150000, **values):
        """A number of an invoice, in a state, without asking ClickPesa."""
        number = self._invoice(amount).billpay_number_id.sudo()
        if state == "open":
            return self._make_known(number, **values)
        number.write({"state": state, **values})
        return number

    # === Address === #

    def test_address_leads_to_its_number(self):
        number = self._number()
        path = self.env["billpay.pay.page"]._get_pay_path(number).split("/")
        self.assertEqual(path[:2], ["", "billpay"])
        self.assertRegex(path[3], r"^[0-9a-f]{32}$")
        self.assertEqual(
            self.Number.env["billpay.pay.page"]._find_for_page(path[2], path[3]), number
        )

    def test_number_may_be_typed_with_spaces(self):
        number = self._number()
        found = self.Number.env["billpay.pay.page"]._find_for_page(
            number.display_number, self.env["billpay.pay.page"]._pay_signature(number)
        )
        self.assertEqual(found, number)

    def test_address_is_absolute_and_not_that_of_the_request(self):
        self.env["ir.config_parameter"].sudo().set_param(
            "web.base.url", "https://erp.example.co.tz"
        )
        number = self._number()
        self.assertEqual(
            self.env["billpay.pay.page"]._get_pay_url(number, lang="sw"),
            f"https://erp.example.co.tz{self.env['billpay.pay.page']._get_pay_path(number)}?lang=sw",
        )

    def test_same_digits_of_two_applications_are_told_apart(self):
        number = self._number()
        twin = number.copy(
            {
                "name": number.name,
                "provider_id": self._make_application(self.company).id,
                "move_id": False,
            }
        )
        self.assertNotEqual(
            self.env["billpay.pay.page"]._pay_signature(number),
            self.env["billpay.pay.page"]._pay_signature(twin),
        )
        for one in (number, twin):
            self.assertEqual(
                self.Number.env["billpay.pay.page"]._find_for_page(
                    one.name, self.env["billpay.pay.page"]._pay_signature(one)
                ),
                one,
            )

    def test_signature_of_another_number_opens_nothing(self):
        one, other = self._number(), self._number()
        self.assertFalse(
            self.Number.env["billpay.pay.page"]._find_for_page(
                one.name, self.env["billpay.pay.page"]._pay_signature(other)
            )
        )

    def test_anything_else_opens_nothing(self):
        number = self._number()
        good = self.env["billpay.pay.page"]._pay_signature(number)
        for name, signature in (
            (number.name, good.upper() + "x"),
            (number.name, good[:-1]),
            (number.name, good + "\n"),
            (number.name, ""),
            (number.name, "é" * 32),
            (number.name, None),
            (number.name[:-1], good),
            ("", good),
            ("%", good),
            ("\x00" + number.name, good),
            ("\ud800", good),
            ("".join(chr(0x660 + int(c)) for c in number.name), good),
            ("9" * 100000, good),
            (None, good),
        ):
            with self.subTest(number=name and name[:20], signature=signature):
                self.assertFalse(
                    self.Number.env["billpay.pay.page"]._find_for_page(name, signature)
                )
                if name is not None and signature is not None:
                    self.assertIsNone(
                        self.Number.env["billpay.pay.page"]._page_watch(name, signature)
                    )

    # === What the page says === #

    def test_state_of_an_open_number(self):
        self.assertEqual(
            self.env["billpay.pay.page"]._get_page_state(self._number()), "open"
        )

    def test_state_follows_the_invoice(self):
        number = self._number()
        number.move_id.button_draft()
        number.state = "open"
        self.assertEqual(self.env["billpay.pay.page"]._get_page_state(number), "closed")

    def test_invoice_paid_in_another_way_is_settled(self):
        number = self._number()
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=number.move_id.ids
        ).create({})._create_payments()
        for state in ("open", "closed"):
            number.state = state
            self.assertEqual(
                self.env["billpay.pay.page"]._get_page_state(number), "settled"
            )

    def test_partly_paid_leads_to_the_successor(self):
        first = self._number()
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=first.move_id.ids
        ).create({"amount": 50000})._create_payments()
        first.state = "paid"
        self.assertEqual(self.env["billpay.pay.page"]._get_page_state(first), "partial")
        values = self.env["billpay.pay.page"]._page_state_values(first)
        self.assertEqual(values["amount_due"], 100000)
        self.assertEqual(values["successor_url"], "")
        self.assertFalse(values["final"])
        first.move_id._billpay_after_payment()
        second = first.successor_id
        self.assertTrue(second)
        values = self.env["billpay.pay.page"]._page_state_values(first)
        self.assertEqual(
            values["successor_url"], self.env["billpay.pay.page"]._get_pay_url(second)
        )
        self.assertTrue(values["final"])
        page = self.env["billpay.pay.page"]._pay_page_values(first, "en")
        self.assertIn("TZS\u00a0100,000", page["t"]["partial_body"])

    def test_old_paper_leads_to_the_last_number(self):
        first, second, third = self._number("closed"), self._number(), self._number()
        second.write({"predecessor_id": first.id, "state": "closed"})
        third.predecessor_id = second
        self.assertEqual(
            self.env["billpay.pay.page"]._get_page_state(first), "replaced"
        )
        self.assertEqual(self.env["billpay.pay.page"]._get_next_number(first), third)

    def test_numbers_that_follow_each_other_in_a_circle_end(self):
        one, two = self._number("closed"), self._number("closed")
        one.predecessor_id, two.predecessor_id = two, one
        self.assertIn(self.env["billpay.pay.page"]._get_next_number(one), one | two)

    def test_number_that_must_not_be_paid_shows_no_steps(self):
        for state in ("pending", "closed", "failed", "paid"):
            with self.subTest(state=state):
                values = self.env["billpay.pay.page"]._pay_page_values(
                    self._number(state), "en"
                )
                self.assertFalse(values["channels"])
                self.assertFalse(values["qr"])

    def test_page_tells_nothing_of_the_customer_but_the_name(self):
        self.partner.write({"street": "Secret street", "phone": "+255712345678"})
        text = repr(self.env["billpay.pay.page"]._pay_page_values(self._number(), "en"))
        self.assertIn("Juma Hamisi", text)
        for secret in ("Secret street", "255712345678", "juma@example.com"):
            self.assertNotIn(secret, text)

    def test_customer_number_does_not_tell_whose_it_is(self):
        number = self._number()
        number.write({"kind": "customer", "move_id": False, "amount": 0})
        values = self.env["billpay.pay.page"]._pay_page_values(number, "en")
        self.assertNotIn("Juma Hamisi", repr(values))
        self.assertFalse(values["asks_amount"])
        self.assertIn("as much as you want", repr(values["channels"]))

    def _card(self, **values):
        """A customer's number, as on a card that somebody finds."""
        number = self._number()
        values = {"kind": "customer", "move_id": False, "amount": 0, **values}
        return self._make_known(number, **values)

    def _money(self, number, amount, receipt, ago, **values):
        """Money that came on a number so long ago."""
        return (
            self.env["billpay.payment"]
            .sudo()
            .create(
                {
                    "provider_id": number.provider_id.id,
                    "control_number_id": number.id,
                    "reference": f"LCP{receipt}",
                    "receipt": receipt,
                    "number": number.name,
                    "amount": amount,
                    "currency_id": self.tzs.id,
                    "currency_code": "TZS",
                    "paid_at": fields.Datetime.now() - ago,
                    "status": "SUCCESS",
                    "state": "confirmed",
                    **values,
                }
            )
        )

    def _shown(self, number, since=None):
        """All that whoever has the address can read: the page, and its answers."""
        page = self.env["billpay.pay.page"].with_env(self.Number.env)
        self.env.flush_all()
        self.env.invalidate_all()
        return [
            page._pay_page_values(number, "en", since=since),
            page._page_watch(number.name, page._pay_signature(number), since),
            page._page_state_values(number, since),
        ]

    def test_a_found_card_tells_no_history(self):
        page = self.env["billpay.pay.page"]
        for state in ("open", "pending", "paid", "closed"):
            with self.subTest(state=state):
                card, other = self._card(state=state), self._card()
                self._money(card, 77770, f"OLDA{state}", timedelta(days=40))
                self._money(card, 8880, f"OLDB{state}", timedelta(minutes=10))
                own, foreign = page._opened_token(card), page._opened_token(other)
                early = page._sign_pay_page(card.id, card.name)
                for since in (
                    None,
                    own,
                    foreign,
                    own[:-2],
                    own.swapcase(),
                    "2000-01-01 00:00:00",
                    early,
                    "0",
                    "\ud800",
                    "=" * 5000,
                    7,
                ):
                    shown = self._shown(card, since)
                    text = repr([{**item, "since": ""} for item in shown])
                    for secret in ("77,770", "8,880", "86,650", "86650", "OLD"):
                        self.assertNotIn(secret, text, since)
                    self.assertEqual([item["amount_paid"] for item in shown], [0.0] * 3)

    def test_an_open_page_tells_what_was_paid_meanwhile(self):
        card = self._card()
        self._money(card, 77770, "OLD", timedelta(days=40))
        since = self._shown(card)[0]["since"]
        self.assertEqual(self._shown(card, since)[0]["since"], since)
        self._money(card, 5000, "NEW1", timedelta(seconds=1))
        self._money(card, 1500, "NEW2", timedelta())
        self._money(card, 9, "FAILED", timedelta(), state="ignored")
        for item in self._shown(card, since):
            self.assertEqual(item["amount_paid"], 6500)
        page, _watched, stands = self._shown(card, since)
        self.assertEqual(page["receipt"], "NEW2, NEW1")
        self.assertEqual(stands["amount_paid_text"], "TZS\u00a06,500")
        self.assertIn(f"since={since}", page["watch_url"])
        self.assertIn(f"since={since}", page["language_urls"]["sw"])
        # Whoever keeps the address for later begins anew.
        with freeze_time(fields.Datetime.now() + timedelta(hours=13)):
            for item in self._shown(card, since):
                self.assertEqual(item["amount_paid"], 0)

    def test_an_invoices_page_tells_what_was_paid_on_it(self):
        number = self._number(state="paid")
        self._money(number, 150000, "RCPT", timedelta(days=40))
        page, _watched, stands = self._shown(number)
        self.assertEqual((page["amount_paid"], page["receipt"]), (150000, "RCPT"))
        self.assertEqual(stands["amount_paid"], 150000)
        self.assertFalse(page["since"])

    def test_what_a_customer_owes_is_the_companys_to_show(self):
        purpose = self.env["billpay.purpose"].create(
            {"name": "Tuition", "company_id": self.company.id, "default_amount": 20000}
        )
        for values, hidden, chosen in (
            # What a family owes, on an individual amount or none.
            ({"amount": 345000}, 0, 345000),
            ({"amount": 345000, "purpose_id": purpose.id}, 0, 345000),
            ({}, 0, 260000),
            # Everybody is asked for it; nothing else can be paid.
            ({"amount": 20000, "purpose_id": purpose.id}, 20000, 20000),
            ({"amount": 345000, "mode": "exact"}, 345000, 345000),
        ):
            with self.subTest(values=values):
                pupil = self.partner.copy({"name": "Neema Hamisi"})
                self._invoice(260000, partner=pupil)
                card = self._card(partner_id=pupil.id, **values)
                self.company.billpay_page_due = False
                page, _watched, stands = self._shown(card)
                self.assertEqual(page["asks_amount"], bool(hidden))
                self.assertEqual(stands["amount_due"], hidden)
                if not hidden:
                    text = repr(page | {"qr": ""})
                    for secret in ("345,000", "260,000", "345000", "260000"):
                        self.assertNotIn(secret, text)
                    self.assertIn("as much as you want", repr(page["channels"]))
                known = self.env["billpay.pay.page"]._pay_page_values(
                    card, "en", show_due=True
                )
                self.assertEqual(known["amount"], f"TZS\u00a0{chosen:,}")
                self.company.billpay_page_due = True
                page, _watched, stands = self._shown(card)
                self.assertEqual(page["amount"], f"TZS\u00a0{chosen:,}")
                self.assertEqual(stands["amount_due"], chosen)

    def test_asked_amount_is_what_clickpesa_was_told(self):
        number = self._number(amount=150000)
        number.amount = 60000
        self.assertEqual(
            self.env["billpay.pay.page"]._pay_page_values(number, "en")["amount"],
            "TZS\u00a060,000",
        )

    # === Watching === #

    def test_watching_costs_one_query(self):
        number = self._number()
        signature = self.env["billpay.pay.page"]._pay_signature(number)
        self.env.flush_all()
        with self.assertQueryCount(1):
            values = self.Number.env["billpay.pay.page"]._page_watch(
                number.name, signature
            )
        self.assertEqual(
            values, {"state": "open", "paid": False, "amount_paid": 0.0, "final": False}
        )

    def test_watching_uses_an_index(self):
        number = self._number()
        self.env.flush_all()
        self.env.cr.execute("SET LOCAL enable_seqscan = off")
        self.env.cr.execute(
            "EXPLAIN SELECT id FROM billpay_control_number WHERE name = %s",
            [number.name],
        )
        plan = " ".join(row[0] for row in self.env.cr.fetchall())
        self.assertIn("billpay_control_number_name_idx", plan)

    def test_watched_payment_is_told_with_its_receipt(self):
        move = self._registered_invoice()
        number = move.billpay_number_id.sudo()
        payment = self._pay(number.name, 150000)
        self._event(payment)
        self._process()
        values = self.Number.env["billpay.pay.page"]._page_watch(
            number.name, self.env["billpay.pay.page"]._pay_signature(number)
        )
        self.assertEqual(values["state"], "paid")
        self.assertTrue(values["paid"])
        self.assertTrue(values["final"])
        self.assertEqual(values["amount_paid"], 150000)
        self.assertEqual(values["amount_paid_text"], "TZS\u00a0150,000")
        self.assertEqual(values["receipt"], payment["paymentReference"])

    # === QR code === #

    def test_qr_code_is_black_and_white_and_sharp(self):
        png = self.Number.env["billpay.pay.page"]._qr_png(
            "https://erp.example.co.tz/billpay/1/2", box_size=8
        )
        image = Image.open(io.BytesIO(png))
        self.assertEqual(image.mode, "1")
        self.assertEqual(image.width, image.height)
        self.assertFalse(image.width % 8)

    def test_qr_code_says_the_address_of_the_page(self):
        number = self._number()
        page = self.env["billpay.pay.page"]
        with patch.object(type(page), "_qr_png", return_value=b"x") as made:
            values = page._pay_page_values(number)
        self.assertEqual(made.call_args.args, (page._get_pay_url(number),))
        self.assertTrue(values["qr"])

    # === Texts === #

    def test_every_text_has_its_swahili(self):
        swahili = code_translations.get_python_translations("billpay_odoo", "sw")
        for key, text in page_texts.TEXTS.items():
            with self.subTest(key=key):
                self.assertTrue(swahili.get(text._translate("en_US")))

    def test_placeholders_survive_translation(self):
        values = {
            "payee": "@1",
            "amount": "@2",
            "received": "@3",
            "before": "@_",
            "ussd": "@4",
            "bill": "@5",
            "what": "@6",
            "number": "@7",
            "sum": "@8",
            "early": "@9",
            "early_date": "@0",
        }
        english = page_texts.texts("en", **values)
        swahili = page_texts.texts("sw", **values)
        self.assertEqual(english.keys(), page_texts.TEXTS.keys())
        for key in english:
            for mark in values.values():
                self.assertEqual(mark in english[key], mark in swahili[key], key)

    def test_language_of_the_page(self):
        choose = page_texts.page_language
        self.assertEqual(choose("sw_TZ"), "sw")
        self.assertEqual(choose("fr_FR", "", None, "sw"), "sw")
        self.assertEqual(choose("en-GB", "sw"), "en")
        self.assertEqual(choose("zz", 5), "en")

    def test_amounts_and_dates_as_payers_read_them(self):
        text = page_texts.amount_text
        self.assertEqual(text(1234567, self.tzs), "TZS\u00a01,234,567")
        self.assertEqual(text(1250.5, self.tzs), "TZS\u00a01,250.50")
        date = datetime.date(2026, 12, 6)
        self.assertEqual(page_texts.date_text(date, "en"), "6 Dec 2026")
        self.assertEqual(page_texts.date_text(date, "sw"), "6 Des 2026")
        self.assertEqual(page_texts.date_text(False, "sw"), "")


@tagged("post_install", "-at_install")
class TestPayPage(BillPayHttpCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env.ref("billpay_odoo.channel_mpesa").sudo().company_number = "554433"

    def _number(self, state="open", **values):
        number = self._invoice().billpay_number_id.sudo()
        if state == "open":
            self._make_known(number, **values)
        else:
            number.write({"state": state, **values})
        self.env.flush_all()
        return number

    def _get(self, path, **headers):
        return self.url_open(path, headers=headers, allow_redirects=False)

    def test_page_shows_how_to_pay_without_login(self):
        number = self._number()
        response = self._get(self.env["billpay.pay.page"]._get_pay_path(number))
        self.assertEqual(response.status_code, 200)
        for text in (
            "Duka la Asha",
            "TZS\u00a0150,000",
            f'data-number="{number.name}"',
            number.move_id.name,
            "Juma Hamisi",
            'href="tel:*150*00%23"',
            "CRDB Wakala",
        ):
            self.assertIn(text, response.text)
        self.assertNotIn("juma@example.com", response.text)

    def test_page_is_for_its_payer_alone(self):
        response = self._get(self.env["billpay.pay.page"]._get_pay_path(self._number()))
        self.assertEqual(response.headers["Cache-Control"], "no-store")
        self.assertEqual(response.headers["Referrer-Policy"], "no-referrer")
        self.assertIn("noindex", response.headers["X-Robots-Tag"])
        self.assertIn('content="noindex, nofollow"', response.text)
        self.assertNotIn("session_id", response.cookies)

    def test_no_other_page_shows_it_as_its_own(self):
        path = self.env["billpay.pay.page"]._get_pay_path(self._number())
        for suffix in ("", "?lang=sw", "/state"):
            headers = self._get(path + suffix).headers
            self.assertIn("frame-ancestors 'none'", headers["Content-Security-Policy"])
            self.assertEqual(headers["X-Frame-Options"], "DENY")

    def test_nothing_that_others_add_to_a_site_reads_it(self):
        """Analytics and custom code stand in the layout of the site."""
        for layout in ("portal.frontend_layout", "web.frontend_layout", "web.layout"):
            self.env["ir.ui.view"].sudo().create(
                {
                    "name": f"Analytics in {layout}",
                    "type": "qweb",
                    "inherit_id": self.env.ref(layout).id,
                    "arch": """<xpath expr="//head" position="inside">
                        <script src="https://tracker.example/a.js"/></xpath>""",
                }
            )
        for state in ("open", "pending", "paid", "closed"):
            number = self._number(state)
            path = self.env["billpay.pay.page"]._get_pay_path(number)
            text = self._get(path).text
            self.assertIn(number.name, text.replace("</span><span>", ""))
            self.assertNotIn("tracker", text)
            self.assertNotIn("assets_frontend", text)
            scripts = re.findall(r"<script[^>]*>", text)
            self.assertEqual(len(scripts), 1)
            self.assertIn("assets_pay_page", scripts[0])
        self.assertIn("tracker", self._get("/web/login").text)

    def test_anything_wrong_is_the_404_of_any_page(self):
        number = self._number()
        other = self._number()
        good = self.env["billpay.pay.page"]._pay_signature(number)
        any_page = self._get("/there-is-no-such-page")
        self.assertEqual(any_page.status_code, 404)
        for path in (
            f"/billpay/{number.name}/{self.env['billpay.pay.page']._pay_signature(other)}",
            f"/billpay/{number.name}/{good[:-1]}",
            f"/billpay/{number.name}/{good.upper()}",
            f"/billpay/{number.name}/x",
            f"/billpay/{number.name}",
            f"/billpay/%00{number.name}/{good}",
            f"/billpay/%ff%fe/{good}",
            f"/billpay/%D9%A1%D9%A2/{good}",
            f"/billpay/{'9' * 4000}/{good}",
            f"/billpay/{number.name}/{'f' * 4000}",
            f"/billpay/{number.name}'--/{good}",
            "/billpay/{{7*7}}/${7*7}",
        ):
            for suffix in ("", "/state"):
                with self.subTest(path=path[:60] + suffix):
                    response = self._get(path + suffix)
                    self.assertEqual(response.status_code, 404)
                    self.assertNotIn("Duka la Asha", response.text)
        bad_signature = self._get(
            f"/billpay/{number.name}/{self.env['billpay.pay.page']._pay_signature(other)}"
        )
        self.assertEqual(
            bad_signature.text.partition("<main")[2].partition("</main")[0],
            any_page.text.partition("<main")[2].partition("</main")[0],
        )
        self.assertIn("<main", any_page.text)

    def test_strange_parameters_are_no_error(self):
        path = self.env["billpay.pay.page"]._get_pay_path(self._number())
        for query in (
            "lang=xx",
            "lang=",
            "lang=sw&lang=en",
            "number=1&x=%00",
            "lang=%ff",
        ):
            with self.subTest(query=query):
                self.assertEqual(self._get(f"{path}?{query}").status_code, 200)

    def test_other_methods_are_refused(self):
        path = self.env["billpay.pay.page"]._get_pay_path(self._number())
        for suffix in ("", "/state"):
            response = self.url_open(path + suffix, data={"a": "b"}, method="POST")
            self.assertEqual(response.status_code, 405)

    def test_number_with_spaces_in_the_address(self):
        number = self._number()
        spaced = number.display_number.replace(" ", "%20")
        response = self._get(
            f"/billpay/{spaced}/{self.env['billpay.pay.page']._pay_signature(number)}"
        )
        self.assertEqual(response.status_code, 200)

    def test_swahili_without_the_language_installed(self):
        self.assertFalse(self.env["res.lang"].search([("code", "=", "sw")]))
        response = self._get(
            self.env["billpay.pay.page"]._get_pay_path(self._number()) + "?lang=sw"
        )
        for text in ("Jinsi ya kulipa", "Kiasi cha kulipa", "Piga <strong>*150*00#"):
            self.assertIn(text, response.text)
        self.assertNotIn("How to pay", response.text)

    def test_browsers_language_is_the_default(self):
        path = self.env["billpay.pay.page"]._get_pay_path(self._number())
        swahili = self._get(path, **{"Accept-Language": "sw-TZ,en;q=0.5"})
        self.assertIn("Jinsi ya kulipa", swahili.text)
        french = self._get(path, **{"Accept-Language": "fr,en;q=0.5"})
        self.assertIn("How to pay", french.text)
        english = self._get(path + "?lang=en", **{"Accept-Language": "sw"})
        self.assertIn("How to pay", english.text)

    def test_what_users_typed_is_escaped(self):
        evil = "<script>alert(1)</script>"
        self.company.name = evil
        self.partner.name = evil
        mixx = self.env.ref("billpay_odoo.channel_mixx").sudo()
        mixx.write(
            {"name": evil, "steps_en": evil + "{number}{amount}", "initials": "<>"}
        )
        response = self._get(self.env["billpay.pay.page"]._get_pay_path(self._number()))
        self.assertEqual(response.status_code, 200)
        self.assertNotIn(evil, response.text)
        self.assertGreaterEqual(response.text.count("&lt;script&gt;alert(1)"), 4)

    def test_every_state_has_its_page_in_both_languages(self):
        for state, texts in {
            "pending": ("One moment, please", "Tafadhali subiri kidogo"),
            "paid": ("Paid – thank you!", "Imelipwa – asante!"),
            "closed": ("Do not pay this control number", "Usilipe tena kwa"),
            "failed": ("does not work", "haifanyi kazi"),
        }.items():
            number = self._number(state)
            if state == "paid":
                number.move_id = False
                number.amount = 0
            for lang, text in zip(("en", "sw"), texts, strict=True):
                with self.subTest(state=state, lang=lang):
                    response = self._get(
                        f"{self.env['billpay.pay.page']._get_pay_path(number)}?lang={lang}"
                    )
                    self.assertEqual(response.status_code, 200)
                    self.assertIn(text, response.text)
                    self.assertNotIn("tel:", response.text)

    def test_state_answers_json_that_nobody_keeps(self):
        number = self._number()
        response = self._get(
            self.env["billpay.pay.page"]._get_pay_path(number) + "/state"
        )
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response.json()["state"], "open")
        self.assertFalse(response.json()["paid"])
        self.assertEqual(response.headers["Cache-Control"], "no-store")
        self.assertNotIn("session_id", response.cookies)

    # === In the browser === #

    def _browse(self, number, code):
        self.browser_js(
            self.env["billpay.pay.page"]._get_pay_path(number) + "?lang=en",
            code=code,
            ready="document.querySelector('[data-billpay=copy]:not(.d-none)') !== null",
            login=None,
        )

    @slow
    def test_copy_gives_the_digits_without_spaces(self):
        number = self._number()
        self._browse(
            number,
            """
            const digits = %r;
            let copied = null;
            const clipboard = { writeText: async (text) => { copied = text; } };
            Object.defineProperty(navigator, "clipboard", { value: clipboard });
            document.querySelector("[data-billpay=copy]").click();
            setTimeout(() => {
                const label = document.querySelector("[data-billpay=copy-text]");
                if (copied === digits && label.innerText.trim() === "Copied") {
                    console.log("test successful");
                } else {
                    console.error(`copied ${copied}, label ${label.innerText}`);
                }
            }, 200);
            """
            % number.name,
        )

    @slow
    def test_copy_works_where_the_browser_has_no_clipboard(self):
        number = self._number()
        self._browse(
            number,
            """
            const digits = %r;
            let copied = null;
            Object.defineProperty(navigator, "clipboard", { value: undefined });
            document.execCommand = (command) => {
                copied = command === "copy" && document.activeElement.value;
                return true;
            };
            document.querySelector("[data-billpay=copy]").click();
            setTimeout(() => {
                const label = document.querySelector("[data-billpay=copy-text]");
                if (copied === digits && label.innerText.trim() === "Copied") {
                    console.log("test successful");
                } else {
                    console.error(`copied ${copied}, label ${label.innerText}`);
                }
            }, 200);
            """
            % number.name,
        )

    @slow
    def test_tabs_show_their_steps_by_click_and_by_key(self):
        self._browse(
            self._number(),
            """
            const tabs = [...document.querySelectorAll("[role=tab]")];
            const shown = () => [...document.querySelectorAll("[role=tabpanel]")]
                .filter((panel) => !panel.hidden).map((panel) => panel.id).join();
            const panel = (tab) => tab.getAttribute("aria-controls");
            const check = (ok, what) => { if (!ok) { throw new Error(what); } };
            check(shown() === panel(tabs[0]), "first tab at the start");
            tabs[2].click();
            check(shown() === panel(tabs[2]), "third tab after a click");
            const left = { key: "ArrowLeft", bubbles: true };
            tabs[2].dispatchEvent(new KeyboardEvent("keydown", left));
            check(shown() === panel(tabs[1]), "second tab after the left arrow");
            check(document.activeElement === tabs[1], "focus on the second tab");
            check(tabs[1].getAttribute("aria-selected") === "true", "aria-selected");
            console.log("test successful");
            """,
        )

    @slow
    def test_an_open_page_stays_while_nothing_is_paid(self):
        """The server's answers are the real ones: two of them bring nothing new."""
        number = self._number()
        asked = []
        page = type(self.env["billpay.pay.page"])
        watch = page._page_watch

        def count(self, name, signature, since):
            asked.append(name)
            return watch(self, name, signature, since)

        with patch.object(page, "_page_watch", count):
            self._browse(
                number,
                """
                // A page that loads itself anew never comes to this.
                setTimeout(() => console.log("test successful"), 7500);
                """,
            )
        self.assertGreaterEqual(len(asked), 2)

    @slow
    def test_page_turns_green_by_itself(self):
        number = self._number()
        paid = {
            "state": "paid",
            "paid": True,
            "amount_paid": 150000.0,
            "amount_paid_text": "TZS 150,000",
            "amount_due": 0.0,
            "receipt": "RCPT0042",
            "successor_url": "",
            "final": True,
        }
        asked = []

        def watch(self, name, signature, since):
            asked.append(name)
            return paid

        with patch.object(type(self.env["billpay.pay.page"]), "_page_watch", watch):
            self._browse(
                number,
                """
                window.samePage = true;
                const wait = () => {
                    const paid = document.querySelector("[data-billpay=paid]");
                    if (paid.classList.contains("d-none")) {
                        setTimeout(wait, 100);
                        return;
                    }
                    const seen = paid.innerText;
                    const body = document.querySelector("[data-billpay=body]");
                    const ok = window.samePage && seen.includes("TZS 150,000")
                        && seen.includes("RCPT0042") && body.offsetHeight === 0;
                    if (ok) {
                        // Nothing more is asked once it is final.
                        setTimeout(() => console.log("test successful"), 4000);
                    } else {
                        console.error(seen);
                    }
                };
                wait();
                """,
            )
        self.assertEqual(asked, [number.name])

    @slow
    def test_a_card_shows_what_is_paid_while_its_page_is_open(self):
        """The server's answers are the real ones, but for the money in them."""
        number = self._number()
        number.write({"kind": "customer", "move_id": False, "amount": 0})
        page = type(self.env["billpay.pay.page"])
        paid, seen = page._paid_values, []

        def values(self, number, since=None):
            seen.append(self._opened(since)[0] == number.id)
            if not seen[-1] or len(seen) < 2:
                return paid(self, number, since)
            return {
                "amount_paid": 5000.0,
                "amount_paid_text": "TZS 5,000",
                "receipt": "RCPT0042",
            }

        watch = {"state": "open", "paid": False, "amount_paid": 5000.0, "final": False}
        with (
            patch.object(page, "_paid_values", values),
            patch.object(page, "_page_watch", lambda *args: watch),
        ):
            self.browser_js(
                self.env["billpay.pay.page"]._get_pay_path(number) + "?lang=en",
                # A page that loads itself anew again never comes to this.
                code="""setTimeout(() => console.log("test successful"), 4000);""",
                ready="""document.querySelector(".o_billpay_received")
                    ?.innerText.includes("RCPT0042") === true""",
                login=None,
            )
        self.assertEqual(seen, [True, True])

    # === Portal === #

    def _portal(self, move, query=""):
        self.env.flush_all()
        return self._get(move.get_portal_url(query_string=query))

    def test_portal_invoice_shows_how_to_pay(self):
        number = self._number()
        response = self._portal(number.move_id)
        self.assertEqual(response.status_code, 200)
        self.assertIn(f'data-number="{number.name}"', response.text)
        self.assertIn("Jinsi ya kulipa", self._portal(number.move_id, "&lang=sw").text)

    def test_portal_invoice_without_a_number_to_pay_is_as_before(self):
        for state in ("closed", "failed", "paid"):
            with self.subTest(state=state):
                response = self._portal(self._number(state).move_id)
                self.assertEqual(response.status_code, 200)
                self.assertNotIn("o_billpay", response.text)

    def test_portal_list_shows_the_number(self):
        number = self._number()
        user = (
            self.env["res.users"]
            .sudo()
            .with_context(no_reset_password=True)
            .create(
                {
                    "name": "Juma",
                    "login": "billpay_portal",
                    "password": "billpay_portal",
                    "partner_id": self.partner.id,
                    "group_ids": [(6, 0, [self.env.ref("base.group_portal").id])],
                }
            )
        )
        number.move_id.message_subscribe(self.partner.ids)
        self.env.flush_all()
        self.authenticate(user.login, "billpay_portal")
        response = self._get("/my/invoices")
        self.assertEqual(response.status_code, 200)
        self.assertIn(number.display_number, response.text)
