"""The manifests of deploy/: valid by Kubernetes' schemas, and in step with each other, the image and the service."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from harness import REPOSITORY, isomor, write_files
from kubernetes_validate.utils import all_versions

import isomor as package
from isomor.config import Config, load_config

BASE, SHOP = REPOSITORY / "deploy" / "kubernetes", REPOSITORY / "deploy" / "shop"
FOLDERS = [BASE, SHOP]
OLDEST = (1, 27)
VERSIONS = [version for version in dict.fromkeys(all_versions()) if tuple(map(int, version.split(".")[:2])) >= OLDEST]

Document = dict[str, Any]


# ---- What is applied ------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error, as it is for kubectl."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key stands twice: {keys} at {node.start_mark}"
        return super().construct_mapping(node, deep)


def load(text: str) -> list[Document]:
    return [document for document in yaml.load_all(text, Loader=_Loader) if document is not None]


def kustomization(folder: Path) -> Document:
    (document,) = load((folder / "kustomization.yaml").read_text())
    return document


def render(folder: Path) -> list[Document]:
    """What `kubectl kustomize` makes of a folder, but for the hashes in the names."""
    settings = kustomization(folder)
    known = {"apiVersion", "kind", "namespace", "resources", "images", "configMapGenerator", "secretGenerator"}
    assert set(settings) <= known, "render() here does not know it"
    documents: list[Document] = []
    for name in settings["resources"]:
        path = (folder / name).resolve()
        documents += render(path) if path.is_dir() else load(path.read_text())
    for kind, field in (("ConfigMap", "configMapGenerator"), ("Secret", "secretGenerator")):
        for entry in settings.get(field, []):
            key = "data" if kind == "ConfigMap" else "stringData"
            data = {name: (folder / name).read_text() for name in entry.get("files", [])}
            data |= dict(text.split("=", 1) for text in entry.get("literals", []))
            here = [d for d in documents if d["kind"] == kind and d["metadata"]["name"] == entry["name"]]
            assert len(here) == (entry.get("behavior") == "replace"), f"{entry['name']}: create or replace?"
            documents = [d for d in documents if d not in here]
            documents.append({"apiVersion": "v1", "kind": kind, "metadata": {"name": entry["name"]}, key: data})
    for document in documents:
        for container in containers(document):
            for image in settings.get("images", []):
                if re.split(r":(?!.*/)", container["image"])[0] == image["name"]:
                    container["image"] = f"{image['newName']}:{image['newTag']}"
    return documents


def pod(document: Document) -> Document:
    return document["spec"]["template"]["spec"] if document["kind"] == "Deployment" else {}


def containers(document: Document) -> list[Document]:
    return pod(document).get("initContainers", []) + pod(document).get("containers", [])


def name_of(document: Document) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


RENDERED = {folder.name: render(folder) for folder in FOLDERS}
ALL = [pytest.param(d, id=f"{name}: {name_of(d)}") for name, documents in RENDERED.items() for d in documents]
DEPLOYMENTS = [param for param in ALL if param.values[0]["kind"] == "Deployment"]


def find(kind: str, name: str = "isomor", folder: Path = BASE) -> Document:
    (found,) = (d for d in RENDERED[folder.name] if name_of(d) == f"{kind} {name}")
    return found


def container(folder: Path = BASE) -> Document:
    (found,) = containers(find("Deployment", folder=folder))
    return found


def settings_of(folder: Path, tmp_path: Path, environ: dict[str, str] | None = None) -> Config:
    """The configuration that a pod has of its ConfigMap."""
    data = find("ConfigMap", "isomor-config", folder)["data"]
    write_files(tmp_path, {f"config/{name}": text for name, text in data.items()})
    loaded = load_config(environ=environ or {}, cwd=tmp_path)
    assert not loaded.warnings
    return loaded.config


# ---- The schemas of Kubernetes --------------------------------------------------------------------------------------


def validate(document: Document, version: str = VERSIONS[-1]) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_the_schemas_are_those_of_several_versions():
    assert VERSIONS[0] == "1.27.0"
    assert len(VERSIONS) > 5


@pytest.mark.parametrize("document", ALL)
def test_every_document_is_valid(document):
    for version in VERSIONS:
        validate(document, version)


def mappings(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all mappings in a document."""
    if isinstance(value, dict):
        yield path
        for key, inner in value.items():
            yield from mappings(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from mappings(inner, (*path, index))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def is_free(path: tuple[Any, ...], document: Document) -> bool:
    """Whether a mapping's keys are the user's."""
    free = {"labels", "annotations", "matchLabels", "requests", "limits", "data", "stringData"}
    return bool(path) and (path[-1] in free or (document["kind"] == "Service" and path[-1] == "selector"))


@pytest.mark.parametrize("document", ALL)
def test_the_check_finds_an_unknown_field_wherever_it_stands(document):
    checked = 0
    for path in mappings(document):
        if not is_free(path, document):
            broken = copy.deepcopy(document)
            at(broken, path)["replikas"] = 1
            with pytest.raises(kubernetes_validate.ValidationError, match="replikas"):
                validate(broken)
            checked += 1
    assert checked > 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "strategy", "rollingUpdate", "maxSurge"), True),
        (("spec", "template", "spec", "enableServiceLinks"), "no"),
        (("spec", "template", "spec", "terminationGracePeriodSeconds"), "30"),
        (("spec", "template", "spec", "containers", 0, "args"), "serve"),
        (("spec", "template", "spec", "containers", 0, "env", 0, "value"), 1),
        (("spec", "template", "spec", "containers", 0, "ports", 0, "containerPort"), "http"),
        (("spec", "template", "spec", "containers", 0, "readinessProbe", "httpGet", "path"), 1),
        (("spec", "template", "spec", "containers", 0, "securityContext", "readOnlyRootFilesystem"), "true"),
        (("spec", "template", "spec", "containers", 0, "volumeMounts", 0), "config"),
        (("spec", "template", "metadata", "annotations", "prometheus.io/port"), 3005),
        (("spec", "selector"), "isomor"),
    ],
    ids=str,
)
def test_the_check_finds_a_wrong_type(path, value):
    broken = copy.deepcopy(find("Deployment"))
    at(broken, path[:-1])[path[-1]] = value
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(broken)


