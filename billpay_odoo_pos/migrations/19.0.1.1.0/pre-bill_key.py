# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Write down which number is given out for which till order.

The numbers of invoices that took over a till's number have their key already.
"""

TABLE = "billpay_control_number"
LIVING = ("pending", "open", "failed")


def migrate(cr, version):
    cr.execute(f"DROP INDEX IF EXISTS {TABLE}_one_asking_at_till")
    # Of several living ones, which no index kept apart, the newest is given out.
    cr.execute(
        f"""
        WITH ranked AS (
            SELECT id, state IN %(living)s AS living,
                   row_number() OVER (
                       PARTITION BY pos_order_uuid, state IN %(living)s
                       ORDER BY id DESC
                   ) AS rank
              FROM {TABLE}
             WHERE bill_key IS NULL AND move_id IS NULL AND transaction_id IS NULL
               AND pos_order_uuid IS NOT NULL
        )
        UPDATE {TABLE} AS number
           SET bill_key = 'till:' || number.pos_order_uuid
          FROM ranked
         WHERE ranked.id = number.id AND (ranked.rank = 1 OR NOT ranked.living)
        """,
        {"living": LIVING},
    )
