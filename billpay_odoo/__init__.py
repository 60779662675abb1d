# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from . import controllers
from . import models
from . import wizards

from odoo.addons.payment import reset_payment_provider, setup_provider


def post_init_hook(env):
    """Create the accounting payment method behind the ``clickpesa`` provider code."""
    setup_provider(env, "clickpesa")


def uninstall_hook(env):
    """Detach the applications; journal entries and payments stay as they are.

    ``account_payment`` refuses to let go of a provider with payments. Ours stay: so
    does, for them, the accounting payment method.
    """
    # Every provider has the counter, as the default says: else it could not go.
    env.cr.execute("UPDATE payment_provider SET clickpesa_sequence_id = NULL")
    env["payment.provider"].invalidate_model(["clickpesa_sequence_id"])
    methods = env["account.payment.method"].search([("code", "=", "clickpesa")])
    used = env["account.payment"].search_count(
        [("payment_method_id", "in", methods.ids)], limit=1
    )
    if not used:
        reset_payment_provider(env, "clickpesa")
        return
    providers = (
        env["payment.provider"]
        .with_context(active_test=False)
        .search([("code", "=", "clickpesa")])
    )
    providers.write(providers._get_removal_values())
