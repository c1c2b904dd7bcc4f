"""The studio: what a person sees. Imports gradio; never torch, diffusers or peft."""

import pipelines  # noqa: F401  (before torch is loaded: it keeps the arithmetic's threads from spinning)
from studio.network import quiet

quiet()  # before gradio is imported, which reads its switches then
