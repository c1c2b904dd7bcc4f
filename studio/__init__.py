"""The studio: what a person sees. Imports gradio; never torch, diffusers or peft."""

from studio.network import quiet

quiet()  # before gradio is imported, which reads its switches then
