# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The digits of control numbers: prefix, running number, two check digits."""

import itertools

from stdnum.iso7064 import mod_97_10

from odoo import models
from odoo.exceptions import ValidationError
from odoo.tools import SQL

from ...exceptions import NumberSpaceExhausted

# How often taken digits are skipped before a person is asked.
MAX_ROUNDS = 20


class BillpayNumbering(models.AbstractModel):
    """Take the next digits of an application: no other makes the same."""

    _name = "billpay.numbering"
    _description = "BillPay Numbering"

    def _with_check_digits(self, prefix, digits, value):
        body = "%s%0*d" % (prefix, digits, value)
        return body + mod_97_10.calc_check_digits(body)

    def _next_references(self, provider, count):
        """Take ``count`` new order references.

        Prefix, a running number, two check digits (ISO 7064 MOD 97-10, which finds
        every single wrong digit and every swap of neighbours). Digits that are here
        already (imported, or after the counter was set back) are skipped.

        :rtype: list[str]
        :raise NumberSpaceExhausted: no BillPay-Namba, or the digits are used up
        """
        if not provider._billpay_prefix():
            raise NumberSpaceExhausted(
                provider.env._(
                    "The ClickPesa application %(name)s has no BillPay-Namba, so no "
                    "control number can be made. Enter its four digits under "
                    "Invoicing, Configuration, BillPay, BillPay Applications.",
                    name=provider.name,
                )
            )
        references = []
        for _round in range(MAX_ROUNDS):
            fresh = self._count_on(provider, count - len(references))
            taken = provider.env.execute_query(
                SQL(
                    "SELECT name FROM billpay_control_number WHERE name IN %s",
                    tuple(fresh),
                )
            )
            references += [name for name in fresh if (name,) not in taken]
            if len(references) == count:
                return references
        raise NumberSpaceExhausted(
            provider.env._(
                "The counter of the ClickPesa application %s is far behind the control "
                "numbers that exist. No number was made and no money is affected: "
                "raise the counter's next number under Settings, Technical, Sequences.",
                provider.name,
            )
        )

    def _count_on(self, providers, count):
        """Return the next ``count`` references, taken or not."""
        sequence_sudo = (
            providers.sudo().clickpesa_sequence_id
            or providers.env.ref("billpay_odoo.sequence_control_number").sudo()
        )
        rows = providers.env.execute_query(
            SQL(
                "SELECT nextval(%s) FROM generate_series(1, %s)",
                "ir_sequence_%03d" % sequence_sudo.id,
                count,
            )
        )
        prefix, digits = providers._billpay_prefix(), providers._billpay_digits()
        if rows[-1][0] >= 10**digits:
            raise NumberSpaceExhausted(
                providers.env._(
                    "Application %(name)s has no control numbers left with %(digits)s "
                    "digits. No number was created and no money is affected: increase "
                    "the number length on the application.",
                    name=providers.name,
                    digits=digits,
                )
            )
        return [self._with_check_digits(prefix, digits, value) for (value,) in rows]

    def _check_spaces(self, providers):
        """No two applications can make the same digits.

        :raise ValidationError: one of these and another one could
        """
        ours = providers.filtered(lambda p: p.code == "clickpesa")
        ours = ours.filtered(lambda p: p._billpay_prefix())
        others = ours.sudo().search([("code", "=", "clickpesa")])
        for provider, other in itertools.product(ours, others):
            mine, theirs = provider._billpay_prefix(), other._billpay_prefix()
            if (
                provider != other
                and theirs
                and other.clickpesa_number_length == provider.clickpesa_number_length
                and (mine.startswith(theirs) or theirs.startswith(mine))
                # One counter never counts to the same number twice.
                and not (
                    mine == theirs
                    and provider.clickpesa_sequence_id == other.clickpesa_sequence_id
                )
            ):
                message = providers.env._(
                    "The applications %(name)s and %(other)s would make the same "
                    "control numbers, and money could reach the wrong books. Nothing "
                    "was saved: let their numbers begin differently, have another "
                    "length, or begin alike and share one counter.",
                    name=provider.name,
                    other=other.name,
                )
                raise ValidationError(message)
