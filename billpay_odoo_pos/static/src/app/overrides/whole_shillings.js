// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { patch } from "@web/core/utils/patch";
import { PosOrder } from "@point_of_sale/app/models/pos_order";
import { isBillPay } from "../billpay_waiting";
import { PosPayment } from "@point_of_sale/app/models/pos_payment";

/** Customers pay whole shillings: round away from zero; a float's error is none. */
export function wholeShillings(amount) {
    const whole = Math.ceil(Math.abs(Number(amount.toFixed(2))) - 0.001);
    return amount < 0 ? -whole : whole;
}

patch(PosPayment.prototype, {
    setAmount(value) {
        return super.setAmount(
            isBillPay(this) ? wholeShillings(parseFloat(value) || 0) : value
        );
    },
});

patch(PosOrder.prototype, {
    /** What a BillPay line for all that is left would be. */
    get billpayToPay() {
        return wholeShillings(this.remainingDue);
    },

    /**
     * What BillPay rounds this order up by, less than a shilling; the server books it
     * as rounding. Negative for a refund.
     */
    get billpayRounding() {
        const over = this.currency.round(this.amountPaid - this.totalDue);
        const isUp = Math.abs(over) < 1 && over * this.totalDue > 0;
        return isUp && this.payment_ids.some(isBillPay) ? over : 0;
    },

    get change() {
        return this.billpayRounding ? 0 : super.change;
    },

    get appliedRounding() {
        return this.billpayRounding || super.appliedRounding;
    },
});
