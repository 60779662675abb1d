# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Since 19.0.1.6.0 new numbers are sent before changes, and amounts before texts."""


def rank_changes(cr):
    """Let the changes that wait already go behind new numbers."""
    cr.execute(
        """
        UPDATE billpay_control_number SET sync_rank = 1
         WHERE sync_at IS NOT NULL AND confirmed_at IS NOT NULL
        """
    )


def migrate(cr, version):
    rank_changes(cr)
