# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Compute the stored keys of receipts anew.

Since 19.0.1.4.0 dashes, dots and labels do not count. A payment with a key of before
would not be found by its receipt, and could be booked twice.
"""

from odoo.addons.billpay_odoo.identity import receipt_key

BATCH = 10000


def recompute_receipt_keys(cr, batch=BATCH):
    """Store the key of every receipt, in batches.

    :return: how many keys have changed
    """
    changed = last_id = 0
    while True:
        cr.execute(
            """
            SELECT id, receipt, receipt_key FROM billpay_payment
             WHERE id > %s AND receipt IS NOT NULL
             ORDER BY id LIMIT %s
            """,
            (last_id, batch),
        )
        rows = cr.fetchall()
        if not rows:
            return changed
        last_id = rows[-1][0]
        keys = [
            (row_id, key)
            for row_id, receipt, known in rows
            if (key := receipt_key(receipt) or None) != known
        ]
        changed += len(keys)
        if not keys:
            continue
        cr.execute_values(
            "UPDATE billpay_payment SET receipt_key = new.key"
            " FROM (VALUES %s) AS new (id, key) WHERE billpay_payment.id = new.id",
            keys,
            template="(%s, %s::varchar)",
            page_size=1000,
        )


def migrate(cr, version):
    recompute_receipt_keys(cr)
