"""The views without a browser's help: signing in, forms, and who is kept out. No script runs here."""

from __future__ import annotations

import hashlib
import re

import pytest

from desk.context import Settings
from tests.store.desk_support import DOWN, TOKEN, Town, event, town
from triage.model import Command, Verb
from triage.store import keys, queries


async def opened(here: Town) -> str:
    """Open one incident; return the six characters that people see."""
    await here.send(DOWN)
    page = await queries.incidents(here.client, queries.IncidentFilter())
    return page.items[0].key[:6]


@pytest.mark.parametrize("path", ["/", "/alerts", "/incidents/aaaaaa", "/alerts?label=a%3Db"])
async def test_views_send_strangers_to_sign_in_and_back(redis_url: str, path: str) -> None:
    async with town(redis_url, open_reads=True) as here:
        answer, _ = await here.view(path)
        assert answer.status == 303
        goal = answer.headers["Location"]
        assert goal.startswith("/login?next=/")
        _, text = await here.view(goal)
        wanted = re.search(r'name="next" value="([^"]*)"', text)
        assert wanted is not None
        answer, _ = await here.post("/login", {"token": TOKEN, "next": wanted[1]})
        assert answer.headers["Location"] == path


@pytest.mark.parametrize(
    "goal", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "/a\r\nb"]
)
async def test_signing_in_never_leads_elsewhere(redis_url: str, goal: str) -> None:
    async with town(redis_url) as here:
        answer, _ = await here.post("/login", {"token": TOKEN, "next": goal})
        assert (answer.status, answer.headers["Location"]) == (303, "/")


async def test_a_wrong_token_is_told_so_and_guessing_is_slowed_down(redis_url: str) -> None:
    async with town(redis_url) as here:
        for _ in range(10):
            answer, text = await here.post("/login", {"token": "guess"})
            assert answer.status == 401
            assert "not known here" in text
        answer, _ = await here.post("/login", {"token": TOKEN})
        assert answer.status == 429


async def test_the_cookie_is_kept_from_scripts_and_its_value_is_not_in_the_store(redis_url: str) -> None:
    async with town(redis_url) as here:
        answer, _ = await here.post("/login", {"token": TOKEN})
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Secure" not in cookie
        value = answer.cookies["tocsin"].value
        assert len(value) >= 43
        kept = [key async for key in here.client.scan_iter(keys.SESSIONS + "*")]
        assert len(kept) == 1
        session = await here.client.get(kept[0])
        assert isinstance(session, bytes)
        assert value.encode() not in kept[0] + session
        assert TOKEN.encode() not in session


async def test_behind_https_the_cookie_has_the_host_prefix(redis_url: str) -> None:
    async with town(redis_url, external_url="https://tocsin.example") as here:
        answer, _ = await here.post("/login", {"token": TOKEN})
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-tocsin=")
        assert "Secure" in cookie
        assert "Path=/" in cookie
        assert "Domain" not in cookie


async def test_signing_in_again_ends_the_session_before(redis_url: str) -> None:
    async with town(redis_url) as here:
        first, _ = await here.post("/login", {"token": TOKEN})
        old = first.cookies["tocsin"].value
        await here.post("/login", {"token": TOKEN})
        here.session.cookie_jar.clear()
        answer, _ = await here.view("/", headers={"Cookie": f"tocsin={old}"})
        assert answer.status == 303


