"""People: parametric heads and shoulders, drawn from an identity and from what they do."""
