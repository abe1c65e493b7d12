"""One progress bar, on stderr, for people who watch."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(name: str, unit: str) -> Iterator[Callable[..., None]]:
    """Give ``show(done, total, text="")``, which draws a tqdm bar if stderr is a terminal.

    Args:
        name: printed before the bar.
        unit: what is counted, in the plural, such as "images".
    """
    if not sys.stderr.isatty():
        yield lambda done, total, text="": None
        return
    from tqdm import tqdm  # imported here because it takes 0.03 s

    tqdm.monitor_interval = 0  # no thread of its own beside worker processes
    with tqdm(desc=name, unit=f" {unit}", dynamic_ncols=True) as bar:

        def show(done: int, total: int, text: str = "") -> None:
            bar.total = total
            if text:
                bar.set_postfix_str(text, refresh=False)
            bar.update(done - bar.n)

        yield show
