"""Sign-in with an OpenID Connect provider: a real one, in a process of its own."""

import os
import pathlib
import socket
import subprocess
import time
import urllib.request

import pytest
from conftest import PASSWORD, ROOT, Service
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def provider():
    venv = subprocess.run([ROOT / ".ci/venv", "oidc", "oidc-provider-mock==0.3.4"], stdout=subprocess.PIPE, text=True)
    if venv.returncode and os.environ.get("VOCALIZER_OFFLINE"):
        pytest.skip("the provider is not installed")
    venv.check_returncode()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = pathlib.Path(venv.stdout.strip()) / "oidc-provider-mock"
    process = subprocess.Popen([program, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    issuer = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{issuer}/jwks", timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
    yield issuer
    process.kill()
    process.wait()


@pytest.fixture
def signing_in(provider):
    """Starts a service with these settings that trusts the provider."""
    services = []

    def made(**settings):
        service = Service("--no-worker")
        services.append(service)
        # The address is known only now.
        service.stop()
        oidc = {"PUBLIC_URL": service.address, "OIDC_ISSUER": provider, "OIDC_CLIENT_ID": "vocalizer", "OIDC_CLIENT_SECRET": "a secret",
                "OIDC_NAME": "Example"}
        service.settings.update(oidc | settings)
        service.start()
        return service

    yield made
    for service in services:
        service.close()


@pytest.fixture
def opened(visit, provider):
    """Visits, and lets the page go to the provider."""
    pages = []

    def made(*where):
        pages.append(visit(*where))
        return pages[-1]

    yield made
    for page in pages:
        watched = page.context.watched
        # The provider's page has styles from another server.
        watched.requests = [url for url in watched.requests if not url.startswith((provider + "/", "https:"))]


def consent(page, subject):
    page.locator("input[name=sub]").fill(subject)
    page.locator("input[name=sub]").press("Enter")


def connect_bob(page):
    """Creates an account with a password, and connects it."""
    for name, text in {"username": "bob", "password1": PASSWORD, "password2": PASSWORD}.items():
        page.locator(f"#register-{name}").fill(text)
    page.locator("#register").get_by_role("button", name="Create account").click()
    expect(page.locator("#account-link")).to_have_text("bob")
    page.locator("#account-link").click()
    page.locator("#connect").click()
    consent(page, "bob@example.org")


def test_button_signs_in_and_registers(signing_in, opened):
    page = opened(signing_in(OIDC_CREATE="true"), "/#/account")
    expect(page.locator("#login")).to_be_visible()
    button = page.get_by_role("link", name="Sign in with Example")
    page.locator("#language").select_option("ru")
    expect(page.get_by_role("link", name="Войти через Example")).to_be_visible()
    page.locator("#language").select_option("en")
    button.click()
    consent(page, "ada@example.org")
    expect(page.locator("#account-link")).to_have_text("ada")
    page.locator("#account-link").click()
    expect(page.locator("#connection")).to_have_text("You can sign in to this account with Example.")
    page.locator("#logout").click()
    expect(page.locator("#account-link")).to_have_text("Sign in")


def test_account_is_connected_by_its_user(signing_in, opened):
    service = signing_in()
    page = opened(service, "/#/account")
    page.get_by_role("link", name="Sign in with Example").click()
    consent(page, "bob@example.org")
    expect(page.locator("#provider-trouble")).to_contain_text("No account here is connected to this sign-in")
    assert "sign-in=" not in page.url
    connect_bob(page)
    expect(page.locator("#connection")).to_have_text("You can sign in to this account with Example.")
    page.locator("#logout").click()
    page.locator("#account-link").click()
    page.get_by_role("link", name="Sign in with Example").click()
    consent(page, "bob@example.org")
    expect(page.locator("#account-link")).to_have_text("bob")


def test_account_is_disconnected(signing_in, opened):
    service = signing_in(OIDC_CREATE="true")
    page = opened(service, "/#/account")
    connect_bob(page)
    page.locator("#disconnect").click()
    page.get_by_role("dialog").get_by_role("button", name="Disconnect").click()
    expect(page.locator("#connect")).to_be_focused()
    expect(page.locator("#disconnect")).to_have_count(0)
    page.locator("#logout").click()
    # The same person is a new user now, who has no password.
    page.locator("#account-link").click()
    page.get_by_role("link", name="Sign in with Example").click()
    consent(page, "bob@example.org")
    expect(page.locator("#account-link")).to_have_text("bob-2")
    page.locator("#account-link").click()
    page.locator("#disconnect").click()
    page.get_by_role("dialog").get_by_role("button", name="Disconnect").click()
    expect(page.locator(".toast.bad")).to_contain_text("You could not sign in any more")
    expect(page.locator("#disconnect")).to_be_visible()


def test_sign_out_continues_at_the_provider(signing_in, opened):
    service = signing_in(OIDC_CREATE="true", OIDC_LOGOUT="true")
    page = opened(service, "/#/account")
    page.get_by_role("link", name="Sign in with Example").click()
    consent(page, "ada@example.org")
    page.locator("#account-link").click()
    expect(page.locator("#disconnect")).to_be_visible()
    with page.expect_request("**/auth/oidc/logout"):
        page.locator("#logout").click()
    page.goto(f"{service.address}/#/")
    expect(page.locator("#account-link")).to_have_text("Sign in")


def test_sign_in_from_another_site_is_refused_on_the_page(signing_in, opened):
    service = signing_in()
    page = opened(service, "/#/account")
    # Another host of the same machine is another site.
    page.goto("data:text/html,<a>x</a>")
    page.set_content(f'<a href="{service.address}/auth/oidc">sign in</a>')
    page.get_by_role("link", name="sign in").click()
    expect(page.locator("#provider-trouble")).to_contain_text("Another site wanted to sign you in.")
    expect(page.locator("#provider")).to_be_visible()


def test_forms_are_absent_without_passwords(signing_in, opened):
    page = opened(signing_in(PASSWORD_SIGN_IN="off", REGISTRATION="closed"), "/#/account")
    expect(page.locator("#provider")).to_be_visible()
    expect(page.locator("#login")).to_have_count(0)
