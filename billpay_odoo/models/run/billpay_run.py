# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import logging
import math
from collections import Counter, defaultdict
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import format_duration
from odoo.tools.pdf import merge_pdf

from ... import money
from ...actions import CLOSE, dialog, notify, window
from ...const import LIVING, MONEY, SEND_CRON
from ...spreadsheet import download_xlsx
from ...transactions import CONFLICTS, INTERRUPTIONS, committed, each
from ..billpay_guarded import BillpayGuarded

_logger = logging.getLogger(__name__)

# How the pieces of a PDF are told from what people attach.
PART = "billpay_part"
# Lines of which a person should know something.
_PROBLEMS = ("|", ("outcome", "in", ("problem", "failed")), ("error", "!=", False))
# When to see whether ClickPesa knows all of them.
LOOK_AGAIN = timedelta(seconds=10)


class BillpayRun(models.Model):
    """One job that gives many invoices or customers their numbers."""

    _name = "billpay.run"
    _inherit = ["mail.thread", BillpayGuarded._name]
    _description = "Bulk Run of Control Numbers"
    _billpay_server_fields = frozenset(
        "download download_name company_id state source line_ids started_at"
        " started_by_id finished_at printing printed_line_id card_job sending"
        " send_job".split()
    )
    # Lines of one transaction: five calls of the sync worker.
    _chunk = 250
    # Invoices of one rendering: what fits into a worker's memory and time.
    _print_chunk_size = 50
    # Lines that one transaction sends; more than these are sent in the background.
    _send_chunk_size = 100
    _order = "id desc"
    _check_company_auto = True
    _mail_post_access = "read"

    download = fields.Binary(attachment=False, readonly=True, copy=False)
    download_name = fields.Char(readonly=True, copy=False)
    name = fields.Char(
        required=True,
        default=lambda self: self.env._("Run of %s", self.env.company._billpay_today()),
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        readonly=True,
        default=lambda self: self.env.company,
        index=True,
    )
    state = fields.Selection(
        [
            ("draft", "To Check"),
            ("running", "Running"),
            ("paused", "Paused"),
            ("done", "Done"),
            ("cancelled", "Cancelled"),
        ],
        default="draft",
        required=True,
        readonly=True,
        copy=False,
        tracking=True,
    )
    department_id = fields.Many2one("account.analytic.account", index="btree_not_null")
    source = fields.Char(readonly=True, help="Where the lines come from.")
    create_contacts = fields.Boolean(
        string="Make Missing Contacts",
        help="Rows of the spreadsheet that are no contact yet become one.",
    )
    line_ids = fields.One2many("billpay.run.line", "run_id")
    started_at = fields.Datetime(readonly=True, copy=False)
    started_by_id = fields.Many2one(
        "res.users",
        readonly=True,
        copy=False,
        help="The run does what this user may do.",
    )
    finished_at = fields.Datetime(readonly=True, copy=False)
    line_count = fields.Integer(string="Lines", compute="_compute_counts")
    problem_count = fields.Integer(string="Problems", compute="_compute_counts")
    has_problems = fields.Boolean(compute="_compute_has_problems", compute_sudo=True)
    waiting_count = fields.Integer(string="To Reserve", compute="_compute_counts")
    coming_count = fields.Integer(string="Being Registered", compute="_compute_counts")
    done_count = fields.Integer(string="Ready", compute="_compute_counts")
    failed_count = fields.Integer(string="Refused", compute="_compute_counts")
    remaining_count = fields.Integer(string="Remaining", compute="_compute_counts")
    progress = fields.Float(compute="_compute_counts")
    rate = fields.Float(
        string="Numbers per Minute", digits=(12, 0), compute="_compute_counts"
    )
    time_left = fields.Char(compute="_compute_counts")
    estimate = fields.Char(compute="_compute_estimate")
    payment_total = fields.Monetary(string="Paid", compute="_compute_payment_total")
    currency_id = fields.Many2one("res.currency", compute="_compute_payment_total")
    rest_reason = fields.Char(compute="_compute_rest_reason", compute_sudo=True)
    sending_count = fields.Integer(compute="_compute_sending_count")
    printing = fields.Boolean(readonly=True, copy=False)
    printed_line_id = fields.Many2one("billpay.run.line", readonly=True, copy=False)
    card_job = fields.Json(
        readonly=True,
        copy=False,
        prefetch=False,
        help="The numbers whose cards are still to print, and how.",
    )
    sending = fields.Boolean(readonly=True, copy=False)
    send_job = fields.Json(
        readonly=True,
        copy=False,
        prefetch=False,
        help="The lines that are still to send, and for whom.",
    )
    background = fields.Char(
        compute="_compute_background", help="What the worker prints and sends."
    )

    # The worker's question, answered without touching runs that are over.
    _running = models.Index("(id) WHERE state = 'running'")
    _printing = models.Index("(id) WHERE printing OR sending")

    # === COMPUTE METHODS === #

    @api.depends("line_ids.state")
    def _compute_counts(self):
        counts = self._count_lines()
        now = fields.Datetime.now()
        for run in self:
            count = counts[run._origin.id]
            for outcome in ("problem", "waiting", "coming", "done", "failed"):
                run["%s_count" % outcome] = count[outcome]
            run.line_count = count.total()
            run.remaining_count = run.waiting_count + run.coming_count
            counted = run.line_count - run.problem_count - count["cancelled"]
            settled = run.done_count + run.failed_count
            run.progress = 100.0 * settled / counted if counted else 0.0
            since = (run.finished_at or now) - (run.started_at or now)
            minutes = since.total_seconds() / 60
            run.rate = settled / minutes if minutes > 0.02 else 0.0
            run.time_left = (
                format_duration(run.remaining_count / run.rate / 60)
                if run.rate and run.remaining_count and run.state == "running"
                else False
            )

    def _count_lines(self):
        """Return ``{run id: {outcome: count}}``, in two statements."""
        counts = defaultdict(Counter)
        # As the system: a number may be hidden from whoever may see the run.
        lines_sudo = self.env["billpay.run.line"].sudo()
        groups = ["run_id", "state", "number_id.state"]
        for run, state, number_state, count in lines_sudo._read_group(
            [("run_id", "in", self.ids)], groups, ["__count"]
        ):
            counts[run.id][lines_sudo._outcome(state, number_state)] += count
        unsent = lines_sudo._unsent_domain() & Domain("run_id", "in", self.ids)
        for run, count in lines_sudo._read_group(unsent, ["run_id"], ["__count"]):
            counts[run.id].update(done=-count, coming=count)
        return counts

    def _compute_has_problems(self):
        for run in self:
            domain = [("run_id", "=", run._origin.id), *_PROBLEMS]
            run.has_problems = run.line_ids.search_count(domain, limit=1)

    @api.depends("line_ids.state")
    def _compute_estimate(self):
        for run in self:
            calls = math.ceil(run.waiting_count / self.env["billpay.sync"]._bulk_limit)
            provider_sudo = run.company_id.sudo().billpay_provider_id
            per_minute = provider_sudo.clickpesa_calls_per_minute
            if provider_sudo.clickpesa_number_origin == "offline":
                run.estimate = self.env._("No call to ClickPesa: made offline.")
            elif per_minute and calls > per_minute:
                run.estimate = self.env._(
                    "%(calls)s calls to ClickPesa, about %(minutes)s minutes.",
                    calls=calls,
                    minutes=math.ceil(calls / per_minute),
                )
            else:
                run.estimate = self.env._(
                    "%s call(s) to ClickPesa, within a minute or two.", calls
                )

    @api.depends("printing", "printed_line_id", "card_job", "sending", "send_job")
    def _compute_background(self):
        for run in self:
            texts = []
            if run.printing and run.card_job:
                done, total = run._progress_of(run.card_job)
                texts.append(
                    self.env._(
                        "%(done)s of %(total)s cards are printed.",
                        done=done,
                        total=total,
                    )
                )
            elif run.printing:
                texts.append(self.env._("The invoices are being printed."))
            if run.sending:
                done, total = run._progress_of(run.send_job)
                texts.append(
                    self.env._(
                        "%(done)s of %(total)s lines are sent.", done=done, total=total
                    )
                )
            run.background = " ".join(texts)

    @api.model
    def _progress_of(self, job):
        """Return how many records of a job are done, and of how many, as texts."""
        done = job["total"] - len(job["ids"])
        return f"{done:,}", f"{job['total']:,}"

    def _compute_payment_total(self):
        self.currency_id = money.shillings(self.env)
        for run in self:
            of_run = ("control_number_id.run_line_ids.run_id", "in", run.ids)
            [(run.payment_total,)] = self.env["billpay.payment"]._read_group(
                [of_run, ("state", "in", MONEY)], aggregates=["amount:sum"]
            )

    @api.depends("state", "line_ids.state")
    def _compute_rest_reason(self):
        """Say how much of a running run waits for a switched-off application."""
        on = self.env["payment.provider"]._billpay_on_domain("number_id.provider_id.")
        for run in self:
            count = 0
            if run.state == "running":
                pending = Domain("run_id", "=", run._origin.id)
                pending &= Domain("number_id.state", "=", "pending") & ~on
                resting = run._waiting_domain() & run._resting_lines()
                count = run.line_ids.search_count(pending | resting)
            text = self.env._(
                "The run rests, since its ClickPesa application is switched off: "
                "%s line(s) wait. Nothing is lost and no money is affected. Enable the "
                "application under Invoicing, Configuration, BillPay, BillPay "
                "Applications, and the run goes on by itself.",
                count,
            )
            run.rest_reason = text if count else False

    def _compute_sending_count(self):
        for run in self:
            queued = run.line_ids.sudo().search_count(run._queued_domain())
            run.sending_count = queued + len(run._outgoing_mails())

    # === CRUD METHODS === #

    @api.ondelete(at_uninstall=False)
    def _unlink_what_never_ran(self):
        if self.filtered(lambda run: run.state != "draft"):
            raise UserError(
                self.env._(
                    "You cannot delete a run that has started. Cancel it instead."
                )
            )

    # === BUSINESS METHODS === #

    @api.model
    def _cron_bulk_runs(self):
        """Work on all running runs, then on sending and printing. Idle, two indexed
        queries."""
        self._reserve_running()
        waiting = ["|", ("printing", "=", True), ("sending", "=", True)]
        for run in self.search(waiting, order="id"):
            works = {"sending": run._send_chunk, "printing": run._print_chunk}
            for flag, work in works.items():
                while run._guarded(work, {flag: False}):
                    if not self.env["ir.cron"]._commit_progress(1):
                        return

    def _guarded(self, work, stopped):
        """Run ``work()`` and commit; whatever happens stops this run only.

        :param dict stopped: what is written where it fails
        """
        try:
            return committed(self.env, work)
        except CONFLICTS as error:
            _logger.info("%s waits for another transaction: %s", self, error)
        except MemoryError:
            # The server's limit: it ends this worker, and the next one goes on.
            raise
        except Exception as error:
            _logger.exception("%s was stopped", self)
            text = str(error) if isinstance(error, UserError) else ""
            committed(self.env, self._note_stop, stopped, text)
        return 0

    def _note_stop(self, stopped, text):
        self.sudo().write(stopped)
        self.message_post(
            body=self.env._(
                "The run was stopped: %s What was made stays. Press the button again "
                "when the cause is gone.",
                text or self.env._("Unexpected error; see the server's log."),
            )
        )

    def _waiting_domain(self):
        return Domain("run_id", "=", self._origin.id) & Domain("state", "=", "waiting")

    def _resting_lines(self):
        """Return the domain of lines whose application is switched off."""
        lines_sudo = self.env["billpay.run.line"].sudo()
        groups = lines_sudo._read_group(self._waiting_domain(), ["purpose_id"])
        off = [p.id for [p] in groups if p and not p._provider()]
        resting = Domain("move_id", "=", False) & Domain("purpose_id", "in", off)
        if not self.company_id.sudo().billpay_provider_id._billpay_is_on():
            resting |= Domain("move_id", "!=", False)
        return resting

    def _count_waiting(self):
        return self.line_ids.search_count(self._to_reserve())

    def _to_reserve(self):
        return self._waiting_domain() & ~self._resting_lines()

    def _reserve_chunk(self):
        """Reserve the numbers of the next lines, and return of how many."""
        self = self.sudo().ensure_one()
        self.invalidate_recordset(["state"])
        if self.state != "running":
            return 0
        waiting = self.env["billpay.run.line"].search(
            self._to_reserve(), order="id", limit=2 * self._chunk
        )
        lines = waiting.try_lock_for_update(limit=self._chunk)
        allowed = lines._refuse_hidden(self.started_by_id or self.create_uid)
        try:
            with self.env.cr.savepoint():
                allowed._reserve_numbers()
        except INTERRUPTIONS:
            raise
        except Exception:
            # One of them cannot be made: each for itself, so that it fails alone.
            _logger.info("A chunk of %s is taken line by line", self, exc_info=True)
            lines.invalidate_recordset()
            each(allowed, type(lines)._reserve_numbers, type(lines)._note_failure)
        return len(lines)

    def _finish(self):
        """End a run of which every number is known or refused."""
        self = self.sudo().ensure_one()
        self.invalidate_recordset()
        if self.state != "running":
            return
        if self.remaining_count:
            if self.rest_reason:
                return
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

    @api.model
    def _reserve_running(self):
        cron = self.env["ir.cron"]
        for run in self.search([("state", "=", "running")], order="id"):
            stopped = {"state": "paused"}
            while done := run._guarded(run._reserve_chunk, stopped):
                remaining = run._count_waiting()
                if not cron._commit_progress(done, remaining=remaining):
                    return
            run._guarded(run._finish, stopped)

    @api.model
    def _wake_running(self):
        """Wake the run worker while a run waits for its numbers."""
        if self.search_count([("state", "=", "running")], limit=1):
            self._wake()

    # === ACTION METHODS === #

    def action_start(self):
        """Let the worker begin. What has a problem is left out."""
        self.check_access("write")
        for run in self.filtered(lambda run: run.state == "draft"):
            if not run.waiting_count:
                raise UserError(
                    self.env._(
                        "No line of this run can get a number. Nothing was made and "
                        "no money is affected: see what each line says."
                    )
                )
            provider_sudo = run.company_id.sudo().billpay_provider_id
            if not provider_sudo._billpay_is_on():
                raise UserError(
                    self.env._(
                        "%s has no active ClickPesa application, so no number can be "
                        "made. Set one up under Invoicing, Configuration, BillPay, "
                        "BillPay Applications.",
                        run.company_id.name,
                    )
                )
            run.sudo().write(
                {
                    "state": "running",
                    "started_at": fields.Datetime.now(),
                    "started_by_id": self.env.uid,
                }
            )
        self._wake()

    def action_pause(self):
        """Stop reserving after the chunk at hand; what is reserved is registered."""
        self.check_access("write")
        self.filtered(lambda run: run.state == "running").sudo().state = "paused"

    def action_resume(self):
        self.check_access("write")
        paused_sudo = self.filtered(lambda run: run.state == "paused").sudo()
        paused_sudo.write({"state": "running", "started_by_id": self.env.uid})
        self._wake()

    def action_cancel(self):
        """Make no more numbers. Those that exist stay; they can be closed."""
        self.check_access("write")
        runs = self.filtered(lambda run: run.state in ("draft", "running", "paused"))
        runs = runs.sudo()
        runs.write({"state": "cancelled", "finished_at": fields.Datetime.now()})
        runs.line_ids.filtered(lambda line: line.state == "waiting").state = "cancelled"

    def action_close_numbers(self):
        """Close the unpaid numbers that this run made."""
        self.check_access("write")
        made = self.line_ids.sudo().filtered("is_made").number_id
        made_sudo = made.with_env(self.env)._filtered_access("read").sudo()
        made_sudo.filtered(lambda n: n.state in LIVING and not n._was_paid())._close()

    def action_retry_failed(self):
        """Try again what ClickPesa refused, and what could not be reserved."""
        self.check_access("write")
        for run in self:
            failed = run.line_ids.filtered(lambda line: line.outcome == "failed")
            refused = failed.filtered("number_id")
            refused.number_id._filtered_access("read").action_retry()
            (failed - refused).sudo().write({"state": "waiting", "error": False})
            run.sudo().started_by_id = self.env.user
            if failed and run.state in ("done", "paused"):
                run.sudo().write({"state": "running", "finished_at": False})
        self._wake()

    def _wake(self):
        self.env["payment.provider"]._billpay_trigger("ir_cron_bulk_runs")

    def action_view_lines(self):
        return self._view("run_line", "run_id")

    def action_view_problems(self):
        action = self._view("run_line", "run_id", *_PROBLEMS)
        problems = self.env.ref("billpay_odoo.billpay_run_line_problem_list").sudo()
        return {**action, "views": [(problems.id, "list"), (False, "kanban")]}

    def action_view_unreachable(self):
        return self._view("run_line", "run_id", ("unreachable", "=", True))

    def action_view_numbers(self):
        return self._view("control_number", "run_line_ids.run_id")

    def action_view_payments(self):
        return self._view("payment", "control_number_id.run_line_ids.run_id")

    def _view(self, name, path, *conditions):
        domain = [(path, "=", self.ensure_one().id), *conditions]
        return window(self.env, "action_billpay_%s" % name, domain=domain)

    def action_download(self):
        self.ensure_one()
        outcome = self.line_ids._fields["outcome"]
        outcomes = dict(outcome._description_selection(self.env))
        rows = [
            {
                self.env._("Row"): line.row,
                self.env._("Contact"): line.partner_id.display_name or line.new_name,
                self.env._("Reference"): line.partner_id.ref or line.new_ref,
                self.env._("Phone"): line.partner_id.phone or line.new_phone,
                self.env._("Invoice"): line.move_id.name,
                self.env._("Purpose"): line.purpose_id.name,
                self.env._("Control Number"): line.number,
                self.env._("Amount"): line.shown_amount and "%d" % line.shown_amount,
                self.env._("State"): outcomes[line.outcome],
                self.env._("Reason"): line.reason,
            }
            for line in self.line_ids.sudo()
        ]
        header = list(next(iter(rows), ()))
        return download_xlsx(self, self.name, header, map(dict.values, rows))

    def _ready_lines(self):
        """Return the lines whose numbers a payer can use; refuse to return none.

        A colleague of another company or department gets what is theirs.
        """
        self.ensure_one()
        lines_sudo = self.line_ids.sudo().filtered(
            lambda line: line.state == "reserved" and line.number_id._payable()
        )
        seen = lines_sudo.move_id.with_env(self.env)._filtered_access("read")
        numbers = lines_sudo.number_id.with_env(self.env)._filtered_access("read")
        lines = lines_sudo.filtered(
            lambda line: (
                line.move_id in seen if line.move_id else line.number_id in numbers
            )
        ).with_env(self.env)
        if not lines:
            raise UserError(
                self.env._(
                    "No number of this run can be paid now, so there is nothing to "
                    "send or print. Wait until they are ready, or open a number to see "
                    "what is wrong with it."
                )
            )
        return lines

    def action_send_all(self):
        """Send invoices as Odoo does, and customers an e-mail with their number."""
        self.check_access("write")
        lines = self._ready_lines()
        without = lines.filtered(
            lambda line: not line.partner_id._billpay_contact_values()["email"]
        )
        if without and not self.env.context.get("billpay_send_anyway"):
            context = {
                "default_run_id": self.id,
                "default_line_ids": without.ids,
                "default_others_count": len(lines - without),
            }
            title = self.env._("Who Gets No E-Mail")
            return dialog(self.env["billpay.run.send"], title, context=context)
        reachable = lines - without
        if len(reachable) > self._send_chunk_size:
            return self._send_in_background(reachable)
        if numbers := reachable.filtered(lambda line: not line.move_id).number_id:
            self._mail_numbers(numbers)
        if moves := reachable.move_id:
            return moves.action_send_and_print()
        message = self.env._("%s e-mail(s) are on their way.", len(numbers))
        return notify("success", message, CLOSE)

    @api.model
    def _mail_numbers(self, numbers):
        env = numbers.env  # of the user, who is the author
        template_sudo = env.ref("billpay_odoo.mail_template_number").sudo()
        template_sudo.send_mail_batch(numbers.ids, force_send=False)

    def _send_in_background(self, lines):
        """Let the worker send these lines, with the rights of the user."""
        queue_sudo = self.env.ref(SEND_CRON, raise_if_not_found=False)
        queue_sudo = (queue_sudo or self.env["ir.cron"]).sudo()
        if lines.move_id and not queue_sudo.active:
            raise UserError(
                self.env._(
                    "Nothing was sent, and no money is affected: the scheduled action "
                    "%s, which sends invoices in the background, is switched off. Ask "
                    "your administrator to activate it, then press Send All again.",
                    queue_sudo.name or SEND_CRON,
                )
            )
        if not self.sending:
            lines.filtered(lambda line: not line.move_id).sudo().error = False
            self.sudo().write(
                {
                    "sending": True,
                    "send_job": {
                        "ids": lines.ids,
                        "total": len(lines),
                        "user_id": self.env.uid,
                    },
                }
            )
        self._wake()
        message = self.env._(
            "%s lines are being sent in the background; this page shows how far that "
            "is, and you can leave it.",
            self.send_job["total"],
        )
        return notify("info", message, CLOSE)

    def _send_chunk(self):
        """Queue the next e-mails and invoices; return whether to go on."""
        self = self.sudo().ensure_one()
        self.invalidate_recordset()
        if not self.sending:
            return False
        job, size = self.send_job, self._send_chunk_size
        user = self.env["res.users"].browse(job["user_id"])
        lines = self.env["billpay.run.line"].browse(job["ids"][:size]).exists()
        # What was paid or closed since asks for nothing.
        lines = lines.filtered(lambda line: line.number_id.state == "open")
        # Invoices are looked at when their turn comes in the queue of Odoo.
        lost = lines.filtered(lambda n: not n.move_id and n.number_id._obstacle())
        lost._note_lost()
        job = self._with_lost(job, lost.number_id)
        lines = (
            (lines - lost)
            .with_user(user)
            .with_context(lang=user.lang, allowed_company_ids=self.company_id.ids)
        )
        try:
            with self.env.cr.savepoint():
                self._queue_sending(lines)
        except INTERRUPTIONS:
            raise
        except Exception:
            # One of them cannot be sent: each for itself, so that it fails alone.
            _logger.info("A chunk of %s is sent line by line", self, exc_info=True)
            self.env.invalidate_all()
            each(lines, self._queue_sending, type(lines)._note_unsent)
        left = job["ids"][size:]
        self.write({"sending": bool(left), "send_job": left and {**job, "ids": left}})
        if not left:
            text = self.env._(
                "The %s lines were handed over for sending.",
                job["total"] - job.get("lost", 0),
            )
            if job.get("lost"):
                text += " " + self.env._(
                    "%s line(s) were left out, since nobody can pay their numbers now: "
                    "press Problems to see them.",
                    job["lost"],
                )
            self.message_post(body=text)
        return bool(left)

    @api.model
    def _with_lost(self, job, lost):
        """Return a job that has also left out these numbers, which cannot be paid."""
        if not lost:
            return job
        problem = job.get("problem") or lost[0]._problem_text()
        return {**job, "lost": job.get("lost", 0) + len(lost), "problem": problem}

    @api.model
    def _queue_sending(self, lines):
        """Leave e-mails and invoices to the queues of Odoo, as its wizard does."""
        if numbers := lines.filtered(lambda line: not line.move_id).number_id:
            self._mail_numbers(numbers)
        if moves := lines.move_id.filtered(lambda move: not move.sending_data):
            user = lines.env.user
            moves.sending_data = {
                "author_user_id": user.id,
                "author_partner_id": user.partner_id.id,
            }
            self.env["payment.provider"]._billpay_trigger(SEND_CRON)

    def action_print_all(self):
        """Print all invoices in the background; one PDF comes in the end."""
        self.check_access("write")
        lines = self._ready_lines()
        if not lines.move_id:
            return self.action_cards()
        if not self.printing:
            # What an earlier printing left behind is not printed twice.
            self._printed_parts().unlink()
            self._unprinted_lines().sudo().error = False
            self.sudo().write(
                {"printing": True, "printed_line_id": False, "card_job": False}
            )
        self._wake()
        message = self.env._(
            "%s invoices are being printed. The PDF comes below this run when it is "
            "finished; you can leave this page.",
            len(lines.move_id),
        )
        return notify("info", message)

    def action_stop(self):
        """Stop printing and sending: what is printed is dropped, what went is gone."""
        self.check_access("write")
        self._printed_parts().unlink()
        self.sudo().write(
            {
                "printing": False,
                "printed_line_id": False,
                "card_job": False,
                "sending": False,
                "send_job": False,
            }
        )
        queued = self.line_ids.search(self._queued_domain()).move_id
        queued = queued._filtered_access("write")
        queued.sending_data = False
        mails_sudo = self._outgoing_mails()
        mails_sudo.cancel()
        message = self.env._(
            "Stopped: %s document(s) that waited are not sent. What was sent before "
            "stays with its payers.",
            len(queued) + len(mails_sudo),
        )
        return notify("info", message, CLOSE)

    def _queued_domain(self):
        """Return the domain of lines whose invoice Odoo is about to send."""
        lines = Domain("run_id", "in", self._origin.ids)
        return lines & Domain("move_id.sending_data", "!=", False)

    def _outgoing_mails(self):
        """Return the mails with these runs' customer numbers that wait, in sudo."""
        numbers_sudo = self.env["billpay.control.number"].sudo()
        of_runs = [
            ("run_line_ids.run_id", "in", self._origin.ids),
            ("kind", "=", "customer"),
        ]
        return (
            self.env["mail.mail"]
            .sudo()
            .search(
                [
                    ("state", "=", "outgoing"),
                    ("model", "=", numbers_sudo._name),
                    ("res_id", "in", numbers_sudo._search(of_runs)),
                ]
            )
        )

    def _unprinted_lines(self):
        """Return the lines whose invoice could not be printed."""
        return self.line_ids.search(
            [
                ("run_id", "in", self.ids),
                ("state", "=", "reserved"),
                ("move_id", "!=", False),
                ("error", "!=", False),
            ]
        )

    def action_cards(self):
        numbers = self._ready_lines().number_id._filtered_access("read")
        action = numbers.action_billpay_cards()
        self.env["billpay.card.print"].browse(action["res_id"]).run_id = self
        return action

    def _print_cards(self, numbers, layout, lang):
        """Let the worker print cards of this run; one PDF comes in the end."""
        self.check_access("write")
        if self.printing:
            message = self.env._(
                "%s Print the cards when that is done.", self.background
            )
            return notify("warning", message, CLOSE)
        # What an earlier printing left behind is not printed twice.
        self._printed_parts().unlink()
        numbers &= self.line_ids.number_id
        job = {"ids": numbers.ids, "layout": layout, "lang": lang}
        self.sudo().write(
            {"printing": True, "card_job": {**job, "total": len(numbers)}}
        )
        self._wake()
        message = self.env._(
            "The cards are being printed in the background. The PDF comes below this "
            "run when it is finished; you can leave this page."
        )
        return notify("info", message, CLOSE)

    def action_sms_list(self):
        """Download phone and text per line, for whoever sends SMS."""
        self.check_access("write")
        rows = []
        for line in self._ready_lines().sudo():
            phone = line.partner_id._billpay_contact_values()["phone"]
            rows.append([phone, line._sms_text(), line.partner_id.display_name])
        # Whom it does not reach comes first: somebody has to call them.
        rows.sort(key=lambda row: bool(row[0]))
        header = [self.env._("Phone"), self.env._("Text"), self.env._("Contact")]
        return download_xlsx(self, self.env._("%s SMS", self.name), header, rows)

    def _print_chunk(self):
        """Render the next invoices, in the end join all; return whether to go on."""
        self = self.sudo().ensure_one()
        self.invalidate_recordset()
        if not self.printing:
            return False
        if self.card_job:
            return self._print_card_chunk()
        domain = [
            ("run_id", "=", self.id),
            ("id", ">", self.printed_line_id.id or 0),
            ("move_id", "!=", False),
            ("state", "=", "reserved"),
            ("number_id.state", "=", "open"),
        ]
        lines = self.env["billpay.run.line"].search(
            domain, order="id", limit=self._print_chunk_size
        )
        if not lines:
            text = self.env._("The invoices of this run, to print.")
            if unprinted := len(self._unprinted_lines()):
                text = self.env._(
                    "%s invoice(s) of this run could not be printed. No money is "
                    "affected: press Problems to see why, correct the cause, and print "
                    "them from the invoice.",
                    unprinted,
                )
            self._finish_printing(text, unprinted)
            return False
        payable = lines.filtered(lambda line: line.number_id._payable())
        for line in lines - payable:
            line._note_unprinted(UserError(line.number_id._problem_text()))
        for content in payable._rendered():
            self._keep_part(content)
        self.printed_line_id = lines[-1]
        return True

    def _print_card_chunk(self):
        job, printer = self.card_job, self.env["billpay.card.print"]
        size = printer._part_size
        numbers = self.env["billpay.control.number"].browse(job["ids"][:size]).exists()
        # What was paid or closed since is handed out to nobody.
        numbers = numbers.filtered(lambda number: number.state == "open")
        payable = numbers._payable()
        if payable:
            self._keep_part(printer._render_part(payable, job["layout"], job["lang"]))
        job = self._with_lost(job, numbers - payable)
        if left := job["ids"][size:]:
            self.card_job = {**job, "ids": left}
            return True
        self.card_job = False
        text, count = self.env._("The cards of this run, to print."), job.get("lost", 0)
        if count:
            text = self.env._(
                "%(count)s card(s) of this run were not printed, since nobody can pay "
                "their numbers now. %(problem)s Then print the cards again.",
                count=count,
                problem=job["problem"],
            )
        self._finish_printing(text, count)
        return False

    def _keep_part(self, content):
        parts = self._printed_parts()
        parts.create(
            {
                "name": "%s-%04d.pdf" % (self.name, len(parts) + 1),
                "raw": content,
                "res_model": self._name,
                "res_id": self.id,
                "description": PART,
            }
        )

    def _finish_printing(self, text, unprinted):
        """Join the parts, and leave the PDF below the run.

        :param int unprinted: how many are not in it, as ``text`` says
        """
        self.printing = False
        parts = self._printed_parts()
        attachments = []
        if parts:
            content = merge_pdf([part.raw for part in parts])
            parts.unlink()
            attachments.append(("%s.pdf" % self.name, content))
        if attachments or unprinted:
            self.message_post(body=text, attachments=attachments)

    def _printed_parts(self):
        domain = [
            ("res_model", "=", self._name),
            ("res_id", "=", self.id),
            ("description", "=", PART),
        ]
        return self.env["ir.attachment"].sudo().search(domain, order="id")
