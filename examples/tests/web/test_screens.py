"""Screenshots of all views, to review changes; each test checks the view first."""

import re

import pytest
from conftest import DEMO, Service, begin, deliver, give_up, register, row, shot, throttle, tone, without_full_screen
from playwright.sync_api import expect
from test_admin import ada  # noqa: F401 (a fixture)
from test_choices import six, split, two  # noqa: F401 (fixtures)
from test_labels import label
from test_sharing import owner, shared  # noqa: F401 (a fixture)
from test_tags import covered

SIZES = {360: 780, 768: 1024, 1440: 900}
LONG = "A song with a title so long that it takes more than one line of a phone"
TITLES = ["First Light", "Night Train", "Über den Wolken", "Ты дарила мне розы", LONG]


@pytest.fixture
def songs(idle, stems):
    """One song for each status."""
    songs = [idle.upload(title, data=tone(300 + at)) for at, title in enumerate(TITLES[1:])]
    songs.insert(0, idle.upload("First Light"))
    deliver(idle, songs[0], stems)
    give_up(idle, songs[1], "the file ends in the middle of a frame")
    idle.work("/jobs/lease", {})
    begin(idle, songs[2], 42)
    return songs


def taken(page, name, at=None):
    """Takes a view in every size and both themes, scrolled to the top or to an element."""
    # No element is hovered.
    page.mouse.move(0, 0)
    for width, height in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for colours in ["light", "dark"]:
            page.emulate_media(color_scheme=colours, reduced_motion="reduce")
            page.evaluate("(at) => at ? document.querySelector(at).scrollIntoView() : scrollTo(0, 0)", at)
            shot(page, f"{name}-{width}-{colours}")


def waits_for_waves(page):
    # The mini player has such a button, too.
    expect(page.locator("#play")).to_be_enabled()
    expect(page.locator(".wave.drawing")).to_have_count(0)


def test_empty_list(idle, visit):
    page = visit(idle)
    expect(page.locator("#count")).to_have_text("No songs yet. Upload one above.")
    taken(page, "empty")


def test_list_and_uploads(idle, visit, songs):
    page = visit(idle)
    expect(row(page, "First Light").locator(".state")).to_have_text("Done")
    taken(page, "list")
    taken(page, "list-below", at="#search")
    throttle(page, 20_000)
    files = [("Day_Train.mp3", "audio/mpeg", DEMO.read_bytes()), ("notes.txt", "text/plain", b"la la la")]
    page.set_input_files("#files", [{"name": name, "mimeType": kind, "buffer": data} for name, kind, data in files])
    expect(page.locator(".upload[data-state=going] .note")).to_have_text(re.compile("^[1-9]"))
    expect(page.locator(".upload[data-state=failed]")).to_be_visible()
    taken(page, "uploads", at="#choose")
    for cancel in page.locator(".upload").get_by_role("button", name=re.compile("Cancel upload|Dismiss")).all()[::-1]:
        cancel.click()
    page.get_by_role("button", name="Select", exact=True).click()
    row(page, "First Light").click(position={"x": 60, "y": 30})
    taken(page, "selected", at="#search")
    page.locator("#delete-chosen").click()
    page.locator("#trash-link").click()
    expect(page.locator("#trash li")).to_have_count(1)
    taken(page, "trash")


def test_song_pages(idle, visit, songs):
    for song, name, status in [(songs[2], "splitting", "Processing: 42%"), (songs[1], "failed", "Failed")]:
        page = visit(idle, f"/#/songs/{song['id']}")
        expect(page.locator("#song-state")).to_have_text(status)
        taken(page, name)
    page = visit(idle, f"/#/songs/{songs[0]['id']}")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_enabled()
    page.locator("#place").fill("8")
    page.locator("#place").blur()
    expect(page.locator(".wave.drawing")).to_have_count(0)
    taken(page, "player")
    page.locator("#practice summary").click()
    page.locator("#speed").fill("0.8")
    page.locator("#bpm").fill("96")
    taken(page, "practice", at="#practice")
    for at_ms, name in [(3600, "Verse"), (14000, "Chorus")]:
        idle.ask("POST", f"/songs/{songs[0]['id']}/markers", {"at_ms": str(at_ms), "name": name})
    page.reload()
    waits_for_waves(page)
    page.locator("#markers summary").click()
    taken(page, "markers", at="#markers")
    without_full_screen(page)
    page.get_by_role("button", name="Sing along").click()
    lines = ["The city sleeps, the river shines", "I count the windows one by one", "", "And here it comes, the first light", "A train goes by", "The night is gone"]
    text = "\n".join(f"[00:{2 + 3 * n:02}.00]{line}" for n, line in enumerate(lines))
    page.set_input_files("#lyrics-file", {"name": "first-light.lrc", "mimeType": "text/plain", "buffer": text.encode()})
    expect(page.locator("#lyrics [aria-current]")).to_have_count(1)
    taken(page, "karaoke")
    page.locator("#stage-close").click()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    taken(page, "shortcuts")


