"""Accessibility, languages, themes, security headers and size of the page."""

import gzip
import importlib.util
import json
import pathlib
import re
import urllib.error
import urllib.request

import pytest
from conftest import ROOT, WEB as LOCAL, begin, deliver, give_up, register, row, throttle, tone, without_full_screen
from playwright.sync_api import expect
from test_admin import promote

WEB = ROOT / "examples/web"
AXE = pathlib.Path(importlib.util.find_spec("axe_playwright_python").origin).with_name("axe.min.js")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
built = pytest.mark.skipif(bool(LOCAL), reason="the page is not the one built into the program")
SONG = {"name": "Night Train.wav", "mimeType": "audio/wav", "buffer": tone(440)}


@pytest.fixture
def songs(idle, stems):
    """One song for each status."""
    songs = {title: idle.upload(title, data=tone(300 + at)) for at, title in enumerate(["Waiting", "Next", "Split", "Failed", "Going"])}
    deliver(idle, songs["Split"], stems)
    give_up(idle, songs["Failed"], "the file ends in the middle of a frame")
    begin(idle, songs["Going"], 40)
    return songs


def rest(page):
    """Waits until the page has loaded its data."""
    expect(page.locator("#count, h1:visible").first).not_to_be_empty()
    expect(page.get_by_text("Loading…")).to_have_count(0)
    expect(page.locator("#play:disabled")).to_have_count(0)


def views(page, service, songs):
    """Visits each view."""

    def at(path):
        page.goto(service.address + path)
        page.reload()
        rest(page)

    at("/")
    expect(page.locator(".song")).to_have_count(5)
    yield "list"
    page.get_by_role("searchbox").fill("no such thing")
    expect(page.locator(".song")).to_have_count(0)
    yield "nothing found"
    at("/")
    page.get_by_role("button", name="Select", exact=True).click()
    row(page, "Split").click()
    yield "songs selected"
    at("/")
    throttle(page, 20_000)
    page.set_input_files("#files", [{**SONG, "buffer": tone(440, 30)}, {"name": "x.txt", "mimeType": "text/plain", "buffer": b"x"}])
    expect(page.locator(".upload[data-state=going]")).to_have_count(1)
    expect(page.locator(".upload[data-state=failed]")).to_have_count(1)
    yield "uploads"
    for cancel in page.locator(".upload").get_by_role("button", name=re.compile("Cancel upload|Dismiss")).all()[::-1]:
        cancel.click()
    throttle(page, -1)
    for title in ["Waiting", "Failed", "Going", "Split"]:
        at(f"/#/songs/{songs[title]['id']}")
        expect(page.get_by_role("heading", name=title)).to_be_visible()
        yield title
    page.locator("#practice summary").click()
    yield "practice"
    page.locator("#zoom-in").click()
    page.locator("#marker-add").click()
    page.locator("#markers summary").click()
    page.locator("#markers-list [data-does=rename]").click()
    expect(page.locator("#markers-list input")).to_be_focused()
    yield "zoomed, and a marker being renamed"
    page.keyboard.press("Escape")
    without_full_screen(page)
    page.get_by_role("button", name="Sing along").click()
    file = {"name": "x.lrc", "mimeType": "text/plain", "buffer": b"[00:00.00]One\n[00:01.00]Two"}
    page.set_input_files("#lyrics-file", file)
    expect(page.locator("#lyrics [aria-current]")).to_have_text("One")
    yield "karaoke"
    page.locator("#stage-close").click()
    page.locator("#rename").click()
    yield "a title being changed"
    at("/")
    row(page, "Split").get_by_role("button", name="Play Split").click()
    expect(page.locator("#mini-time")).to_have_text(re.compile(r"^\d:\d\d / "))
    row(page, "Split").get_by_role("link").click()
    rest(page)
    yield "a song while the mini player plays it"
    at(f"/#/songs/{songs['Split']['id']}")
    page.locator("#share").click()
    page.locator("#share-create").click()
    expect(page.locator("#share-link")).to_be_visible()
    yield "share links"
    secret = page.locator("#share-link").input_value().rpartition("/")[2]
    at(f"/#/s/{secret}")
    expect(page.get_by_role("heading", name="Split")).to_be_visible()
    yield "a shared song"
    at("/#/s/vcs_0")
    yield "no such share link"
    at("/#/songs/00000000-0000-4000-8000-000000000000")
    yield "no such song"
    at("/#/account")
    expect(page.locator("#login")).to_be_visible()
    page.locator("#register").get_by_role("button", name="Create account").click()
    expect(page.locator("#register-username")).to_have_attribute("aria-invalid", "true")
    yield "account, logged out"
    register(page, service)
    expect(page.locator("#password")).to_be_visible()
    page.locator("#token-name").fill("laptop")
    page.get_by_role("button", name="Create token").click()
    expect(page.locator(".tokens li")).to_have_count(1)
    yield "account, logged in"
    promote(service)
    page.reload()
    for section, ready in [("users", "#users li"), ("queue", "#waiting li"), ("storage", "#admin-storage"), ("audit", "#audit li")]:
        page.goto(f"{service.address}/#/admin/{section}")
        expect(page.locator(ready).first).to_be_visible()
        yield f"administration, {section}"
        if section == "users":
            page.locator("#users [data-act=quota]").click()
            yield "limits of a user"
    page.get_by_role("button", name="Keyboard shortcuts").click()
    yield "shortcuts"
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    at("/")
    row(page, "Waiting").get_by_role("button", name="Delete").click()
    expect(page.locator(".toast")).to_be_visible()
    yield "a deletion"
    page.goto(f"{service.address}/#/trash")
    expect(page.locator("#trash li")).to_have_count(1)
    yield "trash"
    page.get_by_role("button", name="Empty trash").click()
    yield "a question"
    page.keyboard.press("Escape")
    service.stop()
    expect(page.locator("#offline")).to_be_visible()
    yield "server down"
    service.start()
    expect(page.locator("#offline")).to_be_hidden()


