"""The page in Firefox: what a user does first. All other tests run in Chromium."""

import pathlib
import re
import shutil

import pytest
from conftest import DEMO, ROOT, WEB, deliver
from firefox import Firefox, until
from proxy import PASSING, nginx

PROGRAM = shutil.which("firefox-esr") or shutil.which("firefox")
MISSING = not PROGRAM or not shutil.which("pulseaudio")
pytestmark = pytest.mark.skipif(MISSING, reason="Firefox or PulseAudio is not installed (Debian: apt-get install firefox-esr pulseaudio)")


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


@pytest.fixture
def firefox():
    browser = Firefox(PROGRAM)
    yield browser
    browser.close()


def test_upload_and_play_in_firefox(idle, address, firefox, stems):
    firefox.go(f"{address}/")
    until(lambda: firefox.text("#count") == "No songs yet. Upload one above.")
    firefox.run("window.broken = []; document.addEventListener('securitypolicyviolation', (event) => broken.push(event.violatedDirective))")
    firefox.type("#files", str(DEMO))
    until(lambda: firefox.text(".song-title") == "first-light")
    song = idle.ask("GET", "/songs/?details")["songs"][0]
    deliver(idle, song, stems)
    until(lambda: firefox.text(".song .state") == "Done")
    firefox.click(".song-title")
    until(lambda: firefox.run("return document.querySelector('#play')?.disabled === false"))
    firefox.click("#play")
    # The position advances.
    until(lambda: re.match("0:0[3-9]", firefox.text("#time")))
    firefox.click("#play")
    # Back leads to the list, and live updates continue.
    firefox.run("history.back()")
    until(lambda: firefox.text(".song-title") == "first-light")
    idle.ask("PATCH", f"/songs/{song['id']}", {"title": "Renamed"})
    until(lambda: firefox.text(".song-title") == "Renamed")
    assert firefox.run("return window.broken") == []
