"""Lists that are too long to load: the server searches and sorts them. And what rows show of a song's file."""

import re
import sqlite3
import subprocess
import uuid

import pytest
from conftest import PASSWORD, register, row, tone
from playwright.sync_api import expect
from test_phone import PHONE

MANY = 2600


@pytest.fixture
def many(idle):
    """A server with many songs, stored as the server stores them."""
    idle.upload("Newest", data=tone(300))
    database = sqlite3.connect(idle.data / "data/vocalizer.db", timeout=60)
    columns = "id, title, hash, result_key, shown_key, uploaded_at_us, status, artist, duration_ms, title_key, artist_key"
    songs = []
    for at in range(MANY):
        title, artist = f"Song {at:04}", f"Artist{at % 10}" if at % 2 else None
        by = (artist or "").lower()
        songs.append((str(uuid.uuid4()), title, f"{at:064x}", f"{at:064x}", f"{at:064x}", 1_600_000_000_000_000 + at, "SPLIT", artist,
                      at * 1000, f"{title.lower()}\n{by}", f"{by}\n{title.lower()}"))
    marks = ", ".join("?" for _ in columns.split(","))
    database.executemany(f"INSERT INTO songs ({columns}) VALUES ({marks})", songs)
    database.commit()
    database.close()
    return idle


def titles(page):
    return page.locator(".song-title").all_inner_texts()


def count(page):
    return page.locator("#count")


def test_long_list_is_searched_and_sorted_by_the_server(many, visit):
    page = visit(many)
    expect(count(page)).to_have_text(f"1–50 of {MANY + 1:,} songs")
    expect(page.locator(".song-title").first).to_have_text("Newest")
    # A song that is far beyond what the page loads.
    page.get_by_role("searchbox").fill("song 0007")
    expect(count(page)).to_have_text("1 song")
    expect(row(page, "Song 0007")).to_be_visible()
    page.get_by_role("searchbox").fill("ARTIST3")
    expect(count(page)).to_have_text(f"1–50 of {MANY // 10} songs")
    page.get_by_label("Sort by").select_option("Oldest first")
    expect(page.locator(".song-title").first).to_have_text("Song 0003")
    assert page.url.endswith("/#/?q=ARTIST3&sort=oldest")
    page.get_by_role("button", name="Next").click()
    expect(count(page)).to_have_text(f"51–100 of {MANY // 10} songs")
    expect(page.locator(".song-title").first).to_have_text("Song 0503")
    # Back restores search, order and page.
    row(page, "Song 0513").get_by_role("link").click()
    expect(page.get_by_role("heading", name="Song 0513")).to_be_visible()
    page.go_back()
    expect(count(page)).to_have_text(f"51–100 of {MANY // 10} songs")
    expect(page.locator(".song-title").first).to_have_text("Song 0503")
    expect(page.get_by_role("searchbox")).to_have_value("ARTIST3")
    page.go_back()
    expect(count(page)).to_have_text(f"1–50 of {MANY // 10} songs")
    page.get_by_role("searchbox").fill("nothing like it")
    expect(count(page)).to_have_text("No titles or artists match.")


def test_address_opens_a_page_far_down_a_long_list(many, visit):
    page = visit(many, "/#/?sort=title&page=40")
    # The first title is "Newest".
    expect(count(page)).to_have_text(f"1,951–2,000 of {MANY + 1:,} songs")
    expect(page.locator(".song-title").first).to_have_text("Song 1949")
    expect(page.get_by_label("Sort by")).to_have_value("title")
    page.get_by_label("Sort by").select_option("Length")
    # The newest is as long as the second.
    expect(page.locator(".song-title").nth(3)).to_have_text("Song 0002")


def test_long_list_follows_deletions_and_uploads(many, visit):
    page = visit(many, "/#/?q=song+00")
    expect(count(page)).to_have_text("1–50 of 143 songs")
    row(page, "Song 0099").get_by_role("button", name="Delete Song 0099").click()
    expect(row(page, "Song 0099")).to_have_count(0)
    expect(count(page)).to_have_text("1–50 of 142 songs")
    many.upload("Song 00 new", data=tone(301))
    expect(row(page, "Song 00 new")).to_be_visible()
    expect(count(page)).to_have_text("1–50 of 143 songs")


