"""The song list: live updates, search, sorting, paging and actions."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import Service, begin, deliver, give_up, known, register, row, stand_still, tone
from playwright.sync_api import expect

MANY = 500


@pytest.fixture(scope="module")
def many():
    """A service with many songs: Song 0, Song 1 and so on, and a few with other titles."""
    service = Service("--no-worker")
    names = ["Ёлка", "Zebra crossing", "Äpfel", "a small song"]
    titles = [f"Song {n}" for n in range(MANY - len(names))] + names
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda at: service.upload(titles[at], data=tone(100 + at, 0.05)), range(MANY)))
    yield service
    service.close()


def titles(page):
    return page.locator(".song-title").all_inner_texts()


def state(page, title):
    return row(page, title).locator(".state")


def delete(page, title):
    row(page, title).get_by_role("button", name=f"Delete {title}").click()
    expect(row(page, title)).to_have_count(0)


def undo(page, title):
    return page.locator(".toast").filter(has_text=f"Moved to the trash: {title}").get_by_role("button", name="Undo")


# Live updates.


def test_list_follows_a_song_from_queue_to_done(idle, visit, stems):
    first, second = idle.upload("First", data=tone(300)), idle.upload("Second", data=tone(301))
    page = visit(idle)
    expect(state(page, "First")).to_have_text("Waiting")
    expect(state(page, "Second")).to_have_text("Waiting: 1 song ahead")
    assert idle.work("/jobs/lease", {})["job"]
    begin(idle, first, 10)
    expect(state(page, "First")).to_have_text(re.compile("^Processing: 10%"))
    expect(row(page, "First").get_by_role("progressbar", name="Progress")).to_have_js_property("value", 10)
    expect(state(page, "Second")).to_have_text("Waiting")
    # The remaining time appears after a second progress report.
    idle.work(f"/songs/{first['hash']}/progress", {"percent": "30"})
    expect(state(page, "First")).to_have_text(re.compile(r"^Processing: 30%, \d+ (second|minute)s? left$"))
    deliver(idle, first, stems)
    expect(state(page, "First")).to_have_text("Done")
    expect(row(page, "First").get_by_role("progressbar")).to_be_hidden()
    # Screen readers announce it.
    expect(page.locator("#say")).to_have_text("First is ready")
    assert idle.song(second["id"])["status"] == "UPLOADED"


def test_song_handed_back_waits_again(idle, visit):
    song = idle.upload("Handed back", data=tone(300))
    page = visit(idle)
    begin(idle, song, 40)
    expect(state(page, "Handed back")).to_have_text(re.compile("^Processing: 40%"))
    idle.work(f"/songs/{song['hash']}/hand_back")
    expect(state(page, "Handed back")).to_have_text("Waiting")


def test_failed_song_shows_reason_and_can_be_retried(idle, visit):
    song = idle.upload("Sad song", data=tone(300))
    page = visit(idle)
    expect(state(page, "Sad song")).to_have_text("Waiting")
    again = row(page, "Sad song").get_by_role("button", name="Retry Sad song")
    expect(again).to_be_hidden()
    give_up(idle, song, "the <b>machine</b> is full")
    expect(state(page, "Sad song")).to_have_text("Failed")
    expect(row(page, "Sad song").locator(".why")).to_have_text("Reason: the <b>machine</b> is full")
    again.click()
    expect(state(page, "Sad song")).to_have_text("Waiting")
    expect(row(page, "Sad song").locator(".why")).to_be_hidden()
    assert idle.song(song["id"])["status"] == "UPLOADED"


def test_song_page_follows_the_song(idle, visit, stems):
    song = idle.upload("Sad song", data=tone(300))
    page = visit(idle, f"/#/songs/{song['id']}")
    status = page.locator("#song-state")
    expect(status).to_have_text("Waiting")
    begin(idle, song, 20)
    expect(status).to_have_text(re.compile("^Processing: 20%"))
    give_up(idle, song, "no reason")
    expect(status).to_have_text("Failed")
    expect(page.get_by_text("Reason: no reason")).to_be_visible()
    page.get_by_role("button", name="Retry").click()
    expect(status).to_have_text("Waiting")
    deliver(idle, song, stems)
    expect(page.get_by_role("region", name="Player").or_(page.locator("#player"))).to_be_visible()
    expect(status).to_be_hidden()


def test_two_tabs_show_the_same(idle, visit):
    page = visit(idle)
    other = page.context.new_page()
    other.goto(idle.address)
    page.set_input_files("#files", [{"name": "Shared.wav", "mimeType": "audio/wav", "buffer": tone(300)}])
    row(other, "Shared").locator("a").click()
    other.get_by_role("button", name="Rename").click()
    other.get_by_label("Title").fill("Renamed")
    other.keyboard.press("Enter")
    expect(other.get_by_role("heading", name="Renamed")).to_be_visible()
    expect(row(page, "Renamed")).to_be_visible()
    expect(page.locator(".song")).to_have_count(1)
    other.get_by_role("link", name="All songs").click()
    expect(row(other, "Renamed")).to_be_visible()
    delete(page, "Renamed")
    expect(other.locator(".song")).to_have_count(0)


def test_song_deleted_elsewhere_disappears_from_its_page(idle, visit):
    song = idle.upload("Here today", data=tone(300))
    page = visit(idle, f"/#/songs/{song['id']}")
    expect(page.get_by_role("heading", name="Here today")).to_be_visible()
    idle.ask("DELETE", f"/songs/{song['id']}")
    expect(page.get_by_role("heading", name="Song not found")).to_be_visible()
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)
    page.get_by_role("link", name="All songs").click()
    expect(page.locator("#count")).to_have_text("No songs yet. Upload one above.")


def test_events_received_during_list_loading_win_over_the_list(idle, visit):
    """A stale list response does not overwrite newer events."""
    stays, goes = idle.upload("Stays", data=tone(300)), idle.upload("Goes", data=tone(301))
    page = visit(idle)
    expect(page.locator(".song")).to_have_count(2)
    held = []
    page.route("**/songs/?*", lambda route: held.append((route, route.fetch())))
    page.reload()
    while not held:
        page.wait_for_timeout(20)
    # The list response is delayed while the songs change.
    idle.upload("New", data=tone(302))
    idle.ask("DELETE", f"/songs/{goes['id']}")
    idle.ask("PATCH", f"/songs/{stays['id']}", {"title": "Stays, renamed"})
    expect(row(page, "New")).to_be_visible()
    expect(row(page, "Stays, renamed")).to_be_visible()
    for route, answer in held:
        route.fulfill(response=answer)
    expect(page.locator("#count")).to_have_text("1–2 of 2 songs")
    assert titles(page) == ["New", "Stays, renamed"]


def test_list_is_correct_after_server_restart(idle, visit):
    idle.upload("Before", data=tone(300))
    gone = idle.upload("Gone after", data=tone(301))
    page = visit(idle)
    expect(page.locator(".song")).to_have_count(2)
    away = page.get_by_role("alert").filter(has_text="The server is not responding.")
    expect(away).to_be_hidden()
    idle.stop()
    expect(away).to_be_visible()
    # The list stays visible.
    expect(page.locator(".song")).to_have_count(2)
    idle.start()
    idle.ask("DELETE", f"/songs/{gone['id']}")
    idle.upload("After", data=tone(302))
    expect(away).to_be_hidden()
    expect(row(page, "After")).to_be_visible()
    expect(row(page, "Gone after")).to_have_count(0)
    assert sorted(titles(page)) == ["After", "Before"]
    # Live updates work again.
    idle.upload("Later", data=tone(303))
    expect(row(page, "Later")).to_be_visible()


def test_action_while_server_is_down_shows_an_error(idle, visit):
    song = idle.upload("Sad song", data=tone(300))
    give_up(idle, song, "no reason")
    page = visit(idle)
    expect(row(page, "Sad song")).to_be_visible()
    idle.stop()
    row(page, "Sad song").get_by_role("button", name="Retry").click()
    expect(page.locator(".toast.bad")).to_contain_text("The server is not responding.")
    expect(state(page, "Sad song")).to_have_text("Failed")
    idle.start()


# Deleting.


def test_deletion_can_be_undone(idle, visit):
    idle.upload("Kept", data=tone(300))
    idle.upload("Other", data=tone(301))
    page = visit(idle)
    delete(page, "Kept")
    # The keyboard focus stays in the list.
    expect(row(page, "Other").locator("a")).to_be_focused()
    undo(page, "Kept").click()
    expect(row(page, "Kept")).to_be_visible()
    expect(page.locator("#say")).to_have_text("Kept restored")
    assert known(idle) == ["Other", "Kept"]


def test_deletion_on_song_page_can_be_undone(idle, visit):
    song = idle.upload("Kept", data=tone(300))
    page = visit(idle, f"/#/songs/{song['id']}")
    expect(page.get_by_role("heading", name="Kept")).to_be_visible()
    stand_still(page)
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#search")).to_be_visible()
    expect(page.locator(".song")).to_have_count(0)
    page.go_back()
    expect(page.get_by_role("heading", name="This song is in the trash")).to_be_visible()
    undo(page, "Kept").click()
    expect(page.get_by_role("heading", name="Kept")).to_be_visible()
    expect(page.get_by_role("button", name="Rename")).to_be_visible()
    expect(page.get_by_role("button", name="Delete")).to_be_visible()


def test_rejected_rename_shows_reason_and_escape_cancels(idle, visit):
    song = idle.upload("Good name", data=tone(300))
    page = visit(idle, f"/#/songs/{song['id']}")
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Title").fill("   ")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert").filter(has_text="title is empty")).to_be_visible()
    expect(page.get_by_label("Title")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Good name")).to_be_visible()
    expect(page.get_by_role("button", name="Rename")).to_be_focused()
    assert known(idle) == ["Good name"]


# Search, paging and sorting.


def test_many_songs_are_paged(many, visit):
    page = visit(many)
    count = page.locator("#count")
    expect(count).to_have_text("1–50 of 500 songs")
    expect(page.locator(".song")).to_have_count(50)
    back, forth = page.get_by_role("button", name="Previous"), page.get_by_role("button", name="Next")
    expect(back).to_be_disabled()
    seen = titles(page)
    for number in range(1, 10):
        forth.click()
        expect(count).to_have_text(f"{number * 50 + 1}–{number * 50 + 50} of 500 songs")
        seen += titles(page)
    expect(forth).to_be_disabled()
    assert sorted(seen) == sorted(known(many)), "a song is missing or listed twice"
    back.click()
    expect(count).to_have_text("401–450 of 500 songs")


def test_search_matches_any_part_of_title_and_resets_paging(many, visit):
    page = visit(many)
    expect(page.locator("#count")).to_have_text("1–50 of 500 songs")
    page.get_by_role("button", name="Next").click()
    search = page.get_by_role("searchbox", name="Search titles and artists")
    search.fill("  ZEBRA ")
    expect(page.locator("#count")).to_have_text("1 song")
    assert titles(page) == ["Zebra crossing"]
    expect(page.get_by_role("button", name="Next")).to_be_hidden()
    search.fill("ёл")
    expect(row(page, "Ёлка")).to_be_visible()
    search.fill("song 1")
    expect(page.locator("#count")).to_have_text("1–50 of 176 songs")
    search.fill("no such thing")
    expect(page.locator("#count")).to_have_text("No titles or artists match.")
    # The search survives a visit to a song's page.
    search.fill("zebra")
    row(page, "Zebra crossing").locator("a").click()
    expect(page.get_by_role("heading", name="Zebra crossing")).to_be_visible()
    page.go_back()
    expect(page.locator("#count")).to_have_text("1 song")
    expect(search).to_have_value("zebra")
    search.fill("")
    expect(page.locator("#count")).to_have_text("1–50 of 500 songs")


def test_sort_by_age_and_title(many, visit):
    page = visit(many)
    expect(page.locator("#count")).to_have_text("1–50 of 500 songs")
    newest = known(many)
    assert titles(page) == newest[:50]
    order = page.get_by_label("Sort by")
    order.select_option("Oldest first")
    expect(page.locator(".song-title").first).to_have_text(newest[-1])
    assert titles(page) == newest[:-51:-1]
    # Titles sort by locale, and numbers by value: 2 before 10.
    order.select_option("Title")
    expect(page.locator(".song-title").first).to_have_text("a small song")
    assert titles(page)[:14] == ["a small song", "Äpfel", *(f"Song {n}" for n in range(12))]
    # The choice survives a reload.
    page.reload()
    expect(page.locator(".song-title").first).to_have_text("a small song")
    expect(order).to_have_value("title")


def test_sort_by_status(idle, visit, stems):
    songs = {title: idle.upload(title, data=tone(300 + at)) for at, title in enumerate(["ready", "failed", "processing", "waiting"])}
    deliver(idle, songs["ready"], stems)
    give_up(idle, songs["failed"], "no reason")
    begin(idle, songs["processing"], 5)
    page = visit(idle)
    page.get_by_label("Sort by").select_option("Status")
    expect(page.locator(".song-title")).to_have_text(["processing", "waiting", "failed", "ready"])
    # A song moves when its status changes.
    deliver(idle, songs["waiting"], stems)
    expect(page.locator(".song-title")).to_have_text(["processing", "failed", "waiting", "ready"])


def test_signed_in_user_can_filter_by_owner(idle, visit):
    idle.upload("Public song", data=tone(300))
    page = visit(idle)
    whose = page.get_by_label("Filter songs")
    expect(row(page, "Public song")).to_be_visible()
    expect(whose).to_be_hidden()
    cookie = register(page, idle)
    idle.upload("Mine", data=tone(301), Cookie=cookie)
    expect(page.locator(".song")).to_have_count(2)
    whose.select_option("Mine")
    expect(page.locator(".song-title")).to_have_text(["Mine"])
    whose.select_option("Public")
    expect(page.locator(".song-title")).to_have_text(["Public song"])
    whose.select_option("Mine")
    expect(page.locator(".song-title")).to_have_text(["Mine"])
    # The filter does not apply after signing out.
    page.locator("#account-link").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.locator(".song-title")).to_have_text(["Public song"])
    page.reload()
    expect(page.locator(".song-title")).to_have_text(["Public song"])


def test_reload_stays_on_the_same_view(idle, visit):
    song = idle.upload("Here", data=tone(300))
    page = visit(idle)
    row(page, "Here").locator("a").click()
    expect(page.get_by_role("heading", name="Here")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Here")).to_be_visible()
    begin(idle, song, 50)
    expect(page.locator("#song-state")).to_have_text(re.compile("^Processing: 50%"))
    page.reload()
    expect(page.locator("#song-state")).to_have_text("Processing: 50%")
    # Browser history works.
    page.go_back()
    expect(row(page, "Here")).to_be_visible()
    page.go_forward()
    expect(page.get_by_role("heading", name="Here")).to_be_visible()


def test_unknown_song_address_shows_not_found(idle, visit):
    page = visit(idle, "/#/songs/00000000-0000-4000-8000-000000000000")
    expect(page.get_by_role("heading", name="Song not found")).to_be_visible()
    # An invalid address shows the list.
    page.goto(f"{idle.address}/#/songs/nothing")
    expect(page.get_by_role("button", name="Choose files")).to_be_visible()
    expect(page.locator("#count")).to_have_text("No songs yet. Upload one above.")


# Several songs at once.


def test_several_songs_are_selected_and_deleted(idle, visit):
    for at in range(60):
        idle.upload(f"Song {at}", data=tone(300 + at, 0.05))
    page = visit(idle)
    expect(page.locator(".song")).to_have_count(50)
    expect(page.locator(".song").first.get_by_role("checkbox")).to_be_hidden()
    page.get_by_role("button", name="Select", exact=True).click()
    # A click anywhere on the row selects it and does not open the song.
    row(page, "Song 59").click(position={"x": 300, "y": 20})
    row(page, "Song 58").get_by_role("checkbox", name="Select Song 58").check()
    # The choice outlives pages and searches.
    page.get_by_role("button", name="Next").click()
    row(page, "Song 3").click()
    page.get_by_role("searchbox").fill("Song 4")
    row(page, "Song 4").click()
    row(page, "Song 4").click()
    chosen = page.get_by_role("group", name="Select")
    expect(chosen).to_contain_text("3 songs selected")
    expect(chosen.get_by_role("button", name="Download")).to_be_disabled()
    page.get_by_role("searchbox").fill("")
    chosen.get_by_role("button", name="Delete").click()
    expect(page.locator("#count")).to_have_text("1–50 of 57 songs")
    expect(chosen).to_contain_text("0 songs selected")
    toast = page.locator(".toast").filter(has_text="3 songs moved to the trash")
    toast.get_by_role("button", name="Undo").click()
    expect(page.locator("#count")).to_have_text("1–50 of 60 songs")
    chosen.get_by_role("button", name="Select all on this page").click()
    expect(chosen).to_contain_text("50 songs selected")
    page.get_by_role("button", name="Select", exact=True).click()
    expect(chosen).to_be_hidden()
    row(page, "Song 59").click()
    expect(page.get_by_role("heading", name="Song 59")).to_be_visible()


def test_stems_of_several_songs_are_downloaded(idle, visit, stems):
    songs = [idle.upload(f"Song {at}", data=tone(300 + at)) for at in range(3)]
    for song in songs[:2]:
        deliver(idle, song, stems)
    page = visit(idle)
    expect(state(page, "Song 1")).to_have_text("Done")
    page.get_by_role("button", name="Select", exact=True).click()
    page.get_by_role("button", name="Select all on this page").click()
    names = []
    page.on("download", lambda download: names.append(download.suggested_filename))
    page.get_by_role("group", name="Select").get_by_role("button", name="Download").click()
    while len(names) < 2:
        page.wait_for_timeout(50)
    assert all(name.endswith(".zip") for name in names)
    assert {name[:6] for name in names} == {"Song 0", "Song 1"}


def test_downloads_of_several_songs_tell_what_is_prepared_and_what_failed(idle, visit, stems):
    songs = [idle.upload(f"Song {at}", data=tone(300 + at)) for at in range(3)]
    for song in songs:
        deliver(idle, song, stems)
    page = visit(idle)
    expect(state(page, "Song 2")).to_have_text("Done")
    page.evaluate("(id) => localStorage.setItem(`vocalizer-practice-${id}`, JSON.stringify({ bpm: 90, first: 0 }))", songs[2]["id"])
    held = []
    page.route("**/stems.zip*", lambda route: held.append(route))
    page.get_by_role("button", name="Select", exact=True).click()
    page.get_by_role("button", name="Select all on this page").click()
    page.get_by_role("group", name="Select").get_by_role("button", name="Download").click()
    toast = page.locator(".toast")
    for at in range(3):
        expect(toast).to_have_text(f"Preparing {at + 1} of 3…")
        while not held:
            page.wait_for_timeout(20)
        # As on the song's page; with the user's own tempo.
        assert "&numbered" in held[0].request.url and ("&tempo=90" in held[0].request.url) == (at == 0), held[0].request.url
        held.pop().fulfill(status=503, body="{}")
    expect(toast).to_have_text("3 of 3 songs could not be downloaded: Song 2, Song 1 and Song 0.")
