# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..actions import CLOSE, dialog, notify
from ..models.billpay_guarded import BillpayGuarded


class BillpayPaymentMatch(models.TransientModel):
    """Says what one payment pays: ranked suggestions, any other invoice, or credit.

    Made by ``_open_for`` with its suggestions, so nothing that is shown has to come
    back from the browser.
    """

    _name = "billpay.payment.match"
    _inherit = [BillpayGuarded._name]
    _description = "Match a BillPay Payment"
    _billpay_server_fields = frozenset({"uses_credit", "amount"})

    payment_id = fields.Many2one("billpay.payment", required=True, readonly=True)
    currency_id = fields.Many2one(related="payment_id.currency_id", related_sudo=False)
    company_id = fields.Many2one(related="payment_id.company_id", related_sudo=False)
    number = fields.Char(related="payment_id.number", related_sudo=False)
    payer_name = fields.Char(related="payment_id.payer_name", related_sudo=False)
    payer_phone = fields.Char(related="payment_id.payer_phone", related_sudo=False)
    paid_at = fields.Datetime(related="payment_id.paid_at", related_sudo=False)
    receipt = fields.Char(related="payment_id.receipt", related_sudo=False)
    reason = fields.Char(
        related="payment_id.reason", related_sudo=False, string="What Happened"
    )
    uses_credit = fields.Boolean(
        readonly=True,
        help="The payment is booked: its open credit is allocated.",
    )
    amount = fields.Monetary(string="To Match", readonly=True)
    line_ids = fields.One2many("billpay.payment.match.line", "match_id")
    rest = fields.Monetary(compute="_compute_rest")
    too_much = fields.Boolean(compute="_compute_rest")
    chosen_count = fields.Integer(compute="_compute_rest")
    partner_id = fields.Many2one(
        "res.partner",
        string="Rest Is Credit Of",
        compute="_compute_partner_id",
        compute_sudo=False,
        store=True,
        readonly=False,
        check_company=True,
    )

    @api.depends("amount", "line_ids.use", "line_ids.amount")
    def _compute_rest(self):
        for match in self:
            chosen = match.line_ids.filtered("use")
            rest = match.amount - sum(chosen.mapped("amount"))
            match.rest = rest
            match.too_much = bool(
                match.currency_id and match.currency_id.compare_amounts(rest, 0) < 0
            )
            match.chosen_count = len(chosen)

    @api.depends("line_ids.use", "line_ids.partner_id")
    def _compute_partner_id(self):
        for match in self:
            chosen = match.line_ids.filtered("use").partner_id[:1]
            owner = chosen.commercial_partner_id or match.partner_id
            match.partner_id = (
                match.payment_id.partner_id if match.uses_credit else owner
            )

    @api.onchange("line_ids")
    def _onchange_line_ids(self):
        """Fill in what a newly chosen line can take of what is left."""
        rest = self.amount - sum(self.line_ids.filtered("use").mapped("amount"))
        for line in self.line_ids:
            if line.use and not line.amount:
                line.amount = max(min(rest, line.due), 0)
                rest -= line.amount

    @api.model
    def _open_for(self, payment):
        uses_credit = payment.state == "posted"
        suggestions = self.env["billpay.suggestion"]._suggest(payment)
        if uses_credit:
            # Booked money belongs to one customer: only that one's invoices.
            owner = payment.partner_id.commercial_partner_id
            suggestions = [
                suggestion
                for suggestion in suggestions
                if suggestion.move and suggestion.partner.commercial_partner_id == owner
            ]
        lines = [
            {
                "sequence": sequence,
                "move_id": suggestion.move.id,
                "partner_id": suggestion.partner.id,
                "reasons": "\n".join(suggestion.reasons),
                "score": suggestion.score,
            }
            for sequence, suggestion in enumerate(suggestions, 1)
        ]
        # sudo: what is open of the payment is Odoo's to say.
        match = self.sudo().create(
            {
                "payment_id": payment.id,
                "uses_credit": uses_credit,
                "amount": payment.credit_open if uses_credit else payment.amount,
                "line_ids": list(map(fields.Command.create, lines)),
            }
        )
        match = match.sudo(False)
        title = self.env._("Use Credit") if uses_credit else self.env._("Match")
        return dialog(match, title, context={"dialog_size": "extra-large"})

    def action_match(self):
        self.ensure_one()
        chosen = self.line_ids.filtered("use")
        bills = chosen.filtered("move_id")
        payment = self.payment_id
        if self.uses_credit:
            if not bills:
                raise UserError(
                    self.env._(
                        "Choose the invoice that the credit is to pay. Nothing was "
                        "changed: without one it stays the customer's credit."
                    )
                )
            self.env["billpay.decision"]._use_credit(payment, bills.move_id)
            message = self.env._("The credit was used: see the invoices.")
            return notify("success", message, CLOSE)
        self.env["billpay.decision"]._match_by_hand(
            payment, [(line.move_id, line.amount) for line in bills], self.partner_id
        )
        payment.invalidate_recordset()
        if payment.state == "posted":
            message = self.env._(
                "%(amount)s of %(payer)s booked.",
                amount=payment.currency_id.format(payment.amount),
                payer=payment.payer_name or payment.partner_id.display_name,
            )
            return notify("success", message, CLOSE)
        message = payment.reason or self.env._(
            "Matched. It is booked by the next run, within a minute."
        )
        return notify("warning", message, CLOSE)

    def action_not_ours(self):
        self.ensure_one()
        return self.payment_id.action_open_put_aside()


class BillpayPaymentMatchLine(models.TransientModel):
    """A bill that the payment may pay, or a customer whose credit it may be."""

    _name = "billpay.payment.match.line"
    _inherit = [BillpayGuarded._name]
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
        " ('state', '=', 'posted'), ('amount_residual', '>', 0),"
        " ('company_id', 'child_of', company_id)]",
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        compute="_compute_partner_id",
        compute_sudo=False,
        store=True,
        readonly=False,
    )
    date_due = fields.Date(
        related="move_id.invoice_date_due", related_sudo=False, string="Due"
    )
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
            payment = line.match_id.payment_id
            line.due = line.move_id and line.move_id._billpay_left(payment)

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
