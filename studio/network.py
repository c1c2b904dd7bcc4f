"""Nothing leaves the machine unasked: switches off the telemetry and version checks of the libraries below."""

import os

QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}


def quiet() -> None:
    """Set the switches in this process's environment. They are read at import, so call it before importing gradio."""
    os.environ.update(QUIET)
