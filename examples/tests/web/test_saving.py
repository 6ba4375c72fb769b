"""Saving data: the player loads previews."""

import re

import pytest
from playwright.sync_api import expect

from listening import STEMS, files, heard, listen, opened, playing, run_on
from test_handling import song  # noqa: F401 (fixture)

SAVES = "Object.defineProperty(navigator, 'connection', { value: { saveData: true } });"


def audio(page):
    """The audio files that the page has requested."""
    return [url for url in page.context.watched.requests if re.search(r"/songs/.*\.(mp3|wav)", url)]


def previews(song):  # noqa: F811
    return [f"{file}?quality=preview" for file in files(song)]


def test_browser_that_saves_data_plays_previews(visit, idle, song):  # noqa: F811
    page = visit(idle, f"/#/songs/{song['id']}", init=SAVES)
    expect(page.locator("#play")).to_be_enabled()
    expect(page.locator("#save-data")).to_have_attribute("aria-pressed", "true")
    playing(page)
    expect(page.locator("#time")).to_have_text(re.compile("^0:0[1-9]"))
    assert {url.partition("/songs/")[2] for url in audio(page)} == {file.partition("/songs/")[2] for file in previews(song)}


def test_previews_play_in_sync_and_quality_changes_while_playing(visit, idle, song):  # noqa: F811
    page = opened(visit, idle, song)
    page.locator("#save-data").click()
    expect(page.locator("#save-data")).to_have_attribute("aria-pressed", "true")
    page.wait_for_function("performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('quality=preview')).length >= 4")
    page.wait_for_load_state("networkidle")
    playing(page)
    listen(page)
    run_on(page, 3)
    found = heard(page, previews(song))
    assert len({each["at"] for each in found}) == 1, found
    assert max(each["most"] for each in found) < 1e-3, found
    # Back to full quality: the same place, without a stop.
    page.locator("#save-data").click()
    # What is planned is heard to its end: 4 s and the rest of a segment, which has 3 s. The recording has the last 2 s.
    run_on(page, 9.5)
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    found = heard(page, files(song))
    assert len({each["at"] for each in found}) == 1 and max(each["most"] for each in found) < 1e-3, found
    # The choice is kept.
    page.reload()
    expect(page.locator("#save-data")).to_have_attribute("aria-pressed", "false")
    assert len(STEMS) == 4


def test_original_is_a_preview_too_and_busy_server_sends_full_quality(visit, idle, song):  # noqa: F811
    page = visit(idle, init=SAVES, bypass_csp=True)
    refused = []

    def busy(route):
        refused.append(route.request.url)
        route.fulfill(status=503, content_type="application/json", body='{"ok":false,"errors":[{"code":"rate_limited","message":"busy"}],"data":null}')

    page.route("**/vocals.mp3?quality=preview", busy)
    page.goto(f"{idle.address}/#/songs/{song['id']}")
    expect(page.locator("#play")).to_be_enabled()
    assert refused and any(url.endswith("/vocals.mp3") for url in audio(page))
    page.locator("#heard-original").click()
    page.wait_for_function("performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/song.mp3?quality=preview'))")
    assert not any(url.endswith(".wav") for url in audio(page))
