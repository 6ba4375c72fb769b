"""Karaoke: the view that fills the screen, its lyrics and its controls."""

import re

import pytest
from conftest import tone
from playwright.sync_api import expect

import listening
from listening import run_on
from test_phone import PHONE, SMALL
from test_player import delivered, stems

LYRICS = "[ti:Chirp]\n[00:01.00]First line\n[00:04.00]Second line\n[00:08.00]\n[00:10.00]<00:10.00>Third <00:10.50>line\n"


@pytest.fixture
def archive(tmp_path):
    return stems(tmp_path, ["-b:a", "128k"])


@pytest.fixture
def song(idle, archive):
    return delivered(idle, archive, title="Chirp")


def lrc(text, name="song.lrc"):
    return {"name": name, "mimeType": "text/plain", "buffer": text if isinstance(text, bytes) else text.encode()}


def staged(visit, service, song, **settings):
    page = visit(service, f"/#/songs/{song['id']}", init=listening.CATCH, bypass_csp=True, **settings)
    page.get_by_role("button", name="Sing along").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    return page


def current(page):
    return page.locator("#lyrics [aria-current]")


def test_lyrics_follow_the_song(visit, idle, song):
    page = staged(visit, idle, song)
    expect(page.locator("#lyrics")).to_contain_text("No lyrics yet.")
    page.set_input_files("#lyrics-file", lrc(LYRICS))
    expect(page.locator("#lyrics p")).to_have_text(["First line", "Second line", "♪", "Third line"])
    expect(current(page)).to_have_count(0)
    page.locator("#stage-play").click()
    expect(current(page)).to_have_text("First line")
    expect(current(page)).to_have_text("Second line")
    page.locator("#stage-play").click()
    # Seeking, with the keys, moves the lyrics, too.
    page.locator("#lyrics").focus()
    page.keyboard.press("ArrowRight")
    expect(current(page)).to_have_text(re.compile("♪|Third line"))
    # Three seconds later, the lines come three seconds later.
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(current(page)).to_have_count(0)
    expect(page.locator("#lyrics-time-value")).to_have_text("0 s")
    for _ in range(12):
        page.get_by_role("button", name="Lyrics earlier").click()
    expect(page.locator("#lyrics-time-value")).to_have_text("-1.2 s")
    expect(current(page)).to_have_text("First line")
    # They are kept for the next visit.
    page.reload()
    page.get_by_role("button", name="Sing along").click()
    expect(page.locator("#lyrics-time-value")).to_have_text("-1.2 s")
    expect(page.locator("#lyrics p")).to_have_count(4)
    page.get_by_role("button", name="Remove lyrics").click()
    expect(page.locator("#lyrics")).to_contain_text("No lyrics yet.")


def test_files_without_times_are_refused_and_say_why(visit, idle, song):
    page = staged(visit, idle, song)
    page.set_input_files("#lyrics-file", lrc(LYRICS))
    for bad in [lrc("only words", "words.txt"), lrc(b"\x00\xff\xfe" * 100, "binary.lrc"), lrc("[00:01.00]x\n" * 200_000, "huge.lrc"), lrc("", "empty.lrc")]:
        page.set_input_files("#lyrics-file", bad)
        expect(page.locator("#stage").get_by_role("alert")).to_contain_text(f"{bad['name']} is not an .lrc file")
        expect(page.locator("#lyrics p")).to_have_count(4)
    page.set_input_files("#lyrics-file", lrc("[00:01.00]Привет".encode("utf-16")))
    expect(page.locator("#lyrics p")).to_have_text(["Привет"])
    expect(page.locator("#stage .trouble")).to_be_empty()


def test_dropped_lyrics_are_not_uploaded(visit, idle, song):
    page = staged(visit, idle, song)
    page.evaluate("""(text) => {
      const data = new DataTransfer();
      data.items.add(new File([text], 'song.lrc'));
      for (const name of ['dragenter', 'dragover', 'drop']) document.querySelector('#lyrics').dispatchEvent(new DragEvent(name, { dataTransfer: data, bubbles: true, cancelable: true }));
    }""", LYRICS)
    expect(page.locator("#lyrics p")).to_have_count(4)
    expect(page.locator(".upload")).to_have_count(0)


