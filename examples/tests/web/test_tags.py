"""What the tags of a file show: covers in the list and in the song's view, and lyrics in karaoke."""

import re
import subprocess
import tempfile
import urllib.error

import pytest
from conftest import deliver, row, tone, without_full_screen
from playwright.sync_api import expect

LINES = ["The city sleeps, the river shines", "I count the windows one by one"]
TIMED = f"[00:01.00]{LINES[0]}\n[00:15.00]{LINES[1]}"


def covered(artist="The Tides", colour="0x2f6fde", lyrics=None):
    """Returns an MP3 of 20 s with this artist, a cover of one colour and these lyrics."""
    with tempfile.NamedTemporaryFile(suffix=".mp3") as file:
        source = ["-f", "lavfi", "-i", "sine=330:duration=20", "-f", "lavfi", "-i", f"color={colour}:size=500x400:duration=1:rate=1"]
        picture = ["-map", "0:a", "-map", "1:v", "-frames:v", "1", "-c:v", "png", "-disposition:v", "attached_pic"]
        tags = ["-metadata", f"artist={artist}", *(["-metadata", f"lyrics={lyrics}"] if lyrics else [])]
        subprocess.run(["ffmpeg", "-v", "error", "-y", *source, *picture, *tags, "-id3v2_version", "3", file.name], check=True)
        return file.read()


# What is drawn of a picture: its size and the colour of its middle.
DRAWN = """
(picture) => {
  const canvas = document.createElement('canvas');
  canvas.getContext('2d').drawImage(picture, 0, 0);
  return { size: [picture.naturalWidth, picture.naturalHeight], colour: [...canvas.getContext('2d').getImageData(100, 100, 1, 1).data.slice(0, 3)] };
}
"""


def test_covers_are_shown_in_the_list_and_on_the_song_page(idle, visit, stems):
    song = idle.upload("With a cover", data=covered())
    idle.upload("Without", data=tone(440))
    deliver(idle, song, stems)
    page = visit(idle)
    expect(page.locator(".song")).to_have_count(2)
    cover = row(page, "With a cover").locator(".cover")
    expect(cover).to_be_visible()
    expect(row(page, "Without").locator(".cover")).to_be_hidden()
    cover.evaluate("(picture) => picture.decode()")
    drawn = cover.evaluate(DRAWN)
    assert drawn["size"] == [256, 205] and all(abs(found - wanted) < 12 for found, wanted in zip(drawn["colour"], [0x2F, 0x6F, 0xDE])), drawn
    # Titles of all rows begin at the same place, and the picture does not widen the page of a phone.
    lefts = {page.locator(".song-title").nth(at).bounding_box()["x"] for at in range(2)}
    assert len(lefts) == 1, lefts
    # A click on the picture opens the song.
    box = cover.bounding_box()
    page.mouse.click(box["x"] + 10, box["y"] + 10)
    expect(page.locator(".song-head .cover")).to_be_visible()
    # The system's controls show it, too.
    expect(page.locator("#play")).to_be_enabled()
    page.locator("#play").click()
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    media = page.evaluate("(({ title, artist, artwork }) => [title, artist, artwork.map(({ src }) => src)])(navigator.mediaSession.metadata)")
    assert media == ["With a cover", "The Tides", [f"{idle.address}/songs/{song['id']}/cover"]]
    page.set_viewport_size({"width": 360, "height": 780})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_cover_that_a_busy_server_refuses_is_loaded_later(idle, visit):
    idle.upload("With a cover", data=covered())
    page = visit(idle, "/#/account")
    refused = []

    def busy(route):
        if refused:
            route.continue_()
            return
        refused.append(route.request.url)
        route.fulfill(status=429, content_type="application/json", body='{"ok":false,"errors":[{"code":"rate_limited","message":"busy"}],"data":null}')

    page.route("**/cover", busy)
    page.goto(f"{idle.address}/#/")
    expect(page.locator(".song .cover")).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(page.locator(".song .cover")).to_have_js_property("naturalWidth", 256)
    assert len(refused) == 1


def test_cover_that_cannot_be_shown_leaves_no_broken_picture(idle, visit):
    broken = covered().replace(b"IDAT", b"IDXT")
    idle.upload("Broken", data=broken)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        idle.bytes(f"/songs/{idle.ask('GET', '/songs/')['songs'][0]['id']}/cover")
    page = visit(idle)
    expect(page.locator(".song")).to_have_count(1)
    expect(page.locator(".song .cover")).to_be_hidden()


def stage(page):
    """Opens the karaoke stage."""
    expect(page.locator("#play")).to_be_enabled()
    without_full_screen(page)
    page.get_by_role("button", name="Sing along").click()
    expect(page.locator("#stage")).to_be_visible()


def test_lyrics_in_the_tags_are_shown_until_others_are_chosen(idle, visit, stems):
    song = idle.upload("Sung", data=covered(lyrics=TIMED))
    deliver(idle, song, stems)
    page = visit(idle, f"/#/songs/{song['id']}")
    stage(page)
    expect(page.locator("#lyrics p")).to_have_text(LINES)
    page.keyboard.press(" ")
    expect(page.locator("#lyrics [aria-current]")).to_have_text(LINES[0])
    # Removed lyrics stay away.
    page.locator("#lyrics-remove").click()
    expect(page.locator("#lyrics p.none")).to_be_visible()
    page.reload()
    stage(page)
    page.wait_for_load_state("networkidle")
    expect(page.locator("#lyrics p.none")).to_be_visible()


def test_lyrics_without_times_can_be_read(idle, visit, stems):
    song = idle.upload("Sung", data=covered(lyrics="\n".join(LINES)))
    deliver(idle, song, stems)
    page = visit(idle, f"/#/songs/{song['id']}")
    stage(page)
    expect(page.locator("#lyrics p")).to_have_text(LINES)
    expect(page.locator("#lyrics-time-less")).to_be_hidden()
    page.keyboard.press(" ")
    expect(page.locator("#time")).to_have_text(re.compile("^0:0[2-9]"))
    expect(page.locator("#lyrics [aria-current]")).to_have_count(0)
