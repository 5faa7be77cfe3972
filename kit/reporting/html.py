"""A page as one file of HTML."""

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from kit import __version__
from kit.competition import Competition
from kit.reporting.contact_sheet import WIDTH, data_uri, thumbnail_height, thumbnails
from kit.scoring.bootstrap import LEAST_GROUPS, say_interval, show_interval
from kit.system.disk import atomic_write, refuse_existing, refuse_input
from kit.system.errors import escaped, problem


def check_page(out: Path, inputs: Sequence[Path], force: bool) -> None:
    """Raise `KitError` unless a page may be written to `out`, which must not be an input."""
    if out.suffix not in (".html", ".htm"):
        raise problem(out, "is no name for a page", remedy="let --out end in .html")
    refuse_input(out, inputs)
    if not force:
        refuse_existing(out)


def photo_uris(root: Path, images: Sequence[str], competition: Competition) -> dict[str, str]:
    """Photos as `data:` addresses, so that the page holds them itself."""
    small = thumbnails(root, images, competition.frame, read=competition.read)
    return dict(zip(images, map(data_uri, small)))


def _shown(value: Any) -> Any:
    """A value as a page shows it: a text of data without codes, and markup of the kit's own."""
    return escaped(value) if type(value) is str else value


def write_page(out: Path, competition: Competition, content: dict[str, Any], force: bool) -> None:
    """Write a page: the template, with the competition's words, filled with `content`."""
    environment = Environment(
        loader=PackageLoader("kit.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda value, digits=3: f"{value:.{digits}f}"
    environment.filters["signed"] = lambda value, digits=3: f"{value:+.{digits}f}"
    environment.filters["interval"] = show_interval
    environment.filters["whole"] = lambda value: f"{value:,}"
    words = {
        "version": __version__,
        "made": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "competition": competition,
        "group": competition.group,
        "groups": competition.groups,
        "grouped": competition.is_grouped,
        "least_groups": LEAST_GROUPS,
        "thumbnail": (WIDTH, thumbnail_height(competition.frame)),
        "say_interval": say_interval,
    }
    page = environment.get_template("page.html").render(**words, **content)
    with atomic_write(out, force) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
