# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import re
import secrets

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools.urls import urljoin

from odoo.addons.payment.const import SENSITIVE_KEYS

from .. import const
from ..clickpesa import InvalidConfiguration, get_client
from ..clickpesa.transport import checked_url

SENSITIVE_KEYS |= const.SENSITIVE_KEYS

# What is pasted from a dashboard, often with a blank at its end.
_PASTED = (
    "clickpesa_base_url",
    "clickpesa_client_id",
    "clickpesa_api_key",
    "clickpesa_checksum_key",
    "clickpesa_billpay_namba",
)


class PaymentProvider(models.Model):
    """One ClickPesa API application: credentials, journal, webhook, numbering."""

    _inherit = "payment.provider"

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
        compute="_compute_clickpesa_webhook_url",
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

    _clickpesa_webhook_token_unique = models.UniqueIndex(
        "(clickpesa_webhook_token) WHERE clickpesa_webhook_token IS NOT NULL",
        "Another application already uses this webhook token.",
    )

    # === COMPUTE METHODS === #

    @api.depends("code", "clickpesa_webhook_token")
    def _compute_clickpesa_webhook_url(self):
        for provider in self:
            provider.clickpesa_webhook_url = (
                urljoin(
                    provider.get_base_url(),
                    "/payment/clickpesa/webhook/%s" % provider.clickpesa_webhook_token,
                )
                if provider.code == "clickpesa" and provider.clickpesa_webhook_token
                else False
            )

    # === CONSTRAINT METHODS === #

    @api.constrains("code", "clickpesa_billpay_namba")
    def _check_clickpesa_billpay_namba(self):
        for provider in self:
            namba = provider.clickpesa_billpay_namba
            if (
                provider.code == "clickpesa"
                and namba
                and not re.match(r"[0-9]{4}\Z", namba)
            ):
                raise ValidationError(
                    self.env._(
                        "A BillPay-Namba has exactly four digits, such as 1122. "
                        "ClickPesa shows yours on its dashboard, under BillPay."
                    )
                )

    @api.constrains("code", "clickpesa_confirmation", "clickpesa_checksum_key")
    def _check_clickpesa_confirmation(self):
        for provider in self.sudo():
            if (
                provider.code == "clickpesa"
                and provider.clickpesa_confirmation == "signature"
                and not provider.clickpesa_checksum_key
            ):
                raise ValidationError(
                    self.env._(
                        "Payments can be confirmed by signature only with a checksum "
                        "key. Without one anybody could announce a payment: enter the "
                        "key, or let ClickPesa be asked for each payment."
                    )
                )

    @api.constrains(
        "code",
        "state",
        "clickpesa_number_origin",
        "clickpesa_client_id",
        "clickpesa_api_key",
    )
    def _check_clickpesa_credentials(self):
        """Numbers made offline need no call; registered ones do."""
        for provider in self.sudo():
            if (
                provider.code == "clickpesa"
                and provider.state != "disabled"
                and provider.clickpesa_number_origin == "api"
                and not (provider.clickpesa_client_id and provider.clickpesa_api_key)
            ):
                raise ValidationError(
                    self.env._(
                        "Registering control numbers needs a client ID and an API key. "
                        "Nothing was saved: enter both, or let numbers be made "
                        "offline."
                    )
                )

    @api.constrains("code", "clickpesa_base_url")
    def _check_clickpesa_base_url(self):
        for provider in self.sudo():
            if provider.code != "clickpesa" or not provider.clickpesa_base_url:
                continue
            try:
                checked_url(provider.clickpesa_base_url)
            except InvalidConfiguration:
                raise ValidationError(
                    self.env._(
                        "The API address %(url)s cannot be used: it must be a plain "
                        "http:// or https:// address, such as %(example)s. Nothing "
                        "was saved.",
                        url=provider.clickpesa_base_url,
                        example=const.DEFAULT_BASE_URL,
                    )
                ) from None

    @api.constrains("company_id")
    def _check_billpay_company(self):
        self.env["res.company"].sudo().search(
            [("billpay_provider_id", "in", self.ids)]
        )._check_billpay_provider_id()

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        providers = super().create([self._billpay_stripped(v) for v in vals_list])
        providers._billpay_ensure_webhook_token()
        providers._billpay_become_company_default()
        return providers

    def write(self, vals):
        result = super().write(self._billpay_stripped(vals))
        if "state" in vals or "code" in vals:
            self._billpay_ensure_webhook_token()
            self._billpay_become_company_default()
            if vals.get("state", "disabled") != "disabled":
                # What waited while the application was off is due again.
                self._billpay_trigger("ir_cron_sync_numbers")
                self._billpay_trigger("ir_cron_process_payments")
        return result

    def copy_data(self, default=None):
        """Give a copied application a name of its own.

        Odoo takes no two payment method lines of one name in one journal.
        """
        vals_list = super().copy_data(default=default)
        for provider, vals in zip(self, vals_list, strict=True):
            if provider.code == "clickpesa" and "name" not in (default or {}):
                vals["name"] = self.env._("%s (copy)", provider.name)
        return vals_list

    def _get_default_payment_method_codes(self):
        """Override of `payment` to return the default payment method codes."""
        self.ensure_one()
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
        }

    @api.model
    def _billpay_stripped(self, vals):
        """Return ``vals`` without blanks around what was pasted."""
        return {
            name: value.strip() if name in _PASTED and isinstance(value, str) else value
            for name, value in vals.items()
        }

    def _billpay_ensure_webhook_token(self):
        """Give each application an address of its own that nobody can guess."""
        for provider in self.sudo():
            if provider.code == "clickpesa" and not provider.clickpesa_webhook_token:
                provider.clickpesa_webhook_token = secrets.token_urlsafe(24)

    def _billpay_become_company_default(self):
        """Let the first active application of a company issue its numbers."""
        for provider in self.filtered(lambda p: p.code == "clickpesa"):
            company_sudo = provider.sudo().company_id
            if provider.state != "disabled" and not company_sudo.billpay_provider_id:
                company_sudo.billpay_provider_id = provider

    # === BUSINESS METHODS === #

    def _billpay_is_live(self):
        """Tell whether this application may make HTTP calls.

        Never in a neutralised copy of a database, whatever its fields say.
        """
        self.ensure_one()
        neutralized = (
            self.env["ir.config_parameter"].sudo().get_param("database.is_neutralized")
        )
        return self.code == "clickpesa" and self.state != "disabled" and not neutralized

    def _billpay_client(self):
        """Return the gateway client, shared by this process.

        :rtype: odoo.addons.billpay_odoo.clickpesa.ClickPesaClient
        :raise UserError: the application is disabled or the database neutralised
        """
        self.ensure_one()
        if not self._billpay_is_live():
            raise UserError(
                self.env._(
                    "The ClickPesa application %(name)s is switched off, so ClickPesa "
                    "was not asked. No money is affected. Set it to Test Mode or "
                    "Enabled under Invoicing, Configuration, BillPay, BillPay "
                    "Applications.",
                    name=self.name,
                )
            )
        provider_sudo = self.sudo()
        return get_client(
            provider_sudo.clickpesa_base_url,
            provider_sudo.clickpesa_client_id,
            provider_sudo.clickpesa_api_key,
            provider_sudo.clickpesa_checksum_key or "",
        )

    @api.model
    def _billpay_trigger(self, cron_name, at=None):
        """Wake one of our scheduled actions after this transaction commits."""
        cron_sudo = self.env.ref("billpay_odoo.%s" % cron_name).sudo()
        cron_sudo._trigger(at=at)

    def action_billpay_numbers(self):
        """Open the control numbers of this application."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "billpay_odoo.action_billpay_control_number"
        )
        return {**action, "domain": [("provider_id", "=", self.id)]}
