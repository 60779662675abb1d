// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { reactive } from "@odoo/owl";
import { ConnectionLostError } from "@web/core/network/rpc";
import { _t } from "@web/core/l10n/translation";
import { generateQRCodeDataUrl } from "@point_of_sale/utils";
import { moneyText } from "./money_text";
import { NumberRange } from "./number_range";
import { OrderWarnings } from "./order_warnings";
import { BillPayPopup } from "./billpay_popup/billpay_popup";
import { BillPaySearch } from "./billpay_search/billpay_search";

// While a customer waits and no message of the server comes (milliseconds).
const ASK_EVERY = 5000;
// A network that does not answer for this long is none (milliseconds).
const PATIENCE = 15000;

/** What a till knows about control numbers: who waits for money, and what came. */
export class BillPayTill {
    constructor(pos) {
        this.pos = pos;
        this.range = new NumberRange(`${odoo.info?.db}-${pos.config.id}`);
        // Orders whose customer pays now, by UUID.
        this.waiting = new Map();
        this.warnings = new OrderWarnings(pos);
    }

    get config() {
        return this.pos.config;
    }

    /** The payment method of this till, or undefined. */
    get method() {
        return this.config.payment_method_ids.find(
            (method) => method.use_payment_terminal === "billpay"
        );
    }

    get offline() {
        return Boolean(this.pos.data.network.offline);
    }

    /** Words and ways to pay, in the language of the till's customers. */
    get words() {
        return this.config._billpay?.[this.config.billpay_lang || "sw"];
    }

    /**
     * The manager's rule about orders that are finished before their money came; the
     * server holds it, too. Change is given of what came, and never later.
     */
    mayPayLater(offline, givesChange = false) {
        const rule = this.config.billpay_later;
        const free = rule === "always" || (rule === "offline" && (offline || this.offline));
        return free && !givesChange;
    }

    /** Whether a line that waits asks for more than the order still comes to. */
    givesChange(order, line) {
        return line.amount - order.remainingDue > this.pos.currency.rounding / 2;
    }

    money(amount) {
        return moneyText(amount, this.pos.currency);
    }

    qr(url) {
        return url ? generateQRCodeDataUrl(url, { width: 180, height: 180 }) : "";
    }

    // === THE SERVER === //

    async call(method, args) {
        if (this.offline) {
            throw new ConnectionLostError();
        }
        let timer;
        const late = new Promise((_resolve, reject) => {
            timer = setTimeout(() => reject(new ConnectionLostError()), PATIENCE);
        });
        try {
            return await Promise.race([
                this.pos.data.call("pos.config", method, [this.config.id, ...args]),
                late,
            ]);
        } finally {
            clearTimeout(timer);
        }
    }

    /**
     * Fill the range up, quietly: there is one left for now.
     * @param {boolean} [always] also a full one: its numbers may not be payable any more
     */
    async refill(always = false) {
        if (!this.method || this.offline || !(always || this.range.isLow)) {
            return;
        }
        const { device, used } = this.range.content;
        try {
            this.range.fill(await this.call("billpay_lease", [device, used]));
        } catch (error) {
            if (!(error instanceof ConnectionLostError)) {
                // The server has none that this device may hand out.
                this.range.fill([]);
            }
            console.info("BillPay: no new numbers at this moment.", error.message);
        }
    }

    async search(text) {
        return this.call("billpay_search", [text]);
    }

    openSearch() {
        this.pos.dialog.add(BillPaySearch, {});
    }

    // === A NUMBER === //

    /**
     * Get an order a number that can be paid now; without network one of the range.
     * @returns {{number: string, url: string, received: number, offline: boolean}}
     * @throws {Error} no number can be had, with a sentence for the cashier
     */
    async ask(order, amount) {
        try {
            const stand = await this.call("billpay_ask", [
                {
                    uuid: order.uuid,
                    amount,
                    reference: order.pos_reference || order.tracking_number || "",
                    partner_id: order.partner_id?.id || false,
                    number: order.billpay_number || "",
                },
            ]);
            this.remember(order, stand);
            return { ...stand, offline: false };
        } catch (error) {
            if (!(error instanceof ConnectionLostError)) {
                throw error;
            }
        }
        // The customer may have a number already, as on a printed bill.
        let own = order.billpay_number && {
            number: order.billpay_number,
            url: order.billpay_url,
        };
        own = own || this.range.take();
        if (!own) {
            throw new Error(
                _t(
                    "There is no network, and this till has used up the control numbers that it had in store. Take another payment method, or connect the till for a moment."
                )
            );
        }
        this.remember(order, own);
        return { ...own, received: 0, state: "waiting", payments: [], offline: true };
    }

