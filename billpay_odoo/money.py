# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Shillings: the only place where amounts change their currency.

BillPay collects whole shillings (TZS); invoices and books may be in another currency.
One rule says at which rate a bill in another currency asks for shillings. The first of
these that applies counts, for screens and for booking alike:

1. A control number asked for this bill: the number's rate. Of several numbers, the one
   that was paid, else the living one, else the last.
2. The customer's own number asks for it (the invoice carries it, or the payment was
   made on it): the rate at which a number of its own would ask. This is the company's
   setting *Exchange Rate Of* (``billpay_rate_date``): the rate of the invoice, or that
   of the day.
3. No number asked: the rate of the day.

The day is that of the payment's entry, and today on a screen without a payment. The
amount is then rounded up to whole shillings. What is shown is what closes the bill:
booking reconciles the bill with the very amount that it asked for (``books_rate``), so
no cent is left in either currency.

Rates are shillings per unit of the bill's currency; 0.0 where Odoo knows none, since
it would count one for one.
"""

import math

from . import const


def whole_shillings(amount):
    """Round an amount in TZS up; less than half a cent is the float's."""
    return math.ceil(round(amount, 2) - 0.001)


def is_shillings(currency):
    return currency.name == const.CURRENCY


def shillings(env):
    """Return the currency, without asking the database whether it still exists."""
    return env["res.currency"].browse(env["ir.model.data"]._xmlid_to_res_id("base.TZS"))


def convert(amount, source, target, company, day, **options):
    """Return an amount in another currency, at Odoo's rate of a day."""
    return source._convert(amount, target, company, day, **options)


# === RATES === #


def rates_known(currency, company):
    """Tell whether a rate was ever entered for each currency involved."""
    root = company.root_id
    currencies = (currency | shillings(currency.env)) - root.currency_id
    return all(currencies.with_company(root).mapped("billpay_has_rate"))


def day_rate(currency, company, day):
    """Return the shillings for one unit of a currency on a day."""
    if is_shillings(currency):
        return 1.0
    if not rates_known(currency, company):
        return 0.0
    return currency._get_conversion_rate(
        currency, shillings(currency.env), company, day
    )


def asking_rate(move, day=None):
    """Return the rate at which a number made on a day asks for an invoice.

    :param date day: today by default
    """
    company, currency = move.company_id, move.currency_id
    if is_shillings(currency):
        return 1.0
    if company.billpay_rate_date == "issue":
        return day_rate(currency, company, day or company._billpay_today())
    own_rate = move.invoice_currency_rate
    if is_shillings(company.currency_id) and own_rate and own_rate != 1:
        return 1 / own_rate  # at which the books have it
    return day_rate(currency, company, move.invoice_date or move.date)


def number_rate(number, currency):
    """Return the rate of a number's bill, 0.0 for one in another currency."""
    if number.bill_currency_id != currency:
        return 0.0
    asked, bill, rate = number.amount, number.bill_amount, number.bill_rate
    if asked and bill > 0 and whole_shillings(bill * rate) != asked:
        # A person or an earlier release set the amount: it was asked for all the same.
        return asked / bill
    return rate


def asked_rate(move, number=None):
    """Return the rate at which a control number asked for a bill, 0.0 where none did.

    :param number: the control number that was paid, when there is one
    """
    currency, move_sudo = move.currency_id, move.sudo()
    if is_shillings(currency):
        return 1.0
    number_sudo = (number or move.env["billpay.control.number"]).sudo()
    candidates = number_sudo.browse()
    if number_sudo.move_id == move or move in number_sudo.transaction_id.invoice_ids:
        candidates |= number_sudo
    for owner in (move_sudo, move_sudo.transaction_ids):
        candidates |= owner.billpay_number_ids.sorted(
            lambda asking: (asking.state in const.LIVING, asking.id), reverse=True
        )
    rates = (number_rate(candidate, currency) for candidate in candidates)
    return next(filter(None, rates), 0.0)


def bill_rate(move, number=None, day=None):
    """Return the rate at which a bill asks for shillings, as the rule above says.

    :param account.move move: an invoice, or the entry of another bill
    :param number: the control number that was paid, or on whose screen this is shown
    :param date day: of the payment's entry; today by default
    """
    if rate := asked_rate(move, number):
        return rate
    if (number and number.sudo().kind == "customer") or (
        move.sudo().billpay_carried_number_id
    ):
        return asking_rate(move, day)
    company = move.company_id
    return day_rate(move.currency_id, company, day or company._billpay_today())


# === WHAT IS ASKED === #


