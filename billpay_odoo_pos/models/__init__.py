# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import (
    account_move_line,
    billpay_booking,
    billpay_control_number,
    billpay_decision,
    billpay_health,
    billpay_payment,
    billpay_reservation,
    billpay_reversal,
    billpay_till_balance,
    billpay_till_claim,
    billpay_till_entries,
    pos_config,
    pos_order,
    pos_payment,
    pos_payment_method,
    pos_session,
    report_sale_details,
    res_config_settings,
)
