"""The timeline: zoom, scroll, and what follows the playhead."""

import re

import pytest
from playwright.sync_api import expect

from listening import opened, playing, seconds
from test_handling import song, touch  # noqa: F401 (fixtures)
from test_player import drag

# The view in seconds, from the scrollbar.
VIEW = """() => {
  const [scroll, place] = ['#scroll', '#place'].map((name) => document.querySelector(name));
  return [Number(scroll.value), Number(scroll.value) + Number(place.max) - Number(scroll.max)];
}"""


def view(page):
    return page.evaluate(VIEW)


@pytest.fixture
def zoomed(visit, idle, song):  # noqa: F811
    """The player, zoomed in four times around second 10."""
    page = opened(visit, idle, song)
    expect(page.locator("#zoom-in")).to_be_enabled()
    page.locator("#place").fill("10")
    page.locator("#zoom-in").click()
    page.locator("#zoom-in").click()
    return page


def x_in_view(page, second):
    box = page.locator(".ruler").bounding_box()
    begin, end = view(page)
    return box["x"] + (second - begin) / (end - begin) * box["width"]


def test_zoom_keeps_the_playhead_in_its_place_and_fetches_finer_peaks(visit, idle, song):  # noqa: F811
    page = opened(visit, idle, song)
    expect(page.locator("#zoom-out")).to_be_disabled()
    expect(page.locator("#scroll")).to_be_hidden()
    page.locator("#place").fill("10")
    length = float(page.locator("#place").get_attribute("max"))
    before = page.locator(".head").bounding_box()
    page.locator("#zoom-in").click()
    page.locator("#zoom-in").click()
    begin, end = view(page)
    assert abs(end - begin - length / 4) < 0.01 and begin < 10 < end
    assert abs(page.locator(".head").bounding_box()["x"] - before["x"]) < 2
    expect(page.locator("#say")).to_have_text(re.compile(r"^0:07 to 0:12 is visible$"))
    page.wait_for_function("performance.getEntriesByType('resource').filter(({ name }) => name.includes('from_ms=8000&to_ms=16000')).length === 4")
    page.locator("#zoom-all").click()
    assert view(page) == [0, length]
    expect(page.locator("#zoom-all")).to_be_disabled()


def test_zoomed_waveforms_show_what_is_there(visit, idle, tmp_path):
    """A burst of 50 ms, half a second of silence, and so on: a coarse waveform cannot show them."""
    from test_player import delivered, stems

    bursts = delivered(idle, stems(tmp_path, ["-b:a", "128k"], sound="0.8*sin(2*PI*440*t)*lt(mod(t\\,0.5)\\,0.05)", seconds=120))
    page = opened(visit, idle, bursts)
    expect(page.locator("#zoom-in")).to_be_enabled()
    expect(page.locator(".wave.drawing")).to_have_count(0)
    page.locator("#place").fill("60")
    while page.locator("#zoom-in").is_enabled():
        page.locator("#zoom-in").click()
    count = """() => {
      const canvas = document.querySelector('.wave[data-stem=bass] canvas');
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
      copy.drawImage(canvas, 0, 0);
      const { data } = copy.getImageData(0, Math.round(canvas.height * 0.2), canvas.width, 1);
      let [bursts, before] = [0, false];
      // Bars have gaps; a burst ends when nothing is drawn for 20 pixels.
      for (let x = 0, empty = 99; x < canvas.width; x += 1) {
        const on = data[4 * x + 3] > 0;
        if (on && empty > 20) bursts += 1;
        empty = on ? 0 : empty + 1;
      }
      return bursts;
    }"""
    begin, end = view(page)
    assert abs(end - begin - 2) < 0.01
    page.wait_for_function(f"({count})() >= 4")
    assert page.evaluate(count) in (4, 5)


