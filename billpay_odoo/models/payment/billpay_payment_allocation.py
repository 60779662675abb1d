# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import fields, models


class BillpayPaymentAllocation(models.Model):
    """What a person decided that a ClickPesa payment pays, in this order.

    What is left over is credit of ``billpay.payment.partner_id``. Without any, the
    control number decides.
    """

    _name = "billpay.payment.allocation"
    _description = "BillPay Payment Allocation"
    _order = "sequence, id"
    _check_company_auto = True

    payment_id = fields.Many2one(
        "billpay.payment", required=True, ondelete="cascade", index=True
    )
    company_id = fields.Many2one(
        related="payment_id.company_id", store=True, index=True
    )
    move_id = fields.Many2one(
        "account.move", string="Invoice", required=True, ondelete="restrict", index=True
    )
    amount = fields.Monetary(required=True, help="In TZS: how much of the payment.")
    currency_id = fields.Many2one(related="payment_id.currency_id")
    sequence = fields.Integer(default=10)

    _amount_positive = models.Constraint(
        "CHECK (amount > 0)", "An allocation is more than zero."
    )
    _move_once = models.UniqueIndex(
        "(payment_id, move_id)", "This invoice is already chosen for the payment."
    )
