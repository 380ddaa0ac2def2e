"""Staff write templates: what they see while they type, and what is stored."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from commsproject.common.models import ApiClient
from notifications.models import Notification
from notifications.services import proofs
from templates_app import services
from templates_app.models import Kind, Template
from tests.e2e.conftest import PHONE

HTML = """\
<h1>Hello {{ user.name }}</h1>
<p>Order {{ order.number }} of {{ order.placed_at | date("long") }}:</p>
<ul>{% for line in order.lines %}<li>{{ line.title }}, {{ line.price | currency("EUR") }}</li>{% endfor %}</ul>
"""


def make(key="order-shipped", **content):
    channels = {
        "email": {"subject": "Order {{ order.number }}", "html": HTML},
        "sms": {"text": "Order {{ order.number }} is on the way."},
    }
    return services.create(
        key=key,
        name="Order shipped",
        author="api",
        **{"locale": "en", "channels": channels, **content},
    )


def editor_of(template):
    return reverse("admin:templates_app_template_change", args=[template.pk])


def source(page: Page, part: str):
    return page.locator(f"[data-part={part}] .cm-content")


def write(page: Page, part: str, text: str) -> None:
    """Replaces a source as one who types does, but for the brackets that close themselves."""
    source(page, part).click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(text)


def mail(page: Page):
    return page.frame_locator("[name=ed-frame]").locator("body")


def saved(page: Page) -> None:
    expect(page.locator("#ed-status")).to_have_text("All is saved")


def test_a_template_is_written_seen_published_and_compared(visit):
    staff = visit()
    page = staff.go(reverse("admin:templates_app_template_add"))
    page.locator("[name=name]").press_sequentially("Order shipped")
    expect(page.locator("[name=key]")).to_have_value("order-shipped")
    staff.shot("new")
    page.get_by_role("button", name="Save", exact=True).click()

    expect(mail(page)).to_contain_text("Say here what this is about.")  # the starter's MJML
    write(page, "subject", "Order {{ order.number }}")
    expect(page.locator(".ed-inbox-subject")).to_have_text("Order 1042")
    staff.shot("mjml")
    page.get_by_role("button", name="HTML", exact=True).first.click()
    write(page, "html", HTML)
    expect(mail(page)).to_contain_text("Hello Ada")
    expect(mail(page)).to_contain_text("€19.90")
    expect(page.locator("#ed-variables")).to_contain_text("placed_at")
    staff.shot("written")

    source(page, "html").click()
    page.keyboard.press("ControlOrMeta+End")
    page.keyboard.insert_text("<p>{{ order.number | uper }}</p>")
    expect(page.locator("[data-part=html] .ed-said")).to_contain_text("Did you mean upper?")
    expect(page.locator("[data-part=html] .ed-said")).to_contain_text("line 4, column")
    expect(page.locator("#ed-channels .ed-mark")).to_have_text("1")
    expect(page.locator("[data-part=html] .cm-lintRange-error")).to_have_count(1)
    staff.shot("error")
    page.keyboard.press("ControlOrMeta+z")
    expect(page.locator("#ed-channels .ed-mark")).to_have_count(0)

    page.get_by_role("button", name="Publish").click()
    page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    expect(page.locator(".ed-alert-good")).to_contain_text("v1 is published")
    expect(page.locator("#ed-standing")).to_have_text("v1 in use")

    write(page, "subject", "Your order {{ order.number }}")
    page.keyboard.press("ControlOrMeta+s")
    saved(page)
    expect(page.locator("#ed-standing")).to_have_text("v1 in use, v2 drafted")
    page.get_by_role("link", name="Versions").click()
    staff.shot("versions")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("ins")).to_contain_text("Your")
    staff.shot("compare")
    page.get_by_role("link", name="Restore v1").click()
    page.get_by_role("button", name="Restore v1").click()
    expect(page.locator("[data-part=subject] .cm-content")).to_have_text("Order {{ order.number }}")

    template = Template.objects.get()
    assert template.versions.get(number=1).published_at is not None
    assert (
        template.versions.get(number=2).channels["email"]["subject"] == "Order {{ order.number }}"
    )


def test_nothing_in_a_preview_runs_or_loads_without_a_click(visit):
    hostile = (
        '<p id="own">Mine</p><img src="https://tracker.example/a.png" onerror="top.hacked = 1">'
        '<script>document.getElementById("own").textContent = "Ran"; top.hacked = 1</script>'
        '<style>@import "https://tracker.example/b.css"; p {background: url(https://tracker.example/c.png)}</style>'
    )
    channels = {"email": {"subject": "S", "html": hostile}}
    staff = visit()
    page = staff.go(editor_of(make(channels=channels)))
    expect(mail(page)).to_contain_text("Mine")
    expect(page.locator(".ed-note", has_text="not loaded")).to_be_visible()
    assert staff.requests == []
    with page.expect_request("https://tracker.example/a.png"):
        page.get_by_role("button", name="Load", exact=True).click()
    expect(page.locator(".ed-note", has_text="where they are")).to_be_visible()
    expect(mail(page)).to_contain_text("Mine")
    assert not [url for url in staff.requests if url.endswith(".css")]
    assert page.evaluate("window.hacked") is None
    staff.errors.clear()  # the browser says what it has refused


def test_each_channel_and_language_is_shown_as_its_reader_gets_it(visit):
    push = {
        "title": "On the way",
        "body": "Order {{ order.number }}",
        "link": "https://example.com",
    }
    template = make(
        channels={
            "email": {
                "subject": "Hello",
                "preheader": "Before",
                "html": "<p>{{ v | number(1) }}</p>",
            },
            "sms": {"text": "Hello {{ order.number }}"},
            "push": push,
            "inapp": {"title": "Here", "body": "It is {{ v | number(1) }}"},
        },
        translations={
            "de": {"email": {"subject": "Hallo", "html": "<p>Zahl {{ v | number(1) }}</p>"}}
        },
        samples=[{"name": "big", "data": {"v": 1234.5, "order": {"number": 7}}, "locale": ""}],
    )
    staff = visit()
    page = staff.go(editor_of(template))
    expect(mail(page)).to_contain_text("1,234.5")
    expect(page.locator(".ed-inbox-below")).to_have_text("Before")
    for look in ("dark", "light"):
        page.click(f"#ed-look [value={look}]")
        for width in ("phone", "desktop"):
            page.click(f"#ed-width [value={width}]")
            staff.shot(f"email-{look}-{width}")
    page.click("#ed-body [value=text]")
    expect(page.locator(".ed-text").first).to_contain_text("1,234.5")
    page.click("#ed-body [value=html]")

    page.get_by_role("tab", name="German").click()
    expect(mail(page)).to_have_text("Zahl 1.234,5")
    expect(page.locator("#ed-channels")).to_contain_text("fallback")
    page.get_by_role("tab", name="SMS").click()
    expect(page.locator("#ed-parts")).to_contain_text("SMS is not in German")
    expect(page.locator(".ed-sms")).to_have_text("Hello 7")
    expect(page.locator(".ed-facts")).to_contain_text("Segments")
    staff.shot("sms-fallback")
    page.get_by_role("button", name="Begin with a copy").click()
    write(page, "text", "Hallo {{ order.number }} \u2013 ja")
    expect(page.locator(".ed-sms")).to_contain_text("Hallo 7")

    page.get_by_role("tab", name="English").click()
    page.get_by_role("tab", name="Push").click()
    expect(page.locator(".ed-push")).to_contain_text("Order 7")
    staff.shot("push")
    page.get_by_role("tab", name="In-app").click()
    expect(page.locator(".ed-inapp")).to_contain_text("1,234.5")
    staff.shot("inapp")
    page.keyboard.press("ControlOrMeta+s")
    saved(page)
    stored = template.versions.get().translations["de"]
    assert stored["sms"] == {"text": "Hallo {{ order.number }} \u2013 ja"}

    page.get_by_role("tab", name="German").click()
    page.get_by_role("tab", name="SMS").click()
    page.get_by_role("button", name="Remove this translation of SMS").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.locator("#ed-parts")).to_contain_text("SMS is not in German")
    page.get_by_role("button", name="Remove German").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("tab", name="German")).to_have_count(0)
    page.get_by_role("button", name="Translation").click()
    page.fill("#ed-locale-dialog [name=locale]", "en")
    page.get_by_role("dialog").get_by_role("button", name="Add").click()
    expect(page.get_by_role("dialog")).to_contain_text("written in this language already")
    page.fill("#ed-locale-dialog [name=locale]", "pt-BR")
    page.get_by_role("dialog").get_by_role("button", name="Add").click()
    expect(page.get_by_role("tab", name="Brazilian Portuguese")).to_be_visible()


def test_variables_are_described_and_samples_are_tried(visit):
    template = make()
    staff = visit()
    page = staff.go(editor_of(template))
    expect(mail(page)).to_contain_text("Hello Ada")
    page.locator("[data-key='more:user.name']").click()
    page.fill("[data-key='description:user.name']", "What we call them")
    page.fill("[data-key='example:user.name']", "Grace")
    page.keyboard.press("Tab")
    expect(mail(page)).to_contain_text("Hello Grace")
    staff.shot("variables")
    source(page, "subject").click()
    page.keyboard.press("ControlOrMeta+End")
    page.locator("[data-key='insert:user.name']").click()
    expect(source(page, "subject")).to_have_text("Order {{ order.number }}{{ user.name }}")

    page.get_by_role("tab", name="Samples").click()
    page.get_by_role("button", name="Sample", exact=True).click()
    page.fill("#ed-sample-name", "Long name")
    page.keyboard.press("Tab")
    page.locator("#ed-sample-editor .cm-content").click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text('{"user": {"name": ')
    expect(page.locator("#ed-sample-said")).to_contain_text("not JSON yet")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text('{"user": {"name": "Augusta"}, "order": {"number": 7}}')
    expect(page.locator("#ed-problems")).to_contain_text("order.placed_at")
    staff.shot("sample")
    page.get_by_role("button", name="Save draft").click()
    saved(page)
    template.refresh_from_db()
    assert [sample["name"] for sample in template.samples] == ["Long name"]
    described = template.versions.get().schema["properties"]["user"]["properties"]["name"]
    assert described["description"] == "What we call them"

    page.get_by_role("button", name="Publish").click()
    page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    expect(page.locator(".ed-alert-bad")).to_contain_text("Long name")
    staff.shot("publish-refused")
    assert template.versions.get().published_at is None


def test_two_who_write_at_once_keep_both_their_changes(visit):
    template = make()
    ada, grace = visit("ada"), visit("grace")
    for each in (ada, grace):
        expect(mail(each.go(editor_of(template)))).to_contain_text("Hello")
    write(ada.page, "subject", "By Ada")
    ada.page.keyboard.press("ControlOrMeta+s")
    saved(ada.page)
    write(grace.page, "preheader", "By Grace")
    expect(grace.page.locator("[data-kind=others]")).to_contain_text("ada has saved")
    grace.page.keyboard.press("ControlOrMeta+s")
    expect(grace.page.locator("[data-kind=conflict]")).to_contain_text("fit together")
    grace.shot("conflict")
    grace.page.get_by_role("button", name="Keep both").click()
    saved(grace.page)
    email = template.versions.get().channels["email"]
    assert (email["subject"], email["preheader"]) == ("By Ada", "By Grace")

    write(grace.page, "subject", "Grace again")
    grace.page.keyboard.press("ControlOrMeta+s")
    saved(grace.page)
    write(ada.page, "subject", "Ada again")
    ada.page.keyboard.press("ControlOrMeta+s")
    expect(ada.page.locator("[data-kind=conflict]")).to_contain_text(
        "Both of you changed: Email subject; there yours stays"
    )
    ada.page.get_by_role("button", name="Throw mine away").click()
    ada.page.get_by_role("dialog").get_by_role("button", name="Throw away").click()
    expect(source(ada.page, "subject")).to_have_text("Grace again")
    expect(source(ada.page, "preheader")).to_have_text("By Grace")
    saved(ada.page)


def test_what_was_written_outlives_the_session_and_the_tab(visit):
    template = make()
    staff = visit()
    page = staff.go(editor_of(template))
    expect(mail(page)).to_contain_text("Hello")
    kept = staff.context.cookies()
    staff.context.clear_cookies()
    write(page, "subject", "Not lost")
    page.keyboard.press("ControlOrMeta+s")
    expect(page.locator("[data-kind=session]")).to_contain_text("session has ended")
    staff.shot("session-ended")
    staff.context.add_cookies(kept)
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.locator("[data-kind=kept]")).to_contain_text("not saved")
    page.get_by_role("button", name="Take them up").click()
    expect(source(page, "subject")).to_have_text("Not lost")
    page.keyboard.press("ControlOrMeta+s")
    saved(page)
    assert template.versions.get().channels["email"]["subject"] == "Not lost"


def test_a_page_of_html_is_imported(visit):
    template = make(channels={})
    staff = visit()
    page = staff.go(editor_of(template))
    page.get_by_role("button", name="Email").click()
    page.get_by_role("button", name="Import HTML").click()
    page.fill(
        "[name=html]",
        "<title>News of June</title><script>x()</script><h1 onclick='y()'>June</h1><p>Hello</p>",
    )
    staff.shot("import")
    page.get_by_role("dialog").get_by_role("button", name="Import").click()
    expect(page.locator("[data-kind=imported]")).to_contain_text("<script>")
    expect(source(page, "subject")).to_have_text("News of June")
    expect(source(page, "html")).to_have_text(re.compile("<h1>June</h1><p>Hello</p>"))
    expect(source(page, "text")).to_contain_text("Hello")
    expect(mail(page)).to_contain_text("June")


def test_a_test_goes_out_by_the_engine(visit, agent):
    template = make(channels={"email": {"subject": "Hi {{ name }}", "text": "Hello {{ name }}"}})
    staff = visit()
    page = staff.go(editor_of(template))
    page.get_by_role("button", name="Test send").click()
    page.fill("[name=to]", "me@simulator.test")
    staff.shot("test-send")
    page.get_by_role("dialog").get_by_role("button", name="Send it").click()
    expect(page.locator("[data-kind=sent]")).to_contain_text("Accepted")
    sent = Notification.objects.get()
    assert sent.tags == [proofs.TAG]
    assert ApiClient.objects.get() == sent.client
    assert not sent.deliveries.get().attempts.exists()


def test_a_layout_is_chosen_and_a_partial_put_in(visit):
    for kind, source_ in ((Kind.LAYOUT, "<p>Top</p>{{ content }}"), (Kind.PARTIAL, "<p>Bye</p>")):
        shared = make(key=kind.value, kind=kind, channels={"email": {"html": source_}})
        services.publish(shared)
    staff = visit()
    page = staff.go(editor_of(make()))
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("dialog").get_by_label("Layout").select_option("layout")
    staff.shot("settings")
    page.get_by_role("dialog").get_by_role("button", name="Use these").click()
    expect(mail(page)).to_contain_text("Top")
    source(page, "html").click()
    page.keyboard.press("ControlOrMeta+End")
    page.get_by_role("tab", name="Help").click()
    staff.shot("help")
    page.get_by_role("button", name='{% include "partial" %}').click()
    expect(mail(page)).to_contain_text("Bye")
    page.keyboard.press("ControlOrMeta+s")
    saved(page)
    staff.go(
        reverse(
            "admin:templates_app_template_versions", args=[Template.objects.get(key="layout").pk]
        )
    )
    expect(page.locator("#content")).to_contain_text("Used by")


def test_an_archived_template_is_to_look_at(visit):
    template = make()
    services.publish(template)
    services.archive(template)
    staff = visit()
    page = staff.go(editor_of(template))
    expect(mail(page)).to_contain_text("Hello Ada")
    expect(page.locator("#ed-status")).to_have_text("To look at")
    expect(page.get_by_role("button", name="Save draft")).to_have_count(0)
    expect(source(page, "subject")).to_have_attribute("contenteditable", "false")
    page.get_by_role("tab", name="Samples").click()
    staff.shot("archived")
    page.get_by_role("link", name="Take it back").click()
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_role("button", name="Save draft")).to_be_visible()


def test_all_of_it_works_without_a_mouse(visit):
    template = make(translations={"de": {"sms": {"text": "Hallo"}}})
    staff = visit()
    page = staff.go(editor_of(template))
    expect(mail(page)).to_contain_text("Hello")
    page.get_by_role("tab", name="English").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="German")).to_be_focused()
    page.keyboard.press("Home")
    expect(page.get_by_role("tab", name="English")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("tab", name="Email")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="SMS")).to_be_focused()
    page.keyboard.press("Tab")  # an offer to add each channel that is missing
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(source(page, "text")).to_be_focused()
    page.keyboard.press("ControlOrMeta+End")
    page.keyboard.type(" {{ order.")
    expect(page.locator(".cm-tooltip-autocomplete")).to_contain_text("number")
    page.wait_for_timeout(200)  # at once, Enter would be meant for what was typed
    page.keyboard.press("Enter")
    expect(source(page, "text")).to_contain_text("{{ order.lines")
    page.keyboard.press("Tab")
    expect(source(page, "text")).not_to_be_focused()  # no trap
    page.locator("#ed-settings").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#ed-settings")).to_be_focused()
    nameless = page.evaluate(
        """[...document.querySelectorAll("button, a[href], input, select, textarea, summary")]
        .filter((each) => each.checkVisibility() && !each.innerText?.trim() && !each.getAttribute("aria-label")
          && !each.labels?.length && !each.title && each.type !== "hidden").map((each) => each.outerHTML)"""
    )
    assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_screen_fits_a_phone(visit, scheme):
    template = make()
    services.publish(template)
    services.revise(template, author="ada", name="Order shipped, the name of which is rather long")
    frame = services.create(
        key="frame",
        name="Frame",
        author="ada",
        locale="en",
        kind=Kind.LAYOUT,
        channels={"email": {"html": "<p>Top</p>{{ content }}<p>End</p>"}},
    )
    staff = visit(viewport=PHONE, color_scheme=scheme)
    addresses = {
        "list": reverse("admin:templates_app_template_changelist"),
        "add": reverse("admin:templates_app_template_add"),
        "editor": editor_of(template),
        "layout": editor_of(frame),
        "versions": reverse("admin:templates_app_template_versions", args=[template.pk]),
        "restore": reverse("admin:templates_app_template_restore", args=[template.pk, 1]),
        "version": reverse(
            "admin:templates_app_templateversion_change", args=[template.versions.get().pk]
        ),
    }
    for name, address in addresses.items():
        page = staff.go(address)
        panes = ("write", "preview", "data") if name in ("editor", "layout") else ("",)
        for pane in panes:
            if pane:
                page.click(f"#ed-switch [value={pane}]")
            staff.shot(f"phone-{scheme}-{name}{pane and '-'}{pane}")
            assert staff.fits(), name
