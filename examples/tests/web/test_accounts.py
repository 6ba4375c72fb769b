"""Accounts: what is whose, and who may do what."""

import re
import urllib.error

import pytest
from conftest import PASSWORD, known, register, row, tone
from playwright.sync_api import expect

SONG = {"name": "Secret.wav", "mimeType": "audio/wav", "buffer": tone(300)}


def fill(page, form, **fields):
    for name, text in fields.items():
        page.locator(f"#{form}-{name}").fill(text)


def wrong(page, form, field):
    """What is said beside a field, and that it is said of that field to whoever does not see where it stands."""
    place = page.locator(f"#{form}-{field}")
    expect(place).to_have_attribute("aria-invalid", "true")
    expect(place).to_have_attribute("aria-describedby", re.compile(rf"\b{form}-{field}-wrong\b"))
    return page.locator(f"#{form}-{field}-wrong")


def log_in(page, name="ada", password=PASSWORD):
    page.locator("#account-link").click()
    fill(page, "login", username=name, password=password)
    page.locator("#login").get_by_role("button", name="Log in").click()


def bearer(service, secret):
    """Who a token is, or the status of a refusal."""
    try:
        user = service.ask("GET", "/auth/me", Authorization=f"Bearer {secret}")["user"]
        return user and user["username"]
    except urllib.error.HTTPError as error:
        return error.code


def test_somebody_registers_logs_out_and_logs_in(idle, visit):
    page = visit(idle)
    link = page.locator("#account-link")
    expect(link).to_have_text("Log in")
    expect(page.locator("#openness")).to_contain_text("You are not logged in: songs you upload are open to everybody")
    link.click()
    fill(page, "register", username="ada", password1=PASSWORD, password2=PASSWORD)
    # Enter is enough.
    page.keyboard.press("Enter")
    expect(link).to_have_text("ada")
    expect(page.locator("#openness")).to_have_text("You are logged in: songs you upload are yours alone.")
    page.reload()
    expect(link).to_have_text("ada")
    link.click()
    expect(page.get_by_text("Logged in as ada.")).to_be_visible()
    page.get_by_role("button", name="Log out", exact=True).click()
    expect(link).to_have_text("Log in")
    expect(page.locator("#openness")).to_contain_text("You are not logged in")
    log_in(page)
    expect(link).to_have_text("ada")
    # No script has the session.
    assert page.evaluate("document.cookie") == ""


def test_a_wrong_password_is_said_and_nothing_else(idle, visit):
    page = visit(idle)
    register(page, idle)
    page.locator("#account-link").click()
    page.get_by_role("button", name="Log out", exact=True).click()
    for name in ["ada", "nobody"]:
        log_in(page, name, "wrong horse")
        expect(page.locator("#login").get_by_role("alert")).to_have_text("User name and password do not match.")
        expect(page.locator("#login-username")).to_have_value(name)
    log_in(page)
    expect(page.locator("#account-link")).to_have_text("ada")


def test_what_is_wrong_with_a_registration_is_said_beside_its_field(idle, visit):
    page = visit(idle)
    register(page, idle, "taken")
    page.locator("#account-link").click()
    page.get_by_role("button", name="Log out", exact=True).click()
    page.locator("#account-link").click()
    send = page.locator("#register").get_by_role("button", name="Register")
    fill(page, "register", username="taken", password1=PASSWORD, password2=PASSWORD)
    send.click()
    expect(wrong(page, "register", "username")).to_have_text("The username is taken.")
    fill(page, "register", username="ada", password1=PASSWORD, password2="something else")
    send.click()
    expect(wrong(page, "register", "password2")).to_have_text("The passwords do not match.")
    expect(page.locator("#register-password2")).to_be_focused()
    # What was mended is no longer held against anybody.
    expect(page.locator("#register-username")).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator("#register-username-wrong")).to_be_hidden()
    # All that is wrong at once, and the first of it has the focus.
    fill(page, "register", username="ad a", password1="short", password2="short")
    send.click()
    expect(wrong(page, "register", "username")).to_contain_text("invalid character")
    expect(wrong(page, "register", "password1")).to_contain_text("8 to 128")
    expect(page.locator("#register-username")).to_be_focused()
    fill(page, "register", username="ada", password1=PASSWORD, password2=PASSWORD)
    send.click()
    expect(page.locator("#account-link")).to_have_text("ada")


