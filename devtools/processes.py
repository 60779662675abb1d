# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Programs this checkout started: pid files, ports, and an end for each of them."""

import os
import signal
import socket
import subprocess
import time

from . import paths
from .console import PRECONDITION, Problem


def check_port(port, what, option):
    """Raise a clear message when something already listens on a local port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Problem(
                f"Port {port} for {what} is taken ({error.strerror}). Stop what uses "
                f"it (./dev stop, if it is ours) or choose another: {option} PORT",
                PRECONDITION,
            ) from error


def free_port():
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _birth(pid):
    """Kernel's start time of a process: a reused pid has another one."""
    try:
        with open(f"/proc/{pid}/stat") as handle:
            fields = handle.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def start(name, command, *, env, cwd=None):
    """Start a program in its own process group, with a log and a pid file.

    Its own group, so that Ctrl-C reaches ./dev alone and the end is in our order.
    """
    log = paths.subfolder("logs") / f"{name}.log"
    with open(log, "w") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
    pid_file = paths.subfolder("run") / f"{name}.pid"
    pid_file.write_text(f"{process.pid} {_birth(process.pid)}")
    process.log = log
    return process


def tail(log, lines=15):
    """The last lines of a log file, for a message."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-lines:])


def running():
    """Names of our programs that are alive."""
    return [
        path.stem for path in sorted(paths.subfolder("run").glob("*.pid")) if _pid(path)
    ]


def _pid(pid_file):
    try:
        pid, birth = pid_file.read_text().split()
    except (OSError, ValueError):
        return None
    return int(pid) if _birth(int(pid)) == birth else None


def stop(name, seconds=15):
    """End one program by its pid file; kill its group when it does not listen.

    :return: whether it was alive.
    """
    pid_file = paths.subfolder("run") / f"{name}.pid"
    pid = _pid(pid_file)
    if pid:
        _signal(pid, signal.SIGTERM)
        limit = time.monotonic() + seconds
        while _pid(pid_file) and time.monotonic() < limit:
            _reap(pid)
            time.sleep(0.05)
        # Whatever it started itself lives in its group.
        _signal(pid, signal.SIGKILL)
        _reap(pid)
    pid_file.unlink(missing_ok=True)
    return bool(pid)


def _signal(pid, number):
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _reap(pid):
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
