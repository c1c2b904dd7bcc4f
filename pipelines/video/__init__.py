"""Clips on disk: write them for a browser, read any clip within limits, carry the whole request in the file.

Files that people bring are untrusted: the kind is told by content (never by name), sizes are checked before anything is
decoded, and whatever is wrong with a file is one UserError.
"""

from pipelines.video.metadata import read_request
from pipelines.video.read import Limits, read_clip
from pipelines.video.write import SUFFIXES, write_clip

__all__ = ["SUFFIXES", "Limits", "read_clip", "read_request", "write_clip"]