def test_a_password_is_changed_and_ends_all_other_sessions(idle, visit):
    page = visit(idle)
    register(page, idle)
    other = visit(idle, "/#/account")
    log_in(other)
    expect(other.locator("#account-link")).to_have_text("ada")
    page.locator("#account-link").click()
    send = page.locator("#password").get_by_role("button", name="Change password")
    fill(page, "password", old_password="not this", password1="another good one", password2="another good one")
    send.click()
    expect(page.locator("#password").get_by_role("alert")).to_contain_text("The password until now is not right")
    expect(page.locator("#account-link")).to_have_text("ada")
    fill(page, "password", old_password=PASSWORD, password1="another good one", password2="another good one")
    send.click()
    expect(page.locator(".toast")).to_contain_text("The password is changed")
    expect(page.locator("#password-old_password")).to_have_value("")
    # Who made the change stays, wherever else it was ends.
    page.reload()
    expect(page.locator("#account-link")).to_have_text("ada")
    other.reload()
    expect(other.locator("#account-link")).to_have_text("Log in")
    log_in(other, password=PASSWORD)
    expect(other.locator("#login").get_by_role("alert")).to_contain_text("do not match")
    log_in(other, password="another good one")
    expect(other.locator("#account-link")).to_have_text("ada")


def test_a_token_is_shown_once_works_and_is_revoked(idle, visit):
    page = visit(idle)
    register(page, idle)
    page.locator("#account-link").click()
    fill(page, "token", name="laptop <b>")
    page.get_by_role("button", name="Make a token").click()
    secret = page.get_by_label("The token").input_value()
    assert len(secret) > 30
    expect(page.locator(".secret")).to_contain_text("laptop <b>: copy it now, it is not shown again.")
    # It is selected, to be copied by hand where there is no clipboard.
    shown = page.get_by_label("The token")
    assert shown.evaluate("(on) => on === document.activeElement && on.value.slice(on.selectionStart, on.selectionEnd)") == secret
    tokens = page.locator(".tokens li")
    expect(tokens).to_have_count(1)
    expect(tokens).to_contain_text("laptop <b>")
    assert bearer(idle, secret) == "ada"
    page.reload()
    expect(page.get_by_label("The token")).to_have_count(0)
    assert secret not in page.content()
    page.get_by_role("button", name="Revoke laptop <b>").click()
    expect(page.locator(".toast")).to_contain_text("laptop <b> is revoked.")
    expect(tokens).to_have_count(0)
    assert bearer(idle, secret) == 401


def test_a_token_needs_a_name(idle, visit):
    page = visit(idle)
    register(page, idle)
    page.locator("#account-link").click()
    page.get_by_role("button", name="Make a token").click()
    expect(wrong(page, "token", "name")).not_to_be_empty()
    expect(page.locator("#token-name")).to_be_focused()


def test_songs_of_somebody_are_nobody_elses(idle, visit):
    page = visit(idle)
    register(page, idle)
    page.set_input_files("#files", SONG)
    expect(row(page, "Secret").locator(".badge")).to_have_text("yours alone")
    row(page, "Secret").locator("a").click()
    expect(page.get_by_role("heading", name="Secret")).to_be_visible()
    expect(page.locator("main .badge")).to_have_text("yours alone")
    address = page.url.removeprefix(idle.address)
    stranger = visit(idle)
    register(stranger, idle, "eve")
    nobody = visit(idle)
    idle.upload("Everybody's", data=tone(301))
    for other in [stranger, nobody]:
        expect(other.locator(".song-title")).to_have_text(["Everybody's"])
        expect(row(other, "Everybody's").locator(".badge")).to_have_text("open to everybody")
        other.goto(idle.address + address)
        expect(other.get_by_role("heading", name="No such song")).to_be_visible()
        expect(other.get_by_text("It was deleted, or it is somebody else's.")).to_be_visible()
        assert "Secret" not in other.content()
    # The one whose it is sees both.
    page.get_by_role("link", name="All songs").click()
    expect(page.locator(".song-title")).to_have_text(["Everybody's", "Secret"])


