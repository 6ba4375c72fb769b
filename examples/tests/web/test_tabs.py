"""Several tabs of one browser: one event stream for all."""

import re

import pytest
from conftest import PASSWORD, known, register, row, tone
from playwright.sync_api import expect

# One more than the connections that a browser keeps to a server over HTTP/1.1.
TABS = 7
# A page without TLS that is not on this machine has no locks.
NO_LOCKS = "Object.defineProperty(navigator, 'locks', { value: undefined })"
# A headless browser shows all tabs at once.
HIDDEN = """
  window.isHidden = true;
  Object.defineProperty(document, 'hidden', { get: () => window.isHidden });
  window.show = (yes) => { window.isHidden = !yes; document.dispatchEvent(new Event('visibilitychange')); };
"""


def tabs(visit, service, number, **settings):
    first = visit(service, **settings)
    yield first
    for _ in range(number - 1):
        page = first.context.new_page()
        page.goto(service.address)
        yield page


def streams(page):
    return sum(url.endswith("/songs/events") for url in page.context.watched.requests)


def test_many_tabs_work_and_follow_changes(idle, visit):
    idle.upload("First", data=tone(300))
    pages = []
    for page in tabs(visit, idle, TABS):
        expect(row(page, "First")).to_be_visible()
        pages.append(page)
    assert streams(pages[0]) == 1
    idle.upload("Second", data=tone(301))
    for page in pages:
        expect(row(page, "Second")).to_be_visible()
    # When the tab with the stream is closed, another one takes over.
    pages.pop(0).close()
    idle.upload("Third", data=tone(302))
    for page in pages:
        expect(row(page, "Third")).to_be_visible()
    assert streams(pages[0]) == 2


def test_signing_in_and_out_in_one_tab_changes_the_others(idle, visit):
    one, other = tabs(visit, idle, 2)
    for page, elsewhere in [(other, one), (one, other)]:
        expect(page.locator("#account-link")).to_have_text("Sign in")
        page.goto(f"{idle.address}/#/account")
        form = page.locator("#register" if page is other else "#login")
        form.get_by_label("Username").fill("ada")
        for field in form.locator("[type=password]").all():
            field.fill(PASSWORD)
        form.locator("[type=submit]").click()
        for each in [page, elsewhere]:
            expect(each.locator("#account-link")).to_have_text("ada")
        cookie = "; ".join(f"{each['name']}={each['value']}" for each in page.context.cookies())
        song = idle.upload("Secret", data=tone(300), Cookie=cookie)
        for each in [page, elsewhere]:
            expect(row(each, "Secret")).to_be_visible()
        idle.ask("DELETE", f"/songs/{song['id']}", Cookie=cookie)
        page.locator("#account-link").click()
        page.get_by_role("button", name="Sign out", exact=True).click()
        for each in [page, elsewhere]:
            expect(each.locator("#account-link")).to_have_text("Sign in")
            expect(row(each, "Secret")).to_have_count(0)


def test_all_tabs_notice_a_restart_of_the_server(idle, visit):
    pages = list(tabs(visit, idle, 3))
    for page in pages:
        expect(page.locator("#count")).to_have_text("No songs yet. Upload one above.")
    idle.stop()
    for page in pages:
        expect(page.locator("#offline")).to_be_visible()
    idle.start()
    for page in pages:
        expect(page.locator("#offline")).to_be_hidden()
    idle.upload("After", data=tone(300))
    for page in pages:
        expect(row(page, "After")).to_be_visible()


def test_without_locks_only_visible_tabs_have_a_stream(idle, visit):
    idle.upload("First", data=tone(300))
    pages = []
    for page in tabs(visit, idle, TABS, init=NO_LOCKS + HIDDEN):
        # The earlier tab is hidden when the next one opens.
        if pages:
            pages[-1].evaluate("show(false)")
        page.evaluate("show(true)")
        expect(row(page, "First")).to_be_visible()
        pages.append(page)
    idle.upload("Second", data=tone(301))
    expect(row(pages[-1], "Second")).to_be_visible()
    # A tab that is shown again is up to date.
    pages[-1].evaluate("show(false)")
    pages[0].evaluate("show(true)")
    idle.upload("Third", data=tone(302))
    expect(pages[0].locator(".song-title")).to_have_text(["Third", "Second", "First"])
