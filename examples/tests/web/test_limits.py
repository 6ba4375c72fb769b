"""The operator's limits as the page shows them."""

import subprocess

import pytest
from conftest import PASSWORD, PROGRAM, Service, row, tone
from playwright.sync_api import expect

SONG = {"name": "Song.wav", "mimeType": "audio/wav", "buffer": tone(400)}


@pytest.fixture
def limited():
    """Starts a service with the given settings."""
    services = []

    def made(**settings):
        services.append(Service("--no-worker", **settings))
        return services[-1]

    yield made
    for service in services:
        service.close()


def test_closed_registration_hides_the_form(limited, visit):
    page = visit(limited(registration="closed"), "/#/account")
    expect(page.locator("#registration-closed")).to_have_text("Registration is closed on this server.")
    expect(page.locator("#login")).to_be_visible()
    expect(page.locator("#register")).to_have_count(0)
    page.locator("#language").select_option("ru")
    expect(page.locator("#registration-closed")).to_have_text("Регистрация на этом сервере закрыта.")


def test_registration_with_invite_code(limited, visit):
    service = limited(registration="invite")
    page = visit(service, "/#/account")
    for name, text in {"invite": "vci_0", "username": "ada", "password1": PASSWORD, "password2": PASSWORD}.items():
        page.locator(f"#register-{name}").fill(text)
    send = page.locator("#register").get_by_role("button", name="Create account")
    send.click()
    expect(page.locator("#register-invite-wrong")).to_have_text("This invite code is unknown, used or expired.")
    expect(page.locator("#register-invite")).to_be_focused()
    command = [PROGRAM, "admin", "invite", "--data-dir", service.data / "data"]
    code = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    page.locator("#register-invite").fill(code)
    send.click()
    expect(page.locator("#account-link")).to_have_text("ada")


def test_page_asks_to_sign_in_if_anonymous_uploads_are_off(limited, visit):
    page = visit(limited(anonymous_uploads="off"))
    expect(page.locator("#openness")).to_have_text("Sign in to upload songs.")
    page.set_input_files("#files", SONG)
    expect(page.locator(".upload .note")).to_have_text("Sign in to upload songs.")


def test_quotas_are_shown_and_reported_when_exceeded(limited, visit):
    page = visit(limited(anonymous_max_songs=1, retention_days=30))
    expect(page.locator("#limits")).to_contain_text("You can store 1 song. Songs are deleted after 30 days.")
    page.set_input_files("#files", SONG)
    expect(row(page, "Song")).to_be_visible()
    page.set_input_files("#files", {**SONG, "name": "Other.wav", "buffer": tone(401)})
    expect(page.locator(".upload .note")).to_have_text("You have reached your storage limit. Delete songs to upload more.")
    expect(page.locator(".upload").get_by_role("button", name="Retry")).to_be_visible()