def test_vocals_are_silent_up_to_their_guide_level(visit, idle, song):
    page = staged(visit, idle, song)
    page.locator("#stage-play").click()
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    levels = page.evaluate(listening.LEVELS)
    assert levels[0] < 1e-5 and min(levels[1:]) > 1e-4, levels
    page.get_by_label("Guide vocals").fill("0.5")
    guided = page.evaluate(listening.LEVELS)
    assert 0.3 < guided[0] / guided[1] < 0.7, guided
    # Outside, karaoke is as it was.
    page.locator("#lyrics").focus()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("#karaoke")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    whole = page.evaluate(listening.LEVELS)
    assert 0.8 < whole[0] / whole[1] < 1.2, whole
    expect(page.get_by_role("button", name="Sing along")).to_be_focused()


def test_keys_and_pitch(visit, idle, song):
    page = staged(visit, idle, song)
    # The play button has the focus, so that the space bar plays.
    page.keyboard.press(" ")
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    page.locator("#lyrics").focus()
    page.keyboard.press(" ")
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")
    page.locator("#stage").get_by_role("button", name="Raise the pitch").click()
    page.locator("#stage").get_by_role("button", name="Raise the pitch").click()
    page.locator("#stage").get_by_role("button", name="Lower the pitch").click()
    expect(page.locator("#pitch-value")).to_have_text("+1")
    expect(page.locator("#practice-now")).to_have_text("+1 semitone")


def test_next_song_continues_on_the_stage(visit, idle, song, archive):
    other = delivered(idle, archive, title="Other", data=tone(500, 20))
    page = staged(visit, idle, song)
    run = page.locator("#stage-play")
    run.click()
    run_on(page, 0.5)
    page.get_by_role("button", name="Next song").click()
    expect(page.locator("#stage-title")).to_have_text("Other")
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    assert page.url.endswith(other["id"])
    assert page.get_by_role("dialog").count() == 1
    # After the last one comes the first one.
    page.get_by_role("button", name="Next song").click()
    expect(page.locator("#stage-title")).to_have_text("Chirp")
    # A song that is opened in another way has no stage.
    page.locator("#lyrics").focus()
    page.keyboard.press("Escape")
    page.goto(f"{idle.address}/#/songs/{other['id']}")
    expect(page.get_by_role("heading", name="Other")).to_be_visible()
    expect(page.locator("#sing")).to_be_enabled()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_guide_level_is_kept_and_the_key_belongs_to_the_song(visit, idle, song, archive):
    delivered(idle, archive, title="Other", data=tone(500, 20))
    page = staged(visit, idle, song)
    guide, key = page.get_by_label("Guide vocals"), page.locator("#pitch-value")
    guide.fill("0.5")
    page.locator("#pitch-more").click()
    expect(key).to_have_text("+1")
    page.get_by_role("button", name="Next song").click()
    expect(page.locator("#stage-title")).to_have_text("Other")
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    expect(guide).to_have_value("0.5")
    expect(key).to_have_text("0")
    levels = page.evaluate(listening.LEVELS)
    assert 0.3 < levels[0] / levels[1] < 0.7, levels
    page.locator("#pitch-less").click()
    expect(key).to_have_text("-1")
    page.get_by_role("button", name="Next song").click()
    expect(page.locator("#stage-title")).to_have_text("Chirp")
    expect(key).to_have_text("+1")
    expect(guide).to_have_value("0.5")
    # Nonsense in the browser's storage does no harm.
    page.evaluate("localStorage.setItem('vocalizer-guide', 'x'); localStorage.setItem('vocalizer-volume', '7')")
    page.reload()
    page.get_by_role("button", name="Sing along").click()
    expect(guide).to_have_value("0")
    expect(page.locator("#volume")).to_have_value("1")


def test_guide_is_heard_although_the_vocals_are_muted(visit, idle, song):
    page = staged(visit, idle, song)
    page.locator("#stage-close").click()
    page.get_by_role("button", name="Mute Vocals").click()
    page.get_by_role("button", name="Sing along").click()
    page.get_by_label("Guide vocals").fill("0.5")
    page.locator("#stage-play").click()
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    levels = page.evaluate(listening.LEVELS)
    assert 0.3 < levels[0] / levels[1] < 0.7, levels
    page.locator("#stage-close").click()
    assert page.evaluate(listening.LEVELS)[0] < 1e-5


