# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""From a confirmed payment to journal items: match, create, post, reconcile."""

import logging
from datetime import timedelta, timezone

from markupsafe import Markup

from odoo import fields, models
from odoo.exceptions import UserError

from ..transactions import CONFLICTS
from .billpay_control_number_sync import pause_after

_logger = logging.getLogger(__name__)


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

    def _post_batch(self):
        """Book these locked, confirmed payments; one that cannot be stops only itself.

        Runs in the caller's transaction: entry, reconciliation and state become
        visible together, or not at all.
        """
        self = self.with_context(
            billpay_posting=True, tracking_disable=True, mail_create_nolog=True
        )
        try:
            with self.env.cr.savepoint():
                self._match()._book()
            return
        except CONFLICTS:
            raise
        except Exception as error:  # noqa: BLE001 - any record may be the cause
            if len(self) == 1:
                self._note_failure(error)
                return
            _logger.warning(
                "Booking %s payments together failed (%s); trying one by one.",
                len(self),
                error,
            )
        for payment in self:
            try:
                with self.env.cr.savepoint():
                    payment._match()._book()
            except CONFLICTS:
                raise
            except Exception as error:  # noqa: BLE001 - noted on the record
                payment._note_failure(error)

    def _note_failure(self, error):
        """Keep a payment that could not be booked in sight and try it again later."""
        self.ensure_one()
        _logger.warning("Payment %s was not booked.", self.reference, exc_info=error)
        attempts = self.attempts + 1
        reason = (
            str(error)
            if isinstance(error, UserError)
            else self.env._("An unexpected error, written to the server's log.")
        )
        self.write(
            {
                "state": "failed",
                "attempts": attempts,
                "next_try_at": fields.Datetime.now()
                + timedelta(seconds=pause_after(attempts)),
                "reason": self.env._(
                    "The money is at ClickPesa but not in the books yet: %s It is "
                    "tried again by itself; correct the cause, then press Process Now.",
                    reason,
                ),
            }
        )

    # === MATCH === #

    def _match(self):
        """Find the control numbers; never by guess.

        The number as sent, then the part before the first "-": ClickPesa may add a
        suffix to repeated payments on a customer number.

        :return: the payments of which is known what they are for
        """
        matched = self.browse()
        numbers = self._find_control_numbers()
        for payment in self:
            number = payment.control_number_id or numbers[payment]
            if not number:
                payment.write(
                    {
                        "state": "unmatched",
                        "reason": self.env._(
                            "No control number %s was made here. The money is at "
                            "ClickPesa and not booked.",
                            payment.number or "?",
                        ),
                    }
                )
                continue
            if payment.control_number_id != number:
                payment.control_number_id = number
            if number.move_id or number.partner_id:
                matched |= payment
                continue
            payment.write(
                {
                    "state": "unmatched",
                    "reason": self.env._(
                        "The control number belongs to no invoice and no customer."
                    ),
                }
            )
        return matched

    def _spellings(self):
        """Ways in which our number may stand in what was sent, the likeliest first."""
        self.ensure_one()
        sent = (self.number or "").upper()
        return [name for name in dict.fromkeys((sent, sent.partition("-")[0])) if name]

    def _find_control_number(self, providers=None):
        self.ensure_one()
        providers = providers or self.provider_id
        numbers = self._search_control_numbers(providers)
        for name in self._spellings():
            if found := numbers.filtered(lambda n, name=name: n.name.upper() == name):
                return found[0]
        return numbers.browse()

    def _search_control_numbers(self, providers):
        """Numbers that any of these payments may mean; letter case does not count.

        Only numbers that a payer can have: digits that ClickPesa has not confirmed may
        be somebody else's there, as after a restored backup.
        """
        names = {name for payment in self for name in payment._spellings()}
        sent = {payment.number for payment in self if payment.number}
        return self.env["billpay.control.number"].search(
            [
                ("provider_id", "in", providers.ids),
                ("name", "in", list(names | sent)),
                ("confirmed_at", "!=", False),
            ]
        )

    def _find_control_numbers(self):
        """Return ``{payment: number}`` with one search."""
        known = {
            (number.provider_id, number.name.upper()): number
            for number in self._search_control_numbers(self.provider_id)
        }
        nothing = self.env["billpay.control.number"]
        return {
            payment: next(
                (
                    known[payment.provider_id, name]
                    for name in payment._spellings()
                    if (payment.provider_id, name) in known
                ),
                nothing,
            )
            for payment in self
        }

    # === BOOK === #

    def _book(self):
        """Create, post and reconcile; write the outcome on payments and numbers."""
        if not self:
            return
        self._note_asked()
        vals_list = [payment._prepare_account_payment() for payment in self]
        account_payments = self.env["account.payment"].create(vals_list)
        for account_payment in account_payments:
            if not account_payment.outstanding_account_id:
                # Enterprise leaves it empty, and then there is no entry to reconcile.
                account_payment.outstanding_account_id = (
                    account_payment._get_outstanding_account("inbound")
                )
        account_payments.action_post()
        self._reconcile_booked(account_payments)
        now = fields.Datetime.now()
        for payment in self:
            payment.write(
                {
                    "state": "posted",
                    "posted_at": now,
                    "next_try_at": False,
                    **payment._verdict(),
                }
            )
        self._settle_numbers()
        self._tell()

    def _prepare_account_payment(self):
        """Return the values of the ``account.payment`` for this payment."""
        self.ensure_one()
        move = self.move_id
        partner = (move or self.control_number_id).partner_id.commercial_partner_id
        receivable = self._open_lines(move)[:1].account_id
        method_line = self._payment_method_line()
        return {
            "billpay_payment_id": self.id,
            "payment_type": "inbound",
            "partner_type": "customer",
            "partner_id": partner.id,
            "amount": self.amount,
            "currency_id": self.currency_id.id,
            "date": self._accounting_date(),
            "journal_id": method_line.journal_id.id,
            "company_id": self.company_id.id,
            "payment_method_line_id": method_line.id,
            "payment_reference": self.receipt or self.reference,
            "memo": " ".join(
                filter(None, (move.name, self.number, self.reference, self.receipt))
            ),
            **({"destination_account_id": receivable.id} if receivable else {}),
        }

    def _payment_method_line(self):
        """Return the method line of the application's journal.

        :raise UserError: no journal is set on the application
        """
        journal = self.provider_id.journal_id
        lines = journal.inbound_payment_method_line_ids
        line = lines.filtered(lambda line: line.payment_provider_id == self.provider_id)
        if not line:
            raise UserError(
                self.env._(
                    "The application %s has no payment journal. Set one under "
                    "Invoicing, Configuration, BillPay, BillPay Applications.",
                    self.provider_id.name,
                )
            )
        return line[:1]

    def _accounting_date(self):
        """Return the day of the payment where the company is (ClickPesa tells UTC)."""
        self.ensure_one()
        moment = self.paid_at.replace(tzinfo=timezone.utc)
        return moment.astimezone(self.company_id._billpay_tz()).date()

    def _open_lines(self, move):
        """Receivable lines of a posted invoice that still ask for money, oldest due
        first."""
        if move.state != "posted":
            return self.env["account.move.line"]
        return move.line_ids.filtered(
            lambda line: (
                line.account_id.account_type == "asset_receivable"
                and not line.reconciled
                and line.amount_residual_currency > 0
            )
        ).sorted(lambda line: (line.date_maturity or line.date, line.id))

    def _reconcile_booked(self, account_payments):
        """Reconcile with the invoices: one plan, one entry per invoice and account.

        Money that finds nothing open stays an open credit of the customer.
        """
        plan = []
        for move, payments in self.grouped("move_id").items():
            open_lines = self._open_lines(move)
            booked = account_payments.filtered(
                lambda p, ids=set(payments.ids): p.billpay_payment_id.id in ids
            )
            credits = booked.move_id.line_ids.filtered(
                lambda line: (
                    line.account_id.account_type == "asset_receivable"
                    and not line.reconciled
                )
            )
            for account, lines in open_lines.grouped("account_id").items():
                same = credits.filtered(lambda line, a=account: line.account_id == a)
                if same:
                    plan.append(lines + same)
        if plan:
            self.env["account.move.line"]._reconcile_plan(plan)

    def _verdict(self):
        """Say in what way the booking is unusual, if it is."""
        self.ensure_one()
        move, currency = self.move_id, self.currency_id
        credit = sum(
            -line.amount_residual_currency
            for line in self.account_payment_ids.move_id.line_ids
            if line.account_id.account_type == "asset_receivable"
        )
        # Numbers ask for whole shillings: less than one is rounding, not a surplus.
        if not move or credit < 1:
            return {"reason": False, "attention": False}
        if move.state != "posted":
            reason = self.env._("The invoice is not open: kept as customer credit.")
        else:
            reason = self.env._(
                "More than was due: %(credit)s is kept as customer credit.",
                credit=currency.format(credit),
            )
        return {"reason": reason, "attention": True}

    def _settle_numbers(self):
        """Close what was paid and, for a rest, reserve the number that asks for it."""
        orders = self.control_number_id.filtered(
            lambda number: number.kind == "order" and number.state != "paid"
        )
        orders.with_context(tracking_disable=True).write(
            {
                "state": "paid",
                # ClickPesa closes an order number by itself when it is paid.
                "wanted_active": False,
                "known_active": False,
                "sync_at": False,
            }
        )
        self.move_id._billpay_after_payment()

    def _tell(self):
        """Note the payment where people look: on the invoice."""
        bodies = {}
        for move, payments in self.filtered("move_id").grouped("move_id").items():
            bodies[move.id] = Markup("<br/>").join(
                payment.env._(
                    "Paid by %(channel)s: %(amount)s, receipt %(receipt)s, from "
                    "%(payer)s, control number %(number)s.",
                    channel=payment.channel_id.name
                    or payment.channel_code
                    or "BillPay",
                    amount=payment.currency_id.format(payment.amount),
                    receipt=payment.receipt or payment.reference,
                    payer=" ".join(
                        filter(None, (payment.payer_name, payment.payer_phone))
                    )
                    or "?",
                    number=payment.control_number_id.display_number,
                )
                for payment in payments
            )
        if bodies:
            moves = self.env["account.move"].browse(bodies)
            moves._message_log_batch(bodies=bodies)
