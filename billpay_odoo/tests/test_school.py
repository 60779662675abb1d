# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A school for a term: 300 pupils, three purposes, payments in any amount and order."""

import random
from collections import defaultdict

from odoo.tests import tagged

from ..demo import school
from .common import BillPayCommon

SEED = 20261125
PUPILS, PAYMENTS = 300, 450


@tagged("post_install", "-at_install", "slow")
class TestSchool(BillPayCommon):
    def test_every_balance_is_right(self):
        dice = random.Random(SEED)
        made = school.purposes(self.env, self.company)
        purposes = [purpose for purpose, _product in made]
        products = [product for _purpose, product in made]
        pupils = school.pupils(self.env, self.company, PUPILS)
        self.assertEqual(len(pupils), PUPILS)
        self.assertLess(len(pupils.parent_id), PUPILS)
        # Numbers by a bulk run, registered with ClickPesa in bulk.
        run = school.numbers(self.env, self.company, pupils, purposes)
        self.assertEqual(run.waiting_count, 3 * PUPILS)
        self._run_cron("ir_cron_bulk_runs")
        self._sync()
        self._run_cron("ir_cron_bulk_runs")
        self.env.invalidate_all()
        self.assertEqual((run.state, run.done_count), ("done", 3 * PUPILS))
        calls = self.sandbox.calls("/billpay/bulk-create-customer")
        self.assertEqual(len(calls), 3 * PUPILS // 50)
        # A third of the money comes before the term's invoices.
        numbers = run.line_ids.number_id
        by_key = {(n.partner_id, n.purpose_id): n for n in numbers}
        early = self._payments(dice, numbers, PAYMENTS // 3)
        self._told(dice, early)
        moves = school.invoices(
            self.env,
            self.company,
            pupils,
            products,
            "2026-01-10",
            ["2026-01-31", "2026-04-30"],
        )
        self.assertEqual(len(moves), 2 * (PUPILS + PUPILS // 2))
        self.assertFalse(moves.sudo().billpay_number_ids)
        self.assertEqual(
            set(moves.sudo().billpay_carried_number_id.ids),
            set(
                moves.mapped(
                    lambda move: by_key[move.partner_id, move.billpay_purpose_id].id
                )
            ),
        )
        late = self._payments(dice, numbers, PAYMENTS - PAYMENTS // 3)
        self._told(dice, late)
        self._prove(by_key, moves, early + late)

    def _payments(self, dice, numbers, count):
        """Payers type any amount, some twice the same."""
        payments = []
        for number in dice.choices(numbers, k=count):
            amount = dice.choice(
                (450_000, 280_000, 900_000, dice.randrange(1, 1200) * 1000, 5_000)
            )
            payments.append((number, self._pay(number.name, amount)))
        return payments

    def _told(self, dice, payments):
        """Webhooks come in any order, some twice, and some not at all."""
        told = [payment for _number, payment in payments if dice.random() < 0.9]
        told += [payment for payment in told if dice.random() < 0.2]
        dice.shuffle(told)
        for payment in told:
            self._event(payment)
        self._process()
        self._poll()
        self._process()

    def _prove(self, by_key, moves, payments):
        rows = self.env["billpay.payment"].search(
            [("provider_id", "=", self.provider.id)]
        )
        self.assertEqual(len(rows), len(payments))
        self.assertEqual(set(rows.mapped("state")), {"posted"}, rows.mapped("reason"))
        there = sum(payment["amount"] for _number, payment in payments)
        self.assertEqual(sum(rows.mapped("amount")), there)
        entries = rows.account_payment_ids.move_id
        receivable = (entries | moves).line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        self.assertEqual(
            sum(receivable.filtered(lambda line: line.credit).mapped("credit")), there
        )
        # What was paid on each number, and what was billed for it.
        paid, billed, left = defaultdict(float), defaultdict(float), defaultdict(float)
        for number, payment in payments:
            paid[number] += payment["amount"]
        for move in moves:
            key = by_key[move.partner_id, move.billpay_purpose_id]
            billed[key] += move.amount_total
        for line in receivable:
            move = line.move_id
            payment = move.origin_payment_id.billpay_payment_id
            number = (
                payment.control_number_id
                or by_key[move.partner_id, move.billpay_purpose_id]
            )
            left[number] += line.amount_residual
            # Nothing is reconciled across purposes or pupils.
            for debit in line.matched_debit_ids.debit_move_id.move_id:
                self.assertEqual(
                    (debit.partner_id, debit.billpay_purpose_id),
                    (number.partner_id, number.purpose_id),
                )
        for number in by_key.values():
            self.assertEqual(
                left[number], billed[number] - paid[number], number.display_name
            )
            self.assertEqual(number.balance, billed[number] - paid[number])
            self.assertEqual(
                self.env["billpay.statement"]._statement(number)["closing"],
                number.balance,
            )
            if number.purpose_id.allocation_policy == "credit":
                self.assertEqual(number.amount_credit, paid[number])
