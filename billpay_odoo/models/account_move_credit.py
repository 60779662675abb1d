# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Credit that BillPay payments left pays the customer's next invoice."""

from odoo import models

from ..allocation import CREDIT
from ..clickpesa.values import FAILED, REVERSED


class AccountMove(models.Model):
    _inherit = "account.move"  # pylint: disable=consider-merging-classes-inherited

    def _post(self, soft=True):
        """Override of `account`.

        Imported before ``account_move``: numbers are reserved after this, so they ask
        for the rest only.
        """
        posted = super()._post(soft=soft)
        posted._billpay_apply_checkout()
        posted._billpay_apply_credit()
        return posted

    def _billpay_apply_checkout(self):
        """Pay these invoices with all the parts that were paid at their checkout.

        Odoo itself takes one payment of a transaction; a control number may have been
        paid in several.
        """
        plan = []
        for move in self.filtered(
            lambda m: m.state == "posted" and m.is_sale_document()
        ):
            # sudo: whoever posts an invoice need not see transactions.
            checkouts = move.sudo().transaction_ids.filtered(
                lambda tx: tx.provider_code == "clickpesa"
            )
            if not checkouts:
                continue
            entries = self.env["account.payment"].search(
                [("payment_transaction_id", "in", checkouts.ids)], order="date, id"
            )
            due = move.line_ids.filtered(
                lambda line: line.display_type == "payment_term" and not line.reconciled
            )
            for line in due:
                own = entries.move_id.line_ids.filtered(
                    lambda credit, line=line: (
                        not credit.reconciled
                        and credit.parent_state == "posted"
                        and self._billpay_owner(credit) == self._billpay_owner(line)
                    )
                )
                if own:
                    plan.append(line + own)
        if plan:
            self.env["account.move.line"]._reconcile_plan(plan)

    def _billpay_apply_credit(self):
        """Reconcile open credit of these customers, the oldest first.

        One search, for companies that want it; none for others.
        """
        invoices = self.filtered(
            lambda move: (
                move.move_type in ("out_invoice", "out_receipt")
                and move.state == "posted"
                and move.company_id.billpay_apply_credit
                and move.currency_id.compare_amounts(move.amount_residual, 0) > 0
            )
        )
        if not invoices:
            return
        credits = self.env["account.move.line"].search(
            [
                ("company_id", "in", invoices.company_id.ids),
                (
                    "partner_id.commercial_partner_id",
                    "in",
                    invoices.commercial_partner_id.ids,
                ),
                ("account_id.account_type", "=", "asset_receivable"),
                ("parent_state", "=", "posted"),
                ("reconciled", "=", False),
                ("amount_residual", "<", 0),
                ("move_id.origin_payment_id.billpay_payment_id", "!=", False),
            ],
            order="date, id",
        )
        # Money that ClickPesa took back pays nothing, though its entry may stand yet.
        credits = credits.filtered(
            lambda line: (
                line.move_id.origin_payment_id.sudo().billpay_payment_id.status
                not in REVERSED | FAILED
            )
        )
        if not credits:
            return
        by_owner = credits.grouped(self._billpay_owner)
        plan = []
        for line in invoices.line_ids.filtered(
            lambda line: line.display_type == "payment_term" and not line.reconciled
        ).sorted(lambda line: (line.date_maturity or line.date, line.id)):
            own = by_owner.get(self._billpay_owner(line), credits.browse()).filtered(
                lambda credit, line=line: line._billpay_may_take(credit)
            )
            if own:
                plan.append(line + own)
        self.env["account.move.line"]._reconcile_plan(plan)

    def _billpay_owner(self, line):
        """What has to be the same for a credit to pay an invoice."""
        return (
            line.company_id,
            line.partner_id.commercial_partner_id,
            line.account_id,
            line.currency_id,
        )


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    def _billpay_may_take(self, credit):
        """Tell whether a credit may pay this open line: purposes stay apart."""
        self.ensure_one()
        entry = credit.move_id.origin_payment_id.sudo()
        checkout = entry.payment_transaction_id
        if checkout.state in ("draft", "pending", "done"):
            # The money of an order waits for the invoice of that order.
            invoices = checkout.invoice_ids.filtered(lambda m: m.state == "posted")
            if self.move_id not in invoices and not invoices:
                return False
        number = entry.billpay_payment_id
        number = number.control_number_id
        if number.kind == "customer":
            return number.allocation_policy != CREDIT and bool(number._tiers(self))
        purpose = number.move_id.billpay_purpose_id
        return not purpose or purpose._tier(self.move_id) is not None
