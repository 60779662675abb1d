// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { patch } from "@web/core/utils/patch";
import { PaymentScreen } from "@point_of_sale/app/screens/payment_screen/payment_screen";
import { PaymentScreenPaymentLines } from "@point_of_sale/app/screens/payment_screen/payment_lines/payment_lines";

patch(PaymentScreen.prototype, {
    onMounted() {
        super.onMounted(...arguments);
        const order = this.currentOrder;
        for (const line of order.payment_ids) {
            // The page was loaded anew while a customer was paying: go on from there.
            if (
                line.payment_method_id.use_payment_terminal === "billpay" &&
                ["waiting", "waitingCard", "waitingCancel"].includes(line.payment_status) &&
                !this.pos.billpay.waiting.has(order.uuid)
            ) {
                this.sendPaymentRequest(line);
                return;
            }
        }
        this.pos.billpay.applyTo(order);
    },

    async sendForceDone(line) {
        const entry = this.pos.billpay.waiting.get(line.pos_order_id.uuid);
        if (entry?.line === line) {
            return this.pos.billpay.open(entry);
        }
        return super.sendForceDone(...arguments);
    },
});

patch(PaymentScreenPaymentLines.prototype, {
    showBillPay(line) {
        const entry = this.pos.billpay.waiting.get(line.pos_order_id.uuid);
        if (entry) {
            this.pos.billpay.open(entry);
        }
    },
});
