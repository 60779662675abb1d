# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import test_allocation
from . import test_application
from . import test_channel
from . import test_concurrency
from . import test_confirming
from . import test_control_number
from . import test_desk
from . import test_fees
from . import test_foreign_currency
from . import test_invoice
from . import test_invoice_document
from . import test_late_binding
from . import test_number_asking
from . import test_number_making
from . import test_number_states
from . import test_pay_page
from . import test_payment
from . import test_posting
from . import test_reversal
from . import test_rights
from . import test_webhook
from . import test_send_cron
