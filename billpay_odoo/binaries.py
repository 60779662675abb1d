# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a binary field gives and takes: base64, in this version of Odoo."""

import base64


def to_field(content):
    """Return the value of a binary field that holds these bytes."""
    return base64.b64encode(content)


def from_field(value):
    """Return the bytes in the value of a binary field.

    :raise binascii.Error: it is not base64
    """
    return base64.b64decode(value, validate=True)
