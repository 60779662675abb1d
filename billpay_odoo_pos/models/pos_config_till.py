# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a till asks the server: a number, how it stands, who has paid."""

import math
from datetime import datetime, time

import pytz

from odoo import models
from odoo.exceptions import AccessError, UserError

from odoo.addons.billpay_odoo.crowd import turn
from odoo.addons.billpay_odoo.models.account_move_asking import whole_shillings
from odoo.addons.billpay_odoo.transactions import own_transaction

from .billpay_control_number import LIVING, MONEY

# How long a customer at the till waits for ClickPesa (seconds).
PATIENCE = 8
# What a cashier has to know of a payment before it is looked for.
SHORTEST_SEARCH = 3
# No till order is worth more: what ClickPesa takes in one payment (TZS).
LARGEST = 10**10


class PosConfig(models.Model):
    _inherit = "pos.config"  # pylint: disable=consider-merging-classes-inherited

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
            ``number`` (digits of the device's range that the customer has already)
        :raise UserError: it is not an order that can be paid
        """
        order = order if isinstance(order, dict) else {}
        uuid, amount = order.get("uuid"), order.get("amount")
        reference, number = order.get("reference"), order.get("number")
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
        partner = self.env["res.partner"]
        if isinstance(partner_id, int) and not isinstance(partner_id, bool):
            partner = partner.browse(partner_id).exists()
        return {
            "uuid": uuid,
            "amount": whole_shillings(amount),
            "reference": reference[:64] if isinstance(reference, str) else "",
            "number": number if isinstance(number, str) else "",
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
                if till._billpay_claim(wanted).payment_ids:
                    return till._billpay_stand(wanted["uuid"])
                number_id = till._billpay_reserve(wanted).id
        number = config.env["billpay.control.number"].browse(number_id)
        outcome = number._sync_with_others(PATIENCE)
        with turn(PATIENCE), own_transaction(config.env) as env:
            till = config.with_env(env)
            if outcome["state"] != "open" or outcome["error"]:
                till._billpay_go_offline(number_id, wanted)
            return till._billpay_stand(wanted["uuid"])

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
                ("pos_config_id", "=", self.id),
                ("pos_order_uuid", "in", (False, wanted["uuid"])),
            ],
            limit=1,
        )
        if number and not number.pos_order_uuid:
            # The customer has this one: another one asks for nothing any more.
            own = numbers._till_numbers(self, wanted["uuid"])
            own.filtered(lambda n: n.state in LIVING)._close()
            own.flush_recordset()
            number.write(
                {
                    "pos_order_uuid": wanted["uuid"],
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
        living = own.filtered(lambda n: n.state in LIVING)[-1:]
        asked = {
            "amount": wanted["amount"],
            "description": wanted["reference"],
            "partner_id": wanted["partner_id"],
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
                    "predecessor_id": own[-1:].id,
                    **asked,
                }
            ],
            offline=offline,
            wake=wake,
        )

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

        :param list uuids: of orders of this till
        :return: list of dict: ``uuid``, ``number``, ``url``, ``amount`` (TZS asked in
            all), ``received`` (TZS), ``state`` (``waiting``, ``part``, ``paid``,
            ``over``, ``closed``), ``payments`` (list, newest first)
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
        living = numbers.filtered(lambda n: n.state in LIVING)[-1:]
        number = living or numbers[-1]
        received = numbers._till_received()
        payments = numbers.payment_ids.filtered(lambda p: p.state in MONEY)
        # Each number asks for the rest that the ones before it left.
        before = (numbers - number)._till_received()
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
            "url": number._get_pay_url(),
            "amount": asked,
            "received": received,
            "state": state,
            "payments": [
                self._billpay_payment_for_till(payment)
                for payment in payments.sorted("id", reverse=True)
            ],
        }

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

    # === "I HAVE PAID" === #

    def billpay_search(self, text):
        """Find today's payments for a customer who says that the money is sent.

        By number, phone, receipt or amount, whatever the payment is for. A cashier
        has to know something of it: there is no list to look through.

        :param str text: what the customer's phone shows
        :return: list of dict as in ``billpay_status``, with ``uuid`` and ``verdict``,
            a sentence
        """
        config = self._billpay_till()
        # Letters and digits alone: "%" would find everything.
        digits = "".join(c for c in str(text or "") if c.isascii() and c.isalnum())
        if len(digits) < SHORTEST_SEARCH or len(digits) > 64:
            return []
        tz = config.company_id._billpay_tz()
        today = tz.localize(
            datetime.combine(config.company_id._billpay_today(), time())
        )
        # A phone is typed 0712…, and known as 255712….
        local = digits[1:] if digits.startswith("0") else digits
        domain = [
            ("provider_id", "=", config._billpay_provider().id),
            ("paid_at", ">=", today.astimezone(pytz.utc).replace(tzinfo=None)),
            "|",
            "|",
            ("number", "like", digits),
            ("receipt", "=ilike", digits),
            ("payer_phone", "like", local),
        ]
        if digits.isdecimal():
            domain.insert(2, "|")
            domain.append(("amount", "=", int(digits)))
        payments = (
            self.env["billpay.payment"].sudo().search(domain, order="id desc", limit=20)
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
            return self.env._("No money came: ClickPesa says that it failed.")
        if payment.state == "received":
            return self.env._("ClickPesa has not confirmed it yet: wait a moment.")
        if payment.state == "unmatched":
            return self.env._(
                "The money came with a number that is not ours. Keep the receipt "
                "number, and let the accountant match it."
            )
        if payment.state == "reversed":
            return self.env._("ClickPesa gave the money back to the payer.")
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
        return self.env._("Paid for something else than an order of this till.")
