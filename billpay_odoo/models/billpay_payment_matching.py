# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What is a confirmed payment for? The digits say so, or a person did."""

from odoo import api, models
from odoo.tools import SQL


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

    # What waits for its number, found without touching what is settled.
    _unmatched = models.Index("(number) WHERE state = 'unmatched'")

    # === MATCH === #

    def _match(self):
        """Find the control numbers; never by guess.

        The number as sent, then the part before the first "-": ClickPesa may add a
        suffix to repeated payments on a customer number.

        :return: the payments of which is known what they are for
        """
        self = self._without_twins()
        matched = self.browse()
        numbers = self._find_control_numbers()
        for payment in self:
            number = payment.control_number_id or numbers[payment]
            if payment._is_persons_choice():
                if number and payment.control_number_id != number:
                    payment.control_number_id = number
                matched |= payment
                continue
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

    def _is_persons_choice(self):
        """Whether a person decided what this payment is for."""
        return bool(self.allocation_ids or self.matched_partner_id)

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

    # === LATE BINDING === #

    @api.model
    def _bind_forgotten(self):
        """Let payments be booked whose number appeared unseen.

        A number that is committed while a worker books does not see a payment that
        this worker is leaving unmatched, and the worker does not see the number. Nor
        does a number wake anybody that ClickPesa confirms after it was closed, or that
        gets its customer later. So this looks again, whatever the reason.

        The cost grows with unmatched payments, not with numbers.

        :return: the payments that the worker is woken for
        """
        self.env["billpay.control.number"].flush_model()
        self.flush_model()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT number.id
                  FROM billpay_payment AS payment
                  JOIN billpay_control_number AS number
                    ON number.provider_id = payment.provider_id
                   AND upper(number.name) IN (
                           upper(payment.number),
                           split_part(upper(payment.number), '-', 1))
                 WHERE payment.state = 'unmatched' AND payment.number IS NOT NULL
                   AND number.confirmed_at IS NOT NULL
                   AND (number.move_id IS NOT NULL OR number.partner_id IS NOT NULL)
                """
            )
        )
        numbers = self.env["billpay.control.number"].sudo().browse(r[0] for r in rows)
        found = self.browse()
        for group in numbers.grouped("provider_id").values():
            found |= self._bind_waiting(group)
        return found

    @api.model
    def _bind_waiting(self, numbers):
        """Let payments be booked that waited for these numbers to exist.

        Called when numbers have become payable. One indexed query for all of them.

        :param numbers: control numbers
        :return: the payments that the worker is woken for
        """
        names = {number.name.upper() for number in numbers if number.confirmed_at}
        if not names:
            return self.browse()
        self.flush_model()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT id FROM billpay_payment
                 WHERE state = 'unmatched' AND number IS NOT NULL
                   AND undone_at IS NULL
                   AND confirmed_at IS NOT NULL AND amount > 0
                   AND currency_id IS NOT NULL AND provider_id IN %s
                   AND (upper(number) IN %s OR split_part(upper(number), '-', 1) IN %s)
                   -- A receipt that is booked, and told twice: that is for a person.
                   AND NOT EXISTS (
                       SELECT FROM billpay_payment AS other
                        WHERE other.provider_id = billpay_payment.provider_id
                          AND other.receipt_key = billpay_payment.receipt_key
                          AND other.id <> billpay_payment.id
                          AND other.posted_at IS NOT NULL
                          AND (other.confirmed_by_id IS NOT NULL
                               OR billpay_payment.confirmed_by_id IS NOT NULL)
                   )
                """,
                tuple(numbers.provider_id.ids),
                tuple(names),
                tuple(names),
            )
        )
        waiting = self.sudo().browse(row[0] for row in rows)
        if waiting:
            waiting.with_context(tracking_disable=True).write(
                {"state": "confirmed", "reason": False, "next_try_at": False}
            )
            self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")
        return waiting
