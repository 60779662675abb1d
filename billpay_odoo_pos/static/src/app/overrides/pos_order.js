// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { patch } from "@web/core/utils/patch";
import { PosOrder } from "@point_of_sale/app/models/pos_order";

patch(PosOrder.prototype, {
    /** What a finished order still waits for, in the till's currency. */
    get billpayDue() {
        if (this.uiState.billpayPaid) {
            return 0;
        }
        return this.payment_ids
            .filter(
                (line) =>
                    line.payment_method_id?.use_payment_terminal === "billpay" &&
                    !line.transaction_id
            )
            .reduce((sum, line) => sum + line.amount, 0);
    },
});
