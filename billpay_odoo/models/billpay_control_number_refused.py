# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A number that ClickPesa refuses: who is told, and what ends it."""

from odoo import SUPERUSER_ID, fields, models
from odoo.exceptions import AccessError

from .billpay_control_number_outcomes import UNSENT


class BillpayControlNumber(models.Model):
    _inherit = "billpay.control.number"  # pylint: disable=consider-merging-classes-inherited

    refusal_activity_id = fields.Many2one(
        "mail.activity",
        string="Refusal To Do",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        help="Asks somebody to look at the refusal. Gone when the number is registered "
        "after all, or closed.",
    )

    # === CRUD METHODS === #

    def write(self, vals):
        result = super().write(vals)
        if vals.get("state") in ("open", "paid", "closed"):
            # sudo: an activity belongs to its user; its cause is gone all the same.
            self.sudo().refusal_activity_id.unlink()
        return result

    # === TELL === #

    def _tell_refusal(self, reason):
        """Note a refusal in the chatter and ask the responsible user to act.

        :param str reason: ClickPesa's words
        """
        self.ensure_one()
        bill = self.move_id or self
        user = self._refusal_user()
        number = self.with_context(lang=user.lang or self.env.lang)
        text = number.env._(
            "ClickPesa refused the control number %(name)s: %(reason)s The bill is "
            "valid, but cannot be paid by control number yet. Correct the cause and "
            "press Retry, or press Take Another Number.",
            name=self.name,
            # ClickPesa's own words end without a full stop, ours have one.
            reason=reason.rstrip(" .") + ".",
        )
        bill._message_log(body=text)
        if self.refusal_activity_id.active:
            self.refusal_activity_id.note = text
            return
        # Quietly: an application that is set up wrongly would send a mail per bill.
        self.refusal_activity_id = bill.with_context(
            mail_activity_quick_update=True
        ).activity_schedule(
            "mail.mail_activity_data_warning",
            summary=number.env._("Control number %s was refused", self.name),
            note=text,
            user_id=user.id,
        )

    def _refusal_user(self):
        """Return who is to look at a refusal: salesperson, maker, or a manager."""
        self.ensure_one()
        company = self.company_id
        managers = self.env.ref("billpay_odoo.group_billpay_manager").all_user_ids
        candidates = (
            self.move_id.invoice_user_id
            + (self.move_id or self).create_uid
            + managers.sorted("id")
        )
        fitting = candidates.filtered(
            lambda user: (
                user.active
                and not user.share
                and user.id != SUPERUSER_ID
                and company in user.company_ids
            )
        )
        return fitting[:1]

    # === ACTION METHODS === #

    def _check_may_retry(self):
        """Refused numbers are for those who make invoices.

        :raise AccessError: the user does not
        """
        self.check_access("read")
        if not self.env.user.has_group("account.group_account_invoice"):
            raise AccessError(
                self.env._(
                    "Only users with the right to make invoices can try a control "
                    "number again. No money is affected: ask your accountant."
                )
            )

    def action_take_another_number(self):
        """Register refused numbers under other digits."""
        self._check_may_retry()
        refused = self.filtered(lambda n: n.state == "failed" and n.origin == "api")
        for provider, numbers in refused.sudo().grouped("provider_id").items():
            references = provider._billpay_next_references(len(numbers))
            for number, reference in zip(numbers, references, strict=True):
                number._take_digits(reference)
        if refused:
            self.env["payment.provider"]._billpay_trigger("ir_cron_sync_numbers")

    def _take_digits(self, reference):
        self.ensure_one()
        old = self.name
        self.with_context(tracking_disable=True).write(
            {
                "name": reference,
                "state": "pending",
                "sync_at": fields.Datetime.now(),
                **UNSENT,
            }
        )
        # The old digits stay findable: somebody may have copied them from a screen.
        (self.move_id or self)._message_log(
            body=self.env._(
                "The control number %(name)s is taken instead of %(old)s, which "
                "ClickPesa refused and never registered. Nothing was paid on it; "
                "money that is sent to it all the same comes under BillPay Payments, "
                "Unmatched.",
                name=reference,
                old=old,
            )
        )
