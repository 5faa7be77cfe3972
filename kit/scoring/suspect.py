"""A label that is probably wrong, and how clearly."""

from dataclasses import dataclass
from typing import Final

# Standard deviations: what stands out less is as its kind often is,
LEAST: Final = 1.0
# and what stands out by more is no clearer for it: kinds differ in how steady they are.
_MOST: Final = 4.0
STEADY: Final = 0.05  # the least deviation that a kind is taken to have


@dataclass(frozen=True)
class Suspect:
    """A label that is probably wrong: its correction, the two classes, and the photos to look at.

    `path`, `field` and `value` are a line of the corrections file: a group, a task's name and the
    suggested class (or number), or `swap` and the stems of two photos, `a:b`; or `lines` are those
    of one photo. `given_prob` and `suggested_prob` are the mean probabilities (0..1) of what is
    `given` and `suggested`; `z_score` is how many standard deviations their difference lies above
    the mean of labels of that kind.
    """

    path: str
    field: str
    value: str
    given: str
    suggested: str
    given_prob: float
    suggested_prob: float
    z_score: float
    images: tuple[str, ...]
    lines: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        """The difference of the two probabilities times `z_score`, which counts 4 at most."""
        return (self.suggested_prob - self.given_prob) * min(self.z_score, _MOST)

    @property
    def line(self) -> str:
        """The line for the corrections file, or the lines of one photo."""
        return "\n".join(self.lines) or f"{self.path},{self.field},{self.value}"
