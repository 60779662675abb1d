# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import logging
from contextlib import suppress
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from ... import const, money
from ...const import LIVING
from ...crowd import turn
from ...exceptions import NumberSpaceExhausted
from ...transactions import CONFLICTS, own_transaction
from ..number.billpay_control_number import LOST
from .billpay_bill import BillpayBill

_logger = logging.getLogger(__name__)


class PaymentTransaction(models.Model):
    """A checkout: it has a number, and is done when that is paid."""

    _name = "payment.transaction"
    _inherit = ["payment.transaction", BillpayBill._name]

    # How long a payer waits for ClickPesa before another way is offered (seconds).
    _billpay_patience = 12

    billpay_number_ids = fields.One2many(
        "billpay.control.number",
        "transaction_id",
        string="Control Numbers",
        groups="billpay_odoo.group_billpay_user",
    )

    # What waits for money, looked at when it gets old. Drafts too: a server that was
    # stopped between number and answer leaves one.
    _billpay_waiting = models.Index(
        "(provider_id, last_state_change) WHERE state IN ('draft', 'pending')"
    )

    # === WHAT THE CHECKOUT NEEDS === #

    def _get_specific_rendering_values(self, processing_values):
        """Override of `payment`: the form leads to the page that makes the number."""
        if self.provider_code != "clickpesa":
            return super()._get_specific_rendering_values(processing_values)
        # With the transaction itself: all that it needs has just been read. What keeps
        # it from a number is told by the page to which the form leads.
        with suppress(NumberSpaceExhausted, UserError), self.env.cr.savepoint():
            self.sudo()._billpay_reserve(wake=False)
        return {"api_url": const.CHECKOUT_URL}

    def _billpay_checkout(self):
        """Get this transaction a number that can be paid, and let it wait for money.

        Calls ClickPesa in transactions of its own. Safe to repeat: a reload finds the
        number that is there.

        :return: whether there is a number to pay
        """
        tx_sudo = self.sudo()
        if tx_sudo.state not in ("draft", "pending"):
            return tx_sudo.state == "done"
        try:
            payable = tx_sudo._billpay_make_payable()
        except (NumberSpaceExhausted, UserError):
            payable = False
        if payable:
            tx_sudo._set_pending()
        elif tx_sudo.state == "draft":
            with own_transaction(tx_sudo.env) as env:
                tx_sudo.with_env(env)._billpay_ask_no_more()
            tx_sudo._set_error(
                self.env._(
                    "No control number could be made at this moment. Nothing was paid, "
                    "and your order is kept: please try again in a minute, or choose "
                    "another way to pay."
                )
            )
        # One that waits already goes on waiting: its number is tried again by itself.
        return payable or tx_sudo.state == "pending"

    def _billpay_make_payable(self):
        sync, patience = self.env["billpay.sync"], self._billpay_patience
        # Made with the transaction, unless something kept it from a number.
        number = self._billpay_living()[-1:]
        outcome = number and sync._sync_with_others(number, patience)
        if not number or outcome["obstacle"] in LOST:
            with turn(patience) as mine:
                if not mine:
                    return False
                with own_transaction(self.env) as env:
                    number_id = self.with_env(env)._billpay_reserve(wake=False).id
            outcome = sync._sync_with_others(number.browse(number_id), patience)
        if not outcome["obstacle"]:
            return True
        if not self.provider_id.clickpesa_checkout_offline:
            return False
        with own_transaction(self.env) as env:
            return self.with_env(env)._billpay_reserve_offline()

    def _billpay_reserve(self, wake=True):
        # EXTENDS billpay.bill.mixin
        payable, provider_sudo = self.env["billpay.payable"], self.provider_id.sudo()
        living = payable._revive(self._billpay_living(), provider_sudo)[-1:]
        if living := living or self._billpay_take_over():
            return living
        last = self._billpay_numbers()[-1:]
        values = {**self._billpay_values(), "predecessor_id": last.id}
        return last.browse()._reserve(provider_sudo, [values], wake=wake)

    def _billpay_take_over(self):
        """Return the number that asks for the same debt, for this checkout from now on.

        That of the invoice that is paid here, made where it is missing; or of an
        earlier checkout of the same order, which ends.
        """
        invoices = self.sudo().invoice_ids.filtered(
            lambda move: move.state == "posted" and money.is_due(move)
        )
        if len(invoices) == 1:
            numbers = invoices._billpay_living()._not_lost()
            numbers = numbers or self.env["billpay.reservation"]._reserve(invoices)
            number = numbers.filtered(
                lambda n: n.move_id == invoices and n.provider_id == self.provider_id
            )[-1:]
            # Of several checkouts the last one waits: its page is open.
            number.transaction_id = self
            return number
        rivals = self._billpay_rivals().filtered(
            lambda tx: (
                tx.provider_id == self.provider_id
                and tx.state in ("draft", "pending")
                and not tx._billpay_booked()
                and not tx._billpay_money_on_its_way()
            )
        )
        living = rivals._billpay_living()._not_lost()
        number = living.filtered(lambda n: not n.move_id)[-1:]
        if number:
            number._want(self._billpay_values())
            rivals._set_canceled(
                state_message=self.env._(
                    "%s asks for this order now, with the same control number.",
                    self.reference,
                )
            )
        return number

    def _billpay_rivals(self):
        """Return other checkouts that ask for the same order. Extended by glue."""
        return self.browse()

    def _billpay_ask_no_more(self):
        """Close the numbers, but not those with which an invoice asks."""
        self._billpay_living().filtered(lambda n: not n.move_id)._close()

    def _billpay_reserve_offline(self):
        """Make a number without ClickPesa instead of the one it does not know."""
        unknown = self._billpay_living()
        unknown._close()
        provider = self.provider_id.sudo()
        values = {**self._billpay_values(), "move_id": unknown.move_id[-1:].id}
        if values["move_id"]:
            reservation = self.env["billpay.reservation"]
            values |= reservation._wanted_values(unknown.move_id[-1:], unknown[-1:])
        return bool(unknown._reserve(provider, [values], offline=True))

    def _billpay_asked(self):
        # EXTENDS billpay.bill.mixin
        # What the payer was told first stands, whatever the rates do afterwards.
        if money.is_shillings(self.currency_id):
            return money.whole_shillings(self.amount)
        first = self._billpay_numbers()[:1]
        if rate := money.number_rate(first, self.currency_id):
            return money.at_rate(self.amount, self.currency_id, rate)
        # An invoice asks the same here as by its own number.
        invoices = self.sudo().invoice_ids.filtered(
            lambda move: move.currency_id == self.currency_id
        )
        rates = {money.bill_rate(move) for move in invoices}
        today = self.company_id._billpay_today()
        rate = rates.pop() if len(rates) == 1 else 0.0
        rate = rate or money.day_rate(self.currency_id, self.company_id, today)
        if not rate:
            raise UserError(
                self.env._(
                    "Odoo knows no exchange rate between %s and TZS. Enter it under "
                    "Invoicing, Configuration, Currencies.",
                    self.currency_id.name,
                )
            )
        return money.at_rate(self.amount, self.currency_id, rate)

    def _billpay_title(self):
        # EXTENDS billpay.bill.mixin
        return self.reference

    def _billpay_page_bill(self, number):
        """Override: an invoice that took the number over comes first."""
        if number.move_id:
            return number.move_id._billpay_page_bill(number)
        return super()._billpay_page_bill(number)

    def _billpay_values(self):
        asked, left = self._billpay_asked(), self._billpay_left()
        return {
            "kind": "order",
            "transaction_id": self.id,
            "partner_id": self.partner_id.id,
            "amount": left,
            "mode": self.provider_id.sudo().clickpesa_checkout_mode,
            "description": self.reference,
            **money.checkout_values(self.amount, self.currency_id, asked, left),
        }

    # === WHAT BECOMES OF IT === #

    def _update_state(self, allowed_states, target_state, state_message):
        """Override of `payment`: what waits for no money asks for none."""
        changed = super()._update_state(allowed_states, target_state, state_message)
        if target_state in ("cancel", "error"):
            ours = changed.filtered(lambda tx: tx.provider_code == "clickpesa")
            ours._billpay_ask_no_more()
        return changed

    def _billpay_on_money(self, payment):
        # EXTENDS billpay.bill.mixin
        asked, received = self._billpay_asked(), self._billpay_received()
        waiting, text = self.state in ("draft", "pending"), ""
        invoice = payment.control_number_id.move_id
        if invoice and not (waiting and received >= asked):
            return  # it asks for the rest itself
        if self.state == "done":
            text = self.env._(
                "%s is paid already: this is kept as customer credit.", self.reference
            )
        elif not waiting:
            self.state_message = self._billpay_came_late(payment)
            text = self.env._(
                "%s expired before it was paid. The payment is customer credit. "
                "Deliver and invoice the order, or pay the customer back.",
                self.reference,
            )
        elif received < asked:
            payment.account_payment_ids.payment_transaction_id = self
            text = self._billpay_ask_for_rest(asked - received)
        else:
            # Each part belongs to the transaction: an invoice that comes later is
            # paid by all of them.
            entries = self._billpay_booked().account_payment_ids
            entries.payment_transaction_id = self
            self.payment_id = payment.account_payment_ids[:1]
            self.provider_reference = payment.reference
            self._set_done()
            self.env["payment.provider"]._billpay_trigger(
                "payment.cron_post_process_payment_tx"
            )
            self._billpay_ask_no_more()
            if received > asked and not invoice:
                text = self.env._(
                    "%(reference)s is overpaid by %(over)s, kept as customer credit.",
                    reference=self.reference,
                    over=payment.currency_id.format(received - asked),
                )
        if text:
            payment._flag_checkout(text)

    def _billpay_on_taken_back(self, payment, reason):
        # EXTENDS billpay.bill.mixin
        # Else the order counts as paid, and nobody can pay it again. An invoice that is
        # open again asks for itself.
        if self.state == "done" and not any(map(money.is_due, self.invoice_ids)):
            left = self._billpay_asked() - self._billpay_received()
            if left > 0:
                # Odoo would take it for the payment of what comes next.
                self.payment_id = False
                self._update_state(("done",), "pending", self._billpay_returned(payment))
                reason = " ".join((reason, self._billpay_ask_for_rest(left)))
        super()._billpay_on_taken_back(payment, reason)

    def _billpay_people(self):
        # EXTENDS billpay.bill.mixin
        return {move: move.invoice_user_id for move in self.invoice_ids}

    # === WHAT WAITED TOO LONG === #

    @api.model
    def _cron_billpay_expire(self):
        """Give up transactions that waited too long. Idle, this is one query."""
        waiting = Domain("state", "=", "draft")
        waiting &= Domain("billpay_number_ids.state", "in", LIVING)
        waiting |= Domain("state", "=", "pending")
        providers = self.env["payment.provider"].sudo()
        for provider in providers.search(
            [("code", "=", "clickpesa"), ("clickpesa_checkout_hours", ">", 0)]
        ):
            hours = timedelta(hours=provider.clickpesa_checkout_hours)
            old = self.search(
                Domain("provider_id", "=", provider.id)
                & Domain("last_state_change", "<", fields.Datetime.now() - hours)
                & waiting,
                order="last_state_change, id",
                limit=500,
            )
            for tx in old:
                try:
                    with self.env.cr.savepoint():
                        tx._billpay_expire()
                except CONFLICTS:
                    self.env.cr.rollback()
                except Exception:
                    # The others are given up all the same; this one is looked at
                    # again by the next run.
                    _logger.exception("Checkout %s was not given up.", tx.id)
                self.env["ir.cron"]._commit_progress(1)

    def _billpay_expire(self):
        """Give this transaction up, unless money for it is on its way."""
        if self._billpay_money_on_its_way():
            return
        booked = self._billpay_booked()
        self._set_canceled(
            state_message=self.env._(
                "Not paid within %s hours. The control number is closed.",
                self.provider_id.clickpesa_checkout_hours,
            )
        )
        if booked:
            received = sum(booked.mapped("amount"))
            booked[-1:]._flag_checkout(
                self.env._(
                    "%(reference)s expired with only %(received)s paid. The amount is "
                    "customer credit. Deliver and invoice the order, or pay the "
                    "customer back.",
                    reference=self.reference,
                    received=booked.currency_id.format(received),
                )
            )

    def _billpay_money_on_its_way(self):
        """Tell whether a payment for this transaction is known and not settled."""
        numbers = self.sudo().billpay_number_ids
        ours = Domain("control_number_id", "in", numbers.ids)
        ours |= Domain("number", "in", numbers.mapped("name"))
        ours &= Domain("provider_id", "=", self.provider_id.id)
        ours &= Domain("state", "in", ("received", "confirmed", "failed"))
        return bool(self.env["billpay.payment"].sudo().search_count(ours, limit=1))

    # === WHAT THE CUSTOMER SEES === #

    def _billpay_came_late(self, payment):
        """Return what the customer reads whose money came when the time was over."""
        env = self.with_context(lang=self.partner_lang or self.env.lang).env
        return env._(
            "We received %s on this number after the time to pay was over. Your money "
            "is not lost: please do not pay again, we will contact you.",
            payment.currency_id.format(payment.amount),
        )

    def _billpay_returned(self, payment):
        """Return what the customer reads whose money was taken back."""
        env = self.with_context(lang=self.partner_lang or self.env.lang).env
        return env._(
            "Your payment of %s was taken back by your operator or bank, so this is not "
            "paid. Please pay again, or contact us.",
            payment.currency_id.format(payment.amount),
        )

    def _billpay_page(self, lang=None):
        """Return the values of the pay block for this transaction, if there is one."""
        if self.provider_code != "clickpesa" or self.state not in ("pending", "done"):
            return None
        numbers = self._billpay_numbers()
        asking = numbers | self.sudo().invoice_ids.billpay_number_ids
        number = asking._payable()[-1:] or numbers._living()[-1:] or numbers[-1:]
        if not number:
            return None
        return self.env["billpay.pay.page"]._pay_page_values(number, lang=lang)
