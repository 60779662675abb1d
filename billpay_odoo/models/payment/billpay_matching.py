# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Match payments with control numbers: by the digits, never by guess."""

from odoo import models
from odoo.fields import Domain

from ...identity import number_key


class BillpayMatching(models.AbstractModel):
    """Match payments with the control numbers that they were paid on."""

    _name = "billpay.matching"
    _description = "BillPay Matching"

    def _match(self, payments):
        """Find the control numbers; never by guess.

        The number as sent, then the part before the first "-": ClickPesa may add a
        suffix to repeated payments on a customer number.

        :return: the payments of which is known what they are for
        """
        payments = payments.env["billpay.receipt"]._without_twins(payments)
        matched = payments.browse()
        numbers = self._find_control_numbers(payments)
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

    def _find_control_number(self, payment, providers=None):
        payment.ensure_one()
        among = {payment: providers or payment.provider_id}
        return self._find_control_numbers(payment, among)[payment]

    def _search_control_numbers(self, payments, providers):
        """Numbers that any of these payments may mean; letter case does not count.

        Only numbers that a payer can have: digits that ClickPesa has not confirmed may
        be somebody else's there, as after a restored backup.
        """
        names = {name for payment in payments for name in payment._spellings()}
        numbers = payments.env["billpay.control.number"]
        return numbers.search(
            numbers._domain_of_keys(names)
            & Domain("provider_id", "in", providers.ids)
            & Domain("confirmed_at", "!=", False)
        )

    def _find_control_numbers(self, payments, among=None):
        """Return ``{payment: number}`` with one search.

        :param dict among: the applications to look in, by payment; else its own
        """
        nothing = payments.env["billpay.control.number"]
        among = among or {payment: payment.provider_id for payment in payments}
        providers = payments.provider_id.union(*among.values())
        known = {
            (number.provider_id, number_key(number.name)): number
            for number in self._search_control_numbers(payments, providers)
        }
        return {
            payment: next(
                (
                    known[provider, name]
                    for name in payment._spellings()
                    for provider in among[payment]
                    if (provider, name) in known
                ),
                nothing,
            )
            for payment in payments
        }
