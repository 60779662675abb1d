# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import checkout
from . import health
from . import pay_page
from . import portal
from . import webhook
