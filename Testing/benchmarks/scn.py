"""One forward pass of the SCN, 26 landmarks at 96³: eager as in the document, beside ways to run it faster.

    python Testing/benchmarks/scn.py                     64 filters, 96³, 3 repeats (minutes)
    python Testing/benchmarks/scn.py --quick             8 filters, 32³, to see that it runs
    python Testing/benchmarks/scn.py --mode concat

- the document: `SCN` in torch eager float32, no gradients; the same operators in the same order as the document's.
- folded: batch norms folded into their convolutions, dropouts gone, channels last, inference mode; also in bfloat16.
- the exported file in ONNX Runtime and in OpenVINO: there in float32, and in the precision that it picks itself.

All take turns on the same image, with random weights (speed only). Seconds are medians: wall clock, and in brackets
processor time of all threads, which other work on the machine disturbs less. Differences are of the product heatmap,
root mean square relative to the document's.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from medtrain.export.onnx_export import free_axes, write_onnx
from medtrain.networks.batch_norm_folding import folded
from medtrain.networks.scn import OUTPUTS, SCN, SCNSpec

Way = Callable[[np.ndarray], np.ndarray]
"""From the image `[1, 1, k, j, i]` to the heatmaps."""


def trained(spec: SCNSpec) -> SCN:
    """With heatmaps that aren't flat: weights of a usual size where training begins with tiny ones."""
    torch.manual_seed(0)
    net = SCN(spec).eval().requires_grad_(False)
    for head in (net.HLA.out_conv, net.HSC[-1]):
        nn.init.kaiming_normal_(head.weight)
    return net


def in_torch(net: nn.Module, *, bfloat16: bool = False) -> Way:
    def run(image: np.ndarray) -> np.ndarray:
        # Autocast, for torch has no mean pooling in bfloat16 on the CPU.
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            heatmap: np.ndarray = net(torch.from_numpy(image))[0].float().numpy()
        return heatmap

    return run


def in_onnx_runtime(path: Path, threads: int) -> Way:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = False
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(["heatmap"], {"input": image})[0]


def in_openvino(path: Path, threads: int, precision: str | None) -> Way:
    import openvino

    properties: dict[str, Any] = {"INFERENCE_NUM_THREADS": threads}
    if precision:
        properties["INFERENCE_PRECISION_HINT"] = precision
    model = openvino.Core().compile_model(str(path), "CPU", properties)
    return lambda image: np.array(model({"input": image})["heatmap"])


def take_turns(ways: dict[str, Way], image: np.ndarray, repeats: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Seconds on the clock and of the processor of every call, and the answers; the first round warms up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    answers = {}
    with torch.inference_mode():
        for turn in range(repeats + 1):
            for name, way in ways.items():
                wall, work = time.perf_counter(), time.process_time()
                answers[name] = way(image)
                if turn:
                    times[name].append((time.perf_counter() - wall, time.process_time() - work))
    return times, answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--mode", choices=("add", "concat"), default="add")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    filters, side = (8, 32) if options.quick else (64, 96)
    torch.set_num_threads(options.threads)
    net = trained(SCNSpec(1, 26, filters=filters, mode=options.mode))
    image = np.random.default_rng(0).uniform(-1, 1, (1, 1, side, side, side)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path, example = Path(folder) / "scn.onnx", {"input": torch.zeros(1, 1, 16, 16, 16)}
        write_onnx(net, path, example, OUTPUTS, free_axes(net, example, OUTPUTS))
        fast = folded(net).to(memory_format=torch.channels_last_3d)
        ways = {
            "the document": in_torch(net),
            "folded, channels last": in_torch(fast),
            "the same, bfloat16": in_torch(fast, bfloat16=True),
            "ONNX Runtime": in_onnx_runtime(path, options.threads),
            "OpenVINO, float32": in_openvino(path, options.threads, "f32"),
            "OpenVINO, its choice": in_openvino(path, options.threads, None),
        }
        times, answers = take_turns(ways, image, options.repeats)
    print(f"SCN ({options.mode}, {filters} filters), 26 landmarks, {side}³, {options.threads} threads, "
          f"medians of {options.repeats}:")
    walls = {name: statistics.median(wall for wall, _ in each) for name, each in times.items()}
    works = {name: statistics.median(work for _, work in each) for name, each in times.items()}
    expected = answers["the document"]
    scale = float(np.sqrt(np.square(expected).mean()))
    for name, answer in answers.items():
        difference = float(np.sqrt(np.square(answer - expected).mean())) / scale
        print(f"  {name:22} {walls[name]:6.2f} s ({works[name]:6.2f}): {walls['the document'] / walls[name]:5.1f} × "
              f"the document ({works['the document'] / works[name]:5.1f} ×); differs by {difference:.0e}")


if __name__ == "__main__":
    main()
