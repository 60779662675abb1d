# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..actions import CLOSE
from ..const import NUMBER_MODES
from ..models.billpay_guarded import BillpayGuarded


class BillpayNumberChange(models.TransientModel):
    """Changes what customer numbers ask for; ClickPesa is told by itself."""

    _name = "billpay.number.change"
    _inherit = [BillpayGuarded._name]
    _description = "Change Customer Numbers"

    number_ids = fields.Many2many("billpay.control.number", readonly=True)
    number_count = fields.Integer(compute="_compute_number_count")
    currency_id = fields.Many2one(
        "res.currency", default=lambda self: self.env.ref("base.TZS")
    )
    amount = fields.Monetary(
        compute="_compute_amount",
        compute_sudo=False,
        store=True,
        readonly=False,
        precompute=True,
    )
    mode = fields.Selection(
        NUMBER_MODES,
        compute="_compute_amount",
        compute_sudo=False,
        store=True,
        readonly=False,
        precompute=True,
        required=True,
    )

    @api.depends("number_ids")
    def _compute_number_count(self):
        for wizard in self:
            wizard.number_count = len(wizard.number_ids)

    @api.depends("number_ids")
    def _compute_amount(self):
        for wizard in self:
            first = wizard.number_ids[:1]
            wizard.amount = first.amount
            wizard.mode = first.mode or "flexible"

    @api.model
    def _check_whole(self, amount):
        if amount < 0 or amount != round(amount):
            raise UserError(
                self.env._(
                    "A number asks for whole shillings. Nothing was changed: correct "
                    "the amount."
                )
            )

    def action_confirm(self):
        self.ensure_one()
        numbers = self.number_ids
        numbers._check_customer_clerk()
        self._check_whole(self.amount)
        if self.mode == "exact" and not self.amount:
            raise UserError(
                self.env._(
                    "An exact amount needs an amount. Nothing was changed: enter it, "
                    "or let payers pay any amount."
                )
            )
        exact = self.mode == "exact" and numbers.sudo()
        if carrying := exact and exact._open_carriers(limit=1):
            raise UserError(
                self.env._(
                    "The invoice %(invoice)s carries the number %(number)s and is paid "
                    "on it, so the number takes any amount. Nothing was changed: let "
                    "invoices of this purpose carry a number of their own, or wait "
                    "until this one is paid.",
                    invoice=carrying.name,
                    number=carrying.billpay_carried_number_id.display_number,
                )
            )
        asking = numbers.filtered("known_amount")
        if not self.amount and asking:
            raise UserError(
                self.env._(
                    "ClickPesa can change an amount, but not take it away: the number "
                    "%s keeps asking for one. Nothing was changed: close it, or let "
                    "its payers pay any amount.",
                    asking[0].display_number,
                )
            )
        asked = {"amount": self.amount, "mode": self.mode}
        for number in numbers.sudo():
            if why := self.env["billpay.sync"]._why_not_asked(number, asked):
                raise UserError(self.env._("Nothing was changed. %s", why))
        numbers.sudo()._want_each(dict.fromkeys(numbers.sudo(), asked))
        return CLOSE