async def test_signing_out_ends_the_session_also_for_a_kept_cookie(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.sign_in()
        cookie = {one.key: one.value for one in here.session.cookie_jar}["tocsin"]
        answer, _ = await here.post("/logout", {"csrf": here.csrf})
        assert answer.status == 303
        answer, _ = await here.view("/", headers={"Cookie": f"tocsin={cookie}"})
        assert answer.status == 303


async def test_a_session_ends_after_a_week_and_with_its_token(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.sign_in()
        assert (await here.view("/"))[0].status == 200
        tokens = {"admin": hashlib.sha256(b"another token").hexdigest()}
        settings, here.desk.settings = here.desk.settings, Settings(tokens=tokens)
        assert (await here.view("/"))[0].status == 303
        here.desk.settings = settings
        assert (await here.view("/"))[0].status == 200
        here.clock.now += 7 * 24 * 3_600_000 + 1
        assert (await here.view("/"))[0].status == 303


async def test_idle_sessions_expire_in_the_store_and_use_extends_them(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.sign_in()
        [key] = [key async for key in here.client.scan_iter(keys.SESSIONS + "*")]
        assert 11 * 3600 < await here.client.ttl(key) <= 12 * 3600
        await here.client.expire(key, 60)
        await here.view("/")
        assert await here.client.ttl(key) > 11 * 3600


async def test_every_view_forbids_scripts_frames_and_keeping(redis_url: str) -> None:
    async with town(redis_url) as here:
        name = await opened(here)
        answers = [(await here.view("/login"))[0]]
        await here.sign_in()
        for path in ("/", "/alerts", f"/incidents/{name}", "/incidents/zzzzzz"):
            answers.append((await here.view(path))[0])
        for answer in answers:
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        for path in ("/static/desk.js", "/static/desk.css", "/static/bell.svg"):
            assert (await here.view(path))[0].status == 200
        assert (await here.view("/static/..%2Fcontext.py"))[0].status == 404


ORIGINS = [
    ({}, True),
    ({"Origin": "{own}"}, True),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "{own}"}, True),
    ({"Origin": "null"}, False),
    ({"Origin": "https://evil.example"}, False),
    ({"Origin": "{own}.evil.example"}, False),
    ({"Origin": ""}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "same-site", "Origin": "{own}"}, False),
    ({"Sec-Fetch-Site": "none"}, False),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, False),
]


@pytest.mark.parametrize(("headers", "good_origin"), ORIGINS)
@pytest.mark.parametrize("secret", ["right", "wrong", "empty", "missing"])
async def test_a_form_counts_only_from_our_own_view_with_its_secret(
    redis_url: str, headers: dict[str, str], good_origin: bool, secret: str
) -> None:
    """The matrix: origin by secret, over a form of the views and a request of the API by cookie."""
    async with town(redis_url) as here:
        name = await opened(here)
        await here.sign_in()
        sent = {key: value.format(own=here.url) for key, value in headers.items()}
        offered = {"right": here.csrf, "wrong": here.csrf[::-1], "empty": ""}.get(secret)
        before = await here.client.xlen(keys.JOURNAL)
        async with here.draining():
            fields = {} if offered is None else {"csrf": offered}
            answer, _ = await here.post(f"/incidents/{name}/note", {"text": "by form", **fields}, headers=sent)
            more = {} if offered is None else {"X-CSRF-Token": offered}
            status, _ = await here.ask(
                "POST", f"/incidents/{name}/note", token=None, json={"text": "by api"}, headers=sent | more
            )
        good = good_origin and secret == "right"
        assert (answer.status, status) == ((303, 200) if good else (403, 403))
        assert await here.client.xlen(keys.JOURNAL) == before + (2 if good else 0)


@pytest.mark.parametrize("headers", [one for one, good in ORIGINS if not good])
async def test_nobody_is_signed_in_by_another_site(redis_url: str, headers: dict[str, str]) -> None:
    async with town(redis_url) as here:
        sent = {key: value.format(own=here.url) for key, value in headers.items()}
        answer, _ = await here.post("/login", {"token": TOKEN}, headers=sent)
        assert answer.status == 403
        assert "Set-Cookie" not in answer.headers


async def test_reading_never_changes_anything(redis_url: str) -> None:
    async with town(redis_url) as here:
        name = await opened(here)
        await here.sign_in()
        before = await here.client.xlen(keys.JOURNAL)
        for verb in ("acknowledge", "resolve", "note"):
            answer, _ = await here.view(f"/incidents/{name}/{verb}")
            assert answer.status == 405
        assert (await here.view("/logout"))[0].status == 405
        assert await here.client.xlen(keys.JOURNAL) == before


async def test_an_incident_is_worked_through_with_plain_forms(redis_url: str) -> None:
    async with town(redis_url) as here:
        name = await opened(here)
        await here.sign_in()
        at = f"/incidents/{name}"
        async with here.draining():
            _, text = await here.view("/")
            assert "checkout is down" in text
            assert "nobody has it" in text
            answer, _ = await here.post(f"{at}/acknowledge", {"csrf": here.csrf})
            assert answer.headers["Location"] == f"{at}?done=acknowledge"
            _, text = await here.view(answer.headers["Location"])
            assert "You have it now." in text
            await here.post(f"{at}/note", {"csrf": here.csrf, "text": "rolled back"})
            answer, text = await here.post(f"{at}/resolve", {"csrf": here.csrf})
            assert answer.status == 409
            assert "1 alert still fires" in text
            assert 'name="confirm" value="yes"' in text
            answer, _ = await here.post(f"{at}/resolve", {"csrf": here.csrf, "confirm": "yes"})
            assert answer.status == 303
            _, text = await here.view(at)
            assert "rolled back" in text
            assert "resolved" in text
            assert 'id="acknowledge"' not in text
            _, text = await here.view("/")
            assert "0 open incidents" in text
            assert "All quiet" in text


