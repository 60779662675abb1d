# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a customer owes and has paid on each number. Proven on journal items."""

from collections import defaultdict
from datetime import datetime

import pytz

from odoo import fields, models

from ..clickpesa.values import FAILED, REVERSED


class BillpayControlNumber(models.Model):
    _inherit = "billpay.control.number"  # pylint: disable=consider-merging-classes-inherited

    amount_due = fields.Monetary(
        compute="_compute_balance",
        help="In TZS: what is open on the customer's invoices of this purpose.",
    )
    amount_credit = fields.Monetary(
        string="Credit",
        compute="_compute_balance",
        help="In TZS: money paid on this number, and credit notes, that pay no invoice "
        "yet.",
    )
    balance = fields.Monetary(
        compute="_compute_balance",
        help="In TZS: what is due, less the credit. Below zero the customer has money "
        "with you.",
    )
    paid_this_year = fields.Monetary(compute="_compute_paid")
    last_payment_at = fields.Datetime(string="Last Payment", compute="_compute_paid")

    # === COMPUTE METHODS === #

    def _compute_balance(self):
        """A few searches for all numbers at once."""
        customers = self.filtered(lambda number: number.kind == "customer")
        open_lines = customers._open_invoice_lines(("out_invoice", "out_receipt"))
        refunds = customers._open_invoice_lines(("out_refund",))
        credits = customers._open_credit_lines()
        for number in self:
            due = sum(number._in_shillings(line) for line in open_lines.get(number, ()))
            if number.kind == "order":
                due = number.amount if number.state in ("pending", "open") else 0
            credit = -sum(
                number._in_shillings(line)
                for line in (*credits.get(number, ()), *refunds.get(number, ()))
            )
            number.amount_due = due
            number.amount_credit = credit
            number.balance = due - credit

    def _compute_paid(self):
        payments = self.env["billpay.payment"].sudo()
        domain = [
            ("control_number_id", "in", self.ids),
            ("state", "in", ("confirmed", "posted", "failed")),
        ]
        last = dict(
            payments._read_group(domain, ["control_number_id"], ["paid_at:max"])
        )
        year = defaultdict(float)
        for company, group in self.grouped("company_id").items():
            zone = (company or self.env.company)._billpay_tz()
            today = (company or self.env.company)._billpay_today()
            begin = zone.localize(datetime(today.year, 1, 1)).astimezone(pytz.utc)
            year.update(
                payments._read_group(
                    [
                        *domain,
                        ("control_number_id", "in", group.ids),
                        ("paid_at", ">=", begin.replace(tzinfo=None)),
                    ],
                    ["control_number_id"],
                    ["amount:sum"],
                )
            )
        for number in self:
            number.paid_this_year = year[number]
            number.last_payment_at = last.get(number, False)

    # === BUSINESS METHODS === #

    def _in_shillings(self, line):
        """Return what is open of a journal item, in TZS."""
        return line.currency_id._convert(
            line.amount_residual_currency,
            self.currency_id,
            line.company_id,
            line.company_id._billpay_today(),
        )

    def _open_invoice_lines(self, types):
        """Return the open receivable lines of invoices each number is for.

        :param types: of ``account.move.move_type``

        Only those of its own purpose, whatever else its payments may pay: what is due
        on one number is not due on another.

        :rtype: dict
        """
        partners = self.partner_id.commercial_partner_id
        if not partners:
            return {}
        lines = (
            self.env["account.move.line"]
            .sudo()
            .search(
                [
                    ("company_id", "child_of", self.company_id.ids),
                    ("partner_id", "in", partners.ids),
                    ("account_id.account_type", "=", "asset_receivable"),
                    ("parent_state", "=", "posted"),
                    ("reconciled", "=", False),
                    ("move_id.move_type", "in", types),
                ],
                order="date_maturity, id",
            )
        )
        by_partner = lines.grouped("partner_id")
        return {
            number: [
                line
                for line in by_partner.get(number.partner_id.commercial_partner_id, ())
                if line.move_id.billpay_purpose_id == number.purpose_id
                and number._is_for(line.move_id)
            ]
            for number in self
        }

    def _open_credit_lines(self):
        """Return the open receivable lines of payments on each number.

        :rtype: dict
        """
        lines = (
            self.env["account.move.line"]
            .sudo()
            .search(
                [
                    (
                        "move_id.origin_payment_id.billpay_payment_id"
                        ".control_number_id",
                        "in",
                        self.ids,
                    ),
                    ("account_id.account_type", "=", "asset_receivable"),
                    ("parent_state", "=", "posted"),
                    ("reconciled", "=", False),
                    ("amount_residual", "<", 0),
                ]
            )
        )
        found = defaultdict(list)
        for line in lines:
            payment = line.move_id.origin_payment_id.billpay_payment_id
            if payment.status not in REVERSED | FAILED:
                found[payment.control_number_id].append(line)
        return found

    def _is_for(self, move):
        """Tell whether an invoice is one that this customer's number is about.

        A pupil's number is about the pupil's invoices, a parent's about those of the
        whole family.
        """
        self.ensure_one()
        partner = move.partner_id
        while partner:
            if partner == self.partner_id:
                return True
            partner = partner.parent_id
        return False

    def _tiers(self, lines):
        """Sort open lines of a family into those that are paid first, next and so on.

        The number's own invoices come first. Where entries are on the commercial
        partner, a pupil's number pays invoices made out to the parent after the
        pupil's; a brother's it never pays. Without a purpose it pays any invoice of the
        customer.

        :param lines: open journal items, oldest due first
        :return: the lines of each tier, in the same order
        :rtype: list
        """
        self.ensure_one()
        tiers = defaultdict(lines.browse)
        commercial = self.partner_id.commercial_partner_id
        with_parents = self.company_id.billpay_entries_on == "commercial"
        for line in lines:
            move = line.move_id
            rank = self.purpose_id._tier(move) if self.purpose_id else (0, 0, 0)
            if rank is None:
                continue
            if self._is_for(move):
                tiers[0, rank] |= line
            elif move.partner_id == commercial and with_parents:
                tiers[1, rank] |= line
        return [tier for _rank, tier in sorted(tiers.items(), key=lambda item: item[0])]
