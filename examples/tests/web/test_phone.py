"""The page on a phone."""

import json

import pytest
from conftest import deliver, register, row, tone
from playwright.sync_api import expect

PHONE = {"viewport": {"width": 360, "height": 780}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}

# Controls that are smaller than a fingertip. A label is the target of its field, a row that of its link.
SMALL = """() => [...document.querySelectorAll('button, a, input, select, summary')].map((each) => {
  const target = each.closest('label') ?? (each.matches('.song-title') ? each.closest('.song') : each);
  const { width, height } = target.getBoundingClientRect();
  return { target, each, width, height };
}).filter(({ each, width, height }) => each.checkVisibility({ visibilityProperty: true }) && !each.closest('.unseen, .skip') && width > 1 && (width < 44 || height < 44))
  .map(({ target, width, height }) => `${target.outerHTML.slice(0, 90)}: ${Math.round(width)} x ${Math.round(height)}`)"""


def test_songs_are_on_the_first_screen_and_uploading_stays_at_hand(idle, visit):
    for at in range(5):
        idle.upload(f"Song {at}", data=tone(300 + at))
    page = visit(idle, **PHONE)
    expect(page.locator(".song")).to_have_count(5)
    third = row(page, "Song 2").bounding_box()
    assert third["y"] + third["height"] < PHONE["viewport"]["height"]
    expect(page.get_by_role("button", name="Choose files")).to_be_in_viewport()
    expect(page.locator("#openness")).to_be_in_viewport()
    # Rules, language and theme follow the songs.
    assert page.locator("#limits").bounding_box()["y"] > third["y"]
    assert page.locator("#language").bounding_box()["y"] > third["y"]
    page.locator("#language").select_option("ru")
    expect(page.locator("#count")).to_have_text("1–5 из 5 песен")


def test_targets_are_large_enough_for_fingers(idle, visit, stems):
    songs = [idle.upload(f"Song {at}", data=tone(300 + at)) for at in range(60)]
    deliver(idle, songs[0], stems)
    page = visit(idle, **PHONE)
    expect(page.locator(".song")).to_have_count(50)
    page.set_input_files("#files", [{"name": f"{n}.txt", "mimeType": "text/plain", "buffer": b"x"} for n in range(2)])
    row(page, "Song 40").get_by_role("button").last.click()
    expect(page.locator(".toast")).to_be_visible()
    small = {"list": page.evaluate(SMALL)}
    for name, address in [("trash", "#/trash"), ("account", "#/account"), ("song", f"#/songs/{songs[0]['id']}")]:
        page.goto(f"{idle.address}/{address}")
        expect(page.locator("#play:enabled, #login, #trash li").first).to_be_visible()
        small[name] = page.evaluate(SMALL)
    page.locator("#share").click()
    expect(page.locator("#share-dialog")).to_be_visible()
    small["share"] = page.evaluate(SMALL)
    assert {name: found for name, found in small.items() if found} == {}


def test_page_can_be_installed(idle, visit):
    page = visit(idle)
    wire = page.context.new_cdp_session(page)
    manifest = wire.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert json.loads(manifest["data"])["name"] == "Vocalizer"
    assert manifest["manifest"]["startUrl"] == manifest["manifest"]["scope"] == f"{idle.address}/"
    # Profiles of tests are private windows.
    problems = [each["errorId"] for each in wire.send("Page.getInstallabilityErrors")["installabilityErrors"]]
    assert [each for each in problems if each != "in-incognito"] == []
