# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Give applications that came from another company an outstanding account of theirs.

Since 19.0.1.5.0 it is set with the journal. Until then nothing could be booked.
"""

from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    env = api.Environment(cr, SUPERUSER_ID, {})
    # By their lines: reading the journal of an application may make one.
    lines = env["account.payment.method.line"].search(
        [("payment_provider_id.code", "=", "clickpesa")]
    )
    for line in lines:
        line.payment_provider_id._billpay_mend_account(line)
