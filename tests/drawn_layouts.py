"""All layouts of real competitions that are drawn: `kit.start` must find their definitions.

All commands must work on those in `CASES`.
"""

from layout_case import Case, shipped
from layouts_more import MORE
from layouts_several import SEVERAL
from layouts_single import SINGLE

SHIPPED: dict[str, Case] = {
    "statefarm": shipped("statefarm", photos=10),
    "ham10000": shipped("ham10000", 42, photos=2),
    "aptos2019": shipped("aptos2019"),
    "cassava": shipped("cassava", wrong=0.0),
    "dogbreed": shipped("dogbreed", photos=32),
    "plant2021": shipped("plant2021"),
}
CASES = SHIPPED | SINGLE | SEVERAL
ALL = CASES | MORE
