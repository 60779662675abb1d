# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import account_move
from . import account_move_refused
from . import account_move_send
from . import account_move_sending
from . import account_partial_reconcile
from . import account_payment
from . import billpay_call_slot
from . import billpay_channel
from . import billpay_control_number
from . import billpay_control_number_calls
from . import billpay_control_number_outcomes
from . import billpay_control_number_page
from . import billpay_control_number_refused
from . import billpay_control_number_sync
from . import billpay_event
from . import billpay_payment
from . import billpay_payment_allocation
from . import billpay_payment_posting
from . import billpay_payment_worker
from . import payment_provider
from . import payment_provider_calls
from . import payment_provider_connection
from . import payment_provider_poll
from . import res_company
from . import res_config_settings
