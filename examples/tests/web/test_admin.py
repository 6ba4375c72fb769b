"""The page of administrators: users, queue, storage and the audit log."""

import re
import subprocess
import urllib.parse
import urllib.request

import pytest
from conftest import PROGRAM, deliver, give_up, register, tone
from playwright.sync_api import expect


def promote(service, name="ada"):
    command = [PROGRAM, "admin", "users", "admin", name, "--data-dir", service.data / "data"]
    subprocess.run(command, check=True, capture_output=True)


def users_of(service, *names):
    """Registers users without a browser. Returns their cookies."""
    cookies = {}
    for name in names:
        fields = urllib.parse.urlencode({"username": name, "password1": "correct horse", "password2": "correct horse"}).encode()
        with urllib.request.urlopen(f"{service.address}/auth/register", data=fields, timeout=60) as answer:
            cookies[name] = "; ".join(value.split(";")[0] for value in answer.headers.get_all("Set-Cookie"))
    return cookies


@pytest.fixture
def ada(idle, visit):
    """The page of an administrator."""
    page = visit(idle)
    register(page, idle)
    promote(idle)
    page.reload()
    page.goto(f"{idle.address}/#/account")
    page.locator("#admin-link").click()
    expect(page.locator("#users li").first).to_be_visible()
    return page


def entry(page, name):
    return page.locator("#users li").filter(has=page.locator(".user-name", has_text=re.compile(f"^{re.escape(name)}$")))


def agree(page, name):
    page.get_by_role("dialog").get_by_role("button", name=name).click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_others_do_not_see_it(idle, visit):
    page = visit(idle)
    register(page, idle)
    page.goto(f"{idle.address}/#/account")
    expect(page.locator("#logout")).to_be_visible()
    expect(page.locator("#admin-link")).to_have_count(0)
    assert not any("/web/admin.js" in url for url in page.context.watched.requests)
    page.goto(f"{idle.address}/#/admin")
    expect(page.locator("#admin-only")).to_be_visible()
    assert not any("/admin/" in url for url in page.context.watched.requests)


def test_users_are_found_disabled_and_get_a_password(idle, visit, ada):
    cookies = users_of(idle, "bob", "grace")
    idle.upload("x", data=tone(440), Cookie=cookies["bob"])
    ada.locator("#user-search").fill("BO")
    expect(ada.locator("#users li")).to_have_count(1)
    bob = entry(ada, "bob")
    expect(bob).to_contain_text("1 song")
    bob.get_by_role("button", name="Disable: bob").click()
    agree(ada, "Disable")
    expect(bob).to_contain_text("Disabled since")
    # The focus stays, for the keyboard.
    expect(bob.get_by_role("button", name="Enable: bob")).to_be_focused()
    ada.keyboard.press("Enter")
    expect(bob).not_to_contain_text("Disabled since")
    bob.get_by_role("button", name="New password: bob").click()
    agree(ada, "New password")
    password = bob.get_by_label("New password", exact=True).input_value()
    answer = ada.context.browser.new_context().request.post(f"{idle.address}/auth/login", data={"username": "bob", "password": password})
    assert answer.ok
    ada.locator("#user-search").fill("zoe")
    expect(ada.locator("#users-none")).to_have_text("No users found.")
    ada.locator("#user-search").fill("ada")
    expect(entry(ada, "ada")).to_contain_text("Administrator")
    expect(entry(ada, "ada").get_by_role("button")).to_have_text(["Limits"])


def test_limits_of_a_user(idle, ada):
    users_of(idle, "bob")
    ada.reload()
    bob = entry(ada, "bob")
    bob.get_by_role("button", name="Limits: bob").click()
    expect(bob.get_by_label("Songs", exact=True)).to_be_focused()
    bob.get_by_label("Songs", exact=True).fill("3")
    bob.locator(".field").nth(1).get_by_label("No limit").check()
    expect(bob.get_by_label("Bytes of songs")).to_be_disabled()
    bob.get_by_label("Uploads per minute").fill("0")
    bob.get_by_role("button", name="Save").click()
    # The browser refuses it.
    expect(bob.get_by_label("Uploads per minute")).to_be_focused()
    bob.get_by_label("Uploads per minute").fill("")
    bob.get_by_role("button", name="Save").click()
    expect(bob).to_contain_text("Songs: 3 · Size: No limit")
    bob.get_by_role("button", name="Limits: bob").click()
    expect(bob.get_by_label("Songs", exact=True)).to_have_value("3")
    bob.get_by_label("Songs", exact=True).fill("")
    bob.locator(".field").nth(1).get_by_label("No limit").uncheck()
    bob.get_by_role("button", name="Save").click()
    expect(bob).not_to_contain_text("Songs: 3")


def test_queue_is_held_and_songs_are_requested_again(idle, ada, stems):
    cookies = users_of(idle, "bob")
    idle.upload("Waiting", data=tone(440), Cookie=cookies["bob"])
    failed = idle.upload("Broken", data=tone(441))
    give_up(idle, failed, "the file ends in the middle of a frame")
    ada.get_by_role("link", name="Queue").click()
    expect(ada.locator("#waiting li")).to_have_count(1)
    expect(ada.locator("#waiting li")).to_contain_text("bob")
    expect(ada.locator("#failed li")).to_contain_text("the file ends in the middle of a frame")
    ada.locator("#hold").click()
    agree(ada, "Hold new songs back")
    expect(ada.locator("#queue-state")).to_contain_text("held back")
    ada.locator("#failed").get_by_role("button", name="Process again: Broken").click()
    expect(ada.locator("#waiting li")).to_have_count(2)
    expect(ada.locator("#waiting li").last).to_contain_text("Held back")
    ada.locator("#hold").click()
    expect(ada.locator("#queue-state")).to_contain_text("The queue is open.")
    ada.locator("#waiting").get_by_role("button", name="Delete: Broken").click()
    agree(ada, "Delete now")
    expect(ada.locator("#waiting li")).to_have_count(1)
    assert idle.song(failed["id"]) is None


def test_storage_and_audit_log(idle, ada, stems):
    song = idle.upload("x", data=tone(440))
    deliver(idle, song, stems)
    ada.get_by_role("link", name="Storage").click()
    stored = ada.locator("#admin-storage")
    expect(stored).to_contain_text("1 song")
    expect(stored).to_contain_text("4 files")
    ada.get_by_role("link", name="Audit log").click()
    expect(ada.locator("#audit li").first).to_contain_text("Made an administrator: ada")
    expect(ada.locator("#audit li").first).to_contain_text("operator:")
    # Back leads to the section before.
    ada.go_back()
    expect(stored).to_be_visible()


def test_in_russian(idle, visit, ada):
    ada.locator("#language").select_option("ru")
    expect(ada.get_by_role("heading", name="Администрирование")).to_be_visible()
    expect(entry(ada, "ada")).to_contain_text("Администратор")
    for link in ["Очередь", "Хранилище", "Журнал"]:
        ada.get_by_role("link", name=link).click()
        expect(ada.get_by_role("heading", name=link)).to_be_visible()
