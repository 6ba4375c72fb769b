"""Uploads."""

import base64
import re

import pytest
from conftest import DEMO, PASSWORD, Service, known, register, row, stand_still, throttle, tone
from playwright.sync_api import expect

# A chosen file.
SONG = {"name": "Night_Train.wav", "mimeType": "audio/wav", "buffer": tone(440)}
# Slow enough that a test can act before the demo song has been sent.
SLOW = 10_000

MARKUP = "<img src=x onerror=alert(1)>"
# Hebrew, a right-to-left mark, a family of four in one emoji of seven code points.
HEBREW = "שיר \u200fa & b; 100% \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 {n}"
LONG = "Ах, \U0001f3b5" + "w" * 195
assert len(LONG) == 200


def choose(page, *files):
    page.set_input_files("#files", list(files))


def drag(page, name, files):
    """Dispatches a drag event with files, created in the page."""
    files = [(file["name"], file["mimeType"], base64.b64encode(file["buffer"]).decode()) for file in files]
    page.evaluate(
        """([name, files]) => {
          const carried = new DataTransfer();
          for (const [title, type, text] of files) {
            carried.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], title, { type }));
          }
          const event = new DragEvent(name, { bubbles: true, cancelable: true, dataTransfer: carried });
          document.querySelector('h1, h2').dispatchEvent(event);
          if (name === 'drop' && !event.defaultPrevented) throw new Error('default not prevented: the browser would open the file');
        }""",
        [name, files],
    )


def uploading(page, title=None):
    rows = page.locator(".upload")
    return rows if title is None else rows.filter(has=page.locator(f".title[value='{title}']"))


def partly_sent(page, title):
    """Waits until part of the file has been sent."""
    expect(uploading(page, title).locator(".note")).to_have_text(re.compile(r"^[1-9]\d?% uploaded$"))


def sends(page):
    return [url for url in page.context.watched.requests if url.endswith("/songs/upload")]


@pytest.fixture
def small():
    """A server with a small upload limit."""
    service = Service("--no-worker", max_upload_bytes=100_000)
    yield service
    service.close()


def test_chosen_file_becomes_a_song_named_after_it(idle, visit):
    page = visit(idle)
    choosers = []
    page.on("filechooser", lambda chooser: (choosers.append(chooser.is_multiple()), chooser.set_files([SONG])))
    expect(page.locator("#count")).to_have_text("No songs yet. Upload one above.")
    # The button opens the browser's file dialog.
    page.get_by_role("button", name="Choose files").click()
    expect(row(page, "Night Train").locator(".state")).to_have_text("Waiting")
    expect(uploading(page)).to_have_count(0)
    assert known(idle) == ["Night Train"]
    assert choosers == [True], "one file dialog that allows several files"


def test_files_are_dropped_anywhere_on_the_page(idle, visit):
    page = visit(idle)
    files = [{**SONG, "name": f"{name}.wav", "buffer": tone(hertz)} for name, hertz in [("one", 300), ("two", 301), ("three", 302)]]
    drag(page, "dragenter", files)
    expect(page.locator("#drop")).to_have_class(re.compile("over"))
    drag(page, "dragover", files)
    drag(page, "dragleave", files)
    expect(page.locator("#drop")).not_to_have_class(re.compile("over"))
    drag(page, "dragenter", files)
    drag(page, "drop", files)
    expect(page.locator("#drop")).not_to_have_class(re.compile("over"))
    for title in ["one", "two", "three"]:
        expect(row(page, title)).to_be_visible()
    assert sorted(known(idle)) == ["one", "three", "two"]


