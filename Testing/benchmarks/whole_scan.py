"""From a CT to labels on its own voxels: this MedInfer beside nnU-Net and MONAI, with one network.

    python Testing/benchmarks/whole_scan.py FOLDER [--peer PYTHON] [--classes 5 33 117] [--methods nnunet monai …]

A scan of 512×512×300 voxels is drawn, and a network of nnU-Net's usual size (six stages, 32 to 320 features, 128³
voxels of 1.5 mm) gets random weights and is written as a result folder of nnU-Net. Each method then runs as its users
run it, in a process of its own, with the same threads and without mirroring: `medinfer segment` on the package that
`medinfer add` makes of the folder, nnU-Net's own command (PYTHON: of an environment with nnunetv2), and MONAI's
transforms and sliding window. Printed: seconds of the whole command, the most memory of all its processes together
(shared pages once), and the share of voxels whose label is not nnU-Net's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

GIB = 2**30
FEATURES = (32, 64, 128, 256, 320, 320)
PATCH, SPACING = 128, 1.5
# Of all CT that nnU-Net's fingerprints were made of, about these: percentiles 0.5 and 99.5, mean, deviation.
LOW, HIGH, MEAN, DEVIATION = -1000.0, 1100.0, 50.0, 300.0


@dataclass(frozen=True)
class Measured:
    seconds: float
    most_bytes: int
    notes: str = ""


def draw_scan(path: Path) -> None:
    """A body with organs and noise, 0.7 × 0.7 × 1 mm, int16."""
    import SimpleITK as sitk
    from scipy import ndimage

    rng = np.random.default_rng(0)
    k, j, i = np.ogrid[:300, :512, :512]
    body = ((j - 256) / 180.0) ** 2 + ((i - 256) / 230.0) ** 2 < 1
    factors = (300 / 13, 512 / 18, 512 / 18)
    organs = ndimage.zoom(rng.normal(size=(13, 18, 18)), factors, order=3, mode="grid-constant", grid_mode=True)
    values = np.where(body & (k >= 0), 40 + 120 * organs, -1000) + rng.normal(0, 15, (300, 512, 512)).astype(np.float32)
    image = sitk.GetImageFromArray(values.clip(-1024, 3000).astype(np.int16))
    image.SetSpacing((0.7, 0.7, 1.0))
    sitk.WriteImage(image, path)


def architecture() -> dict[str, object]:
    stages = len(FEATURES)
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages, "features_per_stage": FEATURES, "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3]] * stages, "strides": [[1, 1, 1], *[[2, 2, 2]] * (stages - 1)],
            "n_conv_per_stage": [2] * stages, "n_conv_per_stage_decoder": [2] * (stages - 1), "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d", "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None, "dropout_op_kwargs": None, "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def resampling(order: int, *, labels: bool) -> dict[str, object]:
    return {"is_seg": labels, "order": order, "order_z": 0, "force_separate_z": None}


def write_model(folder: Path, classes: int) -> None:
    """A result folder of nnU-Net with random weights."""
    import torch

    from medinfer.importers.nnunet_network import build
    from medinfer.importers.nnunet_plans import read_plan

    (folder / "fold_0").mkdir(parents=True, exist_ok=True)
    sampled = "resample_data_or_seg_to_shape"
    side = [PATCH] * 3
    (folder / "plans.json").write_text(json.dumps({
        "dataset_name": f"Dataset900_Drawn{classes}", "plans_name": "nnUNetPlans", "image_reader_writer": "SimpleITKIO",
        "original_median_spacing_after_transp": [SPACING] * 3, "original_median_shape_after_transp": [200, 240, 240],
        "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2], "label_manager": "LabelManager",
        "experiment_planner_used": "ExperimentPlanner",
        "configurations": {"3d_fullres": {
            "data_identifier": "nnUNetPlans_3d_fullres", "preprocessor_name": "DefaultPreprocessor", "batch_size": 2,
            "patch_size": side, "median_image_size_in_voxels": side, "spacing": [SPACING] * 3,
            "normalization_schemes": ["CTNormalization"], "use_mask_for_norm": [False], "batch_dice": False,
            "resampling_fn_data": sampled, "resampling_fn_seg": sampled, "resampling_fn_probabilities": sampled,
            "resampling_fn_data_kwargs": resampling(3, labels=False),
            "resampling_fn_seg_kwargs": resampling(1, labels=True),
            "resampling_fn_probabilities_kwargs": resampling(1, labels=False), "architecture": architecture(),
        }},
        "foreground_intensity_properties_per_channel": {"0": {
            "max": 3000.0, "mean": MEAN, "median": MEAN, "min": -1024.0, "percentile_00_5": LOW,
            "percentile_99_5": HIGH, "std": DEVIATION,
        }},
    }))
    labels = {"background": 0, **{f"label{n}": n for n in range(1, classes)}}
    (folder / "dataset.json").write_text(json.dumps(
        {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": 1, "file_ending": ".nii.gz"}
    ))
    torch.manual_seed(0)
    network = build(read_plan(folder, "3d_fullres"), classes, folder)
    torch.save({
        "network_weights": network.state_dict(), "trainer_name": "nnUNetTrainer", "current_epoch": 1,
        "init_args": {"configuration": "3d_fullres", "plans": json.loads((folder / "plans.json").read_text())},
        "inference_allowed_mirroring_axes": None,
    }, folder / "fold_0" / "checkpoint_final.pth")


def run_monai(model: Path, scan: Path, out: Path) -> None:
    """As a MONAI bundle of a CT segmentation has it: spacing, window, inverse transforms, the highest class."""
    import torch
    from monai import transforms
    from monai.data import MetaTensor
    from monai.inferers import sliding_window_inference

    from medinfer.importers.nnunet_network import build, fill, read_checkpoint
    from medinfer.importers.nnunet_plans import read_plan

    plan, path = read_plan(model, "3d_fullres"), model / "fold_0" / "checkpoint_final.pth"
    network = build(plan, len(json.loads((model / "dataset.json").read_text())["labels"]), model)
    fill(network, read_checkpoint(path), path)
    keys = ["image"]
    before = transforms.Compose([
        transforms.LoadImaged(keys=keys), transforms.EnsureChannelFirstd(keys=keys),
        transforms.Orientationd(keys=keys, axcodes="RAS", labels=None),
        transforms.Spacingd(keys=keys, pixdim=(SPACING,) * 3, mode="bilinear"),
        transforms.ScaleIntensityRanged(keys=keys, a_min=LOW, a_max=HIGH, b_min=(LOW - MEAN) / DEVIATION,
                                        b_max=(HIGH - MEAN) / DEVIATION, clip=True),
    ])
    after = transforms.Compose([
        transforms.Invertd(keys="pred", transform=before, orig_keys="image", nearest_interp=False, to_tensor=True),
        transforms.AsDiscreted(keys="pred", argmax=True),
        transforms.SaveImaged(keys="pred", output_dir=str(out), separate_folder=False, resample=False,
                              output_postfix="", output_dtype=np.uint8, print_log=False),
    ])
    data = before({"image": str(scan)})
    with torch.inference_mode():
        image = data["image"]
        found = sliding_window_inference(image[None], (PATCH,) * 3, 1, network, overlap=0.5, mode="gaussian")
        data["pred"] = MetaTensor(found[0], meta=image.meta, applied_operations=image.applied_operations)
        after(data)


def tree_bytes(process: int) -> int:
    """Memory of a process and its descendants, shared pages counted once (proportional set size)."""
    total = 0
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        total = next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
        for task in Path(f"/proc/{process}/task").iterdir():
            total += sum(tree_bytes(int(child)) for child in (task / "children").read_text().split())
    except (OSError, StopIteration):
        pass
    return total


def measured(command: list[str], threads: int, log: Path, **environment: str) -> Measured:
    """Run a command; raises RuntimeError with the end of its output where it fails."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    chosen = {**os.environ, **dict.fromkeys(names, str(threads)), **environment}
    begin, most = time.perf_counter(), 0
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output, env=chosen) as process:
        ended = threading.Event()

        def watch() -> None:
            nonlocal most
            while not ended.wait(0.25):
                most = max(most, tree_bytes(process.pid))

        watching = threading.Thread(target=watch)
        watching.start()
        code = process.wait()
        ended.set()
        watching.join()
    if code:
        raise RuntimeError(f"{command[:4]} ended with {code}: {log.read_text()[-1500:]}")
    return Measured(time.perf_counter() - begin, most)


