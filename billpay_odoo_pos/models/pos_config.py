# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A till that takes BillPay: its rules."""

import math
import re
from datetime import datetime, time, timedelta

import pytz

from odoo import Command, api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import file_open

from odoo.addons.billpay_odoo import binaries, page_texts
from odoo.addons.billpay_odoo.const import CURRENCY, LIVING, MONEY
from odoo.addons.billpay_odoo.crowd import turn
from odoo.addons.billpay_odoo.identity import (
    number_spellings,
    phone_key,
    receipt_key,
    word_key,
)
from odoo.addons.billpay_odoo.models.billpay_guarded import BillpayGuarded
from odoo.addons.billpay_odoo.money import whole_shillings
from odoo.addons.billpay_odoo.transactions import CLOCK_AHEAD, own_transaction

# How many numbers a device holds when it has just been refilled.
RANGE = 60
# How many a till's devices hold together: twenty devices. Who invents devices does not
# use up the merchant's numbers.
MOST_LEASED = 20 * RANGE
# A device that has not been heard of for so long hands nothing out any more (it stops
# by itself after half of that, see number_range.js): another one gets its numbers.
SILENT = timedelta(days=14)
# How many numbers a till's sales take in an hour without an order or money behind them.
# Customers who wait now, and sales that were given up: who invents sales gets no more.
MOST_ASKED = 300
ASKED_WITHIN = timedelta(hours=1)
# How many numbers of forgotten sales are closed at a time.
FORGOTTEN_AT_ONCE = 100
_DEVICE = re.compile(r"[0-9a-fA-F-]{8,64}\Z")
# How long a customer at the till waits for ClickPesa (seconds).
PATIENCE = 8
# What a cashier has to know of a payment before it is looked for.
SHORTEST_SEARCH = 3
# Fewer last digits would find what a cashier does not know.
SHORTEST_END = 6
MOST_FOUND = 5
# Settings that the page of a till knows.
SETTINGS = ("billpay_later", "billpay_change", "billpay_lang")
# No till order is worth more: what ClickPesa takes in one payment (TZS).
LARGEST = 10**10


