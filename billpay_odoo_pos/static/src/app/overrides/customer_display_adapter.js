// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { patch } from "@web/core/utils/patch";
import { effect } from "@web/core/utils/reactive";
import { CustomerDisplayPosAdapter } from "@point_of_sale/app/customer_display/customer_display_adapter";
import { Chrome } from "@point_of_sale/app/pos_app";
import { generateQRCodeDataUrl } from "@point_of_sale/utils";
import { moneyText } from "../money_text";

// Whether the display was told of a number last.
let isShown = false;

patch(CustomerDisplayPosAdapter.prototype, {
    formatOrderData(order) {
        super.formatOrderData(...arguments);
        const shown = !order.finalized && order.uiState.billpay;
        const words = order.config._billpay?.[order.config.billpay_lang || "sw"];
        const url = order.billpay_url;
        this.data.billpay =
            shown && words
                ? {
                      number: shown.number,
                      amount: moneyText(shown.amount, order.currency),
                      qr: url ? generateQRCodeDataUrl(url, { width: 180, height: 180 }) : "",
                      words,
                  }
                : null;
        isShown = Boolean(this.data.billpay);
    },
});

patch(Chrome.prototype, {
    setup() {
        super.setup(...arguments);
        // Odoo tells nothing when no order is open, as on a floor plan: the number of the
        // one before would stay.
        effect(
            ({ selectedOrder }) => {
                if (!selectedOrder && isShown) {
                    isShown = false;
                    const adapter = new CustomerDisplayPosAdapter();
                    adapter.data.billpay = null;
                    adapter.dispatch(this.pos);
                }
            },
            [this.pos]
        );
    },
});
