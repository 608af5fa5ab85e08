"""A training run over batches that are drawn in other processes: its command line, log, checkpoints, an end in time."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset


class Trainer(Protocol):
    """The interface of a trainer."""

    step: int

    def advance(self, batch: Any) -> float | None:
        """Learn from one batch; returns its loss, None where it overflowed and nothing was learnt."""

    def save(self, path: Path) -> None:
        """Write a checkpoint."""

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of every training command."""
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint.pt and log.jsonl")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, help="total number of batches")
    parser.add_argument("--minutes", type=float, help="stop after this many minutes (can be resumed)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="processes that draw crops")
    parser.add_argument("--float32", action="store_true", help="compute in float32 instead of bfloat16")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in --out")


def begin(trainer: Trainer, chosen: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Continue from the checkpoint if requested; an existing one is never overwritten without a request."""
    checkpoint = chosen.out / "checkpoint.pt"
    if chosen.resume:
        trainer.load(checkpoint)
    elif checkpoint.exists():
        parser.error(f"{checkpoint} exists: pass --resume to continue it, or choose another --out")


def train(
    trainer: Trainer, batches: Dataset[Any], out: Path, *, minutes: float | None = None, workers: int = 1,
    log_every: int = 50, save_every: int = 250,
) -> None:
    """Learn from each of `batches` (those that the plan has left), or for `minutes`.

    out: folder for checkpoint.pt and log.jsonl.
    """
    out.mkdir(parents=True, exist_ok=True)
    left = len(batches)  # type: ignore[arg-type]  # torch's Dataset doesn't promise a length
    began = mark = time.monotonic()
    losses: list[float] = []
    for batch in DataLoader(batches, batch_size=None, num_workers=workers, worker_init_fn=_one_thread):
        loss = trainer.advance(batch)
        left -= 1
        if loss is None:
            print(f"step {trainer.step}: overflow, nothing learnt", flush=True)
        else:
            losses.append(loss)
        late = minutes is not None and time.monotonic() - began > minutes * 60
        ended = late or left == 0
        if trainer.step % log_every == 0 or ended:
            seconds = (time.monotonic() - mark) / max(len(losses), 1)
            mean = round(float(np.mean(losses)), 4) if losses else None
            entry = {"step": trainer.step, "loss": mean, "s_per_step": round(seconds, 3)}
            with (out / "log.jsonl").open("a") as stream:
                stream.write(json.dumps(entry) + "\n")
            print(entry, flush=True)
            losses, mark = [], time.monotonic()
        if trainer.step % save_every == 0 or ended:
            trainer.save(out / "checkpoint.pt")
        if late:
            return


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)
