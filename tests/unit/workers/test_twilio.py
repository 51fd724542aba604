"""Calls and texts through Twilio's API: what is ordered, and what each answer comes to."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest

from tests.unit.workers.http_server import serving
from tests.unit.workers.twilio_server import ANA, AUTH_TOKEN, CALL, NUMBER, SECRETS, Twilio, method
from triage.model import EffectKind, Ending, Severity
from workers.channel import Message
from workers.channels import twilio
from workers.outbound import allow
from workers.secrets import expand

LINK = "https://tocsin.example.org/a/t0k3n"
PAGE = Message(
    "page-1",
    EffectKind.PAGE,
    "P0 Checkout down",
    "Acknowledge …",
    Severity.P0,
    incident="k3m7qaaaaaaaaaaaaaaaaaaaaa",
    answer_url=LINK,
    number="47",
)


@pytest.fixture(autouse=True)
def _near() -> Iterator[None]:
    allow(["127.0.0.0/8"])
    yield
    allow([])


def target(kind: str, port: int, **more: str) -> str:
    return expand(method(kind, port, **more), SECRETS.get).target


def test_a_page_by_voice_is_a_call_that_asks_the_desk_what_to_say() -> None:
    service = Twilio()
    with serving(service) as port:
        ended = twilio.send(target("voice", port), PAGE)
    assert (ended.ending, ended.ambiguous) == (Ending.HANDED_OVER, False)
    [(what, fields)] = service.taken
    assert (what, fields["To"], fields["From"]) == ("Calls", ANA, NUMBER)
    assert (fields["Url"], fields["Method"]) == (f"{LINK}/call", "POST")
    assert (fields["StatusCallback"], fields["StatusCallbackMethod"]) == (f"{LINK}/status", "POST")


def test_a_page_by_text_says_what_and_how_to_answer() -> None:
    service = Twilio()
    with serving(service) as port:
        assert twilio.send(target("sms", port), PAGE).ending is Ending.HANDED_OVER
    [(what, fields)] = service.taken
    assert (what, fields["StatusCallback"]) == ("Messages", f"{LINK}/status")
    assert fields["Body"].splitlines() == [
        "P0 Checkout down",
        "Reply ACK k3m7qa to acknowledge, ESC k3m7qa to escalate.",
        f"Or tap 47: {LINK}",
    ]


def test_a_sender_of_letters_offers_no_reply_and_a_service_is_named_as_one() -> None:
    service = Twilio()
    with serving(service) as port:
        twilio.send(target("sms", port, sender="Tocsin"), PAGE)
        twilio.send(target("sms", port, sender="MG" + "0a" * 16), PAGE)
    (_, named), (_, pooled) = service.taken
    assert "Reply" not in named["Body"]
    assert LINK in named["Body"]
    assert (pooled["MessagingServiceSid"], "From" in pooled) == ("MG" + "0a" * 16, False)


def test_what_asks_for_nothing_does_not_ring() -> None:
    service = Twilio()
    note = Message("n", EffectKind.NOTIFICATION, "All clear", "Nobody was woken.\n\nMessage n", Severity.P0)
    with serving(service) as port:
        assert twilio.send(target("voice", port), note).ending is Ending.DELIVERED
    [(what, fields)] = service.taken
    assert (what, fields["Body"]) == ("Messages", "All clear\nNobody was woken.")


def test_a_long_hostile_title_leaves_room_for_how_to_answer() -> None:
    text = twilio.text_of(
        Message(**{**{f: getattr(PAGE, f) for f in PAGE.__struct_fields__}, "title": "x" * 900}), True
    )
    assert len(text) <= twilio.TEXT_MAX
    assert "Reply ACK k3m7qa" in text
    assert LINK in text


def test_without_an_external_url_no_phone_rings_and_the_reason_says_what_to_set() -> None:
    bare = Message("page-1", EffectKind.PAGE, "P0 x", "", Severity.P0, incident="k3m7qa")
    service = Twilio()
    with serving(service) as port:
        ended = twilio.send(target("voice", port), bare)
        assert (ended.ending, "--web.external-url" in ended.reason) == (Ending.GIVE_UP, True)
        assert service.got == []
        assert twilio.send(target("sms", port), bare).ending is Ending.DELIVERED


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (400, Ending.GIVE_UP),
        (401, Ending.GIVE_UP),
        (404, Ending.GIVE_UP),
        (429, Ending.TRY_AGAIN),
        (503, Ending.TRY_AGAIN),
    ],
)
def test_a_refusal_is_told_in_twilios_words_and_trouble_is_tried_again(status: int, ending: Ending) -> None:
    said = {"code": 21211, "message": "The 'To' number is not valid.", "status": status}
    service = Twilio(status=status, body=json.dumps(said).encode(), headers={"Retry-After": "7"})
    with serving(service) as port:
        ended = twilio.send(target("voice", port), PAGE)
    assert ended.ending is ending
    if ending is Ending.GIVE_UP:
        assert "The 'To' number is not valid. (Twilio 21211)" in ended.reason
    else:
        assert ended.retry_after == 7_000
    assert AUTH_TOKEN not in ended.reason


def test_no_answer_after_the_order_may_have_been_a_call() -> None:
    service = Twilio(cuts=True)
    with serving(service) as port:
        ended = twilio.send(target("voice", port), PAGE)
    assert (ended.ending, ended.ambiguous) == (Ending.TRY_AGAIN, True)


def test_a_malformed_method_is_given_up_without_being_repeated() -> None:
    ended = twilio.send("twilio+sms://AC1:s3cret@+15550100/0170", PAGE)
    assert ended.ending is Ending.GIVE_UP
    assert "s3cret" not in ended.reason


@pytest.mark.parametrize(
    ("status", "ending", "reason"),
    [
        (200, Ending.DELIVERED, "Twilio hangs up"),
        (404, Ending.DELIVERED, "the call was over already"),
        (400, Ending.DELIVERED, "the call was over already"),
        (503, Ending.TRY_AGAIN, "HTTP 503"),
        (401, Ending.GIVE_UP, "HTTP 401"),
    ],
)
def test_an_update_of_a_call_hangs_up(status: int, ending: Ending, reason: str) -> None:
    service = Twilio(status=status)
    update = msgspec.structs.replace(PAGE, kind=EffectKind.UPDATE, thread=CALL)
    with serving(service) as port:
        ended = twilio.send(target("voice", port), update)
    assert service.taken == [(CALL, {"Status": "completed"})]
    assert (ended.ending, ended.reason) == (ending, reason)


def test_a_call_is_known_by_what_twilio_calls_it() -> None:
    service = Twilio()
    with serving(service) as port:
        assert twilio.send(target("voice", port), PAGE).receipt == CALL
        service.body = b"{}"
        assert twilio.send(target("voice", port), PAGE).receipt == ""