def test_uploads_are_seen_from_other_views(idle, visit):
    song = idle.upload("Playing", data=tone(300))
    page = visit(idle, f"/#/songs/{song['id']}")
    expect(page.get_by_role("heading", name="Playing")).to_be_visible()
    throttle(page, 1000)
    drag(page, "drop", [{**SONG, "buffer": tone(440, 8)}, {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"la la la"}])
    uploads = page.locator("#uploads")
    expect(uploads.get_by_role("heading")).to_have_text("Uploading 1 song · 1 file was not uploaded")
    expect(uploads.get_by_role("progressbar")).to_be_visible()
    # The view stays, so that a song that plays is not interrupted.
    expect(page.get_by_role("heading", name="Playing")).to_be_visible()
    throttle(page, -1)
    expect(page.locator(".toast")).to_contain_text("Uploaded: Night Train")
    expect(uploads.get_by_role("heading")).to_have_text("1 file was not uploaded")
    uploads.get_by_role("link", name="Show uploads").click()
    expect(uploading(page).get_by_role("alert")).to_contain_text("Not an audio file")
    expect(row(page, "Night Train")).to_be_visible()


def drop_paths(page, *paths):
    """Drops files and folders of this machine, as a user does. Events made by a script cannot carry folders."""
    page.mouse.move(0, 0)
    wire = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for name in ["dragEnter", "dragOver", "drop"]:
        wire.send("Input.dispatchDragEvent", {"type": name, "x": 200, "y": 200, "data": data})


def test_songs_in_a_dropped_folder_are_uploaded(idle, visit, tmp_path):
    for name, hertz in [("album/1.wav", 300), ("album/2.WAV", 301), ("album/second disc/3.wav", 302)]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(tone(hertz))
    for name in ["album/cover.jpg", "album/.DS_Store", "album/second disc/list.m3u"]:
        (tmp_path / name).write_bytes(b"no song")
    (tmp_path / "covers").mkdir()
    (tmp_path / "covers/cover.jpg").write_bytes(b"no song")
    (tmp_path / "4.wav").write_bytes(tone(303))
    page = visit(idle)
    expect(page.locator("#count")).to_have_text("No songs yet. Upload one above.")
    drop_paths(page, tmp_path / "album", tmp_path / "covers", tmp_path / "4.wav")
    for title in "1234":
        expect(row(page, title)).to_be_visible()
    expect(uploading(page)).to_have_count(0)
    expect(page.locator(".toast.bad")).to_have_text("There are no songs in the folder covers.")
    expect(page.locator(".toast").filter(has_text="2 files in the folder are not songs and were skipped.")).to_be_visible()
    assert sorted(known(idle)) == list("1234")


def test_file_that_cannot_be_read_is_no_error_of_the_server(idle, visit, tmp_path):
    """A file on an unplugged disk, or one that was changed after it was chosen."""
    file = tmp_path / "gone.wav"
    file.write_bytes(tone(440, 8))
    page = visit(idle)
    throttle(page, 1000)
    # Two uploads run, so the third waits while its file disappears.
    choose(page, *[{**SONG, "name": f"song {n}.wav", "buffer": tone(200 + n, 8)} for n in range(2)])
    expect(page.locator(".upload[data-state=going]")).to_have_count(2)
    page.set_input_files("#files", file)
    expect(uploading(page)).to_have_count(3)
    file.unlink()
    throttle(page, -1)
    failed = uploading(page, "gone")
    expect(failed.get_by_role("alert")).to_contain_text("The browser cannot read this file.")
    expect(failed.get_by_role("button", name="Retry")).to_be_visible()
    expect(page.locator("#offline")).to_be_hidden()
    assert not any(url.endswith("/livez") for url in page.context.watched.requests)


def test_rejected_files_are_dismissed_together(idle, visit):
    page = visit(idle)
    texts = [{"name": f"notes {n}.txt", "mimeType": "text/plain", "buffer": b"la la la"} for n in range(3)]
    choose(page, texts[0])
    expect(uploading(page).get_by_label("Title")).not_to_be_editable()
    expect(page.get_by_role("button", name="Dismiss all")).to_be_hidden()
    choose(page, *texts[1:], SONG)
    expect(page.locator("#uploads").get_by_role("heading")).to_have_text("3 files were not uploaded")
    expect(row(page, "Night Train")).to_be_visible()
    page.get_by_role("button", name="Dismiss all").click()
    expect(uploading(page)).to_have_count(0)
    expect(page.locator("#uploads")).to_be_hidden()


