# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The run worker: reserves the numbers of running runs, chunk by chunk.

It makes no call. A chunk is one transaction: its lines are locked, their numbers
reserved and linked, and all of it is committed or none. So a worker that is killed
leaves no number without its line, and whoever comes next takes the lines that have
none. Several may work at once: lines are taken with SKIP LOCKED.
"""

import logging
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..transactions import CONFLICTS, committed
from .billpay_control_number_customer import LIVING

_logger = logging.getLogger(__name__)

# Lines of one transaction: five calls of the sync worker.
CHUNK = 250
# When to see whether ClickPesa knows all of them.
LOOK_AGAIN = timedelta(seconds=10)


class BillpayRun(models.Model):
    _inherit = "billpay.run"  # pylint: disable=consider-merging-classes-inherited

    @api.model
    def _cron_bulk_runs(self):
        """Work on all running runs. Idle, this is one indexed query."""
        cron = self.env["ir.cron"]
        for run in self.search([("state", "=", "running")], order="id"):
            while done := committed(self.env, run._reserve_chunk):
                remaining = run._count_waiting()
                if not cron._commit_progress(done, remaining=remaining):
                    return
            committed(self.env, run._finish)

    def _count_waiting(self):
        self.ensure_one()
        return self.env["billpay.run.line"].search_count(
            [("run_id", "=", self.id), ("state", "=", "waiting")]
        )

    def _reserve_chunk(self):
        """Reserve the numbers of the next lines.

        :return: how many lines were settled; 0 when there is nothing to do
        """
        self.ensure_one()
        self.invalidate_recordset(["state"])
        if self.state != "running":
            return 0
        waiting = self.env["billpay.run.line"].search(
            [("run_id", "=", self.id), ("state", "=", "waiting")],
            order="id",
            limit=2 * CHUNK,
        )
        lines = waiting.try_lock_for_update(limit=CHUNK)
        if not lines:
            return 0
        try:
            with self.env.cr.savepoint():
                lines._reserve_numbers()
        except CONFLICTS:
            raise
        except Exception:
            # One of them cannot be made: each for itself, so that it fails alone.
            _logger.info("A chunk of %s is taken line by line", self, exc_info=True)
            lines.invalidate_recordset()
            for line in lines:
                line._reserve_alone()
        return len(lines)

    def _finish(self):
        """End a run of which every number is known or refused."""
        self.ensure_one()
        self.invalidate_recordset()
        if self.state != "running":
            return
        if self.remaining_count:
            # The sync worker is at it.
            at = fields.Datetime.now() + LOOK_AGAIN
            self.env["payment.provider"]._billpay_trigger("ir_cron_bulk_runs", at=at)
            return
        self.write({"state": "done", "finished_at": fields.Datetime.now()})
        self.message_post(
            body=self.env._(
                "Done: %(done)s numbers are ready, %(failed)s were refused.",
                done=self.done_count,
                failed=self.failed_count,
            )
        )


class BillpayRunLine(models.Model):
    _inherit = "billpay.run.line"  # pylint: disable=consider-merging-classes-inherited

    def _reserve_alone(self):
        self.ensure_one()
        try:
            with self.env.cr.savepoint():
                self._reserve_numbers()
        except CONFLICTS:
            raise
        except UserError as error:
            self.invalidate_recordset()
            self.write({"state": "failed", "error": str(error)[:500]})
        except Exception:
            _logger.exception("No number for %s", self)
            self.invalidate_recordset()
            text = self.env._("Unexpected error; see the server's log.")
            self.write({"state": "failed", "error": text})

    def _reserve_numbers(self):
        """Give these lines their numbers, those that exist already included.

        :raise UserError: one of them cannot have any
        """
        invoices = self.filtered("move_id")
        invoices._reserve_for_invoices()
        customers = self - invoices
        customers._make_contacts()
        for purpose, lines in customers.grouped("purpose_id").items():
            lines._reserve_for_customers(purpose)

    def _settle(self, numbers, made):
        """Link lines with their numbers.

        :param dict numbers: ``{line: number}``
        :param made: the numbers that did not exist before
        """
        groups = {}
        for line, number in numbers.items():
            is_made = number in made
            groups.setdefault((number, is_made), []).append(line.id)
        rows = [
            (line_id, number.id, is_made)
            for (number, is_made), ids in groups.items()
            for line_id in ids
        ]
        if not rows:
            return
        self.env["billpay.run.line"].flush_model()
        self.env.cr.execute_values(
            """
            UPDATE billpay_run_line AS line
               SET state = 'reserved', error = NULL, number_id = v.number_id,
                   is_made = v.is_made
              FROM (VALUES %s) AS v (id, number_id, is_made)
             WHERE line.id = v.id
            """,
            rows,
            page_size=CHUNK,
        )
        self.invalidate_recordset(["state", "error", "number_id", "is_made"])

    def _reserve_for_invoices(self):
        if not self:
            return
        for mode, lines in self.filtered("mode").grouped("mode").items():
            changed = lines.move_id.filtered(
                lambda move, mode=mode: move.billpay_mode != mode
            )
            changed.billpay_mode = mode
        moves = self.move_id
        before = {move: move.sudo().billpay_number_id for move in moves}
        moves._billpay_reserve_numbers()
        numbers = {}
        for line in self:
            number = line.move_id.sudo().billpay_number_id
            if number.state not in LIVING and number.state != "paid":
                line.write({"state": "failed", "error": line._why_no_number()})
                continue
            numbers[line] = number
        made = self.env["billpay.control.number"].browse()
        for move in moves:
            number = move.sudo().billpay_number_id
            if number != before[move]:
                made |= number
        self._settle(numbers, made)

    def _why_no_number(self):
        move = self.move_id
        if move.state != "posted":
            return self.env._("The invoice is not confirmed.")
        if not move.amount_residual:
            return self.env._("Nothing is due on the invoice.")
        if not move._billpay_rate():
            return move._billpay_rate_missing_text()
        return self.env._("The invoice can have no number. Open it to see why.")

    def _make_contacts(self):
        """Make contacts of the rows that are none yet: parents first.

        Parents are told apart by name and phone, so that children share theirs.
        """
        rows = self.filtered(lambda line: not line.partner_id and line.new_name)
        if not rows:
            return
        partners = self.env["res.partner"].with_context(tracking_disable=True)
        company = self.run_id.company_id
        parents = {}
        for line in rows.filtered("new_parent"):
            key = line.new_parent.casefold(), line.new_phone or ""
            if key not in parents:
                domain = [
                    ("name", "=ilike", line.new_parent),
                    ("parent_id", "=", False),
                    ("company_id", "in", (False, company.id)),
                ]
                if line.new_phone:
                    domain.append(("phone", "=", line.new_phone))
                parents[key] = partners.search(domain, limit=1) or partners.create(
                    {
                        "name": line.new_parent,
                        "phone": line.new_phone,
                        "email": line.new_email,
                        "company_id": company.id,
                    }
                )
        tags = {}
        for name in set(rows.filtered("new_tag").mapped("new_tag")):
            tag = self.env["res.partner.category"].sudo()
            tags[name] = tag.search([("name", "=", name)], limit=1) or tag.create(
                {"name": name}
            )
        known = rows._known_contacts()
        for identity, lines in rows.grouped(lambda line: line._identity()).items():
            lines.partner_id = known.get(identity) or partners.create(
                lines[0]._contact_values(parents, tags)
            )

    def _identity(self):
        """What makes two rows of a file mean the same contact."""
        if self.new_ref:
            return self.new_ref.casefold()
        return tuple(
            (value or "").casefold()
            for value in (self.new_name, self.new_parent, self.new_phone, self.new_tag)
        )

    def _known_contacts(self):
        """Return the contacts that this run has made of earlier lines."""
        earlier = self.search(
            [
                ("run_id", "in", self.run_id.ids),
                ("partner_id", "!=", False),
                ("new_name", "in", list(set(self.mapped("new_name")))),
            ]
        )
        return {line._identity(): line.partner_id for line in earlier}

    def _contact_values(self, parents, tags):
        self.ensure_one()
        parent = parents.get(
            ((self.new_parent or "").casefold(), self.new_phone or ""),
            self.env["res.partner"],
        )
        return {
            "name": self.new_name,
            "ref": self.new_ref,
            "parent_id": parent.id,
            "type": "other" if parent else "contact",
            "phone": False if parent else self.new_phone,
            "email": False if parent else self.new_email,
            "company_id": self.run_id.company_id.id,
            "category_id": [(4, tags[self.new_tag].id)] if self.new_tag else [],
        }

    def _reserve_for_customers(self, purpose):
        partners = self.partner_id
        problems = partners._billpay_contact_problems()
        living = (
            self.env["billpay.control.number"]
            .sudo()
            .search(
                [
                    ("partner_id", "in", partners.ids),
                    ("purpose_id", "=", purpose.id),
                    ("kind", "=", "customer"),
                    ("state", "in", LIVING),
                ]
            )
        )
        has = living.partner_id
        good = self.browse()
        for line in self:
            problem = problems[line.partner_id]
            if problem and line.partner_id not in has:
                line.write({"state": "failed", "error": problem})
            else:
                good |= line
        if not good:
            return
        owners = good.partner_id
        reserved = living._reserve_customer(owners, purpose).sudo()
        by_partner = dict(zip(owners, reserved, strict=True))
        numbers = {line: by_partner[line.partner_id] for line in good}
        for line, number in numbers.items():
            wanted = {}
            if line.amount:
                wanted["amount"] = line.amount
            if line.mode:
                wanted["mode"] = (
                    line.mode if (line.amount or number.amount) else ("flexible")
                )
            number._want(wanted)
        self._settle(numbers, reserved - living)


class BillpayControlNumber(models.Model):
    _inherit = "billpay.control.number"  # pylint: disable=consider-merging-classes-inherited

    def _store_created(self, requests, tries):
        """Override: a run ends with its last number, not at the next full minute."""
        result = super()._store_created(requests, tries)
        if self.env["billpay.run"].search_count([("state", "=", "running")], limit=1):
            self.env["payment.provider"]._billpay_trigger("ir_cron_bulk_runs")
        return result
