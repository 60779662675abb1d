# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The digits of control numbers: prefix, running number, two check digits."""

import re

from stdnum.iso7064 import mod_97_10

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL

from ..exceptions import NoDigits

# ClickPesa caps the references of its sibling API at 20 characters; below six there
# is no room for a prefix, a running number and the check digits.
SHORTEST, LONGEST = 6, 20
CHECK_DIGITS = 2
# A running number shorter than this is used up within days.
FEWEST_DIGITS = 3
# How often taken digits are skipped before a person is asked.
MAX_ROUNDS = 20


class PaymentProvider(models.Model):
    _inherit = "payment.provider"  # pylint: disable=consider-merging-classes-inherited

    clickpesa_number_prefix = fields.Char(
        string="Numbers Begin With",
        size=LONGEST,
        copy=False,
        help="Digits. Empty: the BillPay-Namba, which keeps your numbers in your own "
        "space at ClickPesa.",
    )
    clickpesa_number_length = fields.Integer(
        string="Digits of a Number",
        default=14,
        help="All digits of a control number: prefix, running number and two check "
        "digits. Between 6 and 20.",
    )
    clickpesa_sequence_id = fields.Many2one(
        "ir.sequence",
        string="Counter",
        domain="[('implementation', '=', 'standard')]",
        default=lambda self: self._default_clickpesa_sequence_id(),
        ondelete="restrict",
        help="Counts the numbers. Applications whose numbers begin alike share one, so "
        "that they never make the same digits.",
    )
    clickpesa_number_example = fields.Char(
        string="Example", compute="_compute_clickpesa_number_example"
    )

    @api.model
    def _default_clickpesa_sequence_id(self):
        return self.env.ref(
            "billpay_odoo.sequence_control_number", raise_if_not_found=False
        )

    # === COMPUTE METHODS === #

    @api.depends(
        "code",
        "clickpesa_billpay_namba",
        "clickpesa_number_prefix",
        "clickpesa_number_length",
    )
    def _compute_clickpesa_number_example(self):
        for provider in self:
            prefix, digits = provider._billpay_prefix(), provider._billpay_digits()
            provider.clickpesa_number_example = (
                self._billpay_with_check_digits(prefix, digits, 42)
                if provider.code == "clickpesa" and prefix and digits >= FEWEST_DIGITS
                else False
            )

    # === CONSTRAINT METHODS === #

    @api.constrains(
        "code",
        "clickpesa_billpay_namba",
        "clickpesa_number_prefix",
        "clickpesa_number_length",
        "clickpesa_number_origin",
    )
    def _check_clickpesa_numbering(self):
        for provider in self.filtered(lambda p: p.code == "clickpesa"):
            prefix = provider.clickpesa_number_prefix or ""
            if prefix and not re.fullmatch(r"[0-9]+", prefix):
                raise ValidationError(
                    self.env._(
                        "Control numbers begin with digits only: phone menus may take "
                        "no letters. Nothing was saved: correct %s.",
                        prefix,
                    )
                )
            if not SHORTEST <= provider.clickpesa_number_length <= LONGEST:
                raise ValidationError(
                    self.env._(
                        "A control number has between %(shortest)s and %(longest)s "
                        "digits. Nothing was saved: 14 is a good choice.",
                        shortest=SHORTEST,
                        longest=LONGEST,
                    )
                )
            if (
                provider._billpay_prefix()
                and provider._billpay_digits() < FEWEST_DIGITS
            ):
                raise ValidationError(
                    self.env._(
                        "Of %(length)s digits the beginning %(prefix)s and two check "
                        "digits leave too few for a running number. Nothing was saved: "
                        "choose a greater length.",
                        length=provider.clickpesa_number_length,
                        prefix=provider._billpay_prefix(),
                    )
                )
            namba = provider.clickpesa_billpay_namba or ""
            if (
                provider.clickpesa_number_origin == "offline"
                and prefix
                and not prefix.startswith(namba)
            ):
                raise ValidationError(
                    self.env._(
                        "Offline numbers begin with the BillPay-Namba %s: money sent "
                        "to others would not reach you. Nothing was saved: correct "
                        "the beginning, or leave it empty.",
                        namba,
                    )
                )

    @api.constrains(
        "code",
        "clickpesa_billpay_namba",
        "clickpesa_number_prefix",
        "clickpesa_number_length",
        "clickpesa_sequence_id",
    )
    def _check_clickpesa_number_space(self):
        """No two applications can make the same digits."""
        ours = self.filtered(lambda p: p.code == "clickpesa" and p._billpay_prefix())
        if not ours:
            return
        others = self.sudo().search([("code", "=", "clickpesa")])
        for provider in ours:
            mine = provider._billpay_prefix()
            for other in others - provider:
                theirs = other._billpay_prefix()
                if (
                    not theirs
                    or other.clickpesa_number_length != provider.clickpesa_number_length
                    or not (mine.startswith(theirs) or theirs.startswith(mine))
                ):
                    continue
                if mine == theirs and (
                    provider.clickpesa_sequence_id == other.clickpesa_sequence_id
                ):
                    continue
                raise ValidationError(
                    self.env._(
                        "The applications %(name)s and %(other)s would make the same "
                        "control numbers, and money could reach the wrong books. "
                        "Nothing was saved: let their numbers begin differently, have "
                        "another length, or begin alike and share one counter.",
                        name=provider.name,
                        other=other.name,
                    )
                )

    # === BUSINESS METHODS === #

    def _billpay_prefix(self):
        """Return the digits with which this application's numbers begin."""
        self.ensure_one()
        return self.clickpesa_number_prefix or self.clickpesa_billpay_namba or ""

    def _billpay_digits(self):
        """Return how many digits the running number has."""
        self.ensure_one()
        return self.clickpesa_number_length - len(self._billpay_prefix()) - CHECK_DIGITS

    @api.model
    def _billpay_with_check_digits(self, prefix, digits, value):
        body = "%s%0*d" % (prefix, digits, value)
        return body + mod_97_10.calc_check_digits(body)

    def _billpay_next_references(self, count):
        """Take ``count`` new order references.

        Prefix, a running number, two check digits (ISO 7064 MOD 97-10, which finds
        every single wrong digit and every swap of neighbours). A PostgreSQL sequence
        takes no lock; its gaps are harmless. Digits that are here already (imported,
        or after the counter was set back) are skipped.

        :rtype: list[str]
        :raise NoDigits: the application has no BillPay-Namba, or its digits are
            used up
        """
        self.ensure_one()
        if not self._billpay_prefix():
            raise NoDigits(
                self.env._(
                    "The ClickPesa application %(name)s has no BillPay-Namba, so no "
                    "control number can be made. Enter its four digits under "
                    "Invoicing, Configuration, BillPay, BillPay Applications.",
                    name=self.name,
                )
            )
        references = []
        for _round in range(MAX_ROUNDS):
            fresh = self._billpay_count_on(count - len(references))
            taken = {
                name
                for (name,) in self.env.execute_query(
                    SQL(
                        "SELECT name FROM billpay_control_number WHERE name IN %s",
                        tuple(fresh),
                    )
                )
            }
            references += [name for name in fresh if name not in taken]
            if len(references) == count:
                return references
        raise NoDigits(
            self.env._(
                "The counter of the ClickPesa application %s is far behind the control "
                "numbers that exist. No number was made and no money is affected: "
                "raise the counter's next number under Settings, Technical, Sequences.",
                self.name,
            )
        )

    def _billpay_count_on(self, count):
        """Return the next ``count`` references, taken or not.

        :raise NoDigits: the digits are used up
        """
        sequence_sudo = (
            self.sudo().clickpesa_sequence_id
            or self.env.ref("billpay_odoo.sequence_control_number").sudo()
        )
        rows = self.env.execute_query(
            SQL(
                "SELECT nextval(%s) FROM generate_series(1, %s)",
                "ir_sequence_%03d" % sequence_sudo.id,
                count,
            )
        )
        prefix, digits = self._billpay_prefix(), self._billpay_digits()
        if rows[-1][0] >= 10**digits:
            raise NoDigits(
                self.env._(
                    "The control numbers of the ClickPesa application %(name)s are "
                    "used up: %(digits)s digits count no further. No number was made "
                    "and no money is affected: set a greater length on the "
                    "application.",
                    name=self.name,
                    digits=digits,
                )
            )
        return [
            self._billpay_with_check_digits(prefix, digits, value) for (value,) in rows
        ]
