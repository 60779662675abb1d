# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import billpay_guarded
from . import provider
from . import number
from . import bill
from . import payment
from . import customer
from . import run
from . import books
from . import res_company
from . import res_config_settings
