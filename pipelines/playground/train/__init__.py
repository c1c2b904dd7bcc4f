"""The training recipe of the playground's models: `python -m pipelines.playground.train <what> --minutes N --resume`."""