def test_account_page(idle, visit):
    page = visit(idle, "/#/account")
    expect(page.locator("#login")).to_be_visible()
    taken(page, "account-logged-out")
    register(page, idle)
    page.locator("#token-name").fill("laptop")
    page.get_by_role("button", name="Create token").click()
    expect(page.locator(".tokens li")).to_have_count(1)
    # Replace the random token: screenshots must be stable and show no working token.
    page.locator("#token-secret").evaluate("(shown) => { shown.value = `voc_${'x'.repeat(40)}`; }")
    taken(page, "account-logged-in")


def test_in_russian(idle, visit, songs):
    page = visit(idle, viewport={"width": 768, "height": 1024}, color_scheme="light", locale="ru-RU")
    expect(row(page, "First Light").locator(".state")).to_have_text("Готово")
    shot(page, "list-768-russian")
    row(page, "First Light").locator("a").click()
    expect(page.get_by_role("button", name="Воспроизвести", exact=True)).to_be_enabled()
    expect(page.locator(".wave.drawing")).to_have_count(0)
    shot(page, "player-768-russian")


def test_list_with_covers_labels_and_the_small_player(idle, visit, stems):
    """Songs with tags, one of which plays."""
    pictures = {"First Light": ("The Tides", "0x2f6fde"), "Night Train": ("Vox Humana", "0xd9822b"), "Rosa": ("Ада", "0x8e44ad"), "No cover": (None, None)}
    for title, (artist, colour) in pictures.items():
        song = idle.upload(title, data=covered(artist, colour) if colour else tone(500, 20))
        deliver(idle, song, stems)
        for each in {"First Light": ["Choir", "Sunday"], "Rosa": ["Choir"]}.get(title, []):
            label(idle, song, each)
    page = visit(idle)
    expect(page.locator(".song .cover:visible")).to_have_count(3)
    row(page, "First Light").get_by_role("button", name="Play First Light").click()
    expect(page.locator("#mini-time")).to_have_text(re.compile("/ 0:"))
    page.locator("#mini-play").click()
    taken(page, "library", at="#search")
    row(page, "First Light").locator(".song-title").click()
    waits_for_waves(page)
    taken(page, "song-with-cover")


def test_choices_and_six_stems(two, visit, six, stems):  # noqa: F811
    song = two.upload("Night Train", data=tone(440, 20))
    split(two, "htdemucs", stems)
    page = visit(two)
    expect(page.locator("#upload-model")).to_be_visible()
    taken(page, "choices")
    two.ask("POST", f"/songs/{song['id']}/split", {"model": "htdemucs_6s"})
    split(two, "htdemucs_6s", six)
    page.goto(f"{two.address}/#/songs/{song['id']}")
    waits_for_waves(page)
    expect(page.locator(".track")).to_have_count(6)
    taken(page, "six-stems")


def test_sharing(owner, visit, idle):  # noqa: F811
    owner.locator("#share").click()
    expect(owner.locator("#share-create")).to_be_visible()
    taken(owner, "share")
    owner.locator("#share-close").click()
    link = shared(owner)
    page = visit(idle)
    page.goto(link)
    waits_for_waves(page)
    taken(page, "shared")


def test_administration_and_callbacks(ada, idle):  # noqa: F811
    taken(ada, "administration")
    ada.goto(f"{idle.address}/#/account")
    taken(ada, "callbacks", at="#callback")


def test_server_that_does_not_answer(visit, stems):
    service = Service("--no-worker")
    try:
        song = service.upload("First Light", data=tone(440, 20))
        deliver(service, song, stems)
        page = visit(service)
        expect(row(page, "First Light").locator(".state")).to_have_text("Done")
        service.stop()
        expect(page.locator("#offline")).to_be_visible()
        taken(page, "server-down")
        service.start()
    finally:
        service.close()
