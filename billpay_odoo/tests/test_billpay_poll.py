# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import dataclasses
from unittest.mock import patch

from odoo.tests import tagged

from ..clickpesa import ClickPesaClient
from .common import BillPayCommon


@tagged("post_install", "-at_install")
class TestPollRows(BillPayCommon):
    def test_row_without_identity_is_shown_and_holds_up_nothing(self):
        move = self._registered_invoice(7000)
        payment = self._pay(move.billpay_number_id.name, 7000)
        nameless = self._pay("1122888", 500)
        original = ClickPesaClient.payments_page

        def page(client, **how):
            told = original(client, **how)
            return dataclasses.replace(
                told,
                payments=tuple(
                    dataclasses.replace(p, id="") if p.id == nameless["id"] else p
                    for p in told.payments
                ),
            )

        with (
            patch.object(ClickPesaClient, "payments_page", page),
            self.assertLogs("odoo.addons.billpay_odoo.models", "WARNING") as logs,
        ):
            self._poll()
        self.assertIn("without an id", logs.output[0])
        self.assertTrue(self.provider.billpay_polled_until)
        self.assertIn("without an identity", self.provider.billpay_poll_error)
        self._process()
        self.assertBooked(self._ledger(payment), 7000)
        self._poll()
        self.assertFalse(self.provider.billpay_poll_error)
