"""How a prompt says that its subject is the one in the picture. No torch here."""

from __future__ import annotations

import re

CLS = "<cls>"
"""Before the subject's word: "a <cls> armchair in the living room" (section 3.3). Plain text for the model's own tokenizer."""


def named(prompt: str, word: str) -> str:
    """`prompt` with CLS before the first `word` in it; as it is where there is one already, or no such word."""
    if CLS in prompt or not word.strip():
        return prompt
    return re.sub(rf"\b{re.escape(word.strip())}\b", lambda found: f"{CLS} {found.group()}", prompt, count=1, flags=re.IGNORECASE)
