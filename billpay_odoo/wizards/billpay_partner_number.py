# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from itertools import product

from odoo import Command, api, fields, models
from odoo.exceptions import UserError

from ..actions import window
from ..models.billpay_guarded import BillpayGuarded


class BillpayPartnerNumber(models.TransientModel):
    """Gives contacts the numbers of chosen purposes, after showing what that means."""

    _name = "billpay.partner.number"
    _inherit = [BillpayGuarded._name]
    _description = "Get Control Numbers for Contacts"
    _billpay_server_fields = frozenset({"company_id"})

    partner_ids = fields.Many2many("res.partner", string="Contacts")
    company_id = fields.Many2one(
        "res.company", default=lambda self: self.env.company, readonly=True
    )
    purpose_ids = fields.Many2many(
        "billpay.purpose",
        string="Purposes",
        domain="[('company_id', '=', company_id)]",
        default=lambda self: self._default_purpose_ids(),
    )
    line_ids = fields.One2many(
        "billpay.partner.number.line",
        "wizard_id",
        compute="_compute_line_ids",
        store=True,
        readonly=False,
    )
    new_count = fields.Integer(compute="_compute_counts")
    existing_count = fields.Integer(compute="_compute_counts")
    problem_count = fields.Integer(compute="_compute_counts")

    @api.model
    def _default_purpose_ids(self):
        domain = [("company_id", "=", self.env.company.id)]
        purposes = self.env["billpay.purpose"].search(domain, limit=2)
        # Where there is one only, nobody has to choose.
        return purposes if len(purposes) == 1 else purposes.browse()

    @api.depends("partner_ids", "purpose_ids")
    def _compute_line_ids(self):
        numbers = self.env["billpay.control.number"]
        for wizard in self:
            partners = wizard.partner_ids._origin
            problems = partners._billpay_contact_problems()
            living = self.env["billpay.purpose"]._living_of(partners)
            commands = [Command.clear()]
            for partner, purpose in product(partners, wizard.purpose_ids._origin):
                number = living.get((partner, purpose), numbers)
                seen = number.with_env(self.env).sudo(False)._filtered_access("read")
                hidden = self.env._("Of another department")
                values = {
                    "partner_id": partner.id,
                    "purpose_id": purpose.id,
                    "number": (seen.display_number or hidden) if number else False,
                    "problem": not number and problems[partner],
                }
                commands.append(Command.create(values))
            wizard.line_ids = commands

    @api.depends("line_ids.problem", "line_ids.number")
    def _compute_counts(self):
        for wizard in self:
            lines = wizard.line_ids
            wizard.existing_count = len(lines.filtered("number"))
            wizard.problem_count = len(lines.filtered("problem"))
            wizard.new_count = len(lines) - wizard.existing_count - wizard.problem_count

    def action_confirm(self):
        """Make the numbers of all contacts of whom nothing is missing."""
        self.ensure_one()
        self.env["account.move"]._billpay_check_clerk()
        self.partner_ids.check_access("read")
        fresh = self.line_ids.filtered(lambda line: not line.problem)
        if not fresh:
            raise UserError(
                self.env._(
                    "No control number was made: choose contacts and purposes, and "
                    "correct what the list says. No money is affected."
                )
            )
        numbers = self.env["billpay.control.number"]
        for purpose, lines in fresh.grouped("purpose_id").items():
            numbers |= purpose._reserve(lines.partner_id)
        domain = [("id", "in", numbers.ids)]
        return window(self.env, "action_billpay_control_number", domain=domain)


class BillpayPartnerNumberLine(models.TransientModel):
    """One contact and purpose: what will happen."""

    _name = "billpay.partner.number.line"
    _inherit = [BillpayGuarded._name]
    _description = "Control Number for a Contact"

    wizard_id = fields.Many2one("billpay.partner.number", ondelete="cascade")
    partner_id = fields.Many2one("res.partner", string="Contact", readonly=True)
    purpose_id = fields.Many2one("billpay.purpose", readonly=True)
    number = fields.Char(string="Has Already", readonly=True)
    problem = fields.Char(readonly=True)
