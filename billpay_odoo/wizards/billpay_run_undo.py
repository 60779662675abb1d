# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..const import LIVING
from ..models.billpay_guarded import BillpayGuarded


class BillpayRunUndo(models.TransientModel):
    """Take back what a run has made and nobody has used."""

    _name = "billpay.run.undo"
    _inherit = [BillpayGuarded._name]
    _description = "Take a Run Back"

    run_id = fields.Many2one(
        "billpay.run",
        ondelete="cascade",
        default=lambda self: self._chosen_run(),
    )
    number_count = fields.Integer(compute="_compute_counts")
    paid_count = fields.Integer(compute="_compute_counts")
    contact_count = fields.Integer(compute="_compute_counts")
    used_count = fields.Integer(compute="_compute_counts")

    @api.model
    def _chosen_run(self):
        context = self.env.context
        is_run = context.get("active_model") == "billpay.run"
        return self.env["billpay.run"].browse(
            context.get("active_id") if is_run else ()
        )

    @api.depends("run_id")
    def _compute_counts(self):
        for wizard in self:
            made, unpaid = wizard._numbers()
            contacts = wizard.run_id.sudo().line_ids.made_partner_ids
            unused = wizard._unused(contacts, unpaid)
            wizard.number_count = len(unpaid)
            wizard.paid_count = len(made) - len(unpaid)
            wizard.contact_count = len(unused)
            wizard.used_count = len(contacts) - len(unused)

    def _numbers(self):
        """Return the numbers that the run made and still ask for money, and those of
        them that nobody has paid; both in sudo."""
        made = self.run_id.line_ids.sudo().filtered("is_made").number_id
        seen = made.with_env(self.env)._filtered_access("read").sudo()
        living = seen.filtered(lambda number: number.state in (*LIVING, "paid"))
        unpaid = living.filtered(lambda n: n.state in LIVING and not n._was_paid())
        return living, unpaid

    def _unused(self, contacts, unpaid):
        """Return those contacts that nothing needs, in sudo."""
        ids = contacts.ids
        used = self.env["res.partner"].sudo()
        for model, domain in (
            ("account.move.line", []),
            ("account.move", []),
            ("billpay.payment", []),
            ("billpay.control.number", [("id", "not in", unpaid.ids)]),
            ("res.users", []),
        ):
            records_sudo = self.env[model].sudo().with_context(active_test=False)
            domain = [*domain, ("partner_id", "in", ids)]
            if model == "billpay.control.number":
                domain.append(("state", "in", (*LIVING, "paid")))
            for [partner] in records_sudo._read_group(domain, ["partner_id"]):
                used |= partner
        # A parent is needed while a child is.
        unused = contacts.sudo() - used
        while kept := (unused.child_ids - unused).parent_id & unused:
            unused -= kept
        return unused.filtered("active")

    def action_take_back(self):
        """Close the unpaid numbers, and archive the contacts that nobody uses."""
        self.ensure_one()
        run = self.run_id
        run.check_access("write")
        self.env.user._billpay_check("book")
        if run.state in (False, "draft"):
            raise UserError(
                self.env._("This run has made nothing yet. Nothing was changed.")
            )
        run.action_cancel()
        _made, unpaid = self._numbers()
        contacts = run.sudo().line_ids.made_partner_ids
        unused = self._unused(contacts, unpaid)
        unpaid._close()
        unused.action_archive()
        run.sudo().state = "cancelled"
        run.message_post(
            body=self.env._(
                "Taken back: %(numbers)s unpaid numbers are closed, %(contacts)s "
                "contacts that nobody used are archived.",
                numbers=len(unpaid),
                contacts=len(unused),
            )
        )
        return run._get_records_action()
