"""Practice: speed, pitch, loops that get faster, the click, and mixes with raised levels."""

import re
from array import array

import pytest
from playwright.sync_api import expect

import listening
from conftest import DEMO, shot
from listening import listen, opened, playing, run_on
from test_phone import PHONE, SMALL
from test_player import delivered, loop, stems

# The frequency of each stem in the last two seconds, by its crossings of zero, and how much the stems differ from the first one.
FREQUENCY = """
async () => {
  const { kept } = await window.heard();
  return kept.map((whole) => {
    const all = whole.subarray(-88200);
    const crossings = [];
    for (let n = 1; n < all.length; n += 1) if (all[n - 1] < 0 && all[n] >= 0) crossings.push(n - all[n] / (all[n] - all[n - 1]));
    const off = all.reduce((most, value, n) => Math.max(most, Math.abs(value - kept[0][whole.length - 88200 + n])), 0);
    return { hertz: 44100 * (crossings.length - 1) / (crossings.at(-1) - crossings[0]), off };
  });
}
"""

# Records when each sound is planned to start, in seconds of the audio clock: the clicks, which have one channel, and the song.
STARTS = listening.CATCH + """
window.starts = { clicks: [], song: [] };
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when, ...rest) {
  starts[this.buffer.numberOfChannels === 1 ? 'clicks' : 'song'].push(when);
  return start.call(this, when, ...rest);
};
"""

# All values of the player's position, with the clock that they belong to.
PACE = """
async (seconds) => {
  const context = caught.contexts.at(-1);
  const place = () => Number(document.querySelector('#place').value);
  const change = async () => {
    for (const before = place(); place() === before;) await new Promise((done) => requestAnimationFrame(done));
    return { at: place(), clock: context.currentTime };
  };
  const first = await change();
  let last = first;
  while (last.clock < first.clock + seconds) last = await change();
  return (last.at - first.at) / (last.clock - first.clock);
}
"""


@pytest.fixture
def tone(idle, tmp_path):
    """Four equal tones of 440 Hz."""
    return delivered(idle, stems(tmp_path, ["-b:a", "128k"], seconds=120, sound="0.2*sin(2*PI*440*t)"), title="Tone")


@pytest.fixture
def song(idle, tmp_path):
    return delivered(idle, stems(tmp_path, ["-b:a", "128k"], seconds=30), title="Chirp", data=DEMO.read_bytes())


def practice(page):
    if not page.locator("#practice").get_attribute("open"):
        page.locator("#practice summary").click()
    expect(page.locator("#speed")).to_be_visible()


def test_speed_and_pitch_are_independent_and_stems_stay_together(visit, idle, tone):
    page = opened(visit, idle, tone)
    practice(page)
    playing(page)
    listen(page, seconds=3)
    for speed, semitones, hertz in [("0.5", "0", 440), ("1", "12", 880), ("1.5", "0", 440), ("0.75", "-12", 220), ("1", "0", 440)]:
        page.locator("#speed").fill(speed)
        page.locator("#pitch").fill(semitones)
        expect(page.locator("#player")).to_have_attribute("data-state", "playing")
        pace = page.evaluate(PACE, 3)
        assert abs(pace / float(speed) - 1) < 0.1, (speed, pace)
        for found in page.evaluate(FREQUENCY):
            assert abs(found["hertz"] - hertz) < 1, (speed, semitones, found)
            assert found["off"] < 1e-6, (speed, semitones, found)


def test_levels_act_at_once_while_stretched(visit, idle, song):
    page = opened(visit, idle, song)
    practice(page)
    page.locator("#speed").fill("0.8")
    playing(page)
    page.get_by_role("button", name="Mute Drums").click()
    levels = page.evaluate(listening.LEVELS)
    assert levels[1] < 1e-5 and min(levels[0], *levels[2:]) > 1e-4, levels


