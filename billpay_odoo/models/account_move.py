# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain

from ..clickpesa import ClickPesaError
from ..transactions import own_transaction
from .billpay_control_number import without_blanks


class AccountMove(models.Model):
    _inherit = "account.move"

    # Whoever may open an invoice sees its number, with no right on numbers at all.
    billpay_number_ids = fields.One2many(
        "billpay.control.number",
        "move_id",
        string="Control Numbers",
        groups="billpay_odoo.group_billpay_user",
    )
    billpay_number_id = fields.Many2one(
        "billpay.control.number",
        string="Control Number to Pay",
        compute="_compute_billpay_number_id",
        compute_sudo=True,
        help="The number to pay now.",
    )
    billpay_number = fields.Char(
        string="Control Number",
        compute="_compute_billpay_number_id",
        compute_sudo=True,
        search="_search_billpay_number",
    )
    billpay_number_digits = fields.Char(
        string="Control Number Digits",
        compute="_compute_billpay_number_id",
        compute_sudo=True,
    )
    billpay_number_state = fields.Selection(
        selection=lambda self: (
            self.env["billpay.control.number"]._fields["state"].selection
        ),
        compute="_compute_billpay_number_id",
        compute_sudo=True,
    )
    billpay_issue_on = fields.Selection(
        selection=[
            ("post", "When confirmed"),
            ("send", "When sent"),
            ("manual", "By hand"),
        ],
        string="Get Control Number",
        copy=False,
        help="When this invoice gets its control number. Empty: as the company does.",
    )
    billpay_payment_ids = fields.One2many(
        "billpay.payment",
        "move_id",
        string="BillPay Payments",
        groups="billpay_odoo.group_billpay_user",
    )
    billpay_payment_count = fields.Integer(
        compute="_compute_billpay_counts", compute_sudo=True
    )
    billpay_number_count = fields.Integer(
        compute="_compute_billpay_counts", compute_sudo=True
    )
    billpay_can_issue = fields.Boolean(
        compute="_compute_billpay_can_issue", compute_sudo=True
    )

    # === COMPUTE METHODS === #

    @api.depends(
        "billpay_number_ids.state",
        "billpay_number_ids.name",
        "billpay_carried_number_id.state",
    )
    def _compute_billpay_number_id(self):
        for move in self:
            numbers = move.billpay_number_ids.sorted("id", reverse=True)
            living = numbers.filtered(lambda n: n.state in ("open", "pending"))
            move.billpay_number_id = (
                living[:1] or move.billpay_carried_number_id or numbers[:1]
            )
            move.billpay_number = move.billpay_number_id.display_number
            move.billpay_number_digits = move.billpay_number_id.name
            move.billpay_number_state = move.billpay_number_id.state

    def _search_billpay_number(self, operator, value):
        """Find an invoice by any of its numbers, typed with or without blanks."""
        if operator in Domain.NEGATIVE_OPERATORS:
            return NotImplemented  # Odoo asks for the opposite and turns it round
        numbers_sudo = self.env["billpay.control.number"].sudo()
        if operator == "in" and not all(value):
            numbered = numbers_sudo._search([("move_id", "!=", False)])
            none = Domain("id", "not in", numbered.subselect("move_id")) & Domain(
                "billpay_carried_number_id", "=", False
            )
            given = [text for text in value if text]
            return none | Domain("billpay_number", "in", given) if given else none
        named = Domain("name", operator, without_blanks(value))
        found = numbers_sudo._search(named & Domain("move_id", "!=", False))
        carried = numbers_sudo._search(named & Domain("kind", "=", "customer"))
        return Domain("id", "in", found.subselect("move_id")) | Domain(
            "billpay_carried_number_id", "in", carried
        )

    @api.depends(
        "billpay_number_ids", "billpay_payment_ids", "billpay_carried_number_id"
    )
    def _compute_billpay_counts(self):
        for move in self:
            move.billpay_number_count = len(
                move.billpay_number_ids | move.billpay_carried_number_id
            )
            move.billpay_payment_count = len(move.billpay_payment_ids)

    @api.depends(
        "state",
        "move_type",
        "amount_residual",
        "matched_payment_ids.state",
        "currency_id",
        "billpay_number_ids.state",
        "billpay_carried_number_id.state",
        "billpay_purpose_id",
    )
    def _compute_billpay_can_issue(self):
        for move in self:
            move.billpay_can_issue = bool(
                move._billpay_wanting_numbers() or move._billpay_wanting_carried()
            )

    # === ACTION METHODS === #

    def _billpay_check_clerk(self):
        """Numbers and payments belong to those who make invoices.

        :raise AccessError: the user is none of them
        """
        self.check_access("read")
        user = self.env.user
        if not (
            self.env.su
            or user.has_group("account.group_account_invoice")
            or user.has_group("billpay_odoo.group_billpay_manager")
        ):
            raise AccessError(
                self.env._(
                    "Only users with the right to make invoices can get control "
                    "numbers or ask ClickPesa for payments. No money is affected: "
                    "ask your accountant."
                )
            )

    def action_billpay_issue(self):
        """Get a control number now (for invoices that get it by hand)."""
        self._billpay_check_clerk()
        numbers = self._billpay_reserve_numbers()
        if numbers:
            return
        for move in self:
            if move.state == "posted" and not move._billpay_rate():
                raise UserError(move._billpay_rate_missing_text())
        raise UserError(
            self.env._(
                "No control number was made. An invoice can have one when it is "
                "confirmed, not fully paid, has no open number yet, and its company "
                "has an active ClickPesa application."
            )
        )

    def action_billpay_check(self):
        """Ask ClickPesa now whether these invoices were paid, and book it."""
        self._billpay_check_clerk()
        with own_transaction(self.env(su=True)) as env:
            moves = self.with_env(env).exists()
            numbers = moves.billpay_number_ids | moves.billpay_carried_number_id
            numbers = numbers.filtered(lambda n: n.state in ("open", "paid", "closed"))
            for provider in numbers.provider_id:
                if not provider._billpay_has_credentials():
                    raise UserError(
                        self.env._(
                            "The application %s has no client ID and API key, so "
                            "ClickPesa cannot be asked. No money is affected: if you "
                            "have seen the receipt, use Enter Payment.",
                            provider.name,
                        )
                    )
            try:
                found = env["billpay.payment"]._check_numbers_now(numbers)
            except ClickPesaError as error:
                raise UserError(
                    self.env._(
                        "ClickPesa could not be asked: %s No money is affected: what "
                        "was paid is found as soon as ClickPesa answers. Try again "
                        "in a minute.",
                        error.message,
                    )
                ) from None
            paid = len(found.filtered(lambda payment: payment.state == "posted"))
            waiting = len(
                found.filtered(
                    lambda p: (
                        p.state in ("received", "confirmed", "unmatched", "failed")
                    )
                )
            )
        kind, message = "info", self.env._("ClickPesa knows of no payment yet.")
        if paid:
            kind = "success"
            message = self.env._("%s payment(s) known and booked.", paid)
        elif waiting:
            kind = "warning"
            message = self.env._(
                "%s payment(s) known, but not booked yet. Under BillPay Payments each "
                "says why, and what comes next.",
                waiting,
            )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": kind,
                "message": message,
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def action_billpay_pay_page(self):
        self.ensure_one()
        self.check_access("read")
        # sudo: whoever may open an invoice need not be allowed to open its number.
        return self.billpay_number_id.sudo().action_open_pay_page()

    def action_view_billpay_numbers(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.act_window"]._for_xml_id(
                "billpay_odoo.action_billpay_control_number"
            ),
            "domain": [
                "|",
                ("move_id", "=", self.id),
                ("id", "=", self.billpay_carried_number_id.id),
            ],
            "context": {},
        }

    def action_view_billpay_payments(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.act_window"]._for_xml_id(
                "billpay_odoo.action_billpay_payment"
            ),
            "domain": [("move_id", "=", self.id)],
            "context": {},
        }