    remember(order, { number, url }) {
        order.billpay_number = number;
        order.billpay_url = url || "";
    }

    forget(order) {
        order.billpay_number = false;
        order.billpay_url = "";
    }

    // === A CUSTOMER PAYS NOW === //

    /**
     * Show the number and wait.
     * @returns {Promise<boolean>} whether the line is paid, or is to be paid later
     */
    async collect(order, line) {
        const givesChange = this.givesChange(order, line);
        if (givesChange && !this.config.billpay_change) {
            throw new Error(
                _t(
                    "Only %s is left to pay, and this till gives no change for BillPay. Lower the amount of the line.",
                    this.money(order.remainingDue)
                )
            );
        }
        const info = await this.ask(order, line.amount);
        line.billpay_number = info.number;
        line.setPaymentStatus("waitingCard");
        await this.pos.data.synchronizeLocalDataInIndexedDB();
        const { promise, resolve } = Promise.withResolvers();
        const entry = {
            order,
            line,
            givesChange,
            resolve,
            shown: reactive({
                number: info.number,
                offline: info.offline,
                mayPayLater: this.mayPayLater(info.offline, givesChange),
                message: "",
                problem: "",
            }),
            url: info.url,
        };
        this.waiting.set(order.uuid, entry);
        order.uiState.billpay = { number: info.number, amount: line.amount };
        if (!this.take(entry, info)) {
            this.open(entry);
            this.keepAsking(entry);
        }
        return promise;
    }

    open(entry) {
        entry.close?.();
        entry.close = this.pos.dialog.add(
            BillPayPopup,
            {
                waiting: entry.shown,
                amount: this.money(entry.line.amount),
                qr: this.qr(entry.url),
                words: this.words,
                onCheck: () => this.check(entry, true),
                onCancel: () => this.cancel(entry),
                onLater: () => this.later(entry),
                onSearch: () => this.openSearch(),
            },
            { onClose: () => (entry.close = null) }
        );
    }

    /** Whoever hears no message asks; it stops with the waiting. */
    keepAsking(entry) {
        entry.timer = setTimeout(async () => {
            if (this.waiting.get(entry.order.uuid) === entry) {
                await this.check(entry);
                this.keepAsking(entry);
            }
        }, ASK_EVERY);
    }

    async check(entry, aloud = false) {
        try {
            if (entry.shown.offline) {
                // Is the network back? Then the server hears of this number now.
                const info = await this.ask(entry.order, entry.line.amount);
                entry.shown.offline = info.offline;
                entry.shown.mayPayLater = this.mayPayLater(info.offline, entry.givesChange);
                this.take(entry, info);
                return;
            }
            const [stand] = await this.call("billpay_status", [[entry.order.uuid]]);
            this.tellProblem(entry, stand?.problem || "");
            if (!(stand && this.take(entry, stand)) && aloud) {
                entry.shown.message = _t("Nothing has come yet.");
            }
        } catch (error) {
            entry.shown.offline = error instanceof ConnectionLostError;
            if (!entry.shown.offline) {
                entry.shown.message = error.data?.message || error.message;
            }
        }
        entry.shown.mayPayLater = this.mayPayLater(entry.shown.offline, entry.givesChange);
    }

    /** A number that cannot be paid any more is shown neither here nor to the customer. */
    tellProblem(entry, problem) {
        const { order, line, shown } = entry;
        shown.problem = problem;
        order.uiState.billpay = problem
            ? null
            : { number: shown.number, amount: line.amount };
    }

    /**
     * Take what came for a waiting line.
     * @returns {boolean} whether the waiting is over
     */
    take(entry, stand) {
        const { order, line } = entry;
        if (entry.over) {
            return true;
        }
        const before = this.paidOf(order, line);
        const received = (stand.received || 0) - before;
        if (received <= 0) {
            return false;
        }
        const over = received - line.amount;
        if (over > 0 && this.config.billpay_change) {
            line.setAmount(received);
            this.warnings.add(
                order,
                _t("%s too much came: it is given back as change.", this.money(over))
            );
        } else if (over > 0) {
            this.warnings.add(
                order,
                _t(
                    "%s too much came: it is kept as the customer's credit. Send the customer to the accountant for it.",
                    this.money(over)
                )
            );
        } else if (over < 0) {
            const left = this.money(-over);
            line.setAmount(received);
            this.warnings.add(
                order,
                _t(
                    "Only a part came. %s is left to pay: choose a payment method for it, BillPay again or another one.",
                    left
                ),
                true
            );
        }
        this.settle(line, stand);
        if (over < 0) {
            // The number is used up; the rest gets one of its own.
            this.forget(order);
        }
        this.done(entry, true);
        return true;
    }

