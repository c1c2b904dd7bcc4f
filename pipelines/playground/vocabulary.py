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

OPENINGS = ("", "a video of", "a clip of")

EFFECTS: dict[str, tuple[str, ...]] = {
    "rain": ("in the rain", "in pouring rain"),
    "smoke": ("in drifting smoke", "among clouds of smoke"),
    "purple light": ("in purple light", "under purple light"),
    "back light": ("with light from behind", "in bright light from behind"),
    "water": ("half under water", "standing in deep water"),
    "sparks": ("among flying sparks", "with glowing sparks"),
    "snowfall": ("in falling snow", "while it snows"),
}

NO_EFFECT = "none"

PERSON_MOTIONS: dict[str, tuple[str, ...]] = {
    "still": ("", "stays still"),
    "turn": ("turns the head",),
    "nod": ("nods",),
    "talk": ("talks", "speaks"),
    "look around": ("looks around",),
    "left": ("moves to the left", "walks from right to left"),
    "right": ("moves to the right", "walks from left to right"),
    "sway": ("sways", "sways from side to side"),
}

EXPRESSIONS: dict[str, tuple[str, ...]] = {
    "neutral": ("", "looks calm"),
    "smile": ("smiles",),
    "surprised": ("looks surprised",),
    "sad": ("looks sad",),
    "angry": ("looks angry",),
}

HAIR_STYLES: dict[str, tuple[str, ...]] = {
    "short": ("short {} hair",),
    "long": ("long {} hair",),
    "curly": ("curly {} hair", "{} curls"),
    "spiky": ("spiky {} hair",),
    "bun": ("{} hair in a bun", "a {} bun"),
    "braids": ("{} braids", "{} hair in braids"),
}
"""The colour goes where the braces are."""

HAIR_COLOURS: dict[str, tuple[float, float, float]] = {
    "black": (0.11, 0.10, 0.11),
    "brown": (0.38, 0.22, 0.11),
    "blond": (0.90, 0.74, 0.38),
    "red": (0.74, 0.27, 0.10),
    "grey": (0.66, 0.66, 0.68),
    "blue": (0.20, 0.38, 0.80),
}

WEARING = ("wearing {}", "in {} clothes", "dressed in {}")
