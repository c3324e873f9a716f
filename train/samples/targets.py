"""What a batch has to learn, whatever the family: tables of tensors, a row a picture."""

from __future__ import annotations

from typing import Any, Self

from torch import Tensor


class BatchTargets:
    """Base of a frozen dataclass with slots, each a tensor (B, ...) or a list of B tensors."""

    __slots__: tuple[str, ...] = ()

    def part(self, rows: slice) -> Self:
        """Return the targets of some of the batch's pictures."""
        return type(self)(*(getattr(self, name)[rows] for name in self.__slots__))

    def to(self, device: str) -> Self:
        """Return the targets on a device."""

        def moved(value: Tensor | list[Tensor]) -> Any:
            return [v.to(device) for v in value] if isinstance(value, list) else value.to(device)

        return type(self)(*(moved(getattr(self, name)) for name in self.__slots__))
