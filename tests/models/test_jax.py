"""The Keras models on JAX: the same contract, in a process of its own, for Keras has one backend a process."""

import os
import re
import subprocess
import sys
from pathlib import Path

from recsys_dagster.models.registry import get_model_class, model_names

CONTRACT = Path(__file__).with_name("test_contract.py")
BY_TRAINING = ("two_fits", "save_and_load", "on_the_scale", "beat_the_mean", "by_their_history")
"""Parts of the names of those checks whose outcome depends on the backend that trains the network."""
ON_JAX = "import sys, keras, pytest; assert keras.backend.backend() == 'jax'; pytest.main(sys.argv[1:])"


def test_every_keras_model_keeps_the_contract_on_jax() -> None:
    networks = [name for name in model_names() if "keras" in get_model_class(name).kinds]
    chosen = f"({' or '.join(f'{name}]' for name in networks)}) and ({' or '.join(BY_TRAINING)})"
    ran = subprocess.run(
        [sys.executable, "-c", ON_JAX, "-p", "no:cacheprovider", "-k", chosen, str(CONTRACT)],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        cwd=CONTRACT.parents[2],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    outcomes = {outcome: int(number) for number, outcome in re.findall(r"(\d+) (\w+)", ran.stdout.splitlines()[-1])}
    assert outcomes["passed"] == len(BY_TRAINING) * len(networks)
