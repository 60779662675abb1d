// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { patch } from "@web/core/utils/patch";
import { ConnectionLostError } from "@web/core/network/rpc";
import { _t } from "@web/core/l10n/translation";
import { PaymentScreen } from "@point_of_sale/app/screens/payment_screen/payment_screen";
import { BillPayTill } from "../billpay_till";
import { isBillPay } from "../billpay_waiting";

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
            .filter((line) => line !== except && isBillPay(line))
            .reduce((sum, line) => sum - line.amount, 0);
        return (await this.unpaidOf(order)) - taken;
    },

    /** A line below zero takes off what was never paid; what was paid, ClickPesa keeps. */
    async start(order, line) {
        if (!(line.amount < 0)) {
            return super.start(...arguments);
        }
        let left = 0;
        try {
            left = await this.leftToTakeOff(order, line);
        } catch (error) {
            this.alert(error.data?.message || error.message);
            return;
        }
        if (left < 1) {
            this.alert(
                _t(
                    "ClickPesa sends no money back. Give it back in cash, or from your own mobile money account, and choose that payment method."
                )
            );
            return;
        }
        if (-line.amount > left) {
            line.setAmount(-left);
        }
        line.setPaymentStatus("done");
    },
});

patch(PaymentScreen.prototype, {
    async addNewPaymentLine(method) {
        const { billpay } = this.pos;
        const order = this.currentOrder;
        if (!order.isRefund || order.remainingDue >= 0 || !billpay.method) {
            return super.addNewPaymentLine(...arguments);
        }
        const isBillPayMethod = method.use_payment_terminal === "billpay";
        const left = isBillPayMethod ? 0 : await billpay.leftToTakeOff(order);
        if (this.currentOrder !== order) {
            return false;
        }
        if (left >= 1) {
            billpay.alert(
                _t(
                    "%s of this order was never paid, so it is not given back. Choose BillPay first: it takes that off what the customer is to pay.",
                    billpay.money(left)
                )
            );
            return false;
        }
        const added = await super.addNewPaymentLine(...arguments);
        const line = order.getSelectedPaymentline();
        if (!added || !isBillPayMethod || !line || !isBillPay(line)) {
            return added;
        }
        await billpay.start(order, line);
        if (line.payment_status !== "done") {
            order.removePaymentline(line);
        } else if (
            order.isPaid() &&
            this.pos.config.auto_validate_terminal_payment &&
            !order.isRefundInProcess()
        ) {
            await this.validateOrder(false);
        }
        return added;
    },
});
