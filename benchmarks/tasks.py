# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Functions that run inside Odoo, by name. Imported on both sides, without Odoo."""

import contextlib
import functools
import gc
import os
import time

TASKS = {}


def task(function=None, *, cursor=True):
    """Let the worker do this: ``worker.do(name, **arguments)``.

    :param function: ``(env, **arguments)``; what it returns must be JSON.
    :param cursor: without one it is ``(database, **arguments)`` and gets the name of
        the database, for what outlives every connection.
    """
    if function is None:
        return functools.partial(task, cursor=cursor)
    name = function.__name__
    if name in TASKS and TASKS[name].__module__ != function.__module__:
        raise ValueError(f"two benchmarks have a task {name}")
    TASKS[name] = function
    function.wants_cursor = cursor
    return function


class Measured:
    """Seconds, processor seconds and SQL statements of a piece of work in a worker."""

    seconds = 0.0
    cpu = None
    sql = 0

    def as_dict(self):
        return {"seconds": self.seconds, "cpu": self.cpu, "sql": self.sql}


@contextlib.contextmanager
def measured(env):
    """Measure work up to and including its commit.

    It starts with an empty cache and an empty transaction, as a click does. The
    statements are those of the whole process: a worker has one thread. Processor time
    is the worker's and that of its connection's process; others on the machine change
    it less than the seconds on the clock.
    """
    from odoo import sql_db

    env.cr.execute("SELECT pg_backend_pid()")
    backend = env.cr.fetchone()[0]
    env.cr.commit()
    env.invalidate_all()
    gc.collect()
    found = Measured()
    start_cpu = _cpu(backend)
    start_sql, start = sql_db.sql_counter, time.perf_counter()
    yield found
    env.flush_all()
    env.cr.commit()
    found.seconds = time.perf_counter() - start
    found.sql = sql_db.sql_counter - start_sql
    if start_cpu is not None:
        found.cpu = _cpu(backend) - start_cpu


def _cpu(backend):
    """Processor seconds so far; ``None`` when PostgreSQL is on another machine."""
    try:
        with open(f"/proc/{backend}/stat") as handle:
            name, _, rest = handle.read().rpartition(")")
    except OSError:
        return None
    if "postgres" not in name:
        return None
    fields = rest.split()
    ticks = int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")