@pytest.mark.parametrize("document", ALL)
def test_words_are_those_of_the_api(document):
    """The schemas say `string` where the API takes one of a few words."""
    words = {
        "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
        "whenUnsatisfiable": {"DoNotSchedule", "ScheduleAnyway"},
        "fsGroupChangePolicy": {"OnRootMismatch", "Always"},
        "unhealthyPodEvictionPolicy": {"IfHealthyBudget", "AlwaysAllow"},
        "pathType": {"Exact", "Prefix", "ImplementationSpecific"},
        "protocol": {"TCP", "UDP", "SCTP"},
        "scheme": {"HTTP", "HTTPS"},
    }
    types = {
        "strategy": {"RollingUpdate", "Recreate"},
        "seccompProfile": {"RuntimeDefault"},
        "target": {"AverageValue", "Utilization", "Value"},
        "metrics": {"Resource"},
        "policies": {"Pods", "Percent"},
        "spec": {"ClusterIP"},
    }
    for path in mappings(document):
        for key, value in at(document, path).items():
            if key in words:
                assert value in words[key]
            if key == "type" and not is_free(path, document):
                (kind,) = [step for step in path if isinstance(step, str)][-1:]
                assert value in types[kind]


# ---- kustomization.yaml ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_kustomization_lists_every_file(folder):
    settings = kustomization(folder)
    assert (settings["apiVersion"], settings["kind"]) == ("kustomize.config.k8s.io/v1beta1", "Kustomization")
    listed = [*settings["resources"], *(name for entry in settings["configMapGenerator"] for name in entry["files"])]
    assert sorted(name for name in listed if not name.startswith("../")) == sorted(
        file.name for file in folder.iterdir() if file.suffix == ".yaml" and file.name != "kustomization.yaml"
    )


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_names_are_given_once(folder):
    names = [name_of(document) for document in RENDERED[folder.name]]
    assert len(names) == len(set(names))
    for document in RENDERED[folder.name]:
        assert "namespace" not in document["metadata"]  # kubectl -n and the overlay decide


