# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Drop what a new installation does not have: Odoo keeps unexpected indexes."""

# Of 19.0.1.0.0.
GONE = ("billpay_event__company_id_index", "billpay_event__provider_id_index")


def migrate(cr, version):
    for name in GONE:
        cr.execute(f"DROP INDEX IF EXISTS {name}")
