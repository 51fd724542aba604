"""A page by phone: what the call says, which key does what, replies by text, and who is believed to be Twilio."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.store.desk_support import DOWN, event
from tests.store.phone_support import OUTSIDE, Phones, address, oncall, phones, said, verbs
from tests.store.test_desk_slack import until
from tests.unit.workers.twilio_server import ANA, CALL, NUMBER, method
from triage import links
from triage.model import Command, Phase, Verb
from triage.store import keys

BEN = "+491709999999"
REPLIES = f"{OUTSIDE}/replies/twilio"


def voice_then_text(port: int) -> dict[str, str]:
    return oncall(ana=[method("voice", port), method("sms", port)])


def both_by_text(port: int) -> dict[str, str]:
    return oncall(ana=[method("sms", port)], ben=[method("sms", port, to=BEN)])


def ana_by_voice_ben_by_text(port: int) -> dict[str, str]:
    return oncall(ana=[method("voice", port)], ben=[method("sms", port, to=BEN)])


async def texts(here: Phones, body: str, sender: str = ANA, sid: str = "SM1", **more: str) -> str:
    """Text this to our number; return what is texted back, "" for nothing."""
    status, xml = await here.ask(REPLIES, {"From": sender, "To": NUMBER, "Body": body, "MessageSid": sid}, **more)
    assert status == 200, xml
    return said(xml)


async def test_a_call_says_what_is_wrong_and_four_acknowledges_as_the_person_who_was_called(redis_url: str) -> None:
    async with phones(redis_url, voice_then_text) as here:
        [(what, fields)] = here.service.taken
        assert what == "Calls"
        status, xml = await here.ask(fields["Url"], {"CallStatus": "in-progress"})
        assert (status, verbs(xml)) == (200, ["Gather", "Say", "Redirect"])
        assert "P 0. checkout is down. Service checkout. Press 4 to acknowledge. Press 6 to escalate." in said(xml)
        assert (await here.incident()).human_at is None, "what a call says changes nothing"
        _, xml = await here.ask(address(xml, "Gather", "action"), {"Digits": "4"})
        assert (verbs(xml), said(xml)) == (["Say", "Hangup"], "P0 checkout is down is yours. Goodbye.")
        assert (await here.incident()).acked_by == "ana"
        assert "acknowledged: ana has it (by phone)" in await here.lines()
        await here.ask(fields["StatusCallback"], {"CallStatus": "completed"})
        assert len(here.service.got) == 1, "who pressed a key gets no text as well"
        assert not [line for line in await here.lines() if "not answered" in line]


async def test_a_machine_that_answers_acknowledges_nothing_and_the_next_way_begins(redis_url: str) -> None:
    async with phones(redis_url, voice_then_text) as here:
        [(_, fields)] = here.service.taken
        url = fields["Url"]
        for turn in range(3):
            _, xml = await here.ask(url, {"CallStatus": "in-progress", "AnsweredBy": "machine_start"})
            assert ("Redirect" in verbs(xml)) == (turn < 2)
            url = address(xml, "Redirect") if turn < 2 else ""
        assert verbs(xml)[-1] == "Hangup"
        await here.ask(fields["StatusCallback"], {"CallStatus": "completed", "AnsweredBy": "machine_start"})
        assert (await here.incident()).acked_by == ""
        assert [what for what, _ in here.service.taken] == ["Calls", "Messages"]
        assert any("not answered: no key was pressed" in line for line in await here.lines())


@pytest.mark.parametrize("word", ["busy", "no-answer", "failed", "canceled"])
async def test_a_call_that_reaches_nobody_begins_the_next_way_at_once(redis_url: str, word: str) -> None:
    async with phones(redis_url, voice_then_text) as here:
        [(_, fields)] = here.service.taken
        for _ in range(2):
            assert (await here.ask(fields["StatusCallback"], {"CallStatus": word}))[0] == 204
        assert [what for what, _ in here.service.taken] == ["Calls", "Messages"]


async def test_six_pages_the_next_step_once(redis_url: str) -> None:
    async with phones(redis_url, voice_then_text) as here:
        [(_, fields)] = here.service.taken
        key = fields["Url"].removesuffix("call") + "key"
        _, xml = await here.ask(key, {"Digits": "9"})
        assert said(xml).startswith("That key does nothing. This is Tocsin.")
        _, xml = await here.ask(key, {"Digits": "6"})
        assert said(xml) == "The next step is paged now. Goodbye."
        _, xml = await here.ask(key, {"Digits": "6"})
        assert "used already" in said(xml)
        assert len([line for line in await here.lines() if line.startswith("escalated: ana wants")]) == 1


async def test_a_call_that_is_played_again_takes_nothing_back(redis_url: str) -> None:
    async with phones(redis_url, voice_then_text) as here:
        [(_, fields)] = here.service.taken
        key = fields["Url"].removesuffix("call") + "key"
        await here.ask(key, {"Digits": "4"})
        async with here.here.draining():
            await here.here.ask("POST", f"/incidents/{(await here.incident()).key}/unacknowledge", json={})
        await here.ask(key, {"Digits": "4"})
        assert (await here.incident()).acked_by == ""


async def test_who_comes_late_takes_it_from_nobody(redis_url: str) -> None:
    async with phones(redis_url, voice_then_text) as here:
        [(_, fields)] = here.service.taken
        async with here.here.draining():
            await here.here.ask("POST", f"/incidents/{(await here.incident()).key}/acknowledge", json={})
        _, xml = await here.ask(fields["Url"], {})
        assert "admin has it already." in said(xml)
        await here.ask(address(xml, "Gather", "action"), {"Digits": "4"})
        assert ((await here.incident()).acked_by, (await here.incident()).responders) == ("admin", ("admin", "ana"))


async def test_what_twilio_did_not_sign_is_refused_and_changes_nothing(redis_url: str) -> None:
    async with phones(redis_url, voice_then_text) as here:
        [(_, fields)] = here.service.taken
        key, state = fields["Url"].removesuffix("call") + "key", fields["StatusCallback"]
        entries = await here.here.client.xlen(keys.JOURNAL)
        press = {"Digits": "4"}
        assert (await here.ask(key, press, token="another token"))[0] == 403
        assert (await here.ask(key, press, account="AC9"))[0] == 403
        assert (await here.ask(key, press, sign=state))[0] == 403, "the signature is over this address"
        assert (await here.ask(state, {"CallStatus": "busy"}, token="x"))[0] == 403
        assert (await here.ask(REPLIES, {"From": ANA, "Body": "4"}, token="x"))[0] == 403
        assert (await here.ask(f"{key[:-9]}AAAA/key", press))[0] == 404
        async with here.here.session.get(here.here.url + key.removeprefix(OUTSIDE)) as answer:
            assert answer.status == 405
        assert await here.here.client.xlen(keys.JOURNAL) == entries
        here.here.clock.now += links.HOLDS + 1
        assert (await here.ask(key, press))[0] == 410
        assert (await here.incident()).acked_by == ""


async def test_hostile_titles_are_read_out_as_words(redis_url: str) -> None:
    async with phones(redis_url, voice_then_text, fires=False) as here:
        evil = '</Say><Dial>+1900</Dial> & "x" https://evil.example/?a=1 <break time="9s"/> ' + "long " * 200
        await here.here.send(event(title=evil, alertname="Down", service="checkout", region="eu"))
        await here.work()
        [(_, fields)] = here.service.taken
        _, xml = await here.ask(fields["Url"], {})
        assert verbs(xml) == ["Gather", "Say", "Redirect"]
        assert not set('<>&"/') & set(said(xml))
        assert "evil.example" not in said(xml)
        assert len(said(xml)) < 400


async def test_a_reply_acknowledges_the_one_page_that_is_open(redis_url: str) -> None:
    async with phones(redis_url, both_by_text) as here:
        assert (
            await texts(here, "what?")
            == "Reply ACK and the six characters of the incident to acknowledge, ESC and these to escalate."
        )
        assert await texts(here, " Ack ") == "P0 checkout is down is yours."
        assert "acknowledged: ana has it (by sms)" in await here.lines()
        assert await texts(here, "4", sender=BEN, sid="SM2") == "No page to you is open."
        key = (await here.incident()).key
        late = await texts(here, f"ack {key[:6].upper()}", sender=BEN, sid="SM3")
        assert late == "Ana has it already; it is noted that ben responds too."
        assert (await here.incident()).acked_by == "ana"


async def test_with_two_pages_open_a_reply_must_say_which(redis_url: str) -> None:
    async with phones(redis_url, both_by_text) as here:
        await here.here.send(event(alertname="Down", service="payments"))
        await here.work()
        asked = await texts(here, "4")
        assert asked.startswith("2 pages to you are open: ")
        which = asked.partition("open: ")[2][:6]
        assert (await texts(here, f"ACK {which}", sid="SM2")).endswith("is yours.")
        assert await texts(here, f"ACK {which}", sid="SM2") != "", "the same text once more is answered"
        assert "No open page to you about" in await texts(here, "ack aaaaaa", sid="SM4")


async def test_a_text_that_is_played_again_takes_nothing_back(redis_url: str) -> None:
    async with phones(redis_url, both_by_text) as here:
        await texts(here, "ack")
        async with here.here.draining():
            await here.here.ask("POST", f"/incidents/{(await here.incident()).key}/unacknowledge", json={})
        assert "used already" in await texts(here, "ack")
        assert (await here.incident()).acked_by == ""


async def test_a_text_by_a_stranger_is_not_answered(redis_url: str) -> None:
    async with phones(redis_url, both_by_text) as here:
        assert await texts(here, "ack", sender="+15559998888") == ""
        assert (await here.incident()).phase is Phase.DETECTED


async def test_a_delivered_text_is_known_to_be(redis_url: str) -> None:
    async with phones(redis_url, both_by_text) as here:
        for _, fields in here.service.taken:
            await here.ask(fields["StatusCallback"], {"MessageStatus": "sent", "MessageSid": "SM1"})
            await here.ask(fields["StatusCallback"], {"MessageStatus": "delivered", "MessageSid": "SM1"})
        assert len([line for line in await here.lines() if "delivered: the phone has it" in line]) == 2
        assert await here.here.client.hlen(keys.family("handed")) == 0


async def test_the_same_alert_rings_once(redis_url: str) -> None:
    async with phones(redis_url, voice_then_text) as here:
        await here.here.send(DOWN)
        await here.work()
        assert len(here.service.got) == 1


def hung_up(here: Phones) -> list[str]:
    """Return the calls that Twilio was asked to end."""
    assert all(fields == {"Status": "completed"} for what, fields in here.service.taken if what == CALL)
    return [what for what, _ in here.service.taken if what == CALL]


async def test_a_call_that_rings_is_hung_up_once_somebody_else_has_it(redis_url: str) -> None:
    async with phones(redis_url, ana_by_voice_ben_by_text) as here:
        assert sorted(what for what, _ in here.service.taken) == ["Calls", "Messages"]
        await texts(here, "ACK", BEN)
        assert (await here.incident()).acked_by == "ben"
        assert hung_up(here) == [CALL]
        assert "hung-up: the call to ana is hung up: ben has it" in await here.lines()
        assert (await here.incident()).ringing == ()
        call = next(fields for what, fields in here.service.taken if what == "Calls")
        await here.ask(call["StatusCallback"], {"CallStatus": "completed"})
        assert hung_up(here) == [CALL]
        assert not [line for line in await here.lines() if line.startswith("page: paging ana by twilio+sms")]


async def test_a_call_that_was_answered_by_a_key_is_not_hung_up(redis_url: str) -> None:
    async with phones(redis_url, ana_by_voice_ben_by_text) as here:
        call = next(fields for what, fields in here.service.taken if what == "Calls")
        _, xml = await here.ask(call["Url"], {"CallStatus": "in-progress"})
        await here.ask(address(xml, "Gather", "action"), {"Digits": "4"})
        assert (await here.incident()).acked_by == "ana"
        assert hung_up(here) == []


async def test_a_call_that_is_over_is_not_hung_up(redis_url: str) -> None:
    async with phones(redis_url, ana_by_voice_ben_by_text) as here:
        call = next(fields for what, fields in here.service.taken if what == "Calls")
        await here.ask(call["StatusCallback"], {"CallStatus": "no-answer"})
        await texts(here, "ACK", BEN)
        assert hung_up(here) == []


async def test_a_call_that_was_ordered_while_somebody_took_it_is_hung_up_too(redis_url: str) -> None:
    async with phones(redis_url, ana_by_voice_ben_by_text, fires=False) as here:
        await here.here.send(DOWN)
        one = await here.incident()
        here.service.held = threading.Event()
        pumping = asyncio.create_task(asyncio.to_thread(here.deliver.pump))
        await until(lambda: len(here.service.got) == 2)
        taken = Command(Verb.ACKNOWLEDGE, one.key, "ben", "story")
        await here.here.desk.appender.append(taken, here.here.clock())
        await here.here.decide()
        here.service.held.set()
        await pumping
        await here.work()
        assert hung_up(here) == [CALL]
