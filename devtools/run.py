# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Run a program and, when it fails, show why."""

import subprocess

from .console import Problem


def run(command, *, what, log=None, **options):
    """Run to the end; raise Problem with the last lines of its output on failure.

    :param what: what was being done, for the message.
    :param log: file that also keeps the whole output.
    :return: the output as text.
    """
    command = [str(part) for part in command]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            **options,
        )
    except OSError as error:
        raise Problem(f"{what}: cannot run {command[0]}: {error}") from error
    if log:
        log.write_text(done.stdout)
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-15:])
        where = f"\nWhole output: {log}" if log else ""
        raise Problem(
            f"{what}: failed with status {done.returncode}.\n"
            f"Command: {' '.join(command)}\n{tail}{where}"
        )
    return done.stdout
