"""Measures the player for benches/README.md: memory, CPU, delays and bytes. Runs only with VOCALIZER_FIGURES=1, and prints a table."""

import os
import pathlib
import time

import pytest
from playwright.sync_api import expect

import listening
from listening import listen, opened, playing, run_on
from test_player import delivered, hour, stems
from test_playback import HARSH, renderer_mb

pytestmark = [
    pytest.mark.skipif(not os.environ.get("VOCALIZER_FIGURES"), reason="measures; set VOCALIZER_FIGURES=1"),
    pytest.mark.timeout(1200),
]
TICKS = os.sysconf("SC_CLK_TCK")


@pytest.fixture
def say(capsys):
    def say(what, value):
        with capsys.disabled():
            print(f"| {what} | {value} |", flush=True)

    return say


def cpu_s(browser):
    """Returns the CPU time of all processes of the browser, by type."""
    found = {}
    for each in browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]:
        fields = pathlib.Path(f"/proc/{each['id']}/stat").read_text().rpartition(")")[2].split()
        found[each["type"]] = found.get(each["type"], 0) + (int(fields[11]) + int(fields[12])) / TICKS
    return found


def test_memory_and_cpu_while_ten_minutes_of_an_hour_play(visit, idle, browser, tmp_path, say):
    song = delivered(idle, hour(tmp_path), data=(tmp_path / "hour.mp3").read_bytes())
    page = opened(visit, idle, song)
    say("memory of the tab before playing, MB", f"{renderer_mb(browser):.0f}")
    playing(page)
    run_on(page, 5)
    before, began, most = cpu_s(browser), time.monotonic(), 0
    for _ in range(20):
        run_on(page, 30)
        most = max(most, renderer_mb(browser))
    took = time.monotonic() - began
    used = {kind: seconds - before.get(kind, 0) for kind, seconds in cpu_s(browser).items()}
    say("most memory of the tab in ten minutes, MB", f"{most:.0f}")
    say("CPU of the tab while playing, % of a core", f"{100 * used['renderer'] / took:.1f}")
    say("CPU of the whole browser, % of a core", f"{100 * sum(used.values()) / took:.1f}")


# How long after a click the first sample is heard at the output of the player, in milliseconds, and what the system adds.
CLICK = """
async () => {
  const context = caught.contexts.at(-1);
  const at = context.currentTime;
  document.querySelector('#play').click();
  while (document.querySelector('#player').dataset.state !== 'playing') await new Promise((done) => setTimeout(done, 5));
  await new Promise((done) => setTimeout(done, 700));
  const { frame, kept: [all], length } = await window.heard();
  const first = all.findIndex((sample, n) => frame - length + n >= at * context.sampleRate && Math.abs(sample) > 1e-4);
  return { ms: 1000 * ((frame - length + first) / context.sampleRate - at), system: 1000 * (context.outputLatency + context.baseLatency) };
}
"""


def test_delays(visit, idle, tmp_path, say):
    song = delivered(idle, stems(tmp_path, ["-b:a", "320k"], seconds=90, sound="0.15*sin(2*PI*110*t)"))
    page = opened(visit, idle, song)
    playing(page)
    for place in [3, 6, 9, 12, 15, 1]:
        page.locator("#place").fill(str(place))
        run_on(page, 0.5)
    listen(page, seconds=3, which="sum")
    gaps = []
    for place in [12.3, 4.1, 9.7] * 5:
        page.locator("#place").fill(str(place))
        run_on(page, 3)
        gaps.append(page.evaluate(HARSH)["silence"])
    say("silence at a seek to what is loaded, ms: median, largest of 15", f"{sorted(gaps)[7]:.1f}, {max(gaps):.1f}")
    delays = []
    for _ in range(15):
        page.locator("#play").click()
        expect(page.locator("#player")).to_have_attribute("data-state", "paused")
        run = page.evaluate(CLICK)
        delays.append(run["ms"])
        run_on(page, 0.5)
    say("from the click on Play to the first sample, ms: median, largest of 15", f"{sorted(delays)[7]:.0f}, {max(delays):.0f}")
    say("delay of the sound system here, ms", f"{run['system']:.0f}")


@pytest.mark.parametrize("device", ["phone", "computer"])
def test_bytes_of_three_minutes(visit, idle, tmp_path, say, device):
    phone = {"viewport": {"width": 360, "height": 780}, "has_touch": True, "is_mobile": True} if device == "phone" else {}
    song = delivered(idle, stems(tmp_path, ["-b:a", "320k"], seconds=180))
    page = visit(idle, init=listening.CATCH, bypass_csp=True, **phone)
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    came = []
    wire.on("Network.dataReceived", lambda event: came.append(event["encodedDataLength"]))
    page.goto(f"{idle.address}/#/songs/{song['id']}")
    page.reload()
    # The server makes previews first.
    expect(page.locator("#play")).to_be_enabled(timeout=120_000)
    playing(page)
    run_on(page, 175)
    say(f"bytes of three minutes on a {device}, MB", f"{sum(came) / 1e6:.2f}")
