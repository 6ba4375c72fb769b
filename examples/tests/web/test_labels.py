"""Labels on songs, what is done with several songs at once, and the next song of the small player."""

import json
import re
import sqlite3

import pytest
from conftest import Service, deliver, row, tone
from playwright.sync_api import expect
from test_choices import MODELS
from test_library import many  # noqa: F401 (a fixture)
from test_manners import AXE, complaints
from test_phone import PHONE, SMALL

# With the accessibility checker. Without transitions, colours are the final ones at once.
CHECKED = {"init": AXE.read_text(), "reduced_motion": "reduce"}


def label(service, song, *labels):
    for each in labels:
        service.ask("POST", f"/songs/{song['id']}/labels", {"label": each})


def labels(service, song):
    return service.ask("GET", f"/songs/{song['id']}?details")["song"]["labels"]


def chips(page, title):
    return row(page, title).locator(".chip")


def titles(page):
    return page.locator(".song-title")


def select_all(page):
    page.get_by_role("button", name="Select", exact=True).click()
    page.get_by_role("button", name="Select all on this page").click()
    return page.get_by_role("group", name="Select")


def test_labels_are_added_and_removed_by_keyboard(idle, visit):
    song = idle.upload("Song", data=tone(300))
    page = visit(idle, f"/#/songs/{song['id']}")
    field = page.get_by_label("New label")
    expect(field).to_be_visible()
    field.focus()
    for text in ["  Live ", "Ёлка & co", "live"]:
        page.keyboard.type(text)
        page.keyboard.press("Enter")
        expect(field).to_have_value("")
        expect(field).to_be_focused()
    shown = page.get_by_role("list", name="Labels")
    expect(shown.get_by_role("listitem")).to_have_text(["Live", "Ёлка & co"])
    assert labels(idle, song) == ["Live", "Ёлка & co"]
    # Screen readers are told.
    page.keyboard.type("third")
    page.keyboard.press("Enter")
    expect(page.locator("#say")).to_have_text("Label added: third")
    page.get_by_role("button", name="Remove the label third").focus()
    page.keyboard.press("Enter")
    expect(shown.get_by_role("listitem")).to_have_text(["Live", "Ёлка & co"])
    expect(page.locator("#say")).to_have_text("Label removed: third")
    # The focus stays near, so that further ones can be removed.
    expect(page.get_by_role("button", name="Remove the label Ёлка & co")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove the label Live")).to_be_focused()
    page.keyboard.press("Enter")
    expect(shown).to_be_hidden()
    expect(field).to_be_focused()
    assert labels(idle, song) == []


def test_label_that_the_server_refuses_stays_in_the_field(idle, visit):
    song = idle.upload("Song", data=tone(300))
    label(idle, song, *(str(n) for n in range(20)))
    page = visit(idle, f"/#/songs/{song['id']}")
    expect(page.get_by_role("list", name="Labels").get_by_role("listitem")).to_have_count(20)
    field = page.get_by_label("New label")
    field.fill("one more")
    field.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="The song has 20 labels")).to_be_visible()
    expect(field).to_have_value("one more")
    expect(field).to_be_focused()


def test_list_shows_labels_and_filters_by_them(idle, visit):
    songs = [idle.upload(f"Song {at}", data=tone(300 + at)) for at in range(4)]
    label(idle, songs[0], "Live", "a", "b", "c", "d")
    label(idle, songs[1], "LIVE")
    label(idle, songs[2], "Ёлка & co")
    page = visit(idle, **CHECKED)
    expect(chips(page, "Song 0")).to_have_text(["a", "b", "c"])
    expect(row(page, "Song 0").locator(".labels")).to_contain_text("+2")
    expect(row(page, "Song 3").locator(".labels")).to_be_hidden()
    assert complaints(page) == []
    page.get_by_label("Sort by").select_option("Title")
    choice = page.get_by_label("Label", exact=True)
    choice.select_option(label="LIVE (2)")
    expect(titles(page)).to_have_text(["Song 0", "Song 1"])
    assert page.url.endswith("/#/?label=LIVE&sort=title")
    # With a search, and after Back.
    page.get_by_role("searchbox").fill("song 1")
    expect(titles(page)).to_have_text(["Song 1"])
    row(page, "Song 1").get_by_role("link").click()
    expect(page.get_by_role("heading", name="Song 1")).to_be_visible()
    page.go_back()
    expect(titles(page)).to_have_text(["Song 1"])
    page.get_by_role("searchbox").fill("")
    expect(titles(page)).to_have_text(["Song 0", "Song 1"])
    choice.select_option("")
    expect(titles(page)).to_have_count(4)
    # A label of the song's page leads to its songs.
    row(page, "Song 2").get_by_role("link").click()
    expect(page.get_by_role("link", name="Ёлка & co")).to_be_visible()
    assert complaints(page) == []
    page.get_by_role("link", name="Ёлка & co").click()
    expect(titles(page)).to_have_text(["Song 2"])
    expect(choice).to_have_value("Ёлка & co")
    # Changes elsewhere are followed.
    label(idle, songs[3], "ёлка & CO")
    expect(titles(page)).to_have_count(2)
    page.goto(f"{idle.address}/#/?label=nothing")
    expect(page.locator("#count")).to_have_text("No songs have this label.")
    expect(choice).to_have_value("nothing")


