# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Setting up an application, and taking the add-on away again."""

from odoo.tests import tagged

from .. import uninstall_hook
from .common import BillPayCommon


@tagged("post_install", "-at_install")
class TestApplication(BillPayCommon):
    # === Uninstalling === #

    def test_uninstalling_is_not_stopped_by_booked_payments(self):
        move = self._registered_invoice(150000)
        payment = self._pay(move.billpay_number_id.name, 150000)
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        booked = row.account_payment_ids
        uninstall_hook(self.env(su=True))
        self.assertBooked(row, 150000)
        self.assertTrue(booked.payment_method_id.exists())
        self.assertRecordValues(self.provider, [{"code": "none", "state": "disabled"}])

    def test_uninstalling_without_payments_removes_the_method(self):
        uninstall_hook(self.env(su=True))
        methods = self.env["account.payment.method"].search(
            [("code", "=", "clickpesa")]
        )
        self.assertFalse(methods)
        self.assertRecordValues(self.provider, [{"code": "none", "state": "disabled"}])