def test_several_uploads_are_queued_and_all_complete(idle, visit):
    page = visit(idle)
    throttle(page, 1000)
    choose(page, *[{**SONG, "name": f"song {n}.wav", "buffer": tone(200 + n, 8)} for n in range(5)])
    expect(page.get_by_role("heading", name="Uploading 5 songs")).to_be_visible()
    expect(page.locator(".upload[data-state=going]")).to_have_count(2)
    expect(page.locator(".upload[data-state=waiting]").first).to_contain_text("Waiting")
    throttle(page, -1)
    expect(page.locator(".song")).to_have_count(5)
    expect(uploading(page)).to_have_count(0)
    assert sorted(known(idle)) == [f"song {n}" for n in range(5)]


def test_title_edited_during_upload_is_applied(idle, visit):
    page = visit(idle)
    throttle(page, SLOW)
    choose(page, DEMO)
    partly_sent(page, "first-light")
    uploading(page).get_by_label("Title").fill("Second Light")
    throttle(page, -1)
    expect(row(page, "Second Light")).to_be_visible()
    expect(page.locator(".song")).to_have_count(1)
    assert known(idle) == ["Second Light"]


def test_limits_are_shown_before_upload(small, visit):
    page = visit(small)
    expect(page.locator("#limits")).to_contain_text("Up to 100 kB and 6 hours per file.")
    expect(page.locator("#limits")).to_contain_text("MP3, FLAC, WAV, AIFF, Ogg, Opus, M4A")


def test_file_over_the_limit_is_rejected_before_upload(small, visit):
    page = visit(small)
    expect(page.locator("#limits")).to_contain_text("100 kB")
    choose(page, DEMO)
    expect(uploading(page).get_by_role("alert")).to_have_text(re.compile(r"^The file is [\d.]+ (kB|MB); the limit is 100 kB\.$"))
    # A file within the limit is uploaded, and only that one was sent.
    choose(page, SONG)
    expect(row(page, "Night Train")).to_be_visible()
    assert len(sends(page)) == 1
    assert known(small) == ["Night Train"]


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"la la la"}, "Not an audio file (text/plain)"),
        ({"name": "cover.png", "mimeType": "image/png", "buffer": b"\x89PNG"}, "Not an audio file (image/png)"),
        ({"name": "nothing.mp3", "mimeType": "audio/mpeg", "buffer": b""}, "This file is empty."),
    ],
)
def test_non_audio_file_is_rejected_before_upload(idle, visit, file, words):
    page = visit(idle)
    choose(page, file)
    failed = uploading(page)
    expect(failed.get_by_role("alert")).to_contain_text(words)
    expect(failed.get_by_role("button", name="Retry")).to_be_hidden()
    expect(page.get_by_role("heading", name="Uploading")).to_have_count(0)
    failed.get_by_role("button", name="Dismiss", exact=True).click()
    expect(uploading(page)).to_have_count(0)
    assert sends(page) == []


def test_unreadable_audio_file_is_rejected_with_reason(idle, visit):
    page = visit(idle)
    choose(page, {"name": "broken.mp3", "mimeType": "audio/mpeg", "buffer": b"no song at all " * 4000})
    expect(uploading(page).get_by_role("alert")).to_contain_text("This file cannot be split")
    expect(uploading(page).get_by_role("button", name="Retry")).to_be_hidden()
    assert known(idle) == []


def test_rejected_title_can_be_corrected(idle, visit):
    page = visit(idle)
    throttle(page, 1000)
    # Two uploads run, so the third waits while its title is cleared.
    choose(page, *[{**SONG, "name": f"song {n}.wav", "buffer": tone(200 + n, 8)} for n in range(3)])
    last = uploading(page, "song 2")
    last.get_by_label("Title").fill("  ")
    throttle(page, -1)
    expect(last.get_by_role("alert")).to_contain_text("title is empty")
    last.get_by_label("Title").fill("A name")
    last.get_by_role("button", name="Retry").click()
    expect(row(page, "A name")).to_be_visible()
    assert sorted(known(idle)) == ["A name", "song 0", "song 1"]


