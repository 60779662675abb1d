# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import models

from ...clickpesa.values import FAILED, REVERSED


class BillpayCredit(models.AbstractModel):
    """Pay invoices with money that BillPay payments left as credit."""

    _name = "billpay.credit"
    _description = "BillPay Credit"

    def _apply_checkout(self, moves):
        """Pay these invoices with all the parts that were paid at their checkout.

        Odoo itself takes one payment of a transaction; a control number may have been
        paid in several.
        """
        plan, others = [], []
        for move in moves.filtered(
            lambda m: m.state == "posted" and m.is_sale_document()
        ):
            # sudo: whoever posts an invoice need not see transactions.
            checkouts = move.sudo().transaction_ids.filtered(
                lambda tx: tx.provider_code == "clickpesa"
            )
            if not checkouts:
                continue
            entries = moves.env["account.payment"].search(
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
                        and self._owner(moves, credit) == self._owner(moves, line)
                    )
                )
                if own:
                    plan.append(line + own)
            others.append((due, entries.move_id.line_ids))
        if plan:
            moves.env["account.move.line"]._reconcile_plan(plan)
        for due, credits in others:
            moves._billpay_apply_shillings(due, credits)

    def _apply_credit(self, moves):
        """Reconcile open credit of these customers, the oldest first.

        One search, for companies that want it; none for others.
        """
        invoices = moves.filtered(
            lambda move: (
                move.move_type in ("out_invoice", "out_receipt")
                and move.state == "posted"
                and move.company_id.billpay_apply_credit
                and move.currency_id.compare_amounts(move.amount_residual, 0) > 0
            )
        )
        if not invoices:
            return
        credits = moves.env["account.move.line"].search(
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
        by_owner = credits.grouped(lambda line: self._owner(moves, line))
        plan = []
        for line in invoices.line_ids.filtered(
            lambda line: line.display_type == "payment_term" and not line.reconciled
        ).sorted(lambda line: (line.date_maturity or line.date, line.id)):
            own = by_owner.get(self._owner(moves, line), credits.browse()).filtered(
                lambda credit, line=line: line._billpay_may_take(credit)
            )
            if own:
                plan.append(line + own)
        moves.env["account.move.line"]._reconcile_plan(plan)

    def _owner(self, moves, line):
        """What has to be the same for a credit to pay an invoice."""
        return (
            line.company_id,
            line.partner_id.commercial_partner_id,
            line.account_id,
            line.currency_id,
        )
