"""Where the YAML files are: the package `snnrun.conf`, which is the folder conf/ of a checkout."""

import importlib.util
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def conf_folder() -> Path:
    """Return the folder of the YAML files, and see to it that `snnrun.conf` can be imported, as Hydra does.

    An installed snnrun has the package. `python -m snnrun` in a checkout takes snnrun/ from the current folder, where
    conf/ is beside it and not in it.
    """
    spec = importlib.util.find_spec("snnrun.conf")
    if spec is None:
        folder = CHECKOUT / "conf"
        spec = importlib.util.spec_from_file_location(
            "snnrun.conf", folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None
        sys.modules["snnrun.conf"] = importlib.util.module_from_spec(spec)
    assert spec.origin is not None
    return Path(spec.origin).parent
