# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Several devices in real browsers, at a real server, with a gateway that is slow.

Odoo's own tours have one browser at a server that shares the test's transaction: two
devices never meet there. These tests work on a copy of the database (see
``processes.py``), with one Chromium whose contexts share nothing: cookies, storage and
network are a device's own. What a device asks of the server can be held back and let
through, so that a test says what comes first.
"""

import base64
import contextlib
import fnmatch
import itertools
import json
import shutil
import subprocess
import tempfile
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import requests
import websocket

from odoo.tests.common import _find_executable, _preexec

from .processes import eventually
from .test_concurrency import ConcurrencyCase

# Longest wait for something on a page (seconds): a first page builds its assets.
PATIENCE = 60
SIZE = 1400, 900
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-default-apps",
    "--enable-unsafe-swiftshader",
    "--no-default-browser-check",
    "--no-first-run",
    "--mute-audio",
    "--remote-debugging-port=0",
)
# Where an element is, once a person could press it; what keeps from it otherwise.
_PLACE = """
const all = [...document.querySelectorAll(%(css)s)];
const meant = all.filter((e) => !%(text)s || e.textContent.includes(%(text)s));
for (const element of meant) {
    element.scrollIntoView({ block: "center", inline: "center" });
    const box = element.getBoundingClientRect();
    if (!box.width || !box.height) continue;
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const top = document.elementFromPoint(x, y);
    if (top && (element.contains(top) || top.contains(element)) && !element.disabled) {
        return { x, y };
    }
}
return { found: meant.length };
"""


class Chromium:
    """One browser process; every device is a context of its own."""

    def __init__(self):
        self._folder = Path(tempfile.mkdtemp(prefix="billpay_chromium_"))
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    _find_executable(),
                    *SWITCHES,
                    f"--user-data-dir={self._folder}",
                    "about:blank",
                ],
                stderr=log,
                stdout=log,
                # Chromium reserves more memory than a server may use.
                preexec_fn=_preexec,
            )
        port_file = self._folder / "DevToolsActivePort"
        eventually(
            lambda: port_file.is_file() and port_file.read_text().count("\n"),
            "Chromium",
        )
        port, path = port_file.read_text().split()
        self._socket = websocket.create_connection(
            f"ws://127.0.0.1:{port}{path}", suppress_origin=True
        )
        self._ids = itertools.count(1)
        self._answers = {}
        self._pages = {}
        self._sending = threading.Lock()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self):
        while True:
            try:
                text = self._socket.recv()
            except (websocket.WebSocketException, OSError):
                text = ""
            if not text:
                for answer in self._answers.values():
                    answer.cancel()
                return
            message = json.loads(text)
            if "id" in message:
                self._answers.pop(message["id"]).set_result(message)
            elif page := self._pages.get(message.get("sessionId")):
                page._on_event(message["method"], message["params"])

    def begin(self, method, session=None, **params):
        """Send a command; return its answer to come."""
        message = {"id": next(self._ids), "method": method, "params": params}
        if session:
            message["sessionId"] = session
        answer = self._answers[message["id"]] = Future()
        with self._sending:
            self._socket.send(json.dumps(message))
        return answer

    def call(self, method, session=None, **params):
        message = self.begin(method, session, **params).result(PATIENCE)
        if "error" in message:
            raise AssertionError(f"{method}: {message['error']['message']}")
        return message["result"]

    def device(self, url, name):
        """Return a new device that opens pages of a server."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        return self.tab(Device(self, url, name, context))

    def tab(self, device):
        """Open a page for a device."""
        target = self.call(
            "Target.createTarget", url="about:blank", browserContextId=device.context
        )["targetId"]
        device.session = self.call(
            "Target.attachToTarget", targetId=target, flatten=True
        )["sessionId"]
        self._pages[device.session] = device
        for domain in ("Page", "Runtime", "Network"):
            device.call(f"{domain}.enable")
        # What a service worker sends could not be held back.
        device.call("Network.setBypassServiceWorker", bypass=True)
        device.call("Emulation.setFocusEmulationEnabled", enabled=True)
        device.size(*SIZE)
        return device

    def stop(self):
        self._process.kill()
        self._process.wait()
        self._listener.join()
        self._socket.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class Held:
    """Requests of a device that wait for the test."""

    def __init__(self, device, pattern):
        self.device, self.pattern = device, pattern
        self.waiting = []
        self._open = False

    def keeps(self, request):
        """Tell whether a request waits, by a part of its address or of its body."""
        text = request["url"] + " " + request.get("postData", "")
        return not self._open and fnmatch.fnmatch(text, f"*{self.pattern}*")

    def wait(self, count=1):
        """Wait until so many requests are held."""
        eventually(
            lambda: len(self.waiting) >= count, f"{count} × {self.pattern}", PATIENCE
        )

    def release(self):
        """Let what waits through, and what comes."""
        self._open = True
        waiting, self.waiting = self.waiting, []
        for request in waiting:
            self.device.begin("Fetch.continueRequest", requestId=request)


