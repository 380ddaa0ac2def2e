# `make` lists the targets. Everything installed goes to .venv, all data to .data.

PYTHON ?= python3
.DEFAULT_GOAL := help
.PHONY: help install run test faults fuzz rollout live e2e pictures bench bench-report soak locust check openapi widgets lock sbom clean

V := .venv/bin/python -m
PROD := SECRET_KEY=check-only-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKL \
  ADDRESS_HASH_KEY=check-only-0123456789-abcdefghijklmnopqrstuvwxyz \
  DATABASE_URL=postgres://check@localhost/check REDIS_URL=redis://localhost:6379/0 \
  ALLOWED_HOSTS=comms.example.com PUBLIC_URL=https://comms.example.com \
  DEFAULT_FROM_EMAIL=comms@example.com \
  IDENTITY_JWKS_URL=https://identity.example.com/jwks.json \
  IDENTITY_ISSUER=https://identity.example.com IDENTITY_AUDIENCE=comms \
  DJANGO_SETTINGS_MODULE=commsproject.settings.prod

MANIFESTS := $(filter-out %/kustomization.yaml %/container.yaml,$(wildcard deploy/kubernetes/*/*.yaml))

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/.run ## make the virtual environment and install what `make run` needs
	@echo "Everything is installed in .venv"

run: .venv/.run ## run everything on http://localhost:8002 (PORT, HOST, COMMS_DATA_DIR); Ctrl-C stops it
	@exec .venv/bin/python manage.py run

# Half of the tests' time is waiting: four of them at once use two cores.
test: .venv/.dev ## run the tests, on database servers of their own
	$(V) pytest -n 4 --dist worksteal --cov --cov-report=

faults: .venv/.dev ## at full size: the faults (processes killed, servers away), the properties
	$(V) pytest tests/faults --full-faults -rP
	$(V) pytest -m hypothesis --full-faults

rollout: .venv/.dev ## the image's content, built and run in a clean folder; migrations, there and back
	$(V) tests.image
	$(V) pytest -m rollout

fuzz: .venv/.dev ## ask the API whatever its description allows, and what it does not (schemathesis)
	$(V) pytest tests/integration/test_api_fuzzed.py --full-faults -n 2 --timeout 1800

live: .venv/.dev ## send by the real accounts in the environment, to addresses made for tests
	$(V) pytest tests/providers/live -m live -rs

e2e: .venv/.dev ## the staff pages in a real browser; screenshots are in tests/e2e/screenshots
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || { \
	  echo "There is no chromium. On Debian and Ubuntu: apt-get install chromium" >&2; exit 1; }
	$(V) pytest tests/e2e -m e2e -n 2 --dist worksteal

pictures: .venv/.dev ## those of the docs, from the screenshots of the last `make e2e`
	$(V) tests.e2e.pictures

bench: .venv/.bench ## how fast it is, beside others (ARGS="--help" tells what can be chosen)
	@.venv/bin/python -m tests.performance $(ARGS)

bench-report: .venv/.dev ## write docs/performance.md from the newest results (ARGS="--help" tells from which else)
	@$(V) tests.performance.page $(ARGS)

soak: .venv/.bench ## half an hour of mixed load among random faults (ARGS="--minutes 60 --seed 7")
	@.venv/bin/python -m tests.soak $(ARGS)

locust: .venv-locust/.ready ## load from simulated clients on a running service (ARGS="--headless -u 40 -t 1m")
	@.venv-locust/bin/locust -f tests/performance/locustfile.py $(ARGS)

check: .venv/.dev ## lint, types, import contracts, known vulnerabilities, migrations, Django's own checks, deploy/
	$(V) ruff check .
	$(V) ruff format --check .
	$(V) mypy .
	.venv/bin/lint-imports
	$(V) tests.widgets
	$(V) tests.advisories
	.venv/bin/python manage.py makemigrations --check --dry-run
	$(PROD) .venv/bin/python manage.py check --deploy --fail-level WARNING
	.venv/bin/hadolint Dockerfile
	.venv/bin/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml
	.venv/bin/kubernetes-validate --quiet --strict --kubernetes-version 1.33 $(MANIFESTS)

openapi: .venv/.dev ## write docs/api/openapi.yaml and the Python client's methods (ARGS=--breaking lets something go)
	DJANGO_SETTINGS_MODULE=commsproject.settings.test $(V) tests.api_snapshot $(ARGS)
	.venv/bin/python clients/python/generate.py

widgets: ## build clients/js into the console's static files; needs Node.js 20 or newer
	cd clients/js && npm ci --no-audit --no-fund && npm run check && npm run build

lock: .venv/.dev ## pin what requirements/*.in ask for, with the hash of every file
	cd requirements && for name in base local dev bench locust otel; do \
	  ../$(V) uv pip compile --quiet --no-header --generate-hashes --python-version 3.11 $$name.in -o $$name.txt || exit; done

sbom: .venv/.dev ## write sbom.json: what the service is handed on with, as CycloneDX
	@$(V) tests.sbom

clean: ## remove the virtual environment and the caches, not the data
	rm -rf .venv .venv-locust .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage*

# A stamp is renewed when a requirement changes; nothing is done twice.
.venv/.run: requirements/base.txt requirements/local.txt | .venv/bin/python
	@echo "Installing the service and its embedded servers"
	@$(call pip,-r requirements/base.txt -r requirements/local.txt)
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.run
	@echo "Installing what tests and checks need"
	@$(call pip,-r requirements/base.txt -r requirements/local.txt -r requirements/dev.txt)
	@touch $@

.venv/.bench: requirements/bench.txt .venv/.dev
	@echo "Installing what the benchmarks compare with"
	@$(call pip,-r requirements/base.txt -r requirements/local.txt -r requirements/dev.txt -r requirements/bench.txt)
	@touch $@

.venv-locust/.ready: requirements/locust.txt | .venv/bin/python
	@echo "Installing Locust in an environment of its own"
	@$(PYTHON) -m venv .venv-locust && .venv-locust/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# uv takes seconds where pip takes a minute; where uv cannot run, pip does the same.
# pip compiles what it installs; uv does when it is told, and then every process starts 2 s sooner.
pip = .venv/bin/python -m uv pip install --quiet --compile-bytecode --python .venv/bin/python $(1) \
  || { echo "uv failed, trying pip" >&2; .venv/bin/python -m pip install --quiet --disable-pip-version-check $(1); }

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, and '$(PYTHON)' is not. Name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Making a virtual environment in .venv"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "Python's venv module does not work here. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9 || true
