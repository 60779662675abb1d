# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import test_checkout_devices
from . import test_order_life
from . import test_order_loyalty
from . import test_payment_transaction
from . import test_rights_generated
from . import test_sale_order
from . import test_translations
from . import test_walks
