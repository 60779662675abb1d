# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A person decides what a payment pays.

Before it is booked: which invoices, and whose credit the rest is. After it is booked:
which invoices its open credit pays.
"""

from odoo import fields, models
from odoo.exceptions import UserError

# States in which a person may decide what a payment is for.
MATCHABLE = ("unmatched", "failed")


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

    matched_at = fields.Datetime(string="Matched by Hand", readonly=True)

    # === BEFORE IT IS BOOKED === #

    def _match_by_hand(self, allocations, partner):
        """Decide what this payment pays, and book it.

        :param list allocations: pairs of an open customer invoice and an amount (TZS),
            in the order in which they are paid
        :param partner: whose credit the rest is; with no allocation, all of it
        :raise UserError: the decision cannot be booked like this; nothing is changed
        """
        self.ensure_one()
        self._check_accountant()
        self._hold()
        self._check_decision(allocations, partner)
        moves = self.env["account.move"].concat(*[move for move, _ in allocations])
        partner = (partner or moves.partner_id[:1]).commercial_partner_id
        payment_sudo = self.sudo()
        payment_sudo.allocation_ids.unlink()
        payment_sudo.write(
            {
                "allocation_ids": [
                    fields.Command.create(
                        {"move_id": move.id, "amount": amount, "sequence": sequence}
                    )
                    for sequence, (move, amount) in enumerate(allocations, 1)
                ],
                "matched_partner_id": partner.id,
                "matched_by_id": self.env.uid,
                "matched_at": fields.Datetime.now(),
                "state": "confirmed",
                "reason": False,
                "attempts": 0,
                "next_try_at": False,
                **self._forget_undone(),
            }
        )
        payment_sudo._message_log(body=self._decision_text(allocations, partner))
        # No call to ClickPesa is made while booking, so it need not wait for a worker.
        payment_sudo._post_due(self.ids)

    def _check_decision(self, allocations, partner):
        if self.state not in MATCHABLE:
            raise UserError(
                self.env._(
                    "This payment is not waiting for a decision any more: its state "
                    "is %s. Nothing was changed. To decide anew about a booked "
                    "payment, undo its match first.",
                    dict(self._fields["state"]._description_selection(self.env))[
                        self.state
                    ],
                )
            )
        if not self.currency_id or self.amount <= 0:
            raise UserError(
                self.env._(
                    "ClickPesa told no amount in TZS for this payment, so nothing can "
                    "be booked. Press Process Now to ask again, or compare with the "
                    "ClickPesa dashboard."
                )
            )
        if not allocations and not partner:
            raise UserError(
                self.env._(
                    "Choose at least one invoice, or the customer whose credit this "
                    "money is. Nothing was booked."
                )
            )
        for move, amount in allocations:
            self._check_allocation(move, amount)
        if partner.company_id and partner.company_id != self.company_id:
            raise UserError(
                self.env._(
                    "%(customer)s belongs to another company, so money of %(company)s "
                    "cannot be this customer's credit. Nothing was booked: choose "
                    "another customer.",
                    customer=partner.display_name,
                    company=self.company_id.display_name,
                )
            )
        chosen = sum(amount for _move, amount in allocations)
        if self.currency_id.compare_amounts(chosen, self.amount) > 0:
            raise UserError(
                self.env._(
                    "You gave out %(chosen)s, but only %(amount)s were paid. Nothing "
                    "was booked: lower one of the amounts.",
                    chosen=self.currency_id.format(chosen),
                    amount=self.currency_id.format(self.amount),
                )
            )

    def _check_allocation(self, move, amount):
        self.ensure_one()
        move.check_access("read")
        if not move.filtered_domain(self._open_bill_domain()):
            raise UserError(
                self.env._(
                    "%(invoice)s of %(customer)s is not an open customer invoice of "
                    "%(company)s (any more), so it cannot be paid. Nothing was booked: "
                    "choose another one, or keep the money as credit.",
                    invoice=move.display_name,
                    customer=move.partner_id.display_name,
                    company=self.company_id.display_name,
                )
            )
        due = move._billpay_due_in(self.currency_id)
        if self.currency_id.compare_amounts(amount, 0) <= 0:
            raise UserError(
                self.env._(
                    "The amount for %s must be more than zero. Nothing was booked.",
                    move.display_name,
                )
            )
        if self.currency_id.compare_amounts(amount, due) > 0:
            raise UserError(
                self.env._(
                    "%(invoice)s asks for %(due)s only. Nothing was booked: lower the "
                    "amount; what is left over is kept as credit.",
                    invoice=move.display_name,
                    due=self.currency_id.format(due),
                )
            )

    def _decision_text(self, allocations, partner):
        parts = [
            self.env._(
                "%(amount)s for %(invoice)s",
                amount=self.currency_id.format(amount),
                invoice=move.display_name,
            )
            for move, amount in allocations
        ]
        rest = self.amount - sum(amount for _move, amount in allocations)
        if self.currency_id.compare_amounts(rest, 0) > 0:
            parts.append(
                self.env._(
                    "%(amount)s as credit of %(customer)s",
                    amount=self.currency_id.format(rest),
                    customer=partner.display_name,
                )
            )
        return self.env._(
            "Matched by %(user)s: %(what)s.",
            user=self.env.user.name,
            what=", ".join(parts),
        )

    # === AFTER IT IS BOOKED === #

    def _use_credit(self, moves):
        """Let open credit of this booked payment pay invoices of its customer.

        :param moves: open invoices, the first is paid first
        """
        self.ensure_one()
        self._check_accountant()
        self._hold()
        if self.state != "posted" or self.credit_open <= 0:
            raise UserError(
                self.env._(
                    "%s has no open credit (any more), so nothing was changed. Look at "
                    "the payment again.",
                    self.display_name,
                )
            )
        for move in moves:
            self._check_allocation(move, move._billpay_due_in(self.currency_id))
            if move.partner_id.commercial_partner_id != (
                self.partner_id.commercial_partner_id
            ):
                raise UserError(
                    self.env._(
                        "The credit belongs to %(customer)s, and %(invoice)s does not. "
                        "Nothing was changed: if the money was booked for the wrong "
                        "customer, undo the match first.",
                        customer=self.partner_id.display_name,
                        invoice=move.display_name,
                    )
                )
            lines = self.sudo()._open_lines(move.sudo())
            for account, due in lines.grouped("account_id").items():
                credit = self.sudo()._open_credit_lines()
                credit = credit.filtered(lambda line, a=account: line.account_id == a)
                if credit:
                    (due + credit).reconcile()
        self.invalidate_recordset(["credit_open"])
        self.sudo()._message_log(
            body=self.env._(
                "%(user)s used its credit for %(invoices)s.",
                user=self.env.user.name,
                invoices=", ".join(moves.mapped("display_name")),
            )
        )
        if self.currency_id.compare_amounts(self.credit_open, 1) < 0:
            self.sudo().write({"attention": False, "reason": False})
