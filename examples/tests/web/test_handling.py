"""Handling the player: keys, touch, levels, loops, other tabs, media keys and downloads."""

import re

import pytest
from playwright.sync_api import expect

import listening
from conftest import tone
from listening import opened, playing, run_on, seconds
from test_player import delivered, drag, stems


@pytest.fixture
def song(idle, tmp_path):
    return delivered(idle, stems(tmp_path, ["-b:a", "128k"]), title="Chirp")


@pytest.fixture
def touch(visit, idle, song):
    """The player on a phone, and a function that swipes from a place on an element."""
    page = visit(idle, f"/#/songs/{song['id']}", viewport={"width": 360, "height": 780}, has_touch=True, is_mobile=True)
    expect(page.locator("#play")).to_be_enabled()
    wire = page.context.new_cdp_session(page)

    def swipe(selector, part, dx, dy):
        page.locator(selector).scroll_into_view_if_needed()
        box = page.locator(selector).bounding_box()
        x, y = box["x"] + part * box["width"], box["y"] + box["height"] / 2

        def send(kind, *points):
            wire.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

        send("touchStart", (x, y))
        for step in range(1, 11):
            send("touchMove", (x + dx * step / 10, y + dy * step / 10))
        send("touchEnd")
        page.wait_for_timeout(100)

    return page, swipe


def pressed(page, selector):
    return page.locator(selector).get_attribute("aria-pressed") == "true"


# Keys.


def test_keys_work_after_a_slider_was_touched(visit, idle, song):
    page = opened(visit, idle, song)
    page.locator(".track[data-stem=drums] input").click()
    page.keyboard.press("k")
    assert pressed(page, "#karaoke")
    page.keyboard.press(" ")
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    page.locator("#volume").click()
    page.keyboard.press(" ")
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")
    # A slider's own keys still move it.
    before = float(page.locator("#volume").input_value())
    page.keyboard.press("ArrowLeft")
    assert float(page.locator("#volume").input_value()) < before


def test_keys_work_in_a_russian_layout(visit, idle, song):
    page = opened(visit, idle, song)
    for code, key, selector in [("KeyK", "л", "#karaoke"), ("KeyL", "д", "#loop")]:
        page.evaluate("([code, key]) => document.body.dispatchEvent(new KeyboardEvent('keydown', { code, key, bubbles: true }))", [code, key])
        assert pressed(page, selector), key
    # Where letters are Latin, the letter counts and not its place.
    page.evaluate("document.body.dispatchEvent(new KeyboardEvent('keydown', { code: 'KeyV', key: 'k', bubbles: true }))")
    assert not pressed(page, "#karaoke")


def test_question_mark_opens_the_list_of_shortcuts(visit, idle, song):
    page = visit(idle)
    expect(page.locator(".song")).to_have_count(1)
    page.keyboard.press("Shift+?")
    expect(page.get_by_role("dialog")).to_contain_text("Show this list")
    page.keyboard.press("Escape")
    page.get_by_role("searchbox").press_sequentially("what?")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_space_plays_also_after_a_click_on_a_button(visit, idle, song):
    page = opened(visit, idle, song)
    page.get_by_role("button", name="Mute Bass").click()
    page.keyboard.press(" ")
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    assert page.get_by_role("button", name="Mute Bass").get_attribute("aria-pressed") == "true"
    page.locator("#heard-stems").click()
    page.keyboard.press(" ")
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")
    # A button reached with the keyboard is pressed by the space bar.
    page.get_by_role("button", name="Mute Drums").focus()
    page.keyboard.press("Tab")
    page.keyboard.press(" ")
    assert page.get_by_role("button", name="Solo Drums").get_attribute("aria-pressed") == "true"
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")


# Before the song is open.