def test_stage_leaves_nothing_behind_in_the_mix(visit, idle, song, archive):
    other = delivered(idle, archive, title="Other", data=tone(500, 20))
    page = staged(visit, idle, song)
    expect(page.locator("#karaoke")).to_have_attribute("aria-pressed", "false")
    # Reloaded, or left for another song, while it is open.
    page.reload()
    expect(page.locator("#play")).to_be_enabled()
    expect(page.locator("#karaoke")).to_have_attribute("aria-pressed", "false")
    page.get_by_role("button", name="Sing along").click()
    page.get_by_role("button", name="Next song").click()
    expect(page.locator("#stage-title")).to_have_text("Other")
    page.locator("#stage-close").click()
    expect(page.locator("#karaoke")).to_have_attribute("aria-pressed", "false")
    page.goto(f"{idle.address}/#/songs/{song['id']}")
    expect(page.get_by_role("heading", name="Chirp")).to_be_visible()
    expect(page.locator("#karaoke")).to_have_attribute("aria-pressed", "false")
    assert page.url.endswith(song["id"]) and other["id"] != song["id"]


def test_karaoke_does_not_continue_where_it_was_not_reached(visit, idle, song, archive):
    other = delivered(idle, archive, title="Other", data=tone(500, 20))
    page = staged(visit, idle, song)
    held = []
    page.route("**/*.mp3", lambda route: held.append(route) if held is not None else route.continue_())
    page.get_by_role("button", name="Next song").click()
    expect(page.get_by_role("heading", name="Other")).to_be_visible()
    # Its stems do not come, so the user goes back to the list.
    page.locator(".back").click()
    expect(page.locator(".song")).to_have_count(2)
    waiting, held = held, None
    for route in waiting:
        route.continue_()
    page.goto(f"{idle.address}/#/songs/{other['id']}")
    expect(page.locator("#sing")).to_be_enabled()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")


def test_stage_speaks_the_language_of_the_page(visit, idle, song):
    page = staged(visit, idle, song)
    expect(page.locator("#lyrics-choose")).to_have_text("Choose lyrics (.lrc)")
    page.locator("#stage-close").click()
    page.get_by_label("Language").select_option("Русский")
    page.locator("#sing").click()
    stage = page.locator("#stage")
    expect(stage.get_by_label("Вокал-подсказка")).to_be_visible()
    english = re.findall("[A-Za-z]{4,}", stage.inner_text().replace("Chirp", ""))
    names = stage.evaluate("(stage) => [...stage.querySelectorAll('[aria-label]')].map((each) => each.getAttribute('aria-label'))")
    assert english == [] and not re.search("[A-Za-z]{4,}", " ".join(names)), (english, names)


def test_stage_of_the_only_song_offers_no_next_one(visit, idle, song):
    page = staged(visit, idle, song)
    expect(page.locator("#next-song")).to_be_hidden()


def test_stage_fits_a_phone(visit, idle, song):
    page = staged(visit, idle, song, **PHONE)
    page.set_input_files("#lyrics-file", lrc(LYRICS))
    expect(page.locator("#lyrics p")).to_have_count(4)
    inside = [each for each in page.evaluate(SMALL)]
    assert inside == []
    assert page.evaluate("document.querySelector('#stage').scrollWidth") <= 360
    # All controls are on the screen, and the lyrics have most of it.
    assert page.locator(".stage-foot").bounding_box()["y"] > 390
    expect(page.locator("#lyrics-choose")).to_be_in_viewport(ratio=1)


