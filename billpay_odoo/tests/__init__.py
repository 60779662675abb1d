# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import test_application
from . import test_channel
from . import test_concurrency
from . import test_control_number
from . import test_desk
from . import test_invoice
from . import test_invoice_document
from . import test_pay_page
from . import test_payment
from . import test_rights
from . import test_webhook
from . import test_send_cron
