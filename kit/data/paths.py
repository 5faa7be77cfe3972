"""Where photos lie: the files that an image names, one a channel, joined by `|`."""

from pathlib import Path
from typing import Final

CHANNELS: Final = "|"


def photo_paths(root: Path, image: str) -> list[Path]:
    """The files of an image below `root`, one a channel: of most competitions it is one file."""
    return [root / part for part in image.split(CHANNELS)]
