# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Two customers' tabs, a seller who changes things, and a gateway that is slow."""

from odoo.tests import tagged

from odoo.addons.billpay_odoo.tests.devices import DevicesCase

TASKS = "odoo.addons.billpay_odoo_sale.tests.order_tasks:"
RADIO = "input[name='o_payment_radio'][data-payment-method-code='billpay']"
PAY = "button[name='o_payment_submit_button']:not([disabled])"
NUMBER = "section#billpay .o_billpay_number"
AMOUNT = "section#billpay .o_billpay_amount"


class OrderDevices(DevicesCase):
    def setUp(self):
        super().setUp()
        self.again(state="enabled", is_published=True)

    def do(self, name, **arguments):
        return self.run_worker(TASKS + name, **arguments)

    def at_company(self, name, **arguments):
        return self.do(name, company=self.company, **arguments)

    def active(self):
        """``{digits: shillings}`` with which ClickPesa asks, once all is sent."""
        self.run_worker("sync")
        return {
            there["number"]: there["amount"]
            for there in self.sandbox.numbers()
            if there["state"] == "ACTIVE"
        }

    def choose(self, device, url):
        """Go as far as *Pay now* in the portal."""
        device.open(url)
        device.click("#o_sale_portal_paynow")
        self.choose_number(device)

    def choose_number(self, device):
        """Where it is the only way to pay, Odoo shows nothing to choose."""
        device.wait(f'document.querySelector("{RADIO}")')
        # A form hears nothing before its script has come: a person chooses again.
        device.again_until(
            f'const radio = document.querySelector("{RADIO}");'
            "radio.checked = false; radio.click();",
            lambda: device.sees(PAY),
        )

    def pay_now(self, device, url):
        self.choose(device, url)
        device.run("window.__before = true")
        device.again_until(
            f"document.querySelector({PAY!r})?.click()",
            lambda: device.run("return !window.__before"),
            every=20,
        )
        device.see(NUMBER)

    def digits(self, device):
        return "".join(device.text(NUMBER).split())


@tagged("post_install", "-at_install", "slow")
class TestCheckoutDevices(OrderDevices):
    def test_two_devices_show_one_number(self):
        self.gateway_takes(1)
        order = self.at_company("make_order", price=150000)
        laptop, phone = self.device("laptop"), self.device("phone").size(390)
        for device in (laptop, phone):
            self.choose(device, order["url"])
        with (
            laptop.holding("clickpesa/checkout") as one,
            phone.holding("clickpesa/checkout") as two,
        ):
            for device, held in ((laptop, one), (phone, two)):
                device.click(PAY)
                held.wait()
            one.release()
            two.release()
            for device in (laptop, phone):
                device.see(NUMBER)
        number = self.digits(laptop)
        self.assertEqual(self.digits(phone), number)
        self.assertEqual(self.active(), {number: 150000})
        known = self.do("state_of", order=order["id"])
        self.assertEqual(sorted(known["checkouts"]), ["cancel", "pending"])
        # A second tab of the same browser, and once more.
        tab = laptop.new_tab()
        tab.open(order["url"])
        self.assertEqual(self.digits(tab), number)
        self.pay_now(tab, order["url"])
        self.assertEqual(self.digits(tab), number)
        self.assertEqual(self.active(), {number: 150000})
        self.money_comes(number, 150000)
        self.do("post_process")
        for device in (laptop, phone):
            device.open(order["url"])
            device.see_no(NUMBER)
        self.assertEqual(self.do("state_of", order=order["id"])["state"], "sale")
        self.assertNoErrors()

    def test_cancelled_while_the_page_is_open(self):
        order = self.at_company("make_order", price=150000)
        phone = self.device("phone").size(390)
        self.pay_now(phone, order["url"])
        self.at_company("cancel", order=order["id"])
        self.assertEqual(self.active(), {})
        # The page asks on its own.
        phone.see_no(NUMBER)
        phone.see(".alert", "cancelled")
        self.assertNoErrors()

    def test_invoiced_by_hand(self):
        order = self.at_company("make_order", price=150000)
        customer, other = self.device("customer"), self.device("other")
        self.pay_now(customer, order["url"])
        number = self.digits(customer)
        made = self.at_company("invoice", order=order["id"])
        self.assertEqual(made["number"], number)
        self.run_worker("sync")
        other.open(made["url"])
        self.assertEqual(self.digits(other), number)
        self.pay_now(other, order["url"] + "&payment_amount=150000")
        self.assertEqual(self.digits(other), number)
        self.assertEqual(self.active(), {number: 150000})
        self.money_comes(number, 150000)
        self.assertEqual(self.do("residuals", moves=[made["id"]]), [0])
        self.assertNoErrors()

    def test_paid_by_another_provider(self):
        order = self.at_company("make_order", price=150000)
        customer = self.device("customer")
        self.pay_now(customer, order["url"])
        number = self.digits(customer)
        late = self.pay(number, 150000)
        self.at_company("pay_by_wire", order=order["id"], amount=150000)
        self.assertEqual(self.active(), {})
        customer.open(order["url"])
        customer.see_no(NUMBER)
        self.deliver(late)
        self.run_worker("process")
        [todo] = self.do("state_of", order=order["id"])["todo"]
        self.assertIn(order["name"], todo)
        self.assertIn("150,000", todo)
        self.assertNoErrors()

    def test_pay_overdue_with_one_paid(self):
        moves = self.at_company("make_overdue", amounts=[30000, 40000, 50000])
        self.run_worker("sync")
        customer = self.device("customer", "neema")
        customer.open("/my/invoices/overdue")
        self.choose_number(customer)
        customer.click(PAY)
        customer.see(AMOUNT, "120,000")
        number = self.digits(customer)
        self.at_company("pay_in_cash", move=moves[0])
        self.assertEqual(self.active()[number], 90000)
        customer.open("/payment/status")
        customer.see(AMOUNT, "90,000")
        self.money_comes(number, 90000)
        self.assertEqual(self.do("residuals", moves=moves), [0, 0, 0])
        self.assertNoErrors()

    def test_changed_order_asks_for_the_rest(self):
        for payment, signature in ((True, False), (False, False), (False, True)):
            with self.subTest(payment=payment, signature=signature):
                order = self.at_company("make_order", price=150000)
                customer, seller = self.device("customer"), self.device("seller")
                self.pay_now(customer, order["url"])
                number = self.digits(customer)
                paid = self.pay(number, 150000)
                self.at_company("change", order=order["id"], price=200000)
                self.at_company(
                    "configure",
                    order=order["id"],
                    values={"require_payment": payment, "require_signature": signature},
                )
                self.deliver(paid)
                self.run_worker("process")
                self.do("post_process")
                known = self.do("state_of", order=order["id"])
                self.assertEqual(known["state"], "sent")
                self.assertIn("50,000", " ".join(known["todo"]))
                self.run_worker("sync")
                customer.open(order["url"])
                customer.see(AMOUNT, "50,000")
                rest = self.digits(customer)
                self.assertNotEqual(rest, number)
                customer.see("[name=billpay_before]", "150,000")
                seller.open(order["url"])
                seller.see(AMOUNT, "50,000")
                self.money_comes(rest, 50000)
                self.do("post_process")
                known = self.do("state_of", order=order["id"])
                self.assertEqual(known["state"], "sale")
                self.assertNoErrors()


