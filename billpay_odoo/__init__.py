# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import controllers
from . import models

from odoo.addons.payment import reset_payment_provider, setup_provider


def post_init_hook(env):
    """Create the accounting payment method behind the ``clickpesa`` provider code."""
    setup_provider(env, "clickpesa")


def uninstall_hook(env):
    """Detach the provider; journal entries and payments stay as they are."""
    reset_payment_provider(env, "clickpesa")
