"""A small client of Marionette, the remote control that is built into Firefox: Debian has Firefox, but not the program that drives it."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

PREFERENCES = {
    "marionette.port": 0,
    "media.autoplay.default": 0,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "network.captive-portal-service.enabled": False,
    "intl.accept_languages": "en-GB",
}
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Firefox:
    """A headless Firefox with a profile and a sound device of its own: without a device, Firefox plays nothing."""

    def __init__(self, program):
        self.profile = pathlib.Path(tempfile.mkdtemp(prefix="vocalizer-firefox-"))
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
        (self.profile / "user.js").write_text("\n".join(lines))
        command = [program, "--headless", "--marionette", "--no-remote", "--profile", self.profile, "--width", "1280", "--height", "900"]
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(self.profile)}
        sound = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "-L", "module-null-sink", "-L", "module-native-protocol-unix"]
        quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.sound = subprocess.Popen(sound, **quiet)
        until((self.profile / "pulse/native").exists, 60)
        self.process = subprocess.Popen(command, **quiet)
        # Firefox chooses a free port and writes it into the profile.
        port = self.profile / "MarionetteActivePort"
        until(port.is_file, 120)
        self.wire = socket.create_connection(("127.0.0.1", int(port.read_text())), timeout=60)
        self.receive()
        self.ask("WebDriver:NewSession", {})

    def receive(self):
        """Reads a message: its length, a colon, and JSON."""
        length = b""
        while (byte := self.wire.recv(1)) != b":":
            length += byte
        text = b""
        while len(text) < int(length):
            text += self.wire.recv(int(length) - len(text))
        return json.loads(text)

    def ask(self, command, fields):
        message = json.dumps([0, 1, command, fields])
        self.wire.sendall(f"{len(message.encode())}:{message}".encode())
        _, _, error, answer = self.receive()
        if error:
            raise AssertionError(f"{command}: {error['error']}: {error['message']}")
        return answer.get("value", answer) if isinstance(answer, dict) else answer

    def go(self, address):
        self.ask("WebDriver:Navigate", {"url": address})

    def run(self, script, *arguments):
        """Returns what a script in the page returns."""
        return self.ask("WebDriver:ExecuteScript", {"script": script, "args": list(arguments)})

    def find(self, selector):
        return self.ask("WebDriver:FindElement", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.ask("WebDriver:ElementClick", {"id": self.find(selector)})

    def type(self, selector, text):
        """Types into a field; in a file field, chooses the file with this path."""
        self.ask("WebDriver:ElementSendKeys", {"id": self.find(selector), "text": text})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def close(self):
        self.wire.close()
        for process in [self.process, self.sound]:
            process.kill()
            process.wait(timeout=60)
        shutil.rmtree(self.profile, ignore_errors=True)


def until(holds, seconds=60):
    """Waits until a condition holds and returns its value."""
    end = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < end, "timeout"
        time.sleep(0.1)
    return value
