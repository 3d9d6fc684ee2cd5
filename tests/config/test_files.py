"""The YAML files and the schema say the same, and every key is explained."""

import dataclasses
import re

import pytest
from omegaconf import OmegaConf

from snnrun.config.files import conf_folder
from snnrun.config.schema import OPTIONS, BenchSection, Config, RegularizerConfig, ReportConfig, TrainingConfig
from snnrun.config.sweeps import SweepConfig, SweepSection
from snnrun.config.tree import EXPERIMENT, GROUPS, read_section, read_tree

CONF = conf_folder()
TREE = read_tree()
IN_MS = r"tau(?!_(init|shape|train|constraint))|dt|duration"
EVERY_OPTION = [(group, name) for group in GROUPS for name in TREE.groups[group]]


def fields(schema: type) -> set[str]:
    return {field.name for field in dataclasses.fields(schema)}


def test_the_groups_are_those_of_the_schema():
    assert set(GROUPS) == set(OPTIONS)
    assert {path.parent.name for path in CONF.glob("*/*.yaml")} == {*GROUPS, EXPERIMENT} == set(TREE.groups)


@pytest.mark.parametrize("group", GROUPS)
def test_every_model_has_a_file(group):
    assert set(TREE.groups[group]) >= set(OPTIONS[group])


@pytest.mark.parametrize(("group", "name"), EVERY_OPTION)
def test_an_option_has_the_keys_of_its_schema(group, name):
    path = CONF / group / f"{name}.yaml"
    content = OmegaConf.to_container(OmegaConf.load(path))
    assert set(content) == fields(OPTIONS[group][content["name"]])
    keys = TREE.groups[group][name].keys
    assert {key.name for key in keys} == {f"{group}.{key}" for key in content if key != "name"}  # the text is read well


@pytest.mark.parametrize(("group", "name"), EVERY_OPTION)
def test_an_option_and_its_keys_are_explained(group, name):
    option = TREE.groups[group][name]
    assert 10 < len(option.description) <= 90
    for key in option.keys:
        assert 5 < len(key.description) <= 100, key.name
        assert not re.search(IN_MS, key.name) or "[ms]" in key.description, key.name


def test_the_main_file():
    in_schema = fields(Config) | fields(SweepConfig)
    assert {key.name for key in TREE.keys} | set(GROUPS) | {key.name for key in TREE.sections} == in_schema
    sections = {key.name: {inner.name.split(".")[1] for inner in keys} for key, keys in TREE.sections.items()}
    assert sections == {
        "regularizer": fields(RegularizerConfig),
        "training": fields(TrainingConfig),
        "sweep": fields(SweepSection),
        "report": fields(ReportConfig),
    }
    assert {key.name.split(".")[1] for key in read_section("bench", "bench")} == fields(BenchSection)
    explained = (*TREE.keys, *TREE.sections, *(key for keys in TREE.sections.values() for key in keys))
    assert all(key.description for key in (*explained, *read_section("bench", "bench")))


def test_defaults_are_options():
    assert all(TREE.defaults[group] in TREE.groups[group] for group in GROUPS)
    assert TREE.defaults[EXPERIMENT] == "null"