def test_stage_stays_while_a_file_of_lyrics_is_chosen(visit, idle, song):
    """Chromium leaves full screen when it shows the dialog of the system."""
    page = staged(visit, idle, song)
    full = page.locator("#stage-full")
    page.wait_for_function("document.fullscreenElement")
    expect(full).to_be_hidden()
    for chooses in [True, False]:
        with page.expect_file_chooser() as chooser:
            page.locator("#lyrics-choose").click()
        page.evaluate("document.exitFullscreen()")
        expect(full).to_be_visible()
        expect(page.get_by_role("dialog")).to_be_visible()
        if chooses:
            chooser.value.set_files(lrc(LYRICS))
            expect(page.locator("#lyrics p")).to_have_count(4)
        else:
            page.evaluate("document.querySelector('#lyrics-file').dispatchEvent(new Event('cancel'))")
        full.click()
        page.wait_for_function("document.fullscreenElement")
        expect(full).to_be_hidden()
    # Without it, who leaves full screen leaves the stage.
    page.evaluate("document.exitFullscreen()")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_keys_work_whatever_was_clicked(visit, idle, song):
    page = staged(visit, idle, song)
    state = page.locator("#player")
    page.locator("#pitch-more").click()
    expect(page.locator("#pitch-value")).to_have_text("+1")
    page.keyboard.press(" ")
    expect(state).to_have_attribute("data-state", "playing")
    page.keyboard.press(" ")
    expect(state).to_have_attribute("data-state", "paused")
    expect(page.locator("#pitch-value")).to_have_text("+1")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#time")).to_have_text(re.compile("^0:1[0-4]"))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#time")).to_have_text(re.compile("^0:00"))
    # Enter presses the button; a slider has its arrows.
    page.keyboard.press("Enter")
    expect(page.locator("#pitch-value")).to_have_text("+2")
    guide = page.get_by_label("Guide vocals")
    guide.focus()
    page.keyboard.press("ArrowRight")
    expect(guide).to_have_value("0.05")
    expect(page.locator("#time")).to_have_text(re.compile("^0:00"))
    page.keyboard.press(" ")
    expect(state).to_have_attribute("data-state", "playing")
    # Firefox presses a button when the key is released.
    page.locator("#next-song, #pitch-more").first.focus()
    assert page.evaluate("document.activeElement.dispatchEvent(new KeyboardEvent('keyup', { key: ' ', bubbles: true, cancelable: true }))") is False


def test_next_song_is_the_next_one_in_the_list(visit, idle, song, archive):
    """With its search and its order, as in the small player."""
    for at, title in enumerate(["Choir B", "Other", "Choir A"]):
        delivered(idle, archive, title=title, data=tone(500 + at, 20))
    page = visit(idle, "/#/?q=ch&sort=title")
    expect(page.locator(".song-title")).to_have_text(["Chirp", "Choir A", "Choir B"])
    page.locator(".song-title").first.click()
    page.get_by_role("button", name="Sing along").click()
    for title in ["Choir A", "Choir B", "Chirp"]:
        page.get_by_role("button", name="Next song").click()
        expect(page.locator("#stage-title")).to_have_text(title)
        expect(page.locator("#player")).to_have_attribute("data-state", "playing")


WAKE = """
window.locks = [];
Object.defineProperty(navigator, 'wakeLock', { value: { request: async () => { const lock = { released: false, release() { lock.released = true; } }; locks.push(lock); return lock; } } });
"""


def test_screen_stays_on_after_another_tab_was_shown(visit, idle, song):
    page = visit(idle, f"/#/songs/{song['id']}", init=WAKE)
    page.get_by_role("button", name="Sing along").click()
    page.wait_for_function("locks.length === 1")
    # The browser releases the lock of a hidden page.
    show = """(hidden) => {
      Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }"""
    page.evaluate(show, True)
    assert page.evaluate("locks.length") == 1
    page.evaluate(show, False)
    page.wait_for_function("locks.length === 2")
    page.locator("#stage-close").click()
    page.wait_for_function("locks[1].released")
    page.evaluate(show, False)
    assert page.evaluate("locks.length") == 2


def test_lyrics_that_the_browser_cannot_keep_are_told(visit, idle, song):
    page = staged(visit, idle, song)
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }; }")
    page.set_input_files("#lyrics-file", lrc(LYRICS))
    expect(page.locator("#lyrics p")).to_have_count(4)
    expect(page.locator("#stage").get_by_role("alert")).to_contain_text("This browser cannot keep the lyrics")
