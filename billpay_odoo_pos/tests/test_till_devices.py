# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Two devices, impatient hands and a slow gateway, in real browsers."""

from odoo.tests import tagged

from odoo.addons.billpay_odoo.tests.devices import DevicesCase

from .common import TillProcesses

POPUP = ".modal .billpay-number"
PAID_LINE = ".paymentline .electronic_status"
ASK, STATUS, CANCEL, SYNC = (
    "billpay_ask",
    "billpay_status",
    "billpay_cancel",
    "sync_from_ui",
)


class TillDevicesCase(TillProcesses, DevicesCase):
    """One till, opened by the first device."""

    # What Odoo's page says of itself.
    known_errors = ("Local Network Access", "ResizeObserver")

    def setUp(self):
        super().setUp()
        self.one = self.till("One")

    def till(self, name):
        device = self.device(name, "admin")
        device.open(f"/pos/ui/{self.made['till']}")
        self.enter(device)
        return device

    def enter(self, device):
        device.wait("window.posmodel?.billpay")
        device.wait(
            "document.querySelector('.open-register-btn, .product-screen,"
            " .payment-screen, .receipt-screen, .floor-screen')"
        )
        if device.sees(".open-register-btn"):
            device.click(".open-register-btn")
            device.see(".product-screen, .floor-screen")

    def sell(self, device):
        device.click("article.product .product-name", "Kitenge")
        device.see(".order-display, .orderline", "Kitenge")
        device.click(".pay-order-button")
        device.see(".payment-screen")

    def choose(self, device, method="BillPay"):
        device.click(".paymentmethods .paymentmethod", method)

    def pays_now(self, device):
        """Sell, and show the customer the number."""
        self.sell(device)
        self.choose(device)
        device.see(POPUP)
        return self.order(device)

    def order(self, device):
        """What the device knows of its order."""
        return device.run(
            "const order = posmodel.getOrder();"
            "return order && {uuid: order.uuid, id: order.id, state: order.state,"
            " number: order.billpay_number || '', change: order.change,"
            " due: order.remainingDue, name: order.pos_reference,"
            " lines: order.payment_ids.map((line) => ({amount: line.amount,"
            " paid: Boolean(line.billpay_paid), status: line.payment_status,"
            " method: line.payment_method_id.name}))}"
        )

    def known(self, device, uuid):
        """What the device knows of an order: state, and amounts of what is paid."""
        return device.run(
            f"const order = posmodel.models['pos.order'].getBy('uuid', '{uuid}');"
            "return order && [order.state, order.payment_ids"
            ".filter((line) => line.billpay_paid).map((line) => line.amount)]"
        )

    def stored(self, uuid):
        """Of an order on the server: state, and amount and proof of each line."""
        return self.db(
            "SELECT o.state, p.amount::int, p.billpay_payment_id IS NOT NULL"
            "  FROM pos_order o LEFT JOIN pos_payment p ON p.pos_order_id = o.id"
            " WHERE o.uuid = %s ORDER BY p.id",
            uuid,
        )

    def numbers(self, uuid):
        return [
            state
            for (state,) in self.db(
                "SELECT state FROM billpay_control_number WHERE pos_order_uuid = %s"
                " ORDER BY id",
                uuid,
            )
        ]

    def eventually(self, check, wanted):
        device = self.one
        for _turn in range(100):
            if check() == wanted:
                return
            device.run("await new Promise((done) => setTimeout(done, 100))")
        self.assertEqual(check(), wanted)


