# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import fields, models

# Why the payments of a day differ between ClickPesa's statement and Odoo, and whether
# that explains it. What explains nothing makes a day red; TRANSIENT ends by itself.
EXPLAINED = ("transit", "other_day", "fee_kept", "reversed", "reversing")
TRANSIENT = ("transit", "reversing")


class BillpayDayItem(models.Model):
    """One reason why a day's payments at ClickPesa and in Odoo differ, with its sum."""

    _name = "billpay.day.item"
    _inherit = ["billpay.guarded"]
    _description = "Item of a ClickPesa Day"
    _order = "explains, id"
    _rec_name = "cause"

    day_id = fields.Many2one(
        "billpay.day", required=True, readonly=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        related="day_id.company_id", store=True, index=True, precompute=True
    )
    cause = fields.Selection(
        [
            ("transit", "In transit: paid, not yet in ClickPesa's balance"),
            ("other_day", "Paid on another day"),
            ("fee_kept", "Fees kept back from the payments"),
            ("reversed", "Taken back before settlement"),
            ("reversing", "Reversals that Odoo is booking"),
            ("unknown", "In ClickPesa's statement, not in Odoo"),
            ("amount", "With another amount in Odoo"),
            ("missing", "In Odoo, not in ClickPesa's statement"),
            ("not_reversed", "Reversed at ClickPesa, still booked"),
        ],
        string="Reason",
        required=True,
        readonly=True,
    )
    count = fields.Integer(string="Payments", readonly=True)
    amount = fields.Monetary(
        readonly=True, help="ClickPesa's statement less the payments in Odoo, in TZS."
    )
    currency_id = fields.Many2one(related="day_id.currency_id")
    explains = fields.Boolean(string="Explained", readonly=True)

    @property
    def _billpay_server_fields(self):
        return frozenset(self._fields)

    def action_view(self):
        """Open the rows or payments that this item counts."""
        self.ensure_one()
        return self.day_id._view_cause(self.cause)

    def _sentence(self):
        """Return what happened, what it means for the money, and the next click."""
        self.ensure_one()
        env = self.env
        figures = {
            "count": self.count,
            "amount": self.currency_id.format(abs(self.amount)),
        }
        if self.cause == "unknown":
            return env._(
                "ClickPesa's statement shows %(count)s payment(s) over %(amount)s that "
                "Odoo has not booked, and ClickPesa does not report them when asked. "
                "Open them and compare with the ClickPesa dashboard; if the money is "
                "there, press Enter Payment in BillPay Payments.",
                **figures,
            )
        if self.cause == "amount":
            return env._(
                "%(count)s payment(s) have another amount in ClickPesa's statement, by "
                "%(amount)s together. Open them, compare with the ClickPesa dashboard "
                "and correct the entry with the button Payment.",
                **figures,
            )
        if self.cause == "missing":
            return env._(
                "%(count)s payment(s) over %(amount)s were paid more than a week ago "
                "and are not in ClickPesa's statement, so the money is not in your "
                "balance there. Open them and ask ClickPesa's support for their "
                "settlement.",
                **figures,
            )
        if self.cause == "not_reversed":
            return env._(
                "ClickPesa's statement shows %(count)s payment(s) over %(amount)s as "
                "reversed that are still booked. Open them; if the money went back, "
                "take the entry out of the books with the button Payment.",
                **figures,
            )
        if self.cause == "transit":
            return env._(
                "%(count)s payment(s) over %(amount)s are in transit: ClickPesa has "
                "not put them into the balance yet. Nothing is to be done.",
                **figures,
            )
        if self.cause == "reversing":
            return env._(
                "%(count)s payment(s) over %(amount)s were reversed, and Odoo reverses "
                "their entries in the next minutes. Nothing is to be done.",
                **figures,
            )
        return ""
