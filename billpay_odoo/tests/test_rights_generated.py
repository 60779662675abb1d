# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What each group may write, field by field: see :mod:`.rights`."""

from lxml import etree

from odoo.tests import Form, new_test_user, tagged
from odoo.tools import mute_logger

from .. import const
from .rights import RightsCommon, RoutesCommon
from .test_payment_transaction import CheckoutSteps

# What is written into one's own wizard is what its button acts on. The button checks
# the right of the user, and the fields that only Odoo sets are refused.
_UPLOADED = "application file filename date_order"


@tagged("post_install", "-at_install")
class TestFields(RightsCommon):
    """A field of this add-on that is not here takes nothing from people.

    Before a field is added: it says how money is asked for, and not what was paid; or
    whoever writes it has another way to the same end; or nothing acts on it.
    """

    allowed = {
        # How an invoice asks, of those who make invoices.
        "account.move": ("billpay_issue_on billpay_mode billpay_purpose_id",),
        # How a customer is asked, of those who keep contacts.
        "res.partner": ("billpay_invoice_number billpay_mode",),
        # Of BillPay managers, for their companies; changes of what leads payers are
        # tracked.
        "billpay.channel": (
            "active clickpesa_codes code color company_number fee_fixed fee_percent",
            "initials kind name needs_company_number sequence steps_en steps_sw",
            "ussd_code",
        ),
        "billpay.purpose": (
            "active allocation_policy color default_amount default_mode department_id",
            "description invoice_number journal_ids name product_category_ids",
            "provider_id reach sequence",
        ),
        # A clerk's own words for a run; that a class list makes contacts is the work of
        # those who bill (docs/decisions/rights.rst).
        "billpay.run": ("name department_id create_contacts",),
        "billpay.run.wizard": (
            _UPLOADED,
            "amount create_contacts currency_id date_from date_to department_id",
            "journal_ids mode move_ids partner_ids purpose_ids source tag_ids",
        ),
        "billpay.number.import": (_UPLOADED,),
        "billpay.payment.import": (_UPLOADED,),
        # What a column of the file is taken for.
        "billpay.number.import.column": ("meaning",),
        "billpay.payment.import.column": ("meaning",),
        "billpay.run.wizard.column": ("meaning",),
        # Which run is meant; its own rights count.
        "billpay.run.undo": ("run_id",),
        # What a row of the file is for, where the file does not tell.
        "billpay.number.import.line": ("kind move_id partner_id",),
        "billpay.number.change": ("amount mode number_ids currency_id",),
        # The run that prints them in the background, where its own rights count.
        "billpay.card.print": ("lang layout number_ids run_id without_ids",),
        "billpay.partner.number": ("partner_ids purpose_ids",),
        # Shown before the numbers are made; ClickPesa refuses what lacks something.
        "billpay.partner.number.line": ("number partner_id problem purpose_id",),
        # A receipt that a person types: kept as theirs, with their name.
        "billpay.payment.entry": (
            "amount application channel_id currency_id number paid_at payer_name",
            "payer_phone receipt",
        ),
        "billpay.payment.match": ("partner_id",),
        # What the person chose, and what is shown beside it.
        "billpay.payment.match.line": (
            "amount move_id partner_id reasons score sequence use",
        ),
        "billpay.payment.reason": ("kind payment_ids why",),
        "billpay.run.send": ("line_ids others_count run_id",),
    }

    def test_every_field_as_every_group(self):
        wrong = self._check_fields()
        self.assertFalse(wrong, "\n" + "\n".join(wrong))
        stale = self._never_written()
        self.assertFalse(stale, "\n" + "\n".join(stale))


# Opens a list or a form, which shows what the user may read.
_OPENS = "whoever reads it; what opens is bound by rules"
_BOOK = "makes invoices and payments (_check_accountant, _billpay_check); may read it"
_BILL = "makes invoices (_billpay_check_clerk); may read it"
_WRITES = "may write it (check_access), which is for clerks of the company"
_OWN = "whoever opened the wizard (rule); the right to book is checked"
_SYSTEM = "administrators (check_access)"


