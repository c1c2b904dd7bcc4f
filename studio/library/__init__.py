"""What visitors own beside their clips: pictures to learn from, subjects and LoRAs, each in the visitor's own folder."""

from studio.library.library import Library

__all__ = ["Library"]
