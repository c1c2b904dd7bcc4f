"""Training of the playground's face packs: a detector in SCRFD's layout and two recognisers, as insightface loads them."""
