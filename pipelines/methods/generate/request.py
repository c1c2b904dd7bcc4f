"""The request of plain text-to-video generation."""

from pipelines.requests import VideoRequest


class GenerateRequest(VideoRequest):
    """A sentence in, a clip out."""

    method = "generate"
    package = "generate"
