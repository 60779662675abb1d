# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The pictures of the documentation, each made from the demo by scripted clicks.

Run by ``./dev pictures``. A picture is a function: it makes what the demo does not
have over Odoo's external API, opens a page in Chromium, clicks, and takes the picture.
Those without a function (set-up, till, shop, runs, imports, prints) are made by
hand.
"""

import argparse
import contextlib
import sys
import time
from pathlib import Path

from PIL import Image

# The checkout, for what is shared with ``./dev demo``.
sys.path.insert(0, str(Path(__file__).parents[1]))

from odoo.tools import config

config.parse_config([], setup_logging=False)

from odoo.addons.billpay_odoo.tests.devices import Chromium  # noqa: E402

from devtools import rpc  # noqa: E402
from devtools.billing import PATIENCE, Billing  # noqa: E402
from devtools.console import Problem  # noqa: E402

FOLDER = Path(__file__).with_name("images")
STORE = Path(__file__).parents[1] / "billpay_odoo/static/description"
# Two of the store's pictures are the documentation's.
ALSO = {"pay-page.png": STORE, "pay-page-phone.png": STORE}
PICTURES = {}
PHONE = 390, 844
SCREEN = 1400, 900


def picture(name, size=SCREEN):
    """Declare how a picture is made: a function of a :class:`Photographer`."""

    def declare(function):
        PICTURES[name] = (function, size)
        return function

    return declare


class Photographer(Billing):
    """The demo, with a browser before it."""

    def __init__(self, url, database, sandbox):
        super().__init__(url, database, sandbox)
        odoo = self.odoo
        odoo.company = odoo.read("res.users", odoo.user, ["company_id"])["company_id"][
            0
        ]
        self.chromium = Chromium()
        self.admin = self.chromium.device(url, "admin").login("admin")
        self.payer = self.chromium.device(url, "payer")
        self._customers = {}

    def take(self, name):
        function, size = PICTURES[name]
        device = function(self) or self.admin
        whole = size[1] is None
        width, height = size
        if whole:
            device.size(width, 300)
            time.sleep(0.3)
            height = device.run("return document.documentElement.scrollHeight")
        # What flew in says what happened, and hides where.
        device.run(
            "document.querySelectorAll('.o_notification').forEach((n) => n.remove())"
        )
        path = FOLDER / name
        device.picture(path, width, height)
        # A screen has few colours: a quarter of the size.
        Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)
        if name in ALSO:
            (ALSO[name] / name).write_bytes((FOLDER / name).read_bytes())

    # === WHAT IS PHOTOGRAPHED === #

    def customer(self, name="Juma Hamisi", **values):
        if name not in self._customers:
            self._customers[name] = self.odoo.call(
                "res.partner",
                "create",
                {
                    "name": name,
                    "phone": "+255 712 345 678",
                    "email": "juma.hamisi@example.com",
                    "city": "Dar es Salaam",
                    **values,
                },
            )
        return self._customers[name]

    def billed(self, amount, text="Ujenzi wa tovuti", customer=None, **values):
        """Post an invoice whose number can be paid; return ``(move, number)``."""
        move = self.odoo.call(
            "account.move",
            "create",
            {
                "move_type": "out_invoice",
                "partner_id": customer or self.customer(),
                "invoice_line_ids": [
                    (0, 0, {"name": text, "price_unit": amount, "tax_ids": [(5,)]})
                ],
                **values,
            },
        )
        self.odoo.call("account.move", "action_post", [move])
        return move, self.confirmed_number(move)

    def press(self, move, *buttons):
        """Press buttons of an invoice that return nothing, which XML-RPC cannot say."""
        for button in buttons:
            with contextlib.suppress(Problem):
                self.odoo.call("account.move", button, [move])

    def number(self, digits, *fields):
        [found] = self.odoo.find(
            "billpay.control.number", [("name", "=", digits)], ["id", *fields]
        )
        return found

    def page(self, digits):
        """Return the path of a number's pay page."""
        found = self.number(digits)
        action = self.odoo.call(
            "billpay.control.number", "action_open_pay_page", [found["id"]]
        )
        return action["url"].removeprefix(self.url)

    def paid_by(self, number, amount, name="JUMA HAMISI", phone="255712345678"):
        """Somebody pays at the sandbox; wait until Odoo knows; return its id."""
        payment = rpc.request(
            f"{self.sandbox}/_sandbox/pay",
            {"number": number, "amount": amount, "name": name, "phone": phone},
        )
        reference = payment["id"]

        def settled():
            found = self.odoo.find(
                "billpay.payment", [("reference", "=", reference)], ["state"]
            )
            return (
                found and found[0]["state"] not in ("received", "confirmed") and found
            )

        return rpc.until(settled, PATIENCE, "the payment is settled")[0]["id"]

    @property
    def application(self):
        [found] = self.odoo.find(
            "payment.provider",
            [("code", "=", "clickpesa"), ("company_id", "=", self.odoo.company)],
            ["id"],
        )
        return found["id"]

    def portal(self, partner, login):
        """Log a customer in, who sees the portal."""
        if not self.odoo.find("res.users", [("login", "=", login)], ["id"]):
            self.odoo.call(
                "res.users",
                "create",
                {
                    "name": login,
                    "login": login,
                    "password": login,
                    "partner_id": partner,
                    "group_ids": [(6, 0, [self.odoo.ref("base.group_portal")])],
                    "company_id": self.odoo.company,
                    "company_ids": [(6, 0, [self.odoo.company])],
                },
                context={"no_reset_password": True},
            )
        return self.chromium.device(self.url, login).login(login)

    def open(self, action, record=None, device=None):
        """Open a window action, or one of its records."""
        device = device or self.admin
        path = f"/odoo/action-{action}" + (f"/{record}" if record else "")
        device.open(path)
        device.see(".o_form_view" if record else ".o_action_manager .o_view_controller")
        device.wait("!document.querySelector('.o_loading_indicator')")
        return device

    def invoice_form(self, move):
        return self.open("account.action_move_out_invoice_type", move)

    def stop(self):
        self.chromium.stop()


