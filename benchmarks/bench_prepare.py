"""Cost of preparing data: images against decompressing their files, and peak memory for large tables."""

import gzip
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from fivefold.config.datasets import DatasetConfig, Images, Table
from fivefold.data.prepare import prepare
from fivefold.data.storage import save_dataset
from fivefold.preprocessing.scaling import fit_scaling

from .measure import ROOT, Result, finish, seconds, table

FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Folder of Debian's dataset-fashion-mnist; files of the same sizes are generated if it is not installed."""
PAIRS = 9
"""Rounds of decompressing and preparing the images, alternating."""
COLUMNS = 20
BLOCK = 20_000
"""Random rows of a table; they repeat, except for their first cell."""

Lines = tuple[list[str], list[str]]
"""Column names, and rows as lines of a CSV."""


def prepare_images(source: Path) -> None:
    """Read, split, check, scale and save, like the stage."""
    block: DatasetConfig = Images(
        kind="images",
        source=str(source),
        task="classification",
        split={"by": "predefined"},
        normalize="standard",
        checks={},
    )
    dataset, _ = prepare(block, 0)
    fit_scaling(dataset.train.x, dataset.schema, block)
    with tempfile.TemporaryDirectory() as folder:
        save_dataset(dataset, Path(folder))


def unpack(source: Path) -> None:
    """Decompress the files, the minimum amount of work."""
    for path in source.glob("*.gz"):
        np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8)


def time_both(source: Path) -> tuple[list[float], list[float]]:
    """Return the seconds of decompressing and of preparing, alternating which is first."""
    unpack(source), prepare_images(source)  # warm
    unpacking, preparing = [], []
    for pair in range(PAIRS):
        for kind in (0, 1) if pair % 2 else (1, 0):
            if kind:
                preparing.append(seconds(lambda: prepare_images(source)))
            else:
                unpacking.append(seconds(lambda: unpack(source)))
    return unpacking, preparing


