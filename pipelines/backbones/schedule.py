"""One run's walk from noise to picture: a private copy of the scheduler, so that its state is never shared between runs."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor


class Schedule:
    """The noise levels of one run and the step between them.

    Attributes:
        timesteps: (steps,) what the model is told, falling.

    Args:
        scheduler: a diffusers scheduler; copied, because multistep schedulers such as UniPC remember earlier steps.
        steps: number of denoising steps.
        device: where `timesteps` should lie.
    """

    def __init__(self, scheduler: Any, steps: int, device: str) -> None:
        self.scheduler = deepcopy(scheduler)
        self.scheduler.set_timesteps(steps, device=device)
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(0)
        self.timesteps: Tensor = self.scheduler.timesteps
        self._next = 0

    def __len__(self) -> int:
        return len(self.timesteps)

    def step(self, prediction: Tensor, index: int, latents: Tensor) -> Tensor:
        """x_t -> x_{t-1}; prediction and latents (B, C, T', H', W'), index 0-based.

        Raises RuntimeError unless steps are taken once each and in order, which multistep schedulers rely on.
        """
        if index != self._next:
            raise RuntimeError(f"Step {index} was taken where step {self._next} is due; make a new schedule for another run.")
        self._next += 1
        return self._advance(prediction, index, latents)

    def clean(self, prediction: Tensor, index: int, latents: Tensor) -> Tensor:
        """The estimate of x0 at this step, same shape; leaves the scheduler's state alone, call it before or after `step`.

        Flow matching: x0 = x - sigma v. Diffusion with a = cumulative alpha: v-prediction x0 = sqrt(a) x - sqrt(1-a) v
        (Salimans and Ho 2022, section 4 and appendix D), epsilon x0 = (x - sqrt(1-a) e) / sqrt(a) (DDIM, eq. 12).
        """
        alpha, sigma, kind = self._level(index)
        latents, prediction = latents.float(), prediction.float()
        if kind == "sample":
            return prediction
        if kind == "epsilon":
            return (latents - sigma * prediction) / alpha
        return alpha * latents - sigma * prediction

    def _advance(self, prediction: Tensor, index: int, latents: Tensor) -> Tensor:
        return self.scheduler.step(prediction, self.timesteps[index], latents, return_dict=False)[0]

    def _level(self, index: int) -> tuple[float, float, str]:
        """Weights of signal and noise at this step, and what the model predicts."""
        config = self.scheduler.config
        kind = config.get("prediction_type", "flow_prediction")
        if hasattr(self.scheduler, "sigmas"):
            sigma = float(self.scheduler.sigmas[index])
            if kind == "flow_prediction":
                return 1.0, sigma, kind
            alpha = 1.0 / (sigma**2 + 1) ** 0.5
            return alpha, sigma * alpha, kind
        cumulative = float(self.scheduler.alphas_cumprod[int(self.timesteps[index])])
        return cumulative**0.5, (1 - cumulative) ** 0.5, kind


class DPMSchedule(Schedule):
    """CogVideoXDPMScheduler: stochastic, and the caller carries the previous estimate of x0.

    Args:
        generator: source of the noise that each step adds, already past the initial noise, as in the pipeline.
    """

    def __init__(self, scheduler: Any, steps: int, device: str, generator: torch.Generator) -> None:
        super().__init__(scheduler, steps, device)
        self._generator = generator
        self._previous: Tensor | None = None

    def _advance(self, prediction: Tensor, index: int, latents: Tensor) -> Tensor:
        back = self.timesteps[index - 1] if index else None
        prediction, sample = prediction.transpose(1, 2), latents.transpose(1, 2)  # (B, T', C, H', W'): the order noise is drawn in
        stepped, self._previous = self.scheduler.step(
            prediction, self._previous, self.timesteps[index], back, sample, generator=self._generator, return_dict=False
        )
        return stepped.transpose(1, 2).to(latents.dtype)
