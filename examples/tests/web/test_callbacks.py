"""Callbacks in the account."""

import http.server
import json
import re
import threading

import pytest
from conftest import Service, register
from playwright.sync_api import expect


@pytest.fixture
def receiver():
    """An address that accepts every call."""
    calls = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            calls.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.calls = calls
    server.address = f"http://127.0.0.1:{server.server_port}/hook"
    yield server
    server.shutdown()


@pytest.fixture
def calling():
    """A server that may call private addresses over HTTP."""
    service = Service("--no-worker", webhook_allow_private="true", webhook_allow_http="true")
    yield service
    service.close()


def test_callback_is_created_tested_and_deleted(calling, visit, receiver):
    page = visit(calling)
    cookie = register(page, calling)
    page.goto(f"{calling.address}/#/account")
    form = page.locator("#callback")
    form.get_by_label("Address").fill("ftp://nowhere")
    form.get_by_role("button", name="Create callback").click()
    expect(page.locator("#callback-url")).to_have_attribute("aria-invalid", "true")
    form.get_by_label("Address").fill(receiver.address)
    form.get_by_label("is deleted").uncheck()
    form.get_by_role("button", name="Create callback").click()
    expect(page.locator("#callback-secret")).to_have_value(re.compile("^whsec_"))
    made = page.locator("#callbacks li").first
    expect(made).to_contain_text("is split, fails · enabled")
    made.get_by_role("button", name=re.compile("^Test")).click()
    expect(page.locator(".toast")).to_contain_text("A test is on its way")
    deliveries = made.get_by_role("button", name=re.compile("^Deliveries"))
    for _ in range(60):
        if receiver.calls:
            break
        page.wait_for_timeout(500)
    assert receiver.calls[0]["type"] == "ping"
    deliveries.click()
    expect(deliveries).to_have_attribute("aria-expanded", "true")
    expect(made.locator(".sent li")).to_have_count(1)
    expect(made.locator(".sent li")).to_contain_text("test")
    # The secret is gone after the page was left.
    page.goto(f"{calling.address}/#/")
    page.goto(f"{calling.address}/#/account")
    expect(page.locator("#callbacks li")).to_have_count(1)
    expect(page.locator("#callback-secret")).to_have_count(0)
    assert "whsec_" not in page.content()
    # Tokens work as before.
    page.locator("#token-name").fill("laptop")
    page.get_by_role("button", name="Create token").click()
    expect(page.locator("#token-secret")).to_have_value(re.compile("^vct_"))
    page.locator("#callbacks li").get_by_role("button", name=re.compile("^Delete")).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#callbacks li")).to_have_count(0)
    assert calling.ask("GET", "/webhooks", Cookie=cookie)["webhooks"] == []


def test_disabled_callback_is_enabled(calling, visit):
    page = visit(calling)
    hook = {"id": "0198c0de-0000-4000-8000-000000000000", "url": "https://ada.example.org/hook", "events": ["song.split"],
            "created_at": "2026-11-30T12:00:00Z", "failing_since": "2026-11-30T12:00:00Z", "disabled_at": "2026-11-30T13:00:00Z"}
    register(page, calling)
    enabled = []

    def answer(route):
        if route.request.method == "POST":
            enabled.append(route.request.url)
            hook.update(failing_since=None, disabled_at=None)
        route.fulfill(json={"ok": True, "errors": [], "data": {"webhooks": [hook], "webhook": hook}})

    page.route("**/webhooks**", answer)
    page.goto(f"{calling.address}/#/account")
    expect(page.locator("#callbacks li")).to_contain_text("disabled since")
    page.locator("#callbacks li").get_by_role("button", name=re.compile("^Enable")).click()
    expect(page.locator("#callbacks li")).to_contain_text("enabled")
    assert enabled == [f"{calling.address}/webhooks/{hook['id']}/enable"]
