"""Accounts, sessions, tokens and private songs."""

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
    """Returns a field's error text and checks that it is linked to the field for screen readers."""
    place = page.locator(f"#{form}-{field}")
    expect(place).to_have_attribute("aria-invalid", "true")
    expect(place).to_have_attribute("aria-describedby", re.compile(rf"\b{form}-{field}-wrong\b"))
    return page.locator(f"#{form}-{field}-wrong")


def log_in(page, name="ada", password=PASSWORD):
    page.locator("#account-link").click()
    fill(page, "login", username=name, password=password)
    page.locator("#login").get_by_role("button", name="Sign in").click()


def bearer(service, secret):
    """Returns a token's username, or the status of an error response."""
    try:
        user = service.ask("GET", "/auth/me", Authorization=f"Bearer {secret}")["user"]
        return user and user["username"]
    except urllib.error.HTTPError as error:
        return error.code


def test_register_sign_out_and_sign_in(idle, visit):
    page = visit(idle)
    link = page.locator("#account-link")
    expect(link).to_have_text("Sign in")
    expect(page.locator("#openness")).to_contain_text("You are not signed in. Songs you upload are public")
    link.click()
    fill(page, "register", username="ada", password1=PASSWORD, password2=PASSWORD)
    # Enter submits the form.
    page.keyboard.press("Enter")
    expect(link).to_have_text("ada")
    expect(page.locator("#openness")).to_have_text("You are signed in. Only you can see the songs you upload.")
    page.reload()
    expect(link).to_have_text("ada")
    link.click()
    expect(page.get_by_text("Signed in as ada.")).to_be_visible()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(link).to_have_text("Sign in")
    expect(page.locator("#openness")).to_contain_text("You are not signed in")
    log_in(page)
    expect(link).to_have_text("ada")
    # Scripts cannot read the session cookie.
    assert page.evaluate("document.cookie") == ""


def test_failed_sign_in_does_not_reveal_whether_user_exists(idle, visit):
    page = visit(idle)
    register(page, idle)
    page.locator("#account-link").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    for name in ["ada", "unknown"]:
        log_in(page, name, "wrong horse")
        expect(page.locator("#login").get_by_role("alert")).to_have_text("Wrong username or password.")
        expect(page.locator("#login-username")).to_have_value(name)
    log_in(page)
    expect(page.locator("#account-link")).to_have_text("ada")


def test_registration_errors_appear_next_to_their_fields(idle, visit):
    page = visit(idle)
    register(page, idle, "taken")
    page.locator("#account-link").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.locator("#account-link").click()
    send = page.locator("#register").get_by_role("button", name="Create account")
    fill(page, "register", username="taken", password1=PASSWORD, password2=PASSWORD)
    send.click()
    expect(wrong(page, "register", "username")).to_have_text("The username is taken.")
    fill(page, "register", username="ada", password1=PASSWORD, password2="something else")
    send.click()
    expect(wrong(page, "register", "password2")).to_have_text("The passwords do not match.")
    expect(page.locator("#register-password2")).to_be_focused()
    # A corrected field shows no error.
    expect(page.locator("#register-username")).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator("#register-username-wrong")).to_be_hidden()
    # All errors appear at once, and the first wrong field has the focus.
    fill(page, "register", username="ad a", password1="short", password2="short")
    send.click()
    expect(wrong(page, "register", "username")).to_contain_text("invalid character")
    expect(wrong(page, "register", "password1")).to_contain_text("8 to 128")
    expect(page.locator("#register-username")).to_be_focused()
    fill(page, "register", username="ada", password1=PASSWORD, password2=PASSWORD)
    send.click()
    expect(page.locator("#account-link")).to_have_text("ada")


