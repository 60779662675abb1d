# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Real processes on a real copy of the database, for tests of concurrency.

A test's own transaction is never committed, so no other process can see it. These
tests therefore work on a copy of the test database, which is dropped at the end.
Processes meet at points that the test names, never by waiting a while.
"""

import configparser
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg2
from psycopg2 import sql

from odoo import sql_db
from odoo.tools import config

# Longest wait for anything that is expected to happen (seconds).
PATIENCE = 60
SCRIPT = Path(__file__).with_name("worker_process.py")
# Settings with which another process finds the same PostgreSQL and add-ons.
SETTINGS = (
    "addons_path",
    "upgrade_path",
    "server_wide_modules",
    "data_dir",
    "db_host",
    "db_port",
    "db_user",
    "db_password",
    "db_sslmode",
)


def eventually(condition, what, patience=PATIENCE):
    """Wait until ``condition()`` is true, and return what it returned.

    :raise AssertionError: it did not come true in time
    """
    deadline = time.monotonic() + patience
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain for %s" % what)
        time.sleep(0.02)
    return result


def _connect(database):
    connection = psycopg2.connect(**sql_db.connection_info_for(database)[1])
    connection.autocommit = True
    return connection


class Database:
    """A database with a connection that sees what is committed."""

    def __init__(self, name):
        self.name = name
        self._connection = None

    def connect(self):
        """Connect, also anew when the server has ended the connection."""
        self.close()
        self._connection = _connect(self.name)
        self("SET lock_timeout = '10s'")

    def close(self):
        if self._connection:
            self._connection.close()

    def __call__(self, query, *values):
        """Run a statement, committed at once; return its rows."""
        with self._connection.cursor() as cr:
            cr.execute(query, values or None)
            return cr.fetchall() if cr.description else []

    def value(self, query, *values):
        """Return the only value of the only row."""
        [[value]] = self(query, *values)
        return value

    @contextlib.contextmanager
    def holding(self, table, condition, *values):
        """Keep rows locked meanwhile, as somebody's open transaction does."""
        query = sql.SQL("SELECT id FROM {} WHERE {} FOR UPDATE").format(
            sql.Identifier(table), sql.SQL(condition)
        )
        with contextlib.closing(_connect(self.name)) as connection:
            connection.autocommit = False
            connection.cursor().execute(query, values)
            yield
            connection.rollback()

    def connections(self, pid, condition="true"):
        """Count the connections of one of Odoo's processes."""
        return self.value(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND "
            + condition,
            "odoo-%s" % pid,
        )

    def end_connections(self):
        """End every connection but this one, as a restart of PostgreSQL does."""
        self(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND usename = current_user"
            " AND pid <> pg_backend_pid()",
            self.name,
        )


class DatabaseCopy(Database):
    """A copy of a database, by default the test's, which is dropped at the end.

    What PostgreSQL copies is what a backup has and a restore brings back.
    """

    def __init__(self, source=None, suffix="processes"):
        self.source = source or config["db_name"][0]
        super().__init__("%s_%s" % (self.source[:50], suffix))

    def make(self):
        """Make the copy; PostgreSQL wants nobody to be connected to the source."""
        self.drop()
        eventually(self._copied, "the end of other connections to %s" % self.source)
        source, target = map(config.filestore, (self.source, self.name))
        shutil.rmtree(target, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            # Odoo never changes a file of its store.
            shutil.copytree(source, target, copy_function=os.link)
        self.connect()
        # What runs here is what a test starts.
        self("UPDATE ir_cron SET active = false")

    def _copied(self):
        sql_db.close_db(self.source)
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(self.name), sql.Identifier(self.source)
        )
        try:
            self._administer(command)
        except psycopg2.errors.ObjectInUse:
            return False
        return True

    def drop(self):
        self.close()
        self._administer(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(
                sql.Identifier(self.name)
            )
        )
        shutil.rmtree(config.filestore(self.name), ignore_errors=True)

    @staticmethod
    def _administer(command):
        with contextlib.closing(_connect("postgres")) as connection:
            connection.cursor().execute(command)


