# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import models
from odoo.exceptions import UserError

from ... import money
from ...exceptions import NumberSpaceExhausted


class BillpayBill(models.AbstractModel):
    """Anything that asks for money with control numbers: invoice, checkout, order."""

    _name = "billpay.bill.mixin"
    _description = "BillPay Bill"

    # === NUMBERS AND MONEY === #

    def _billpay_numbers(self):
        """Return all numbers that asked for these bills, in sudo, the oldest first."""
        return self.sudo().billpay_number_ids.sorted("id")

    def _billpay_living(self):
        """Return the numbers that ask for these bills now, the oldest first."""
        return self._billpay_numbers()._living()

    def _billpay_booked(self):
        """Return the payments booked for these bills, by no person's choice."""
        return self._billpay_numbers()._money(("posted",))

    def _billpay_received(self, states=("posted",)):
        """Return the TZS of payments in these states, by default what is booked."""
        return self._billpay_numbers()._received(states)

    # === WHAT IS ASKED === #

    def _billpay_asked(self):
        """Return what this bill asks for in all, in TZS, whole shillings."""
        raise NotImplementedError(self._name)

    def _billpay_left(self):
        """Return what is left to pay, in TZS."""
        return max(self._billpay_asked() - self._billpay_received(), 0)

    def _billpay_open_items(self):
        """Return the open receivable items that money for these bills pays."""
        return self.env["account.move.line"]

    def _billpay_title(self):
        return self.display_name

    def _billpay_page_bill(self, number):
        """Return what a pay page tells about the bill, to whoever holds the link.

        :return: dict with ``name``, ``due`` (date or False) and ``customer`` (str), all
            possibly empty, and ``label`` where the bill is no invoice
        """
        name = self._billpay_title() or ""
        return {"name": name, "due": False, "customer": "", "label": "order"}

    def _billpay_letter(self):
        """Return the document on which its customer is told of a number for a rest."""
        return self.browse()

    def _billpay_reserve(self, wake=True):
        """Return the number that asks for what is left, made where it is missing.

        :param bool wake: whether the sync worker is to register it
        :raise ConcurrencyError: another transaction makes it meanwhile
        :raise NumberSpaceExhausted: the application can make no more numbers
        """
        raise NotImplementedError(self._name)

    # === EVENTS === #

    def _billpay_on_money(self, payment):
        """Follow a payment that is booked for this bill, in the same transaction.

        :param billpay.payment payment: booked, and no person chose otherwise
        """

    def _billpay_on_taken_back(self, payment, reason):
        """Follow money for this bill that ClickPesa took back: call its people.

        :param billpay.payment payment: its entry is reversed, or a person is to do it
        :param str reason: what happened
        """
        summary = self.env._("Payment reversed: %s", payment.display_name)
        for document, user in self._billpay_people().items():
            # Several bills of one payment may be of one order.
            if summary not in document.activity_ids.mapped("summary"):
                person = payment.company_id._billpay_person_in_charge(user)
                document.activity_schedule(
                    "mail.mail_activity_data_warning",
                    summary=summary,
                    note=reason,
                    user_id=person.id,
                )

    def _billpay_people(self):
        """Return what was sold with this bill, and who sold it. Extended by glue.

        :return: ``{record with activities: user}``
        """
        return {}

    def _billpay_ask_for_rest(self, left):
        """Ask for what a payer left, and return the sentence about it for a person.

        The money that came is booked whether or not there is a number for the rest.

        :param float left: TZS
        """
        values = {
            "reference": self._billpay_title(),
            "left": money.shillings(self.env).format(left),
        }
        try:
            with self.env.cr.savepoint():
                rest = self._billpay_reserve()
        except (NumberSpaceExhausted, UserError) as error:
            return self.env._(
                "%(reference)s is partially paid; %(left)s remains, but no number "
                "could be created: %(error)s Collect it another way.",
                error=error,
                **values,
            )
        return self.env._(
            "%(reference)s is partially paid. Control number %(number)s collects the "
            "remaining %(left)s.",
            number=rest.display_number,
            **values,
        )
