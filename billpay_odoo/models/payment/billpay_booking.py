# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Book matched payments: see docs/decisions/batch-posting.rst."""

import logging
from dataclasses import dataclass, field
from datetime import timezone

from markupsafe import Markup

from odoo import fields, models
from odoo.exceptions import UserError

from ... import money
from ...allocation import CREDIT, EXACT_OLDEST, exact_bills, oldest_first
from ...transactions import CONFLICTS

_logger = logging.getLogger(__name__)


@dataclass
class Share:
    """What a payment pays of one invoice.

    ``amount`` is in TZS; ``full`` tells that it closes the journal items.

    ``rate`` is how many units of the other currency one of the company's is worth, for
    invoices in another currency than TZS: just as the control number asked, so that
    what was paid is what was asked. ``balance`` is what the share is worth in the
    company's currency, where Odoo has no way to be told a rate. ``write_offs`` are the
    journal items of an early payment discount.
    """

    move: models.Model
    lines: models.Model
    amount: float
    full: bool
    rate: float | None = None
    balance: float | None = None
    write_offs: list = field(default_factory=list)


@dataclass
class Part:
    """The money of one ClickPesa payment for one customer, in one entry.

    ``amount`` is in TZS; ``fee`` is what ClickPesa keeps of it. Only the last share may
    leave its invoice open, since Odoo reconciles as much of a journal item as there is.
    """

    payment: models.Model
    partner: models.Model
    account: models.Model
    shares: list = field(default_factory=list)
    amount: float = 0.0
    fee: float = 0.0
    rate: float | None = None
    balance: float | None = None
    account_payment: models.Model | None = None

    def takes(self, share, partner):
        """Whether one more share may be paid from the same journal item."""
        return (
            self.partner == partner
            and self.account == share.lines.account_id
            and self.is_open
            and self.rate is None
            and share.rate is None
            and share.balance is None
        )

    @property
    def is_open(self):
        """Whether money may be added without paying more of the last invoice."""
        return self.balance is None and all(share.full for share in self.shares)


# Payments named in one message; more are counted.
NAMED = 3


