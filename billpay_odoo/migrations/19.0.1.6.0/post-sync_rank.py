# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).


def migrate(cr, version):
    """New numbers are sent before the changes that wait already."""
    cr.execute(
        """
            UPDATE billpay_control_number SET sync_rank = 1
             WHERE sync_at IS NOT NULL AND confirmed_at IS NOT NULL
            """
    )
