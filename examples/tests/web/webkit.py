"""A small client of WebDriver for WebKitGTK, the engine of Safari as Debian has it."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request

from firefox import ELEMENT, until

BROWSERS = sorted(pathlib.Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"))


class WebKit:
    """A WebKit browser with a screen and a sound device of its own."""

    def __init__(self, program):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="vocalizer-webkit-"))
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        # Xvfb chooses a free number for its screen and writes it to the file descriptor.
        read, write = os.pipe()
        screen = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
        self.processes = [subprocess.Popen(screen, pass_fds=[write], **quiet)]
        os.close(write)
        with os.fdopen(read) as numbers:
            display = f":{numbers.readline().strip()}"
        # As root, WebKit's sandbox does not start; the test's pages are ours.
        environment = {
            **os.environ,
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home),
            "DISPLAY": display,
            "LANGUAGE": "en_GB",
            "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1",
            "WEBKIT_DISABLE_COMPOSITING_MODE": "1",
        }
        sound = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "-L", "module-null-sink", "-L", "module-native-protocol-unix"]
        self.processes.append(subprocess.Popen(sound, env=environment, **quiet))
        until((self.home / "pulse/native").exists)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.processes.append(subprocess.Popen(["WebKitWebDriver", f"--port={port}"], env=environment, **quiet))
        self.session = f"http://127.0.0.1:{port}"
        until(self.answers)
        browser = {"binary": str(program), "args": ["--automation"]}
        made = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": browser}}})
        self.session += f"/session/{made['sessionId']}"

    def answers(self):
        try:
            return self.ask("GET", "/status") is not None
        except OSError:
            return False

    def ask(self, method, path, fields=None):
        body = None if fields is None else json.dumps(fields).encode()
        request = urllib.request.Request(self.session + path, data=body, method=method, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            failure = json.load(error)["value"]
            raise AssertionError(f"{path}: {failure['error']}: {failure['message']}") from None

    def go(self, address):
        self.ask("POST", "/url", {"url": address})

    def run(self, script, *arguments):
        """Returns what a script in the page returns."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def element(self, selector):
        return f"/element/{self.ask('POST', '/element', {'using': 'css selector', 'value': selector})[ELEMENT]}"

    def click(self, selector):
        self.ask("POST", f"{self.element(selector)}/click", {})

    def type(self, selector, text):
        """Types into a field; in a file field, chooses the file with this path."""
        self.ask("POST", f"{self.element(selector)}/value", {"text": text})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def close(self):
        for process in reversed(self.processes):
            process.terminate()
            process.wait(timeout=60)
        shutil.rmtree(self.home, ignore_errors=True)
