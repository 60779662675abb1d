# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from psycopg2 import IntegrityError

from odoo.exceptions import ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import BillPayCommon


@tagged("post_install", "-at_install")
class TestChannel(BillPayCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.Channel = cls.env["billpay.channel"].sudo()
        cls.mpesa = cls.env.ref("billpay_odoo.channel_mpesa").sudo()
        cls.mixx = cls.env.ref("billpay_odoo.channel_mixx").sudo()

    def _own(self, channel, **values):
        """The test company's own version of a general channel."""
        return channel.copy({"company_id": self.company.id, **values})

    # === Which channels payers see === #

    def test_mpesa_is_hidden_until_its_company_number_is_entered(self):
        self.assertFalse(self.mpesa.complete)
        self.assertNotIn(self.mpesa, self.Channel._for_company(self.company))
        self.mpesa.company_number = "554433"
        self.assertEqual(self.Channel._for_company(self.company)[0], self.mpesa)

    def test_application_tells_which_ways_to_pay_are_hidden(self):
        self.assertIn("M-Pesa", self.provider.clickpesa_hidden_channels)
        self.assertIn("company number", self.provider.clickpesa_hidden_channels)
        self.mpesa.company_number = "555111"
        self.provider.invalidate_recordset(["clickpesa_hidden_channels"])
        self.assertFalse(self.provider.clickpesa_hidden_channels)

    def test_every_shipped_channel_but_mpesa_can_be_used_at_once(self):
        shipped = self.Channel.search([("company_id", "=", False)])
        self.assertEqual(len(shipped), 7)
        self.assertEqual(shipped - shipped.filtered("complete"), self.mpesa)

    def test_shipped_steps_exist_in_both_languages_and_name_the_number(self):
        for channel in self.Channel.search([("company_id", "=", False)]):
            with self.subTest(channel=channel.name):
                self.assertIn("{number}", channel.steps_en)
                self.assertIn("{number}", channel.steps_sw)
                self.assertIn("{amount}", channel.steps_en)
                self.assertEqual(
                    len(channel.steps_en.splitlines()),
                    len(channel.steps_sw.splitlines()),
                )

    def test_channel_without_steps_or_code_is_incomplete(self):
        self.mixx.ussd_code = False
        self.assertFalse(self.mixx.complete)
        self.assertEqual(self.mixx.missing, "USSD code")
        self.mixx.write({"ussd_code": "*150*01#", "steps_en": " ", "steps_sw": False})
        self.assertFalse(self.mixx.complete)

    def test_own_channel_replaces_the_general_one(self):
        own = self._own(self.mixx, ussd_code="*149#")
        channels = self.Channel._for_company(self.company)
        self.assertIn(own, channels)
        self.assertNotIn(self.mixx, channels)
        other_company = self.env["res.company"].sudo().create({"name": "Other"})
        self.assertIn(self.mixx, self.Channel._for_company(other_company))
        self.assertNotIn(own, self.Channel._for_company(other_company))

    def test_archived_own_channel_hides_the_general_one(self):
        self._own(self.mixx, active=False)
        codes = self.Channel._for_company(self.company).mapped("code")
        self.assertNotIn("mixx", codes)
        self.assertIn("airtel", codes)

    def test_channels_come_in_their_sequence(self):
        self.mixx.sequence = 999
        self.assertEqual(self.Channel._for_company(self.company)[-1], self.mixx)

    def test_copy_of_a_general_channel_is_the_companys_own(self):
        self.assertEqual(self.mixx.copy().company_id, self.company)

    def test_customise_opens_the_same_own_channel_again(self):
        first = self.mixx.action_customise()["res_id"]
        self.assertEqual(self.Channel.browse(first).company_id, self.company)
        self.assertEqual(self.mixx.action_customise()["res_id"], first)

    def test_company_has_one_channel_per_code(self):
        self._own(self.mixx)
        with mute_logger("odoo.sql_db"), self.assertRaises(IntegrityError):
            self._own(self.mixx)

    # === Recognising the channel of a payment === #

    def test_channel_is_found_by_clickpesas_words(self):
        for word, code in (
            ("M-PESA", "mpesa"),
            ("m pesa", "mpesa"),
            ("TIGO-PESA", "mixx"),
            ("AIRTEL-MONEY", "airtel"),
            ("HALOPESA", "halopesa"),
            ("CRDB COLLECTION", "crdb_simbanking"),
        ):
            with self.subTest(word=word):
                self.assertEqual(self.Channel._find_by_code(word).code, code)

    def test_unknown_words_find_nothing(self):
        for word in (None, "", "-", "VISA", 5, ["M-PESA"], "M-PESA2", "\x00"):
            with self.subTest(word=word):
                self.assertFalse(self.Channel._find_by_code(word))

    def test_renamed_word_is_found_at_once(self):
        self.assertFalse(self.Channel._find_by_code("NEWPAY"))
        self.mixx.clickpesa_codes = "NEWPAY, TIGO-PESA"
        self.assertEqual(self.Channel._find_by_code("newpay"), self.mixx)

    def test_archived_channel_is_still_recognised(self):
        self.mixx.action_archive()
        self.assertEqual(self.Channel._find_by_code("TIGO-PESA"), self.mixx)

    def test_own_channel_is_recognised_for_its_company_only(self):
        own = self._own(self.mixx)
        find = self.Channel._find_by_code
        self.assertEqual(find("TIGO-PESA", self.company), own)
        self.assertEqual(find("TIGO-PESA"), self.mixx)

    def test_finding_costs_no_query_once_known(self):
        self.Channel._find_by_code("M-PESA")
        with self.assertQueryCount(0):
            self.Channel._find_by_code("TIGO-PESA")

    # === Steps === #

    def _steps(self, lang="en", **options):
        return self.mixx._get_steps(
            lang, number="112212345678", amount="TZS 150,000", **options
        )

    def test_steps_carry_the_payers_own_values(self):
        steps = self._steps()
        self.assertIn("<strong>*150*01#</strong>", steps[0])
        self.assertIn("<strong>889999</strong>", steps[3])
        self.assertIn("<strong>112212345678</strong>", steps[4])
        self.assertIn("<strong>TZS 150,000</strong>", steps[5])

    def test_swahili_steps(self):
        self.assertIn("Piga", self._steps("sw")[0])
        self.mixx.steps_sw = False
        self.assertIn("Dial", self._steps("sw")[0])

    def test_short_steps_leave_out_the_dialling(self):
        self.assertEqual(self._steps(short=True), self._steps()[1:])

    def test_steps_are_text_not_format_strings_or_html(self):
        self.mixx.steps_en = "{number.__class__} {0} {unknown} <b>{number}</b> {"
        (step,) = self._steps()
        self.assertEqual(
            step,
            "{number.__class__} {0} {unknown} "
            "&lt;b&gt;<strong>112212345678</strong>&lt;/b&gt; {",
        )

    # === Fields === #

    def test_dial_link_encodes_the_hash(self):
        self.assertEqual(self.mpesa._get_dial_link(), "tel:*150*00%23")
        self.assertFalse(self.env.ref("billpay_odoo.channel_crdb_app")._get_dial_link())

    def test_what_phones_cannot_dial_is_refused(self):
        for code in ("javascript:alert(1)", "*150*00# call", "150", "*150*00#\n"):
            with self.subTest(code=code), self.assertRaises(ValidationError):
                self.mpesa.ussd_code = code

    def test_colour_that_is_not_one_is_refused(self):
        for color in ("red", "#fff", "#12345g", "#123456;background:url(x)"):
            with self.subTest(color=color), self.assertRaises(ValidationError):
                self.mpesa.color = color

    def test_initials_come_from_the_name_when_none_are_given(self):
        self.mixx.initials = False
        self.assertEqual(self.mixx._get_initials(), "MB")
