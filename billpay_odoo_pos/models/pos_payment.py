# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import logging

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from odoo.addons.billpay_odoo.models.billpay_guarded import BillpayGuarded
from odoo.addons.billpay_odoo.transactions import each

_logger = logging.getLogger(__name__)

# What decides how much is wanted of an order.
_COUNTED = frozenset({"amount", "payment_method_id", "pos_order_id", "billpay_number"})


class PosPayment(models.Model):
    _name = "pos.payment"
    _inherit = ["pos.payment", BillpayGuarded._name]
    _billpay_server_fields = frozenset(
        {"billpay_number_id", "billpay_line_id", "billpay_payment_id"}
    )

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
    billpay_payment_id = fields.Many2one(
        "billpay.payment",
        string="BillPay Payment",
        readonly=True,
        copy=False,
        ondelete="restrict",
        help="The money that this line stands for.",
    )
    billpay_paid = fields.Boolean(
        string="Paid by BillPay", compute="_compute_billpay_paid", compute_sudo=True
    )
    is_billpay = fields.Boolean(compute="_compute_is_billpay")

    # One payment is the basis of one line, on whatever device.
    _billpay_payment_once = models.UniqueIndex(
        "(billpay_payment_id) WHERE billpay_payment_id IS NOT NULL",
        "This BillPay payment has a payment line already.",
    )

    @api.depends("payment_method_id.use_payment_terminal")
    def _compute_is_billpay(self):
        for payment in self:
            payment.is_billpay = (
                payment.payment_method_id.use_payment_terminal == "billpay"
            )

    @api.depends("billpay_payment_id")
    def _compute_billpay_paid(self):
        for payment in self:
            payment.billpay_paid = bool(payment.billpay_payment_id)

    # === WHAT IS PAID STAYS, WHAT CHANGES IS COMPARED === #

    @api.model_create_multi
    def create(self, vals_list):
        # EXTENDS point_of_sale
        payments = super().create(vals_list)
        payments.pos_order_id._billpay_compare()
        return payments

    def write(self, vals):
        # EXTENDS point_of_sale
        settled = self.sudo().filtered("billpay_payment_id")
        for line in settled:
            for name in ("amount", "payment_method_id", "pos_order_id"):
                if name in vals and not self._billpay_has(
                    line, self._fields[name], vals[name]
                ):
                    line._billpay_refuse()
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

    @api.ondelete(at_uninstall=False)
    def _unlink_except_billpay_paid(self):
        for line in self.sudo().filtered("billpay_payment_id"):
            line._billpay_refuse()

    def _billpay_refuse(self):
        raise UserError(
            self.env._(
                "%(amount)s of the order %(order)s came by BillPay, so its payment "
                "line stays as it is. Nothing was changed. Finish the order and refund "
                "it if the customer is to get the money back.",
                amount=self.currency_id.format(self.amount),
                order=self.pos_order_id.pos_reference or self.pos_order_id.name,
            )
        )

    def _billpay_fit(self, amount):
        """Let a settled line pay more or less of its changed order."""
        payment = self.billpay_payment_id
        self.billpay_payment_id = False
        self.write({"amount": amount, "billpay_payment_id": payment.id})

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
