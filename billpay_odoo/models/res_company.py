# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import pytz

from odoo import fields, models

from .. import const


class ResCompany(models.Model):
    _inherit = "res.company"

    billpay_provider_id = fields.Many2one(
        "payment.provider",
        string="BillPay Application",
        domain=[("code", "=", "clickpesa")],
        ondelete="set null",
        help="The ClickPesa application that makes this company's control numbers.",
    )
    billpay_issue_on = fields.Selection(
        selection=[
            ("post", "When an invoice is confirmed"),
            ("send", "When an invoice is sent"),
            ("manual", "By hand"),
        ],
        string="Get Control Numbers",
        default="post",
        required=True,
    )
    billpay_default_mode = fields.Selection(
        selection=[
            ("flexible", "Any amount: parts and more than due"),
            ("exact", "Exactly the amount due"),
        ],
        string="Payers May Pay",
        default="flexible",
        required=True,
    )

    def _billpay_tz(self):
        """Return the time zone in which this company's days begin (pytz)."""
        self.ensure_one()
        name = self.sudo().partner_id.tz or const.DEFAULT_TZ
        return pytz.timezone(name)
