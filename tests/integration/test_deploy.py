"""What `deploy/`, the Dockerfile and compose.yaml say is valid, closed, and names what exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import kubernetes_validate
import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands, load_command_class

from commsproject.common import egress
from commsproject.common.bodies import OF_STRANGERS
from notifications.providers import smtp
from notifications.types import Lane
from tests.image import dockerfile
from tests.image.build import ignored

ROOT: Path = settings.BASE_DIR
KUBERNETES = ROOT / "deploy" / "kubernetes"
VERSIONS = ("1.31", "1.33", "1.37")
SCRIPTS = Path(sys.executable).parent
PROBE = ["python", "-m", "commsproject.common.heartbeat"]


def runs(arguments: list[str]) -> None:
    """The command line of a container is one of ours."""
    name, *rest = arguments
    load_command_class(get_commands()[name], name).create_parser("manage.py", name).parse_args(rest)


def variables() -> set[str]:
    text = "".join(path.read_text() for path in (ROOT / "commsproject").rglob("*.py"))
    return set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", text))


def known(name: str) -> bool:
    """A variable that the service reads, itself or as a file; or one that uvicorn or Python reads."""
    others = {"FORWARDED_ALLOW_IPS", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
    return name.removesuffix("_FILE") in variables() | others or name in variables()


# --- The image -------------------------------------------------------------------------------


def test_the_image_runs_as_nobody_and_can_be_probed() -> None:
    *_, image = dockerfile.stages(ROOT / "Dockerfile")
    assert image.last("USER").rest == "10001:10001"
    assert image.last("ENTRYPOINT").words() == ["python", "manage.py"]
    runs(image.last("CMD").words())
    probe = image.last("HEALTHCHECK").rest.partition("CMD ")[2]
    assert json.loads(probe) == PROBE
    assert all(known(name) for name in image.environment({"PATH": ""}, str))


def test_what_is_copied_is_sent_and_secrets_are_not() -> None:
    leaves_out = ignored(ROOT / ".dockerignore")
    for stage in dockerfile.stages(ROOT / "Dockerfile"):
        for one in stage.instructions:
            if one.name == "COPY" and "--from" not in one.rest:
                source = dockerfile.expand(one.words()[0], stage.environment({"PATH": ""}, str))
                assert (ROOT / source).exists(), source
                assert not leaves_out(PurePosixPath(source)), source
    for name in (".env", ".git", ".data", "secrets", "tests", "commsproject/__pycache__"):
        assert leaves_out(PurePosixPath(name)), name
    assert leaves_out(PurePosixPath("commsproject/settings/dev.py"))


def test_hadolint_accepts_the_dockerfile() -> None:
    subprocess.run([SCRIPTS / "hadolint", "Dockerfile"], cwd=ROOT, check=True)


# --- Compose ---------------------------------------------------------------------------------


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return loaded


def test_compose_keeps_to_its_schema() -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    command = [str(SCRIPTS / "check-jsonschema"), *schema, "compose.yaml"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout


def test_compose_has_every_process_closed() -> None:
    services = compose()["services"]
    ours = {name: one for name, one in services.items() if one["image"].startswith("comms:")}
    lanes = set()
    for name, one in ours.items():
        runs(one["command"])
        lanes |= set(one["command"]) & set(Lane.values)
        assert one["read_only"], name
        assert one["cap_drop"] == ["ALL"], name
        assert "ports" not in one, name
        assert all(known(variable) for variable in one["environment"]), name
    assert lanes == set(Lane.values)
    assert {one["command"][0] for one in ours.values()} == {"web", "worker", "scheduler", "migrate"}
    assert [name for name, one in services.items() if "ports" in one] == ["proxy"]


def test_compose_has_no_secret_in_the_environment() -> None:
    for name, one in compose()["services"].items():
        for variable, value in one.get("environment", {}).items():
            secret = re.search(r"KEY|PASSWORD|TOKEN|DATABASE_URL", variable)
            assert not secret or str(value).startswith("/run/secrets/"), (name, variable)


def needed(uploads: int) -> int:
    """MiB of a folder for temporary files: the file of a form is there twice."""
    return (2 * uploads + OF_STRANGERS) // 2**20


def test_the_disk_of_a_process_holds_the_bodies_that_it_lets_in() -> None:
    service = compose()["x-service"]
    room = int(service["environment"]["UPLOADS_ROOM"])
    assert service["tmpfs"] == [f"/tmp:mode=1777,size={needed(room)}m"]
    assert f"max_size {room // 2**20}MiB" in (ROOT / "deploy/docker/Caddyfile").read_text()
    container = yaml.safe_load((KUBERNETES / "base/container.yaml").read_text())
    volumes = {one["name"]: one for one in container["spec"]["template"]["spec"]["volumes"]}
    assert volumes["tmp"]["emptyDir"]["sizeLimit"] == f"{needed(settings.UPLOADS_ROOM)}Mi"
    ingress = yaml.safe_load((KUBERNETES / "example/ingress.yaml").read_text())
    allowed = ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"]
    assert allowed == f"{settings.BATCH_UPLOAD_MAX_SIZE // 2**30}g"


# --- Kubernetes ------------------------------------------------------------------------------


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(KUBERNETES.rglob("*.yaml")):
        if path.name not in ("kustomization.yaml", "container.yaml"):
            for document in yaml.safe_load_all(path.read_text()):
                yield path.name, document


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_keep_to_the_schemas(version: str) -> None:
    kinds = set()
    for name, document in manifests():
        kubernetes_validate.validate(document, version, strict=True)
        kinds.add(document["kind"])
        assert name
    assert {"Deployment", "Job", "NetworkPolicy", "PodDisruptionBudget"} <= kinds


def test_every_manifest_is_in_a_kustomization_and_every_name_is_there() -> None:
    for path in KUBERNETES.rglob("kustomization.yaml"):
        told = yaml.safe_load(path.read_text())
        files = {file.name for file in path.parent.glob("*.yaml")} - {path.name}
        named = {*told["resources"], *(patch["path"] for patch in told.get("patches", []))}
        assert files == {name for name in named if not name.startswith("..")}, path
        for generator in told["configMapGenerator"]:
            names = [literal.partition("=")[0] for literal in generator["literals"]]
            assert all(known(name) for name in names), names


def test_containers_do_what_the_service_can() -> None:
    lanes, probed = set(), 0
    for _, document in manifests():
        if document["kind"] not in ("Deployment", "Job"):
            continue
        pod = document["spec"]["template"]["spec"]
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            runs(container["args"])
            lanes |= set(container["args"]) & set(Lane.values)
            assert container["resources"]["limits"]["memory"]
            for probe in ("livenessProbe", "startupProbe"):
                if "exec" in container.get(probe, {}):
                    probed += 1
                    assert container[probe]["exec"]["command"] == PROBE
    assert lanes == set(Lane.values)
    assert probed == 8


def test_the_network_lets_through_what_the_service_calls() -> None:
    open_ports = {
        port["port"]
        for _, document in manifests()
        if document["kind"] == "NetworkPolicy"
        for rule in document["spec"].get("egress", ())
        for port in rule["ports"]
    }
    servers = {53, 5432, 6379, 5671, 5672, 4318}  # names, PostgreSQL, Valkey, RabbitMQ, traces
    assert open_ports == servers | egress.PORTS | set(smtp.PORTS.values())


def test_prometheus_finds_every_process() -> None:
    """By the port that each tells its metrics at, on whatever machine it is."""
    compose_port = compose()["x-service"]["environment"]["METRICS_PORT"]
    (compose_job,) = scraping("scrape-compose.yml")
    by_port: dict[int, set[str]] = {int(compose_port): set(), 8002: set()}
    for name, one in compose()["services"].items():
        if one["image"].startswith("comms:") and one["command"] != ["migrate"]:
            by_port[8002 if one["command"] == ["web"] else int(compose_port)].add(name)
    found = {one["port"]: set(one["names"]) for one in compose_job["dns_sd_configs"]}
    assert found == by_port

    (config,) = yaml.safe_load((KUBERNETES / "base/kustomization.yaml").read_text())[
        "configMapGenerator"
    ]
    told = int(dict(line.split("=") for line in config["literals"])["METRICS_PORT"])
    reached = {
        (component, port["port"])
        for _, document in manifests()
        if document["kind"] == "NetworkPolicy"
        for rule in document["spec"].get("ingress", ())
        for port in rule["ports"]
        for expression in document["spec"]["podSelector"]["matchExpressions"]
        for component in expression["values"]
    }
    (job,) = scraping("scrape-kubernetes.yml")
    kept = re.compile(job["relabel_configs"][0]["regex"])
    for _, document in manifests():
        if document["kind"] == "Deployment":
            component = document["metadata"]["name"].removeprefix("comms-")
            (container,) = document["spec"]["template"]["spec"]["containers"]
            (port,) = container["ports"]
            assert port["containerPort"] == (8002 if container["args"] == ["web"] else told)
            assert kept.fullmatch(f"comms;{port['name']}")
            assert (component, port["containerPort"]) in reached


def scraping(name: str) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = yaml.safe_load((ROOT / "deploy/prometheus" / name).read_text())[
        "scrape_configs"
    ]
    assert [job["job_name"] for job in jobs] == ["comms"]  # as the rules expect
    return jobs


def test_autoscalers_ask_for_what_the_adapter_gives() -> None:
    adapter = yaml.safe_load((ROOT / "deploy" / "prometheus" / "adapter.yml").read_text())
    given = {rule["name"]["as"] for rule in adapter["rules"]["external"]}
    asked = {}
    for _, document in manifests():
        if document["kind"] == "HorizontalPodAutoscaler":
            for metric in document["spec"]["metrics"]:
                if external := metric.get("external"):
                    lane = external["metric"]["selector"]["matchLabels"]["lane"]
                    assert document["spec"]["scaleTargetRef"]["name"] == f"comms-{lane}"
                    asked[lane] = external["metric"]["name"]
    assert set(asked) == set(Lane.values)
    assert set(asked.values()) == given


def test_kustomize_builds_pods_that_a_restricted_namespace_takes() -> None:
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed")
    command = ["kubectl", "kustomize", str(KUBERNETES / "example")]
    built = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    pods = 0
    for document in yaml.safe_load_all(built):
        kubernetes_validate.validate(document, VERSIONS[0], strict=True)
        if document["kind"] not in ("Deployment", "Job"):
            continue
        pod = document["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            pods += 1
            assert container["image"].startswith("registry.example.com/comms:")
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
            mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert mounted == {"/run/secrets/comms", "/tmp"}
            assert container["envFrom"][0]["configMapRef"]["name"].startswith("comms-")
    assert pods == 11
