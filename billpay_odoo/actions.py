# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Actions for the web client, in the forms that buttons return."""

from . import binaries

CLOSE = {"type": "ir.actions.act_window_close"}


def window(env, name, /, **values):
    """Return one of the add-on's window actions.

    :param str name: the external ID, without the add-on
    :param values: what is different here, such as ``domain``
    """
    action = env["ir.actions.act_window"]._for_xml_id("billpay_odoo.%s" % name)
    return {**action, "context": {}, **values}


def dialog(record, title, **values):
    """Return the action that opens a record in a dialog, a new one if it is empty."""
    return {
        "type": "ir.actions.act_window",
        "name": title,
        "res_model": record._name,
        "res_id": record.id,
        "view_mode": "form",
        "views": [(False, "form")],
        "target": "new",
        **values,
    }


def notify(kind, message, then=None):
    """Return the action that shows a message.

    :param str kind: "success", "info", "warning" or "danger"
    :param dict then: the action that follows
    """
    params = {"type": kind, "message": message, "next": then}
    return {
        "type": "ir.actions.client",
        "tag": "display_notification",
        "params": params,
    }


def download(record, name, content):
    """Keep a file in ``download`` of a record; return the action that fetches it.

    :param bytes content: of the file
    """
    values = {"download": binaries.to_field(content), "download_name": name}
    record.sudo().write(values)
    url = "/web/content/%s/%s/download?download=true&filename_field=download_name"
    return {
        "type": "ir.actions.act_url",
        "url": url % (record._name, record.id),
        "target": "download",
    }
