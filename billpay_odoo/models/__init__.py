# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

# Before account_move: what credit pays, no number asks for.
from . import account_move_credit
from . import account_move
from . import account_move_asking
from . import account_move_numbers
from . import account_move_send
from . import account_move_sending
from . import account_move_sequence
from . import account_partial_reconcile
from . import account_payment
from . import billpay_channel
from . import billpay_control_number
from . import billpay_control_number_binding
from . import billpay_control_number_page
from . import billpay_control_number_successor
from . import billpay_control_number_sync
from . import billpay_event
from . import billpay_payment
from . import billpay_payment_allocation
from . import billpay_payment_confirming
from . import billpay_payment_entry
from . import billpay_payment_matching
from . import billpay_payment_posting
from . import billpay_payment_reversal
from . import billpay_payment_shares
from . import billpay_payment_telling
from . import billpay_payment_worker
from . import payment_provider
from . import payment_provider_booking
from . import payment_provider_connection
from . import payment_provider_numbering
from . import payment_provider_poll
from . import res_company
from . import res_config_settings
from . import res_partner
