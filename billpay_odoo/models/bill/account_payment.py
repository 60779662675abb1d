# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, RedirectWarning, UserError
from odoo.tools import format_date

from ... import const
from ...clickpesa.values import is_gone

# Set by the payments worker alone.
_LINK_FIELDS = ("billpay_payment_id", "billpay_part", "billpay_undone_id")
# What is booked, as the ClickPesa payment says: changed by nobody.
_BOOKED_FIELDS = {
    "amount",
    "company_id",
    "currency_id",
    "date",
    "destination_account_id",
    "journal_id",
    "move_id",
    "outstanding_account_id",
    "partner_id",
    "partner_type",
    "payment_method_line_id",
    "payment_type",
}


class AccountPayment(models.Model):
    _inherit = "account.payment"

    billpay_payment_id = fields.Many2one(
        "billpay.payment",
        string="BillPay Payment",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
    )
    billpay_payer = fields.Char(
        string="Paid By",
        compute="_compute_billpay_payer",
        compute_sudo=False,
        help="Whose phone paid; the entry is of the customer.",
    )
    billpay_part = fields.Integer(
        readonly=True,
        copy=False,
        help="Which part of the ClickPesa payment this is, when it is split.",
    )
    billpay_undone_id = fields.Many2one(
        "billpay.payment",
        string="Undone BillPay Payment",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
        help="It booked this ClickPesa payment until the match was undone.",
    )

    # A ClickPesa payment is booked exactly once: the database says so.
    _billpay_part_unique = models.UniqueIndex(
        "(billpay_payment_id, COALESCE(billpay_part, 0))"
        " WHERE billpay_payment_id IS NOT NULL",
        "This part of the ClickPesa payment is already booked.",
    )

    # The words of what people and we write on a payment: the gate to the books asks
    # whether a receipt is there already, whoever wrote it.
    _billpay_words = (
        "regexp_split_to_array(upper(COALESCE(payment_reference, '') || ' ' ||"
        " COALESCE(memo, '')), '[^A-Z0-9]+')"
    )
    _billpay_words_index = models.Index(f"USING gin (({_billpay_words}))")

    # === COMPUTE METHODS === #

    @api.depends("billpay_payment_id")
    def _compute_billpay_payer(self):
        for payment in self:
            # A clerk of another department sees the entry, and not who paid.
            row = payment.sudo().billpay_payment_id.with_env(self.env)
            payment.billpay_payer = row._filtered_access("read").payer_name

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        if any(vals.get(name) for vals in vals_list for name in _LINK_FIELDS):
            self._billpay_check_worker()
        payments = super().create(vals_list)
        # Defaults, as of the context, are values as well.
        if not self.env.su and any(
            payment[name] for payment in payments for name in _LINK_FIELDS
        ):
            self._billpay_check_worker()
        return payments

    def write(self, vals):
        for name in vals.keys() & set(_LINK_FIELDS):
            write = self._fields[name].convert_to_write
            if any((write(p[name], p) or 0) != (vals[name] or 0) for p in self):
                self._billpay_check_worker()
        self._billpay_refuse_changes(self, vals, _BOOKED_FIELDS)
        if "state" not in vals:
            return super().write(vals)
        # The context alone could come from anybody.
        if not (self.env.su and self.env.context.get("billpay_undoing")):
            undone = self.filtered("billpay_undone_id")
            undone.filtered(lambda p: p.state != vals["state"])._billpay_refuse_undone()
        linked = self.filtered("billpay_payment_id")
        before = linked.filtered(lambda p: p.state in const.ENTRY_POSTED)
        confirming = self.with_context(billpay_confirming=True)
        result = super(AccountPayment, confirming).write(vals)
        after = linked.filtered(lambda p: p.state in const.ENTRY_POSTED)
        (before - after)._billpay_out_of_books()
        (after - before)._billpay_back_in_books()
        if not (self.env.su and self.env.context.get("billpay_posting")):
            # With an entry, what is reconciled tells what is due.
            entryless = self.filtered(lambda payment: not payment.move_id)
            self.env["billpay.reservation"]._follow(entryless.invoice_ids)
        return result

    # === BUSINESS METHODS === #

    @api.ondelete(at_uninstall=False)
    def _unlink_never_billpay(self):
        self._billpay_refuse_unlink()
        if undone := self.filtered("billpay_undone_id"):
            raise UserError(
                self.env._(
                    "%s shows that a ClickPesa payment was first booked for something "
                    "else. It is not in the books and is kept as a trace.",
                    undone[0].display_name,
                )
            )

    def _billpay_refuse_unlink(self):
        """:raise UserError: one of them books a ClickPesa payment"""
        if any(payment.billpay_payment_id for payment in self):
            raise UserError(
                self.env._(
                    "This payment books a ClickPesa payment, so it is not deleted: "
                    "the money would vanish from the books. Cancel it instead; its "
                    "ClickPesa payment is then marked for attention."
                )
            )

    @api.model
    def _billpay_refuse_changes(self, records, vals, names):
        """Refuse to change what is booked for a ClickPesa payment.

        :param records: payments, their entries, or the journal items of these
        :param names: the fields that say what is booked
        :raise RedirectWarning: with the button that leads on
        :raise UserError: to a user who may not press it
        """
        if self.env.su or names.isdisjoint(vals):
            return
        path = {
            "account.move": "origin_payment_id",
            "account.move.line": "move_id.origin_payment_id",
        }.get(records._name, "")

        # sudo: who changes a journal item need not see payments.
        def booking(records):
            payments_sudo = records.sudo().mapped(path) if path else records.sudo()
            # While one is made, the link itself is what is looked at.
            return payments_sudo.filtered(lambda p: p.billpay_payment_id and p.move_id)

        def differs(record, name):
            field = record._fields[name]
            if field.type == "one2many":
                return bool(vals[name])
            cached = field.convert_to_cache
            return cached(vals[name], record) != cached(record[name], record)

        for record in records if booking(records) else ():
            payment_sudo = booking(record)
            if payment_sudo and any(differs(record, n) for n in names & vals.keys()):
                payment_sudo.with_env(self.env)._billpay_refuse_edit()

    def _billpay_refuse_edit(self):
        """:raise UserError: always; ``RedirectWarning`` where there is a button"""
        row_sudo = self.sudo().billpay_payment_id
        values = {
            "payment": self.sudo().display_name,
            "reference": row_sudo.display_name,
            "amount": row_sudo.currency_id.format(row_sudo.amount),
        }
        text = self.env._(
            "%(payment)s books ClickPesa payment %(reference)s of %(amount)s. Its "
            "amount, customer, currency, date, journal and accounts follow that "
            "payment, so nothing was changed. To book the money in another way, undo "
            "the match of the ClickPesa payment, then match it again.",
            **values,
        )
        row = row_sudo.with_env(self.env)
        may_undo = row.has_access("read") and self.env.user._billpay_may("book")
        if row_sudo.state != "posted" or not may_undo:
            raise UserError(text)
        raise RedirectWarning(text, row.action_open_undo(), self.env._("Undo Match"))

    def _billpay_check_worker(self):
        if not self.env.su:
            raise AccessError(
                self.env._(
                    "The link between a payment and ClickPesa is made when the "
                    "ClickPesa payment is booked, and cannot be set or taken away by "
                    "hand. Nothing was changed."
                )
            )

    def action_cancel(self):
        """Override of `account`: keep also a draft entry with its fee and discount."""
        drafts = self.filtered(
            lambda p: (
                (p.billpay_payment_id or p.billpay_undone_id)
                and p.move_id.state == "draft"
            )
        )
        if drafts:
            drafts.state = "canceled"
            drafts.move_id.button_cancel()
        others = self - drafts
        return super(AccountPayment, others).action_cancel() if others else None

    def _billpay_out_of_books(self):
        """Their entries were reset or cancelled: say so in the money ledger."""
        for payment_sudo in self.sudo():
            row_sudo = payment_sudo.billpay_payment_id
            if row_sudo.state != "posted":
                continue
            if is_gone(row_sudo.status):
                row_sudo._move_to(
                    "reversed",
                    self.env._(
                        "ClickPesa reversed this payment, and its entry was reset or "
                        "cancelled: nothing is left to do."
                    ),
                )
                row_sudo.activity_unlink(["mail.mail_activity_data_warning"])
            else:
                row_sudo._warn(
                    payment_sudo._billpay_cause(),
                    self.env._(
                        "Its entry was reset or cancelled: this money is not in the "
                        "books. Open it with the button Payment, set it to draft if "
                        "it is cancelled, and confirm it: it then pays again what it "
                        "paid before."
                    ),
                )

    def _billpay_reversed(self):
        """Their entries were mirrored: say so in the money ledger.

        For money that went back the worker says more: it does it, or looks after it.
        """
        for payment_sudo in self.sudo():
            row_sudo = payment_sudo.billpay_payment_id
            if row_sudo.state != "posted":
                continue
            if is_gone(row_sudo.status):
                row_sudo._due_now()
            else:
                row_sudo._warn(
                    payment_sudo._billpay_cause(),
                    self.env._(
                        "The journal entry was reversed manually, so this payment is "
                        "not in the books. Press Undo Match, then match it again."
                    ),
                )

    def _billpay_back_in_books(self):
        """Their entries are posted again, and pay what they paid before.

        An entry that was changed meanwhile stays in sight until it is as it was.
        """
        for payment_sudo in self.sudo():
            row_sudo = payment_sudo.billpay_payment_id
            # While it is booked for the first time the worker writes the outcome.
            if row_sudo.state not in ("posted", "reversed"):
                continue
            if is_gone(row_sudo.status):
                text = self.env._(
                    "ClickPesa reversed this payment, but its entry is posted again. "
                    "Cancel it: the button Payment opens it."
                )
                row_sudo._move_to("posted", text, flagged=True)
            elif row_sudo.state == "posted":
                payment_sudo._billpay_book_again(row_sudo)

    def _billpay_cause(self):
        """Return the name under which the ledger warns of this booking."""
        return f"booking:{self.id}"

    def _billpay_book_again(self, row):
        """Compare the entry with what it was, and let it pay what it paid.

        :param billpay.payment row: the ClickPesa payment that it books
        """
        cause, entry = self._billpay_cause(), self.move_id
        before = entry.billpay_before or {}
        if text := self._billpay_changes(before.get("booked")):
            row._warn(
                cause,
                self.env._(
                    "ClickPesa reported %(amount)s, but %(payment)s was changed before "
                    "it was confirmed again. %(changes)s Press Undo Match, then match "
                    "the payment again.",
                    amount=row.currency_id.format(row.amount),
                    payment=self.display_name,
                    changes=text,
                ),
            )
            return
        reservation = self.env["billpay.reservation"]
        missing = reservation._pay_again(before.get("paid") or []) - entry
        entry._billpay_forget()
        row._end_warning(cause)
        if missing:
            # Ends when the credit is used.
            row._warn(
                f"surplus:{entry.id}",
                self.env._(
                    "Its entry is in the books again, but it does not pay %(bills)s as "
                    "before: less is due there now. Press Use Credit to use the rest, "
                    "or Undo Match and match the payment again.",
                    bills=", ".join(missing.mapped("display_name")),
                ),
            )

    # === WHAT THE BOOKS SAY === #

    def _billpay_booked(self):
        """Return what this payment and its entry say, as it is kept in the database."""
        entry = self.move_id
        return {
            "amount": self.amount,
            "currency": self.currency_id.id,
            "customer": self.partner_id.id,
            "date": fields.Date.to_string(entry.date),
            "journal": entry.journal_id.id,
            "items": sorted(
                [
                    line.account_id.id,
                    line.partner_id.id,
                    line.currency_id.id,
                    line.amount_currency,
                    line.balance,
                ]
                for line in entry.line_ids
            ),
        }

    def _billpay_changes(self, before):
        """Return what is different in the books, with both figures; "" for nothing.

        :param dict before: of ``_billpay_booked``, when the entry left the books
        """
        env, now = self.env, self._billpay_booked()
        if not before:
            return self._billpay_too_little()
        if now["date"] != before["date"] and self.move_id._get_violated_lock_dates(
            fields.Date.to_date(before["date"]), False
        ):
            # Odoo itself chose the first open day.
            before = {**before, "date": now["date"]}

        def amount(said):
            currency = env["res.currency"].browse(said["currency"])
            return currency.format(said["amount"])

        def name(model, key):
            return lambda said: env[model].browse(said[key]).display_name or "-"

        def accounts(said):
            return ", ".join(
                "%s %s"
                % (
                    env["account.account"].browse(account).display_name,
                    env["res.currency"].browse(currency).format(value),
                )
                for account, _partner, currency, value, _balance in said["items"]
            )

        shown = {
            env._("Amount"): (("amount", "currency"), amount),
            env._("Customer"): (("customer",), name("res.partner", "customer")),
            env._("Date"): (
                ("date",),
                lambda said: format_date(env, said["date"]),
            ),
            env._("Journal"): (("journal",), name("account.journal", "journal")),
        }
        found = {
            label: show
            for label, (keys, show) in shown.items()
            if any(now[key] != before[key] for key in keys)
        }
        if not found and now["items"] != before["items"]:
            found = {env._("Journal Items"): accounts}
        return " ".join(
            env._(
                "%(what)s: %(now)s instead of %(before)s.",
                what=label,
                now=show(now),
                before=show(before),
            )
            for label, show in found.items()
        )

    def _billpay_too_little(self):
        """Return what is different where only the ledger knows what was booked."""
        row = self.billpay_payment_id
        lines = row.account_payment_ids.move_id.line_ids.filtered(
            lambda line: (
                line.account_id == line.move_id.origin_payment_id.destination_account_id
            )
        )
        credited = -sum(lines.mapped("amount_currency"))
        if lines.currency_id == row.currency_id and row.amount - credited < 1:
            return ""
        return self.env._(
            "The books have %(credited)s.",
            credited=lines.currency_id[:1].format(credited),
        )

    def _synchronize_to_moves(self, changed_fields):
        """Override of `account`: an entry keeps its fee, its discount and their tax.

        Odoo makes one journal item of all that is written off. Only the server itself
        changes what is booked; the ledger then says so.
        """
        linked = self.filtered("billpay_payment_id")
        if not _BOOKED_FIELDS.isdisjoint(changed_fields):
            for payment in linked.filtered(lambda p: p.move_id.state == "draft"):
                payment._billpay_synchronize(changed_fields)
        return super(AccountPayment, self - linked)._synchronize_to_moves(
            changed_fields
        )

    def _billpay_synchronize(self, changed_fields):
        liquidity, counterpart, write_offs = self._seek_for_lines()
        values = self._prepare_move_line_default_vals(
            write_off_line_vals=[
                {"amount_currency": line.amount_currency, "balance": line.balance}
                for line in write_offs
            ]
        )
        pairs = zip((liquidity, counterpart), values[:2], strict=True)
        vals = {
            "date": self.date,
            "partner_id": self.partner_id.id,
            "currency_id": self.currency_id.id,
            "line_ids": [
                fields.Command.update(line.id, wanted)
                for lines, wanted in pairs
                for line in lines[:1]
            ],
        }
        if "journal_id" in changed_fields:
            # As Odoo does it: the entry gets a name of its new journal.
            vals.update(name="/", journal_id=self.journal_id.id)
        self.move_id.with_context(skip_invoice_sync=True).write(vals)

    def _billpay_refuse_undone(self):
        """:raise UserError: there are any"""
        if not self:
            return
        raise UserError(
            self.env._(
                "%(payment)s booked ClickPesa payment %(reference)s until that match "
                "was undone. Changing it would put the same money into the books "
                "twice, so nothing was changed: open the ClickPesa payment to see how "
                "it is booked now.",
                payment=self[0].display_name,
                reference=self[0].sudo().billpay_undone_id.display_name,
            )
        )

    def _billpay_leave_books(self):
        """Cancel the entry, or reverse it where it must not be touched any more."""
        entry = self.move_id
        if entry.state != "posted" or self._billpay_may_be_cancelled(entry):
            # What is in no books is not reversed in them.
            self.filtered(lambda p: p.state != "canceled").action_cancel()
            return
        # Reversed by hand it is out of the books already.
        reverse = entry.reversal_move_ids.filtered(lambda move: move.state == "posted")
        if not reverse:
            ref = self.env._("Match undone: %s", entry.ref or entry.name)
            values = {"date": self._billpay_open_day(entry), "ref": ref}
            reverse = entry._reverse_moves([values])
            reverse.action_post()
        lines = entry.line_ids + reverse.line_ids
        open_lines = lines.filtered(
            lambda line: line.account_id.reconcile and not line.reconciled
        )
        for group in open_lines.grouped("account_id").values():
            # The bank side may be matched with a statement: that stays as it is.
            if len(group.move_id) > 1:
                group.reconcile()

    def _billpay_may_be_cancelled(self, entry):
        # Open period, no hash, no bank statement on its money.
        liquidity, _counterpart, _writeoff = self._seek_for_lines()
        locks = entry._get_violated_lock_dates(entry.date, entry._affect_tax_report())
        at_bank = liquidity.matched_debit_ids or liquidity.matched_credit_ids
        return (
            entry.state == "posted"
            and entry.show_reset_to_draft_button
            and "posted" not in entry.reversal_move_ids.mapped("state")
            and not locks
            and not at_bank
        )

    def _billpay_open_day(self, entry):
        """Return today, or the first open day after a period that is closed."""
        tz = self.company_id._billpay_tz().zone
        today = fields.Date.context_today(self.with_context(tz=tz))
        locks = entry._get_violated_lock_dates(today, entry._affect_tax_report())
        return max(day for day, _field in locks) + timedelta(days=1) if locks else today
