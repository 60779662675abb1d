# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Whole pages of payments enter the ledger."""

import contextlib
import dataclasses
import random
import re
import runpy
import string
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import psycopg2

from odoo import fields, sql_db
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..clickpesa import ClickPesaClient, Payment
from .test_billpay_receipt import ManualCommon
from .test_concurrency import ConcurrencyCase

ADDON = "odoo.addons.billpay_odoo"
PAGE = 100
WRITE = re.compile(
    r"\b(INSERT\s+INTO|DELETE\s+FROM|(?<!FOR )(?<!FOR NO KEY )UPDATE)\b", re.I
)
# Statements that a payment of a page may cost.
NEW, KNOWN = 3, 1
# Longer than an entry of an index may be, and without a pattern to compress.
OVERLONG = "".join(
    random.Random(7).choices(string.ascii_letters + string.digits, k=9000)
)


class UpsertCommon(ManualCommon):
    def setUp(self):
        super().setUp()
        self.ledger = self.env["billpay.payment"]

    # === Steps of the story === #

    def _paid(self, count, first=0):
        """Payers pay numbers that nobody here knows; ids in the order of payment."""
        return [
            self._pay(f"1122{first + index:07d}", 1000 + first + index)["id"]
            for index in range(count)
        ]

    def _told(self, payment_id, **changes):
        """A payment as the query API tells it, with changed members."""
        return Payment.parse({**self.sandbox.payment(payment_id), **changes})

    def _page(self, count=PAGE):
        return [self._told(payment_id) for payment_id in self._paid(count)]

    def _store(self, told_list, *, source="poll", trusted=True, provider=None):
        """Store a page and have it in the database; the rows and what failed."""
        provider = provider or self.provider
        result = self.ledger.env["billpay.ledger"]._upsert_each(
            provider.sudo(), told_list, source=source, trusted=trusted
        )
        self.env.flush_all()
        self.env.invalidate_all()
        return result

    def _store_all(self, told_list, **how):
        rows, failures = self._store(told_list, **how)
        self.assertEqual(failures, [])
        return rows

    def _row(self, payment_id):
        row = self.ledger.search([("reference", "=", payment_id)])
        self.assertEqual(len(row), 1, payment_id)
        return row

    @contextlib.contextmanager
    def _writes(self):
        """The statements inside that write."""
        found, original = [], sql_db.Cursor.execute

        def execute(cursor, query, *args, **kwargs):
            text = getattr(query, "code", query)
            text = text if isinstance(text, str) else str(text)
            if WRITE.search(text):
                found.append(text)
            return original(cursor, query, *args, **kwargs)

        self.env.flush_all()
        with patch.object(sql_db.Cursor, "execute", execute):
            yield found
            self.env.flush_all()

    def assertFacts(self, rows, told_list):
        """Each row says what was told, in that order."""
        self.assertRecordValues(
            rows,
            [
                {
                    "reference": told.id,
                    "receipt": told.receipt,
                    "receipt_key": told.receipt.upper(),
                    "number": told.reference,
                    "amount": float(told.amount),
                    "currency_id": self.tzs.id,
                    "currency_code": "TZS",
                    "channel_code": told.channel,
                    "channel_id": self.env.ref("billpay_odoo.channel_mpesa").id,
                    "payer_name": told.payer_name,
                    "payer_phone": told.payer_phone,
                    "paid_at": told.created_at.replace(tzinfo=None),
                    "told_at": told.updated_at.replace(tzinfo=None),
                    "status": told.status,
                    "provider_id": self.provider.id,
                    "company_id": self.company.id,
                    "provisional": False,
                }
                for told in told_list
            ],
        )


