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


# What each version has brought: stored fields, and what the one before had instead.
BROUGHT = {
    "19.0.1.1.0": (("billpay.control.number.sent",), ()),
    "19.0.1.2.0": (
        (),
        (
            "UPDATE payment_provider SET redirect_form_view_id = NULL"
            " WHERE code = 'clickpesa'",
            "UPDATE payment_method SET active = false WHERE code = 'billpay'",
        ),
    ),
    "19.0.1.4.0": (
        ("billpay.control.number.bill_key",),
        ("UPDATE billpay_payment SET receipt_key = upper(receipt)",),
    ),
    "19.0.1.5.0": (
        (
            "billpay.payment.ask_at",
            "billpay.payment.merchant",
            "payment.provider.billpay_book_from",
            "payment.provider.billpay_merchant",
            "payment.provider.billpay_poll_rest",
            "payment.provider.clickpesa_health_token",
            "res.users.billpay_all_departments",
        ),
        (),
    ),
    "19.0.1.6.0": (
        (
            "billpay.control.number.collisions",
            "billpay.control.number.digits_at",
            # The index on it goes too; Odoo makes it anew, as it is defined otherwise.
            "billpay.control.number.sync_rank",
        ),
        (
            "ALTER TABLE billpay_run_line"
            " DROP CONSTRAINT billpay_run_line_number_id_fkey,"
            " ADD CONSTRAINT billpay_run_line_number_id_fkey FOREIGN KEY (number_id)"
            " REFERENCES billpay_control_number (id) ON DELETE RESTRICT",
        ),
    ),
    "19.0.1.7.0": (
        (
            "billpay.run.line.candidate_id",
            "billpay.run.line.match",
            "billpay.run.line.verdict",
            "payment.transaction.billpay_owed",
        ),
        (),
    ),
}
# Where Odoo kept them in 19.0.1.0.0.
EVENT_INDEXES = ("company_id", "provider_id")
FIRST, BILL_KEY = "19.0.1.0.0", "19.0.1.4.0"
# What a database from before ``bill_key`` cannot have.
RECENT = "19.0.1.6.0", "19.0.1.7.0"
# Every version after which an update has something to do.
VERSIONS = (FIRST, *sorted(BROUGHT)[:-1])


def make_older(db, indexes=(), versions=(("billpay_odoo", "19.0.1.3.0"),)):
    """Take ``bill_key`` away and put the indexes back that were there before it.

    :param tests.processes.Database db: nobody else works on it
    :param indexes: more unique indexes, pairs of name and definition
    :param versions: pairs of add-on and the version it had
    """
    # The unique index on it goes with the column.
    _forget(db, "billpay.control.number.bill_key")
    for brought in RECENT:
        _take_away(db, brought)
    for name, definition in (*INDEXES.items(), *indexes):
        db(
            "CREATE UNIQUE INDEX billpay_control_number_%s ON billpay_control_number %s"
            " AND state IN ('pending', 'open', 'failed')" % (name, definition)
        )
    for addon, version in versions:
        _install(db, addon, version)


def make_version(db, version):
    """Take away what later versions of ``billpay_odoo`` have brought."""
    if version < BILL_KEY:
        make_older(db)
    for brought in BROUGHT:
        if brought > version:
            _take_away(db, brought)
    if version == FIRST:
        for column in EVENT_INDEXES:
            name = f"billpay_event__{column}_index"
            db(f"CREATE INDEX {name} ON billpay_event ({column})")
    _install(db, "billpay_odoo", version)


def _take_away(db, version):
    fields, statements = BROUGHT[version]
    for field in fields:
        _forget(db, field)
    for statement in statements:
        db(statement)


def _forget(db, field):
    model, _dot, name = field.rpartition(".")
    db(
        "ALTER TABLE %s DROP COLUMN IF EXISTS %s CASCADE"
        % (model.replace(".", "_"), name)
    )
    db("DELETE FROM ir_model_fields WHERE model = %s AND name = %s", model, name)


def _install(db, addon, version):
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