def complaints(page):
    found = page.evaluate("(rules) => axe.run(document, { runOnly: { type: 'tag', values: rules }, resultTypes: ['violations'] })", RULES)
    return [f"{each['id']}: {node['html'][:200]} {node['failureSummary'][:300]}" for each in found["violations"] for node in each["nodes"]]


# Accessibility.


def test_axe_finds_no_violations_in_any_view(idle, visit, songs):
    # Without motion, because text has too little contrast during a fade.
    page = visit(idle, init=AXE.read_text(), reduced_motion="reduce")
    found = {}
    for view in views(page, idle, songs):
        for colours in ["light", "dark"]:
            page.emulate_media(color_scheme=colours, reduced_motion="reduce")
            if wrong := complaints(page):
                found[f"{view}, {colours}"] = wrong
    assert found == {}


def test_axe_detects_violations(idle, visit):
    """Checks that axe runs and finds real violations."""
    page = visit(idle, init=AXE.read_text())
    expect(page.locator("#count")).to_have_text("No songs yet. Upload one above.")
    assert complaints(page) == []
    page.evaluate("document.querySelector('#choose').replaceChildren(); document.querySelector('#limits').style.color = '#ccc'")
    assert {each.partition(":")[0] for each in complaints(page)} >= {"button-name", "color-contrast"}


def test_no_horizontal_scrolling_on_a_phone(idle, visit, songs):
    page = visit(idle)
    wide = {}
    for view in views(page, idle, songs):
        for width in [360, 320]:
            page.set_viewport_size({"width": width, "height": 700})
            found = page.evaluate(
                """() => document.scrollingElement.scrollWidth > innerWidth && [...document.querySelectorAll('body *')]
                     .filter((each) => each.getBoundingClientRect().right > innerWidth + 1).map((each) => each.outerHTML.slice(0, 120))"""
            )
            if found is not False:
                wide[f"{view}, {width}"] = found
    assert wide == {}