class Processes:
    """Starts workers and servers on a database, and ends every one of them."""

    def __init__(self, database, environment=()):
        self.database = database
        # Variables that are other ones here, as the server's time zone.
        self._variables = dict(environment)
        self._folder = Path(tempfile.mkdtemp(prefix="billpay_processes_"))
        self._configuration = self._folder / "odoo.conf"
        self._log = self._folder / "log"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        # A worker that is begun is the next one to report.
        self._beginning = threading.Lock()
        self._mother = None

    def start(self):
        """Start the process that forks the workers."""
        self._write_configuration()
        with self._log.open("wb") as log:
            self._mother = subprocess.Popen(
                [sys.executable, SCRIPT, self._configuration, self.database.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment(),
                cwd=self._folder,
                # With a group of their own, they can all be ended at once.
                start_new_session=True,
            )
        if self._mother.stdout.readline() != b"ready\n":
            raise AssertionError("No worker process:\n%s" % self.log())

    def _environment(self):
        env = {
            name: value
            for name, value in os.environ.items()
            # What was set for this process is in the configuration file.
            if not name.startswith("ODOO_") and name != "PGAPPNAME"
        }
        path = os.pathsep.join(filter(None, sys.path))
        return env | {"PYTHONPATH": path} | self._variables

    def stop(self):
        """End everything that was started, at once."""
        self._end()
        self._listener.close()
        shutil.rmtree(self._folder)

    def _end(self):
        if self._mother:
            with contextlib.suppress(ProcessLookupError):
                # Workers and servers are in its group.
                os.killpg(self._mother.pid, signal.SIGKILL)
            self._mother.wait()
            self._mother.stdin.close()
            self._mother.stdout.close()

    def log(self):
        """The last of what the processes logged."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-40:])

    def _write_configuration(self):
        parser = configparser.RawConfigParser()
        parser["options"] = self._settings()
        self._configuration.touch(mode=0o600)
        with self._configuration.open("w") as file:
            parser.write(file)

    def _settings(self):
        return {
            name: ",".join(value) if isinstance(value, (list, tuple)) else str(value)
            for name in SETTINGS
            if (value := config[name])
        } | {"http_interface": "127.0.0.1", "log_level": "warn"}

    def _order(self, **order):
        self._mother.stdin.write(json.dumps(order).encode() + b"\n")
        self._mother.stdin.flush()

    # === WORKERS === #

    def begin(self, task, stops=(), constants=None, **arguments):
        """Start a worker on a task.

        :param str task: a function of ``worker_process.py``
        :param stops: points "MODEL:METHOD:before" (or "after") to wait at
        :param dict constants: values by "MODEL:ATTRIBUTE", changed in this worker only
        """
        with self._beginning:
            self._order(
                port=self._listener.getsockname()[1],
                task=task,
                stops=list(stops),
                constants=constants or {},
                arguments=arguments,
            )
            line, _address = self._listener.accept()
        return Worker(self, line, task)

    def run(self, task, constants=None, **arguments):
        """Let a worker do a task, and return its result."""
        return self.begin(task, constants=constants, **arguments).result()

    def upgrade(self, *addons):
        """Upgrade add-ons as an administrator does: by the real server, with ``-u``.

        :raise AssertionError: with what the server said
        """
        self._odoo("-u", ",".join(addons), *self._ALONE)

    def install(self, *addons):
        """Install add-ons, with ``-i``."""
        self._odoo("-i", ",".join(addons), *self._ALONE)

    def uninstall(self, *addons):
        """Uninstall add-ons, and what depends on them.

        :return: what the server logged
        """
        return self._odoo(*addons, command=("module", "uninstall"))

    def neutralize(self):
        """Neutralise the database, as the operator guide says."""
        self._odoo(command=("neutralize",))

    _ALONE = ("--stop-after-init", "--no-http", "--max-cron-threads=0")

    def _odoo(self, *arguments, command=()):
        self.database.close()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "odoo", *command),
                *("-c", self._configuration, "-d", self.database.name),
                *arguments,
            ],
            env=self._environment(),
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if done.returncode or " ERROR " in done.stdout or " CRITICAL " in done.stdout:
            raise AssertionError("Odoo failed:\n%s" % done.stdout[-8000:])
        self.database.connect()
        return done.stdout

    def restart(self):
        """Let the next workers know which add-ons there are now."""
        self._end()
        self.start()

    # === SERVERS === #

    def serve(self, count):
        """Start Odoo servers; return their ports when all of them answer."""
        ports = []
        for _index in range(count):
            with socket.create_server(("127.0.0.1", 0)) as probe:
                ports.append(probe.getsockname()[1])
            command = [sys.executable, "-m", "odoo", "-c", self._configuration]
            command += ["-d", self.database.name]
            command += ["--db-filter", "^%s$" % self.database.name]
            command += ["--http-port", ports[-1], "--max-cron-threads=0"]
            self._order(command=[str(part) for part in command])
        for port in ports:
            eventually(
                lambda port=port: self._answers(port), "a server:\n" + self.log()
            )
        return ports

    @staticmethod
    def _answers(port):
        # The first request also builds the routes.
        with contextlib.suppress(OSError):
            return post(port, "/payment/clickpesa/webhook/nobody", b"{}") == 404
        return False


class Worker:
    """One worker process, as the test sees it."""

    def __init__(self, processes, line, task):
        line.settimeout(PATIENCE)
        self._processes = processes
        self._line = line
        self._stream = line.makefile("rw")
        self._task = task
        self.pid = self._hear()["pid"]

    def _hear(self):
        text = self._stream.readline()
        if not text:
            raise AssertionError(
                "The worker for %s ended:\n%s" % (self._task, self._processes.log())
            )
        message = json.loads(text)
        if "error" in message:
            raise AssertionError(
                "The worker for %s failed:\n%s" % (self._task, message["error"])
            )
        return message

    def reach(self, point):
        """Wait until the worker stops at this point."""
        message = self._hear()
        if message.get("at") != point:
            raise AssertionError("expected %s, not %s" % (point, message))
        return self

    def go(self):
        """Let the worker go on."""
        self._stream.write("go\n")
        self._stream.flush()
        return self

    def wait_until_blocked(self):
        """Wait until it waits in PostgreSQL for somebody's lock."""
        eventually(
            lambda: self._processes.database.connections(
                self.pid, "wait_event_type = 'Lock'"
            ),
            "a lock",
        )
        return self

    def kill(self):
        """Kill it as the kernel does, and wait until PostgreSQL has noticed.

        Nothing happens when it has finished.
        """
        if self._line is None:
            return
        os.kill(self.pid, signal.SIGKILL)
        eventually(
            lambda: not self._processes.database.connections(self.pid),
            "the end of the connections of a dead process",
        )
        self._close()

    def result(self, patience=PATIENCE):
        """Wait for the end of the task, so many seconds; return its result."""
        self._line.settimeout(patience)
        message = self._hear()
        if "result" not in message:
            raise AssertionError("not finished: %s" % message)
        self._close()
        return message["result"]

    def _close(self):
        self._stream.close()
        self._line.close()
        self._line = None


def post(port, path, body):
    """POST a body to a server of ours; return the status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        return response.status
