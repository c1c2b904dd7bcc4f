"""The playground: a procedural world with exact ground truth, and the recipe that trains small models on it."""