def test_page_fits_at_200_percent_zoom(idle, visit):
    """Half the width and double the font size."""
    page = visit(idle, viewport={"width": 640, "height": 400})
    page.evaluate("document.documentElement.style.fontSize = '32px'")
    expect(page.locator("#count")).to_have_text("No songs yet. Upload one above.")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 640


def focused(page):
    """Returns the name of the focused element, and whether its focus indicator is visible."""
    return page.evaluate(
        """() => {
          const on = document.activeElement;
          const style = getComputedStyle(on);
          const box = on.getBoundingClientRect();
          const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && box.width > 1 && box.top >= 0
            && document.elementFromPoint(box.left + box.width / 2, Math.min(innerHeight - 1, box.top + box.height / 2)) !== null;
          return [on.id || on.className || on.textContent.trim(), seen];
        }"""
    )


def test_every_control_is_reachable_by_keyboard(idle, visit, songs):
    page = visit(idle)
    expect(page.locator(".song")).to_have_count(5)
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        name, seen = focused(page)
        if page.evaluate("document.activeElement === document.body"):
            break
        assert seen, f"{name} has no visible focus indicator"
        reached.append(name)
    assert reached[:7] == ["skip", "brand", "language", "theme", "account-link", "choose", "choosing"]
    assert reached[7:9] == ["search", "sort"]
    # Each song has a link, and buttons to play and to delete it; the failed one also has a retry button.
    assert reached.count("song-title") == 5 and reached.count("small plain") == 10 and reached.count("small") == 1
    assert reached[-2:] == ["help", "API for programs"]


def test_skip_link_moves_focus_to_the_content(idle, visit, songs):
    page = visit(idle, f"/#/songs/{songs['Failed']['id']}")
    expect(page.get_by_role("heading", name="Failed")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    expect(page.get_by_role("heading", name="Failed")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="All songs")).to_be_focused()


