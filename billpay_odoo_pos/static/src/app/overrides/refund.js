// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { patch } from "@web/core/utils/patch";
import { ConnectionLostError } from "@web/core/network/rpc";
import { _t } from "@web/core/l10n/translation";
import { PaymentScreen } from "@point_of_sale/app/screens/payment_screen/payment_screen";
import { BillPayTill } from "../billpay_till";
import { PaymentBillPay } from "../payment_billpay";

patch(BillPayTill.prototype, {
    /** @returns {Promise<number>} what was never paid of the orders that this refunds */
    async unpaidOf(order) {
        const refunded = new Set(
            order.lines.map((line) => line.refunded_orderline_id?.order_id).filter(Boolean)
        );
        let unpaid = 0;
        for (const item of refunded) {
            try {
                unpaid += await this.call("billpay_unpaid", [item.uuid]);
            } catch (error) {
                if (!(error instanceof ConnectionLostError)) {
                    throw error;
                }
                // Without network, what this till knows; the server looks again.
                unpaid += item.billpayDue;
            }
        }
        return unpaid;
    },

    /** What a refund may still take off: its other lines take off some of it. */
    async leftToTakeOff(order, except) {
        const taken = order.payment_ids
            .filter(
                (line) =>
                    line !== except &&
                    line.payment_method_id.use_payment_terminal === "billpay"
            )
            .reduce((sum, line) => sum - line.amount, 0);
        return (await this.unpaidOf(order)) - taken;
    },
});

patch(PaymentBillPay.prototype, {
    /** A refund takes off what was never paid; what was paid, ClickPesa keeps. */
    async sendPaymentRequest(uuid) {
        const order = this.pos.getOrder();
        const line = order.getPaymentlineByUuid(uuid);
        if (!(line?.amount < 0)) {
            return super.sendPaymentRequest(...arguments);
        }
        let left;
        try {
            left = await this.pos.billpay.leftToTakeOff(order, line);
        } catch (error) {
            this.alert(error.data?.message || error.message);
            return false;
        }
        if (left < 1) {
            this.alert(
                _t(
                    "ClickPesa sends no money back. Give it back in cash, or from your own mobile money account, and choose that payment method."
                )
            );
            return false;
        }
        if (-line.amount > left) {
            line.setAmount(-left);
        }
        return true;
    },
});

patch(PaymentScreen.prototype, {
    async addNewPaymentLine(method) {
        const { billpay } = this.pos;
        const order = this.currentOrder;
        if (!order.isRefund || order.remainingDue >= 0 || !billpay.method) {
            return super.addNewPaymentLine(...arguments);
        }
        const isBillPay = method.use_payment_terminal === "billpay";
        const left = isBillPay ? 0 : await billpay.leftToTakeOff(order);
        if (this.currentOrder !== order) {
            return false;
        }
        if (left >= 1) {
            billpay.method.payment_terminal.alert(
                _t(
                    "%s of this order was never paid, so it is not given back. Choose BillPay first: it takes that off what the customer is to pay.",
                    billpay.money(left)
                )
            );
            return false;
        }
        const added = await super.addNewPaymentLine(...arguments);
        const line = order.getSelectedPaymentline();
        if (added && isBillPay && line && !line.payment_status) {
            await this.sendPaymentRequest(line);
            if (!line.isDone()) {
                order.removePaymentline(line);
            }
        }
        return added;
    },
});
