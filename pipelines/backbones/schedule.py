"""One run's walk from noise to picture: a private copy of the scheduler, so that its state is never shared between runs."""

from __future__ import annotations

import inspect
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Level:
    """A noise level x = signal * x0 + noise * e, and what the model predicts there.

    Attributes:
        signal, noise: weights, 0..1.
        kind: "flow_prediction" (e - x0), "v_prediction" (signal * e - noise * x0), "epsilon" (e) or "sample" (x0).
    """

    signal: float
    noise: float
    kind: str

    def split(self, prediction: Tensor, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Estimates of (x0, e), of the shape of `latents`.

        Flow matching: x0 = x - noise v, e = x + signal v. v-prediction: x0 = signal x - noise v, e = noise x + signal v (Salimans
        and Ho 2022, section 4 and appendix D). epsilon: x0 = (x - noise e) / signal (DDIM, eq. 12).
        """
        if self.kind == "flow_prediction":
            return latents - self.noise * prediction, latents + self.signal * prediction
        if self.kind == "v_prediction":
            return self.signal * latents - self.noise * prediction, self.noise * latents + self.signal * prediction
        if self.kind == "epsilon":
            return (latents - self.noise * prediction) / self.signal, prediction
        return prediction, (latents - self.signal * prediction) / self.noise

    def target(self, clean: Tensor, noise: Tensor) -> Tensor:
        """What a model that knew x0 and e would predict: the target of a training at this level."""
        if self.kind == "flow_prediction":
            return noise - clean
        if self.kind == "v_prediction":
            return self.signal * noise - self.noise * clean
        return noise if self.kind == "epsilon" else clean

    def mix(self, clean: Tensor, noise: Tensor) -> Tensor:
        """x of this level from x0 and e."""
        return self.signal * clean + self.noise * noise

    @property
    def without_noise(self) -> Level:
        """The level of the picture itself."""
        return replace(self, signal=1.0, noise=0.0)


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
        self._set_timesteps(steps, device)
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(0)
        self.timesteps: Tensor = self.scheduler.timesteps
        self._next = 0

    def _set_timesteps(self, steps: int, device: str) -> None:
        self.scheduler.set_timesteps(steps, device=device)

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
        """The estimate of x0 at this step, same shape; leaves the scheduler's state alone, call it before or after `step`."""
        return self.level(index).split(prediction.float(), latents.float())[0]

    def _advance(self, prediction: Tensor, index: int, latents: Tensor) -> Tensor:
        return self.scheduler.step(prediction, self.timesteps[index], latents, return_dict=False)[0]

    def level(self, index: int) -> Level:
        """The noise level of this step, by the scheduler's own numbers."""
        config = self.scheduler.config
        kind = config.get("prediction_type", "flow_prediction")
        if hasattr(self.scheduler, "sigmas"):
            sigma = float(self.scheduler.sigmas[index])
            if kind == "flow_prediction":
                return Level(1.0 - sigma, sigma, kind)
            signal = 1.0 / (sigma**2 + 1) ** 0.5
            return Level(signal, sigma * signal, kind)
        cumulative = float(self.scheduler.alphas_cumprod[int(self.timesteps[index])])
        return Level(cumulative**0.5, (1 - cumulative) ** 0.5, kind)

    def state(self) -> dict[str, Any]:
        """Where the walk is and what the scheduler remembers: tensors, numbers, None, and lists of those, by name."""
        return {"": self._next} | {name: deepcopy(value) for name, value in vars(self.scheduler).items() if _plain(value)}

    def go_on(self, state: dict[str, Any]) -> None:
        """Continue from what `state` gave of another walk along the same levels."""
        self._next = state[""]
        for name, value in state.items():
            if name:
                setattr(self.scheduler, name, value)


def _plain(value: Any) -> bool:
    """Whether it can be kept in a file of tensors and numbers."""
    return all(map(_plain, value)) if type(value) in (list, tuple) else value is None or isinstance(value, Tensor | int | float | str)


class DPMSchedule(Schedule):
    """CogVideoXDPMScheduler: stochastic, and the caller carries the previous estimate of x0.

    Args:
        generator: source of the noise that each step adds, already past the initial noise, as in the pipeline.
    """

    def __init__(self, scheduler: Any, steps: int, device: str, generator: torch.Generator) -> None:
        super().__init__(scheduler, steps, device)
        self._generator = generator
        self._previous: Tensor | None = None

    def state(self) -> dict[str, Any]:
        return super().state() | {"/previous": self._previous, "/drawn": self._generator.get_state()}

    def go_on(self, state: dict[str, Any]) -> None:
        state = dict(state)
        self._previous = state.pop("/previous")
        self._generator.set_state(state.pop("/drawn").cpu())
        super().go_on(state)

    def _advance(self, prediction: Tensor, index: int, latents: Tensor) -> Tensor:
        back = self.timesteps[index - 1] if index else None
        prediction, sample = prediction.transpose(1, 2), latents.transpose(1, 2)  # (B, T', C, H', W'): the order noise is drawn in
        stepped, self._previous = self.scheduler.step(
            prediction, self._previous, self.timesteps[index], back, sample, generator=self._generator, return_dict=False
        )
        return stepped.transpose(1, 2).to(latents.dtype)


class DiffusionSchedule(Schedule):
    """Schedulers of Stable Diffusion, of which some draw noise at each step and some count in x0 + sigma e.

    The loop's latents are signal * x0 + noise * e with any of them, which is what the model is given: for those of the second
    kind `scale_model_input`, a division by sqrt(sigma^2 + 1), is taken back before a step and made for the next level after it.

    Args:
        generator: source of noise, already past the initial noise, as in the pipeline.
        spread: whether the scheduler counts in x0 + sigma e.
    """

    def __init__(self, scheduler: Any, steps: int, device: str, generator: torch.Generator, spread: bool) -> None:
        super().__init__(scheduler, steps, device)
        self._spread = spread
        self._options = {"generator": generator} if "generator" in inspect.signature(self.scheduler.step).parameters else {}
        self._generator = generator
        self.scheduler.is_scale_input_called = True  # it would warn: here the scaling is done by `_advance`

    def state(self) -> dict[str, Any]:
        return super().state() | {"/drawn": self._generator.get_state()}

    def go_on(self, state: dict[str, Any]) -> None:
        state = dict(state)
        self._generator.set_state(state.pop("/drawn").cpu())
        super().go_on(state)

    def _advance(self, prediction: Tensor, index: int, latents: Tensor) -> Tensor:
        sample = latents * self._scale(index)
        stepped = self.scheduler.step(prediction, self.timesteps[index], sample, return_dict=False, **self._options)[0]
        return stepped / self._scale(index + 1)

    def _scale(self, index: int) -> float:
        return float((self.scheduler.sigmas[index] ** 2 + 1) ** 0.5) if self._spread else 1.0


class ShiftedSchedule(Schedule):
    """Flow matching with evenly spaced levels 1, 1 - 1/n, .. 1/n that are shifted by the size of the clip (LTXPipeline).

    Args:
        shift: mu of the scheduler's shift; without effect on a scheduler whose shift is fixed.
    """

    def __init__(self, scheduler: Any, steps: int, device: str, shift: float) -> None:
        self._shift = shift
        super().__init__(scheduler, steps, device)

    def _set_timesteps(self, steps: int, device: str) -> None:
        if steps == 1:
            self.scheduler.register_to_config(shift_terminal=None)  # there is no last level to put there: it would divide by zero
        self.scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=self._shift, device=device)
