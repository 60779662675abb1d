# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import re

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ... import money
from ...actions import window
from ...allocation import EXACT_OLDEST
from ...const import LIVING, POLICIES, UNPAID
from ..billpay_guarded import BillpayGuarded

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_KNOWN = {"purpose", "customer", "number", "reference"}


class BillpayPurpose(models.Model):
    """A standing reason to pay. Each customer has at most one number for each.

    It says how the number asks for money, which invoices a payment on it may pay and in
    what order, and where the money counts.
    """

    _name = "billpay.purpose"
    _inherit = ["analytic.mixin", BillpayGuarded._name]
    _description = "BillPay Purpose"
    _order = "sequence, id"
    _check_company_auto = True

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(
        default=10,
        help="Where a payment may pay other purposes too, they are paid in this order.",
    )
    active = fields.Boolean(default=True)
    color = fields.Integer()
    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company, index=True
    )
    provider_id = fields.Many2one(
        "payment.provider",
        string="Application",
        domain="[('code', '=', 'clickpesa'), ('company_id', 'parent_of', company_id)]",
        help="It makes these numbers at ClickPesa. Empty: the company's application.",
    )
    description = fields.Char(
        string="Text at ClickPesa",
        translate=True,
        help="Shown by ClickPesa next to the payment. {purpose}, {customer} and "
        "{reference} are replaced. Empty: the purpose and the customer.",
    )
    currency_id = fields.Many2one(
        "res.currency", compute="_compute_currency_id", string="Shillings"
    )
    default_amount = fields.Monetary(
        string="Usual Amount",
        help="In TZS. What a new number of this purpose asks for; zero for any amount.",
    )
    default_mode = fields.Selection(
        [("flexible", "Any amount"), ("exact", "Exactly the usual amount")],
        string="Payers May Pay",
        default="flexible",
        required=True,
    )
    allocation_policy = fields.Selection(
        POLICIES,
        string="Payments Pay",
        default=EXACT_OLDEST,
        required=True,
        help="Which open invoices of the customer a payment pays.",
    )
    reach = fields.Selection(
        [
            ("own", "Invoices of this purpose only"),
            ("own_unassigned", "These first, then invoices of no purpose"),
            ("any", "These first, then all others"),
        ],
        # Who sells one thing makes plain invoices and expects the number to pay them.
        default="own_unassigned",
        required=True,
        help="Money for tuition does not pay the hostel, unless you say so here.",
    )
    invoice_number = fields.Selection(
        [
            ("order", "A number of its own"),
            ("customer", "The customer's number of this purpose"),
        ],
        string="Invoices Carry",
        default="order",
        required=True,
        help="Recurring invoices can all carry the number that the customer knows.",
    )
    journal_ids = fields.Many2many(
        "account.journal",
        string="Sales Journals",
        domain="[('type', '=', 'sale'), ('company_id', 'parent_of', company_id)]",
        help="Invoices in these journals are of this purpose, unless their lines say "
        "something else.",
    )
    product_category_ids = fields.Many2many(
        "product.category",
        string="Product Categories",
        help="Invoices whose first line has a product of these categories, or of one "
        "below them, are of this purpose.",
    )
    department_id = fields.Many2one(
        "account.analytic.account",
        default=lambda self: self.env.user._billpay_department(),
        help="Users of other departments do not see these numbers and payments.",
    )
    number_ids = fields.One2many("billpay.control.number", "purpose_id")
    number_count = fields.Integer(compute="_compute_number_count")

    _name_unique = models.UniqueIndex(
        "(company_id, name) WHERE active",
        "This company has a purpose of this name already. Nothing was saved: choose "
        "another name.",
    )
    _amount_positive = models.Constraint(
        "CHECK (default_amount >= 0)",
        "The usual amount is not negative. Nothing was saved.",
    )

    # === COMPUTE METHODS === #

    def _compute_currency_id(self):
        self.currency_id = money.shillings(self.env)

    def _compute_number_count(self):
        counts = dict(
            self.env["billpay.control.number"]._read_group(
                [("purpose_id", "in", self.ids)], ["purpose_id"], ["__count"]
            )
        )
        for purpose in self:
            purpose.number_count = counts.get(purpose, 0)

    # === CONSTRAINT METHODS === #

    @api.constrains("description")
    def _check_description(self):
        for purpose in self:
            if unknown := set(_PLACEHOLDER.findall(purpose.description or "")) - _KNOWN:
                raise ValidationError(
                    self.env._(
                        "The text at ClickPesa knows {purpose}, {customer} and "
                        "{reference}, but not %s. Nothing was saved: correct the text.",
                        ", ".join("{%s}" % name for name in sorted(unknown)),
                    )
                )

    @api.constrains("provider_id", "company_id")
    def _check_provider_id(self):
        for purpose in self:
            purpose.sudo().provider_id._billpay_check_books(purpose)

    @api.constrains("default_mode", "default_amount")
    def _check_default_mode(self):
        for purpose in self:
            if purpose.default_mode == "exact" and not purpose.default_amount:
                raise ValidationError(
                    self.env._(
                        "Payers of %s are to pay an exact amount, and none is given. "
                        "Nothing was saved: enter the usual amount, or let them pay "
                        "any.",
                        purpose.name,
                    )
                )

    # === CRUD METHODS === #

    def write(self, vals):
        result = super().write(vals)
        if not {"name", "description"}.isdisjoint(vals):
            self._follow_texts()
        if "allocation_policy" in vals:
            self.sudo().number_ids.allocation_policy = vals["allocation_policy"]
        return result

    def copy_data(self, default=None):
        vals_list = super().copy_data(default=default)
        for purpose, vals in zip(self, vals_list, strict=True):
            if "name" not in (default or {}):
                vals["name"] = self.env._("%s (copy)", purpose.name)
        return vals_list

    # === BUSINESS METHODS === #

    def update_field_translations(self, field_name, translations, source_lang=""):
        # EXTENDS base: the dialog of translations writes past `write`
        result = super().update_field_translations(
            field_name, translations, source_lang
        )
        if field_name in ("name", "description"):
            self._follow_texts()
        return result

    def _follow_texts(self):
        """Let the numbers of these purposes tell their new text to ClickPesa."""
        domain = [("purpose_id", "in", self.ids), ("state", "in", LIVING)]
        numbers = self.env["billpay.control.number"]
        self._tell_texts(numbers.sudo().search(domain))

    @api.model
    def _tell_texts(self, numbers):
        """Let living numbers tell ClickPesa what they are called now.

        What was imported keeps the text of the dashboard.
        """
        numbers = numbers.filtered(lambda n: n.origin != "imported" and n.purpose_id)
        numbers._want_each(
            {
                number: {
                    "description": number.purpose_id._number_text(number.partner_id)
                }
                for number in numbers
            }
        )

    def _number_text(self, partner):
        """Return the text at ClickPesa, in the customer's language."""
        self.ensure_one()
        lang = partner.lang or self.company_id.partner_id.lang or self.env.lang
        purpose = self.with_context(lang=lang)
        text = purpose.description or "{purpose}, {customer}"
        values = {
            "purpose": purpose.name,
            "customer": partner.name or "",
            "reference": partner.ref or "",
            "number": "",
        }
        return _PLACEHOLDER.sub(lambda match: values[match[1]], text).strip()

    def _provider(self):
        """Return the application that makes numbers of this purpose, if it may."""
        provider_sudo = (self.provider_id or self.company_id.billpay_provider_id).sudo()
        return provider_sudo.filtered(lambda provider: provider._billpay_is_on())

    def _number_values(self, partner):
        """Return what a new number of this purpose asks this customer for."""
        self.ensure_one()
        # Invoices that carry it are paid on it, whatever each of them owes.
        exact = self.default_amount and self.invoice_number != "customer"
        return {
            "kind": "customer",
            "partner_id": partner.id,
            "purpose_id": self.id,
            "amount": self.default_amount,
            "mode": self.default_mode if exact else "flexible",
            "allocation_policy": self.allocation_policy,
            "description": self._number_text(partner),
        }

    @api.model
    def _living_of(self, partners):
        """Return ``{(partner, purpose): number}`` that customers may pay."""
        domain = [
            ("kind", "=", "customer"),
            ("partner_id", "in", partners.ids),
            ("purpose_id", "!=", False),
            ("state", "in", LIVING),
        ]
        numbers_sudo = self.env["billpay.control.number"].sudo().search(domain)
        # Of several the one that is given out.
        numbers_sudo = numbers_sudo.sorted(lambda n: (bool(n.bill_key), n.id))
        makers = {p: p._provider() for p in numbers_sudo.purpose_id}
        return {
            (n.partner_id, n.purpose_id): n
            for n in numbers_sudo
            if not makers[n.purpose_id] or n.provider_id == makers[n.purpose_id]
        }

    def _reserve(self, partners):
        """Return the numbers of these customers for this purpose, made where missing.

        One per customer, in their order. What was closed and is ours to hand out is
        opened again; the sync worker registers new ones.

        :raise ConcurrencyError: another transaction made one of them meanwhile
        :raise UserError: the company has no active application
        """
        self.ensure_one()
        provider = self._provider()
        numbers_sudo = self.env["billpay.control.number"].sudo()
        domain = [
            ("kind", "=", "customer"),
            ("partner_id", "in", partners.ids),
            ("purpose_id", "=", self.id),
        ]
        known = numbers_sudo.search(domain)
        replaced = self._replace_living(known, provider)
        # The living one that is given out, else the last.
        known = (known - replaced).sorted(
            lambda n: (n.state in LIVING, bool(n.bill_key), n.id)
        )
        found = {number.partner_id: number for number in known}
        fresh = partners.browse()
        for partner in partners:
            number = found.get(partner, numbers_sudo)
            if number.state in LIVING:
                continue
            if provider and number._can_return(provider):
                number._want(self._number_values(partner))
                number._reopen()
            else:
                fresh |= partner
        if fresh and not provider:
            raise UserError(
                self.env._(
                    "No control number was made: %s has no active ClickPesa "
                    "application. Set one up under Invoicing, Configuration, BillPay, "
                    "BillPay Applications.",
                    self.company_id.name,
                )
            )
        made = numbers_sudo._reserve(
            provider, [self._number_values(partner) for partner in fresh]
        )
        found.update(zip(fresh, made, strict=True))
        self._carry_instead(replaced, found)
        numbers_sudo = numbers_sudo.union(*map(found.get, partners))
        return numbers_sudo.with_env(self.env)

    def _replace_living(self, numbers, provider):
        """Take living numbers out of the way that this application did not make.

        Those that can still be paid stay so beside the new one.

        :return: the numbers that are not given out any more
        """
        if not provider:
            return numbers.browse()
        living = numbers._living()
        lost = living - self.env["billpay.payable"]._revive(living, provider)
        others = (living - lost).filtered(lambda n: n.provider_id != provider)
        others.filtered("bill_key").bill_key = False
        (lost | others).flush_recordset(["bill_key", "state"])
        return lost | others

    def _carry_instead(self, replaced, found):
        """Let unpaid invoices show the number that took the place of a closed one."""
        closed = replaced.filtered(lambda number: number.state == "closed")
        if not closed:
            return
        carrying = self.env["account.move"].sudo()
        carrying = carrying.search(
            [
                ("billpay_carried_number_id", "in", closed.ids),
                ("state", "=", "posted"),
                ("payment_state", "in", UNPAID),
            ]
        )
        for number, moves in carrying.grouped("billpay_carried_number_id").items():
            moves.billpay_carried_number_id = found[number.partner_id]

    def _tier(self, move):
        """Return when a payment pays a bill, to sort by; ``None`` if never."""
        self.ensure_one()
        purpose = move.billpay_purpose_id
        if purpose == self:
            return (0, 0, 0)
        if not purpose:
            if self.reach == "own":
                return None
            # What was owed before the first invoice is paid in its place by date.
            return (0, 0, 0) if move.move_type == "entry" else (1, 0, 0)
        return (2, purpose.sequence, purpose.id) if self.reach == "any" else None

    @api.model
    def _of_invoices(self, moves):
        """Return what each of these invoices is for, by its lines, else its journal."""
        found = {}
        for company, group in moves.grouped("company_id").items():
            purposes = self.sudo().search([("company_id", "parent_of", company.id)])
            # Of several the first: it is set last.
            purposes = purposes[::-1]
            by_category = {c.id: p for p in purposes for c in p.product_category_ids}
            by_journal = {j.id: p for p in purposes for j in p.journal_ids}
            for move in group:
                by_default = by_journal.get(move.journal_id.id, self)
                found[move] = self._of_lines(move, by_category) or by_default
        return found

    @api.model
    def _of_lines(self, move, by_category):
        """Return the purpose of the first line whose product tells one."""
        if not by_category:
            return self
        for line in move.invoice_line_ids:
            path = line.product_id.categ_id.parent_path or ""
            for category_id in reversed([int(i) for i in path.split("/") if i]):
                if category_id in by_category:
                    return by_category[category_id]
        return self

    def action_view_numbers(self):
        self.ensure_one()
        domain = [("purpose_id", "=", self.id)]
        return window(self.env, "action_billpay_control_number", domain=domain)
