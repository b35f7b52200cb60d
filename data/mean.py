"""The mean feature of the default extractor over photographs, to be subtracted before features are coded.

Knows one array and which weights it belongs to; no network, no pictures.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np

from assocmem._numerics.types import F32

# Name and hash of the weights, as an identity begins, and the output of the network that the mean is of.
_WEIGHTS = "efficientnet-lite0 579344248a93e230 "
_OUTPUT = " output=features"


def feature_mean(identity: str) -> F32 | None:
    """Return the mean of the L2-normalised features of photographs, for the extractor with this identity.

    It depends on the weights far more than on the preprocessing, which is therefore not compared. The mean of
    237 whole photographs (animals, buildings, tools, landscapes, people; as the default preprocessing pads
    them) and the mean of 40,000 windows of photographs, each over features of length one, averaged.

    Returns
    -------
    ndarray of float32, shape (1280,), read-only; or None
        None for every extractor but EfficientNet-Lite0 with the weights installed with assocmem.

    Examples
    --------
    >>> feature_mean("onnx 0123456789abcdef size=224 resize=squash") is None
    True
    """
    return _mean() if identity.startswith(_WEIGHTS) and identity.endswith(_OUTPUT) else None


@cache
def _mean() -> F32:
    with files("assocmem.data").joinpath("efficientnet_lite0_mean.npy").open("rb") as file:
        mean: F32 = np.load(file, allow_pickle=False)
    mean.flags.writeable = False
    return mean
