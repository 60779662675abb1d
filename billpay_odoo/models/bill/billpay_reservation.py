# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import logging
from datetime import timedelta

from odoo import fields, models
from odoo.fields import Domain
from odoo.tools import format_date

from ... import money
from ...clickpesa.values import is_gone
from ...const import INVOICES, LIVING, UNPAID
from ...exceptions import NumberSpaceExhausted
from ...transactions import each

_logger = logging.getLogger(__name__)

# How long after its end a discount is looked at again (days), and how many invoices at
# a time.
LATEST_DISCOUNT = 60
DATES_CHUNK = 100
REFUND = "out_refund"
# What money is reconciled with, and what takes that back.
BILLS = (*INVOICES, REFUND)


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
            checkouts = self._checkouts(move)
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

    def _checkouts(self, move):
        """Return our checkouts of what an invoice is for, in sudo. Extended by glue."""
        # sudo: whoever posts an invoice need not see transactions.
        return move.sudo().transaction_ids.filtered(
            lambda tx: tx.provider_code == "clickpesa"
        )

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
                not is_gone(self._row(line).status)
                # What was written off for an invoice that is gone is no money.
                and self._open_credit(self._row(line)) - self._row(line).amount < 1
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

    # === MONEY THAT PAID BEFORE === #

    def _row(self, line):
        """Return the ClickPesa payment that the entry of a journal item books."""
        return line.sudo().move_id.origin_payment_id.billpay_payment_id

    def _paid_pairs(self, move):
        """Return what is reconciled with an entry; of an invoice, by ClickPesa money.

        :return: ids of the debited item, its entry and the credited item, and the
            amount, in the currency of the latter, in the order of reconciliation
        :rtype: list[list]
        """
        partials = move.line_ids.matched_debit_ids | move.line_ids.matched_credit_ids
        return [
            [
                partial.debit_move_id.id,
                partial.debit_move_id.move_id.id,
                partial.credit_move_id.id,
                partial.credit_amount_currency,
            ]
            for partial in partials.sorted("id")
            if (move.origin_payment_id or self._row(partial.credit_move_id))
            and not money.is_exchange(partial)
        ]

    def _pay_again(self, pairs):
        """Reconcile what was reconciled before, where it is not any more.

        :param list pairs: as of ``_paid_pairs``
        :return: the entries of which less is paid than before
        """
        items = self.env["account.move.line"].sudo()
        missing = items.move_id
        for position, (debit_id, move_id, credit_id, amount) in enumerate(pairs):
            credit = items.browse(credit_id).exists()
            due = items.browse(debit_id).exists()
            if due & credit.matched_debit_ids.debit_move_id:
                continue  # an entry that was only reset keeps its reconciliation
            if not due or due.reconciled:
                # An invoice that was changed may have other items.
                due = money.open_items(missing.browse(move_id).exists())
            due = due.filtered(lambda line, credit=credit: self._fits(line, credit))
            later = sum(pair[3] for pair in pairs[position:] if pair[2] == credit_id)
            taken = self._take(credit, due, amount, later) if due else 0.0
            if amount - taken >= 1:  # less than a shilling is rounding
                missing |= missing.browse(move_id).exists()
        return missing

    def _fits(self, debit, credit):
        """Tell whether two open journal items can be reconciled."""
        owners = (debit | credit).partner_id.commercial_partner_id
        # An invoice may be somebody else's by now.
        receivable = debit.account_id.account_type == "asset_receivable"
        return (
            debit.account_id == credit.account_id
            and not (receivable and len(owners) > 1)
            # Money that ClickPesa took back pays nothing, though its entry may stand.
            and not is_gone(self._row(credit).status)
            and debit.parent_state == credit.parent_state == "posted"
            and not (debit.reconciled or credit.reconciled)
            and debit.amount_residual > 0 > credit.amount_residual
        )

    def _take(self, credit, due, amount, later):
        """Reconcile a credit with what is due, unless that takes more than it did.

        :param float amount: what it took before, in the currency of the credit
        :param float later: the same, of this and of all that is paid after it
        :return: what it takes now
        """
        row, left = self._row(credit), -credit.amount_residual_currency
        lines, asked = due + credit, amount
        if row:
            move, lines = due.move_id, row._at_asked_rate(due, credit)
            residual = sum(due.mapped("amount_residual_currency"))
            asked = money.at_rate(residual, move.currency_id, row._rate_of(move))
        spare = left - later  # what an earlier bill takes less of it stays credit
        compare = credit.currency_id.compare_amounts
        if compare(spare, 0) > 0 and compare(asked, amount) > 0:
            return 0.0
        lines.reconcile()
        return left + credit.amount_residual_currency

    def _apply_own(self, moves):
        """Pay invoices that are posted again with the money that paid them before.

        All that came on an invoice's own numbers is for the invoice, also what came
        while it was not open.
        """
        for move_sudo in moves.sudo():
            rows = move_sudo.billpay_payment_ids.filtered(
                lambda row: row.state == "posted" and not row._is_persons_choice()
            )
            for row in rows.sorted("id"):
                due = money.open_items(move_sudo)
                for items in due.grouped("account_id").values():
                    credit = row._open_credit_lines().filtered(
                        lambda line, items=items: self._fits(items[0], line)
                    )
                    if credit:
                        row._at_asked_rate(items, credit).reconcile()
            pairs = (move_sudo.billpay_before or {}).get("paid") or []
            self._pay_again(pairs)
            move_sudo._billpay_forget()
            self._warn_of_surplus(move_sudo, pairs)

    # === MONEY THAT LOST ITS BILL === #

    def _warn_of_surplus(self, move, pairs):
        """Call a person where an invoice takes less of the money than it did."""
        was, now = {}, {}
        for taken, found in ((was, pairs), (now, self._paid_pairs(move))):
            for _debit, _move, credit_id, amount in found:
                credit = self.env["account.move.line"].sudo().browse(credit_id).exists()
                row = self._row(credit)
                taken[row] = taken.get(row, 0.0) + amount
        for row, amount in was.items():
            over = min(amount - now.get(row, 0.0), self._open_credit(row))
            if over >= 1:
                row._warn(
                    f"surplus:{move.id}",
                    self.env._(
                        "%(invoice)s was confirmed again and takes less of it: "
                        "%(amount)s is open credit of %(customer)s. Press Use Credit, "
                        "or pay it back.",
                        invoice=move.display_name,
                        amount=row.currency_id.format(over),
                        customer=row.partner_id.display_name,
                    ),
                )

    def _warn_of(self, moves, freed=()):
        """Call a person for booked money whose bill is gone, as long as that lasts.

        :param moves: invoices that were posted again, reset, cancelled or reconciled,
            and credit notes
        :param freed: pairs of a ClickPesa payment and an entry, reconciled just now or
            until now
        """
        moves_sudo = moves.sudo().filtered(lambda m: m.move_type in BILLS)
        posting = self.env.su and self.env.context.get("billpay_posting")
        if posting or not (moves_sudo or freed):
            return
        pairs = set(freed)
        for move in moves_sudo:
            bill = move.reversed_entry_id if move.move_type == REFUND else move
            for credit in bill.line_ids.matched_credit_ids.credit_move_id:
                pairs |= {(row, move) for row in self._row(credit)}
        rows = {row for row, _move in pairs}
        # Those who were called are found where they are: in To Do.
        todo = self.env["billpay.payment"].sudo()
        for row in todo.search([("attention", "=", True), ("state", "=", "posted")]):
            for cause in row.warned or {}:
                kind, _colon, number = cause.partition(":")
                move = moves_sudo.browse(int(number))
                if kind == "bill" and (row in rows or move in moves_sudo):
                    pairs.add((row, move))
                elif kind == "surplus" and self._is_used_up(row):
                    row._end_warning(cause)
        for row, move in pairs:
            cause, text = f"bill:{move.id}", self._lost_text(row, move)
            if not text:
                row._end_warning(cause)
            elif text != (row.warned or {}).get(cause):
                row._warn(cause, text)

    def _is_used_up(self, row):
        """Tell whether bills or a refund have taken all of this booked money."""
        states = set(row.account_payment_ids.move_id.mapped("state"))
        return states == {"posted"} and self._open_credit(row) < 1

    def _open_credit(self, row):
        return -sum(row._open_credit_lines().mapped("amount_residual_currency"))

    def _lost_text(self, row, move):
        """Return what a person has to know of the bill that money paid, or ""."""
        if row.state != "posted" or is_gone(row.status) or not move.exists():
            return ""
        invoice = move.reversed_entry_id if move.move_type == REFUND else move
        values = {
            "invoice": invoice.display_name,
            # Whose the money is; the invoice may be somebody else's by now.
            "customer": row.account_payment_ids.partner_id[:1].display_name,
        }
        if move.move_type == REFUND:
            left = abs(move.amount_residual)
            if move.state != "posted" or move.currency_id.is_zero(left):
                return ""
            return self.env._(
                "%(refund)s credits %(invoice)s, which it paid: %(amount)s is owed to "
                "%(customer)s. Pay it back with the credit note, or let the credit "
                "note pay another invoice.",
                refund=move.display_name,
                amount=move.currency_id.format(left),
                **values,
            )
        credits = move.line_ids.matched_credit_ids.credit_move_id
        if any(self._row(credit) == row for credit in credits):
            if move.state == "posted" or move.move_type not in BILLS:
                return ""
            return self.env._(
                "%(invoice)s, which it pays, was reset to draft. Confirm the invoice "
                "and it is paid again; cancel it, and the money becomes credit of "
                "%(customer)s.",
                **values,
            )
        if (left := self._open_credit(row)) < 1:
            return ""
        if left - row.amount >= 1:
            return self.env._(
                "%(invoice)s, which it paid, is cancelled or reset to draft. Its entry "
                "wrote off a part of that invoice too, so %(left)s is open though "
                "%(amount)s was paid. Confirm the invoice and it is paid again, or "
                "press Undo Match and match the payment again.",
                left=row.currency_id.format(left),
                amount=row.currency_id.format(row.amount),
                **values,
            )
        values["amount"] = row.currency_id.format(left)
        if move.state == "posted" or move.move_type not in BILLS:
            return self.env._(
                "It does not pay %(invoice)s any more: %(amount)s is open credit of "
                "%(customer)s. Press Use Credit, or pay it back.",
                **values,
            )
        return self.env._(
            "%(invoice)s, which it paid, was cancelled or reset to draft: %(amount)s "
            "is open credit of %(customer)s. Set the invoice to draft if it is "
            "cancelled, and confirm it: it is paid again. Or press Use Credit for "
            "another invoice, or pay the money back.",
            **values,
        )

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

    def _wanting(self, moves, switch=False):
        """Return the invoices that may show a control number and have none to pay.

        :param bool switch: also those that show their own, and may carry one instead
        """
        return self._wanting_own(moves) | self._wanting_carried(moves, switch)

    def _wanting_own(self, moves):
        return self._without_number(
            moves.filtered(lambda move: not self._carries(move))
        )

    def _without_number(self, moves):
        """Return the invoices that may have a number of their own and have none.

        BillPay collects shillings: another currency needs a rate.
        """
        return moves.filtered(
            lambda move: (
                move.move_type in INVOICES
                and move.state == "posted"
                and money.is_due(move)
                and move.company_id.sudo().billpay_provider_id._billpay_is_on()
                and not move._billpay_living()._not_lost()
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

    def _small_rest_text(self, move):
        return self.env._(
            "Only %(rest)s is left on %(invoice)s, less than the smallest rest to ask "
            "for (%(least)s TZS). No control number was made: collect it in another "
            "way, or lower the smallest rest in the settings.",
            rest=move.currency_id.format(move.amount_residual),
            invoice=move.display_name,
            least=move.company_id.billpay_minimum_rest,
        )

    def _wanting_carried(self, moves, switch=False):
        """Return the posted, unpaid invoices that are to carry a number and do not.

        A payer may have the invoice's own number, or that of its order: a person
        decides to close it (``switch``).
        """
        return moves.filtered(
            lambda move: (
                move.state == "posted"
                and self._carries(move)
                and not move.sudo().billpay_carried_number_id._living()._not_lost()
                and money.is_due(move)
                and (switch or not move._billpay_living()._not_lost())
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
        # Another one comes for an imported one.
        comes = last.origin == "imported" or last._can_return(provider_sudo)
        return comes and last._is_known()

    # === RESERVE === #

    def _reserve(self, moves, switch=False):
        """Reserve one order number per invoice that wants one, or the customer's.

        Never both: one debt has one number. A closed number that was never paid is
        opened again; after a payment the new number follows the paid one. Invoices for
        which there are no digits say so.

        :param bool switch: let the customer's take the place of an invoice's own
        :return: the numbers, those of customers included
        :raise NumberSpaceExhausted: there are digits for none of them
        """
        numbers, lacking = self._reserve_most(moves, switch)
        for error in lacking.values():
            if not numbers:
                raise error
        self._say_lacking(lacking)
        return numbers

    def _reserve_or_say(self, moves):
        """Reserve numbers in posting, booking or reconciling, which no lack of digits
        stops; the invoices say why they have no number.
        """
        _numbers, lacking = self._reserve_most(moves)
        self._say_lacking(lacking)

    def _say_lacking(self, lacking):
        for move, error in lacking.items():
            move._message_log(
                body=move.env._(
                    "%(reason)s The invoice is valid: press Get Control Number when "
                    "that is done.",
                    reason=str(error),
                )
            )

    def _reserve_most(self, moves, switch=False):
        """Reserve numbers; what lacks digits keeps no other invoice from its number.

        :return: the numbers, and ``{invoice: error}`` of those that get none
        """
        numbers, lacking = self._reserve_own(self._wanting_own(moves))
        wanting, alone = self._wanting_carried(moves, switch), moves.browse()
        for purpose, group in wanting.grouped("billpay_purpose_id").items():
            try:
                carried, apart = self._carry(purpose, group)
                numbers, alone = numbers | carried, alone | apart
            except NumberSpaceExhausted:
                for carrying in group.grouped("partner_id").values():
                    try:
                        carried, apart = self._carry(purpose, carrying)
                        numbers, alone = numbers | carried, alone | apart
                    except NumberSpaceExhausted as error:
                        lacking |= dict.fromkeys(carrying, error)
        own, more = self._reserve_own(self._without_number(alone))
        return numbers | own, lacking | more

    def _reserve_own(self, moves):
        """Reserve one order number for each of these invoices, which have none.

        :return: the numbers, and ``{invoice: error}`` of those that get none
        """
        numbers, lacking = moves.env["billpay.control.number"].sudo(), {}
        payable = self.env["billpay.payable"]
        for company, group in moves.grouped("company_id").items():
            provider_sudo = company.sudo().billpay_provider_id
            fresh, vals_list = [], []
            for move in group:
                if revived := payable._revive(move._billpay_living(), provider_sudo):
                    numbers |= revived
                    continue
                last = move._billpay_numbers()[-1:]
                if last._can_return(provider_sudo):
                    last._want(self._wanted_values(move, last, reissue=True))
                    last._reopen()
                    numbers |= last
                    continue
                # The checkout whose number the invoice had waits for the rest, too.
                checkout = last.transaction_id.filtered(
                    lambda tx: tx.state in ("draft", "pending")
                )
                fresh.append(move)
                vals_list.append(
                    {
                        "kind": "order",
                        "move_id": move.id,
                        "predecessor_id": last.id,
                        "transaction_id": checkout.id,
                        **self._wanted_values(move, told=last if checkout else None),
                    }
                )
            made = numbers.browse()
            try:
                made = numbers._reserve(provider_sudo, vals_list, partly=True)
                # Where the digits ended, this tells why.
                numbers._reserve(provider_sudo, vals_list[len(made) :])
            except NumberSpaceExhausted as error:
                lacking |= dict.fromkeys(fresh[len(made) :], error)
            numbers |= made
        # Money on the customer's number pays them as before; they do not show it.
        carrying = (moves - moves.browse().union(*lacking)).sudo()
        carrying = carrying.filtered("billpay_carried_number_id")
        carrying.billpay_carried_number_id = False
        return numbers, lacking

    def _carry(self, purpose, moves):
        """Let invoices carry their customers' numbers of a purpose.

        :return: these numbers, and invoices whose customer's number phones would let
            pay another amount only
        """
        owners, by_owner = moves.partner_id, moves.grouped("partner_id")
        reserved = purpose.sudo()._reserve(owners).sudo()
        numbers, apart = reserved.browse(), moves.browse()
        for partner, number in zip(owners, reserved, strict=True):
            carrying = by_owner[partner]
            if number._takes_only_its_amount():
                apart |= carrying
                continue
            carrying.sudo().billpay_carried_number_id = number
            number._want({"mode": "flexible"})
            carrying._billpay_living()._close()
            numbers |= number
        return numbers, apart

    def _adopt(self, moves):
        """Let invoices take over the numbers that asked for their orders.

        The payer keeps the digits; they ask for what the invoice owes from now on.
        """
        for move in moves.filtered(lambda move: move.move_type in INVOICES):
            checkouts = self._checkouts(move).filtered(
                lambda tx: tx.state in ("draft", "pending")
            )
            living = checkouts.billpay_number_ids._living().sorted("id")
            living = living.filtered(lambda number: not number.move_id)
            if not living:
                continue
            if not money.is_due(move):
                # Of a larger order the rest is still asked for.
                living.transaction_id._billpay_follow()
                continue
            number = (move._billpay_living() or living)[-1:]
            (living - number)._close()
            if not number.move_id:
                number.flush_recordset()
                wanted = self._wanted_values(move, number)
                number._want({"move_id": move.id, **wanted})
            # Money on those that were closed finds the invoice.
            move.sudo().transaction_ids |= living.transaction_id

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
            # By hand, an invoice gets no number of its own by losing a customer's.
            self._reserve_or_say(
                wrong.filtered(
                    lambda move: (
                        self._carries(move) or move._billpay_issue_moment() != "manual"
                    )
                )
            )

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
        """Let the numbers ask for what these invoices want now, in one query.

        Also where the company has another application by now, or none: payers have
        the numbers all the same.
        """
        moves = moves.filtered(lambda move: move.move_type in INVOICES)
        self._follow_checkouts(moves)
        numbers_sudo = moves.sudo().billpay_number_ids
        numbers_sudo = numbers_sudo.filtered(lambda number: number.kind == "order")
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

    def _follow_checkouts(self, moves):
        """Let checkouts of these invoices ask for what is left of their bills.

        That of several invoices, and of a larger order, has a number of its own.
        """
        # sudo: whoever takes money need not see transactions.
        checkouts_sudo = moves.browse().sudo().transaction_ids
        for move_sudo in moves.sudo():
            checkouts_sudo |= self._checkouts(move_sudo)
        checkouts_sudo._billpay_follow()

    def _follow_transactions(self, transactions):
        """Let others ask for what is left of the bills that these were to pay."""
        transactions = transactions.sudo()
        others = transactions._billpay_siblings() - transactions
        others._billpay_follow()
        # A payment that another provider reports is in the books a while later.
        invoices = transactions.invoice_ids
        if others := transactions - transactions._billpay_ours():
            self._follow(others.invoice_ids & invoices)

    def _back_to_orders(self, moves):
        """Let numbers of cancelled invoices ask again for the orders that had them."""
        for number in moves.sudo().billpay_number_ids.sorted("id"):
            checkout = number.transaction_id._billpay_waiting_ones()
            if (
                checkout
                and number.move_id.state == "cancel"
                and number._can_return(checkout.provider_id)
                and checkout._billpay_left()
                and not checkout._billpay_living()
            ):
                number.move_id = False
                checkout._billpay_follow()

    def _follow_dates(self):
        """Let numbers of invoices whose discount for paying early has ended follow.

        Before that two amounts are right, so a number for an exact amount takes any.
        """
        today = fields.Date.context_today(self)
        ended = Domain("line_ids", "any", self._discount_ended(today))
        ended &= Domain("state", "=", "posted")
        ended &= Domain("payment_state", "in", UNPAID)
        ended &= Domain("billpay_mode", "in", ("exact", False))
        ended &= Domain(
            "billpay_number_ids",
            "any",
            [
                ("kind", "=", "order"),
                ("state", "in", LIVING),
                ("mode", "=", "flexible"),
            ],
        )
        moves = self.env["account.move"].sudo().search(ended, order="id")

        def failed(move, error):
            _logger.error("The number of %s did not follow.", move, exc_info=error)

        cron = self.env["ir.cron"]
        for start in range(0, len(moves), DATES_CHUNK):
            chunk = moves[start : start + DATES_CHUNK]
            each(chunk, self._follow, failed)
            if not cron._commit_progress(len(chunk)):
                return

    def _discount_ended(self, today):
        """Return the domain of terms whose discount has ended not long ago.

        Somewhere on earth it is a day later; what still has its discount changes
        nothing.
        """
        long_ago = today - timedelta(days=LATEST_DISCOUNT)
        return [
            ("display_type", "=", "payment_term"),
            ("discount_date", ">=", long_ago),
            ("discount_date", "<=", today),
        ]

    def _pending(self, moves):
        """Return ``{number: invoices}`` of numbers that nobody could pay now."""
        pending = {}
        for move in moves.sudo():
            shown = move.billpay_number_id if money.is_due(move) else None
            for number in move.billpay_number_ids | move.billpay_carried_number_id:
                lacking = number.state in ("pending", "failed")
                if lacking or (
                    number == shown and number.state == "open" and number._obstacle()
                ):
                    pending[number] = pending.get(number, moves.browse()) | move
        return pending

    # === WHAT A NUMBER ASKS FOR === #

    def _rate(self, move, number=None):
        """Return the shillings for one unit of an invoice's currency.

        :param number: the number that asks; under the rate of its own day, and after
            a checkout, it keeps the rate at which it was made
        :return: 0.0 when Odoo knows no rate, where it would count one for one
        """
        if (
            number
            and (
                move.company_id.billpay_rate_date == "issue"
                or number.sudo().transaction_id
            )
            and number.bill_rate
            and number.bill_currency_id == move.currency_id
        ):
            return number.bill_rate
        return money.asking_rate(move)

    def _wanted_values(self, move, number=None, reissue=False, told=None):
        """Return what the number of an invoice is to ask for, in whole shillings.

        :param number: the number that asks, when there is one
        :param bool reissue: it is handed out anew, so today's rate may count
        :param told: the number of a checkout, whose rate the payer was told
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
            rate = self._rate(move, told or (None if reissue else number))
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
