// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { Component, onMounted, useRef, useState } from "@odoo/owl";
import { Dialog } from "@web/core/dialog/dialog";
import { useDebounced } from "@web/core/utils/timing";
import { usePos } from "@point_of_sale/app/hooks/pos_hook";
import { _t } from "@web/core/l10n/translation";

/** "I have paid": today's payments, for who knows something of one. */
export class BillPaySearch extends Component {
    static template = "billpay_odoo_pos.BillPaySearch";
    static components = { Dialog };
    static props = { close: Function };

    setup() {
        this.pos = usePos();
        this.state = useState({ text: "", found: null, trouble: "" });
        this.input = useRef("input");
        this.search = useDebounced(this.searchNow, 300);
        onMounted(() => this.input.el.focus());
    }

    async searchNow() {
        const text = this.state.text.trim();
        if (text.length < 3) {
            this.state.found = null;
            return;
        }
        try {
            const found = await this.pos.billpay.search(text);
            if (text === this.state.text.trim()) {
                this.state.found = found;
                this.state.trouble = "";
            }
        } catch (error) {
            this.state.found = null;
            this.state.trouble =
                error.data?.message ||
                _t("There is no network: payments cannot be looked up at this moment.");
        }
    }

    money(amount) {
        return this.pos.billpay.money(amount);
    }
}
