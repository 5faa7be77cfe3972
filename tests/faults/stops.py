"""Ctrl+C and SIGTERM at random moments: a stop is one line and code 130, and nothing is lost."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import kit.system.cli
import kit.training.learner
import kit.tuning.confirm
from faults.commands import World
from faults.forked import Counter, Ended, start_forked
from faults.trials import Trial, lost_meanwhile, random_of, with_second_run

CONFIRM = "confirm"  # a search that is stopped while it confirms its best trial
NAMES = ("train", "resume", "side", "soup", "ensemble", "blend", "fast", "folds", "tune", "sample")


def cases(world: World) -> Sequence[str]:
    """The commands that run for a while, and a search's confirmation."""
    return [*NAMES, CONFIRM]


def trial(world: World, case: str, number: int, seed: int, place: Path) -> Trial:
    """Stop a command, run it again, and compare."""
    rng, started = random_of("stops", case, number, seed), time.monotonic()
    name, how = "tune" if case == CONFIRM else case, rng.choice((signal.SIGINT, signal.SIGTERM))
    world.restore(name, place)
    begun = Counter()
    if case == CONFIRM:
        step = rng.randint(1, 8)
        running = start_forked(world.argv(name), place, stop_in_confirmation(step, how))
        note = f"{how.name} at step {step} of the confirmation"
    else:
        running = start_forked(world.argv(name), place, note_begin(begun))
        while not begun.value:
            time.sleep(0.001)
        moment, group = rng.uniform(0, world.seconds[name]), rng.random() < 0.5
        time.sleep(moment)
        running.kill(how, group)
        note = f"{how.name} after {moment:.3f} s" + ", to all its processes" * group
    ended = running.wait()
    losses = lost_meanwhile(world, name, place) + unexpected(ended)
    lost, silent, left = with_second_run(world, name, place, losses)
    seconds, met = time.monotonic() - started, ended.code != 0
    return Trial("stops", case, number, lost, silent, left, seconds, note, met)


def unexpected(ended: Ended) -> list[str]:
    """What a command that was stopped may not do; SIGTERM may end it when it listens no more."""
    stopped = ended.code == 130 and "stopped" in ended.output and not ended.errors
    if not ended.traceback and (stopped or ended.code in (0, -signal.SIGTERM)):
        return []
    return [f"it ended with {ended.code}: {ended.output[-1500:]}"]


def note_begin(begun: Counter) -> Callable[[], None]:
    """A hook: `begun` is counted when a command listens to signals."""

    def hook() -> None:
        real = kit.system.cli.sigterm_as_ctrl_c

        @contextlib.contextmanager
        def listening() -> Iterator[None]:
            with real():
                begun.add()
                yield

        kit.system.cli.sigterm_as_ctrl_c = listening

    return hook


def stop_in_confirmation(step: int, how: int) -> Callable[[], None]:
    """A hook: the signal comes at a step of a training of a search's confirmation."""

    def hook() -> None:
        confirm, learner, steps = (
            kit.tuning.confirm.confirm,
            kit.training.learner.Learner,
            list[int](),
        )
        real = learner.step

        def confirming(*arguments: object) -> object:
            def counted(*of_step: object) -> object:
                steps.append(0)
                if len(steps) == step:
                    os.kill(os.getpid(), how)
                return real(*of_step)  # type: ignore[arg-type]

            learner.step = counted  # type: ignore[method-assign]
            return confirm(*arguments)  # type: ignore[arg-type]

        kit.tuning.confirm.confirm = confirming  # type: ignore[assignment]

    return hook
