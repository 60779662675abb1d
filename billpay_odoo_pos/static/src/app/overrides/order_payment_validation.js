// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";
import OrderPaymentValidation from "@point_of_sale/app/utils/order_payment_validation";

patch(OrderPaymentValidation.prototype, {
    async validateOrder() {
        const till = this.pos.billpay;
        const { orderUuid } = this;
        // A click while the order finishes by itself.
        if (till.finishing.has(orderUuid)) {
            return false;
        }
        till.finishing.add(orderUuid);
        try {
            const asSeen = await till.isAsSeen(this.order);
            if (!this.order || this.order.finalized) {
                return false;
            }
            if (!asSeen) {
                till.say(
                    _t(
                        "A BillPay payment came meanwhile. Look at the payment lines again before you finish the order."
                    )
                );
                return false;
            }
            return await super.validateOrder(...arguments);
        } finally {
            till.finishing.delete(orderUuid);
        }
    },
});
