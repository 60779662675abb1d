# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Start the parts together, watch them, and end them in the right order."""

import contextlib
import re
import signal
import time

from . import odoo, paths, postgres, processes, rpc, system
from .console import Problem, say, step

SANDBOX = {
    "client-id": "IDsandbox",
    "api-key": "SKsandbox",
    "checksum-key": "CHKsandbox",
    "billpay-namba": "1122",
}


class Services:
    """The programs one command started; nothing else is ever stopped by it."""

    def __init__(self):
        self.started = []
        self.postgres = False

    def start_base(self):
        """Odoo's source, its packages, and PostgreSQL."""
        # Invoices are printed.
        system.ensure("wkhtmltopdf")
        was_running = postgres.is_running()
        odoo.ready()
        self.postgres = postgres.is_running() and not was_running

    def start_sandbox(self, host, port, state=None):
        """Start the ClickPesa sandbox and return its address."""
        processes.check_port(port, "the ClickPesa sandbox", "--sandbox-port")
        start = "import sys; from clickpesa_sandbox.cli import main; sys.exit(main())"
        command = [paths.PYTHON, "-c", start, "--host", host, "--port", port]
        for name, value in SANDBOX.items():
            command += [f"--{name}", value]
        command += ["--state", state] if state else []
        url = f"http://127.0.0.1:{port}"
        with step("ClickPesa sandbox"):
            self._start("sandbox", port, command)
            self._wait(f"{url}/_sandbox/health", 30)
        return url

    def start_odoo(self, database, host, port, workers=0):
        """Start Odoo on one database, with its scheduled actions, and wait for it."""
        processes.check_port(port, "Odoo", "--port")
        command = odoo.command(
            *("-d", database, f"--db-filter=^{re.escape(database)}$"),
            f"--http-interface={host}",
            f"--http-port={port}",
            f"--gevent-port={processes.free_port()}",
            f"--workers={workers}",
            "--max-cron-threads=2",
        )
        url = f"http://127.0.0.1:{port}"
        with step(f"Odoo on database {database}"):
            self._start("odoo", port, command)
            self._wait(f"{url}/web/health", 180)
        return url

    def _start(self, kind, port, command):
        name = f"{kind}-{port}"
        env = odoo.environment()
        process = processes.start(name, command, env=env, cwd=paths.ROOT)
        self.started.append((name, process))

    def _wait(self, url, seconds):
        def answers():
            self.check()
            with contextlib.suppress(Problem):
                return rpc.request(url)

        rpc.until(answers, seconds, f"waiting for {url}")

    def check(self):
        """Raise a Problem when one of the programs has ended."""
        for name, process in self.started:
            if process.poll() is not None:
                tail = processes.tail(process.log)
                raise Problem(
                    f"{name} ended by itself (status {process.returncode}).\n"
                    f"{tail}\nWhole log: {process.log}"
                )

    def watch(self):
        """Stay until Ctrl-C."""
        while True:
            self.check()
            time.sleep(0.5)

    def stop_sandboxes(self):
        """End the sandboxes alone; whoever goes on starts fresh ones."""
        for name, process in [*self.started]:
            if name.startswith("sandbox-"):
                processes.stop(name)
                process.wait()
                self.started.remove((name, process))

    def stop(self):
        """End what this object started, last first."""
        # A second Ctrl-C must not leave half of it running.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        while self.started:
            name, process = self.started.pop()
            processes.stop(name)
            process.wait()
        # Another command may have joined in meanwhile.
        if self.postgres and not postgres.is_busy():
            postgres.stop()


@contextlib.contextmanager
def services():
    """Services that are stopped at the end, whatever the end is."""
    running = Services()
    try:
        yield running
    finally:
        running.stop()


def foreground(running):
    """Stay until Ctrl-C, which is how this ends well."""
    say("\nCtrl-C stops it.")
    try:
        running.watch()
    except KeyboardInterrupt:
        say("\nStopping.")
