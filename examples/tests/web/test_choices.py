"""Models and stems at upload, splitting again, comparing, cancelling, and downloads of chosen stems."""

import io
import json
import re
import subprocess
import tarfile
import zipfile
from array import array

import pytest
from conftest import Service, begin, deliver, give_up, row, tone
from playwright.sync_api import expect
from test_manners import AXE, complaints

SIX = ["drums", "bass", "other", "vocals", "guitar", "piano"]
MODELS = "htdemucs,htdemucs_6s"
SONG = {"name": "Night Train.wav", "mimeType": "audio/wav", "buffer": tone(440, 20)}


@pytest.fixture
def two():
    """A server with two models and without a worker."""
    service = Service("--no-worker", models=MODELS)
    yield service
    service.close()


def archive(folder, sounds):
    """Returns a result archive with stems of 20 s: their names and sounds, the same on both sides."""
    with tarfile.open(folder / "stems.tar", "w") as tar:
        for stem, sound in sounds.items():
            source = ["-f", "lavfi", "-i", f"aevalsrc={sound}|{sound}:s=44100:d=20"]
            subprocess.run(["ffmpeg", "-v", "error", *source, "-b:a", "320k", folder / f"{stem}.mp3"], check=True)
            tar.add(folder / f"{stem}.mp3", f"{stem}.mp3")
    return (folder / "stems.tar").read_bytes()


@pytest.fixture(scope="session")
def six(tmp_path_factory):
    """A result archive with six stems, tones of different pitch."""
    return archive(tmp_path_factory.mktemp("six"), {stem: f"0.1*sin(2*PI*{200 + 100 * at}*t)" for at, stem in enumerate(SIX)})


def job(service, model):
    """Leases a job for a model and returns it; the worker counts as connected from then on."""
    data = service.work("/jobs/lease", {"models": model, "wait_s": "20"})["job"]
    return data


def split(service, model, archive):
    """Plays a worker of a model that takes one job."""
    taken = job(service, model)
    result = taken.get("result") or taken["hash"]
    service.work(f"/songs/{result}/begin")
    service.work(f"/songs/{result}/upload_result", archive)
    service.work(f"/jobs/{taken['lease']}/acknowledge")


def upload(page, title="Night Train"):
    page.set_input_files("#files", SONG)
    expect(row(page, title)).to_be_visible()
    return row(page, title).get_attribute("data-id")


def tracks(page):
    return [each.get_attribute("data-stem") for each in page.locator(".track").all()]


def test_one_model_offers_no_choice(idle, visit, stems):
    page = visit(idle)
    expect(page.locator("#limits")).not_to_be_empty()
    expect(page.locator("#upload-model")).to_be_hidden()
    song = idle.upload("x", data=tone(440))
    deliver(idle, song, stems)
    page.goto(f"{idle.address}/#/songs/{song['id']}")
    expect(page.locator("#play")).to_be_enabled()
    expect(page.locator("#results")).to_be_hidden()


def test_model_and_stems_are_chosen_at_upload_and_remembered(two, visit):
    page = visit(two)
    choice = page.locator(".drop .model-choice")
    model = page.get_by_label("Model")
    expect(model).to_have_value("htdemucs")
    expect(page.locator("#upload-model-about")).to_have_text("1× the work of htdemucs · licence research only · no worker for it right now")
    model.select_option("htdemucs_6s")
    expect(page.locator("#upload-model-about")).to_have_text("licence research only · no worker for it right now")
    expect(choice.get_by_role("checkbox")).to_have_count(6)
    for stem in ["Drums", "Bass", "Other", "Vocals"]:
        choice.get_by_label(stem, exact=True).uncheck()
    # At least one stem stays.
    choice.get_by_label("Piano").uncheck()
    choice.get_by_label("Guitar").click()
    expect(choice.get_by_label("Guitar")).to_be_checked()
    choice.get_by_label("Piano").check()
    song = upload(page)
    details = two.ask("GET", f"/songs/{song}?details")["song"]
    assert details["model"] == "htdemucs_6s"
    page.reload()
    expect(model).to_have_value("htdemucs_6s")
    expect(choice.get_by_label("Piano")).to_be_checked()
    expect(choice.get_by_label("Vocals")).not_to_be_checked()
    model.select_option("htdemucs")
    page.set_input_files("#files", {**SONG, "name": "Second.wav", "buffer": tone(300)})
    expect(row(page, "Second")).to_be_visible()
    assert two.ask("GET", f"/songs/{row(page, 'Second').get_attribute('data-id')}?details")["song"]["model"] == "htdemucs"


