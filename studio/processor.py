"""The page and the drawing share one processor: the arithmetic must give way instead of holding its cores."""

import os


def give_way() -> None:
    """Let the threads of a matrix product sleep, not spin, while they wait for each other.

    With OpenMP's default a two-core machine that also runs a browser draws ten times slower, because each thread burns its
    time slice waiting for one that the browser has displaced. The switch is read when torch is loaded, so call it before.
    Whoever has set it otherwise is obeyed.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