class BillpayBooking(models.AbstractModel):
    """Post confirmed payments in batches and reconcile them."""

    _name = "billpay.booking"
    _description = "BillPay Booking"

    def _match(self, payments):
        """Find the control numbers; never by guess.

        The number as sent, then the part before the first "-": ClickPesa may add a
        suffix to repeated payments on a customer number.

        :return: the payments of which is known what they are for
        """
        payments = payments.env["billpay.receipt"]._without_twins(payments)
        matched = payments.browse()
        numbers = payments.env["billpay.ledger"]._find_control_numbers(payments)
        for payment in payments:
            number = payment.control_number_id or numbers[payment]
            if payment._is_persons_choice():
                if number and payment.control_number_id != number:
                    payment.control_number_id = number
                matched |= payment
                continue
            if not number:
                payment._move_to(
                    "unmatched",
                    payments.env._(
                        "No control number %s was made here. The money is at "
                        "ClickPesa and not booked.",
                        payment.number or "?",
                    ),
                )
                continue
            if payment.control_number_id != number:
                payment.control_number_id = number
            if number.move_id or number.partner_id:
                matched |= payment
                continue
            payment._move_to(
                "unmatched",
                payments.env._(
                    "The control number belongs to no invoice and no customer."
                ),
            )
        return matched

    def _book(self, payments):
        """Create, post and reconcile; write the outcome on payments and numbers.

        Everything is made for all of them together: payments, entries, postings and
        one reconciliation. Other bills than invoices hear of the money in the same
        transaction.
        """
        if not payments:
            return
        self._note_asked(payments)
        parts = self._plan_parts(payments)
        payments.env["billpay.entries"]._make_account_payments(payments, parts)
        payments.env["billpay.entries"]._reconcile_booked(payments, parts)
        self._store_outcome(payments, parts)
        self._settle_numbers(payments, parts)
        self._tell(payments, parts)
        self._tell_bills(payments)

    def _tell_bills(self, payments):
        """Tell bills other than invoices that these payments are booked."""
        for payment in payments.filtered(lambda p: p.state == "posted"):
            if payment.control_number_id and not payment._is_persons_choice():
                bill = payment.control_number_id._bill()
                bill.with_company(bill.company_id)._billpay_on_money(payment)

    def _wanted_allocation(self, payments, waiting, still_open):
        """Return journal items and the most that each group takes of this payment.

        A person's choice comes first, then the invoices of a checkout, the number's
        invoice, and the policy of a customer's number.

        :param dict waiting: open journal items by customer
        :rtype: list[tuple]
        """
        if payments.allocation_ids:
            return [
                (self._open_lines(payments, item.move_id), item.amount)
                for item in payments.allocation_ids
            ]
        if payments.matched_partner_id:
            return []
        invoices = payments.transaction_id.invoice_ids.filtered(
            lambda move: move.state == "posted"
        )
        if invoices:
            return [
                (self._open_lines(payments, move), payments.amount) for move in invoices
            ]
        if payments.move_id:
            return [(self._open_lines(payments, payments.move_id), payments.amount)]
        if not self._has_policy(payments):
            return []
        lines = waiting.get(payments.partner_id.commercial_partner_id)
        tiers = payments.control_number_id._tiers(lines) if lines else []
        return self._by_policy(payments, tiers, still_open)

    def _post(self, payments):
        """Book these locked payments; one that cannot be booked stops only itself.

        Runs in the caller's transaction: entry, reconciliation and state become
        visible together, or not at all.
        """
        batches = payments.with_context(
            billpay_posting=True, tracking_disable=True, mail_create_nolog=True
        ).grouped("company_id")
        for company, batch in batches.items():
            self._book_together(batch.with_company(company))
        self._toast_salespeople(payments)

    def _book_together(self, payments):
        """Book all at once; if that fails, each half for itself, down to the cause.

        So a bad record among two hundred costs some eight more tries.
        """
        try:
            with payments.env.cr.savepoint():
                self._book(self._match(payments))
        except CONFLICTS:
            raise
        except Exception as error:  # noqa: BLE001 - any record may be the cause
            if len(payments) == 1:
                self._note_failure(payments, error)
                return
            _logger.info("Booking %s payments together: %s", len(payments), error)
            middle = len(payments) // 2
            self._book_together(payments[:middle])
            self._book_together(payments[middle:])

    def _note_failure(self, payment, error):
        """Keep a payment that could not be booked in sight and try it again later."""
        _logger.warning("Payment %s was not booked.", payment.reference, exc_info=error)
        reason = (
            str(error)
            if isinstance(error, UserError)
            else payment.env._("An unexpected error, written to the server's log.")
        )
        payment._move_to(
            "failed",
            payment.env._(
                "The money is at ClickPesa but not in the books yet: %s It is "
                "tried again by itself; correct the cause, then press Process Now.",
                reason,
            ),
        )
        payment._try_later()

    def _plan_parts(self, payments):
        """Divide the money of these payments, in their order.

        :rtype: list[Part]
        """
        # What of journal items is still open when the payments before have paid, in
        # their own currency.
        still_open, parts = {}, []
        waiting = self._open_lines_of_customers(payments)
        for payment in payments:
            wanted = self._wanted_allocation(payment, waiting, still_open)
            shares = self._plan_shares(payment, wanted, still_open)
            parts += self._plan_own_parts(payment, shares)
        return parts

    def _plan_shares(self, payment, wanted, still_open):
        """Return what this payment pays, in order.

        :param list wanted: open journal items of an invoice, and TZS for them at most
        :param dict still_open: what is open of journal items; counted down
        :rtype: list[Share]
        """
        shares, left = [], payment.amount
        for lines, limit in wanted:
            # One journal item pays lines of one account.
            for items in lines.grouped("account_id").values():
                if payment.currency_id.compare_amounts(min(limit, left), 0) <= 0:
                    break
                share = self._plan_share(payment, items, min(limit, left), still_open)
                if share:
                    shares.append(share)
                    left -= share.amount
                    limit -= share.amount
        return shares

    def _has_policy(self, payments):
        """Whether the number leaves it to its policy what is paid."""
        number = payments.control_number_id
        return (
            not payments.move_id
            and number.kind == "customer"
            and number.allocation_policy != CREDIT
            and not payments._is_persons_choice()
        )

    def _by_policy(self, payments, tiers, still_open):
        """Return what a customer's number pays: the oldest, or bills that fit exactly.

        Bills that fit are looked for among the first ones, then among more of them.

        :param list tiers: open journal items in the order of their tiers, in each the
            oldest due first
        """
        policy = payments.control_number_id.allocation_policy
        unit = payments.currency_id.rounding

        def due(items):
            return round(self._due_of(payments, items, still_open) / unit)

        amount = round(payments.amount / unit)
        lines = payments.env["account.move.line"]
        for tier in tiers:
            lines += tier
            if policy == EXACT_OLDEST:
                bills = list(lines.grouped("move_id").values())
                found = exact_bills(amount, [due(items) for items in bills])
                if found:
                    return [(bills[i], payments.amount) for i in found]
        # Instalments count by their own dates, whatever invoice they belong to.
        dues = [due(line) for line in lines]
        return [
            (line, part * unit)
            for line, part in zip(lines, oldest_first(amount, dues), strict=True)
            if part
        ]

    def _open_lines_of_customers(self, rows):
        """Return open journal items for payments on customer numbers, by customer.

        One search for all of them; oldest due first.
        """
        payments = rows.filtered(lambda payment: self._has_policy(payment))
        partners = payments.partner_id.commercial_partner_id
        if not partners:
            return {}
        lines = rows.env["account.move.line"].search(
            [
                ("company_id", "child_of", payments.company_id.ids),
                ("partner_id", "in", partners.ids),
                ("account_id.account_type", "=", "asset_receivable"),
                ("parent_state", "=", "posted"),
                ("reconciled", "=", False),
                ("amount_residual_currency", ">", 0),
                ("move_id.move_type", "in", ("out_invoice", "out_receipt")),
            ],
            order="date_maturity, id",
        )
        return lines.grouped("partner_id")

    def _plan_share(self, payments, lines, limit, still_open):
        move = lines.move_id
        due = self._due_of(payments, lines, still_open)
        amount = payments.currency_id.round(min(limit, due))
        if payments.currency_id.compare_amounts(amount, 0) <= 0:
            return None
        full = payments.currency_id.compare_amounts(amount, due) >= 0
        share = Share(move, lines, amount, full)
        if not full:
            self._discount(payments, share, due)
        if move.currency_id != payments.currency_id:
            self._value(payments, share, still_open)
        taken = sum(still_open[line] for line in lines)
        if not share.full:
            rate = self._rate(payments, move)
            taken = min(money.of_bill(amount, move.currency_id, rate), taken)
        for line in lines:
            part = min(taken, still_open[line])
            still_open[line] -= part
            taken -= part
        return share

    def _discount(self, payments, share, due):
        """Close the invoice with less, when it is paid early and that was agreed.

        The conditions and the journal items are Odoo's own.
        """
        move, line = share.move, share.lines
        day = payments.env["billpay.entries"]._day(payments)
        if not (
            move.invoice_payment_term_id.early_discount
            and len(line) == 1
            and not payments.currency_id.compare_amounts(
                due, line.amount_residual_currency
            )
            and move._is_eligible_for_early_payment_discount(payments.currency_id, day)
        ):
            return
        wanted = payments.currency_id.round(line.discount_amount_currency)
        if payments.currency_id.compare_amounts(share.amount, wanted) < 0:
            return

        def in_books(amount):
            return money.convert(
                amount,
                payments.currency_id,
                move.company_id.currency_id,
                payments.company_id,
                day,
            )

        items = move._get_invoice_counterpart_amls_for_early_payment_discount(
            [{"aml": line, "amount_currency": -due, "balance": in_books(-due)}],
            in_books(due - wanted),
        )
        share.write_offs = [vals for group in items.values() for vals in group]
        share.amount, share.full = wanted, True

    def _value(self, payments, share, still_open):
        """Say what the share of an invoice in another currency is worth."""
        move = share.move
        company_currency = move.company_id.currency_id
        if company_currency in (move.currency_id, payments.currency_id):
            rate = payments._rate_of(move)
            if share.full:
                # In whole shillings: what was asked is all that is open.
                rate = share.amount / sum(still_open[line] for line in share.lines)
            share.rate = money.books_rate(move, rate)
            return
        # Neither currency is the company's: the entry gets the invoice's value.
        # What its journal items are worth is counted down like what is open of them.
        worth = {
            line: still_open.get(("worth", line), line.amount_residual)
            for line in share.lines
        }
        share.balance = sum(worth.values())
        if not share.full:
            residual = sum(share.lines.mapped("amount_residual_currency"))
            asked = money.at_rate(residual, move.currency_id, payments._rate_of(move))
            total = sum(share.lines.mapped("amount_residual"))
            share.balance = company_currency.round(total * share.amount / asked)
        left = share.balance
        for line, value in worth.items():
            part = min(left, value)
            still_open["worth", line] = value - part
            left -= part

    def _due_of(self, payments, lines, still_open):
        """Return what the payer has to pay to close these lines, in TZS."""
        for line in lines:
            if line not in still_open:
                still_open[line] = line.amount_residual_currency
        due = sum(still_open[line] for line in lines)
        return money.at_rate(
            due, lines.currency_id, self._rate(payments, lines.move_id)
        )

    def _rate(self, payment, move):
        """Return the rate at which an invoice asks this payment for shillings."""
        same = move.currency_id == payment.currency_id
        return 1.0 if same else payment._rate_of(move)

    def _open_lines(self, payments, move):
        """Receivable lines of a posted invoice that still ask for money, oldest due
        first."""
        if move.state != "posted":
            return payments.env["account.move.line"]
        return move.line_ids.filtered(
            lambda line: (
                line.account_id.account_type == "asset_receivable"
                and not line.reconciled
                and line.amount_residual_currency > 0
            )
        ).sorted(lambda line: (line.date_maturity or line.date, line.id))

    def _plan_own_parts(self, payment, shares):
        """Group the shares of this payment, and add what is left over.

        :rtype: list[Part]
        """
        parts, left = [], payment.amount
        for share in shares:
            # The entry of a till's session has no customer of its own; its lines do.
            owner = share.move.partner_id or share.lines.partner_id
            partner = self._entry_partner(payment, owner)
            if not (parts and parts[-1].takes(share, partner)):
                parts.append(Part(payment, partner, share.lines.account_id))
                parts[-1].rate, parts[-1].balance = share.rate, share.balance
            parts[-1].shares.append(share)
            parts[-1].amount += share.amount
            left -= share.amount
        left = payment.currency_id.round(left)
        if left > 0 or not parts:
            partner = self._credit_partner(payment)
            if not (parts and parts[-1].is_open and parts[-1].partner == partner):
                account = partner.property_account_receivable_id
                parts.append(Part(payment, partner, account))
            parts[-1].amount += left
        largest = max(parts, key=lambda part: part.amount)
        largest.fee = min(self._fee(payment), largest.amount)
        return parts

    def _fee(self, payments):
        """Return what ClickPesa keeps of this payment, in TZS; zero if not booked."""
        channel = payments.channel_id
        if not payments.provider_id.clickpesa_fee_account_id or not channel:
            return 0.0
        fee = payments.amount * channel.fee_percent / 100 + channel.fee_fixed
        return payments.currency_id.round(fee)

    def _credit_partner(self, payments):
        """Return whose money it is that pays no invoice."""
        return self._entry_partner(
            payments, payments.partner_id or payments.move_id.partner_id
        )

    def _entry_partner(self, payments, partner):
        """Return on whom the entry is written: the pupil, or the family."""
        if payments.company_id.billpay_entries_on == "contact":
            return partner
        return partner.commercial_partner_id

    def _store_outcome(self, payments, parts):
        """Write what was booked, with one write per kind of outcome."""
        credit = dict.fromkeys(payments, 0.0)
        for part in parts:
            lines = payments.env["billpay.entries"]._credit_lines(payments, part)
            credit[part.payment] -= sum(lines.mapped("amount_residual_currency"))
        outcomes = payments.grouped(lambda p: self._why_unusual(p, credit[p]))
        now = fields.Datetime.now()
        for reason, group in outcomes.items():
            group._move_to("posted", reason, flagged=bool(reason), posted_at=now)

    def _why_unusual(self, payment, credit):
        """Return in what way the booking is unusual, or ``False``.

        :param float credit: TZS that paid no invoice
        """
        move = payment.move_id
        # Numbers ask for whole shillings: less than one is rounding, not a surplus.
        if credit < 1 or not move or payment._is_persons_choice():
            return False
        if move.state != "posted":
            return payment.env._("The invoice is not open: kept as customer credit.")
        return payment.env._(
            "More than was due: %(credit)s is kept as customer credit.",
            credit=payment.currency_id.format(credit),
        )

    def _settle_numbers(self, payments, parts):
        """Close what was paid and, for a rest, reserve the number that asks for it."""
        payments.control_number_id._settle_paid()
        moves = payments.control_number_id.move_id
        for part in parts:
            for share in part.shares:
                moves |= share.move
        moves._billpay_after_payment()

    def _tell(self, rows, parts):
        """Note the payment where people look: on the invoices."""
        told = {}
        for payment in rows:
            # Money that came too late for its invoice is told there all the same.
            for move in self._bills_to_pay(payment):
                told.setdefault(move.id, []).append(payment)
        for part in parts:
            for share in part.shares:
                payments = told.setdefault(share.move.id, [])
                if part.payment not in payments:
                    payments.append(part.payment)
        if told:
            rows.env["account.move"].browse(told)._message_log_batch(
                bodies={
                    move_id: Markup("<br/>").join(self._tell_text(p) for p in payments)
                    for move_id, payments in told.items()
                }
            )

    def _tell_text(self, payment):
        return payment.env._(
            "Paid by %(channel)s: %(amount)s, receipt %(receipt)s, from %(payer)s, "
            "control number %(number)s.",
            channel=payment.channel_id.name or payment.channel_code or "BillPay",
            amount=payment.currency_id.format(payment.amount),
            receipt=payment.receipt or payment.reference,
            payer=" ".join(filter(None, (payment.payer_name, payment.payer_phone)))
            or "?",
            number=payment.control_number_id.display_number or payment.number or "?",
        )

    def _toast_salespeople(self, rows):
        """Tell each salesperson, in one message, of booked payments on their invoices.

        The bus delivers when the transaction commits. To be called outside of
        savepoints: a rollback to one would not take the message back.
        """
        booked = rows.filtered(
            lambda p: (
                p.state == "posted"
                and p.move_id
                and p.company_id.billpay_notify_salesperson
            )
        )
        for user, payments in booked.grouped("salesperson_id").items():
            # Whoever books it by hand is told by the wizard.
            if not user.active or user.share or user == rows.env.user:
                continue
            payments = payments.with_context(lang=user.lang)
            title = payments.env._("Paid by BillPay")
            if len(payments) > 1:
                title = payments.env._("%s payments by BillPay", len(payments))
            named = [
                payments.env._(
                    "%(customer)s: %(amount)s for %(invoice)s",
                    customer=payment.partner_id.display_name,
                    amount=payment.currency_id.format(payment.amount),
                    invoice=payment.move_id.name,
                )
                for payment in payments[:NAMED]
            ]
            if len(payments) > NAMED:
                named.append(payments.env._("and %s more", len(payments) - NAMED))
            user._bus_send(
                "simple_notification",
                {"type": "success", "title": title, "message": "; ".join(named)},
            )

    def _note_asked(self, payments):
        """Keep what is due now. Called once, right before these are booked.

        Payments of one batch on the same invoice are looked at in turn: the second
        finds only what the first has left.
        """
        left = {}
        for payment in payments:
            bills = self._bills_to_pay(payment)
            any_amount = not bills and not payment.control_number_id.amount
            due = payment.control_number_id.amount if not bills else 0.0
            rest = payment.amount
            for move in bills:
                if move not in left:
                    open_now = move.state == "posted"
                    left[move] = max(move.amount_residual, 0.0) if open_now else 0.0
                rate = self._rate(payment, move)
                wanted = money.at_rate(left[move], move.currency_id, rate)
                due += wanted
                used = min(rest, wanted)
                rest -= used
                left[move] -= (
                    money.of_bill(used, move.currency_id, rate)
                    if used < wanted
                    else left[move]
                )
            asked = self._asked_by_number(payment, due) if bills else due
            payment.write(
                {
                    "asked_amount": asked,
                    # Numbers ask for whole shillings: less than one is rounding.
                    "is_over": not any_amount and payment.amount - due >= 1,
                    "is_under": not any_amount and asked - payment.amount >= 1,
                    "is_late": self._is_late(payment, bills),
                }
            )

    def _asked_by_number(self, payment, due):
        """Return what the number asked for: an instalment is less than all that is
        due, and no payment of too little."""
        number = payment.control_number_id
        if payment.allocation_ids or not 0 < number.amount < due:
            return due
        return number.amount

    def _bills_to_pay(self, payment):
        """Return the invoices it is to be booked on."""
        if payment.allocation_ids:
            return payment.allocation_ids.move_id
        return (
            payment.env["account.move"]
            if payment.matched_partner_id
            else payment.move_id
        )

    def _is_late(self, payment, bills):
        """Tell whether it was paid after the day its bill was due, at the company."""
        due_dates = [day for day in bills.mapped("invoice_date_due") if day]
        if not due_dates or not payment.paid_at:
            return False
        moment = payment.paid_at.replace(tzinfo=timezone.utc)
        paid_on = moment.astimezone(payment.company_id._billpay_tz()).date()
        return paid_on > max(due_dates)
