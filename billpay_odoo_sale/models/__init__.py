# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import account_move, billpay_reservation, payment_transaction, sale_order
