"""What a pre-training trains: a backbone under a loss that needs no labels."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from acsbench.models.foundation.network import FoundationNetwork

__all__ = ["Objective"]


class Objective(nn.Module, ABC):
    """A network without head, and what is put on top of it for pre-training alone.

    Parameters
    ----------
    network : FoundationNetwork
    """

    def __init__(self, network: FoundationNetwork) -> None:
        super().__init__()
        self.network = network

    @abstractmethod
    def forward(self, x: Tensor, targets: Tensor) -> Tensor:
        """Loss of a batch, averaged over whatever is predicted.

        Draws from torch's present seed, in training and validation alike.

        Parameters
        ----------
        x : Tensor, shape (batch, *input_shape)
            Prepared windows.
        targets : Tensor, shape (batch, numbers)
            What is known of each record besides; nothing for most methods.
        """

    def extras(self) -> dict[str, Tensor]:
        """Weights that are not the backbone's, for a pre-training that goes on from this one."""
        return {k: v for k, v in self.state_dict().items() if not k.startswith("network.")}
