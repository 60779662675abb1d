# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Numbers whose registration was on its way when the add-on was upgraded.

Since 19.0.1.1.0 a row notes what was sent before it is sent, and only by that a number
at ClickPesa is recognised as ours. Rows from before have no such note: without one they
would take other digits, and ClickPesa would have two numbers for one bill.
"""


def migrate(cr, version):
    cr.execute(
        """
        UPDATE billpay_control_number
           SET sent = jsonb_build_array(jsonb_build_object(
                   'amount', COALESCE(amount, 0),
                   'description', COALESCE(description, '')))
         WHERE origin = 'api' AND confirmed_at IS NULL
           AND sync_attempts > 0 AND sent IS NULL
        """
    )