def test_controls_work_or_wait_before_the_song_is_open(visit, idle, song):
    page = visit(idle, init=listening.CATCH, bypass_csp=True)
    expect(page.locator(".song")).to_have_count(1)
    held = []
    page.route("**/*.mp3", lambda route: held.append(route) if held is not None else route.continue_())
    page.goto(f"{idle.address}/#/songs/{song['id']}")
    expect(page.locator("#player-status")).to_have_text("Loading stems…")
    # What needs the song waits for it, and has its name all the same.
    for name in ["Play", "Back to start", "Loop", "Loop start", "Loop end", "Sing along"]:
        expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
    expect(page.get_by_label("Original", exact=True)).to_be_disabled()
    page.locator("#practice summary").click()
    for control in ["#speed", "#pitch", "#train", "#click", "#count-in", "#bpm", "#bar", "#tap", "#first-beat"]:
        expect(page.locator(control)).to_be_disabled()
    for key in [" ", "l", "[", "o", "-", "t", "0"]:
        page.keyboard.press(key)
    expect(page.locator("#player-status")).to_have_text("Loading stems…")
    expect(page.locator("#heard-stems")).to_be_checked()
    # Levels, karaoke and the volume can be set, and are heard and kept.
    page.get_by_label("Bass level").fill("0.5")
    page.get_by_role("button", name="Mute Drums").click()
    page.get_by_role("slider", name="Volume").fill("0.8")
    page.keyboard.press("k")
    waiting, held = held, None
    for route in waiting:
        route.continue_()
    expect(page.locator("#play")).to_be_enabled()
    for control in ["#to-start", "#loop", "#loop-from", "#loop-to", "#sing", "#heard-original", "#speed", "#train", "#tap"]:
        expect(page.locator(control)).to_be_enabled()
    expect(page.locator("#practice-now")).to_be_empty()
    playing(page)
    levels = page.evaluate(listening.LEVELS)
    assert levels[0] < 1e-5 and levels[1] < 1e-5 and 0.4 < levels[2] / levels[3] < 0.6, levels
    page.reload()
    expect(page.get_by_label("Bass level")).to_have_value("0.5")
    assert pressed(page, "#karaoke")


# Touch and pointer.


def test_vertical_swipes_scroll_and_change_nothing(touch):
    page, swipe = touch
    level = ".track[data-stem=vocals] input"
    for selector in [level, ".wave[data-stem=vocals]"]:
        page.evaluate("scrollTo(0, 0)")
        swipe(selector, 0.3, 6, -260)
        assert page.evaluate("scrollY") > 50, selector
    assert page.locator(level).input_value() == "1"
    expect(page.locator("#time")).to_have_text(re.compile("^0:00"))


def test_horizontal_swipes_scrub_and_make_no_loop(touch):
    page, swipe = touch
    swipe(".wave[data-stem=drums]", 0.1, 200, 0)
    assert not pressed(page, "#loop")
    assert seconds(page) >= 10


def test_mouse_scrubs_on_waveforms(visit, idle, song):
    page = opened(visit, idle, song)
    box = page.locator(".wave[data-stem=drums]").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 20, steps=5)
    expect(page.locator("#time")).to_have_text(re.compile("^0:1[45]"))
    page.mouse.up()
    assert not pressed(page, "#loop")


def test_ruler_seeks_to_the_exact_place(visit, idle, song):
    page = opened(visit, idle, song)
    length = float(page.locator("#place").get_attribute("max"))
    for part in [0.02, 0.5, 0.97]:
        box = page.locator(".ruler").bounding_box()
        page.mouse.click(box["x"] + part * box["width"], box["y"] + 8)
        # Within two pixels.
        assert abs(float(page.locator("#place").input_value()) - part * length) < 2 / box["width"] * length
        head = page.locator(".head").bounding_box()
        assert abs(head["x"] - box["x"] - part * box["width"]) < 2.5


def test_loop_handles_work_with_keys_and_stay_in_order(visit, idle, song):
    page = opened(visit, idle, song)
    page.locator("#loop").click()
    expect(page.locator("#loop-range")).to_have_text("0:00 to 0:08")
    start, end = page.locator("#handle-from"), page.locator("#handle-to")
    end.focus()
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator("#loop-range")).to_have_text("0:00 to 0:06")
    start.focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(start).to_have_attribute("aria-valuenow", "1.10")
    expect(start).to_have_attribute("aria-valuetext", "0:01")
    # The start cannot pass the end.
    drag(page, "from", 15)
    expect(start).to_have_attribute("aria-valuenow", "1.10")
    page.locator("#loop").click()
    expect(start).to_be_hidden()


# Levels.


def test_volume_is_kept_for_the_next_song(visit, idle, song, tmp_path):
    other = delivered(idle, stems(tmp_path, ["-b:a", "64k"]), title="Other", data=tone(500, 20))
    page = opened(visit, idle, song)
    page.locator("#volume").fill("0.4")
    page.goto(f"{idle.address}/#/songs/{other['id']}")
    expect(page.get_by_role("heading", name="Other")).to_be_visible()
    expect(page.locator("#volume")).to_have_value("0.4")
    # It holds from the first sample on.
    playing(page)
    assert abs(page.evaluate("caught.gains.findLast((gain) => gain.numberOfOutputs && gain.gain.value < 0.9)?.gain.value") - 0.4) < 0.01


def test_meters_show_each_stem_and_the_mix(visit, idle, tmp_path):
    loud = delivered(idle, stems(tmp_path, ["-b:a", "128k"], seconds=120, sound="0.34*sin(2*PI*220*t)"), title="Loud")
    page = opened(visit, idle, loud)
    playing(page)
    run_on(page, 1)
    assert page.locator(".transport .meter.over").count() == 0
    bars = page.locator(".meter i").evaluate_all("(bars) => bars.map((bar) => new DOMMatrix(getComputedStyle(bar).transform).a)")
    assert len(bars) == 6 and min(bars) > 0.5, bars


