"""The part of google-re2's Python module that Tocsin uses."""

from typing import Generic, TypeVar

AnyText = TypeVar("AnyText", str, bytes)

class error(Exception): ...

class Options:
    max_mem: int
    log_errors: bool
    never_capture: bool

class Match: ...

class Regexp(Generic[AnyText]):
    def fullmatch(self, text: AnyText) -> Match | None: ...
    def search(self, text: AnyText) -> Match | None: ...

def compile(pattern: AnyText, options: Options | None = None) -> Regexp[AnyText]: ...
