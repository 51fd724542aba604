"""The view of the rules in force, without a browser's help: files by line, a refused change, and what is not shown."""

from __future__ import annotations

import hashlib

from desk import ruling
from tests.store.desk_support import DOWN, RULES, town
from triage.model import RulesLoaded
from triage.model.roles import Role

VIEWER = "a viewer's token, long enough"
HASH = hashlib.sha256(b"x").hexdigest()
FILES = {
    **RULES,
    "sources.yaml": f"sources: {{grafana: {{adapter: grafana, token_sha256: [{HASH}]}}}}\n",
    "runbooks/x.md": "<script>alert(1)</script>\n",
    "runbooks/long.md": "\n".join(str(number) for number in range(1, 2_501)),
}


async def test_files_are_shown_by_line_without_hashes_and_html_is_text(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.load(FILES)
        await here.sign_in()
        _, text = await here.view("/rules")
        assert (await here.get("/rules"))["digest"] in text and "2026-01-01 00:00:00 UTC" in text
        assert 'href="/rules/runbooks/x.md"' in text and "refused" not in text
        _, text = await here.view("/rules/severity.yaml")
        assert '<div id="L3">' in text and "<code>  - name: checkout down</code>" in text
        _, text = await here.view("/rules/sources.yaml")
        assert HASH not in text and "token_sha256: [‹not shown›]" in text
        _, text = await here.view("/rules/oncall.yaml")
        assert "terminal://" in text
        _, text = await here.view("/rules/runbooks/x.md")
        assert "<script>alert" not in text and "&lt;script&gt;alert(1)" in text
        answer, text = await here.view("/rules/severty.yaml")
        assert (answer.status, "severity.yaml" in text) == (404, True)


async def test_a_line_has_an_address_on_whichever_page_it_is(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.load(FILES)
        await here.sign_in()
        for line, place in ((7, "#L7"), (ruling.LINES, f"#L{ruling.LINES}"), (2_400, "?from=2001#L2400")):
            answer, _ = await here.view(f"/rules/runbooks/long.md:{line}")
            assert (answer.status, answer.headers["Location"]) == (303, f"/rules/runbooks/long.md{place}")
        _, text = await here.view("/rules/runbooks/long.md?from=2001")
        assert (
            '<div id="L2400">' in text and 'id="L2000"' not in text and "?from=1" in text and "Lines after" not in text
        )
        _, text = await here.view("/rules/runbooks/long.md?from=%C2%B2")
        assert '<div id="L1">' in text and "?from=2001" in text


async def test_a_refused_change_says_what_is_wrong_and_where(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.sign_in()
        errors = ["severity.yaml:4:17: <b>matchers</b> wants a list (did you mean this?)", "the folder is gone"]
        await here.desk.appender.append(RulesLoaded("new", {}, errors, "test"), here.clock())
        await here.decide()
        _, text = await here.view("/rules")
        refused = text.partition('id="refused"')[2]
        assert '<strong class="text">severity.yaml</strong>, line 4, column 17:' in refused
        assert (
            "&lt;b&gt;matchers&lt;/b&gt; wants a list (did you mean this?)" in refused and "folder is gone" in refused
        )
        _, text = await here.view("/rules/severity.yaml")
        assert "checkout down" in text, "the old ones stay in force"


async def test_why_leads_to_the_line_of_the_rule(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN)
        await here.sign_in()
        (one,) = (await here.get("/incidents"))["items"]
        _, text = await here.view(f"/incidents/{one['id']}")
        assert '(<a href="/rules/severity.yaml:3">severity.yaml:3</a>)' in text
        answer, _ = await here.view("/rules/severity.yaml:3")
        assert answer.headers["Location"] == "/rules/severity.yaml#L3"


async def test_a_viewer_sees_what_the_api_tells_and_no_text(redis_url: str) -> None:
    hashed = hashlib.sha256(VIEWER.encode()).hexdigest()
    async with town(redis_url, tokens={"vera": hashed}, roles={"vera": Role.VIEWER}) as here:
        answer, _ = await here.view("/rules/severity.yaml")
        assert answer.headers["Location"].startswith("/login")
        await here.send(DOWN)
        await here.sign_in(VIEWER)
        _, text = await here.view("/rules")
        assert "severity.yaml" in text and 'href="/rules/' not in text
        for path in ("/rules/severity.yaml", "/rules/severity.yaml:3", "/rules/nothing.yaml"):
            answer, text = await here.view(path)
            assert (answer.status, "checkout down" in text) == (403, False)
