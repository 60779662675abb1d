# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Whose money is it? One merchant may have several applications, or share one.

An announcement need not name its application, and a number may be made after it was
paid. So a payment may be filed where it does not belong until ClickPesa, or the number,
tells better. It then moves, as long as nothing was decided about it: a second row would
count the same money twice.
"""

from odoo import api, models


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

    @api.model
    def _owner(self, provider, told, trusted):
        """Return the application a payment belongs to.

        One merchant may have several applications, and the query API may tell one of
        the payments of the other.

        :param payment.provider provider: the application that is told
        :param bool trusted: ClickPesa itself tells, so what was filed elsewhere moves
        """
        # What names no application is of one that has the client ID of the teller.
        client_id = told.client_id or provider.sudo().clickpesa_client_id
        if not client_id:
            return provider
        sharing = (
            self.env["payment.provider"]
            .sudo()
            .search(
                [
                    ("code", "=", "clickpesa"),
                    ("clickpesa_client_id", "=", client_id),
                    ("clickpesa_base_url", "=", provider.clickpesa_base_url),
                ],
                order="id",
            )
        )
        owner = sharing[:1] or provider
        if not told.client_id and provider in sharing:
            owner = provider
        if len(sharing) > 1:
            # Companies that share one application: the number tells whose money it is.
            number = self.new({"number": told.reference})._find_control_number(sharing)
            owner = number.provider_id or self._filed_with(told, sharing) or owner
        if trusted and (provider | sharing) - owner:
            return self._bring_home(told, provider | sharing, owner)
        return owner

    @api.model
    def _filed_with(self, told, providers):
        """Return the application among these that has the payment already."""
        return self.search(
            [
                ("provider_id", "in", providers.ids),
                ("reference", "=", told.id),
                ("merged_into_id", "=", False),
            ],
            order="id",
            limit=1,
        ).provider_id

    @api.model
    def _bring_home(self, told, providers, owner):
        """Move what these applications hold of a payment to its owner.

        :return: the owner; or another one, where the payment is decided about
        """
        rows = self.search(
            [
                ("provider_id", "in", providers.ids),
                ("reference", "=", told.id),
                ("merged_into_id", "=", False),
            ]
        )
        home = rows.filtered(lambda row: row.provider_id == owner)
        for stray in rows - home:
            if stray._is_decided():
                return stray.provider_id
            if home:
                stray._merge_into_home(home)
            else:
                stray._move_home(owner)
                home = stray
        return owner

    def _is_decided(self):
        """Whether it is booked, or a person has had a hand in it."""
        self.ensure_one()
        return bool(
            self.account_payment_ids
            or self.confirmed_by_id
            or self.ignored_by_id
            or self.undone_at
            or self._is_persons_choice()
        )

    def _move_home(self, owner):
        self.ensure_one()
        was = self.provider_id
        self.write({"provider_id": owner.id, "control_number_id": False})
        self._message_log(
            body=self.env._(
                "It was announced to the application %(was)s and belongs to %(owner)s.",
                was=was.name,
                owner=owner.name,
            )
        )

    def _merge_into_home(self, home):
        self.ensure_one()
        self.write(
            {
                "state": "ignored",
                "attention": False,
                "merged_into_id": home.id,
                "next_try_at": False,
                "reason": self.env._(
                    "It was announced here and belongs to the application %s, where it "
                    "is: one payment, told twice.",
                    home.provider_id.name,
                ),
            }
        )
        self.event_ids.write({"payment_id": home.id})
