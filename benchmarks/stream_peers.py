"""One peer of the stream, measured in its own process and its own environment.

Usage: python stream_peers.py PEER images.npy labels.npy FOLDER BATCH_SIZE WORKERS

The peer writes the samples in its own format, then serves two shuffled epochs in batches. The last
line of the output is JSON: seconds to write, bytes written, and rows served a second in the first
epoch (workers' start included) and in the second. It imports nothing of Lepton's.
"""

import importlib.machinery
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

Epochs = Callable[[], Iterable[object]]
# Random access one sample at a time is so slow that a few batches tell.
ZARR_BATCHES = 12


def iterate_samples(
    images: np.ndarray, labels: np.ndarray
) -> Iterator[tuple[int, np.ndarray, int]]:
    for index in range(len(images)):
        yield index, images[index].reshape(-1), int(labels[index])


def stand_in_torchvision() -> None:
    """Lets `streaming` be imported: torchvision's wheel does not load beside a CPU build of torch,
    and only its vision
    data sets, which are not measured here, use it."""
    names = (
        "torchvision",
        "torchvision.datasets",
        "torchvision.transforms",
        "torchvision.transforms.functional",
    )
    modules = {
        name: importlib.util.module_from_spec(importlib.machinery.ModuleSpec(name, None))
        for name in names
    }
    modules["torchvision.datasets"].VisionDataset = object
    modules["torchvision.transforms.functional"].to_tensor = None
    sys.modules.update(modules)


def write_mosaic(images: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    stand_in_torchvision()
    from streaming import MDSWriter

    columns = {"image": f"ndarray:uint8:{images[0].size}", "label": "int"}
    with MDSWriter(out=str(folder), columns=columns, compression=None, hashes=["sha256"]) as writer:
        for _, image, label in iterate_samples(images, labels):
            writer.write({"image": image, "label": label})


def open_mosaic(folder: Path, batch_size: int, workers: int) -> Epochs:
    from streaming import StreamingDataset
    from streaming.base.util import clean_stale_shared_memory

    clean_stale_shared_memory()
    dataset = StreamingDataset(local=str(folder), shuffle=True, batch_size=batch_size)
    loader = DataLoader(
        dataset, batch_size, num_workers=workers, drop_last=True, persistent_workers=workers > 0
    )
    return lambda: loader


class TensorSample:
    """Makes one sample; a class, because litdata sends it to its writers."""

    def __init__(self, images: Path, labels: Path) -> None:
        self.paths = images, labels

    def __call__(self, index: int) -> dict[str, object]:
        images, labels = (np.load(path, mmap_mode="r") for path in self.paths)
        return {
            "image": torch.from_numpy(np.array(images[index]).reshape(-1)),
            "label": int(labels[index]),
        }


def write_litdata(images: Path, labels: Path, folder: Path, count: int, workers: int) -> None:
    from litdata import optimize

    optimize(
        fn=TensorSample(images, labels),
        inputs=list(range(count)),
        output_dir=str(folder),
        chunk_bytes="16MB",
        num_workers=workers,
    )


def open_litdata(folder: Path, batch_size: int, workers: int) -> Epochs:
    from litdata import StreamingDataLoader, StreamingDataset

    dataset = StreamingDataset(str(folder), shuffle=True, drop_last=True)
    loader = StreamingDataLoader(
        dataset,
        batch_size=batch_size,
        num_workers=workers,
        drop_last=True,
        persistent_workers=workers > 0,
    )
    return lambda: loader


def write_webdataset(images: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    from webdataset import ShardWriter

    folder.mkdir(parents=True, exist_ok=True)
    with ShardWriter(
        str(folder / "%06d.tar"), maxsize=16 * 2**20, maxcount=10**9, verbose=0
    ) as writer:
        for index, image, label in iterate_samples(images, labels):
            writer.write(
                {"__key__": f"{index:09d}", "image.bin": image.tobytes(), "label.cls": label}
            )


def open_webdataset(folder: Path, batch_size: int, workers: int) -> Epochs:
    import webdataset

    def decode(sample: tuple[bytes, bytes]) -> tuple[torch.Tensor, int]:
        image, label = sample
        return torch.frombuffer(bytearray(image), dtype=torch.uint8), int(label)

    tars = [str(path) for path in sorted(folder.glob("*.tar"))]
    dataset = (
        webdataset.WebDataset(tars, shardshuffle=len(tars), empty_check=False)
        .shuffle(2000)
        .to_tuple("image.bin", "label.cls")
        .map(decode)
        .batched(batch_size, partial=False)
    )
    loader = webdataset.WebLoader(
        dataset, batch_size=None, num_workers=workers, persistent_workers=workers > 0
    )
    return lambda: loader


def write_zarr(images: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    import zarr

    rows = max(1, 2**18 // images[0].size)
    flat = images.reshape(len(images), -1)
    array = zarr.create_array(
        str(folder / "image"), shape=flat.shape, dtype=flat.dtype, chunks=(rows, flat.shape[1])
    )
    array[:] = flat
    zarr.create_array(str(folder / "label"), data=labels)


class ZarrRows(Dataset):
    def __init__(self, folder: Path) -> None:
        import zarr

        self.image = zarr.open_array(str(folder / "image"), mode="r")
        self.label = zarr.open_array(str(folder / "label"), mode="r")

    def __len__(self) -> int:
        return self.image.shape[0]

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(self.image[index]), int(self.label[index])


def open_zarr(folder: Path, batch_size: int, workers: int) -> Epochs:
    # zarr's event loop does not survive a fork.
    context = "spawn" if workers else None
    rows = ZarrRows(folder)
    loader = DataLoader(
        rows, batch_size, shuffle=True, num_workers=workers, multiprocessing_context=context
    )
    return lambda: (batch for batch, _ in zip(loader, range(ZARR_BATCHES), strict=False))


def count_rows(batch: object) -> int:
    first = next(iter(batch.values())) if isinstance(batch, dict) else batch[0]
    return len(first)


def measure_epoch(batches: Iterable[object]) -> float:
    started = time.perf_counter()
    rows = sum(count_rows(batch) for batch in batches)
    return rows / (time.perf_counter() - started)


def main(
    peer: str, image_path: Path, label_path: Path, folder: Path, batch_size: int, workers: int
) -> None:
    images, labels = np.load(image_path), np.load(label_path)
    started = time.perf_counter()
    if peer == "litdata":
        write_litdata(image_path, label_path, folder, len(images), workers)
    else:
        {
            "mosaicml-streaming": write_mosaic,
            "webdataset": write_webdataset,
            "zarr + DataLoader": write_zarr,
        }[peer](images, labels, folder)
    write_s = time.perf_counter() - started
    opened = {
        "litdata": open_litdata,
        "mosaicml-streaming": open_mosaic,
        "webdataset": open_webdataset,
        "zarr + DataLoader": open_zarr,
    }[peer]
    for path in folder.rglob("*"):
        if path.is_file():
            path.read_bytes()
    started = time.perf_counter()
    epochs = opened(folder, batch_size, workers)
    opening_s = time.perf_counter() - started
    first, second = measure_epoch(epochs()), measure_epoch(epochs())
    size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    result = {
        "write_s": write_s,
        "bytes": size_bytes,
        "open_s": opening_s,
        "first": first,
        "later": second,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(
        sys.argv[1],
        Path(sys.argv[2]),
        Path(sys.argv[3]),
        Path(sys.argv[4]),
        int(sys.argv[5]),
        int(sys.argv[6]),
    )
