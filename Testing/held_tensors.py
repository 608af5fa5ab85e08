"""The device that tests of tensors use, a card where there is one; and how much memory tensors take there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class HeldTensors(TorchDispatchMode):
    """most: bytes of all tensors at once that are made inside `with`; memory that is shared counts once."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self._given: dict[int, StorageWeakRef] = {}
        self._held: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        # A storage that is gone gives its address to another.
        self._held = {key: held for key, held in self._held.items() if not held[0].expired()}
        self._given = {key: given for key, given in self._given.items() if not given.expired()}
        # What was there before is not counted, nor are views of it.
        for entry in tree_leaves((args, kwargs)):
            if isinstance(entry, Tensor) and (key := entry.untyped_storage()._cdata) not in self._held:
                self._given.setdefault(key, StorageWeakRef(entry.untyped_storage()))
        for entry in tree_leaves(made):
            if isinstance(entry, Tensor) and (key := entry.untyped_storage()._cdata) not in self._given:
                self._held.setdefault(key, (StorageWeakRef(entry.untyped_storage()), entry.untyped_storage().nbytes()))
        self.most = max(self.most, sum(size for _, size in self._held.values()))
        return made
