# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Payers who wait in front of a screen, many at once.

Database connections and calls to ClickPesa are scarce. So a crowd reserves its numbers
a few at a time (:func:`turn`), and one of it registers those of all others with one
call (:class:`Registrar`), while the next ones gather.
"""

import threading
import time
from contextlib import contextmanager

# How many payers one process serves at a time.
AT_ONCE = 4
_turns = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def turn(patience):
    """Yield whether it is the caller's turn, after ``patience`` seconds at most."""
    mine = _turns.acquire(timeout=patience)
    try:
        yield mine
    finally:
        if mine:
            _turns.release()


class _Waiting:
    """One payer: woken with an outcome, or to lead."""

    def __init__(self, key):
        self.key = key
        self.woken = threading.Event()
        self.outcome = self.error = None
        self.done = self.leads = False


class Registrar:
    """Does for many what each of them would do alone.

    :param work: ``work(env, keys)`` returns ``{key: outcome}``. A thread calls it with
        its own environment, and with its own key and what gathered meanwhile
    :param int most: keys in one call at most
    :param int calls: calls at once: who comes while fewer are on their way need not
        wait for one to end
    """

    def __init__(self, work, most, calls=1):
        self._work, self._most, self._free = work, most, calls
        self._lock = threading.Lock()
        self._gathered = []

    def __call__(self, env, key, patience):
        """Return the outcome of one key, ``None`` when the time was over.

        :param float patience: seconds until its turn; the work itself may take longer
        :raise Exception: what the work raised, for all that it was done for
        """
        me = _Waiting(key)
        with self._lock:
            if self._free:
                self._free -= 1
                me.leads = True
            else:
                self._gathered.append(me)
        deadline = time.monotonic() + patience
        while not me.done and not me.leads:
            if me.woken.wait(max(deadline - time.monotonic(), 0)):
                me.woken.clear()
                continue
            with self._lock:
                if me.done or me.leads:
                    break
                if me not in self._gathered:
                    # It is being done at this moment: its outcome comes.
                    deadline = time.monotonic() + patience
                    continue
                self._gathered.remove(me)
                return None
        if not me.done:
            self._lead(env, me)
        if me.error:
            raise me.error
        return me.outcome

    def _lead(self, env, me):
        """Do mine and what gathered, then let another one lead."""
        with self._lock:
            batch = [me, *self._gathered[: self._most - 1]]
            del self._gathered[: self._most - 1]
        try:
            self._do(env, batch)
        finally:
            with self._lock:
                if self._gathered:
                    following = self._gathered.pop(0)
                    following.leads = True
                    following.woken.set()
                else:
                    self._free += 1

    def _do(self, env, batch):
        outcomes, error = {}, None
        try:
            outcomes = self._work(env, [waiting.key for waiting in batch])
        except Exception as problem:  # noqa: BLE001 - each of them is told
            error = problem
        for waiting in batch:
            waiting.outcome, waiting.error = outcomes.get(waiting.key), error
            waiting.done = True
            waiting.woken.set()
