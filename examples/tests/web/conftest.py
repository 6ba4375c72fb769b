"""Fixtures for the tests of the web page in a real browser against the real program.

`.ci/web` installs the dependencies and runs the tests. There are two services: `service`, with the real model, and `idle`, a server
without a worker, whose songs change only when a test plays the worker.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import uuid

import pytest
from playwright.sync_api import expect, sync_playwright

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "debug/vocalizer"
DEMO = ROOT / "demo/first-light.mp3"
TOKEN = "the-token-of-the-tests-worker"
PASSWORD = "correct horse battery"
# The screenshot folder; docs/screenshots when updating the documentation.
SHOTS = pathlib.Path(os.environ.get("VOCALIZER_SCREENSHOTS", ROOT / "target/screenshots"))
# A folder whose files replace the page built into the program, so that page edits need no build.
WEB = os.environ.get("VOCALIZER_WEB_FROM")


class Service:
    """A server that can be stopped and restarted with the same data and address."""

    def __init__(self, *options, **settings):
        self.options = options
        self.settings = {key.upper(): str(value) for key, value in settings.items()}
        self.data = pathlib.Path(tempfile.mkdtemp(prefix="vocalizer-web-"))
        self.listen = "127.0.0.1:0"
        self.process = None
        self.start()

    def start(self):
        environment = {**os.environ, "RUST_LOG": "warn", "DEVICE": "cpu", "WORKER_TOKEN": TOKEN, **self.settings}
        command = [PROGRAM, "serve", *self.options, "--listen-addr", self.listen, "--data-dir", self.data / "data"]
        self.log = (self.data / "log").open("a")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, env=environment, text=True)
        for line in self.process.stdout:
            if found := re.search(r"http://([\d.]+:\d+)", line):
                self.listen = found[1]
                break
        else:
            raise RuntimeError(f"the server did not start: {(self.data / 'log').read_text()[-2000:]}")
        self.address = f"http://{self.listen}"

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)
        self.process.stdout.close()
        self.log.close()

    def close(self):
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)

    def ask(self, method, path, body=None, **headers):
        """Returns a response's data; sends bytes as they are and anything else as JSON."""
        if body is not None and not isinstance(body, bytes):
            headers["Content-Type"] = "application/json"
            body = json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data=body, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]

    def bytes(self, path):
        with urllib.request.urlopen(self.address + path, timeout=120) as answer:
            return answer.read()

    def work(self, path, body=b""):
        """Sends a worker's request."""
        return self.ask("POST", path, body, Authorization=f"Bearer {TOKEN}")

    def upload(self, title, file=DEMO, data=None, **headers):
        """Uploads a song without a browser; `data` replaces the file's bytes."""
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="title"\r\n\r\n{title}\r\n'.encode(),
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'.encode(),
            file.read_bytes() if data is None else data,
            f"\r\n--{boundary}--\r\n".encode(),
        ]
        headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
        return self.ask("POST", "/songs/upload", b"".join(parts), **headers)["song"]

    def song(self, song):
        try:
            return self.ask("GET", f"/songs/{song}")["song"]
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def until(self, song, status, seconds=300):
        """Waits until the song has this status and returns it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            now = self.song(song)
            if now and now["status"] == status:
                return now
            time.sleep(0.2)
        raise AssertionError(f"song not {status} after {seconds} s: {now}")


def without_full_screen(page):
    """Makes karaoke cover only the page: Chromium resizes no window in full screen."""
    page.evaluate("Element.prototype.requestFullscreen = undefined")


def tone(hertz, seconds=1.0):
    """A WAV file; each frequency has a different hash."""
    import math
    import struct

    frames = b"".join(struct.pack("<h", int(9000 * math.sin(2 * math.pi * hertz * n / 8000))) for n in range(int(8000 * seconds)))
    head = b"RIFF" + struct.pack("<I", 36 + len(frames)) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    return head + b"data" + struct.pack("<I", len(frames)) + frames


@pytest.fixture(scope="session")
def service():
    service = Service(threads=2)
    end = time.monotonic() + 300
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{service.address}/readyz", timeout=5).close()
            break
        except urllib.error.HTTPError:
            time.sleep(0.3)
    yield service
    service.close()


@pytest.fixture
def idle():
    """A server for one test, so that the test knows all its songs."""
    service = Service("--no-worker")
    yield service
    service.close()


@pytest.fixture(scope="session")
def demo(service):
    """The demo song, processed by the real model."""
    song = service.upload("First Light")
    return service.until(song["id"], "SPLIT")


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        names = ["chromium-headless-shell", "chromium", "chromium-browser"]
        chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
        flags = ["--autoplay-policy=user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags, chromium_sandbox=os.geteuid() != 0)
        yield browser
        browser.close()


class Watched:
    """Records console messages, policy violations and requests of a page."""

    def __init__(self, context):
        self.troubles = []
        self.requests = []
        context.on("request", lambda request: self.requests.append(request.url))
        context.on("weberror", lambda error: self.troubles.append(f"error: {error.error}"))
        context.on("console", self.said)

    def said(self, message):
        # The browser logs every failed request; tests cause those on purpose.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text and "net::ERR" not in message.text:
            self.troubles.append(f"{message.type}: {message.text}")


@pytest.fixture
def visit(browser):
    """Opens a page of a service in a separate browser profile."""
    contexts = []

    def opened(service, path="/", init=None, **settings):
        settings = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", "timezone_id": "UTC", **settings}
        context = browser.new_context(**settings)
        context.set_default_timeout(20_000)
        context.watched = Watched(context)
        context.add_init_script("addEventListener('securitypolicyviolation', (e) => console.error('policy', e.violatedDirective, e.blockedURI))")
        if init:
            context.add_init_script(init)
        contexts.append((context, service))
        if WEB:
            local(context, service)
        page = context.new_page()
        page.goto(service.address + path)
        return page

    yield opened
    for context, service in contexts:
        watched = context.watched
        context.close()
        assert watched.troubles == []
        elsewhere = [url for url in watched.requests if not url.startswith((service.address + "/", "data:", "blob:"))]
        assert elsewhere == [], "the page sent requests to another server"


def shot(page, name):
    """Saves a screenshot."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", animations="disabled")