class Device:
    """A page of a browser that shares nothing with the others'."""

    def __init__(self, chromium, url, name, context):
        self.chromium, self.url, self.name = chromium, url, name
        self.context, self.session = context, None
        # What the page complained about: texts of exceptions that nobody caught.
        self.errors = []
        self._held = []

    def __repr__(self):
        return f"<Device {self.name}>"

    def call(self, method, **params):
        return self.chromium.call(method, self.session, **params)

    def begin(self, method, **params):
        return self.chromium.begin(method, self.session, **params)

    def _on_event(self, method, params):
        # On the listener's thread: nothing here may wait for an answer.
        if method == "Page.javascriptDialogOpening":
            self.begin("Page.handleJavaScriptDialog", accept=True)
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(
                details.get("exception", {}).get("description") or details["text"]
            )
        elif method == "Fetch.requestPaused":
            for held in self._held:
                if held.keeps(params["request"]):
                    held.waiting.append(params["requestId"])
                    return
            self.begin("Fetch.continueRequest", requestId=params["requestId"])

    # === WHERE IT IS === #

    def new_tab(self, name=None):
        """Return another page of the same browser: logged in as the same person."""
        other = Device(self.chromium, self.url, name or f"{self.name}, too", None)
        other.context = self.context
        return self.chromium.tab(other)

    def login(self, login, password=None):
        """Log in, as a person who typed it."""
        with requests.Session() as session:
            answer = session.post(
                f"{self.url}/web/session/authenticate",
                json={
                    "params": {
                        "db": self._database(session),
                        "login": login,
                        "password": password or login,
                    }
                },
                timeout=PATIENCE,
            ).json()
            if not answer.get("result", {}).get("uid"):
                raise AssertionError(f"{login} cannot log in: {answer}")
            self.call(
                "Network.setCookie",
                name="session_id",
                value=session.cookies["session_id"],
                url=self.url,
            )
        return self

    def _database(self, session):
        [name] = session.post(
            f"{self.url}/web/database/list", json={"params": {}}, timeout=PATIENCE
        ).json()["result"]
        return name

    def open(self, path):
        """Open a page of the server, and wait until it is there."""
        self.run("window.__before = true")
        self.call("Page.navigate", url=self.url + path)
        return self.wait("!window.__before && document.readyState === 'complete'")

    def reload(self):
        self.run("window.__before = true")
        self.call("Page.reload")
        return self.wait("!window.__before && document.readyState === 'complete'")

    def size(self, width, height=900):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        return self

    def offline(self, offline=True):
        """Pull the cable out, or put it in again."""
        self.call(
            "Network.emulateNetworkConditions",
            offline=offline,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )

    @contextlib.contextmanager
    def holding(self, pattern):
        """Hold requests whose address or body contains a pattern (``*`` for any).

        :return: :class:`Held`; what was not released is let through at the end
        """
        held = Held(self, pattern)
        self._held.append(held)
        self.call("Fetch.enable")
        try:
            yield held
        finally:
            held.release()
            self._held.remove(held)
            if not self._held:
                self.call("Fetch.disable")

    # === WHAT IS ON THE PAGE === #

    def run(self, script):
        """Run statements in the page; return what they ``return``, awaited."""
        result = self.call(
            "Runtime.evaluate",
            expression="(async () => {%s\n})()" % script,
            awaitPromise=True,
            returnByValue=True,
        )
        if details := result.get("exceptionDetails"):
            text = details.get("exception", {}).get("description") or details["text"]
            raise AssertionError(f"{self}: {text}")
        return result["result"].get("value")

    def wait(self, condition, seconds=PATIENCE):
        """Wait until an expression is true on the page."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if self.run(f"return Boolean({condition})"):
                    return self
                problem = ""
            except AssertionError as error:
                # The page is being left: its world is gone.
                problem = str(error)
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{self} waited in vain for: {condition}\n{problem}\n"
                    f"{self._situation()}"
                )
            time.sleep(0.05)

    def _situation(self):
        text = self.run("return document.body?.innerText || ''") or ""
        errors = "\n".join(self.errors[-3:])
        shown = " | ".join(filter(None, text.splitlines()))
        return f"It shows:\n{shown[:1500]}\n{errors}"

    def see(self, css, text=None, seconds=PATIENCE):
        """Wait until something is to be seen."""
        return self.wait(self._seen(css, text), seconds)

    def see_no(self, css, text=None, seconds=PATIENCE):
        """Wait until nothing of this is to be seen any more."""
        return self.wait("!" + self._seen(css, text), seconds)

    def sees(self, css, text=None):
        return self.run(f"return {self._seen(css, text)}")

    @staticmethod
    def _seen(css, text):
        return (
            f"[...document.querySelectorAll({json.dumps(css)})].some((e) =>"
            f" e.checkVisibility() && (!{json.dumps(text)} ||"
            f" e.textContent.includes({json.dumps(text)})))"
        )

    def text(self, css):
        """Return the text of the first that is there, in one line."""
        self.wait(f"document.querySelector({json.dumps(css)})")
        script = f"return document.querySelector({json.dumps(css)}).innerText"
        return " ".join(self.run(script).split())

    # === WHAT A PERSON DOES === #

    def click(self, css, text=None, seconds=PATIENCE):
        """Press the first that is to be seen, with nothing over it."""
        script = _PLACE % {"css": json.dumps(css), "text": json.dumps(text)}
        deadline, before = time.monotonic() + seconds, None
        # What still moves is not where it was seen.
        while "x" not in (place := self.run(script)) or place != before:
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{self} cannot press {css} {text or ''} ({place}).\n"
                    f"{self._situation()}"
                )
            before = place
            time.sleep(0.05)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, **place, **button)
        return self

    def press(self, key):
        """Press a key, as ``Escape``."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)
        return self

    def type(self, css, text):
        """Replace what stands in a field."""
        self.see(css)
        self.run(
            f"const field = document.querySelector({json.dumps(css)});"
            "field.focus(); field.select?.();"
        )
        self.call("Input.insertText", text=text)
        self.run(
            f"document.querySelector({json.dumps(css)})"
            ".dispatchEvent(new Event('change', { bubbles: true }))"
        )
        return self

    def again_until(self, script, condition, every=5, seconds=PATIENCE):
        """Run statements, and again every few seconds, until a condition holds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(AssertionError):
                # The page may be on its way to the next one.
                self.run(script)
            pause = min(time.monotonic() + every, deadline)
            while time.monotonic() < pause:
                with contextlib.suppress(AssertionError):
                    if condition():
                        return self
                time.sleep(0.1)
        raise AssertionError(f"{self} did it again in vain.\n{self._situation()}")

    def picture(self, path, width=SIZE[0], height=SIZE[1]):
        """Write a picture of the page, as wide as a screen or a phone."""
        self.size(width, height)
        time.sleep(0.5)  # what slides in arrives
        data = self.call("Page.captureScreenshot")["data"]
        Path(path).write_bytes(base64.b64decode(data))
        self.size(*SIZE)


class DevicesCase(ConcurrencyCase):
    """Devices at one server, whose workers run when the test says so."""

    # What the page may complain about without the test failing.
    known_errors = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        [port] = cls.processes.serve(1)
        cls.server_url = f"http://127.0.0.1:{port}"
        cls.chromium = Chromium()
        cls.addClassCleanup(cls.chromium.stop)

    def setUp(self):
        super().setUp()
        self.devices = []

    def device(self, name, login=None, password=None):
        device = self.chromium.device(self.server_url, name)
        self.devices.append(device)
        # What it still asks must not meet the next test's beginning.
        self.addCleanup(
            self.chromium.call,
            "Target.disposeBrowserContext",
            browserContextId=device.context,
        )
        return device.login(login, password) if login else device

    def gateway_takes(self, seconds):
        """Let ClickPesa answer after so many seconds from now on."""
        self.sandbox.faults.add("latency", times=-1, seconds=seconds)

    def money_comes(self, number, amount):
        """Somebody pays, ClickPesa delivers, and the workers book it."""
        payment = self.pay(number, amount)
        self.deliver(payment)
        self.run_worker("process")
        return payment

    def assertNoErrors(self):
        for device in self.devices:
            errors = [
                error
                for error in device.errors
                if not any(known in error for known in self.known_errors)
            ]
            self.assertFalse(errors, device)
