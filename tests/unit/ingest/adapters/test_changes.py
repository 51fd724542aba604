"""Every sample of a sender of changes: what changed, to which version, by whom; and whose word is believed."""

from __future__ import annotations

import msgspec
import pytest

from ingest.adapters import load
from tests.unit.ingest.adapters.samples import NOON, read, request
from triage.model import MINUTE, Change

CHANGES: dict[str, list[Change]] = {
    "changes/deploy": [
        Change(
            "shop", "deploy", "fix the cart for good", "4.18.2", NOON - 2 * MINUTE, "production", "mira",
            "https://ci.ops.example/run/881", "", "run-881",
        )
    ],
    "changes/array_of_two": [
        Change("shop", "rollback", "", "4.18.1"),
        Change("search", "flag", "new-ranking on"),
    ],
    "changes/one_of_two_bad": [Change("shop", "deploy", "", "4.18.1")],
    "changes/verified": [Change("shop", "deploy", "", "4.18.2", verified=True)],
    "pagerduty-change/change_full": [
        Change(
            "", "change", "Deployed checkout-api 4.18.2 to eu-prod-2", at=NOON - 182 * MINUTE, by="ci.ops.example",
            url="https://ci.ops.example/run/881",
        )
    ],
    "pagerduty-change/change_minimal": [Change("", "change", "Feature flag new-cart on")],
    "pagerduty-change/with_details": [
        Change("shop", "deploy", "Deployed shop", "4.18.2", None, "production", "ci.ops.example")
    ],
    "github/deployment_status_success.http": [
        Change(
            "", "deploy", "Deployed by the pipeline", "9f2c1ab4d5e6", NOON - 2 * MINUTE, "production",
            url="https://ci.ops.example/run/881", id="github/deployment/7001",
            repository="shop/web", by="mira",
        )
    ],
    "github/deployment_status_rollback.http": [
        Change(
            "", "rollback", "Deployed by the pipeline", "9f2c1ab4d5e6", NOON - 2 * MINUTE, "production",
            url="https://ci.ops.example/run/881", id="github/deployment/7001",
            repository="shop/web", by="mira",
        )
    ],
    "github/deployment_status_failure.http": [],
    "github/release_published.http": [
        Change(
            "", "release", "4.18.2: the cart", "v4.18.2", NOON - 10 * MINUTE,
            url="https://github.com/shop/web/releases/tag/v4.18.2", id="github/release/31337",
            repository="shop/web", by="mira",
        )
    ],
    "github/workflow_run_deploy.http": [
        Change(
            "", "deploy", "fix cart", "00aa11bb22cc", NOON - 336_000,
            url="https://github.com/shop/web/actions/runs/50100200311", id="github/run/50100200311/1",
            repository="shop/web", by="mira",
        )
    ],
    "github/workflow_run_success.http": [],
    "github/workflow_run_failure.http": [],
    "github/ping.http": [],
    "gitlab/deployment_success.http": [
        Change(
            "", "deploy", "fix cart", "ddccbbaa", NOON - 2 * MINUTE, "production",
            url="https://gl.ops.example/shop/web/-/jobs/796", id="gitlab/deployment/15",
            repository="shop/web", by="mira",
        )
    ],
    "gitlab/deployment_of_a_tag.http": [
        Change(
            "", "rollback", 'Revert "fix cart"', "v4.18.2", NOON - 2 * MINUTE, "production",
            url="https://gl.ops.example/shop/web/-/jobs/796", id="gitlab/deployment/15",
            repository="shop/web", by="mira",
        )
    ],
    "gitlab/deployment_running.http": [],
    "gitlab/release_create.http": [
        Change(
            "", "release", "4.18.2: the cart", "v4.18.2", NOON - 10 * MINUTE,
            url="https://gl.ops.example/shop/web/-/releases/v4.18.2", repository="shop/web", id="gitlab/release/1",
        )
    ],
    "gitlab/pipeline_success.http": [],
}  # fmt: skip


@pytest.mark.parametrize("sample", CHANGES)
def test_a_sample_is_read_as_expected(sample: str) -> None:
    adapter, _, case = sample.partition("/")
    found = read(adapter, case)
    assert (found.events, found.changes) == ([], CHANGES[sample])
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found.changes), type=list[Change]) == found.changes


def test_an_item_that_cannot_be_used_is_named_and_the_others_are_kept() -> None:
    (refused,) = read("changes", "one_of_two_bad").rejected
    assert (refused.where, refused.field) == ("[1]", "vresion")
    assert "it has service, kind" in refused.reason


def test_a_source_may_say_which_service_its_changes_are_of() -> None:
    (change,) = read("pagerduty-change", "change_minimal", labels={"service": "shop"}).changes
    assert change.service == "shop"


@pytest.mark.parametrize(
    ("sample", "secret", "wrong"),
    [
        ("github/deployment_status_success.http", b"gh-dev-secret", "HMAC"),
        ("github/workflow_run_success.http", b"gh-dev-secret", "HMAC"),
        ("github/ping.http", None, "missing"),
        ("gitlab/deployment_success.http", b"gl-dev-token", "X-Gitlab-Token"),
        ("pagerduty-change/change_full", b"R0UT1NGKEYEXAMPLE000000000000001", "routing_key"),
    ],
)
def test_who_sends_is_proven_by_the_senders_own_means(sample: str, secret: bytes | None, wrong: str) -> None:
    adapter, _, case = sample.partition("/")
    authenticate = load(adapter).authenticate
    assert authenticate is not None
    if secret is not None:
        assert authenticate(request(adapter, case), secret) is None
    assert wrong in (authenticate(request(adapter, case), b"another secret") or "")


def test_pagerdutys_clients_get_the_answer_that_they_look_for() -> None:
    answer = load("pagerduty-change").answer(read("pagerduty-change", "change_minimal"))
    assert answer is not None
    assert (answer[0], b'"status":"success"' in answer[1]) == (202, True)
