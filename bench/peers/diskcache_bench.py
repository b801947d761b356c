"""Inserts and reads of python-diskcache with its default settings; prints one JSON object.

Usage: diskcache_bench.py FOLDER COUNT VALUE_BYTES
"""

import json
import os
import random
import sys
import time

import diskcache


def main():
    folder, count, value_bytes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    values = [os.urandom(value_bytes) for _ in range(256)]
    # The default size limit culls; what is measured is storing, so nothing may leave.
    cache = diskcache.Cache(folder, size_limit=2**40)

    began = time.perf_counter()
    for number in range(count):
        cache.set(f"key-{number}", values[number % len(values)], expire=3600)
    # diskcache commits without syncing: its files are synced once, as our flush does.
    cache.close()
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            os.fsync(file.fileno())
    insert_seconds = time.perf_counter() - began

    cache = diskcache.Cache(folder, size_limit=2**40)
    asked = random.Random(1).sample(range(count), min(count, 2000))
    micros = []
    for number in asked:
        began = time.perf_counter()
        value = cache.get(f"key-{number}")
        micros.append((time.perf_counter() - began) * 1e6)
        assert value == values[number % len(values)]
    cache.close()
    print(json.dumps({"inserts_per_second": count / insert_seconds, "hit_micros": sorted(micros)[len(micros) // 2]}))


if __name__ == "__main__":
    main()
