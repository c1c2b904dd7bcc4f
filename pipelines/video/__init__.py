"""Clips on disk: write them for a browser, read any clip, or a part of a long one, within limits, carry the request in the file.

Files that people bring are untrusted: the kind is told by content (never by name), sizes are checked before anything is
decoded, and whatever is wrong with a file is one UserError.
"""

from pipelines.video.excerpt import Description, describe, read_excerpt
from pipelines.video.metadata import read_request
from pipelines.video.opened import Limits
from pipelines.video.read import read_clip
from pipelines.video.write import SUFFIXES, write_clip

__all__ = ["SUFFIXES", "Description", "Limits", "describe", "read_clip", "read_excerpt", "read_request", "write_clip"]
