"""Postmortems by plain forms and over the API: made, written, reviewed, published, listed when overdue; insights."""

from __future__ import annotations

from tests.store.desk_support import DOWN, RULES, Town, event, town
from triage.model import DAY, Command, Verb
from triage.store import queries

FILES = {**RULES, "postmortems.yaml": "within: {P0: 7d}\ntime_zone: Europe/Berlin\n"}


async def over(here: Town) -> str:
    """An incident that ada had and resolved; return its six characters."""
    await here.load(FILES)
    await here.send(DOWN)
    one = (await queries.incidents(here.client, queries.IncidentFilter())).items[0]
    for verb in (Verb.ACKNOWLEDGE, Verb.RESOLVE):
        command = Command(verb, one.key, "ada", "api", "<b>rolled back</b>", confirm=True)
        await here.desk.appender.append(command, here.clock())
    await here.decide()
    return one.key[:6]


async def test_a_postmortem_is_written_reviewed_and_published_with_plain_forms(redis_url: str) -> None:
    async with town(redis_url) as here:
        name = await over(here)
        await here.sign_in()
        at = f"/incidents/{name}/postmortem"
        async with here.draining():
            _, text = await here.view(at)
            assert "<h1>Postmortem: checkout is down</h1>" in text
            assert "&lt;b&gt;rolled back&lt;/b&gt;" in text
            assert "2026-01-01 00:00:00 UTC (01:00 CET)" in text
            for path, fields, status in (
                (at, {"root_cause": "a full disk", "whys": "no alert\nno budget"}, 303),
                (f"/incidents/{name}/item", {"text": "Alert on disks", "due": "2026-01-09", "priority": "high"}, 303),
                (at, {"document": "# It was the *disk* <script>alert(1)</script>"}, 303),
                (at, {"do": "publish"}, 409),
                (at, {"do": "publish", "confirm": "yes"}, 303),
            ):
                answer, text = await here.post(path, {"csrf": here.csrf, **fields})
                assert answer.status == status, text
            assert answer.headers["Location"] == f"{at}?done=postmortem"
            _, text = await here.view(at)
        assert "It was the <em>disk</em> &lt;script&gt;" in text
        assert "<script>alert" not in text
        _, text = await here.view(f"{at}?write=yes")
        assert "Save as version 2" in text
        found = await here.get(f"/incidents/{name}/postmortem?version=0")
        assert (found["state"], found["versions"], found["root_cause"]) == ("published", 1, "a full disk")
        assert "1. Why? no alert\n2. Why? no budget\n3. Why? _…_" in found["markdown"]
        assert found["items"][0]["due"] == "2026-01-09T23:59:59.000Z"


async def test_a_field_is_cleared_in_the_form_and_only_what_changed_is_noted(redis_url: str) -> None:
    async with town(redis_url) as here:
        name = await over(here)
        await here.sign_in()
        at = f"/incidents/{name}/postmortem"
        async with here.draining():
            for fields in (
                {
                    "resolution": "rolled back",
                    "root_cause": "a full disk",
                    "whys": "a\r\nb",
                    "well": "",
                    "owner": "ada",
                },
                {"resolution": "rolled back", "root_cause": "", "whys": "a\nb", "well": "", "owner": ""},
            ):
                answer, text = await here.post(at, {"csrf": here.csrf, **fields})
                assert answer.status == 303, text
            for fields in ({"text": "Buy a disk", "due": "2026-01-09"}, {"due": ""}):
                found = (await here.get("/items"))["items"]
                known = {"id": found[0]["id"]} if found else {}
                assert (await here.post(f"/incidents/{name}/item", {"csrf": here.csrf, **known, **fields}))[
                    0
                ].status == 303
        found = await here.get(at)
        assert (found["root_cause"], found["resolution"], found["whys"]) == ("", "rolled back", ["a", "b"])
        assert (found["owner"], found["items"][0]["due"]) == ("", None)
        lines = (await here.get(f"/incidents/{name}/timeline?limit=200"))["items"]
        assert [line["text"] for line in lines if line["what"] == "postmortem"][::-1] == [
            "how it ended: rolled back",
            "root cause: a full disk",
            "why: a; b",
            "root cause: nothing",
            "nobody writes it",
        ]
        _, text = await here.view(f"{at}?done=postmortem")
        assert "Written." in text


