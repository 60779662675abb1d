# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import hashlib
import itertools
import re
import secrets
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL
from odoo.tools.urls import urljoin

from odoo.addons.payment import utils as payment_utils
from odoo.addons.payment.const import SENSITIVE_KEYS

from ... import actions, const
from ...clickpesa import InvalidConfiguration, get_client
from ...clickpesa.transport import checked_url
from ...transactions import wake
from .billpay_gate import SIGNED_BY
from .billpay_health import AMBER, GREEN, RED, worst
from .billpay_numbering import CHECK_DIGITS

SENSITIVE_KEYS |= const.SENSITIVE_KEYS

_CREDENTIALS = (
    "clickpesa_base_url",
    "clickpesa_client_id",
    "clickpesa_api_key",
    "clickpesa_checksum_key",
)
_HOURS = ("clickpesa_checkout_hours", "clickpesa_old_key_hours")
_NUMBERING = (
    "clickpesa_billpay_namba",
    "clickpesa_number_prefix",
    "clickpesa_number_length",
    "clickpesa_number_origin",
)
# What is pasted from a dashboard, often with a blank at its end.
_PASTED = (*_CREDENTIALS, "clickpesa_billpay_namba", "clickpesa_number_prefix")
# What tells which merchant an application is of.
_MERCHANT = {
    "code",
    "clickpesa_base_url",
    "clickpesa_client_id",
    "clickpesa_billpay_namba",
}
# A changed one of these may be what ends the trouble.
_SETTINGS = {*_CREDENTIALS, "state", "clickpesa_calls_per_minute"}
# ClickPesa caps the references of its sibling API at 20 characters; below six there
# is no room for a prefix, a running number and the check digits.
SHORTEST, LONGEST = 6, 20
# A running number shorter than this is used up within days.
FEWEST_DIGITS = 3
# How long a replaced checksum key is accepted at most (hours).
LONGEST_OVERLAP = 30 * 24
# What an address is made of; a change of anything else is no change of it.
ADDRESS_FIELDS = {
    "code",
    "company_id",
    "clickpesa_webhook_token",
    "clickpesa_health_token",
    "clickpesa_checksum_key",
    "clickpesa_old_checksum_keys",
    "clickpesa_old_key_hours",
}


def accepted_keys(replaced, hours):
    """Return the replaced checksum keys that still count, each until when.

    :param replaced: pairs of a key and the moment (UTC) when another took its place
    """
    now, window = fields.Datetime.now(), timedelta(hours=hours or 0)
    ends = [(k, fields.Datetime.to_datetime(at) + window) for k, at in replaced or ()]
    return tuple((key, until) for key, until in ends if until > now)