def test_cancelled_upload_creates_no_song(idle, visit):
    page = visit(idle)
    throttle(page, SLOW)
    choose(page, DEMO)
    partly_sent(page, "first-light")
    uploading(page).get_by_role("button", name="Cancel upload").click()
    expect(uploading(page)).to_have_count(0)
    throttle(page, -1)
    # The next upload works, and the server has only that song.
    choose(page, SONG)
    expect(row(page, "Night Train")).to_be_visible()
    assert known(idle) == ["Night Train"]
    expect(page.locator("#offline")).to_be_hidden()


def test_upload_restarts_when_the_server_is_back(idle, visit):
    page = visit(idle)
    throttle(page, SLOW)
    choose(page, DEMO)
    partly_sent(page, "first-light")
    idle.process.kill()
    idle.stop()
    expect(uploading(page).locator(".note")).to_have_text("Connection lost. The upload restarts when the server is back.")
    expect(page.get_by_role("alert").filter(has_text="The server is not responding")).to_be_visible()
    throttle(page, -1)
    idle.start()
    expect(row(page, "first-light")).to_be_visible(timeout=60_000)
    expect(uploading(page)).to_have_count(0)
    expect(page.locator("#offline")).to_be_hidden()
    expect(page.locator(".song")).to_have_count(1)
    assert known(idle) == ["first-light"]


def written(folder, whole):
    """Writes a large file, because Playwright sends bytes to the browser slowly."""
    path = folder / SONG["name"]
    path.write_bytes(whole)
    return path


def test_large_upload_continues_where_the_server_is(idle, visit, tmp_path):
    page = visit(idle)
    offsets = []
    page.on("request", lambda request: request.method == "PATCH" and offsets.append(int(request.headers["upload-offset"])))
    # A WAV file of two parts and some pieces.
    head, samples = tone(440, 0.1)[:44], bytes(range(256)) * (26 * 4096)
    sizes = {4: 36 + len(samples), 40: len(samples)}
    for at, size in sizes.items():
        head = head[:at] + size.to_bytes(4, "little") + head[at + 4:]
    throttle(page, 4_000_000)
    choose(page, written(tmp_path, head + samples))
    note = uploading(page, "Night Train").locator(".note")
    # The server has the first part and a piece of the second.
    expect(note).to_have_text(re.compile(r"^9\d% uploaded$"), timeout=60_000)
    idle.process.kill()
    idle.stop()
    expect(note).to_have_text("Connection lost. The upload restarts when the server is back.")
    assert offsets == [0, 16 * 1024 * 1024]
    throttle(page, -1)
    idle.start()
    expect(row(page, "Night Train")).to_be_visible(timeout=60_000)
    assert len(offsets) == 3 and offsets[2] >= 16 * 1024 * 1024, offsets
    [song] = idle.ask("GET", "/songs/")["songs"]
    assert idle.bytes(f"/songs/{song['id']}/song.mp3") == head + samples


def test_cancelled_large_upload_is_deleted(idle, visit, tmp_path):
    page = visit(idle)
    throttle(page, 1_000_000)
    choose(page, written(tmp_path, tone(440, 0.1) + bytes(10_000_000)))
    partly_sent(page, "Night Train")
    with page.expect_request(lambda request: request.method == "DELETE" and "/songs/uploads/" in request.url):
        uploading(page).get_by_role("button", name="Cancel").click()
    expect(uploading(page)).to_have_count(0)
    assert known(idle) == []


def test_reload_warns_and_then_reports_interrupted_uploads(idle, visit):
    page = visit(idle)
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    throttle(page, SLOW)
    # Browsers show the dialog only after a user gesture.
    page.locator("h1").click()
    choose(page, {"name": DEMO.name, "mimeType": "audio/mpeg", "buffer": DEMO.read_bytes()}, {**SONG, "buffer": tone(440, 8)})
    partly_sent(page, "first-light")
    page.reload()
    assert asked == ["beforeunload"]
    notice = page.get_by_role("status").filter(has_text="interrupted")
    expect(notice).to_contain_text("first-light.mp3, Night_Train.wav")
    notice.get_by_role("button", name="Close").click()
    expect(notice).to_be_hidden()
    # The notice appears once, and a reload without uploads shows no dialog.
    page.reload()
    expect(page.locator("#count")).to_have_text("No songs yet. Upload one above.")
    expect(page.locator("#notice")).to_be_hidden()
    assert asked == ["beforeunload"]


