"""Share links: made, copied, listed and revoked by the owner, and opened without an account."""

import re
import urllib.error

import pytest
from conftest import Service, deliver, register, row, tone, without_full_screen
from playwright.sync_api import expect
from test_proxy import below  # noqa: F401: a fixture

TITLE = "Night Train"


@pytest.fixture
def owner(idle, visit, stems):
    """A signed-in user's page at a private, processed song. Playing is enabled."""
    return opened_by_owner(idle, idle, visit, stems)


def opened_by_owner(idle, shown, visit, stems):
    page = visit(shown)
    cookie = register(page, idle)
    song = idle.upload(TITLE, data=tone(440, 20), Cookie=cookie)
    deliver(idle, song, stems)
    page.goto(f"{shown.address}/#/songs/{song['id']}")
    expect(page.locator("#play")).to_be_enabled()
    page.song = song
    return page


def shared(page, mix=False, until=None):
    """Creates a link in the dialog and returns it."""
    page.locator("#share").click()
    if mix:
        page.locator("#share-mix").check()
    if until:
        page.locator("#share-until").fill(until)
    page.locator("#share-create").click()
    expect(page.locator("#share-link")).to_be_visible()
    link = page.locator("#share-link").input_value()
    page.locator("#share-close").click()
    expect(page.locator("dialog")).to_have_count(0)
    return link


def levels(page):
    """Returns each track's level, and whether it is muted."""
    tracks = page.locator(".track").all()
    return {
        each.get_attribute("data-stem"): (float(each.locator("input").input_value()), each.locator("button").first.get_attribute("aria-pressed"))
        for each in tracks
    }


def listen(visit, service, link):
    """Opens a link in another browser profile."""
    return visit(service, link.removeprefix(service.address))


def test_link_is_played_and_downloaded_without_an_account(idle, visit, owner):
    link = shared(owner)
    assert re.fullmatch(re.escape(idle.address) + r"/#/s/vcs_[0-9a-f]{64}", link)
    page = listen(visit, idle, link)
    expect(page.get_by_role("heading", name=TITLE)).to_be_visible()
    expect(page.locator("#account-link")).to_have_text("Sign in")
    expect(page.locator("#play")).to_be_enabled()
    for name in ["#rename", "#delete", "#share"]:
        expect(page.locator(name)).to_have_count(0)
    page.locator("#heard-original").check()
    expect(page.locator("#player-status")).to_have_text("")
    # A mix can be downloaded where it is heard.
    page.locator("#heard-stems").check()
    # The key of a single tone may be in the stem's name.
    for part, name in [("vocals", rf"04 {TITLE} \(vocals\)( [A-G]#?m?)?\.mp3"), ("zip", rf"{TITLE} \(stems, MP3\)\.zip"), ("mix", rf"{TITLE} \(mix\)\.mp3")]:
        with page.expect_download(timeout=60_000) as download:
            page.locator(f"#take-{part}").click()
        assert re.fullmatch(name, download.value.suggested_filename) and download.value.path().stat().st_size > 10_000
    # The song does not appear in the list of the other client.
    page.goto(f"{idle.address}/#/")
    expect(page.locator("#count")).to_have_text("No songs yet. Upload one above.")


def test_tempo_and_key_are_shown(idle, visit, owner):
    link = shared(owner)
    page = visit(idle)

    def known(route):
        # The link is enough for it.
        assert route.fetch().status == 200
        tempo = {"bpm": 120.0, "confidence": 1.0, "first_beat_ms": 0}
        key = {"tonic": "A", "mode": "minor", "confidence": 1.0}
        route.fulfill(json={"ok": True, "errors": [], "data": {"analysis": {"tempo": tempo, "key": key}}})

    page.route("**/analysis", known)
    page.goto(link)
    expect(page.locator("#tempo-found")).to_contain_text("120")
    expect(page.locator("#key-found")).to_have_text("Key: Am")
    page.locator("#tempo-double").click()
    expect(page.locator("#tempo-found")).to_contain_text("240")


def test_secret_is_sent_in_no_address(idle, visit, owner):
    secret = shared(owner).rpartition("/")[2]
    page = listen(visit, idle, f"{idle.address}/#/s/{secret}")
    expect(page.locator("#play")).to_be_enabled()
    requests = page.context.watched.requests
    # Fragments are not sent, so a proxy does not see them.
    assert len(requests) > 10 and not [url for url in requests if secret in url.partition("#")[0]]
    cookies = page.context.cookies()
    assert [(each["name"], each["path"], each["sameSite"]) for each in cookies] == [("share", f"/songs/{owner.song['id']}", "Strict")]


