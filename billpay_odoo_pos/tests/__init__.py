# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import (
    test_billpay_till_balance,
    test_billpay_till_entries,
    test_pos_config,
    test_pos_order,
    test_pos_order_tours,
    test_pos_session,
    test_rights_generated,
    test_self_order,
    test_till,
    test_till_claim,
    test_till_crashes,
    test_till_devices,
    test_till_entries,
    test_till_tours,
    test_till_upgrade,
    test_till_walks,
    test_walks,
)
from . import test_translations
