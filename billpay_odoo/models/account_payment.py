# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import fields, models


class AccountPayment(models.Model):
    _inherit = "account.payment"

    billpay_payment_id = fields.Many2one(
        "billpay.payment",
        string="BillPay Payment",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
    )
    billpay_part = fields.Integer(
        readonly=True,
        copy=False,
        help="Which part of the ClickPesa payment this is, when it is split.",
    )

    # A ClickPesa payment is booked exactly once: the database says so.
    _billpay_part_unique = models.UniqueIndex(
        "(billpay_payment_id, COALESCE(billpay_part, 0)) WHERE billpay_payment_id IS NOT NULL",
        "This part of the ClickPesa payment is already booked.",
    )
