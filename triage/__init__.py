"""The judgement: what an event means, who must know, and why. Pure, except for `triage.store`."""
