"""The studio: what a person sees. Imports gradio; never torch, diffusers or peft."""

from studio.network import quiet
from studio.processor import give_way

quiet()  # before gradio is imported, which reads its switches then
give_way()  # before torch is loaded
