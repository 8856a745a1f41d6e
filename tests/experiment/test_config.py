from __future__ import annotations

from pathlib import Path

import pytest

from acsbench.errors import ConfigError, MissingPathError
from acsbench.experiment.config import ExperimentConfig, assign, parse_assignment, read_experiment
from acsbench.experiment.demo import demo_config
from acsbench.experiment.steps import model_fingerprint


def test_the_resolved_config_replays_itself(tmp_path: Path) -> None:
    config = demo_config(n_patients=60, seed=3, effect_mv=0.1)
    file = tmp_path / "config.toml"
    file.write_text(config.to_toml())
    again = read_experiment(file)
    assert again == config
    assert again.to_toml() == config.to_toml()


def test_set_changes_one_value_and_keeps_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(demo_config().to_toml())
    changed = read_experiment(file, ["models.2.parameters.width=4", "source.path=a/b"])
    assert changed.models[2].parameters["width"] == 4
    assert changed.source.options["path"] == "a/b"
    assert changed.models[3] == demo_config().models[3]


@pytest.mark.parametrize("bad", ["width", "=4", "models.9.name=x", "name.first.second=1"])
def test_a_set_that_has_no_place_is_refused(tmp_path: Path, bad: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(demo_config().to_toml())
    with pytest.raises(ConfigError, match="--set"):
        read_experiment(file, [bad])


def test_a_misspelt_section_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(demo_config().to_toml() + "\n[cohrt]\nscheme = 'patient'\n")
    with pytest.raises(ConfigError, match="Did you mean 'cohort'"):
        read_experiment(file)


def test_two_models_of_one_name_are_refused() -> None:
    twice = [{"name": "a", "model": "logistic", "task": "acs"}] * 2
    with pytest.raises(ValueError, match="two models are called 'a'"):
        ExperimentConfig.model_validate({"source": {"name": "synthetic"}, "models": twice})


def test_init_from_names_a_model_above(tmp_path: Path) -> None:
    models = [
        {"name": "first", "model": "resnet18", "task": "mace"},
        {"name": "b", "model": "resnet18", "task": "acs", "init_from": "frist"},
    ]
    with pytest.raises(ValueError, match="Did you mean 'first'"):
        ExperimentConfig.model_validate({"source": {"name": "synthetic"}, "models": models})


def test_a_missing_and_a_broken_file_are_clear(tmp_path: Path) -> None:
    with pytest.raises(MissingPathError, match="There is no file"):
        read_experiment(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(ConfigError, match="not valid TOML"):
        read_experiment(tmp_path / "bad.toml")


@pytest.mark.parametrize(
    ("text", "value"), [("a=4", 4), ("a=0.5", 0.5), ("a=true", True), ("a=no/b", "no/b")]
)
def test_values_are_read_as_toml_or_text(text: str, value: object) -> None:
    assert parse_assignment(text) == ("a", value)


def test_init_from_may_be_a_checkpoint_file_and_its_bytes_count(tmp_path: Path) -> None:
    checkpoint = tmp_path / "published.ckpt"
    checkpoint.write_bytes(b"1")
    step = {"name": "a", "model": "resnet18", "task": "acs", "init_from": str(checkpoint)}
    config = ExperimentConfig.model_validate({"source": {"name": "synthetic"}, "models": [step]})
    assert config.models[0].init_from == str(checkpoint)
    before = model_fingerprint(checkpoint), model_fingerprint(tmp_path)
    checkpoint.write_bytes(b"2")
    assert model_fingerprint(checkpoint) != before[0]
    assert model_fingerprint(tmp_path) != before[1]


def test_dots_lead_into_tables_and_a_wrong_way_is_told() -> None:
    assert assign({}, ["a.b=1", "a.c=x", "d=true"]) == {"a": {"b": 1, "c": "x"}, "d": True}
    with pytest.raises(ConfigError, match=r"no place 'a\.b\.c'"):
        assign({}, ["a.b=1", "a.b.c=2"])
