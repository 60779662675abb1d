# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Numbers know at which place ClickPesa confirmed them: so far at the present one."""


def migrate(cr, version):
    cr.execute(
        """
        UPDATE billpay_control_number n
           SET known_at = p.billpay_place
          FROM payment_provider p
         WHERE p.id = n.provider_id AND n.confirmed_at IS NOT NULL
           AND n.known_at IS NULL
        """
    )