def run_method(method: str, folder: Path, model: Path, asked: argparse.Namespace) -> tuple[Measured, Path]:
    """The measurement, and the label map that it left."""
    out = folder / "out" / f"{method}-{model.name}"
    out.mkdir(parents=True, exist_ok=True)
    scan, log = folder / "scans" / "scan_0000.nii.gz", folder / "out" / f"{method}-{model.name}.log"
    if method == "nnunet":
        command = [
            str(Path(asked.peer).parent / "nnUNetv2_predict_from_modelfolder"), "-i", str(scan.parent), "-o", str(out),
            "-m", str(model), "-f", "0", "--disable_tta", "-device", "cpu", "-npp", "1", "-nps", "1",
        ]
        return measured(command, asked.threads, log), out / "scan.nii.gz"
    if method == "monai":
        command = [sys.executable, __file__, str(folder), "--monai", str(model), str(out)]
        return measured(command, asked.threads, log), out / "scan_0000.nii.gz"
    precision, name = method.partition(":")[2] or "float32", f"dataset900-drawn{model.name.removeprefix('classes')}"
    command = [
        sys.executable, "-m", "medinfer", "segment", str(scan), "--model", f"{name}-3d-fullres", "-o", str(out),
        "--precision", precision, "--threads", str(asked.threads), "--no-scene", "--overwrite",
    ]
    result = measured(command, asked.threads, log, MEDINFER_LIBRARY=str(folder / "library"))
    found = next(out.rglob("findings.json"))
    seconds = json.loads(found.read_text())["run"]["seconds"]
    return Measured(result.seconds, result.most_bytes, json.dumps(seconds)), next(out.rglob("*.nii.gz"))