    /** What other lines of the order were paid by BillPay, in TZS. */
    paidOf(order, except) {
        return order.payment_ids
            .filter(
                (line) =>
                    line !== except &&
                    line.payment_method_id.use_payment_terminal === "billpay" &&
                    line.transaction_id
            )
            .reduce((sum, line) => sum + line.amount, 0);
    }

    settle(line, stand) {
        const [payment] = stand.payments || [];
        line.billpay_number = payment?.number || stand.number;
        line.transaction_id = payment?.receipt || stand.number;
        line.cardholder_name = payment?.payer || "";
    }

    done(entry, outcome) {
        entry.over = true;
        clearTimeout(entry.timer);
        this.waiting.delete(entry.order.uuid);
        entry.order.uiState.billpay = null;
        entry.close?.();
        entry.resolve(outcome);
    }

    later(entry) {
        if (this.mayPayLater(entry.shown.offline, entry.givesChange)) {
            this.done(entry, true);
        }
    }

    /** @returns {Promise<boolean>} whether it is cancelled: money may have come */
    async cancel(entry) {
        try {
            const stand = await this.call("billpay_cancel", [entry.order.uuid]);
            if (stand?.received && this.take(entry, stand)) {
                return false;
            }
        } catch (error) {
            if (!(error instanceof ConnectionLostError)) {
                entry.shown.message = error.data?.message || error.message;
                return false;
            }
        }
        this.forget(entry.order);
        this.done(entry, false);
        return true;
    }

    say(text) {
        this.pos.notification.add(text, { type: "success" });
    }

    // === MONEY CAME === //

    /**
     * The server says that something came; what, it tells only when asked.
     * @param {{order: string, number: string}} message the beginning of the order's
     *      UUID, if the server knows it, and the end of the number
     */
    async onMessage({ order: begins, number: ends }) {
        const isMeant = begins
            ? (item) => item.uuid?.startsWith(begins)
            : (item) => item.billpay_number && item.billpay_number.endsWith(ends);
        const order = this.pos.models["pos.order"].find(isMeant);
        if (!order) {
            return;
        }
        const entry = this.waiting.get(order.uuid);
        if (entry) {
            await this.check(entry);
        } else if (order.finalized) {
            await this.noteOn(order);
            this.say(_t("Order %s: a BillPay payment came.", order.getName()));
        } else {
            await this.applyTo(order);
        }
    }

    /** A finished order that waited: does it still? */
    async noteOn(order) {
        try {
            const [stand] = await this.call("billpay_status", [[order.uuid]]);
            order.uiState.billpayPaid = ["paid", "over"].includes(stand?.state);
        } catch (error) {
            console.info("BillPay: not known at this moment.", error.message);
        }
    }

    /** Money for an order that nobody waits at: a bill that was printed. */
    async applyTo(order) {
        if (!order.billpay_number || this.waiting.has(order.uuid) || !this.method) {
            return;
        }
        let stand;
        try {
            [stand] = await this.call("billpay_status", [[order.uuid]]);
            if (!stand) {
                stand = await this.ask(order, order.remainingDue);
            }
        } catch (error) {
            console.info("BillPay: not known at this moment.", error.message);
            return;
        }
        const received = (stand.received || 0) - this.paidOf(order);
        if (received <= 0 || order.finalized) {
            return;
        }
        const due = order.remainingDue;
        if (due <= 0) {
            this.warnings.add(
                order,
                _t(
                    "Order %(name)s: %(amount)s came by BillPay, but it has other payment lines already. Remove them if the customer did not pay twice.",
                    { name: order.getName(), amount: this.money(received) }
                ),
                true
            );
            return;
        }
        const amount = this.config.billpay_change ? received : Math.min(received, due);
        const line = this.pos.models["pos.payment"].create({
            pos_order_id: order,
            payment_method_id: this.method,
        });
        line.setAmount(amount);
        line.setPaymentStatus("done");
        this.settle(line, stand);
        this.forget(order);
        this.say(
            _t("Order %(name)s: %(amount)s came by BillPay.", {
                name: order.getName(),
                amount: this.money(received),
            })
        );
        this.pos.addPendingOrder([order.id]);
        await this.pos.syncAllOrders();
    }
}
