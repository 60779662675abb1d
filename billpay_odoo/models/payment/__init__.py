# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import billpay_booking
from . import billpay_decision
from . import billpay_entries
from . import billpay_event
from . import billpay_ledger
from . import billpay_payment
from . import billpay_payment_allocation
from . import billpay_poll
from . import billpay_receipt
from . import billpay_reversal
from . import billpay_suggestion
from . import billpay_worker
