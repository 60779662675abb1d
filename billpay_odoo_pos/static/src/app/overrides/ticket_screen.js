// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";
import { TicketScreen } from "@point_of_sale/app/screens/ticket_screen/ticket_screen";

const WAITS = "BILLPAY_WAITS";

patch(TicketScreen.prototype, {
    getStatus(order) {
        return order.billpayWaits ? _t("Waiting for BillPay") : super.getStatus(...arguments);
    },

    _getOrderStates() {
        const states = super._getOrderStates();
        if (this.pos.billpay.method) {
            states.set(WAITS, { text: _t("Waiting for BillPay"), indented: true });
        }
        return states;
    },

    activeOrderFilter(order) {
        return this.state?.filter === WAITS
            ? order.billpayWaits && order.uiState.displayed
            : super.activeOrderFilter(...arguments);
    },

    _getScreenToStatusMap() {
        const map = super._getScreenToStatusMap();
        return this.state?.filter === WAITS ? { ...map, PaymentScreen: WAITS } : map;
    },
});
