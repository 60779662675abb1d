# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Payments that ClickPesa has confirmed, without the way there."""

from itertools import count
from unittest.mock import patch

from odoo import Command, fields
from odoo.tests import tagged

from .common import BillPayCommon

_told = count(1)


@tagged("post_install", "-at_install")
class LedgerCommon(BillPayCommon):
    """Numbers are made offline: payable at once, and no call is made."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.provider.clickpesa_number_origin = "offline"

    @classmethod
    def _confirmed(cls, number, amount, **values):
        """A row of the ledger that only waits to be booked."""
        told = next(_told)
        digits = number if isinstance(number, str) else number.name
        row = (
            cls.env["billpay.payment"]
            .sudo()
            .create(
                {
                    "provider_id": cls.provider.id,
                    "reference": "LCP%s" % told,
                    "receipt": "RCPT%s" % told,
                    "number": digits,
                    "amount": amount,
                    "currency_id": cls.tzs.id,
                    "currency_code": "TZS",
                    "payer_name": "ASHA JUMA",
                    "payer_phone": "255712345678",
                    "paid_at": "2026-03-05 10:00:00",
                    "status": "SUCCESS",
                    "state": "confirmed",
                    "confirmed_at": fields.Datetime.now(),
                    **values,
                }
            )
        )
        cls._had_since(row.number, row.paid_at or row.create_date)
        return row

    def _post(self, payments, *, together=True):
        """Book these as the worker does, in one batch.

        :param bool together: it must work at the first try
        """
        payments.env.flush_all()
        booking, tries = type(payments.env["billpay.booking"]), []
        book = booking._book

        def counted(service, batch):
            tries.append(batch)
            return book(service, batch)

        with patch.object(booking, "_book", counted):
            payments.env["billpay.worker"]._post_due(payments.ids)
        if together:
            self.assertEqual(len(tries), len(payments.company_id))
        self.env.invalidate_all()
        return payments

    @classmethod
    def _number(cls, **values):
        """A control number without an invoice's own."""
        return cls.env["billpay.control.number"]._reserve(cls.provider.sudo(), [values])

    @classmethod
    def _halves(cls):
        return cls.env["account.payment.term"].create(
            {
                "name": "Halves",
                "line_ids": [
                    Command.create(
                        {"value": "percent", "value_amount": 50, "nb_days": days}
                    )
                    for days in (30, 60)
                ],
            }
        )

    def _entry(self, payment):
        return payment.account_payment_ids.move_id

    def _items(self, entry):
        """``{account type: (balance, amount in the item's currency)}``, summed."""
        items = {}
        for line in entry.line_ids:
            balance, amount = items.get(line.account_id.account_type, (0, 0))
            items[line.account_id.account_type] = (
                round(balance + line.balance, 2),
                round(amount + line.amount_currency, 2),
            )
        return items

    def _receivable(self, entry):
        return entry.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
