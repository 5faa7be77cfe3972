"""What the processes of a group add up in a step: gradients, loss, statistics of batch norm."""

from typing import Any

import torch
from torch import Tensor, nn

from kit.scale.group import Group
from kit.system.profiler import stage


class SharedStep:
    """A network's step whose batches a group of processes shares.

    Gradients are summed, not averaged: each process's loss has the divisor of the whole step.

    A batch norm's running mean is R before a step and a R + m x after a batch of mean x, where a is
    1 - m; after several batches it is a power of a times R, plus a part that each batch adds. So
    each process begins with zero instead of R, and gets the part of its batches; those after them,
    of others, shrink it; and the sum of all parts, and of R, is what one process would have. The
    running variance is the same.
    """

    def __init__(self, network: nn.Module, group: Group) -> None:
        self.network, self.group = network, group
        self._norms: list[Any] = [
            module
            for module in network.modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm)
            and module.running_mean is not None
        ]
        self._before: list[Tensor] = []

    @property
    def _statistics(self) -> list[Tensor]:
        """The running means and variances."""
        return [running for n in self._norms for running in (n.running_mean, n.running_var)]

    def _left(self, batches: int) -> list[float]:
        """The share of each statistic that so many batches leave of it."""
        return [(1 - norm.momentum) ** batches for norm in self._norms for _ in range(2)]

    def begin(self) -> None:
        """Prepare the forward passes of this process's batches."""
        if self.group.size == 1 or not self._norms:
            return
        self._before = [running.clone() for running in self._statistics]
        torch._foreach_zero_(self._statistics)

    def end(self, loss: Tensor, batches: int, first: int, last: int) -> None:
        """Add up, in place, what all processes have of the gradients, the `loss` and statistics.

        Of the step's `batches` this process had those from `first` up to `last`, not included.
        """
        if self.group.size == 1:
            return
        with stage("exchange"), torch.no_grad():
            statistics = self._statistics
            gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
            if statistics:
                torch._foreach_mul_(statistics, self._left(batches - last))
            self.group.sum([*gradients, *statistics, loss])
            if statistics:
                torch._foreach_mul_(self._before, self._left(batches))
                torch._foreach_add_(statistics, self._before)
            for norm in self._norms:
                norm.num_batches_tracked += batches - (last - first)