@tagged("post_install", "-at_install", "slow")
class TestTillDevices(TillDevicesCase):
    # === One payment, one line === #

    def test_two_devices_show_one_line(self):
        """Both wait with the same order; the customer pays once."""
        order = self.pays_now(self.one)
        two = self.till("Two")
        two.wait(f"posmodel.models['pos.order'].getBy('uuid', '{order['uuid']}')")
        two.run(
            "const order = posmodel.models['pos.order']"
            f".getBy('uuid', '{order['uuid']}');"
            "posmodel.setOrder(order);"
            "posmodel.navigate('PaymentScreen', {orderUuid: order.uuid});"
        )
        two.click(".billpay_show")
        two.see(POPUP)
        self.assertEqual(self.order(two)["number"], order["number"])
        with self.one.holding(SYNC):
            self.money_comes(order["number"], 45000)
            for device in (self.one, two):
                self.wait_for_paid(device, order["uuid"])
        self.eventually(lambda: self.stored(order["uuid"]), [("paid", 45000, True)])
        for device in (self.one, two):
            device.wait(
                "posmodel.models['pos.order']"
                f".getBy('uuid', '{order['uuid']}').state === 'paid'"
            )
            device.see_no(".modal")
            self.assertEqual(
                self.known(device, order["uuid"]), ["paid", [45000]], device
            )
        self.assertNoErrors()

    def wait_for_paid(self, device, uuid):
        device.wait(
            f"posmodel.models['pos.order'].getBy('uuid', '{uuid}')"
            ".payment_ids.some((line) => line.billpay_paid)"
        )

    def test_a_device_with_an_old_copy_takes_no_cash(self):
        order = self.pays_now(self.one)
        two = self.till("Two")
        two.wait(f"posmodel.models['pos.order'].getBy('uuid', '{order['uuid']}')")
        with two.holding(STATUS) as held, two.holding("read_config_open_orders"):
            two.run(
                "const order = posmodel.models['pos.order']"
                f".getBy('uuid', '{order['uuid']}');"
                "posmodel.setOrder(order);"
                "posmodel.navigate('PaymentScreen', {orderUuid: order.uuid});"
            )
            two.see(".payment-screen")
            self.one.run("posmodel.config.auto_validate_terminal_payment = false")
            self.money_comes(order["number"], 45000)
            self.wait_for_paid(self.one, order["uuid"])
            two.click(".send_payment_cancel")
            held.release()
        self.wait_for_paid(two, order["uuid"])
        stand = self.order(two)
        self.assertEqual((stand["change"], stand["due"]), (0, 0))
        self.assertEqual(
            [(line["amount"], line["paid"]) for line in stand["lines"]], [(45000, True)]
        )
        self.assertEqual(self.stored(order["uuid"]), [("draft", 45000, True)])

    # === An entry first, then the server === #

    def test_cross_on_the_line_while_the_number_is_asked_for(self):
        self.sell(self.one)
        with self.one.holding(ASK) as held:
            self.choose(self.one)
            self.one.see(PAID_LINE, "Getting the number")
            self.assertFalse(self.one.sees(".send_force_done"))
            held.wait()
            order = self.order(self.one)
            self.one.click(".paymentline .delete-button")
            self.one.see_no(".paymentline")
            self.choose(self.one, "Cash")
            held.release()
            self.eventually(lambda: self.numbers(order["uuid"]), ["closed"])
        self.assertFalse(self.one.sees(".modal"))
        self.assertEqual(
            [line["method"] for line in self.order(self.one)["lines"]], ["Cash"]
        )
        self.assertNoErrors()

    def test_cancel_and_again_while_the_number_is_asked_for(self):
        self.sell(self.one)
        with self.one.holding(ASK) as held:
            self.choose(self.one)
            held.wait()
            self.one.click(".send_payment_cancel")
            self.one.see(PAID_LINE, "cancelled")
            # Other terminals are free again.
            self.assertFalse(
                self.one.run(
                    "return posmodel.paymentTerminalInProgress"
                    " || posmodel.getOrder().electronicPaymentInProgress()"
                )
            )
            # BillPay twice: the line is taken up again.
            self.choose(self.one)
            held.wait(2)
            held.release()
            self.one.see(POPUP)
        order = self.order(self.one)
        self.assertEqual(self.numbers(order["uuid"]), ["open"])
        self.money_comes(order["number"], 45000)
        self.one.see(".receipt-screen")
        self.assertEqual(self.stored(order["uuid"]), [("paid", 45000, True)])
        self.assertNoErrors()

    def test_the_order_is_left_while_the_number_is_asked_for(self):
        self.sell(self.one)
        with self.one.holding(ASK) as held:
            self.choose(self.one)
            held.wait()
            first = self.order(self.one)
            self.one.run(
                "posmodel.addNewOrder();"
                "posmodel.navigate('ProductScreen',"
                " {orderUuid: posmodel.selectedOrderUuid});"
            )
            self.one.see(".product-screen")
            held.release()
            self.one.wait(
                "posmodel.models['pos.order']"
                f".getBy('uuid', '{first['uuid']}').billpay_number"
            )
        # Nothing opens over the other order.
        self.assertFalse(self.one.sees(".modal"))
        self.one.run(
            "const order = posmodel.models['pos.order']"
            f".getBy('uuid', '{first['uuid']}');"
            "posmodel.setOrder(order);"
            "posmodel.navigate('PaymentScreen', {orderUuid: order.uuid});"
        )
        self.one.see(POPUP)
        self.assertNoErrors()

    def test_the_order_is_deleted_while_the_number_is_asked_for(self):
        self.sell(self.one)
        with self.one.holding(ASK) as held:
            self.choose(self.one)
            held.wait()
            order = self.order(self.one)
            self.delete(order)
            held.release()
            self.eventually(lambda: self.numbers(order["uuid"]), ["closed"])
        self.assertFalse(self.one.sees(".modal .billpay-number"))
        # The number is given back first.
        self.eventually(lambda: self.stored(order["uuid"])[0][0], "cancel")
        self.assertNoErrors()

    def delete(self, order):
        self.one.run(
            "const order = posmodel.models['pos.order']"
            f".getBy('uuid', '{order['uuid']}');"
            "posmodel.navigate('TicketScreen');"
            "await new Promise((done) => setTimeout(done, 500));"
            "window.__deleted = posmodel.deleteOrders([order])"
        )
        return self.one

    def test_a_paid_order_is_not_deleted(self):
        order = self.pays_now(self.one)
        # The till has not heard of it.
        self.one.run("posmodel.billpay.onMessage = () => {}")
        with self.one.holding(STATUS):
            self.money_comes(order["number"], 45000)
            self.delete(order)
            self.one.see(".modal", "came by BillPay")
            self.assertFalse(self.one.run("return await window.__deleted"))
        self.one.click(".modal-footer .btn")
        self.assertEqual(self.known(self.one, order["uuid"])[1], [45000])
        self.assertIn(("draft", 45000, True), self.stored(order["uuid"]))

    def test_cancelled_while_the_money_is_on_its_way(self):
        order = self.pays_now(self.one)
        self.one.run("posmodel.billpay.onMessage = () => {}")
        with self.one.holding(STATUS):
            self.money_comes(order["number"], 45000)
            self.one.click(".modal .billpay-cancel")
            self.one.see(".receipt-screen")
        self.assertEqual(self.stored(order["uuid"]), [("paid", 45000, True)])
        self.assertNoErrors()

    def test_reload_while_the_number_is_asked_for_and_while_the_customer_pays(self):
        self.sell(self.one)
        with self.one.holding(ASK) as held:
            self.choose(self.one)
            held.wait()
            self.one.run("await posmodel.data.synchronizeLocalDataInIndexedDB()")
            self.one.reload()
        self.enter(self.one)
        self.one.see(POPUP)
        order = self.order(self.one)
        self.one.reload()
        self.enter(self.one)
        self.one.see(POPUP)
        self.assertEqual(self.order(self.one)["number"], order["number"])
        self.assertEqual(self.numbers(order["uuid"]), ["open"])
        self.money_comes(order["number"], 45000)
        self.one.see(".receipt-screen")
        self.assertEqual(self.stored(order["uuid"]), [("paid", 45000, True)])

    def test_a_changed_order_is_asked_for_anew(self):
        order = self.pays_now(self.one)
        self.one.press("Escape")
        self.one.see_no(".modal")
        self.one.click(".payment-screen .back-button, .back-button")
        self.one.see(".product-screen")
        self.one.click("article.product .product-name", "Kitenge")
        self.one.wait("posmodel.getOrder().priceIncl === 90000")
        self.one.click(".pay-order-button")
        self.one.see(POPUP)
        self.one.see(".modal .billpay-amount", "90,000")
        after = self.order(self.one)
        self.assertEqual(after["number"], order["number"])
        there = self.sandbox.number(order["number"])
        self.assertEqual(there["amount"], 90000)
        self.assertNoErrors()

    # === The next customer === #

    def test_the_next_customer_is_served_meanwhile(self):
        self.gateway_takes(1)
        first = self.pays_now(self.one)
        self.one.click(".modal .billpay-next")
        self.one.see(".product-screen")
        second = self.pays_now(self.one)
        self.assertNotEqual(first["uuid"], second["uuid"])
        self.assertNotEqual(first["number"], second["number"])
        self.money_comes(first["number"], 45000)
        self.eventually(lambda: self.stored(first["uuid"]), [("paid", 45000, True)])
        # The screen is still the second one's.
        self.assertTrue(self.one.sees(POPUP))
        self.assertEqual(self.order(self.one)["uuid"], second["uuid"])
        self.one.click(".modal .btn-close")
        self.one.see_no(".modal")
        self.one.run("posmodel.navigate('TicketScreen')")
        self.one.see(".ticket-screen .order-row", "Waiting for BillPay")
        self.one.see(".ticket-screen .order-row", "Receipt")
        self.money_comes(second["number"], 45000)
        self.eventually(lambda: self.stored(second["uuid"]), [("paid", 45000, True)])
        self.one.click(".ticket-screen .order-row", second["name"][-4:])
        self.assertNoErrors()

    def test_parked_orders_go_on_after_a_reload(self):
        first = self.pays_now(self.one)
        self.one.click(".modal .billpay-next")
        self.one.see(".product-screen")
        self.one.run("await posmodel.data.synchronizeLocalDataInIndexedDB()")
        self.one.reload()
        self.enter(self.one)
        self.one.wait(f"posmodel.billpay.waiting.get('{first['uuid']}')?.shown.number")
        self.one.run("posmodel.billpay.onMessage = () => {}")
        self.money_comes(first["number"], 45000)
        self.eventually(lambda: self.stored(first["uuid"]), [("paid", 45000, True)])
        self.assertNoErrors()


