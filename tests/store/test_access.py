"""Rights over real HTTP: every route asked by everybody who could ask, and who did what is in the audit log."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from desk.application import EVERY_ROUTE
from tests.store.desk_support import DOWN, TOKEN, Town, town
from tests.unit.desk.access import ACCESS, VIEWS
from triage.model import DAY, MINUTE
from triage.model.roles import Role
from triage.rulebook.quiet import Silencer
from triage.store import deeds, keys, queries, tokens

PEOPLE = {"admin": TOKEN, "rita": "token of rita, a responder", "vic": "token of vic, a viewer"}
ROLES = {"admin": Role.ADMIN, "rita": Role.RESPONDER, "vic": Role.VIEWER}
SILENCER = "token of a deploy job"
ALLOWED = {
    "read": {"viewer", "responder", "admin", "reader"},
    "read+silence": {"viewer", "responder", "admin", "reader", "silencer", "silence-token"},
    "respond": {"responder", "admin"},
    "respond+silence": {"responder", "admin", "silencer", "silence-token"},
    "silence": {"responder", "admin", "silence-token"},
    "silence+silence": {"responder", "admin", "silencer", "silence-token"},
    "admin": {"admin"},
}
"""Who may what: the callers of `callers` by the scope of a route. Everybody else is refused."""


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def settings(**more: Any) -> dict[str, Any]:
    silencer = Silencer("deploy", sha256(SILENCER), longest=60 * MINUTE)
    people = {name: sha256(token) for name, token in PEOPLE.items()}
    return {"tokens": people, "roles": ROLES, "silencers": {"deploy": silencer}, **more}


async def make(here: Town, name: str, role: str = "viewer", **more: Any) -> str:
    status, made = await here.ask("POST", "/tokens", json={"name": name, "role": role, **more})
    assert status == 201, made
    text: str = made["token"]
    return text


async def callers(here: Town) -> dict[str, str | None]:
    """Return everybody who could ask, by what they are."""
    reader = await make(here, "reader", "admin", scopes=["read"])
    silence = await make(here, "silence-token", "responder", scopes=["silence"])
    gone = await make(here, "gone", "admin")
    old = await make(here, "old", "admin", expires="1m")
    assert (await here.ask("DELETE", "/tokens/gone"))[0] == 200
    here.clock.now += MINUTE
    return {
        "viewer": PEOPLE["vic"],
        "responder": PEOPLE["rita"],
        "admin": TOKEN,
        "silencer": SILENCER,
        "reader": reader,
        "silence-token": silence,
        "revoked": gone,
        "expired": old,
        "unknown": "toc_nobody_guess",
        "nobody": None,
    }


def address(path: str) -> str:
    return re.sub(r"\{\w+\}", "zzzzzz", path)


async def test_every_route_refuses_everybody_whom_the_table_does_not_name(redis_url: str) -> None:
    wrong = []
    async with town(redis_url, answer_wait_s=0.01, **settings()) as here:
        everybody = await callers(here)
        for route in EVERY_ROUTE:
            name = f"{route.method} {route.path}"
            for caller, token in everybody.items():
                here.clock.now += MINUTE  # wrong tokens are counted by the minute
                body: dict[str, Any] = {"json": {"nonsense": 1}} if route.body is not None else {}
                status, said = await here.ask(route.method, address(route.path), token=token, **body)
                refused = status in {401, 403}
                if refused is (caller in ALLOWED[ACCESS[name]]):
                    wrong.append((name, caller, status, said))
    assert wrong == []


async def test_viewers_cannot_change_anything_by_a_form(redis_url: str) -> None:
    async with town(redis_url, **settings()) as here:
        await here.send(DOWN)
        await here.sign_in(PEOPLE["vic"])
        for name in [name for name, needs in VIEWS.items() if needs == "respond" and name.startswith("POST")]:
            path = name.split(" ")[1].replace("{verb}", "note")
            answer, text = await here.post(address(path), {"csrf": here.csrf, "text": "hi"})
            assert answer.status == 403, name
            assert "needs the scope respond" in text
        refusals = (await deeds.page(here.client, 10, None, refused=True)).items
        assert {one.deed.who for one in refusals} == {"vic"}


async def test_a_viewer_sees_no_forms_and_a_responder_does(redis_url: str) -> None:
    async with town(redis_url, **settings()) as here:
        await here.send(DOWN)
        (one,) = (await queries.incidents(here.client, queries.IncidentFilter())).items
        await here.sign_in(PEOPLE["vic"])
        _, text = await here.view(f"/incidents/{one.key[:6]}")
        assert "/acknowledge" not in text
        await here.sign_in(PEOPLE["rita"])
        _, text = await here.view(f"/incidents/{one.key[:6]}")
        assert "/acknowledge" in text


async def test_reads_for_admins_are_not_open_on_loopback(redis_url: str) -> None:
    async with town(redis_url, open_reads=True, **settings()) as here:
        assert (await here.ask("GET", "/incidents", token=None))[0] == 200
        assert (await here.ask("GET", "/audit-log", token=None))[0] == 401
        assert (await here.ask("GET", "/tokens", token=None))[0] == 401


async def test_a_token_acts_under_its_name_is_shown_once_and_its_use_is_noted(redis_url: str) -> None:
    async with town(redis_url, **settings()) as here:
        text = await make(here, "ci", "responder", expires="30d")
        await here.send(DOWN)
        (one,) = (await queries.incidents(here.client, queries.IncidentFilter())).items
        async with here.draining():
            status, done = await here.ask("POST", f"/incidents/{one.key}/acknowledge", token=text)
        assert (status, done["incident"]["acknowledged_by"]) == (200, "ci")
        (listed,) = (await here.get("/tokens"))["items"]
        assert listed["used_at"] == "2026-01-01T00:00:00.000Z"
        assert (listed["role"], listed["made_by"], listed["expired"]) == ("responder", "admin", False)
        assert listed["scopes"] == ["read", "respond", "silence"]
        assert "token" not in listed
        here.clock.now += MINUTE
        await here.get("/incidents", token=text)
        assert (await here.get("/tokens"))["items"][0]["used_at"] == listed["used_at"], (
            "right to ten minutes, no better"
        )
        here.clock.now += 10 * MINUTE
        await here.get("/incidents", token=text)
        assert (await here.get("/tokens"))["items"][0]["used_at"] == "2026-01-01T00:11:00.000Z"
        stored: Any = await here.client.hgetall(keys.TOKENS)
        assert text.split("_", 2)[2].encode() not in b"".join(stored.values())


async def test_a_name_is_given_once_and_the_rules_names_are_taken(redis_url: str, monkeypatch: Any) -> None:
    async with town(redis_url, **settings()) as here:
        await make(here, "ci")
        for name, why in {"ci": "already", "rita": "in the rules", "deploy": "in the rules"}.items():
            status, said = await here.ask("POST", "/tokens", json={"name": name})
            assert (status, why in said["detail"]) == (409, True)
        assert (await here.ask("DELETE", "/tokens/nobody"))[0] == 404
        monkeypatch.setattr(tokens, "TOKENS_MAX", 2)
        await make(here, "short", expires="1d")
        assert "revoke some" in (await here.ask("POST", "/tokens", json={"name": "third"}))[1]["detail"]
        here.clock.now += 32 * DAY
        await make(here, "third")
        assert [one["name"] for one in (await here.get("/tokens?limit=1"))["items"]] == ["ci"]
        assert [one["name"] for one in (await here.get("/tokens?limit=1&after=ci"))["items"]] == ["third"]


async def test_the_audit_log_says_who_did_what_from_where_and_who_was_refused(redis_url: str) -> None:
    async with town(redis_url, **settings()) as here:
        await here.send(DOWN)
        (one,) = (await queries.incidents(here.client, queries.IncidentFilter())).items
        path = f"/incidents/{one.key[:6]}"
        async with here.draining():
            forwarded = {"X-Forwarded-For": "198.51.100.7"}
            note = {"text": "the password is hunter2"}
            await here.ask("POST", f"{path}/note", token=PEOPLE["rita"], headers=forwarded, json=note)
        await here.ask("POST", f"{path}/note", token=PEOPLE["vic"], json=note)
        await here.ask("POST", f"{path}/note", token="no such token")
        await here.ask("GET", "/incidents", token="another guess")
        await here.get("/incidents")
        await here.sign_in(PEOPLE["vic"])
        done = (await here.get("/audit-log"))["items"]
        assert [(line["who"], line["what"], line["status"]) for line in done] == [
            ("vic", "sign_in", 303),
            ("rita", "note_incident", 200),
        ]
        assert (done[1]["role"], done[1]["via"], done[1]["address"]) == ("responder", "api", "127.0.0.1")
        assert (done[1]["target"], done[1]["forwarded"]) == (f"/api/v1{path}/note", "198.51.100.7")
        refused = (await here.get("/audit-log?refused=true"))["items"]
        assert [(line["who"], line["status"]) for line in refused] == [("", 401), ("", 401), ("vic", 403)]
        assert "hunter2" not in str(done + refused)
        page = await here.get("/audit-log?limit=1")
        assert (await here.get(f"/audit-log?limit=1&after={page['next']}"))["items"] == done[1:]


async def test_the_audit_log_is_bounded_by_count_and_age(redis_url: str, monkeypatch: Any) -> None:
    deed = deeds.Deed("a", "admin", "api", "::1", "x", "y" * 900, 200)
    monkeypatch.setattr(deeds, "DEEDS_MAX", 100)
    async with town(redis_url) as here:
        now = int((await here.client.time())[0]) * 1_000
        for _ in range(500):
            await deeds.note(here.client, deed, now, DAY)
        kept = await here.client.xlen(keys.DEEDS)
        assert 100 <= kept < 350, "about as many as the limit says: whole nodes of the stream go"
        assert len((await deeds.page(here.client, 1, None)).items[0].deed.target) == deeds.SHORT
        await deeds.note(here.client, deed, now + 2 * DAY, DAY)
        assert await here.client.xlen(keys.DEEDS) < kept


async def test_a_post_with_an_idempotency_key_is_done_once(redis_url: str) -> None:
    async with town(redis_url, **settings()) as here:
        await here.send(DOWN)
        (one,) = (await queries.incidents(here.client, queries.IncidentFilter())).items
        path, key = f"/incidents/{one.key[:6]}/note", {"Idempotency-Key": "deploy-77"}
        async with here.draining():
            first = await here.ask("POST", path, headers=key, json={"text": "deployed"})
            again = await here.ask("POST", path, headers=key, json={"text": "deployed"})
            assert first == again
            assert first[0] == 200
            other = await here.ask("POST", path, headers=key, json={"text": "something else"})
            assert (other[0], other[1]["type"]) == (422, "urn:tocsin:problem:key-reused")
            mine = await here.ask("POST", path, token=PEOPLE["rita"], headers=key, json={"text": "deployed"})
            assert mine[1]["entry"] != first[1]["entry"], "the key of somebody else is another"
        notes = [
            line for line in (await here.get(f"/incidents/{one.key}"))["timeline"]["items"] if line["what"] == "note"
        ]
        assert len(notes) == 2
        for unusable in ("x" * 256, "\u00e9", "tab\tbed"):
            assert (await here.ask("POST", path, headers={"Idempotency-Key": unusable}))[0] == 400, unusable


async def test_what_was_refused_under_a_key_may_be_asked_again(redis_url: str) -> None:
    async with town(redis_url, **settings()) as here:
        await here.send(DOWN)
        (one,) = (await queries.incidents(here.client, queries.IncidentFilter())).items
        key = {"Idempotency-Key": "end"}
        async with here.draining():
            asked = await here.ask("POST", f"/incidents/{one.key}/resolve", headers=key)
            assert (asked[0], asked[1]["confirm"]) == (409, True)
            done = await here.ask("POST", f"/incidents/{one.key}/resolve", headers=key, json={"confirm": True})
            assert done[0] == 200


async def test_a_new_tokens_text_is_not_kept_for_a_repeat(redis_url: str) -> None:
    async with town(redis_url, **settings()) as here:
        key = {"Idempotency-Key": "make"}
        assert (await here.ask("POST", "/tokens", headers=key, json={"name": "ci"}))[0] == 201
        assert (await here.ask("POST", "/tokens", headers=key, json={"name": "ci"}))[0] == 409
        assert await here.client.hlen(keys.family("repeats")) == 0


async def test_a_log_that_cannot_be_written_refuses_nothing(redis_url: str) -> None:
    async with town(redis_url, **settings()) as here:
        await here.client.set(keys.DEEDS, "no stream")
        await here.sign_in(PEOPLE["rita"])
