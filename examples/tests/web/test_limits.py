"""What the operator limits, as the page shows it."""

import subprocess

import pytest
from conftest import PASSWORD, PROGRAMS, Service, row, tone
from playwright.sync_api import expect

SONG = {"name": "Song.wav", "mimeType": "audio/wav", "buffer": tone(400)}


@pytest.fixture
def limited():
    """Makes a service with settings."""
    services = []

    def made(**settings):
        services.append(Service("server", **settings))
        return services[-1]

    yield made
    for service in services:
        service.close()


def test_nobody_is_offered_to_register_where_registration_is_closed(limited, visit):
    page = visit(limited(registration="closed"), "/#/account")
    expect(page.locator("#registration-closed")).to_have_text("New users are not taken on this server.")
    expect(page.locator("#login")).to_be_visible()
    expect(page.locator("#register")).to_have_count(0)
    page.locator("#language").select_option("ru")
    expect(page.locator("#registration-closed")).to_have_text("Новые пользователи на этом сервере не регистрируются.")


def test_one_registers_with_an_invite(limited, visit):
    service = limited(registration="invite")
    page = visit(service, "/#/account")
    for name, text in {"invite": "vci_0", "username": "ada", "password1": PASSWORD, "password2": PASSWORD}.items():
        page.locator(f"#register-{name}").fill(text)
    send = page.locator("#register").get_by_role("button", name="Register")
    send.click()
    expect(page.locator("#register-invite-wrong")).to_have_text("This invite is unknown, used or expired.")
    expect(page.locator("#register-invite")).to_be_focused()
    command = [PROGRAMS / "server", "--data", service.data / "data", "invite"]
    code = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    page.locator("#register-invite").fill(code)
    send.click()
    expect(page.locator("#account-link")).to_have_text("ada")


def test_whoever_is_not_logged_in_is_told_to_where_only_users_upload(limited, visit):
    page = visit(limited(anonymous_uploads="off"))
    expect(page.locator("#openness")).to_have_text("This server takes songs from users alone. Log in first.")
    page.set_input_files("#files", SONG)
    expect(page.locator(".upload .note")).to_have_text("This server takes songs from users alone. Log in first.")


def test_quotas_are_told_and_said_when_they_are_full(limited, visit):
    page = visit(limited(anonymous_max_songs=1, retention_days=30))
    expect(page.locator("#limits")).to_contain_text("At most 1 song at a time. Songs are deleted after 30 days.")
    page.set_input_files("#files", SONG)
    expect(row(page, "Song")).to_be_visible()
    page.set_input_files("#files", {**SONG, "name": "Other.wav", "buffer": tone(401)})
    expect(page.locator(".upload .note")).to_have_text("You have stored as much as you may here. Delete songs to upload others.")
    expect(page.locator(".upload").get_by_role("button", name="Try again")).to_be_visible()
