# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A reader can follow a delivery into the books without losing the way."""

from odoo.tests import tagged

from .common import BillPayHttpCommon
from .tracing import MOST_CHANGES, MOST_ROOMS, Tracer


@tagged("post_install", "-at_install")
class TestWayOfADelivery(BillPayHttpCommon):
    def _trace(self, confirmation):
        """Record a payment of an invoice from the webhook to the reconciled entry."""
        self.provider.clickpesa_confirmation = confirmation
        move = self._registered_invoice(150000)
        paid = self._pay(move.billpay_number_id.name, 150000)
        body = self.sandbox.webhook_body(paid["id"])
        self.env.flush_all()
        self.env.invalidate_all()
        # What an earlier test left in memory changes no figure.
        self.env.registry.clear_all_caches()
        calls = self.sandbox.count_calls()
        with Tracer() as tracer:
            response = self._deliver(body)
            self._process()
        self.assertEqual(response.status_code, 200)
        asked = self.sandbox.count_calls() > calls
        self.assertEqual(asked, confirmation == "query")
        payment = self._ledger(paid)
        self.assertBooked(payment, 150000)
        self.assertEqual(payment.event_ids.mapped("state"), ["done"])
        self.assertEqual(move.amount_residual, 0)
        self.assertIn(move.payment_state, ("paid", "in_payment"))
        self.assertIn("billpay_odoo/controllers/webhook.py", tracer.rooms)
        return tracer

    def assertShortWay(self, tracer):
        if tracer.changes <= MOST_CHANGES and len(tracer.rooms) <= MOST_ROOMS:
            return
        self.fail(
            "%s, at most %s and %s are allowed:\n%s"
            % (tracer.summary(), MOST_CHANGES, MOST_ROOMS, "\n".join(tracer.table()))
        )

    def test_delivery_confirmed_by_query_is_followed_through_few_files(self):
        self.assertShortWay(self._trace("query"))

    def test_delivery_confirmed_by_signature_is_followed_through_few_files(self):
        self.assertShortWay(self._trace("signature"))
