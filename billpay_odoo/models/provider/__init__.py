# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import billpay_call_slot
from . import billpay_connection_test
from . import billpay_gate
from . import billpay_health
from . import billpay_numbering
from . import payment_provider
