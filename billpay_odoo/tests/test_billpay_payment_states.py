# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The states of a payment: one table, one writer, and the documents agree."""

import itertools
import re
from datetime import datetime, timedelta
from pathlib import Path

from odoo import fields
from odoo.tests import tagged

from ..exceptions import ForbiddenMove
from ..models.payment.billpay_payment import NEW, STATES
from .common import BillPayCommon

ARCHITECTURE = Path(__file__).resolve().parents[2] / "docs/architecture.rst"
LATER = datetime(2026, 7, 1, 12)
BEFORE = {
    "reason": "Before",
    "attention": True,
    "attempts": 3,
    "next_try_at": LATER,
    "posted_at": datetime(2026, 3, 1, 12),
}


@tagged("post_install", "-at_install")
class TestPaymentStates(BillPayCommon):
    def setUp(self):
        super().setUp()
        self.serials = itertools.count()

    def _rows(self, *states):
        """Rows in these states, each with something that a move may reset."""
        payments = self.env["billpay.payment"].sudo()
        return payments.create(
            [
                {
                    "provider_id": self.provider.id,
                    "reference": f"PAY{next(self.serials)}",
                    "state": state,
                    **BEFORE,
                }
                for state in states
            ]
        )

    def _edges(self, allowed):
        return [
            (origin, target)
            for target, entry in STATES.items()
            for origin in STATES
            if (origin in entry.origins) == allowed
        ]

    # === The table === #

    def test_table_has_every_state(self):
        field = self.env["billpay.payment"]._fields["state"]
        self.assertEqual(set(STATES), set(field.get_values(self.env)))
        for entry in STATES.values():
            self.assertLessEqual(set(entry.origins), {NEW, *STATES})

    def test_documented_table_is_the_one_of_the_code(self):
        text = ARCHITECTURE.read_text(encoding="utf-8")
        table = re.search(r"\.\. states begin(.*)\.\. states end", text, re.S)[1]
        documented = {
            state: {None if word == "(new)" else word for word in origins}
            for state, origins in (
                (row[0], re.findall(r"\(new\)|[a-z]+", row[1]))
                for row in re.findall(r"\* - ``(\w+)``\n +- (.*)\n +- ", table)
            )
        }
        self.assertEqual(
            documented, {state: set(entry.origins) for state, entry in STATES.items()}
        )

    # === Moves === #

    def test_each_allowed_move_resets_what_the_table_says(self):
        for origin, target in self._edges(allowed=True):
            with self.subTest(origin=origin, target=target):
                row = self._rows(origin)
                row._move_to(target, "After")
                expected = {**BEFORE, **STATES[target].resets}
                self.assertRecordValues(
                    row, [{**expected, "state": target, "reason": "After"}]
                )

    def test_every_other_move_is_forbidden(self):
        edges = self._edges(allowed=False)
        for edge in (
            ("reversed", "confirmed"),
            ("posted", "received"),
            ("posted", "ignored"),
            ("unmatched", "posted"),
            ("ignored", "posted"),
            ("received", "reversed"),
        ):
            self.assertIn(edge, edges)
        for origin, target in edges:
            with self.subTest(origin=origin, target=target):
                row = self._rows(origin)
                with self.assertRaises(ForbiddenMove) as caught:
                    row._move_to(target, "After")
                self.assertIn(f"from {origin} to {target}", str(caught.exception))
                self.assertRecordValues(row, [{**BEFORE, "state": origin}])

    def test_one_forbidden_move_moves_none(self):
        rows = self._rows("confirmed", "posted", "failed")
        with self.assertRaises(ForbiddenMove):
            rows._move_to("failed", "After")
        self.assertEqual(rows.mapped("state"), ["confirmed", "posted", "failed"])

    def test_new_rows_begin_where_the_table_says(self):
        payments = self.env["billpay.payment"].sudo()
        for state, entry in STATES.items():
            if NEW not in entry.origins:
                with self.assertRaises(ForbiddenMove):
                    payments._values_of_new(state, "New")
                continue
            row = payments.create(
                payments._values_of_new(
                    state,
                    "New",
                    due=LATER,
                    provider_id=self.provider.id,
                    reference=f"NEW{state}",
                )
            )
            self.assertRecordValues(
                row, [{"state": state, "reason": "New", "next_try_at": LATER}]
            )

    def test_move_keeps_reason_and_takes_more_values(self):
        row = self._rows("confirmed")
        row._move_to("posted", flagged=True, due=LATER, payer_name="ASHA")
        self.assertRecordValues(
            row,
            [
                {
                    "state": "posted",
                    "reason": "Before",
                    "attention": True,
                    "next_try_at": LATER,
                    "payer_name": "ASHA",
                }
            ],
        )
        row._move_to("posted", False)
        self.assertFalse(row.reason or row.attention)

    def test_rows_that_change_alike_are_written_at_once(self):
        rows = self._rows(*["confirmed"] * 20)
        rows[3].next_try_at = False
        self.env.flush_all()
        with self.assertQueryCount(2):
            rows._move_to("posted", False, posted_at=LATER)
            self.env.flush_all()
        with self.assertQueryCount(0):
            rows._move_to("posted", False, posted_at=LATER)
            self.env.flush_all()

    # === Beside the states === #

    def test_flag_settle_and_seen(self):
        row = self._rows("posted")
        row._settle()
        self.assertRecordValues(row, [{"attention": False, "reason": False}])
        row._flag("Look")
        self.assertRecordValues(
            row, [{"attention": True, "reason": "Look", "next_try_at": LATER}]
        )
        row._seen()
        self.assertRecordValues(row, [{"attention": False, "reason": "Look"}])
        row._flag("Look again", due=False, attempts=0)
        self.assertRecordValues(
            row, [{"attention": True, "next_try_at": False, "attempts": 0}]
        )

    def test_turns(self):
        rows = self._rows("received", "received")
        rows[1].attempts = 0
        now = fields.Datetime.now()
        rows._try_later()
        self.assertEqual(rows.mapped("attempts"), [4, 1])
        self.assertGreater(rows[0].next_try_at, rows[1].next_try_at)
        self.assertGreater(rows[1].next_try_at, now)
        rows._give_back_try(LATER)
        self.assertEqual(rows.mapped("attempts"), [3, 0])
        self.assertEqual(set(rows.mapped("next_try_at")), {LATER})
        rows._due_now()
        self.assertLess(rows[0].next_try_at, now + timedelta(minutes=1))
        rows._leave_turn()
        self.assertFalse(any(rows.mapped("next_try_at")))
