# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Windows that buttons open."""


def window(env, xml_id, domain):
    """Return a window action that shows what a domain finds, without its filters.

    :param str xml_id: of the ``ir.actions.act_window``
    """
    action = env["ir.actions.act_window"]._for_xml_id(xml_id)
    return {**action, "domain": domain, "context": {}}
