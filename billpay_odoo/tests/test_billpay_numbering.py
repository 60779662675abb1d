# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The digits of numbers, and companies that make them without any network."""

import json

from stdnum.iso7064 import mod_97_10

from odoo import Command, fields
from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..clickpesa import NumberRequest, parse_notification
from ..exceptions import NumberSpaceExhausted
from ..models.provider.billpay_numbering import BillpayNumbering
from ..models.provider.payment_provider import LONGEST, SHORTEST
from .common import BillPayCommon
from .test_concurrency import ConcurrencyCase


@tagged("post_install", "-at_install")
class TestNumbering(BillPayCommon):
    def _own_counter(self, **values):
        return self.env["ir.sequence"].create(
            {"name": "Duka", "implementation": "standard", **values}
        )

    def test_prefix_length_and_counter_of_the_application(self):
        self.provider.write(
            {
                "clickpesa_number_prefix": "11227",
                "clickpesa_number_length": 10,
                "clickpesa_sequence_id": self._own_counter(number_next=7).id,
            }
        )
        self.assertEqual(self.provider.clickpesa_number_example[:8], "11227042")
        name = self._invoice().billpay_number_id.name
        self.assertEqual((name[:8], len(name)), ("11227007", 10))
        self.assertTrue(mod_97_10.is_valid(name))

    def test_every_length_that_is_allowed_is_made(self):
        self.provider.write(
            {
                "clickpesa_number_prefix": "1",
                "clickpesa_sequence_id": self._own_counter().id,
            }
        )
        for length in range(SHORTEST, LONGEST + 1):
            self.provider.clickpesa_number_length = length
            [name] = self.env["billpay.numbering"]._next_references(self.provider, 1)
            self.assertEqual(len(name), length)
            self.assertTrue(mod_97_10.is_valid(name))

    def test_settings_that_cannot_work_are_refused(self):
        for values in (
            {"clickpesa_number_prefix": "11A"},
            {"clickpesa_number_prefix": "11 22"},
            {"clickpesa_number_prefix": "١١٢٢"},
            {"clickpesa_number_length": 5},
            {"clickpesa_number_length": 21},
            {"clickpesa_number_length": 8},
            {"clickpesa_number_prefix": "1234567890123"},
            {"clickpesa_number_origin": "offline", "clickpesa_number_prefix": "99"},
        ):
            with self.assertRaises(ValidationError, msg=values):
                with self.env.cr.savepoint():
                    self.provider.write(values)

    def test_used_up_digits_are_said_and_nothing_is_made_longer(self):
        counter = self._own_counter(number_next=999)
        self.provider.write(
            {
                "clickpesa_number_length": 9,
                "clickpesa_sequence_id": counter.id,
            }
        )
        self.assertEqual(
            len(self.env["billpay.numbering"]._next_references(self.provider, 1)[0]), 9
        )
        with self.assertRaises(UserError) as caught:
            self.env["billpay.numbering"]._next_references(self.provider, 1)
        self.assertIn("no control numbers left", str(caught.exception))

    def test_used_up_digits_stop_neither_invoices_nor_money(self):
        counter = self._own_counter(number_next=999)
        self.provider.write(
            {"clickpesa_number_length": 9, "clickpesa_sequence_id": counter.id}
        )
        move = self._registered_invoice(150000)
        other = self._invoice(20000)
        self.assertEqual(other.state, "posted")
        self.assertFalse(other.billpay_number_ids)
        self.assertIn("no control numbers left", other.message_ids[0].body)
        self.assertIn("Get Control Number", other.message_ids[0].body)
        # A part is paid, and there is no number for the rest.
        payment = self._pay(move.billpay_number_id.name, 100000)
        self._event(payment)
        self._process()
        self.assertBooked(self._ledger(payment), 100000)
        self.assertEqual(move.amount_residual, 50000)
        self.assertEqual(move.billpay_number_ids.mapped("state"), ["paid"])
        self.assertIn(
            "no control numbers left", "".join(move.message_ids.mapped("body"))
        )
        with self.assertRaises(UserError):
            move.action_billpay_issue()
        self.provider.clickpesa_number_length = 14
        move.action_billpay_issue()
        self.assertEqual(move.billpay_number_id.amount, 50000)

    def test_counter_that_was_set_back_skips_what_is_here(self):
        counter = self._own_counter()
        self.provider.clickpesa_sequence_id = counter
        used = [self._invoice().billpay_number_id.name for _invoice in range(3)]
        counter.number_next = 1
        fresh = self.env["billpay.numbering"]._next_references(self.provider, 2)
        self.assertFalse(set(used) & set(fresh))
        self.assertEqual(len(set(fresh)), 2)

    # === Offline === #

    def _next(self, count=1, provider=None, **how):
        provider = provider or self.provider
        return self.env["billpay.numbering"]._next_references(provider, count, **how)

    def test_offline_number_begins_with_the_namba_whatever_the_settings(self):
        self.provider.clickpesa_sequence_id = self._own_counter()
        for prefix, namba, length in (
            ("88", "1122", 14),
            ("112", "1122", 12),
            ("9911227", "1122", 14),
            ("11229", "1122", 10),
            ("7", "0042", 9),
            (" 88 ", " 3344 ", 20),
            (False, "3344", 14),
        ):
            with self.subTest(prefix=prefix, namba=namba, length=length):
                self.provider.write(
                    {
                        "clickpesa_number_prefix": prefix,
                        "clickpesa_billpay_namba": namba,
                        "clickpesa_number_length": length,
                    }
                )
                self.assertEqual(len(self.provider.clickpesa_billpay_namba), 4)
                registered, *_more = self._next(2)
                begin = (prefix or namba).strip()
                self.assertEqual(registered[: len(begin)], begin)
                for name in (
                    *self._next(2, offline=True),
                    self.env["billpay.control.number"]
                    ._reserve(self.provider.sudo(), [{"kind": "order"}], offline=True)
                    .name,
                ):
                    self.assertEqual(name[:4], namba.strip())
                    self.assertEqual(len(name), length)
                    self.assertTrue(mod_97_10.is_valid(name))

    def test_offline_number_needs_a_namba_and_room_behind_it(self):
        self.provider.write(
            {"clickpesa_number_prefix": "8", "clickpesa_number_length": 6}
        )
        self.assertEqual(len(self._next()[0]), 6)
        with self.assertRaisesRegex(NumberSpaceExhausted, "no control numbers left"):
            self._next(offline=True)
        self.env.cr.execute(
            "UPDATE payment_provider SET clickpesa_billpay_namba = NULL WHERE id = %s",
            [self.provider.id],
        )
        self.provider.invalidate_recordset()
        with self.assertRaisesRegex(NumberSpaceExhausted, "no BillPay-Namba"):
            self._next(offline=True)

    def test_offline_numbers_of_one_namba_count_on_one_counter(self):
        """Two counters would come to the same digits, maybe at the same moment."""
        self.provider.clickpesa_sequence_id = self._own_counter(number_next=500)
        others = self.provider.browse()
        for index, prefix in enumerate(("88", "99")):
            others |= self._make_application(
                self.company,
                name="Mauzo %s" % index,
                clickpesa_number_prefix=prefix,
                clickpesa_sequence_id=self._own_counter().id,
            )
        made = [self._next(provider=app, offline=True)[0] for app in others]
        made += self._next()
        self.assertEqual([int(name[4:-2]) for name in made], [500, 501, 502])
        self.assertEqual([int(self._next(provider=a)[0][2:-2]) for a in others], [1, 1])

    def test_closed_offline_number_of_another_namba_is_not_given_out_again(self):
        self.provider.clickpesa_number_origin = "offline"
        moves = self._invoice(1000) | self._invoice(2000)
        old = moves.billpay_number_ids
        moves.button_draft()
        self.provider.clickpesa_billpay_namba = "3344"
        moves.action_post()
        self.assertEqual(set(old.mapped("state")), {"closed"})
        self.assertEqual({n.name[:4] for n in moves.billpay_number_id}, {"3344"})

    # === Digits that somebody has had === #

    def _seen(self, how, name):
        """Let digits have been seen, with nothing but this left of it."""
        payments = self.env["billpay.payment"].sudo()
        if how == "number":
            number = self.env["billpay.control.number"].sudo()
            number = number._reserve(self.provider.sudo(), [{"kind": "order"}])
            number.name = name
        elif how.startswith("delivery"):
            body = {"event": "PAYMENT RECEIVED", "data": {"orderReference": name}}
            if how == "delivery, old form":
                body = {"eventType": "PAYMENT RECEIVED", "data": {"reference": name}}
            self.env["billpay.event"].sudo().create(
                {
                    "provider_id": self.provider.id,
                    "state": "failed" if how == "delivery, failed" else "new",
                    "body": json.dumps(body),
                    "digest": name,
                    "received_at": fields.Datetime.now(),
                    "last_received_at": fields.Datetime.now(),
                }
            )
        else:
            suffix = "-8943" if how == "payment, suffix" else ""
            payments.create(
                {
                    "provider_id": self.provider.id,
                    "reference": "LCP" + name,
                    "number": name + suffix,
                    "amount": 5000,
                    "currency_id": self.tzs.id,
                    "paid_at": "2026-03-05 10:00:00",
                    "state": how.rpartition(" ")[2] if "," not in how else "unmatched",
                }
            )
        self.env.flush_all()

    def test_digits_that_were_ever_seen_are_not_given_out(self):
        for how in (
            "number",
            "payment unmatched",
            "payment received",
            "payment ignored",
            "payment posted",
            "payment, suffix",
            "delivery",
            "delivery, failed",
            "delivery, old form",
        ):
            for offline in (False, True):
                with self.subTest(how, offline=offline):
                    counter = self._own_counter()
                    self.provider.clickpesa_sequence_id = counter
                    [seen] = self._next()
                    following = self._next(3)
                    self._seen(how, seen)
                    # As after a restored backup.
                    counter.number_next = int(seen[4:-2])
                    self.assertEqual(self._next(3, offline=offline), following)

    def test_five_thousand_seen_digits_are_leapt_over(self):
        counter = self._own_counter()
        self.provider.clickpesa_sequence_id = counter
        numbering = self.env["billpay.numbering"]
        names = [numbering._with_check_digits("1122", 8, v) for v in range(1, 5001)]
        self.env.cr.execute(
            "INSERT INTO billpay_payment"
            " (provider_id, merchant, reference, number, state, amount, paid_at)"
            " SELECT %s, %s, 'LCP' || name, name, 'unmatched', 1000, now()"
            " FROM unnest(%s) AS name",
            [self.provider.id, self.provider.billpay_merchant, names],
        )
        counted = []
        count_on = BillpayNumbering._count_on

        def counting(service, provider, count):
            counted.append(count)
            return count_on(service, provider, count)

        self.patch(BillpayNumbering, "_count_on", counting)
        move = self._invoice()
        self.assertEqual(int(move.billpay_number_id.name[4:-2]), 5001)
        self.assertLess(len(counted), 8)
        # None was left out.
        self.assertEqual(int(self._next()[0][4:-2]), 5002)

    def test_five_thousand_numbers_that_clickpesa_has_are_leapt_over(self):
        counter = self._own_counter()
        self.provider.clickpesa_sequence_id = counter
        numbering, client = (
            self.env["billpay.numbering"],
            self.provider._billpay_client(),
        )
        names = [numbering._with_check_digits("1122", 8, v) for v in range(1, 5001)]
        for begin in range(0, len(names), 50):
            client.create_order_numbers(
                [
                    NumberRequest(reference=name, amount=1, description="Before")
                    for name in names[begin : begin + 50]
                ]
            )
        for moves in (self._invoice(), self._invoice() | self._invoice()):
            before = self.sandbox.count_calls()
            self._sync()
            self.assertEqual(set(moves.billpay_number_ids.mapped("state")), {"open"})
            self.assertLess(self.sandbox.count_calls() - before, 40)
        self.assertEqual(len(moves.billpay_number_ids), 2)

    def test_small_space_is_used_to_its_end(self):
        counter = self._own_counter(number_next=990)
        self.provider.write(
            {"clickpesa_number_length": 9, "clickpesa_sequence_id": counter.id}
        )
        numbering = self.env["billpay.numbering"]
        for value in (990, 991, 992, 995):
            self._seen(
                "payment unmatched", numbering._with_check_digits("1122", 3, value)
            )
        values = [int(self._next()[0][4:-2]) for _left in range(6)]
        self.assertEqual(values, [993, 994, 996, 997, 998, 999])
        with self.assertRaises(NumberSpaceExhausted):
            self._next()

    # === Counters that cannot count === #

    def _without_gaps(self):
        return self._own_counter(implementation="no_gap")

    def _two_companies(self, count=5):
        """Invoices of two companies in one batch, drafts."""
        data = self.setup_other_company(name="Duka la Pili")
        other = data["company"]
        app = self._make_application(other, clickpesa_billpay_namba="3344")
        self.env.user.company_ids |= other
        moves = self.env["account.move"]
        for index in range(count):
            moves |= self._invoice(1000 + index, post=False)
        theirs = moves.browse()
        for index in range(2):
            theirs |= self._invoice(
                7000 + index,
                post=False,
                journal_id=data["default_journal_sale"].id,
                invoice_line_ids=[
                    Command.create(
                        {
                            "name": "Ada",
                            "price_unit": 7000 + index,
                            "account_id": data["default_account_revenue"].id,
                            "tax_ids": [Command.clear()],
                        }
                    )
                ],
            )
        return moves, theirs, app

    def test_counter_without_gaps_stops_no_invoice_and_no_application(self):
        moves, theirs, _app = self._two_companies()
        registered = self._registered_invoice(5000)
        self.provider.clickpesa_sequence_id = self._without_gaps()
        (moves | theirs).action_post()
        self.assertEqual(set((moves | theirs).mapped("state")), {"posted"})
        self.assertFalse(moves.billpay_number_ids)
        for move in moves:
            self.assertIn("Implementation", move.message_ids[0].body)
            self.assertIn("Get Control Number", move.message_ids[0].body)
        self.assertEqual({n.name[:4] for n in theirs.billpay_number_ids}, {"3344"})
        with self.assertRaisesRegex(UserError, "cannot count control numbers"):
            moves[0].action_billpay_issue()
        # What has its digits is changed and registered all the same.
        registered.billpay_number_id.sudo()._want({"amount": 4000})
        self._sync()
        self.assertEqual(registered.billpay_number_id.known_amount, 4000)
        self.assertEqual(set(theirs.billpay_number_ids.mapped("state")), {"open"})
        self.assertFalse(self.provider.billpay_trouble)

    def test_no_digits_for_a_collision_concern_this_number_alone(self):
        for name, values in (
            ("no gap", {"implementation": "no_gap"}),
            ("used up", {"number_next": 10**9}),
            ("gone", None),
        ):
            with self.subTest(name):
                self.provider.clickpesa_sequence_id = self._own_counter(number_next=7)
                taken, other = self._invoice(1000), self._invoice(2000)
                number = taken.billpay_number_id
                self.provider._billpay_client().create_order_numbers(
                    [NumberRequest(reference=number.name, amount=9, description="X")]
                )
                if values is None:
                    self.env.cr.execute(
                        "DROP SEQUENCE ir_sequence_%03d"
                        % self.provider.clickpesa_sequence_id.id
                    )
                else:
                    self.provider.clickpesa_sequence_id = self._own_counter(**values)
                self._sync()
                self.assertEqual(number.state, "failed")
                self.assertTrue(number.refusal_activity_id)
                self.assertEqual(other.billpay_number_id.state, "open")
                self.assertFalse(self.provider.billpay_trouble)
                self.assertFalse(self.provider.billpay_paused_until)
                self.sandbox.reset()

    def test_last_digits_are_given_out_and_the_others_say_so(self):
        moves, theirs, _app = self._two_companies()
        self.provider.write(
            {
                "clickpesa_number_length": 9,
                "clickpesa_sequence_id": self._own_counter(number_next=997).id,
            }
        )
        (moves | theirs).action_post()
        self.assertEqual(set((moves | theirs).mapped("state")), {"posted"})
        having = moves.filtered("billpay_number_ids")
        self.assertEqual(len(having), 3)
        self.assertEqual(
            [int(n.name[4:-2]) for n in having.billpay_number_ids.sorted("name")],
            [997, 998, 999],
        )
        for move in having:
            self.assertEqual(move.billpay_number_id.amount, move.amount_total)
        for move in moves - having:
            self.assertIn("no control numbers left", move.message_ids[0].body)
        self.assertEqual(len(theirs.billpay_number_ids), 2)

    def test_applications_never_share_digits(self):
        other = self._make_application(self.company, name="Mauzo ya pili")
        other.clickpesa_sequence_id = self.provider.clickpesa_sequence_id
        with self.assertRaises(ValidationError):
            with self.env.cr.savepoint():
                other.clickpesa_sequence_id = self._own_counter()
        with self.assertRaises(ValidationError):
            with self.env.cr.savepoint():
                other.clickpesa_number_prefix = "112212"
        other.write(
            {
                "clickpesa_number_prefix": "3344",
                "clickpesa_sequence_id": self._own_counter().id,
            }
        )


