# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The states of a number: every edge of the table in docs/architecture.rst, walked.

And random lives of invoices, after which ClickPesa has what we want.
"""

import os
from contextlib import contextmanager
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from clickpesa_sandbox import PaymentRefused

from ..clickpesa import NumberRequest, to_ascii
from ..models.number.billpay_control_number import BillpayControlNumber
from .common import BillPayCommon

# (from, to), as documented. None: the number is made.
EDGES = {
    (None, "pending"),
    (None, "open"),
    ("pending", "open"),
    ("pending", "failed"),
    ("pending", "closed"),
    ("pending", "paid"),
    ("open", "pending"),
    ("open", "paid"),
    ("open", "closed"),
    ("failed", "pending"),
    ("failed", "closed"),
    ("closed", "open"),
    ("closed", "pending"),
    ("closed", "paid"),
}


@contextmanager
def recorded_edges():
    """Collect every change of state that is written meanwhile."""
    edges = set()
    write, create = BillpayControlNumber.write, BillpayControlNumber.create

    def recording_write(self, vals):
        if "state" in vals:
            edges.update(
                (number.state, vals["state"])
                for number in self
                if number.state != vals["state"]
            )
        return write(self, vals)

    def recording_create(self, vals_list):
        numbers = create(self, vals_list)
        edges.update((None, number.state) for number in numbers)
        return numbers

    with (
        patch.object(BillpayControlNumber, "write", recording_write),
        patch.object(BillpayControlNumber, "create", recording_create),
    ):
        yield edges


class NumberLifeCommon(BillPayCommon):
    def _again(self):
        """Let leases and pauses run out, and the worker work."""
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE billpay_control_number SET sync_at = '2020-01-01'"
            " WHERE sync_at IS NOT NULL"
        )
        self.env.invalidate_all()
        self._sync()

    def _collect(self):
        """Learn of what was paid, and book it."""
        self._poll()
        self._process()

    def _cash(self, move, amount):
        wizard = self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=move.ids
        )
        return wizard.create(
            {
                "amount": amount,
                "payment_date": "2026-03-05",
                "journal_id": self.company_data["default_journal_cash"].id,
            }
        )._create_payments()

    def _refuse(self, move):
        """Let ClickPesa refuse the number of an invoice for good."""
        number = move.billpay_number_id.sudo()
        # Not what a description can be, so it is refused before it is sent.
        number.name = number.name + "-"
        self._again()
        self.assertEqual(number.state, "failed")
        number.name = number.name[:-1]
        return number


@tagged("post_install", "-at_install")
class TestNumberStates(NumberLifeCommon):
    def test_every_edge_is_walked_and_no_other(self):
        with recorded_edges() as edges:
            self._walk_registered()
            self._walk_registered_again()
            self._walk_closed()
            self._walk_failed()
            self._walk_offline()
            self._walk_late_payments()
        self.assertEqual(edges, EDGES)

    def _walk_registered(self):
        move = self._registered_invoice(1000)
        self._pay(move.billpay_number_id.name, 1000)
        self._collect()
        self.assertEqual(move.billpay_number_id.state, "paid")

    def _walk_registered_again(self):
        number = self._registered_invoice(1500).billpay_number_id.sudo()
        self.sandbox.reset()
        number._want({"amount": 1400})
        self._sync()
        self.assertEqual(number.state, "open")

    def _walk_closed(self):
        move = self._invoice(2000)
        move.button_draft()
        self.assertEqual(move.billpay_number_id.state, "closed")
        move.action_post()
        self.assertEqual(move.billpay_number_id.state, "pending")
        self._sync()
        move.button_draft()
        move.action_post()
        self.assertEqual(move.billpay_number_id.state, "open")

    def _walk_failed(self):
        number = self._refuse(self._invoice(3000))
        number.action_retry()
        self.assertEqual(number.state, "pending")
        number = self._refuse(self._invoice(4000))
        number.move_id.button_cancel()
        self.assertEqual(number.state, "closed")

    def _walk_offline(self):
        self.provider.clickpesa_number_origin = "offline"
        self.assertEqual(self._invoice(5000).billpay_number_id.state, "open")
        self.provider.clickpesa_number_origin = "api"

    def _walk_late_payments(self):
        """Money on a number that was closed, and on one not known to be there."""
        closed = self._registered_invoice(6000).billpay_number_id
        payment = self._pay(closed.name, 6000)
        closed.move_id.button_draft()
        self._collect()
        self.assertEqual(closed.state, "paid")
        self.assertBooked(self._ledger(payment), 6000)
        # ClickPesa registered it, but its answer was lost; a person confirmed that.
        self.sandbox.faults.add("timeout_after", match="bulk-create", times=1)
        pending = self._invoice(7000).billpay_number_id.sudo()
        self._sync()
        self.assertEqual(pending.state, "pending")
        payment = self._pay(pending.name, 7000)
        pending.confirmed_at = "2026-03-01"
        self._collect()
        self.assertEqual(pending.state, "paid")
        self.assertBooked(self._ledger(payment), 7000)

    def test_foreign_number_is_neither_adopted_nor_touched(self):
        move = self._invoice(1000)
        number = move.billpay_number_id
        taken = number.name
        client = self.provider._billpay_client()
        client.create_order_numbers(
            [NumberRequest(reference=taken, amount=77, description="Somebody else's")]
        )
        self._again()
        self.assertNotEqual(number.name, taken)
        foreign = {n["number"]: n for n in self.sandbox.numbers()}[taken]
        self.assertEqual((foreign["amount"], foreign["state"]), (77, "ACTIVE"))


class NumberLife(RuleBasedStateMachine):
    """Random lives of up to three invoices of one company.

    ``case`` is the test whose transaction this happens in; each life is rolled back.
    """

    case = None
    amounts = st.integers(1, 2_000_000)
    modes = st.sampled_from(("flexible", "exact", "open"))
    parts = st.sampled_from((1.0, 0.3, 0.5, 0.01))

    def __init__(self):
        super().__init__()
        self.env = self.case.env
        self.env.flush_all()
        self.savepoint = self.env.cr.savepoint(flush=False)
        self.case.sandbox.reset()
        self.case.sandbox.faults.clear()
        self.moves = []

    def teardown(self):
        try:
            self.settle()
        finally:
            self.env.flush_all()
            self.savepoint.rollback()
            self.savepoint.close()
            self.env.invalidate_all(flush=False)

    def _those(self, *states):
        return [move for move in self.moves if move.state in states]

    def _owing(self):
        return [move for move in self._those("posted") if move.amount_residual > 0]

    # --- What people do

    @initialize(amount=amounts, mode=modes)
    def begin(self, amount, mode):
        self.moves.append(self.case._invoice(amount, billpay_mode=mode))

    @precondition(lambda self: len(self.moves) < 3)
    @rule(amount=amounts, mode=modes)
    def post(self, amount, mode):
        self.moves.append(self.case._invoice(amount, billpay_mode=mode))

    @precondition(lambda self: self._those("posted", "cancel"))
    @rule(data=st.data())
    def draft(self, data):
        data.draw(st.sampled_from(self._those("posted", "cancel"))).button_draft()

    @precondition(lambda self: self._those("draft"))
    @rule(data=st.data(), amount=amounts)
    def edit_and_post(self, data, amount):
        move = data.draw(st.sampled_from(self._those("draft")))
        move.invoice_line_ids.price_unit = amount
        move.action_post()

    @precondition(lambda self: self._those("draft"))
    @rule(data=st.data())
    def cancel(self, data):
        data.draw(st.sampled_from(self._those("draft"))).button_cancel()

    @precondition(lambda self: self._owing())
    @rule(data=st.data(), part=parts)
    def credit_note(self, data, part):
        move = data.draw(st.sampled_from(self._owing()))
        refund = self.env["account.move"].create(
            {
                "move_type": "out_refund",
                "partner_id": move.partner_id.id,
                "invoice_date": "2026-03-02",
                "currency_id": move.currency_id.id,
                "invoice_line_ids": [
                    Command.create(
                        {
                            "name": "Punguzo",
                            "price_unit": max(round(move.amount_residual * part), 1),
                            "tax_ids": [Command.clear()],
                        }
                    )
                ],
            }
        )
        refund.action_post()
        (move + refund).line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        ).reconcile()

    @precondition(lambda self: self._owing())
    @rule(data=st.data(), part=parts)
    def cash(self, data, part):
        move = data.draw(st.sampled_from(self._owing()))
        self.case._cash(move, max(round(move.amount_residual * part), 1))

    @precondition(lambda self: self._those("posted"))
    @rule(data=st.data())
    def take_payments_back(self, data):
        move = data.draw(st.sampled_from(self._those("posted")))
        move.line_ids.remove_move_reconcile()

    @precondition(lambda self: self._those("posted"))
    @rule(data=st.data(), mode=modes)
    def change_mode(self, data, mode):
        data.draw(st.sampled_from(self._those("posted"))).billpay_mode = mode

    @precondition(lambda self: self._owing())
    @rule(data=st.data(), part=parts)
    def pay_by_number(self, data, part):
        move = data.draw(st.sampled_from(self._owing()))
        # Payers hold numbers that ClickPesa knows: no document leaves with another.
        if move.billpay_number_id.state != "open":
            return
        amount = max(round(move.amount_residual * part), 500)
        try:
            self.case._pay(move.billpay_number_id.name, amount)
        except PaymentRefused:
            return
        self.case._collect()

    # --- What goes wrong

    @rule(kind=st.sampled_from(("timeout_after", "timeout_before", "error")))
    def outage(self, kind):
        """The next call fails, whether its work is done or not."""
        self.case.sandbox.faults.add(kind, match="/billpay/", times=1)
        self.case._again()

    # --- What the worker does

    @rule()
    def work(self):
        self.case._again()

    @rule()
    def settle(self):
        """Once the worker is idle ClickPesa has what we want."""
        self.case.sandbox.faults.clear()
        for _round in range(6):
            self.case._again()
        numbers = self.env["billpay.control.number"].search(
            [("move_id", "in", [move.id for move in self.moves])]
        )
        assert not numbers.filtered("sync_at"), numbers.mapped("sync_error")
        upstream = {row["number"]: row for row in self.case.sandbox.numbers()}
        assert set(upstream) <= set(numbers.mapped("name")), "a twin"
        for number in numbers:
            there = upstream.get(number.name)
            if there is None:
                assert number.state == "closed" and not number.confirmed_at, number
                continue
            if number.state not in ("open", "paid", "closed"):
                raise AssertionError((number.state, number.sync_error, there))
            expected = {"open": "ACTIVE", "paid": "CLOSED", "closed": "INACTIVE"}
            assert there["state"] == expected[number.state], (there, number.state)
            if number.state == "open":
                assert (there["amount"] or 0) == number.amount, there
                assert there["description"] == to_ascii(number.description, 500)
                if number.amount:
                    assert (there["mode"] == "EXACT") == (number.mode == "exact")

    @invariant()
    def nothing_is_asked_for_twice(self):
        for move in self.moves:
            asking = move.billpay_number_ids.filtered(
                lambda n: n.state in ("pending", "open", "failed")
            )
            if move.state != "posted":
                assert not asking, (move.state, asking.mapped("state"))
                continue
            assert len(asking) <= 1, asking.mapped("name")
            residual = max(move.amount_residual, 0)
            assert sum(asking.mapped("amount")) < residual + 1
            # A rest that is too small no number asks for.
            small = self.env["billpay.reservation"]._is_small_rest(move)
            if (
                residual
                and not small
                and "paid" not in move.billpay_number_ids.mapped("state")
            ):
                assert asking, "nobody can pay it"


@tagged("post_install", "-at_install", "slow")
class TestNumberLife(NumberLifeCommon):
    @mute_logger("odoo.addons.billpay_odoo")
    def test_random_lives_end_as_wanted(self):
        machine = type("Life", (NumberLife,), {"case": self})
        examples = int(os.environ.get("BILLPAY_EXAMPLES", 25))
        with recorded_edges() as edges:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=18,
                    deadline=None,
                    database=None,
                    # The same lives in every run; more of them, and others, with
                    # BILLPAY_EXAMPLES.
                    derandomize="BILLPAY_EXAMPLES" not in os.environ,
                    suppress_health_check=list(HealthCheck),
                    print_blob=False,
                    # Shrinking a life takes minutes: the steps of the first are told.
                    phases=(Phase.generate,),
                ),
            )
        self.assertLessEqual(edges, EDGES)
