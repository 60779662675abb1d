# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import SUPERUSER_ID, api


def migrate(cr, _version):
    """Let applications from before be offered at a checkout."""
    env = api.Environment(cr, SUPERUSER_ID, {})
    providers = (
        env["payment.provider"]
        .with_context(active_test=False)
        .search([("code", "=", "clickpesa")])
    )
    providers.redirect_form_view_id = env.ref("billpay_odoo.redirect_form")
    providers._compute_available_currency_ids()
    # Nothing has been processed while a number waits for its money.
    shipped = env.ref("billpay_odoo.payment_provider_clickpesa", False)
    text = (
        "<p>Your order waits for your payment. Pay the control number below by phone, "
        "bank or agent. You can close this page: the order goes on by itself.</p>"
    )
    for provider in providers | (shipped or providers):
        if "waiting for approval" in (provider.pending_msg or ""):
            provider.pending_msg = text
    method = env.ref("billpay_odoo.payment_method_billpay")
    # Which currencies are taken is the application's to say.
    method.supported_currency_ids = False
    method.active = any(provider.state != "disabled" for provider in providers)