async def test_what_the_journal_tells_is_published_however_long_it_is_and_a_later_version_is_a_draft(
    redis_url: str,
) -> None:
    async with town(redis_url) as here:
        name = await over(here)
        one = await queries.incident(here.client, name)
        for number in range(60):
            note = Command(Verb.NOTE, one.key, "ada", "api", f"{number} " + "ü|" * 900)
            await here.desk.appender.append(note, here.clock())
        await here.decide()
        await here.sign_in()
        at = f"/incidents/{name}/postmortem"
        async with here.draining():
            answer, text = await here.post(at, {"csrf": here.csrf, "do": "publish", "confirm": "yes"})
            assert answer.status == 303, text
            found = await here.get(at)
            assert (found["state"], found["versions"], found["published_version"]) == ("published", 1, 1)
            assert "more lines are in the incident's timeline" in found["markdown"]
            long = "ü" * 50_000
            answer, text = await here.post(at, {"csrf": here.csrf, "document": long})
            assert answer.status == 303, text
        found = await here.get(at)
        assert (found["state"], found["versions"], found["published_version"]) == ("draft", 2, 1)
        assert found["markdown"] == long
        _, text = await here.view(f"{at}?version=1")
        assert "<h1>Postmortem: checkout is down</h1>" in text
        assert "version 1 is published" in text
        assert (await here.view(f"{at}?version=7"))[0].status == 404


async def test_what_is_overdue_is_listed_first(redis_url: str) -> None:
    async with town(redis_url) as here:
        name = await over(here)
        async with here.draining():
            body = {"text": "Alert on disks", "due": "1d", "person": "ada"}
            assert (await here.ask("POST", f"/incidents/{name}/item", json=body))[0] == 200
        assert (await here.get("/postmortems?overdue=true"))["items"] == []
        here.clock.now += 8 * DAY
        (late,) = (await here.get("/postmortems?overdue=true"))["items"]
        assert (late["incident"], late["owner"]) == (name, "ada")
        (item,) = (await here.get("/items?overdue=true&owner=ada"))["items"]
        assert (item["incident"], item["text"], item["kind"]) == (name, "Alert on disks", "action")
        await here.sign_in()
        _, text = await here.view("/postmortems")
        assert "overdue since 2026-01-08" in text
        assert "overdue since 2026-01-02" in text
        assert (await here.ask("GET", "/items?after=x"))[0] == 400
        assert (await here.ask("GET", f"/incidents/{name}/postmortem?version=7"))[0] == 404


async def test_insights_are_summed_over_what_ended_lately(redis_url: str) -> None:
    async with town(redis_url) as here:
        await over(here)
        found = await here.get("/insights")
        assert (found["incidents"], found["people"]) == (
            1,
            [{"person": "ada", "pages": 1, "nights": 1, "disturbed": 1}],
        )
        assert found["nights"] == [{"night": "2025-12-31", "person": "ada", "pages": 1}]
        assert found["rules"] == [{"rule": "checkout down", "incidents": 1, "alerts": 1, "pages": 1}]
        assert found["times"][0] == {
            "by": "severity",
            "name": "P0",
            "incidents": 1,
            "acknowledge_s": 0.0,
            "mitigate_s": None,
            "resolve_s": 0.0,
        }
        here.clock.now += 2 * DAY
        assert (await here.get("/insights?days=1"))["incidents"] == 0


async def test_the_timeline_of_a_merged_incident_is_read_with_the_one_that_goes_on(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.load(FILES)
        await here.send(DOWN, event(alertname="Down", service="payments"))
        found = (await here.get("/incidents"))["items"]
        names = {one["service"]: one["id"] for one in found}
        async with here.draining():
            for number in range(3):
                for service, name in sorted(names.items()):
                    here.clock.now += 1_000
                    body = {"text": f"{number} of {service}", "kind": "finding"}
                    assert (await here.ask("POST", f"/incidents/{name}/note", json=body))[0] == 200
            gone, into = names["payments"], names["checkout"]
            assert (await here.ask("POST", f"/incidents/{gone}/merge", json={"other": into}))[0] == 200
        whole = (await here.get(f"/incidents/{into}/timeline?limit=200"))["items"]
        findings = [(line["text"], line["incident"]) for line in whole[::-1] if line["what"] == "finding"]
        order = [(f"{number} of {service}", names[service]) for number in range(3) for service in sorted(names)]
        assert findings == order
        paged: list[str] = []
        after = ""
        while True:
            page = await here.get(f"/incidents/{into}/timeline?limit=2{after}")
            paged += [line["entry"] + line["text"] for line in page["items"]]
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert paged == [line["entry"] + line["text"] for line in whole]
        assert (await here.ask("GET", f"/incidents/{into}/timeline?after=1.2.3"))[0] == 400
        text = (await here.get(f"/incidents/{into}/postmortem"))["markdown"]
        places = [text.index(words) for words, _ in order]
        assert places == sorted(places)
        await here.sign_in()
        _, view = await here.view(f"/incidents/{into}")
        assert f'href="/incidents/{gone}">{gone}</a> <span class="text">2 of payments' in view
