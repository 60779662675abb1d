// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { PayBlock } from "../pay_block/pay_block";

// The bundle is deferred: the page is read when this runs.
for (const el of document.querySelectorAll(".o_billpay")) {
    new PayBlock(el).start();
}
