"""Libraries are held to one thread, and get theirs back."""

import threading

import pytest

from zoo_geo.threads import one_thread

threadpoolctl = pytest.importorskip("threadpoolctl")


def threads(kind):
    return {each["num_threads"] for each in threadpoolctl.threadpool_info() if each["user_api"] == kind}


def test_threads_come_back():
    with one_thread():  # loads the libraries
        pass
    with threadpoolctl.threadpool_limits(2):
        before = threads("blas")
        with one_thread():
            assert threads("blas") == threads("openmp") == {1}
            with pytest.raises(KeyError), one_thread():
                raise KeyError
            assert threads("blas") == {1}
        assert threads("blas") == before == {2}
        assert threads("openmp") == {2}


def test_who_starts_threads_holds_for_them():
    """The first of two goes out while the second is inside."""
    held, inside, out = [], threading.Event(), threading.Event()

    def first():
        with one_thread():
            assert inside.wait(10)
        held.append(threads("blas"))
        out.set()

    def second():
        with one_thread():
            inside.set()
            assert out.wait(10)
            held.append(threads("blas") | threads("openmp"))

    with threadpoolctl.threadpool_limits(2):
        workers = [threading.Thread(target=each) for each in (first, second)]
        with one_thread():
            for each in workers:
                each.start()
            for each in workers:
                each.join()
        assert held == [{1}, {1}]
        assert threads("blas") == {2}
