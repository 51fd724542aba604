"""Services that teams use, by the real Apprise, against a server that looks at what arrives and where."""

from __future__ import annotations

import json
from urllib.parse import unquote_plus

import pytest
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.pushover import NotifyPushover
from apprise.plugins.slack import NotifySlack
from apprise.plugins.telegram import NotifyTelegram

from tests.unit.workers.http_server import Provider, serving
from triage.model import Effect, EffectKind, Ending, Severity
from workers import wording
from workers.channel import Message
from workers.channels import apprise

PAGE = Message("page-1", EffectKind.PAGE, "P0 Checkout down", "Acknowledge: tap 47\n\nMessage page-1", Severity.P0)
OK = b'{"ok": true, "id": "x", "errcode": 0}'
HOOK = "a" * 68

SERVICES = [
    ("mmost://127.0.0.1:{port}/" + "b" * 24, "/hooks/" + "b" * 24, OK),
    ("gotify://127.0.0.1:{port}/token1234567", "/message", OK),
    ("matrix://tocsin:token12@127.0.0.1:{port}?mode=slack", "/api/v1/matrix/hook/token12", OK),
    ("rocket://aaaa/bbbb@127.0.0.1:{port}/%23ops", "/hooks/aaaa/bbbb", OK),
    ("jsons://127.0.0.1:{port}/hook?verify=no", "", OK),
    ("form://127.0.0.1:{port}/hook", "/hook", OK),
    ("tgram://123456789:" + "A" * 34 + "/12345", "/bot123456789:" + "A" * 34 + "/sendMessage", OK),
    ("discord://123456789012345678/" + HOOK, "/api/webhooks/123456789012345678/" + HOOK, OK),
    ("pover://" + "u" * 30 + "@" + "t" * 30, "/1/messages.json", b'{"status": 1, "request": "r"}'),
    ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/%23ops", "/services/T1JJ3T3L2/A1BRTD4JD/", b"ok"),
]


@pytest.mark.parametrize(("target", "path", "body"), SERVICES, ids=[one[0].partition(":")[0] for one in SERVICES])
def test_the_whole_page_arrives_where_the_service_expects_it(
    monkeypatch: pytest.MonkeyPatch, target: str, path: str, body: bytes
) -> None:
    service = Provider(status=200, body=body)
    with serving(service) as port:
        here = f"http://127.0.0.1:{port}"
        monkeypatch.setattr(NotifyTelegram, "notify_url", f"{here}/bot")
        monkeypatch.setattr(NotifyDiscord, "notify_url", f"{here}/api/webhooks")
        monkeypatch.setattr(NotifyPushover, "notify_url", f"{here}/1/messages.json")
        monkeypatch.setattr(NotifySlack, "webhook_url", f"{here}/services")
        ended = apprise.send(target.format(port=port), PAGE)
    if not path:  # it wants TLS, which is not spoken here
        assert (ended.ending, service.got) == (Ending.TRY_AGAIN, [])
        return
    assert ended.ending is Ending.DELIVERED, ended.reason
    [(asked, _, sent)] = service.got
    assert asked.startswith(path)
    text = unquote_plus(sent.decode()).replace("\\", "")
    for words in ("P0 Checkout down", "Acknowledge: tap 47", "Message page-1"):
        assert words in text
    assert "avatar" not in text, "no picture from a third party"
    assert "github" not in text


@pytest.mark.parametrize("status", [401, 429, 503])
def test_each_service_tells_a_refusal_from_trouble(status: int) -> None:
    service = Provider(status=status, body=b"{}", headers={"Retry-After": "11"})
    with serving(service) as port:
        for target, _, _ in SERVICES[:4]:
            ended = apprise.send(target.format(port=port), PAGE)
            assert ended.ending is (Ending.GIVE_UP if status == 401 else Ending.TRY_AGAIN)
            assert ended.retry_after == (0 if status == 401 else 11_000)
    assert len(service.got) == 4, "one try each"


HOSTILE = "<!channel> <@123456789> @everyone @here @all [bank](https://evil.example) `x`"


@pytest.mark.parametrize(("target", "path", "body"), SERVICES[:1] + SERVICES[7:8], ids=["mmost", "discord"])
def test_a_post_of_an_incident_mentions_nobody_and_hides_no_link(
    monkeypatch: pytest.MonkeyPatch, target: str, path: str, body: bytes
) -> None:
    facts = {"severity": "P0", "incident": "abc234", "text": f"10:05 ana has it\n10:06 note: {HOSTILE} (ana)"}
    post = wording.message(Effect("post-1", EffectKind.POST, "abc234full", "", target, HOSTILE, facts, 0, 0, 0))
    service = Provider(status=200, body=body)
    with serving(service) as port:
        monkeypatch.setattr(NotifyDiscord, "notify_url", f"http://127.0.0.1:{port}/api/webhooks")
        assert apprise.send(target.format(port=port), post).ending is Ending.DELIVERED
    [(asked, _, sent)] = service.got
    assert asked.startswith(path)
    text = json.dumps(json.loads(sent), ensure_ascii=False)
    assert text.index("10:05 ana has it") < text.index("10:06 note:")
    assert not [mark for mark in ("<!", "<@", "@everyone", "@here", "@all", "](", "`") if mark in text]
