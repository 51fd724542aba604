"""The cache of a lease holder. It merely calls Redis, so a fake one serves."""

from __future__ import annotations

from typing import Any, cast

import fakeredis
import pytest

from triage.memory import ALERT, GROUP, Changes, Key, Missing
from triage.model import Group
from triage.store import keys
from triage.store.memory import ENCODER, Batch, Cache, field_of, id_of

KEYS: list[Key] = [(ALERT, "ab" * 16), (GROUP, '[["service","shop"]]')]


def test_what_was_never_loaded_is_missing_and_what_is_known_not_to_exist_is_none() -> None:
    cache = Cache()
    with pytest.raises(Missing) as missing:
        cache.get(KEYS[1])
    assert missing.value.key == KEYS[1]
    cache.load(fakeredis.FakeRedis(), KEYS)
    assert [cache.get(key) for key in KEYS] == [None, None]


def test_values_of_several_families_come_in_one_load() -> None:
    client = fakeredis.FakeRedis()
    client.hset(keys.family(GROUP), KEYS[1][1], cast("Any", ENCODER.encode(Group("somewhere"))))
    cache = Cache()
    cache.load(client, KEYS)
    assert (cache.get(KEYS[0]), cache.get(KEYS[1])) == (None, Group("somewhere"))


@pytest.mark.parametrize("key", KEYS)
def test_fields_and_ids_are_each_others_inverse(key: Key) -> None:
    assert id_of(key[0], field_of(key)) == key[1]


def test_fingerprints_are_stored_as_sixteen_bytes() -> None:
    assert len(field_of(KEYS[0])) == 16


def test_a_batch_sees_its_own_changes_before_the_cache() -> None:
    cache = Cache()
    cache.apply(Changes(puts={KEYS[1]: Group("old")}))
    batch = Batch(cache)
    assert batch.get(KEYS[1]) == Group("old")
    batch.changes.puts[KEYS[1]] = None
    assert batch.get(KEYS[1]) is None
    assert cache.get(KEYS[1]) == Group("old")
