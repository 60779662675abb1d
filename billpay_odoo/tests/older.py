# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Turn a copy of the database into one that the version before has made.

What that version stored otherwise is put back, and Odoo is told that it is installed.
"""

# Unique indexes of the version before: one for each kind of bill.
INDEXES = {
    "one_asking": "(move_id) WHERE move_id IS NOT NULL",
    "one_per_purpose": (
        "(partner_id, purpose_id) WHERE kind = 'customer' AND purpose_id IS NOT NULL"
    ),
    "one_per_checkout": "(transaction_id) WHERE transaction_id IS NOT NULL",
}


def make_older(db, indexes=(), versions=(("billpay_odoo", "19.0.1.3.0"),)):
    """Take ``bill_key`` away and put the indexes back that were there before it.

    :param tests.processes.Database db: nobody else works on it
    :param indexes: more unique indexes, pairs of name and definition
    :param versions: pairs of add-on and the version it had
    """
    # The unique index on it goes with the column.
    db("ALTER TABLE billpay_control_number DROP COLUMN IF EXISTS bill_key")
    db(
        "DELETE FROM ir_model_fields"
        " WHERE model = 'billpay.control.number' AND name = 'bill_key'"
    )
    # The index on it goes too; Odoo makes it anew, as its definition has changed.
    db("ALTER TABLE billpay_control_number DROP COLUMN IF EXISTS sync_rank")
    db(
        "DELETE FROM ir_model_fields"
        " WHERE model = 'billpay.control.number' AND name = 'sync_rank'"
    )
    db(
        "ALTER TABLE billpay_run_line"
        " DROP CONSTRAINT billpay_run_line_number_id_fkey,"
        " ADD CONSTRAINT billpay_run_line_number_id_fkey FOREIGN KEY (number_id)"
        " REFERENCES billpay_control_number (id) ON DELETE RESTRICT"
    )
    for name, definition in (*INDEXES.items(), *indexes):
        db(
            "CREATE UNIQUE INDEX billpay_control_number_%s ON billpay_control_number %s"
            " AND state IN ('pending', 'open', 'failed')" % (name, definition)
        )
    for addon, version in versions:
        db(
            "UPDATE ir_module_module SET latest_version = %s WHERE name = %s",
            version,
            addon,
        )


def number_keys(db, provider):
    """Return ``{name: (bill_key, state)}`` of an application's numbers."""
    rows = db(
        "SELECT name, bill_key, state FROM billpay_control_number"
        " WHERE provider_id = %s",
        provider,
    )
    return {name: (key, state) for name, key, state in rows}