def test_rows_have_artist_and_length_and_are_found_by_them(many, visit):
    page = visit(many, "/#/?q=song+0063")
    found = row(page, "Song 0063")
    expect(found.locator(".by")).to_have_text("Artist3")
    expect(found.locator(".length")).to_have_text("1:03")


def test_short_list_is_searched_without_accents_and_sorted_by_length(idle, visit):
    idle.upload("Für Elise", data=tone(300, seconds=3))
    idle.upload("Ёлка", data=tone(301, seconds=1))
    page = visit(idle)
    expect(row(page, "Ёлка").locator(".length")).to_have_text("0:01")
    page.get_by_role("searchbox").fill("ЕЛКА")
    expect(count(page)).to_have_text("1 song")
    page.get_by_role("searchbox").fill("elise fur")
    expect(row(page, "Für Elise")).to_be_visible()
    page.get_by_role("searchbox").fill("")
    page.get_by_label("Sort by").select_option("Length")
    expect(page.locator(".song-title").first).to_have_text("Ёлка")
    assert re.search(r"/#/\?sort=duration$", page.url)
    assert titles(page) == ["Ёлка", "Für Elise"]


def test_song_plays_from_the_list_and_goes_on_in_other_views(idle, visit):
    first = idle.upload("First", data=tone(300, seconds=30))
    idle.upload("Second", data=tone(301, seconds=30))
    page = visit(idle)
    row(page, "First").get_by_role("button", name="Play First").click()
    mini = page.get_by_role("region", name="Mini player")
    expect(mini.get_by_role("link", name="First")).to_be_visible()
    expect(row(page, "First").get_by_role("button", name="Pause First")).to_be_visible()
    expect(mini.locator("#mini-time")).to_have_text(re.compile(r"^0:0[1-9] / 0:30$"))
    page.locator("#account-link").click()
    expect(page.locator("#login")).to_be_visible()
    before = mini.locator("#mini-time").inner_text()
    expect(mini.locator("#mini-time")).not_to_have_text(before)
    expect(mini.get_by_role("button", name="Pause")).to_be_visible()
    # Its title leads to the song.
    mini.get_by_role("link", name="First").click()
    expect(page.get_by_role("heading", name="First")).to_be_visible()
    assert page.url.endswith(f"/#/songs/{first['id']}")
    mini.get_by_role("button", name="Pause").click()
    page.get_by_role("link", name="All songs").click()
    expect(row(page, "First").get_by_role("button", name="Play First")).to_be_visible()
    # Another song takes its place; a deleted one stops.
    row(page, "Second").get_by_role("button", name="Play Second").click()
    expect(mini.get_by_role("link", name="Second")).to_be_visible()
    expect(row(page, "First").get_by_role("button", name="Play First")).to_be_visible()
    row(page, "Second").get_by_role("button", name="Delete Second").click()
    expect(mini).to_have_count(0)


def test_small_player_is_closed_and_pauses_for_another_tab(idle, visit):
    idle.upload("Song", data=tone(300, seconds=30))
    page = visit(idle)
    other = page.context.new_page()
    other.goto(idle.address)
    for each in [page, other]:
        row(each, "Song").get_by_role("button", name="Play Song").click()
        expect(each.locator("#mini-time")).to_have_text(re.compile(r"^0:0[1-9] "))
    expect(page.locator("#mini").get_by_role("button", name="Play")).to_be_visible()
    other.locator("#mini").get_by_role("button", name="Close").click()
    expect(other.locator("#mini")).to_have_count(0)
    expect(row(other, "Song").get_by_role("button", name="Play Song")).to_be_visible()


def plays(page, title):
    row(page, title).get_by_role("button", name=f"Play {title}").click()
    mini = page.get_by_role("region", name="Mini player")
    expect(mini.locator("#mini-time")).to_have_text(re.compile(r"^0:0[1-9] / "))
    return mini


def test_small_player_of_a_private_song_ends_with_the_session(idle, visit):
    idle.upload("Public", data=tone(301, seconds=30))
    page = visit(idle)
    cookie = register(page, idle)
    idle.upload("Private", data=tone(300, seconds=30), Cookie=cookie)
    mini = plays(page, "Public")
    page.locator("#account-link").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.locator("#account-link")).to_have_text("Sign in")
    expect(mini.get_by_role("button", name="Pause")).to_be_visible()
    page.locator("#account-link").click()
    page.locator("#login-username").fill("ada")
    page.locator("#login-password").fill(PASSWORD)
    page.locator("#login").get_by_role("button", name="Sign in").click()
    plays(page, "Private")
    page.locator("#account-link").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(mini).to_have_count(0)


