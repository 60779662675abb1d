# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models
from odoo.fields import Domain

_OUTCOMES = {
    "coming": [("state", "=", "reserved"), ("number_id.state", "=", "pending")],
    "failed": [
        "|",
        ("state", "=", "failed"),
        "&",
        ("state", "=", "reserved"),
        ("number_id.state", "=", "failed"),
    ],
    "done": [
        ("state", "=", "reserved"),
        ("number_id.state", "in", ("open", "paid", "closed")),
    ],
}


class BillpayRunLine(models.Model):
    """One invoice or customer of a run, and the number it gets."""

    _name = "billpay.run.line"
    _description = "Line of a Bulk Run"
    _order = "row, id"
    _rec_name = "number"

    run_id = fields.Many2one(
        "billpay.run", required=True, ondelete="cascade", index=True, readonly=True
    )
    company_id = fields.Many2one(related="run_id.company_id")
    run_state = fields.Selection(related="run_id.state", string="State of the Run")
    row = fields.Integer(readonly=True, help="The row in the file.")
    state = fields.Selection(
        [
            ("problem", "Left Out"),
            ("waiting", "Waiting"),
            ("reserved", "Reserved"),
            ("failed", "Not Made"),
            ("cancelled", "Cancelled"),
        ],
        default="waiting",
        required=True,
        readonly=True,
    )
    move_id = fields.Many2one(
        "account.move",
        string="Invoice",
        readonly=True,
        index="btree_not_null",
        ondelete="cascade",
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Contact",
        readonly=True,
        index="btree_not_null",
        ondelete="cascade",
    )
    purpose_id = fields.Many2one("billpay.purpose", readonly=True, ondelete="restrict")
    currency_id = fields.Many2one("res.currency", compute="_compute_currency_id")
    amount = fields.Monetary(
        readonly=True, help="In TZS. Zero: what the invoice or the purpose says."
    )
    mode = fields.Selection(
        [("flexible", "Any amount"), ("exact", "Exact amount")], readonly=True
    )
    # A row of a spreadsheet that is no contact yet.
    new_name = fields.Char(string="Name in the File", readonly=True)
    new_ref = fields.Char(string="Reference in the File", readonly=True)
    new_phone = fields.Char(string="Phone in the File", readonly=True)
    new_email = fields.Char(string="E-Mail in the File", readonly=True)
    new_parent = fields.Char(string="Parent in the File", readonly=True)
    new_tag = fields.Char(string="Class in the File", readonly=True)
    error = fields.Char(readonly=True)
    number_id = fields.Many2one(
        "billpay.control.number",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )
    is_made = fields.Boolean(
        string="Made by This Run",
        readonly=True,
        help="Not set: the number was there before.",
    )
    number = fields.Char(
        string="Control Number", related="number_id.display_number", store=False
    )
    who = fields.Char(string="For", compute="_compute_who")
    shown_amount = fields.Monetary(string="Asked For", compute="_compute_shown_amount")
    outcome = fields.Selection(
        [
            ("problem", "Left out"),
            ("waiting", "Waiting"),
            ("coming", "Being registered"),
            ("done", "Ready"),
            ("failed", "Refused"),
            ("cancelled", "Cancelled"),
        ],
        string="Result",
        compute="_compute_outcome",
        search="_search_outcome",
    )
    reason = fields.Char(compute="_compute_outcome")
    unreachable = fields.Boolean(
        compute="_compute_unreachable",
        search="_search_unreachable",
        help="Neither an e-mail address nor a phone number is known.",
    )

    # Whoever makes a run twice of one thing makes one number: the database says so.
    _one_per_invoice = models.UniqueIndex(
        "(run_id, move_id) WHERE move_id IS NOT NULL AND state <> 'problem'",
        "An invoice is in a run once. Nothing was changed.",
    )
    _one_per_customer = models.UniqueIndex(
        "(run_id, partner_id, purpose_id)"
        " WHERE move_id IS NULL AND partner_id IS NOT NULL AND state <> 'problem'",
        "A contact is in a run once for each purpose. Nothing was changed.",
    )
    # What the worker takes next.
    _waiting = models.Index("(run_id, id) WHERE state = 'waiting'")

    # === COMPUTE METHODS === #

    def _compute_currency_id(self):
        self.currency_id = self.env.ref("base.TZS")

    @api.depends("partner_id", "new_name")
    def _compute_who(self):
        for line in self:
            partner = line.partner_id
            line.who = (partner.name or partner.display_name) or line.new_name

    @api.depends("amount", "number_id.amount", "move_id.amount_residual")
    def _compute_shown_amount(self):
        for line in self:
            line.shown_amount = (
                line.number_id.amount
                or line.amount
                or (line.move_id.amount_residual if line.move_id else 0)
                or line.purpose_id.default_amount
            )

    @api.depends("state", "error", "number_id.state", "number_id.sync_error")
    def _compute_outcome(self):
        for line in self:
            number_state = line.number_id.state
            if line.state != "reserved":
                line.outcome = line.state
            elif number_state in ("pending", "failed"):
                line.outcome = "coming" if number_state == "pending" else "failed"
            else:
                line.outcome = "done"
            line.reason = line.error or line.number_id.sync_error

    def _search_outcome(self, operator, value):
        if operator != "in":
            return NotImplemented
        return Domain.OR(
            Domain(_OUTCOMES.get(outcome, [("state", "=", outcome)]))
            for outcome in value
        )

    @api.depends("partner_id.email", "partner_id.phone")
    def _compute_unreachable(self):
        for line in self:
            values = (
                line.partner_id._billpay_contact_values() if line.partner_id else {}
            )
            line.unreachable = not (values.get("phone") or values.get("email"))

    def _search_unreachable(self, operator, value):
        if operator != "in":
            return NotImplemented
        reachable = Domain(False)
        for path in ("partner_id", "partner_id.parent_id"):
            for name in ("email", "phone"):
                reachable |= Domain(f"{path}.{name}", "!=", False)
        wanted = Domain(False)
        if True in value:
            wanted |= ~reachable
        if False in value:
            wanted |= reachable
        return wanted


class BillpayControlNumber(models.Model):
    _inherit = "billpay.control.number"  # pylint: disable=consider-merging-classes-inherited

    run_line_ids = fields.One2many("billpay.run.line", "number_id", string="Bulk Runs")
