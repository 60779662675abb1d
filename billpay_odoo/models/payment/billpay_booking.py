# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Book matched payments: see docs/decisions/batch-posting.rst."""

import logging
from dataclasses import dataclass, field
from datetime import timedelta

from markupsafe import Markup

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import format_datetime

from ... import money
from ...allocation import CREDIT, EXACT_OLDEST, exact_bills, oldest_first
from ...const import INVOICES
from ...transactions import CONFLICTS

_logger = logging.getLogger(__name__)


@dataclass
class Share:
    """What a payment pays of one invoice.

    ``amount`` is in TZS; ``full`` tells that it closes the journal items. For invoices
    in another currency, ``rate`` is how many units one of the company's is worth, as
    the control number asked; ``balance`` is the share's worth in the company's
    currency, where Odoo takes no rate. ``write_offs`` are the journal items of an early
    payment discount, or of a small rest of ``written_off`` TZS.
    """

    move: models.Model
    lines: models.Model
    amount: float
    full: bool
    rate: float | None = None
    balance: float | None = None
    write_offs: list = field(default_factory=list)
    written_off: float = 0.0


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

    @property
    def lines(self):
        """The journal items of its entry that pay invoices."""
        return self.account_payment.move_id.line_ids.filtered(
            lambda line: line.account_id == self.account and line.amount_currency < 0
        )

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

    def is_taxed(self):
        """Whether the tax report counts its entry, or taxes that are due with it."""
        return any(
            vals.get("tax_ids")
            or vals.get("tax_repartition_line_id")
            or vals.get("tax_tag_ids")
            for share in self.shares
            for vals in share.write_offs
        ) or any(share.move._collect_tax_cash_basis_values() for share in self.shares)

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
        """Find the control numbers; return payments known to be for something.

        Whatever leads to the books leads through here: see ``_let_through``.
        """
        payments = payments.env["billpay.receipt"]._without_twins(payments)
        env, ledger = payments.env, payments.env["billpay.ledger"]
        matched, lost = payments.browse(), payments.browse()
        for payment, found in ledger._let_through(payments).items():
            number = payment.control_number_id or found
            elsewhere = number and number.provider_id != payment.provider_id
            if elsewhere and not payment._is_persons_choice():
                if not ledger._bring_to_number(payment, number):
                    continue
            if payment.control_number_id != number:
                payment.control_number_id = number
            if payment._is_persons_choice() or number.move_id or number.partner_id:
                matched |= payment
            elif number:
                reason = env._(
                    "The control number belongs to no invoice and no customer."
                )
                payment._move_to("unmatched", reason)
            else:
                lost |= payment
        reasons = ledger._why_no_number(lost) if lost else {}
        for payment, (reason, flagged) in reasons.items():
            payment._move_to("unmatched", reason, flagged=flagged)
        payments.env["billpay.receipt"]._without_likely_twins(matched)
        return matched.filtered(lambda p: p.state != "unmatched")

    def _book(self, payments):
        """Create, post and reconcile all together; write the outcome."""
        if not payments:
            return
        self._note_asked(payments)
        parts, entries = self._plan_parts(payments), payments.env["billpay.entries"]
        entries._make_account_payments(payments, parts)
        entries._reconcile_booked(payments, parts)
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
        invoices = payments.transaction_id._billpay_invoices()
        if moves := payments.move_id | invoices:
            return [
                (self._open_lines(payments, move), payments.amount) for move in moves
            ]
        if not self._has_policy(payments):
            return []
        lines = waiting.get(payments.partner_id.commercial_partner_id)
        tiers = lines._billpay_tiers(payments.control_number_id) if lines else []
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
        """Book all at once; if that fails, each half for itself, down to the cause."""
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
        env = payment.env
        reason = str(error)
        if not isinstance(error, UserError):
            reason = env._("An unexpected error, written to the server's log.")
        reason = env._(
            "The money is at ClickPesa but not in the books yet: %s Odoo retries "
            "automatically. Correct the cause, then press Process Now.",
            reason,
        )
        payment._move_to("failed", reason)
        payment._try_later()

    def _plan_parts(self, payments):
        """Return the parts of these payments, in their order."""
        # What of journal items is still open, in their currency, when the payments
        # before have paid.
        still_open, parts = {}, []
        waiting = self._open_lines_of_customers(payments)
        for payment in payments:
            wanted = self._wanted_allocation(payment, waiting, still_open)
            shares = self._plan_shares(payment, wanted, still_open)
            parts += self._plan_own_parts(payment, shares)
        return parts

    def _plan_shares(self, payment, wanted, still_open):
        """Return the shares that this payment pays, in order.

        :param list wanted: open journal items of an invoice, and TZS for them at most
        :param dict still_open: what is open of journal items; counted down
        """
        shares, left = [], payment.amount
        for lines, limit in wanted:
            # One journal item pays lines of one account.
            for items in lines.grouped("account_id").values():
                if payment.currency_id.compare_amounts(min(limit, left), 0) <= 0:
                    break
                share = self._plan_share(
                    payment, items, min(limit, left), still_open, limit >= left
                )
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

        :param list tiers: open journal items by tier, in each the oldest due first
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
                bills = lines.grouped(lambda line: (line.move_id, line.currency_id))
                bills = list(bills.values())
                found = exact_bills(amount, [due(items) for items in bills])
                if found:
                    return [(bills[i], payments.amount) for i in found]
        bills = lines.grouped(lambda line: (line.move_id, line.currency_id)).values()
        if amount >= sum(map(due, bills)):
            # Each is rounded once, as screens say what is due, not per instalment.
            return [(items, payments.amount) for items in bills]
        # Instalments count by their own dates, whatever invoice they belong to.
        dues = [due(line) for line in lines]
        return [
            (line, part * unit)
            for line, part in zip(lines, oldest_first(amount, dues), strict=True)
            if part
        ]

    def _open_lines_of_customers(self, rows):
        """Return open journal items by customer, for payments on customer numbers."""
        payments = rows.filtered(self._has_policy)
        partners = payments.partner_id.commercial_partner_id
        if not partners:
            return {}
        lines = rows.env["account.move.line"]
        lines = lines.search(
            lines._billpay_domain(payments.company_id, INVOICES)
            & Domain("partner_id.commercial_partner_id", "in", partners.ids)
            & Domain("reconciled", "=", False)
            & Domain("amount_residual_currency", ">", 0)
        )._billpay_bills()
        return lines.grouped(lambda line: line.partner_id.commercial_partner_id)

    def _plan_share(self, payments, lines, limit, still_open, all_of_it=False):
        """Return what the money pays of these lines, if anything.

        :param bool all_of_it: ``limit`` is all that is left of the payment
        """
        move = lines.move_id
        due = self._due_of(payments, lines, still_open)
        amount = payments.currency_id.round(min(limit, due))
        if payments.currency_id.compare_amounts(amount, 0) <= 0:
            return None
        full = payments.currency_id.compare_amounts(amount, due) >= 0
        # What is on its way otherwise stays open, and its journal item with it.
        full = full and not still_open.get(("coming", move))
        share = Share(move, lines, amount, full)
        if not full:
            self._discount(payments, share, due)
        if not share.full and all_of_it:
            self._write_off(payments, share, due, still_open)
        if lines.currency_id != payments.currency_id:
            self._value(payments, share, still_open)
        taken = sum(still_open[line] for line in lines)
        if not share.full:
            rate = self._rate(payments, move)
            taken = min(money.of_bill(amount, lines.currency_id, rate), taken)
        for line in lines:
            part = min(taken, still_open[line])
            still_open[line] -= part
            taken -= part
        return share

    def _write_off(self, payments, share, due, still_open):
        """Close the invoice with a payment that leaves too little of it to ask for.

        What a customer's number leaves it asks for the next time. Nobody pays a bill
        by having most of it written off.
        """
        # As the invoice's company says, which decides about a number for it too.
        company, currency = share.move.company_id, payments.currency_id
        account = company.billpay_rest_account_id
        rest = currency.round(due - share.amount)
        others = money.open_items(share.move) - share.lines
        if (
            not account
            # An order waits until all of it is paid.
            or (payments.transaction_id and not payments.move_id)
            or share.move.move_type not in INVOICES
            or not company._billpay_is_small(rest)
            or rest >= share.amount
            or self._has_policy(payments)
            or any(still_open.get(o, o.amount_residual_currency) > 0 for o in others)
        ):
            return
        day = payments.env["billpay.entries"]._accounting_date(payments)
        share.write_offs = [
            {
                "name": payments.env._("Small rest of %s", share.move.name),
                "account_id": account.id,
                "partner_id": share.lines.partner_id.id,
                "currency_id": currency.id,
                "amount_currency": rest,
                "balance": money.convert(
                    rest, currency, company.currency_id, company, day
                ),
            }
        ]
        share.written_off, share.full = rest, True

    def _discount(self, payments, share, due):
        """Close the invoice with less, when it is paid early and that was agreed."""
        move, line, currency = share.move, share.lines, payments.currency_id
        company = payments.company_id
        day = payments.env["billpay.entries"]._day(payments)
        if not (
            move.invoice_payment_term_id.early_discount
            and len(line) == 1
            and not currency.compare_amounts(due, line.amount_residual_currency)
            and move._is_eligible_for_early_payment_discount(currency, day)
        ):
            return
        wanted = currency.round(line.discount_amount_currency)
        if wanted - share.amount >= 1:
            return  # less than a shilling is rounding, and goes with the discount
        paid = min(share.amount, float(money.whole_shillings(wanted)))

        def in_books(amount):
            books = move.company_id.currency_id
            return money.convert(amount, currency, books, company, day)

        items = move._get_invoice_counterpart_amls_for_early_payment_discount(
            [{"aml": line, "amount_currency": -due, "balance": in_books(-due)}],
            in_books(due - wanted),
        )
        share.write_offs = [vals for group in items.values() for vals in group]
        if rounding := currency.round(wanted - paid):
            largest = max(share.write_offs, key=lambda vals: vals["amount_currency"])
            largest["amount_currency"] += rounding
            largest["balance"] += in_books(rounding)
        share.amount, share.full = paid, True

    def _value(self, payments, share, still_open):
        """Say what the share of an invoice in another currency is worth."""
        move = share.move
        company_currency = move.company_id.currency_id
        if company_currency in (move.currency_id, payments.currency_id):
            rate = payments._rate_of(move)
            if share.full:
                # In whole shillings: what was asked is all that is open.
                asked = share.amount + share.written_off
                rate = asked / sum(still_open[line] for line in share.lines)
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
        self._count_coming(lines.move_id, still_open)
        due = sum(
            still_open.setdefault(line, line.amount_residual_currency) for line in lines
        )
        rate = self._rate(payments, lines.move_id)
        return money.at_rate(due, lines.currency_id, rate)

    def _count_coming(self, move, still_open):
        """Leave open what is on its way otherwise, as cash that has no entry yet.

        It is of the items that are due first.
        """
        key = "coming", move
        if key in still_open or not self._may_come(move):
            return
        still_open[key] = coming = max(move.amount_residual - money.due(move), 0.0)
        for line in money.open_items(move) if coming else ():
            part = min(coming, line.amount_residual_currency)
            still_open[line] = line.amount_residual_currency - part
            coming -= part

    def _may_come(self, move):
        """Tell whether payments without an entry may be on their way to an invoice."""
        return move._get_invoice_in_payment_state() == "in_payment"

    def _rate(self, payment, move):
        same = move.currency_id == payment.currency_id
        return 1.0 if same else payment._rate_of(move)

    def _open_lines(self, payments, move):
        """Return the open receivable lines of a posted invoice, oldest due first."""
        if move.state != "posted":
            return payments.env["account.move.line"]
        return money.open_items(move)

    def _plan_own_parts(self, payment, shares):
        """Return the shares of this payment as parts, and what is left over."""
        parts, left = [], payment.amount
        for share in shares:
            # The entry of a till's session has no customer of its own; its lines do.
            move = share.move
            owner = (
                move.partner_id if move.is_invoice(True) else share.lines[:1].partner_id
            )
            partner = self._entry_partner(payment, owner)
            if not (parts and parts[-1].takes(share, partner)):
                parts.append(Part(payment, partner, share.lines.account_id))
                parts[-1].rate, parts[-1].balance = share.rate, share.balance
            parts[-1].shares.append(share)
            parts[-1].amount += share.amount
            left -= share.amount
        left = payment.currency_id.round(left)
        if left > 0 or not parts:
            owner = payment.partner_id or payment.move_id.partner_id
            partner = self._entry_partner(payment, owner)
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

    def _entry_partner(self, payments, partner):
        """Return on whom the entry is written: the pupil, or the family."""
        on_contact = payments.company_id.billpay_entries_on == "contact"
        return partner if on_contact else partner.commercial_partner_id

    def _store_outcome(self, payments, parts):
        """Write what was booked, with one write per kind of outcome."""
        credit = dict.fromkeys(payments, 0.0)
        for part in parts:
            left = sum(part.lines.mapped("amount_residual_currency"))
            credit[part.payment] -= left
        outcomes = payments.grouped(self._why_unusual)
        now = fields.Datetime.now()
        for reason, group in outcomes.items():
            group._move_to("posted", reason, flagged=bool(reason), posted_at=now)
        for payment in payments:
            if surplus := self._surplus_text(payment, credit[payment]):
                # It ends when the credit is used, in whatever way.
                payment._warn("surplus:%s" % payment.id, surplus)
        # That it is booked now does not make ClickPesa report it.
        if unreported := payments.filtered("unreported_at"):
            payments.env["billpay.receipt"]._warn_unreported(unreported)

    def _why_unusual(self, payment):
        """Return how the facts that were booked are unusual."""
        if not payment.paid_at_told:
            return False
        zone = payment.company_id._billpay_tz().zone
        return payment.env._(
            "Reported as paid at %(told)s, which cannot be true: booked with %(used)s, "
            "when Odoo received it. Compare with the ClickPesa dashboard.",
            told=format_datetime(payment.env, payment.paid_at_told, tz=zone),
            used=format_datetime(payment.env, payment.paid_at, tz=zone),
        )

    def _surplus_text(self, payment, credit):
        """Return what is to be said of ``credit`` (TZS) that paid no invoice."""
        move = payment.move_id
        # Numbers ask for whole shillings: less than one is rounding, not a surplus.
        if credit < 1 or not move or payment._is_persons_choice():
            return ""
        if move.state != "posted":
            return payment.env._("The invoice is not open: kept as customer credit.")
        return payment.env._(
            "More than was due: %(credit)s is kept as customer credit.",
            credit=payment.currency_id.format(credit),
        )

    def _settle_numbers(self, payments, parts):
        """Close what was paid and, for a rest, reserve the number that asks for it."""
        payments.control_number_id._settle_paid()
        paid = (share.move for part in parts for share in part.shares)
        payments.control_number_id.move_id.union(*paid)._billpay_after_payment()

    def _tell(self, rows, parts):
        """Note the payments on the invoices."""
        told = {}
        for payment in rows:
            # Money that came too late for its invoice is told there all the same.
            for move in self._bills_to_pay(payment):
                told.setdefault(move.id, {})[payment] = True
        for part in parts:
            for share in part.shares:
                told.setdefault(share.move.id, {})[part.payment] = True
        bodies = {
            move_id: Markup("<br/>").join(map(self._tell_text, payments))
            for move_id, payments in told.items()
        }
        if told:
            rows.env["account.move"].browse(told)._message_log_batch(bodies=bodies)

    def _tell_text(self, payment):
        payer = " ".join(filter(None, (payment.payer_name, payment.payer_phone)))
        return payment.env._(
            "Paid by %(channel)s: %(amount)s, receipt %(receipt)s, from %(payer)s, "
            "control number %(number)s.",
            channel=payment.channel_id.name or payment.channel_code or "BillPay",
            amount=payment.currency_id.format(payment.amount),
            receipt=payment.receipt or payment.reference,
            payer=payer or "?",
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
            env = payments.env
            count = len(payments)
            title = env._("Paid by BillPay")
            if count > 1:
                title = env._("%s payments by BillPay", count)
            named = [
                env._(
                    "%(customer)s: %(amount)s for %(invoice)s",
                    customer=payment.partner_id.display_name,
                    amount=payment.currency_id.format(payment.amount),
                    invoice=payment.move_id.name,
                )
                for payment in payments[:NAMED]
            ]
            if count > NAMED:
                named.append(env._("and %s more", count - NAMED))
            message = {"type": "success", "title": title, "message": "; ".join(named)}
            user._bus_send("simple_notification", message)

    def _note_asked(self, payments):
        """Keep what is due now. Called once, right before these are booked.

        Payments of one batch on the same invoice are looked at in turn: the second
        finds only what the first has left.
        """
        left = {}
        for payment in payments:
            number, bills = payment.control_number_id, self._bills_to_pay(payment)
            any_amount = not bills and not number.amount
            due = number.amount if not bills else 0.0
            rest = payment.amount
            for move in bills:
                if move not in left:
                    left[move] = 0.0
                    if move.state == "posted":
                        coming = self._may_come(move)
                        residual = money.due(move) if coming else move.amount_residual
                        left[move] = max(residual, 0.0)
                rate = self._rate(payment, move)
                wanted = money.at_rate(left[move], move.currency_id, rate)
                due += wanted
                used = min(rest, wanted)
                rest -= used
                all_of_it, currency = used >= wanted, move.currency_id
                part = left[move] if all_of_it else money.of_bill(used, currency, rate)
                left[move] -= part
            asked = due
            if bills and not payment.allocation_ids and 0 < number.amount < due:
                # An instalment is less than all that is due, and no underpayment.
                asked = number.amount
            payment.write(
                {
                    "asked_amount": asked,
                    # Numbers ask for whole shillings: less than one is rounding.
                    "is_over": not any_amount and payment.amount - due >= 1,
                    "is_under": not any_amount and asked - payment.amount >= 1,
                    "is_late": self._is_late(payment, bills),
                }
            )

    def _bills_to_pay(self, payment):
        """Return the invoices it is to be booked on."""
        if not payment.allocation_ids and payment.matched_partner_id:
            return payment.env["account.move"]
        return payment.allocation_ids.move_id or payment.move_id

    def _is_late(self, payment, bills):
        """Tell whether it was paid after the day its bill was due, at the company."""
        due_dates = [day for day in bills.mapped("invoice_date_due") if day]
        if not due_dates or not payment.paid_at:
            return False
        if payment.paid_at.date() + timedelta(days=1) <= max(due_dates):
            return False  # in no time zone
        return payment.company_id._billpay_day(payment.paid_at) > max(due_dates)
