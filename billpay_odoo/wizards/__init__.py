# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import base_partner_merge
from . import billpay_card_print
from . import billpay_contact_match
from . import billpay_import_mapping
from . import billpay_import
from . import billpay_number_change
from . import billpay_number_import
from . import billpay_partner_number
from . import billpay_payment_entry
from . import billpay_payment_import
from . import billpay_payment_match
from . import billpay_payment_reason
from . import billpay_run_send
from . import billpay_run_undo
from . import billpay_run_wizard
