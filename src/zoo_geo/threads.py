"""One thread for libraries whose sums depend on how many there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold trees and algebra to one thread: sums come in one order, and small trees are faster so.

    Trees (OpenMP) are held in the thread that asks, algebra (BLAS) in the whole process. Where several
    threads work, who starts them needs to hold too, so that none gives algebra its threads back too early.

    Examples
    --------
    >>> with one_thread():
    ...     pass
    """
    with _libraries("openmp").limit(limits=1), _libraries("blas").limit(limits=1):
        yield


@cache
def _libraries(kind: str) -> Any:  # noqa: ANN401
    """Libraries with threads of their own, looked up once: that takes milliseconds."""
    import scipy.linalg  # noqa: F401  # so that its algebra is found
    import sklearn.linear_model  # noqa: F401  # so that its trees are found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api=kind)
