"""API tokens and the audit log, for admins: made, listed, revoked; and who did what."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from desk.api import Answered, Call, Route
from desk.asking import After, Limit, Query
from desk.people import Person
from desk.problems import Problem, not_found
from desk.shapes import Time
from desk.showing import time_of
from triage.model import Millis
from triage.model.roles import Role, Scope
from triage.rulebook.durations import parse_duration
from triage.store import deeds, tokens

EXPIRES: Final = "90d"
"""How long a token holds where nobody says otherwise."""
_NEVER: Final = "never"
RoleName = Literal["viewer", "responder", "admin"]
ScopeName = Literal["read", "silence", "respond", "admin"]


class TokenBody(BaseModel):
    """A token to make. `scopes`: fewer than the role has; all of them where none are named."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(pattern=f"^{tokens.NAME}$", description="Who acts, in the timeline and the log.")]
    role: RoleName = "viewer"
    scopes: Annotated[list[ScopeName], Field(max_length=4)] = []
    expires: Annotated[str, Field(max_length=40, description="Like `90d`, or `never`.")] = EXPIRES

    @field_validator("expires")
    @classmethod
    def _is_one(cls, text: str) -> str:
        if text != _NEVER and parse_duration(text) <= 0:
            raise ValueError("must be longer than nothing, or never")
        return text


class TokenShape(BaseModel):
    """A token, without its text. `used_at` is right to ten minutes; `made_by` is who made it."""

    name: str
    role: str
    scopes: list[str]
    made_at: Time
    made_by: str
    expires_at: Time | None
    expired: bool
    used_at: Time | None


class TokenPage(BaseModel):
    """Tokens by name; `next` is the `after` of the next page, null at the end."""

    items: list[TokenShape]
    next: str | None


class TokenMade(TokenShape):
    """A new token. `token` is its text: shown now, kept nowhere."""

    token: str


class TokenGone(BaseModel):
    """A token that was revoked."""

    name: str
    revoked: bool


class TokensQuery(Query):
    """Which page."""

    limit: Limit = 50
    after: After = None


class AuditQuery(Query):
    """Which log, and which page."""

    refused: Annotated[bool, Field(description="Who was refused, instead of what was done.")] = False
    limit: Limit = 50
    after: Annotated[str | None, Field(max_length=41, description="The `next` of the previous page.")] = None


class DeedShape(BaseModel):
    """One line of the audit log: `who` (`role`) did `what` to `target`, by `via`, from `address`.

    `forwarded` is what came as X-Forwarded-For, which anybody can write.
    """

    id: str
    at: Time
    who: str
    role: str
    via: str
    address: str
    forwarded: str
    what: str
    target: str
    status: int
    detail: str


class DeedPage(BaseModel):
    """The audit log, newest first."""

    items: list[DeedShape]
    next: str | None


async def list_tokens(call: Call) -> BaseModel:
    """Return API tokens made at run time; those of oncall.yaml and quiet.yaml stand in the files."""
    now = call.office.desk.clock()
    rest = [one for one in await tokens.every(call.client) if one.token.name > (call.query.after or "")]
    shown = rest[: call.query.limit]
    shapes = [TokenShape(**_shape(one.token, now, one.used_at)) for one in shown]
    return TokenPage(items=shapes, next=shown[-1].token.name if len(shown) < len(rest) else None)


async def create_token(call: Call) -> Answered:
    """Make an API token. Its text is in this answer and nowhere else."""
    body: TokenBody = call.body
    person: Person | None = call.person
    assert person is not None  # noqa: S101  a route that changes is never called without
    desk = call.office.desk
    now = desk.clock()
    expires_at = None if body.expires == _NEVER else now + parse_duration(body.expires)
    if body.name in desk.settings.tokens or body.name in desk.settings.silencers:
        raise Problem(409, "refused", "Refused", f"{body.name} is the name of somebody in the rules: choose another")
    try:
        scopes = frozenset(map(Scope, body.scopes))
        text, token = tokens.make(body.name, Role(body.role), scopes, now, person.name, expires_at)
        await tokens.add(call.client, token)
    except tokens.Refused as refusal:
        raise Problem(409, "refused", "Refused", str(refusal)) from None
    return Answered(TokenMade(**_shape(token, now, None), token=text), 201)


async def revoke_token(call: Call) -> BaseModel:
    """Revoke a token: from the next request on it is not known any more."""
    name = call.request.match_info["name"][:100]
    if not await tokens.remove(call.client, name):
        raise not_found(f"there is no token called {name}")
    return TokenGone(name=name, revoked=True)


async def list_deeds(call: Call) -> BaseModel:
    """Return the audit log, newest first."""
    page = await deeds.page(call.client, call.query.limit, call.query.after, call.query.refused)
    items = [
        DeedShape(
            id=one.id,
            at=time_of(one.at),
            who=one.deed.who,
            role=one.deed.role,
            via=one.deed.via,
            address=one.deed.address,
            forwarded=one.deed.forwarded,
            what=one.deed.what,
            target=one.deed.target,
            status=one.deed.status,
            detail=one.deed.detail,
        )
        for one in page.items
    ]
    return DeedPage(items=items, next=page.next)


def _shape(token: tokens.Token, now: Millis, used_at: Millis | None) -> dict[str, object]:
    return {
        "name": token.name,
        "role": token.role.value,
        "scopes": sorted(token.scopes),
        "made_at": time_of(token.made_at),
        "made_by": token.made_by,
        "expires_at": None if token.expires_at is None else time_of(token.expires_at),
        "expired": token.expired(now),
        "used_at": None if used_at is None else time_of(used_at),
    }


ROUTES: Final = (
    Route("GET", "/tokens", "API tokens", list_tokens, TokenPage, TokensQuery, scope=Scope.ADMIN),
    Route(
        "POST",
        "/tokens",
        "Make an API token",
        create_token,
        TokenMade,
        body=TokenBody,
        statuses={201: "Made. `token` is its text, kept nowhere."},
        scope=Scope.ADMIN,
        secret=True,
    ),
    Route("DELETE", "/tokens/{name}", "Revoke an API token", revoke_token, TokenGone, scope=Scope.ADMIN),
    Route("GET", "/audit-log", "Who did what", list_deeds, DeedPage, AuditQuery, scope=Scope.ADMIN),
)
"""The routes for admins."""