@tagged("post_install", "-at_install", "slow")
class TestCheckoutsAtOnce(OrderDevices):
    """Transactions that overlap, stopped at points that the test names."""

    RESERVE = "billpay.control.number:_reserve:before"

    def test_two_checkouts_make_one_number(self):
        order = self.at_company("make_order", price=150000)
        checkouts = [
            self.at_company("make_checkout", order=order["id"]) for _turn in range(2)
        ]
        click = self.begin(TASKS + "reserve", self.RESERVE, tx=checkouts[0])
        click.reach(self.RESERVE)
        # The other one waits for the order, and then sees the first one's number.
        other = self.begin(TASKS + "reserve", tx=checkouts[1]).wait_until_blocked()
        first = click.go().result()
        self.assertEqual(other.result(), first)
        known = self.do("state_of", order=order["id"])
        self.assertEqual(known["asking"], [[first, 150000]])
        self.assertEqual(known["checkouts"], ["cancel", "draft"])

    def test_order_that_changes_while_its_number_is_made(self):
        order = self.at_company("make_order", price=150000)
        tx = self.at_company("make_checkout", order=order["id"])
        click = self.begin(TASKS + "reserve", self.RESERVE, tx=tx)
        click.reach(self.RESERVE)
        seller = self.begin(
            TASKS + "change", company=self.company, order=order["id"], price=180000
        )
        seller.wait_until_blocked()
        number = click.go().result()
        seller.result()
        known = self.do("state_of", order=order["id"])
        self.assertEqual(known["asking"], [[number, 180000]])

    def test_order_that_is_cancelled_while_its_number_is_made(self):
        order = self.at_company("make_order", price=150000)
        tx = self.at_company("make_checkout", order=order["id"])
        click = self.begin(TASKS + "reserve", self.RESERVE, tx=tx)
        click.reach(self.RESERVE)
        seller = self.begin(TASKS + "cancel", company=self.company, order=order["id"])
        seller.wait_until_blocked()
        click.go().result()
        seller.result()
        known = self.do("state_of", order=order["id"])
        self.assertEqual((known["asking"], known["checkouts"]), ([], ["cancel"]))
