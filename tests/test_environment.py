"""The three lists of packages say the same: pyproject.toml, requirements.lock and environment.yml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import rattler
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

_ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def conda() -> dict[str, Any]:
    return yaml.safe_load((_ROOT / "environment.yml").read_text(encoding="utf-8"))


def test_every_direct_dependency_is_pinned_within_its_bounds(project: dict[str, Any]) -> None:
    pins = [Requirement(line) for line in (_ROOT / "requirements.lock").read_text().splitlines()]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(line for extra in extras for line in extra)]

    for requirement in map(Requirement, wanted):
        found = [pin for pin in pins if _key(pin) == _key(requirement)]

        assert found, f"{requirement.name} is not in requirements.lock: python3 run.py lock"
        for pin in found:
            (exact,) = pin.specifier
            assert exact.operator == "=="
            assert requirement.specifier.contains(exact.version), f"{pin}: python3 run.py lock"


def test_the_lock_names_no_package_host_and_no_part_of_cuda() -> None:
    text = (_ROOT / "requirements.lock").read_text(encoding="utf-8")

    assert "://" not in text
    assert not re.search(r"(?m)^(nvidia-(?!ml-py)|triton|cuda-|--)", text)


def test_the_conda_file_has_only_what_conda_knows(conda: dict[str, Any]) -> None:
    assert set(conda) == {"name", "channels", "dependencies"}
    assert conda["channels"] == ["conda-forge", "nodefaults"]


def test_every_conda_package_is_a_valid_spec_and_named_once(conda: dict[str, Any]) -> None:
    specs = [spec for spec in conda["dependencies"] if isinstance(spec, str)]

    names = [rattler.MatchSpec(spec, strict=True).name.normalized for spec in specs]

    assert sorted(names) == ["pip", "python", "redis-server"]


def test_conda_s_python_is_one_the_project_supports(conda: dict[str, Any], project: dict[str, Any]) -> None:
    supported = SpecifierSet(project["requires-python"])
    (spec,) = (rattler.MatchSpec(spec) for spec in conda["dependencies"] if str(spec).startswith("python="))
    versions = [f"3.{minor}.1" for minor in range(8, 20)]

    matched = [version for version in versions if spec.matches(_python(version))]

    assert matched
    assert all(supported.contains(version) for version in matched)


def test_pip_s_part_is_this_project_with_extras_that_exist(
    conda: dict[str, Any], project: dict[str, Any]
) -> None:
    (pip,) = (part["pip"] for part in conda["dependencies"] if isinstance(part, dict))
    (line,) = pip

    extras = re.fullmatch(r"-e \.\[([a-z,]+)\]", line)

    assert extras
    assert set(extras[1].split(",")) <= set(project["optional-dependencies"])


def _key(requirement: Requirement) -> str:
    return re.sub(r"[-_.]+", "-", requirement.name).lower()


def _python(version: str) -> rattler.PackageRecord:
    build = rattler.BuildString("0_cpython")
    return rattler.PackageRecord(
        name="python", version=version, build=build, build_number=0, subdir="linux-64"
    )
