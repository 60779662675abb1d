# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Write down which number is given out for which bill, before an index says so.

Since 19.0.1.4.0 one unique index on ``bill_key`` stands for the one per kind of bill.
"""

from odoo.tools.sql import column_exists, create_column

TABLE = "billpay_control_number"
OLD_INDEXES = ("one_asking", "one_per_purpose", "one_per_checkout")
LIVING = ("pending", "open", "failed")


def migrate(cr, version):
    if not column_exists(cr, TABLE, "bill_key"):
        create_column(cr, TABLE, "bill_key", "varchar")
    for name in OLD_INDEXES:
        cr.execute(f"DROP INDEX IF EXISTS {TABLE}_{name}")
    # Columns came one by one: an old database has not all of them yet.
    keys = [
        f"WHEN {condition} THEN {key}"
        for column, condition, key in (
            ("move_id", "move_id IS NOT NULL", "'invoice:' || move_id"),
            (
                "transaction_id",
                "transaction_id IS NOT NULL",
                "'checkout:' || transaction_id",
            ),
            (
                "purpose_id",
                "kind = 'customer' AND purpose_id IS NOT NULL"
                " AND partner_id IS NOT NULL",
                "'purpose:' || partner_id || ':' || purpose_id",
            ),
        )
        if column_exists(cr, TABLE, column)
    ]
    # Of several living ones, which no index kept apart, the newest is given out.
    cr.execute(
        f"""
        WITH keyed AS (
            SELECT id, state IN %(living)s AS living,
                   CASE {" ".join(keys)} END AS bill_key
              FROM {TABLE}
             WHERE bill_key IS NULL
        ), ranked AS (
            SELECT id, living, bill_key,
                   row_number() OVER (
                       PARTITION BY bill_key, living ORDER BY id DESC
                   ) AS rank
              FROM keyed
             WHERE bill_key IS NOT NULL
        )
        UPDATE {TABLE} AS number
           SET bill_key = ranked.bill_key
          FROM ranked
         WHERE ranked.id = number.id AND (ranked.rank = 1 OR NOT ranked.living)
        """,
        {"living": LIVING},
    )