@tagged("post_install", "-at_install")
class TestMethods(RightsCommon):
    """Each method that a call can name: who may, and what is checked."""

    methods = {
        "account.move": {
            "action_billpay_check": _BILL,
            "action_billpay_issue": _BILL,
            "action_billpay_pay_page": "whoever reads the invoice and its number",
            "action_billpay_retry_number": _BOOK,
            "action_billpay_take_another_number": _BOOK,
            "action_view_billpay_numbers": _OPENS,
            "action_view_billpay_payments": _OPENS,
        },
        "billpay.card.print": {"action_print": "whoever opened it; reads the numbers"},
        "billpay.channel": {"action_customise": "managers (copy)"},
        "billpay.control.number": {
            "action_billpay_cards": "whoever reads the numbers",
            "action_change": _BILL,
            "action_close": _BILL,
            "action_new_numbers": _BILL,
            "action_open_pay_page": "whoever reads the number: the address is secret",
            "action_print_statement": "whoever reads the number",
            "action_reopen": _BILL,
            "action_retry": _BOOK,
            "action_take_another_number": _BOOK,
        },
        "billpay.day": {
            "action_fetch": "managers (_billpay_check); may read the days",
            "action_fetch_week": "managers (_billpay_check); shows nothing",
            "action_view_payments": "whoever reads the day; opens what rules allow",
            "action_view_rows": _OPENS,
        },
        "billpay.day.item": {"action_view": "whoever reads the day of the item"},
        "billpay.event": {"action_replay": "managers (_billpay_check); may read it"},
        "billpay.import": {
            "action_back": "whoever opened the wizard",
            "action_check": _OWN,
            "action_import": _OWN,
            "action_preview": _OWN,
            "action_report": _OWN,
            "action_template": _OWN,
        },
        "billpay.number.change": {"action_confirm": _BILL},
        "billpay.number.import": {"action_view_numbers": _OPENS},
        "billpay.partner.number": {"action_confirm": _BILL},
        "billpay.payment": {
            "action_confirm_by_hand": _BOOK,
            "action_mark_seen": _BOOK,
            "action_open_match": _BOOK,
            "action_open_put_aside": _BOOK,
            "action_open_undo": _BOOK,
            "action_process_now": _BOOK,
            "action_take_up": _BOOK,
            "action_view_entries": _OPENS,
            "action_view_quarantine": _OPENS,
            "retrieve_desk": "whoever reads payments; counts what the user reads",
        },
        "billpay.payment.entry": {"action_enter": _OWN},
        "billpay.payment.import": {"action_view_payments": _OPENS},
        "billpay.payment.match": {
            "action_match": _OWN,
            "action_not_ours": _OWN,
        },
        "billpay.payment.reason": {"action_confirm": _OWN},
        "billpay.purpose": {"action_view_numbers": _OPENS},
        "billpay.run": {
            "action_cancel": _WRITES,
            "action_cards": "whoever reads the numbers",
            "action_close_numbers": _WRITES,
            "action_download": _WRITES,
            "action_pause": _WRITES,
            "action_print_all": _WRITES,
            "action_resume": _WRITES,
            "action_retry_failed": _WRITES,
            "action_send_all": _WRITES,
            "action_sms_list": _WRITES,
            "action_start": _WRITES,
            "action_stop": _WRITES,
            "action_view_lines": _OPENS,
            "action_view_numbers": _OPENS,
            "action_view_payments": _OPENS,
            "action_view_problems": _OPENS,
            "action_view_unreachable": _OPENS,
        },
        "billpay.run.line": {
            "action_new_contact": _WRITES,
            "action_same_contact": _WRITES,
        },
        "billpay.run.send": {"action_send": _WRITES},
        "billpay.run.undo": {"action_take_back": _OWN},
        "billpay.run.wizard": {"action_prepare": _OWN},
        "payment.provider": {
            "action_billpay_channels": _OPENS,
            "action_billpay_new_numbers": _SYSTEM,
            "action_billpay_numbers": _OPENS,
            "action_billpay_poll": _SYSTEM,
            "action_billpay_test_connection": _SYSTEM,
        },
        "res.partner": {
            "action_billpay_cards": "whoever reads the numbers",
            "action_billpay_customer_numbers": _OPENS,
            "action_view_billpay_numbers": _OPENS,
            "action_view_billpay_payments": _OPENS,
            "action_view_billpay_unreported": _OPENS,
        },
    }

    # The rows of a bulk run stand on the run that it makes.
    unused = {
        ("billpay.run.wizard", name): "has no rows"
        for name in ("action_check", "action_import", "action_report")
    }

    def test_every_method_has_a_line(self):
        self.assertEqual(self._check_methods(), [])

    def test_nobody_changes_records_of_another_company(self):
        self.assertEqual(self._check_strangers(), [])

    def test_staff_without_rights_changes_nothing(self):
        self.assertEqual(self._check_staff(), [])

    def test_nobody_changes_records_of_another_department(self):
        self.assertEqual(self._check_departments(), [])

    def test_nobody_uses_the_wizard_of_a_colleague(self):
        self.assertEqual(self._check_colleagues(), [])

    def test_who_may_is_let_through(self):
        closed = [
            (model, name)
            for model, names in self.methods.items()
            for name, line in names.items()
            if line == _SYSTEM
        ]
        self.assertEqual(self._check_owners(), closed)


