"""What `deploy/` ships fits together."""

import re
import tomllib
from typing import Any

import typer.testing
import yaml
from services import BIN, DEPLOY, OURS, ROOT, image_variables

from recsys_dagster.cli.main import app
from recsys_dagster.orchestration.instance import CONFIG
from recsys_dagster.settings import Settings

FIXED = {"RECSYS_HOME": "/data/recsys"}
"""What the volumes decide, and no setting may."""


def test_the_compose_file_has_the_services_and_each_runs_a_program_that_is_there(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"postgres", "serve", *OURS}
    for name in (*OURS, "serve"):
        service = compose["services"][name]
        for program in (service["command"][0], service["healthcheck"]["test"][1]):
            assert (BIN / program).exists(), program
        assert (DEPLOY.parent / service["build"]["dockerfile"]).exists()


def test_every_variable_that_the_instance_reads_is_set_for_every_service(compose: dict[str, Any]) -> None:
    read = set(re.findall(r"\{env: (\w+)\}", (DEPLOY / "dagster.yaml").read_text(encoding="utf-8")))
    for name in OURS:
        assert read <= image_variables().keys() | set(compose["services"][name]["environment"])


def test_what_the_environment_file_says_is_not_overridden(compose: dict[str, Any]) -> None:
    code = compose["services"]["code"]
    assert [file["path"] for file in code["env_file"]] == [".env"]
    chosen = {name: value for name, value in code["environment"].items() if name.startswith("RECSYS_")}
    for name in FIXED:
        assert chosen.pop(name) == FIXED[name] == image_variables()[name]
    assert len(chosen) > 2
    assert {name for name, value in chosen.items() if not value.startswith(f"${{{name}:-")} == set()


def test_every_setting_that_the_compose_file_names_exists_and_its_own_choices_are_no_settings(
    compose: dict[str, Any],
) -> None:
    known = {f"RECSYS_{name.upper()}" for name in Settings.model_fields}
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"RECSYS_[A-Z_]+[A-Z]", text)) <= known
    # deploy/.env reaches the code location as it is, and an unknown RECSYS_ variable is refused there.
    own = set(re.findall(r"\$\{([A-Z_]+)", text)) - known
    assert own == {
        "ARCHIVES_FOLDER", "CODE_MEMORY", "DAEMON_MEMORY", "DAGSTER_POSTGRES_PASSWORD", "POSTGRES_IMAGE",
        "POSTGRES_MEMORY", "SERVE_MEMORY", "SERVE_PORT", "SERVE_WORKERS", "STOP_GRACE_PERIOD", "WEBSERVER_MEMORY",
    }  # fmt: skip


def test_nothing_is_published_beyond_this_machine_and_no_password_is_written_down(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:3000:3000", "127.0.0.1:${SERVE_PORT:-8000}:8000"]
    assert "PASSWORD:?" in compose["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"]


def test_no_service_can_do_more_than_it_has_to(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["init"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert int(service["user"].partition(":")[0]) > 0, name
        assert {"mem_limit", "stop_grace_period", "healthcheck"} <= service.keys(), name
    mounts = {name: [mount for mount in compose["services"][name]["volumes"] if "/data" in mount] for name in OURS}
    assert mounts == {"code": ["data:/data"], "webserver": ["data:/data:ro"], "daemon": ["data:/data:ro"]}
    assert compose["services"]["serve"]["volumes"] == ["data:/data:ro", "cache:/cache"]


def test_the_http_service_asks_for_a_token_and_answers_whatever_the_others_do(compose: dict[str, Any]) -> None:
    serve = compose["services"]["serve"]
    assert serve["environment"]["RECSYS_SERVE_TOKEN"].startswith("${RECSYS_SERVE_TOKEN:?")
    assert serve["environment"]["RECSYS_HOME"] == FIXED["RECSYS_HOME"]
    assert "depends_on" not in serve
    parsed = typer.testing.CliRunner().invoke(app, [*serve["command"][1:-1], "2", "--help"])
    assert parsed.exit_code == 0
    assert "/healthz" in serve["healthcheck"]["test"][-1]


def test_a_service_starts_when_what_it_needs_is_healthy(compose: dict[str, Any]) -> None:
    needs = {name: compose["services"][name]["depends_on"] for name in OURS}
    healthy = {"condition": "service_healthy"}
    assert needs == {"code": {"postgres": healthy}, "webserver": {"code": healthy}, "daemon": {"code": healthy}}


def test_the_workspace_names_the_code_service_and_its_port(compose: dict[str, Any]) -> None:
    (location,) = yaml.safe_load((DEPLOY / "workspace.yaml").read_text(encoding="utf-8"))["load_from"]
    command = compose["services"][location["grpc_server"]["host"]]["command"]
    assert str(location["grpc_server"]["port"]) in command


def test_what_is_copied_into_the_image_is_there_and_nothing_else_is_sent_to_the_builder() -> None:
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines if line.startswith("COPY") and "--from" not in line]
    copied = {word for line in words for word in line[1:-1]}
    assert copied
    assert not [path for path in copied if not (ROOT / path).exists()]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == copied


def test_the_image_runs_as_a_user_of_its_own_and_keeps_what_it_writes_off_its_file_system() -> None:
    stages = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").split("\nFROM ")
    assert "\nUSER recsys\n" in stages[-1]
    assert "pip install" not in stages[-1]
    written = {name: image_variables()[name] for name in ("HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "DAGSTER_LOGS")}
    assert all(path.startswith(("/tmp", "/data")) for path in written.values())


def test_the_image_has_no_development_tools() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"--requirement (\S+)", dockerfile) == ["requirements.lock"]
    installed = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    (removed,) = re.findall(r"pip uninstall --yes (.*) \\", dockerfile)
    with (ROOT / "pyproject.toml").open("rb") as file:
        groups = tomllib.load(file)["dependency-groups"]
    names = {
        group: {re.split(r"[^\w.-]", one)[0] for one in lines if isinstance(one, str)}
        for group, lines in groups.items()
    }
    assert {"dagster", "dagster-webserver", "dagster-postgres", "tensorflow"} <= installed
    assert len(names["dev"]) > 5
    assert (names["dev"] | names["ui"]) & installed == set()
    assert names["build"] <= set(removed.split())


def test_both_instances_limit_and_watch_runs_alike() -> None:
    ours, servers = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in (CONFIG, DEPLOY / "dagster.yaml"))
    assert {key: servers[key] for key in ours} == ours
    assert set(servers) - set(ours) == {"storage", "compute_logs"}
    assert ours["telemetry"] == {"enabled": False}
