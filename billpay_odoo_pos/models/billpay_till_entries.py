# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The journal items of till orders: what pays what, customer by customer."""

from odoo import fields, models
from odoo.tools import clean_context


class BillpayTillEntries(models.AbstractModel):
    """Reconcile till orders with their money and their refunds.

    Money is booked on the customer who is known when it comes, and the order may be
    somebody else's when it is invoiced. An entry then carries the money over, so that
    each customer's account holds what is theirs.
    """

    _name = "billpay.till.entries"
    _description = "BillPay Till Entries"

    def _meet(self, orders):
        """Let the open items of these orders meet what pays them."""
        for order in orders:
            due = order._billpay_open_items()
            if not due:
                continue
            self._reconcile_own(due, self._credits_of_refunds(order))
            self._pay(order, due)

    def _pay(self, order, due):
        """Reconcile open items of an order with the money that came for it."""
        money = order.payment_ids._billpay_entries()
        self._reconcile_own(due, money)
        for credit in money:
            for line in due:
                if line.reconciled or credit.reconciled:
                    continue
                self._carry(order, line, credit)

    def _credits_of_refunds(self, order):
        """Return the open items by which refunds take off what was never paid."""
        refunds = order._billpay_refunds().filtered(
            lambda refund: refund.payment_ids.filtered("is_billpay")
        )
        items = refunds.payment_ids._billpay_lines()
        items |= refunds.account_move.sudo().line_ids.filtered(
            lambda line: line.display_type == "payment_term"
        )
        return self._open(items, lambda line: line.amount_residual < 0)

    def _open(self, items, condition):
        return items.filtered(
            lambda line: (
                line.parent_state == "posted"
                and not line.reconciled
                and condition(line)
            )
        )

    def _reconcile_own(self, due, credits):
        """Reconcile what is on the same account of the same customer or family."""
        owned = credits.grouped(self._owner)
        for owner, lines in due.grouped(self._owner).items():
            lines = lines.filtered(lambda line: not line.reconciled)
            if lines and owner in owned and owner[0].reconcile:
                (lines + owned[owner]).reconcile()

    def _owner(self, line):
        return line.account_id, line.partner_id.commercial_partner_id

    # === MONEY OF SOMEBODY ELSE === #

    def _carry(self, order, due, credit):
        """Carry money over to the customer who owes, and reconcile both sides.

        :param account.move.line due: open
        :param account.move.line credit: open, of a ClickPesa payment
        """
        if not (due.account_id.reconcile and credit.account_id.reconcile):
            return
        open_money = -credit.amount_residual_currency
        amount = min(due.amount_residual_currency, open_money)
        if credit.currency_id != due.currency_id or amount <= 0:
            return
        journal, currency = order.config_id.journal_id, order.company_id.currency_id
        balance = currency.round(-credit.amount_residual * amount / open_money)
        payment = self.env["billpay.reservation"]._row(credit)
        moves = self.env["account.move"].sudo()
        # The order's invoice may be made at this moment, with defaults of its own.
        entry = moves.with_context(clean_context(self.env.context)).create(
            {
                "move_type": "entry",
                "journal_id": journal.id,
                "date": self._day(order.company_id, journal, due + credit),
                "ref": self.env._(
                    "%(payment)s for %(order)s: from %(payer)s to %(customer)s",
                    payment=payment.display_name,
                    order=order.pos_reference,
                    payer=credit.partner_id.display_name,
                    customer=due.partner_id.display_name,
                ),
                "line_ids": [
                    fields.Command.create(
                        {
                            "account_id": line.account_id.id,
                            "partner_id": line.partner_id.id,
                            "currency_id": credit.currency_id.id,
                            "amount_currency": sign * amount,
                            "balance": sign * balance,
                        }
                    )
                    for line, sign in ((credit, 1), (due, -1))
                ],
            }
        )
        payment.carrying_move_ids += entry
        entry._post(soft=False)
        given, taken = entry.line_ids.sorted("balance", reverse=True)
        (given + credit).reconcile()
        (taken + due).reconcile()

    def _day(self, company, journal, after):
        """Return the day of an entry: today, not before these, and not locked."""
        locked = company._get_user_fiscal_lock_date(journal)
        day = max(company._billpay_today(), *after.mapped("date"))
        return max(day, fields.Date.add(locked, days=1))

    def _end_carrying(self, payments):
        """Take back the entries that carried this money; return the freed entries.

        :return: the invoices and closing entries that it paid there
        """
        entries = payments.sudo().carrying_move_ids.filtered(
            lambda move: (
                move.state == "posted"
                and "posted" not in move.reversal_move_ids.mapped("state")
            )
        )
        paid = entries.line_ids.matched_debit_ids.debit_move_id.move_id - entries
        for entry in entries:
            entry.line_ids.remove_move_reconcile()
            mirror = entry.with_context(clean_context(self.env.context)).create(
                {
                    "move_type": "entry",
                    "journal_id": entry.journal_id.id,
                    "date": self._day(entry.company_id, entry.journal_id, entry),
                    "ref": self.env._("Taken back: %s", entry.ref),
                    "reversed_entry_id": entry.id,
                    "line_ids": self._lines((line, -1) for line in entry.line_ids),
                }
            )
            mirror._post(soft=False)
            for lines in (entry + mirror).line_ids.grouped(self._owner).values():
                self._open(lines, bool).reconcile()
        return paid

    def _lines(self, sides):
        """Return the items of a carrying entry: like those given, with a sign."""
        return [
            fields.Command.create(
                {
                    "account_id": line.account_id.id,
                    "partner_id": line.partner_id.id,
                    "currency_id": line.currency_id.id,
                    "amount_currency": sign * line.amount_currency,
                    "balance": sign * line.balance,
                }
            )
            for line, sign in sides
        ]

    # === WHOLE SHILLINGS === #

    def _rounding_account(self, config, amount):
        """Return where a till books what is rounded up (above 0), or given away.

        That of the till's cash rounding, else of its cash, else the company's own for
        cash differences, else that of its sales.
        """
        company = config.company_id
        field = "profit_account_id" if amount > 0 else "loss_account_id"
        kind = "income" if amount > 0 else "expense"
        journals = config.payment_method_ids.filtered("is_cash_count").journal_id
        return (
            config.rounding_method.with_company(company)[field]
            or journals[field][:1]
            or company[f"default_cash_difference_{kind}_account_id"]
            or config.invoice_journal_id.default_account_id
        )

    def _rounding_line(self, config, amount):
        """Return the values of the item that books rounding, but its amount."""
        method = config.rounding_method if config.cash_rounding else None
        return {
            "name": method.name if method else self.env._("Whole shillings"),
            "account_id": self._rounding_account(config, amount).id,
        }

    def _round_invoice(self, invoice, config, amount):
        """Let a draft invoice ask for what is paid: whole shillings.

        As Odoo rounds the invoice of a till with cash rounding.

        :param float amount: what is paid more; below 0 on a credit note
        """
        rate = invoice.invoice_currency_rate
        balance = invoice.company_id.currency_id.round(amount / rate) if rate else 0.0
        terms = invoice.line_ids.filtered(
            lambda line: line.display_type == "payment_term"
        ).sorted(lambda line: -abs(line.amount_currency))[:1]
        commands = [
            fields.Command.create(
                {
                    **self._rounding_line(config, amount),
                    "amount_currency": -amount,
                    "balance": -balance,
                    "currency_id": invoice.currency_id.id,
                    "display_type": "rounding",
                }
            ),
            fields.Command.update(
                terms.id,
                {
                    "amount_currency": terms.amount_currency + amount,
                    "balance": terms.balance + balance,
                },
            ),
        ]
        with invoice._check_balanced({"records": invoice}):
            invoice.with_context(skip_invoice_sync=True).line_ids = commands

    def _credit_note_pays(self, credit_note):
        """A refund that takes off what was never paid pays its order's invoice."""
        for refund in credit_note.sudo().pos_order_ids:
            self._meet(refund._billpay_refunded())
