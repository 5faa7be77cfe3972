"""Bad photos: damaged, cut short, of other formats, and larger than they look."""

import io
import struct
import zlib

import numpy as np
from bad_world import Bad, folder, gone, link, pipe, renamed, rows
from helpers import draw_photo
from PIL import Image

FORMATS = {"JPEG": "a JPEG", "PNG": "a PNG", "WEBP": "a WebP", "TIFF": "a TIFF", "BMP": "a BMP"}


def photo(form: str) -> bytes:
    """A photo of 24 x 32 pixels in a format."""
    content = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (32, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(content, form)
    return content.getvalue()


def drawn() -> bytes:
    """The photo that a bad one takes the place of."""
    content = io.BytesIO()
    draw_photo(content, 3, (24, 32), format="PNG")
    return content.getvalue()


DRAWN = drawn()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A part of a PNG."""
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def png(width: int, height: int, *more: bytes) -> bytes:
    """A PNG that says how large it is, and holds no pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    parts = [head, *more, chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def text_bomb() -> bytes:
    """A text in a PNG that inflates to 2 MB, twice what PIL takes."""
    return chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2 * 10**6), 9))


def tiff_floats() -> bytes:
    """A TIFF of floating point numbers."""
    content = io.BytesIO()
    Image.fromarray(np.zeros((32, 24), np.float32)).save(content, "TIFF")
    return content.getvalue()


def large_jpeg() -> bytes:
    """A JPEG of 1 kB whose header says 65,500 x 65,500 pixels."""
    content = photo("JPEG")
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", 65_500, 65_500) + content[at + 4 :]


