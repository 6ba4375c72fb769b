"""Playback of long songs, on slow lines and across seeks: memory, requests, what the page says and what is heard."""

import math
import pathlib
import re
import struct

import pytest
from playwright.sync_api import expect

import listening
from listening import listen, opened, playing, run_on, seconds
from test_player import delivered, hour, stems

MOST_MB = 350


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """The archive and the upload of a song of one hour."""
    folder = tmp_path_factory.mktemp("hour")
    return hour(folder), (folder / "hour.mp3").read_bytes()


def renderer_mb(browser):
    """Returns the memory of the largest renderer process: its own pages and its share of common ones."""
    wire = browser.new_browser_cdp_session()
    pids = [each["id"] for each in wire.send("SystemInfo.getProcessInfo")["processInfo"] if each["type"] == "renderer"]
    sizes = [pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return max(int(re.search(r"Pss:\s+(\d+)", size)[1]) for size in sizes) / 1024


# Counts what playback allocates: contexts for decoding, and frames of audio buffers made by the page.
COUNT = listening.CATCH + """
window.count = { contexts: 0, frames: 0 };
const Offline = window.OfflineAudioContext;
window.OfflineAudioContext = class extends Offline { constructor(...given) { super(...given); count.contexts += 1; } };
const Buffer = window.AudioBuffer;
window.AudioBuffer = class extends Buffer { constructor(how) { super(how); count.frames += how.length * how.numberOfChannels; } };
const made = BaseAudioContext.prototype.createBuffer;
BaseAudioContext.prototype.createBuffer = function (...given) { count.frames += given[0] * given[1]; return made.apply(this, given); };
"""


def test_memory_is_bounded_while_an_hour_plays(visit, idle, browser, long):
    """Jumps through the song, so that in a minute it decodes as much as ten minutes of playback do."""
    song = delivered(idle, long[0], data=long[1])
    page = visit(idle, f"/#/songs/{song['id']}", init=COUNT, bypass_csp=True)
    expect(page.locator("#play")).to_be_enabled()
    playing(page)
    for jump in range(60):
        page.locator("#place").fill(str(59 * jump + 7))
        expect(page.locator("#player")).to_have_attribute("data-state", "playing")
        run_on(page, 0.3)
    used = page.evaluate("count")
    assert used["contexts"] <= 2, used
    # At most 12 segments of 4 MiB are kept; others are in use by loads that were aborted.
    assert used["frames"] * 4 < 200e6, used
    assert renderer_mb(browser) < MOST_MB


def range_of(request):
    """Returns the first and the last byte that a request asks for."""
    return [int(each) for each in re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["range"]).groups()]


def test_page_says_that_sound_plays_while_more_is_loaded(visit, idle, tmp_path):
    """On a slow line the second segment has not come when the first one plays."""
    song = delivered(idle, stems(tmp_path, ["-b:a", "128k"]))
    page = visit(idle, init=listening.CATCH)
    held, slow = [], [True]
    page.route("**/*.mp3", lambda route: held.append(route) if slow and range_of(route.request)[0] > 20_000 else route.continue_())
    page.goto(f"{idle.address}/#/songs/{song['id']}")
    expect(page.locator("#play")).to_be_enabled()
    page.locator("#play").click()
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    expect(page.locator("#time")).to_have_text(re.compile("^0:0[1-3]"))
    # Then it waits, and says so.
    expect(page.locator("#player-status")).to_have_text("Buffering…")
    expect(page.locator("#player")).to_have_attribute("data-state", "waiting")
    slow.clear()
    for route in held:
        route.continue_()
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    expect(page.locator("#time")).to_have_text(re.compile("^0:0[4-9]"))


def test_scrubbing_loads_only_where_it_ends(visit, idle, long):
    song = delivered(idle, long[0], data=long[1])
    page = opened(visit, idle, song)
    playing(page)
    run_on(page, 1)
    asked, came = [], []
    page.on("request", lambda request: asked.append(range_of(request)) if ".mp3" in request.url else None)
    page.on("requestfinished", lambda request: came.append(range_of(request)) if ".mp3" in request.url else None)
    page.evaluate("""async () => {
      const place = document.querySelector('#place');
      for (let step = 1; step <= 120; step += 1) {
        place.value = 25 * step;
        place.dispatchEvent(new Event('input', { bubbles: true }));
        // However slow the machine is, there are few moments at which it may load.
        if (step % 10 === 0) await new Promise((done) => setTimeout(done, 50));
      }
    }""")
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    expect(page.locator("#time")).to_have_text(re.compile("^50:0[1-9]"))
    run_on(page, 1)
    assert len(asked) <= 120, f"{len(asked)} requests"
    assert sum(last - first for first, last in came) < 2e6, came


# The longest silence and the largest step between two samples of the recorded mix, in milliseconds and of full scale.
HARSH = """
async () => {
  const { kept: [all] } = await window.heard();
  let [silent, most, step] = [0, 0, 0];
  for (let n = 1; n < all.length; n += 1) {
    silent = Math.abs(all[n]) < 1e-3 ? silent + 1 : 0;
    most = Math.max(most, silent);
    step = Math.max(step, Math.abs(all[n] - all[n - 1]));
  }
  return { silence: most / 44.1, step };
}
"""


