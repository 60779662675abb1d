# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import billpay_comparison
from . import billpay_day
from . import billpay_day_item
from . import billpay_statement_fetch
from . import billpay_statement_row
from . import billpay_third_ear
