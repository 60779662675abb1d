# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo.exceptions import UserError


class NumberSpaceExhausted(UserError):
    """An application can make no digits; nothing was written of what lacks them."""


class ForbiddenMove(Exception):
    """A payment was to enter a state that it cannot enter from where it is."""
