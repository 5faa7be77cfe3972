"""What the processes of a group add up in a step: gradients, loss, statistics of batch norm."""

from typing import Any

from torch import Tensor, nn

from kit.scale.group import Group


class SharedStep:
    """A network's step whose batches a group of processes shares.

    Gradients are summed, not averaged: each process's loss has the divisor of the whole step.

    A batch norm's running mean is R before a step and a R + m x after a batch of mean x, where a is
    1 - m; after several batches the mean is a power of a times R, plus a part that each batch adds.
    So each process begins with zero instead of R, and gets the part of its own batches; the later
    batches of others shrink it; and the sum of all parts, and of R, is what one process would have.
    The running variance is the same.
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

    def _running(self) -> list[tuple[Tensor, float]]:
        """The running means and variances, each with what a batch leaves of it."""
        return [
            (running, 1 - norm.momentum)
            for norm in self._norms
            for running in (norm.running_mean, norm.running_var)
        ]

    def begin(self) -> None:
        """Prepare the forward passes of this process's batches."""
        if self.group.size == 1:
            return
        self._before = [running.clone() for running, _ in self._running()]
        for running, _ in self._running():
            running.zero_()

    def end(self, loss: Tensor, before: int, own: int, after: int) -> None:
        """Add up, in place, what all processes have of the gradients, the `loss` and statistics.

        In the step this process had `own` batches, after those `before` and before those `after`.
        """
        if self.group.size == 1:
            return
        statistics = self._running()
        for running, left in statistics:
            running.mul_(left**after)
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        self.group.sum([*gradients, *(running for running, _ in statistics), loss])
        for (running, left), old in zip(statistics, self._before):
            running.add_(old, alpha=left ** (before + own + after))
        for norm in self._norms:
            norm.num_batches_tracked += before + after
