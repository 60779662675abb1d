# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import test_rights_generated
from . import test_shop
from . import test_shop_walks
