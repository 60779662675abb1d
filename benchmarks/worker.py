# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A worker process: a real Odoo on one database, without HTTP and scheduled actions.

Started by ``bed.Worker``. It gets one JSON object per line and answers each with one:
``{"task": "name", "arguments": {}}`` and ``{"result": …}`` or ``{"error": "…"}``.
"""

import json
import os
import socket
import sys
import threading
import traceback

# The folder of this file has modules with common names; the checkout is what we want.
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != HERE]
sys.path.append(os.path.dirname(HERE))

from benchmarks import discover  # noqa: E402
from benchmarks.tasks import TASKS  # noqa: E402


def main(port, database):
    from odoo import SUPERUSER_ID, api
    from odoo.modules.registry import Registry
    from odoo.tools import config

    discover()
    config.parse_config(
        ["-d", database, "--no-http", "--max-cron-threads=0", "--log-level=warn"],
        setup_logging=True,
    )
    threading.current_thread().dbname = database
    registry = Registry(database)
    line = socket.create_connection(("127.0.0.1", int(port)))
    stream = line.makefile("rw")
    stream.write('{"ready": true}\n')
    stream.flush()
    for text in stream:
        order = json.loads(text)
        try:
            function, arguments = TASKS[order["task"]], order["arguments"]
            if function.wants_cursor:
                registry = registry.check_signaling()
                with registry.cursor() as cr:
                    env = api.Environment(cr, SUPERUSER_ID, {})
                    result = function(env, **arguments)
            else:
                result = function(database, **arguments)
            answer = {"result": result}
        except Exception:  # noqa: BLE001 - whatever it was, the other side tells it
            answer = {"error": traceback.format_exc()}
        stream.write(json.dumps(answer) + "\n")
        stream.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
