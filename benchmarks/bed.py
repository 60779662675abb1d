# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The bed benchmarks lie in: databases, workers, servers and the sandbox of one run.

Everything is real: PostgreSQL, Odoo's processes, HTTP. A run has databases of its own,
copied from templates, and everything it started is ended and dropped at its end.
"""

import contextlib
import json
import os
import re
import socket

from devtools import databases, odoo, paths, processes, rpc
from devtools.console import Problem, step

# Seconds until a registry is loaded, and until the longest task is done.
START_PATIENCE = 240
TASK_PATIENCE = 1800
ADDON = "billpay_odoo"
PREFIX = "bench_"


class Bed:
    """What a benchmark may ask for.

    :param services: ``devtools.services.Services`` of this run.
    :param quick: whether a small run is wanted, for trying a benchmark out.
    """

    def __init__(self, services, quick=False):
        self.quick = quick
        self._services = services
        self._ends = contextlib.ExitStack()
        self._count = 0

    # === databases ===

    def without_addon(self):
        """A database with Odoo's own modules, and ours not installed."""
        return self._database(databases.template_base())

    def with_addon(self, extra=()):
        """A database with the add-on.

        :param extra: further modules of Odoo.
        """
        database = self._database(databases.template_addons([ADDON]))
        if extra:
            with step(f"installing {', '.join(extra)}"):
                databases.install(database, tuple(extra), demo=True)
        return database

    def with_addons(self, addons):
        """A database with these add-ons of ours, and what they need."""
        return self._database(databases.template_addons(list(addons)))

    def _database(self, template):
        self._count += 1
        database = databases.name(f"{PREFIX}{os.getpid()}_{self._count}")
        databases.remove(database)
        self._ends.callback(databases.remove, database)
        databases.copy(template, database)
        return database

    # === processes ===

    def worker(self, database):
        """A process with the registry of this database, to do tasks."""
        self._count += 1
        worker = Worker(f"bench-worker-{self._count}", database)
        self._ends.callback(worker.stop)
        worker.start()
        return worker

    def server(self, database, cron_threads=0):
        """An Odoo server with threads, as ``./dev demo`` has it.

        :param database: ``None``: one that serves no database at all.
        :param cron_threads: how many scheduled actions may run at once.
        """
        self._count += 1
        server = Server(f"bench-odoo-{self._count}", database, cron_threads)
        self._ends.callback(server.stop)
        server.start()
        return server

    def sandbox(self):
        """The ClickPesa sandbox with an empty memory."""
        return Sandbox(self._services.start_sandbox("127.0.0.1", processes.free_port()))

    def close(self):
        """End the processes of this bed and drop its databases."""
        self._ends.close()


def remove_leftovers():
    """Drop databases of runs that were killed. One run at a time holds the lock."""
    from devtools import postgres

    for database in postgres.databases():
        if database.startswith(databases.name(PREFIX)):
            databases.remove(database)


class Worker:
    """The near end of ``worker.py``."""

    def __init__(self, name, database):
        self.name, self.database = name, database
        self._process = self._line = self._stream = None

    def start(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            command = [paths.PYTHON, paths.ROOT / "benchmarks" / "worker.py"]
            self._process = processes.start(
                self.name,
                [*command, port, self.database],
                env=odoo.environment(),
                cwd=paths.ROOT,
            )
            listener.settimeout(0.5)
            self._line = rpc.until(
                lambda: self._accept(listener), START_PATIENCE, "a worker starts", 0
            )
        self._line.settimeout(TASK_PATIENCE)
        self._stream = self._line.makefile("rw")
        self._hear()

    def _accept(self, listener):
        if self._process.poll() is not None:
            raise self._ended()
        try:
            return listener.accept()[0]
        except TimeoutError:
            return None

    def _ended(self):
        tail = processes.tail(self._process.log)
        return Problem(
            f"a benchmark's worker ended by itself.\n{tail}\n"
            f"Whole log: {self._process.log}"
        )

    def _hear(self):
        try:
            text = self._stream.readline()
        except TimeoutError as error:
            raise Problem("a benchmark's worker does not answer") from error
        if not text:
            raise self._ended()
        return json.loads(text)

    def send(self, task, **arguments):
        """Begin a task; ``receive`` waits for its result."""
        order = {"task": task, "arguments": arguments}
        self._stream.write(json.dumps(order) + "\n")
        self._stream.flush()

    def receive(self):
        """The result of the task that was begun.

        :raise Problem: it failed, with Odoo's words.
        """
        answer = self._hear()
        if "error" in answer:
            last = "\n".join(answer["error"].strip().splitlines()[-6:])
            raise Problem(f"a benchmark failed inside Odoo:\n{last}")
        return answer["result"]

    def do(self, task, **arguments):
        """Do a task and return its result."""
        self.send(task, **arguments)
        return self.receive()

    def kill(self):
        """End it as the kernel does, in the middle of whatever it does."""
        self._process.kill()
        self._process.wait()

    def stop(self):
        if self._line:
            self._line.close()
        if self._process:
            processes.stop(self.name, seconds=5)
            self._process.wait()


class Server:
    """A real Odoo server on one database, or on none."""

    def __init__(self, name, database, cron_threads):
        self.name, self.database, self.cron_threads = name, database, cron_threads
        self.port = processes.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process = None

    def start(self):
        serves = ["--db-filter=^$"]
        if self.database:
            serves = ["-d", self.database, f"--db-filter=^{re.escape(self.database)}$"]
        command = odoo.command(
            *serves,
            f"--http-port={self.port}",
            f"--gevent-port={processes.free_port()}",
            "--workers=0",
            f"--max-cron-threads={self.cron_threads}",
        )
        env = odoo.environment()
        self._process = processes.start(self.name, command, env=env, cwd=paths.ROOT)
        rpc.until(self._answers, START_PATIENCE, "Odoo's server starts")

    def _answers(self):
        if self._process.poll() is not None:
            tail = processes.tail(self._process.log)
            raise Problem(f"Odoo's server ended by itself.\n{tail}")
        with contextlib.suppress(Problem):
            return rpc.request(f"{self.url}/web/health")

    def queries(self, path):
        """How many SQL statements each request to this path took, in order.

        The server's own count, from its log.

        :param path: beginning of the path.
        """
        pattern = re.compile(
            rf'"[A-Z]+ {re.escape(path)}\S* HTTP/[\d.]+" \d+ - (\d+) [\d.]+ [\d.]+'
        )
        # Colours belong to terminals, yet the log may have them.
        text = re.sub(r"\x1b\[[\d;]*m", "", self._process.log.read_text())
        return [int(found) for found in pattern.findall(text)]

    def stop(self):
        if self._process:
            processes.stop(self.name)
            self._process.wait()


class Sandbox:
    """The simulator over its control interface."""

    def __init__(self, url):
        self.url = url

    def call(self, path, body=None):
        return rpc.request(f"{self.url}/_sandbox/{path}", body)

    def pay(self, number, amount, deliver):
        """Pay as a customer does; ``deliver``: with the webhook."""
        body = {"number": number, "amount": amount, "deliver": deliver}
        return self.call("pay", body)

    def count(self, path):
        """API calls so far to a path below ``/third-parties``."""
        return len(self.call(f"calls?prefix={path}"))
