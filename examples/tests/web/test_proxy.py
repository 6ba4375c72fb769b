"""The page behind a reverse proxy, under a path prefix."""

import hashlib
import socket
import subprocess
import time
import types
import urllib.error
import urllib.request

import pytest
from conftest import DEMO, PASSWORD, deliver, row
from listening import CATCH, playing, run_on
from playwright.sync_api import expect

# A minimal configuration, as for a home server with several services.
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
  server {{
    listen {address};
    location /at/home/ {{
      proxy_pass {service}/;
      proxy_set_header Host $http_host;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_buffering off;
      client_max_body_size 0;
    }}
  }}
}}
"""


@pytest.fixture
def below(idle, tmp_path):
    """`idle` behind a proxy, under /at/home."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = tmp_path / "nginx.conf"
    config.write_text(NGINX.format(folder=tmp_path, address=address, service=idle.address))
    nginx = subprocess.Popen(["nginx", "-c", config, "-p", tmp_path], stderr=(tmp_path / "log").open("w"))
    proxied = types.SimpleNamespace(address=f"http://{address}/at/home")
    while True:
        try:
            urllib.request.urlopen(f"{proxied.address}/livez").close()
            break
        except urllib.error.URLError:
            assert nginx.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
    yield proxied
    nginx.terminate()
    nginx.wait(timeout=30)


def test_upload_play_and_download_under_a_path_prefix(visit, idle, below, stems):
    page = visit(below, init=CATCH)
    page.locator("#account-link").click()
    for name, text in [("username", "proxied"), ("password1", PASSWORD), ("password2", PASSWORD)]:
        page.locator(f"#register-{name}").fill(text)
    page.keyboard.press("Enter")
    expect(page.locator("#account-link")).to_have_text("proxied")
    page.goto(f"{below.address}/")
    page.locator("#files").set_input_files({"name": "From home.mp3", "mimeType": "audio/mpeg", "buffer": DEMO.read_bytes()})
    song = row(page, "From home")
    expect(song).to_have_attribute("data-status", "UPLOADED")
    deliver(idle, {"hash": hashlib.sha256(DEMO.read_bytes()).hexdigest()}, stems)
    expect(song).to_have_attribute("data-status", "SPLIT")
    song.locator("a").click()
    expect(page.locator("#play")).to_be_enabled()
    playing(page)
    run_on(page, 1)
    with page.expect_download(timeout=60_000) as download:
        page.locator("#take-mix").click()
    assert download.value.suggested_filename == "From home (mix).mp3"
    mix = f"{idle.address}/songs/{page.url.rpartition('/')[2]}/mix.mp3"
    assert download.value.path().read_bytes() == page.context.request.get(mix).body()
    # The session and the song survive a reload.
    page.reload()
    expect(page.locator("#account-link")).to_have_text("proxied")
    expect(page.locator("#play")).to_be_enabled()