def test_clicks_drags_and_loop_handles_are_right_in_a_zoomed_view(zoomed):
    page = zoomed
    begin, end = view(page)
    at = lambda: float(page.locator("#place").input_value())
    for where in [".ruler", ".wave[data-stem=drums]"]:
        for part in [0.2, 0.6]:
            box = page.locator(where).bounding_box()
            page.mouse.click(box["x"] + part * box["width"], box["y"] + box["height"] / 2)
            assert abs(at() - (begin + part * (end - begin))) < 0.03, where
            head = page.locator(".head").bounding_box()
            assert abs(head["x"] + 1 - box["x"] - part * box["width"]) < 2.5
    # The loop of eight seconds from here on ends after the view. Its handle scrolls there when it has the focus.
    page.locator("#loop").click()
    expect(page.locator("#handle-to")).to_have_class(re.compile("away"))
    page.locator("#handle-to").focus()
    expect(page.locator("#handle-to")).not_to_have_class(re.compile("away"))
    begin, end = view(page)
    box, target = page.locator("#handle-to").bounding_box(), begin + 0.5 * (end - begin)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 18)
    page.mouse.down()
    page.mouse.move(x_in_view(page, target), box["y"] + 18, steps=4)
    page.mouse.up()
    assert abs(float(page.locator("#handle-to").get_attribute("aria-valuenow")) - target) < 0.1


def test_view_follows_the_playhead_and_leaves_it_when_scrolled(zoomed):
    page = zoomed
    begin, end = view(page)
    page.locator("#place").fill(str(end - 1))
    playing(page)
    page.wait_for_function(f"Number(document.querySelector('#scroll').value) > {begin + 1}")
    now = view(page)
    assert now[0] <= seconds(page) + 1 and seconds(page) <= now[1]
    # Scrolled away, the view stays; a seek brings it back.
    page.locator("#scroll").fill("0")
    page.wait_for_timeout(600)
    assert view(page)[0] == 0
    # The scroll bar has the focus, and takes the arrow keys.
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("Number(document.querySelector('#scroll').value) > 5")


def test_wheel_and_keys_zoom_and_scroll(zoomed):
    page = zoomed
    box = page.locator(".wave[data-stem=bass]").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20)
    begin, end = view(page)
    under = begin + (end - begin) / 4
    page.keyboard.down("Control")
    page.mouse.wheel(0, -240)
    page.keyboard.up("Control")
    page.wait_for_function(f"(({VIEW})()[1] - ({VIEW})()[0]) < {0.6 * (end - begin)}")
    begin, end = view(page)
    assert abs(begin + (end - begin) / 4 - under) < 0.05
    page.mouse.wheel(200, 0)
    page.wait_for_function(f"({VIEW})()[0] > {begin + 0.05}")
    # The page still scrolls.
    top = page.evaluate("scrollY")
    page.mouse.wheel(0, 200)
    page.wait_for_function(f"scrollY > {top}")
    page.keyboard.press("a")
    expect(page.locator("#zoom-all")).to_be_disabled()
    page.keyboard.press("z")
    expect(page.locator("#zoom-all")).to_be_enabled()
    page.keyboard.press("x")
    expect(page.locator("#zoom-all")).to_be_disabled()


def test_two_fingers_zoom_and_neither_seeks(touch):  # noqa: F811
    page, _ = touch
    expect(page.locator("#zoom-in")).to_be_enabled()
    page.locator(".wave[data-stem=drums]").scroll_into_view_if_needed()
    box = page.locator(".wave[data-stem=drums]").bounding_box()
    wire = page.context.new_cdp_session(page)
    y = box["y"] + box["height"] / 2
    at = lambda *xs: [{"x": x, "y": y, "id": n} for n, x in enumerate(xs)]
    middle = box["x"] + box["width"] / 2
    wire.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": at(middle - 30)})
    wire.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": at(middle - 30, middle + 30)})
    for apart in range(35, 95, 5):
        wire.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": at(middle - apart, middle + apart)})
    wire.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    length = float(page.locator("#place").get_attribute("max"))
    begin, end = view(page)
    assert length / 4 < end - begin < length / 2 and begin < length / 2 < end
    assert float(page.locator("#place").input_value()) == 0


def test_playing_a_zoomed_view_costs_no_layout_per_picture(zoomed):
    page = zoomed
    wire = page.context.new_cdp_session(page)
    wire.send("Performance.enable")
    count = lambda: next(each["value"] for each in wire.send("Performance.getMetrics")["metrics"] if each["name"] == "LayoutCount")
    playing(page)
    page.wait_for_timeout(500)
    before = count()
    page.wait_for_timeout(3000)
    # The time is written once a second, and the view moves at most once or twice. There are about 180 pictures.
    assert count() - before < 40


