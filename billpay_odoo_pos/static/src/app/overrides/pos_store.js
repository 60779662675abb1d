// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { markRaw } from "@odoo/owl";
import { patch } from "@web/core/utils/patch";
import { _t } from "@web/core/l10n/translation";
import { PosStore } from "@point_of_sale/app/services/pos_store";
import { BillPayTill } from "../billpay_till";

patch(PosStore.prototype, {
    async setup() {
        await super.setup(...arguments);
        window.addEventListener("pos-network-online", () => this.billpay.refill(true));
        this.billpay.refill(true);
    },

    async processServerData() {
        await super.processServerData(...arguments);
        // Not reactive: what waits is compared with itself.
        this.billpay = markRaw(new BillPayTill(this));
        this.data.connectWebSocket("BILLPAY_PAYMENT", (payload) =>
            this.billpay.onMessage(payload)
        );
    },

    async printReceipt({ order = this.getOrder(), printBillActionTriggered = false } = {}) {
        if (printBillActionTriggered && this.billpay.method && order.remainingDue > 0) {
            // The bill on the table says how to pay it.
            try {
                await this.billpay.ask(order, order.remainingDue);
            } catch (error) {
                this.notification.add(
                    _t(
                        "The bill has no control number: %s",
                        error.data?.message || error.message
                    ),
                    { type: "warning" }
                );
            }
        }
        return super.printReceipt(...arguments);
    },

    async postSyncAllOrders(orders) {
        await super.postSyncAllOrders(...arguments);
        this.billpay.refill();
    },

    async _onBeforeDeleteOrder(order) {
        this.billpay.warnings.forget(order);
        if (order.billpay_number && this.billpay.method) {
            try {
                await this.billpay.call("billpay_cancel", [order.uuid]);
            } catch (error) {
                // Without network: money that comes is kept and told all the same.
                console.info("BillPay: number not taken back.", error.message);
            }
        }
        return super._onBeforeDeleteOrder(...arguments);
    },
});