def test_large_upload_has_the_chosen_model(two, visit):
    """Large files are sent in parts."""
    page = visit(two)
    page.get_by_label("Model").select_option("htdemucs_6s")
    page.set_input_files("#files", {**SONG, "name": "Long.wav", "buffer": tone(300, 600)})
    expect(row(page, "Long")).to_be_visible(timeout=60_000)
    assert two.ask("GET", f"/songs/{row(page, 'Long').get_attribute('data-id')}?details")["song"]["model"] == "htdemucs_6s"


def test_song_that_no_worker_can_split_says_so_and_can_be_cancelled(two, visit):
    page = visit(two)
    page.get_by_label("Model").select_option("htdemucs_6s")
    song = upload(page)
    row(page, "Night Train").locator("a").click()
    expect(page.locator("#waiting-for")).to_contain_text("No worker for the model htdemucs_6s is connected")
    page.get_by_role("button", name="Cancel splitting").click()
    expect(page.locator("#song-state")).to_have_text("Failed")
    expect(page.locator(".why")).to_contain_text("cancelled by the user")
    expect(page.locator("#waiting-for")).to_be_hidden()
    expect(page.get_by_role("button", name="Cancel splitting")).to_be_hidden()
    assert two.song(song)["status"] == "FAILED"
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("button", name="Cancel splitting")).to_be_visible()
    # A running split, too.
    begin(two, {"hash": job(two, "htdemucs_6s")["result"]}, 20)
    expect(page.locator("#song-state")).to_contain_text("20%")
    expect(page.locator("#waiting-for")).to_be_hidden()
    page.get_by_role("button", name="Cancel splitting").click()
    expect(page.locator("#song-state")).to_have_text("Failed")


def test_song_is_split_again_and_both_results_are_compared(two, visit, stems, six):
    page = visit(two)
    song = upload(page)
    split(two, "htdemucs", stems)
    row(page, "Night Train").locator("a").click()
    expect(page.locator("#play")).to_be_enabled()
    assert tracks(page) == ["vocals", "drums", "bass", "other"]
    expect(page.locator("#compare")).to_be_hidden()
    page.locator("#split-model").select_option("htdemucs_6s")
    page.get_by_role("button", name="Split again").click()
    # The stems that it has play on.
    expect(page.locator("#song-state")).to_have_text(re.compile("Waiting"))
    assert tracks(page) == ["vocals", "drums", "bass", "other"]
    page.get_by_label("Vocals level").fill("0.5")
    split(two, "htdemucs_6s", six)
    expect(page.locator(".track")).to_have_count(6)
    assert tracks(page) == ["vocals", "drums", "bass", "guitar", "piano", "other"]
    expect(page.locator("#song-state")).to_be_hidden()
    # The mix stays.
    expect(page.get_by_label("Vocals level")).to_have_value("0.5")
    expect(page.locator("#play")).to_be_enabled()
    # Switching back takes no job, keeps the place, and plays on.
    page.locator("#play").click()
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    results = page.locator("#compare")
    expect(results.get_by_label("htdemucs_6s")).to_be_checked()
    results.get_by_label("htdemucs", exact=True).check()
    expect(page.locator(".track")).to_have_count(4)
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    assert two.song(song)["status"] == "SPLIT"
    # With the keyboard: the choice keeps the focus.
    expect(results.get_by_label("htdemucs", exact=True)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".track")).to_have_count(6)
    expect(results.get_by_label("htdemucs_6s")).to_be_focused()
    # Both are known after a reload.
    page.reload()
    expect(results.get_by_label("htdemucs_6s")).to_be_checked()


def held(page, match):
    """Holds the page's requests that match; returns them and a function that lets them and later ones go."""
    waiting, released = [], []

    def take(route):
        if released or not match(route.request):
            route.continue_()
        else:
            waiting.append(route)

    page.route("**/songs/**", take)

    def go():
        released.append(True)
        while waiting:
            waiting.pop(0).continue_()

    return waiting, go


@pytest.fixture
def compared(two, visit, stems, six):
    """A page at a song with two results, the one with six stems shown."""
    page = visit(two)
    page.song = upload(page)
    split(two, "htdemucs", stems)
    row(page, "Night Train").locator("a").click()
    expect(page.locator("#play")).to_be_enabled()
    page.locator("#split-model").select_option("htdemucs_6s")
    page.get_by_role("button", name="Split again").click()
    expect(page.locator("#song-state")).to_have_text(re.compile("Waiting"))
    split(two, "htdemucs_6s", six)
    expect(page.locator(".track")).to_have_count(6)
    expect(page.locator("#play")).to_be_enabled()
    return page


def model_of(service, song):
    return service.ask("GET", f"/songs/{song}?details")["song"]["model"]


