"""Bodies within their limits: packed and unpacked, nested, too large."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.adapter import Unreadable
from ingest.refusal import Refusal
from ingest.settings import DoorLimits
from ingest.unpacking import check_nesting, unpack

LIMITS = DoorLimits(body_bytes=1000)
TEXT = b'{"alerts": []}'


def packed(body: bytes) -> bytes:
    """Pack a body so that it is the same bytes each time: they become the names of tests."""
    return gzip.compress(body, mtime=0)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (TEXT, ""),
        (TEXT, "identity"),
        (packed(TEXT), "gzip"),
        (packed(TEXT), " X-GZIP "),
        (packed(TEXT[:5]) + packed(TEXT[5:]), "gzip"),
        (zlib.compress(TEXT), "deflate"),
        (raw_deflate(TEXT), "deflate"),
    ],
)
def test_a_packed_body_is_unpacked(body: bytes, encoding: str) -> None:
    assert unpack(body, encoding, LIMITS) == TEXT


def test_an_empty_body_is_empty_however_it_says_it_is_packed() -> None:
    assert unpack(b"", "gzip", LIMITS) == b""


@pytest.mark.parametrize(
    ("body", "encoding", "field"),
    [
        (b"no gzip", "gzip", "body"),
        (packed(TEXT)[:-4], "gzip", "body"),
        (packed(TEXT) + b"rubbish", "gzip", "body"),
        (packed(TEXT)[:-8] + b"\0" * 8, "gzip", "body"),
        (b"\xff\xff", "deflate", "body"),
        (TEXT, "br", "content-encoding"),
        (TEXT, "gzip, gzip", "content-encoding"),
        (TEXT, "x" * 5000, "content-encoding"),
    ],
)
def test_a_broken_packing_names_what_is_at_fault(body: bytes, encoding: str, field: str) -> None:
    with pytest.raises(Unreadable) as refused:
        unpack(body, encoding, LIMITS)
    assert refused.value.field == field
    assert len(refused.value.reason) < 300


@pytest.mark.parametrize(
    "bomb",
    [packed(b"0" * 1001), packed(b"0" * 50_000_000), packed(b"0" * 600) * 2],
)
def test_a_bomb_is_too_large(bomb: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        unpack(bomb, "gzip", LIMITS)
    assert refused.value.status == 413


def test_a_body_of_exactly_the_limit_is_taken() -> None:
    assert len(unpack(packed(b"0" * 1000), "gzip", LIMITS)) == 1000


def nested(depth: int, filler: str = "") -> bytes:
    return b'{"a":' * (depth - 1) + b"{" + filler.encode() + b"}" + b"}" * (depth - 1)


@pytest.mark.parametrize("opener", ["[", '{"a":'])
def test_nesting_is_counted_exactly(opener: str) -> None:
    closer = "]" if opener == "[" else "}"
    for depth, fits in ((8, True), (9, False), (100_000, False)):
        body = (opener * (depth - 1) + "[]" + closer * (depth - 1)).encode()
        if fits:
            check_nesting(body, 8)
        else:
            with pytest.raises(Unreadable, match="8"):
                check_nesting(body, 8)


def test_a_wide_body_is_not_a_deep_one() -> None:
    check_nesting(json.dumps([{"labels": {"a": []}}] * 1000).encode(), 8)


def test_brackets_in_texts_do_not_count() -> None:
    check_nesting(json.dumps([{"summary": "{{{{[[[[{{{{ " + '\\"' * 3}] * 10).encode(), 8)
    check_nesting(b"summary=" + b"[" * 100, 8)


values = st.recursive(
    st.none() | st.text(alphabet='ab{}[]"\\,: ', max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=30,
)


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max((depth_of(item) for item in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth_of(item) for item in value), default=0)
    return 0


@given(st.lists(values) | st.dictionaries(st.text(), values), st.integers(1, 6))
def test_a_body_within_the_limit_is_never_refused(value: object, limit: int) -> None:
    if depth_of(value) <= limit:
        check_nesting(json.dumps(value).encode(), limit)
