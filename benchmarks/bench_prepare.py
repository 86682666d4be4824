"""What preparing data costs: images against merely unpacking their files, and the memory that a large table takes."""

import gzip
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from fivefold.data.prepared import prepare
from fivefold.data.storage import save_dataset
from fivefold.params.datasets import Dataset, Images, Table
from fivefold.preprocessing.scaling import fit_scaling

from .measure import ROOT, Result, finish, seconds, table

FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's dataset-fashion-mnist puts it; files of the same sizes are made where it is not installed."""
PAIRS = 9
"""Times that the images are unpacked and prepared, in turn."""
CSV_BYTES = 10**9
COLUMNS = 20
BLOCK = 20_000
"""Rows of the table that are drawn; they repeat, but for their first cell."""


def prepare_images(source: Path) -> None:
    """Read, divide, check and save, as the stage does."""
    block = Images(
        kind="images",
        source=str(source),
        task="classification",
        split={"by": "column"},
        normalize="standard",
        checks={},
    )
    dataset, _ = prepare(block, 0)
    with tempfile.TemporaryDirectory() as folder:
        save_dataset(dataset, Path(folder))


def unpack(source: Path) -> None:
    """Do the least that there is to be done."""
    for path in source.glob("*.gz"):
        np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8)


def both_ways(source: Path) -> tuple[list[float], list[float]]:
    """Return seconds of unpacking and of preparing, taken in turn, each first half of the time."""
    unpack(source), prepare_images(source)  # warm
    bare, whole = [], []
    for pair in range(PAIRS):
        for kind in (0, 1) if pair % 2 else (1, 0):
            if kind:
                whole.append(seconds(lambda: prepare_images(source)))
            else:
                bare.append(seconds(lambda: unpack(source)))
    return bare, whole


def write_images(folder: Path) -> Path:
    """Write files of as many images as Fashion-MNIST has, half of each black."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 60_000), ("t10k", 10_000)):
        x = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        x[:, :14] = 0
        for name, array in (("images-idx3", x), ("labels-idx1", np.arange(n).astype(np.uint8) % 10)):
            head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes()))
    return folder


def write_table(path: Path) -> int:
    """Write a CSV of numbers of six decimals, a column of words and a target; return its rows."""
    rng = np.random.default_rng(0)
    words = np.array(["Aachen", "Berlin", "Celle", "Dresden"])[rng.integers(0, 4, BLOCK)]
    targets = np.array(["no", "yes"])[rng.integers(0, 2, BLOCK)]
    numbers = rng.normal(size=(BLOCK, COLUMNS - 1))
    ends = [
        ",".join([*(f"{value:.6f}" for value in row), word, target])
        for row, word, target in zip(numbers, words, targets, strict=True)
    ]
    rows = 0
    with path.open("w") as file:
        file.write(",".join([*(f"x{i}" for i in range(COLUMNS)), "city", "y"]) + "\n")
        while file.tell() < CSV_BYTES:
            file.write("".join(f"{(rows + i) / 7:.6f},{end}\n" for i, end in enumerate(ends)))
            rows += BLOCK
    return rows


def prepare_table(source: Path) -> None:
    """Do what the stage does, in this process, and print how much memory and time that took."""
    split = {"by": "stratified", "validation": 0.15, "test": 0.15}
    block: Dataset = Table(
        kind="table",
        source=str(source),
        task="classification",
        target="y",
        split=split,
        normalize="standard",
        checks={},
    )
    started = time.perf_counter()
    dataset, _ = prepare(block, 0)
    fit_scaling(dataset.train.x, dataset.schema, block)
    out = source.parent / "out"
    out.mkdir()
    save_dataset(dataset, out)
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
    print(json.dumps({"gibibytes": peak, "seconds": time.perf_counter() - started}))


def memory_of_table(folder: Path) -> dict[str, float]:
    """Return what `prepare_table` prints in a process of its own, and the size of the table."""
    path = folder / "a.csv"
    rows = write_table(path)
    # a process begins with the peak of the one that started it: here it is small yet
    command = [sys.executable, "-m", "benchmarks.bench_prepare", str(path)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return {**json.loads(done.stdout), "rows": rows, "columns": COLUMNS + 2, "bytes": path.stat().st_size}


def main() -> int:
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        memory = memory_of_table(Path(folder))
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        source = FASHION if FASHION.exists() else write_images(Path(folder))
        bare, whole = both_ways(source)
    rows = [
        ("unpack 70,000 images, s", median(bare)),
        ("prepare them, s", median(whole)),
        ("prepare a CSV of 1 GB, s", memory["seconds"]),
        ("peak memory of that, GiB", memory["gibibytes"]),
    ]
    print(table(("what", "median"), rows))
    measured = {
        "images": str(source) if source == FASHION else "made",
        "unpack_seconds": bare,
        "prepare_seconds": whole,
        "table": memory,
    }
    return finish(
        "prepare",
        measured,
        [
            Result("prepare_images_per_unpack", median(whole) / median(bare), 3),
            Result("prepare_1gb_csv_gibibytes", memory["gibibytes"], 4),
        ],
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        prepare_table(Path(sys.argv[1]))
    else:
        sys.exit(main())