def test_seeks_the_end_and_the_original_work_at_another_speed(visit, idle, song):
    page = opened(visit, idle, song)
    practice(page)
    page.locator("#speed").fill("1.5")
    playing(page)
    page.locator("#place").fill("20")
    expect(page.locator("#time")).to_have_text(re.compile("^0:2[1-3]"))
    page.locator("#heard-original").check()
    page.locator("#place").fill("12")
    expect(page.locator("#time")).to_have_text(re.compile("^0:1[3-6]"))
    assert abs(page.evaluate(PACE, 2) / 1.5 - 1) < 0.1
    page.locator("#heard-stems").check()
    page.locator("#place").fill("28")
    # Then it ends.
    expect(page.locator("#player")).to_have_attribute("data-state", "ended")


def test_system_knows_the_speed(visit, idle, song):
    init = listening.CATCH + """
      window.told = [];
      MediaSession.prototype.setPositionState = function (state) { told.push(state); };
    """
    page = visit(idle, f"/#/songs/{song['id']}", init=init, bypass_csp=True)
    practice(page)
    page.locator("#speed").fill("0.5")
    playing(page)
    assert page.evaluate("told.at(-1).playbackRate") == 0.5


def test_speed_is_kept_and_reset(visit, idle, song):
    page = opened(visit, idle, song)
    practice(page)
    page.get_by_role("button", name="Slower").click()
    page.get_by_role("button", name="Raise the pitch").click()
    expect(page.locator("#practice-now")).to_have_text("95% · +1 semitone")
    page.reload()
    expect(page.locator("#practice-now")).to_have_text("95% · +1 semitone")
    practice(page)
    page.get_by_role("button", name="Reset").click()
    expect(page.locator("#practice-now")).to_be_empty()
    expect(page.locator("#speed")).to_have_value("1")
    # Nonsense in the browser's storage does no harm.
    page.evaluate("id => localStorage.setItem(`vocalizer-practice-${id}`, '{\"speed\":\"x\",\"train\":7}')", song["id"])
    page.reload()
    expect(page.locator("#play")).to_be_enabled()
    expect(page.locator("#speed")).to_have_value("1")


def test_keys_change_the_speed_and_tap_the_tempo(visit, idle, song):
    page = opened(visit, idle, song)
    page.keyboard.press("-")
    page.keyboard.press("-")
    expect(page.locator("#say")).to_have_text("90%")
    page.keyboard.press("=")
    expect(page.locator("#practice-now")).to_have_text("95%")
    # The whole panel works with the keyboard.
    page.locator("#practice summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Slower")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#speed-now")).to_have_text("90%")
    page.keyboard.press("Home")
    expect(page.locator("#speed-now")).to_have_text("50%")
    playing(page)
    run_on(page, 0.5)
    page.keyboard.press("t")
    expect(page.locator("#click-now")).to_have_text("Keep tapping…")
    run_on(page, 0.8)
    page.keyboard.press("t")
    # More than 0.8 s of the clock are more than 0.4 s of the song.
    expect(page.locator("#bpm")).not_to_have_value("")
    assert 30 <= float(page.locator("#bpm").input_value()) < 150


def test_loop_gets_faster_round_by_round(visit, idle, song):
    page = opened(visit, idle, song)
    loop(page, 2, 3)
    practice(page)
    for field, value in [("from", "60"), ("to", "100"), ("by", "20"), ("every", "2")]:
        page.locator(f"#train-{field}").fill(value)
    page.locator("#train").check()
    page.evaluate("""() => {
      window.rounds = [];
      const now = document.querySelector('#train-now');
      new MutationObserver(() => rounds.push(now.textContent)).observe(now, { childList: true });
    }""")
    page.locator("#play").click()
    expect(page.locator("#train-now")).to_have_text("Round 7: 100%", timeout=60_000)
    expected = ["Round 2: 60%", "Round 3: 80%", "Round 4: 80%", "Round 5: 100%", "Round 6: 100%", "Round 7: 100%"]
    assert page.evaluate("rounds")[-6:] == expected
    # A speed chosen by hand ends it.
    page.get_by_role("button", name="Slower").click()
    expect(page.locator("#train")).not_to_be_checked()


