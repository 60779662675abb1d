# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a till asks the server, and what it is told."""

from datetime import timedelta
from unittest.mock import patch
from uuid import uuid4

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import new_test_user, tagged

from odoo.addons.billpay_odoo.tests.common import BillPayCommon
from odoo.addons.billpay_odoo.tests.test_billpay_payable import UnpayableSteps

from ..models import pos_config
from ..models.pos_config import ASKED_WITHIN, RANGE, SILENT
from .common import TillSteps


@tagged("post_install", "-at_install")
class TestTill(UnpayableSteps, TillSteps, BillPayCommon):
    def test_a_till_takes_billpay_by_one_tick(self):
        method = self.till._billpay_method()
        self.assertEqual(method.type, "pay_later")
        self.assertFalse(method.journal_id)
        self.assertFalse(method.hide_use_payment_terminal)
        other = self._make_till("Duka la Posta")
        self.assertEqual(other._billpay_method(), method)
        other.billpay = False
        self.assertNotIn(method, other.payment_method_ids)
        with self.assertRaises(ValidationError):
            method.journal_id = self.provider.journal_id

    # === Online === #

    def test_number_is_known_to_clickpesa_before_it_is_shown(self):
        uuid = str(uuid4())
        stand = self._ask(uuid)
        [there] = self.sandbox.numbers()
        self.assertEqual(there["number"], stand["number"])
        self.assertEqual((stand["state"], stand["amount"]), ("waiting", 45000))
        number = self._number(stand)
        self.assertEqual((number.state, number.mode), ("open", "exact"))
        self.assertEqual(number.partner_id, self.till._billpay_customer())
        self.assertIn(number.name, stand["url"])
        # Once more finds it again.
        self.assertEqual(self._ask(uuid)["number"], stand["number"])
        self.assertEqual(len(self.sandbox.numbers()), 1)

    def test_a_changed_order_keeps_its_number(self):
        uuid = str(uuid4())
        first = self._ask(uuid, 45000)
        second = self._ask(uuid, 60000)
        self.assertEqual(second["number"], first["number"])
        self.assertEqual(second["amount"], 60000)
        [there] = self.sandbox.numbers()
        self.assertEqual(there["amount"], 60000)

    def test_a_change_that_clickpesa_does_not_hear_is_asked_for_offline(self):
        uuid = str(uuid4())
        first = self._ask(uuid, 45000)
        self.sandbox.faults.add("error", times=-1)
        second = self._ask(uuid, 60000)
        # A phone would take 45,000 on the first one, and nothing else.
        self.assertNotEqual(second["number"], first["number"])
        number = self._number(second)
        self.assertEqual((number.origin, number.amount), ("offline", 60000))
        self.assertEqual(self._number(first).state, "closed")

    def test_without_clickpesa_the_number_is_made_offline(self):
        self.sandbox.faults.add("error", times=-1)
        uuid = str(uuid4())
        stand = self._ask(uuid)
        number = self._number(stand)
        self.assertEqual((number.state, number.origin), ("open", "offline"))
        self.assertEqual(number.pos_order_uuid, uuid)
        numbers = number._till_numbers(self.till, uuid)
        self.assertEqual(numbers.mapped("state"), ["closed", "open"])

    def test_paid_is_told_to_the_till(self):
        uuid = str(uuid4())
        stand = self._ask(uuid)
        told = []
        self.patch(
            type(self.till), "_notify", lambda till, *what, **_kw: told.append(what)
        )
        self._paid_at_till(stand["number"], 45000)
        self.assertEqual(
            told,
            [
                (
                    "BILLPAY_PAYMENT",
                    {"order": uuid[:8], "number": stand["number"][-6:]},
                )
            ],
        )
        [stand] = self.till.billpay_status([uuid, "unknown-uuid", None, 7])
        self.assertEqual((stand["state"], stand["received"]), ("paid", 45000))
        [payment] = stand["payments"]
        self.assertTrue(payment["receipt"])
        self.assertEqual(len(payment["phone"]), 5)

    def test_money_that_is_taken_back_is_told_to_the_till(self):
        for state in ("paid", "draft", None):
            with self.subTest(state):
                told, order = [], self.env["pos.order"]
                uuid = str(uuid4())
                stand = self._ask(uuid)
                if state:
                    session = self.till.current_session_id or self._open()
                    line = (self.billpay, 45000, stand["number"])
                    sale = self._sale(session, [line], state=state, uuid=uuid)
                    order = self._send(sale)
                row = self._paid_at_till(stand["number"], 45000)
                self.patch(
                    type(self.till),
                    "_notify",
                    lambda till, *what, told=told, **_kw: told.append(what),
                )
                row.sudo()._flag("Back", due=self.env.cr.now(), status="REVERSED")
                self._process()
                self.assertEqual(row.state, "reversed")
                what = {"order": uuid[:8], "number": stand["number"][-6:]}
                self.assertIn(("BILLPAY_PAYMENT", what), told)
                if order:
                    bodies = "".join(map(str, order.message_ids.mapped("body")))
                    self.assertIn("REVERSED", bodies)

    def test_cancel_takes_the_number_back(self):
        uuid = str(uuid4())
        stand = self._ask(uuid)
        self.assertEqual(self.till.billpay_cancel(uuid)["state"], "closed")
        self._sync()
        [there] = self.sandbox.numbers()
        self.assertEqual(there["status"], "INACTIVE")
        # The cashier changes her mind: another number, the old one stays closed.
        again = self._ask(uuid)
        self.assertNotEqual(again["number"], stand["number"])
        self.assertIsNone(self.till.billpay_cancel("never-heard-of"))

    def test_money_after_the_cancel_is_kept_and_told(self):
        uuid = str(uuid4())
        stand = self._ask(uuid)
        payment = self._pay(stand["number"], 45000)
        self.till.billpay_cancel(uuid)
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertBooked(row, 45000)
        self.assertTrue(row.attention)
        self.assertIn("cancelled this number", row.reason)
        [stand] = self.till.billpay_status([uuid])
        self.assertEqual(stand["state"], "paid")

    def test_nonsense_makes_no_number(self):
        for order in (
            None,
            [],
            {"uuid": "", "amount": 5},
            {"uuid": str(uuid4()), "amount": 0},
            {"uuid": str(uuid4()), "amount": -5},
            {"uuid": str(uuid4()), "amount": float("nan")},
            {"uuid": str(uuid4()), "amount": "45000"},
            {"uuid": str(uuid4()), "amount": True},
            {"uuid": 7, "amount": 45000},
            {"uuid": "x" * 65, "amount": 45000},
        ):
            with self.subTest(order=order), self.assertRaises(UserError):
                self._ask_raw(order)
        self.assertFalse(self.sandbox.numbers())

    def _ask_raw(self, order):
        with self._workers():
            return self.till.billpay_ask(order)

    def test_only_cashiers_ask(self):
        stranger = new_test_user(
            self.env, "stranger", "base.group_user", company_id=self.company.id
        )
        till = self.till.with_user(stranger)
        for call in (
            lambda: till.billpay_ask({"uuid": str(uuid4()), "amount": 5}),
            lambda: till.billpay_status([]),
            lambda: till.billpay_cancel("x"),
            lambda: till.billpay_search("0712"),
            lambda: till.billpay_lease("0d1f6a44-aaaa"),
        ):
            with self.assertRaises(AccessError):
                call()
        cashier = new_test_user(
            self.env,
            "cashier",
            "point_of_sale.group_pos_user",
            company_id=self.company.id,
            company_ids=self.company.ids,
        )
        with self._workers():
            stand = self.till.with_user(cashier).billpay_ask(
                {"uuid": str(uuid4()), "amount": 45000}
            )
        self.assertEqual(stand["state"], "waiting")

    def test_switched_off_is_said(self):
        self.provider.state = "disabled"
        with self.assertRaisesRegex(UserError, "take another payment method"):
            self._ask(str(uuid4()))

    def test_a_number_that_cannot_be_paid_is_not_given_to_a_customer(self):
        for state in ("off", "company", "address", "amount", "reactivation", "mode"):
            with self.subTest(state), self.env.cr.savepoint() as savepoint:
                uuid = str(uuid4())
                stand = self._ask(uuid)
                self.assertEqual(stand["problem"], "")
                number = self._number(stand)
                number.sudo().pos_order_id = order = self._send(
                    self._sale(
                        self._open(),
                        [(self.billpay, 45000, number.name)],
                        uuid=uuid,
                        billpay_number=number.name,
                    )
                )
                self.assertTrue(order.billpay_url)
                self._make_unpayable(number, state)
                [stand] = self.till.billpay_status([uuid])
                self.assertIn("do not give it to the customer", stand["problem"])
                self.assertIn(number._problem_text(), stand["problem"])
                # Neither does its receipt show it again.
                self.assertFalse(order.billpay_url)
                self.assertEqual(order.billpay_problem, stand["problem"])
                savepoint.rollback()
                self.env.invalidate_all()

    def test_after_a_change_of_the_application_the_order_gets_another_number(self):
        for values in (
            {"clickpesa_billpay_namba": "3344"},
            {"clickpesa_checkout_offline": True, "clickpesa_billpay_namba": "5566"},
        ):
            with self.subTest(values):
                uuid = str(uuid4())
                first = self._number(self._ask(uuid))
                self.provider.write(values)
                second = self._number(self._ask(uuid))
                self.assertNotEqual(first, second)
                self.assertEqual(first.state, "closed")
                self.assertTrue(second.payable)
                self.assertEqual(second.name[:4], self.provider.clickpesa_billpay_namba)

    def test_a_device_gets_only_numbers_that_can_be_paid(self):
        old = {item["number"] for item in self._lease()}
        self.provider.clickpesa_billpay_namba = "3344"
        new = {item["number"] for item in self._lease()}
        self.assertEqual(len(new), RANGE)
        self.assertFalse(old & new)
        self.assertEqual({number[:4] for number in new}, {"3344"})

    # === The range of a device === #

    def test_devices_never_share_a_number(self):
        one, two = self._lease(), self._lease("0d1f6a44-bbbb")
        three = self._lease(till=self._make_till("Duka la Posta"))
        names = [item["number"] for item in one + two + three]
        self.assertEqual(len(names), 3 * RANGE)
        self.assertEqual(len(set(names)), 3 * RANGE)
        for name in names:
            self.assertEqual(int(name) % 97, 1, name)
            self.assertTrue(name.startswith("1122"))
        # Nothing was asked of ClickPesa.
        self.assertFalse(self.sandbox.numbers())

    def test_a_range_is_refilled(self):
        first = self._lease()
        again = self._lease()
        self.assertEqual(again, first)
        used = [item["number"] for item in first[:45]]
        fresh = self._lease(used=used)
        self.assertEqual(len(fresh), RANGE)
        self.assertEqual(fresh[: RANGE - 45], first[45:])
        self.assertFalse({item["number"] for item in fresh} & set(used))

    def test_invented_devices_do_not_use_up_the_numbers(self):
        """Whatever a cashier says of devices and of what they have printed."""
        with patch.object(pos_config, "MOST_LEASED", 2 * RANGE + 10):
            first = [item["number"] for item in self._lease()]
            self.assertEqual(len(self._lease(used=first)), RANGE)
            # What is left is shared out, then there is none.
            self.assertEqual(len(self._lease("0d1f6a44-bbbb")), 10)
            for device in ("0d1f6a44-cccc", "0d1f6a44-dddd"):
                with self.assertRaisesRegex(UserError, "Sales with network"):
                    self._lease(device)
            with self.assertRaisesRegex(UserError, "Sales with network"):
                self._lease(used=self._names_of())
            # Another till has its own, and a sale with network gets a number.
            self.assertEqual(len(self._lease(till=self._make_till("Posta"))), RANGE)
            self.assertEqual(self._ask(str(uuid4()))["state"], "waiting")
        self.assertEqual(len(self._names_of()), 2 * RANGE + 10)

    def test_invented_sales_do_not_use_up_the_numbers(self):
        """Whatever a cashier says of sales: asked for, cancelled, claimed."""
        leased = [item["number"] for item in self._lease()]

        def ask(number=""):
            uuid = str(uuid4())
            self._ask(uuid, number=number)
            return uuid

        def cancelled():
            self.till.billpay_cancel(ask())

        count = self.env["billpay.control.number"].sudo().search_count
        with patch.object(pos_config, "MOST_ASKED", 6):
            first = ask()
            for take in (ask, cancelled, cancelled, lambda: ask(leased.pop())):
                take()
            paid = ask(leased.pop())
            before = count([])
            for take in (ask, cancelled, lambda: ask(leased.pop())):
                with self.assertRaisesRegex(UserError, "neither stored nor paid"):
                    take()
            self.assertEqual(count([]), before)
            # What is known gets its answer, and another till its number.
            self.assertEqual(self._ask(first)["state"], "waiting")
            other = self._make_till("Posta")
            self.assertEqual(self._ask(str(uuid4()), till=other)["state"], "waiting")
            # The customer paid what was printed: that is heard.
            self._told(leased[0], 45000)
            stand = self._ask(str(uuid4()), number=leased[0])
            self.assertEqual(stand["state"], "paid")
            # Money and orders make room, and so does time.
            [stand] = self.till.billpay_status([paid])
            self._told(stand["number"], 45000, "LCPROOM")
            ask()
            session = self._open()
            line = (self.cash, 45000, False)
            order = self._send(self._sale(session, [line], uuid=first))
            self.assertEqual(order._billpay_numbers().mapped("state"), ["closed"])
            ask()
            with self.assertRaises(UserError):
                ask()
            loose = self.till._billpay_loose(fields.Datetime.now())
            numbers = self.env["billpay.control.number"].sudo().search(loose)
            numbers.pos_leased_at = fields.Datetime.now() - 2 * ASKED_WITHIN
            ask()

    def test_claimed_numbers_are_not_leased_anew_without_end(self):
        with patch.object(pos_config, "MOST_LEASED", RANGE + 5):
            for item in self._lease()[:10]:
                self._ask(str(uuid4()), number=item["number"])
            self.assertEqual(len(self._lease()), RANGE - 5)
            self.assertEqual(len(self._lease()), RANGE - 5)

    def test_numbers_of_forgotten_sales_are_closed(self):
        forgotten, asked = str(uuid4()), str(uuid4())
        self._ask(forgotten)
        number = self._number(self._ask(forgotten)).sudo()
        paid = self._number(self._ask(str(uuid4()))).sudo()
        self._told(paid.name, 5000)
        session = self._open()
        draft = self._sale(session, [(self.billpay, 45000, False)], state="draft")
        self._ask(draft["uuid"])
        order = self._send(draft)
        old = number | paid | order._billpay_numbers()
        old.pos_leased_at = fields.Datetime.now() - 2 * SILENT
        waiting = self._number(self._ask(asked)).sudo()
        self._lease()
        self.assertEqual(number.state, "closed")
        self.assertEqual(waiting.state, "open")
        self.assertEqual(order._billpay_numbers().mapped("state"), ["open"])
        self.assertNotEqual(paid.state, "closed")
        self._sync()
        there = {item["number"]: item["status"] for item in self.sandbox.numbers()}
        self.assertEqual(there[number.name], "INACTIVE")
        # It asks again when the sale does, and what comes on the old one is kept.
        again = self._ask(forgotten)
        self.assertEqual(again["state"], "waiting")
        row = self._told(number.name, 45000, "LCPLATE")
        self.assertBooked(row, 45000)
        [stand] = self.till.billpay_status([forgotten])
        self.assertEqual(stand["received"], 45000)

    def test_customers_of_others_get_no_number(self):
        foreign = self.setup_other_company(name="Duka jingine")["company"]
        partners = self.env["res.partner"].sudo()
        theirs = partners.create({"name": "Mgeni", "company_id": foreign.id})
        ours = partners.create({"name": "Neema", "company_id": self.company.id})
        till = self.till.with_user(self._cashier())
        walk_in = self.till._billpay_customer()
        for partner_id, customer in (
            (theirs.id, walk_in),
            (10**9, walk_in),
            (-1, walk_in),
            (True, walk_in),
            ("1", walk_in),
            (ours.id, ours),
            (self.partner.id, self.partner),
        ):
            with self.subTest(partner_id=partner_id):
                stand = self._ask(str(uuid4()), till=till, partner_id=partner_id)
                self.assertEqual(self._number(stand).partner_id, customer)

    def _names_of(self):
        numbers = self.env["billpay.control.number"].sudo()
        return numbers.search(
            [
                ("pos_config_id", "=", self.till.id),
                ("pos_device", "!=", False),
                ("pos_order_uuid", "=", False),
            ]
        ).mapped("name")

    def test_numbers_of_a_silent_device_go_to_another(self):
        numbers = self.env["billpay.control.number"].sudo()
        old = numbers.search([("name", "in", [i["number"] for i in self._lease()])])
        printed, paid, *_others = old
        self._ask(str(uuid4()), number=printed.name)
        self._told(paid.name, 5000)
        old.pos_leased_at = fields.Datetime.now() - SILENT / 2
        fresh = {item["number"] for item in self._lease("0d1f6a44-bbbb")}
        self.assertFalse(fresh & set(old.mapped("name")))
        old.pos_leased_at = fields.Datetime.now() - 2 * SILENT
        again = {item["number"] for item in self._lease("0d1f6a44-cccc")}
        # But for what a customer may hold.
        self.assertEqual(
            again & set(old.mapped("name")), set((old - printed - paid).mapped("name"))
        )
        self.assertEqual(len(again), RANGE)
        # The silent one is back: what it had is somebody else's.
        self.assertFalse({item["number"] for item in self._lease()} & again)

    def test_numbers_begin_with_the_namba_whatever_registered_ones_begin_with(self):
        for prefix, namba, length in (
            ("88", "1122", 14),
            ("9911", "1122", 12),
            ("112255", "3344", 14),
        ):
            with self.subTest(prefix):
                self.provider.write(
                    {
                        "clickpesa_number_prefix": prefix,
                        "clickpesa_billpay_namba": namba,
                        "clickpesa_number_length": length,
                    }
                )
                till = self._make_till("Duka " + prefix)
                names = {item["number"] for item in self._lease(till=till)}
                self.assertEqual({(n[:4], len(n)) for n in names}, {(namba, length)})
                self.assertEqual(len(names), RANGE)

    def test_numbers_of_another_namba_are_not_given_out_any_more(self):
        old = {item["number"] for item in self._lease()}
        self.provider.clickpesa_billpay_namba = "3344"
        fresh = {item["number"] for item in self._lease()}
        self.assertFalse(old & fresh)
        self.assertEqual({name[:4] for name in fresh}, {"3344"})

    def test_last_digits_are_leased(self):
        counter = self.env["ir.sequence"].create(
            {"name": "Duka", "implementation": "standard", "number_next": 990}
        )
        self.provider.write(
            {"clickpesa_number_length": 9, "clickpesa_sequence_id": counter.id}
        )
        self.assertEqual(len(self._lease()), 10)
        with self.assertRaisesRegex(UserError, "no control numbers left"):
            self._lease("0d1f6a44-bbbb")

    def test_lease_of_a_wrong_clock_does_not_last(self):
        numbers = self.env["billpay.control.number"].sudo()
        for days, device in ((30, "0d1f6a44-bbbb"), (366, "0d1f6a44-cccc")):
            with self.subTest(days=days):
                leased = [i["number"] for i in self._lease("0d1f6a44-aaaa")]
                old = numbers.search([("name", "in", leased)])
                old.pos_leased_at = fields.Datetime.now() + timedelta(days=days)
                again = {item["number"] for item in self._lease(device)}
                self.assertEqual(again, set(leased))

    def test_names_of_devices_are_checked(self):
        for device in (None, "", "x", 7, "a" * 65, "'; drop table"):
            with self.subTest(device=device), self.assertRaises(UserError):
                self._lease(device)

    # === "I have paid" === #

    def test_a_printed_number_is_claimed(self):
        """It was printed without network; the network came back."""
        uuid = str(uuid4())
        first, second = self._lease()[:2]
        stand = self._ask(uuid, number=first["number"])
        self.assertEqual(
            (stand["number"], stand["state"]), (first["number"], "waiting")
        )
        self.assertEqual(self._number(stand).pos_order_uuid, uuid)
        self.assertFalse(self.sandbox.numbers())
        # Paid before the server knew whose it is.
        self._paid_at_till(second["number"], 45000)
        other = str(uuid4())
        stand = self._ask(other, number=second["number"])
        self.assertEqual((stand["state"], stand["received"]), ("paid", 45000))
        # Digits of another order are not taken: this one gets its own.
        stand = self._ask(str(uuid4()), number=second["number"])
        self.assertNotEqual(stand["number"], second["number"])
        self.assertEqual(stand["state"], "waiting")

    def test_search_of_a_cashier(self):
        stand = self._ask(str(uuid4()))
        row = self._paid_at_till(stand["number"], 45000)
        move = self._registered_invoice(33000)
        other = self._paid_at_till(move.billpay_number_id.name, 33000)

        def found(text):
            return [item["id"] for item in self.till.billpay_search(text)]

        self.assertEqual(found(stand["number"]), row.ids)
        self.assertEqual(found(stand["number"][-6:]), row.ids)
        self.assertEqual(found("45,000"), row.ids)
        self.assertIn(row.id, found(row.payer_phone[-6:]))
        self.assertEqual(found(row.receipt.lower()), row.ids)
        for text in ("No. %s", "receipt: %s.", "Risiti %s"):
            self.assertEqual(found(text % row.receipt), row.ids, text)
        local = row.payer_phone.removeprefix("255")
        for text in ("0%s", "+255 (0) %s", "+255 %s", "%s"):
            self.assertIn(row.id, found(text % local), text)
        self.assertIn(row.id, found("-".join(stand["number"])))
        for nothing in ("none", "N/A", "hana", "---"):
            self.assertEqual(found(nothing), [])
        self.assertEqual(found("12"), [])
        self.assertEqual(found(""), [])
        self.assertEqual(found(None), [])
        for wildcard in ("%%%%", "____", "%4%5%", "\x00\x00\x00", "'; --"):
            self.assertEqual(found(wildcard), [])
        # Money of other bills: by receipt or whole number alone.
        for part in ("33000", other.number[-6:], other.number[:8], "112", "255"):
            self.assertNotIn(other.id, found(part), part)
        self.assertEqual(found(other.receipt), other.ids)
        [item] = self.till.billpay_search(other.number)
        self.assertEqual(item["id"], other.id)
        # What it is for is nobody's business at the till.
        self.assertIn("not for an order of this till", item["verdict"])
        self.assertNotIn(move.name, str(item))

    def test_search_lists_nothing_that_a_cashier_does_not_know(self):
        rows = self.env["billpay.payment"]
        for amount in range(41000, 48000, 1000):
            stand = self._ask(str(uuid4()), amount)
            rows |= self._paid_at_till(stand["number"], amount)
        for text in ("112", "1122", "255", "2557", "000", "07123"):
            self.assertEqual(self.till.billpay_search(text), [], text)
        phone = self.till.billpay_search(rows[0].payer_phone)
        self.assertEqual(len(phone), 5)

    # === What a cashier writes === #

    def _cashier(self):
        return new_test_user(
            self.env,
            "billpay_cashier_hand",
            groups="base.group_user,point_of_sale.group_pos_user",
            company_id=self.company.id,
            company_ids=[Command.set(self.company.ids)],
        )

    def test_only_managers_set_a_till_up(self):
        self.till.billpay_later = "never"
        till = self.till.with_user(self._cashier())
        others = self.env["pos.payment.method"].create(
            {
                "name": "BillPay of another counter",
                "payment_method_type": "terminal",
                "use_payment_terminal": "billpay",
                "company_id": self.company.id,
            }
        )
        for values in (
            {"billpay_later": "always"},
            {"billpay_change": True},
            {"billpay_lang": "en"},
            {"billpay_partner_id": self.partner.id},
            {"billpay": False},
            {"payment_method_ids": [Command.unlink(self.billpay.id)]},
            {
                "payment_method_ids": [
                    Command.unlink(self.billpay.id),
                    Command.link(others.id),
                ]
            },
        ):
            with self.subTest(values), self.assertRaisesRegex(AccessError, "managers"):
                till.write(values)
            till.invalidate_recordset()
        # What is there already, and what Odoo lets cashiers write.
        till.write({"billpay_later": "never", "billpay": True, "name": "Duka jipya"})
        self.assertEqual(till.name, "Duka jipya")
        self.till.write({"billpay_later": "always", "billpay_change": True})
        self.till.billpay = False
        self.assertFalse(self.till._billpay_method())

    # === The till's rules === #

    def test_never_pay_later(self):
        self.till.billpay_later = "never"
        session = self._open()
        cashier = self._cashier()
        orders = self.env["pos.order"].with_user(cashier)
        method, cash = self.billpay, self.cash
        part = self._ask(str(uuid4()))
        self._told(part["number"], 20000)
        strangers = self._registered_invoice(45000).billpay_number_id.name
        leased = self._lease()[0]["number"]
        for payments, uuid in (
            # No number, one that nobody paid, a part, somebody else's number.
            ([(method, 45000, False)], str(uuid4())),
            ([(method, 45000, leased)], str(uuid4())),
            ([(method, 45000, part["number"])], part["uuid"]),
            ([(method, 45000, part["number"])], str(uuid4())),
            ([(method, 45000, strangers)], str(uuid4())),
            ([(method, 15000, False), (cash, 30000, False)], str(uuid4())),
        ):
            sale = self._sale(session, payments, uuid=uuid)
            with (
                self.subTest(payments=payments),
                self.assertRaisesRegex(ValidationError, "before its money"),
                self.env.cr.savepoint(),
            ):
                orders.sync_from_ui([sale])
            self.assertFalse(orders.search([("uuid", "=", uuid)]))
        # Nor from behind: sent as open, and finished by other calls.
        draft = self._send(
            self._sale(session, [(method, 45000, False)], state="draft")
        ).with_user(cashier)
        for finish in (
            lambda: draft.action_pos_order_paid(),
            lambda: draft.write({"state": "paid"}),
            lambda: draft.write({"state": "done"}),
        ):
            with (
                self.assertRaisesRegex(ValidationError, "before its money"),
                self.env.cr.savepoint(),
            ):
                finish()
            draft.invalidate_recordset()
            self.assertEqual(draft.state, "draft")
        # Nor by exchanging the cash of a finished order.
        done = self._send(self._sale(session, [(cash, 45000, False)]))
        with (
            self.assertRaisesRegex(ValidationError, "before its money"),
            self.env.cr.savepoint(),
        ):
            done.payment_ids.with_user(cashier).write({"payment_method_id": method.id})

    def test_never_pay_later_lets_paid_orders_through(self):
        self.till.billpay_later = "never"
        session = self._open()
        orders = self.env["pos.order"].with_user(self._cashier())
        asked, printed = self._ask(str(uuid4())), self._lease()[0]["number"]
        self._told(asked["number"], 45000)
        # Printed without network; the order and the money come afterwards.
        self._told(printed, 45000, "LCPTOLD2")
        part = self._ask(str(uuid4()))
        self._told(part["number"], 15000, "LCPTOLD3")
        back = self._ask(str(uuid4()))
        # It had come when the goods were given.
        self._told(back["number"], 45000, "LCPTOLD4").state = "reversed"
        for payments, uuid in (
            ([(self.billpay, 45000, asked["number"])], asked["uuid"]),
            ([(self.billpay, 45000, printed)], str(uuid4())),
            (
                [(self.billpay, 15000, part["number"]), (self.cash, 30000, False)],
                part["uuid"],
            ),
            ([(self.billpay, 45000, back["number"])], back["uuid"]),
            ([(self.cash, 45000, False)], str(uuid4())),
        ):
            with self.subTest(payments=payments):
                orders.sync_from_ui([self._sale(session, payments, uuid=uuid)])
                order = orders.search([("uuid", "=", uuid)])
                self.assertEqual(order.state, "paid")
        # Received as open is no finishing, and refunds ask for nothing.
        draft = self._sale(session, [(self.billpay, 45000, False)], state="draft")
        self.assertEqual(self._send(draft).state, "draft")
        # A rule that is new does not hold the closing of a session up.
        self.till.billpay_later = "always"
        late = self._send(self._sale(session, [(self.billpay, 45000, False)]))
        self.till.billpay_later = "never"
        orders.search([("state", "=", "draft")]).unlink()
        self._close_till(session)
        self.assertEqual(late.state, "done")
        self.assertEqual(
            sum(late.payment_ids._billpay_lines().mapped("balance")), 45000
        )

    def test_change_is_given_by_the_rule_and_from_what_came(self):
        session = self._open()
        orders = self.env["pos.order"].with_user(self._cashier())
        asked = self._ask(str(uuid4()))
        self._told(asked["number"], 50000)

        def send(amount, uuid, *more):
            payments = [(self.billpay, amount, False), *more]
            sale = self._sale(session, payments, uuid=uuid)
            with self.env.cr.savepoint():
                orders.sync_from_ui([sale])
            return orders.search([("uuid", "=", uuid)])

        with self.assertRaisesRegex(ValidationError, "no change"):
            send(50000, asked["uuid"])
        with self.assertRaisesRegex(ValidationError, "no change"):
            send(900000, str(uuid4()))
        self.till.billpay_change = True
        for amount, uuid in (
            # Cash for what never came, and for more than came.
            (900000, str(uuid4())),
            (45001, str(uuid4())),
            (60000, asked["uuid"]),
        ):
            with self.subTest(amount=amount), self.assertRaises(ValidationError):
                send(amount, uuid)
        order = send(50000, asked["uuid"])
        self.assertEqual(order.state, "paid")
        self.assertEqual(sorted(order.payment_ids.mapped("amount")), [-5000, 50000])
        # Change of cash is none of BillPay's.
        self.till.billpay_change = False
        mixed = send(20000, str(uuid4()), (self.cash, 30000, False))
        self.assertEqual(
            sorted(mixed.payment_ids.mapped("amount")), [-5000, 20000, 30000]
        )

    def test_fields_of_the_server_are_refused(self):
        cashier = self._cashier()
        session = self._open()
        stand = self._ask(str(uuid4()))
        method = self.till._billpay_method()
        order = self._send(self._sale(session, [(method, 45000, False)]))
        payment = order.payment_ids.filtered("is_billpay")
        strangers = self._registered_invoice(60000)
        line = strangers.line_ids.filtered("date_maturity")
        for values in (
            {"billpay_number_id": strangers.billpay_number_id.id},
            {"billpay_number_id": self._number(stand).id},
            {"billpay_line_id": line.id},
        ):
            with self.subTest(values):
                with self.assertRaises(AccessError):
                    payment.with_user(cashier).write(values)
                with self.assertRaises(AccessError):
                    payment.with_user(cashier).create(
                        {
                            "pos_order_id": order.id,
                            "payment_method_id": payment.payment_method_id.id,
                            "amount": 1,
                            **values,
                        }
                    )
                with self.assertRaises(AccessError):
                    order.with_user(cashier).write(
                        {"payment_ids": [Command.update(payment.id, values)]}
                    )
        # What is there already is no change.
        payment.with_user(cashier).write(
            {"billpay_number_id": payment.billpay_number_id.id, "card_type": "x"}
        )
        self.assertEqual(payment.card_type, "x")

    def test_application_of_another_company_is_refused(self):
        foreign = self._make_application(
            self.setup_other_company(name="Duka jingine")["company"]
        )
        method = self.till._billpay_method()
        with self.assertRaises(AccessError):
            method.billpay_provider_id = foreign
        # Nor may somebody who works in both companies.
        with self.assertRaises(ValidationError):
            method.sudo().billpay_provider_id = foreign
        method.billpay_provider_id = self.provider

    def test_application_that_is_not_changed_stands_in_nobodys_way(self):
        """Who keeps tills reads no applications, and need not."""
        manager = new_test_user(
            self.env,
            "till_manager",
            "point_of_sale.group_pos_manager",
            company_id=self.company.id,
            company_ids=[Command.set(self.company.ids)],
        )
        method = self.till._billpay_method()
        method.sudo().billpay_provider_id = self.provider
        second = self._make_application(self.company, clickpesa_client_id="IDsecond")
        mine = method.with_user(manager)
        mine = mine.with_context(allowed_company_ids=self.company.ids)
        for values in (
            {"name": "BillPay ya duka"},
            {"billpay_provider_id": self.provider.id},
            {"name": "BillPay", "billpay_provider_id": self.provider.id},
        ):
            with self.subTest(values):
                mine.web_save(values, {"name": {}})
                self.assertEqual(method.sudo().billpay_provider_id, self.provider)
        copied = mine.copy().sudo()
        self.assertEqual(copied.billpay_provider_id, self.provider)
        self.assertEqual(copied.company_id, self.company)
        with self.assertRaises(AccessError):
            mine.write({"billpay_provider_id": second.id})
        with self.assertRaises(AccessError):
            mine.copy({"billpay_provider_id": second.id})
        self.assertEqual(method.sudo().billpay_provider_id, self.provider)
        till = self.till.with_user(manager)
        till = till.with_context(allowed_company_ids=self.company.ids)
        till.web_save({"name": "Duka la Posta"}, {"name": {}})
        self.assertEqual(self.till._billpay_method(), method)

    def test_search_finds_what_has_no_number_of_ours(self):
        self._told("11220000009999", 7000)
        self.assertEqual(self.till.billpay_search("7000"), [])
        [item] = self.till.billpay_search("1122 0000 009999")
        self.assertIn("not ours", item["verdict"])