async def test_what_triage_refuses_is_said_on_the_incident(redis_url: str) -> None:
    async with town(redis_url) as here:
        name = await opened(here)
        await here.sign_in()
        async with here.draining():
            answer, text = await here.post(f"/incidents/{name}/note", {"csrf": here.csrf, "text": "  "})
        assert answer.status == 409
        assert "a note needs text" in text


async def test_a_command_not_decided_in_time_is_said_to_be_on_its_way(redis_url: str) -> None:
    async with town(redis_url, answer_wait_s=0.02) as here:
        name = await opened(here)
        await here.sign_in()
        answer, _ = await here.post(f"/incidents/{name}/acknowledge", {"csrf": here.csrf})
        _, text = await here.view(answer.headers["Location"])
        assert "It is in the journal." in text


async def test_an_accepted_risk_of_loss_stays_in_sight(redis_url: str) -> None:
    async with town(redis_url, data_loss_accepted="appendfsync is <everysec>") as here:
        await here.sign_in()
        assert "may be lost with this store: appendfsync is &lt;everysec&gt;" in (await here.view("/alerts"))[1]
    async with town(redis_url) as here:
        await here.sign_in()
        assert "may be lost" not in (await here.view("/alerts"))[1]


async def test_the_board_sorts_by_severity_then_age(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(event(alertname="A", service="low"))
        for number in range(3):
            here.clock.now += 1_000
            await here.send(event(alertname="Down", service="payments", title=f"payments {number}", zone=str(number)))
        await here.send(event(alertname="A", service="late"))
        await here.send(DOWN)
        await here.sign_in()
        _, text = await here.view("/")
        titles = re.findall(r'class="title text" href="[^"]*">([^<]*)<', text)
        assert titles == ["checkout is down", "payments 0", "low is down", "late is down"]


async def test_alerts_are_paged_and_filtered(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(*[event(alertname="A", service="s", i=str(i)) for i in range(1_500)], DOWN)
        await here.sign_in()
        seen: set[str] = set()
        path = "/alerts?source=alertmanager"
        while path:
            _, text = await here.view(path)
            seen |= set(re.findall(r'id="alert-([0-9a-f]{32})"', text))
            more = re.search(r'href="(/alerts\?[^"]*after=[^"]*)"', text)
            path = more[1].replace("&amp;", "&") if more else ""
        assert len(seen) == 1_501
        _, text = await here.view("/alerts?label=service%3Dcheckout&state=firing")
        assert set(re.findall(r'id="alert-([0-9a-f]{32})"', text)) <= {DOWN.fingerprint}
        assert (await here.view("/alerts?label=x"))[0].status == 400
        assert (await here.view("/alerts?state=x"))[0].status == 400


async def test_long_timelines_are_paged(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN)
        one = (await queries.incidents(here.client, queries.IncidentFilter())).items[0]
        for number in range(120):
            note = Command(verb=Verb.NOTE, incident=one.key, by="ada", via="api", text=f"note {number}")
            await here.desk.appender.append(note, here.clock())
        await here.decide()
        await here.sign_in()
        _, text = await here.view(f"/incidents/{one.key[:6]}")
        assert "note 119" in text
        more = re.search(r'href="([^"]*timeline=[0-9]+)#', text)
        assert more is not None
        _, text = await here.view(more[1])
        assert "note 119" not in text
        assert "note 1<" in text


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"data": b"a" * 70_000, "headers": FORM}, 413),
        ({"data": b"&".join(b"a=1" for _ in range(99)), "headers": FORM}, 400),
        ({"json": {"token": TOKEN}}, 415),
    ],
)
async def test_forms_are_forms_and_short(redis_url: str, more: dict[str, object], status: int) -> None:
    async with (
        town(redis_url) as here,
        here.session.post(here.url + "/login", allow_redirects=False, **more) as answer,  # type: ignore[arg-type]
    ):
        assert answer.status == status
