# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, models


class ReportSaleDetails(models.AbstractModel):
    """Reports of sessions and days say which BillPay money has come."""

    _inherit = "report.point_of_sale.report_saledetails"

    @api.model
    def get_sale_details(
        self,
        date_start=False,
        date_stop=False,
        config_ids=False,
        session_ids=False,
        **kwargs,
    ):
        """Override: each BillPay row has ``billpay``, see ``_billpay_standing``."""
        wanted = (date_start, date_stop, config_ids, session_ids)
        details = super().get_sale_details(*wanted, **kwargs)
        orders = self.env["pos.order"].search(self._get_domain(*wanted, **kwargs))
        lines = orders.payment_ids.filtered("is_billpay")
        rows = lines.grouped(lambda p: (p.payment_method_id.id, p.session_id.id))
        for row in details["payments"]:
            found = rows.get((row.get("id"), row.get("session")))
            if found:
                row["billpay"] = found.pos_order_id._billpay_standing()
        return details