def write_images(folder: Path) -> Path:
    """Write as many images as Fashion-MNIST has, half of each black, and return the folder."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 60_000), ("t10k", 10_000)):
        x = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        x[:, :14] = 0
        for name, array in (("images-idx3", x), ("labels-idx1", np.arange(n).astype(np.uint8) % 10)):
            head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes()))
    return folder


def numbers(rng: np.random.Generator) -> Lines:
    """Return rows of numbers with six decimals and a column of words; `write_table` adds a unique first cell."""
    words = np.array(["Aachen", "Berlin", "Celle", "Dresden"])[rng.integers(0, 4, BLOCK)]
    cells = rng.normal(size=(BLOCK, COLUMNS - 1))
    rows = [",".join([*(f"{value:.6f}" for value in row), word]) for row, word in zip(cells, words, strict=True)]
    return [*(f"x{i}" for i in range(COLUMNS)), "city"], rows


def words(rng: np.random.Generator) -> Lines:
    """Return rows of 8 words, 4 dates and 3 integers; `write_table` adds a unique first cell."""
    letters = np.array([*"abcdefghijklmnopqrst"])
    known = np.array(["".join(rng.choice(letters, size)) for size in rng.integers(4, 12, 500)])
    days = (np.datetime64("2015-01-01") + rng.integers(0, 3_000, (BLOCK, 4))).astype(str)
    cells = (known[rng.integers(0, 500, (BLOCK, 8))], days, rng.integers(0, 10**6, (BLOCK, 2)).astype(str))
    names = ["n0", *(f"w{i}" for i in range(8)), *(f"d{i}" for i in range(4)), "n1", "n2"]
    return names, [",".join(row) for row in np.concatenate(cells, axis=1).tolist()]


def digits(rng: np.random.Generator) -> Lines:
    """Return rows of 100 one-digit integers; `write_table` adds a unique first cell."""
    cells = rng.integers(0, 10, (BLOCK, 100)).astype(str).tolist()
    return ["n", *(f"n{i}" for i in range(100))], [",".join(row) for row in cells]


TABLES: dict[str, tuple[Callable[[np.random.Generator], Lines], int]] = {
    "numbers": (numbers, 10**9),
    "words": (words, 10**9 // 4),
    "digits": (digits, 10**9 // 4),
}
"""Generator of each table, and the number of bytes to write."""


def write_table(path: Path, kind: str) -> int:
    """Write a CSV whose last column is a target, and return its number of rows."""
    rng = np.random.default_rng(0)
    generate, size = TABLES[kind]
    head, cells = generate(rng)
    ends = [f"{row},{target}" for row, target in zip(cells, rng.choice(["no", "yes"], BLOCK), strict=True)]
    rows = 0
    with path.open("w") as file:
        file.write(",".join([*head, "y"]) + "\n")
        while file.tell() < size:
            file.write("".join(f"{(rows + i) / 7:.6f},{end}\n" for i, end in enumerate(ends)))
            rows += BLOCK
    return rows


def prepare_table(source: Path) -> None:
    """Run what the stage runs in this process, and print its memory and time as JSON."""
    split = {"by": "stratified", "validation": 0.15, "test": 0.15}
    block: DatasetConfig = Table(
        kind="table",
        source=str(source),
        task="classification",
        target="y",
        split=split,
        normalize="standard",
        checks={},
    )
    before, started = peak(), time.perf_counter()
    dataset, _ = prepare(block, 0)
    fit_scaling(dataset.train.x, dataset.schema, block)
    out = source.parent / "out"
    out.mkdir()
    save_dataset(dataset, out)
    print(json.dumps({"gibibytes": peak(), "before": before, "seconds": time.perf_counter() - started}))


def peak() -> float:
    """Return the peak memory of this process in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def memory_of_table(kind: str) -> dict[str, float]:
    """Return the output of `prepare_table` in a new process, the size of the table, and the memory for 1 GB of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        rows = write_table(path, kind)
        # a process starts with the peak of its parent, which is still small here
        command = [sys.executable, "-m", "benchmarks.bench_prepare", str(path)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        result = {**json.loads(done.stdout), "rows": rows, "bytes": path.stat().st_size}
    of_1gb = result["before"] + (result["gibibytes"] - result["before"]) * 1e9 / result["bytes"]
    return {**result, "gibibytes_of_1gb": of_1gb}


def main() -> int:
    os.chdir(ROOT)
    tables = {kind: memory_of_table(kind) for kind in TABLES}
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        source = FASHION if FASHION.exists() else write_images(Path(folder))
        unpacking, preparing = time_both(source)
    rows = [
        ("decompress 70,000 images, s", median(unpacking)),
        ("prepare them, s", median(preparing)),
    ]
    for kind, result in tables.items():
        rows.append((f"prepare a CSV of {result['bytes'] / 1e9:.2f} GB of {kind}, s", result["seconds"]))
        rows.append(("peak memory of that, GiB", result["gibibytes"]))
        rows.append(("peak memory of 1 GB of it, GiB", result["gibibytes_of_1gb"]))
    print(table(("what", "median"), rows))
    measured = {
        "images": str(source) if source == FASHION else "generated",
        "unpack_seconds": unpacking,
        "prepare_seconds": preparing,
        "tables": tables,
    }
    return finish(
        "prepare",
        measured,
        [
            Result("prepare_images_per_unpack", median(preparing) / median(unpacking), 3),
            Result("prepare_1gb_csv_gibibytes", tables["numbers"]["gibibytes_of_1gb"], 4),
            Result("prepare_1gb_csv_of_words_gibibytes", tables["words"]["gibibytes_of_1gb"], 4),
            # 3.7 GiB as float64
            Result("prepare_1gb_csv_of_digits_gibibytes", tables["digits"]["gibibytes_of_1gb"], 6),
        ],
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        prepare_table(Path(sys.argv[1]))
    else:
        sys.exit(main())