def test_choice_of_a_result_stays_while_it_is_requested_and_the_last_one_counts(two, compared):
    page = compared
    results = page.locator("#compare")
    waiting, go = held(page, lambda request: request.method == "POST")
    results.get_by_label("htdemucs", exact=True).check()
    page.wait_for_function("document.querySelector('#split-again').disabled")
    # Something else changes meanwhile.
    two.upload("Other", data=tone(500))
    page.wait_for_timeout(300)
    expect(results.get_by_label("htdemucs", exact=True)).to_be_checked()
    # Changed one's mind, twice.
    results.get_by_label("htdemucs_6s").check()
    results.get_by_label("htdemucs", exact=True).check()
    results.get_by_label("htdemucs_6s").check()
    assert len(waiting) == 1
    go()
    expect(page.locator("#split-again")).to_be_enabled()
    expect(results.get_by_label("htdemucs_6s")).to_be_checked()
    expect(page.locator(".track")).to_have_count(6)
    assert model_of(two, page.song) == "htdemucs_6s"


def test_response_older_than_an_event_is_not_shown(two, visit, stems):
    page = visit(two)
    song = upload(page)
    split(two, "htdemucs", stems)
    row(page, "Night Train").locator("a").click()
    expect(page.locator("#play")).to_be_enabled()
    # The details that the page asks for after its request say "waiting", and come after the event of the failure.
    late = []

    def take(route):
        if "?details" in route.request.url and not late:
            late.append(route.fetch())
            two.ask("POST", f"/songs/{song}/cancel", {})
            expect(page.locator("#song-state")).to_have_text("Failed")
            route.fulfill(response=late[0])
        else:
            route.continue_()

    page.route(f"**/songs/{song}?details", take)
    page.locator("#split-model").select_option("htdemucs_6s")
    page.get_by_role("button", name="Split again").click()
    expect(page.locator("#split-again")).to_be_enabled()
    expect(page.locator("#song-state")).to_have_text("Failed")
    page.wait_for_timeout(300)
    expect(page.locator("#song-state")).to_have_text("Failed")


def test_playback_goes_on_although_results_are_switched_quickly(two, compared):
    page = compared
    page.locator("#play").click()
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    # The player of the first choice has not opened when the second one comes.
    heads, go = held(page, lambda request: request.url.endswith(".mp3"))
    results = page.locator("#compare")
    results.get_by_label("htdemucs", exact=True).check()
    expect(page.locator(".track")).to_have_count(4)
    results.get_by_label("htdemucs_6s").check()
    expect(page.locator(".track")).to_have_count(6)
    go()
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")


def test_cancelled_second_split_leaves_the_first(two, visit, stems):
    page = visit(two)
    upload(page)
    split(two, "htdemucs", stems)
    row(page, "Night Train").locator("a").click()
    expect(page.locator("#play")).to_be_enabled()
    page.locator("#split-model").select_option("htdemucs_6s")
    page.get_by_role("button", name="Split again").click()
    page.get_by_role("button", name="Cancel splitting").click()
    expect(page.locator("#song-state")).to_have_text("Failed")
    page.reload()
    expect(page.locator("#play")).to_be_enabled()
    assert tracks(page) == ["vocals", "drums", "bass", "other"]
    page.locator("#split-model").select_option("htdemucs")
    page.get_by_role("button", name="Split again").click()
    expect(page.locator("#song-state")).to_be_hidden()


@pytest.fixture
def sextet(two, visit, six):
    """A page at a song with six stems."""
    song = two.upload("Ada: First Light", data=tone(440, 20))
    two.ask("POST", f"/songs/{song['id']}/split", {"model": "htdemucs_6s"})
    split(two, "htdemucs_6s", six)
    page = visit(two, f"/#/songs/{song['id']}", init=AXE.read_text(), reduced_motion="reduce")
    expect(page.locator("#play")).to_be_enabled()
    page.song = song
    return page


def test_six_stems_are_heard_shown_and_mixed(two, sextet):
    page = sextet
    assert tracks(page) == ["vocals", "drums", "bass", "guitar", "piano", "other"]
    expect(page.locator("canvas").first).to_be_visible()
    page.keyboard.press("5")
    expect(page.get_by_role("button", name="Mute Piano")).to_have_attribute("aria-pressed", "true")
    href = page.locator("#take-mix").get_attribute("href")
    assert "levels=guitar%3A1%2Cpiano%3A0" in href
    page.locator("#play").click()
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    for width in [360, 320]:
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    for colours in ["light", "dark"]:
        page.emulate_media(color_scheme=colours, reduced_motion="reduce")
        assert complaints(page) == []


