// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { Component, onWillUnmount, xml } from "@odoo/owl";
import { registry } from "@web/core/registry";
import { standardFieldProps } from "@web/views/fields/standard_field_props";

// Seconds between two looks at a run that is going on.
const INTERVAL = 3;

/** Shows nothing: reads the form anew while its run, printing or sending goes on, and
 * then stops. */
export class BillpayRunRefresh extends Component {
    static template = xml`<span/>`;
    static props = { ...standardFieldProps };

    setup() {
        this.timer = setInterval(() => this.refresh(), INTERVAL * 1000);
        onWillUnmount(() => clearInterval(this.timer));
    }

    async refresh() {
        const record = this.props.record;
        const running =
            record.data[this.props.name] === "running" || record.data.background;
        // What a person is typing is not read over.
        if (running && !this.loading && !document.hidden && !record.dirty) {
            this.loading = true;
            try {
                await record.load();
            } finally {
                this.loading = false;
            }
        }
    }
}

registry.category("fields").add("billpay_run_refresh", {
    component: BillpayRunRefresh,
    supportedTypes: ["selection"],
});
