"""The trash of the server: deletions can be undone for days."""

import re

import pytest
from conftest import Service, known, register, row, tone
from playwright.sync_api import expect


def discard(page, title):
    row(page, title).get_by_role("button", name=f"Delete {title}").click()
    expect(row(page, title)).to_have_count(0)


def open_trash(page, songs):
    link = page.locator("#trash-link")
    expect(link).to_have_text(f"Trash ({songs} song{'s' if songs > 1 else ''})")
    link.click()
    expect(page.get_by_role("heading", name="Trash")).to_be_focused()
    return page.locator("#trash li")


def in_trash(service):
    return [song["song"]["title"] for song in service.ask("GET", "/songs/trash")["songs"]]


def test_deletion_can_be_undone_in_another_browser(idle, visit):
    idle.upload("Kept", data=tone(300))
    idle.upload("Other", data=tone(301))
    discard(visit(idle), "Kept")
    page = visit(idle)
    expect(row(page, "Other")).to_be_visible()
    expect(row(page, "Kept")).to_have_count(0)
    assert (known(idle), in_trash(idle)) == (["Other"], ["Kept"])
    songs = open_trash(page, 1)
    expect(page.get_by_text("Deleted songs can be restored for 30 days.")).to_be_visible()
    expect(songs).to_have_count(1)
    expect(songs).to_contain_text(re.compile(r"Kept.*Until \d"))
    songs.get_by_role("button", name="Restore Kept").click()
    expect(page.get_by_text("The trash is empty.")).to_be_visible()
    page.get_by_role("link", name="All songs").click()
    expect(row(page, "Kept").locator(".state")).to_have_text(re.compile("^Waiting"))
    expect(page.locator("#trash-link")).to_be_hidden()
    assert known(idle) == ["Other", "Kept"]


def test_trash_is_emptied_after_a_question(idle, visit):
    for at in range(3):
        idle.upload(f"Song {at}", data=tone(300 + at))
    page = visit(idle)
    for at in range(3):
        discard(page, f"Song {at}")
    songs = open_trash(page, 3)
    songs.first.get_by_role("button", name=re.compile("^Delete Song 2 now")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete “Song 2” for good? This cannot be undone.")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(songs).to_have_count(3)
    songs.first.get_by_role("button", name=re.compile("^Delete Song 2 now")).click()
    dialog.get_by_role("button", name="Delete now").click()
    expect(songs).to_have_count(2)
    assert in_trash(idle) == ["Song 1", "Song 0"]
    page.get_by_role("button", name="Empty trash").click()
    expect(dialog).to_contain_text("Delete 2 songs for good?")
    dialog.get_by_role("button", name="Delete now").click()
    expect(page.get_by_text("The trash is empty.")).to_be_visible()
    assert (known(idle), in_trash(idle)) == ([], [])


def test_song_page_in_the_trash_offers_to_restore(idle, visit):
    song = idle.upload("Kept", data=tone(300))
    page = visit(idle, f"/#/songs/{song['id']}")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#search")).to_be_visible()
    page.reload()
    page.go_back()
    expect(page.get_by_role("heading", name="This song is in the trash")).to_be_visible()
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_role("heading", name="Kept")).to_be_visible()
    expect(page.get_by_role("button", name="Rename")).to_be_visible()


def test_all_tabs_have_the_same_trash(idle, visit):
    idle.upload("Shared", data=tone(300))
    page = visit(idle)
    other = page.context.new_page()
    other.goto(idle.address)
    expect(row(other, "Shared")).to_be_visible()
    discard(page, "Shared")
    expect(row(other, "Shared")).to_have_count(0)
    open_trash(other, 1).get_by_role("button", name="Restore Shared").click()
    expect(row(page, "Shared")).to_be_visible()
    expect(page.locator("#trash-link")).to_be_hidden()


def test_trash_of_an_account_is_not_shown_to_others(idle, visit):
    page = visit(idle)
    cookie = register(page, idle)
    idle.upload("Secret", data=tone(300), Cookie=cookie)
    discard(page, "Secret")
    expect(page.locator("#trash-link")).to_be_visible()
    page.locator("#account-link").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.locator("#account-link")).to_have_text("Sign in")
    expect(page.locator("#trash-link")).to_be_hidden()
    page.goto(f"{idle.address}/#/trash")
    expect(page.get_by_text("The trash is empty.")).to_be_visible()


def test_song_deleted_elsewhere_appears_in_the_trash(idle, visit):
    song = idle.upload("Goes", data=tone(300))
    page = visit(idle)
    expect(row(page, "Goes")).to_be_visible()
    idle.ask("DELETE", f"/songs/{song['id']}")
    expect(row(page, "Goes")).to_have_count(0)
    expect(page.locator("#trash-link")).to_have_text("Trash (1 song)")


def test_failed_deletion_shows_the_song_again(idle, visit):
    idle.upload("Kept", data=tone(300))
    page = visit(idle)
    expect(row(page, "Kept")).to_be_visible()
    page.route("**/songs/*", lambda route: route.fulfill(status=500, body="{}"))
    row(page, "Kept").get_by_role("button", name="Delete Kept").click()
    expect(page.locator(".toast.bad")).to_contain_text("Could not delete the song.")
    expect(row(page, "Kept")).to_be_visible()
    assert known(idle) == ["Kept"]


@pytest.fixture
def trashless():
    service = Service("--no-worker", trash_days=0)
    yield service
    service.close()


def test_without_a_trash_the_page_asks_first(trashless, visit):
    trashless.upload("Goes", data=tone(300))
    page = visit(trashless)
    row(page, "Goes").get_by_role("button", name="Delete Goes").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete “Goes” for good? This cannot be undone.")
    dialog.get_by_role("button", name="Cancel").click()
    assert known(trashless) == ["Goes"]
    row(page, "Goes").get_by_role("button", name="Delete Goes").click()
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(row(page, "Goes")).to_have_count(0)
    expect(page.locator(".toast")).to_have_count(0)
    assert known(trashless) == []
    expect(page.locator("#trash-link")).to_be_hidden()