class PosConfig(models.Model):
    _name = "pos.config"
    _inherit = ["pos.config", BillpayGuarded._name]

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
        help="Validate orders before they are paid. The balance stays on the "
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
        help="Customer whose account carries BillPay payments of orders without a "
        "customer.",
    )

    billpay_self_order = fields.Selection(
        [
            ("missing", "Not offered: Online Payment is missing"),
            ("offered", "Offered by Online Payment"),
        ],
        string="BillPay on Kiosks and Phones",
        compute="_compute_billpay_self_order",
        compute_sudo=True,
        help="Customers who order at a kiosk or on their phones pay by control number "
        "through Odoo's Online Payment with ClickPesa as its provider.",
    )

    # === COMPUTE METHODS === #

    # Self ordering is not installed everywhere.
    @api.depends(
        lambda self: [
            name
            for name in (
                "payment_method_ids.use_payment_terminal",
                "self_ordering_mode",
                "self_order_online_payment_method_id",
            )
            if name.partition(".")[0] in self._fields
        ]
    )
    def _compute_billpay_self_order(self):
        for config in self:
            mode = "self_ordering_mode" in config._fields and config.self_ordering_mode
            if not mode or mode == "nothing" or not config._billpay_method():
                config.billpay_self_order = False
                continue
            if mode == "mobile":
                methods = (
                    "self_order_online_payment_method_id" in config._fields
                    and config.self_order_online_payment_method_id
                )
            else:
                methods = config.payment_method_ids
            offered = methods and methods._billpay_is_online()
            config.billpay_self_order = "offered" if offered else "missing"

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

    # === CRUD METHODS === #

    def write(self, vals):
        # EXTENDS point_of_sale
        if "payment_method_ids" not in vals or self._billpay_may_set_up():
            return super().write(vals)
        known = [(config, config._billpay_method()) for config in self]
        result = super().write(vals)
        if any(config._billpay_method() != method for config, method in known):
            self._billpay_refuse_set_up()
        return result

    def _billpay_check_written(self, vals):
        """Override: Odoo lets every cashier write on the till that they sell at."""
        super()._billpay_check_written(vals)
        if self._billpay_may_set_up():
            return
        for name, value in vals.items():
            field = self._fields.get(name)
            if (
                field is not None
                and (name == "billpay" or name.startswith("billpay_"))
                and not (
                    self
                    and all(self._billpay_has(config, field, value) for config in self)
                )
            ):
                self._billpay_refuse_set_up()

    def _billpay_may_set_up(self):
        return self.env.su or self.env.user.has_group("point_of_sale.group_pos_manager")

    def _billpay_refuse_set_up(self):
        raise AccessError(
            self.env._(
                "Only managers of the Point of Sale change how a till takes BillPay. "
                "Nothing was changed and no money is affected: ask one of them."
            )
        )

    # === NEW TILLS === #

    def _default_payment_methods(self):
        """Override of `point_of_sale`: a till takes BillPay by its tick only.

        Else the first method that Odoo finds would be ours, and a new till would have
        neither cash nor cards, or could not sell in another currency.
        """
        tills = self.with_context(billpay_by_tick_only=True)
        methods = super(PosConfig, tills)._default_payment_methods()
        return methods.with_env(self.env)

    def _create_journal_and_payment_methods(self, *args, **kwargs):
        """Override of `point_of_sale`: ours is no *Customer Account*."""
        tills = self.with_context(billpay_by_tick_only=True)
        journal, method_ids = super(
            PosConfig, tills
        )._create_journal_and_payment_methods(*args, **kwargs)
        return journal.with_env(self.env), method_ids

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
            return binaries.to_field(image.read())

    def _billpay_tills(self):
        """Return these tills and those that share open orders with them, in sudo."""
        tills_sudo = self.sudo()
        return tills_sudo | tills_sudo.trusted_config_ids

    def _billpay_provider(self):
        """Return the application that makes this till's numbers, in sudo.

        :raise UserError: there is none, or it is switched off
        """
        self.ensure_one()
        provider = (
            self.sudo()._billpay_method().billpay_provider_id
            or self.company_id.sudo().billpay_provider_id
        )
        if not provider._billpay_is_on():
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

    def billpay_settings(self):
        """Return the settings and texts of this till that change while it is open.

        :return: dict of values of ``pos.config`` as the till loads them
        """
        config = self._billpay_till()
        settings = {name: config[name] for name in SETTINGS}
        return {**settings, "_billpay": config._billpay_texts()}

    def _billpay_texts(self):
        """Return ways to pay and words for receipts and the customer display.

        :return: dict of language to ``{"texts": dict, "channels": list}``; steps hold
            the places ``{number}`` and ``{amount}``
        """
        self.ensure_one()
        channels = self.env["billpay.channel"]._for_company(self.company_id)
        return {
            lang: {
                "texts": page_texts.texts(lang, payee=self.company_id.name),
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
            for lang in page_texts.LANGUAGES
        }

    def billpay_lease(self, device, used=()):
        """Return the numbers that a device may print, filled up.

        :param str device: the device's own UUID
        :param list used: digits it has printed of which the server may not know yet
        :return: list of ``{"number": str, "url": str}``; fewer where the till's
            devices hold ``MOST_LEASED`` already
        :raise UserError: there is no application that works, or no number to give
        """
        config = self._billpay_till()
        if not isinstance(device, str) or not _DEVICE.match(device):
            raise UserError(self.env._("This device has no name: reload the till."))
        printed = [name for name in used or () if isinstance(name, str)]
        numbers = self.env["billpay.control.number"].sudo()
        provider = config._billpay_provider()
        now = fields.Datetime.now()
        leased = Domain(
            [
                ("pos_config_id", "=", config.id),
                ("pos_device", "!=", False),
                ("pos_order_uuid", "=", False),
                ("state", "in", LIVING),
            ]
        )
        free = leased & Domain(
            [
                ("provider_id", "=", provider.id),
                ("payable", "=", True),
                ("name", "not in", printed),
            ]
        )
        # What was leased under another BillPay-Namba is money for somebody else.
        own = f"{provider.clickpesa_billpay_namba or ''}%"
        free &= Domain("name", "=like", own)
        of_device = free & Domain("pos_device", "=", device)
        left = numbers.search(of_device, order="id", limit=RANGE)
        if len(left) < RANGE:
            of_silent = free & Domain(
                [
                    ("pos_device", "!=", device),
                    ("payment_ids", "=", False),
                    # One of the future was leased by a clock that was wrong.
                    "|",
                    ("pos_leased_at", "<", now - SILENT),
                    ("pos_leased_at", ">", now + timedelta(seconds=CLOCK_AHEAD)),
                ]
            )
            silent = numbers.search(of_silent, order="id", limit=RANGE - len(left))
            left += silent.try_lock_for_update()
        left.write({"pos_device": device, "pos_leased_at": now})
        # What a device says that it has printed counts until an order tells of it, and
        # what was claimed for a sale until the sale is heard of.
        room = MOST_LEASED - numbers.search_count(leased | config._billpay_loose(now))
        config._billpay_close_forgotten(now)
        wanted = max(min(RANGE - len(left), room), 0)
        if not left and not wanted:
            raise UserError(
                self.env._(
                    "The devices of the till %(till)s hold %(count)s unused control "
                    "numbers, so this one gets none in store. Sales with network are "
                    "not affected: each gets a number of its own. After %(days)s days "
                    "without use the numbers of other devices are given to this one.",
                    till=config.name,
                    count=MOST_LEASED,
                    days=SILENT.days,
                )
            )
        fresh = numbers._reserve(
            provider,
            [
                {
                    "kind": "order",
                    "mode": "flexible",
                    "pos_config_id": config.id,
                    "pos_device": device,
                    "pos_leased_at": now,
                    "partner_id": config._billpay_customer().id,
                }
            ]
            * wanted,
            offline=True,
            partly=True,
        )
        return [
            {
                "number": number.name,
                "url": self.env["billpay.pay.page"]._get_pay_url(number),
            }
            for number in left + fresh.sudo()
        ]

    def _billpay_till(self):
        """Return this till in sudo, for somebody who may sell at it.

        :raise AccessError: anybody else
        """
        self.ensure_one()
        self.check_access("read")
        if not self.env.user.has_group("point_of_sale.group_pos_user"):
            raise AccessError(
                self.env._("Only cashiers ask for control numbers at a till.")
            )
        return self.sudo().with_company(self.company_id)

    def _billpay_wanted(self, order):
        """Return what the till asked for, checked.

        :param dict order: ``uuid``, ``amount`` (TZS), ``reference``, ``partner_id``,
            ``number`` (digits of the device's range that the customer has already),
            ``line`` (UUID of the payment line with which the device waits)
        :raise UserError: it is not an order that can be paid
        """
        order = order if isinstance(order, dict) else {}
        uuid, amount = order.get("uuid"), order.get("amount")
        reference, number = order.get("reference"), order.get("number")
        line = order.get("line")
        is_number = isinstance(amount, int | float) and not isinstance(amount, bool)
        if (
            not isinstance(uuid, str)
            or not 8 <= len(uuid) <= 64
            or not is_number
            or not math.isfinite(amount)
            or not 0 < amount < LARGEST
        ):
            raise UserError(
                self.env._(
                    "This order has nothing to pay by BillPay. No number was made."
                )
            )
        partner_id = order.get("partner_id")
        # Of the cashier, and not of the superuser: money stands on this account.
        partner = self.env["res.partner"].sudo(False)
        if isinstance(partner_id, int) and not isinstance(partner_id, bool):
            partner = partner.browse(partner_id).exists()._filtered_access("read")
        return {
            "uuid": uuid,
            "amount": whole_shillings(amount),
            "reference": reference[:64] if isinstance(reference, str) else "",
            "number": number if isinstance(number, str) else "",
            "line": line if isinstance(line, str) and len(line) <= 64 else "",
            "partner_id": (partner or self._billpay_customer()).id,
        }

    # === ASK === #

    def billpay_ask(self, order):
        """Get an order a number that can be paid now.

        The order need not be on the server. Calls ClickPesa in transactions of its
        own; where ClickPesa does not answer, the number is made offline. Safe to
        repeat: an order has one number to pay, which follows its amount.

        :param dict order: see ``_billpay_wanted``
        :return: see ``billpay_status``
        :raise UserError: no number can be made; nothing was changed
        """
        config = self._billpay_till()
        wanted = config._billpay_wanted(order)
        config._billpay_provider()
        with turn(PATIENCE) as mine:
            if not mine:
                raise UserError(
                    self.env._(
                        "Too many tills ask at this moment. No number was made: try "
                        "again, or take another payment method."
                    )
                )
            with own_transaction(config.env) as env:
                till = config.with_env(env)
                env["billpay.till.claim"]._lock([wanted["uuid"]])
                if till._billpay_claim(wanted).payment_ids:
                    return till._billpay_stand(wanted["uuid"])
                own = env["billpay.control.number"]._till_numbers(till, wanted["uuid"])
                if not own._living():
                    till._billpay_check_asked()
                number_id = till._billpay_reserve(wanted).id
        number = config.env["billpay.control.number"].browse(number_id)
        outcome = self.env["billpay.sync"]._sync_with_others(number, PATIENCE)
        with turn(PATIENCE), own_transaction(config.env) as env:
            till = config.with_env(env)
            if outcome["obstacle"]:
                till._billpay_go_offline(number_id, wanted)
            stand = till._billpay_stand(wanted["uuid"])
        if stand["problem"]:
            raise UserError(stand["problem"])
        return stand

    def _billpay_claim(self, wanted):
        """Let a number of a device's range ask for an order from now on.

        :return: the number, which may be paid already; empty when it is not free
        """
        numbers = self.env["billpay.control.number"].sudo()
        if not wanted["number"]:
            return numbers
        number = numbers.search(
            [
                ("name", "=", wanted["number"]),
                ("pos_config_id", "in", self._billpay_tills().ids),
                ("pos_order_uuid", "in", (False, wanted["uuid"])),
            ],
            limit=1,
        )
        if number and not number.pos_order_uuid:
            if not number.payment_ids:
                self._billpay_check_asked()
            # The customer has this one: another one asks for nothing any more.
            own = numbers._till_numbers(self, wanted["uuid"])
            own._living()._close()
            own.flush_recordset()
            number.write(
                {
                    "pos_order_uuid": wanted["uuid"],
                    "pos_line_uuid": wanted["line"],
                    "pos_leased_at": fields.Datetime.now(),
                    "amount": wanted["amount"],
                    "description": wanted["reference"],
                }
            )
        return number

    def _billpay_reserve(self, wanted, offline=None, wake=False):
        """Return the order's number to pay, asking for what is wanted.

        :param dict wanted: as of ``_billpay_wanted``
        :param bool offline: whether ClickPesa is not asked
        :param bool wake: whether the sync worker is to register it
        """
        numbers = self.env["billpay.control.number"].sudo()
        own = numbers._till_numbers(self, wanted["uuid"])
        living = own._living()
        if living != living._not_lost():
            provider = self._billpay_provider()
            living = self.env["billpay.payable"]._revive(living, provider)
        living = living[-1:]
        asked = {
            "amount": wanted["amount"],
            "description": wanted["reference"],
            "partner_id": wanted["partner_id"],
            **({"pos_line_uuid": wanted["line"]} if wanted.get("line") else {}),
        }
        if living:
            living._want(asked)
            return living
        provider = self._billpay_provider()
        return numbers._reserve(
            provider,
            [
                {
                    "kind": "order",
                    "mode": provider.clickpesa_checkout_mode,
                    "pos_config_id": self.id,
                    "pos_order_uuid": wanted["uuid"],
                    "pos_leased_at": fields.Datetime.now(),
                    "predecessor_id": own[-1:].id,
                    **asked,
                }
            ],
            offline=offline,
            wake=wake,
        )

    def _billpay_loose(self, now):
        """Return the domain of numbers of new sales without an order and money."""
        return self._billpay_unheard() & Domain(
            "pos_leased_at", ">", now - ASKED_WITHIN
        )

    def _billpay_unheard(self):
        return Domain(
            [
                ("pos_config_id", "=", self.id),
                ("pos_order_uuid", "!=", False),
                ("pos_order_id", "=", False),
                ("payment_ids", "=", False),
            ]
        )

    def _billpay_check_asked(self):
        """Refuse a number for one more sale when nothing is heard of so many.

        :raise UserError: see ``MOST_ASKED``
        """
        numbers = self.env["billpay.control.number"].sudo()
        loose = self._billpay_loose(fields.Datetime.now())
        if numbers.search_count(loose, limit=MOST_ASKED) < MOST_ASKED:
            return
        raise UserError(
            self.env._(
                "The till %(till)s took %(count)s control numbers in the last hour for "
                "sales that were neither stored nor paid, so this sale gets none. "
                "Payments are not affected. Store or pay the open orders, take another "
                "payment method, or try again in an hour.",
                till=self.name,
                count=MOST_ASKED,
            )
        )

    def _billpay_close_forgotten(self, now):
        """Close numbers of sales that nobody has heard of for long.

        Their digits go to nobody else: a customer may have them. Money that still comes
        is kept as credit.
        """
        numbers = self.env["billpay.control.number"].sudo()
        forgotten = self._billpay_unheard() & Domain(
            [("pos_leased_at", "<", now - SILENT), ("state", "in", LIVING)]
        )
        numbers.search(forgotten, order="id", limit=FORGOTTEN_AT_ONCE)._close()

    def _billpay_go_offline(self, number_id, wanted):
        """The payer waits and ClickPesa does not answer: a number without it.

        Also in place of one that ClickPesa knows with another amount: a phone would
        take that amount only.
        """
        number = self.env["billpay.control.number"].sudo().browse(number_id)
        if number.state not in LIVING:
            return
        number._close()
        self._billpay_reserve(wanted, offline=True)

    # === HOW IT STANDS === #

    def billpay_status(self, uuids):
        """Tell how orders stand.

        Money that came for an open order becomes its payment lines.

        :param list uuids: of orders of this till
        :return: list of dict: ``uuid``, ``number``, ``url``, ``amount`` (TZS asked in
            all), ``received`` (TZS), ``state`` (``waiting``, ``part``, ``paid``,
            ``over``, ``closed``), ``payments`` (list, newest first), ``problem`` (why
            the customer is not shown the number any more, or ""), ``order`` (state of
            the order on the server, or ""), ``lines`` (its paid lines, as a till loads
            them), ``left`` (TZS that no line stands for)
        """
        config = self._billpay_till()
        wanted = [uuid for uuid in uuids or () if isinstance(uuid, str)][:100]
        return [
            stand
            for uuid in wanted
            if (stand := config._billpay_stand(uuid)) is not None
        ]

    def _billpay_stand(self, uuid):
        numbers = self.env["billpay.control.number"]._till_numbers(self, uuid)
        if not numbers:
            return None
        order = numbers[-1]._till_order()
        if order:
            self.env["billpay.till.claim"]._settle(order)
        lines = order._billpay_settled()
        living = numbers._living()[-1:]
        number = living or numbers[-1]
        received = numbers._received()
        payments = numbers.payment_ids.filtered(lambda p: p.state in MONEY)
        # Each number asks for the rest that the ones before it left.
        before = (numbers - number)._received()
        asked = before + (number.amount or 0)
        compare = number.currency_id.compare_amounts
        if not received:
            state = "waiting" if living else "closed"
        elif compare(received, asked) < 0:
            state = "part"
        else:
            state = "over" if compare(received, asked) > 0 else "paid"
        return {
            "uuid": uuid,
            "number": number.name,
            "url": self.env["billpay.pay.page"]._get_pay_url(number),
            "amount": asked,
            "received": received,
            "state": state,
            "problem": self._billpay_problem(living),
            "order": order.state or "",
            "lines": lines._load_pos_data_read(lines, self),
            "left": max(
                received - sum(whole_shillings(line.amount) for line in lines), 0
            ),
            "payments": [
                self._billpay_payment_for_till(payment)
                for payment in payments.sorted("id", reverse=True)
            ],
        }

    def _billpay_problem(self, number):
        """Return why no customer can pay a living number now, for a cashier, or ""."""
        if number == number._payable():
            return ""
        return self.env._(
            "This control number cannot be paid at the moment: do not give it to the "
            "customer. No money is affected. Take another payment method, and tell "
            "your accountant. %s",
            number._problem_text(),
        )

    def _billpay_payment_for_till(self, payment):
        """Return what a cashier may know of a payment."""
        phone = payment.payer_phone or ""
        local = pytz.utc.localize(payment.paid_at or payment.create_date).astimezone(
            self.company_id._billpay_tz()
        )
        return {
            "id": payment.id,
            "number": payment.number or "",
            "amount": payment.amount,
            "payer": payment.payer_name or "",
            # Enough to recognise one's own.
            "phone": f"…{phone[-4:]}" if phone else "",
            "receipt": payment.receipt or payment.reference,
            "channel": payment.channel_id.name or payment.channel_code or "",
            "time": local.strftime("%H:%M"),
        }

    # === CANCEL === #

    def billpay_cancel(self, uuid):
        """Take an order's number back: it is closed here and at ClickPesa.

        :return: see ``billpay_status``; money may have come meanwhile
        """
        config = self._billpay_till()
        if not isinstance(uuid, str):
            return None
        numbers = self.env["billpay.control.number"]._till_numbers(config, uuid)
        numbers._give_up_at_till()
        return config._billpay_stand(uuid)

    # === REFUND === #

    def billpay_unpaid(self, uuid):
        """Tell what a refund takes off before anything is given back.

        :param str uuid: of the order that is refunded, of a till of this company
        :return: what was never paid of it by BillPay, in TZS
        """
        config = self._billpay_till()
        if not isinstance(uuid, str):
            return 0.0
        orders = self.env["pos.order"].sudo()
        order = orders.search(
            [("uuid", "=", uuid), ("company_id", "=", config.company_id.id)], limit=1
        )
        return order._billpay_rest(but=orders)

    # === "I HAVE PAID" === #

    def billpay_search(self, text):
        """Find today's payments for a customer who says that the money is sent.

        Money of a till's number: by amount, or by number or phone, as a whole or by
        their last digits. Any other money: by receipt or whole number alone. A cashier
        has to know something of it: there is no list to look through.

        :param str text: what the customer's phone shows
        :return: list of dict as in ``billpay_status``, with ``uuid`` and ``verdict``,
            a sentence
        """
        config = self._billpay_till()
        text = str(text or "")
        # Letters and digits alone: "%" would find everything.
        digits = "".join(sign for sign in word_key(text) if sign.isascii())
        if len(digits) < SHORTEST_SEARCH or len(digits) > 64:
            return []
        company = config.company_id
        today = company._billpay_tz().localize(
            datetime.combine(company._billpay_today(), time())
        )
        since = today.astimezone(pytz.utc).replace(tzinfo=None)
        of_till = Domain("control_number_id.pos_config_id.company_id", "=", company.id)
        # A phone is typed 0712…, and known as 255712….
        known = Domain("payer_phone", "=", phone_key(text) or digits)
        if digits.isdecimal():
            known |= Domain("amount", "=", int(digits))
            last = digits.removeprefix("0")
            if len(last) >= SHORTEST_END:
                known |= Domain("payer_phone", "=like", f"%{last}")
            if len(digits) >= SHORTEST_END:
                known |= Domain("number", "=like", f"%{digits}")
        payments = (
            self.env["billpay.payment"]
            .sudo()
            .search(
                Domain("company_id", "=", company.id)
                & Domain("paid_at", ">=", since)
                & (
                    Domain("receipt_key", "=", receipt_key(text) or digits)
                    | Domain("number", "in", [*number_spellings(text), digits.upper()])
                    | (of_till & known)
                ),
                order="id desc",
                limit=MOST_FOUND,
            )
        )
        return [
            {
                **config._billpay_payment_for_till(payment),
                "uuid": payment.control_number_id.pos_order_uuid or "",
                "verdict": config._billpay_verdict(payment),
            }
            for payment in payments
        ]

    def _billpay_verdict(self, payment):
        """Return in a sentence what a cashier is to make of a payment."""
        number = payment.control_number_id
        order = number._till_order() if number else self.env["pos.order"]
        if payment.state == "ignored":
            return self.env._("The payment failed at ClickPesa. No money was received.")
        if payment.state == "received":
            return self.env._("ClickPesa has not confirmed it yet: wait a moment.")
        if payment.state == "unmatched":
            return self.env._(
                "The money came with a number that is not ours. Keep the receipt "
                "number, and let the accountant match it."
            )
        if payment.state == "reversed":
            return self.env._("ClickPesa refunded the payer.")
        if number.pos_config_id and number.pos_config_id != self:
            return self.env._(
                "Paid at the till %s, not at this one.", number.pos_config_id.name
            )
        if order:
            return self.env._("Paid for the order %s.", order.pos_reference)
        if number.pos_order_uuid:
            return self.env._("Paid for an order of this till.")
        if number.pos_config_id:
            return self.env._("Paid with a number of this till that has no order yet.")
        return self.env._("This payment is not for an order of this till.")
