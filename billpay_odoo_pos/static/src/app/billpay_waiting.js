// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { reactive } from "@odoo/owl";

// What Odoo knows of a line whose customer pays now.
export const WAITING = ["waiting", "waitingCard", "waitingCancel"];

export function isBillPay(line) {
    return line.payment_method_id?.use_payment_terminal === "billpay";
}

/**
 * A customer who pays now at this device: there from before the first call until the end.
 *
 * It knows order and line by their UUIDs only. Meanwhile either may be deleted, changed,
 * read anew or finished by another device, so they are looked up every time.
 */
export class BillPayWaiting {
    constructor(pos, order, line) {
        this.pos = pos;
        this.orderUuid = order.uuid;
        this.lineUuid = line.uuid;
        this.over = false;
        // It follows what the order comes to.
        this.isWhole = line.amount === order.billpayToPay;
        // What ClickPesa was asked for last (TZS).
        this.asked = 0;
        this.url = "";
        this.close = null;
        this.shown = reactive({
            number: "",
            amount: "",
            offline: false,
            mayPayLater: false,
            message: "",
            problem: "",
        });
    }

    get order() {
        return this.pos.models["pos.order"].getBy("uuid", this.orderUuid);
    }

    get line() {
        return this.order?.payment_ids.find((line) => line.uuid === this.lineUuid);
    }

    /** Whether the line still waits: nobody took it away, changed it or has paid it. */
    get isAlive() {
        const { order, line } = this;
        return (
            !this.over &&
            Boolean(order && !order.finalized && line) &&
            !line.billpay_paid &&
            WAITING.includes(line.payment_status)
        );
    }

    /** Whether the cashier looks at the payment of this very order. */
    get isOnScreen() {
        return (
            this.pos.router.state.current === "PaymentScreen" &&
            this.pos.getOrder()?.uuid === this.orderUuid
        );
    }

    end() {
        this.over = true;
        clearTimeout(this.timer);
        this.close?.();
        const { order } = this;
        if (order && !order.finalized) {
            order.uiState.billpay = null;
            order.uiState.billpayLine = null;
        }
    }
}