def test_faster_loop_makes_a_loop_if_there_is_none(visit, idle, song):
    page = opened(visit, idle, song)
    practice(page)
    page.locator("#train").check()
    expect(page.locator("#loop")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#train-now")).to_have_text("Round 1: 60%")
    # A field with a value that is not allowed changes nothing.
    page.locator("#train-from").fill("900")
    expect(page.locator("#train-from")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#train-now")).to_have_text("Round 1: 60%")


def test_click_counts_in_and_follows_the_speed(visit, idle, song):
    page = visit(idle, f"/#/songs/{song['id']}", init=STARTS, bypass_csp=True)
    expect(page.locator("#play")).to_be_enabled()
    practice(page)
    page.locator("#bpm").fill("120")
    page.get_by_label("Beats per bar").select_option("3")
    page.locator("#count-in").check()
    playing(page)
    clicks, begin = page.evaluate("[starts.clicks, starts.song[0]]")
    # The first beat that the server found may be some milliseconds after the beginning.
    assert [round(begin - each, 1) for each in clicks] == [1.5, 1.0, 0.5]
    # The song does not move before its beginning.
    page.wait_for_function("(begin) => caught.contexts.at(-1).currentTime > begin + 0.5", arg=begin)
    page.locator("#play").click()
    page.locator("#count-in").uncheck()
    page.locator("#click").check()
    page.get_by_role("button", name="Back to start").click()
    page.evaluate("starts.clicks.length = starts.song.length = 0")
    page.locator("#speed").fill("0.5")
    playing(page)
    run_on(page, 1)
    clicks, begin = page.evaluate("[starts.clicks, starts.song[0]]")
    assert [round(each - begin, 1) for each in clicks[:4]] == [0, 1, 2, 3]


def test_raised_levels_do_not_clip_in_the_player_nor_in_files(visit, idle, tmp_path):
    loud = delivered(idle, stems(tmp_path, ["-b:a", "128k"], seconds=20, sound="0.34*sin(2*PI*220*t)"), title="Loud")
    page = opened(visit, idle, loud)
    expect(page.locator(".wave.drawing")).to_have_count(0)
    playing(page)
    expect(page.locator("#too-loud")).to_be_empty()
    for stem in listening.STEMS:
        page.locator(f".track[data-stem={stem}] input").fill("1.5")
    # ffmpeg spreads one channel to two at 0.23: six times that is 2.8 dB above full scale.
    expect(page.locator("#too-loud")).to_contain_text(re.compile(r"turned down by 2\.[789] dB"))
    expect(page.locator("#take-note")).to_contain_text(re.compile(r"turned down by 2\.[789] dB"))
    listen(page, seconds=2, which="mix")
    run_on(page, 3)
    loudest = page.evaluate("async () => (await heard()).kept[0].reduce((most, value) => Math.max(most, Math.abs(value)), 0)")
    assert 0.95 < loudest <= 1, loudest
    page.locator("#format-wav").check()
    wav = idle.bytes("/" + page.locator("#take-mix").get_attribute("href"))
    samples = array("h", wav[44 : 44 + (len(wav) - 44) // 2 * 2])
    assert 0.95 * 32767 < max(samples) < 32767, max(samples)
    # Levels of at most 100 % leave the song as it is.
    for stem in listening.STEMS:
        page.locator(f".track[data-stem={stem}] input").fill("1")
    expect(page.locator("#too-loud")).to_be_empty()


def test_panel_fits_a_phone(visit, idle, song):
    page = visit(idle, f"/#/songs/{song['id']}", **PHONE)
    expect(page.locator("#play")).to_be_enabled()
    practice(page)
    assert page.evaluate(SMALL) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator("#practice").scroll_into_view_if_needed()
    shot(page, "practice-phone")
