# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Functions that run inside Odoo, by name. Imported on both sides, without Odoo."""

import contextlib
import gc
import time

TASKS = {}


def task(function):
    """Let the worker do this: ``worker.do(name, **arguments)``.

    :param function: ``(env, **arguments)``; what it returns must be JSON.
    """
    name = function.__name__
    if name in TASKS and TASKS[name].__module__ != function.__module__:
        raise ValueError(f"two benchmarks have a task {name}")
    TASKS[name] = function
    return function


class Measured:
    """Seconds and SQL statements of a piece of work in a worker."""

    seconds = 0.0
    sql = 0

    def as_dict(self):
        return {"seconds": self.seconds, "sql": self.sql}


@contextlib.contextmanager
def measured(env):
    """Measure work up to and including its commit.

    It starts with an empty cache and an empty transaction, as a click does. The
    statements are those of the whole process: a worker has one thread.
    """
    from odoo import sql_db

    env.cr.commit()
    env.invalidate_all()
    gc.collect()
    found = Measured()
    start_sql, start = sql_db.sql_counter, time.perf_counter()
    yield found
    env.flush_all()
    env.cr.commit()
    found.seconds = time.perf_counter() - start
    found.sql = sql_db.sql_counter - start_sql