def test_chosen_stems_are_one_archive(two, sextet):
    page = sextet
    zipped = page.locator("#take-zip")
    expect(zipped).to_have_text("All stems (zip)")
    chosen = page.locator("#zip-stems")
    for stem in ["Drums", "Bass", "Guitar", "Other"]:
        chosen.get_by_label(stem).uncheck()
    expect(zipped).to_have_text("2 stems (zip)")
    assert zipped.get_attribute("href").endswith("stems.zip?format=mp3&stems=vocals,piano&numbered")
    with page.expect_download() as download:
        zipped.click()
    names = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())).namelist()
    assert names == ["04 Ada_ First Light (vocals).mp3", "06 Ada_ First Light (piano).mp3"]
    for stem in ["Vocals", "Piano"]:
        chosen.get_by_label(stem).uncheck()
    expect(zipped).to_have_attribute("aria-disabled", "true")


def test_link_carries_the_levels_of_all_stems(two, sextet):
    page = sextet
    page.get_by_label("Piano level").fill("0.5")
    page.get_by_role("button", name="Mute Guitar").click()
    page.get_by_label("Drums level").fill("0.5")
    page.locator("#share").click()
    expect(page.locator("#share-mix-hint")).to_be_hidden()
    page.locator("#share-mix").check()
    page.locator("#share-create").click()
    link = page.locator("#share-link").input_value()
    page.goto(link)
    page.reload()
    expect(page.locator("#play")).to_be_enabled()
    expect(page.get_by_label("Drums level")).to_have_value("0.5")
    expect(page.get_by_label("Piano level")).to_have_value("0.5")
    expect(page.get_by_role("button", name="Mute Guitar")).to_have_attribute("aria-pressed", "true")


def test_stem_is_dragged_out_of_the_page(two, sextet):
    page = sextet
    page.locator("#format-wav").check()
    handle = page.locator(".track[data-stem=piano] .grip")
    expect(handle).to_have_attribute("aria-label", re.compile("^Piano as WAV: drag it"))
    data = handle.evaluate(
        """(handle) => {
          const dataTransfer = new DataTransfer();
          handle.dispatchEvent(new DragEvent('dragstart', { dataTransfer, bubbles: true }));
          return Object.fromEntries([...dataTransfer.types].map((type) => [type.toLowerCase(), dataTransfer.getData(type)]));
        }"""
    )
    address = f"{two.address}/songs/{page.song['id']}/piano.wav?download&numbered"
    assert data["text/plain"] == address
    assert data["downloadurl"] == f"audio/wav:06 Ada_ First Light (piano).wav:{address}"
    # For other browsers it is a link.
    with page.expect_download(timeout=60_000) as download:
        handle.click()
    assert download.value.suggested_filename == "06 Ada_ First Light (piano).wav"
    assert download.value.path().read_bytes()[:4] == b"RIFF"


def test_formats_say_whether_they_keep_everything(two, sextet):
    page = sextet
    expect(page.locator("#take-home .option").filter(has_text="MP3")).to_have_text("MP3 lossy")
    expect(page.locator("#take-home .option").filter(has_text="FLAC")).to_have_text("FLAC lossy")


def test_mix_of_chosen_stems_cannot_clip(two, visit, tmp_path):
    """Two stems of a song are not the song: together they may be louder than it is."""
    loud = {stem: "0.6*sin(2*PI*220*t)" if stem in ("guitar", "piano") else "0" for stem in SIX}
    pair = archive(tmp_path, loud)
    song = two.upload("Pair", data=tone(440, 20))
    two.ask("POST", f"/songs/{song['id']}/split", {"model": "htdemucs_6s", "stems": "guitar,piano"})
    split(two, "htdemucs_6s", pair)
    page = visit(two, f"/#/songs/{song['id']}")
    expect(page.locator("#play")).to_be_enabled()
    assert tracks(page) == ["guitar", "piano"]
    expect(page.locator(".wave.drawing")).to_have_count(0)
    expect(page.locator("#too-loud")).to_be_empty()
    page.get_by_label("Guitar level").fill("1.2")
    # 1.2 times 0.6, and 0.6: 2.4 dB above full scale.
    expect(page.locator("#too-loud")).to_contain_text(re.compile(r"turned down by 2\.[345] dB"))
    page.locator("#format-wav").check()
    wav = two.bytes("/" + page.locator("#take-mix").get_attribute("href"))
    samples = array("h", wav[44 : 44 + (len(wav) - 44) // 2 * 2])
    assert 0.95 * 32767 < max(samples) < 32767, max(samples)
    # A stem that is not heard does not count.
    page.get_by_role("button", name="Mute Piano").click()
    expect(page.locator("#too-loud")).to_be_empty()
    expect(page.locator("#take-note")).to_be_empty()
