# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Coming and going: what installing adopts, and what uninstalling leaves behind."""

import json

from odoo import Command

from odoo.addons.payment import reset_payment_provider, setup_provider

# What outlives uninstalling, without any secret: how far the counters have counted,
# since payers keep old numbers, and which providers are ours.
MEMORY = "billpay_odoo.memory"
COUNTER = "billpay_odoo.sequence_control_number"
SHIPPED = "billpay_odoo.payment_provider_clickpesa"


def post_init_hook(env):
    """Create the accounting payment method, and adopt what stayed behind."""
    memory = env["ir.config_parameter"].sudo().search([("key", "=", MEMORY)]).value
    memory = json.loads(memory or "{}")
    _count_on(env, memory.get("next", 0))
    _adopt(env, memory.get("applications", []))
    setup_provider(env, "clickpesa")


def _count_on(env, following):
    """No digits are given out twice: an old payer may still use them."""
    counter = env.ref(COUNTER)
    if following > counter.number_next_actual:
        counter.number_next = following


def _adopt(env, applications):
    """Let the providers that stayed behind be applications again, switched off.

    Their journals and payment methods are theirs still; the credentials are gone.
    """
    providers = env["payment.provider"].with_context(active_test=False)
    shipped, counter = env.ref(SHIPPED), env.ref(COUNTER)
    for known in applications:
        provider = providers.browse(known["id"]).exists()
        own = env["ir.sequence"].browse(known["counter"] or 0).exists()
        if provider == shipped:
            # Odoo has found it by its external id, and has written what the file says.
            provider.clickpesa_sequence_id = own or counter
        if provider.code != "none":
            continue
        provider.write(
            {
                "code": "clickpesa",
                "module_id": shipped.module_id.id,
                "redirect_form_view_id": shipped.redirect_form_view_id.id,
                "payment_method_ids": [Command.set(shipped.payment_method_ids.ids)],
                "pending_msg": shipped.pending_msg,
                "clickpesa_sequence_id": (own or counter).id,
            }
        )
        if known["shipped"]:
            # It is the one again that the add-on brings.
            xmlid = env["ir.model.data"].search(
                [
                    ("model", "=", "payment.provider"),
                    ("res_id", "=", shipped.id),
                ]
            )
            xmlid.res_id = provider.id
            shipped.unlink()
            shipped = provider


def uninstall_hook(env):
    """Detach the applications; journal entries and payments stay as they are.

    ``account_payment`` refuses to let go of a provider with payments. Ours stay: so
    does, for them, the accounting payment method.
    """
    _remember(env)
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
    providers = _applications(env)
    providers.write(providers._get_removal_values())


def _applications(env):
    providers = env["payment.provider"].with_context(active_test=False)
    return providers.search([("code", "=", "clickpesa")])


def _remember(env):
    counter = env.ref(COUNTER)
    shipped = env.ref(SHIPPED, raise_if_not_found=False)
    memory = {
        "next": counter.number_next_actual,
        "applications": [
            {
                "id": provider.id,
                "shipped": provider == shipped,
                "counter": provider.clickpesa_sequence_id.id
                if provider.clickpesa_sequence_id != counter
                else False,
            }
            for provider in _applications(env)
        ],
    }
    env["ir.config_parameter"].sudo().set_param(MEMORY, json.dumps(memory))
