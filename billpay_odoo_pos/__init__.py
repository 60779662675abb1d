# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import models


def uninstall_hook(env):
    """Take the methods off the tills and archive them.

    Without the add-on they would be methods like any other, and goods would leave
    unpaid. Their payments stay as they are.
    """
    # Odoo refuses while a session is open; here nothing asks.
    env.cr.execute(
        """
        DELETE FROM pos_config_pos_payment_method_rel
         WHERE pos_payment_method_id IN (
               SELECT id FROM pos_payment_method
                WHERE use_payment_terminal = 'billpay')
        """
    )
    env.cr.execute(
        "UPDATE pos_payment_method SET active = false, use_payment_terminal = NULL"
        " WHERE use_payment_terminal = 'billpay'"
    )
    env.invalidate_all()