def test_logging_out_takes_what_was_private_off_the_page(idle, visit):
    page = visit(idle)
    register(page, idle)
    page.set_input_files("#files", SONG)
    expect(row(page, "Secret")).to_be_visible()
    page.locator("#account-link").click()
    page.get_by_role("button", name="Log out", exact=True).click()
    expect(page.locator("#count")).to_have_text("No songs yet. Drop one above.")
    expect(page.locator(".song")).to_have_count(0)
    # Nor is anything heard of it any more.
    log_in(page)
    expect(row(page, "Secret")).to_be_visible()


def deafen(page):
    """What the server tells by itself does not arrive, as on a laptop that was asleep."""
    page.context.route("**/songs/events", lambda route: None)


@pytest.mark.parametrize("path", ["/", "/#/account"])
def test_a_session_that_was_ended_elsewhere_is_said(idle, visit, path):
    page = visit(idle, path)
    deafen(page)
    cookie = register(page, idle)
    expect(page.locator("#account-link")).to_have_text("ada")
    idle.ask("POST", "/auth/logout", Cookie=cookie)
    # Whoever comes back to the window is told; a browser without windows has to be made to say so.
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#notice")).to_contain_text("Your session has ended.")
    expect(page.locator("#account-link")).to_have_text("Log in")
    page.locator("#notice").get_by_role("button", name="Log in").click()
    fill(page, "login", username="ada", password=PASSWORD)
    page.locator("#login").get_by_role("button", name="Log in").click()
    expect(page.locator("#account-link")).to_have_text("ada")
    expect(page.locator("#notice")).to_be_hidden()


def test_a_page_hears_by_itself_that_its_session_was_ended(idle, visit):
    page = visit(idle)
    cookie = register(page, idle)
    page.set_input_files("#files", SONG)
    expect(row(page, "Secret")).to_be_visible()
    idle.ask("POST", "/auth/logout", Cookie=cookie)
    expect(page.locator("#notice")).to_contain_text("Your session has ended.")
    expect(page.locator(".song")).to_have_count(0)


def test_a_form_sent_after_the_session_ended_says_so(idle, visit):
    page = visit(idle)
    deafen(page)
    cookie = register(page, idle)
    page.locator("#account-link").click()
    fill(page, "token", name="laptop")
    idle.ask("POST", "/auth/logout", Cookie=cookie)
    page.get_by_role("button", name="Make a token").click()
    expect(page.locator("#notice")).to_contain_text("Your session has ended.")
    expect(page.locator("#login")).to_be_visible()


def test_a_session_outlives_the_server(idle, visit):
    page = visit(idle)
    register(page, idle)
    page.set_input_files("#files", SONG)
    expect(row(page, "Secret")).to_be_visible()
    idle.stop()
    expect(page.locator("#away")).to_be_visible()
    idle.start()
    expect(page.locator("#away")).to_be_hidden()
    expect(row(page, "Secret")).to_be_visible()
    expect(page.locator("#account-link")).to_have_text("ada")
    expect(page.locator("#notice")).to_be_hidden()
    assert known(idle) == []


def test_logging_out_everywhere_ends_other_sessions_and_revokes_tokens(idle, visit):
    page = visit(idle)
    register(page, idle)
    other = visit(idle, "/#/account")
    log_in(other)
    expect(other.locator("#account-link")).to_have_text("ada")
    page.locator("#account-link").click()
    page.get_by_role("button", name="Log out everywhere").click()
    expect(page.locator("#account-link")).to_have_text("Log in")
    other.reload()
    expect(other.locator("#account-link")).to_have_text("Log in")


def test_the_page_says_what_others_can_tell_of_an_upload(idle, visit):
    expect(visit(idle).locator("#same-file")).to_contain_text("same file")
