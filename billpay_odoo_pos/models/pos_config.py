# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A till that takes BillPay: its rules."""

import base64

from odoo import Command, api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools import file_open

from odoo.addons.billpay_odoo.const import CURRENCY
from odoo.addons.billpay_odoo.models import billpay_texts


class PosConfig(models.Model):
    _inherit = "pos.config"

    billpay = fields.Boolean(
        string="BillPay",
        compute="_compute_billpay",
        inverse="_inverse_billpay",
        help="Customers pay by mobile money or bank with a control number.",
    )
    billpay_later = fields.Selection(
        [
            ("never", "Never: the order waits for the money"),
            ("offline", "Only without network"),
            ("always", "Whenever the cashier wants"),
        ],
        string="Orders May Be Paid Later",
        default="offline",
        required=True,
        help="An order is finished before its money came. It stays open on the "
        "customer's account until the control number is paid.",
    )
    billpay_change = fields.Boolean(
        string="Give Change for Too Much",
        help="What a customer paid too much by BillPay is given back in cash. "
        "Otherwise it is kept as credit.",
    )
    billpay_lang = fields.Selection(
        [("sw", "Kiswahili"), ("en", "English")],
        string="Receipts Explain Paying In",
        default="sw",
        required=True,
    )
    billpay_partner_id = fields.Many2one(
        "res.partner",
        string="Customer of Sales Without a Name",
        default=lambda self: self.env.ref(
            "billpay_odoo_pos.partner_till", raise_if_not_found=False
        ),
        help="On whose account BillPay money stands while an order names no customer.",
    )

    # === COMPUTE METHODS === #

    @api.depends("payment_method_ids.use_payment_terminal")
    def _compute_billpay(self):
        for config in self:
            config.billpay = bool(config._billpay_method())

    def _inverse_billpay(self):
        for config in self:
            method = config._billpay_method()
            if config.billpay and not method:
                method = config._billpay_find_or_create_method()
                config.payment_method_ids = [Command.link(method.id)]
            elif not config.billpay and method:
                config.payment_method_ids = [Command.unlink(method.id)]

    # === CONSTRAINT METHODS === #

    @api.constrains("payment_method_ids", "journal_id", "company_id")
    def _check_billpay(self):
        for config in self.filtered(lambda c: c._billpay_method()):
            if config.currency_id.name != CURRENCY:
                raise ValidationError(
                    self.env._(
                        "BillPay collects shillings, but the till %(till)s sells in "
                        "%(currency)s. Take BillPay off this till, or let it sell in "
                        "TZS.",
                        till=config.name,
                        currency=config.currency_id.name,
                    )
                )

    # === BUSINESS METHODS === #

    def _billpay_method(self):
        """Return this till's BillPay payment method."""
        return self.payment_method_ids.filtered(
            lambda m: m.use_payment_terminal == "billpay"
        )[:1]

    def _billpay_find_or_create_method(self):
        methods = self.env["pos.payment.method"]
        return methods.search(
            [
                ("use_payment_terminal", "=", "billpay"),
                ("company_id", "=", self.company_id.id),
            ],
            limit=1,
        ) or methods.create(
            {
                "name": "BillPay",
                "company_id": self.company_id.id,
                "payment_method_type": "terminal",
                "use_payment_terminal": "billpay",
                "journal_id": False,
                "image": self._billpay_image(),
            }
        )

    @api.model
    def _billpay_image(self):
        with file_open("billpay_odoo/static/img/billpay.png", "rb") as image:
            return base64.b64encode(image.read())

    def _billpay_provider(self):
        """Return the application that makes this till's numbers, in sudo.

        :raise UserError: there is none, or it is switched off
        """
        self.ensure_one()
        provider = (
            self.sudo()._billpay_method().billpay_provider_id
            or self.company_id.sudo().billpay_provider_id
        )
        if not provider or provider.state == "disabled":
            raise UserError(
                self.env._(
                    "The company %s has no ClickPesa application that works now, so "
                    "there are no control numbers at the till. No money is affected: "
                    "take another payment method, and tell your accountant.",
                    self.company_id.name,
                )
            )
        return provider

    def _billpay_customer(self):
        """Return on whose account money stands that names no customer."""
        self.ensure_one()
        return self.sudo().billpay_partner_id or self.env.ref(
            "billpay_odoo_pos.partner_till"
        )

    # === WHAT THE TILL LOADS === #

    @api.model
    def _load_pos_data_read(self, records, config):
        """Override: what a till must know by heart, to print it without network."""
        read = super()._load_pos_data_read(records, config)
        if read and config.billpay:
            read[0]["_billpay"] = config._billpay_texts()
        return read

    def _billpay_texts(self):
        """Return ways to pay and words for receipts and the customer display.

        :return: dict of language to ``{"texts": dict, "channels": list}``; steps hold
            the places ``{number}`` and ``{amount}``
        """
        self.ensure_one()
        channels = self.env["billpay.channel"]._for_company(self.company_id)
        return {
            lang: {
                "texts": billpay_texts.texts(lang, payee=self.company_id.name),
                "channels": [
                    {
                        "name": channel.name,
                        "ussd": channel.ussd_code or "",
                        "steps": [
                            step.striptags()
                            for step in channel._get_steps(
                                lang, number="{number}", amount="{amount}", short=True
                            )
                        ],
                    }
                    for channel in channels
                ],
            }
            for lang in billpay_texts.LANGUAGES
        }
