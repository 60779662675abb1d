# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import billpay_channel
from . import billpay_control_number
from . import billpay_pay_page
from . import billpay_sync