# A generous timeout, so that slow machines do not fail tests.
expect.set_options(timeout=20_000)


def local(context, service):
    """Serves the page's files from `VOCALIZER_WEB_FROM` with the program's Content-Security-Policy."""
    # From the source, so that a change of the policy needs no build either.
    source = (ROOT / "vocalizer-http/src/page.rs").read_text()
    policy = re.sub(r"\\\n\s*", "", re.search(r"from_static\(\s*\"(.*?)\"", source, re.S)[1])

    def show(route):
        name = route.request.url.partition("/web/")[2] or "index.html"
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
        route.fulfill(path=pathlib.Path(WEB).resolve() / name, headers=headers)

    context.route(re.compile(re.escape(service.address) + r"/(web/[a-z.-]+)?(#.*)?$"), show)


def begin(service, song, percent=0):
    """A worker starts a song and reports progress."""
    service.work(f"/songs/{song['hash']}/begin")
    service.work(f"/songs/{song['hash']}/progress", {"percent": str(percent)})


def give_up(service, song, reason):
    service.work(f"/songs/{song['hash']}/begin")
    service.work(f"/songs/{song['hash']}/fail", {"reason": reason})


def deliver(service, song, stems):
    service.work(f"/songs/{song['hash']}/begin")
    service.work(f"/songs/{song['hash']}/upload_result", stems)


def row(page, title):
    """Returns a song's row in the list."""
    return page.locator(".song").filter(has=page.locator(f".song-title", has_text=re.compile(f"^{re.escape(title)}$")))


def known(service, cookie=None):
    """Returns the titles of all songs that the server lists, newest first."""
    titles, after = [], ""
    while after is not None:
        headers = {"Cookie": cookie} if cookie else {}
        page = service.ask("GET", f"/songs/?details&limit=200{after and f'&after={after}'}", **headers)
        titles += [song["title"] for song in page["songs"]]
        after = page.get("next")
    return titles


def register(page, service, name="ada", password=PASSWORD):
    """Registers an account in the page's profile and reloads the page. Returns the session cookie."""
    fields = {"username": name, "password1": password, "password2": password}
    answer = page.context.request.post(f"{service.address}/auth/register", data=fields)
    assert answer.ok, answer.text()
    page.reload()
    return "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in page.context.cookies())


def throttle(page, bytes_per_s):
    """Limits the page's upload speed; -1 removes the limit."""
    if not hasattr(page, "wire"):
        page.wire = page.context.new_cdp_session(page)
        page.wire.send("Network.enable")
    page.wire.send("Network.emulateNetworkConditions",
                   {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_s})


def stand_still(page):
    """Stops the page's clock; `page.clock.fast_forward` advances it."""
    page.clock.install()
    page.clock.pause_at(time.time() + 3600)


@pytest.fixture(scope="session")
def stems(tmp_path_factory):
    """A result archive made from the demo song's stems."""
    folder = tmp_path_factory.mktemp("stems")
    source = DEMO.with_name("first-light.stems.flac")
    for at, stem in enumerate(["drums", "bass", "other", "vocals"]):
        command = ["ffmpeg", "-v", "error", "-i", source, "-af", f"pan=stereo|c0=c{at}|c1=c{at}", "-ar", "44100", "-b:a", "320k"]
        command.append(folder / f"{stem}.mp3")
        subprocess.run(command, check=True)
    with tarfile.open(folder / "stems.tar", "w") as tar:
        for stem in ["bass", "drums", "other", "vocals"]:
            tar.add(folder / f"{stem}.mp3", f"{stem}.mp3")
    return (folder / "stems.tar").read_bytes()
