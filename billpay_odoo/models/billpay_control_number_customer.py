# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Numbers that a customer keeps: one per purpose, with many payments each."""

import psycopg2.errors

from odoo import api, fields, models
from odoo.exceptions import ConcurrencyError, UserError

LIVING = ("pending", "open", "failed")


class BillpayControlNumber(models.Model):
    _inherit = "billpay.control.number"  # pylint: disable=consider-merging-classes-inherited

    purpose_id = fields.Many2one(
        "billpay.purpose",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
        check_company=False,
    )
    department_id = fields.Many2one(
        "account.analytic.account",
        compute="_compute_department_id",
        store=True,
        index="btree_not_null",
    )

    # A customer is never given two numbers for one thing.
    _one_per_purpose = models.UniqueIndex(
        "(partner_id, purpose_id) WHERE kind = 'customer' AND purpose_id IS NOT NULL"
        " AND state IN ('pending', 'open', 'failed')",
        "This customer has a control number for this purpose already. Nothing was "
        "changed: open the customer to see it.",
    )

    # === COMPUTE METHODS === #

    @api.depends("purpose_id.department_id", "move_id.billpay_purpose_id.department_id")
    def _compute_department_id(self):
        for number in self:
            purpose = number.purpose_id or number.move_id.billpay_purpose_id
            number.department_id = purpose.department_id

    # === BUSINESS METHODS === #

    @api.model
    def _reserve_customer(self, partners, purpose):
        """Return the numbers of these customers for a purpose, made where missing.

        Without any HTTP: the sync worker registers new ones. What lives already is
        returned as it is; what was closed and is ours to hand out is opened again.

        :param billpay.purpose purpose: of one company
        :return: one number per customer, in their order
        :raise ConcurrencyError: another transaction made one of them meanwhile
        :raise UserError: the company has no active application
        """
        purpose.ensure_one()
        provider = purpose._provider()
        numbers_sudo = self.sudo().browse()
        found = {
            number.partner_id: number
            for number in numbers_sudo.search(
                [
                    ("kind", "=", "customer"),
                    ("partner_id", "in", partners.ids),
                    ("purpose_id", "=", purpose.id),
                ],
                order="id",
            )
            # The living one, else the last.
            .sorted(lambda number: (number.state in LIVING, number.id))
        }
        fresh = partners.browse()
        for partner in partners:
            number = found.get(partner)
            if number and number.state in LIVING:
                continue
            if number and provider and number._can_return_to(provider):
                number._want(purpose._number_values(partner))
                number._reopen_customer()
                continue
            fresh |= partner
        if fresh and not provider:
            raise UserError(
                self.env._(
                    "No control number was made: %s has no active ClickPesa "
                    "application. Set one up under Invoicing, Configuration, BillPay, "
                    "BillPay Applications.",
                    purpose.company_id.name,
                )
            )
        try:
            made = numbers_sudo._reserve(
                provider, [purpose._number_values(partner) for partner in fresh]
            )
        except psycopg2.errors.UniqueViolation as error:
            if not (error.diag.constraint_name or "").endswith("_one_per_purpose"):
                raise
            # Another transaction made it since this one began: look once more.
            raise ConcurrencyError(str(error)) from error
        found.update(zip(fresh, made, strict=True))
        return numbers_sudo.union(*(found[partner] for partner in partners)).with_env(
            self.env
        )

    def _can_return_to(self, provider):
        """Tell whether a closed customer number may be used again.

        Unlike an order number also when it was paid: it takes many payments.
        """
        self.ensure_one()
        return (
            self.state == "closed"
            and self.provider_id == provider
            and self.origin in (provider.clickpesa_number_origin, "imported")
        )

    def _reopen_customer(self):
        """Take money again on closed customer numbers."""
        closed = self.filtered(lambda n: n.state == "closed" and n.kind == "customer")
        for known, group in closed.grouped(lambda n: n._is_known()).items():
            group.write(
                {"state": "open" if known else "pending", "wanted_active": True}
            )
            if not known:
                group.write({"sync_at": fields.Datetime.now()})
                group[0].provider_id._billpay_trigger("ir_cron_sync_numbers")

    def _check_customer_clerk(self):
        self.check_access("read")
        self.env["account.move"]._billpay_check_clerk()
        if self.filtered(lambda number: number.kind != "customer"):
            raise UserError(
                self.env._(
                    "Order numbers follow their invoice: cancel or change that. "
                    "Nothing was changed."
                )
            )

    # === ACTION METHODS === #

    def action_close(self):
        """Switch customer numbers off, here and at ClickPesa."""
        self._check_customer_clerk()
        self.sudo()._close()

    def action_reopen(self):
        """Let closed customer numbers take money again.

        :raise UserError: the customer has another one for the same purpose
        """
        self._check_customer_clerk()
        for number in self.filtered(lambda n: n.state == "closed" and n.purpose_id):
            other = self.sudo().search(
                [
                    ("partner_id", "=", number.partner_id.id),
                    ("purpose_id", "=", number.purpose_id.id),
                    ("state", "in", LIVING),
                ],
                limit=1,
            )
            if other:
                raise UserError(
                    self.env._(
                        "%(customer)s has the number %(number)s for this purpose. "
                        "Nothing was changed: close that one first.",
                        customer=number.partner_id.display_name,
                        number=other.display_number,
                    )
                )
        self.sudo()._reopen_customer()

    def action_change(self):
        """Open the dialog that changes what these numbers ask for."""
        self._check_customer_clerk()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Change What Is Asked For"),
            "res_model": "billpay.number.change",
            "view_mode": "form",
            "target": "new",
            "context": {"default_number_ids": self.ids},
        }
