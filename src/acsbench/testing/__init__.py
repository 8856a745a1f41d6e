"""Conformance checks for what plug-ins bring; the built-ins pass the same ones.

>>> from acsbench.testing import check_model, check_source
>>> from acsbench.sources.base import open_source
>>> check_source(open_source("synthetic", n_patients=20, path="hospital"))  # doctest: +SKIP
>>> check_model("resnet18", width=2, epochs=1)  # doctest: +SKIP
"""

from acsbench.testing.adapter_checks import check_adapter
from acsbench.testing.metric_checks import check_metric
from acsbench.testing.model_checks import check_model
from acsbench.testing.recipe_checks import check_recipe
from acsbench.testing.source_checks import check_source

__all__ = ["check_adapter", "check_metric", "check_model", "check_recipe", "check_source"]
