"""`train-face`: people in, a folder with a face adapter out."""

from pipelines.cli.training import training_command
from pipelines.methods.face_training.request import TrainFaceRequest

COMMAND = training_command(TrainFaceRequest, "face-adapter")
