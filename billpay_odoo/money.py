# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Shillings: whole ones, and what other currencies are worth in them."""

import math


def whole_shillings(amount):
    """Round an amount in TZS up: a handset takes no cents.

    What is less than half a cent is the float's, and not the payer's.
    """
    return math.ceil(round(amount, 2) - 0.001)