@tagged("post_install", "-at_install")
class TestRoutes(CheckoutSteps, RoutesCommon):
    """Each address of ours: who is asked for, and what a stranger gets."""

    routes = {
        "billpay_checkout": ("public", ["POST"], False, "only the own transaction"),
        "billpay_health": ("none", ["GET"], None, "404 without the token"),
        "billpay_health_by_header": ("none", ["GET"], None, "404 without the token"),
        "billpay_webhook": ("none", ["POST"], False, "404 without the token"),
        "billpay_webhook_by_header": (
            "none",
            ["POST"],
            False,
            "404 without the token",
        ),
        "pay_page": ("public", ["GET"], None, "404 without the signature"),
        "pay_page_state": ("public", ["GET"], None, "404 without the signature"),
        "portal_my_billpay": ("user", None, None, "the login page"),
        "portal_my_billpay_number": ("user", None, None, "the login page"),
        "portal_my_billpay_statement": ("user", None, None, "the login page"),
    }

    def test_every_route_has_a_line(self):
        self.assertEqual(self._check_routes(), {})

    def _secrets(self):
        """Make what strangers would want to see, and return how it is written."""
        self.partner.name = "Zuhura Mwakalinga"
        self.move = self._registered_invoice(731900)
        self.number = self.move.billpay_number_id.sudo()
        other = self._invoice(731900, partner=self.partner.copy({"name": "Mgeni"}))
        self.number_of_other = other.billpay_number_id.sudo()
        payment = self._pay(self.number.name, 731900)
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertBooked(row, 731900)
        purpose = self.env["billpay.purpose"].create(
            {"name": "Hosteli ya Mbezi", "company_id": self.company.id}
        )
        self.card = purpose._reserve(self.partner).sudo()
        self.transaction = self._transaction(731900)
        self.visitor = new_test_user(
            self.env, "mgeni_portal", "base.group_portal", password="mgeni_portal"
        )
        self.env.flush_all()
        return (
            self.partner.name,
            "731900",
            self.move.name,
            purpose.name,
            self.card.name,
            self.transaction.reference,
            payment["id"],
            row.receipt,
            row.payer_phone,
        )

    def _forged(self, *others):
        """Yield tokens and signatures that open nothing."""
        yield from others
        yield from ("x", "f" * 32, "f" * 4000, "%00", "%ff%fe", "..", "' OR 1=1--")

    def _requests(self):
        """Yield ``(route, path, arguments of url_open, statuses)`` of a stranger."""
        page = self.env["billpay.pay.page"]
        provider, number = self.provider.sudo(), self.number
        webhook, health = "/payment/clickpesa/webhook", "/payment/clickpesa/health"
        post = {"data": b"{}", "method": "POST"}
        secrets = provider.clickpesa_api_key, provider.clickpesa_checksum_key
        for path, own, of_other, kind in (
            (
                webhook,
                "billpay_webhook",
                provider.clickpesa_health_token,
                post,
            ),
            (health, "billpay_health", provider.clickpesa_webhook_token, {}),
        ):
            for token in self._forged(of_other, *secrets):
                yield own, f"{path}/{token}", kind, (404,)
                if token.isascii() and "%" not in token:
                    headers = {"X-BillPay-Token": token}
                    more = {**kind, "headers": headers}
                    yield f"{own}_by_header", path, more, (404,)
            # No parameter takes the place of the header.
            token = provider.clickpesa_webhook_token
            yield f"{own}_by_header", f"{path}?token={token}", kind, (404,)
        signature = page._pay_signature(number)
        for token in self._forged(
            page._pay_signature(self.number_of_other),
            page._pay_signature(self.card),
            signature[:-1],
            provider.clickpesa_webhook_token,
        ):
            path = f"/billpay/{number.name}/{token}"
            yield "pay_page", path, {}, (404,)
            yield "pay_page_state", f"{path}/state", {}, (404,)
        for number_id in (self.card.id, number.id, 10**9, 10**18):
            path = f"/my/billpay/{number_id}"
            yield "portal_my_billpay_number", path, {}, None
            yield "portal_my_billpay_statement", f"{path}/statement", {}, None
        for path in ("/my/billpay", "/my/billpay/page/2"):
            yield "portal_my_billpay", path, {}, None
        for data in (
            {"x": "1"},
            {"reference": self.transaction.reference},
            {"tx_id": str(self.transaction.id), "access_token": "f" * 64},
        ):
            more = {"data": data, "method": "POST"}
            yield "billpay_checkout", const.CHECKOUT_URL, more, (200, 404)

    def test_strangers_are_told_nothing(self):
        secrets = self._secrets()
        asked = set()
        for login in (None, self.visitor.login):
            self.authenticate(login, login)
            before = self._rows()
            for name, path, more, statuses in self._requests():
                asked.add(name)
                with (
                    self.subTest(login=login, path=path[:80], **more),
                    mute_logger("odoo.http", "odoo.addons.billpay_odoo"),
                ):
                    response = self.url_open(path, **more)
                    if statuses:
                        self.assertIn(response.status_code, statuses)
                    elif not login:
                        self.assertIn("/web/login", response.url)
                    elif "page" in path or path == "/my/billpay":
                        self.assertEqual(response.status_code, 200)
                    else:
                        self.assertEqual(response.status_code, 404)
                    self.assertTellsNothing(response, *secrets)
            self.assertEqual(self._rows(), before)
        self.assertEqual(asked, set(self.routes))

    def _rows(self):
        """Return what a request could make or change."""
        self.env.invalidate_all()
        numbers = self.env["billpay.control.number"].sudo().search([])
        return (
            numbers.mapped("state"),
            self.env["billpay.event"].sudo().search([]).mapped("times"),
            self.env["billpay.payment"].sudo().search([]).mapped("state"),
            self.transaction.state,
        )

    def test_whoever_has_an_address_gets_what_it_is_for(self):
        """What is refused above is refused for the token alone."""
        secrets = self._secrets()
        provider = self.provider.sudo()
        token = provider.clickpesa_health_token
        for path, headers in (
            (f"/payment/clickpesa/health/{token}", {}),
            ("/payment/clickpesa/health", {"X-BillPay-Token": token}),
        ):
            response = self.url_open(path, headers=headers)
            self.assertEqual(response.status_code, 200)
            self.assertIn("status", response.json())
            # Figures, and no name, number or sum of anybody.
            self.assertTellsNothing(response, *secrets)
        self.assertEqual(self._deliver({"event": "X"}).status_code, 401)
        self.assertTellsNothing(self._deliver({"event": "X"}), *secrets)
        path = self.env["billpay.pay.page"]._get_pay_path(self.number)
        page = self.url_open(path)
        self.assertEqual(page.status_code, 200)
        self.assertEqual(self.url_open(f"{path}/state").status_code, 200)
        # What others owe or have is not on it.
        self.assertTellsNothing(page, self.card.name, "Hosteli ya Mbezi")


