# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A refused number is somebody's to do, and there is a way out of it."""

from odoo.exceptions import AccessError
from odoo.tests import tagged

from ..clickpesa import NumberRequest
from .common import BillPayCommon


@tagged("post_install", "-at_install")
class TestRefused(BillPayCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.asha = cls._user("billpay_asha", "account.group_account_invoice")

    def _refused_invoice(self, **values):
        """An invoice whose number ClickPesa can only refuse."""
        values.setdefault("invoice_user_id", self.asha.id)
        move = self._invoice(**values)
        move.billpay_number_id.sudo().amount = -5
        self._sync()
        self.assertEqual(move.billpay_number_state, "failed")
        return move

    def _correct(self, move):
        move.billpay_number_id.sudo().amount = 150000

    # === Who is told === #

    def test_refusal_is_an_activity_of_the_salesperson(self):
        move = self._refused_invoice()
        [activity] = move.activity_ids
        self.assertEqual(activity.user_id, self.asha)
        self.assertIn(move.billpay_number_id.name, activity.summary)
        for words in (move.billpay_number_error, "valid", "Take Another Number"):
            self.assertIn(words, activity.note)
        self.assertIn(move.billpay_number_id.name, move.message_ids[0].body)

    def test_without_salesperson_it_is_the_makers(self):
        maker = self._user("billpay_maker", "account.group_account_invoice")
        move = self._invoice(post=False, invoice_user_id=False)
        self.env.cr.execute(
            "UPDATE account_move SET create_uid = %s, invoice_user_id = NULL"
            " WHERE id = %s",
            (maker.id, move.id),
        )
        self.env.invalidate_all()
        move.action_post()
        move.billpay_number_id.sudo().amount = -5
        self._sync()
        self.assertEqual(move.activity_ids.user_id, maker)

    def test_without_either_it_is_a_managers(self):
        manager = self._user("billpay_boss", "billpay_odoo.group_billpay_manager")
        self.asha.active = False
        move = self._invoice(invoice_user_id=self.asha.id)
        self.env.cr.execute(
            "UPDATE account_move SET create_uid = 1 WHERE id = %s", (move.id,)
        )
        self.env.invalidate_all()
        move.billpay_number_id.sudo().amount = -5
        self._sync()
        user = move.activity_ids.user_id
        self.assertTrue(user.has_group("billpay_odoo.group_billpay_manager"))
        self.assertIn(self.company, user.company_ids)
        self.assertTrue(manager)

    def test_refused_again_it_stays_one_activity(self):
        move = self._refused_invoice()
        activity = move.activity_ids
        move.billpay_number_id.with_user(self.asha).action_retry()
        self._sync()
        self.assertEqual(move.billpay_number_state, "failed")
        self.assertEqual(move.activity_ids, activity)

    def test_activity_ends_when_the_number_is_registered(self):
        move = self._refused_invoice()
        self._correct(move)
        move.with_user(self.asha).action_billpay_retry_number()
        self.assertTrue(move.activity_ids, "not there yet")
        self._sync()
        self.assertEqual(move.billpay_number_state, "open")
        self.assertFalse(move.activity_ids)

    def test_activity_ends_when_the_number_is_closed(self):
        move = self._refused_invoice()
        move.button_draft()
        self.assertEqual(move.billpay_number_state, "closed")
        self.assertFalse(move.activity_ids)

    def test_outage_is_nobodys_to_do(self):
        move = self._invoice(invoice_user_id=self.asha.id)
        self.sandbox.faults.add("error", match="bulk-create", times=1)
        self._sync()
        self.assertTrue(move.billpay_number_error)
        self.assertFalse(move.activity_ids)

    # === The way out === #

    def test_another_number_is_registered_in_its_place(self):
        move = self._refused_invoice()
        number, old = move.billpay_number_id, move.billpay_number_id.name
        self._correct(move)
        move.with_user(self.asha).action_billpay_take_another_number()
        self.assertRecordValues(
            number.sudo(),
            [{"state": "pending", "sync_attempts": 0, "sync_error": False}],
        )
        self.assertNotEqual(number.name, old)
        self.assertIn(old, move.message_ids[0].body)
        self.assertIn(number.name, move.message_ids[0].body)
        self._sync()
        self.assertEqual(number.state, "open")
        self.assertFalse(move.activity_ids)
        self.assertEqual([n["number"] for n in self.sandbox.numbers()], [number.name])

    def test_only_refused_numbers_take_another(self):
        move = self._registered_invoice()
        name = move.billpay_number_id.name
        move.billpay_number_id.with_user(self.asha).action_take_another_number()
        self.assertEqual(move.billpay_number_id.name, name)
        self.assertEqual(move.billpay_number_id.state, "open")

    def test_another_number_needs_the_right_to_make_invoices(self):
        move = self._refused_invoice()
        auditor = self._user("billpay_auditor2", "account.group_account_readonly")
        for action in (
            move.with_user(auditor).action_billpay_take_another_number,
            move.with_user(auditor).action_billpay_retry_number,
            move.billpay_number_id.with_user(auditor).action_take_another_number,
        ):
            with self.assertRaises(AccessError):
                action()
        self.assertEqual(move.billpay_number_state, "failed")

    def test_the_first_refused_number_of_a_click_stops_no_other(self):
        late = self._registered_invoice()
        bad, good = self._invoice(), self._invoice()
        bad.billpay_number_id.sudo().amount = -5
        late.billpay_number_id.sudo().amount = 160000
        numbers = (bad + good + late).billpay_number_ids
        with self._workers():
            outcome = self.env["billpay.sync"]._sync_now(numbers)
        states = {id_: number["state"] for id_, number in outcome.items()}
        self.assertEqual(
            [states[move.billpay_number_id.id] for move in (bad, good, late)],
            ["failed", "open", "open"],
        )
        name = late.billpay_number_id.name
        self.assertEqual(self.sandbox.number(name)["amount"], 160000)

    def test_a_refused_change_is_tried_once_per_click(self):
        number = self._registered_invoice().billpay_number_id.sudo()
        number.amount = -5
        with self._workers():
            [outcome] = self.env["billpay.sync"]._sync_now(number).values()
        self.assertTrue(outcome["error"])
        self.assertEqual(number.sync_attempts, 1)

    def test_taken_digits_are_replaced_within_one_click(self):
        number = self._invoice().billpay_number_id
        taken = number.name
        self.provider._billpay_client().create_order_numbers(
            [NumberRequest(reference=taken, amount=999, description="Foreign")]
        )
        with self._workers():
            [outcome] = self.env["billpay.sync"]._sync_now(number).values()
        self.assertEqual(outcome["state"], "open")
        self.assertNotEqual(outcome["name"], taken)
