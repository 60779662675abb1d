// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { onWillUnmount } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";
import { PaymentScreen } from "@point_of_sale/app/screens/payment_screen/payment_screen";
import { PaymentScreenPaymentLines } from "@point_of_sale/app/screens/payment_screen/payment_lines/payment_lines";
import { WAITING, isBillPay } from "../billpay_waiting";

patch(PaymentScreen.prototype, {
    setup() {
        super.setup(...arguments);
        const { orderUuid } = this.props;
        onWillUnmount(() => this.pos.billpay.closePopup(orderUuid));
    },

    onMounted() {
        super.onMounted(...arguments);
        const till = this.pos.billpay;
        const order = this.currentOrder;
        const entry = till.waiting.get(order.uuid);
        if (entry) {
            till.comeBack(entry);
        } else {
            till.applyTo(order);
        }
    },

    /** A number that was cancelled, or not asked for yet, is asked for again. */
    async addNewPaymentLine(paymentMethod) {
        if (paymentMethod.use_payment_terminal === "billpay") {
            const known = this.paymentLines.find(
                (line) =>
                    isBillPay(line) && !line.billpay_paid && line.amount > 0 && !line.isDone()
            );
            if (known) {
                this.currentOrder.selectPaymentline(known);
                await this.sendPaymentRequest(known);
                return true;
            }
        }
        return super.addNewPaymentLine(...arguments);
    },

    async sendPaymentRequest(line) {
        if (!isBillPay(line)) {
            return super.sendPaymentRequest(...arguments);
        }
        this.numberBuffer.capture();
        await this.pos.billpay.start(line.pos_order_id, line);
    },

    async sendPaymentCancel(line) {
        if (!isBillPay(line)) {
            return super.sendPaymentCancel(...arguments);
        }
        await this.pos.billpay.cancel(line.pos_order_id, line);
    },

    async sendForceDone(line) {
        if (!isBillPay(line)) {
            return super.sendForceDone(...arguments);
        }
        await this.pos.billpay.start(line.pos_order_id, line);
    },

    deletePaymentLine(uuid) {
        const line = this.paymentLines.find((item) => item.uuid === uuid);
        if (!line || !isBillPay(line)) {
            return super.deletePaymentLine(...arguments);
        }
        return this.deleteBillPayLine(line);
    },

    async deleteBillPayLine(line) {
        const { uuid, pos_order_id: order } = line;
        if (line.billpay_paid) {
            this.pos.billpay.alert(
                _t(
                    "The customer has paid %s by BillPay, so this line stays. Finish the order, and refund it if the customer is to get the money back.",
                    this.pos.billpay.money(line.amount)
                )
            );
            return;
        }
        if (WAITING.includes(line.payment_status)) {
            const cancelled = await this.pos.billpay.cancel(order, line);
            if (!cancelled) {
                return;
            }
        }
        const now = this.pos.billpay
            .find(order.uuid)
            ?.payment_ids.find((item) => item.uuid === uuid);
        if (now && !now.billpay_paid && !now.pos_order_id.finalized) {
            now.pos_order_id.removePaymentline(now);
            this.numberBuffer.reset();
        }
    },
});

patch(PaymentScreenPaymentLines.prototype, {
    isBillPay(line) {
        return isBillPay(line);
    },

    /** On whatever device: it shows the number that the customer has. */
    showBillPay(line) {
        this.pos.billpay.start(line.pos_order_id, line);
    },
});
