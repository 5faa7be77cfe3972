"""A page as one file of HTML."""

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from kit import __version__
from kit.data.folder import data_places
from kit.reporting.contact_sheet import data_uri, thumbnails
from kit.scoring.bootstrap import say_interval, show_interval
from kit.system.disk import atomic_write, check_output


def check_page(out: Path, data: Path | None, force: bool, inputs: Sequence[Path] = ()) -> None:
    """Raise `KitError` unless a page about `inputs` may be written to `out`."""
    places = [*data_places(data or Path("data")), *inputs]
    check_output(out, "a page", suffixes=(".html", ".htm"), inputs=places, force=force)


def _photos(root: Path, images: Sequence[str]) -> dict[str, str]:
    """Photos as addresses that the page holds within itself."""
    return dict(zip(images, map(data_uri, thumbnails(root, images))))


def _write_page(out: Path, force: bool, content: dict[str, Any]) -> None:
    environment = Environment(
        loader=PackageLoader("kit.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda value, digits=3: f"{value:.{digits}f}"
    environment.filters["signed"] = lambda value, digits=3: f"{value:+.{digits}f}"
    environment.filters["interval"] = show_interval
    environment.globals["say_interval"] = say_interval
    environment.filters["whole"] = lambda value: f"{value:,}"
    made = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    page = environment.get_template("page.html").render(version=__version__, made=made, **content)
    with atomic_write(out, force) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
