"""The product switches telemetry off by itself, whatever the environment says."""

import os
import subprocess
import sys
from pathlib import Path

CHECK = """
import studio.panels
import gradio, gradio.analytics, huggingface_hub.constants as hub
with gradio.Blocks() as page:
    pass
print(gradio.analytics.analytics_enabled(), page.analytics_enabled, hub.HF_HUB_DISABLE_TELEMETRY)
"""


def test_gradio_and_the_hub_stay_quiet():
    loud = {"GRADIO_ANALYTICS_ENABLED": "True", "HF_HUB_DISABLE_TELEMETRY": "0"}
    environment = os.environ | loud | {"PYTHONPATH": str(Path(__file__).parents[2])}
    answer = subprocess.run([sys.executable, "-c", CHECK], env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert answer.stdout.split() == ["False", "False", "True"], answer.stderr
