# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The calls that the sync worker makes about leased numbers.

A refusal of one number is stored on it. Whatever concerns the whole application is
raised: the caller lets all its numbers wait.
"""

import json

from odoo import api, fields, models
from odoo.tools import SQL

from ..clickpesa import (
    ClickPesaError,
    Conflict,
    NotFound,
    NumberRequest,
    Refused,
    to_ascii,
)
from ..transactions import committed, end_transaction

# The change that switches a number off.
OFF = {"active": False}


class BillpayControlNumber(models.Model):
    _inherit = "billpay.control.number"  # pylint: disable=consider-merging-classes-inherited

    sent = fields.Json(
        readonly=True,
        copy=False,
        help="Every amount (TZS) and description under which ClickPesa was asked to "
        "register these digits. An answer may have been lost.",
    )

    # === CALLS === #

    def _request(self):
        """Return what is to be created, as the gateway client wants it.

        :raise ValueError: ClickPesa could only refuse it
        """
        self.ensure_one()
        customer = (
            self.partner_id.ensure_one()._billpay_contact_values()
            if (self.kind == "customer")
            else {}
        )
        return NumberRequest(
            reference=self.name,
            amount=self.amount or None,
            mode=self.mode if self.amount else None,
            max_amount=self.max_amount or None,
            description=self.description or "",
            **(
                {
                    "customer_name": customer["name"],
                    "customer_phone": customer["phone"],
                    "customer_email": customer["email"],
                }
                if self.kind == "customer"
                else {}
            ),
        )

    def _send_creation(self, client, tries, earlier=None):
        """Register new numbers, up to 50 in one call.

        :param dict earlier: what was sent of each number before this claim; read from
            the rows when ``None``
        :return: whether ClickPesa answered
        :raise ClickPesaError: trouble of the application, not of one number
        """
        requests = {}
        for number in self:
            try:
                requests[number.id] = number._request()
            except ValueError as error:
                # ClickPesa would refuse it, and its neighbours with it.
                refusal = Refused(str(error))
                committed(self.env, number._store_trouble, refusal, tries)
        numbers = self.browse(requests)
        if earlier is None:
            earlier = {number.id: number.sent or [] for number in numbers}
        numbers = committed(self.env, numbers._note_sent, requests, tries)
        if not numbers:
            return False
        create = (
            client.create_order_numbers
            if numbers[0].kind == "order"
            else client.create_customer_numbers
        )
        end_transaction(self.env)
        try:
            reply = create([requests[number.id] for number in numbers])
        except Refused as error:
            if error.application_wide:
                raise
            if len(numbers) > 1:
                # One item spoils the call: each for itself, so that it fails alone.
                for number in numbers:
                    if committed(self.env, number._renew_lease, tries):
                        number._send_creation(client, tries, earlier)
            elif earlier[numbers.id] or isinstance(error, Conflict):
                sent = earlier[numbers.id]
                numbers._settle_refusal(client, error.message, tries, sent)
            else:
                committed(self.env, numbers._store_trouble, error, tries)
            return True
        refused = {numbers[index]: text for index, text in reply.errors.items()}
        made = numbers.filtered(lambda number: number not in refused)
        committed(self.env, made._store_created, requests, tries)
        for number, reason in refused.items():
            if committed(self.env, number._renew_lease, tries):
                number._settle_refusal(client, reason, tries, earlier[number.id])
        return True

    def _note_sent(self, requests, tries):
        """Note what is about to be sent, before it is.

        The bill may change while an outcome is unknown; by this a number is
        recognised all the same.

        :return: the rows that are still leased, and so may be sent
        """
        numbers = self._still_leased(tries)
        if not numbers:
            return numbers
        rows = [
            SQL(
                "(%s, %s::jsonb)",
                number.id,
                json.dumps(
                    [
                        {
                            "amount": float(requests[number.id].amount or 0),
                            "description": requests[number.id].description or "",
                        }
                    ]
                ),
            )
            for number in numbers
        ]
        self.env.cr.execute(
            SQL(
                """
                UPDATE billpay_control_number n
                   SET sent = CASE jsonb_typeof(n.sent) WHEN 'array' THEN n.sent
                              ELSE '[]' END || v.sent
                  FROM (VALUES %s) AS v (id, sent)
                 WHERE n.id = v.id AND (n.sent @> v.sent) IS NOT TRUE
                """,
                SQL(", ").join(rows),
            )
        )
        numbers.invalidate_recordset(["sent"])
        return numbers

    def _settle_refusal(self, client, reason, tries, sent):
        """A creation was refused: is the number there already, and is it ours?

        :param list sent: what was sent before this claim; if nothing was, nobody can
            have registered the number for us
        """
        self.ensure_one()
        name = self.name
        end_transaction(self.env)
        try:
            there = client.get_number(name)
        except NotFound:
            committed(self.env, self._store_trouble, Refused(reason), tries)
            return
        except Refused as error:
            if error.application_wide:
                raise
            committed(self.env, self._store_trouble, error, tries)
            return
        if any(self._is_what_was_sent(there, item) for item in sent):
            committed(self.env, self._store_adopted, there, tries)
        else:
            committed(self.env, self._store_collision, tries)

    @api.model
    def _is_what_was_sent(self, there, item):
        """Tell whether a number at ClickPesa is the one that we sent.

        The description names the bill; only without one the amount has to do.
        """
        text = to_ascii(item["description"], 500)
        if to_ascii(there.description or "", 500) != text:
            return False
        return bool(text) or float(there.amount or 0) == item["amount"]

    def _send_change(self, client, tries):
        """Send one PATCH with exactly what differs.

        :return: whether ClickPesa answered
        :raise ClickPesaError: trouble of the application, not of this number
        """
        self.ensure_one()
        name, difference = self.name, self._difference()
        end_transaction(self.env)
        refusal = None
        if difference:
            try:
                client.update_number(name, **difference)
            except ClickPesaError as error:
                if not isinstance(error, Refused) or error.application_wide:
                    raise
                # What is not there takes no money, which is all that was wanted.
                if not (isinstance(error, NotFound) and difference == OFF):
                    refusal = error
            except ValueError as error:
                refusal = Refused(str(error))
        if refusal:
            committed(self.env, self._store_trouble, refusal, tries)
        else:
            committed(self.env, self._store_known, difference, tries)
        return bool(difference)
