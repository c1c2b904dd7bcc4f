"""The words of the world: every attribute, how it looks and how captions may say it."""

from __future__ import annotations

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.86, 0.13, 0.13),
    "orange": (0.97, 0.50, 0.08),
    "yellow": (0.98, 0.84, 0.14),
    "green": (0.16, 0.64, 0.22),
    "turquoise": (0.10, 0.76, 0.74),
    "blue": (0.13, 0.30, 0.88),
    "purple": (0.52, 0.20, 0.76),
    "pink": (0.97, 0.50, 0.72),
    "brown": (0.46, 0.27, 0.14),
    "white": (0.95, 0.95, 0.96),
}

SHAPES = ("ball", "cube", "star", "heart", "ring", "pyramid", "diamond", "moon", "flower", "drop", "mushroom", "fish")

PATTERNS: dict[str, tuple[str, ...]] = {
    "plain": ("", "plain"),
    "striped": ("striped",),
    "dotted": ("dotted", "spotted"),
    "checkered": ("checkered",),
}

PLACES: dict[str, tuple[str, ...]] = {
    "meadow": ("in a meadow", "on a green meadow"),
    "beach": ("on a beach", "at the beach"),
    "desert": ("in the desert", "among desert dunes"),
    "forest": ("in a forest", "between forest trees"),
    "city": ("in a city", "in a city in the evening"),
    "night": ("under a night sky", "at night under the stars"),
    "snow": ("in the snow", "on a snow field"),
    "room": ("in a room", "inside a room"),
    "ocean": ("under the ocean", "deep in the ocean"),
    "mountains": ("in the mountains", "in front of mountains"),
}

MOTIONS: dict[str, tuple[str, ...]] = {
    "left": ("moves to the left", "slides left", "glides from right to left"),
    "right": ("moves to the right", "slides right", "glides from left to right"),
    "rise": ("rises", "floats upwards", "moves up"),
    "fall": ("falls", "sinks downwards", "moves down"),
    "bounce": ("bounces", "bounces up and down"),
    "jump": ("jumps", "jumps once"),
    "spin": ("spins", "turns around itself"),
    "zigzag": ("zigzags", "moves in a zigzag"),
    "circle": ("circles", "moves in a circle"),
    "swing": ("swings", "swings from side to side"),
    "grow": ("grows", "gets bigger"),
    "still": ("rests", "stands still"),
}

CAMERAS: dict[str, tuple[str, ...]] = {
    "static": ("", "the camera is still"),
    "pan left": ("the camera pans left",),
    "pan right": ("the camera pans right",),
    "zoom in": ("the camera zooms in",),
    "zoom out": ("the camera zooms out",),
}

OPENINGS = ("a", "one", "a video of a", "a toy", "a clip of a")