def cut_short() -> list[Bad]:
    """Photos of every format, cut at each tenth of the file."""
    said = "photos that cannot be used (1 found: train/003.png: is ... unpack the data again, or"
    parts = [(form, n) for form in FORMATS for n in (range(1, 10) if form != "BMP" else (5,))]
    cases = []
    for form, n in parts:
        content = photo(form)
        cases.append((f"is {FORMATS[form]} cut at {n} tenths", content[: len(content) * n // 10]))
    return rows("photo", *((wrong, content, said) for wrong, content in cases))


# fmt: off
PHOTOS = [
    *cut_short(),
    *rows(
        "photo",
        ("is empty", b"",
         "photos that cannot be used (1 found: train/003.png: is an empty file); unpack "
         "the data again, or take their rows out of the"),
        ("is a text", b"no photo",
         "photos that cannot be used (1 found: train/003.png: is no image (JPEG, PNG, "
         "WEBP, TIFF, BMP)); unpack the data again, or take their rows out of the"),
        ("is HTML", b"<html>",
         "photos that cannot be used (1 found: train/003.png: is no image (JPEG, PNG, "
         "WEBP, TIFF, BMP)); unpack the data again, or take their rows out of the"),
        ("is a GIF", photo("GIF"),
         "photos that cannot be used (1 found: train/003.png: is no image (JPEG, PNG, "
         "WEBP, TIFF, BMP)); unpack the data again, or take their rows out of the"),
        ("is a PDF", photo("PDF"),
         "photos that cannot be used (1 found: train/003.png: is no image (JPEG, PNG, "
         "WEBP, TIFF, BMP)); unpack the data again, or take their rows out of the"),
        ("is an icon", photo("ICO"),
         "photos that cannot be used (1 found: train/003.png: is no image (JPEG, PNG, "
         "WEBP, TIFF, BMP)); unpack the data again, or take their rows out of the"),
        ("is PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
         "photos that cannot be used (1 found: train/003.png: is no image (JPEG, PNG, "
         "WEBP, TIFF, BMP)); unpack the data again, or take their rows out of the"),
        ("has 30,000 x 30,000 pixels", png(30_000, 30_000),
         "photos that cannot be used (1 found: train/003.png: has 30,000 x 30,000 pixels, "
         "and at most 268,435,456 are decoded); make it smaller, or give the competition a "
         "function"),
        ("has 2**31 x 2**31 pixels", png(2**31 - 1, 2**31 - 1),
         "photos that cannot be used (1 found: train/003.png: has 2,147,483,647 x "
         "2,147,483,647 pixels, and at most 268,435,456 are decoded); make it smaller, or "
         "give the competition a function"),
        ("has no pixels", png(0, 8),
         "photos that cannot be used (1 found: train/003.png: is no image (JPEG, PNG, "
         "WEBP, TIFF, BMP)); unpack the data again, or take their rows out of the"),
        ("has a changed byte", DRAWN[:60] + b"\x00\xff" + DRAWN[62:],
         "photos that cannot be used (1 found: train/003.png: is a damaged image ... "
         "unpack the data again, or take their rows out of the"),
        ("has no data", png(8, 8)[:41],
         "photos that cannot be used (1 found: train/003.png: is a damaged image ... "
         "unpack the data again, or take their rows out of the"),
        ("is a TIFF of floats", tiff_floats(),
         "photos that cannot be used (1 found: train/003.png: has pixels of mode F, which "
         "have no known white); give the competition a function read(path); "
         "new/folds.damaged.txt lists them"),
        ("is a TIFF of a loop", b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
         "photos that cannot be used (1 found: train/003.png: is no image (JPEG, PNG, "
         "WEBP, TIFF, BMP)); unpack the data again, or take their rows out of the"),
        ("is a BMP of giant size",
         photo("BMP")[:18] + struct.pack("<ii", 40_000, 40_000) + photo("BMP")[26:],
         "photos that cannot be used (1 found: train/003.png: has 40,000 x 40,000 pixels, "
         "and at most 268,435,456 are decoded); make it smaller, or give the competition a "
         "function"),
        ("is a folder", folder("data/train/003.png"),
         "rows without a photo (1 found: data/train/003.png); mend image, or unpack the "
         "data again"),
        ("is a pipe", pipe("data/train/003.png"),
         "rows without a photo (1 found: data/train/003.png); mend image, or unpack the "
         "data again"),
        ("is a link to itself", link("data/train/003.png", "003.png"),
         "no row names a photo that is there (12 found, the first: data/train/000.png); "
         "mend image, or unpack the data again"),
        ("is gone", gone("data/train/003.png"),
         "rows without a photo (1 found: data/train/003.png); mend image, or unpack the "
         "data again"),
        ("is a link to nothing", link("data/train/003.png", "nowhere"),
         "rows without a photo (1 found: data/train/003.png); mend image, or unpack the "
         "data again"),
        ("is a device", link("data/train/003.png", "/dev/zero"),
         "rows without a photo (1 found: data/train/003.png); mend image, or unpack the "
         "data again"),
        ("has another ending", renamed("data/train/003.png", "data/train/003.PNG"),
         "rows without a photo (1 found: data/train/003.png (did you mean 003.PNG?)); mend "
         "image, or unpack the data again"),
    ),
    *rows(
        "photo",
        ("has a text that inflates", png(8, 8, text_bomb()),
         "train/003.png: is a damaged image ... unpack the data again"),
        ("is a JPEG that says 65,500 x 65,500", large_jpeg(),
         "65,500 x 65,500 pixels, which 1 ... bytes cannot hold); unpack the data again"),
    ),
    *rows(
        "test photo",
        ("is a text", b"no photo",
         "photos that cannot be used (1 found: test/012.png: is no image (JPEG, PNG, WEBP, "
         "TIFF, BMP)); unpack the data again"),
        ("is cut short", DRAWN[:-99],
         "photos that cannot be used (1 found: test/012.png: is a damaged image ... unpack "
         "the data again"),
        ("has 30,000 x 30,000 pixels", png(30_000, 30_000),
         "photos that cannot be used (1 found: test/012.png: has 30,000 x 30,000 pixels, "
         "and at most 268,435,456 are decoded); make it smaller, or give the competition a "
         "function read(path)"),
    ),
]
