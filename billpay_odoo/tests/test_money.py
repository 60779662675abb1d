# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a bill in another currency asks in shillings: one figure, which closes it.

Each case is looked at twice: by screen (form, statement, pay page, match wizard, "Was
Due") and by booking (journal items and residuals).
"""

import math
from decimal import Decimal
from itertools import cycle, product

from freezegun import freeze_time

from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import Form, tagged

from .. import page_texts
from .test_billpay_purpose import PurposeCommon

INVOICED, PAID, TODAY = "2026-03-01", "2026-03-05", "2026-03-20"


class MoneyCommon(PurposeCommon):
    """Rates in shillings: one on the day of the invoice, others later."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for code in ("USD", "EUR", "KES", "JPY"):
            currency = cls.env.ref("base.%s" % code)
            currency.active = True
            setattr(cls, code.lower(), currency)

        cls.clerk = cls._user("money_clerk", "account.group_account_invoice")

    def setUp(self):
        super().setUp()
        self._at(PAID)

    def _at(self, day):
        """Let it be noon of a day, until the test ends or calls this again."""
        frozen = freeze_time("%s 12:00:00" % day)
        frozen.start()
        self.addCleanup(frozen.stop)

    def _rates(self, currency, **shillings):
        """Enter shillings per unit: ``invoiced``, ``paid`` and ``today``."""
        days = {"invoiced": INVOICED, "paid": PAID, "today": TODAY}
        rates = self.env["res.currency.rate"]
        for name, rate in shillings.items():
            values = {
                "currency_id": currency.id,
                "company_id": self.company.id,
                "name": days[name],
            }
            old = rates.search([(key, "=", value) for key, value in values.items()])
            old.unlink()
            rates.create({**values, "inverse_company_rate": rate})

    def _asks(self, amount, rate):
        """Whole shillings, counted without floats."""
        return math.ceil(Decimal(str(amount)) * Decimal(str(rate)))

    def _text(self, amount):
        return page_texts.amount_text(amount, self.tzs)

    def _stranger(self, amount, **values):
        """A payment on digits that are nobody's."""
        row = self._confirmed("1122999999", amount, **values)
        self._post(row)
        self.assertEqual(row.state, "unmatched")
        return row

    def _wizard(self, row, move):
        """The match wizard with one chosen bill."""
        wizard = (
            self.env["billpay.payment.match"]
            .with_user(self.clerk)
            .browse(row.with_user(self.clerk).action_open_match()["res_id"])
        )
        wizard.line_ids.unlink()
        with Form(wizard) as form, form.line_ids.new() as line:
            line.move_id = move
        return wizard

    def _may_match(self, row, move, shillings):
        """The wizard offers exactly this, and nothing above."""
        wizard = self._wizard(row, move)
        self.assertEqual(wizard.line_ids.due, shillings)
        self.assertEqual(wizard.line_ids.amount, min(shillings, row.amount))
        with (
            self.assertRaisesRegex(UserError, "Only .* is due on"),
            self.env.cr.savepoint(),
        ):
            self.env["billpay.decision"]._match_by_hand(
                row.with_user(self.clerk), [(move, shillings + 1)], move.partner_id
            )
        return wizard

    def assertClosed(self, move, *rows):
        """Nothing is open on the bill, and nothing is left of the money."""
        self.env.invalidate_all()
        self.assertEqual(move.amount_residual, 0)
        self.assertIn(move.payment_state, ("paid", "in_payment"))
        due = self._receivable(move)
        self.assertTrue(all(due.mapped("reconciled")))
        self.assertEqual(set(due.mapped("amount_residual")), {0})
        for row in rows:
            self.assertEqual(row.state, "posted", row.reason)
            paid = self._receivable(self._entry(row))
            self.assertEqual(sum(paid.mapped("amount_residual")), 0)
            self.assertTrue(all(paid.mapped("reconciled")))
            self.assertEqual(row.credit_open, 0)
            self.assertRecordValues(
                row, [{"is_over": False, "is_under": False, "attention": False}]
            )

    def _exchanged(self, move):
        """What Odoo booked on the exchange accounts for this bill."""
        company = move.company_id
        accounts = (
            company.income_currency_exchange_account_id
            | company.expense_currency_exchange_account_id
        )
        partials = self._receivable(move).matched_credit_ids
        lines = partials.exchange_move_id.line_ids
        return round(
            sum(lines.filtered(lambda li: li.account_id in accounts).mapped("balance")),
            2,
        )


@tagged("post_install", "-at_install")
class TestNumberWithoutAmount(MoneyCommon):
    """The number names no amount: it was made at a rate all the same."""

    CASES = (
        ("usd", 100, 2500),
        ("usd", 0.07, 2533.333),
        ("eur", 33.33, 2817.37),
        ("jpy", 12345, 16.31),
        ("kes", 100.37, 19.31),
    )

    def _bill(self, code, amount, rate):
        """Return an invoice, and what its number stands for."""
        currency = getattr(self, code)
        self._rates(currency, invoiced=rate, paid=rate * 1.04)
        move = self._invoice(amount, currency_id=currency.id, billpay_mode="open")
        self.assertEqual(move.billpay_number_id.sudo().amount, 0)
        return move, self._asks(amount, rate)

    def test_what_it_stands_for_closes_the_bill(self):
        for case in self.CASES:
            with self.subTest(case=case):
                move, asked = self._bill(*case)
                row = self._post(self._confirmed(move.billpay_number_id, asked))
                self.assertClosed(move, row)
                self.assertEqual(row.asked_amount, asked)
                self.assertAlmostEqual(
                    self._exchanged(move), move.amount_total_signed - asked, delta=0.01
                )

    def test_the_pay_page_says_it(self):
        for case in self.CASES:
            with self.subTest(case=case):
                move, asked = self._bill(*case)
                values = self.env["billpay.pay.page"]._pay_page_values(
                    move.billpay_number_id.sudo(), lang="en"
                )
                self.assertEqual(values["amount"], self._text(asked))
                self.assertEqual(
                    values["foreign_amount"],
                    page_texts.amount_text(move.amount_total, move.currency_id),
                )

    def test_a_person_may_match_it(self):
        for case in self.CASES:
            with self.subTest(case=case):
                move, asked = self._bill(*case)
                row = self._stranger(asked)
                self._may_match(row, move, asked).action_match()
                self.assertClosed(move, row)
                self.assertEqual(row.asked_amount, asked)

    def test_less_and_more(self):
        self._rates(self.usd, invoiced=2500, paid=2600)
        for paid, flags in ((249999, "is_under"), (250001, "is_over")):
            with self.subTest(paid=paid):
                move = self._invoice(100, currency_id=self.usd.id, billpay_mode="open")
                row = self._post(self._confirmed(move.billpay_number_id, paid))
                self.assertEqual(row.asked_amount, 250000)
                self.assertTrue(row[flags])

    def test_after_a_part(self):
        self._rates(self.usd, invoiced=2500, paid=2600)
        for part, left in ((100000, 60), (1250, 99.5), (33333, 86.67)):
            with self.subTest(part=part):
                move = self._invoice(100, currency_id=self.usd.id, billpay_mode="open")
                first = move.billpay_number_id.sudo()
                self._post(self._confirmed(first, part))
                self.assertEqual(move.amount_residual, left)
                asked = self._asks(left, 2500)
                rest = move.billpay_number_id.sudo()
                self.assertNotEqual(rest, first)
                for number in rest, first:
                    values = self.env["billpay.pay.page"]._pay_page_values(
                        number, lang="en"
                    )
                    self.assertEqual(values["amount"], self._text(asked))
                stranger = self._stranger(asked)
                self._may_match(stranger, move, asked)
                stranger.sudo().state = "ignored"
                row = self._post(self._confirmed(rest, asked))
                self.assertClosed(move, row)
                self.assertEqual(row.asked_amount, asked)

    def test_instalments(self):
        for amount, rate in ((100, 2500), (33.33, 2817.37), (0.99, 2613.7)):
            with self.subTest(amount=amount, rate=rate):
                self._rates(self.usd, invoiced=rate, paid=2600)
                move = self._invoice(
                    amount,
                    currency_id=self.usd.id,
                    billpay_mode="open",
                    invoice_payment_term_id=self._halves().id,
                )
                asked = self._asks(amount, rate)
                values = self.env["billpay.pay.page"]._pay_page_values(
                    move.billpay_number_id.sudo(), lang="en"
                )
                self.assertEqual(values["amount"], self._text(asked))
                row = self._stranger(asked)
                self._may_match(row, move, asked).action_match()
                self.assertClosed(move, row)

    def test_in_one_batch_with_a_part(self):
        """The second of one batch is asked for what the first has left."""
        self._rates(self.usd, invoiced=2500, paid=2600)
        move = self._invoice(100, currency_id=self.usd.id, billpay_mode="open")
        number = move.billpay_number_id
        first, second = rows = self._confirmed(number, 100000) | self._confirmed(
            number, 150000
        )
        self._post(rows)
        self.assertEqual(rows.mapped("asked_amount"), [250000, 150000])
        self.assertTrue(first.is_under)
        self.assertClosed(move, second)


@tagged("post_install", "-at_install")
class TestNoNumber(MoneyCommon):
    """Nobody was asked: the rate of the day of the payment counts."""

    CASES = (
        ("usd", 100, 2500, 2600, 2400),
        ("usd", 100, 2500, 2400, 2600),
        ("eur", 33.33, 2800, 2817.37, 2750.5),
        ("jpy", 12345, 16, 16.31, 17.2),
        ("kes", 100.37, 19.31, 19.97, 18.5),
    )

    def _bill(self, code, amount, invoiced, paid, today, **values):
        """Return an invoice, and its shillings on the day of the payment."""
        currency = getattr(self, code)
        self._rates(currency, invoiced=invoiced, paid=paid, today=today)
        move = self._invoice(
            amount, currency_id=currency.id, billpay_issue_on="manual", **values
        )
        self.assertFalse(move.billpay_number_id)
        return move, self._asks(amount, paid)

    def test_matched_by_hand_later(self):
        self._at(TODAY)
        for case in self.CASES:
            with self.subTest(case=case):
                move, asked = self._bill(*case)
                row = self._stranger(asked)
                self._may_match(row, move, asked).action_match()
                self.assertClosed(move, row)
                self.assertEqual(row.asked_amount, asked)

    def test_instalments(self):
        self._at(TODAY)
        for case in self.CASES:
            with self.subTest(case=case):
                move, asked = self._bill(
                    *case, invoice_payment_term_id=self._halves().id
                )
                row = self._stranger(asked)
                self._may_match(row, move, asked).action_match()
                self.assertClosed(move, row)

    def test_after_a_part(self):
        self._at(TODAY)
        self._rates(self.usd, invoiced=2500, paid=2600, today=2400)
        for part, left in ((104000, 60), (26, 99.99), (33333, 87.18)):
            with self.subTest(part=part):
                move = self._invoice(
                    100, currency_id=self.usd.id, billpay_issue_on="manual"
                )
                first = self._stranger(part)
                self._may_match(first, move, 260000).action_match()
                self.env.invalidate_all()
                self.assertEqual(move.amount_residual, left)
                # By hand: the rest gets no number by itself. A person's asks at the
                # rate of the invoice.
                self.assertFalse(move.billpay_number_id)
                move._billpay_reserve()
                asked = self._asks(left, 2500)
                self.assertEqual(move.billpay_number_id.sudo().amount, asked)
                row = self._stranger(asked)
                self._may_match(row, move, asked).action_match()
                self.assertClosed(move, row)

    def test_use_credit(self):
        """Booked money pays later what it would have paid on its day."""
        self._at(TODAY)
        for case in self.CASES:
            with self.subTest(case=case):
                move, asked = self._bill(*case)
                row = self._stranger(asked)
                self.env["billpay.decision"]._match_by_hand(
                    row.with_user(self.clerk), [], move.partner_id
                )
                self.assertEqual(row.credit_open, asked)
                wizard = (
                    self.env["billpay.payment.match"]
                    .with_user(self.clerk)
                    .browse(row.with_user(self.clerk).action_open_match()["res_id"])
                )
                line = wizard.line_ids.filtered(
                    lambda item, move=move: item.move_id == move
                )
                self.assertEqual(line.due, asked)
                line.use = True
                wizard.action_match()
                self.assertClosed(move, row)

    def test_no_rate_at_all(self):
        """Odoo would count one for one: the wizard says what is missing."""
        move = self._invoice(100, currency_id=self.usd.id, billpay_issue_on="manual")
        row = self._stranger(260000)
        self.assertEqual(self._wizard(row, move).line_ids.due, 0)
        for amount in (100, 260000):
            with self.assertRaisesRegex(UserError, "exchange rate"):
                self.env["billpay.decision"]._match_by_hand(
                    row.with_user(self.clerk), [(move, amount)], self.partner
                )
        self.assertEqual((row.state, move.amount_residual), ("unmatched", 100))


@tagged("post_install", "-at_install")
class TestCustomerNumber(MoneyCommon):
    """Form, statement, wizard and booking say one figure for a number that stays."""

    CASES = (
        ("usd", 100, 2500, 2600),
        ("usd", 100, 2600, 2500),
        ("eur", 33.33, 2817.37, 2750.5),
        ("jpy", 12345, 16.31, 17),
        ("kes", 100.37, 19.31, 18.03),
    )

    def _bill(self, code, amount, invoiced, paid, **values):
        """Return the number of a pupil, and an invoice that it pays."""
        currency = getattr(self, code)
        self._rates(currency, invoiced=invoiced, paid=paid)
        partner = self._pupil("Pupil")
        number = self._keeps(partner, self.tuition)
        move = self._fee(
            partner, self.tuition, amount, currency_id=currency.id, **values
        )
        return number, move

    def _shown(self, number):
        """Due, credit and balance of the form, which the statement ends with too."""
        number.invalidate_recordset()
        statement = self.env["billpay.statement"]._statement(number)
        self.assertEqual(statement["closing"], number.balance)
        return number.amount_due, number.amount_credit, number.balance

    def _settles(self, number, move, asked):
        self.assertEqual(self._shown(number), (asked, 0, asked))
        stranger = self._stranger(asked)
        stranger.sudo().state = "ignored"
        row = self._pay_number(number, asked)
        self.assertClosed(move, row)
        self.assertEqual(self._shown(number), (0, 0, 0))
        lines = self.env["billpay.statement"]._statement(number)["lines"]
        self.assertEqual(
            [(line["due"], line["paid"]) for line in lines], [(asked, 0), (0, asked)]
        )
        return row

    def test_rate_of_the_invoice(self):
        """The company asks at the rate of the invoice: no exchange difference."""
        for case in self.CASES:
            with self.subTest(case=case):
                invoiced, _paid = case[2:]
                number, move = self._bill(*case, billpay_issue_on="manual")
                asked = self._asks(move.amount_total, invoiced)
                self._settles(number, move, asked)
                self.assertLess(abs(self._exchanged(move)), 1)

    def test_rate_of_the_day(self):
        """The company asks at the rate of the day: the statement follows."""
        self.company.billpay_rate_date = "issue"
        for case in self.CASES:
            with self.subTest(case=case):
                _invoiced, paid = case[2:]
                number, move = self._bill(*case, billpay_issue_on="manual")
                self._settles(number, move, self._asks(move.amount_total, paid))

    def test_what_was_paid_stays_what_it_was(self):
        """A rate that is entered later changes what is open, not what is paid."""
        self.company.billpay_rate_date = "issue"
        self._rates(self.usd, invoiced=2500, paid=2600)
        number = self._keeps(self.asha, self.tuition)
        for amount in (100, 50):
            self._fee(
                self.asha,
                self.tuition,
                amount,
                currency_id=self.usd.id,
                billpay_issue_on="manual",
            )
        self._pay_number(number, 260000)
        self.assertEqual(self._shown(number), (130000, 0, 130000))
        self._rates(self.usd, today=2800)
        self._at(TODAY)
        self.assertEqual(self._shown(number), (140000, 0, 140000))
        self.assertEqual(
            sorted(
                line["due"]
                for line in self.env["billpay.statement"]._statement(number)["lines"]
                if line["due"]
            ),
            [140000, 260000],
        )

    def test_carried_invoice_is_matched_at_the_same_figure(self):
        self.tuition.invoice_number = "customer"
        for rate_date in ("invoice", "issue"):
            self.company.billpay_rate_date = rate_date
            for case in self.CASES:
                with self.subTest(case=case):
                    invoiced, paid = case[2:]
                    number, move = self._bill(*case)
                    self.assertEqual(move.billpay_carried_number_id, number)
                    rate = invoiced if rate_date == "invoice" else paid
                    asked = self._asks(move.amount_total, rate)
                    self.assertEqual(self._shown(number), (asked, 0, asked))
                    row = self._stranger(asked)
                    self._may_match(row, move, asked).action_match()
                    self.assertClosed(move, row)
                    self.assertEqual(self._shown(number), (0, 0, 0))

    def test_parts_and_surplus(self):
        self._rates(self.usd, invoiced=2500, paid=2600)
        for part in (100000, 100001, 33333):
            with self.subTest(part=part):
                partner = self._pupil("Pupil")
                number = self._keeps(partner, self.tuition)
                move = self._fee(
                    partner,
                    self.tuition,
                    100,
                    currency_id=self.usd.id,
                    billpay_issue_on="manual",
                )
                self._pay_number(number, part)
                left = self._asks(move.amount_residual, 2500)
                self.assertEqual(self._shown(number), (left, 0, left))
                row = self._pay_number(number, left)
                self.assertClosed(move, row)
                self.assertEqual(self._shown(number), (0, 0, 0))
                self._pay_number(number, 7000)
                self.assertEqual(self._shown(number), (0, 7000, -7000))

    def test_two_instalments_and_a_bill_in_shillings(self):
        for amount, rate in ((100, 2500), (33.33, 2817.37), (0.99, 2613.7)):
            with self.subTest(amount=amount, rate=rate):
                self._rates(self.usd, invoiced=rate, paid=2600)
                partner = self._pupil("Pupil")
                number = self._keeps(partner, self.tuition)
                move, plain = (
                    self._fee(
                        partner,
                        self.tuition,
                        total,
                        currency_id=currency.id,
                        billpay_issue_on="manual",
                        invoice_payment_term_id=self._halves().id,
                    )
                    for total, currency in ((amount, self.usd), (7000, self.tzs))
                )
                due = self._shown(number)[0]
                row = self._pay_number(number, due)
                self.assertClosed(move)
                self.assertClosed(plain, row)
                self.assertEqual(self._shown(number), (0, 0, 0))

    def test_paid_by_the_number_of_the_invoice(self):
        """An invoice with its own number owes what that asks, everywhere."""
        for asked_rate in (2500, 2550, 2700):
            with self.subTest(rate=asked_rate):
                self._rates(self.usd, invoiced=2500, paid=2600)
                partner = self._pupil("Pupil")
                keeps = self._keeps(partner, self.tuition)
                move = self._fee(partner, self.tuition, 100, currency_id=self.usd.id)
                own = move.billpay_number_id.sudo()
                own.write({"amount": 100 * asked_rate, "bill_rate": asked_rate})
                asked = 100 * asked_rate
                self.assertEqual(self._shown(keeps), (asked, 0, asked))
                row = self._post(self._confirmed(own, asked))
                self.assertClosed(move, row)
                self.assertEqual(self._shown(keeps), (0, 0, 0))

    def test_paid_in_another_way_and_taken_back(self):
        self._rates(self.usd, invoiced=2500, paid=2600)
        number = self._keeps(self.asha, self.tuition)
        move = self._fee(
            self.asha,
            self.tuition,
            100,
            currency_id=self.usd.id,
            billpay_issue_on="manual",
        )
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=move.ids
        ).create({"amount": 40, "payment_date": PAID})._create_payments()
        self.assertEqual(self._shown(number), (150000, 0, 150000))
        reversal = (
            self.env["account.move.reversal"]
            .with_context(active_model="account.move", active_ids=move.ids)
            .create({"journal_id": move.journal_id.id, "date": PAID})
        )
        refund = self.env["account.move"].browse(reversal.refund_moves()["res_id"])
        refund.invoice_line_ids.price_unit = 20
        refund.action_post()
        self.assertEqual(self._shown(number)[2], 100000)


