# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import logging

from odoo import api, fields, models
from odoo.tools import SQL

from odoo.addons.billpay_odoo.models.billpay_guarded import BillpayGuarded
from odoo.addons.billpay_odoo.transactions import each

_logger = logging.getLogger(__name__)

# What decides how much is wanted of an order.
_COUNTED = frozenset({"amount", "payment_method_id", "pos_order_id", "billpay_number"})


class PosPayment(models.Model):
    _name = "pos.payment"
    _inherit = ["pos.payment", BillpayGuarded._name]
    _billpay_server_fields = frozenset({"billpay_number_id", "billpay_line_id"})

    billpay_number = fields.Char(
        string="Control Number",
        help="With which the customer pays or has paid.",
    )
    billpay_number_id = fields.Many2one(
        "billpay.control.number",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )
    billpay_line_id = fields.Many2one(
        "account.move.line",
        string="Journal Item",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        help="What the closing of the session left to be paid.",
    )
    is_billpay = fields.Boolean(compute="_compute_is_billpay")

    @api.depends("payment_method_id.use_payment_terminal")
    def _compute_is_billpay(self):
        for payment in self:
            payment.is_billpay = (
                payment.payment_method_id.use_payment_terminal == "billpay"
            )

    @api.constrains("amount", "payment_method_id", "pos_order_id", "billpay_number")
    def _check_billpay_rules(self):
        """What is changed on a finished order keeps to the till's rules, too."""
        orders = self.filtered("is_billpay").pos_order_id
        orders.filtered(lambda o: o.state in ("paid", "done"))._billpay_check_rules()

    def _billpay_lines(self):
        """Return the journal items that wait for BillPay money."""
        return self.filtered("is_billpay").sudo().billpay_line_id

    def _billpay_entries(self):
        """Return the journal items of the money that came for these."""
        numbers = self.sudo().billpay_number_id | self.pos_order_id._billpay_numbers()
        return self._billpay_entries_of(numbers)

    def _billpay_entries_of(self, numbers):
        return numbers._money(("posted",))._open_credit_lines()

    @api.model_create_multi
    def create(self, vals_list):
        # EXTENDS point_of_sale
        payments = super().create(vals_list)
        payments.pos_order_id._billpay_compare()
        return payments

    def write(self, vals):
        # EXTENDS point_of_sale
        result = super().write(vals)
        if not _COUNTED.isdisjoint(vals):
            self.pos_order_id._billpay_compare()
        return result

    def unlink(self):
        # EXTENDS point_of_sale
        orders = self.pos_order_id
        result = super().unlink()
        orders._billpay_compare()
        return result

    @api.model
    def _cron_billpay_meet(self):
        """Let money and sale meet that were booked at the same moment.

        Closing a session does not see money that is being booked, and booking does
        not see a session that is being closed. Idle, this is one query.
        """
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT p.pos_order_id
                  FROM pos_payment p
                  JOIN account_move_line l ON l.id = p.billpay_line_id
                  JOIN pos_order o ON o.id = p.pos_order_id
                  JOIN billpay_control_number n ON n.pos_order_uuid = o.uuid
                  JOIN billpay_payment b
                    ON b.control_number_id = n.id AND b.state = 'posted'
                  JOIN account_payment a ON a.billpay_payment_id = b.id
                  JOIN account_move_line c ON c.move_id = a.move_id
                   AND c.account_id = l.account_id
                 WHERE NOT l.reconciled AND l.parent_state = 'posted'
                   AND l.amount_residual > 0
                   AND NOT c.reconciled AND c.amount_residual < 0
                """
            )
        )
        orders = self.env["pos.order"].browse(row[0] for row in rows)
        for order in orders:
            each(
                order.with_company(order.company_id),
                self.env["billpay.till.entries"]._meet,
                # The others meet all the same; this one is looked at again.
                lambda order, error: _logger.error(
                    "Till order %s did not meet its money.", order.id, exc_info=error
                ),
            )
            self.env["ir.cron"]._commit_progress(1)
