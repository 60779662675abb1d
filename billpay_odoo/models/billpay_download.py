# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import base64

from odoo import fields, models

from ..spreadsheet import write_xlsx


class BillpayDownload(models.AbstractModel):
    """A record from which a spreadsheet can be downloaded."""

    _name = "billpay.download"
    _description = "BillPay Download"

    download = fields.Binary(attachment=False, readonly=True, copy=False)
    download_name = fields.Char(readonly=True, copy=False)

    def _download(self, name, header, rows):
        """Keep a spreadsheet on this record, and return the action that fetches it.

        :param header: headings
        :param rows: an iterable of rows of texts
        """
        self.ensure_one()
        self.sudo().write(
            {
                "download": base64.b64encode(write_xlsx(name, header, rows)),
                "download_name": "%s.xlsx" % name,
            }
        )
        return {
            "type": "ir.actions.act_url",
            "url": "/web/content/%s/%s/download?download=true&filename_field="
            "download_name" % (self._name, self.id),
            "target": "download",
        }