@tagged("post_install", "-at_install")
class TestOtherScreens(MoneyCommon):
    """Suggestions, typed receipts, runs and checkouts say the same figure."""

    def test_suggested_by_amount(self):
        for code, amount, rate in (
            ("usd", 100, 2500),
            ("eur", 33.33, 2817.37),
            ("jpy", 12345, 16.31),
        ):
            currency = getattr(self, code)
            for issue_on in ("post", "manual"):
                with self.subTest(currency=code, issue_on=issue_on):
                    self._rates(currency, invoiced=rate, paid=rate * 1.1)
                    move = self._invoice(
                        amount,
                        currency_id=currency.id,
                        billpay_issue_on=issue_on,
                    )
                    asked = move.billpay_number_id.sudo().amount or self._asks(
                        amount, Decimal(str(rate)) * Decimal("1.1")
                    )
                    row = self._stranger(asked, payer_name="X", payer_phone=False)
                    found = self.env["billpay.suggestion"]._suggest(
                        row.with_user(self.clerk)
                    )
                    self.assertIn(move, [suggestion.move for suggestion in found])
                    [own] = [s for s in found if s.move == move]
                    self.assertIn("Exactly this amount is due", own.reasons)
                    row = self._stranger(asked + 1, payer_name="X", payer_phone=False)
                    found = self.env["billpay.suggestion"]._suggest(
                        row.with_user(self.clerk)
                    )
                    self.assertNotIn(move, [suggestion.move for suggestion in found])

    def test_typed_receipt_starts_with_shillings(self):
        self._rates(self.usd, invoiced=2500, paid=2600)
        for mode, amount, asked in (
            ("exact", 100, 250000),
            ("flexible", 0.07, 175),
            ("open", 33.33, 83325),
        ):
            with self.subTest(mode=mode):
                move = self._invoice(amount, currency_id=self.usd.id, billpay_mode=mode)
                entry = Form(
                    self.env["billpay.payment.entry"].with_context(
                        default_billpay_move_id=move.id
                    )
                )
                self.assertEqual(entry.amount, asked)

    def test_line_of_a_run(self):
        self._rates(self.usd, invoiced=2500, paid=2600)
        for mode in ("open", "exact", "flexible"):
            with self.subTest(mode=mode):
                move = self._invoice(
                    100,
                    currency_id=self.usd.id,
                    billpay_mode=mode,
                    billpay_issue_on="manual",
                )
                run = self.env["billpay.run"].sudo().create({})
                line = (
                    self.env["billpay.run.line"]
                    .sudo()
                    .create({"run_id": run.id, "move_id": move.id})
                )
                self.assertEqual(line.shown_amount, 250000)
                move.action_billpay_issue()
                line.number_id = move.billpay_number_id
                self.assertEqual(line.shown_amount, 250000)

    def test_checkout_of_an_invoice_asks_as_its_number(self):
        self.provider.clickpesa_convert = True
        method = self.env.ref("billpay_odoo.payment_method_billpay")
        self._rates(self.usd, invoiced=2500, paid=2600)
        for mode in ("open", "exact", "flexible"):
            with self.subTest(mode=mode):
                move = self._invoice(100, currency_id=self.usd.id, billpay_mode=mode)
                tx = self.env["payment.transaction"].create(
                    {
                        "provider_id": self.provider.id,
                        "payment_method_id": method.id,
                        "amount": 100,
                        "currency_id": self.usd.id,
                        "partner_id": move.partner_id.id,
                        "invoice_ids": [Command.set(move.ids)],
                        "reference": "TX %s" % mode,
                        "operation": "online_redirect",
                    }
                )
                self.assertEqual(tx._billpay_asked(), 250000)

    def _checkout(self, amount, reference):
        """A checkout in dollars on the day of 2,500, and its number."""
        self.provider.clickpesa_convert = True
        self._at(INVOICED)
        tx = self.env["payment.transaction"].create(
            {
                "provider_id": self.provider.id,
                "payment_method_id": self.env.ref(
                    "billpay_odoo.payment_method_billpay"
                ).id,
                "amount": amount,
                "currency_id": self.usd.id,
                "partner_id": self.partner.id,
                "reference": reference,
                "operation": "online_redirect",
            }
        )
        number = tx._billpay_reserve().sudo()
        tx._set_pending()
        self._at(TODAY)
        return tx, number

    def test_invoice_after_its_checkout(self):
        """What the checkout asked closes the invoice that is made later."""
        self._rates(self.usd, invoiced=2500, paid=2600, today=2400)
        self.provider.clickpesa_checkout_mode = "flexible"
        halves = self._halves().id
        for amount, parts, term in (
            (100, (250000,), False),
            (100, (100000, 150000), False),
            (33.33, (83325,), halves),
            (10.01, (20000, 5025), halves),
        ):
            with self.subTest(amount=amount, parts=parts):
                tx, number = self._checkout(amount, "TX %s %s" % (amount, len(parts)))
                self.assertEqual(number.amount, sum(parts))
                rows = self.env["billpay.payment"]
                for part in parts:
                    rows |= self._post(
                        self._confirmed(tx.sudo().billpay_number_ids[0], part)
                    )
                    tx.invalidate_recordset()
                self.assertEqual(tx.state, "done")
                move = self._invoice(
                    amount,
                    post=False,
                    currency_id=self.usd.id,
                    invoice_date=TODAY,
                    invoice_payment_term_id=term,
                )
                move.transaction_ids = tx
                move.action_post()
                self.env.invalidate_all()
                self.assertEqual(move.amount_residual, 0)
                self.assertEqual(
                    set(self._receivable(move).mapped("amount_residual")), {0}
                )
                self.assertEqual(rows.mapped("credit_open"), [0] * len(parts))

    def test_credit_added_on_the_invoice(self):
        """The button of Odoo's own list of credit pays what the number asks."""
        self._rates(self.usd, invoiced=2500, paid=2600)
        for amount, asked in ((100, 250000), (33.33, 83325), (0.07, 175)):
            with self.subTest(amount=amount):
                row = self._stranger(asked)
                self.env["billpay.decision"]._match_by_hand(
                    row.with_user(self.clerk), [], self.partner
                )
                move = self._invoice(amount, currency_id=self.usd.id)
                self.assertEqual(move.billpay_number_id.sudo().amount, asked)
                credit = self._receivable(self._entry(row))
                move.with_user(self.clerk).js_assign_outstanding_line(credit.id)
                self.assertClosed(move, row)

    def test_one_batch_of_two_rates(self):
        """Each payment pays at the rate at which its own number asked."""
        self.company.billpay_rate_date = "issue"
        for first, second in ((100000, 156000), (100001, 156000), (33333, 225342)):
            with self.subTest(first=first):
                self._rates(self.usd, invoiced=2500, paid=2600)
                self._at(INVOICED)
                move = self._invoice(100, currency_id=self.usd.id)
                old = move.billpay_number_id.sudo()
                self.assertEqual(old.amount, 250000)
                old._close()
                self._at(PAID)
                new = self._number(
                    move_id=move.id,
                    partner_id=move.partner_id.id,
                    amount=260000,
                    bill_amount=100,
                    bill_currency_id=self.usd.id,
                    bill_rate=2600,
                )
                rows = self._confirmed(old, first) | self._confirmed(new, second)
                self._post(rows)
                self.assertEqual(rows.mapped("state"), ["posted"] * 2)
                self.assertClosed(move, rows[1])
                self.assertEqual(rows[0].asked_amount, 250000)
                self.assertEqual(
                    rows[1].asked_amount,
                    self._asks(round(100 - first / 2500, 2), 2600),
                )

    def test_checkout_without_a_rate(self):
        """Odoo would count one for one: no number, and the payer is told."""
        self.provider.clickpesa_convert = True
        with self.assertRaisesRegex(UserError, "exchange rate"):
            self._checkout(100, "TX none")

    def test_amount_that_a_person_set_is_what_was_asked(self):
        for code, amount, rate, asked in (
            ("usd", 100, 2500, 260000),
            ("eur", 33.33, 2817.37, 90000),
            ("jpy", 12345, 16.31, 250000),
        ):
            with self.subTest(code=code, asked=asked):
                currency = getattr(self, code)
                self._rates(currency, invoiced=rate, paid=rate)
                move = self._invoice(amount, currency_id=currency.id)
                number = move.billpay_number_id.sudo()
                self.assertEqual(number.amount, self._asks(amount, rate))
                number.amount = asked
                row = self._post(self._confirmed(number, asked))
                self.assertClosed(move, row)

    def test_dollar_books(self):
        """Books in dollars, bills in dollars and euros, money in shillings."""
        data = self.setup_other_company(name="Dollar Books")
        company = data["company"]
        provider = self._make_application(company, clickpesa_number_origin="offline")
        self.clerk.sudo().company_ids |= company
        for currency, rates in (
            (self.tzs, (2500, 2600, 2400)),
            (self.eur, (0.9, 0.8, 0.7)),
        ):
            for day, rate in zip((INVOICED, PAID, TODAY), rates, strict=True):
                self.env["res.currency.rate"].create(
                    {
                        "name": day,
                        "currency_id": currency.id,
                        "rate": rate,
                        "company_id": company.id,
                    }
                )
        self._at(TODAY)
        for currency, amount, mode, asked in (
            (self.usd, 100, "open", 250000),
            (self.usd, 33.33, "open", 83325),
            (self.eur, 90, "open", 250000),
            (self.usd, 100, "manual", 260000),
            (self.eur, 80, "manual", 260000),
        ):
            with self.subTest(currency=currency.name, mode=mode):
                move = self._invoice(
                    amount,
                    currency_id=currency.id,
                    journal_id=data["default_journal_sale"].id,
                    **(
                        {"billpay_mode": "open"}
                        if mode == "open"
                        else {"billpay_issue_on": "manual"}
                    ),
                )
                row = self._stranger(asked, provider_id=provider.id)
                self._may_match(row, move, asked).action_match()
                self.env.invalidate_all()
                self.assertEqual(row.state, "posted", row.reason)
                self.assertEqual(row.asked_amount, asked)
                self.assertEqual(move.amount_residual, 0)
                self.assertEqual(self._receivable(move).amount_residual, 0)
                self.assertEqual(row.credit_open, 0)


