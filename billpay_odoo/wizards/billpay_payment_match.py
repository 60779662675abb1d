# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models
from odoo.exceptions import UserError


class BillpayPaymentMatch(models.TransientModel):
    """Says what one payment pays: ranked suggestions, any other invoice, or credit.

    Made by ``_open_for`` with its suggestions, so nothing that is shown has to come
    back from the browser.
    """

    _name = "billpay.payment.match"
    _description = "Match a BillPay Payment"

    payment_id = fields.Many2one("billpay.payment", required=True, readonly=True)
    currency_id = fields.Many2one(related="payment_id.currency_id")
    company_id = fields.Many2one(related="payment_id.company_id")
    number = fields.Char(related="payment_id.number")
    payer_name = fields.Char(related="payment_id.payer_name")
    payer_phone = fields.Char(related="payment_id.payer_phone")
    paid_at = fields.Datetime(related="payment_id.paid_at")
    receipt = fields.Char(related="payment_id.receipt")
    reason = fields.Char(related="payment_id.reason", string="What Happened")
    uses_credit = fields.Boolean(
        readonly=True,
        help="The payment is booked: what is given out is its open credit.",
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
        store=True,
        readonly=False,
        check_company=True,
    )

    # === COMPUTE METHODS === #

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
            chosen = match.line_ids.filtered("use").partner_id
            if match.uses_credit:
                match.partner_id = match.payment_id.partner_id
            elif chosen:
                match.partner_id = chosen[0].commercial_partner_id
            else:
                match.partner_id = match.partner_id

    @api.onchange("line_ids")
    def _onchange_line_ids(self):
        """Fill in what a newly chosen line can take of what is left."""
        rest = self.amount - sum(self.line_ids.filtered("use").mapped("amount"))
        for line in self.line_ids:
            if line.use and not line.amount:
                line.amount = max(min(rest, line.due), 0)
                rest -= line.amount

    # === OPEN === #

    @api.model
    def _open_for(self, payment):
        """Return the action that shows the wizard for this payment."""
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
        match = self.create(
            {
                "payment_id": payment.id,
                "uses_credit": uses_credit,
                "amount": payment.credit_open if uses_credit else payment.amount,
                "line_ids": [
                    fields.Command.create(
                        {
                            "sequence": sequence,
                            "move_id": suggestion.move.id,
                            "partner_id": suggestion.partner.id,
                            "reasons": "\n".join(suggestion.reasons),
                            "score": suggestion.score,
                        }
                    )
                    for sequence, suggestion in enumerate(suggestions, 1)
                ],
            }
        )
        return match._show()

    def _show(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Use Credit")
            if self.uses_credit
            else self.env._("Match"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
            "context": {"dialog_size": "extra-large"},
        }

    # === ACTION METHODS === #

    def action_match(self):
        """Book the payment as chosen."""
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
            return self._done(
                "success", self.env._("The credit was used: see the invoices.")
            )
        self.env["billpay.decision"]._match_by_hand(
            payment, [(line.move_id, line.amount) for line in bills], self.partner_id
        )
        payment.invalidate_recordset()
        if payment.state == "posted":
            return self._done(
                "success",
                self.env._(
                    "%(amount)s of %(payer)s booked.",
                    amount=payment.currency_id.format(payment.amount),
                    payer=payment.payer_name or payment.partner_id.display_name,
                ),
            )
        return self._done(
            "warning",
            payment.reason
            or self.env._("Matched. It is booked by the next run, within a minute."),
        )

    def _done(self, kind, message):
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": kind,
                "message": message,
                "next": {"type": "ir.actions.act_window_close"},
            },
        }

    def action_not_ours(self):
        """The money is for somebody else, or not to be booked here."""
        self.ensure_one()
        return self.payment_id.action_open_put_aside()
