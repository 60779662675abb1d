# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The entries of a batch, made together: see docs/decisions/batch-posting.rst."""

from datetime import timedelta

from odoo import models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ... import money


def _words(*texts):
    return " ".join(filter(None, texts))


class BillpayEntries(models.AbstractModel):
    """Create, post and reconcile the entries of a batch."""

    _name = "billpay.entries"
    _description = "BillPay Entries"

    def _make_account_payments(self, payments, parts):
        """Create and post one ``account.payment`` per part, with its entry."""
        vals_list, index, booked = [], 0, None
        for part in parts:
            index = index + 1 if part.payment == booked else 0
            booked = part.payment
            vals = self._prepare_account_payment(booked, part)
            vals_list.append({**vals, "billpay_part": index})
        account_payments = payments.env["account.payment"].create(vals_list)
        for part, account_payment in zip(parts, account_payments, strict=True):
            part.account_payment = account_payment
        without = account_payments.filtered(lambda p: not p.outstanding_account_id)
        if without:
            # Enterprise leaves it empty, and then there is no entry to reconcile.
            account = without[0]._get_outstanding_account("inbound")
            without.outstanding_account_id = account
        self._make_entries(payments, parts, account_payments)
        # Entries of one day and journal have names of one format: found once.
        account_payments.with_context(billpay_sequence_formats={}).action_post()

    def _prepare_account_payment(self, payment, part):
        """Return the values of the ``account.payment`` for a part of this payment."""
        method_line = self._payment_method_line(payment)
        names = [share.move.name for share in part.shares]
        receipt, reference, number = payment.receipt, payment.reference, payment.number
        return {
            "billpay_payment_id": payment.id,
            "payment_type": "inbound",
            "partner_type": "customer",
            "partner_id": part.partner.id,
            # What arrives: Odoo adds the write-offs for the customer's side.
            "amount": payment.currency_id.round(part.amount - part.fee),
            "currency_id": payment.currency_id.id,
            "date": self._accounting_date(payment, part),
            "journal_id": method_line.journal_id.id,
            "company_id": payment.company_id.id,
            "payment_method_line_id": method_line.id,
            "destination_account_id": part.account.id,
            "payment_reference": _words(receipt, reference, number),
            "memo": _words(*names, number, reference, receipt),
        }

    def _make_entries(self, payments, parts, account_payments):
        """Create the journal entries of all these payments at once."""
        # Read for all what Odoo would read for one after the other.
        account_payments.partner_id.mapped("property_account_position_id")
        # Without rules nothing is found when Odoo searches one for each line.
        rules_sudo = payments.env["account.analytic.distribution.model"].sudo()
        no_analytics = not rules_sudo.search_count([], limit=1)
        vals_list = []
        for part, account_payment in zip(parts, account_payments, strict=True):
            write_offs = [vals for share in part.shares for vals in share.write_offs]
            if part.fee:
                write_offs.append(self._prepare_fee_line(part.payment, part))
            vals = account_payment._generate_move_vals(write_off_line_vals=write_offs)
            self._adjust_lines(vals, part)
            for _command, _id, line_vals in vals["line_ids"] if no_analytics else ():
                line_vals.setdefault("analytic_distribution", False)
            vals_list.append(vals)
        payments.env["account.move"].with_context(
            skip_invoice_sync=True, is_payment=True
        ).create(vals_list)
        self._link_entries(payments, account_payments)

    def _link_entries(self, payments, account_payments):
        """Let payments know their entries, in one statement."""
        payments.env["account.move"].flush_model(["origin_payment_id"])
        account_payments.flush_recordset(["move_id"])
        payments.env.execute_query(
            SQL(
                """
                    UPDATE account_payment SET move_id = entry.id
                      FROM account_move entry
                     WHERE entry.origin_payment_id = account_payment.id
                       AND account_payment.id IN %s
                 RETURNING entry.id
                    """,
                tuple(account_payments.ids),
            )
        )
        account_payments.invalidate_recordset(["move_id"], flush=False)
        account_payments.modified(["move_id"])

    def _prepare_fee_line(self, payments, part):
        """Return the journal item of the fee: the merchant bears it."""
        company, currency = payments.company_id, payments.currency_id
        day = self._accounting_date(payments, part)
        return {
            "name": payments.env._(
                "Fee of %(channel)s: %(payment)s",
                channel=payments.channel_id.name,
                payment=payments.reference,
            ),
            "account_id": payments.provider_id.clickpesa_fee_account_id.id,
            "partner_id": part.partner.id,
            "currency_id": currency.id,
            "amount_currency": part.fee,
            "balance": money.convert(
                part.fee, currency, company.currency_id, company, day
            ),
        }

    def _adjust_lines(self, vals, part):
        """Set what Odoo does not: the share's worth and the purpose's analytics."""
        liquidity, receivable, *others = (command[2] for command in vals["line_ids"])
        if part.balance is not None:
            # In the company's currency, the entry is worth what its share is.
            kept = sum(item["balance"] for item in others)
            liquidity.update(debit=part.balance - kept, credit=0.0)
            receivable.update(debit=0.0, credit=part.balance)
        purpose = part.payment.control_number_id.purpose_id
        if not part.shares and purpose.analytic_distribution:
            # Credit counts for the purpose it was paid for.
            receivable["analytic_distribution"] = purpose.analytic_distribution

    def _payment_method_line(self, payments):
        """Return the method line of the application's journal.

        :raise UserError: no journal is set on the application
        """
        journal = payments.provider_id.journal_id
        lines = journal.inbound_payment_method_line_ids
        line = lines.filtered(
            lambda line: line.payment_provider_id == payments.provider_id
        )
        if not line:
            raise UserError(
                payments.env._(
                    "The application %s has no payment journal. Set one under "
                    "Invoicing, Configuration, BillPay, BillPay Applications.",
                    payments.provider_id.name,
                )
            )
        return line[:1]

    def _day(self, payment):
        """Return the day of the payment where the company is (ClickPesa tells UTC)."""
        return payment.company_id._billpay_day(payment.paid_at)

    def _accounting_date(self, payments, part=None):
        """Return the day of the entry: that of the payment, or the first open one.

        :param Part part: what is booked, once it is known
        """
        return self._open_day(payments, self._day(payments), part and part.is_taxed)

    def _open_day(self, payments, day, is_taxed=None):
        """Return a day, or the first one after it that no lock date closes.

        :param is_taxed: called only in a closed tax period: whether the entry, or one
            that it brings about, is in the tax report
        """
        company = payments.company_id
        locked = company._get_user_fiscal_lock_date(payments.provider_id.journal_id)
        day = max(day, locked + timedelta(days=1))
        if is_taxed:
            company = company.with_context(ignore_exceptions=False)
            if day <= company.user_tax_lock_date and is_taxed():
                return company.user_tax_lock_date + timedelta(days=1)
        return day

    def _reconcile_booked(self, payments, parts):
        """Reconcile each part with its invoices: one plan for all, in their order.

        An invoice is in a plan once. In one plan Odoo would give all of its tax that
        is due on payment to the day of the first payment, however little that was.

        Money that finds nothing open stays an open credit of the customer.
        """
        plans, turns = {}, {}
        for part in parts:
            line, turn = part.lines, 0
            for share in part.shares:
                # What a part pays first it also pays first here.
                # An entry of opening balances has items of many customers.
                bill = share.move, share.lines.partner_id.commercial_partner_id
                turn = max(turn, turns.get(bill, 0))
                turns[bill] = turn + 1
                plans.setdefault((turn, part.rate), []).append((share.lines, line))
        for (_turn, rate), pairs in sorted(plans.items(), key=lambda plan: plan[0][0]):
            # Nothing changes on the invoices but what is open of them.
            lines = payments.env["account.move.line"].with_context(
                skip_invoice_sync=True
            )
            if rate:
                # As the register wizard does it: differences go to the exchange
                # account, and what was asked is what was paid.
                lines = lines.with_context(forced_rate_from_register_payment=rate)
            plan = (due + paid for due, paid in pairs)
            lines._reconcile_plan(
                [items.filtered(lambda line: not line.reconciled) for items in plan]
            )