@tagged("post_install", "-at_install")
class TestRatesOfABatch(MoneyCommon):
    """Rates are looked up for a batch, not for each bill in another currency."""

    def setUp(self):
        super().setUp()
        self._rates(self.usd, invoiced=2400, paid=2500)
        self._rates(self.eur, invoiced=2700, paid=2900)
        self.partner.email = False

    def _statements(self, count, currency, provider, company=None, **values):
        """Post so many invoices, and return how many statements that takes."""
        company = company or self.company
        company.billpay_provider_id = provider
        line = {"name": "Fees", "price_unit": 75, "tax_ids": [Command.clear()]}
        moves = self.env["account.move"].create(
            [
                {
                    "move_type": "out_invoice",
                    "partner_id": self.partner.id,
                    "invoice_date": INVOICED,
                    "currency_id": currency.id,
                    "invoice_line_ids": [Command.create(line)],
                    **values,
                }
            ]
            * count
        )
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.env.cr.sql_log_count
        moves.action_post()
        self.env.flush_all()
        taken = self.env.cr.sql_log_count - before
        numbers = moves.billpay_number_id
        self.assertEqual(len(numbers), count if provider else 0)
        return taken, numbers

    def test_fifty_cost_what_posting_costs_without_numbers(self):
        nobody = self.provider.browse()
        for currency, rate_date, asked in (
            (self.usd, "issue", 75 * 2500),
            (self.usd, "invoice", 75 * 2400),
            (self.eur, "issue", 75 * 2900),
        ):
            self.company.billpay_rate_date = rate_date
            # What is read once in the life of a process.
            self._statements(1, currency, self.provider)
            found = {}
            for count in (10, 50):
                found[count], numbers = self._statements(count, currency, self.provider)
                self.assertEqual(set(numbers.mapped("amount")), {asked})
            plain = {n: self._statements(n, currency, nobody)[0] for n in found}
            with self.subTest(currency=currency.name, rate=rate_date, found=found):
                self.assertLessEqual(found[50], 1.06 * plain[50], plain)
                # Whatever a number needs, it needs it once of a batch.
                self.assertLessEqual(found[50] - found[10], plain[50] - plain[10] + 1)

    def test_books_in_dollars_ask_once_too(self):
        data = self.setup_other_company(name="Dollar Books")
        company = data["company"]
        provider, nobody = self._make_application(company), self.provider.browse()
        for day, rate in ((INVOICED, 2400), (PAID, 2500)):
            self.env["res.currency.rate"].create(
                {
                    "name": day,
                    "currency_id": self.tzs.id,
                    "rate": rate,
                    "company_id": company.id,
                }
            )
        journal = {"journal_id": data["default_journal_sale"].id, "company": company}
        for rate_date, asked in (("issue", 75 * 2500), ("invoice", 75 * 2400)):
            company.billpay_rate_date = rate_date
            self._statements(1, self.usd, provider, **journal)
            few, _numbers = self._statements(10, self.usd, provider, **journal)
            many, numbers = self._statements(50, self.usd, provider, **journal)
            plain, _none = self._statements(50, self.usd, nobody, **journal)
            with self.subTest(rate=rate_date):
                self.assertEqual(set(numbers.mapped("amount")), {asked})
                self.assertLessEqual(many, 1.06 * plain, few)

    def test_a_rate_counts_from_when_it_is_entered(self):
        """What a batch has asked once does not outlive the answer."""
        kes, rates = self.kes, self.env["res.currency.rate"]
        self.company.billpay_rate_date = "issue"
        without = self._invoice(100, currency_id=kes.id)
        self.assertFalse(without.billpay_number_id)
        self._rates(kes, paid=20)
        asked = self._invoice(100, currency_id=kes.id)
        self.assertEqual(asked.billpay_number_id.amount, 2000)
        rates.search([("currency_id", "=", kes.id)]).unlink()
        again = self._invoice(100, currency_id=kes.id)
        self.assertFalse(again.billpay_number_id)
        # Another company's rate is none of this one's.
        other = self.company.create({"name": "Duka la pili"})
        rate = rates.create(
            {"currency_id": kes.id, "company_id": other.id, "rate": 0.05}
        )
        self.assertFalse(self._invoice(100, currency_id=kes.id).billpay_number_id)
        rate.company_id = False
        self.assertTrue(self._invoice(100, currency_id=kes.id).billpay_number_id)