# === INVOICES === #


@picture("invoice.png", (1400, 1000))
def invoice(it):
    move, number = it.billed(450_000)
    it.paid_by(number, 450_000)
    return it.invoice_form(move)


@picture("pay-page.png", (1200, None))
def pay_page(it):
    _move, number = it.billed(150_000)
    return it.payer.open(it.page(number))


@picture("pay-page-phone.png", (390, None))
def pay_page_phone(it):
    _move, number = it.billed(150_000)
    return it.payer.size(390).open(it.page(number) + "?lang=sw")


@picture("pay-page-usd.png", PHONE)
def pay_page_usd(it):
    odoo = it.odoo
    dollar = odoo.ref("base.USD")
    odoo.call("res.currency", "write", [dollar], {"active": True})
    day = {"name": time.strftime("%Y-%m-01"), "company_id": odoo.company}
    if not odoo.find(
        "res.currency.rate",
        [
            ("currency_id", "=", dollar),
            ("name", "=", day["name"]),
            ("company_id", "=", odoo.company),
        ],
        ["id"],
    ):
        odoo.call(
            "res.currency.rate",
            "create",
            {**day, "currency_id": dollar, "inverse_company_rate": 2_550},
        )
    _move, number = it.billed(120, "Hosting, one year", currency_id=dollar)
    return it.payer.size(390).open(it.page(number) + "?lang=en")


@picture("pay-page-paid.png", (800, None))
def pay_page_paid(it):
    _move, number = it.billed(150_000)
    path = it.page(number)
    it.paid_by(number, 150_000)
    return it.payer.open(path)


@picture("pay-page-part-paid.png", PHONE)
def pay_page_part_paid(it):
    _move, number = it.billed(150_000, billpay_mode="flexible")
    path = it.page(number)
    it.paid_by(number, 60_000)
    return it.payer.size(390).open(path)


@picture("pay-page-cancelled.png", PHONE)
def pay_page_cancelled(it):
    move, number = it.billed(150_000)
    path = it.page(number)
    it.press(move, "button_draft", "button_cancel")
    return it.payer.size(390).open(path)


# === CUSTOMERS AND RUNS === #


@picture("purpose.png")
def purpose(it):
    [found] = it.odoo.find("billpay.purpose", [("name", "=", "Tuition")], ["id"])
    return it.open("billpay_odoo.action_billpay_purpose", found["id"])


def pupil(it):
    [found] = it.odoo.find("res.partner", [("ref", "=", "S-0001")], ["id"])
    return found["id"]


@picture("school-partner.png")
def school_partner(it):
    [number] = it.odoo.find(
        "billpay.control.number",
        [("partner_id", "=", pupil(it)), ("purpose_id.name", "=", "Tuition")],
        ["name", "state"],
    )
    it.paid_by(number["name"], 200_000, "NEEMA MUSHI", "255712000000")
    device = it.open("account.res_partner_action_customer", pupil(it))
    device.click(".nav-link", "Control Numbers")
    return device


@picture("number-customer.png")
def number_customer(it):
    [number] = it.odoo.find(
        "billpay.control.number",
        [("partner_id", "=", pupil(it)), ("purpose_id.name", "=", "Tuition")],
        ["id"],
    )
    return it.open("billpay_odoo.action_billpay_control_number", number["id"])


