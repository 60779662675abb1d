# SPDX-License-Identifier: LGPL-3.0-or-later
"""``clickpesa-sandbox``: the simulator with its page, started from a terminal."""

import argparse
import signal
import sys
import threading

from .app import create_app
from .errors import SandboxError
from .sandbox import Sandbox
from .server import Server


def parser():
    result = argparse.ArgumentParser(
        prog="clickpesa-sandbox",
        description="A ClickPesa BillPay API to try things against, with a web page.",
    )
    result.add_argument("--host", default="127.0.0.1", help="default %(default)s")
    result.add_argument("--port", type=int, default=8079, help="default %(default)s")
    result.add_argument("--client-id", help="default IDsandbox")
    result.add_argument("--api-key", help="default SKsandbox")
    result.add_argument("--checksum-key", help="default empty: checksum is off")
    result.add_argument("--billpay-namba", help="four digits, default 1122")
    result.add_argument("--webhook-url", help="where payments are announced")
    result.add_argument(
        "--state",
        metavar="FILE",
        default=":memory:",
        help="keep numbers, payments, deliveries and settings in this file",
    )
    return result


def main(arguments=None):
    """Run until Ctrl-C or SIGTERM; exit status 2 if it cannot start."""
    options = parser().parse_args(arguments)
    try:
        sandbox = Sandbox(
            client_id=options.client_id,
            api_key=options.api_key,
            checksum_key=options.checksum_key,
            billpay_namba=options.billpay_namba,
            webhook_url=options.webhook_url,
            state=options.state,
        )
    except (SandboxError, OSError) as error:
        return _refuse(str(error))
    try:
        server = Server(create_app(sandbox), options.host, options.port)
    except (OSError, OverflowError) as error:
        sandbox.close()
        return _refuse(
            f"Port {options.port} on {options.host} cannot be used"
            f" ({getattr(error, 'strerror', None) or error})."
            " Choose another one with --port."
        )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with server:
        settings = sandbox.settings
        print(f"ClickPesa sandbox   {server.url}/", flush=True)
        print(f"API base URL        {server.url}/third-parties")
        print(f"Client ID, API key  {settings.client_id}, {settings.api_key}")
        print(f"Checksum            {'on' if settings.checksum_key else 'off'}")
        print(f"BillPay-Namba       {settings.billpay_namba}")
        print(f"Webhooks go to      {settings.webhook_url or 'nowhere yet'}")
        print("Ctrl-C stops it.", flush=True)
        stop.wait()
    sandbox.close()
    return 0


def _refuse(text):
    print(f"clickpesa-sandbox: {text}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
