# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import logging
from contextlib import suppress
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from ... import const, money
from ...const import LIVING, WAITING
from ...crowd import turn
from ...exceptions import NumberSpaceExhausted
from ...transactions import CONFLICTS, committed, own_transaction
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

    billpay_owed = fields.Monetary(
        string="Bill When Asked",
        currency_field="currency_id",
        readonly=True,
        copy=False,
        help="What the order or invoices owed when the customer chose to pay here. A "
        "smaller amount of this transaction is a part that the customer chose.",
    )

    # What waits for money, looked at when it gets old. Drafts too: a server that was
    # stopped between number and answer leaves one.
    _billpay_waiting = models.Index(
        "(provider_id, last_state_change) WHERE state IN ('draft', 'pending')"
    )

    @api.model_create_multi
    def create(self, vals_list):
        transactions = super().create(vals_list)
        for tx in transactions._billpay_ours():
            tx.billpay_owed = tx._billpay_owed()
        return transactions

    def _billpay_ours(self):
        return self.filtered(lambda tx: tx.provider_code == "clickpesa")

    def _billpay_waiting_ones(self):
        """Return our checkouts among these that wait for money."""
        return self._billpay_ours().filtered(lambda tx: tx.state in WAITING)

    # === WHAT THE CHECKOUT NEEDS === #

    def _get_specific_rendering_values(self, processing_values):
        """Override of `payment`: the form leads to the page that makes the number."""
        if self.provider_code != "clickpesa":
            return super()._get_specific_rendering_values(processing_values)
        # With the transaction itself: all that it needs has just been read. What keeps
        # it from a number is told by the page to which the form leads.
        # So is whose number it takes over: that one's page goes on asking until then.
        tx_sudo = self.sudo()
        if not tx_sudo._billpay_rivals()._billpay_waiting_ones():
            with suppress(NumberSpaceExhausted, UserError), self.env.cr.savepoint():
                tx_sudo._billpay_reserve(wake=False)
        return {"api_url": const.CHECKOUT_URL}

    def _billpay_checkout(self):
        """Get this transaction a number that can be paid, and let it wait for money.

        Calls ClickPesa in transactions of its own. Safe to repeat: a reload finds the
        number that is there.

        :return: whether there is a number to pay
        """
        tx_sudo = self.sudo()
        if tx_sudo.state not in WAITING:
            # Where another tab's checkout asks for the same bill, its page shows that.
            asks = tx_sudo._billpay_rivals()._billpay_waiting_ones()
            return tx_sudo.state == "done" or bool(asks)
        try:
            if tx_sudo.state == "draft" and not tx_sudo._billpay_left():
                tx_sudo._set_canceled(state_message=tx_sudo._billpay_nothing_left())
                return False
            payable = tx_sudo._billpay_make_payable()
        except (NumberSpaceExhausted, UserError):
            payable = False
        if payable:
            tx_sudo._billpay_follow_amount()
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

    def _billpay_nothing_left(self):
        return self.env._(
            "Nothing is left to pay of %s: it is paid already, or was cancelled. "
            "Nothing was taken from you.",
            self._billpay_title(),
        )

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
                    # Another tab's checkout of the same bill may be first: once more
                    # then.
                    own = self.with_env(env)
                    number_id = committed(env, own._billpay_reserve, False).id
            outcome = sync._sync_with_others(number.browse(number_id), patience)
        if not outcome["obstacle"]:
            return True
        if not self.provider_id.clickpesa_checkout_offline:
            return False
        with own_transaction(self.env) as env:
            return self.with_env(env)._billpay_reserve_offline()

    def _billpay_reserve(self, wake=True):
        # EXTENDS billpay.bill.mixin
        self._billpay_claim_bill()
        if self.state not in WAITING and (heir := self._billpay_heir()):
            return heir._billpay_living()[-1:] or heir._billpay_reserve(wake)
        payable, provider_sudo = self.env["billpay.payable"], self.provider_id.sudo()
        living = payable._revive(self._billpay_living(), provider_sudo)[-1:]
        if not living and not self._billpay_left():
            raise UserError(self._billpay_nothing_left())
        if living := living or self._billpay_take_over():
            return living
        last = self._billpay_numbers()[-1:] or self._billpay_before()
        values = {**self._billpay_values(), "predecessor_id": last.id}
        return last.browse()._reserve(provider_sudo, [values], wake=wake)

    def _billpay_before(self):
        """Return the number on which a part of the same bill was paid, if any."""
        paid = self._billpay_rivals()._billpay_numbers()
        return paid.filtered(lambda number: number.state == "paid")[-1:]

    def _billpay_claim_bill(self):
        """Let whoever changes the bill at the same moment be replayed, or this.

        Reading the bill is not enough: the other would not see the number made here,
        and the number would ask for what the bill was. Extended by glue.
        """
        self._billpay_touch(self.sudo().invoice_ids)

    def _billpay_touch(self, records):
        if records:
            records.flush_recordset()
            query = "UPDATE %s SET write_date = write_date WHERE id IN %s"
            table = SQL.identifier(records._table)
            self.env.cr.execute(SQL(query, table, tuple(records.ids)))

    def _billpay_take_over(self):
        """Return the number that asks for the same debt, for this checkout from now on.

        That of the invoice that is paid here, made where it is missing; or of an
        earlier checkout of the same bill, which ends. Of two the newest asks: it is the
        one that Odoo shows on an order.
        """
        if invoice := self._billpay_only_invoice():
            carried = invoice.sudo().billpay_carried_number_id._living()._not_lost()
            numbers = invoice._billpay_living()._not_lost() or carried
            numbers = numbers or self.env["billpay.reservation"]._reserve(invoice)
            if number := numbers[-1:].sudo():
                if number.kind == "order":
                    # Of several checkouts the last one waits: its page is open.
                    number.transaction_id = self
                return number
        rivals = self._billpay_rivals()
        waiting = rivals._billpay_waiting_ones()
        newer = waiting.filtered(lambda tx: tx.id > self.id).sorted("id")[-1:]
        if newer and (number := newer._billpay_living()._not_lost()[-1:]):
            self._billpay_end_with_parts(self._billpay_yields_to(newer))
            return number
        numbers = rivals._billpay_numbers().filtered(
            lambda n: not n.move_id and n.provider_id == self.provider_id
        )
        number = (numbers & waiting._billpay_living())._not_lost()[-1:]
        if not number:
            provider_sudo = self.provider_id.sudo()
            number = numbers.filtered(lambda n: n._can_return(provider_sudo))[-1:]
        (waiting._billpay_living() - number).filtered(lambda n: not n.move_id)._close()
        if number:
            # The values are asked of this checkout: its rivals' money counts as theirs.
            number.transaction_id = self
        # A newer one that has no number yet is about to ask, or was left.
        for rival in waiting.filtered(lambda tx: tx.id < self.id):
            rival._billpay_end_with_parts(self._billpay_yields_to(self))
        if number:
            number._want(self._billpay_values())
            number._reopen()
        return number

    def _billpay_yields_to(self, other):
        return self.env._(
            "%s asks for this order now, with the same control number.",
            other.reference,
        )

    def _billpay_only_invoice(self):
        """Return the invoice that is all that is left of the bill. Extended by glue."""
        due = self._billpay_invoices().filtered(money.is_due)
        return due if len(due) == 1 else due.browse()

    def _billpay_invoices(self):
        """Return the posted invoices of the bill, in sudo. Extended by glue."""
        return self.sudo().invoice_ids.filtered(
            lambda move: move.state == "posted" and move.move_type in const.INVOICES
        )

    def _billpay_rivals(self):
        """Return other checkouts of ours that ask for the same bill.

        Of one invoice they share the invoice's number. Extended by glue.
        """
        invoices = self.sudo().invoice_ids
        if len(invoices) < 2:
            return self.browse().sudo()
        several = invoices.transaction_ids._billpay_ours()
        return several.filtered(lambda tx: len(tx.invoice_ids) > 1) - self

    def _billpay_siblings(self):
        """Return all checkouts whose bills these concern. Extended by glue."""
        return self.sudo().invoice_ids.transaction_ids

    def _billpay_key(self):
        """Return the key of the bill that a number of this checkout asks for.

        Whoever pays all overdue invoices at two moments pays other ones, but the oldest
        is among both. Extended by glue.
        """
        invoices = self.sudo().invoice_ids
        several = len(invoices) > 1
        return f"invoices:{min(invoices.ids)}" if several else f"checkout:{self.id}"

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

    # === WHAT THE BILL OWES === #

    def _billpay_owed(self):
        """Return what the bill owes but for what others paid, in our currency.

        What came at this checkout counts as owed: it is what was asked for here.
        Extended by glue.
        """
        if not self.sudo().invoice_ids:
            return self.amount
        invoices = self._billpay_invoices()
        due = sum(self._billpay_due(move) for move in invoices)
        return due + self._billpay_applied(invoices)

    def _billpay_due(self, move):
        currency, company = move.currency_id, move.company_id
        due = money.due(move)
        if currency == self.currency_id:
            return due
        today = company._billpay_today()
        return money.convert(due, currency, self.currency_id, company, today)

    def _billpay_paid_here(self):
        """Return what was paid at a checkout of any provider, in its currency."""
        if self.state in ("authorized", "done"):
            return self.amount
        received = self._billpay_received()
        if not received:
            return 0.0
        rate = money.number_rate(self._billpay_numbers()[:1], self.currency_id)
        return money.of_bill(received, self.currency_id, rate)

    def _billpay_applied(self, invoices):
        """Return how much of what was paid here pays these invoices already."""
        entries = self.payment_id | self._billpay_booked().account_payment_ids
        partials = entries.move_id.line_ids.matched_debit_ids.filtered(
            lambda partial: (
                partial.debit_move_id.move_id in invoices
                and not money.is_exchange(partial)
            )
        )
        return sum(partials.mapped("debit_amount_currency"))

    def _billpay_wanted(self):
        """Return what is asked for here in all, in our currency: what the bill owes,
        as far as the customer chose to pay it here.
        """
        if self.state not in WAITING or not self._billpay_ours():
            return self.amount
        owed = self._billpay_owed()
        return min(self._billpay_part(), owed) if self._billpay_is_part(owed) else owed

    def _billpay_is_part(self, owed):
        before = self.billpay_owed or owed
        return self.currency_id.compare_amounts(self.amount, before) < 0

    def _billpay_part(self):
        """Return the part of its bill that is paid here. Extended by glue."""
        return self.amount

    def _billpay_follow_amount(self):
        """Let the transaction come to what its number asks for."""
        owed, compare = self._billpay_owed(), self.currency_id.compare_amounts
        wanted = self._billpay_wanted()
        if compare(wanted, 0) <= 0 or not compare(wanted, self.amount):
            return
        if not self._billpay_is_part(owed):
            self.billpay_owed = owed
        self.amount = wanted

    def _billpay_follow(self):
        """Let the numbers of these checkouts ask for what their bills owe now.

        What an invoice took over is the invoice's.
        """
        for tx in self.sudo()._billpay_waiting_ones().sorted("id"):
            tx.with_company(tx.company_id)._billpay_follow_one()

    def _billpay_follow_one(self):
        numbers = self._billpay_numbers()
        own = numbers.filtered(lambda number: not number.move_id)
        if not own:
            self._billpay_end_if_paid()
            return
        self._billpay_follow_amount()
        living, left = own._living(), self._billpay_left()
        if not left:
            living._close()
            self._billpay_end_if_paid()
        elif living:
            living[-1:]._want(self._billpay_values())
            (living - living[-1:])._close()
        elif not numbers._living() and not self._billpay_is_asked_elsewhere(own[-1:]):
            if own[-1:]._can_return(self.provider_id):
                own[-1:]._want(self._billpay_values())
                own[-1:]._reopen()
            elif self.state == "pending" and own[-1:].state == "paid":
                self._billpay_ask_for_rest(left)

    def _billpay_is_asked_elsewhere(self, number):
        living = [("bill_key", "=", number._own_key()), ("state", "in", LIVING)]
        number.flush_model(["bill_key", "state"])
        return bool(number.search_count(living, limit=1))

    def _billpay_end_if_paid(self):
        """End a checkout whose bill is paid, and that got money or has no number."""
        # Money that is being booked is followed when all of it is.
        posting = self.env.context.get("billpay_posting")
        if posting or self._billpay_left() or self._billpay_money_on_its_way():
            return
        if self._billpay_booked():
            self._billpay_follow_amount()
            self._billpay_finish()
        elif self.state == "pending" and not self._billpay_numbers():
            # The customer's own number, which the invoice carries, was shown.
            self._billpay_end_carried()

    def _billpay_end_carried(self):
        lines = self._billpay_invoices().line_ids
        entries = lines.matched_credit_ids.credit_move_id.move_id.origin_payment_id
        rows = entries.billpay_payment_id.filtered(
            lambda row: (row.paid_at or row.create_date) >= self.create_date
        )
        if not rows:
            self._set_canceled(state_message=self._billpay_paid_otherwise())
            return
        self.payment_id = rows[-1:].account_payment_ids[:1]
        self.provider_reference = rows[-1:].reference
        self._set_done()
        self._billpay_post_process_soon()

    def _billpay_paid_otherwise(self):
        return self.env._("%s was paid in another way.", self._billpay_title())

    def _billpay_asked(self):
        # EXTENDS billpay.bill.mixin
        # What the payer was told first stands, whatever the rates do afterwards.
        wanted = self._billpay_wanted()
        if money.is_shillings(self.currency_id):
            return money.whole_shillings(wanted)
        first = self._billpay_numbers()[:1]
        if rate := money.number_rate(first, self.currency_id):
            return money.at_rate(wanted, self.currency_id, rate)
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
        return money.at_rate(wanted, self.currency_id, rate)

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
            **money.checkout_values(
                self._billpay_wanted(), self.currency_id, asked, left
            ),
        }

    def _billpay_over(self):
        """Return why nothing is asked for here, as a word of pay pages: ``settled``,
        ``cancelled`` or "". Extended by glue.
        """
        moves = self.sudo().invoice_ids
        if moves and set(moves.mapped("state")) == {"cancel"}:
            return "cancelled"
        compare = self.currency_id.compare_amounts
        return "settled" if compare(self._billpay_owed(), 0) <= 0 else ""

    def _billpay_is_over(self):
        """Tell whether a checkout waits, though nothing is left to pay of its bill."""
        return (
            bool(self._billpay_ours())
            and self.state == "pending"
            and not self._billpay_left()
        )

    # === WHAT BECOMES OF IT === #

    def _update_state(self, allowed_states, target_state, state_message):
        """Override of `payment`: what waits for no money asks for none, and other
        checkouts ask for what is left of the same bill.
        """
        changed = super()._update_state(allowed_states, target_state, state_message)
        if target_state in ("cancel", "error"):
            changed._billpay_ours()._billpay_ask_no_more()
        if target_state in ("authorized", "cancel", "done", "error"):
            self.env["billpay.reservation"]._follow_transactions(changed)
        return changed

    def _post_process(self):
        """Override of `payment`: an invoice that is posted now is paid a moment later.

        It takes no number for what this transaction brings.
        """
        processing = self.with_context(billpay_processing=tuple(self.ids))
        return super(PaymentTransaction, processing)._post_process()

    def _billpay_on_money(self, payment):
        # EXTENDS billpay.bill.mixin
        waiting, text = self.state in WAITING, ""
        if not waiting and self.state != "done" and (heir := self._billpay_heir()):
            # The same bill is asked for at another checkout, and gets the money.
            payment.control_number_id.transaction_id = heir
            heir._billpay_on_money(payment)
            return
        asked, received = self._billpay_asked(), self._billpay_received()
        invoice = payment.control_number_id.move_id
        if invoice and not (waiting and received >= asked):
            return  # it asks for the rest itself
        values = {
            "reference": self._billpay_title(),
            "over": payment.currency_id.format(received - asked),
        }
        if self.state == "done":
            text = self.env._(
                "%s is paid already: this is kept as customer credit. Pay it back, or "
                "use it.",
                values["reference"],
            )
        elif not waiting:
            self.state_message = self._billpay_came_late(payment)
            text = self._billpay_too_late_text()
        elif received < asked:
            payment.account_payment_ids.payment_transaction_id = self
            text = self._billpay_ask_for_rest(asked - received)
        else:
            self._billpay_follow_amount()
            self._billpay_finish()
            if not asked:
                text = self.env._(
                    "%(reference)s was paid in another way meanwhile: %(over)s is kept "
                    "as customer credit. Pay it back, or use it.",
                    **values,
                )
            elif received - asked >= 1 and not invoice:
                text = self.env._(
                    "%(reference)s is overpaid by %(over)s, kept as customer credit.",
                    **values,
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
                self._update_state(
                    ("done",), "pending", self._billpay_returned(payment)
                )
                reason = " ".join((reason, self._billpay_ask_for_rest(left)))
        return super()._billpay_on_taken_back(payment, reason)

    def _billpay_heir(self):
        return self._billpay_rivals()._billpay_waiting_ones().sorted("id")[-1:]

    def _billpay_too_late_text(self):
        """Return what a person has to know of money after the end. Extended by glue."""
        return self.env._(
            "%s expired before it was paid. The payment is customer credit. "
            "Deliver and invoice the order, or pay the customer back.",
            self._billpay_title(),
        )

    def _billpay_finish(self):
        """All that was asked for has come: this is done, with all its parts.

        Each part belongs to the transaction: an invoice that comes later is paid by all
        of them.
        """
        rows = self._billpay_booked().sorted("id")
        rows.account_payment_ids.payment_transaction_id = self
        self.payment_id = rows[-1:].account_payment_ids[:1]
        self.provider_reference = rows[-1:].reference
        self._set_done()
        self._billpay_post_process_soon()
        self._billpay_ask_no_more()

    def _billpay_post_process_soon(self):
        provider = self.env["payment.provider"]
        provider._billpay_trigger("payment.cron_post_process_payment_tx")

    def _billpay_end_with_parts(self, reason):
        """End a checkout in favour of another one: what came here was paid here."""
        if self._billpay_booked():
            self.amount = self._billpay_paid_here()
            self._billpay_finish()
        else:
            self._set_canceled(state_message=reason)

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
        self._billpay_give_up(
            self.env._(
                "Not paid within %s hours. The control number is closed.",
                self.provider_id.clickpesa_checkout_hours,
            ),
            self.env._(
                "%(reference)s expired with only %(received)s paid. The amount is "
                "customer credit. Deliver and invoice the order, or pay the "
                "customer back."
            ),
        )

    def _billpay_give_up(self, reason, of_parts):
        """Cancel this transaction, and call a person for what was paid of it.

        :param str of_parts: the sentence for it, with ``reference`` and ``received``
        """
        booked = self._billpay_booked().sorted("id")
        self._set_canceled(state_message=reason)
        if booked:
            received = booked.currency_id.format(sum(booked.mapped("amount")))
            booked[-1:]._flag_checkout(
                of_parts % {"reference": self._billpay_title(), "received": received}
            )

    def _billpay_is_too_old(self):
        """Tell whether a checkout in this state for so long would be given up."""
        hours = self.provider_id.sudo().clickpesa_checkout_hours
        since = fields.Datetime.now() - timedelta(hours=hours)
        return bool(hours) and self.last_state_change < since

    def _billpay_money_on_its_way(self):
        """Tell whether a payment for this transaction is known and not settled."""
        numbers = self.sudo().billpay_number_ids
        ours = Domain("control_number_id", "in", numbers.ids)
        ours |= Domain("number", "in", numbers.mapped("name"))
        applications = self.provider_id | numbers.provider_id
        ours &= Domain("provider_id", "in", applications.ids)
        ours &= Domain("state", "in", ("received", "confirmed", "failed"))
        return bool(self.env["billpay.payment"].sudo().search_count(ours, limit=1))

    # === WHAT THE CUSTOMER SEES === #

    def _billpay_came_late(self, payment):
        """Return what the customer reads whose money came when the time was over."""
        env = self.with_context(lang=self.partner_lang or self.env.lang).env
        return env._(
            "We received %s after the time to pay was over. Your money is not lost: "
            "please do not pay again, we will contact you.",
            payment.currency_id.format(payment.amount),
        )

    def _billpay_returned(self, payment):
        """Return what the customer reads whose money was taken back."""
        env = self.with_context(lang=self.partner_lang or self.env.lang).env
        return env._(
            "Your payment of %s was taken back by your operator or bank, so this is "
            "not paid. Please pay again, or contact us.",
            payment.currency_id.format(payment.amount),
        )

    def _billpay_page(self, lang=None):
        """Return the values of the pay block for this transaction, if there is one."""
        if self.provider_code != "clickpesa" or self.state not in ("pending", "done"):
            return None
        numbers = self._billpay_numbers()
        invoices_sudo = self._billpay_invoices() | self.sudo().invoice_ids
        asking = numbers | invoices_sudo.billpay_number_ids
        number = numbers._payable()[-1:] or asking._payable()[-1:]
        number = number or numbers._living()[-1:] or numbers[-1:]
        carrying = None
        if not number and (carrying := self._billpay_only_invoice()):
            number = carrying.billpay_carried_number_id
        if not number:
            return None
        return self.env["billpay.pay.page"]._pay_page_values(
            number, lang=lang, carrying=carrying or None
        )
