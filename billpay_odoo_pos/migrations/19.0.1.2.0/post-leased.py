# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).


def migrate(cr, version):
    """Count every device that holds numbers as heard of now: it may be in use."""
    cr.execute(
        """
        UPDATE billpay_control_number
           SET pos_leased_at = now() AT TIME ZONE 'UTC'
         WHERE pos_device IS NOT NULL AND pos_order_uuid IS NULL
        """
    )
