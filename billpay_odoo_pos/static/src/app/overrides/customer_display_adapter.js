// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { patch } from "@web/core/utils/patch";
import { CustomerDisplayPosAdapter } from "@point_of_sale/app/customer_display/customer_display_adapter";
import { generateQRCodeDataUrl } from "@point_of_sale/utils";
import { moneyText } from "../money_text";

patch(CustomerDisplayPosAdapter.prototype, {
    formatOrderData(order) {
        super.formatOrderData(...arguments);
        const shown = !order.finalized && order.uiState.billpay;
        const url = order.billpay_url;
        this.data.billpay = shown
            ? {
                  number: shown.number,
                  amount: moneyText(shown.amount, order.currency),
                  qr: url ? generateQRCodeDataUrl(url, { width: 180, height: 180 }) : "",
                  words: order.config._billpay?.[order.config.billpay_lang || "sw"],
              }
            : null;
    },
});
