"""What a definition is unsure of: what the data cannot tell, or only hint at."""

import re
from collections.abc import Sequence
from typing import Final

from kit.starting.answers import Answers
from kit.starting.groups import Group
from kit.starting.look import Facts
from kit.starting.tables import Table
from kit.starting.target import Target
from kit.task import are_counted

_AMOUNTS: Final = 30  # different numbers that are more likely amounts than classes


def doubts(facts: Facts, target: Target, group: Group, answers: Answers) -> list[str]:
    """What is unsure of a target, a group and answers, a sentence each."""
    said = [
        f"metric: {answers.metric} is a guess; the competition's page says which one is scored",
        "mirror: does one class become another in a mirror? Then name both, such as "
        '{"left": "right"}; set None where a mirrored photo is no possible photo',
    ]
    if group.others:
        said.append(f"group: {group.word}, but {', '.join(group.others)} could be meant")
    elif group.pattern:
        said.append("group: by the names of photos; leave it out if the beginnings mean nothing")
    if group.column and group.other_test is None:
        said.append(
            f"group: that photos to predict are of other {group.word.removesuffix('s')}s; "
            "nothing here says it"
        )
    if group.other_test is False:
        said.append(
            f"group: photos to predict have some of the same {group.word}; if all of them "
            "do, the photo alone may be the right group"
        )
    if target.kind == "classes" and are_counted(target.classes) and len(target.classes) > 2:
        said.append('kind: the classes are numbers; if they rise, such as grades, set kind="order"')
    if target.kind == "order":
        said.append('kind: if the classes do not rise, set kind="classes"')
    if _are_amounts(target):
        said.append(
            "target: it may be an amount to estimate (regression), which the kit does not do"
        )
    if target.others:
        said.append(f"target: {', '.join(target.others)} could be meant")
    said += answers.unsure
    if len(facts.sizes) > 1:
        sizes = ", ".join(f"{w}x{h}" for (w, h), _ in facts.sizes[:3])
        said.append(f"frame: photos have several sizes ({sizes}, ...): crops are shares of each")
    return said


def _are_amounts(target: Target) -> bool:
    """True for one column of many numbers that do not begin at 0."""
    numbers = all(re.fullmatch(r"[0-9.]+", name) for name in target.classes)
    many = len(target.columns) == 1 and len(target.classes) >= _AMOUNTS
    return many and numbers and target.kind == "classes" and target.classes[0] != "0"


def left_out(facts: Facts, chosen: Table | None, tables: Sequence[Table]) -> list[str]:
    """What other tables of the training photos hold, and which tables could not be read."""
    said = [f"table: {text}" for text in facts.unread]
    for table in tables:
        if chosen is not None and table.path != chosen.path:
            more = [name for name in table.columns if name not in chosen.columns]
            said.append(
                f"table: {table.path} is left out; it has {', '.join(more)[:80] or 'no more'}"
            )
    return said
