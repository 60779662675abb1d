# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Who may do what: the ledger is written by the workers, not by people."""

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from .common import BillPayCommon


@tagged("post_install", "-at_install")
class TestRights(BillPayCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.clerk = cls._user("billpay_clerk", "account.group_account_invoice")
        cls.accountant = cls._user(
            "billpay_accountant", "account.group_account_manager"
        )
        cls.auditor = cls._user("billpay_auditor", "account.group_account_readonly")

    def _booked(self, amount=150000):
        move = self._registered_invoice(amount)
        payment = self._pay(move.billpay_number_id.name, amount)
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertBooked(row, amount)
        return move, row

    def assertRefused(self, records, user, values):
        with self.assertRaises(AccessError), mute_logger("odoo.models"):
            records.with_user(user).write(values)

    # === The ledger === #

    def test_nobody_writes_the_ledger_by_hand(self):
        move, row = self._booked()
        number, event = move.billpay_number_ids, row.event_ids
        self.assertTrue(event)
        for user in (self.clerk, self.accountant, self.auditor):
            with self.subTest(user.login):
                self.assertRefused(row, user, {"state": "confirmed"})
                self.assertRefused(row, user, {"amount": 1})
                self.assertRefused(row, user, {"control_number_id": False})
                self.assertRefused(number, user, {"state": "open"})
                self.assertRefused(number, user, {"amount": 1})
                self.assertRefused(number, user, {"move_id": False})
                self.assertRefused(event, user, {"state": "new"})
                for records in (row, number, event):
                    with self.assertRaises(AccessError), mute_logger("odoo.models"):
                        records.with_user(user).unlink()

    def test_people_may_still_discuss_a_number(self):
        number = self._registered_invoice().billpay_number_id
        number.with_user(self.auditor).message_post(body="Juma asked about this one.")
        self.assertIn("Juma asked", number.message_ids[:1].body)

    def test_link_between_payment_and_ledger_is_not_made_by_hand(self):
        _move, row = self._booked()
        payment = row.account_payment_ids.with_user(self.accountant)
        values = {
            "payment_type": "inbound",
            "partner_type": "customer",
            "partner_id": self.partner.id,
            "amount": 5,
            "journal_id": payment.journal_id.id,
        }
        with self.assertRaises(AccessError):
            payment.create({**values, "billpay_payment_id": row.id, "billpay_part": 2})
        for defaults in (
            {"default_billpay_payment_id": row.id, "default_billpay_part": 2},
            {"default_billpay_undone_id": row.id},
            {"default_billpay_part": 2},
        ):
            with self.subTest(defaults), self.assertRaises(AccessError):
                payment.with_context(**defaults).create(values)
        other = payment.create({**values, "billpay_payment_id": False})
        for refused in (
            {"billpay_payment_id": row.id},
            {"billpay_part": 3},
        ):
            with self.assertRaises(AccessError):
                other.write(refused)
        with self.assertRaises(AccessError):
            payment.write({"billpay_payment_id": False})
        payment.write({"billpay_payment_id": row.id, "billpay_part": 0})
        self.assertEqual(payment.billpay_payment_id.sudo(), row.sudo())

    # === Entries of booked payments === #

    def test_booked_payment_is_not_deleted(self):
        _move, row = self._booked()
        payment = row.account_payment_ids.with_user(self.accountant)
        payment.action_draft()
        with self.assertRaises(UserError) as caught:
            payment.unlink()
        self.assertIn("Cancel it instead", str(caught.exception))

    def test_entry_reset_and_posted_again_is_told_by_the_ledger(self):
        _move, row = self._booked(150000)
        payment = row.account_payment_ids.with_user(self.accountant)
        self.assertFalse(row.attention)
        payment.action_draft()
        self.assertTrue(row.attention)
        self.assertIn("not in the books", row.reason)
        self.assertEqual(payment.move_id.state, "draft")
        payment.action_post()
        self.assertFalse(row.attention)
        self.assertFalse(row.reason)
        self.assertBooked(row, 150000)

    def test_cancelled_entry_is_told_by_the_ledger(self):
        _move, row = self._booked(150000)
        payment = row.account_payment_ids.with_user(self.accountant)
        entry = payment.move_id
        payment.action_cancel()
        self.assertTrue(row.attention)
        self.assertEqual(entry.state, "cancel")
        self.assertFalse(
            self.env["account.move.line"].search_count(
                [("move_id", "=", entry.id), ("parent_state", "=", "posted")]
            )
        )
        payment.action_draft()
        payment.action_post()
        self.assertFalse(row.attention)
        self.assertBooked(row, 150000)

    def test_entry_reset_on_its_own_form_is_told_by_the_ledger(self):
        _move, row = self._booked(150000)
        entry = row.account_payment_ids.move_id.with_user(self.accountant)
        entry.button_draft()
        self.assertTrue(row.attention)
        entry.action_post()
        self.assertFalse(row.attention)
        self.assertBooked(row, 150000)

    # === Invoices === #

    def test_invoice_shows_its_number_to_whoever_may_open_it(self):
        move = self._registered_invoice()
        seller = self._user("billpay_seller")
        self.env["ir.model.access"].sudo().create(
            {
                "name": "invoices for sellers",
                "model_id": self.env.ref("account.model_account_move").id,
                "group_id": self.env.ref("base.group_user").id,
                "perm_read": True,
            }
        )
        self.env.invalidate_all()
        seen = move.with_user(seller)
        with self.assertRaises(AccessError), mute_logger("odoo.models"):
            self.env["billpay.control.number"].with_user(seller).search([])
        names = [name for name in seen.fields_get() if name.startswith("billpay_")]
        self.assertIn("billpay_number_state", names)
        [values] = seen.read(names)
        number = move.billpay_number_id
        self.assertEqual(values["billpay_number"], number.display_number)
        self.assertEqual(values["billpay_number_digits"], number.name)
        self.assertEqual(values["billpay_number_state"], "open")
        self.assertEqual(values["billpay_number_count"], 1)
        self.assertEqual(values["billpay_payment_count"], 0)
        self.assertFalse(values["billpay_can_issue"])
        found = seen.search([("billpay_number", "ilike", number.display_number)])
        self.assertEqual(found, seen)

    # === Buttons === #

    def test_address_of_a_pay_page_is_for_whoever_may_see_the_bill(self):
        move = self._registered_invoice()
        portal = new_test_user(self.env, "billpay_portal", groups="base.group_portal")
        staff = self._user("billpay_staff")
        elsewhere = self.env["res.company"].create({"name": "Duka jingine"})
        stranger = new_test_user(
            self.env,
            "billpay_stranger",
            groups="account.group_account_invoice",
            company_id=elsewhere.id,
            company_ids=[Command.set(elsewhere.ids)],
        )
        for user in (portal, staff, stranger):
            for record, action in (
                (move, "action_billpay_pay_page"),
                (move.billpay_number_id, "action_open_pay_page"),
            ):
                with self.subTest(user.login, action=action):
                    with self.assertRaises(AccessError), mute_logger("odoo.models"):
                        getattr(record.with_user(user), action)()
        url = self.env["billpay.pay.page"]._get_pay_url(move.billpay_number_id.sudo())
        for user in (self.clerk, self.auditor):
            opened = move.with_user(user).action_billpay_pay_page()
            self.assertEqual(opened["url"], url)

    def test_refused_number_is_tried_again_by_clerks_only(self):
        number = self._invoice().billpay_number_id
        number.sudo().write({"state": "failed", "sync_at": False})
        with self.assertRaises(AccessError):
            number.with_user(self.auditor).action_retry()
        number.with_user(self.clerk).action_retry()
        self.assertEqual(number.state, "pending")

    def test_numbers_are_made_and_checked_by_clerks_only(self):
        self.company.billpay_issue_on = "manual"
        move = self._invoice()
        for action in ("action_billpay_issue", "action_billpay_check"):
            with self.assertRaises(AccessError):
                getattr(move.with_user(self.auditor), action)()
        move.with_user(self.clerk).action_billpay_issue()
        self.assertEqual(len(move.billpay_number_ids), 1)
        with self._workers():
            action = move.with_user(self.clerk).action_billpay_check()
        self.assertEqual(action["tag"], "display_notification")
