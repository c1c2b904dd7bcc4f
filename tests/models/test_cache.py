"""The byte-budgeted cache: least recently used goes first, a model in use never, whatever the threads do."""

import threading

from pipelines.models.cache import ModelCache


def key(name):
    return (name, "cpu", "cpu")


def filled(budget, *names, size=10):
    cache = ModelCache(lambda memory: budget)
    for name in names:
        cache.put(key(name), name, "cpu", size)
    return cache


def names(cache):
    return [folder for folder, _, _ in cache.loaded()]


def test_the_least_recently_used_goes_first():
    cache = filled(30, "a", "b", "c")
    cache.find(lambda k: k == key("a"))
    cache.put(key("d"), "d", "cpu", 10)
    assert names(cache) == ["c", "a", "d"]


def test_room_is_made_before_loading():
    cache = filled(30, "a", "b", "c")
    cache.make_room("cpu", 15)
    assert names(cache) == ["c"]


def test_a_model_in_use_stays_until_it_is_released():
    cache = filled(20, "a", "b")
    cache.find(lambda k: k == key("a"), use=True)
    cache.make_room("cpu", 100)
    assert names(cache) == ["a"]
    assert cache.evict(lambda k: True) == (0, 1)
    cache.release(key("a"))
    assert cache.evict(lambda k: True) == (1, 0)


def test_two_users_must_both_let_go():
    cache = filled(20, "a")
    for _ in range(2):
        cache.find(lambda k: True, use=True)
    cache.release(key("a"))
    assert cache.evict(lambda k: True) == (0, 1)


def test_memories_have_budgets_of_their_own():
    cache = ModelCache(lambda memory: {"cpu": 10, "cuda": 100}[memory])
    cache.put(("a", "cuda", "gpu"), "a", "cuda", 90)
    cache.put(key("b"), "b", "cpu", 10)
    cache.put(key("c"), "c", "cpu", 10)
    assert names(cache) == ["a", "c"]
    assert cache.bytes("cuda") == 90 and cache.bytes("cpu", idle_only=True) == 10


def test_a_model_larger_than_the_budget_is_still_kept_while_alone():
    cache = filled(5, "a")
    assert names(cache) == ["a"]
    cache.put(key("b"), "b", "cpu", 10)
    assert names(cache) == ["b"]


def test_many_threads_never_lose_a_model_in_use():
    cache = filled(30)
    wrong = []

    def work(number):
        for turn in range(200):
            mine = key(f"{number}-{turn % 3}")
            if cache.find(lambda k, mine=mine: k == mine, use=True) is None:
                cache.put(mine, object(), "cpu", 10, use=True)
            if mine not in cache.loaded():
                wrong.append(mine)
            cache.release(mine)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert cache.bytes("cpu") <= 30 and cache.bytes("cpu") == cache.bytes("cpu", idle_only=True)
