"""The page in Firefox: what a user does first. All other tests run in Chromium."""

import pathlib
import re
import shutil
import socket
import subprocess
import urllib.request

import pytest
from conftest import DEMO, ROOT, WEB, deliver
from firefox import Firefox, until

PROGRAM = shutil.which("firefox-esr") or shutil.which("firefox")
MISSING = not PROGRAM or not shutil.which("pulseaudio")
pytestmark = pytest.mark.skipif(MISSING, reason="Firefox or PulseAudio is not installed (Debian: apt-get install firefox-esr pulseaudio)")

NGINX = """
pid {folder}/pid;
error_log stderr;
daemon off;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  types {{ text/html html; text/css css; text/javascript js; application/json json; image/svg+xml svg; application/manifest+json webmanifest; }}
  server {{
    listen {address};
    location / {{ proxy_pass {service}; proxy_set_header Host $http_host; proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off; client_max_body_size 0; }}
    location = / {{ root {web}; try_files /index.html =404; add_header Content-Security-Policy "{policy}"; }}
    location /web/ {{ alias {web}/; add_header Content-Security-Policy "{policy}"; }}
  }}
}}
"""


@pytest.fixture
def address(idle, tmp_path):
    """The service's address; with VOCALIZER_WEB_FROM, that of a proxy that has the page's files."""
    if not WEB:
        yield idle.address
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    source = (ROOT / "vocalizer-http/src/page.rs").read_text()
    policy = re.sub(r"\\\n\s*", "", re.search(r"from_static\(\s*\"(.*?)\"", source, re.S)[1])
    config = tmp_path / "nginx.conf"
    config.write_text(NGINX.format(folder=tmp_path, address=address, service=idle.address, web=pathlib.Path(WEB).resolve(), policy=policy))
    nginx = subprocess.Popen(["nginx", "-c", config, "-p", tmp_path], stderr=(tmp_path / "log").open("w"))
    until(lambda: nginx.poll() is None and responds(f"http://{address}/livez"), 30)
    yield f"http://{address}"
    nginx.terminate()
    nginx.wait(timeout=30)


def responds(address):
    try:
        urllib.request.urlopen(address).close()
        return True
    except OSError:
        return False


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
