# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The control numbers of invoices: reserved, following what is due, closed."""

from odoo import api, models
from odoo.exceptions import UserError

from .. import const
from ..exceptions import NoDigits


class AccountMove(models.Model):
    _inherit = "account.move"  # pylint: disable=consider-merging-classes-inherited

    # === RESERVE === #

    def _billpay_wanting_numbers(self):
        """Return the invoices that may have a control number and have none to pay.

        Posted customer invoices with something due, of a company with an active
        application. BillPay collects shillings: another currency needs a rate.
        """
        provider_of = {
            company: company.sudo().billpay_provider_id for company in self.company_id
        }
        return self.filtered(
            lambda move: (
                move.move_type in ("out_invoice", "out_receipt")
                and move.state == "posted"
                and move.currency_id.compare_amounts(move._billpay_residual(), 0) > 0
                and provider_of[move.company_id].code == "clickpesa"
                and provider_of[move.company_id].state != "disabled"
                and not move.sudo().billpay_number_ids.filtered(
                    lambda number: number.state in ("pending", "open", "failed")
                )
                and (
                    move.currency_id.name == const.CURRENCY or move._billpay_rate() > 0
                )
            )
        )

    def _billpay_reserve_numbers(self):
        """Reserve one order number per invoice that wants one, without any HTTP.

        A closed number that was never paid is opened again; after a payment the new
        number follows the paid one.

        :return: the numbers
        """
        numbers = self.env["billpay.control.number"].sudo()
        for company, moves in (
            self._billpay_wanting_numbers().grouped("company_id").items()
        ):
            provider_sudo = company.sudo().billpay_provider_id
            vals_list = []
            for move in moves:
                last = move.sudo().billpay_number_ids.sorted("id")[-1:]
                if last._can_return(provider_sudo):
                    wanted = move._billpay_wanted_values(last, reissue=True)
                    if not last._cannot_ask(wanted):
                        last._want(wanted)
                        last._reopen()
                        numbers |= last
                        continue
                vals_list.append(
                    {
                        "kind": "order",
                        "move_id": move.id,
                        "predecessor_id": last.id,
                        **move._billpay_wanted_values(),
                    }
                )
            numbers |= numbers._reserve(provider_sudo, vals_list)
        return numbers

    def _billpay_say_rate_missing(self):
        """Note on invoices in another currency why they got no number."""
        for move in self:
            if (
                move.currency_id.name != const.CURRENCY
                and move.company_id.sudo().billpay_provider_id.code == "clickpesa"
                and move.move_type in ("out_invoice", "out_receipt")
                and not move._billpay_rate()
            ):
                move._message_log(body=move._billpay_rate_missing_text())

    def _billpay_rate_missing_text(self):
        self.ensure_one()
        return self.env._(
            "No control number was made: BillPay collects shillings, and Odoo knows no "
            "exchange rate between %(currency)s and TZS. The invoice is valid. Enter "
            "the rate under Invoicing, Configuration, Currencies, then press Get "
            "Control Number.",
            currency=self.currency_id.name,
        )

    def _billpay_issue_moment(self):
        self.ensure_one()
        return self.billpay_issue_on or self.company_id.billpay_issue_on

    def _billpay_asks_again(self):
        """Tell whether an invoice that is due again gets its number by itself.

        One that a payer may have comes back, whenever it was made. One that ClickPesa
        does not know comes back when numbers are made: an outage of ClickPesa can be
        passed by letting an invoice go without.
        """
        self.ensure_one()
        if self._billpay_issue_moment() == "post":
            return True
        last = self.sudo().billpay_number_ids.sorted("id")[-1:]
        provider_sudo = self.company_id.sudo().billpay_provider_id
        return last._can_return(provider_sudo) and last._is_known()

    def _billpay_reserve_or_say(self):
        """Reserve numbers where they are not the point: posting, booking, reconciling.

        An application that can make no digits stops none of it; the invoices say why
        they have no number.
        """
        try:
            self._billpay_reserve_numbers()
        except NoDigits as error:
            for move in self._billpay_wanting_numbers():
                move._message_log(
                    body=self.env._(
                        "%(reason)s The invoice is valid: press Get Control Number "
                        "when that is done.",
                        reason=str(error),
                    )
                )

    # === EVENTS OF AN INVOICE'S LIFE === #

    def _post(self, soft=True):
        posted = super()._post(soft=soft)
        issuing = posted.filtered(
            lambda move: (
                move.is_sale_document(include_receipts=True)
                and move._billpay_asks_again()
            )
        )
        issuing._billpay_reserve_or_say()
        issuing._billpay_say_rate_missing()
        posted._billpay_booked_payments()._billpay_back_in_books()
        posted.reversed_entry_id._billpay_booked_payments()._billpay_reversed()
        return posted

    def button_draft(self):
        result = super().button_draft()
        self.sudo().billpay_number_ids._close()
        # From the form of the entry: the payment's own state does not follow.
        self._billpay_booked_payments()._billpay_out_of_books()
        return result

    def button_cancel(self):
        result = super().button_cancel()
        self.sudo().billpay_number_ids._close()
        return result

    def _billpay_booked_payments(self):
        """Return the payments that these entries book, as far as ClickPesa's."""
        return self.origin_payment_id.filtered(
            lambda payment: (
                payment.billpay_payment_id and payment.state in ("in_process", "paid")
            )
        )

    def _invoice_paid_hook(self):
        """Paid in another way: the number must not collect the same money again."""
        result = super()._invoice_paid_hook()
        # Our own posting settles the numbers itself, all at once.
        if not self.env.context.get("billpay_posting"):
            self.sudo().billpay_number_ids._close()
        return result

    def _billpay_after_payment(self):
        """A control number was paid: let the others follow, ask for the rest."""
        posted = self.filtered(lambda move: move.state == "posted")
        paid = posted.filtered(
            lambda move: (
                move.currency_id.compare_amounts(move._billpay_residual(), 0) <= 0
            )
        )
        paid.sudo().billpay_number_ids._close()
        (posted - paid)._billpay_follow_residual()
        posted._billpay_reserve_or_say()

    def _billpay_follow_residual(self):
        """Let the numbers ask for what these invoices want now.

        After something was (un)reconciled, or the invoice's mode, date, name or
        customer changed. One search; none for companies without an application.
        """
        moves = self.filtered(
            lambda move: (
                move.move_type in ("out_invoice", "out_receipt")
                and move.company_id.sudo().billpay_provider_id
            )
        )
        if not moves:
            return
        numbers_sudo = (
            self.env["billpay.control.number"]
            .sudo()
            .search([("move_id", "in", moves.ids), ("kind", "=", "order")])
        )
        again = self.browse()
        for move, numbers in numbers_sudo.grouped("move_id").items():
            if move.state != "posted":
                continue
            if move.currency_id.compare_amounts(move._billpay_residual(), 0) <= 0:
                # Also by a credit note, for which Odoo calls no paid hook.
                numbers._close()
                continue
            asking = numbers.filtered(
                lambda number: number.state in ("pending", "open", "failed")
            )
            for number in asking:
                wanted = move._billpay_wanted_values(number)
                if number._cannot_ask(wanted):
                    number._close()
                    again |= move
                    continue
                number._want(wanted)
            last = numbers.sorted("id")[-1:]
            if (
                not asking
                and last.state == "closed"
                and not last._was_paid()
                and move._billpay_asks_again()
            ):
                # Due again: the number that was closed by another payment reopens.
                again |= move
        again._billpay_reserve_or_say()

    @api.ondelete(at_uninstall=False)
    def _unlink_billpay_numbers(self):
        """Numbers that nobody can have go with their invoice; others keep it."""
        numbers_sudo = self.sudo().billpay_number_ids
        used = numbers_sudo - numbers_sudo._never_left()
        if used:
            raise UserError(
                self.env._(
                    "The invoice %(invoice)s is not deleted: a payer may have its "
                    "control number %(number)s, and money sent to it must find its "
                    "invoice. Cancel the invoice instead.",
                    invoice=used[0].move_id.display_name,
                    number=used[0].display_number,
                )
            )
        numbers_sudo.unlink()
