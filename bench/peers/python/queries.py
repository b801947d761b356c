"""Polars and DuckDB answer the questions of `bench pipeline`.

Started with the path of an Arrow file. Reads it into memory for both, prints a line of JSON with the versions, and then answers
each line {"peer", "question", "file"?} with the milliseconds that the answer took; with "file", the answer is written there.
Both have two threads. An answer is done when it lies in memory as the peer's own users get it: a Polars frame, and of DuckDB
an Arrow table.
"""

import gc
import json
import os
import sys
import time

THREADS = 2
os.environ["POLARS_MAX_THREADS"] = str(THREADS)

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.ipc

COL = pl.col
SUMS = [COL("amount").sum().alias("total"), COL("amount").mean().alias("mean"), pl.len().alias("n")]

POLARS = {
    "filter": lambda t: t.filter(COL("year") >= 2017),
    "filter_numbers": lambda t: t.filter(COL("year") >= 2017).select("id", "amount"),
    "top": lambda t: t.filter(COL("year") >= 2017).top_k(10, by="amount").sort("amount", descending=True),
    "region": lambda t: t.group_by("region").agg(SUMS),
    "distinct": lambda t: t.select(COL("code").n_unique().alias("codes")),
    "region_distinct": lambda t: t.group_by("region").agg([*SUMS, COL("code").n_unique().alias("codes")]),
    "code": lambda t: t.group_by("code").agg(COL("amount").sum().alias("total"), pl.len().alias("n")),
}

DUCKDB = {
    "filter": "select * from sales where year >= 2017",
    "filter_numbers": "select id, amount from sales where year >= 2017",
    "top": "select * from sales where year >= 2017 order by amount desc limit 10",
    "region": "select region, sum(amount) total, avg(amount) mean, count(*) n from sales group by region",
    "distinct": "select count(distinct code) codes from sales",
    "region_distinct": "select region, sum(amount) total, avg(amount) mean, count(*) n, count(distinct code) codes"
    " from sales group by region",
    "code": "select code, sum(amount) total, count(*) n from sales group by code",
}


def main(path):
    # In one chunk, as nearly every answer is faster then.
    frame = pl.read_ipc(path).rechunk()
    database = duckdb.connect(config={"threads": THREADS})
    with pa.OSFile(path) as file:
        rows = pyarrow.ipc.open_file(file).read_all()
    database.execute("create table sales as select * from rows")
    del rows
    # `sql`, as the older `execute` makes an extra copy of the rows.
    ask = {
        "polars": lambda question: POLARS[question](frame.lazy()).collect(engine="in-memory"),
        "polars-streaming": lambda question: POLARS[question](frame.lazy()).collect(engine="streaming"),
        "duckdb": lambda question: database.sql(DUCKDB[question]).to_arrow_table(),
    }
    say({"versions": f"polars {pl.__version__}, duckdb {duckdb.__version__}, {pl.thread_pool_size()} threads"})
    gc.disable()
    for line in sys.stdin:
        asked = json.loads(line)
        started = time.perf_counter()
        answer = ask[asked["peer"]](asked["question"])
        took = time.perf_counter() - started
        if "file" in asked:
            write(answer, asked["file"])
        del answer
        say({"milliseconds": took * 1e3})


def write(answer, path):
    table = answer.to_arrow() if isinstance(answer, pl.DataFrame) else answer
    with pa.OSFile(path, "wb") as file, pyarrow.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def say(reply):
    print(json.dumps(reply), flush=True)


main(sys.argv[1])
