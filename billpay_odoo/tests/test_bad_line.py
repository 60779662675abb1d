# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Answers that are lost: no twin, nothing abandoned, nothing of others taken."""

import runpy
from pathlib import Path

from odoo import Command
from odoo.tests import tagged

from ..clickpesa import NumberRequest
from .common import BillPayCommon, slow


@tagged("post_install", "-at_install")
class TestBadLine(BillPayCommon):
    def _lost(self, **values):
        """A number that ClickPesa made, and whose answer was lost."""
        number = self._invoice(**values).billpay_number_id.sudo()
        self.sandbox.faults.add("timeout_after", match="bulk-create", times=1)
        self._sync()
        self.assertEqual((number.state, len(self.sandbox.numbers())), ("pending", 1))
        return number

    def _again(self, numbers):
        numbers.filtered("sync_at").write({"sync_at": "2020-01-01"})
        self._sync()

    def test_bill_that_changed_altogether_meanwhile_is_recognised(self):
        number = self._lost()
        name = number.name
        number.write({"amount": 90000, "description": "Invoice INV/2027/00001"})
        self._again(number)
        self.assertRecordValues(number, [{"name": name, "state": "open"}])
        [there] = self.sandbox.numbers()
        self.assertEqual(there["number"], name)
        self._again(number)
        [there] = self.sandbox.numbers()
        self.assertEqual(
            (there["amount"], there["description"]), (90000, "Invoice INV/2027/00001")
        )

    def test_what_was_on_its_way_before_an_upgrade_is_recognised(self):
        """Version 19.0.1.0.0 kept no note of what it had sent."""
        number = self._lost()
        name = number.name
        self.env.flush_all()
        self.env.cr.execute("UPDATE billpay_control_number SET sent = NULL")
        path = Path(__file__).parents[1] / "migrations/19.0.1.1.0/post-sent.py"
        runpy.run_path(str(path))["migrate"](self.env.cr, "19.0.1.0.0")
        self.env.invalidate_all()
        self._again(number)
        self.assertRecordValues(number, [{"name": name, "state": "open"}])
        self.assertEqual(len(self.sandbox.numbers()), 1)

    def test_what_was_sent_first_is_recognised_after_many_tries(self):
        number = self._lost()
        name = number.name
        for turn in (1, 2, 3):
            number.write({"amount": 1000 * turn, "description": "Changed %s" % turn})
            self.sandbox.faults.add("timeout_before", match="bulk-create", times=1)
            self._again(number)
            self.assertEqual(number.state, "pending")
        self._again(number)
        self.assertRecordValues(number, [{"name": name, "state": "open"}])
        self.assertEqual(len(self.sandbox.numbers()), 1)

    def test_foreign_number_stays_foreign_after_an_unknown_outcome(self):
        number = self._invoice().billpay_number_id.sudo()
        taken = number.name
        self.sandbox.faults.add("timeout_before", match="bulk-create", times=1)
        self._sync()
        self.provider._billpay_client().create_order_numbers(
            [NumberRequest(reference=taken, amount=150000, description="Foreign")]
        )
        self._again(number)
        self.assertEqual(number.state, "open")
        self.assertNotEqual(number.name, taken)
        self.assertFalse(number.sent[1:])

    def test_what_is_sent_is_known_before_the_call(self):
        """A worker that dies in the call leaves behind what it was about to send."""
        number = self._invoice().billpay_number_id.sudo()
        sent = []
        handler = type(self)._request_handler

        def look(session, request, /, **kw):
            if "bulk-create" in request.url:
                self.env.invalidate_all()
                sent.extend(number.sent)
            return handler(session, request, **kw)

        self.patch(type(self), "_request_handler", staticmethod(look))
        self._sync()
        self.assertEqual(
            sent, [{"amount": 150000.0, "description": number.description}]
        )

    @slow
    def test_thousand_invoices_end_with_thousand_numbers_and_no_twin(self):
        moves = self.env["account.move"].create(
            [
                {
                    "move_type": "out_invoice",
                    "partner_id": self.partner.id,
                    "invoice_date": "2026-03-01",
                    "currency_id": self.tzs.id,
                    "invoice_line_ids": [
                        Command.create(
                            {
                                "name": "Ada",
                                "price_unit": 1000 + index,
                                "tax_ids": [Command.clear()],
                            }
                        )
                    ],
                }
                for index in range(1000)
            ]
        )
        moves.action_post()
        numbers = moves.billpay_number_ids.sudo()
        names = set(numbers.mapped("name"))
        self.sandbox.faults.random.seed(20)
        fault = self.sandbox.faults.add("timeout_after", rate=0.2)
        for _round in range(400):
            self._again(numbers)
            if not numbers.filtered("sync_at"):
                break
        self.assertGreater(fault.struck, 10)
        there = {n["number"]: n["amount"] for n in self.sandbox.numbers()}
        self.assertEqual(len(self.sandbox.numbers()), 1000)
        self.assertEqual(set(numbers.mapped("state")), {"open"})
        self.assertEqual(set(numbers.mapped("name")), names)
        self.assertEqual(
            there,
            {move.billpay_number_id.name: move.amount_total for move in moves},
        )
        self.assertTrue(all(n["state"] == "ACTIVE" for n in self.sandbox.numbers()))
