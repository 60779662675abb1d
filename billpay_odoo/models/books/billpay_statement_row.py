# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models
from odoo.exceptions import UserError

KINDS = [
    ("payment", "Payment"),
    ("fee", "Fee"),
    ("withdraw", "Withdraw"),
    ("payout", "Payout"),
    ("deposit", "Deposit"),
    ("reversal", "Reversal"),
    ("other", "Other"),
]
# What tells a row from all others: never written again.
FROZEN = ("provider_id", "key", "reference", "amount", "day")


class BillpayStatementRow(models.Model):
    """One row of ClickPesa's account statement, as told. Upsert only, never deleted.

    ``key`` is made of the day under which ClickPesa lists it, its id, its signed amount
    and, among rows that are alike in all of these, a number. Not of the kind, which is
    our reading of its words and may become better, nor of its moment, which ClickPesa
    writes in several forms.
    """

    _name = "billpay.statement.row"
    _inherit = ["billpay.guarded"]
    _description = "ClickPesa Statement Row"
    _order = "day desc, sequence, id"
    _rec_name = "reference"
    _rec_names_search = ["reference", "number", "description"]

    day_id = fields.Many2one(
        "billpay.day", required=True, readonly=True, index=True, ondelete="restrict"
    )
    provider_id = fields.Many2one(
        "payment.provider",
        string="Application",
        required=True,
        readonly=True,
        ondelete="restrict",
    )
    company_id = fields.Many2one(
        related="provider_id.company_id", store=True, index=True, precompute=True
    )
    key = fields.Char(required=True, readonly=True)
    reference = fields.Char(string="ClickPesa ID", readonly=True)
    day = fields.Date(required=True, readonly=True)
    moment = fields.Datetime(readonly=True)
    sequence = fields.Integer(readonly=True, help="Its place in the statement.")
    kind = fields.Selection(KINDS, required=True, readonly=True)
    told_type = fields.Char(string="Type", readonly=True)
    description = fields.Char(readonly=True)
    amount = fields.Monetary(
        readonly=True, help="In TZS. Money that leaves the account is below zero."
    )
    balance = fields.Monetary(readonly=True, help="Of the account, after this row.")
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    number = fields.Char(
        readonly=True, help="ClickPesa's orderReference: what the payer typed."
    )
    payment_id = fields.Many2one(
        "billpay.payment", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    payment_amount = fields.Monetary(
        string="In Odoo", related="payment_id.amount", help="Amount of the payment."
    )
    verdict = fields.Selection(
        [
            ("agrees", "Agrees"),
            ("fee_kept", "Less a fee"),
            ("unknown", "Not in Odoo"),
            ("amount", "Another amount"),
            ("reversing", "Being reversed"),
            ("not_reversed", "Still booked"),
        ],
        readonly=True,
        help="How the row compares with the payment in Odoo.",
    )
    raw = fields.Json(
        string="As Told", readonly=True, groups="billpay_odoo.group_billpay_manager"
    )

    _key_unique = models.UniqueIndex(
        "(provider_id, key)", "This row of the statement is already here."
    )
    _reference = models.Index("(provider_id, reference)")
    _day = models.Index("(provider_id, day)")

    @property
    def _billpay_server_fields(self):
        return frozenset(self._fields)

    @api.depends("reference", "description")
    def _compute_display_name(self):
        for row in self:
            row.display_name = row.description or row.reference or row.key

    # === CRUD METHODS === #

    def write(self, vals):
        if changed := [name for name in FROZEN if name in vals]:
            raise UserError(
                self.env._(
                    "A row of ClickPesa's statement stays as it was told (%s). Nothing "
                    "was changed and no money is affected.",
                    ", ".join(changed),
                )
            )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(
            self.env._(
                "You cannot delete a row of ClickPesa's statement. It shows what "
                "happened in the account."
            )
        )
