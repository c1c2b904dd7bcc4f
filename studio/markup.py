"""Places for the page's own elements (`static/*.js`) between gradio's widgets."""

from __future__ import annotations

from html import escape

import gradio as gr


def element(name: str, content: str = "", **attributes: str) -> gr.HTML:
    """One custom element; `content` is HTML that it starts with, attributes are escaped."""
    words = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    return gr.HTML(f"<{name}{words}>{content}</{name}>", elem_classes="lk-host", js_on_load=None, apply_default_css=False)
