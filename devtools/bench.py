# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""./dev bench: how fast it is, beside Odoo's own way, on this machine and now."""

import os
import signal
import time
from pathlib import Path

import benchmarks
from benchmarks import bed

from . import bench_results, folders, paths
from .console import PRECONDITION, Problem, say, warn
from .services import services

RESULTS = "bench-results.json"


def bench(options):
    """Run the named benchmarks, or all.

    :return: exit status 0 when every bar is met.
    """
    chosen = choose(options.names, benchmarks.discover())
    path = Path(options.json) if options.json else paths.ROOT / RESULTS
    if not path.absolute().parent.is_dir():
        raise Problem(
            f"There is no folder {path.absolute().parent} for the results.",
            PRECONDITION,
        )
    results, broken = [], []
    start = time.monotonic()
    with folders.lock(paths.state() / ".bench.lock"), services() as running:
        running.start_base()
        bed.remove_leftovers()
        for name, module in chosen.items():
            say(f"\n{name}: {module.TITLE}")
            try:
                results.append(_run(module, running, options.quick))
            except Problem as problem:
                # One that breaks stops only itself.
                warn(f"./dev bench: {name} was not measured: {problem}")
                broken.append(name)
                continue
            bench_results.write(path, results)
            say("\n" + "\n".join(bench_results.table(results[-1])))
    if results:
        say(f"\nWritten to {path}. {time.monotonic() - start:.0f} s.")
    if os.getloadavg()[0] > 2 * (os.cpu_count() or 1):
        warn("The machine is busy with other things: the times waver.")
    return conclude(results, broken)


def conclude(results, broken):
    """Say what is not as it should be.

    :param broken: names of benchmarks that ended without a result.
    :return: exit status.
    """
    missed = [result.name for result in results if not result.met]
    if broken:
        warn(f"./dev bench: not measured: {', '.join(broken)}")
    if missed:
        warn(f"./dev bench: a bar was missed: {', '.join(missed)}")
    return 1 if missed or broken else 0


def choose(names, known):
    """The wanted benchmarks of the known ones, in their order.

    :raise Problem: there is no such benchmark.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Problem(
            f"There is no benchmark {', '.join(unknown)}. There are: "
            f"{', '.join(known)}.",
            PRECONDITION,
        )
    return {name: known[name] for name in known if not names or name in names}


def _run(module, running, quick):
    place = bed.Bed(running, quick)
    try:
        return module.run(place)
    finally:
        # A second Ctrl-C must not leave databases behind.
        handlers = {
            number: signal.signal(number, signal.SIG_IGN)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        place.close()
        running.stop_sandboxes()
        for number, handler in handlers.items():
            signal.signal(number, handler)
