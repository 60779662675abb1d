# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The story of one payment: what happened when, in one list."""

from markupsafe import Markup

from odoo import api, fields, models
from odoo.tools import format_datetime

STEP = Markup(
    '<tr><td class="text-muted text-nowrap pe-3 align-top">%s</td>'
    '<td class="pe-2 align-top"><i class="fa %s" role="img"></i></td><td>%s</td></tr>'
)
# Babel's pattern; names of months come in the reader's language.
MOMENT = "d MMM y HH:mm:ss"
GREY, GREEN, AMBER = "text-muted", "text-success", "text-warning"


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

    story = fields.Html(compute="_compute_story", sanitize=False, compute_sudo=True)

    @api.depends_context("lang", "tz", "uid")
    def _compute_story(self):
        for payment in self:
            # Of steps within one second, the one that is told first came first.
            steps = sorted(
                payment._story_steps(), key=lambda step: step[0].replace(microsecond=0)
            )
            rows = Markup().join(
                STEP
                % (format_datetime(payment.env, moment, dt_format=MOMENT), icon, text)
                for moment, icon, text in steps
            )
            payment.story = Markup("<table><tbody>%s</tbody></table>") % rows

    def _story_steps(self):
        """Return ``(moment, icon, text)`` of everything that is known to have happened.

        Moments are UTC; the list is not sorted.
        """
        self.ensure_one()
        steps = [
            *self._story_of_arrival(),
            *self._story_of_decisions(),
            *self._story_of_books(),
        ]
        return [step for step in steps if step[0]]

    def _story_of_arrival(self):
        yield (
            self.paid_at,
            f"fa-mobile {GREY}",
            self.env._(
                "Paid by %(payer)s with %(channel)s",
                payer=self.payer_name or self.payer_phone or "?",
                channel=self.channel_id.name or self.channel_code or "BillPay",
            ),
        )
        for event in self.event_ids:
            text = self.env._("Announced by a delivery of ClickPesa")
            if event.times > 1:
                text = self.env._(
                    "Announced by a delivery of ClickPesa, %s times", event.times
                )
            if event.signed:
                text = self.env._("%s, with a valid signature", text)
            yield event.received_at, f"fa-bell-o {GREY}", text
        yield self.poll_at, f"fa-search {GREY}", self.env._("Seen when we asked")
        how = self._fields["entered_how"].convert_to_export(self.entered_how, self)
        yield (
            self.entered_at,
            f"fa-keyboard-o {GREY}",
            self.env._(
                "%(how)s by %(user)s", how=how or "", user=self.entered_by_id.name
            ),
        )
        text = self.env._("Confirmed: the money is at ClickPesa")
        if self.confirmed_by_id:
            text = self.env._("Confirmed by %s", self.confirmed_by_id.name)
        yield self.confirmed_at, f"fa-check {GREEN}", text

    def _story_of_decisions(self):
        yield (
            self.matched_at,
            f"fa-link {GREEN}",
            self.env._("Matched by %s", self.matched_by_id.name),
        )
        yield (
            self.undone_at,
            f"fa-chain-broken {AMBER}",
            self.env._(
                "Match undone by %(user)s: %(why)s",
                user=self.undone_by_id.name,
                why=self.undone_why,
            ),
        )
        yield (
            self.ignored_at,
            f"fa-archive {AMBER}",
            self.env._(
                "Put aside by %(user)s: %(why)s",
                user=self.ignored_by_id.name,
                why=self.ignored_why,
            ),
        )
        if self.state in ("received", "failed"):
            yield (
                self.next_try_at,
                f"fa-clock-o {GREY}",
                self.env._("The next try, after %s so far", self.attempts),
            )

    def _story_of_books(self):
        if self.posted_at and self.control_number_id and not self.matched_at:
            yield (
                self.posted_at,
                f"fa-link {GREEN}",
                self.env._(
                    "Matched by the control number %s",
                    self.control_number_id.display_number,
                ),
            )
        for booking in self.account_payment_ids:
            yield self.posted_at, f"fa-book {GREEN}", self._story_of_booking(booking)
        for booking in self.undone_payment_ids:
            yield (
                booking.create_date,
                f"fa-book {GREY}",
                self.env._(
                    "Booked as %s, which was taken out of the books again",
                    booking.display_name,
                ),
            )

    def _story_of_booking(self, booking):
        bills = booking.reconciled_invoice_ids
        if bills:
            return self.env._(
                "Booked as %(payment)s for %(invoices)s",
                payment=booking.display_name,
                invoices=", ".join(bills.mapped("display_name")),
            )
        return self.env._(
            "Booked as %(payment)s, credit of %(customer)s",
            payment=booking.display_name,
            customer=booking.partner_id.display_name,
        )