@tagged("post_install", "-at_install", "slow")
class TestRestaurantDevices(TillDevicesCase):
    settings = {"module_pos_restaurant": True, "iface_splitbill": True}

    def print_bill(self, device):
        """Print the bill of the order; return the digits on it."""
        return device.run(
            "let printed = null;"
            "const print = posmodel.printer.print;"
            "posmodel.printer.print = async (component, props) => {"
            "    printed = await posmodel.printer.renderer.toHtml(component, props);"
            "    return { successful: true };"
            "};"
            "try { await posmodel.printReceipt({ printBillActionTriggered: true }); }"
            "finally { posmodel.printer.print = print; }"
            "const shown = printed.querySelector('.billpay-receipt-number');"
            "return shown && shown.textContent.replace(/\\s/g, '')"
        )

    def test_the_bills_of_a_split_order(self):
        """Each part asks for what it comes to, and is paid by its own number."""
        device = self.one
        self.gateway_takes(1)
        device.run(
            "posmodel.addNewOrder();"
            "posmodel.navigate('ProductScreen',"
            " {orderUuid: posmodel.selectedOrderUuid});"
        )
        for count in (1, 2):
            device.click("article.product .product-name", "Kitenge")
            device.wait(f"posmodel.getOrder().priceIncl === {45000 * count}")
        number = self.print_bill(device)
        order = self.order(device)
        self.assertEqual(order["number"], number)
        self.assertEqual(self.sandbox.number(number)["amount"], 90000)
        device.run(
            "posmodel.navigate('SplitBillScreen',"
            " {orderUuid: posmodel.selectedOrderUuid});"
        )
        device.click(".splitbill-screen .orderline", "Kitenge")
        device.see(".splitbill-screen .subtotal", "45,000")
        device.click(".splitbill-screen .split-order-button")
        device.wait(f"posmodel.getOrder()?.uuid !== '{order['uuid']}'")
        part = self.order(device)
        self.assertEqual(part["number"], "")
        self.eventually(lambda: self.asked(order["uuid"]), [45000])
        self.run_worker("sync")
        self.assertEqual(self.sandbox.number(number)["amount"], 45000)
        second = self.print_bill(device)
        self.assertNotEqual(second, number)
        self.assertEqual(self.sandbox.number(second)["amount"], 45000)
        for digits, uuid in ((second, part["uuid"]), (number, order["uuid"])):
            self.money_comes(digits, 45000)
            self.eventually(lambda uuid=uuid: self.stored(uuid)[-1][1:], (45000, True))
        self.assertNoErrors()

    def asked(self, uuid):
        return [
            int(amount)
            for (amount,) in self.db(
                "SELECT amount FROM billpay_control_number WHERE pos_order_uuid = %s"
                " AND state = 'open'",
                uuid,
            )
        ]
