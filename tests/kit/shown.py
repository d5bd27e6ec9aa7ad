"""What an error shows: to those who catch it, and to a collector of errors."""

from __future__ import annotations

import traceback

from hubspot_sync import HubSpotSyncError
from hubspot_sync._clock import StopRequested


def only_ours(error):
    """Whether the whole chain behind *error* is of this library."""
    left, seen = [error], []
    while left:
        one = left.pop()
        if one is None or one in seen:
            continue
        seen.append(one)
        left += [one.__cause__, one.__context__]
    return all(isinstance(one, (HubSpotSyncError, StopRequested)) for one in seen)


def everything_in(error):
    """All that a collector of errors may show of the library: the chain, every local variable."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    left, shown = [told], [str(error), repr(error), *told.format_exception_only()]
    while left:
        one = left.pop()
        shown += [repr(frame.locals) for frame in one.stack if "/tests/" not in frame.filename]
        shown += one.format_exception_only()
        left += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
    return "".join(shown)
