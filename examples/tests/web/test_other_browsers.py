"""The page in Firefox and in WebKit, the engine of Safari: what a user does first. All other tests run in Chromium."""

import pathlib
import re
import shutil

import pytest
from conftest import DEMO, ROOT, WEB, deliver
from firefox import Firefox, until
from proxy import PASSING, nginx
from webkit import BROWSERS, WebKit

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
WEBKIT = BROWSERS[-1] if BROWSERS else None
NEEDS = {
    "firefox": ([FIREFOX, shutil.which("pulseaudio")], "firefox-esr pulseaudio"),
    "webkit": (
        [WEBKIT, *map(shutil.which, ["WebKitWebDriver", "Xvfb", "pulseaudio"])],
        "webkit2gtk-driver xvfb pulseaudio gstreamer1.0-plugins-good gstreamer1.0-pulseaudio",
    ),
}


@pytest.fixture
def address(idle, tmp_path):
    """The service's address; with VOCALIZER_WEB_FROM, that of a proxy that has the page's files."""
    if not WEB:
        yield idle.address
        return
    source = (ROOT / "vocalizer-http/src/page.rs").read_text()
    policy = re.sub(r"\\\n\s*", "", re.search(r"from_static\(\s*\"(.*?)\"", source, re.S)[1])
    files = pathlib.Path(WEB).resolve()
    locations = f"""
    location / {{ proxy_pass {idle.address}; {PASSING} }}
    location = / {{ root {files}; try_files /index.html =404; add_header Content-Security-Policy "{policy}"; }}
    location /web/ {{ alias {files}/; add_header Content-Security-Policy "{policy}"; }}"""
    with nginx(tmp_path, locations) as address:
        yield address


@pytest.fixture(params=NEEDS)
def other(request):
    programs, packages = NEEDS[request.param]
    if not all(programs):
        pytest.skip(f"{request.param} is not installed (Debian: apt-get install {packages})")
    browser = Firefox(FIREFOX) if request.param == "firefox" else WebKit(WEBKIT)
    yield browser
    browser.close()


def test_upload_and_play(idle, address, other, stems):
    other.go(f"{address}/")
    until(lambda: other.text("#count") == "No songs yet. Upload one above.")
    other.run("window.broken = []; document.addEventListener('securitypolicyviolation', (event) => broken.push(event.violatedDirective))")
    other.type("#files", str(DEMO))
    until(lambda: other.text(".song-title") == "first-light")
    song = idle.ask("GET", "/songs/?details")["songs"][0]
    deliver(idle, song, stems)
    until(lambda: other.text(".song .state") == "Done")
    other.click(".song-title")
    until(lambda: other.run("return document.querySelector('#play')?.disabled === false"))
    other.click("#play")
    # The position advances.
    until(lambda: re.match("0:0[3-9]", other.text("#time")))
    other.click("#play")
    # Back leads to the list, and live updates continue.
    other.run("history.back()")
    until(lambda: other.text(".song-title") == "first-light")
    idle.ask("PATCH", f"/songs/{song['id']}", {"title": "Renamed"})
    until(lambda: other.text(".song-title") == "Renamed")
    assert other.run("return window.broken") == []