# Markers.


def test_markers_are_added_renamed_jumped_to_and_deleted(visit, idle, song):  # noqa: F811
    page = opened(visit, idle, song)
    expect(page.locator("#marker-add")).to_be_visible()
    place = lambda: float(page.locator("#place").input_value())
    kept = lambda: [(each["at_ms"], each["name"]) for each in idle.ask("GET", f"/songs/{song['id']}/markers")["markers"]]
    page.locator("#place").fill("12.5")
    page.keyboard.press("m")
    expect(page.locator("#say")).to_have_text("Marker 1 added at 0:12")
    page.locator("#place").fill("4")
    page.locator("#marker-add").click()
    expect(page.locator("#markers-list li")).to_have_count(2)
    assert kept() == [(4000, "Marker 2"), (12500, "Marker 1")]
    page.locator("#markers summary").click()
    page.get_by_role("button", name="Rename Marker 1, 0:12").click()
    page.get_by_label("Name of the marker").fill("  Chorus <b>")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Rename Chorus <b>, 0:12")).to_be_focused()
    assert kept() == [(4000, "Marker 2"), (12500, "Chorus <b>")]
    page.locator("#markers-list").get_by_role("button", name="0:04 Marker 2", exact=True).click()
    assert place() == 4
    page.keyboard.press(".")
    expect(page.locator("#say")).to_have_text("Chorus <b>, 0:12")
    assert place() == 12.5
    page.keyboard.press(",")
    assert place() == 4
    # The same on another device, in the order of the song.
    other = opened(visit, idle, song)
    expect(other.locator("#markers-list li")).to_have_text(["0:04 Marker 2", "0:12 Chorus <b>"])
    expect(other.locator("#markers summary")).to_have_text(re.compile("2$"))
    page.get_by_role("button", name="Delete Chorus <b>, 0:12").click()
    expect(page.locator("#markers-list li")).to_have_count(1)
    expect(page.get_by_role("button", name="Delete Marker 2, 0:04")).to_be_focused()
    assert kept() == [(4000, "Marker 2")]
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#markers-list li")).to_have_count(2)
    assert kept() == [(4000, "Marker 2"), (12500, "Chorus <b>")]


def test_markers_stand_at_their_times_also_when_zoomed(zoomed):
    page = zoomed
    page.keyboard.press("m")
    expect(page.locator(".flags span")).to_have_count(1)
    at = lambda: [page.locator(where).bounding_box()["x"] for where in (".flags span", ".marks i")]
    for x in at():
        assert abs(x - x_in_view(page, 10)) < 2
    page.locator("#zoom-all").click()
    for x in at():
        assert abs(x - x_in_view(page, 10)) < 2
    page.locator(".flags span").click()
    assert float(page.locator("#place").input_value()) == 10
    page.locator("#zoom-in").click()
    page.locator("#zoom-in").click()
    page.locator("#scroll").fill("0")
    expect(page.locator(".flags span")).to_be_hidden()


def test_failed_change_of_markers_is_told(visit, idle, song):  # noqa: F811
    for at_ms in range(200):
        idle.ask("POST", f"/songs/{song['id']}/markers", {"at_ms": at_ms, "name": "x"})
    page = opened(visit, idle, song)
    expect(page.locator("#markers-list li")).to_have_count(200)
    page.keyboard.press("m")
    expect(page.get_by_role("alert").filter(has_text="The song has 200 markers, the maximum")).to_be_visible()
    expect(page.locator("#markers-list li")).to_have_count(200)


def test_guest_sees_markers_and_cannot_change_them(visit, idle, song):  # noqa: F811
    idle.ask("POST", f"/songs/{song['id']}/markers", {"at_ms": 5000, "name": "Verse"})
    secret = idle.ask("POST", f"/songs/{song['id']}/shares", {})["secret"]
    page = visit(idle, f"/#/s/{secret}")
    page.locator("#markers summary").click()
    expect(page.locator("#markers-list button")).to_have_text(["0:05 Verse"])
    expect(page.locator("#marker-add")).to_have_count(0)
