# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How payments are called and compared that are known from a person and a receipt."""

from dataclasses import replace

# Sources of the upsert behind which a person stands.
ENTERED = ("typed", "import")
# A payment that is known by its receipt only is called so until ClickPesa names it.
PROVISIONAL_PREFIX = "RECEIPT/"
# What was merged into another row has let go of its name.
MERGED_PREFIX = "MERGED/"


def receipt_key(receipt):
    """Return a receipt as receipts are compared: without blanks and letter case."""
    return "".join((receipt or "").split()).upper()


def without_our_names(told):
    """Return what was told, under a name that is not one of ours.

    Nobody but us gives a payment such a name; an announcement that did could stand in
    the way of the receipt that a person enters.
    """
    if told.id.startswith((PROVISIONAL_PREFIX, MERGED_PREFIX)):
        return replace(told, id="ClickPesa " + told.id)
    return told
