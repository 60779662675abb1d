# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Ports and pid files: only our own programs are ever ended."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from devtools import paths, processes
from devtools.console import Problem

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); "
    "time.sleep(60)",
]


def test_taken_port_says_which_option_to_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Problem, match=f"Port {port} for Odoo .* --port") as found:
            processes.check_port(port, "Odoo", "--port")
    assert found.value.status == 2


def test_free_port_is_no_problem():
    processes.check_port(processes.free_port(), "Odoo", "--port")


def test_started_program_is_known_and_stopped():
    process = processes.start("sleeper", SLEEP, env=dict(os.environ))
    assert processes.running() == ["sleeper"]
    assert processes.stop("sleeper")
    assert processes.running() == []
    assert process.wait(5) is not None


def test_program_that_does_not_listen_is_killed():
    process = processes.start("stubborn", STUBBORN, env=dict(os.environ))
    while not process.log.read_text():
        pass
    processes.stop("stubborn", seconds=0.2)
    assert process.wait(5) is not None
    assert processes.running() == []


def test_stale_pid_file_never_ends_a_stranger():
    stranger = subprocess.Popen(SLEEP, start_new_session=True)
    try:
        pid_file = paths.subfolder("run") / "ours.pid"
        pid_file.write_text(f"{stranger.pid} 1")
        assert not processes.stop("ours")
        assert stranger.poll() is None
        assert not pid_file.exists()
    finally:
        stranger.send_signal(signal.SIGKILL)
        stranger.wait()
