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
    page.locator("#share-create").click()
    expect(page.locator("#share-link")).to_be_visible()
    small["shared"] = page.evaluate(SMALL)
    page.goto(page.locator("#share-link").input_value())
    page.reload()
    expect(page.locator("#play")).to_be_enabled()
    small["shared song"] = page.evaluate(SMALL)
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    small["shortcuts"] = page.evaluate(SMALL)
    page.goto(f"{idle.address}/#/account")
    register(page, idle)
    page.locator("#token-name").fill("phone")
    page.get_by_role("button", name="Create token").click()
    expect(page.locator(".tokens li")).to_have_count(1)
    expect(page.locator("#callback")).to_be_visible()
    small["account"] = page.evaluate(SMALL)
    page.goto(f"{idle.address}/#/trash")
    page.get_by_role("button", name="Empty trash").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    small["question"] = page.evaluate(SMALL)
    assert {name: found for name, found in small.items() if found} == {}


# How far the target of a handle of the loop reaches, in pixels.
REACH = """(name) => {
  const handle = document.querySelector(`#handle-${name}`);
  const { left, right, top, bottom } = handle.getBoundingClientRect();
  const hits = (x, y) => document.elementFromPoint(x, y) === handle;
  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  let [width, height] = [0, 0];
  for (let at = -60; at <= 60; at += 1) {
    width += hits(x + at, y);
    height += hits(x, y + at);
  }
  return [width, height];
}"""


def test_handles_of_the_loop_are_large_enough_for_fingers(idle, visit, stems):
    song = idle.upload("Song", data=tone(300))
    deliver(idle, song, stems)
    page = visit(idle, f"/#/songs/{song['id']}", **PHONE)
    expect(page.locator("#play")).to_be_enabled()
    page.locator("#place").fill("6")
    page.locator("#loop").click()
    page.locator("#handle-from").scroll_into_view_if_needed()
    for name in ["from", "to"]:
        width, height = page.evaluate(REACH, name)
        assert width >= 43 and height >= 43, (name, width, height)


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


def test_buttons_beside_a_title_stay_on_one_line(idle, visit):
    titles = ["Song", "A song with a long title", "A song whose title takes up a whole line and more of a phone"]
    page = visit(idle, **PHONE)
    register(page, idle)
    for title in titles:
        song = idle.upload(title, data=tone(300 + len(title)))
        for language in ["en", "ru"]:
            page.evaluate("(language) => localStorage.setItem('vocalizer-language', language)", language)
            page.goto(f"{idle.address}/#/songs/{song['id']}")
            page.reload()
            expect(page.locator("#share")).to_be_visible()
            tops = {page.locator(each).bounding_box()["y"] for each in ["#rename", "#share", "#delete"]}
            assert len(tops) == 1, (title, language)
