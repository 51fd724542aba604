"""Who asks through reverse proxies, and that nobody can say that they are somebody else."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from tocsin.proxies import HEADER, HOPS_MAX, client_of, networks_of, seen_through

TRUSTED = networks_of("10.0.0.0/8, 192.168.1.7/32,fd00::/8")
STRANGER = "203.0.113.9"
EVIL = "198.51.100.66"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        (STRANGER, [], STRANGER),
        (STRANGER, ["127.0.0.1"], STRANGER),  # no proxy of ours: what it says is nobody's word
        ("10.1.2.3", [], "10.1.2.3"),
        ("10.1.2.3", [STRANGER], STRANGER),
        ("10.1.2.3", [f"127.0.0.1, {STRANGER}"], STRANGER),  # what a stranger sent stands left of what a proxy wrote
        ("10.1.2.3", [f"{EVIL}, {STRANGER}, 10.9.9.9"], STRANGER),  # two proxies of ours
        ("10.1.2.3", ["127.0.0.1", STRANGER], STRANGER),  # two headers are one list
        ("10.1.2.3", [f"10.5.5.5, {STRANGER}"], STRANGER),  # they pretend to be one of our proxies
        ("10.1.2.3", ["10.5.5.5, 10.6.6.6"], "10.5.5.5"),  # somebody within
        ("10.1.2.3", ["unknown"], "10.1.2.3"),
        ("10.1.2.3", [f"{EVIL}, garbage"], "10.1.2.3"),  # not read past what is no address
        ("10.1.2.3", [""], "10.1.2.3"),
        ("10.1.2.3", [f"{STRANGER}:4711"], STRANGER),
        ("10.1.2.3", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.1.2.3", ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:10.1.2.3", [STRANGER], STRANGER),
        ("10.1.2.3", [f"::ffff:{STRANGER}"], STRANGER),
        ("fd00::1", [STRANGER], STRANGER),
        ("192.168.1.7", [STRANGER], STRANGER),
        ("192.168.1.8", [EVIL], "192.168.1.8"),
        ("", [STRANGER], ""),
        ("10.1.2.3", [", ".join([EVIL, *["10.7.7.7"] * HOPS_MAX])], "10.7.7.7"),
    ],
)
def test_who_asks_is_read_from_the_right_over_our_proxies_only(peer: str, forwarded: list[str], client: str) -> None:
    assert client_of(peer, forwarded, TRUSTED) == client


@given(st.text(alphabet="0123456789abcdef.:,[] \t", max_size=60), st.sampled_from(["10.1.2.3", "192.168.1.7"]))
def test_whatever_a_stranger_sends_our_proxy_s_word_about_them_holds(sent: str, proxy: str) -> None:
    assert client_of(proxy, [f"{sent},{STRANGER}"], TRUSTED) == STRANGER
    assert client_of(proxy, [sent, STRANGER], TRUSTED) == STRANGER


@given(st.text(max_size=60))
def test_a_stranger_who_asks_us_directly_stays_who_they_are(sent: str) -> None:
    assert client_of(STRANGER, [sent], TRUSTED) == STRANGER


@pytest.mark.parametrize(("headers", "remote"), [({HEADER: f"{EVIL}, {STRANGER}"}, STRANGER), ({}, "10.1.2.3")])
async def test_after_the_middleware_the_request_comes_from_who_asks(headers: dict[str, str], remote: str) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(text=f"{request.remote} {request.match_info['name']}")

    request = make_mocked_request("GET", "/x", headers=headers, match_info={"name": "x"}).clone(remote="10.1.2.3")
    answer = await seen_through(TRUSTED)(request, handler)
    assert isinstance(answer, web.Response)
    assert answer.text == f"{remote} x"
