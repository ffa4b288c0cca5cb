from concurrent.futures import ThreadPoolExecutor

from dgmm.passes.events import SpanFinished, emit, listeners, listening


def test_listeners_are_nested_and_end():
    outer, inner = [], []
    with listening(outer.append):
        emit(SpanFinished(1))
        with listening(inner.append):
            emit(SpanFinished(2))
        emit(SpanFinished(3))
    emit(SpanFinished(4))
    assert [event.n_rows for event in outer] == [1, 2, 3]
    assert [event.n_rows for event in inner] == [2]


def test_other_threads_take_the_listeners_along():
    seen = []
    with listening(seen.append), ThreadPoolExecutor(1) as pool:
        pool.submit(emit, SpanFinished(1)).result()
        pool.submit(emit, SpanFinished(2), listeners()).result()
    assert [event.n_rows for event in seen] == [2]
