"""Reads every dataset's Arrow stream with pyarrow and compares it with the JSON rows."""

import json
import sys
import urllib.request

import pyarrow

base = sys.argv[1]


def get(path):
    with urllib.request.urlopen(base + path) as answer:
        return answer.headers["content-type"], answer.read()


datasets = json.loads(get("/api/v1/datasets")[1])["datasets"]
assert len(datasets) >= 11, datasets
for dataset in datasets:
    rows = dataset["links"]["rows"] + "?limit=500"
    media, body = get(rows + "&format=arrow")
    assert media == "application/vnd.apache.arrow.stream", media
    table = pyarrow.ipc.open_stream(body).read_all()
    expected = json.loads(get(rows)[1])
    assert table.num_rows == len(expected), dataset["name"]
    assert table.column_names == list(expected[0]), dataset["name"]
    for name in table.column_names:
        if not pyarrow.types.is_temporal(table.schema.field(name).type):
            assert table[name].to_pylist() == [row[name] for row in expected], f"{dataset['name']}.{name}"
print(f"pyarrow {pyarrow.__version__} read {len(datasets)} datasets")