@pytest.fixture
def hum(idle, tmp_path):
    """A song of four equal hums, whose samples differ little from one to the next, so that a click stands out."""
    return delivered(idle, stems(tmp_path, ["-b:a", "128k"], seconds=90, sound="0.15*sin(2*PI*110*t)"))


def test_seeks_neither_click_nor_pause(visit, idle, hum):
    page = opened(visit, idle, hum)
    playing(page)
    # Load everything first.
    for place in [3, 6, 9, 12, 15, 1]:
        page.locator("#place").fill(str(place))
        run_on(page, 0.5)
        expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    run_on(page, 1)
    listen(page, seconds=3, which="sum")
    # A stalled machine may miss a fade; a click or a pause that the page makes is there each time.
    for _ in range(5):
        for place in [12.3, 4.1, 9.7]:
            page.locator("#place").fill(str(place))
            run_on(page, 0.8)
        run_on(page, 0.8)
        found = page.evaluate(HARSH)
        if found["silence"] < 30 and found["step"] < 0.06:
            return
    raise AssertionError(found)


def test_pause_and_play_do_not_click(visit, idle, hum):
    page = opened(visit, idle, hum)
    playing(page)
    run_on(page, 1)
    listen(page, seconds=3, which="sum")
    # A stalled machine may miss a fade; a click that the page makes is there each time.
    for _ in range(5):
        run_on(page, 1)
        page.locator("#play").click()
        expect(page.locator("#player")).to_have_attribute("data-state", "paused")
        before = seconds(page)
        page.wait_for_timeout(500)
        assert seconds(page) == before
        page.locator("#play").click()
        expect(page.locator("#player")).to_have_attribute("data-state", "playing")
        run_on(page, 2)
        assert seconds(page) >= before
        found = page.evaluate(HARSH)
        if found["step"] < 0.06:
            return
    raise AssertionError(found)


def test_sound_starts_soon_after_a_click(visit, idle, hum):
    page = opened(visit, idle, hum)
    playing(page)
    run_on(page, 1)
    page.locator("#play").click()
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")
    # The schedule, not the machine: how far after the clock the first sample is planned.
    planned = page.evaluate("""async () => {
      const start = AudioBufferSourceNode.prototype.start;
      const first = new Promise((done) => {
        AudioBufferSourceNode.prototype.start = function (when, ...rest) { done(when - this.context.currentTime); return start.call(this, when, ...rest); };
      });
      document.querySelector('#play').click();
      return first;
    }""")
    assert planned < 0.1, planned


def test_playing_costs_few_layouts(visit, idle, hum):
    page = opened(visit, idle, hum)
    playing(page)
    wire = page.context.new_cdp_session(page)
    wire.send("Performance.enable")

    def layouts():
        return next(each["value"] for each in wire.send("Performance.getMetrics")["metrics"] if each["name"] == "LayoutCount")

    run_on(page, 1)
    before = layouts()
    frames = page.evaluate("() => new Promise((done) => { let n = 0; const end = performance.now() + 4000; const step = () => { n += 1; performance.now() < end ? requestAnimationFrame(step) : done(n); }; step(); })")
    count = layouts() - before
    assert count <= 24 and count < frames / 2, f"{count} layouts in {frames} frames"


def test_waveforms_show_what_is_heard_before_the_server_has_drawn_them(visit, idle, tmp_path):
    song = delivered(idle, stems(tmp_path, ["-b:a", "128k"]))
    page = visit(idle, init=listening.CATCH)
    held = []
    page.route("**/peaks/*", lambda route: held.append(route) if held is not None else route.continue_())
    page.goto(f"{idle.address}/#/songs/{song['id']}")
    playing(page)
    run_on(page, 4)
    # The tallest bar in the first and in the last tenth of each waveform.
    bars = """() => [...document.querySelectorAll('.wave canvas')].map((canvas) => {
      const tall = (from, to) => {
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
        copy.drawImage(canvas, 0, 0);
        const { data, width, height } = copy.getImageData(from * canvas.width, 0, (to - from) * canvas.width, canvas.height);
        const rows = new Set();
        for (let n = 3; n < data.length; n += 4) if (data[n]) rows.add(Math.floor(n / 4 / width));
        return rows.size / height;
      };
      return [tall(0, 0.1), tall(0.9, 1)];
    })"""
    for heard, ahead in page.evaluate(bars):
        assert heard > 0.5 and ahead < 0.2
    assert page.locator(".wave.drawing").count() == 4
    # Once the server has drawn them, all stems are complete at the same time.
    waiting, held = held, None
    for route in waiting:
        route.continue_()
    expect(page.locator(".wave.drawing")).to_have_count(0)
    for heard, ahead in page.evaluate(bars):
        assert heard > 0.5 and ahead > 0.5


