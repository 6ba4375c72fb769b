"""Addresses, Back and the first moments of a page."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import Service, register, row, tone
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def many():
    service = Service("--no-worker")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda at: service.upload(f"Song {at}", data=tone(100 + at, 0.05)), range(120)))
    yield service
    service.close()


def scrolled(page, top):
    page.wait_for_function("(top) => Math.abs(scrollY - top) < 3", arg=top)


def test_back_returns_to_search_page_and_scroll_position(many, visit):
    page = visit(many)
    expect(page.locator("#count")).to_have_text("1–50 of 120 songs")
    page.get_by_role("searchbox").fill("song 1")
    expect(page.locator("#count")).to_have_text("1–39 of 39 songs")
    page.get_by_role("searchbox").fill("song")
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#count")).to_have_text("51–100 of 120 songs")
    assert page.url.endswith("/#/?q=song&page=2")
    title = page.locator(".song-title").nth(30)
    name = title.inner_text()
    title.scroll_into_view_if_needed()
    top = page.evaluate("scrollY")
    assert top > 500
    for back in [page.go_back, page.get_by_role("link", name="All songs").click]:
        title.click()
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
        assert page.evaluate("scrollY") == 0
        back()
        expect(page.locator("#count")).to_have_text("51–100 of 120 songs")
        expect(page.get_by_role("searchbox")).to_have_value("song")
        scrolled(page, top)
    page.reload()
    expect(page.locator("#count")).to_have_text("51–100 of 120 songs")
    expect(page.get_by_role("searchbox")).to_have_value("song")
    scrolled(page, top)
    # Another tab opens the address at the same page.
    other = visit(many, page.url.removeprefix(many.address))
    expect(other.locator("#count")).to_have_text("51–100 of 120 songs")
    # Turning a page can be undone by Back; the title in the bar leads to the whole list.
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#count")).to_have_text("101–120 of 120 songs")
    page.go_back()
    expect(page.locator("#count")).to_have_text("51–100 of 120 songs")
    page.get_by_role("link", name="Vocalizer").click()
    expect(page.locator("#count")).to_have_text("1–50 of 120 songs")
    expect(page.get_by_role("searchbox")).to_have_value("")


def test_whole_row_opens_the_song(many, visit):
    page = visit(many)
    song = page.locator(".song").nth(3)
    name = song.locator(".song-title").inner_text()
    box = song.bounding_box()
    for at in [(4, 4), (box["width"] / 2, box["height"] - 4)]:
        song.click(position={"x": at[0], "y": at[1]})
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
        page.go_back()
        expect(song.locator(".song-title")).to_have_text(name)
    # The button in the row does not open it.
    song.get_by_role("button").last.click()
    expect(page.locator(".toast")).to_contain_text(name)
    expect(page.locator("#songs")).to_be_visible()
    page.get_by_role("button", name="Undo").click()


# Records the visible headings and texts at each frame.
SEEN = """
  window.seen = new Set();
  const look = () => {
    for (const each of document.querySelectorAll('h1, h2, label, .button, button, #openness')) {
      if (each.checkVisibility?.({ visibilityProperty: true }) && each.innerText.trim()) window.seen.add(each.innerText.trim());
    }
    requestAnimationFrame(look);
  };
  look();
"""


def seen(page):
    return set(page.evaluate("[...window.seen]"))


def held(page, path):
    """Delays the page's requests to a path until the test calls the result."""
    waiting, released = [], []
    page.context.route(path, lambda route: route.continue_() if released else waiting.append(route))

    def go():
        released.append(True)
        while waiting:
            waiting.pop().continue_()

    return go


def test_deep_link_shows_no_other_view_first(many, visit):
    song = many.ask("GET", "/songs/?limit=1&details")["songs"][0]
    page = visit(many, f"/#/songs/{song['id']}", init=SEEN)
    expect(page.get_by_role("heading", name=song["title"], exact=True)).to_be_visible()
    assert "Split any song into stems" not in seen(page)
    page.goto(f"{many.address}/#/")
    expect(page.get_by_role("heading", name="Split any song into stems")).to_be_visible()


def test_russian_reader_sees_no_english_first(many, visit):
    page = visit(many, init=SEEN, locale="ru-RU")
    expect(page.locator("#count")).to_have_text("1–50 из 120 песен")
    english = {text for text in seen(page) if re.search("[A-Za-z]{4}", text)} - {"Vocalizer", "Язык\nEnglish\nРусский"}
    assert english == set()


def test_signed_in_user_sees_no_signed_out_page_first(idle, visit):
    page = visit(idle, "/#/account")
    register(page, idle)
    expect(page.locator("#password")).to_be_visible()
    go = held(page, "**/auth/me")
    page.reload()
    expect(page.get_by_role("heading", name="Account")).to_be_visible()
    expect(page.locator("#login")).to_have_count(0)
    expect(page.locator("#account-link")).to_be_hidden()
    page.goto(f"{idle.address}/#/")
    expect(page.get_by_role("heading", name="Songs")).to_be_visible()
    expect(page.locator("#openness")).to_be_hidden()
    go()
    expect(page.locator("#openness")).to_contain_text("Only you can see")
    expect(page.locator("#account-link")).to_have_text("ada")
