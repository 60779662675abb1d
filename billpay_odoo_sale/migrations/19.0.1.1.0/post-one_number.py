# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Since 19.0.1.1.0 an order has one number, which asks for what the order owes."""

from odoo import SUPERUSER_ID, api

from odoo.addons.billpay_odoo.const import WAITING


def migrate(cr, version):
    env = api.Environment(cr, SUPERUSER_ID, {})
    waiting = env["payment.transaction"].search(
        [
            ("provider_code", "=", "clickpesa"),
            ("state", "in", WAITING),
            ("sale_order_ids", "!=", False),
        ],
        order="id desc",
    )
    for tx in waiting:
        # The newest is the one that an order's page shows.
        newer = tx._billpay_rivals()._billpay_waiting_ones()
        if any(other.id > tx.id for other in newer):
            # One of which a part was paid is done, with that part.
            tx._billpay_end_with_parts(
                env._("Another checkout asks for this order now.")
            )
            continue
        tx._billpay_numbers().filtered("bill_key")._take_place()
        tx._billpay_follow()
