# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a person decides about a payment: see docs/decisions/undo.rst."""

from odoo import fields, models
from odoo.exceptions import UserError

from ...clickpesa.values import is_gone, is_paid

# States in which a person may decide what a payment is for.
MATCHABLE = ("unmatched", "failed")
# Money that is neither booked nor put aside.
UNDECIDED = ("received", "confirmed", "unmatched", "failed")


class BillpayDecision(models.AbstractModel):
    """Carry out what a person decides about a payment."""

    _name = "billpay.decision"
    _description = "BillPay Decision"

    def _match_by_hand(self, payment, allocations, partner):
        """Decide what this payment pays, and book it.

        :param list allocations: pairs of an open customer invoice and an amount (TZS),
            in the order in which they are paid
        :param partner: whose credit the rest is; with no allocation, all of it
        :raise UserError: the decision cannot be booked like this; nothing is changed
        """
        payment._check_accountant()
        payment._hold()
        if refusal := self._refusal(payment, allocations, partner):
            raise UserError(refusal)
        moves = payment.env["account.move"].concat(*[move for move, _ in allocations])
        partner = (partner or moves.partner_id[:1]).commercial_partner_id
        payment_sudo = payment.sudo()
        payment_sudo.allocation_ids.unlink()
        payment_sudo._move_to(
            "confirmed",
            False,
            allocation_ids=[
                fields.Command.create(
                    {"move_id": move.id, "amount": amount, "sequence": sequence}
                )
                for sequence, (move, amount) in enumerate(allocations, 1)
            ],
            matched_partner_id=partner.id,
            matched_by_id=payment.env.uid,
            matched_at=fields.Datetime.now(),
            # It is decided about once more.
            **dict.fromkeys(("undone_at", "undone_by_id", "undone_why"), False),
        )
        payment_sudo._message_log(
            body=self._decision_text(payment, allocations, partner)
        )
        # No call to ClickPesa is made while booking, so it need not wait for a worker.
        payment_sudo.env["billpay.worker"]._post_due(payment.ids)

    def _refusal(self, payments, allocations, partner):
        """Return why a decision cannot be booked, or ``None``."""
        env = payments.env
        currency = payments.currency_id
        word = payments.status
        if word and not is_paid(word) and payments.state not in ("posted", "reversed"):
            _state, reason, _how = payments._turn()
            return env._(
                "%s There is no money to book, and nothing was changed. As soon as "
                "ClickPesa reports SUCCESS or SETTLED, the payment can be matched.",
                reason,
            )
        if payments.state not in MATCHABLE:
            states = payments._fields["state"]._description_selection(payments.env)
            return env._(
                "This payment is not waiting for a decision any more: its state "
                "is %s. Nothing was changed. To decide anew about a booked "
                "payment, undo its match first.",
                dict(states)[payments.state],
            )
        if not currency or payments.amount <= 0:
            return env._(
                "ClickPesa reported no amount in TZS, so this payment cannot be "
                "booked. Press Process Now to ask again, or compare with the "
                "ClickPesa dashboard."
            )
        if not allocations and not partner:
            return env._(
                "Choose at least one invoice, or the customer whose credit this "
                "money is. Nothing was booked."
            )
        for move, amount in allocations:
            if refusal := self._refusal_of(payments, move, amount):
                return refusal
        if partner.company_id and partner.company_id != payments.company_id:
            return env._(
                "%(customer)s belongs to another company, so money of %(company)s "
                "cannot be this customer's credit. Nothing was booked: choose "
                "another customer.",
                customer=partner.display_name,
                company=payments.company_id.display_name,
            )
        chosen = sum(amount for _move, amount in allocations)
        if currency.compare_amounts(chosen, payments.amount) > 0:
            return env._(
                "You allocated %(chosen)s, but only %(amount)s was paid. Nothing was "
                "booked: lower one of the amounts.",
                chosen=currency.format(chosen),
                amount=currency.format(payments.amount),
            )
        return None

    def _refusal_of(self, payment, move, amount):
        """Return why this amount of an invoice cannot be paid, or ``None``."""
        move.check_access("read")
        env = payment.env
        currency = payment.currency_id
        is_open = payment.env["billpay.suggestion"]._open_bill_domain(payment)
        if not move.filtered_domain(is_open):
            return env._(
                "%(invoice)s of %(customer)s is not an open customer invoice of "
                "%(company)s (any more), so it cannot be paid. Nothing was booked: "
                "choose another one, or keep the money as credit.",
                invoice=move.display_name,
                customer=move.partner_id.display_name,
                company=payment.company_id.display_name,
            )
        due = move._billpay_left(payment)
        if not payment._rate_of(move):
            return env._(
                "%(invoice)s is in %(currency)s, and Odoo knows no exchange rate "
                "between it and TZS. Nothing was booked: enter the rate under "
                "Invoicing, Configuration, Currencies, then match again.",
                invoice=move.display_name,
                currency=move.currency_id.name,
            )
        if currency.compare_amounts(amount, 0) <= 0:
            return env._(
                "The amount for %s must be more than zero. Nothing was booked.",
                move.display_name,
            )
        if currency.compare_amounts(amount, due) > 0:
            return env._(
                "Only %(due)s is due on %(invoice)s. Nothing was booked: lower the "
                "amount; the remainder becomes customer credit.",
                invoice=move.display_name,
                due=currency.format(due),
            )
        return None

    def _decision_text(self, payments, allocations, partner):
        env = payments.env
        shown = payments.currency_id.format
        parts, rest = [], payments.amount
        for move, amount in allocations:
            parts.append(
                env._(
                    "%(amount)s for %(invoice)s",
                    amount=shown(amount),
                    invoice=move.display_name,
                )
            )
            rest -= amount
        if payments.currency_id.compare_amounts(rest, 0) > 0:
            name = partner.display_name
            parts.append(
                env._(
                    "%(amount)s as credit of %(customer)s",
                    amount=shown(rest),
                    customer=name,
                )
            )
        user, what = payments.env.user.name, ", ".join(parts)
        return env._("Matched by %(user)s: %(what)s.", user=user, what=what)

    def _use_credit(self, payment, moves):
        """Let open credit of this payment pay its customer's invoices, in order."""
        payment._check_accountant()
        payment._hold()
        env = payment.env
        payment_sudo = payment.sudo()
        if payment.state != "posted" or payment.credit_open <= 0:
            raise UserError(
                env._(
                    "%s has no open credit (any more), so nothing was changed. Look at "
                    "the payment again.",
                    payment.display_name,
                )
            )
        if is_gone(payment.status):
            raise UserError(
                env._(
                    "ClickPesa reports %(payment)s as %(status)s, so its credit can "
                    "pay nothing. Nothing was changed: open its entry with the button "
                    "Payment, reset it to draft and cancel it.",
                    payment=payment.display_name,
                    status=payment.status,
                )
            )
        if payment.credit_open - payment.amount >= 1:
            raise UserError(
                env._(
                    "The entry of %(payment)s wrote off a part of the invoice that it "
                    "paid, which is no money for another one. Nothing was changed: "
                    "press Undo Match and match the payment again.",
                    payment=payment.display_name,
                )
            )
        customer = payment.partner_id
        for move in moves:
            asked = move._billpay_left(payment)
            refusal = self._refusal_of(payment, move, asked)
            owner = move.partner_id.commercial_partner_id
            if not refusal and owner != customer.commercial_partner_id:
                refusal = env._(
                    "The credit belongs to %(customer)s, and %(invoice)s does not. "
                    "Nothing was changed: if the money was booked for the wrong "
                    "customer, undo the match first.",
                    customer=customer.display_name,
                    invoice=move.display_name,
                )
            if refusal:
                raise UserError(refusal)
            lines = payment.env["billpay.booking"]._open_lines(
                payment_sudo, move.sudo()
            )
            for account, due in lines.grouped("account_id").items():
                credit = payment_sudo._open_credit_lines()
                credit = credit.filtered(lambda line, a=account: line.account_id == a)
                if credit:
                    payment_sudo._at_asked_rate(due, credit).reconcile()
        payment.invalidate_recordset(["credit_open"])
        payment_sudo._message_log(
            body=env._(
                "%(user)s used its credit for %(invoices)s.",
                user=payment.env.user.name,
                invoices=", ".join(moves.mapped("display_name")),
            )
        )
        used_up = payment.currency_id.compare_amounts(payment.credit_open, 1) < 0
        # What ClickPesa does not call paid any more is another alarm.
        if used_up and (not payment.status or is_paid(payment.status)):
            for cause in payment_sudo.warned or {}:
                if cause.startswith("surplus:"):
                    payment_sudo._end_warning(cause)
            payment_sudo._settle()

    def _put_aside(self, payments, why):
        """Decide that this money is not ours; ``why`` is shown with the payment."""
        payments._check_accountant()
        payments._hold()
        env = payments.env
        booked = payments.filtered(lambda payment: payment.state not in UNDECIDED)
        if booked:
            raise UserError(
                env._(
                    "%s is booked or put aside already, so nothing was changed. Undo "
                    "the match of a booked payment before you put it aside.",
                    ", ".join(booked.mapped("display_name")),
                )
            )
        reason = env._(
            "Put aside by %(user)s: %(why)s. The money is at ClickPesa and "
            "not in the books; Take Up Again brings it back.",
            user=payments.env.user.name,
            why=why.rstrip(" ."),
        )
        payments.sudo()._move_to(
            "ignored",
            reason,
            ignored_by_id=payments.env.uid,
            ignored_at=fields.Datetime.now(),
            ignored_why=why,
        )
        payments.sudo()._message_log_batch(dict.fromkeys(payments.ids, reason))

    def _undo_match(self, payments, why):
        """Take booked payments out of the books; they are unmatched again.

        Entry, reconciliation and states change together, or not at all.

        :param str why: kept, and shown with the payment and its invoices
        :raise UserError: one of them cannot be taken out
        """
        payments._check_accountant()
        payments._hold()
        env = payments.env
        for payment in payments:
            if payment.state != "posted":
                raise UserError(
                    env._(
                        "%s is not booked, so there is no match to undo. Nothing was "
                        "changed: press Match to say what it pays.",
                        payment.display_name,
                    )
                )
            if is_gone(payment.status):
                raise UserError(
                    env._(
                        "ClickPesa reversed %s, so it cannot be matched with something "
                        "else. Nothing was changed: its entry is to be reversed.",
                        payment.display_name,
                    )
                )
        for payment_sudo in payments.sudo():
            self._undo_one(payment_sudo, why)

    def _undo_one(self, payment, why):
        env = payment.env
        bookings = payment.account_payment_ids
        entries = bookings.move_id
        receivable = entries.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        invoices = receivable.matched_debit_ids.debit_move_id.move_id - entries
        bookings.write({"billpay_payment_id": False, "billpay_undone_id": payment.id})
        matched = ("matched_partner_id", "matched_by_id", "matched_at")
        outcome = ("asked_amount", "is_over", "is_under", "is_late")
        payment.write(
            {
                **dict.fromkeys(matched + outcome, False),
                "undone_at": fields.Datetime.now(),
                "undone_by_id": payment.env.uid,
                "undone_why": why,
            }
        )
        reason = payment._undone_reason()
        payment._move_to("unmatched", reason)
        payment.allocation_ids.unlink()
        receivable.remove_move_reconcile()
        for booking in bookings.with_context(billpay_undoing=True):
            booking._billpay_leave_books()
        body = env._(
            "No longer the booking of ClickPesa payment %(payment)s. %(reason)s",
            payment=payment.display_name,
            reason=reason,
        )
        if bookings:
            bookings._message_log_batch(bodies=dict.fromkeys(bookings.ids, body))
        payment._message_log(body=reason)
        if invoices:
            self._tell_undone(payment, invoices, why)

    def _tell_undone(self, payments, invoices, why):
        """The invoices are due again: say so, and give them a number to pay."""
        body = payments.env._(
            "The payment of %(amount)s, receipt %(receipt)s, was taken off this "
            "invoice by %(user)s: %(why)s",
            amount=payments.currency_id.format(payments.amount),
            receipt=payments.receipt or payments.reference,
            user=payments.env.user.name,
            why=why,
        )
        invoices._message_log_batch(bodies=dict.fromkeys(invoices.ids, body))
        bills = invoices.filtered(lambda move: move.is_sale_document())
        bills._billpay_after_payment()

    def _take_up(self, payments):
        """Put payments that a person put aside back on the desk."""
        payments._hold()
        reason = payments.env._("Taken up again by %s.", payments.env.user.name)
        aside = ("ignored_by_id", "ignored_at", "ignored_why")
        for payment_sudo in payments.sudo():
            # Meanwhile ClickPesa may have taken it back: it goes where it belongs now.
            state, why, how = payment_sudo._turn()
            how.update(dict.fromkeys(aside, False), due=False, attempts=0)
            why = " ".join(filter(None, (reason, why)))
            payment_sudo._move_to(state, why, **how)
            payment_sudo._message_log(body=payment_sudo.reason)
        payments.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")
