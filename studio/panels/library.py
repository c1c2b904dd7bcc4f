"""The Library tab: everything the visitor has made, as a wall of clips."""

from __future__ import annotations

from studio.markup import element


def library_panel() -> None:
    """Build the tab's content in the surrounding gradio layout."""
    element("likeness-clips", wall="true")
