"""Errors of a run as one sentence for a person; everything else goes to the log."""

from __future__ import annotations

import errno
import logging
import sqlite3

from pipelines.errors import UserError

log = logging.getLogger("likeness.jobs")
NO_MEMORY = "There was not enough memory for this job; make the picture smaller or the clip shorter, or choose a smaller model."
DISK_FULL = "The studio's disk is full, so nothing can be saved; free some space and run this again."
READ_ONLY = "The studio may not write to its folder, so nothing can be saved; allow writing there and run this again."
UNKNOWN = "Something went wrong that should not have (reference {} in the studio's log); run the job again or change its settings."
NO_RESULT = "This job ended without a result; run it again or change its settings."
INTERRUPTED = "The studio was stopped while this job was running; run it again."
NOT_YOURS = "There is no such job in your list; it may have been deleted."
_MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")


def sentence(error: BaseException, reference: str) -> str:
    """What a person reads about `error`; the traceback of anything unexpected is logged under `reference`."""
    known = _known(error)
    if known is None or not isinstance(error, UserError):
        log.error("job %s failed", reference, exc_info=error)
    return known or UNKNOWN.format(reference)


def _known(error: BaseException) -> str | None:
    if isinstance(error, UserError):
        return str(error)
    if _is_memory(error):
        return NO_MEMORY
    if isinstance(error, sqlite3.OperationalError):
        return DISK_FULL if "full" in str(error) else READ_ONLY
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DISK_FULL
    if isinstance(error, OSError) and error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return READ_ONLY
    return None


def _is_memory(error: BaseException) -> bool:
    """MemoryError, torch.OutOfMemoryError (by name: the studio imports no torch) and the CPU allocator's RuntimeError."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _MEMORY_WORDS)
