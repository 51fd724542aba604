"""The hands: what decides (drain) and what tells people (deliver), as processes woken by RQ."""

import os

from triage.store import keys

# RQ reads its key prefix once, when it is imported. This package is imported before any `rq` below it.
os.environ["RQ_KEY_PREFIX"] = keys.RQ_PREFIX