def test_password_change_ends_other_sessions(idle, visit):
    page = visit(idle)
    register(page, idle)
    other = visit(idle, "/#/account")
    log_in(other)
    expect(other.locator("#account-link")).to_have_text("ada")
    page.locator("#account-link").click()
    send = page.locator("#password").get_by_role("button", name="Change password")
    fill(page, "password", old_password="not this", password1="another good one", password2="another good one")
    send.click()
    expect(page.locator("#password").get_by_role("alert")).to_contain_text("The current password is wrong")
    expect(page.locator("#account-link")).to_have_text("ada")
    fill(page, "password", old_password=PASSWORD, password1="another good one", password2="another good one")
    send.click()
    expect(page.locator(".toast")).to_contain_text("Password changed")
    expect(page.locator("#password-old_password")).to_have_value("")
    # The current session stays; the other one ends.
    page.reload()
    expect(page.locator("#account-link")).to_have_text("ada")
    other.reload()
    expect(other.locator("#account-link")).to_have_text("Sign in")
    log_in(other, password=PASSWORD)
    expect(other.locator("#login").get_by_role("alert")).to_contain_text("Wrong username or password")
    log_in(other, password="another good one")
    expect(other.locator("#account-link")).to_have_text("ada")


def test_token_is_shown_once_works_and_can_be_revoked(idle, visit):
    page = visit(idle)
    register(page, idle)
    page.locator("#account-link").click()
    fill(page, "token", name="laptop <b>")
    page.get_by_role("button", name="Create token").click()
    secret = page.get_by_label("Token", exact=True).input_value()
    assert len(secret) > 30
    expect(page.locator(".secret[data-of]")).to_contain_text("laptop <b>: copy the token now. It will not be shown again.")
    # It is selected, so that it can be copied without the clipboard API.
    shown = page.get_by_label("Token", exact=True)
    assert shown.evaluate("(on) => on === document.activeElement && on.value.slice(on.selectionStart, on.selectionEnd)") == secret
    tokens = page.locator(".tokens li")
    expect(tokens).to_have_count(1)
    expect(tokens).to_contain_text("laptop <b>")
    assert bearer(idle, secret) == "ada"
    # Revoking one token shows only that message, and a token's secret disappears with it.
    fill(page, "token", name="phone")
    page.get_by_role("button", name="Create token").click()
    expect(tokens).to_have_count(2)
    page.get_by_role("button", name="Revoke phone").click()
    expect(tokens).to_have_count(1)
    expect(page.locator("#token-secret")).to_have_count(0)
    expect(page.locator("#token-name-wrong")).to_be_empty()
    page.reload()
    expect(page.get_by_label("Token", exact=True)).to_have_count(0)
    assert secret not in page.content()
    page.get_by_role("button", name="Revoke laptop <b>").click()
    expect(page.locator(".toast")).to_contain_text("laptop <b> revoked.")
    expect(tokens).to_have_count(0)
    assert bearer(idle, secret) == 401


def test_buttons_beside_a_form_do_not_send_it(idle, visit):
    page = visit(idle)
    register(page, idle)
    page.locator("#account-link").click()
    fill(page, "token", name="laptop")
    page.get_by_role("button", name="Create token").click()
    expect(page.locator(".tokens li")).to_have_count(1)
    sent = []
    page.on("request", lambda request: sent.append((request.method, request.url.removeprefix(idle.address))))
    # The name is still needed, so that sending the form would say so.
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Revoke laptop").click()
    expect(page.locator(".toast", has_text="laptop revoked.")).to_be_visible()
    expect(page.locator(".tokens li")).to_have_count(0)
    page.wait_for_timeout(300)
    assert [method for method, path in sent if path.startswith("/auth/tokens")] == ["DELETE", "GET"], sent
    expect(page.locator("#token-name")).not_to_have_attribute("aria-invalid", "true")


def test_token_needs_a_name(idle, visit):
    page = visit(idle)
    register(page, idle)
    page.locator("#account-link").click()
    page.get_by_role("button", name="Create token").click()
    expect(wrong(page, "token", "name")).not_to_be_empty()
    expect(page.locator("#token-name")).to_be_focused()