@picture("run-done.png")
def run_done(it):
    [found] = it.odoo.find("billpay.run", [("state", "=", "done")], ["id"], limit=1)
    return it.open("billpay_odoo.action_billpay_run", found["id"])


@picture("portal-numbers.png", (1400, 700))
def portal_numbers(it):
    return mother(it).open("/my/billpay")


@picture("portal-number-phone.png", PHONE)
def portal_number_phone(it):
    device = mother(it).size(*PHONE).open("/my/billpay")
    device.click("a[href^='/my/billpay/']")
    return device.see("section, .billpay")


@picture("portal-invoice.png")
def portal_invoice(it):
    customer = it.customer("Rehema Ngowi")
    move, _number = it.billed(150_000, customer=customer)
    return it.portal(customer, "rehema").open(f"/my/invoices/{move}")


def mother(it):
    """The parent of three pupils, in the portal."""
    parents = it.odoo.call(
        "res.partner", "search", [("child_ids.ref", "like", "S-0")], order="id"
    )
    for parent in parents:
        count = it.odoo.call(
            "res.partner", "search_count", [("parent_id", "=", parent)]
        )
        if count == 3:
            return it.portal(parent, "neema")
    raise AssertionError("No family has three pupils.")


# === THE DESK === #


@picture("payment.png")
def payment(it):
    _move, number = it.billed(450_000)
    return it.open("billpay_odoo.action_billpay_payment", it.paid_by(number, 450_000))


@picture("number-successor.png", (1400, 1000))
def number_successor(it):
    move, number = it.billed(450_000, billpay_mode="flexible")
    it.paid_by(number, 150_000)
    return it.invoice_form(move)


def mistyped(it):
    """A payer swapped two digits of an invoice's number."""
    _move, number = it.billed(385_000, "Vifaa vya ofisi", it.customer("Duka la Asha"))
    body = list(number)
    for at in range(len(body) - 2, 4, -1):
        if body[at] != body[at - 1]:
            body[at], body[at - 1] = body[at - 1], body[at]
            break
    return it.paid_by("".join(body), 385_000, "DUKA LA ASHA", "255712345678")


@picture("desk.png")
def desk(it):
    mistyped(it)
    _move, number = it.billed(90_000)
    it.paid_by(number, 100_000)
    return it.open("billpay_odoo.action_billpay_payment")


@picture("desk-kanban.png")
def desk_kanban(it):
    device = it.open("billpay_odoo.action_billpay_payment")
    device.click(".o_switch_view.o_kanban")
    device.see(".o_kanban_record")
    return device


def match(it):
    device = it.open("billpay_odoo.action_billpay_payment", mistyped(it))
    device.click("button[name='action_open_match']")
    device.see(".modal .o_form_view")
    return device


@picture("desk-match.png")
def desk_match(it):
    return match(it)


@picture("desk-match-phone.png", PHONE)
def desk_match_phone(it):
    it.admin.size(*PHONE)
    return match(it)


@picture("desk-undo.png")
def desk_undo(it):
    _move, number = it.billed(150_000)
    record = it.paid_by(number, 150_000)
    device = it.open("billpay_odoo.action_billpay_payment", record)
    device.click("button[name='action_open_undo']")
    device.see(".modal textarea, .modal input")
    return device


@picture("desk-story.png")
def desk_story(it):
    device = desk_undo(it)
    device.type(".modal textarea, .modal input", "Paid for another customer")
    device.click(".modal button.btn-primary")
    device.see_no(".modal")
    return device


@picture("desk-use-credit.png")
def desk_use_credit(it):
    customer = it.customer("Grace Massawe")
    it.billed(90_000, customer=customer)
    _move, number = it.billed(150_000, customer=customer)
    record = it.paid_by(number, 200_000, "GRACE MASSAWE", "255754111222")
    device = it.open("billpay_odoo.action_billpay_payment", record)
    device.click(".o_statusbar_buttons button", "Use Credit")
    device.see(".modal .o_form_view")
    return device


@picture("enter-payment.png")
def enter_payment(it):
    move, _number = it.billed(150_000)
    device = it.invoice_form(move)
    device.click("button, a", "Enter Payment")
    device.see(".modal .o_form_view")
    return device


@picture("health.png")
def health(it):
    return it.open("billpay_odoo.action_billpay_health", it.application)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("database")
    parser.add_argument("sandbox")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    photographer = Photographer(options.url, options.database, options.sandbox)
    failed = []
    try:
        for name in options.names or PICTURES:
            try:
                photographer.take(name)
                print(f"{name}", flush=True)
            except (AssertionError, Problem) as error:
                failed.append(name)
                print(f"{name}: {error}", file=sys.stderr, flush=True)
    finally:
        photographer.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
