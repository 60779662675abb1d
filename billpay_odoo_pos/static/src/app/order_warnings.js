// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { effect } from "@web/core/utils/reactive";

// Where an order is seen that is finished.
const FINISHED = ["ReceiptScreen", "FeedbackScreen"];

/**
 * Sticky words about one order. They go with it: when the till leaves the order, and
 * what asks for a payment method as soon as the order is finished.
 */
export class OrderWarnings {
    constructor({ models, notification, router }) {
        this.orders = models["pos.order"];
        this.notification = notification;
        // What is shown: of which order, whether it is about what is left to pay, and how
        // to close it.
        this.shown = new Set();
        this.current = null;
        effect(({ state }) => this.follow(state.current, state.params?.orderUuid), [router]);
    }

    /** @param {boolean} [untilFinished] it says what to do before the order is finished */
    add(order, text, untilFinished = false) {
        const known = [...this.shown].some((w) => w.uuid === order.uuid && w.text === text);
        if (known) {
            return;
        }
        const warning = { uuid: order.uuid, text, untilFinished };
        warning.close = this.notification.add(text, {
            type: "warning",
            sticky: true,
            onClose: () => this.shown.delete(warning),
        });
        this.shown.add(warning);
    }

    /** The till shows another page: of this order, or of none. */
    follow(page, uuid) {
        const left = this.current;
        this.current = uuid;
        for (const warning of [...this.shown]) {
            const isLeft = warning.uuid === left && left !== uuid;
            const isOver = warning.untilFinished && FINISHED.includes(page);
            if (isLeft || (isOver && warning.uuid === uuid) || this.isGone(warning)) {
                warning.close();
            }
        }
    }

    /** Deleted or finished meanwhile, and not in sight. */
    isGone({ uuid }) {
        const order = this.orders.getBy("uuid", uuid);
        return !order || (order.finalized && uuid !== this.current);
    }

    /** Nothing is left to say about an order. */
    forget(order) {
        for (const warning of [...this.shown]) {
            if (warning.uuid === order.uuid) {
                warning.close();
            }
        }
    }
}
