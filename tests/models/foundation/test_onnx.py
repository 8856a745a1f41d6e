"""Foundation models run by onnxruntime, whole and in 8-bit integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from twelve_leads import TINY, make_store, sets

from acsbench.models.base import load_model, make_model


@pytest.mark.slow
@pytest.mark.parametrize("missing", [False, True])
def test_an_exported_model_scores_like_torch(tmp_path: Path, missing: bool) -> None:
    pytest.importorskip("onnxscript")
    store = make_store(tmp_path / "store", missing=missing)
    train, val, test = sets(store)
    model = make_model("hubert_ecg", **{**TINY, "epochs": 1}).fit(train, val)
    wanted = model.predict_proba(test)
    for int8, tolerance in ((False, 1e-5), (True, 0.05)):
        file = tmp_path / f"int8-{int8}.onnx"
        model.save_onnx(file, int8=int8)
        found = load_model(file).predict_proba(test)
        assert np.abs(found - wanted).max() < tolerance
        assert np.array_equal(found, wanted) is False
    sizes = [(tmp_path / f"int8-{i}.onnx").stat().st_size for i in (True, False)]
    assert sizes[0] < sizes[1]
