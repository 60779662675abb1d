// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { ConnectionLostError } from "@web/core/network/rpc";
import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { _t } from "@web/core/l10n/translation";
import { generateQRCodeDataUrl } from "@point_of_sale/utils";
import OrderPaymentValidation from "@point_of_sale/app/utils/order_payment_validation";
import { moneyText } from "./money_text";
import { NumberRange } from "./number_range";
import { OrderWarnings } from "./order_warnings";
import { BillPayWaiting, WAITING, isBillPay } from "./billpay_waiting";
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
        // Customers who pay now at this device, by the UUIDs of their orders.
        this.waiting = new Map();
        // Orders that are being finished at this moment.
        this.finishing = new Set();
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
        return line.amount - order.billpayToPay > this.pos.currency.rounding / 2;
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
     * @param {Object} [line] that waits for the money
     * @returns {{number: string, url: string, received: number, offline: boolean}}
     * @throws {Error} no number can be had, with a sentence for the cashier
     */
    async ask(order, amount, line) {
        const uuid = order.uuid;
        try {
            const stand = await this.call("billpay_ask", [
                {
                    uuid,
                    amount,
                    reference: order.pos_reference || order.tracking_number || "",
                    partner_id: order.partner_id?.id || false,
                    number: order.billpay_number || "",
                    line: line?.uuid || "",
                },
            ]);
            return { ...stand, offline: false };
        } catch (error) {
            if (!(error instanceof ConnectionLostError)) {
                throw error;
            }
        }
        // The customer may have a number already, as on a printed bill.
        const now = this.find(uuid);
        let own = now?.billpay_number && {
            number: now.billpay_number,
            url: now.billpay_url,
        };
        own = own || this.range.take();
        if (!own) {
            throw new Error(
                _t(
                    "There is no network, and this till has used up the control numbers that it had in store. Take another payment method, or connect the till for a moment."
                )
            );
        }
        return { ...own, received: 0, state: "waiting", payments: [], lines: [], offline: true };
    }

    /** The number of a bill that is printed: it asks for what is left of the order. */
    async askForBill(order) {
        await this.putOnServer(order);
        const stand = await this.ask(order, order.remainingDue);
        this.remember(order, stand);
        await this.apply(order.uuid, stand);
    }

    /** The server adds what is paid to the orders that it knows. */
    async putOnServer(order) {
        if (this.offline || !order || order.finalized || !order.lines.length) {
            return;
        }
        this.pos.addPendingOrder([order.id]);
        await this.pos.syncAllOrders({ orders: [order] });
    }

    find(uuid) {
        return this.pos.models["pos.order"].getBy("uuid", uuid);
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

    /** Let a line wait for its money: show the number, and go on by itself. */
    async start(order, line) {
        const known = this.waiting.get(order.uuid);
        if (known?.isAlive) {
            this.open(known);
            return;
        }
        known?.end();
        if (line.amount <= 0) {
            this.alert(
                _t(
                    "ClickPesa sends no money back. Give it back in cash, or from your own mobile money account, and choose that payment method."
                )
            );
            line.setPaymentStatus("retry");
            return;
        }
        if (this.givesChange(order, line) && !this.config.billpay_change) {
            this.alert(
                _t(
                    "Only %s is left to pay, and this till gives no change for BillPay. Lower the amount of the line.",
                    this.money(order.remainingDue)
                )
            );
            line.setPaymentStatus("retry");
            return;
        }
        const entry = new BillPayWaiting(this.pos, order, line);
        this.waiting.set(order.uuid, entry);
        line.setPaymentStatus("waiting");
        // A page that is loaded anew goes on with what it began itself.
        order.uiState.billpayLine = line.uuid;
        await this.run(entry);
    }

    /** Ask until ClickPesa was asked for what the line says. */
    async run(entry) {
        let stand = null;
        try {
            await this.putOnServer(entry.order);
            while (entry.isAlive && entry.asked !== entry.line.amount) {
                entry.asked = entry.line.amount;
                stand = await this.ask(entry.order, entry.asked, entry.line);
            }
        } catch (error) {
            return this.fail(entry, error);
        }
        if (!entry.isAlive) {
            return this.giveBack(entry);
        }
        const { order, line } = entry;
        this.remember(order, stand);
        this.tell(entry, stand);
        line.billpay_number = stand.number;
        line.setPaymentStatus("waitingCard");
        await this.pos.data.synchronizeLocalDataInIndexedDB();
        await this.apply(entry.orderUuid, stand);
        if (entry.isAlive) {
            this.open(entry);
            this.keepAsking(entry);
        }
    }

    tell(entry, stand) {
        const { order, line, shown } = entry;
        entry.url = stand.url;
        shown.number = stand.number;
        shown.amount = this.money(line.amount);
        shown.offline = stand.offline;
        shown.mayPayLater = this.mayPayLater(stand.offline, this.givesChange(order, line));
        order.uiState.billpay = { number: stand.number, amount: line.amount };
    }

    /** No number could be had: the line says so, and the cashier hears why. */
    fail(entry, error) {
        const alive = entry.isAlive;
        this.end(entry);
        if (!alive) {
            return;
        }
        entry.line.setPaymentStatus("retry");
        const text = error.data?.message || error.message;
        if (entry.isOnScreen) {
            this.alert(text);
        } else {
            this.warnings.add(entry.order, `${entry.order.getName()}: ${text}`, true);
        }
    }

    /** Nobody waits for it any more: the number that came too late asks for nothing. */
    async giveBack(entry) {
        this.end(entry);
        const { orderUuid } = entry;
        const order = this.find(orderUuid);
        if (this.waiting.has(orderUuid) || order?.finalized) {
            return;
        }
        try {
            const stand = await this.call("billpay_cancel", [orderUuid]);
            await this.apply(orderUuid, stand);
        } catch (error) {
            // Without network: money that comes is kept and told all the same.
            console.info("BillPay: number not taken back.", error.message);
        }
    }

    end(entry) {
        entry.end();
        if (this.waiting.get(entry.orderUuid) === entry) {
            this.waiting.delete(entry.orderUuid);
        }
    }

    /** The popup is its order's: nobody else's payment is covered by it. */
    open(entry) {
        if (!entry.isAlive || !entry.isOnScreen || !entry.shown.number) {
            return;
        }
        entry.close?.();
        const close = this.pos.dialog.add(
            BillPayPopup,
            {
                waiting: entry.shown,
                qr: this.qr(entry.url),
                words: this.words,
                onCheck: () => this.check(entry, true),
                onCancel: () => this.cancel(entry.order, entry.line),
                onLater: () => this.later(entry),
                onNext: () => this.nextCustomer(entry),
                onSearch: () => this.openSearch(),
            },
            {
                onClose: () => {
                    if (entry.close === close) {
                        entry.close = null;
                    }
                },
            }
        );
        entry.close = close;
    }

    /** The cashier is back at an order that may have been changed meanwhile. */
    async comeBack(entry) {
        if (!entry.isAlive) {
            return this.giveBack(entry);
        }
        const { order, line } = entry;
        // Without what only waits.
        const due = order.billpayToPay;
        const fits = entry.isWhole ? line.amount === due : line.amount <= due;
        if (fits || (this.config.billpay_change && line.amount > due)) {
            this.open(entry);
        } else if (due <= 0) {
            await this.cancel(order, line);
        } else {
            line.setAmount(due);
            if (entry.shown.number) {
                // The customer must not pay the old amount: it is asked for anew first.
                entry.shown.number = "";
                line.setPaymentStatus("waiting");
                await this.run(entry);
            }
        }
    }

    closePopup(orderUuid) {
        this.waiting.get(orderUuid)?.close?.();
    }

    /** Whoever hears no message asks; it stops with the waiting. */
    keepAsking(entry) {
        clearTimeout(entry.timer);
        entry.timer = setTimeout(async () => {
            if (this.waiting.get(entry.orderUuid) === entry) {
                await this.check(entry);
            }
            if (this.waiting.get(entry.orderUuid) === entry) {
                this.keepAsking(entry);
            }
        }, ASK_EVERY);
    }

    async check(entry, aloud = false) {
        if (!entry.isAlive) {
            return this.giveBack(entry);
        }
        const { shown } = entry;
        try {
            if (shown.offline) {
                // Is the network back? Then the server hears of this number now.
                await this.putOnServer(entry.order);
                if (!entry.isAlive) {
                    return this.giveBack(entry);
                }
                const stand = await this.ask(entry.order, entry.line.amount, entry.line);
                if (!entry.isAlive) {
                    return this.giveBack(entry);
                }
                shown.offline = stand.offline;
                await this.apply(entry.orderUuid, stand);
            } else {
                const [stand] = await this.call("billpay_status", [[entry.orderUuid]]);
                await this.apply(entry.orderUuid, stand);
                if (entry.isAlive) {
                    this.tellProblem(entry, stand?.problem || "");
                }
            }
            if (aloud && !shown.offline) {
                shown.message = _t("Nothing has come yet.");
            }
        } catch (error) {
            shown.offline = error instanceof ConnectionLostError;
            if (!shown.offline) {
                shown.message = error.data?.message || error.message;
            }
        }
        if (entry.isAlive) {
            const givesChange = this.givesChange(entry.order, entry.line);
            shown.mayPayLater = this.mayPayLater(shown.offline, givesChange);
        }
    }

    /** A number that cannot be paid any more is shown neither here nor to the customer. */
    tellProblem(entry, problem) {
        const { order, line, shown } = entry;
        shown.problem = problem;
        order.uiState.billpay = problem
            ? null
            : { number: shown.number, amount: line.amount };
    }

    later(entry) {
        const givesChange = entry.isAlive && this.givesChange(entry.order, entry.line);
        if (!entry.isAlive || !this.mayPayLater(entry.shown.offline, givesChange)) {
            return;
        }
        const { order, line } = entry;
        this.end(entry);
        line.setPaymentStatus("done");
        this.finish(order);
    }

    /** The customer pays on, and the next one is served. */
    nextCustomer(entry) {
        entry.close?.();
        if (this.config.module_pos_restaurant) {
            const { page, params } = this.pos.defaultPage;
            this.pos.navigate(page, params);
            return;
        }
        const order = this.pos.getEmptyOrder();
        this.pos.setOrder(order);
        this.pos.navigate("ProductScreen", { orderUuid: order.uuid });
    }

    /**
     * Take a line's number back.
     * @returns {Promise<boolean>} whether it is cancelled: money may have come
     */
    async cancel(order, line) {
        const { uuid: lineUuid } = line;
        const { uuid: orderUuid } = order;
        const entry = this.waiting.get(orderUuid);
        if (entry && entry.lineUuid === lineUuid && !entry.shown.number) {
            // It is being asked for. What comes is given back.
            this.end(entry);
            line.setPaymentStatus("retry");
            return true;
        }
        const lineNow = () =>
            this.find(orderUuid)?.payment_ids.find((item) => item.uuid === lineUuid);
        line.setPaymentStatus("waitingCancel");
        let stand = null;
        try {
            stand = await this.call("billpay_cancel", [orderUuid]);
        } catch (error) {
            if (!(error instanceof ConnectionLostError)) {
                lineNow()?.setPaymentStatus("waitingCard");
                const text = error.data?.message || error.message;
                if (entry?.close) {
                    entry.shown.message = text;
                } else {
                    this.warnings.add(order, text, true);
                }
                return false;
            }
        }
        await this.apply(orderUuid, stand);
        const now = lineNow();
        if (!now || now.billpay_paid) {
            return false;
        }
        if (entry) {
            this.end(entry);
        }
        now.setPaymentStatus("retry");
        this.forget(now.pos_order_id);
        return true;
    }

    /** Whether an order may be thrown away: nothing of it is paid. */
    async mayDelete(order) {
        const { uuid } = order;
        const entry = this.waiting.get(uuid);
        if (entry) {
            this.end(entry);
        }
        if (order.finalized || !(entry || order.billpay_number || this.paidLines(order).length)) {
            return true;
        }
        try {
            const stand = await this.call("billpay_cancel", [uuid]);
            await this.apply(uuid, stand);
        } catch (error) {
            // Without network: money that comes is kept and told all the same.
            console.info("BillPay: number not taken back.", error.message);
        }
        const now = this.find(uuid);
        if (!now || !this.paidLines(now).length) {
            return true;
        }
        this.alert(
            _t(
                "The order %(name)s stays: %(amount)s came by BillPay. Finish it, and refund it if the customer is to get the money back.",
                { name: now.getName(), amount: this.money(this.paidOf(now)) }
            )
        );
        return false;
    }

    // === MONEY CAME === //

    paidLines(order) {
        return order.payment_ids.filter((line) => isBillPay(line) && line.billpay_paid);
    }

    /** What of an order was paid by BillPay, in TZS. */
    paidOf(order) {
        return this.paidLines(order).reduce((sum, line) => sum + line.amount, 0);
    }

    /**
     * Show what the server says of an order's money. It alone adds lines that are paid.
     * @param {Object} stand as ``billpay_status`` tells it
     */
    async apply(uuid, stand) {
        let order = this.find(uuid);
        if (!order || order.finalized || !stand) {
            return;
        }
        const before = new Map(
            order.payment_ids.map((line) => [line.uuid, line.billpay_paid && line.amount])
        );
        const fresh = (stand.lines || []).filter(
            (line) => before.get(line.uuid) !== line.amount
        );
        const elsewhere = stand.order && stand.order !== "draft";
        if (elsewhere || (fresh.length && !order.isSynced)) {
            await this.pos.data.loadServerOrders([["uuid", "=", uuid]]);
        } else if (fresh.length) {
            this.pos.models.connectNewData({ "pos.payment": fresh });
        }
        order = this.find(uuid);
        const entry = this.waiting.get(uuid);
        if (!order) {
            return;
        }
        if (order.finalized) {
            return this.finishedElsewhere(order, entry);
        }
        if (!(stand.lines || []).length && !stand.left) {
            return;
        }
        this.dropWaiting(order);
        const ended = entry && !entry.isAlive;
        if (ended) {
            this.end(entry);
        }
        const came = fresh.filter((line) => !before.get(line.uuid));
        this.sayWhatCame(order, came, stand, ended);
        if (ended && came.length) {
            await this.finish(order);
        }
    }

    /** What waits for money that has come waits for the rest of the order only. */
    dropWaiting(order) {
        const numbers = this.paidLines(order).map((line) => line.billpay_number);
        for (const line of order.payment_ids.filter(
            (item) => isBillPay(item) && !item.billpay_paid && item.amount > 0
        )) {
            const unfinished = !line.isDone();
            if (
                numbers.includes(line.billpay_number) ||
                (unfinished && order.remainingDue <= 0)
            ) {
                line.delete();
            } else if (unfinished && line.amount > order.billpayToPay) {
                line.setAmount(order.billpayToPay);
            }
        }
    }

    sayWhatCame(order, came, stand, ended) {
        const { left } = stand;
        const due = order.remainingDue;
        const amount = this.money(came.reduce((sum, line) => sum + line.amount, 0));
        if (left > 0 && order.uiState.billpayLeft !== left) {
            order.uiState.billpayLeft = left;
            const values = { name: order.getName(), amount: this.money(left) };
            if (came.length || due <= 0) {
                this.warnings.add(
                    order,
                    this.paidLines(order).length
                        ? _t(
                              "%s too much came: it is kept as the customer's credit. Send the customer to the accountant for it.",
                              this.money(left)
                          )
                        : _t(
                              "Order %(name)s: %(amount)s came by BillPay, but it has other payment lines already. Remove them if the customer did not pay twice.",
                              values
                          )
                );
            }
        }
        if (!came.length) {
            return;
        }
        const change = order.change;
        if (change > 0 && this.config.billpay_change) {
            this.warnings.add(
                order,
                _t("%s too much came: it is given back as change.", this.money(change))
            );
        } else if (due > 0) {
            // The number is used up; the rest gets one of its own.
            this.forget(order);
            this.warnings.add(
                order,
                _t(
                    "Only a part came. %s is left to pay: choose a payment method for it, BillPay again or another one.",
                    this.money(due)
                ),
                true
            );
        } else if (change > 0) {
            this.warnings.add(
                order,
                _t(
                    "Order %(name)s: %(amount)s came by BillPay, but it has other payment lines already. Remove them if the customer did not pay twice.",
                    { name: order.getName(), amount }
                ),
                true
            );
        } else if (!ended) {
            this.say(
                _t("Order %(name)s: %(amount)s came by BillPay.", {
                    name: order.getName(),
                    amount,
                })
            );
        }
    }

    finishedElsewhere(order, entry) {
        const onScreen = entry?.isOnScreen;
        if (entry) {
            this.end(entry);
        }
        if (order.state !== "cancel") {
            this.say(_t("Order %s was finished on another device.", order.getName()));
        }
        if (onScreen) {
            const next = this.pos.defaultPage;
            this.pos.navigate(next.page, next.params);
        }
    }

    /** Finish an order whose customer has paid all of it here. */
    async finish(order) {
        const { uuid } = order;
        const onScreen =
            this.pos.router.state.current === "PaymentScreen" &&
            this.pos.getOrder()?.uuid === uuid;
        if (
            !order.isPaid() ||
            !this.config.auto_validate_terminal_payment ||
            order.isRefundInProcess()
        ) {
            if (!onScreen && order.isPaid()) {
                this.sayPaid(order);
            }
            return;
        }
        const validation = new OrderPaymentValidation({ pos: this.pos, orderUuid: uuid });
        if (onScreen) {
            await validation.validateOrder(false);
        } else {
            await this.finishBeside(order, validation);
        }
    }

    sayPaid(order) {
        this.say(_t("Order %s is paid. Open it to finish it.", order.getName()));
    }

    /** A parked order: the cashier serves somebody else, whose screen stays. */
    async finishBeside(order, validation) {
        const asksNothing =
            order.canBeValidated() &&
            order.presetRequirementsFilled &&
            !order.isToInvoice() &&
            !order.getShippingDate() &&
            !order.change &&
            order.payment_ids.every((line) => !line.payment_method_id.is_cash_count);
        if (!asksNothing) {
            this.sayPaid(order);
            return;
        }
        validation.checkCashRoundingHasBeenWellApplied = () => true;
        validation.shouldHideValidationBehindFeedbackScreen = () =>
            validation.finalizeValidation();
        const { uuid } = order;
        await validation.validateOrder(true);
        // Add-ons that extend it do not all return whether it is finished.
        const done = this.find(uuid);
        if (done?.finalized) {
            // The list of orders shows it until its receipt is printed, or not.
            done.setScreenData({ name: "ReceiptScreen", props: { orderUuid: done.uuid } });
            this.say(
                _t("Order %s is paid and finished. Print its receipt from the orders.", order.getName())
            );
        }
    }

    /**
     * Look at an order's money again before it is finished.
     * @returns {Promise<boolean>} whether it is as the cashier saw it
     */
    async isAsSeen(order) {
        const { uuid } = order;
        const lines = () =>
            this.find(uuid)
                ?.payment_ids.filter((line) => line.isDone())
                .map((line) => `${line.uuid} ${line.amount}`)
                .sort()
                .join();
        const before = lines();
        const entry = this.waiting.get(uuid);
        if (entry?.isAlive) {
            // Paid in another way, while the number is on the customer's phone.
            await this.cancel(order, entry.line);
        } else if (order.billpay_number && !this.offline) {
            await this.refresh(order);
        }
        return lines() === before;
    }

    async refresh(order) {
        const { uuid } = order;
        try {
            const [stand] = await this.call("billpay_status", [[uuid]]);
            await this.apply(uuid, stand);
        } catch (error) {
            console.info("BillPay: not known at this moment.", error.message);
        }
    }

    alert(body) {
        this.pos.dialog.add(AlertDialog, { title: _t("BillPay"), body });
    }

    say(text) {
        this.pos.notification.add(text, { type: "success" });
    }

    /** The page was loaded anew while customers were paying: go on from there. */
    resume() {
        const orders = this.method ? this.pos.getOpenOrders() : [];
        for (const order of orders) {
            const line = order.payment_ids.find(
                (item) =>
                    item.uuid === order.uiState.billpayLine &&
                    !item.billpay_paid &&
                    WAITING.includes(item.payment_status)
            );
            if (line && !this.waiting.has(order.uuid)) {
                this.start(order, line);
            }
        }
    }

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
        if (order.finalized) {
            await this.noteOn(order);
            this.say(_t("Order %s: a BillPay payment came.", order.getName()));
            return;
        }
        const entry = this.waiting.get(order.uuid);
        if (entry?.shown.number) {
            await this.check(entry);
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
        const { uuid } = order;
        if (!this.method || this.offline || !(order.billpay_number || order.isSynced)) {
            return;
        }
        try {
            let [stand] = await this.call("billpay_status", [[uuid]]);
            if (!stand && order.billpay_number && order.remainingDue > 0) {
                await this.putOnServer(order);
                stand = await this.ask(order, order.remainingDue);
            } else if (stand?.left > 0 && !stand.order) {
                // Its money waits for the order.
                await this.putOnServer(order);
                [stand] = await this.call("billpay_status", [[uuid]]);
            }
            await this.apply(uuid, stand);
        } catch (error) {
            console.info("BillPay: not known at this moment.", error.message);
        }
    }
}
