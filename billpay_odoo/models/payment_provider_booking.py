# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How an application's payments get into the books."""

from odoo import fields, models


class PaymentProvider(models.Model):
    _inherit = "payment.provider"  # pylint: disable=consider-merging-classes-inherited

    clickpesa_reversal = fields.Selection(
        string="Money Taken Back",
        help="What happens when ClickPesa takes money back that is booked already.",
        selection=[
            ("auto", "Reverse the entry and tell somebody"),
            ("alert", "Only tell somebody"),
        ],
        default="auto",
        required=True,
    )
