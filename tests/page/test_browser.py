"""The page in a real browser: what a person sees, types, clicks and copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from asyncpipe.catalog.page import Overview, render
from tests.catalog import overviews
from tests.page.browser import Watched, axe, browser
from tests.page.pictures import showcase
from tests.page.serving import served

pytestmark = pytest.mark.heavy("page")

NOW = overviews.NEWEST + timedelta(hours=15)
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1180, "height": 800}
# Each reached character of a text that is markup would have set it.
BROKEN = "window.broken"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as launched:
        yield launched


Opened = Callable[..., Watched]


@pytest.fixture
def opened(chromium: Any, tmp_path: Path) -> Iterator[Opened]:
    """Open a page; at the end its console must have said nothing."""
    contexts: list[Any] = []
    tabs: list[Watched] = []

    def open_(
        overview: Overview, *, address: str = "", destination: str = "s3://images/prod", **how: Any
    ) -> Watched:
        body = render(
            overview,
            destination=destination,
            base_url="https://images.example/prod/",
            made_utc=NOW.isoformat().replace("+00:00", "Z"),
            version="1.0",
        )
        file = tmp_path / "index.html"
        file.write_bytes(body)
        context = chromium.new_context(**{"viewport": DESK, **how})
        contexts.append(context)
        context.set_default_timeout(30_000)
        tab = Watched(page=context.new_page())
        tabs.append(tab)
        tab.page.on("console", lambda message: tab.said.append(message.text))
        tab.page.on("pageerror", lambda error: tab.said.append(str(error)))
        tab.page.clock.set_fixed_time(NOW)
        tab.page.goto(file.as_uri() + address)
        return tab

    yield open_
    said = [text for tab in tabs for text in tab.said]
    for context in contexts:
        context.close()
    assert said == []


def ids(page: Any) -> list[str]:
    """The templates that are listed."""
    found: list[str] = page.locator(".card").evaluate_all("all => all.map(one => one.dataset.id)")
    return found


def test_search_finds_names_systems_and_packages(opened: Opened) -> None:
    page = opened(showcase()).page
    search = page.locator("#search")
    search.fill("debian web")
    assert ids(page) == ["debian12-web"]
    search.fill("alma")
    assert ids(page) == ["almalinux10"]
    search.fill("package-31 ")
    assert len(ids(page)) == len(showcase().templates)
    assert page.locator(".card").first.locator(".sub").inner_text().endswith("package-31 1.31-2")
    search.fill("no such thing")
    assert ids(page) == []
    assert page.locator("#count").inner_text() == "No template matches."


def test_filters_and_order(opened: Opened) -> None:
    page = opened(showcase()).page
    page.select_option("#by-type", "debian")
    page.select_option("#by-channel", "stable")
    assert ids(page) == ["debian12", "debian13"]
    page.select_option("#by-type", "")
    page.select_option("#by-channel", "")
    page.select_option("#by-state", "ending")
    assert ids(page) == ["alpine3.22", "fedora41"]
    page.select_option("#by-state", "revoked")
    assert ids(page) == ["debian13"]
    page.select_option("#by-state", "")
    page.select_option("#by-order", "size")
    sizes = {view.short_id: view.versions[0].xva.size_bytes for view in showcase().templates}
    shown = ids(page)
    assert len(shown) == len(sizes)
    good = [one for one in shown if one != "debian13"]  # its newest version is revoked
    assert good == sorted(good, key=lambda one: -sizes[one])


def test_outdated_templates_and_children_of_a_revoked_version_are_marked(opened: Opened) -> None:
    shown = showcase()
    rocky = shown.templates[6]
    assert rocky.current is not None
    marked = replace(
        rocky,
        outdated={rocky.current.folder_key: "outdated on 2026-11-23: lacks 1 update: sudo"},
        inherited={rocky.current.folder_key: "rocky9@20260101T000000Z"},
    )
    templates = (*shown.templates[:6], marked, *shown.templates[7:])
    page = opened(replace(shown, templates=templates), address="#rocky9").page
    text = page.locator(".card.open").inner_text()
    assert "outdated on 2026-11-23: lacks 1 update: sudo" in text
    assert "rocky9@20260101T000000Z, revoked" in text
    assert "revoked parent" in page.locator(".card.open .sub").inner_text()
    page.select_option("#by-state", "outdated")
    assert ids(page) == ["rocky9"]


def test_an_open_template_tells_marks_facts_changes_and_plots(opened: Opened) -> None:
    page = opened(showcase(), address="#debian13").page
    card = page.locator(".card.open")
    assert card.get_attribute("data-id") == "debian13"
    assert "newest revoked" in card.locator(".sub").inner_text()
    text = card.inner_text()
    good = showcase().templates[4].current
    assert good is not None
    assert good.xva.sha256_hex in text
    assert "libssl3 3.0.16-1~deb12u1 → 3.0.17-1~deb12u3" in text
    assert "it does not boot" in text
    labels = card.locator("svg[role=img]").evaluate_all("all => all.map(x => x.ariaLabel)")
    assert [label.split(":")[0] for label in labels] == ["XVA size", "Build time"]
    links = card.locator(".links a").evaluate_all("all => all.map(one => one.href)")
    assert links[0] == f"https://images.example/prod/{good.xva.key}"
    assert all(url.startswith("https://") for url in links)
    card.locator("summary").click()
    card.get_by_label("Find a package of debian13").fill("package-31")
    assert card.locator(".packs li").count() == 11  # 31, and 310 to 319


def test_copied_lines_are_what_is_shown_and_can_be_pinned(opened: Opened) -> None:
    tab = opened(showcase(), permissions=["clipboard-read", "clipboard-write"], address="#debian12")
    page = tab.page
    page.locator(".card.open .copy").first.click()
    page.locator(".toast.on").wait_for()
    assert page.locator("#said").inner_text() == "Copied"
    read = "navigator.clipboard.readText()"
    wanted = "asyncpipe import debian12 --host HOST --as-template --destination s3://images/prod"
    assert page.evaluate(read) == wanted
    good = showcase().templates[2].current
    assert good is not None
    page.get_by_label("Version of debian12").select_option(label=f"debian12@{good.timestamp}")
    page.get_by_label("Copy : Download with curl").click()
    curl = page.evaluate(read)
    assert f"https://images.example/prod/{good.xva.key}" in curl
    assert f"{good.xva.sha256_hex}  debian12.xva" in curl


def test_copying_works_where_the_clipboard_is_not_allowed(opened: Opened) -> None:
    page = opened(showcase(), address="#debian12").page
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.locator(".card.open .copy").first.click()
    page.locator(".toast.on").wait_for()
    assert page.locator("#said").inner_text() == "Copied"


def test_a_folder_whose_name_a_shell_would_split_is_quoted(opened: Opened) -> None:
    page = opened(showcase(), destination="/srv/it's here", address="#debian12").page
    line = page.locator(".card.open .line code").first.text_content()
    assert line.endswith(r"--destination '/srv/it'\''s here'")


def test_the_dark_theme_follows_the_system_and_the_button(opened: Opened) -> None:
    page = opened(showcase(), color_scheme="dark").page
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    theme = page.locator("#theme")
    theme.click()
    assert theme.inner_text() == "Theme: light"
    light = page.evaluate(paper)
    theme.click()
    assert theme.inner_text() == "Theme: dark"
    assert page.evaluate(paper) == dark != light
    page.reload()
    assert theme.inner_text() == "Theme: dark"


def test_a_keyboard_is_enough(opened: Opened) -> None:
    page = opened(showcase()).page
    keys = page.keyboard
    keys.press("/")
    keys.type("debian")
    assert ids(page) == ["debian12", "debian12-web", "debian13"]
    keys.press("ArrowDown")
    keys.press("ArrowDown")
    keys.press("Enter")
    assert page.locator(".card.open").get_attribute("data-id") == "debian12-web"
    keys.press("Tab")
    keys.press("Escape")
    assert page.locator(".card.open").count() == 0
    focused = "document.activeElement.closest('.card').dataset.id"
    assert page.evaluate(focused) == "debian12-web"
    keys.press("ArrowUp")
    keys.press("ArrowUp")
    keys.press("Escape")
    assert page.locator("#search").input_value() == ""
    assert len(ids(page)) == len(showcase().templates)


@pytest.mark.parametrize("overview", [showcase, overviews.hostile], ids=["ordinary", "hostile"])
def test_a_phone_scrolls_in_one_direction_only(
    opened: Opened, overview: Callable[[], Overview]
) -> None:
    page = opened(overview(), viewport=PHONE, is_mobile=True, has_touch=True).page
    for row in page.locator(".row").all():
        row.tap()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing(opened: Opened, scheme: str, viewport: dict[str, int]) -> None:
    page = opened(showcase(), color_scheme=scheme, viewport=viewport, address="#debian13").page
    page.locator(".card.open summary").click()
    page.evaluate(axe())
    found = page.evaluate("axe.run()")
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]] == []


def test_hostile_text_is_shown_as_text(opened: Opened) -> None:
    page = opened(overviews.hostile(), destination=overviews.HOSTILE[1]).page
    for card in page.locator(".row").all():
        card.click()
    assert page.evaluate(BROKEN) is None
    assert page.locator("#list img, #list script").count() == 0
    names = page.locator(".card .name").all_inner_texts()
    assert overviews.HOSTILE[1] in names
    assert r"abc\u202etxt.exe\u2066\u200f" in names
    page.locator("#search").fill("</script>")
    assert ids(page) == ["bad0", "bad1"]
    assert page.title() == f"Templates at {overviews.HOSTILE[1]}"


@pytest.mark.parametrize(("templates", "versions"), [(1, 10_000), (400, 25)])
def test_ten_thousand_versions_are_there_at_once(
    opened: Opened, templates: int, versions: int
) -> None:
    page = opened(overviews.many(templates, versions)).page
    page.locator(".card").first.wait_for()
    assert page.locator(".card").count() == min(templates, 40)
    page.locator(".row").first.click()
    rows = page.locator(".card.open tbody tr")
    assert rows.count() == 10
    page.get_by_role("button", name="Show more versions").click()
    assert rows.count() == min(versions, 50)
    if templates > 40:
        page.get_by_role("button", name="Show more", exact=True).click()
        assert page.locator(".card").count() == 80


def test_a_published_page_links_to_what_lies_beside_it(chromium: Any, tmp_path: Path) -> None:
    body = render(
        showcase(),
        destination="s3://images/prod",
        base_url="",
        made_utc="2026-11-24T08:00:00Z",
        version="1.0",
    )
    (tmp_path / "prod").mkdir()
    (tmp_path / "prod/index.html").write_bytes(body)
    good = showcase().templates[2].current
    assert good is not None
    folder = tmp_path / "prod" / good.folder_key
    folder.mkdir(parents=True)
    (folder / "build.log").write_text("the log of the build")
    with served(tmp_path) as url:
        page = chromium.new_page()
        page.goto(f"{url}prod/?x=1#debian12")
        page.get_by_role("link", name="Build log").click()
        page.wait_for_url("**/build.log")
        assert page.locator("body").inner_text() == "the log of the build"
        page.close()


def test_without_javascript_the_list_is_there(chromium: Any, tmp_path: Path) -> None:
    body = render(
        showcase(),
        destination="s3://images/prod",
        base_url="",
        made_utc="2026-11-24T08:00:00Z",
        version="1.0",
    )
    (tmp_path / "index.html").write_bytes(body)
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((tmp_path / "index.html").as_uri())
    assert page.locator("noscript tbody tr").count() == len(showcase().templates)
    context.close()
