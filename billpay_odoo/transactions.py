# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Transactions of our own, for work that talks to the gateway.

Odoo's cursors are REPEATABLE READ and its requests are replayed on conflicts. Work
that calls out therefore runs in short transactions of its own: read and commit, call,
write and commit. Nothing that Odoo may replay encloses the call.
"""

import logging
import random
import time
from contextlib import contextmanager

from odoo import api
from odoo.exceptions import ConcurrencyError
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY

_logger = logging.getLogger(__name__)

CONFLICTS = (*PG_CONCURRENCY_EXCEPTIONS_TO_RETRY, ConcurrencyError)
MAX_TRIES = 6


@contextmanager
def own_transaction(env):
    """Yield an environment on a new cursor, committed at the end.

    The caller's uncommitted rows are not visible in it.
    """
    with env.registry.cursor() as cr:
        yield api.Environment(cr, env.uid, env.context, env.su)


def end_transaction(env):
    """Commit, so that no transaction and no lock stays open while we call out."""
    env.flush_all()
    env.cr.commit()  # pylint: disable=invalid-commit


def committed(env, work, *args):
    """Run ``work(*args)`` and commit; on a conflict roll back and run it afresh.

    :param work: writes to the database only; it may run several times
    :return: what ``work`` returned
    :raise Exception: what ``work`` raised, after a rollback; a conflict only after
        six tries
    """
    for attempt in range(1, MAX_TRIES + 1):
        try:
            result = work(*args)
            end_transaction(env)
            return result
        except CONFLICTS:
            env.cr.rollback()
            env.invalidate_all(flush=False)
            if attempt == MAX_TRIES:
                raise
            _logger.info("Conflict with another transaction, try %s.", attempt)
            time.sleep(random.uniform(0.0, 0.02 * 2**attempt))
        except Exception:
            env.cr.rollback()
            env.invalidate_all(flush=False)
            raise
