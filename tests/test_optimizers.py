"""The optimisers are torch's to the bit, without its compiler."""

import subprocess
import sys

import pytest
import torch

from snnrun.optimizers import OPTIMIZERS

TORCH = {
    "adam": torch.optim.Adam,
    "adamax": torch.optim.Adamax,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


def trained(kind, interrupted=False):
    """Weights and state after a few steps, if asked for with a new optimiser half-way that takes over the state."""
    generator = torch.Generator().manual_seed(0)
    weights = [torch.nn.Parameter(torch.randn(size, generator=generator)) for size in ((5, 4), (5,))]
    own = {"momentum": 0.9} if kind.__name__ == "SGD" else {"betas": (0.8, 0.99)}

    def made():
        groups = [{"params": weights[:1]}, {"params": weights[1:], "weight_decay": 0.0}]
        return kind(groups, lr=0.01, weight_decay=0.1, **own)

    optimizer = made()
    for step in range(6):
        if interrupted and step == 3:
            state = optimizer.state_dict()
            optimizer = made()
            optimizer.load_state_dict(state)
        optimizer.zero_grad(set_to_none=True)
        sum((weight * torch.randn(weight.shape, generator=generator)).sum() for weight in weights).backward()
        optimizer.step()
    return [*weights, *(value for state in optimizer.state_dict()["state"].values() for value in state.values())]


@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.parametrize("name", TORCH)
def test_the_steps_are_those_of_torch(name, interrupted):
    own, torch_own = trained(OPTIMIZERS[name], interrupted), trained(TORCH[name], interrupted)
    assert len(own) == len(torch_own) > 2
    for one, other in zip(own, torch_own, strict=True):
        assert torch.equal(torch.as_tensor(one), torch.as_tensor(other))


SCRIPT = """
import sys, torch
from snnrun.optimizers import OPTIMIZERS
weights = torch.nn.Parameter(torch.ones(2))
optimizer = OPTIMIZERS[sys.argv[1]]([weights], lr=0.1)
optimizer.load_state_dict(optimizer.state_dict())
optimizer.zero_grad()
weights.sum().backward()
optimizer.step()
assert weights[0] < 1
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_step_does_not_load_the_compiler(name):
    done = subprocess.run([sys.executable, "-c", SCRIPT, name], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