def test_long_list_is_filtered_by_the_server(many, visit):  # noqa: F811
    database = sqlite3.connect(many.data / "data/vocalizer.db", timeout=60)
    chosen = [each for each, in database.execute("SELECT id FROM songs WHERE title IN ('Song 0007', 'Song 1003', 'Song 1005')")]
    database.executemany("UPDATE songs SET labels = 'Live' WHERE id = ?", [(each,) for each in chosen])
    database.executemany("INSERT INTO song_labels (label_key, song_id) VALUES ('live', ?)", [(each,) for each in chosen])
    database.commit()
    database.close()
    page = visit(many, "/#/?label=LIVE&sort=title")
    expect(titles(page)).to_have_text(["Song 0007", "Song 1003", "Song 1005"])
    expect(page.get_by_label("Label", exact=True)).to_have_value("Live")
    expect(chips(page, "Song 0007")).to_have_text(["Live"])
    page.get_by_role("searchbox").fill("song 10")
    expect(titles(page)).to_have_text(["Song 1003", "Song 1005"])


def test_several_songs_are_labelled(idle, visit):
    songs = [idle.upload(f"Song {at}", data=tone(300 + at)) for at in range(3)]
    label(idle, songs[0], "Live", "old")
    page = visit(idle, **CHECKED)
    expect(chips(page, "Song 0")).to_have_text(["Live", "old"])
    chosen = select_all(page)
    chosen.get_by_role("button", name="Label…").click()
    dialog = page.get_by_role("dialog", name="Labels of 3 songs")
    expect(dialog.get_by_label("New label")).to_be_focused()
    expect(dialog.get_by_role("listitem")).to_have_text(["Live (1)", "old (1)"])
    page.keyboard.type("LIVE")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("listitem")).to_have_text([re.compile(r"^live \(3\)$", re.I), "old (1)"])
    dialog.get_by_role("button", name="Remove the label old").click()
    expect(dialog.get_by_role("listitem")).to_have_count(1)
    assert complaints(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(chosen.get_by_role("button", name="Label…")).to_be_focused()
    expect(chips(page, "Song 2")).to_have_text(["LIVE"])
    assert [labels(idle, song) for song in songs] == [["Live"], ["LIVE"], ["LIVE"]]


def test_label_in_the_dialog_of_one_song_leads_to_the_list(idle, visit):
    for at in range(2):
        song = idle.upload(f"Song {at}", data=tone(300 + at))
    label(idle, song, "Live")
    page = visit(idle)
    page.get_by_role("button", name="Select", exact=True).click()
    row(page, "Song 1").click()
    page.get_by_role("group", name="Select").get_by_role("button", name="Label…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("link", name="Live").click()
    expect(dialog).to_have_count(0)
    expect(titles(page)).to_have_text(["Song 1"])
    assert page.url.endswith("label=Live")


@pytest.fixture
def two():
    """A server with two models and without a worker."""
    service = Service("--no-worker", models=MODELS)
    yield service
    service.close()


def test_several_songs_are_split_again(two, visit, stems):
    songs = [two.upload(f"Song {at}", data=tone(300 + at)) for at in range(3)]
    for song in songs[:2]:
        deliver(two, song, stems)
    page = visit(two, **CHECKED)
    expect(row(page, "Song 1").locator(".state")).to_have_text("Done")
    chosen = select_all(page)
    chosen.get_by_role("button", name="Split again…").click()
    dialog = page.get_by_role("dialog", name="Split 3 songs again")
    dialog.get_by_label("Model").select_option("htdemucs_6s")
    dialog.get_by_label("Bass").uncheck()
    assert complaints(page) == []
    dialog.get_by_role("button", name="Split again").click()
    expect(dialog).to_have_count(0)
    expect(page.locator("#say")).to_have_text("3 songs are being split again")
    expect(row(page, "Song 1").locator(".state")).not_to_have_text("Done")
    for song in songs:
        details = two.ask("GET", f"/songs/{song['id']}?details")["song"]
        assert (details["model"], details["status"]) == ("htdemucs_6s", "UPLOADED")


def test_failed_part_of_splitting_several_songs_can_be_repeated(two, visit):
    songs = [two.upload(f"Song {at}", data=tone(300 + at)) for at in range(2)]
    page = visit(two)
    select_all(page).get_by_role("button", name="Split again…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Model").select_option("htdemucs_6s")
    refused = {"ok": False, "errors": [{"code": "conflict", "message": "not now"}], "data": None}
    path = f"**/songs/{songs[0]['id']}/split"
    page.route(path, lambda route: route.fulfill(status=409, body=json.dumps(refused), content_type="application/json"))
    again = dialog.get_by_role("button", name="Split again")
    again.click()
    expect(dialog.get_by_role("alert")).to_have_text("Not now.")
    page.unroute(path)
    again.click()
    expect(dialog).to_have_count(0)
    models = [two.ask("GET", f"/songs/{song['id']}?details")["song"]["model"] for song in songs]
    assert models == ["htdemucs_6s", "htdemucs_6s"]


def test_one_model_offers_no_splitting_of_several_songs(idle, visit):
    idle.upload("Song", data=tone(300))
    page = visit(idle)
    chosen = select_all(page)
    expect(chosen.get_by_role("button", name="Label…")).to_be_enabled()
    expect(chosen.get_by_role("button", name="Split again…")).to_be_hidden()


def test_labels_work_on_a_phone(two, visit):
    songs = [two.upload(f"Song {at}", data=tone(300 + at)) for at in range(3)]
    label(two, songs[0], "a", "b" * 40, "c", "Live")
    page = visit(two, **PHONE)

    def misfits():
        """Controls that are too small, and whether the page is too wide. While songs are selected, a row is the target of its box."""
        small = [each for each in page.evaluate(SMALL) if 'class="choice"' not in each]
        return [*small, *([] if page.evaluate("document.scrollingElement.scrollWidth <= innerWidth") else ["too wide"])]

    expect(chips(page, "Song 0")).to_have_count(3)
    assert misfits() == []
    chosen = select_all(page)
    assert misfits() == []
    chosen.get_by_role("button", name="Label…").click()
    expect(page.get_by_role("dialog").get_by_role("listitem")).to_have_count(4)
    assert misfits() == []
    page.keyboard.press("Escape")
    chosen.get_by_role("button", name="Split again…").click()
    expect(page.get_by_role("dialog").get_by_label("Model")).to_be_visible()
    assert misfits() == []
    page.goto(f"{two.address}/#/songs/{songs[0]['id']}")
    page.reload()
    expect(page.get_by_role("list", name="Labels").get_by_role("listitem")).to_have_count(4)
    assert misfits() == []


def test_guests_with_a_link_see_no_labels(idle, visit, stems):
    song = idle.upload("Song", data=tone(300))
    deliver(idle, song, stems)
    label(idle, song, "Live")
    secret = idle.ask("POST", f"/songs/{song['id']}/shares", {})["secret"]
    page = visit(idle, f"/#/s/{secret}")
    expect(page.locator("#play")).to_be_enabled()
    expect(page.get_by_label("New label")).to_have_count(0)


def test_small_player_goes_on_to_the_next_song_of_the_list(idle, visit, stems):
    songs = {title: idle.upload(title, data=tone(300 + at, seconds=30)) for at, title in enumerate(["D", "C", "B", "A"])}
    for title in ["A", "C", "D"]:
        deliver(idle, songs[title], stems)
    label(idle, songs["A"], "x")
    label(idle, songs["D"], "x")
    page = visit(idle, "/#/?sort=title")
    expect(row(page, "D").locator(".state")).to_have_text("Done")
    row(page, "A").get_by_role("button", name="Play A").click()
    mini = page.get_by_role("region", name="Mini player")
    skip = mini.get_by_role("button", name="Next song")
    skip.click()
    # B is not split.
    expect(mini.get_by_role("link", name="C")).to_be_visible()
    expect(row(page, "C").get_by_role("button", name="Pause C")).to_be_visible()
    # In another view, the order of the list is as it was.
    page.locator("#account-link").click()
    expect(page.locator("#login")).to_be_visible()
    skip.click()
    expect(mini.get_by_role("link", name="D")).to_be_visible()
    expect(skip).to_be_focused()
    skip.click()
    expect(page.locator(".toast")).to_have_text(re.compile("There is no further song in the list."))
    expect(mini.get_by_role("link", name="D")).to_be_visible()
    # The filter counts.
    page.goto(f"{idle.address}/#/?sort=title&label=x")
    row(page, "A").get_by_role("button", name="Play A").click()
    skip.click()
    expect(mini.get_by_role("link", name="D")).to_be_visible()


def test_small_player_goes_on_to_the_next_page_of_a_long_list(many, visit):  # noqa: F811
    page = visit(many, "/#/?q=song&sort=title")
    expect(titles(page).last).to_have_text("Song 0049")
    # The files of these songs are not there.
    page.route("**/song.mp3", lambda route: route.fulfill(body=tone(300, 30), content_type="audio/wav"))
    row(page, "Song 0049").get_by_role("button", name="Play Song 0049").click()
    mini = page.get_by_role("region", name="Mini player")
    for title in ["Song 0050", "Song 0051"]:
        mini.get_by_role("button", name="Next song").click()
        expect(mini.get_by_role("link", name=title)).to_be_visible()


def test_small_player_fits_a_phone(idle, visit):
    idle.upload("A song with a title that is too long for one line", data=tone(300, seconds=30))
    page = visit(idle, **PHONE)
    page.get_by_role("button", name=re.compile("^Play A song")).click()
    expect(page.locator("#mini-time")).to_have_text(re.compile("/ 0:30$"))
    assert page.evaluate(SMALL) == []
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    assert page.locator("#mini-next").bounding_box()["x"] + 44 <= 360
