# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The digits of control numbers: prefix, running number, two check digits."""

import itertools

from stdnum.iso7064 import mod_97_10

from odoo import models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from ...exceptions import NumberSpaceExhausted
from ...identity import number_key

CHECK_DIGITS = 2
# How often taken digits are leapt over before a person is asked, and how many numbers
# beyond them are looked at, doubling.
MAX_ROUNDS, AHEAD = 8, 1000
# Digits that ClickPesa has already come in rows, as after a restored backup: each
# further collision of a number leaps so many times as far, but at most so far, and
# over no more than this part of what is left.
LEAP, LARGEST_LEAP, LEAST_LEFT = 8, 50_000, 0.01
# The digits that a payment and a delivery name, without a suffix. An index has no room
# for what anybody may send.
PAID = "left(split_part(number, '-', 1), 40)"
DELIVERED = (
    r"substring(body from '\"(?:orderReference|reference)\"\s*:\s*"
    r"\"?\s*([0-9A-Za-z]{1,40})')"
)


class BillpayNumbering(models.AbstractModel):
    """Take the next digits of an application: no other makes the same."""

    _name = "billpay.numbering"
    _description = "BillPay Numbering"

    def _with_check_digits(self, prefix, digits, value):
        body = "%s%0*d" % (prefix, digits, value)
        return body + mod_97_10.calc_check_digits(body)

    def _beginning(self, provider, offline=False):
        """Return the digits with which a number begins.

        One that ClickPesa does not know is payable only in the merchant's own space,
        whatever the registered ones begin with.
        """
        prefix = provider.clickpesa_number_prefix or ""
        namba = provider.clickpesa_billpay_namba or ""
        if offline:
            return prefix if namba and prefix.startswith(namba) else namba
        return prefix or namba

    def _next_references(self, provider, count, offline=False, partly=False):
        """Take ``count`` new order references.

        Beginning, a running number, two check digits (ISO 7064 MOD 97-10, which finds
        every single wrong digit and every swap of neighbours). Digits that were ever
        seen (imported, or after the counter was set back) are leapt over.

        :param bool offline: of numbers that ClickPesa does not know
        :param bool partly: fewer will do, but not none
        :rtype: list[str]
        :raise NumberSpaceExhausted: no BillPay-Namba, no counter, or the digits are
            used up
        """
        if not count:
            return []
        env = provider.env
        prefix = self._beginning(provider, offline)
        if not prefix:
            raise NumberSpaceExhausted(
                env._(
                    "The ClickPesa application %(name)s has no BillPay-Namba, so no "
                    "control number can be made. Enter its four digits under "
                    "Invoicing, Configuration, BillPay, BillPay Applications.",
                    name=provider.name,
                )
            )
        digits = provider.clickpesa_number_length - len(prefix) - CHECK_DIGITS
        counting = self._counting(provider, prefix)
        references, step, ahead = [], count, AHEAD
        for _round in range(MAX_ROUNDS):
            values = self._count_on(counting, step)
            free = self._free(prefix, digits, values)
            missing = count - len(references)
            references += free[:missing]
            if len(references) == count:
                return references
            if values[-1] + 1 >= 10**digits:
                if partly and references:
                    return references
                raise NumberSpaceExhausted(
                    env._(
                        "Application %(name)s has no control numbers left with "
                        "%(digits)s digits. No number was created and no money is "
                        "affected: increase the number length on the application.",
                        name=provider.name,
                        digits=max(digits, 0),
                    )
                )
            # As far as the next free ones, and no number further.
            beyond = range(values[-1] + 1, min(values[-1] + 1 + ahead, 10**digits))
            free = self._free(prefix, digits, beyond)[: count - len(references)]
            last = int(free[-1][len(prefix) : -CHECK_DIGITS]) if free else beyond[-1]
            step, ahead = last - values[-1], ahead * 2
        raise NumberSpaceExhausted(
            env._(
                "The counter of the ClickPesa application %s is far behind the control "
                "numbers that exist. No number was made and no money is affected: "
                "raise the counter's next number under Settings, Technical, Sequences.",
                provider.name,
            )
        )

    def _counting(self, provider, prefix):
        """Return the application whose counter counts what begins like this.

        One for all of one length, or two would count to the same digits at once.
        """
        if prefix == self._beginning(provider):
            return provider
        apps = provider.sudo().search([("code", "=", "clickpesa")], order="id")
        apps = apps.filtered(
            lambda app: app.clickpesa_number_length == provider.clickpesa_number_length
        )
        alike = apps.filtered(lambda app: self._beginning(app) == prefix)
        alike += apps.filtered(lambda app: self._beginning(app, True) == prefix)
        return alike[0]

    def _count_on(self, provider, count):
        """Return the next ``count`` running numbers, taken or not.

        :raise NumberSpaceExhausted: the counter cannot count
        """
        env = provider.env
        sequence_sudo = provider.sudo().clickpesa_sequence_id or env.ref(
            "billpay_odoo.sequence_control_number", raise_if_not_found=False
        )
        # One that leaves no gaps has no sequence in the database, and everybody who
        # confirms would wait for everybody else: it is not asked.
        rows = sequence_sudo and env.execute_query(
            SQL(
                "SELECT nextval(to_regclass(%s)) FROM generate_series(1, %s)",
                "ir_sequence_%03d" % sequence_sudo.id,
                count,
            )
        )
        if rows and rows[0][0] is not None:
            return [value for (value,) in rows]
        raise NumberSpaceExhausted(
            env._(
                "%(counter)s, the counter of the ClickPesa application %(name)s, "
                "cannot count control numbers. No number was made and no money is "
                "affected: set its Implementation to Standard under Settings, "
                "Technical, Sequences, or choose another Counter on the application.",
                counter=(sequence_sudo and sequence_sudo.sudo().name) or "?",
                name=provider.name,
            )
        )

    def _free(self, prefix, digits, values):
        """Return the references of these running numbers that nobody has seen yet."""
        values = [value for value in values if value < 10**digits]
        names = [self._with_check_digits(prefix, digits, value) for value in values]
        if not names:
            return []
        # Whatever the application: digits mean one thing to a payer. A payment holds
        # its digits also when its number is gone, as after a restored backup.
        taken = self.env.execute_query(
            SQL(
                """
                    SELECT name FROM billpay_control_number WHERE name IN %(names)s
                     UNION ALL
                    SELECT %(paid)s FROM billpay_payment WHERE %(paid)s IN %(names)s
                     UNION ALL
                    SELECT %(delivered)s FROM billpay_event
                     WHERE state IN ('new', 'failed') AND %(delivered)s IN %(names)s
                    """,
                names=tuple(names),
                paid=SQL(PAID),
                delivered=SQL(DELIVERED),
            )
        )
        return [name for name in names if (name,) not in taken]

    def _leap(self, provider, collisions):
        """Leave out digits: those that came were others' so many times in a row."""
        digits = provider.clickpesa_number_length - CHECK_DIGITS
        digits -= len(self._beginning(provider))
        far = min(LEAP ** min(collisions - 1, 10), LARGEST_LEAP)
        [value] = self._count_on(provider, 1)
        if (far := min(far, int((10**digits - value) * LEAST_LEFT))) > 0:
            self._count_on(provider, far)

    def _known(self, provider, names):
        """Return the set of those of these digits that the merchant has, as keys."""
        numbers_sudo = self.env["billpay.control.number"].sudo()
        apps = provider._billpay_of_merchant()
        found = Domain("provider_id", "in", apps.ids)
        found &= numbers_sudo._domain_of_keys(names)
        return {number_key(name) for name in numbers_sudo.search(found).mapped("name")}

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
