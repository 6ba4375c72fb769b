"""The player."""

import io
import math
import re
import struct
import subprocess
import tarfile
import zipfile
from array import array

import pytest
from playwright.sync_api import expect

import listening
from conftest import DEMO, tone
from listening import STEMS, heard, listen, opened, playing, run_on, seconds, together


def stems(folder, *options, seconds=20, sound=None):
    """Returns a result archive of four stems with different tones; `options` are ffmpeg options, one list per stem."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for index, stem in enumerate(["bass", "drums", "other", "vocals"]):
            path = folder / f"{stem}.mp3"
            # A chirp does not repeat, so its position is unique.
            heard = sound or f"0.3*sin(2*PI*({200 + 100 * index}*t+{9 + 4 * index}*t*t))"
            how = options[index % len(options)]
            source = f"aevalsrc={heard}:s=44100:d={seconds}"
            subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source, "-ac", "2", *how, path], check=True)
            tar.add(path, f"{stem}.mp3")
    return archive.getvalue()


def hour(folder):
    """Returns a result archive of one-hour stems: one minute, sixty times."""
    stems(folder, ["-b:a", "64k"], seconds=60)
    command = ["ffmpeg", "-v", "error", "-y", "-stream_loop", "59", "-i", folder / "drums.mp3", "-c", "copy", folder / "hour.mp3"]
    subprocess.run(command, check=True)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for stem in STEMS:
            tar.add(folder / "hour.mp3", f"{stem}.mp3")
    return archive.getvalue()


def delivered(service, archive, title="Delivered", data=None):
    song = service.upload(title, data=data or tone(440, 20))
    service.work(f"/songs/{song['hash']}/begin")
    service.work(f"/songs/{song['hash']}/upload_result", archive)
    return song


def test_uploaded_song_is_processed_and_played(visit, service):
    """Uses the real model. Must run first in this file: the `demo` fixture uploads the same bytes, and the result would be reused."""
    page = visit(service, init=listening.CATCH)
    page.locator("#files").set_input_files({"name": "Uploaded song.mp3", "mimeType": "audio/mpeg", "buffer": DEMO.read_bytes()})
    row = page.locator(".song", has_text="Uploaded song")
    expect(row).to_have_attribute("data-status", "SPLITTING", timeout=120_000)
    expect(row.locator(".state")).to_contain_text("%")
    expect(row).to_have_attribute("data-status", "SPLIT", timeout=300_000)
    row.locator("a").click()
    expect(page.locator("#play")).to_be_enabled()
    playing(page)
    before = listening.clock(page)
    run_on(page, 1)
    assert listening.clock(page) > before
    expect(page.locator("#time")).to_have_text(re.compile("^0:0[2-9]"))


def test_stems_play_in_sync_to_the_sample(visit, service, demo):
    page = opened(visit, service, demo)
    playing(page)
    listen(page)
    page.wait_for_function("document.querySelector('#time').textContent.startsWith('0:10')")
    at = together(page, demo)
    assert 5 * 44100 < at < 22 * 44100


def test_segment_boundaries_are_gapless(visit, service, demo):
    """Segments have 131072 samples; the comparison spans at least one boundary."""
    page = opened(visit, service, demo)
    playing(page)
    # Skip the start, where a busy machine may delay playback.
    run_on(page, 4)
    listen(page, seconds=6)
    run_on(page, 6.5)
    together(page, demo, frames=int(5.5 * 44100))


def x_of(page, place):
    """Returns where a place, in seconds, is on the screen; rounded up, so that a place just ahead of the position stays ahead."""
    box = page.locator(".ruler").bounding_box()
    return math.ceil(box["x"] + place / float(page.locator("#place").get_attribute("max")) * box["width"])


def drag(page, handle, *places):
    """Drags a handle of the loop through places, in seconds."""
    box = page.locator(f"#handle-{handle}").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    for place in places:
        page.mouse.move(x_of(page, place), y)
    page.mouse.up()


def loop(page, begin, end):
    """Makes a loop."""
    if page.locator("#loop").get_attribute("aria-pressed") == "false":
        page.locator("#loop").click()
    drag(page, "to", float(page.locator("#place").get_attribute("max")))
    drag(page, "from", begin)
    drag(page, "to", end)


def test_loop_repeats_exactly(visit, service, demo):
    page = opened(visit, service, demo)
    loop(page, 4.9, 7.84)
    expect(page.locator("#loop")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#loop-range")).to_have_text("0:04 to 0:07")
    playing(page)
    listen(page, seconds=6)
    run_on(page, 8)
    # After two rounds the position is still inside the loop.
    assert 4 <= seconds(page) <= 7
    round_ = page.evaluate("""async () => {
      const { kept } = await heard();
      const [all, most] = [kept[2], []];
      const from = all.length - 44100;
      for (let shift = 44100; shift < 4 * 44100; shift += 1) {
        let off = 0;
        for (let n = 0; n < 44100 && off < 1e-3; n += 100) off = Math.max(off, Math.abs(all[from + n] - all[from + n - shift]));
        if (off < 1e-3) return shift;
      }
      return null;
    }""")
    length = page.evaluate("""() => {
      const style = document.querySelector('.tracks').style;
      return Number(style.getPropertyValue('--loop-to')) - Number(style.getPropertyValue('--loop-from'));
    }""")
    whole = int(re.search(r"/ 0:(\d+)", page.locator("#time").inner_text())[1])
    assert round_ is not None, "the recording does not repeat"
    assert abs(round_ - length * 24.5 * 44100) < 44100 * 0.05 and whole == 24
    page.locator("#loop").click()
    expect(page.locator("#loop")).to_have_attribute("aria-pressed", "false")
    run_on(page, 5)
    assert seconds(page) > 7
    # The last loop is restored.
    page.keyboard.press("l")
    expect(page.locator("#loop-range")).to_have_text("0:04 to 0:07")
    assert 4 <= seconds(page) <= 7


def test_loop_end_inside_the_scheduling_lead_time_works(visit, service, demo):
    """The loop ends before audio that is already scheduled."""
    page = opened(visit, service, demo)
    playing(page)
    run_on(page, 4)
    page.keyboard.press(" ")
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")
    # Read the exact position once the clock has stopped.
    at = page.wait_for_function("(key) => JSON.parse(sessionStorage[key]).at > 3 * 44100 && JSON.parse(sessionStorage[key]).at / 44100",
                                arg=f"vocalizer-mix-{demo['id']}").json_value()
    loop(page, at - 3, at + 0.03)
    playing(page)
    run_on(page, 2.5)
    assert at - 4 < seconds(page) < at + 1


def test_cancelled_drag_keeps_the_loop(visit, service, demo):
    page = opened(visit, service, demo)
    region = "() => ['--loop-from', '--loop-to'].map((name) => document.querySelector('.tracks').style.getPropertyValue(name))"
    loop(page, 4, 7)
    before = page.evaluate(region)
    assert before[0] != before[1]
    drag(page, "to", 12, 7)
    assert page.evaluate(region) == before
    expect(page.locator("#loop-range")).to_have_text("0:04 to 0:07")
    page.get_by_label("Language").select_option("Русский")
    expect(page.locator("#loop-range")).to_have_text("0:04 — 0:07")


def test_mute_solo_and_karaoke_change_the_audio(visit, service, demo):
    page = opened(visit, service, demo)
    playing(page)
    run_on(page, 4)
    track = {stem: page.locator(f".track[data-stem={stem}]") for stem in STEMS}
    plain = page.evaluate(listening.LEVELS)
    assert all(level > 1e-4 for level in plain), plain
    track["drums"].get_by_role("button", name="Mute Drums").click()
    muted = page.evaluate(listening.LEVELS)
    assert muted[1] < 1e-5 and muted[0] > 1e-4 and muted[2] > 1e-4, muted
    track["drums"].get_by_role("button", name="Mute Drums").click()
    track["bass"].get_by_role("button", name="Solo Bass").click()
    alone = page.evaluate(listening.LEVELS)
    assert alone[2] > 1e-4 and max(alone[0], alone[1], alone[3]) < 1e-5, alone
    track["bass"].get_by_role("button", name="Solo Bass").click()
    page.get_by_role("button", name="Karaoke").click()
    sung = page.evaluate(listening.LEVELS)
    assert sung[0] < 1e-5 and min(sung[1:]) > 1e-4, sung
    page.get_by_role("button", name="Karaoke").click()
    page.keyboard.press("3")
    expect(track["bass"].get_by_role("button", name="Mute Bass")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Shift+Digit1")
    expect(track["vocals"].get_by_role("button", name="Solo Vocals")).to_have_attribute("aria-pressed", "true")


def test_switching_to_original_keeps_position_without_gap(visit, service, demo):
    page = opened(visit, service, demo)
    playing(page)
    listen(page, seconds=4, which="sum")
    run_on(page, 3)
    page.locator("#heard-original").check()
    expect(page.locator("#player-status")).to_have_text("")
    run_on(page, 3.2)
    original = heard(page, [f"/songs/{demo['id']}/song.wav"], frames=2 * 44100)[0]
    assert original["most"] < 1e-4, original
    at = seconds(page)
    # Playback continues during the comparison.
    assert -1 < at - (original["at"] / 44100 + 2) < 6
    page.locator("#heard-stems").check()
    run_on(page, 1)
    assert seconds(page) >= at


def test_click_and_keys_seek(visit, service, demo):
    page = opened(visit, service, demo)
    wave = page.locator(".wave[data-stem=drums]")
    box = wave.bounding_box()
    wave.click(position={"x": box["width"] / 2, "y": 20})
    expect(page.locator("#time")).to_have_text("0:12 / 0:24")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#time")).to_have_text("0:17 / 0:24")
    page.keyboard.press("0")
    expect(page.locator("#time")).to_have_text("0:00 / 0:24")
    page.keyboard.press(" ")
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    page.keyboard.press(" ")
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")
    # Shortcuts can be turned off.
    page.locator("#help").click()
    page.locator("#keys-on").uncheck()
    page.keyboard.press("Escape")
    page.locator("h1", has_text="First Light").click()
    page.keyboard.press("k")
    expect(page.locator("#karaoke")).to_have_attribute("aria-pressed", "false")


def test_player_restarts_after_the_end(visit, service, demo):
    page = opened(visit, service, demo)
    playing(page)
    wave = page.locator(".wave[data-stem=drums]")
    wave.click(position={"x": wave.bounding_box()["width"] * 0.97, "y": 20})
    expect(page.locator("#player")).to_have_attribute("data-state", "ended", timeout=30_000)
    playing(page)
    assert seconds(page) < 4


def test_reload_keeps_levels_and_position(visit, service, demo):
    page = opened(visit, service, demo)
    page.get_by_role("button", name="Mute Bass").click()
    page.locator(".wave[data-stem=drums]").click(position={"x": 300, "y": 20})
    before = page.locator("#time").inner_text()
    assert not before.startswith("0:00")
    # Reload once more before the player has loaded.
    page.route("**/vocals.mp3", lambda route: None)
    page.reload()
    expect(page.locator("#player-status")).to_have_text("Loading stems…")
    page.unroute("**/vocals.mp3")
    page.reload()
    expect(page.locator("#time")).to_have_text(before)
    expect(page.get_by_role("button", name="Mute Bass")).to_have_attribute("aria-pressed", "true")


def test_playback_resumes_after_server_restart(visit, idle, tmp_path):
    song = delivered(idle, stems(tmp_path, ["-b:a", "128k"], seconds=60), data=tone(440, 60))
    page = opened(visit, idle, song)
    playing(page)
    idle.stop()
    expect(page.locator("#offline")).to_be_visible(timeout=60_000)
    expect(page.locator("#player")).to_have_attribute("data-state", "waiting", timeout=60_000)
    idle.start()
    expect(page.locator("#player")).to_have_attribute("data-state", "playing", timeout=60_000)
    expect(page.locator("#offline")).to_be_hidden()


def test_song_opened_while_server_is_down_loads_later(visit, idle, tmp_path):
    song = delivered(idle, stems(tmp_path, ["-b:a", "128k"]))
    page = visit(idle)
    expect(page.locator(".song")).to_have_attribute("data-status", "SPLIT")
    idle.stop()
    page.locator(".song a").click()
    # The view itself comes from the server.
    expect(page.locator("#offline")).to_be_visible(timeout=60_000)
    idle.start()
    expect(page.locator("#play")).to_be_enabled(timeout=60_000)
    expect(page.locator(".toast.bad")).to_have_count(0)
    expect(page.locator("#player-status")).to_have_text("")
    assert page.url.endswith(song["id"])


def test_stems_with_any_mp3_encoding_play_in_sync(visit, idle, tmp_path):
    """Constant and variable bit rates, with and without tags; if frame positions are unknown, the player uses the WAV."""
    kinds = [["-b:a", "320k"], ["-q:a", "4"], ["-b:a", "96k", "-write_xing", "0", "-id3v2_version", "0"], ["-b:a", "160k", "-metadata", "title=x"]]
    song = delivered(idle, stems(tmp_path, *kinds))
    page = opened(visit, idle, song)
    playing(page)
    listen(page)
    run_on(page, 8)
    # The reference is the server's WAV, which is also what a download returns.
    found = heard(page, [f"/songs/{song['id']}/{stem}.wav" for stem in STEMS])
    assert len({each["at"] for each in found}) == 1 and all(each["most"] < 2e-4 for each in found), found


def test_long_song_is_loaded_in_parts(visit, idle, tmp_path):
    archive = hour(tmp_path)
    song = delivered(idle, archive, data=(tmp_path / "hour.mp3").read_bytes())
    page = visit(idle, f"/#/songs/{song['id']}", init=listening.CATCH, bypass_csp=True)
    came = []
    page.on("response", lambda answer: came.append(answer) if ".mp3" in answer.url else None)
    page.reload()
    expect(page.locator("#play")).to_be_enabled()
    expect(page.locator("#quality")).to_have_text("lossy")
    playing(page)
    wave = page.locator(".wave[data-stem=drums]")
    wave.click(position={"x": wave.bounding_box()["width"] * 0.75, "y": 20})
    expect(page.locator("#time")).to_have_text(re.compile(r"^4[45]:\d\d / 1:00:0\d"))
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    listen(page)
    run_on(page, 5)
    came_bytes = sum(int(answer.headers["content-length"]) for answer in came)
    assert came_bytes < len(archive) / 20, f"loaded {came_bytes} of {len(archive)} bytes"
    levels = page.evaluate(listening.LEVELS)
    assert min(levels) > 0.05, levels


def test_every_part_can_be_downloaded(visit, service, demo, tmp_path):
    page = opened(visit, service, demo)
    song = f"/songs/{demo['id']}"

    def taken(which):
        with page.expect_download(timeout=60_000) as download:
            page.locator(f"#take-{which}").click()
        path = tmp_path / f"{which}-taken"
        download.value.save_as(path)
        return download.value.suggested_filename, path.read_bytes()

    expect(page.locator("#quality")).to_have_text("lossless")
    expect(page.locator("#provenance")).to_have_text(re.compile(r"^Split by htdemucs · cpu · (f32|int16) · .* · [\d.]+× real time · vocalizer [\d.]+ · weights [0-9a-f]{12}$"))
    # Stems have names for audio workstations, as in the archive.
    expect(page.locator("#tempo-found")).to_have_text("104 BPM")
    for at, which in enumerate(["drums", "bass", "other", "vocals"], 1):
        assert taken(which) == (f"0{at} First Light ({which}) 104 BPM A.mp3", service.bytes(f"{song}/{which}.mp3"))
    assert taken("accompaniment") == ("First Light (accompaniment).mp3", service.bytes(f"{song}/accompaniment.mp3"))
    assert taken("song") == ("First Light.mp3", DEMO.read_bytes())
    for kind, magic in [("wav", b"RIFF"), ("flac", b"fLaC")]:
        page.locator(f"#format-{kind}").check()
        name, body = taken("vocals")
        assert (name, body[:4]) == (f"04 First Light (vocals) 104 BPM A.{kind}", magic)
        assert body == service.bytes(f"{song}/vocals.{kind}")
    page.locator("#format-wav").check()
    name, body = taken("zip")
    inside = zipfile.ZipFile(io.BytesIO(body))
    assert name == "First Light (stems, WAV).zip"
    assert inside.namelist() == [f"0{at} First Light ({stem}) 104 BPM A.wav" for at, stem in enumerate(["drums", "bass", "other", "vocals"], 1)]
    # With drums soloed at full level, the mix equals the drums.
    page.get_by_role("button", name="Solo Drums").click()
    name, body = taken("mix")
    assert name == "First Light (mix).wav"
    assert body == service.bytes(f"{song}/drums.wav")
    page.get_by_role("button", name="Mute Drums").click()
    expect(page.locator("#take-mix")).to_have_attribute("aria-disabled", "true")
    expect(page.locator("#take-home")).to_contain_text("there is no mix")


def not_a_number_at_the_end():
    """A WAV with floats whose last sample is not a number."""
    samples = array("f", [0.1] * (3 * 44_100 * 2 - 1) + [float("nan")]).tobytes()
    head = struct.pack("<4sI8sIHHIIHH4sI", b"RIFF", len(samples) + 36, b"WAVEfmt ", 16, 3, 2, 44_100, 352_800, 8, 32, b"data", len(samples))
    return head + samples


def test_corrupt_song_fails_with_reason_and_can_be_retried(visit, service):
    """The song's end is corrupt, which only the worker detects."""
    song = service.upload("Torn", data=not_a_number_at_the_end())
    end = None
    for status in ["FAILED", "SPLIT"]:
        try:
            end = service.until(song["id"], status, seconds=60)
            break
        except AssertionError:
            continue
    if end["status"] != "FAILED":
        pytest.fail(f"a corrupt song did not fail: {end}")
    page = visit(service)
    row = page.locator(".song", has_text="Torn")
    expect(row.locator(".why")).to_contain_text("Reason:")
    row.get_by_role("button", name="Retry").click()
    expect(row).not_to_have_attribute("data-status", "FAILED")
    expect(row).to_have_attribute("data-status", "FAILED", timeout=120_000)
