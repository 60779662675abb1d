# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Numbers that a till may print without asking: a range of its own.

Each device of a till gets numbers of its own in advance, made by the one counter of
the application and with its check digits. So no two tills, and no two devices of one
till, can ever hand out the same number, with or without a network. Money on such a
number is booked even when the till has not been heard of yet.
"""

import re

from odoo import models
from odoo.exceptions import UserError

# How many numbers a device holds when it has just been refilled.
RANGE = 60
_DEVICE = re.compile(r"[0-9a-fA-F-]{8,64}\Z")


class PosConfig(models.Model):
    _inherit = "pos.config"  # pylint: disable=consider-merging-classes-inherited

    def billpay_lease(self, device, used=()):
        """Return the numbers that a device may print, filled up.

        :param str device: the device's own UUID
        :param list used: digits it has printed of which the server may not know yet
        :return: list of ``{"number": str, "url": str}``, the oldest first
        :raise UserError: there is no application that works
        """
        config = self._billpay_till()
        if not isinstance(device, str) or not _DEVICE.match(device):
            raise UserError(self.env._("This device has no name: reload the till."))
        printed = {name for name in used or () if isinstance(name, str)}
        numbers = self.env["billpay.control.number"].sudo()
        provider = config._billpay_provider()
        left = numbers.search(
            [
                ("pos_config_id", "=", config.id),
                ("pos_device", "=", device),
                ("pos_order_uuid", "=", False),
                ("provider_id", "=", provider.id),
                ("state", "=", "open"),
                ("name", "not in", list(printed)),
            ],
            order="id",
            limit=RANGE,
        )
        fresh = numbers._reserve(
            provider,
            [
                {
                    "kind": "order",
                    "mode": "flexible",
                    "pos_config_id": config.id,
                    "pos_device": device,
                    "partner_id": config._billpay_customer().id,
                }
            ]
            * (RANGE - len(left)),
            offline=True,
        )
        return [
            {"number": number.name, "url": number._get_pay_url()}
            for number in left + fresh.sudo()
        ]