@tagged("post_install", "-at_install")
class TestUpsertBatch(UpsertCommon):
    # === New and known === #

    def test_page_of_new_payments_is_stored(self):
        page = self._page()
        rows = self._store_all(page)
        self.assertEqual(rows.mapped("reference"), [told.id for told in page])
        self.assertFacts(rows, page)
        self.assertEqual(set(rows.mapped("state")), {"confirmed"})
        for row in rows:
            self.assertTrue(row.poll_at and row.confirmed_at)
            self.assertFalse(
                row.webhook_at or row.entered_at or row.reason or row.next_try_at
            )
            self.assertFalse(row.attention or row.attempts or row.message_ids)

    def test_page_of_announcements_waits_for_clickpesa(self):
        page = self._page(5)
        rows = self._store_all(page, source="webhook", trusted=False)
        self.assertEqual(rows.mapped("reference"), [told.id for told in page])
        for row in rows:
            self.assertEqual(row.state, "received")
            self.assertTrue(row.webhook_at and row.next_try_at and row.reason)
            # Only ClickPesa's own word has a date that counts.
            self.assertFalse(row.told_at or row.poll_at or row.confirmed_at)
        again = self._store_all(page)
        self.assertEqual(again, rows)
        self.assertFacts(again, page)
        self.assertEqual(set(again.mapped("state")), {"confirmed"})
        for row in again:
            self.assertTrue(row.webhook_at and row.poll_at and row.confirmed_at)
            self.assertFalse(row.reason or row.next_try_at)

    def test_same_page_again_writes_nothing(self):
        page = self._page()
        rows = self._store_all(page)
        before = rows.read()
        with self._writes() as writes:
            again, failures = self.ledger.env["billpay.ledger"]._upsert_each(
                self.provider.sudo(), page, source="poll", trusted=True
            )
        self.assertEqual(writes, [])
        self.assertEqual((again, failures), (rows, []))
        self.assertEqual(again.read(), before)

    def test_page_with_one_change_writes_that_row_only(self):
        payments = self._paid(20)
        rows = self._store_all([self._told(payment) for payment in payments])
        others = rows - rows[7]
        before = others.read()
        self.sandbox.set_status(payments[7], "FAILED")
        with self._writes() as writes:
            self.ledger.env["billpay.ledger"]._upsert_each(
                self.provider.sudo(),
                [self._told(payment) for payment in payments],
                source="poll",
                trusted=True,
            )
        self.assertTrue(writes)
        self.assertEqual([w for w in writes if "INSERT" in w.upper()], [])
        self.env.invalidate_all()
        self.assertEqual(rows[7].state, "ignored")
        self.assertEqual(others.read(), before)

    def test_page_mixes_new_changed_known_and_typed(self):
        known, changed, reversed_, announced, typed, new = self._paid(6)
        self.sandbox.set_status(changed, "PROCESSING")
        self._store_all([self._told(p) for p in (known, changed, reversed_)])
        self._store_all([self._told(announced)], source="webhook", trusted=False)
        self._entry(
            number=self.sandbox.payment(typed)["orderReference"],
            receipt=self.sandbox.payment(typed)["paymentReference"],
            amount=int(float(self.sandbox.payment(typed)["collectedAmount"])),
        ).action_enter()
        provisional = self.ledger.search([("provisional", "=", True)])
        self.assertEqual(len(provisional), 1)
        before = {p: self._row(p) for p in (known, changed, reversed_, announced)}
        self.assertEqual(before[changed].state, "received")
        count = self.ledger.search_count([])
        self.sandbox.set_status(changed, "SUCCESS")
        self.sandbox.set_status(reversed_, "REVERSED")
        page = [
            self._told(p) for p in (new, typed, announced, reversed_, changed, known)
        ]
        rows = self._store_all(page)
        self.assertEqual(rows.mapped("reference"), [told.id for told in page])
        self.assertEqual(self.ledger.search_count([]), count + 1)
        for payment, row in before.items():
            self.assertEqual(self._row(payment), row)
        self.assertEqual(
            rows.mapped("state"),
            [
                "confirmed",
                "confirmed",
                "confirmed",
                "ignored",
                "confirmed",
                "confirmed",
            ],
        )
        self.assertEqual(rows[1], provisional)
        self.assertFalse(provisional.provisional)
        self.assertTrue(provisional.entered_at and provisional.poll_at)
        self.assertIn(typed, "".join(provisional.message_ids.mapped("body")))
        self.assertIn("refunded the payer", rows[3].reason)

    def test_page_takes_back_what_is_booked(self):
        move, other = self._registered_invoice(7000), self._registered_invoice(5000)
        paid = [
            self._pay(move.billpay_number_id.name, 7000)["id"],
            self._pay(other.billpay_number_id.name, 5000)["id"],
        ]
        rows = self._store_all([self._told(payment) for payment in paid])
        self._process()
        self.assertEqual(rows.mapped("state"), ["posted", "posted"])
        self.sandbox.set_status(paid[0], "REVERSED")
        self._poll()
        self.assertRecordValues(
            rows,
            [
                {"state": "posted", "status": "REVERSED", "attention": True},
                {"state": "posted", "status": "SUCCESS", "attention": False},
            ],
        )
        self.assertTrue(rows[0].next_try_at)
        self.assertFalse(rows[1].next_try_at)

    def test_older_word_of_a_page_stands_back(self):
        payments = self._paid(2)
        rows = self._store_all(
            [self._told(p, updatedAt="2026-03-01T10:00:00Z") for p in payments]
        )
        self._store_all(
            [
                self._told(
                    payments[0], status="FAILED", updatedAt="2026-03-01T09:00:00Z"
                ),
                self._told(
                    payments[1], status="FAILED", updatedAt="2026-03-01T11:00:00Z"
                ),
            ]
        )
        self.assertEqual(rows.mapped("state"), ["confirmed", "ignored"])

    # === What it costs === #

    def test_page_costs_few_statements(self):
        """A page is stored with a handful of statements, whatever it holds."""
        payments = self._paid(PAGE)
        page = [self._told(payment) for payment in payments]
        # What the first payment of a process reads is not counted.
        self._store_all([self._told(*self._paid(1, first=PAGE))])
        for payment in payments:
            self.sandbox.set_status(payment, "SETTLED")
        changed = [self._told(payment) for payment in payments]
        turns = (("new", page, NEW), ("known", page, KNOWN), ("changed", changed, NEW))
        for why, told_list, most in turns:
            self.env.invalidate_all()
            with self.subTest(why):
                with self.assertQueryCount(most * PAGE):
                    rows, failures = self.ledger.env["billpay.ledger"]._upsert_each(
                        self.provider.sudo(), told_list, source="poll", trusted=True
                    )
                self.assertEqual((len(rows), failures), (PAGE, []))

    # === Twice in one page === #

    def test_payment_that_is_twice_in_a_page_has_one_row(self):
        """Pages shift while new payments arrive, so rows repeat."""
        first, second = self._page(2)
        rows = self._store_all([first, second, first])
        self.assertEqual(rows.mapped("reference"), [first.id, second.id])
        self.assertFacts(rows, [first, second])
        self.assertEqual(
            self.ledger.search_count([("reference", "in", [first.id, second.id])]), 2
        )

    def test_newest_word_in_a_page_counts(self):
        # The states after the newer word came last, and after it came first: an older
        # word changes nothing, except that ClickPesa is asked about a failure again.
        turns = (
            ("PROCESSING", "SUCCESS", "confirmed", "confirmed"),
            ("SUCCESS", "PROCESSING", "received", "received"),
            ("SUCCESS", "FAILED", "ignored", "received"),
            ("FAILED", "SUCCESS", "confirmed", "confirmed"),
        )
        for index, (before, after, *states) in enumerate(turns):
            for swapped, state in enumerate(states):
                with self.subTest(before=before, after=after, swapped=swapped):
                    [paid] = self._paid(1, first=10 * index + swapped)
                    pair = [
                        self._told(
                            paid, status=before, updatedAt="2026-03-01T09:00:00Z"
                        ),
                        self._told(
                            paid, status=after, updatedAt="2026-03-01T10:00:00Z"
                        ),
                    ]
                    rows = self._store_all(pair[::-1] if swapped else pair)
                    self.assertEqual(rows, self._row(paid))
                    self.assertEqual((rows.status, rows.state), (after, state))

    def test_two_payments_with_one_receipt_stay_two(self):
        first, second = self._page(2)
        second = dataclasses.replace(second, receipt=first.receipt)
        rows = self._store_all([first, second])
        self.assertEqual(rows.mapped("reference"), [first.id, second.id])
        self.assertEqual(len(set(rows.ids)), 2)
        self.assertEqual(set(rows.mapped("state")), {"confirmed"})

    def test_typed_receipt_is_one_of_two_payments_with_it(self):
        first, second = self._page(2)
        second = dataclasses.replace(second, receipt=first.receipt, amount=first.amount)
        self._entry(
            number=first.reference, receipt=first.receipt, amount=int(first.amount)
        ).action_enter()
        typed = self.ledger.search([("provisional", "=", True)])
        rows = self._store_all([first, second])
        self.assertEqual(rows.mapped("reference"), [first.id, second.id])
        self.assertEqual(rows[0], typed)
        self.assertNotEqual(rows[1], typed)
        self.assertFalse(rows[1].entered_at)

    def test_receipt_over_another_amount_is_another_payment(self):
        [told] = self._page(1)
        self._entry(
            number=told.reference, receipt=told.receipt, amount=int(told.amount) + 1
        ).action_enter()
        typed = self.ledger.search([("provisional", "=", True)])
        rows = self._store_all([told])
        self.assertNotEqual(rows, typed)
        self.assertTrue(typed.provisional)

    def test_receipts_of_a_spreadsheet_that_repeat_are_one_payment(self):
        told = Payment.parse(
            {
                "id": "RECEIPT/9XK4F7Q2",
                "status": "SUCCESS",
                "orderReference": "11220001",
                "paymentReference": "9XK4F7Q2",
                "collectedAmount": 5000,
                "collectedCurrency": "TZS",
                "createdAt": "2026-03-02T09:00:00Z",
            }
        )
        same = dataclasses.replace(told, payer_name="ASHA JUMA")
        rows = self._store_all([told, same], source="import")
        self.assertEqual(len(rows), 1)
        self.assertRecordValues(
            rows,
            [{"state": "confirmed", "provisional": True, "entered_how": "import"}],
        )

    # === What cannot be stored === #

    def test_payment_without_an_id_holds_up_no_other(self):
        payments = self._paid(10)
        nameless = payments[4]
        original = ClickPesaClient.payments_page

        def page(client, **how):
            told = original(client, **how)
            return dataclasses.replace(
                told,
                payments=tuple(
                    dataclasses.replace(p, id="") if p.id == nameless else p
                    for p in told.payments
                ),
            )

        with (
            patch.object(ClickPesaClient, "payments_page", page),
            self.assertLogs(ADDON, "WARNING") as logs,
        ):
            self._poll()
        self.assertIn("without an id", logs.output[0])
        rows = self.ledger.search([("provider_id", "=", self.provider.id)])
        self.assertEqual(
            sorted(rows.mapped("reference")),
            sorted(payment for payment in payments if payment != nameless),
        )
        self.assertIn("without an identity", self.provider.billpay_poll_error)
        self.assertTrue(self.provider.billpay_polled_until)

    def _refused(self):
        """Words that the driver or the database does not take, by their name."""
        return {
            "a NUL character": {"payer_name": "ASHA\x00JUMA"},
            "an overlong receipt": {"receipt": OVERLONG},
            "half a character": {"message": "\ud800"},
        }

    def test_new_payment_that_cannot_be_stored_stops_only_itself(self):
        for index, (why, words) in enumerate(self._refused().items()):
            with self.subTest(why):
                page = [
                    self._told(payment) for payment in self._paid(10, first=20 * index)
                ]
                known = self._store_all(page[:3])
                page[5] = dataclasses.replace(page[5], **words)
                with (
                    mute_logger("odoo.sql_db"),
                    self.assertLogs(ADDON, "ERROR") as logs,
                ):
                    rows, failures = self._store(page)
                self.assertEqual(failures, [page[5].id])
                self.assertEqual(len(logs.output), 1)
                self.assertIn(page[5].id, logs.output[0])
                good = page[:5] + page[6:]
                self.assertEqual(rows.mapped("reference"), [told.id for told in good])
                self.assertEqual(rows[:3], known)
                self.assertFacts(rows, good)
                self.assertFalse(self.ledger.search([("reference", "=", page[5].id)]))

    def test_change_that_cannot_be_stored_stops_only_itself(self):
        for index, (why, words) in enumerate(self._refused().items()):
            with self.subTest(why):
                payments = self._paid(6, first=20 * index)
                rows = self._store_all([self._told(payment) for payment in payments])
                before = rows[2].read()
                for payment in payments:
                    self.sandbox.set_status(payment, "FAILED")
                page = [self._told(payment) for payment in payments]
                page[2] = dataclasses.replace(page[2], **words)
                with mute_logger("odoo.sql_db"), self.assertLogs(ADDON, "ERROR"):
                    again, failures = self._store(page)
                self.assertEqual(failures, [payments[2]])
                self.assertEqual(again - rows[2], rows - rows[2])
                self.assertEqual(set((rows - rows[2]).mapped("state")), {"ignored"})
                self.assertEqual(rows[2].read(), before)

    def test_several_that_cannot_be_stored_are_all_named(self):
        page = self._page(30)
        for index in (0, 11, 12, 29):
            page[index] = dataclasses.replace(page[index], payer_name="\x00")
        with mute_logger("odoo.sql_db"), self.assertLogs(ADDON, "ERROR"):
            rows, failures = self._store(page)
        self.assertEqual(failures, [page[index].id for index in (0, 11, 12, 29)])
        self.assertEqual(len(rows), 26)
        self.assertFacts(rows, [told for told in page if told.id not in failures])

    def test_page_of_which_nothing_can_be_stored(self):
        page = [dataclasses.replace(t, payer_name="\x00") for t in self._page(3)]
        with mute_logger("odoo.sql_db"), self.assertLogs(ADDON, "ERROR"):
            rows, failures = self._store(page)
        self.assertFalse(rows)
        self.assertEqual(failures, [told.id for told in page])

    def test_empty_page(self):
        with self._writes() as writes:
            rows, failures = self.ledger.env["billpay.ledger"]._upsert_each(
                self.provider.sudo(), [], source="poll", trusted=True
            )
        self.assertEqual((len(rows), failures, writes), (0, [], []))

    def test_poll_names_what_it_could_not_store_and_asks_again(self):
        payments = self._paid(PAGE + 20)
        refused = payments[50]
        original = ClickPesaClient.payments_page

        def page(client, **how):
            told = original(client, **how)
            return dataclasses.replace(
                told,
                payments=tuple(
                    dataclasses.replace(p, message="\x00") if p.id == refused else p
                    for p in told.payments
                ),
            )

        with (
            patch.object(ClickPesaClient, "payments_page", page),
            mute_logger("odoo.sql_db"),
            self.assertLogs(ADDON, "ERROR"),
        ):
            self._poll()
        rows = self.ledger.search([("provider_id", "=", self.provider.id)])
        self.assertEqual(
            set(rows.mapped("reference")), {p for p in payments if p != refused}
        )
        self.assertEqual(len(rows), len(payments) - 1)
        self.assertIn(refused, self.provider.billpay_poll_error)
        self.assertFalse(self.provider.billpay_polled_until)
        self._poll()
        self.assertFalse(self.provider.billpay_poll_error)
        self.assertTrue(self.provider.billpay_polled_until)
        self.assertEqual(self._row(refused).state, "confirmed")
        # Nothing is new: the ledger is read only.
        with self._writes() as writes:
            self._poll()
        self.assertFalse([w for w in writes if re.search(r"\bbillpay_payment\b", w)])

    # === Whose it is === #

    def test_page_holds_payments_of_another_merchant(self):
        other = self._make_application(
            self.company,
            clickpesa_client_id="IDother",
            clickpesa_billpay_namba="3344",
        )
        page = self._page(6)
        # Announced to the wrong one before.
        stray = self._store_all(page[:1], source="webhook", trusted=False)
        self.assertEqual(stray.provider_id, self.provider)
        for index in (0, 3, 5):
            page[index] = dataclasses.replace(page[index], client_id="IDother")
        rows = self._store_all(page)
        self.assertEqual(rows.mapped("reference"), [told.id for told in page])
        self.assertEqual(rows[0], stray)
        ours = self.provider
        self.assertEqual(
            [row.provider_id for row in rows], [other, ours, ours, other, ours, other]
        )
        with self._writes() as writes:
            again = self.ledger.env["billpay.ledger"]._upsert_each(
                self.provider.sudo(), page, source="poll", trusted=True
            )
        self.assertEqual((again, writes), ((rows, []), []))

    # === What is told is made possible first === #

    def test_fraction_of_a_cent_does_not_change_at_each_poll(self):
        for amount in ("1000.005", 1000.0049, "1000.994999"):
            with self.subTest(amount):
                move = self._registered_invoice(1000)
                paid = self._pay(move.billpay_number_id.name, 1000)["id"]
                told = self._told(paid, collectedAmount=amount)
                row = self._store_all([told])
                self.assertEqual(row.amount, self.tzs.round(float(amount)))
                with self._writes() as writes:
                    self.env["billpay.ledger"]._upsert(
                        self.provider.sudo(), [told], source="poll", trusted=True
                    )
                self.assertEqual(writes, [])
                self._process()
                self.assertBooked(row, row.amount)
                self._store_all([told])
                self.assertFalse(row.attention and row.amount <= 1000)

    def test_moment_of_any_source_is_made_possible(self):
        told_moments = (
            ("poll", "2099-01-01T00:00:00Z"),
            ("query", "2001-09-09T01:46:40Z"),
            ("webhook", "2050-01-01T00:00:00Z"),
            ("typed", "2099-12-31T23:00:00Z"),
            ("import", "2011-01-01T00:00:00Z"),
        )
        for index, (source, moment) in enumerate(told_moments):
            with self.subTest(source):
                [paid] = self._paid(1, first=index)
                told = self._told(paid, createdAt=moment, updatedAt=moment)
                row = self._store_all([told], source=source)
                now = fields.Datetime.now()
                self.assertLess(abs(row.paid_at - now), timedelta(minutes=1))
                self.assertEqual(row.paid_at_told.isoformat() + "Z", moment)
                self.assertFalse(row.told_at)
                kept = row.paid_at
                with self._writes() as writes:
                    self._store_all([told], source=source)
                self.assertEqual(writes, [])
                self.assertEqual(row.paid_at, kept)
                # The true word comes, with a date before today.
                self._store_all(
                    [
                        self._told(
                            paid, status="FAILED", updatedAt="2026-03-01T09:00:00Z"
                        )
                    ]
                )
                self.assertEqual(row.state, "ignored")

    def test_charges_of_money_that_was_never_booked_are_in_sight(self):
        for index, word in enumerate(("REVERSE WITH CHARGES", "Reversed_with_charges")):
            with self.subTest(word):
                [paid] = self._paid(1, first=index)
                if index:
                    self._store_all([self._told(paid)])
                told = self._told(paid, status=word)
                for _again in range(2):
                    row = self._store_all([told])
                    self.assertEqual(row.state, "ignored")
                    self.assertTrue(row.attention)
                    self.assertIn("keeps charges", row.reason)
                row.action_mark_seen()
                self._store_all([told])
                self.assertFalse(row.attention)
        [paid] = self._paid(1, first=9)
        self.assertFalse(self._store_all([self._told(paid, status="REFUND")]).attention)

    def test_date_of_before_that_cannot_be_outranks_nothing(self):
        [paid] = self._paid(1)
        row = self._store_all([self._told(paid)])
        row.sudo().told_at = "2099-01-01 00:00:00"
        self._store_all([self._told(paid, status="FAILED")])
        self.assertRecordValues(row, [{"state": "ignored", "status": "FAILED"}])

    def test_number_that_is_older_than_its_row_may_be_paid_before(self):
        moment = fields.Datetime.now() - timedelta(days=3)
        for origin, held in (("api", True), ("offline", True), ("imported", False)):
            with self.subTest(origin):
                number = self.env["billpay.control.number"]._reserve(
                    self.provider.sudo(), [{"partner_id": self.partner.id}]
                )
                number.sudo().write(
                    {"origin": origin, "state": "open", "confirmed_at": moment}
                )
                paid = self._pay(number.name, 1000)["id"]
                row = self._store_all(
                    [self._told(paid, createdAt=moment.isoformat() + "Z")]
                )
                self._process()
                self.assertEqual(row.attention, held)
                self.assertEqual(row.paid_at, moment)
                if held:
                    self.assertEqual(row.state, "unmatched")
                    self.assertFalse(row.account_payment_ids)
                else:
                    self.assertBooked(row, 1000)

    # === Go-live === #

    def _before_go_live(self, days):
        move = self._registered_invoice(1000)
        moment = fields.Datetime.now() - timedelta(days=days)
        move.billpay_number_id.sudo().write({"origin": "imported"})
        paid = self._pay(move.billpay_number_id.name, 1000)["id"]
        return move, self._told(
            paid,
            createdAt=moment.isoformat() + "Z",
            updatedAt=moment.isoformat() + "Z",
        )

    def test_application_books_what_is_paid_from_its_first_day_on(self):
        new = self.provider.copy({"clickpesa_billpay_namba": "1177"})
        self.assertFalse(new.billpay_book_from)
        before = fields.Datetime.now()
        new.write(
            {
                "clickpesa_client_id": "IDnew",
                "clickpesa_api_key": "SKnew",
                "clickpesa_number_prefix": "1177",
                "state": "test",
            }
        )
        self.assertGreaterEqual(new.billpay_book_from, before)
        new.billpay_book_from = "2026-02-01 00:00:00"
        new.state = "disabled"
        new.state = "enabled"
        new.clickpesa_api_key = "SKnewer"
        new.clickpesa_base_url += " "
        self.assertEqual(str(new.billpay_book_from), "2026-02-01 00:00:00")
        # What another ClickPesa has was not for this application to book.
        new.clickpesa_base_url = "https://sandbox.example.test/elsewhere"
        self.assertGreaterEqual(new.billpay_book_from, before)

    def test_address_that_is_only_spelled_otherwise_moves_nothing(self):
        app, before = self.provider, self.provider.billpay_book_from
        second = self._make_application(self.company, clickpesa_client_id="IDsecond")
        merchant, url = app.billpay_merchant, app.clickpesa_base_url
        for spelled in (url + "/", url + " ", " " + url, url.upper(), url + "//"):
            with self.subTest(spelled):
                app.clickpesa_base_url = url
                move = self._registered_invoice_of(second)
                app.clickpesa_base_url = spelled
                self.assertEqual(app.billpay_book_from, before)
                self.assertEqual(app.billpay_merchant, merchant)
                self.assertEqual(second.billpay_merchant, merchant)
                # Who tells and who owns are found all the same.
                told = self._told(
                    self._pay(move.billpay_number_id.name, 1000)["id"], clientId=""
                )
                row = self._store_all([told])
                self.assertEqual(row.provider_id, second)
                self._process()
                self.assertBooked(row, 1000)
                self.assertEqual(move.amount_residual, 0)

    def _registered_invoice_of(self, provider):
        """An open invoice whose number is of this application."""
        move = self._registered_invoice(1000)
        move.billpay_number_id.sudo().provider_id = provider
        return move

    def test_application_of_the_number_has_its_own_go_live(self):
        now = fields.Datetime.now()
        for turn, source in enumerate(("poll", "query", "webhook")):
            for days, booked in ((2, False), (40, False), (0, True)):
                with self.subTest(source=source, days=days):
                    second = self._make_application(
                        self.company,
                        name=f"Second {source} {days}",
                        clickpesa_client_id="IDsecond",
                    )
                    second.billpay_book_from = now - timedelta(hours=1)
                    [paid] = self._paid(1, first=100 * turn + days)
                    moment = (now - timedelta(days=days)).isoformat() + "Z"
                    told = self._told(
                        paid, clientId="", createdAt=moment, updatedAt=moment
                    )
                    row = self._store_all([told], source=source)
                    self._process()
                    self.assertEqual(row.state, "unmatched")
                    self.assertEqual(row.provider_id, self.provider)
                    number = (
                        self.env["billpay.control.number"]
                        .sudo()
                        .create(
                            {
                                "name": row.number,
                                "kind": "customer",
                                "origin": "imported",
                                "state": "open",
                                "partner_id": self.partner.id,
                                "provider_id": second.id,
                                "currency_id": self.tzs.id,
                                "confirmed_at": now,
                            }
                        )
                    )
                    self.env["billpay.ledger"].sudo()._bind_waiting(number)
                    self._process()
                    self.env["billpay.ledger"].sudo()._bind_forgotten()
                    self._process()
                    self.assertEqual(row.provider_id, second, (row.state, row.reason))
                    if booked:
                        self.assertBooked(row, row.amount)
                    else:
                        self.assertEqual(row.state, "unmatched")
                        self.assertTrue(row.is_early)
                        self.assertIn("Book Payments From", row.reason)
                        self.assertFalse(row.account_payment_ids)
                    # The next round makes it anew.
                    second.write({"state": "disabled", "clickpesa_client_id": False})

    def test_payments_before_go_live_are_listed_and_not_booked(self):
        self.provider.billpay_book_from = fields.Datetime.now() - timedelta(days=1)
        for days, source in ((2, "poll"), (7, "query"), (40, "webhook"), (3, "import")):
            with self.subTest(source, days=days):
                move, told = self._before_go_live(days)
                row = self._store_all([told], source=source)
                self.assertEqual(row.state, "unmatched")
                self.assertIn("Book Payments From", row.reason)
                self.assertIn(row, self.ledger.search([("is_early", "=", True)]))
                self.assertNotIn(row, self.ledger.search([("is_early", "=", False)]))
                with self._writes() as writes:
                    self.env["billpay.ledger"]._upsert(
                        self.provider.sudo(), [told], source=source, trusted=True
                    )
                self.assertEqual([w for w in writes if "billpay_payment" in w], [])
                self.env["billpay.ledger"]._bind_forgotten()
                self.env["billpay.ledger"]._bind_waiting(move.billpay_number_id)
                with self.assertRaises(UserError):
                    row.action_process_now()
                self._process()
                self.assertEqual(row.state, "unmatched")
                self.assertFalse(row.account_payment_ids)
                self.assertEqual(move.amount_residual, 1000)
        # A person says what it is for.
        self.env["billpay.decision"]._match_by_hand(row, [(move, 1000)], self.partner)
        self.assertBooked(row, 1000)
        self.assertEqual(move.amount_residual, 0)

    def test_payment_before_go_live_goes_back_and_forth_without_being_booked(self):
        self.provider.billpay_book_from = fields.Datetime.now() - timedelta(days=1)
        move, told = self._before_go_live(2)
        row = self._store_all([told])
        self.env["billpay.decision"]._put_aside(row, "Booked in the old books")
        row.action_take_up()
        self._process()
        self.assertEqual(row.state, "unmatched")
        row.sudo()._move_to("confirmed", False)
        self._process()
        self.assertEqual(row.state, "unmatched")
        self.assertEqual(move.amount_residual, 1000)

    def test_earlier_go_live_books_what_was_listed(self):
        self.provider.billpay_book_from = fields.Datetime.now() - timedelta(days=1)
        move, told = self._before_go_live(2)
        row = self._store_all([told])
        self.assertEqual(row.state, "unmatched")
        self.provider.billpay_book_from = fields.Datetime.now() - timedelta(days=3)
        self.env["billpay.ledger"]._bind_forgotten()
        self._process()
        self.assertBooked(row, 1000)
        self.assertEqual(move.amount_residual, 0)

    def _migration(self):
        path = "migrations/19.0.1.5.0/post-book_from.py"
        return runpy.run_path(str(Path(__file__).parents[1] / path))

    def test_upgrade_books_what_was_booked_before(self):
        paid_at = fields.Datetime.now() - timedelta(days=50)
        [paid] = self._paid(1)
        row = self._store_all([self._told(paid, createdAt=paid_at.isoformat() + "Z")])
        unused = self.provider.copy()
        fresh = self._make_application(
            self.company, clickpesa_client_id="IDother", clickpesa_number_prefix="1177"
        )
        chosen = self._make_application(
            self.company, clickpesa_client_id="IDthird", clickpesa_number_prefix="1188"
        )
        (self.provider | fresh).billpay_book_from = False
        self.env.flush_all()
        self._migration()["migrate"](self.env.cr, "19.0.1.4.0")
        self.env.invalidate_all()
        self.assertEqual(self.provider.billpay_book_from, row.paid_at)
        self.assertFalse(row.is_early)
        self.assertEqual(fresh.billpay_book_from, fresh.create_date)
        self.assertEqual(str(chosen.billpay_book_from), "2020-01-01 00:00:00")
        self.assertFalse(unused.billpay_book_from)

    def test_upgrade_looks_into_words_that_nobody_acted_on(self):
        rows, words = {}, ("REVERSE WITH CHARGES", "ON-HOLD", "SETTLED", "FAILED")
        for word in (*words, "SETTLEMENT COMPLETED"):
            move = self._registered_invoice(1000)
            paid = self._pay(move.billpay_number_id.name, 1000)["id"]
            self.sandbox.set_status(paid, word)
            rows[word] = self._store_all([self._told(paid, status="SUCCESS")])
        self._process()
        for word, row in rows.items():
            self.assertBooked(row, 1000)
            row.sudo().status = word
        self._migration()["migrate"](self.env.cr, "19.0.1.4.0")
        self._process()
        self.assertEqual(rows["REVERSE WITH CHARGES"].state, "reversed")
        self.assertTrue(rows["ON-HOLD"].activity_ids)
        for word in ("SETTLED", "FAILED", "SETTLEMENT COMPLETED"):
            self.assertFalse(rows[word].attention or rows[word].activity_ids)

    def test_unfinished_payment_before_go_live(self):
        self.provider.billpay_book_from = fields.Datetime.now() - timedelta(days=1)
        move, told = self._before_go_live(2)
        row = self._store_all([dataclasses.replace(told, status="PENDING")])
        self.assertEqual(row.state, "received")
        self._store_all([told])
        self._process()
        self.assertEqual(row.state, "unmatched")
        self.assertEqual(move.amount_residual, 1000)


