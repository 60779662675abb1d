# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a bulk run is about. It makes a run to check; nothing else is created."""

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..const import LIVING
from .billpay_import import BillpayImport

_CREATE_BATCH = 1000
# More than this is better split: a person has to look through it.
MAX_LINES = 20000


class BillpayRunWizard(models.TransientModel):
    _name = "billpay.run.wizard"
    _inherit = [BillpayImport._name]
    _description = "Prepare a Bulk Run"

    _headings = {
        "name": (
            "customer",
            "customer name",
            "pupil",
            "student",
            "member",
            "contact",
            "jina",
            "jina la mwanafunzi",
            "mwanafunzi",
            "mteja",
        ),
        "ref": (
            "reference",
            "customer reference",
            "customer id",
            "admission number",
            "admission no",
            "student number",
            "member number",
            "code",
            "namba ya mwanafunzi",
        ),
        "phone": (
            "phone number",
            "mobile",
            "customer phone",
            "parent phone",
            "simu",
            "namba ya simu",
        ),
        "email": ("e-mail", "mail", "customer email", "barua pepe"),
        "parent": ("parent name", "guardian", "mother", "father", "mzazi", "mlezi"),
        "tag": ("class", "group", "category", "stream", "darasa", "kikundi"),
        "purpose": ("bill", "fee", "kusudi", "ada"),
        "amount": ("bill amount", "amount asked", "kiasi"),
        "mode": ("payment mode", "njia"),
    }
    _needed = ("name",)
    _max_rows = MAX_LINES

    company_id = fields.Many2one(
        "res.company", default=lambda self: self.env.company, readonly=True
    )
    source = fields.Selection(
        [
            ("invoices", "Open invoices"),
            ("contacts", "Chosen contacts"),
            ("tags", "Contacts with a tag"),
            ("sheet", "A spreadsheet"),
        ],
        default=lambda self: self._default_source(),
        required=True,
    )
    move_ids = fields.Many2many("account.move", string="Invoices")
    move_count = fields.Integer(compute="_compute_move_count")
    date_from = fields.Date(string="Invoiced From")
    date_to = fields.Date(string="Until")
    journal_ids = fields.Many2many(
        "account.journal", domain="[('type', '=', 'sale')]", string="Journals"
    )
    partner_ids = fields.Many2many("res.partner", string="Contacts")
    tag_ids = fields.Many2many("res.partner.category", string="Tags")
    purpose_ids = fields.Many2many(
        "billpay.purpose",
        string="Purposes",
        domain="[('company_id', '=', company_id)]",
    )
    department_id = fields.Many2one(
        "account.analytic.account",
        # Else whoever sees one department only would not see the own run.
        default=lambda self: self.env.user.sudo().billpay_department_ids[:1],
    )
    create_contacts = fields.Boolean(
        string="Make Contacts of New Names",
        default=True,
        help="When the run starts, not before.",
    )
    currency_id = fields.Many2one(
        "res.currency", default=lambda self: self.env.ref("base.TZS")
    )
    amount = fields.Monetary(
        help="In TZS. Zero: what each invoice, row or purpose says."
    )
    mode = fields.Selection(
        [("flexible", "Any amount"), ("exact", "Exact amount")],
        string="Payers May Pay",
        help="Empty: what each invoice or purpose says.",
    )

    @api.model
    def _default_source(self):
        model = self.env.context.get("active_model")
        return {"account.move": "invoices", "res.partner": "contacts"}.get(
            model, "invoices"
        )

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        ids = self.env.context.get("active_ids") or []
        model = self.env.context.get("active_model")
        if model == "account.move":
            values["move_ids"] = [(6, 0, ids)]
        elif model == "res.partner":
            values["partner_ids"] = [(6, 0, ids)]
        return values

    @api.depends("move_ids")
    def _compute_move_count(self):
        for wizard in self:
            wizard.move_count = len(wizard.move_ids)

    # === TEMPLATE === #

    def _template_name(self):
        return self.env._("Bulk run")

    def _template(self):
        header = [
            "Name",
            "Reference",
            "Class",
            "Parent",
            "Phone",
            "Email",
            "Purpose",
            "Amount",
            "Mode",
        ]
        return header, []

    # === PREPARE === #

    def action_prepare(self):
        """Make a run that says what would happen; nothing is made before it starts."""
        self.ensure_one()
        self._check_clerk()
        if self.source == "invoices":
            source, vals_list = self._lines_of_invoices()
        elif self.source == "sheet":
            source, vals_list = self._lines_of_sheet()
        else:
            source, vals_list = self._lines_of_contacts()
        if not vals_list:
            raise UserError(
                self.env._(
                    "Nothing fits what you chose, so there is nothing to run. Nothing "
                    "was changed."
                )
            )
        if len(vals_list) > MAX_LINES:
            raise UserError(
                self.env._(
                    "These are %(count)s lines; a run takes %(most)s at most. Nothing "
                    "was changed: choose fewer.",
                    count=len(vals_list),
                    most=MAX_LINES,
                )
            )
        run = self.env["billpay.run"].create(
            {
                "company_id": self.company_id.id,
                "department_id": self.department_id.id
                or self.purpose_ids.department_id[:1].id,
                "source": source,
                "create_contacts": self.source == "sheet" and self.create_contacts,
            }
        )
        lines = self.env["billpay.run.line"]
        for start in range(0, len(vals_list), _CREATE_BATCH):
            lines.create(
                [
                    {"run_id": run.id, "row": start + index, **vals}
                    for index, vals in enumerate(
                        vals_list[start : start + _CREATE_BATCH], 1
                    )
                ]
            )
        return run._get_records_action()

    def _problem(self, text):
        return {"state": "problem", "error": text}

    def _asked(self):
        """Return the amount and mode that are the same for all lines."""
        if self.amount < 0 or self.amount != int(self.amount):
            raise UserError(
                self.env._(
                    "A number asks for whole shillings. Nothing was changed: correct "
                    "the amount."
                )
            )
        return {"amount": self.amount, "mode": self.mode}

    # === INVOICES === #

    def _lines_of_invoices(self):
        moves = self.move_ids
        source = self.env._("Chosen invoices")
        if not moves:
            source = self.env._("Open invoices without a number")
            domain = [
                ("company_id", "=", self.company_id.id),
                ("move_type", "in", ("out_invoice", "out_receipt")),
                ("state", "=", "posted"),
                ("payment_state", "in", ("not_paid", "partial")),
                ("billpay_number", "=", False),
            ]
            if self.date_from:
                domain.append(("invoice_date", ">=", self.date_from))
            if self.date_to:
                domain.append(("invoice_date", "<=", self.date_to))
            if self.journal_ids:
                domain.append(("journal_id", "in", self.journal_ids.ids))
            if self.purpose_ids:
                domain.append(("billpay_purpose_id", "in", self.purpose_ids.ids))
            if self.department_id:
                domain.append(
                    ("billpay_purpose_id.department_id", "=", self.department_id.id)
                )
            moves = moves.search(domain, order="id", limit=MAX_LINES + 1)
        mode = self.mode
        wanting = self.env["billpay.reservation"]._wanting(moves)
        wanting = set(wanting.ids)
        return source, [
            {
                "move_id": move.id,
                "partner_id": move.partner_id.id,
                "purpose_id": move.billpay_purpose_id.id,
                "mode": mode,
                **(
                    {}
                    if move.id in wanting
                    else self._problem(self._why_not_invoice(move))
                ),
            }
            for move in moves
        ]

    def _why_not_invoice(self, move):
        if move.company_id != self.company_id:
            return self.env._("It belongs to another company: switch to that one.")
        if move.move_type not in ("out_invoice", "out_receipt"):
            return self.env._("It is no customer invoice.")
        if move.state != "posted":
            return self.env._("It is not confirmed.")
        if not move.amount_residual:
            return self.env._("Nothing is due on it.")
        number = move.sudo().billpay_number_id
        if number.state in LIVING:
            return self.env._("It has the number %s.", number.display_number)
        if not self.env["billpay.reservation"]._rate(move):
            return move._billpay_rate_missing_text()
        return self.env._("Its company has no active ClickPesa application.")

    # === CONTACTS === #

    def _lines_of_contacts(self):
        partners = self.partner_ids
        source = self.env._("Chosen contacts")
        if self.source == "tags":
            if not self.tag_ids:
                raise UserError(
                    self.env._("Choose the tag of the contacts. Nothing was changed.")
                )
            source = self.env._(
                "Contacts with %s", ", ".join(self.tag_ids.mapped("name"))
            )
            partners = partners.search(
                [
                    ("category_id", "child_of", self.tag_ids.ids),
                    ("company_id", "in", (False, self.company_id.id)),
                ],
                order="complete_name, id",
            )
        purposes = self._needed_purposes()
        return source, self._customer_lines(
            [(partner, purpose) for partner in partners for purpose in purposes]
        )

    def _needed_purposes(self):
        if not self.purpose_ids:
            raise UserError(
                self.env._(
                    "Choose what the numbers are for. Nothing was changed. Purposes "
                    "are made under Invoicing, Configuration, BillPay, Purposes."
                )
            )
        return self.purpose_ids

    def _customer_lines(self, pairs):
        asked = self._asked()
        partners = self.env["res.partner"].union(*(pair[0] for pair in pairs))
        problems = partners._billpay_contact_problems()
        living = self._living(partners)
        return [
            {
                "partner_id": partner.id,
                "purpose_id": purpose.id,
                **asked,
                **self._why_not_customer(partner, purpose, problems, living),
            }
            for partner, purpose in pairs
        ]

    def _living(self, partners):
        numbers = (
            self.env["billpay.control.number"]
            .sudo()
            .search(
                [
                    ("partner_id", "in", partners.ids),
                    ("purpose_id", "!=", False),
                    ("kind", "=", "customer"),
                    ("state", "in", LIVING),
                ]
            )
        )
        return {(n.partner_id, n.purpose_id): n for n in numbers}

    def _why_not_customer(self, partner, purpose, problems, living):
        number = living.get((partner, purpose))
        if number:
            return self._problem(
                self.env._("Has the number %s already.", number.display_number)
            )
        return self._problem(problems[partner]) if problems[partner] else {}