class PaymentProvider(models.Model):
    """One ClickPesa API application: credentials, journal, webhook, numbering."""

    _name = "payment.provider"
    _inherit = ["payment.provider", "mail.thread", "mail.activity.mixin"]
    # A manager may settle the activities of an application that only an administrator
    # may change.
    _mail_post_access = "read"

    code = fields.Selection(
        selection_add=[("clickpesa", "ClickPesa BillPay")],
        ondelete={"clickpesa": "set default"},
    )
    clickpesa_base_url = fields.Char(
        string="API Address",
        help="Where the ClickPesa API answers, with its /third-parties part.",
        default=const.DEFAULT_BASE_URL,
        required_if_provider="clickpesa",
        groups="base.group_system",
    )
    clickpesa_client_id = fields.Char(
        string="Client ID",
        help="Shown on your application in the ClickPesa dashboard: "
        "Settings, Developers.",
        copy=False,
        groups="base.group_system",
    )
    clickpesa_api_key = fields.Char(
        string="API Key",
        help="Shown once by ClickPesa when the key is made.",
        copy=False,
        groups="base.group_system",
    )
    clickpesa_checksum_key = fields.Char(
        string="Checksum Key",
        help="Set it if checksum is switched on at ClickPesa: requests are then "
        "signed and deliveries without a valid signature are quarantined.",
        copy=False,
        groups="base.group_system",
    )
    clickpesa_old_checksum_keys = fields.Json(
        readonly=True,
        copy=False,
        groups="base.group_system",
        help="Replaced checksum keys, each with the moment (UTC) of the change.",
    )
    clickpesa_old_key_hours = fields.Integer(
        string="Accept a Replaced Key For",
        default=24,
        help="So long deliveries may still be signed with the checksum key before this "
        "one, while the key is changed on both sides. 0: not at all, as when others "
        "know the old key.",
        groups="base.group_system",
    )
    clickpesa_old_key_until = fields.Datetime(
        string="Replaced Key Accepted Until",
        compute="_compute_clickpesa_old_key",
        groups="base.group_system",
    )
    clickpesa_old_key_times = fields.Integer(
        string="Deliveries Signed With It",
        compute="_compute_clickpesa_old_key",
        groups="base.group_system",
    )
    clickpesa_billpay_namba = fields.Char(
        string="BillPay-Namba",
        help="The four digits that ClickPesa gave your business. Every control "
        "number starts with them.",
        size=4,
        required_if_provider="clickpesa",
        copy=False,
    )
    clickpesa_webhook_token = fields.Char(
        string="Webhook Token",
        copy=False,
        groups="base.group_system",
    )
    clickpesa_webhook_url = fields.Char(
        string="Webhook URL",
        help="Enter it at ClickPesa on this application, for the events "
        "PAYMENT RECEIVED and PAYMENT FAILED.",
        compute="_compute_clickpesa_urls",
        groups="base.group_system",
    )
    clickpesa_health_token = fields.Char(
        string="Health Token",
        copy=False,
        groups="base.group_system",
    )
    clickpesa_health_url = fields.Char(
        string="Health URL",
        help="For your monitoring: it answers with the figures of the page Health. "
        "Who knows it can announce no payment.",
        compute="_compute_clickpesa_urls",
        groups="base.group_system",
    )
    clickpesa_confirmation = fields.Selection(
        string="Confirm Payments By",
        help="Asking ClickPesa is the safest. A signature saves one call per "
        "payment and needs a checksum key.",
        selection=[
            ("query", "Asking ClickPesa for each payment"),
            ("signature", "A valid signature on the delivery"),
        ],
        default="query",
        required=True,
        copy=False,
    )
    clickpesa_number_origin = fields.Selection(
        string="Numbers Are Made",
        help="Registered numbers carry amount and description to the payer's "
        "phone. Offline numbers need no call at all and take any amount.",
        selection=[
            ("api", "Registered with ClickPesa"),
            ("offline", "Offline: BillPay-Namba and reference"),
        ],
        default="api",
        required=True,
    )
    clickpesa_max_collection = fields.Boolean(
        string="Numbers Take Several Payments",
        help="A number stays open until all that is due is paid, and takes no more. "
        "ClickPesa calls this billMaxCollectionAmount. It is new there: try it with a "
        "small amount before you rely on it.",
    )
    billpay_number_ids = fields.One2many(
        "billpay.control.number", "provider_id", string="Control Numbers"
    )
    clickpesa_reversal = fields.Selection(
        string="Reversed Payments",
        help="What happens when ClickPesa reverses a payment that is already booked.",
        selection=[
            ("auto", "Reverse the entry and notify"),
            ("alert", "Only notify"),
        ],
        default="auto",
        required=True,
    )
    clickpesa_fee_account_id = fields.Many2one(
        "account.account",
        string="Fee Account",
        help="Where the fees of the channels are booked, in the entry of each payment. "
        "Empty: they are not booked, and a payment is worth what the payer paid.",
        domain="[('company_ids', 'parent_of', company_id),"
        " ('account_type', 'in', ('expense', 'expense_direct_cost'))]",
        check_company=True,
        copy=False,
        ondelete="restrict",
    )
    clickpesa_calls_per_minute = fields.Integer(
        string="Calls per Minute",
        default=100,
        help="The most calls to ClickPesa in any minute, of all servers and users "
        "together. Applications with the same client ID share it. 0: no limit.",
        groups="base.group_system",
    )
    billpay_paused_until = fields.Datetime(
        string="Next Try",
        readonly=True,
        copy=False,
        help="Odoo sends no control numbers to ClickPesa until then, since it did not "
        "answer or the limit of calls is reached.",
    )
    billpay_trouble = fields.Char(string="Trouble", readonly=True, copy=False)
    billpay_trouble_count = fields.Integer(
        readonly=True, copy=False, help="Failed tries since the last answer."
    )
    clickpesa_hidden_channels = fields.Char(
        string="Not Shown to Payers", compute="_compute_clickpesa_hidden_channels"
    )
    clickpesa_checkout_mode = fields.Selection(
        [
            ("exact", "Exactly the amount of the order"),
            ("flexible", "Any amount: the order waits until all is paid"),
        ],
        string="At a Checkout Payers May Pay",
        default="exact",
        required=True,
    )
    clickpesa_checkout_hours = fields.Integer(
        string="Checkout Numbers Wait",
        default=48,
        help="Hours after which an unpaid checkout expires and its number is closed. "
        "0: never.",
    )
    clickpesa_checkout_offline = fields.Boolean(
        string="Offline When ClickPesa Does Not Answer",
        help="If ClickPesa does not respond, create the number offline from the "
        "BillPay-Namba.",
    )
    clickpesa_convert = fields.Boolean(
        string="Also for Other Currencies",
        help="Amounts in other currencies are asked for in shillings, at the rate of "
        "the day.",
    )
    billpay_is_on = fields.Boolean(compute="_compute_billpay_is_on")
    billpay_connection_report = fields.Html(
        string="Connection", readonly=True, copy=False, groups="base.group_system"
    )
    billpay_health = fields.Selection(
        [(GREEN, "Good"), (AMBER, "To Look At"), (RED, "Act Now")],
        string="Health",
        compute="_compute_billpay_health",
    )
    billpay_health_report = fields.Html(
        string="Health Report", compute="_compute_billpay_health", sanitize=False
    )
    clickpesa_number_prefix = fields.Char(
        string="Numbers Begin With",
        size=LONGEST,
        copy=False,
        help="Digits. Empty: the BillPay-Namba, which keeps your numbers in your own "
        "space at ClickPesa.",
    )
    clickpesa_number_length = fields.Integer(
        string="Digits of a Number",
        default=14,
        help="All digits of a control number: prefix, running number and two check "
        "digits. Between 6 and 20.",
    )
    clickpesa_sequence_id = fields.Many2one(
        "ir.sequence",
        string="Counter",
        domain="[('implementation', '=', 'standard')]",
        default=lambda self: self.env.ref(
            "billpay_odoo.sequence_control_number", raise_if_not_found=False
        ),
        ondelete="restrict",
        help="Counts the numbers. Applications whose numbers begin alike share one, so "
        "that they never make the same digits.",
    )
    clickpesa_number_example = fields.Char(
        string="Example", compute="_compute_clickpesa_number_example"
    )
    billpay_merchant = fields.Integer(
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="The same for all applications of one ClickPesa merchant, also disabled "
        "ones: those with one BillPay-Namba, and those with one client ID.",
    )
    billpay_place = fields.Char(
        string="Place at ClickPesa",
        compute="_compute_billpay_place",
        store=True,
        help="Stands for API address, client ID and BillPay-Namba: numbers that were "
        "registered at another place cannot be paid here.",
    )
    billpay_lost_count = fields.Integer(
        string="Numbers That Cannot Be Paid", compute="_compute_billpay_lost_count"
    )
    billpay_book_from = fields.Datetime(
        string="Book Payments From",
        copy=False,
        help="Payments made before this moment are listed under Before Go-Live, and "
        "only a person books them: they may be in the books already. Set when the "
        "application is first enabled, and when its API address changes.",
    )
    billpay_polled_until = fields.Datetime(
        string="Polled Until",
        readonly=True,
        copy=False,
        help="Every payment and every change up to this moment is in the ledger.",
    )
    billpay_last_poll_at = fields.Datetime(
        string="Last Poll", readonly=True, copy=False
    )
    billpay_poll_error = fields.Char(string="Poll Trouble", readonly=True, copy=False)
    billpay_poll_rest = fields.Json(
        readonly=True, copy=False, help="Where a poll that is under way goes on."
    )
    billpay_deep_rest = fields.Json(
        readonly=True, copy=False, help="Where a nightly scan under way goes on."
    )
    billpay_last_deep_at = fields.Datetime(
        string="Last Nightly Scan", readonly=True, copy=False
    )
    billpay_unordered_since = fields.Datetime(
        string="Changes Not Listed Since",
        readonly=True,
        copy=False,
        help="Since then ClickPesa has not listed payments by their latest change, so "
        "the poll asks by date of payment. It finds every new payment; one that is "
        "reversed is asked for by its number. Each night the other order is tried.",
    )

    _clickpesa_webhook_token_unique = models.UniqueIndex(
        "(clickpesa_webhook_token) WHERE clickpesa_webhook_token IS NOT NULL",
        "Another application already uses this webhook token.",
    )
    _clickpesa_health_token_unique = models.UniqueIndex(
        "(clickpesa_health_token) WHERE clickpesa_health_token IS NOT NULL",
        "Another application already uses this health token.",
    )
    # No CHECK of a value: PostgreSQL answers with the whole row, secrets included, and
    # Odoo logs it.

    # === COMPUTE METHODS === #

    @api.depends("code", "clickpesa_webhook_token", "clickpesa_health_token")
    def _compute_clickpesa_urls(self):
        for provider, kind in itertools.product(self, ("webhook", "health")):
            token = provider.code == "clickpesa" and provider[f"clickpesa_{kind}_token"]
            provider[f"clickpesa_{kind}_url"] = token and urljoin(
                provider.get_base_url(), f"/payment/clickpesa/{kind}/{token}"
            )

    @api.depends("clickpesa_old_checksum_keys", "clickpesa_old_key_hours")
    def _compute_clickpesa_old_key(self):
        for provider in self:
            hours = provider.clickpesa_old_key_hours
            kept = accepted_keys(provider.clickpesa_old_checksum_keys, hours)
            ends = [until for _key, until in kept]
            provider.clickpesa_old_key_until = max(ends, default=False)
            provider.clickpesa_old_key_times = ends and self.env[
                "billpay.event"
            ]._count_replaced_key(provider, min(ends) - timedelta(hours=hours))

    def _compute_billpay_health(self):
        reports = self.env["billpay.health"]._health_checks(self)
        words = dict(self._fields["billpay_health"]._description_selection(self.env))
        for provider in self:
            checks = reports.get(provider.id)
            provider.billpay_health = checks and worst(c.colour for c in checks)
            provider.billpay_health_report = checks and self.env["ir.qweb"]._render(
                "billpay_odoo.health_report", {"checks": checks, "words": words}
            )

    @api.depends("code", *_NUMBERING)
    def _compute_clickpesa_number_example(self):
        for provider in self:
            prefix, digits = provider._billpay_prefix(), provider._billpay_digits()
            provider.clickpesa_number_example = (
                self.env["billpay.numbering"]._with_check_digits(prefix, digits, 42)
                if provider.code == "clickpesa" and prefix and digits >= FEWEST_DIGITS
                else False
            )

    @api.depends(*sorted(_MERCHANT))
    def _compute_billpay_place(self):
        for provider in self:
            parts = (
                provider._billpay_address(),
                provider.clickpesa_client_id or "",
                provider.clickpesa_billpay_namba or "",
            )
            digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
            provider.billpay_place = provider.code == "clickpesa" and digest

    def _compute_billpay_lost_count(self):
        for provider in self:
            lost = self.env["billpay.payable"]._lost_of(provider._origin)
            provider.billpay_lost_count = len(lost)

    @api.onchange("state", *sorted(_MERCHANT))
    def _onchange_billpay_place(self):
        return self.env["billpay.payable"]._warning_of_loss(self)

    # === CONSTRAINT METHODS === #

    @api.constrains("code", "clickpesa_confirmation", *_SETTINGS, *_NUMBERING, *_HOURS)
    def _check_clickpesa_settings(self):
        for provider_sudo in self.sudo().filtered(lambda p: p.code == "clickpesa"):
            if fault := provider_sudo._billpay_fault():
                raise ValidationError(fault)

    def _billpay_fault(self):
        """Return which settings cannot work together, as a sentence, or ``None``."""
        namba = self.clickpesa_billpay_namba or ""
        prefix = self.clickpesa_number_prefix or ""
        try:
            checked_url(self.clickpesa_base_url or const.DEFAULT_BASE_URL)
        except InvalidConfiguration:
            return self.env._(
                "The API address %(url)s cannot be used: it must be a plain https:// "
                "address, such as %(example)s. Over http:// everybody on the way could "
                "read the API key, so it is for hosts in your own network alone. "
                "Nothing was saved.",
                url=self.clickpesa_base_url,
                example=const.DEFAULT_BASE_URL,
            )
        if namba and not re.fullmatch(r"[0-9]{4}", namba):
            return self.env._(
                "A BillPay-Namba has exactly four digits, such as 1122. "
                "ClickPesa shows yours on its dashboard, under BillPay."
            )
        if not 0 <= self.clickpesa_calls_per_minute <= 10000:
            return self.env._(
                "Calls per minute are between 1 and 10,000, or 0 for no "
                "limit. Nothing was saved."
            )
        if self.clickpesa_checkout_hours < 0:
            return self.env._(
                "A checkout waits for a number of hours; 0 means for good. Nothing was "
                "saved."
            )
        if not 0 <= self.clickpesa_old_key_hours <= LONGEST_OVERLAP:
            return self.env._(
                "A replaced checksum key is accepted for 0 to %s hours. Nothing was "
                "saved: 24 is a good choice.",
                LONGEST_OVERLAP,
            )
        if self.clickpesa_confirmation == "signature" and (
            not self.clickpesa_checksum_key
        ):
            return self.env._(
                "Payments can be confirmed by signature only with a checksum key. "
                "Without one anybody could report a payment: enter the checksum key, "
                "or confirm each payment by query."
            )
        offline = self.clickpesa_number_origin == "offline"
        if self._billpay_is_on() and not (offline or self._billpay_has_credentials()):
            return self.env._(
                "Registering control numbers needs a client ID and an API key. Nothing "
                "was saved: enter both, or let numbers be made offline."
            )
        if not re.fullmatch(r"[0-9]*", prefix):
            return self.env._(
                "Control numbers begin with digits only: phone menus may take "
                "no letters. Nothing was saved: correct %s.",
                prefix,
            )
        if not SHORTEST <= self.clickpesa_number_length <= LONGEST:
            return self.env._(
                "A control number has between %(shortest)s and %(longest)s "
                "digits. Nothing was saved: 14 is a good choice.",
                shortest=SHORTEST,
                longest=LONGEST,
            )
        if self._billpay_prefix() and self._billpay_digits() < FEWEST_DIGITS:
            return self.env._(
                "Of %(length)s digits the beginning %(prefix)s and two check "
                "digits leave too few for a running number. Nothing was saved: "
                "choose a greater length.",
                length=self.clickpesa_number_length,
                prefix=self._billpay_prefix(),
            )
        if offline and prefix and not prefix.startswith(namba):
            return self.env._(
                "Offline numbers begin with the BillPay-Namba %s: money sent "
                "to others would not reach you. Nothing was saved: correct "
                "the beginning, or leave it empty.",
                namba,
            )
        return None

    @api.constrains("company_id")
    def _check_billpay_company(self):
        self.env["res.company"].sudo().search(
            [("billpay_provider_id", "in", self.ids)]
        )._check_billpay_provider_id()

    def copy_data(self, default=None):
        # Odoo takes no two payment method lines of one name in one journal.
        vals_list = super().copy_data(default=default)
        for provider, vals in zip(self, vals_list, strict=True):
            if provider.code == "clickpesa" and "name" not in (default or {}):
                vals["name"] = self.env._("%s (copy)", provider.name)
        return vals_list

    def _get_default_payment_method_codes(self):
        # EXTENDS payment
        if self.code != "clickpesa":
            return super()._get_default_payment_method_codes()
        return const.DEFAULT_PAYMENT_METHOD_CODES

    def _get_reset_values(self):
        """Override of `payment` to wipe the credentials."""
        if self.code != "clickpesa":
            return super()._get_reset_values()
        return {
            "clickpesa_client_id": None,
            "clickpesa_api_key": None,
            "clickpesa_confirmation": "query",
            "clickpesa_checksum_key": None,
            "clickpesa_old_checksum_keys": None,
        }

    @api.model
    def _billpay_stripped(self, vals):
        """Return ``vals`` without blanks around what was pasted."""
        return {
            name: value.strip() if name in _PASTED and isinstance(value, str) else value
            for name, value in vals.items()
        }

    def _billpay_ensure_tokens(self):
        """Give each application addresses of its own that nobody can guess."""
        for provider in self.sudo().filtered(lambda p: p.code == "clickpesa"):
            for name in ("clickpesa_webhook_token", "clickpesa_health_token"):
                if not provider[name]:
                    provider[name] = secrets.token_urlsafe(24)

    def _billpay_become_company_default(self):
        """Let the first active application of a company issue its numbers."""
        for provider in self.filtered(lambda p: p.code == "clickpesa"):
            company_sudo = provider.sudo().company_id
            if provider._billpay_is_on() and not company_sudo.billpay_provider_id:
                company_sudo.billpay_provider_id = provider

    def _billpay_go_live(self):
        """Book what is paid from now on, when the application is first enabled."""
        new = self.filtered(lambda p: p._billpay_is_on() and not p.billpay_book_from)
        if new:
            new.billpay_book_from = fields.Datetime.now()

    @api.constrains("code", *_NUMBERING, "clickpesa_sequence_id")
    def _check_clickpesa_number_space(self):
        self.env["billpay.numbering"]._check_spaces(self)

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        providers = super().create([self._billpay_stripped(v) for v in vals_list])
        self.env["billpay.gate"]._tell_merchants()
        providers._billpay_ensure_tokens()
        providers._billpay_become_company_default()
        providers._billpay_go_live()
        # Webhook addresses are kept in memory.
        self.env.registry.clear_cache()
        return providers

    def write(self, vals):
        if "company_id" in vals and "journal_id" not in vals:
            moving = self.filtered(
                lambda p: (
                    p.code == "clickpesa" and p.company_id.id != vals["company_id"]
                )
            )
            if moving:
                # The journal goes with the company: Odoo refuses that of another one.
                journals = self.env["account.journal"]
                domain = journals._check_company_domain(vals["company_id"])
                journal = journals.search([*domain, ("type", "=", "bank")], limit=1)
                (self - moving).write(vals)
                return moving.write({**vals, "journal_id": journal.id})
        vals = self._billpay_stripped(vals)
        addresses = {app: app._billpay_address() for app in self}
        led = {app: (app._billpay_is_on(), app.billpay_place) for app in self}
        resigned = self.browse() if set(SIGNED_BY).isdisjoint(vals) else self.sudo()
        before = {p: [p[name] for name in SIGNED_BY] for p in resigned}
        result = super().write(vals)
        if "clickpesa_old_checksum_keys" not in vals:
            self.env["billpay.gate"]._keep_replaced_keys(before)
        if not _MERCHANT.isdisjoint(vals):
            self.env["billpay.gate"]._tell_merchants()
        moved = self.filtered(lambda a: a._billpay_address() != addresses[a])
        if moved and "billpay_book_from" not in vals:
            # Another ClickPesa, as after a trial: what it has is booked elsewhere.
            moved.billpay_book_from = False
        if "state" in vals or "code" in vals or moved:
            self._billpay_ensure_tokens()
            self._billpay_become_company_default()
            self._billpay_go_live()
            if "state" in vals and any(p._billpay_is_on() for p in self):
                # What waited while the application was off is due again.
                for name in ("sync_numbers", "process_payments", "bulk_runs"):
                    self._billpay_trigger(f"ir_cron_{name}")
        if not {"clickpesa_client_id", "clickpesa_api_key"}.isdisjoint(vals):
            self._billpay_ask_again()
        if not _SETTINGS.isdisjoint(vals):
            self.env["billpay.gate"]._resume(self.filtered("billpay_paused_until"))
        if not ADDRESS_FIELDS.isdisjoint(vals):
            self.env.registry.clear_cache()
        for app in self:
            if led[app][0] and led[app] != (app._billpay_is_on(), app.billpay_place):
                self.env["billpay.payable"]._log_loss(app)
        return result

    # === BUSINESS METHODS === #

    def _billpay_address(self):
        """Return the address of the API in the form in which addresses are compared."""
        return (self.sudo().clickpesa_base_url or "").strip().rstrip("/").casefold()

    def _billpay_at_address(self):
        """Return all applications of this one's API, in sudo: live ones first."""
        address = self._billpay_address()
        apps = self.sudo() | self.sudo().search([("code", "=", "clickpesa")])
        apps = apps.filtered(lambda a: a._billpay_address() == address)
        return apps.sorted(lambda a: (not a._billpay_is_on(), a.id))

    def _billpay_of_merchant(self):
        """Return all applications of the merchants of these, in sudo: these first,
        then live ones, then the oldest."""
        own = self.sudo()
        merchants = [app.billpay_merchant for app in own if app.billpay_merchant]
        known = [("code", "=", "clickpesa"), ("billpay_merchant", "in", merchants)]
        apps = own | own.search(known)
        return apps.sorted(lambda a: (a not in own, not a._billpay_is_on(), a.id))

    def _ensure_payment_method_line(self, allow_create=True):
        """Override of `account_payment`: the account follows the journal's company.

        Odoo takes the account of a line that it finds, whosever it is.
        """
        result = super()._ensure_payment_method_line(allow_create=allow_create)
        if self.code == "clickpesa":
            self._billpay_mend_accounts()
        return result

    def _billpay_mend_accounts(self):
        """Set the outstanding account where it is another company's."""
        for provider in self:
            for line in provider._billpay_method_lines():
                provider._billpay_mend_account(line)

    def _billpay_mend_account(self, line):
        if self._billpay_foreign_account(line):
            account_id = self._get_payment_method_outstanding_account_id(
                line.payment_method_id
            )
            line.payment_account_id = account_id

    def _billpay_method_lines(self):
        """Return the method lines of this application in its journal."""
        lines = self.journal_id.inbound_payment_method_line_ids
        return lines.filtered(lambda line: line.payment_provider_id == self)

    def _billpay_foreign_account(self, line):
        """Return the account of a method line that is not its company's."""
        account = line.payment_account_id.sudo()
        own = account.company_ids & line.journal_id.company_id.sudo().parent_ids
        return account.browse() if own else account

    def _billpay_check_books(self, record):
        """Refuse this application for a purpose or a payment method.

        :raise ValidationError: the money would be booked in another company
        """
        provider_sudo, company_sudo = self.sudo(), record.sudo().company_id
        if not provider_sudo or provider_sudo.company_id in company_sudo.parent_ids:
            return
        raise ValidationError(
            self.env._(
                "The application %(application)s belongs to another company than "
                "%(record)s, so its money would be booked there. Nothing was saved: "
                "choose one of %(company)s.",
                application=provider_sudo.name,
                record=record.display_name,
                company=company_sudo.name,
            )
        )

    def _billpay_is_on(self):
        """Tell whether this is a ClickPesa application that is switched on.

        This method, the domain, the SQL and the field ``billpay_is_on`` are all that
        knows how a provider is switched on.
        """
        return self.code == "clickpesa" and self.state != "disabled"

    @api.model
    def _billpay_on_domain(self, path=""):
        """Return the same as a domain; ``path`` leads there, as in "provider_id."."""
        return Domain(f"{path}state", "!=", "disabled")

    @api.model
    def _billpay_on_sql(self, alias):
        """Return the same as a condition on a table of this name."""
        return SQL("%s != 'disabled'", SQL.identifier(alias, "state"))

    @api.depends("code", "state")
    def _compute_billpay_is_on(self):
        for provider in self:
            provider.billpay_is_on = provider._billpay_is_on()

    def _billpay_may_call(self):
        """Tell whether this application may make HTTP calls.

        Never in a neutralised copy of a database, whatever its fields say.
        """
        return self._billpay_is_on() and self._billpay_is_real()

    @api.model
    def _billpay_is_real(self):
        """Tell whether this database is no neutralised copy."""
        parameters_sudo = self.env["ir.config_parameter"].sudo()
        return not parameters_sudo.get_param("database.is_neutralized")

    def _billpay_client(self, patience=None, share="person"):
        """Return this process's gateway client; each request takes a call slot first.

        :param float patience: as for the client, in seconds
        :param str share: what the calls are for: which of a minute's they may use
        :raise UserError: the application is disabled or the database neutralised
        """
        self.ensure_one()
        if refusal := self.env["billpay.gate"]._refusal(self):
            raise UserError(refusal)
        provider_sudo = self.sudo()
        client = get_client(
            provider_sudo.clickpesa_base_url,
            provider_sudo.clickpesa_client_id,
            provider_sudo.clickpesa_api_key,
            provider_sudo.clickpesa_checksum_key or "",
        )
        budget, limit = self.env["billpay.gate"]._budget(self)
        slots = self.env["billpay.call.slot"]
        gate = slots._gate(budget, limit, share) if limit else None
        return client.gated(gate, patience=patience)

    @api.model
    def _billpay_trigger(self, cron_name, at=None):
        """Wake a scheduled action, once for all in this transaction that ask for it."""
        wake(self.env, cron_name, at)

    def action_billpay_numbers(self):
        """Open the control numbers of this application."""
        self.ensure_one()
        return actions.window(
            self.env,
            "action_billpay_control_number",
            domain=[("provider_id", "=", self.id)],
        )

    def action_billpay_new_numbers(self):
        """Let a run make new numbers for what the lost ones still ask for."""
        self.check_access("write")
        lost = self.env["billpay.payable"]._lost_of(self)
        return self.env["billpay.run.wizard"]._replace_lost(lost)

    def _billpay_ask_again(self):
        """With other credentials ClickPesa may know what it did not before."""
        domain = [("state", "=", "received"), ("provider_id", "in", self.ids)]
        if waiting := self.env["billpay.payment"].sudo().search(domain):
            waiting._due_now()
            self._billpay_trigger("ir_cron_process_payments")

    @api.depends("code", "company_id")
    def _compute_clickpesa_hidden_channels(self):
        channels_sudo = self.env["billpay.channel"].sudo()
        for provider in self:
            provider.clickpesa_hidden_channels = (
                provider.code == "clickpesa"
                and channels_sudo._hidden_text(provider.company_id)
            )

    def action_billpay_channels(self):
        """Open the ways to pay, where what is missing is entered."""
        return actions.window(self.env, "action_billpay_channel")

    @api.depends("clickpesa_convert")
    def _compute_available_currency_ids(self):
        # EXTENDS payment
        return super()._compute_available_currency_ids()

    def _get_supported_currencies(self):
        """Override of `payment`: shillings, and others only when they are converted."""
        currencies = super()._get_supported_currencies()
        if self.code == "clickpesa" and not self.clickpesa_convert:
            currencies = currencies.filtered(lambda c: c.name == const.CURRENCY)
        return currencies

    @api.model
    def _get_compatible_providers(self, *args, report=None, **kwargs):
        """Override of `payment`: applications that can make numbers."""
        providers = super()._get_compatible_providers(*args, report=report, **kwargs)
        unable = providers.filtered(
            lambda p: p.code == "clickpesa" and not p.sudo()._billpay_prefix()
        )
        reason = self.env._("the application has no BillPay-Namba")
        payment_utils.add_to_report(report, unable, available=False, reason=reason)
        return providers - unable

    @api.model
    def _billpay_choices(self):
        """Return the applications of the chosen companies, for a selection field.

        Only administrators may read applications; which one a payment belongs to is
        the accountant's to say.

        :return: ``[(id as text, name), …]``
        """
        providers_sudo = self._billpay_of_companies()
        several = len(providers_sudo.company_id) > 1
        return [
            (str(p.id), f"{p.name} ({p.company_id.name})" if several else p.name)
            for p in providers_sudo
        ]

    @api.model
    def _billpay_of_companies(self):
        """Applications of the companies that the user works in now, in sudo.

        A switched-off one counts: its payments may be typed by hand. One that nobody
        ever set up does not, unless there is no other.
        """
        own = [("company_id", "in", self.env.companies.ids)]
        domain = [("code", "=", "clickpesa"), *own]
        found = self.sudo().search(domain, order="sequence, id")
        found = found.sorted(lambda p: not p._billpay_is_on())
        set_up = found.filtered(
            lambda p: p._billpay_is_on() or p.clickpesa_billpay_namba
        )
        return set_up or found

    @api.model
    def _billpay_default_choice(self):
        """Return the id as text of the current company's application, or False."""
        choices, company_sudo = self._billpay_of_companies(), self.env.company.sudo()
        own = choices.filtered(lambda p: p.company_id == company_sudo)
        best = (company_sudo.billpay_provider_id & choices) or own or choices
        return bool(best) and str(best[0].id)

    @api.model
    def _billpay_chosen(self, choice):
        """Return the application of a selection, in sudo.

        :raise AccessError: it belongs to none of the user's companies
        """
        for provider_sudo in self._billpay_of_companies():
            if str(provider_sudo.id) == choice:
                return provider_sudo
        message = self.env._(
            "Choose a ClickPesa application of a company that you work in. Nothing "
            "was changed."
        )
        raise AccessError(message)

    def action_billpay_test_connection(self):
        """Check the application step by step, one sentence per check.

        Reads only: nothing is created at ClickPesa.
        """
        self.ensure_one()
        self.check_access("write")
        self.env["billpay.connection.test"]._report(self)

    def _billpay_prefix(self):
        """Return the digits with which this application's numbers begin."""
        return self.env["billpay.numbering"]._beginning(self)

    def _billpay_digits(self):
        """Return how many digits the running number has."""
        return self.clickpesa_number_length - len(self._billpay_prefix()) - CHECK_DIGITS

    def _billpay_can_ask(self):
        """Tell whether ClickPesa can be asked: live, and with credentials."""
        return self._billpay_may_call() and self._billpay_has_credentials()

    def _billpay_has_credentials(self):
        """Tell whether it knows how to log in; one with offline numbers need not."""
        provider_sudo = self.sudo()
        return bool(
            provider_sudo.clickpesa_client_id and provider_sudo.clickpesa_api_key
        )

    def action_billpay_poll(self):
        """Poll at once, without waiting for the scheduled action."""
        self.ensure_one()
        self.check_access("write")
        if refusal := self.env["billpay.gate"]._refusal(self):
            return actions.notify("warning", refusal)
        self._billpay_trigger("ir_cron_poll_payments")
        message = self.env._(
            "ClickPesa is asked for payments now; they appear under BillPay "
            "Payments in a moment."
        )
        return actions.notify("info", message)

    def unlink(self):
        result = super().unlink()
        self.env.registry.clear_cache()
        return result

    def _billpay_is_paused(self):
        """Tell whether scheduled actions have to wait before they call."""
        return bool(self.filtered_domain(self.env["billpay.gate"]._paused_domain()))

    # === CRON === #

    @api.autovacuum
    def _gc_replaced_keys(self):
        """Forget replaced checksum keys that are no longer accepted."""
        for provider in self.search([("clickpesa_old_checksum_keys", "!=", False)]):
            if not provider.clickpesa_old_key_until:
                provider.clickpesa_old_checksum_keys = False

    @api.model
    def _cron_poll_payments(self, deep=False):
        """Poll every active application."""
        self.env["billpay.poll"]._poll_all(deep=deep)

    @api.model
    def _cron_poll_payments_deep(self):
        """The nightly scan over a week, for what surfaced late."""
        self._cron_poll_payments(deep=True)
