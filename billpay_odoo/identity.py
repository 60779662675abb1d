# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Normal forms: what is the same is decided here."""

from odoo.tools.misc import OrderedSet


def without_blanks(value):
    """Return what was typed into a search as the digits are stored.

    :param value: a text, or a collection of texts (Odoo turns "=" into "in")
    """
    if isinstance(value, str):
        return "".join(value.split())
    if isinstance(value, list | tuple | set | OrderedSet):
        return [without_blanks(item) for item in value]
    return value
