"""The part of a photo that a network sees, and its size."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Geometry:
    """A centre `crop` in the `frame` of the competition's photos, resized to `size`.

    Each is (height, width) in pixels. A photo of another size than the frame is cropped in
    proportion, so that the field of view is the same. `channels` are 3 for RGB.
    """

    crop: tuple[int, int]
    size: tuple[int, int]
    frame: tuple[int, int]
    channels: int = 3
