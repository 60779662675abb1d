# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import email_normalize

from ... import const
from ...actions import dialog, window
from ...const import LIVING
from ...identity import mobile_phone, number_as_stored


class ResPartner(models.Model):
    _inherit = "res.partner"

    billpay_mode = fields.Selection(
        selection=const.MODES,
        string="Control Numbers Take",
        company_dependent=True,
        help="Amounts that control numbers of this customer accept. Empty: company "
        "default. Applies to new invoices.",
    )
    billpay_number_ids = fields.One2many(
        "billpay.control.number",
        "partner_id",
        string="Control Numbers",
        domain=[("kind", "=", "customer")],
        groups="billpay_odoo.group_billpay_user",
    )
    billpay_number_id = fields.Many2one(
        "billpay.control.number",
        string="Control Number to Pay",
        compute="_compute_billpay_number_id",
        groups="billpay_odoo.group_billpay_user",
    )
    billpay_number = fields.Char(
        string="Control Number",
        compute="_compute_billpay_number_id",
        search="_search_billpay_number",
        groups="billpay_odoo.group_billpay_user",
        help="The number of the first purpose.",
    )
    billpay_number_count = fields.Integer(
        compute="_compute_billpay_counts", groups="billpay_odoo.group_billpay_user"
    )
    billpay_payment_count = fields.Integer(
        compute="_compute_billpay_counts", groups="billpay_odoo.group_billpay_user"
    )
    billpay_unreported_count = fields.Integer(
        compute="_compute_billpay_counts", groups="billpay_odoo.group_billpay_user"
    )
    billpay_invoice_number = fields.Selection(
        [
            ("order", "A number of its own"),
            ("customer", "The customer's number of its purpose"),
        ],
        string="Invoices Carry",
        company_dependent=True,
        help="Which control number the invoices of this customer show. Empty: as their "
        "purpose says.",
    )

    # The money desk looks for contacts whose name begins with a word of the payer's.
    _billpay_name = models.Index("(upper(name) text_pattern_ops)")

    # === COMPUTE METHODS === #

    @api.depends_context("allowed_company_ids")
    @api.depends(
        "billpay_number_ids.state",
        "billpay_number_ids.name",
        "billpay_number_ids.bill_key",
    )
    def _compute_billpay_number_id(self):
        companies = self.env.companies
        for partner in self:
            numbers = partner.billpay_number_ids.filtered(
                lambda n: n.state in ("open", "pending") and n.company_id in companies
            ).sorted(
                # What is given out comes before what is payable beside it.
                lambda n: (n.purpose_id.sequence, n.purpose_id.id, not n.bill_key, n.id)
            )
            partner.billpay_number_id = numbers[:1]
            partner.billpay_number = numbers[:1].display_number

    def _search_billpay_number(self, operator, value):
        """Find a contact by any number it has, typed with or without blanks."""
        if operator in Domain.NEGATIVE_OPERATORS:
            return NotImplemented
        domain = [("kind", "=", "customer")]
        numbers = self.env["billpay.control.number"]
        if operator == "in" and not all(value):
            living = numbers._search([*domain, ("state", "in", ("open", "pending"))])
            none = Domain("id", "not in", living.subselect("partner_id"))
            given = [text for text in value if text]
            return none | Domain("billpay_number", "in", given) if given else none
        found = numbers._search([*domain, ("name", operator, number_as_stored(value))])
        return Domain("id", "in", found.subselect("partner_id"))

    def _compute_billpay_counts(self):
        below = [("partner_id", "child_of", self.ids)]
        for name, model, domain in (
            ("number", "billpay.control.number", [*below, ("kind", "=", "customer")]),
            ("payment", "billpay.payment", below),
            (
                "unreported",
                "billpay.payment",
                [*below, *self.env["billpay.payment"]._unreported_domain()],
            ),
        ):
            totals = dict.fromkeys(self.ids, 0)
            groups = self.env[model]._read_group(domain, ["partner_id"], ["__count"])
            for owner, count in groups:
                # What a contact has counts for those above it too.
                while owner:
                    if owner.id in totals:
                        totals[owner.id] += count
                    owner = owner.parent_id
            for partner in self:
                partner["billpay_%s_count" % name] = totals.get(partner._origin.id, 0)

    # === CRUD METHODS === #

    @api.ondelete(at_uninstall=False)
    def _unlink_except_billpay_numbers(self):
        numbers_sudo = self.env["billpay.control.number"].sudo()
        if numbers := numbers_sudo.search([("partner_id", "in", self.ids)], limit=1):
            raise UserError(
                self.env._(
                    "%(customer)s has the control number %(number)s, on which money "
                    "may still come. Nothing was deleted: archive the contact instead, "
                    "and close its numbers if they are not to be used any more.",
                    customer=numbers.partner_id.display_name,
                    number=numbers.display_number,
                )
            )

    # === BUSINESS METHODS === #

    def action_billpay_cards(self):
        """Print the numbers of these contacts and of those below them."""
        domain = [
            ("partner_id", "child_of", self.ids),
            ("kind", "=", "customer"),
            ("state", "in", ("open", "pending")),
            ("company_id", "in", self.env.companies.ids),
        ]
        numbers = self.env["billpay.control.number"].search(domain)
        having = numbers.partner_id | numbers.partner_id.parent_id
        return numbers._cards_action(numbers, self - having)

    def write(self, vals):
        # Forms and imports write names that stay the same.
        renamed = self.filtered(
            lambda partner: any(
                name in vals and (partner[name] or "") != (vals[name] or "")
                for name in ("name", "ref")
            )
        )
        result = super().write(vals)
        if renamed:
            # Numbers that payers may still use carry the customer's new name.
            domain = [
                ("partner_id", "child_of", renamed.ids),
                ("state", "in", LIVING),
                *("|", ("move_id", "!=", False), ("purpose_id", "!=", False)),
            ]
            numbers_sudo = self.env["billpay.control.number"].sudo().search(domain)
            self.env["billpay.reservation"]._follow(numbers_sudo.move_id)
            self.env["billpay.purpose"]._tell_texts(
                numbers_sudo.filtered(lambda n: n.partner_id in renamed)
            )
        return result

    def _billpay_contact_values(self):
        """Return ``name``, ``phone`` (``255…``) and ``email`` for ClickPesa.

        A pupil without phone or e-mail is reached through the parent.
        """
        self.ensure_one()
        phone = email = ""
        partner = self
        while partner and not (phone or email):
            phone = mobile_phone(partner.phone)
            email = email_normalize(partner.email or "") or ""
            partner = partner.parent_id
        return {"name": (self.name or "").strip(), "phone": phone, "email": email}

    def _billpay_contact_problems(self):
        """Return why each contact's number cannot be made; "" if nothing is missing."""
        problems = {}
        for partner in self:
            values = partner._billpay_contact_values()
            if not values["name"]:
                problems[partner] = self.env._("The contact has no name.")
            elif values["phone"] or values["email"]:
                problems[partner] = ""
            elif partner.phone:
                problems[partner] = self.env._(
                    "%(phone)s is no Tanzanian mobile number, and there is no e-mail "
                    "address. Write it as 0712 345 678 or 255712345678.",
                    phone=partner.phone,
                )
            else:
                problems[partner] = self.env._(
                    "ClickPesa requires a phone number or an e-mail address. Neither "
                    "the contact nor its parent has one."
                )
        return problems

    # === ACTION METHODS === #

    def action_billpay_customer_numbers(self):
        return dialog(
            self.env["billpay.partner.number"],
            self.env._("Get Control Numbers"),
            context={"default_partner_ids": self.ids},
        )

    def action_view_billpay_numbers(self):
        self.ensure_one()
        domain = [("partner_id", "child_of", self.id), ("kind", "=", "customer")]
        return window(self.env, "action_billpay_control_number", domain=domain)

    def action_view_billpay_payments(self):
        self.ensure_one()
        domain = [("partner_id", "child_of", self.id)]
        return window(self.env, "action_billpay_payment", domain=domain)

    def action_view_billpay_unreported(self):
        action = self.action_view_billpay_payments()
        action["domain"] += self.env["billpay.payment"]._unreported_domain()
        return action
