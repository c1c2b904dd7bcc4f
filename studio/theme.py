"""The look: colours and type as gradio's theme variables; everything else is in `static/*.css`.

Plain fonts are named, never gradio's web fonts, so that no page asks another machine for a typeface.
"""

from __future__ import annotations

import gradio as gr
from gradio.themes.utils.fonts import Font

SANS = (Font("Instrument Sans"), Font("ui-sans-serif"), Font("system-ui"), Font("sans-serif"))
MONO = (Font("ui-monospace"), Font("SFMono-Regular"), Font("Menlo"), Font("monospace"))

# the values are the custom properties of static/look.css, which carry both themes
VARIABLES = {
    "body_background_fill": "var(--lk-ground)",
    "background_fill_primary": "var(--lk-surface)",
    "background_fill_secondary": "var(--lk-well)",
    "body_text_color": "var(--lk-ink)",
    "body_text_color_subdued": "var(--lk-soft)",
    "block_background_fill": "transparent",
    "block_border_width": "0px",
    "block_label_text_color": "var(--lk-soft)",
    "block_title_text_color": "var(--lk-ink)",
    "block_info_text_color": "var(--lk-soft)",
    "block_shadow": "none",
    "border_color_primary": "var(--lk-line)",
    "border_color_accent": "var(--lk-lamp)",
    "color_accent": "var(--lk-lamp)",
    "color_accent_soft": "var(--lk-well)",
    "input_background_fill": "var(--lk-well)",
    "input_background_fill_focus": "var(--lk-well)",
    "input_border_color": "var(--lk-line)",
    "input_border_color_focus": "var(--lk-lamp)",
    "input_border_width": "1px",
    "input_shadow": "none",
    "input_shadow_focus": "none",
    "input_placeholder_color": "var(--lk-faint)",
    "button_primary_background_fill": "var(--lk-lamp)",
    "button_primary_background_fill_hover": "var(--lk-lamp-bright)",
    "button_primary_text_color": "var(--lk-on-lamp)",
    "button_primary_border_color": "transparent",
    "button_secondary_background_fill": "var(--lk-raised)",
    "button_secondary_background_fill_hover": "var(--lk-well)",
    "button_secondary_text_color": "var(--lk-ink)",
    "slider_color": "var(--lk-lamp)",
    "shadow_drop": "none",
    "shadow_drop_lg": "var(--lk-shadow)",
    "link_text_color": "var(--lk-ink)",
}


def theme() -> gr.themes.Base:
    """The studio's gradio theme, for light and dark."""
    base = gr.themes.Base(font=SANS, font_mono=MONO, radius_size=gr.themes.sizes.radius_lg, spacing_size=gr.themes.sizes.spacing_md)
    both = VARIABLES | {f"{name}_dark": value for name, value in VARIABLES.items() if hasattr(base, f"{name}_dark")}
    return base.set(**both)