def test_private_songs_are_visible_only_to_their_owner(idle, visit):
    page = visit(idle)
    register(page, idle)
    page.set_input_files("#files", SONG)
    expect(row(page, "Secret").locator(".badge")).to_have_text("private")
    row(page, "Secret").locator("a").click()
    expect(page.get_by_role("heading", name="Secret")).to_be_visible()
    expect(page.locator("main .badge")).to_have_text("private")
    address = page.url.removeprefix(idle.address)
    stranger = visit(idle)
    register(stranger, idle, "eve")
    anonymous = visit(idle)
    idle.upload("Public song", data=tone(301))
    for other in [stranger, anonymous]:
        expect(other.locator(".song-title")).to_have_text(["Public song"])
        expect(row(other, "Public song").locator(".badge")).to_have_text("public")
        other.goto(idle.address + address)
        expect(other.get_by_role("heading", name="Song not found")).to_be_visible()
        expect(other.get_by_text("It was deleted or belongs to another user.")).to_be_visible()
        assert "Secret" not in other.content()
    # The owner sees both.
    page.get_by_role("link", name="All songs").click()
    expect(page.locator(".song-title")).to_have_text(["Public song", "Secret"])


def test_signing_out_removes_private_songs_from_the_page(idle, visit):
    page = visit(idle)
    register(page, idle)
    page.set_input_files("#files", SONG)
    expect(row(page, "Secret")).to_be_visible()
    page.locator("#account-link").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.locator("#count")).to_have_text("No songs yet. Upload one above.")
    expect(page.locator(".song")).to_have_count(0)
    # They return after signing in again.
    log_in(page)
    expect(row(page, "Secret")).to_be_visible()


def deafen(page):
    """Blocks the event stream, as on a laptop that was asleep."""
    page.context.route("**/songs/events", lambda route: None)


@pytest.mark.parametrize("path", ["/", "/#/account"])
def test_session_ended_elsewhere_is_reported(idle, visit, path):
    page = visit(idle, path)
    deafen(page)
    cookie = register(page, idle)
    expect(page.locator("#account-link")).to_have_text("ada")
    idle.ask("POST", "/auth/logout", Cookie=cookie)
    # The page checks when its window becomes visible; a headless browser has to simulate that.
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#notice")).to_contain_text("Your session has ended.")
    expect(page.locator("#account-link")).to_have_text("Sign in")
    page.locator("#notice").get_by_role("button", name="Sign in").click()
    fill(page, "login", username="ada", password=PASSWORD)
    page.locator("#login").get_by_role("button", name="Sign in").click()
    expect(page.locator("#account-link")).to_have_text("ada")
    expect(page.locator("#notice")).to_be_hidden()


def test_page_notices_ended_session_without_interaction(idle, visit):
    page = visit(idle)
    cookie = register(page, idle)
    page.set_input_files("#files", SONG)
    expect(row(page, "Secret")).to_be_visible()
    idle.ask("POST", "/auth/logout", Cookie=cookie)
    expect(page.locator("#notice")).to_contain_text("Your session has ended.")
    expect(page.locator(".song")).to_have_count(0)


def test_form_submitted_after_session_ended_reports_it(idle, visit):
    page = visit(idle)
    deafen(page)
    cookie = register(page, idle)
    page.locator("#account-link").click()
    fill(page, "token", name="laptop")
    idle.ask("POST", "/auth/logout", Cookie=cookie)
    page.get_by_role("button", name="Create token").click()
    expect(page.locator("#notice")).to_contain_text("Your session has ended.")
    expect(page.locator("#login")).to_be_visible()


def test_session_survives_server_restart(idle, visit):
    page = visit(idle)
    register(page, idle)
    page.set_input_files("#files", SONG)
    expect(row(page, "Secret")).to_be_visible()
    idle.stop()
    expect(page.locator("#offline")).to_be_visible()
    idle.start()
    expect(page.locator("#offline")).to_be_hidden()
    expect(row(page, "Secret")).to_be_visible()
    expect(page.locator("#account-link")).to_have_text("ada")
    expect(page.locator("#notice")).to_be_hidden()
    assert known(idle) == []


def test_sign_out_everywhere_ends_other_sessions(idle, visit):
    page = visit(idle)
    register(page, idle)
    other = visit(idle, "/#/account")
    log_in(other)
    expect(other.locator("#account-link")).to_have_text("ada")
    page.locator("#account-link").click()
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page.locator("#account-link")).to_have_text("Sign in")
    other.reload()
    expect(other.locator("#account-link")).to_have_text("Sign in")


def test_page_explains_what_uploads_reveal_to_others(idle, visit):
    expect(visit(idle).locator("#same-file")).to_contain_text("same file")