@tagged("post_install", "-at_install")
class TestOfflineCompany(BillPayCommon):
    """An application with no credentials at all."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.provider.write(
            {
                "clickpesa_number_origin": "offline",
                "clickpesa_client_id": False,
                "clickpesa_api_key": False,
            }
        )

    def test_registering_needs_credentials(self):
        with self.assertRaises(ValidationError):
            self.provider.clickpesa_number_origin = "api"

    def test_numbers_are_payable_at_birth_and_nothing_is_called(self):
        move = self._invoice(150000)
        number = move.billpay_number_id
        self.assertRecordValues(number, [{"state": "open", "origin": "offline"}])
        self.assertEqual(number.name[:4], "1122")
        self.assertTrue(mod_97_10.is_valid(number.name))
        self._sync()
        self._poll()
        with self._workers():
            self.assertEqual(
                self.env["account.move.send"]._billpay_confirm_before_sending(move), {}
            )
        move.button_draft()
        move.action_post()
        self.assertEqual(move.billpay_number_id, number)
        self._sync()
        self.assertEqual(self.sandbox.calls(), [])

    def test_what_cannot_be_asked_says_so(self):
        move = self._invoice(150000)
        with self._workers(), self.assertRaises(UserError) as caught:
            move.action_billpay_check()
        self.assertIn("Enter Payment", str(caught.exception))
        checks = self.env["billpay.connection.test"]._connection_checks(self.provider)
        self.assertEqual([passed for passed, _sentence in checks][:2], [None, True])
        reports = self.env["billpay.health"]._health_checks(self.provider)
        checks = {check.name: check for check in reports[self.provider.id]}
        self.assertEqual(checks["last_poll"].colour, "green")
        self.assertIn("there is no poll", checks["last_poll"].sentence)
        self.assertEqual(self.sandbox.calls(), [])

    def test_invoice_prints_its_number(self):
        move = self._invoice(150000)
        block = self.env["billpay.pay.page"]._document_for(move, "en_US")
        self.assertEqual(block["number"], move.billpay_number_id.name)
        self.assertIn("150,000", block["amount"])

    def test_signed_delivery_books_and_a_rest_gets_the_next_number(self):
        self.provider.clickpesa_confirmation = "signature"
        move = self._invoice(150000)
        first = move.billpay_number_id
        payment = self._pay(first.name, 100000)
        self._event(payment)
        self._process()
        self.assertBooked(self._ledger(payment), 100000)
        self.assertEqual(move.amount_residual, 50000)
        second = move.billpay_number_id
        self.assertRecordValues(
            second, [{"state": "open", "amount": 50000, "predecessor_id": first.id}]
        )
        payment = self._pay(second.name, 50000)
        self._event(payment)
        self._process()
        self.assertEqual(move.amount_residual, 0)

    def test_payment_on_a_predecessor_is_booked_on_the_invoice(self):
        self.provider.clickpesa_confirmation = "signature"
        move = self._invoice(150000)
        first = move.billpay_number_id
        payment = self._pay(first.name, 100000)
        self._event(payment)
        self._process()
        self.assertEqual(first.state, "paid")
        second = move.billpay_number_id
        late = {**self.sandbox.webhook_body(payment["id"])}
        late["data"] = {
            **late["data"],
            "id": "LATE1",
            "paymentReference": "R2",
            "collectedAmount": "50000",
        }
        late["checksum"] = self.sandbox.sign(late)
        self._store(late)
        self._process()
        booked = self.env["billpay.payment"].search([("reference", "=", "LATE1")])
        self.assertBooked(booked, 50000)
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual((first.state, second.state), ("paid", "closed"))

    def _store(self, body):
        raw = json.dumps(body).encode()
        self.env["billpay.event"]._store_delivery(
            self.provider.sudo(),
            raw,
            parse_notification(raw),
            signed=True,
        )


@tagged("post_install", "-at_install")
class TestSuccessor(BillPayCommon):
    def _part_paid(self, **values):
        move = self._registered_invoice(150000, **values)
        number = move.billpay_number_id
        self._pay(number.name, 100000)
        self._poll()
        self._process()
        return move, number

    def test_payer_is_not_told_unless_the_company_wants_it(self):
        move, _number = self._part_paid()
        self._sync()
        self.assertFalse(move.billpay_number_id.told_at)

    def test_payer_is_told_once_clickpesa_knows_the_number(self):
        self.company.billpay_tell_successor = True
        move, number = self._part_paid()
        successor = move.billpay_number_id
        self.assertEqual(successor.state, "pending")
        self.assertFalse(successor.told_at)
        self._sync()
        self.assertTrue(successor.told_at)
        mail = self.env["mail.mail"].search(
            [("model", "=", "account.move"), ("res_id", "=", move.id)]
        )
        self.assertEqual(mail.recipient_ids, self.partner)
        self.assertIn(
            self.env["billpay.pay.page"]._get_pay_url(successor), mail.body_html
        )
        self.assertIn("50,000", mail.body_html)
        self.assertIn("100,000", mail.body_html)
        self.assertIn("View Invoice", mail.body_html)
        self.assertNotIn("Journal Entry", mail.body_html)
        self.env["billpay.reservation"]._follow(move)
        self._sync()
        again = self.env["mail.mail"].search_count(
            [("model", "=", "account.move"), ("res_id", "=", move.id)]
        )
        self.assertEqual(again, 1)

    def test_a_broken_template_keeps_no_number_from_being_registered(self):
        self.company.billpay_tell_successor = True
        move, _number = self._part_paid()
        self.env.ref(
            "billpay_odoo.mail_pay_block"
        ).arch = '<t t-name="billpay_odoo.mail_pay_block"><t t-out="nothing.here"/></t>'
        with mute_logger("odoo.addons.billpay_odoo"):
            self._sync()
        successor = move.billpay_number_id
        self.assertRecordValues(
            successor, [{"state": "open", "told_at": False, "sync_at": False}]
        )
        self.assertIn("can be paid", move.message_ids[0].body)

    def test_first_number_of_an_invoice_tells_nobody(self):
        self.company.billpay_tell_successor = True
        move = self._registered_invoice()
        self.assertFalse(move.billpay_number_id.told_at)


@tagged("slow")
class TestCounterWithoutGaps(ConcurrencyCase):
    """Odoo locks the row of such a counter for whoever counts."""

    def test_nobody_waits_for_its_lock(self):
        counter = self.db.value(
            "SELECT clickpesa_sequence_id FROM payment_provider WHERE id = %s",
            self.provider,
        )
        change = "UPDATE ir_sequence SET implementation = %s WHERE id = %s"
        self.db(change, "no_gap", counter)
        self.db("ALTER SEQUENCE ir_sequence_%03d RENAME TO kept_aside" % counter)
        with self.db.holding("ir_sequence", "id = %s", counter):
            made = self.run_worker(
                "invoices", company=self.company, amounts=[1000, 2000]
            )
        self.assertEqual([number for _move, number in made], [False, False])
        self.assertEqual(
            self.db(
                "SELECT DISTINCT state FROM account_move WHERE id = ANY(%s)",
                [move for move, _number in made],
            ),
            [("posted",)],
        )
        self.db("ALTER SEQUENCE kept_aside RENAME TO ir_sequence_%03d" % counter)
        self.db(change, "standard", counter)
        [[_move, number]] = self.run_worker(
            "invoices", company=self.company, amounts=[3000]
        )
        self.assertTrue(number)
