"""Metrics of an incident, around onset and recovery: over the API as numbers and as a picture, and in its view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from markupsafe import Markup
from pydantic import BaseModel

from desk.api import Call, Office, Route
from desk.chart import draw, marks_of
from desk.problems import not_found
from desk.shapes import Time
from desk.showing import time_of
from triage import curves
from triage.measured import Measures, Snapshot
from triage.model import Incident, short
from triage.store import queries, readings

if TYPE_CHECKING:
    from desk.sections import Look

SVG_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


class CurveShape(BaseModel):
    """One series: its labels, and a value for each step (null: none)."""

    labels: dict[str, str]
    values: list[float | None]


class SnapshotShape(BaseModel):
    """One reading. `around` is onset or recovery; `fault` says why there are no curves; `text` says it in words.

    `left_out` counts series that are not kept. `whole`: only what fired is in it. `svg` is the address of the picture.
    """

    around: str
    start: Time
    end: Time
    step_seconds: float
    read_at: Time
    curves: list[CurveShape]
    left_out: int
    whole: bool
    fault: str
    text: str
    svg: str | None


class MetricsShape(BaseModel):
    """What is behind an incident. `query` is PromQL as it was written, and `curve` the part of it that is drawn; what
    fires is `sign` and `threshold` of it. `origin` tells where it is from; `pending`: it is being read.
    """

    query: str
    curve: str
    sign: str
    threshold: float | None
    origin: str
    server: str
    pending: bool
    snapshots: list[SnapshotShape]


async def get_metrics(call: Call) -> BaseModel:
    """Return the metrics of an incident; without an expression `query` is empty."""
    one = await queries.incident(call.client, call.request.match_info["id"])
    found = await readings.of(call.client, one)
    if found is None:
        return MetricsShape(
            query="", curve="", sign="", threshold=None, origin="", server="", pending=False, snapshots=[]
        )
    query = found.query
    return MetricsShape(
        query=query.text,
        curve=query.curve,
        sign=query.sign,
        threshold=query.threshold,
        origin=query.origin,
        server=query.server,
        pending=found.wanted is not None,
        snapshots=[_shape(one, found, snapshot) for snapshot in found.snapshots],
    )


def _shape(one: Incident, found: Measures, snapshot: Snapshot) -> SnapshotShape:
    return SnapshotShape(
        around=snapshot.around.value,
        start=time_of(snapshot.start),
        end=time_of(snapshot.end),
        step_seconds=snapshot.step / 1_000,
        read_at=time_of(snapshot.read_at),
        curves=[CurveShape(labels=each.labels, values=list(each.values)) for each in snapshot.curves],
        left_out=snapshot.left_out,
        whole=snapshot.whole,
        fault=snapshot.fault,
        text=curves.sentence(found.query, snapshot),
        svg=f"/api/v1/incidents/{short(one.key)}/metrics/{snapshot.around}.svg" if snapshot.curves else None,
    )


async def picture(office: Office, request: web.Request) -> web.StreamResponse:
    """Answer with one reading as SVG that stands alone."""
    one = await queries.incident(office.desk.client, request.match_info["id"])
    found = await readings.of(office.desk.client, one)
    around = request.match_info["around"]
    known = [each for each in (found.snapshots if found is not None else ()) if each.around == around and each.curves]
    if found is None or not known:
        raise not_found(f"nothing was read around the {around[:20]} of incident {short(one.key)}")
    text = draw(found.query, known[0], marks_of(one), f"metrics-{around}", alone=True)
    return web.Response(text=text, content_type="image/svg+xml", headers=SVG_HEADERS)


async def section(look: Look) -> Mapping[str, Any]:
    """Return what the section of the view shows."""
    return {"measured": shown(look.one, await readings.of(look.client, look.one))}


def shown(one: Incident, found: Measures | None) -> dict[str, Any] | None:
    """Return the readings as a view shows them, each with its picture and its sentences; None without an expression."""
    if found is None:
        return None
    snapshots = found.told
    return {
        "query": found.query,
        "pending": found.wanted is not None and not snapshots,
        "snapshots": [
            {
                "around": each.around.value,
                "svg": _drawn(one, found, each),
                "told": curves.listed(found.query, each),
                "names": [curves.labels_of(curve) for curve in each.curves],
            }
            for each in snapshots
        ],
    }


def _drawn(one: Incident, found: Measures, snapshot: Snapshot) -> Markup:
    if not snapshot.curves:
        return Markup()
    return Markup(draw(found.query, snapshot, marks_of(one), f"metrics-{snapshot.around}"))  # noqa: S704  it escapes


PICTURES: Final[dict[str, Any]] = {"/incidents/{id}/metrics/{around}.svg": picture}
ROUTES: Final = (
    Route("GET", "/incidents/{id}/metrics", "Metrics around onset and recovery", get_metrics, MetricsShape),
)
"""The routes of metrics."""
