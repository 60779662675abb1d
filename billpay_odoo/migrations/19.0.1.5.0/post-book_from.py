# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Since 19.0.1.5.0 an application books what is paid from a moment on, and whatever
ClickPesa calls a booked payment, if it is not paid, is looked into."""

from odoo import SUPERUSER_ID, api

from odoo.addons.billpay_odoo.clickpesa.values import is_paid

# What the version before acted on, or what there was nothing to act on.
KNOWN = ("SUCCESS", "SETTLED", "FAILED", "REFUNDED", "REVERSED")


def set_book_from(cr):
    """Let an application that was in use go on to book all that it would have booked.

    One that was never in use gets its moment when it is first enabled.
    """
    cr.execute(
        """
        UPDATE payment_provider AS provider
           SET billpay_book_from = LEAST(provider.create_date, used.since)
          FROM (SELECT id, LEAST(
                    (SELECT min(paid_at) FROM billpay_payment
                      WHERE provider_id = payment_provider.id),
                    (SELECT min(create_date) FROM billpay_control_number
                      WHERE provider_id = payment_provider.id)) AS since
                  FROM payment_provider) AS used
         WHERE used.id = provider.id AND provider.code = 'clickpesa'
           AND provider.billpay_book_from IS NULL
           AND (provider.state != 'disabled' OR used.since IS NOT NULL)
        """
    )


def look_into_booked(env):
    """Have the worker look at booked payments under a status that nobody acted on."""
    payments = env["billpay.payment"].search(
        [("state", "=", "posted"), ("status", "not in", [*KNOWN, False])]
    )
    for payment in payments.filtered(lambda p: not is_paid(p.status)):
        env["billpay.ledger"]._doubt(payment, payment.status, {})


def migrate(cr, version):
    set_book_from(cr)
    look_into_booked(api.Environment(cr, SUPERUSER_ID, {}))
