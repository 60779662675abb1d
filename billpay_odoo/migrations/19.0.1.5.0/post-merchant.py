# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Write down which applications are of one merchant.

Since 19.0.1.5.0 a payment is one row per merchant, and no longer per application. Rows
that stand for one payment are united; of two that are both booked a person has to undo
one. The unique index is made when all modules are loaded.
"""

from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    env = api.Environment(cr, SUPERUSER_ID, {"active_test": False})
    env["billpay.gate"]._tell_merchants()
