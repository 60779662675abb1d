# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What an invoice is for, and whether it carries the number that the customer keeps."""

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL
from odoo.tools.sql import column_exists


class AccountMove(models.Model):
    _inherit = "account.move"  # pylint: disable=consider-merging-classes-inherited

    billpay_purpose_id = fields.Many2one(
        "billpay.purpose",
        string="Purpose",
        compute="_compute_billpay_purpose_id",
        store=True,
        readonly=False,
        copy=True,
        index="btree_not_null",
        ondelete="restrict",
        domain="[('company_id', 'parent_of', company_id)]",
        help="What this invoice is for. Payments on the customer's number of this "
        "purpose pay it.",
    )
    billpay_carried_number_id = fields.Many2one(
        "billpay.control.number",
        string="Customer's Control Number",
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="The number that this invoice shows instead of one of its own.",
    )

    def _auto_init(self):
        # Invoices from before have no purpose: looking for it in millions of them is
        # not what an installation is for.
        if not column_exists(self.env.cr, "account_move", "billpay_purpose_id"):
            self.env.cr.execute(
                SQL("ALTER TABLE account_move ADD COLUMN billpay_purpose_id integer")
            )
        return super()._auto_init()

    # === COMPUTE METHODS === #

    @api.depends("move_type", "journal_id", "invoice_line_ids.product_id")
    def _compute_billpay_purpose_id(self):
        sales = self.filtered(lambda m: m.is_sale_document(include_receipts=True))
        (self - sales).billpay_purpose_id = False
        found = self.env["billpay.purpose"]._of_invoices(sales)
        for move in sales:
            # What a person chose stays where the lines tell nothing.
            if move.state == "draft" or not move.billpay_purpose_id:
                move.billpay_purpose_id = found[move] or move.billpay_purpose_id

    # === BUSINESS METHODS === #

    def _billpay_carries(self):
        """Tell whether this invoice shows the customer's number of its purpose.

        The customer's own wish comes before the purpose's.
        """
        self.ensure_one()
        purpose = self.billpay_purpose_id
        if not purpose or self.move_type not in ("out_invoice", "out_receipt"):
            return False
        partner_sudo = self.partner_id.sudo().with_company(self.company_id)
        wish = (
            partner_sudo.billpay_invoice_number
            or partner_sudo.commercial_partner_id.billpay_invoice_number
            or purpose.invoice_number
        )
        return wish == "customer"

    def _billpay_wanting_numbers(self):
        """Override: what carries the customer's number gets none of its own."""
        carrying = self.filtered(lambda move: move._billpay_carries())
        return super(AccountMove, self - carrying)._billpay_wanting_numbers()

    def _billpay_wanting_carried(self):
        """Return the posted, unpaid invoices that are to carry a number and do not."""
        return self.filtered(
            lambda move: (
                move.state == "posted"
                and move._billpay_carries()
                and move.sudo().billpay_carried_number_id.state
                not in ("pending", "open", "failed")
                and move.currency_id.compare_amounts(move._billpay_residual(), 0) > 0
                and move.billpay_purpose_id._provider()
            )
        )

    def _billpay_reserve_numbers(self):
        """Override: let invoices carry the customer's number, made where missing.

        :return: the numbers, those of customers included
        """
        numbers = super()._billpay_reserve_numbers()
        wanting = self._billpay_wanting_carried()
        for purpose, moves in wanting.grouped("billpay_purpose_id").items():
            owners = moves.partner_id
            reserved = numbers._reserve_customer(owners, purpose.sudo())
            by_partner = dict(zip(owners, reserved, strict=True))
            for partner, group in moves.grouped("partner_id").items():
                group.sudo().billpay_carried_number_id = by_partner[partner]
            numbers |= reserved.sudo()
        return numbers

    def _billpay_pending_numbers(self):
        """Return the numbers that these invoices show and ClickPesa does not have.

        :return: ``{number: invoices}``
        :rtype: dict
        """
        pending = {}
        for move in self.sudo():
            for number in move.billpay_number_ids | move.billpay_carried_number_id:
                if number.state in ("pending", "failed"):
                    pending[number] = pending.get(number, self.browse()) | move
        return pending

    # === FOLLOWING WHAT A PERSON CHANGES === #

    def _post(self, soft=True):
        """Override of `account`: what was changed meanwhile carries another number."""
        posted = super()._post(soft=soft)
        posted._billpay_recarry()
        return posted

    def write(self, vals):
        result = super().write(vals)
        if "billpay_purpose_id" in vals:
            self.filtered(lambda move: move.state == "posted")._billpay_recarry()
        return result

    def _billpay_recarry(self):
        """Let invoices give up a number that is not theirs any more.

        Another customer or purpose was chosen since, or invoices of this purpose carry
        numbers of their own now. Where numbers are made by themselves, the right one
        takes its place; else it comes with the next click.
        """
        wrong = self.sudo().filtered(
            lambda move: (
                move.billpay_carried_number_id
                and not (
                    move._billpay_carries()
                    and move.billpay_carried_number_id.partner_id == move.partner_id
                    and move.billpay_carried_number_id.purpose_id
                    == move.billpay_purpose_id
                )
            )
        )
        if wrong:
            wrong.billpay_carried_number_id = False
            wrong._billpay_reserve_or_say()

    @api.constrains("billpay_purpose_id", "company_id")
    def _check_billpay_purpose_id(self):
        for move in self:
            company = move.billpay_purpose_id.sudo().company_id
            if company and company not in move.company_id.sudo().parent_ids:
                raise ValidationError(
                    self.env._(
                        "The purpose %(purpose)s belongs to %(company)s. Nothing was "
                        "saved: choose one of this invoice's company.",
                        purpose=move.billpay_purpose_id.sudo().name,
                        company=company.name,
                    )
                )