def at_rate(amount, currency, rate):
    """Return what an amount of a bill asks for: itself in TZS, else whole shillings."""
    if is_shillings(currency):
        return amount
    return float(math.copysign(whole_shillings(abs(amount) * rate), amount))


def of_bill(amount, currency, rate):
    """Return what shillings pay of a bill, in its currency: undo `at_rate`."""
    if is_shillings(currency):
        return amount
    return currency.round(amount / rate) if rate else 0.0


def bill_shillings(move, amount, number=None, day=None):
    """Return what an amount of a bill, in its currency, asks for in TZS."""
    return at_rate(amount, move.currency_id, bill_rate(move, number, day))


def checkout_values(amount, currency, asked, left):
    """Return the field values of a number for the rest of a checkout.

    :param float amount: of the checkout, in its currency
    :param float asked: TZS for all of it
    :param float left: TZS that the number asks for
    """
    if is_shillings(currency) or not amount:
        return {}
    rate = asked / amount
    return {
        "bill_amount": left / rate if rate else 0,
        "bill_currency_id": currency.id,
        "bill_rate": rate,
    }


def number_shillings(move):
    """Return what an invoice's control number asks for, made or still to be made."""
    rate = asked_rate(move) or asking_rate(move)
    return at_rate(due(move), move.currency_id, rate)


def books_rate(move, rate):
    """Return a bill's rate as Odoo reconciles with it: units of the other currency for
    one of the company's; 0.0 where neither currency is the company's.
    """
    currency, company_currency = move.currency_id, move.company_id.currency_id
    if not rate or is_shillings(currency):
        return 0.0
    if currency == company_currency:
        return rate
    return 1 / rate if is_shillings(company_currency) else 0.0


# === WHAT IS DUE === #


def open_items(move):
    """Return the open receivable items of an invoice, the oldest due first."""
    return move.line_ids.filtered(
        lambda line: (
            line.account_id.account_type == "asset_receivable"
            and not line.reconciled
            and line.currency_id.compare_amounts(line.amount_residual_currency, 0) > 0
        )
    ).sorted(lambda line: (line.date_maturity or line.date, line.id))


def early(move, day):
    """Return what closes an invoice that is paid on a day with its discount for early
    payment, in whole shillings, and the last day for it.

    :return: (0.0, False) where no discount holds; Odoo gives it for all that is due
    """
    items = open_items(move)
    if (
        len(items) == 1
        and is_shillings(move.currency_id)
        and move.invoice_payment_term_id.early_discount
        and move._is_eligible_for_early_payment_discount(move.currency_id, day)
    ):
        return float(
            min(
                whole_shillings(items.discount_amount_currency),
                items.amount_residual_currency,
            )
        ), items.discount_date
    return 0.0, False


def due(move):
    """Return what is due of an invoice and not on its way, in its currency.

    Where accounting is installed, a payment may have no entry before the bank
    statement shows it. The invoice is "In Payment" then, with all of it due.
    """
    coming = move.sudo().matched_payment_ids.filtered(
        lambda payment: (
            payment.payment_type == "inbound"
            and not payment.move_id
            and payment.state in const.ENTRY_POSTED
        )
    )
    currency, company = move.currency_id, move.company_id
    on_its_way, shown = 0.0, []
    if coming:
        # What the statement showed is reconciled, with no payment's entry.
        shown = [
            partial.debit_amount_currency
            for partial in move.sudo().line_ids.matched_credit_ids
            if partial.credit_move_id.move_id.move_type == "entry"
            and not partial.credit_move_id.move_id.origin_payment_id
        ]
    for payment in coming:
        own, day = payment.currency_id, payment.date
        amount = convert(payment.amount, own, currency, company, day)
        found = [part for part in shown if not currency.compare_amounts(part, amount)]
        if found and payment.state != const.ENTRY_NOT_AT_BANK:
            shown.remove(found[0])
        else:
            on_its_way += amount
    on_its_way += _reported(move)
    return max(move.amount_residual - on_its_way, 0.0)


def _reported(move):
    """Return what other providers say is paid of an invoice, before it is booked.

    Odoo books it when it processes the transaction, some minutes later.
    """
    processing = move.env.context.get("billpay_processing", ())
    reported = move.sudo().transaction_ids.filtered(
        lambda tx: (
            tx.state == "done"
            and tx.provider_code != "clickpesa"
            and not tx.payment_id
            and tx.operation not in ("validation", "refund")
            and (not tx.is_post_processed or tx.id in processing)
        )
    )
    amount = 0.0
    for tx in reported:
        left = convert(
            tx.amount,
            tx.currency_id,
            move.currency_id,
            move.company_id,
            move.company_id._billpay_today(),
        )
        # Of several invoices the first ones are paid.
        for other in tx.invoice_ids.sorted("id"):
            if other == move:
                break
            left -= other.amount_residual
        amount += max(left, 0.0)
    return amount


