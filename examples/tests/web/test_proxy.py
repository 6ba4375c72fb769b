"""The page behind a reverse proxy, under a path prefix."""

import hashlib
import types

import pytest
from conftest import DEMO, PASSWORD, deliver, row
from listening import CATCH, playing, run_on
from playwright.sync_api import expect
from proxy import PASSING, nginx


@pytest.fixture
def below(idle, tmp_path):
    """`idle` behind a proxy, under /at/home, as on a home server with several services."""
    locations = f"location /at/home/ {{ proxy_pass {idle.address}/; {PASSING} }}"
    with nginx(tmp_path, locations, probe="/at/home/livez") as address:
        yield types.SimpleNamespace(address=f"{address}/at/home")


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