def test_upload_after_session_ended_does_not_become_public(idle, visit):
    page = visit(idle)
    cookie = register(page, idle)
    expect(page.locator("#openness")).to_have_text("You are signed in. Only you can see the songs you upload.")
    idle.ask("POST", "/auth/logout", Cookie=cookie)
    choose(page, SONG)
    failed = uploading(page)
    expect(failed.get_by_role("alert")).to_contain_text("Sign in and retry")
    notice = page.locator("#notice")
    expect(notice).to_contain_text("Your session has ended.")
    assert known(idle) == [], "the song became public"
    # After signing in again, a retry creates a private song.
    notice.get_by_role("button", name="Sign in").click()
    login = page.locator("#login")
    login.get_by_label("Username").fill("ada")
    login.get_by_label("Password").fill(PASSWORD)
    login.get_by_role("button", name="Sign in").click()
    failed.get_by_role("button", name="Retry").click()
    expect(row(page, "Night Train").locator(".badge")).to_have_text("private")
    assert known(idle) == []


def test_duplicate_is_told_and_uploaded_on_request(idle, visit):
    page = visit(idle)
    register(page, idle)
    choose(page, SONG)
    expect(row(page, "Night Train")).to_be_visible()
    choose(page, {**SONG, "name": "Again.wav"})
    note = uploading(page, "Again").locator(".note")
    expect(note).to_contain_text("You have this song already.")
    expect(note.get_by_role("link", name="Open it")).to_have_attribute("href", re.compile("^#/songs/"))
    expect(page.locator(".song")).to_have_count(1)
    uploading(page, "Again").get_by_role("button", name="Upload anyway").click()
    expect(row(page, "Again")).to_be_visible()
    expect(page.locator(".song")).to_have_count(2)


def test_user_can_continue_without_signing_in_again(idle, visit):
    page = visit(idle)
    cookie = register(page, idle)
    expect(page.locator("#openness")).to_contain_text("Only you can see")
    idle.ask("POST", "/auth/logout", Cookie=cookie)
    page.reload()
    expect(page.locator("#openness")).to_contain_text("Songs you upload are public")
    choose(page, SONG)
    expect(uploading(page).get_by_role("alert")).to_contain_text("Sign in and retry")
    page.get_by_role("button", name="Continue without signing in").click()
    expect(page.locator("#notice")).to_be_hidden()
    uploading(page).get_by_role("button", name="Retry").click()
    expect(row(page, "Night Train").locator(".badge")).to_have_text("public")


@pytest.mark.parametrize("title", [MARKUP, HEBREW, LONG], ids=["markup", "directions and emoji", "200 characters"])
def test_titles_are_always_shown_as_text(idle, visit, title):
    page = visit(idle, init="window.alert = () => { window.ran = true; };")
    choose(page, {**SONG, "name": f"{title}.wav"})
    # Invisible direction marks are removed from titles.
    title = title.replace("\u200f", "")
    shown = row(page, title).locator(".song-title")
    expect(shown).to_be_visible()
    assert shown.inner_text() == title
    assert known(idle) == [title]
    # In a toast, on the song's page, in the window title and in the rename form.
    stand_still(page)
    row(page, title).get_by_role("button", name="Delete").click()
    expect(page.locator(".toast")).to_contain_text(f"Moved to the trash: {title}")
    page.get_by_role("button", name="Undo").click()
    shown.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page).to_have_title(f"{title} · Vocalizer")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_label("Title")).to_have_value(title)
    assert page.locator("main img").count() == 0
    assert page.evaluate("window.ran") is None
    # A long title does not widen the page.
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_bidirectional_controls_are_removed_from_titles(idle, visit):
    """A file name that displays `3pm.exe` as `exe.mp3` gets a title that hides nothing."""
    page = visit(idle)
    choose(page, {**SONG, "name": "song\u202egpj \u2066x\u2069.wav"})
    expect(row(page, "song gpj x")).to_be_visible()
    assert known(idle) == ["song gpj x"]
