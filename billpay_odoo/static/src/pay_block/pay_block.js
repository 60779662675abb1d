// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

/** Milliseconds between questions: a minute of the first, then slower, up to the last. */
const FIRST_DELAY = 3000;
const LAST_DELAY = 15000;
const QUICK_POLLS = 20;
const SLOWDOWN = 1.25;

/** How long "Copied" stays (milliseconds). */
const FEEDBACK = 2500;

/**
 * Copy button, channel tabs and the live "paid" state of a pay page.
 *
 * Everything works without it except these three: the number can be selected, all steps are
 * shown, and the page can be loaded again. It imports nothing: the public page loads no more
 * than this, while the portal and the shop start it as an interaction.
 */
export class PayBlock {
    /** @param {HTMLElement} el the block, ".o_billpay" */
    constructor(el) {
        this.el = el;
        this.watchUrl = el.dataset.watchUrl;
        this.polls = 0;
        this.delay = FIRST_DELAY;
        this.timer = null;
        this.asking = false;
        this.ended = new AbortController();
    }

    start() {
        this.listen(document, "visibilitychange", () => this.onVisibilityChange());
        const copy = this.part("copy");
        if (copy) {
            this.listen(copy, "click", () => this.onCopy(copy));
            copy.classList.remove("d-none");
        }
        for (const tab of this.el.querySelectorAll("[role='tab']")) {
            this.listen(tab, "click", () => this.selectTab(tab));
            this.listen(tab, "keydown", (ev) => this.onTabKeydown(ev));
        }
        if (this.watchUrl) {
            this.part("waiting")?.classList.remove("d-none");
            this.schedule();
        }
    }

    destroy() {
        this.ended.abort();
        clearTimeout(this.timer);
    }

    listen(target, name, handler) {
        target.addEventListener(name, handler, { signal: this.ended.signal });
    }

    part(name) {
        return this.el.querySelector(`[data-billpay="${name}"]`);
    }

    // --- Copy ---

    async onCopy(button) {
        const text = this.part("copy-text");
        const label = button.dataset.label || text.textContent;
        button.dataset.label = label;
        if (!(await this.copy(button.dataset.number))) {
            // Neither way is allowed here: mark the digits so that the payer can copy them.
            document.getSelection().selectAllChildren(this.part("number"));
            return;
        }
        text.textContent = button.dataset.copied;
        button.classList.add("o_billpay_copied");
        setTimeout(() => {
            text.textContent = label;
            button.classList.remove("o_billpay_copied");
        }, FEEDBACK);
    }

    /**
     * Put the digits on the clipboard.
     *
     * The modern way needs HTTPS and permission; the old one works on plain HTTP, which a shop's
     * own server may well speak.
     *
     * @param {string} digits
     * @returns {Promise<boolean>} whether they are there
     */
    async copy(digits) {
        try {
            await navigator.clipboard.writeText(digits);
            return true;
        } catch {
            const field = document.createElement("textarea");
            field.value = digits;
            field.setAttribute("readonly", "");
            field.style.position = "fixed";
            field.style.opacity = "0";
            document.body.append(field);
            field.select();
            const copied = document.execCommand("copy");
            field.remove();
            return copied;
        }
    }

    // --- Tabs (keys as in the WAI-ARIA tabs pattern) ---

    onTabKeydown(ev) {
        const tabs = [...this.el.querySelectorAll("[role='tab']")];
        const at = tabs.indexOf(ev.currentTarget);
        const to = {
            ArrowRight: (at + 1) % tabs.length,
            ArrowLeft: (at - 1 + tabs.length) % tabs.length,
            Home: 0,
            End: tabs.length - 1,
        }[ev.key];
        if (to !== undefined) {
            ev.preventDefault();
            this.selectTab(tabs[to]);
            tabs[to].focus();
        }
    }

    selectTab(selected) {
        for (const tab of this.el.querySelectorAll("[role='tab']")) {
            const isSelected = tab === selected;
            tab.setAttribute("aria-selected", String(isSelected));
            tab.tabIndex = isSelected ? 0 : -1;
            document.getElementById(tab.getAttribute("aria-controls")).hidden = !isSelected;
        }
    }

    // --- Live state ---

    schedule() {
        clearTimeout(this.timer);
        if (!this.watchUrl || document.hidden || this.ended.signal.aborted) {
            return;
        }
        if (++this.polls > QUICK_POLLS) {
            this.delay = Math.min(this.delay * SLOWDOWN, LAST_DELAY);
        }
        this.timer = setTimeout(() => this.poll(), this.delay);
    }

    /** A payer comes back from the phone's own payment menu: ask at once, and quickly again. */
    onVisibilityChange() {
        clearTimeout(this.timer);
        if (this.watchUrl && !document.hidden) {
            this.polls = 0;
            this.delay = FIRST_DELAY;
            this.poll();
        }
    }

    async poll() {
        if (this.asking) {
            return;
        }
        this.asking = true;
        let state = null;
        try {
            state = await this.ask();
        } finally {
            this.asking = false;
        }
        if (state && !this.ended.signal.aborted) {
            this.show(state);
        }
        this.schedule();
    }

    /**
     * Ask the server once.
     *
     * @returns {Promise<Object|null>} the state; null when there is no answer this time: a phone
     *     without network or a server that restarts is no news, the next question follows.
     */
    async ask() {
        let response;
        try {
            response = await fetch(this.watchUrl, {
                cache: "no-store",
                credentials: "same-origin",
            });
        } catch {
            return null;
        }
        if (response.status === 404) {
            // The number is gone or the address is not valid any more: nothing will change.
            this.watchUrl = null;
            return null;
        }
        return response.ok ? response.json() : null;
    }

    show(state) {
        if (state.final) {
            this.watchUrl = null;
        }
        if (state.paid) {
            this.showPaid(state);
        } else if (
            state.state !== this.el.dataset.state ||
            state.amount_paid !== (parseFloat(this.el.dataset.amountPaid) || 0) ||
            (state.state === "partial" && state.successor_url)
        ) {
            // Another page altogether: let the server draw it.
            this.watchUrl = null;
            this.reload();
        }
    }

    /** The page of a customer's number knows by its address since when it is open. */
    reload() {
        const url = new URL(location.href);
        if (this.el.dataset.since) {
            url.searchParams.set("since", this.el.dataset.since);
        }
        if (url.href === location.href) {
            location.reload();
        } else {
            location.replace(url);
        }
    }

    showPaid(state) {
        this.part("paid-amount").textContent = state.amount_paid_text;
        this.part("paid-amount-row").classList.toggle("d-none", !state.amount_paid);
        this.part("paid-receipt").textContent = state.receipt;
        this.part("paid-receipt-row").classList.toggle("d-none", !state.receipt);
        this.part("body").classList.add("d-none");
        this.part("paid").classList.remove("d-none");
        this.el.dataset.state = "paid";
        this.el.scrollIntoView({ block: "nearest" });
    }
}
