"""`train-subjects`: pairs of pictures and clips in, a folder with an adapter for subject-from-image out."""

from pipelines.cli.training import training_command
from pipelines.methods.subject_training.request import TrainSubjectsRequest

COMMAND = training_command(TrainSubjectsRequest, "subject-adapter")