def test_upload_rename_and_delete_by_keyboard(idle, visit):
    page = visit(idle)
    # The browser's file dialog.
    page.on("filechooser", lambda chooser: chooser.set_files([SONG]))
    expect(page.locator("#count")).to_have_text("No songs yet. Upload one above.")
    page.locator("#choose").focus()
    page.keyboard.press("Enter")
    expect(row(page, "Night Train")).to_be_visible()
    row(page, "Night Train").locator("a").focus()
    page.keyboard.press("Enter")
    # Screen readers announce the focused heading.
    expect(page.get_by_role("heading", name="Night Train")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Rename")).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.type("Day Train")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Day Train")).to_be_visible()
    expect(page.get_by_role("button", name="Rename")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Share")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    expect(page.locator(".song")).to_have_count(0)


def test_shortcuts_are_listed_and_can_be_turned_off(idle, visit):
    page = visit(idle)
    page.get_by_role("button", name="Keyboard shortcuts").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_contain_text("Play or pause")
    use = dialog.get_by_label("Enable keyboard shortcuts")
    expect(use).to_be_checked()
    use.uncheck()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Keyboard shortcuts")).to_be_focused()
    page.reload()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(use).not_to_be_checked()


# Languages and themes.


def texts(language):
    """Returns the texts of a language, also those that are loaded with their views."""
    files = [WEB / f"{language}.json", *WEB.glob(f"*-{language}.json")]
    return {name: text for file in files for name, text in json.loads(file.read_text()).items()}


def placeholders(text):
    """Returns the placeholders in all plural forms of a text."""
    forms = text.values() if isinstance(text, dict) else [text]
    return {name for form in forms for name in re.findall(r"\{(\w+)\}", form)}


def test_translations_have_the_same_keys_and_placeholders():
    english, russian = texts("en"), texts("ru")
    # Russian translates more error codes; in English the page shows the server's message.
    said = {name for name in russian if name.startswith("error-")}
    assert set(english) - said == set(russian) - said and {name for name in english if name.startswith("error-")} <= said
    for name, text in english.items():
        assert placeholders(text) == placeholders(russian[name]), name
        assert isinstance(text, dict) == isinstance(russian[name], dict), name
        if isinstance(text, dict):
            assert (set(text), set(russian[name])) == ({"one", "other"}, {"one", "few", "many", "other"}), name


def test_every_used_translation_key_exists():
    names = set()
    for file in [*WEB.glob("*.js"), WEB / "index.html"]:
        text = file.read_text()
        names |= set(re.findall(r"\bt\('([a-z-]+)'", text)) | set(re.findall(r"\b(?:t|label|hint|heading|text|button): '([a-z-]+)'", text))
        names |= set(re.findall(r'data-t(?:-label|-hint)?="([a-z-]+)"', text))
    assert len(names) > 100
    assert names - set(texts("en")) == set()


def test_language_choice_is_applied_and_kept(idle, visit, songs):
    page = visit(idle)
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_label("Language").select_option("Русский")
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    russian = texts("ru")
    for element in page.locator("[data-t]").all():
        name = element.get_attribute("data-t")
        assert element.text_content() == russian[name], name
    expect(page.get_by_role("searchbox")).to_have_attribute("placeholder", "Поиск по названию и исполнителю")
    expect(row(page, "Split").locator(".state")).to_have_text("Готово")
    expect(row(page, "Split").locator(".badge")).to_have_text("доступна всем")
    expect(page.locator("#openness")).to_contain_text("Вы не вошли")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Разделите любую песню на дорожки")
    page.goto(f"{idle.address}/#/songs/{songs['Split']['id']}")
    expect(page.get_by_role("button", name="Караоке")).to_be_visible()
    page.get_by_label("Язык").select_option("English")
    expect(page.get_by_role("button", name="Karaoke")).to_be_visible()


def test_russian_browser_gets_russian_page(idle, visit):
    """Including plurals, numbers and dates."""
    for n in range(5):
        idle.upload(f"Песня {n}", data=tone(300 + n))
    page = visit(idle, locale="ru-RU")
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    expect(page.locator("#limits")).to_contain_text("До 78,6 МБ и 6 часов на файл")
    expect(page.locator("#count")).to_have_text("1–5 из 5 песен")
    states = [row(page, f"Песня {n}").locator(".state") for n in range(5)]
    expect(states[0]).to_have_text("В очереди")
    expect(states[1]).to_have_text("В очереди: впереди 1 песня")
    expect(states[2]).to_have_text("В очереди: впереди 2 песни")
    expect(page.locator("time").first).to_have_text(re.compile(r"\d{4} г\.,"))
    # Server errors are translated, too.
    page.set_input_files("#files", {"name": "broken.mp3", "mimeType": "audio/mpeg", "buffer": b"no song " * 500})
    expect(page.locator(".upload").get_by_role("alert")).to_have_text("Не удалось прочитать файл как аудио.")


def test_server_error_codes_are_translated():
    """Covers every error code of the API that the page can receive."""
    said = texts("ru")
    source = (ROOT / "vocalizer-core/api/src/wire/error.rs").read_text()
    names = re.search(r"pub enum ErrorCode \{(.*?)\n\}", source, re.S)[1]
    codes = [re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower() for name in re.findall(r"^    ([A-Z]\w+),", names, re.M)]
    assert len(codes) > 10
    lacking = [code for code in codes if not any(name == f"error-{code}" or name.startswith(f"error-{code}-") for name in said)]
    assert set(lacking) <= {"cross_site", "gone", "method_not_allowed", "range_not_satisfiable", "unknown"}, "the page can receive these codes"


def ground(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


LIGHT, DARK = "rgb(245, 244, 249)", "rgb(19, 18, 24)"


def test_theme_follows_the_system_until_chosen(idle, visit):
    page = visit(idle, color_scheme="light")
    assert ground(page) == LIGHT
    page.emulate_media(color_scheme="dark")
    assert ground(page) == DARK
    page.get_by_label("Theme").select_option("Light")
    assert ground(page) == LIGHT
    page.emulate_media(color_scheme="light")
    page.get_by_label("Theme").select_option("Dark")
    assert ground(page) == DARK
    page.reload()
    expect(page.locator("#theme")).to_have_value("dark")
    assert ground(page) == DARK
    page.get_by_label("Theme").select_option("System")
    assert ground(page) == LIGHT
    page.reload()
    assert ground(page) == LIGHT


@pytest.mark.parametrize(("motion", "moves"), [("no-preference", True), ("reduce", False)])
def test_reduced_motion_disables_animations(idle, visit, motion, moves):
    idle.upload("Goes", data=tone(300))
    page = visit(idle, reduced_motion=motion)
    row(page, "Goes").get_by_role("button", name="Delete").click()
    moving = """() => [...document.querySelectorAll('*')].filter((each) => {
      const { animationName, transitionDuration } = getComputedStyle(each);
      return animationName !== 'none' || parseFloat(transitionDuration) > 0;
    }).length"""
    expect(page.locator(".toast")).to_be_visible()
    assert (page.evaluate(moving) > 0) == moves
    if not moves:
        assert page.evaluate("document.getAnimations().length") == 0


# Serving.


def get(service, path, method="GET", **headers):
    """Returns the status, the headers and the raw body."""
    headers = {name.replace("_", "-"): text for name, text in headers.items()}
    request = urllib.request.Request(service.address + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def paths():
    return ["/", *(f"/web/{file.name}" for file in sorted(WEB.iterdir()) if file.name != "index.html")]


def served(file):
    """Returns a file as the program serves it: the lines of comments in scripts and styles are empty."""
    if file.suffix not in {".js", ".css"}:
        return file.read_bytes()
    text = re.sub(r"^[ \t]*/\*(?:[^*]|\*(?!/))*\*/[ \t]*$", lambda found: "\n" * found[0].count("\n"), file.read_text(), flags=re.M)
    return re.sub(r"^[ \t]*//.*$", "", text, flags=re.M).encode()


@built
def test_files_are_served_with_a_strict_policy_and_without_comments(idle):
    for path in paths():
        status, headers, body = get(idle, path)
        file = WEB / (path.rpartition("/")[2] or "index.html")
        assert (status, body) == (200, served(file)), path
        kinds = {".html": "text/html", ".css": "text/css", ".png": "image/png", ".js": "text/javascript", ".json": "application/json", ".svg": "image/svg+xml", ".webmanifest": "application/manifest+json"}
        assert headers["Content-Type"].startswith(kinds[file.suffix])
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["Cache-Control"] == "no-cache"
        policy = dict(each.strip().partition(" ")[::2] for each in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["img-src"] == "'self'"
        assert policy["require-trusted-types-for"] == "'script'"
        assert "unsafe" not in headers["Content-Security-Policy"] and "*" not in headers["Content-Security-Policy"]


@built
def test_files_are_compressed_and_revalidated(idle):
    for path in paths():
        _, plain, whole = get(idle, path)
        status, headers, body = get(idle, path, Accept_Encoding="gzip, deflate, br")
        assert (status, headers["Content-Encoding"], headers["Vary"]) == (200, "gzip", "Accept-Encoding")
        assert gzip.decompress(body) == whole
        assert len(body) < len(whole) or len(whole) < 400 or path.endswith(".png"), path
        assert get(idle, path, If_None_Match=plain["ETag"])[::2] == (304, b"")
        assert get(idle, path, Accept_Encoding="gzip", If_None_Match=headers["ETag"])[::2] == (304, b"")
        # The encodings differ, so caches must not mix them up.
        assert plain["ETag"] != headers["ETag"]
        assert get(idle, path, If_None_Match='"another"')[0] == 200


def test_only_get_and_head_of_known_files(idle):
    for path in ["/", "/web/app.js"]:
        status, headers, body = get(idle, path, "HEAD")
        assert (status, body, int(headers["Content-Length"])) == (200, b"", len(get(idle, path)[2]))
        for method in ["POST", "PUT", "DELETE"]:
            status, headers, _ = get(idle, path, method)
            assert (status, headers["Allow"]) == (405, "GET, HEAD")
    for path in ["/web/", "/web/nothing.js", "/web/../Cargo.toml", "/web/%2e%2e/Cargo.toml", "/index.html"]:
        assert get(idle, path)[0] == 404, path


def test_browser_enforces_the_policy(idle, browser):
    """Injected markup neither runs nor sends requests."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(idle.address)
    expect(page.locator("#count")).to_have_text("No songs yet. Upload one above.")
    page.evaluate(
        """() => {
          window.broken = {};
          document.addEventListener('securitypolicyviolation', (event) => { window.broken[event.effectiveDirective] = 'yes'; });
          const tries = [
            () => document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.ran = 1">'),
            () => { document.body.append(document.createElement('script')); document.body.lastChild.text = 'window.ran = 1'; },
            () => { document.body.append(document.createElement('img')); document.body.lastChild.src = 'http://localhost:9/x.png'; },
            () => document.querySelector('h1').setAttribute('style', 'color: red'),
          ];
          for (const each of tries) try { each(); } catch { /* blocked */ }
          fetch('http://localhost:9/').catch(() => {});
        }"""
    )
    for directive in ["require-trusted-types-for", "img-src", "style-src-attr", "connect-src"]:
        page.wait_for_function("(directive) => window.broken[directive]", arg=directive)
    assert page.evaluate("window.ran") is None
    context.close()


# Size and speed budgets.


# The limit of the project is 90 kB; the rest is for features to come.
MOST_BYTES = 82_000


def weight(page, service):
    """Returns what the page has loaded, compressed: files, the larger language, icons and the manifest, which browsers load on their own."""
    asked = {url.removeprefix(service.address).partition("#")[0].removeprefix("/web/") for url in page.context.watched.requests}
    names = {file.name for file in WEB.iterdir()}
    files = (asked & names) - {"en.json"} | {"index.html", "ru.json", "icon.svg", "icon-full.svg", "manifest.webmanifest"}
    return {name: len(gzip.compress(served(WEB / name))) for name in files}


def test_visits_are_within_the_size_budget(idle, visit, songs):
    """Visits with an empty cache; what is not used is not loaded."""
    page = visit(idle)
    expect(page.locator(".song")).to_have_count(5)
    rest(page)
    sizes = weight(page, idle)
    assert {"list.js", "style.css"} <= set(sizes) and sum(sizes.values()) < 45_000, sizes
    later = {"song.js", "player.js", "account.js", "callbacks.js", "shared.js", "resumable.js"}
    assert not later & set(sizes)
    page = visit(idle, f"/#/songs/{songs['Split']['id']}")
    expect(page.locator("#play")).to_be_enabled()
    sizes = weight(page, idle)
    assert {"song.js", "player.js", "engine.js"} <= set(sizes) and sum(sizes.values()) < MOST_BYTES, sizes
    later = {"practice.js", "stretch.js", "karaoke.js", "lyrics.js", "share.js", "account.js"}
    assert not later & set(sizes)


def test_failed_part_of_the_page_is_told(idle, visit, songs):
    page = visit(idle, f"/#/songs/{songs['Split']['id']}")
    expect(page.locator("#play")).to_be_enabled()
    page.route("**/web/share.js", lambda route: route.abort())
    page.locator("#share").click()
    expect(page.locator(".toast.bad")).to_contain_text("A part of the page could not be loaded.")
    page.unroute("**/web/share.js")
    page.get_by_role("button", name="Reload").click()
    expect(page.locator("#play")).to_be_enabled()
    page.locator("#share").click()
    expect(page.locator("#share-dialog")).to_be_visible()


def test_first_paint_within_one_second(idle, visit):
    """Takes the best of several attempts to reduce noise."""
    times = []
    # Repeat on a busy machine; a slow page fails every attempt.
    while len(times) < 10 and not any(time < 1000 for time in times):
        page = visit(idle)
        paint = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        times.append(page.wait_for_function(paint).json_value())
    assert min(times) < 1000, times
