"""The filters of text, in the order in which they look at a query. Another one is a file beside this, and a line here.

The first that finds something gives the reason why the query is left out.
"""

from __future__ import annotations

from hardcut.synth.filters.filter import Filter
from hardcut.synth.filters.grounding import UNGROUNDED
from hardcut.synth.filters.leaks import LEAK
from hardcut.synth.filters.repeated import DUPLICATE
from hardcut.synth.filters.unsafe import UNSAFE

TEXT_FILTERS: tuple[Filter, ...] = (
    DUPLICATE,
    LEAK,
    UNGROUNDED,
    UNSAFE,
)
