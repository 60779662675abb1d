// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { registry } from "@web/core/registry";
import { Interaction } from "@web/public/interaction";
import { PayBlock } from "../pay_block/pay_block";

/** The pay block in the portal and in the shop. */
export class BillpayPayBlock extends Interaction {
    static selector = ".o_billpay";

    start() {
        this.block = new PayBlock(this.el);
        this.block.start();
    }

    destroy() {
        this.block?.destroy();
    }
}

registry.category("public.interactions").add("billpay_odoo.pay_block", BillpayPayBlock);