@tagged("post_install", "-at_install")
class TestForms(RightsCommon):
    """BillPay users need no accounting rights to look at what is theirs."""

    models = (
        "billpay.payment",
        "billpay.purpose",
        "billpay.control.number",
        "billpay.run",
        "billpay.run.line",
        "billpay.channel",
    )

    def test_forms_open_without_accounting_rights(self):
        for login in ("user", "manager"):
            for name in self.models:
                with self.subTest(login, model=name):
                    self._open(self.own[name].with_user(self.users[login]))

    def _open(self, record):
        record = record.with_context(allowed_company_ids=self.company.ids)
        views = record.get_views([(False, "form"), (False, "list")])["views"]
        shown = {
            node.get("name")
            for view in views.values()
            for node in etree.fromstring(view["arch"]).iter("field")
            # Fields of lists inside the form are read with those.
            if not any(above.tag == "field" for above in node.iterancestors())
        }
        self.assertGreater(len(shown), 5)
        specification = {}
        for name in shown:
            field = record._fields[name]
            if not field.relational:
                specification[name] = {}
            elif field.type == "many2one":
                specification[name] = {"fields": {"display_name": {}}}
            else:
                specification[name] = {"fields": {}, "limit": 40}
        self.env.invalidate_all()
        [values] = record.web_read(specification)
        self.assertEqual(values["id"], record.id)

    def test_manager_makes_a_purpose(self):
        purposes = self.env["billpay.purpose"].with_user(self.users["manager"])
        purposes = purposes.with_context(allowed_company_ids=self.company.ids)
        with Form(purposes) as form:
            form.name = "Chakula"
            form.default_amount = 5000
        self.assertEqual(form.record.company_id, self.company)
