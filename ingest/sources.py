"""Which sources the door serves, and whether a request may speak for one of them.

What a stranger learns: on loopback an unknown source is a 404, since whoever is on this machine may know our names.
Beyond loopback an unknown source answers exactly as a wrong token does, after the same work; only who shows a token of
some other source is told that the name is wrong. Tokens are compared as SHA-256 digests, in constant time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import structlog

from ingest.adapter import Adapter
from ingest.settings import REPORT
from triage.rulebook.types import Source

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Served:
    """A source as the door serves it: `digests` of its tokens, its `secret` resolved, `fault` why it cannot work.

    `configured` tells a source of the operator's from one that exists because its adapter does.
    """

    source: Source
    adapter: Adapter
    configured: bool
    digests: tuple[bytes, ...] = ()
    secret: bytes | None = None
    fault: str = ""

    @property
    def open(self) -> bool:
        """Tell whether its senders prove nothing."""
        return not self.source.token_sha256 and not self.source.secret

    def welcomes(self, digests: Iterable[bytes]) -> bool:
        """Tell whether one of these digests is that of a token of this source."""
        return matches(self.digests or _NOBODY, digests)


_NOBODY = (hashlib.sha256(b"no token has this digest, and comparing with it takes as long").digest(),)


def matches(known: Iterable[bytes], given: Iterable[bytes]) -> bool:
    """Compare every digest with every other, whatever is found on the way."""
    given = list(given) or [b"\0" * 32]
    found = False
    for digest in known:
        for other in given:
            found |= hmac.compare_digest(digest, other)
    return found


def _namesake_first(served: Served) -> tuple[bool, str]:
    return served.source.name != served.adapter.name, served.source.name


class SourceBook:
    """The sources by name and by adapter; replaced whole by `update` while the door is open.

    `resolve_secret` turns `${ENV}` or `file:PATH` into the secret's bytes. It may raise OSError, LookupError or
    ValueError; the source then answers 503 until the next update, so that its senders try again.
    """

    def __init__(self, adapters: Iterable[Adapter], resolve_secret: Callable[[str], bytes]) -> None:
        self._adapters = {adapter.name: adapter for adapter in adapters}
        self._resolve_secret = resolve_secret
        self._by_name: dict[str, Served] = {}
        self._by_adapter: dict[str, tuple[Served, ...]] = {}
        self.update(())

    @property
    def adapters(self) -> Iterable[Adapter]:
        """Return the adapters that there are."""
        return self._adapters.values()

    @property
    def names(self) -> list[str]:
        """Return the names of all sources, sorted."""
        return sorted(self._by_name)

    def update(self, sources: Iterable[Source]) -> None:
        """Serve these sources, and every adapter that none of them uses under the adapter's own name."""
        configured = {source.name: self._served(source) for source in sources if self._known(source)}
        used = {served.adapter.name for served in configured.values()}
        found = {
            name: Served(Source(name=name, adapter=name), adapter, configured=False)
            for name, adapter in self._adapters.items()
            if name not in used and name not in configured
        }
        found.update(configured)
        by_adapter: dict[str, list[Served]] = {}
        for served in sorted(found.values(), key=_namesake_first):
            by_adapter.setdefault(served.adapter.name, []).append(served)
        self._by_name = found
        self._by_adapter = {name: tuple(served) for name, served in by_adapter.items()}

    def named(self, name: str) -> tuple[Served, ...]:
        """Return the source of that name, if there is one."""
        served = self._by_name.get(name)
        return () if served is None else (served,)

    def of_adapter(self, name: str) -> tuple[Served, ...]:
        """Return the sources that use an adapter; the one that bears its name comes first."""
        return self._by_adapter.get(name, ())

    def any_welcomes(self, digests: Iterable[bytes]) -> bool:
        """Tell whether one of these digests is that of a token of any source."""
        return matches([digest for served in self._by_name.values() for digest in served.digests], digests)

    def _known(self, source: Source) -> bool:
        if source.adapter in self._adapters:
            return True
        _log.error("source not served: no such adapter", source=source.name, adapter=source.adapter)
        return False

    def _served(self, source: Source) -> Served:
        adapter = self._adapters[source.adapter]
        digests: tuple[bytes, ...] = ()
        secret, fault = None, ""
        try:
            digests = tuple(bytes.fromhex(digest) for digest in source.token_sha256)
        except ValueError:
            fault = "a token_sha256 is no hexadecimal number"
        if source.secret and adapter.authenticate is None:
            fault = f"the source has a secret, but senders of {adapter.name} do not sign: give it a token instead"
        elif source.secret:
            try:
                secret = self._resolve_secret(source.secret)
                fault = "" if secret else "its secret is empty"
            except (OSError, LookupError, ValueError) as error:
                fault = f"its secret cannot be had ({type(error).__name__})"
        if fault:
            _log.error("source cannot be served", source=source.name, reason=fault)
        return Served(source, adapter, True, digests, secret, fault)


@dataclass(frozen=True, slots=True)
class Offered:
    """What a request shows: the digests of its tokens, and the query and the rest of its path without them.

    `path_digest` is that of the first segment after the source's name, which may be a token or not.
    """

    digests: list[bytes]
    query: Mapping[str, str]
    rest: str
    path_digest: bytes | None

    def rest_for(self, served: Served) -> str:
        """Return the rest of the path, less the token of that source when it begins with one."""
        if self.path_digest is not None and served.digests and served.welcomes((self.path_digest,)):
            return self.rest.partition("/")[2]
        return self.rest


_NOTHING: Mapping[str, str] = {}


def offered(authorization: str, query: Mapping[str, str] | None, rest: str) -> Offered:
    """Gather the tokens of a request: bearer, basic password, `?token=`, first segment of the rest of the path."""
    tokens = list(_header_tokens(authorization)) if authorization else []
    if query is not None and "token" in query:
        tokens.append(query["token"])
        query = {name: value for name, value in query.items() if name != "token"}
    digests = [digest_of(token) for token in tokens if token]
    path_digest = digest_of(rest.partition("/")[0]) if rest else None
    if path_digest is not None:
        digests.append(path_digest)
    return Offered(digests, _NOTHING if query is None else query, rest, path_digest)


def _header_tokens(authorization: str) -> Iterator[str]:
    scheme, _, value = authorization.partition(" ")
    value = value.strip()
    if scheme.lower() != "basic":
        yield value
        return
    try:
        decoded = base64.b64decode(value.encode("utf-8", "surrogateescape"), validate=False)
    except (binascii.Error, ValueError):
        return
    yield decoded.partition(b":")[2].decode("utf-8", "surrogateescape")


def digest_of(token: str) -> bytes:
    """Return the digest under which a token is configured: SHA-256 of its bytes."""
    try:
        return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
    except UnicodeEncodeError:
        return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def may_be_open(served: Served, *, loopback: bool) -> bool:
    """Tell whether an open source is served: on loopback all are, beyond it reports that the operator configured."""
    return loopback or (served.configured and served.adapter.name == REPORT)