@tagged("post_install", "-at_install")
class TestMerchant(UpsertCommon):
    """Several applications of one merchant: one payment is one row, booked once."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.second = cls._make_application(
            cls.company, name="Duka la pili", clickpesa_client_id="IDsecond"
        )

    def _other_company(self, **values):
        other = self.setup_other_company(name="Tawi", currency_id=self.tzs.id)
        return self._make_application(
            other["company"],
            name="Tawi",
            clickpesa_client_id="IDbranch",
            clickpesa_number_origin="offline",
            **values,
        )

    def _merchant_rows(self):
        return self.ledger.sudo().search(
            [("merchant", "=", self.provider.billpay_merchant)]
        )

    # === Which applications === #

    def test_applications_of_one_namba_or_client_id_are_of_one_merchant(self):
        first = self.provider.billpay_merchant
        self.assertTrue(first)
        self.assertEqual(self.second.billpay_merchant, first)
        make = self._make_application
        another = make(
            self.company, clickpesa_client_id="IDx", clickpesa_billpay_namba="3344"
        )
        elsewhere = make(
            self.company,
            clickpesa_client_id="IDy",
            clickpesa_base_url="https://other.example.test/third-parties",
        )
        self.assertEqual(
            len({first, another.billpay_merchant, elsewhere.billpay_merchant}), 3
        )
        again = make(
            self.company,
            clickpesa_client_id="IDx",
            clickpesa_billpay_namba="5566",
            clickpesa_number_length=16,
        )
        self.assertEqual(again.billpay_merchant, another.billpay_merchant)
        # What joins two merchants makes them one.
        bridge = make(self.company, clickpesa_client_id="IDx")
        self.assertEqual(
            {a.billpay_merchant for a in bridge | again | another | self.second},
            {first},
        )

    # === Identity === #

    def test_whichever_applications_hear_of_a_payment_it_is_one_row(self):
        apps = self.provider | self.second
        for client in ("", "IDsandbox", "IDsecond", "IDnobody"):
            for tellers in (apps, apps[::-1]):
                for how in (
                    {},
                    {"source": "query"},
                    {"source": "webhook", "trusted": False},
                ):
                    with self.subTest(client=client, tellers=tellers.ids, **how):
                        before = self._merchant_rows()
                        [payment] = self._paid(1, first=len(before))
                        told = self._told(payment, clientId=client)
                        for provider in tellers:
                            self._store([told], provider=provider, **how)
                        self._store([told], provider=tellers[0])
                        row = self._merchant_rows() - before
                        self.assertEqual(row.mapped("reference"), [payment])
                        self.assertEqual(row.state, "confirmed")
                        self.assertFalse(row.merged_into_id)

    def test_database_refuses_a_second_row_of_the_merchant(self):
        [payment] = self._paid(1)
        row = self._store_all([self._told(payment)])
        with mute_logger("odoo.sql_db"), self.assertRaises(psycopg2.IntegrityError):
            with self.env.cr.savepoint():
                row.copy({"reference": payment, "provider_id": self.second.id})
                self.env.flush_all()

    def test_number_of_one_application_is_found_by_the_others(self):
        for client in ("", "IDsandbox", "IDsecond", "IDnobody"):
            with self.subTest(client=client):
                move = self._registered_invoice(9000)
                payment = self._pay(move.billpay_number_id.name, 9000)
                told = self._told(payment["id"], clientId=client)
                row = self._store_all([told], provider=self.second)
                self.assertEqual(row.provider_id, self.provider)
                self._process()
                self._store_all([told])
                self._process()
                self.assertBooked(self._row(payment["id"]), 9000)
                self.assertEqual(move.amount_residual, 0)
                self.assertEqual(move.billpay_payment_ids, row)

    def test_number_that_comes_later_finds_money_of_the_other_application(self):
        [payment] = self._paid(1)
        told = self._told(payment)
        row = self._store_all([told], provider=self.second)
        self._process()
        self.assertEqual(row.state, "unmatched")
        move = self._registered_invoice(told.amount)
        move.billpay_number_id.sudo().name = told.reference
        self._poll()
        self._process()
        self.assertBooked(row, float(told.amount))
        self.assertEqual(row.provider_id, self.provider)
        self.assertEqual(move.amount_residual, 0)

    def test_money_goes_to_the_company_of_its_number(self):
        branch = self._other_company()
        [payment] = self._paid(1)
        told = self._told(payment, clientId="")
        row = self._store_all([told]).sudo()
        self._process()
        self.assertEqual((row.state, row.provider_id), ("unmatched", self.provider))
        partner = self.env["res.partner"].create({"name": "Neema"})
        number = self.env["billpay.control.number"]._reserve(
            branch.sudo(), [{"kind": "customer", "partner_id": partner.id}]
        )
        number.sudo().name = told.reference
        self._poll()
        self._process()
        self.assertBooked(row, float(told.amount))
        self.assertEqual(row.company_id, branch.company_id)
        self.assertEqual(row.account_payment_ids.company_id, branch.company_id)
        self.assertEqual(row.account_payment_ids.move_id.company_id, branch.company_id)
        self.assertEqual(self._merchant_rows().filtered("posted_at"), row)

    def test_receipt_of_one_application_is_known_to_the_others(self):
        for typed in (str, str.lower, "no. {}".format, "{}.".format):
            move = self._registered_invoice(9000)
            payment = self._pay(move.billpay_number_id.name, 9000)
            receipt = typed(payment["paymentReference"])
            with self.subTest(receipt=receipt):
                self._poll()
                self._process()
                before = self._merchant_rows()
                entry = self._entry(
                    number=move.billpay_number,
                    application=str(self.second.id),
                    receipt=receipt,
                    amount=9000,
                )
                self.assertIn("already", entry.warning)
                entry.action_enter()
                self._process()
                self.assertEqual(self._merchant_rows(), before)
                self.assertEqual(len(move.billpay_payment_ids.account_payment_ids), 1)

    def test_receipt_typed_at_one_is_the_payment_told_at_the_other(self):
        for tellers in (self.second, self.provider, self.provider | self.second):
            with self.subTest(tellers=tellers.ids):
                move = self._registered_invoice(9000)
                payment = self._pay(move.billpay_number_id.name, 9000)
                typed = self._type(
                    move.billpay_number,
                    application=str(self.second.id),
                    receipt=payment["paymentReference"],
                    amount=9000,
                )
                self.assertBooked(typed, 9000)
                for provider in tellers:
                    told = self._told(payment["id"], clientId="")
                    self._store_all([told], provider=provider)
                self._process()
                self.assertEqual(self._row(payment["id"]), typed)
                self.assertEqual(move.billpay_payment_ids, typed)
                self.assertEqual(len(typed.account_payment_ids), 1)

    def test_application_made_anew_knows_what_the_old_one_has(self):
        for state in ("confirmed", "posted", "unmatched"):
            with self.subTest(state=state):
                old = self._make_application(
                    self.company, name="Old", clickpesa_client_id="IDold"
                )
                paid = self._pay("11229%s" % old.id, 9000)
                if state == "posted":
                    move = self._registered_invoice(9000)
                    paid = self._pay(move.billpay_number_id.name, 9000)
                told = self._told(paid["id"], clientId="IDold")
                row = self._store_all([told], provider=old)
                if state != "confirmed":
                    self._process()
                self.assertEqual(row.state, state)
                old.state = "disabled"
                new = self._make_application(
                    self.company, name="New", clickpesa_client_id="IDold"
                )
                again = self._store_all([told], provider=new)
                self._process()
                self.assertEqual(again, row)
                self.assertEqual(self._row(paid["id"]), row)
                self.assertEqual(len(row.account_payment_ids), state == "posted")
                # New ones are of the live one.
                fresh = self._paid(1, first=old.id)
                fresh = self._store_all(
                    [self._told(fresh[0], clientId="IDold")], provider=new
                )
                self.assertEqual(fresh.provider_id, new)
                new.write({"state": "disabled", "clickpesa_client_id": False})

    def test_imported_number_with_letters_is_found_in_every_spelling(self):
        for index, name in enumerate(("Cust001", "AbC77", "mteja9z")):
            number = self.env["billpay.control.number"]._reserve(
                self.provider.sudo(),
                [{"kind": "customer", "partner_id": self.partner.id}],
            )
            number.sudo().write(
                {
                    "name": name,
                    "origin": "imported",
                    "state": "open",
                    "confirmed_at": "2026-01-01",
                }
            )
            suffixed, apart = name.swapcase() + "-8943", f" {name[:3]} {name[3:]}"
            sent = (name, name.upper(), name.lower(), suffixed, apart)
            for turn, spelled in enumerate(sent):
                with self.subTest(name=name, spelled=spelled):
                    [payment] = self._paid(1, first=10 * index + turn)
                    told = self._told(payment, orderReference=spelled)
                    row = self._store_all([told], provider=self.second)
                    self._process()
                    self.assertBooked(row, float(told.amount))
                    self.assertEqual(row.control_number_id, number)

    def test_untrusted_word_stays_with_the_application_of_the_address(self):
        branch = self._other_company()
        number = self.env["billpay.control.number"]._reserve(
            branch.sudo(), [{"kind": "customer", "partner_id": self.partner.id}]
        )
        elsewhere = self._make_application(
            branch.company_id,
            name="Elsewhere",
            clickpesa_client_id="IDelsewhere",
            clickpesa_billpay_namba="3344",
        )
        for client in ("IDbranch", "IDelsewhere", ""):
            for sent in (number.name, "1122777777"):
                with self.subTest(client=client, sent=sent):
                    before = self.ledger.sudo().search([])
                    self.sandbox.reset()
                    payment = self._pay(sent, 500 + len(before))
                    body = self.sandbox.webhook_body(payment["id"])
                    body["data"]["clientId"] = client
                    with patch.object(self.sandbox, "webhook_body", return_value=body):
                        self._event(payment, signed=False)
                    with self._workers():
                        self.env["billpay.worker"].sudo()._take_events()
                    row = self.ledger.sudo().search([]) - before
                    self.assertEqual(row.provider_id, self.provider)
                    self.assertEqual(row.company_id, self.company)
                    self.assertEqual(row.state, "received")
        self.assertFalse(
            self.ledger.sudo().search([("provider_id", "in", elsewhere.ids)])
        )

    # === Two merchants that become one === #

    def test_rows_of_one_payment_are_united(self):
        other = self._make_application(
            self.company,
            name="Other",
            clickpesa_client_id="IDother",
            clickpesa_billpay_namba="3344",
        )
        move = self._registered_invoice(9000)
        number = move.billpay_number_id.name
        paid = [self._pay(number, 9000)["id"], *self._paid(2)]
        page = [self._told(payment, clientId="") for payment in paid]
        ours = self._store_all(page)
        theirs = self._store_all(page, provider=other)
        self._process()
        self.assertEqual(len(ours | theirs), 6)
        self.assertEqual(ours[0].state, "posted")
        # The second row of the booked payment is booked as well, by hand.
        self.env["billpay.decision"]._match_by_hand(
            theirs[0].with_user(self.clerk), [], self.partner
        )
        self.assertEqual(theirs[0].state, "posted")
        other.write({"clickpesa_billpay_namba": "1122"})
        self.assertEqual(other.billpay_merchant, self.provider.billpay_merchant)
        self.assertEqual(ours.mapped("reference"), paid)
        self.assertEqual(theirs[1:].merged_into_id, ours[1:])
        self.assertEqual(set(theirs[1:].mapped("state")), {"ignored"})
        self.assertTrue(theirs[0].attention)
        self.assertIn("twice", theirs[0].reason)
        self.assertIn(theirs[0], self.ledger.search(self.ledger._todo_domain()))
        for provider in (self.provider, other):
            self.assertEqual(self._store_all(page, provider=provider), ours)

    def _stranger_application(self):
        return self._make_application(
            self.company,
            name="Other %s" % self.env["payment.provider"].sudo().search_count([]),
            clickpesa_client_id="IDother",
            clickpesa_billpay_namba="3344",
        )

    def test_row_that_was_merged_is_not_taken_up_again(self):
        for receipts, decided in (
            (("", "R1234567"), True),
            (("", "QK93XT55A0"), False),
        ):
            for receipt in receipts:
                with self.subTest(receipt=receipt, decided=decided):
                    other = self._stranger_application()
                    move = self._registered_invoice(9000)
                    paid = self._pay(move.billpay_number_id.name, 9000)["id"]
                    told = self._told(paid, clientId="", paymentReference=receipt)
                    ours = self._store_all([told])
                    theirs = self._store_all([told], provider=other)
                    self._process()
                    self.assertBooked(ours, 9000)
                    if decided:
                        self.env["billpay.decision"]._put_aside(
                            theirs.with_user(self.clerk), "twice"
                        )
                    other.write({"clickpesa_billpay_namba": "1122"})
                    self.assertEqual(theirs.merged_into_id, ours)
                    with self.assertRaises(UserError):
                        theirs.with_user(self.clerk).action_take_up()
                    self._process()
                    self.assertEqual(theirs.state, "ignored")
                    self.assertFalse(theirs.account_payment_ids)
                    self.assertEqual(len(ours.account_payment_ids), 1)
                    self.assertEqual(move.amount_residual, 0)
                    other.write({"state": "disabled", "clickpesa_client_id": False})

    def _booked_twice(self, receipts):
        """Two rows of one payment, both booked, and their merchants united."""
        other = self._stranger_application()
        move = self._registered_invoice(9000)
        paid = self._pay(move.billpay_number_id.name, 9000)
        ours = self._store_all([self._told(paid["id"], clientId="")])
        self._process()
        self.assertBooked(ours, 9000)
        if receipts:
            # Typed there: it has no id of ClickPesa yet.
            self._entry(
                number="33440001",
                receipt=paid["paymentReference"],
                amount=9000,
                application=str(other.id),
            ).action_enter()
            self._process()
            theirs = self.ledger.search([("receipt", "=", paid["paymentReference"])])
            theirs -= ours
        else:
            told = self._told(paid["id"], clientId="")
            theirs = self._store_all([told], provider=other)
            self._process()
        self.env["billpay.decision"]._match_by_hand(
            theirs.with_user(self.clerk), [], self.partner
        )
        self.assertBooked(theirs, 9000)
        other.write({"clickpesa_billpay_namba": "1122"})
        self.assertEqual(theirs.merchant, ours.merchant)
        return move, paid, ours, theirs

    def test_what_two_merchants_booked_is_told_by_id_and_by_receipt(self):
        for receipts in (False, True):
            with self.subTest(receipts=receipts):
                move, paid, ours, theirs = self._booked_twice(receipts)
                self.assertTrue(theirs.attention)
                self.assertIn("booked twice", theirs.reason)
                self.assertIn(ours.reference, theirs.reason)
                self.assertIn(theirs, theirs.search(theirs._todo_domain()))
                self.assertFalse(ours.attention)
                # No poll takes the warning back.
                self._poll()
                self._process()
                self.assertIn("booked twice", theirs.reason)
                # The advice, to the letter: the match of this one, then put aside.
                decision = self.env["billpay.decision"]
                decision._undo_match(theirs.with_user(self.clerk), "twice")
                decision._put_aside(theirs.with_user(self.clerk), "twice")
                self.assertEqual(theirs.state, "ignored")
                self.assertFalse(theirs.attention)
                self.assertBooked(ours, 9000)
                self.assertEqual(move.amount_residual, 0)
                later = fields.Datetime.now() + timedelta(minutes=1)
                told = self._told(
                    paid["id"],
                    clientId="",
                    status="REVERSED",
                    updatedAt=later.isoformat() + "Z",
                )
                self._store_all([told])
                self._process()
                self.assertEqual(ours.state, "reversed")
                self.assertEqual(move.amount_residual, 9000)
                self.assertEqual(theirs.state, "ignored")
                theirs.provider_id.write(
                    {"state": "disabled", "clickpesa_client_id": False}
                )

    def test_two_payments_of_united_merchants_are_not_called_one(self):
        """Another amount, another receipt: what is alike only in part stays two."""
        other = self._stranger_application()
        rows = self.ledger
        for app, receipt, amount in (
            (self.provider, "SAME123456", 1000),
            (other, "SAME123456", 2000),
            (other, "ELSE123456", 1000),
        ):
            [paid] = self._paid(1, first=len(rows) + 60)
            told = self._told(
                paid, clientId="", paymentReference=receipt, collectedAmount=amount
            )
            row = self._store_all([told], provider=app)
            self._process()
            self.env["billpay.decision"]._match_by_hand(
                row.with_user(self.clerk), [], self.partner
            )
            self.assertBooked(row, amount)
            rows |= row
        other.write({"clickpesa_billpay_namba": "1122"})
        self.assertEqual(len(set(rows.mapped("merchant"))), 1)
        self.assertFalse(any(rows.mapped("attention")), rows.mapped("reason"))

    def test_word_of_a_person_for_another_company_is_not_woken(self):
        branch = self._other_company()
        partner = self.env["res.partner"].create({"name": "Neema"})
        number = self.env["billpay.control.number"]._reserve(
            branch.sudo(), [{"kind": "customer", "partner_id": partner.id}]
        )
        for index in range(3):
            with self.subTest(index=index):
                row = self._type(number.name, receipt="XX%s1234567" % index)
                self.assertEqual(row.state, "unmatched")
                self.assertIn("another company", row.reason)
                reason = row.reason
                for _again in range(3):
                    woken = self.env["billpay.ledger"].sudo()._bind_forgotten()
                    self.assertNotIn(row, woken or [])
                    self.assertEqual(row.state, "unmatched")
                    self._process()
                    self.assertEqual((row.state, row.reason), ("unmatched", reason))
                self.assertFalse(row.account_payment_ids)
                self.assertEqual(row.company_id, self.company)

    def test_upgrade_finds_the_merchants(self):
        self.env.flush_all()
        self.env.cr.execute("UPDATE payment_provider SET billpay_merchant = NULL")
        self.env.cr.execute("UPDATE billpay_payment SET merchant = NULL")
        self.env.invalidate_all()
        [payment] = self._paid(1)
        path = "19.0.1.5.0/post-merchant.py"
        migration = Path(__file__).parents[1] / "migrations" / path
        runpy.run_path(str(migration))["migrate"](self.env.cr, "19.0.1.4.0")
        self.env.invalidate_all()
        self.assertTrue(self.provider.billpay_merchant)
        self.assertEqual(self.second.billpay_merchant, self.provider.billpay_merchant)
        row = self._store_all([self._told(payment)])
        self.assertEqual(row.merchant, self.provider.billpay_merchant)


@tagged("post_install", "-at_install")
class TestUpsertMeanwhile(ConcurrencyCase):
    """Another transaction stores a payment of the page that a poll is storing."""

    def _meanwhile(self, payment):
        """Store an announcement of a payment in a transaction that stays open."""
        connection = psycopg2.connect(**sql_db.connection_info_for(self.db.name)[1])
        self.addCleanup(connection.close)
        connection.cursor().execute(
            "INSERT INTO billpay_payment"
            " (reference, provider_id, merchant, company_id, state, status,"
            " create_date)"
            " SELECT %s, id, billpay_merchant, company_id, 'received', 'PROCESSING',"
            " now() AT TIME ZONE 'UTC' FROM payment_provider WHERE id = %s",
            (payment["id"], self.provider),
        )
        return connection

    def _told_while_polled(self, end):
        made = self.invoices(*range(1000, 11000, 1000))
        payments = [
            self.pay(number, 1000 * index)
            for index, (_move, number) in enumerate(made, 1)
        ]
        other = self._meanwhile(payments[4])
        poll = self.begin("poll")
        poll.wait_until_blocked()
        getattr(other, end)()
        poll.result()
        self.assertEqual(
            self.db(
                "SELECT reference, amount::int, state FROM billpay_payment"
                " WHERE provider_id = %s ORDER BY reference",
                self.provider,
            ),
            sorted(
                (p["id"], int(float(p["collectedAmount"])), "confirmed")
                for p in payments
            ),
        )
        self.assertEqual(
            self.db(
                "SELECT billpay_polled_until IS NOT NULL,"
                " coalesce(billpay_poll_error, '') FROM payment_provider WHERE id = %s",
                self.provider,
            ),
            [(True, "")],
        )
        self.run_worker("process")
        self.assertBookedOnce(*payments)
        self.assertPaid(*(move for move, _number in made))

    def test_stored_meanwhile_is_learned_of_and_stored_once(self):
        self._told_while_polled("commit")

    def test_given_up_meanwhile_is_stored_by_the_poll(self):
        self._told_while_polled("rollback")

    def test_two_polls_of_one_page_in_opposite_order(self):
        """The same payments from two sides end in no deadlock that loses one."""
        made = self.invoices(*range(1000, 9000, 1000))
        payments = [
            self.pay(number, 1000 * index)
            for index, (_move, number) in enumerate(made, 1)
        ]
        for payment in payments:
            self.deliver(payment)
        page = "odoo.addons.billpay_odoo.clickpesa.client.ClickPesaClient:"
        page += "payments_page:after"
        polls = [self.begin("poll", page) for _turn in range(2)]
        for poll in polls:
            poll.reach(page)
        # Deliveries are oldest first, pages are newest first.
        worker = self.begin("process")
        for poll in polls:
            poll.go()
        for process in (*polls, worker):
            process.result()
        self.later()
        self.run_worker("poll_and_process")
        self.assertBookedOnce(*payments)
        self.assertPaid(*(move for move, _number in made))