# Other tabs and media keys.


def test_only_one_tab_plays(visit, idle, song):
    page = opened(visit, idle, song)
    playing(page)
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator("#play")).to_be_enabled()
    other.locator("#play").click()
    expect(other.locator("#player")).to_have_attribute("data-state", "playing")
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")
    other.close()


MEDIA_KEYS = listening.CATCH + """
window.keys = {};
const set = MediaSession.prototype.setActionHandler;
MediaSession.prototype.setActionHandler = function (name, run) { keys[name] = run; return set.call(this, name, run); };
"""


def test_media_keys_control_the_player(visit, idle, song):
    page = visit(idle, f"/#/songs/{song['id']}", init=MEDIA_KEYS, bypass_csp=True)
    playing(page)
    session = "[navigator.mediaSession.metadata?.title, navigator.mediaSession.playbackState]"
    assert page.evaluate(session) == ["Chirp", "playing"]
    page.evaluate("keys.pause({})")
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")
    assert page.evaluate(session)[1] == "paused"
    page.evaluate("keys.seekto({ seekTime: 12 })")
    expect(page.locator("#time")).to_have_text(re.compile("^0:12"))
    page.evaluate("keys.seekbackward({})")
    expect(page.locator("#time")).to_have_text(re.compile("^0:02"))
    page.evaluate("keys.play({})")
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    # Another page of the song has no player, and no keys.
    page.locator(".back").click()
    expect(page.locator("#player")).to_have_count(0)
    assert page.evaluate("[keys.play, navigator.mediaSession.metadata]") == [None, None]


def test_new_title_is_shown_everywhere(visit, idle, song):
    page = opened(visit, idle, song)
    playing(page)
    title = "navigator.mediaSession.metadata.title"
    assert page.evaluate(title) == "Chirp"
    # By the owner of another tab, or by an API client.
    idle.ask("PATCH", f"/songs/{song['id']}", {"title": "Tweet"})
    expect(page.get_by_role("heading", name="Tweet")).to_be_visible()
    expect(page).to_have_title("Tweet · Vocalizer")
    assert page.evaluate(title) == "Tweet"
    data = page.locator(".track[data-stem=drums] .grip").evaluate("""(handle) => {
      const dataTransfer = new DataTransfer();
      handle.dispatchEvent(new DragEvent('dragstart', { dataTransfer, bubbles: true }));
      return dataTransfer.getData('DownloadURL');
    }""")
    assert data.startswith("audio/mpeg:01 Tweet (drums).mp3:")
    page.get_by_role("button", name="Sing along").click()
    expect(page.locator("#stage-title")).to_have_text("Tweet")
    idle.ask("PATCH", f"/songs/{song['id']}", {"title": "Song"})
    expect(page.locator("#stage-title")).to_have_text("Song")
    page.locator("#stage-close").click()
    # A song that is gone leaves no title behind.
    idle.ask("DELETE", f"/songs/{song['id']}")
    expect(page.get_by_role("heading", name="Song not found")).to_be_visible()
    expect(page).to_have_title("Vocalizer")


# Downloads.


def test_no_mix_is_offered_while_the_original_is_heard(visit, idle, song):
    page = opened(visit, idle, song)
    mix = page.locator("#take-mix")
    expect(mix).to_have_attribute("aria-disabled", "false")
    page.locator("#heard-original").check()
    expect(mix).to_have_attribute("aria-disabled", "true")
    expect(page.locator("#take-note")).to_contain_text("You are listening to the original.")
    page.locator("#heard-stems").check()
    expect(mix).to_have_attribute("aria-disabled", "false")
    expect(page.locator("#take-note")).to_be_empty()


def test_preparing_is_said_only_of_the_format_that_is_prepared(visit, idle, song):
    page = opened(visit, idle, song)
    held = []
    page.route("**/drums.wav*", lambda route: held.append(route) if held is not None else route.continue_())
    drums = page.locator("#take-drums")
    page.locator("#format-wav").check()
    drums.click()
    expect(drums).to_contain_text("preparing…")
    page.locator("#format-flac").check()
    expect(drums).not_to_contain_text("preparing…")
    page.locator("#format-wav").check()
    expect(drums).to_contain_text("preparing…")
    waiting, held = held, None
    with page.expect_download() as download:
        for route in waiting:
            route.continue_()
    assert download.value.suggested_filename == "01 Chirp (drums).wav"
    expect(drums).not_to_contain_text("preparing…")
