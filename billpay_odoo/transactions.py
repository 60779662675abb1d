# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Transactions of our own, for work that talks to the gateway.

Odoo replays requests on conflicts. Work that calls out therefore runs in short
transactions of its own: read and commit, call, write and commit.
"""

import logging
import random
import time
from contextlib import contextmanager

import psycopg2.errors

from odoo import api, fields
from odoo.exceptions import ConcurrencyError, UserError
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from odoo.tools import mute_logger

_logger = logging.getLogger(__name__)

CONFLICTS = (*PG_CONCURRENCY_EXCEPTIONS_TO_RETRY, ConcurrencyError)
# What is no fault of the record in hand: a server limits the memory of each process.
INTERRUPTIONS = (*CONFLICTS, MemoryError)
MAX_TRIES = 6
# How long a transaction of ours waits for a lock while a caller waits for it.
LOCK_TIMEOUT_MS = 3000
# Growth of the pause between tries: a minute, doubling, at most six hours (seconds).
FIRST_PAUSE, LONGEST_PAUSE = 60, 6 * 3600
# How far pauses differ from that.
JITTER = 0.2
# How far ahead another server's clock may be. A lease or pause that ends later than it
# can is free: a clock was wrong when it was taken (seconds).
CLOCK_AHEAD = 600
FURTHEST_PAUSE = LONGEST_PAUSE * (1 + JITTER) + CLOCK_AHEAD
# How long a person's click waits for a call that a worker is already making (seconds).
CLICK_PATIENCE = 20


def pause_after(attempts):
    """Seconds to wait after the ``attempts``-th failed try, with ±20 % jitter."""
    pause = min(FIRST_PAUSE * 2 ** min(max(attempts - 1, 0), 20), LONGEST_PAUSE)
    return pause * random.uniform(1 - JITTER, 1 + JITTER)


@contextmanager
def own_transaction(env):
    """Yield an environment on a new cursor, committed at the end.

    Rows that the caller has locked stay locked for it, so waiting is bounded.

    :raise UserError: a row stayed locked
    """
    with env.registry.cursor() as cr:
        # Cursors are pooled. The pool resets one before the next user gets it.
        cr.execute("SET lock_timeout = %s", (LOCK_TIMEOUT_MS,))
        cr.commit()  # pylint: disable=invalid-commit
        try:
            inner = api.Environment(cr, env.uid, env.context, env.su)
            yield inner
            end_transaction(inner)
        except psycopg2.errors.LockNotAvailable:
            raise UserError(
                env._(
                    "The record is being changed by somebody else at this moment. "
                    "Nothing was done and no money is affected: try again."
                )
            ) from None


def end_transaction(env):
    """Commit, so that no transaction and no lock stays open while we call out."""
    env.flush_all()
    env.cr.commit()  # pylint: disable=invalid-commit


def committed(env, work, *args):
    """Run ``work(*args)`` and commit; on a conflict roll back and run it afresh.

    :param work: writes to the database only; it may run several times
    :raise Exception: what ``work`` raised, after a rollback; a conflict only after
        six tries
    """
    for attempt in range(1, MAX_TRIES + 1):
        try:
            result = work(*args)
            end_transaction(env)
            return result
        except Exception as error:
            env.cr.rollback()
            env.invalidate_all(flush=False)
            locked = isinstance(error, psycopg2.errors.LockNotAvailable)
            if locked or attempt == MAX_TRIES or not isinstance(error, CONFLICTS):
                raise
            _logger.info("Conflict with another transaction, try %s.", attempt)
            time.sleep(random.uniform(0.0, 0.02 * 2**attempt))


def each(records, work, failed):
    """Run ``work(record)`` for each record; one bad record stops only itself.

    Each record has a savepoint of its own. A conflict with another transaction, or the
    end of the memory, is no fault of the record and is raised, so that the caller's
    transaction is run afresh.

    :param failed: called with the record and the exception, after the rollback
    :return: the records whose work succeeded
    """
    done = records.browse()
    for record in records:
        try:
            with record.env.cr.savepoint():
                work(record)
        except INTERRUPTIONS:
            raise
        except Exception as error:  # noqa: BLE001 - any record may be the cause
            record.invalidate_recordset()
            failed(record, error)
        else:
            done |= record
    return done


def wake(env, cron, at=None):
    """Trigger a scheduled action once, when this transaction ends.

    However many records ask for it. Of later moments the earliest counts, and a run
    sees for itself when the next one is due. One that somebody has deleted stops
    nobody: what waits for it stays, and the health page offers to make it again.

    :param str cron: its external id; without a module, one of this add-on
    :param at: when, by default at once
    """
    cron = cron if "." in cron else f"billpay_odoo.{cron}"
    precommit = env.cr.precommit
    wanted = precommit.data.setdefault("billpay.wakes", {})
    if not wanted:
        precommit.add(lambda: _trigger_wanted(env(su=True)))
    now = fields.Datetime.now()
    at = at or now
    key = cron, at > now
    wanted[key] = min(at, wanted.get(key, at))


def _trigger_wanted(env):
    # Each savepoint runs this too, so a transaction may come here several times.
    cr = env.cr
    woken = cr.postcommit.data.setdefault("billpay.woken", {})
    for key, at in cr.precommit.data.pop("billpay.wakes", {}).items():
        before, trigger = woken.get(key, (None, None))
        # A savepoint that was rolled back took its trigger with it.
        if trigger and before <= at and trigger.exists():
            continue
        if cron := env.ref(key[0], raise_if_not_found=False):
            woken[key] = at, cron._trigger(at=at)
        elif key not in woken:
            woken[key] = at, None
            _logger.error(
                "The scheduled action %s is deleted, so what waits for it stays. Use "
                "Restore Scheduled Actions on the page Health of an application.",
                key[0],
            )


@contextmanager
def taken(what):
    """Let a unique index decide between two transactions.

    What another transaction has just stored is not in our snapshot: the caller's is
    run afresh and then finds it. Write rows inside, with ``create`` or a flush.

    :raise ConcurrencyError: another transaction has stored the same key
    """
    try:
        with mute_logger("odoo.sql_db"):
            yield
    except psycopg2.errors.UniqueViolation as error:
        raise ConcurrencyError(
            "%s: another transaction has stored it (%s)"
            % (what, error.diag.constraint_name)
        ) from error
