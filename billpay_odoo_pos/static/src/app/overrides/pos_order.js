// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { patch } from "@web/core/utils/patch";
import { PosOrder } from "@point_of_sale/app/models/pos_order";
import { WAITING, isBillPay } from "../billpay_waiting";

patch(PosOrder.prototype, {
    /** What a finished order still waits for, in the till's currency. */
    get billpayDue() {
        if (this.uiState.billpayPaid) {
            return 0;
        }
        return this.payment_ids
            .filter(
                (line) =>
                    isBillPay(line) &&
                    !line.billpay_paid &&
                    !(this.finalized && line.transaction_id)
            )
            .reduce((sum, line) => sum + line.amount, 0);
    },

    /** Whether a customer of this open order pays now, at whatever device. */
    get billpayWaits() {
        return (
            !this.finalized &&
            this.payment_ids.some(
                (line) =>
                    isBillPay(line) &&
                    !line.billpay_paid &&
                    WAITING.includes(line.payment_status)
            )
        );
    },

    /** A number that was taken back keeps no other terminal waiting. */
    electronicPaymentInProgress() {
        return this.payment_ids.some(
            (line) =>
                line.payment_status &&
                !["done", "reversed"].includes(line.payment_status) &&
                !(isBillPay(line) && ["pending", "retry"].includes(line.payment_status))
        );
    },
});