def test_the_images():
    assert container()["image"] == f"isomor:{package.__version__}"
    assert container(SHOP)["image"] == "registry.example.com/shop:1"
    assert f"isomor:{package.__version__}" in (BASE / "README.md").read_text()


def test_the_page_tells_of_every_file():
    text = (BASE / "README.md").read_text()
    for file in BASE.glob("*.yaml"):
        assert f"[{file.name}]({file.name})" in text
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert (BASE / target).exists(), target


# ---- What must fit together -----------------------------------------------------------------------------------------


def matching(labels: dict[str, str], folder: Path) -> list[str]:
    """The Deployments whose pods bear the labels."""
    found = []
    for document in RENDERED[folder.name]:
        if document["kind"] == "Deployment":
            own = document["spec"]["template"]["metadata"]["labels"]
            if labels.items() <= own.items():
                found.append(document["metadata"]["name"])
    return found


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("name", ["isomor", "isomor-redis"])
def test_selectors_find_their_pods_and_no_others(folder, name):
    assert matching(find("Deployment", name, folder)["spec"]["selector"]["matchLabels"], folder) == [name]
    assert matching(find("Service", name, folder)["spec"]["selector"], folder) == [name]


def test_what_points_at_the_deployment():
    deployment = find("Deployment")
    assert matching(find("PodDisruptionBudget")["spec"]["selector"]["matchLabels"], BASE) == ["isomor"]
    for constraint in pod(deployment)["topologySpreadConstraints"]:
        assert matching(constraint["labelSelector"]["matchLabels"], BASE) == ["isomor"]
    assert {c["topologyKey"] for c in pod(deployment)["topologySpreadConstraints"]} == {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    }
    target = find("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert target == {"apiVersion": deployment["apiVersion"], "kind": "Deployment", "name": "isomor"}


def test_the_policy_lets_the_service_reach_redis_and_nobody_else():
    spec = find("NetworkPolicy", "isomor-redis")["spec"]
    assert matching(spec["podSelector"]["matchLabels"], BASE) == ["isomor-redis"]
    (rule,) = spec["ingress"]
    (source,) = rule["from"]
    assert list(source) == ["podSelector"]
    assert matching(source["podSelector"]["matchLabels"], BASE) == ["isomor"]


def test_pods_come_before_others_go():
    spec = find("Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert spec["strategy"]["rollingUpdate"]["maxSurge"] >= 1
    assert "replicas" not in spec  # the autoscaler's
    scaler = find("HorizontalPodAutoscaler")["spec"]
    budget = find("PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] < scaler["minReplicas"] < scaler["maxReplicas"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_ports(folder, tmp_path):
    (port,) = container(folder)["ports"]
    exposed = re.findall(r"^EXPOSE (\d+)$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    assert [str(port["containerPort"])] == exposed
    assert port["containerPort"] == settings_of(folder, tmp_path).server.port
    annotations = find("Deployment", folder=folder)["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port["containerPort"])
    (service,) = find("Service", folder=folder)["spec"]["ports"]
    assert service["targetPort"] == port["name"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container(folder)[probe]["httpGet"]["port"] == port["name"]


def test_ports_of_redis(tmp_path):
    (container,) = containers(find("Deployment", "isomor-redis"))
    (service,) = find("Service", "isomor-redis")["spec"]["ports"]
    (rule,) = find("NetworkPolicy", "isomor-redis")["spec"]["ingress"]
    assert service["targetPort"] == container["ports"][0]["name"] == rule["ports"][0]["port"]
    url = find("Secret", "isomor-redis-url")["stringData"]["redis_url"]
    assert url == f"redis://isomor-redis:{service['port']}/0"


def test_the_ingress_leads_to_the_service():
    ingress = find("Ingress", folder=SHOP)
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    backend = path["backend"]["service"]
    service = find("Service", backend["name"], SHOP)
    assert backend["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]


def test_the_ingress_keeps_websockets_and_lets_the_service_say_what_is_too_large(tmp_path):
    annotations = find("Ingress", folder=SHOP)["metadata"]["annotations"]
    config = settings_of(SHOP, tmp_path)
    for name in ("proxy-read-timeout", "proxy-send-timeout"):
        seconds = int(annotations[f"nginx.ingress.kubernetes.io/{name}"])
        assert seconds >= 2 * config.ws.ping_seconds
        assert seconds > config.call_timeout
    size = re.fullmatch(r"(\d+)m", annotations["nginx.ingress.kubernetes.io/proxy-body-size"])
    assert size
    assert int(size[1]) << 20 > config.max_message_size
    assert config.server.trusted_proxies


# ---- The settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_isomor_takes_the_settings(folder, tmp_path):
    shown = isomor("config", "--config", str(folder / "isomor.yaml"), cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "isomor.yaml" in shown.stdout


@pytest.mark.parametrize("end", ["", "\n"])
def test_the_url_of_redis_comes_from_the_secret(end, tmp_path):
    (variable,) = container()["env"]
    assert variable["name"] == "ISOMOR_REDIS_URL_FILE"
    mount, key = variable["value"].rsplit("/", 1)
    (volume,) = (m["name"] for m in container()["volumeMounts"] if m["mountPath"] == mount)
    (secret,) = (v["secret"] for v in pod(find("Deployment"))["volumes"] if v["name"] == volume)
    assert secret["defaultMode"] & 0o007 == 0
    url = find("Secret", secret["secretName"])["stringData"][key]
    write_files(tmp_path, {key: url + end})
    assert settings_of(BASE, tmp_path, {variable["name"]: str(tmp_path / key)}).redis.url == url


def test_the_variables_that_kubernetes_makes_harm_nobody(tmp_path):
    """They are off here, but not in everyone's manifests."""
    environ = {}
    for document in RENDERED[BASE.name]:
        if document["kind"] == "Service":
            name = document["metadata"]["name"].upper().replace("-", "_")
            for entry in document["spec"]["ports"]:
                port, host = entry["port"], "10.0.0.1"
                url = f"tcp://{host}:{port}"
                environ |= {
                    f"{name}_SERVICE_HOST": host,
                    f"{name}_SERVICE_PORT": str(port),
                    f"{name}_SERVICE_PORT_{entry['name'].upper()}": str(port),
                    f"{name}_PORT": url,
                    f"{name}_PORT_{port}_TCP": url,
                    f"{name}_PORT_{port}_TCP_ADDR": host,
                    f"{name}_PORT_{port}_TCP_PORT": str(port),
                    f"{name}_PORT_{port}_TCP_PROTO": "tcp",
                }
    assert "ISOMOR_PORT" in environ
    assert "ISOMOR_REDIS_PORT" in environ
    assert settings_of(BASE, tmp_path, environ) == settings_of(BASE, tmp_path)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_there_is_time_to_stop(folder, tmp_path):
    (action,) = container(folder)["lifecycle"]["preStop"].items()
    assert action[0] == "exec"
    program, seconds = action[1]["command"]
    assert program == "sleep"
    needed = int(seconds) + settings_of(folder, tmp_path).server.drain_seconds + 2
    assert pod(find("Deployment", folder=folder))["terminationGracePeriodSeconds"] >= needed + 10


def test_mounts(tmp_path):
    deployment = pod(find("Deployment"))
    volumes = {volume["name"]: volume for volume in deployment["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in container()["volumeMounts"]}
    assert {mount["name"] for mount in mounts.values()} == set(volumes)
    assert volumes[mounts["/app/config"]["name"]]["configMap"]["name"] == "isomor-config"
    for path in ("/packages", "/tmp"):  # the root is read-only
        assert "emptyDir" in volumes[mounts[path]["name"]]
        assert not mounts[path].get("readOnly")
    assert re.search(r"^VOLUME /packages$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)


# ---- Security -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DEPLOYMENTS)
def test_no_pod_has_more_than_it_needs(document):
    spec = pod(document)
    assert spec["enableServiceLinks"] is False
    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "serviceAccountName"} & set(spec)
    assert not [volume for volume in spec["volumes"] if "hostPath" in volume]
    context = spec["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["runAsUser"] > 0
    assert context["runAsGroup"] == context["fsGroup"] > 0
    assert containers(document)
    for container in containers(document):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not [port for port in container["ports"] if "hostPort" in port]
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


def test_the_user_is_that_of_the_image():
    (user,) = re.findall(r"^USER (\d+):(\d+)$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)[-1:]
    context = pod(find("Deployment"))["securityContext"]
    assert (str(context["runAsUser"]), str(context["runAsGroup"])) == user


# ---- A real server --------------------------------------------------------------------------------------------------


def as_mounted(folder: Path, files: dict[str, str]) -> Path:
    """A ConfigMap or Secret as the kubelet mounts it: links into a hidden folder that an update replaces."""
    write_files(folder / "..2026_01_02_03_04_05.123456789", files)
    (folder / "..data").symlink_to("..2026_01_02_03_04_05.123456789")
    for name in files:
        (folder / name).symlink_to(f"..data/{name}")
    return folder


def test_probes_ask_for_what_a_server_answers(serve, tmp_path):
    functions = as_mounted(tmp_path / "api", {
        "hello.py": 'async def hello() -> str:\n    return "hello"\n',
        "_lib.py": "x = 1\n",
        "requirements.txt": "\n",
    })  # fmt: skip
    config = as_mounted(tmp_path / "config", find("ConfigMap", "isomor-config")["data"])
    server = serve(functions, env={"ISOMOR_CONFIG": str(config / "isomor.yaml")})
    assert server.call("hello") == "hello"
    paths = {name: container()[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {
        "startupProbe": "/health/live",
        "livenessProbe": "/health/live",
        "readinessProbe": "/health/ready",
    }
    for path in paths.values():
        assert server.http.get(path).status_code == 200
    assert server.http.get("/health/nothing").status_code == 404


def test_prometheus_is_told_what_is_there(serve):
    annotations = find("Deployment")["spec"]["template"]["metadata"]["annotations"]
    server = serve({"hello.py": 'async def hello() -> str:\n    return "hello"\n'})
    there = server.http.get(annotations["prometheus.io/path"]).status_code == 200
    assert annotations["prometheus.io/scrape"] == str(there).lower(), "set prometheus.io/scrape in deployment.yaml"


# ---- The blocks of the page -----------------------------------------------------------------------------------------


def merge(value: Any, patch: Any) -> Any:
    """A strategic merge patch: lists whose elements have names are merged by them."""
    if isinstance(value, dict) and isinstance(patch, dict):
        return value | {key: merge(value.get(key), inner) for key, inner in patch.items()}
    if isinstance(value, list) and isinstance(patch, list):
        (key,) = {"mountPath" if "mountPath" in entry else "name" for entry in value + patch}
        named = {entry[key]: entry for entry in value}
        return list((named | {entry[key]: merge(named.get(entry[key]), entry) for entry in patch}).values())
    return patch


BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", (BASE / "README.md").read_text(), re.DOTALL | re.MULTILINE)


def test_functions_from_a_configmap():
    (overlay,) = (load(block)[0] for block in BLOCKS if "isomor-functions" in block)
    (patch,) = load(overlay["patches"][0]["patch"])
    patched = merge(find("Deployment"), patch)
    for version in VERSIONS:
        validate(patched, version)
    mounts = {mount["mountPath"]: mount["name"] for mount in containers(patched)[0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod(patched)["volumes"]}
    assert volumes[mounts["/app/api"]]["configMap"]["name"] == overlay["configMapGenerator"][0]["name"]
    assert len(volumes) == len(pod(find("Deployment"))["volumes"]) + 1
    assert len(containers(patched)) == 1


def test_another_redis():
    (overlay,) = (load(block)[0] for block in BLOCKS if "$patch" in block)
    (patch,) = overlay["patches"]
    gone = {name_of(d) for d in RENDERED[BASE.name] if re.fullmatch(patch["target"]["name"], d["metadata"]["name"])}
    assert gone == {f"{kind} isomor-redis" for kind in ("Deployment", "Service", "NetworkPolicy")}
    (secret,) = overlay["secretGenerator"]
    assert secret["name"] == "isomor-redis-url"
    assert secret["files"][0].split("=")[0] == os.path.basename(container()["env"][0]["value"])


def test_every_block_is_tested():
    assert len(BLOCKS) == 2
