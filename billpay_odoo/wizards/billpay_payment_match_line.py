# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models


class BillpayPaymentMatchLine(models.TransientModel):
    """A bill that the payment may pay, or a customer whose credit it may be."""

    _name = "billpay.payment.match.line"
    _description = "Match a BillPay Payment: Line"
    _order = "sequence, id"

    match_id = fields.Many2one(
        "billpay.payment.match", required=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="match_id.company_id")
    currency_id = fields.Many2one(related="match_id.currency_id")
    sequence = fields.Integer(default=100)
    use = fields.Boolean(string="Pay")
    move_id = fields.Many2one(
        "account.move",
        string="Invoice",
        domain="[('move_type', 'in', ('out_invoice', 'out_receipt')),"
        " ('state', '=', 'posted'), ('payment_state', 'in', ('not_paid', 'partial')),"
        " ('company_id', 'child_of', company_id)]",
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        compute="_compute_partner_id",
        store=True,
        readonly=False,
    )
    date_due = fields.Date(related="move_id.invoice_date_due", string="Due")
    due = fields.Monetary(string="Open", compute="_compute_due", help="In TZS.")
    amount = fields.Monetary(string="Pays", help="In TZS.")
    reasons = fields.Text(readonly=True, default=lambda self: self.env._("Your choice"))
    score = fields.Integer(readonly=True)

    @api.depends("move_id")
    def _compute_partner_id(self):
        for line in self:
            line.partner_id = line.move_id.partner_id or line.partner_id

    @api.depends("move_id", "currency_id", "match_id.payment_id")
    def _compute_due(self):
        for line in self:
            line.due = line.move_id and line.move_id._billpay_left(
                line.match_id.payment_id
            )

    @api.onchange("move_id")
    def _onchange_move_id(self):
        """An invoice that somebody looked up is meant to be paid."""
        if self.move_id and not self.score:
            self.use = True

    @api.onchange("use")
    def _onchange_use(self):
        if not self.use:
            self.amount = 0

    @api.onchange("amount")
    def _onchange_amount(self):
        if self.move_id:
            self.use = bool(self.amount) or self.use
