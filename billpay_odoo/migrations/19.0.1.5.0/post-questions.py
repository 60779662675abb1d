# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Since 19.0.1.5.0 ClickPesa is asked again about money that it has not settled."""


def ask_about_unsettled(cr):
    """Give each payment of a year that is not settled a question, within two weeks."""
    cr.execute(
        """
        UPDATE billpay_payment
           SET ask_at = now() AT TIME ZONE 'UTC' + random() * interval '14 days'
         WHERE status = 'SUCCESS' AND ask_at IS NULL
           AND provisional IS NOT TRUE
           AND merged_into_id IS NULL
           AND paid_at > now() AT TIME ZONE 'UTC' - interval '1 year'
        """
    )


def forget_places(cr):
    """A scan that was under way read the list in another order: it begins anew."""
    cr.execute("UPDATE payment_provider SET billpay_poll_rest = NULL")


def migrate(cr, version):
    ask_about_unsettled(cr)
    forget_places(cr)
