# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Give each application a health address of its own.

Since 19.0.1.5.0 the token of the webhook address opens the health page no more.
"""

from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    env = api.Environment(cr, SUPERUSER_ID, {})
    env["payment.provider"].search(
        [("code", "=", "clickpesa")]
    )._billpay_ensure_tokens()
