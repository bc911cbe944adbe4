"""The bodies' own returns: how many of their staff installed i-Speed and measured with it, asked each month by form.

`bodies` tells who is asked and until when, `form` writes what is sent to them, `figures` and `reading` read what comes
back, `collecting` decides what counts, `consolidated` adds it up for the Ministry.
"""

from __future__ import annotations

from ispeed.returns.bodies import Body, asked_bodies, deadline_of, missing_bodies

__all__ = ["Body", "asked_bodies", "deadline_of", "missing_bodies"]