def wave(rate_hz, seconds, hertz):
    """A WAV file of two channels: a tone on the left, and one of half its frequency on the right."""
    frames = b"".join(struct.pack("<hh", *(int(9000 * math.sin(2 * math.pi * each * n / rate_hz)) for each in (hertz, hertz / 2))) for n in range(int(rate_hz * seconds)))
    head = b"RIFF" + struct.pack("<I", 36 + len(frames)) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 2, rate_hz, rate_hz * 4, 4, 16)
    return head + b"data" + struct.pack("<I", len(frames)) + frames


# The frequency of what was heard, and how far it is from a sine of this frequency, as a part of its level: clicks or a shift stand out.
PURE = """
async ({ hertz, rate }) => {
  const { kept: [all] } = await window.heard();
  const step = 2 * Math.PI * hertz / rate;
  const [length, found] = [rate, []];
  for (let from = 0; from + 1024 <= length; from += 1024) {
    let [sine, cosine, power] = [0, 0, 0];
    for (let n = from; n < from + 1024; n += 1) {
      const x = all[all.length - length + n];
      sine += x * Math.sin(step * n);
      cosine += x * Math.cos(step * n);
      power += x * x;
    }
    found.push({ phase: Math.atan2(cosine, sine), level: Math.sqrt(2 * power / 1024), off: Math.sqrt(Math.max(0, 1 - (sine * sine + cosine * cosine) * 2 / 1024 / power)) });
  }
  const turn = found.slice(1).map(({ phase }, n) => Math.abs(Math.atan2(Math.sin(phase - found[n].phase), Math.cos(phase - found[n].phase))));
  return { turn: Math.max(...turn), off: Math.max(...found.map(({ off }) => off)), level: Math.min(...found.map(({ level }) => level)) };
}
"""


def pure(page, hertz, rate_hz, off):
    """Checks that a tone is heard without interruption, around a border of two segments and elsewhere."""
    good = 0
    # A stalled machine may interrupt it; a wrong speed, or a gap at each border, is there each time.
    for until in [3.5, 1, 1, 1, 1, 1, 1]:
        run_on(page, until)
        found = page.evaluate(PURE, {"hertz": hertz, "rate": rate_hz})
        good += found["level"] > 0.2 and found["off"] < off and found["turn"] < 0.02
        if good == 3:
            return
    raise AssertionError(found)


@pytest.mark.parametrize("rate_hz", [96000, 22050])
def test_original_of_another_rate_than_the_stems_plays_at_its_own_speed(visit, idle, tmp_path, rate_hz):
    """MP3 has no more than 48,000 Hz, so the stems of such uploads have another rate."""
    hertz = 689.0625  # 16 periods in 1,024 frames
    song = delivered(idle, stems(tmp_path, ["-b:a", "128k"]), data=wave(rate_hz, 20, hertz))
    page = opened(visit, idle, song)
    page.locator("#heard-original").check()
    playing(page)
    listen(page, seconds=2, which="sum")
    pure(page, hertz, 44100, off=0.02)
    # Both sources are at the same place.
    length = page.locator("#time").inner_text().split(" / ")[1]
    assert length == "0:20"
    before = seconds(page)
    page.locator("#heard-stems").check()
    run_on(page, 0.5)
    assert 0 <= seconds(page) - before <= 2


def test_previews_of_another_rate_than_the_stems_play_at_their_own_speed(visit, idle, tmp_path):
    """Previews have 44,100 Hz always."""
    hertz = 750  # 16 periods in 1,024 frames at 48,000 Hz
    song = delivered(idle, stems(tmp_path, ["-b:a", "128k", "-ar", "48000"], sound=f"0.2*sin(2*PI*{hertz}*t)"))
    page = opened(visit, idle, song)
    page.locator("#save-data").click()
    page.wait_for_function("performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('quality=preview')).length >= 4")
    page.wait_for_load_state("networkidle")
    asked = lambda: len([each for each in page.context.watched.requests if each.endswith("quality=preview")])  # noqa: E731
    before = asked()
    playing(page)
    listen(page, seconds=2, which="sum")
    pure(page, hertz, 48000, off=0.05)
    # They are what is heard.
    assert asked() > before


def test_sound_that_the_system_interrupts_is_shown_as_paused(visit, idle, hum):
    """As phones do for a call."""
    page = opened(visit, idle, hum)
    playing(page)
    run_on(page, 1)
    page.evaluate("caught.contexts.at(-1).suspend()")
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Play")
    before = seconds(page)
    page.locator("#play").click()
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    run_on(page, 1.5)
    assert before < seconds(page) <= before + 4
    # A pause is no interruption, however soon the next start follows.
    for wait in [0, 250, 350]:
        page.locator("#play").click()
        expect(page.locator("#player")).to_have_attribute("data-state", "paused")
        page.wait_for_timeout(wait)
        playing(page)
        run_on(page, 0.7)
        expect(page.locator("#player")).to_have_attribute("data-state", "playing")
