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
        const merge = this.mergeOrders;
        if (merge) {
            // Of restaurants: it empties an order, and deletes it then.
            this.mergeOrders = async (source, destination) =>
                (await this.billpay.mayDelete(source))
                    ? merge.call(this, source, destination)
                    : destination;
        }
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

    async afterProcessServerData() {
        const result = await super.afterProcessServerData(...arguments);
        this.billpay.resume();
        return result;
    },

    /** Odoo adds the line and tries to finish: this one waits for the customer. */
    async validateOrderFast(paymentMethod) {
        if (paymentMethod.use_payment_terminal !== "billpay") {
            return super.validateOrderFast(...arguments);
        }
        const order = this.getOrder();
        this.navigate("PaymentScreen", { orderUuid: order.uuid });
        const { status, data } = order.addPaymentline(paymentMethod);
        if (status) {
            await this.billpay.start(order, data);
        } else {
            this.billpay.alert(data);
        }
    },

    async printReceipt({ order = this.getOrder(), printBillActionTriggered = false } = {}) {
        if (printBillActionTriggered && this.billpay.method && order.remainingDue > 0) {
            // The bill on the table says how to pay it.
            try {
                await this.billpay.askForBill(order);
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
        if (this.billpay.method && !(await this.billpay.mayDelete(order))) {
            return false;
        }
        this.billpay.warnings.forget(order);
        return super._onBeforeDeleteOrder(...arguments);
    },
});
