"""What of one event is stored, at most. A limit trims and says so; it never changes an identity or drops an alert.

Sizes are in characters. Whatever is trimmed is named in the annotation `tocsin_trimmed`, and the fingerprint is taken
before. The limits on bodies and connections are settings of the door, for they protect a process, not a record.
"""

from __future__ import annotations

from typing import Final

MAX_LABELS: Final = 64
MAX_LABEL_NAME: Final = 128
MAX_LABEL_VALUE: Final = 4_096
MAX_ANNOTATIONS: Final = 64
MAX_ANNOTATION_VALUE: Final = 16_384
MAX_TITLE: Final = 300
MAX_URL: Final = 4_096
MAX_EVENTS: Final = 10_000
"""Events of one request. The items beyond it are refused one by one, so that the rest of a storm still pages."""
MAX_NESTING: Final = 64
"""Objects and arrays inside each other in a JSON body."""
MAX_FORM_FIELDS: Final = 200
