// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { Component, onWillStart, onWillUpdateProps, useState } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { KanbanRenderer } from "@web/views/kanban/kanban_renderer";
import { kanbanView } from "@web/views/kanban/kanban_view";
import { ListRenderer } from "@web/views/list/list_renderer";
import { listView } from "@web/views/list/list_view";

/** What waits at the money desk, in figures; a click filters the view below. */
export class BillpayDesk extends Component {
    static template = "billpay_odoo.Desk";
    static props = { list: { type: Object, optional: true } };

    setup() {
        this.orm = useService("orm");
        this.action = useService("action");
        this.state = useState({ counts: {} });
        onWillStart(() => this.load());
        // Not waited for: the list is of more use than the figures.
        onWillUpdateProps(() => {
            this.load();
        });
    }

    async load() {
        this.state.counts = await this.orm.silent.call(
            "billpay.payment",
            "retrieve_desk",
        );
    }

    get isShown() {
        // Only where its filters are: not in a list within a form.
        const items = this.env.searchModel?.getSearchItems(
            (item) => item.name === "todo",
        );
        return Boolean(items?.length);
    }

    get figures() {
        return [
            { name: "todo", label: _t("To do"), colour: "warning" },
            { name: "unmatched", label: _t("Unmatched"), colour: "warning" },
            { name: "not_booked", label: _t("Not booked yet"), colour: "danger" },
            { name: "waiting", label: _t("On their way"), colour: "info" },
            { name: "ignored", label: _t("Put aside"), colour: "info" },
            { name: "quarantine", label: _t("Quarantine"), colour: "danger" },
        ];
    }

    classOf({ name, colour }) {
        return this.state.counts[name]
            ? `bg-${colour}-subtle text-${colour}-emphasis`
            : "bg-secondary-subtle text-secondary-emphasis opacity-75";
    }

    open(name) {
        if (name === "quarantine") {
            this.action.doAction("billpay_odoo.action_billpay_event_quarantine");
            return;
        }
        const model = this.env.searchModel;
        const [item] = model.getSearchItems((item) => item.name === name);
        model.clearQuery();
        model.toggleSearchItem(item.id);
    }
}

export class BillpayDeskListRenderer extends ListRenderer {
    static template = "billpay_odoo.DeskListRenderer";
    static components = { ...ListRenderer.components, BillpayDesk };
}

export class BillpayDeskKanbanRenderer extends KanbanRenderer {
    static template = "billpay_odoo.DeskKanbanRenderer";
    static components = { ...KanbanRenderer.components, BillpayDesk };
}

registry.category("views").add("billpay_desk_list", {
    ...listView,
    Renderer: BillpayDeskListRenderer,
});
registry.category("views").add("billpay_desk_kanban", {
    ...kanbanView,
    Renderer: BillpayDeskKanbanRenderer,
});
