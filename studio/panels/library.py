"""The Library tab: everything the visitor has made: subjects, adapters, and clips as a wall."""

from __future__ import annotations

from studio.markup import element


def library_panel() -> None:
    """Build the tab's content in the surrounding gradio layout."""
    element("likeness-subjects", wall="true")
    element("likeness-adapters", wall="true")
    element("likeness-clips", wall="true")