def test_small_player_follows_renames_and_deletions_elsewhere(idle, visit):
    song = idle.upload("Song", data=tone(300, seconds=30))
    page = visit(idle)
    mini = plays(page, "Song")
    idle.ask("PATCH", f"/songs/{song['id']}", {"title": "Tune"})
    expect(mini.get_by_role("link", name="Tune")).to_be_visible()
    assert page.evaluate("navigator.mediaSession.metadata.title") == "Tune"
    idle.ask("DELETE", f"/songs/{song['id']}")
    expect(mini).to_have_count(0)


def test_small_player_plays_a_preview_of_what_the_browser_cannot_play(idle, visit, tmp_path):
    path = tmp_path / "song.aiff"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=440:d=20", path], check=True)
    idle.upload("Apple", data=path.read_bytes())
    page = visit(idle)
    held = []
    page.route("**/song.mp3?quality=preview", lambda route: held.append(route))
    row(page, "Apple").get_by_role("button", name="Play Apple").click()
    # It has to be made first.
    expect(page.locator("#mini-time")).to_have_text("Loading…")
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    expect(page.locator("#mini-time")).to_have_text(re.compile(r"^0:0[1-9] / 0:20$"))
    page.unroute("**/song.mp3?quality=preview")


def test_phones_play_previews_unless_the_user_chose(idle, visit):
    idle.upload("Song", data=tone(300, seconds=30))
    asked = lambda page: [url.rpartition("/")[2] for url in page.context.watched.requests if "/song.mp3" in url]  # noqa: E731
    phone = visit(idle, **PHONE)
    plays(phone, "Song")
    assert set(asked(phone)) == {"song.mp3?quality=preview"}
    phone = visit(idle, init="try { localStorage.setItem('vocalizer-save-data', 'off'); } catch { /* before the page is there */ }", **PHONE)
    plays(phone, "Song")
    assert set(asked(phone)) == {"song.mp3"}
    desk = visit(idle)
    plays(desk, "Song")
    assert set(asked(desk)) == {"song.mp3"}


def test_space_bar_plays_the_small_player(idle, visit):
    idle.upload("Song", data=tone(300, seconds=30))
    page = visit(idle)
    mini = plays(page, "Song")
    page.locator("h1").click()
    page.keyboard.press(" ")
    expect(mini.get_by_role("button", name="Play")).to_be_visible()
    page.keyboard.press(" ")
    expect(mini.get_by_role("button", name="Pause")).to_be_visible()
    # Not where the space bar has another use.
    page.get_by_role("searchbox").press(" ")
    page.get_by_role("button", name="Select", exact=True).press(" ")
    expect(page.get_by_role("group", name="Select")).to_be_visible()
    expect(mini.get_by_role("button", name="Pause")).to_be_visible()


def test_notes_do_not_cover_the_small_player(idle, visit):
    for title in ["Song", "Other"]:
        idle.upload(title, data=tone(300 + len(title), seconds=30))
    for settings in [PHONE, {}]:
        page = visit(idle, **settings)
        plays(page, "Song")
        row(page, "Other").get_by_role("button", name="Delete").click()
        note, mini = (page.locator(each).bounding_box() for each in [".toast", "#mini"])
        assert note["y"] + note["height"] <= mini["y"], settings
        page.get_by_role("button", name="Undo").click()
        expect(row(page, "Other")).to_be_visible()


def test_small_player_speaks_the_language_of_the_page(idle, visit):
    idle.upload("Song", data=tone(300, seconds=30))
    page = visit(idle)
    plays(page, "Song").get_by_role("button", name="Close").click()
    page.get_by_label("Language").select_option("Русский")
    row(page, "Song").get_by_role("button", name="Воспроизвести: Song").click()
    mini = page.get_by_role("region", name="Мини-плеер")
    for name in ["Пауза", "Следующая песня", "Закрыть"]:
        expect(mini.get_by_role("button", name=name)).to_be_visible()
