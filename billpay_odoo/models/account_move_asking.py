# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the control number of an invoice asks for: amount, mode, text."""

import math

from odoo import api, fields, models
from odoo.tools import SQL, format_date
from odoo.tools.sql import column_exists

from .. import const

_MOVE_TYPES = ("out_invoice", "out_receipt")
# What a posted invoice's number follows.
_FOLLOWED = {
    "billpay_mode",
    "invoice_date_due",
    "invoice_payment_term_id",
    "matched_payment_ids",
    "name",
    "partner_id",
}


def whole_shillings(amount):
    """Round an amount in TZS up: a handset takes no cents.

    What is less than half a cent is the float's, and not the payer's.
    """
    return math.ceil(round(amount, 2) - 0.001)


class AccountMove(models.Model):
    _inherit = "account.move"  # pylint: disable=consider-merging-classes-inherited

    billpay_mode = fields.Selection(
        selection=const.MODES,
        string="Payers May Pay",
        compute="_compute_billpay_mode",
        store=True,
        precompute=True,
        readonly=False,
        copy=False,
        help="What the payer's phone accepts for the control number of this invoice.",
    )

    def _auto_init(self):
        # Invoices from before the add-on keep an empty mode, which means the
        # company's: computing millions of them is not what an installation is for.
        if not column_exists(self.env.cr, "account_move", "billpay_mode"):
            self.env.cr.execute(
                SQL("ALTER TABLE account_move ADD COLUMN billpay_mode varchar")
            )
        return super()._auto_init()

    # === COMPUTE METHODS === #

    @api.depends("partner_id", "company_id", "move_type")
    def _compute_billpay_mode(self):
        for move in self:
            if move.move_type not in _MOVE_TYPES:
                move.billpay_mode = False
            elif move.state == "draft" or not move.billpay_mode:
                move.billpay_mode = move._billpay_usual_mode()

    def _billpay_usual_mode(self):
        """Return the customer's mode, else the company's."""
        self.ensure_one()
        partner_sudo = self.partner_id.sudo().with_company(self.company_id)
        return (
            partner_sudo.billpay_mode
            or partner_sudo.commercial_partner_id.billpay_mode
            or self.company_id.billpay_default_mode
        )

    # === CRUD METHODS === #

    def write(self, vals):
        result = super().write(vals)
        if not _FOLLOWED.isdisjoint(vals):
            self.filtered(
                lambda move: move.state == "posted"
            )._billpay_follow_residual()
        return result

    # === WHAT IS ASKED FOR === #

    def _billpay_open_lines(self):
        """Return the open instalments as receivable lines, oldest due first."""
        self.ensure_one()
        return self.line_ids.filtered(
            lambda line: (
                line.account_id.account_type == "asset_receivable"
                and not line.reconciled
                and line.currency_id.compare_amounts(line.amount_residual_currency, 0)
                > 0
            )
        ).sorted(lambda line: (line.date_maturity or line.date, line.id))

    def _billpay_residual(self):
        """Return what is due and not on its way, in the invoice's currency.

        Where accounting is installed, a payment may have no entry before the bank
        statement shows it. The invoice is "In Payment" then, with all of it due.

        :rtype: float
        """
        self.ensure_one()
        coming = self.sudo().matched_payment_ids.filtered(
            lambda payment: (
                payment.payment_type == "inbound"
                and not payment.move_id
                and payment.state in ("in_process", "paid")
            )
        )
        if coming and self.line_ids.matched_credit_ids:
            # What the statement showed is paid and reconciled: not due any more.
            coming = coming.filtered(lambda payment: payment.state == "in_process")
        return max(
            self.amount_residual
            - sum(
                payment.currency_id._convert(
                    payment.amount, self.currency_id, self.company_id, payment.date
                )
                for payment in coming
            ),
            0.0,
        )

    def _billpay_due(self):
        """Return what the number is to ask for in the invoice's currency.

        :return: the amount, and whether it covers several instalments
        :rtype: tuple[float, bool]
        """
        self.ensure_one()
        lines = self._billpay_open_lines()
        left = self._billpay_residual()
        if len(lines) > 1 and self.company_id.billpay_instalments == "next":
            return min(lines[0].amount_residual_currency, left), False
        return self.currency_id.round(left), len(lines) > 1

    def _billpay_wanted_values(self, number=None, reissue=False):
        """Return what the number of this invoice is to ask for.

        BillPay knows whole shillings only: cents are rounded up, and another currency
        is converted.

        :param number: the number that asks, when there is one
        :param bool reissue: it is handed out anew, so today's rate may count
        :return: field values of a control number
        :rtype: dict
        """
        self.ensure_one()
        if number is None:
            number = self.env["billpay.control.number"]
        due, several = self._billpay_due()
        policy = self.billpay_mode or self._billpay_usual_mode()
        values = {
            "partner_id": self.partner_id.id,
            "description": self._billpay_description(),
            # Instalments are paid one by one: several of them are never one amount.
            # With a discount for paying early two amounts are right.
            "mode": "exact"
            if policy == "exact" and not several and not self._billpay_may_be_less()
            else "flexible",
        }
        if self.currency_id.name == const.CURRENCY:
            amount = whole_shillings(due)
            values.update(bill_amount=0, bill_currency_id=False, bill_rate=0)
        else:
            rate = self._billpay_rate(number if not reissue else number.browse())
            amount = whole_shillings(due * rate)
            values.update(
                bill_amount=due, bill_currency_id=self.currency_id.id, bill_rate=rate
            )
        # ClickPesa can change an amount, but not take it away (ClickPesa docs,
        # "Update"): a number that it has with one keeps asking for what is due.
        if policy == "open" and not number.known_amount:
            amount = 0
        values["amount"] = amount
        provider_sudo = (
            number.sudo().provider_id or self.company_id.sudo().billpay_provider_id
        )
        limited = provider_sudo.clickpesa_max_collection
        values["max_amount"] = (
            number.amount_paid + amount
            if limited and amount and values["mode"] == "flexible"
            else 0
        )
        return values

    def _billpay_may_be_less(self):
        """Tell whether less than is due closes this invoice, if it is paid today."""
        self.ensure_one()
        today = self.company_id._billpay_today()
        return bool(
            self.invoice_payment_term_id.early_discount
            and self._is_eligible_for_early_payment_discount(self.currency_id, today)
        )

    def _billpay_description(self):
        """Return the text that ClickPesa shows beside the payment.

        In the customer's language whoever triggers it: else each user's change would
        send another text.
        """
        self.ensure_one()
        lang = self.partner_id.lang or self.company_id.partner_id.lang
        move = self.with_context(lang=lang) if lang else self
        if not move.invoice_date_due:
            return move.env._(
                "Invoice %(invoice)s, %(customer)s",
                invoice=move.name,
                customer=move.commercial_partner_id.name or "",
            )
        return move.env._(
            "Invoice %(invoice)s, due %(date)s, %(customer)s",
            invoice=move.name,
            date=format_date(move.env, move.invoice_date_due, date_format="dd/MM/yyyy"),
            customer=move.commercial_partner_id.name or "",
        )

    # === FOREIGN CURRENCY === #

    def _billpay_rate(self, number=None):
        """Return the shillings for one unit of the invoice's currency.

        :param number: the number that asks; under the rate of its own day it keeps
            the rate at which it was made
        :return: 0.0 when Odoo knows no rate, where it would count one for one
        :rtype: float
        """
        self.ensure_one()
        company = self.company_id
        tzs = self.env.ref("base.TZS")
        if self.currency_id == tzs:
            return 1.0
        date = self.invoice_date or self.date
        own_rate = self.invoice_currency_rate
        if company.billpay_rate_date == "issue":
            if (
                number
                and number.bill_rate
                and number.bill_currency_id == (self.currency_id)
            ):
                return number.bill_rate
            date = company._billpay_today()
        elif company.currency_id == tzs and own_rate and own_rate != 1:
            return 1 / own_rate  # at which the books have it
        if not self._billpay_rates_known(tzs):
            return 0.0
        return self.env["res.currency"]._get_conversion_rate(
            self.currency_id, tzs, company, date
        )

    def _billpay_rates_known(self, tzs):
        """Tell whether a rate was ever entered for each currency involved."""
        self.ensure_one()
        company = self.company_id.root_id
        currencies = (self.currency_id | tzs) - company.currency_id
        rates_sudo = self.env["res.currency.rate"].sudo()
        return all(
            # One of each is enough; a currency may have thousands.
            rates_sudo.search_count(
                [
                    ("currency_id", "=", currency.id),
                    ("company_id", "in", (False, company.id)),
                ],
                limit=1,
            )
            for currency in currencies
        )