def test_link_opens_with_the_shared_mix(idle, visit, owner):
    page = owner
    drums = page.locator(".track[data-stem=drums]")
    drums.locator("input").fill("0.4")
    page.locator("#karaoke").click()
    page.locator("#place").fill("5")
    page.locator("#loop-from").click()
    page.locator("#place").fill("9")
    page.locator("#loop-to").click()
    expect(page.locator("#loop-range")).to_have_text("0:05 to 0:09")
    page.locator("#place").fill("7")
    link = shared(page, mix=True)
    other = listen(visit, idle, link)
    expect(other.locator("#loop-range")).to_have_text("0:05 to 0:09")
    expect(other.locator("#time")).to_have_text(re.compile("^0:07 "))
    assert levels(other) == {"vocals": (1, "true"), "drums": (0.4, "false"), "bass": (1, "false"), "other": (1, "false")}
    # A link without the mix opens as usual.
    plain = listen(visit, idle, shared(page))
    expect(plain.locator("#time")).to_have_text(re.compile("^0:00 "))
    expect(plain.locator("#loop-range")).to_be_empty()
    assert set(levels(plain).values()) == {(1, "false")}


def test_links_are_listed_and_revoked_by_keyboard(idle, visit, owner):
    page = owner
    page.locator("#share").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Share links")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("listitem")).to_have_text("No links yet.")
    dialog.get_by_label("Valid until").fill("2999-12-31")
    dialog.get_by_role("button", name="Create link").focus()
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("status")).to_contain_text("Copy the link now")
    link = dialog.get_by_role("textbox", name="Share link").input_value()
    expect(dialog.get_by_role("listitem")).to_contain_text("valid until 31 Dec 2999")
    other = listen(visit, idle, link)
    expect(other.locator("#play")).to_be_enabled()
    expect(other.locator("#shared-lead")).to_contain_text("until 31 Dec 2999")
    dialog.get_by_role("button", name=re.compile("Revoke the link created")).focus()
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("listitem")).to_have_text("No links yet.")
    expect(dialog.get_by_role("textbox", name="Share link")).to_have_count(0)
    # The focus stays in the dialog, and returns to the button that opened it.
    expect(dialog.get_by_role("button", name="Create link")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.locator("#share")).to_be_focused()
    other.reload()
    expect(other.get_by_role("heading", name="Link not found")).to_be_visible()


def test_link_is_copied(idle, visit, owner):
    owner.context.grant_permissions(["clipboard-read", "clipboard-write"])
    owner.locator("#share").click()
    owner.locator("#share-create").click()
    owner.locator("#share-copy").click()
    expect(owner.locator(".toast")).to_contain_text("Copied")
    assert owner.evaluate("navigator.clipboard.readText()") == owner.locator("#share-link").input_value()


def test_link_waits_for_a_song_that_is_not_processed_yet(idle, visit, stems):
    page = visit(idle)
    song = idle.upload("Early", data=tone(330, 20), Cookie=register(page, idle))
    page.goto(f"{idle.address}/#/songs/{song['id']}")
    page.locator("#share").click()
    expect(page.locator("#share-mix")).to_be_disabled()
    expect(page.locator("#share-mix-hint")).to_have_text("The mix can be added once the player has loaded the stems.")
    page.locator("#share-create").click()
    other = listen(visit, idle, page.locator("#share-link").input_value())
    expect(other.locator("#song-state")).to_contain_text("Waiting")
    deliver(idle, song, stems)
    expect(other.locator("#play")).to_be_enabled()


def test_link_of_a_deleted_song_is_not_found(idle, visit, owner):
    link = shared(owner)
    cookies = "; ".join(f"{each['name']}={each['value']}" for each in owner.context.cookies())
    idle.ask("DELETE", f"/songs/{owner.song['id']}", Cookie=cookies)
    page = listen(visit, idle, link)
    expect(page.get_by_role("heading", name="Link not found")).to_be_visible()
    expect(page.locator("#song-state")).to_contain_text("expired or was revoked")


def test_share_button_is_hidden_if_sharing_is_off(visit):
    service = Service("--no-worker", max_shares=0)
    try:
        song = service.upload("Alone", data=tone(300))
        page = visit(service, f"/#/songs/{song['id']}")
        expect(page.locator("#delete")).to_be_visible()
        expect(page.locator("#share")).to_be_hidden()
        with pytest.raises(urllib.error.HTTPError, match="409"):
            service.ask("POST", f"/songs/{song['id']}/shares", {})
    finally:
        service.close()


def test_link_works_under_a_path_prefix(visit, idle, below, stems):
    owner = opened_by_owner(idle, below, visit, stems)
    link = shared(owner)
    assert link.startswith(f"{below.address}/#/s/")
    page = listen(visit, below, link)
    expect(page.locator("#play")).to_be_enabled()
    with page.expect_download(timeout=60_000) as download:
        page.locator("#take-vocals").click()
    assert download.value.path().stat().st_size > 10_000
    assert row(page, TITLE).count() == 0


def test_karaoke_of_a_guest_leads_to_no_other_song(owner, visit, idle, stems):
    """A song that everyone may play is next in the list."""
    public = idle.upload("Public", data=tone(300, 20))
    deliver(idle, public, stems)
    link = shared(owner)
    guest = visit(idle)
    expect(row(guest, "Public")).to_be_visible()
    guest.goto(link)
    expect(guest.locator("#play")).to_be_enabled()
    without_full_screen(guest)
    guest.get_by_role("button", name="Sing along").click()
    expect(guest.locator("#stage")).to_be_visible()
    guest.wait_for_load_state("networkidle")
    expect(guest.locator("#next-song")).to_be_hidden()