@tagged("post_install", "-at_install")
class TestOneFigure(MoneyCommon):
    """Whatever is open: each screen says one figure, and who pays it owes nothing."""

    # Rates on the day of the invoice and on that of the payment.
    RATES = (
        {"usd": (2500, 2600), "eur": (2817.37, 2790.01)},
        {"usd": (2613.7, 2613.7), "eur": (2999.999, 3000.001)},
        {"usd": (2533.333, 2400), "eur": (1, 1.5)},
    )
    # Bills: currency, amount, whether in two instalments, and what is credited of it.
    BILLS = (
        (("tzs", 150000, False, 0),),
        (("tzs", 100000.4, False, 0), ("tzs", 100000.4, True, 0)),
        (("usd", 100, False, 0),),
        (("usd", 33.33, True, 0),),
        (("usd", 0.99, True, 0), ("eur", 10.01, True, 0), ("tzs", 7000.5, True, 0)),
        (("eur", 99.99, False, 33.33), ("usd", 10.01, False, 0)),
        (("usd", 66.67, True, 12.34), ("usd", 0.07, False, 0)),
    )

    def setUp(self):
        super().setUp()
        self.company.billpay_page_due = True

    def _cases(self):
        # Each bill meets both policies and both settings, under other rates.
        ways = cycle((("oldest", "invoice"), ("exact_oldest", "issue")))
        for rates, bills in product(self.RATES, self.BILLS):
            yield rates, bills, *next(ways)

    def _open(self, rates, bills, policy, rate_date):
        """Return a pupil's number, and its open bills."""
        for code, (invoiced, paid) in rates.items():
            self._rates(getattr(self, code), invoiced=invoiced, paid=paid)
        self.company.billpay_rate_date = rate_date
        self.tuition.allocation_policy = policy
        partner = self._pupil("Pupil")
        number = self._keeps(partner, self.tuition)
        moves = self.env["account.move"]
        for code, amount, halves, credited in bills:
            values = {
                "currency_id": getattr(self, code).id,
                "billpay_issue_on": "manual",
            }
            if halves:
                values["invoice_payment_term_id"] = self._halves().id
            move = self._fee(partner, self.tuition, amount, **values)
            if credited:
                refund = move._reverse_moves([{"invoice_date": INVOICED}])
                refund.invoice_line_ids.price_unit = credited
                refund.action_post()
                self._receivable(move | refund).reconcile()
            moves |= move
        return number, moves

    def _screens(self, number):
        """What each screen says is to be paid, in shillings."""
        number.invalidate_recordset()
        pages = self.env["billpay.pay.page"]
        statement = self.env["billpay.statement"]._statement(number)
        said = {
            "form": self._text(number.amount_due),
            "balance": self._text(number.balance),
            "statement": self._text(statement["closing"]),
            "last line": self._text(statement["lines"][-1]["balance"]),
            "portal": pages._pay_page_values(number, "en", show_due=True)["amount"],
            "pay page": pages._pay_page_values(number, "en")["amount"],
            "watched": self._text(pages._get_amount_due(number)),
        }
        self.assertEqual(number.amount_credit, 0)
        self.assertEqual(len(set(said.values())), 1, said)
        return number.balance

    def test_every_screen_says_it_and_it_closes_all(self):
        for case in self._cases():
            with self.subTest(case=case):
                number, moves = self._open(*case)
                asked = self._screens(number)
                row = self._pay_number(number, asked)
                self.assertEqual(moves.mapped("amount_residual"), [0] * len(moves))
                due = self._receivable(moves)
                self.assertTrue(all(due.mapped("reconciled")))
                self.assertEqual(set(due.mapped("amount_residual")), {0})
                # Less than a shilling of rounding is nobody's.
                self.assertLess(self._credit(row), 1)
                self.assertFalse(row.attention)
                number.invalidate_recordset()
                self.assertEqual(
                    (number.amount_due, number.amount_credit, number.balance),
                    (0, 0, 0),
                )
                closing = self.env["billpay.statement"]._statement(number)["closing"]
                self.assertEqual(closing, 0)

    def test_a_carried_invoice_says_it_too(self):
        self.tuition.invoice_number = "customer"
        for rates in self.RATES:
            for bills in self.BILLS:
                if len(bills) > 1:
                    continue
                for rate_date in ("invoice", "issue"):
                    case = rates, bills, "oldest", rate_date
                    with self.subTest(case=case):
                        number, move = self._open(*case)
                        move.action_billpay_issue()
                        self.assertEqual(move.billpay_number_id, number)
                        asked = self._screens(number)
                        pages = self.env["billpay.pay.page"]
                        paper = pages._document_for(move, "en_US")
                        self.assertEqual(paper["amount"], self._text(asked))
                        shown = pages._pay_page_values(number, "en", carrying=move)
                        self.assertEqual(shown["amount"], self._text(asked))
                        self.assertEqual(move._billpay_left(), asked)
                        row = self._stranger(asked)
                        self._may_match(row, move, asked).action_match()
                        self.assertClosed(move, row)
                        self.assertEqual(number.balance, 0)

    def test_an_own_number_says_it_too(self):
        for rates in self.RATES:
            for code, amount in (("tzs", 100000.4), ("usd", 33.33), ("eur", 10.01)):
                for mode in ("exact", "flexible", "open"):
                    with self.subTest(rates=rates, code=code, mode=mode):
                        bills = ((code, amount, True, 0),)
                        number, move = self._open(rates, bills, "oldest", "invoice")
                        move.billpay_mode = mode
                        move.action_billpay_issue()
                        own = move.billpay_number_id.sudo()
                        asked = self._screens(number)
                        pages = self.env["billpay.pay.page"]
                        self.assertIn(own.amount, (asked, 0))
                        self.assertEqual(pages._get_amount_due(own), asked)
                        page = pages._pay_page_values(own, "en")
                        self.assertEqual(page["amount"], self._text(asked))
                        row = self._post(self._confirmed(own, asked))
                        self.assertEqual(move.amount_residual, 0)
                        self.assertFalse(row.attention)
                        number.invalidate_recordset()
                        self.assertEqual(number.balance, 0)

    def test_after_parts_in_its_own_currency(self):
        """What is billed is rounded once, however often a part is paid in dollars."""
        for rates in self.RATES[:2]:
            for amount, parts in ((100.01, (33.33, 33.33)), (9.99, (0.07, 1.11, 2.22))):
                with self.subTest(rates=rates, amount=amount, parts=parts):
                    bills = (("usd", amount, True, 0),)
                    number, move = self._open(rates, bills, "oldest", "invoice")
                    asked = self._screens(number)
                    for part in parts:
                        self.env["account.payment.register"].with_context(
                            active_model="account.move", active_ids=move.ids
                        ).create(
                            {
                                "amount": part,
                                "currency_id": self.usd.id,
                                "payment_date": PAID,
                                "payment_difference_handling": "open",
                            }
                        )._create_payments()
                    left = self._screens(number)
                    rate = rates["usd"][0]
                    self.assertEqual(left, self._asks(move.amount_residual, rate))
                    lines = self.env["billpay.statement"]._statement(number)["lines"]
                    self.assertEqual(sum(line["due"] for line in lines), asked)
                    self.assertEqual(sum(line["paid"] for line in lines), asked - left)
                    self._pay_number(number, left)
                    self.assertEqual(move.amount_residual, 0)
                    number.invalidate_recordset()
                    self.assertEqual(number.balance, 0)

    def test_invoice_of_a_later_day_and_money_that_went_back(self):
        number, _moves = self._open(
            self.RATES[0], (("tzs", 7000, False, 0),), "oldest", "invoice"
        )
        self._fee(
            number.partner_id, self.tuition, 5000, "2026-05-10", invoice_date=TODAY
        )
        self.assertEqual(self._screens(number), 12000)
        row = self._pay_number(number, 20000)
        number.invalidate_recordset()
        self.assertEqual(number.balance, -8000)
        # ClickPesa took it back, and its entry stands until a person acts.
        row.sudo().status = "REVERSED"
        number.invalidate_recordset()
        closing = self.env["billpay.statement"]._statement(number)["closing"]
        self.assertEqual((closing, number.balance), (0, 0))

    def test_money_on_its_way_is_not_asked_for(self):
        """With accounting installed a payment has no entry before the statement."""
        self.patch(
            type(self.env["account.move"]),
            "_get_invoice_in_payment_state",
            lambda move: "in_payment",
        )
        bank = self.company_data["default_journal_bank"]
        bank.inbound_payment_method_line_ids.payment_account_id = False
        for code, amount, part in (("tzs", 10000, 4000), ("usd", 33.33, 11.11)):
            with self.subTest(code=code):
                bills = ((code, amount, code == "usd", 0),)
                number, move = self._open(self.RATES[0], bills, "oldest", "invoice")
                before = self._screens(number)
                self.env["account.payment.register"].with_context(
                    active_model="account.move", active_ids=move.ids
                ).create(
                    {
                        "amount": part,
                        "currency_id": move.currency_id.id,
                        "journal_id": bank.id,
                        "payment_date": PAID,
                        "payment_difference_handling": "open",
                    }
                )._create_payments()
                self.assertEqual(move.amount_residual, amount)
                rate = 2500 if code == "usd" else 1
                left = self._asks(round(amount - part, 2), rate)
                self.assertEqual(self._screens(number), left)
                self.assertLess(left, before)