def is_due(move):
    return move.currency_id.compare_amounts(due(move), 0) > 0


def due_now(move):
    """Return what a number is to ask for of an invoice, in its currency, and whether
    it covers several instalments.
    """
    items, left = open_items(move), due(move)
    if len(items) > 1 and move.company_id.billpay_instalments == "next":
        return min(items[0].amount_residual_currency, left), False
    return move.currency_id.round(left), len(items) > 1


def asked_now(move):
    """Return what an invoice asks for that shows the customer's number, in TZS."""
    amount, _several = due_now(move)
    return float(whole_shillings(bill_shillings(move, amount)))


# === JOURNAL ITEMS OF A CUSTOMER'S NUMBER === #


def bills(lines):
    """Return receivable items by bill, each of which is rounded once."""
    grouped = lines.grouped(
        lambda line: (line.move_id, line.currency_id, line.amount_currency < 0)
    )
    return list(grouped.values())


def coming_shillings(lines, number):
    """Return what is on its way to a bill, in TZS: paid, and not in the books yet."""
    move = lines.move_id
    if move._get_invoice_in_payment_state() != "in_payment" or not move.is_invoice():
        return 0.0
    left = sum(lines.mapped("amount_residual_currency"))
    rate = _items_rate(lines, number)
    due_of_lines = min(left, due(move))
    return at_rate(left, lines.currency_id, rate) - at_rate(
        due_of_lines, lines.currency_id, rate
    )


def open_shillings(lines, number):
    """Return what is open of a bill's items, in TZS, for a customer's number."""
    left = sum(lines.mapped("amount_residual_currency"))
    return at_rate(left, lines.currency_id, _items_rate(lines, number))


def billed_shillings(lines, number):
    """Return what was billed by a bill's items, in TZS: the shillings that settled
    them, and those that are asked for the rest. Below zero for a credit note.
    """
    if is_shillings(lines.currency_id):
        return sum(lines.mapped("amount_currency"))
    return (
        open_shillings(lines, number)
        + sum(settled_shillings(part, number) for part in lines.matched_credit_ids)
        - sum(settled_shillings(part, number) for part in lines.matched_debit_ids)
    )


def settled_shillings(partial, number):
    """Return how many shillings a reconciliation settled.

    Where one side is in TZS those count; what Odoo books on its exchange accounts for
    it is part of them.
    """
    debit, credit = partial.debit_move_id, partial.credit_move_id
    if is_exchange(partial):
        return 0.0
    exchange = partial.exchange_move_id
    for side, other, line in (("credit", "debit", credit), ("debit", "credit", debit)):
        if is_shillings(line.currency_id):
            booked = line[f"matched_{other}_ids"].filtered(
                lambda p, other=other: p[f"{other}_move_id"].move_id == exchange
            )
            return sum((partial | booked).mapped(f"{side}_amount_currency"))
    return _asked_less(partial, number)


def _asked_less(partial, number):
    """Return how much less a bill in another currency asks for since it was paid a
    part in such a currency: so many roundings as it is asked for, not as it is paid.
    """
    line = partial.debit_move_id
    items = line.move_id.line_ids.filtered(
        lambda item: (
            item.account_id == line.account_id
            and item.partner_id == line.partner_id
            and item.currency_id == line.currency_id
            and item.amount_currency > 0
        )
    )
    rate, currency = _items_rate(line, number), line.currency_id
    left = sum(items.mapped("amount_residual_currency"))
    for part in items.matched_credit_ids.sorted("id", reverse=True):
        if is_shillings(part.credit_move_id.currency_id) or is_exchange(part):
            continue
        before = left + part.debit_amount_currency
        if part == partial:
            return at_rate(before, currency, rate) - at_rate(left, currency, rate)
        left = before
    return at_rate(partial.debit_amount_currency, currency, rate)


def is_exchange(partial):
    """Tell whether a reconciliation is one with an entry of exchange differences."""
    debit, credit = partial.debit_move_id, partial.credit_move_id
    return any(
        line.move_id
        in (other.matched_debit_ids | other.matched_credit_ids).exchange_move_id
        for line, other in ((debit, credit), (credit, debit))
    )


def _items_rate(lines, number):
    move = lines.move_id
    # A credit note takes back what its invoice asked.
    move = move.reversed_entry_id.filtered(lambda m: m.is_sale_document()) or move
    return bill_rate(move, number)
