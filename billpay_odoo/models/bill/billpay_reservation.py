# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import models
from odoo.tools import format_date

from ... import money
from ...clickpesa.values import FAILED, REVERSED
from ...const import INVOICES, LIVING
from ...exceptions import NumberSpaceExhausted


class BillpayReservation(models.AbstractModel):
    """Pay invoices with credit, and let control numbers ask for what is left."""

    _name = "billpay.reservation"
    _description = "BillPay Reservation"

    # === CREDIT === #

    def _apply_checkout(self, moves):
        """Pay these invoices with all the parts that were paid at their checkout.

        Odoo itself takes one payment of a transaction.
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
            due = self._due_lines(move)
            credits = entries.move_id.line_ids.filtered(
                lambda c: not c.reconciled and c.parent_state == "posted"
            )
            by_owner = credits.grouped(self._owner)
            plan += [
                line + by_owner[owner]
                for line in due
                if (owner := self._owner(line)) in by_owner
            ]
            others.append((due, entries.move_id.line_ids))
        if plan:
            moves.env["account.move.line"]._reconcile_plan(plan)
        for due, credits in others:
            self._apply_shillings(due, credits)

    def _apply_shillings(self, due, credits):
        """Pay an invoice in another currency with shillings, as its checkout asked."""
        for credit in credits:
            payment = credit.move_id.origin_payment_id.sudo().billpay_payment_id
            owner = self._owner(credit)[:2]
            own = due.filtered(
                lambda line, credit=credit, owner=owner: (
                    not line.reconciled
                    and line.amount_residual_currency > 0
                    and line.currency_id != credit.currency_id
                    and self._owner(line)[:2] == owner
                )
            )
            open_credit = credit.parent_state == "posted" and not credit.reconciled
            if payment and own and open_credit:
                payment._at_asked_rate(own, credit).reconcile()

    def _apply_credit(self, moves):
        """Reconcile open credit of these customers, the oldest first, in one search."""
        invoices = moves.filtered(
            lambda move: (
                move.move_type in INVOICES
                and move.state == "posted"
                and any(
                    move.company_id.sudo().parent_ids.mapped("billpay_apply_credit")
                )
                and move.currency_id.compare_amounts(move.amount_residual, 0) > 0
            )
        )
        if not invoices:
            return
        owners = invoices.commercial_partner_id
        # sudo: an application of the parent company books there what a branch is paid.
        companies_sudo = invoices.company_id.sudo().parent_ids
        credits = moves.env["account.move.line"].sudo()
        credits = credits.search(
            [
                ("company_id", "in", companies_sudo.ids),
                ("partner_id.commercial_partner_id", "in", owners.ids),
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
        by_owner = credits.grouped(self._owner)
        plan = []
        for line in self._due_lines(invoices.sudo()).sorted(
            lambda line: (line.date_maturity or line.date, line.id)
        ):
            own = by_owner.get(self._owner(line), credits.browse()).filtered(
                lambda credit, line=line: (
                    credit.company_id in line.company_id.parent_ids
                    and line._billpay_may_take(credit)
                )
            )
            if own:
                plan.append(line + own)
        credits._reconcile_plan(plan)

    def _due_lines(self, moves):
        return moves.line_ids.filtered(
            lambda line: line.display_type == "payment_term" and not line.reconciled
        )

    def _owner(self, line):
        """What has to be the same for a credit to pay an invoice, besides companies."""
        return (
            line.partner_id.commercial_partner_id,
            line.account_id,
            line.currency_id,
        )

    # === WHICH INVOICES GET A NUMBER === #

    def _wish(self, move, field):
        """Return what the customer wishes, else the customer's company."""
        partner_sudo = move.partner_id.sudo().with_company(move.company_id)
        return partner_sudo[field] or partner_sudo.commercial_partner_id[field]

    def _carries(self, move):
        """Tell whether an invoice shows the customer's number of its purpose.

        The customer's own wish comes before the purpose's.
        """
        purpose = move.billpay_purpose_id
        if not purpose or move.move_type not in INVOICES:
            return False
        wish = self._wish(move, "billpay_invoice_number")
        return (wish or purpose.invoice_number) == "customer"

    def _wanting(self, moves):
        """Return the invoices that may show a control number and have none to pay."""
        return self._wanting_own(moves) | self._wanting_carried(moves)

    def _wanting_own(self, moves):
        """Return the invoices that may have a number of their own and have none.

        BillPay collects shillings: another currency needs a rate.
        """
        return moves.filtered(
            lambda move: (
                move.move_type in INVOICES
                and move.state == "posted"
                and not self._carries(move)
                and money.is_due(move)
                and move.company_id.sudo().billpay_provider_id._billpay_is_on()
                and not move._billpay_living()
                and self._rate(move) > 0
                and not self._is_small_rest(move)
            )
        )

    def _is_small_rest(self, move):
        """Tell whether so little is left of a bill that no number asks for it."""
        compare = move.currency_id.compare_amounts
        if compare(move.amount_residual, move.amount_total) >= 0:
            return False  # nothing is paid: a small bill, and no rest
        return move.company_id._billpay_is_small(money.number_shillings(move))

    def _wanting_carried(self, moves):
        """Return the posted, unpaid invoices that are to carry a number and do not."""
        return moves.filtered(
            lambda move: (
                move.state == "posted"
                and self._carries(move)
                and move.sudo().billpay_carried_number_id.state not in LIVING
                and money.is_due(move)
                and move.billpay_purpose_id._provider()
            )
        )

    def _asks_again(self, move):
        """Tell whether an invoice that is due again gets its number by itself.

        One that a payer may have comes back, whenever it was made. One that ClickPesa
        does not know comes back when numbers are made: an outage of ClickPesa can be
        passed by letting an invoice go without.
        """
        if move._billpay_issue_moment() == "post":
            return True
        last = move._billpay_numbers()[-1:]
        provider_sudo = move.company_id.sudo().billpay_provider_id
        return last._can_return(provider_sudo) and last._is_known()

    # === RESERVE === #

    def _reserve(self, moves):
        """Reserve one order number per invoice that wants one, or the customer's.

        A closed number that was never paid is opened again; after a payment the new
        number follows the paid one.

        :return: the numbers, those of customers included
        """
        numbers = moves.env["billpay.control.number"].sudo()
        for company, group in self._wanting_own(moves).grouped("company_id").items():
            provider_sudo = company.sudo().billpay_provider_id
            vals_list = []
            for move in group:
                last = move._billpay_numbers()[-1:]
                if last._can_return(provider_sudo):
                    wanted = self._wanted_values(move, last, reissue=True)
                    if not last._cannot_ask(wanted):
                        last._want(wanted)
                        last._reopen()
                        numbers |= last
                        continue
                link = {"move_id": move.id, "predecessor_id": last.id}
                wanted = {"kind": "order", **self._wanted_values(move)}
                vals_list.append({**link, **wanted})
            numbers |= numbers._reserve(provider_sudo, vals_list)
        wanting = self._wanting_carried(moves)
        for purpose, group in wanting.grouped("billpay_purpose_id").items():
            owners = group.partner_id
            reserved = purpose.sudo()._reserve(owners)
            carrying = group.sudo().grouped("partner_id")
            for partner, number in zip(owners, reserved, strict=True):
                carrying[partner].billpay_carried_number_id = number
            numbers |= reserved.sudo()
        return numbers

    def _reserve_or_say(self, moves):
        """Reserve numbers in posting, booking or reconciling, which no lack of digits
        stops; the invoices say why they have no number.
        """
        try:
            self._reserve(moves)
        except NumberSpaceExhausted as error:
            for move in self._wanting_own(moves):
                move._message_log(
                    body=moves.env._(
                        "%(reason)s The invoice is valid: press Get Control Number "
                        "when that is done.",
                        reason=str(error),
                    )
                )

    def _recarry(self, moves):
        """Let invoices give up a number that is not theirs, for the right one."""
        wrong = moves.sudo().filtered(
            lambda move: (
                (number := move.billpay_carried_number_id)
                and not (
                    self._carries(move)
                    and number.partner_id == move.partner_id
                    and number.purpose_id == move.billpay_purpose_id
                )
            )
        )
        if wrong:
            wrong.billpay_carried_number_id = False
            self._reserve_or_say(wrong)

    def _say_rate_missing(self, moves):
        """Note on invoices in another currency why they got no number."""
        for move in moves.filtered(lambda move: move.move_type in INVOICES):
            provider_sudo = move.company_id.sudo().billpay_provider_id
            if provider_sudo.code == "clickpesa" and not self._rate(move):
                move._message_log(body=self._rate_missing_text(move))

    def _rate_missing_text(self, move):
        return move.env._(
            "No control number was made: BillPay collects shillings, and Odoo knows no "
            "exchange rate between %(currency)s and TZS. The invoice is valid. Enter "
            "the rate under Invoicing, Configuration, Currencies, then press Get "
            "Control Number.",
            currency=move.currency_id.name,
        )

    # === FOLLOW === #

    def _follow(self, moves):
        """Let the numbers ask for what these invoices want now, in one search."""
        moves = moves.filtered(
            lambda m: (
                m.move_type in INVOICES and m.company_id.sudo().billpay_provider_id
            )
        )
        if not moves:
            return
        numbers_sudo = moves.env["billpay.control.number"].sudo()
        numbers_sudo = numbers_sudo.search(
            [("move_id", "in", moves.ids), ("kind", "=", "order")]
        )
        again = moves.browse()
        for move, numbers in numbers_sudo.grouped("move_id").items():
            if move.state != "posted":
                continue
            if not money.is_due(move):
                # Also by a credit note, for which Odoo calls no paid hook.
                numbers._close()
                continue
            asking = numbers._living()
            for number in asking:
                wanted = self._wanted_values(move, number)
                if number._cannot_ask(wanted):
                    number._close()
                    again |= move
                else:
                    number._want(wanted)
            last = numbers.sorted("id")[-1:]
            unpaid = last.state == "closed" and not last._was_paid()
            if not asking and unpaid and self._asks_again(move):
                # Due again: the number that was closed by another payment reopens.
                again |= move
        self._reserve_or_say(again)

    def _pending(self, moves):
        """Return ``{number: invoices}`` of numbers that ClickPesa does not have."""
        pending = {}
        for move in moves.sudo():
            for number in move.billpay_number_ids | move.billpay_carried_number_id:
                if number.state in ("pending", "failed"):
                    pending[number] = pending.get(number, moves.browse()) | move
        return pending

    # === WHAT A NUMBER ASKS FOR === #

    def _rate(self, move, number=None):
        """Return the shillings for one unit of an invoice's currency.

        :param number: the number that asks; under the rate of its own day it keeps
            the rate at which it was made
        :return: 0.0 when Odoo knows no rate, where it would count one for one
        """
        if (
            move.company_id.billpay_rate_date == "issue"
            and number
            and number.bill_rate
            and number.bill_currency_id == move.currency_id
        ):
            return number.bill_rate
        return money.asking_rate(move)

    def _wanted_values(self, move, number=None, reissue=False):
        """Return what the number of an invoice is to ask for, in whole shillings.

        :param number: the number that asks, when there is one
        :param bool reissue: it is handed out anew, so today's rate may count
        :return: dict of field values
        """
        if number is None:
            number = move.env["billpay.control.number"]
        due, several = money.due_now(move)
        policy = move.billpay_mode or move._billpay_usual_mode()
        # Instalments are paid one by one: several of them are never one amount. With a
        # discount for paying early two amounts are right.
        exact = policy == "exact" and not several and not self._may_be_less(move)
        values = {
            "partner_id": move.partner_id.id,
            "description": self._number_text(move),
            "mode": "exact" if exact else "flexible",
        }
        if money.is_shillings(move.currency_id):
            amount = money.whole_shillings(due)
            values.update(bill_amount=0, bill_currency_id=False, bill_rate=0)
        else:
            rate = self._rate(move, None if reissue else number)
            amount = money.at_rate(due, move.currency_id, rate)
            values.update(
                bill_amount=due, bill_currency_id=move.currency_id.id, bill_rate=rate
            )
        # ClickPesa can change an amount, but not take it away (ClickPesa docs,
        # "Update"): a number that it has with one keeps asking for what is due.
        if policy == "open" and not number.known_amount:
            amount = 0
        provider_sudo = number.sudo().provider_id
        provider_sudo = provider_sudo or move.company_id.sudo().billpay_provider_id
        limited = provider_sudo.clickpesa_max_collection and amount and not exact
        return {
            **values,
            "amount": amount,
            "max_amount": number.amount_paid + amount if limited else 0,
        }

    def _may_be_less(self, move):
        today = move.company_id._billpay_today()
        return bool(
            move.invoice_payment_term_id.early_discount
            and move._is_eligible_for_early_payment_discount(move.currency_id, today)
        )

    def _number_text(self, move):
        """Return the text that ClickPesa shows beside the payment.

        In the customer's language: else each user's change would send another text.
        """
        lang = move.partner_id.lang or move.company_id.partner_id.lang
        env = move.with_context(lang=lang).env if lang else move.env
        due = move.invoice_date_due
        values = {
            "invoice": move.name,
            "customer": move.commercial_partner_id.name or "",
            "date": due and format_date(env, due, date_format="dd/MM/yyyy"),
        }
        if due:
            return env._("Invoice %(invoice)s, due %(date)s, %(customer)s", **values)
        return env._("Invoice %(invoice)s, %(customer)s", **values)
