"""Photos to look at: thumbnails, and contact sheets with captions."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

from kit.data.geometry import Geometry
from kit.data.paths import photo_paths
from kit.data.photos import decode, for_each_photo
from kit.data.reading import Read, as_rgb, read_photo

WIDTH: Final = 150
_GAP, _LINE = 6, 13
_WHITE, _DARK = (255, 255, 255), (40, 40, 40)


def thumbnail_height(frame: tuple[int, int], width: int = WIDTH) -> int:
    """The height of a thumbnail in a competition's frame (height, width)."""
    return width * frame[0] // frame[1]


def thumbnails(
    root: Path,
    images: Sequence[str],
    frame: tuple[int, int],
    width: int = WIDTH,
    read: Read | None = None,
) -> list[Image.Image]:
    """Photos below `root` at `width` pixels, in order.

    Their height is that of the competition's `frame`; one of another shape has its middle cut out.
    Of several channels the first three are shown; `read` is the competition's own reader.
    """
    size = width, thumbnail_height(frame, width)

    def one(path: Path) -> Image.Image:
        image = path.relative_to(root).as_posix()
        channels = len(photo_paths(root, image))
        if read is None and channels == 1:
            pixels = decode(path, least=2 * width)[0]
        else:
            channels = 0 if read is not None else channels
            geometry = Geometry(frame, size[::-1], frame, channels)
            pixels = as_rgb(read_photo(root, image, [geometry], read))
        return ImageOps.fit(Image.fromarray(pixels), size, Image.Resampling.LANCZOS)

    return for_each_photo(root, images, one, "photos to look at")


def contact_sheet(
    photos: Sequence[Image.Image], captions: Sequence[Sequence[str]], columns: int
) -> Image.Image:
    """Thumbnails of one size in rows of so many `columns`.

    Each stands above the lines of its caption, which are cut at its width.
    """
    columns = min(columns, len(photos))
    width, height = photos[0].size
    lines = max((len(caption) for caption in captions), default=0)
    across, down = width + _GAP, height + _GAP + lines * _LINE
    sheet = Image.new(
        "RGB", (columns * across + _GAP, -(-len(photos) // columns) * down + _GAP), _WHITE
    )
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
    for i, (photo, caption) in enumerate(zip(photos, captions)):
        x, y = _GAP + i % columns * across, _GAP + i // columns * down
        sheet.paste(photo, (x, y))
        for n, text in enumerate(caption):
            while text and draw.textlength(text, font) > width:
                text = text[:-2] + "…" if len(text) > 2 else ""
            draw.text((x, y + height + 1 + n * _LINE), text, _DARK, font)
    return sheet


def data_uri(image: Image.Image) -> str:
    """An image as a `data:` address, which a page holds within itself."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
