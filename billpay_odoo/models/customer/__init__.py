# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import billpay_purpose
from . import billpay_statement
from . import res_partner
from . import res_users
