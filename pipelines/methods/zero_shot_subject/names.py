"""What the adapter of the method is made of, by name and number. No torch here."""

from __future__ import annotations

TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "proj", "text_proj", "norm1.linear", "norm2.linear", "ff.net.2")
"""Ends of the names of all layers that have a LoRA (appendix A.1): `proj` is the patch embedding's and every `ff.net.0.proj`."""

RANK, ALPHA = 128, 64
"""The paper's, at a width of 3072 (appendix A.1)."""

FAMILY = "cogvideox"
OTHER_FAMILY = "A subject from one picture is drawn by models of the CogVideoX family only: choose one of those."
