"""Whether the processes of a group begin a fold alike: later nobody compares their weights."""

import hashlib
import json

from kit.system.disk import text_hash
from kit.system.errors import problem
from kit.system.precision import precision_name
from kit.system.versions import versions
from kit.training.job import FoldJob
from kit.training.learner import Learner
from kit.training.resume import TrainingState


def check_alike(job: FoldJob, learner: Learner, state: TrainingState) -> None:
    """Raise `KitError` unless all processes of the group have the same files, versions and weights.

    A process on another machine may see other files, and a GPU of another kind computes in another
    precision.
    """
    if job.group.size == 1:
        return
    facts = {
        "recipe": text_hash(json.dumps(job.recipe.describe())),
        "fold plan": job.plan.hash,
        "fold": str(job.fold),
        "versions": json.dumps(versions()),
        "device": learner.device.type,
        "precision": precision_name(learner.precision),
        "last.pt": f"epoch {len(state.rows)}, step {state.step}",
        "weights": weights_hash(learner),
    }
    first, *others = job.group.gather_values(facts)
    for rank, other in enumerate(others, 1):
        for name, value in first.items():
            if other[name] != value:
                raise problem(
                    "torchrun",
                    f"process {rank} has another {name} than process 0: {other[name]:.60}, not "
                    f"{value:.60}",
                    remedy="give all of them the same files, versions and kind of device",
                )


def weights_hash(learner: Learner) -> str:
    """A hash over all weights and statistics of the network."""
    digest = hashlib.sha256()
    for tensor in learner.network.body.state_dict().values():
        digest.update(tensor.cpu().contiguous().view(-1).numpy().tobytes())
    return digest.hexdigest()