def labels_in(path: Path) -> np.ndarray:
    import SimpleITK as sitk

    values: np.ndarray = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    return values


def compare(folder: Path, classes: int, asked: argparse.Namespace) -> None:
    model = folder / f"classes{classes}"
    if not (model / "fold_0" / "checkpoint_final.pth").exists():
        write_model(model, classes)
    if any(method.startswith("medinfer") for method in asked.methods):
        added = measured(
            [sys.executable, "-m", "medinfer", "add", str(model)], asked.threads,
            folder / "add.log", MEDINFER_LIBRARY=str(folder / "library"),
        )
        print(f"{classes} classes: added in {added.seconds:.0f} s", flush=True)
    home: np.ndarray | None = None
    for method in asked.methods:
        result, path = run_method(method, folder, model, asked)
        labels = labels_in(path)
        home = labels if method == "nnunet" else home
        unlike = f"{np.mean(labels != home):.2%} of the labels differ" if home is not None else ""
        print(f"{classes:4} classes  {method:18} {result.seconds:7.1f} s  {result.most_bytes / GIB:6.2f} GiB  "
              f"{unlike}  {result.notes}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peer", default=sys.executable, help="Python of an environment with nnunetv2")
    parser.add_argument("--classes", type=int, nargs="+", default=[5, 33, 117])
    parser.add_argument("--methods", nargs="+", default=["nnunet", "monai", "medinfer"],
                        help="nnunet, monai, medinfer, medinfer:bfloat16")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--monai", nargs=2, type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    scan = folder / "scans" / "scan_0000.nii.gz"
    if asked.monai:
        run_monai(asked.monai[0], scan, asked.monai[1])
        return
    if not scan.exists():
        scan.parent.mkdir(parents=True, exist_ok=True)
        draw_scan(scan)
    for classes in asked.classes:
        compare(folder, classes, asked)


if __name__ == "__main__":
    main()
