# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import account_move
from . import account_move_send
from . import account_partial_reconcile
from . import account_payment
from . import billpay_bill
from . import billpay_reservation
from . import payment_transaction
