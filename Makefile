# The same targets that CI runs. Needs Python 3.11 or later and make; everything else is set up here.
# Go, Node and Java are for their clients only: where one is missing, its targets say so and do nothing,
# unless REQUIRE_ALL=1 makes that an error.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# buf cannot resolve the contract's imports without a registry: it reads what protoc made of them.
IMAGE := $(VENV)/contract.binpb
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export CIOSIDECAR := $(CURDIR)/$(BIN)/ciosidecar
export REQUIRE_ALL
# gRPC's notices of each connection that ends would be among the results of tests.
export GRPC_VERBOSITY := ERROR
# The compiled package: auto, require or never (docs/install.md). Two stamps, so that another choice is seen.
export CIOSIDECAR_NATIVE ?= auto
# The random inputs on which it is compared with Python. CI tries a million, which takes two minutes of a core.
CASES ?= 100000
NATIVE := $(VENV)/native.$(if $(filter never,$(CIOSIDECAR_NATIVE)),left-out,installed)
PACKAGES := client/python server/transform server/sidecar server/sandbox
.DEFAULT_GOAL := help

# $(call for,PROGRAM,CLIENT,PACKAGE): ends the recipe where the program is not there.
for = command -v $(1) >/dev/null || { echo "SKIPPED: the $(2) client: there is no $(1) on this machine (Debian: apt-get install $(3))"; test -z "$$REQUIRE_ALL"; exit $$?; }
for_go = $(call for,go,Go,golang)
for_node = $(call for,npm,TypeScript,nodejs npm)
for_java = $(call for,mvn,Java,openjdk-17-jdk-headless maven)
for_cargo = command -v cargo >/dev/null || { echo "SKIPPED: the compiled package: there is no cargo on this machine (docs/install.md)"; test -z "$$REQUIRE_ALL"; exit $$?; }

.PHONY: help setup setup-dev demo test test-python test-go test-node test-java test-polyglot
.PHONY: test-compiled test-side-by-side test-serial test-engines test-chaos left-out scale coverage-unit coverage-delivery
.PHONY: dashboard-picture hashes sbom licences audit coverage test-versions lint lint-python lint-go lint-node lint-native format gen check-gen bench bench-compare soak chaos fuzz mutants dist clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

# The stamp does not tell whether the package was damaged since.
setup: $(VENV)/runtime $(NATIVE) ## Install the command at .venv/bin/ciosidecar
	@test ! -e $(VENV)/native.installed || CIOSIDECAR_NATIVE=require $(BIN)/python -c 'import ciosidecar_transform.native' 2>/dev/null \
	  || { rm -f $(VENV)/native.installed; $(BIN)/python server/native/install.py --stamp $(NATIVE); }
	@$(BIN)/ciosidecar --version

setup-dev: $(VENV)/dev node-modules ## Set up what the tests and lint need, too; some minutes the first time

demo: $(VENV)/runtime $(NATIVE) ## Deliver a hundred events through the sidecar to a sandbox; KEEP=1 to look at them
	$(BIN)/python examples/demo.py

# How many targets `make test` runs at a time, and further targets that run beside those of its first and second step.
LANES ?= 1
BESIDE_FIRST ?=
BESIDE ?=
# How often a test that fails is run again. CI says 1, because three lanes on two cores starve each other now and then. What
# passes then is listed with its failure, and is to be mended. A promise holds or does not: no test of these is run again.
RERUNS ?= 0
ONCE := chaos fuzz properties unit delivery/test_exactly_once.py delivery/test_order.py delivery/test_written_results.py
AGAIN := --reruns $(RERUNS) --max-suite-reruns 3 --rerun-show-tracebacks $(ONCE:%=--rerun-exclude-path tests/%)
IN_LANES = $(MAKE) --no-print-directory --keep-going --jobs=$(LANES) --output-sync=$(if $(filter 1,$(LANES)),none,target)

# In two steps, because the Python tests of the second build the clients too. All that fails is shown in one run.
test: $(VENV)/dev node-modules ## Run all tests but those with engines and the chaos, in every language that is here
	@echo "About an hour on two cores. First coverage, test-compiled, test-node, test-java and test-go; then test-side-by-side,"
	@echo "test-serial and test-polyglot. make TARGET runs one of them, make test LANES=2 two at a time."
	@failed=; for step in "coverage test-compiled test-node test-java test-go $(BESIDE_FIRST)" "test-side-by-side test-serial test-polyglot $(BESIDE)"; do \
	  $(IN_LANES) $$step || failed=1; done; $(MAKE) --no-print-directory left-out; test -z "$$failed"

test-python: $(VENV)/dev node-modules ## Run the server's and the Python client's tests, and the contract suite of all clients
	@$(IN_LANES) coverage test-compiled test-side-by-side test-serial test-polyglot

# What `coverage` runs in pure Python, for what is written twice. In one process: it takes less than to start several.
test-compiled: $(VENV)/dev
	@$(BIN)/python -c 'import ciosidecar_native' 2>/dev/null || { echo "SKIPPED: the unit tests of the compiled package: it is not installed"; test -z "$$REQUIRE_ALL"; exit $$?; }; \
	  CIOSIDECAR_NATIVE=require $(BIN)/pytest -q tests/unit/transform tests/unit/test_vectors.py && \
	  CIOSIDECAR_NATIVE=require $(BIN)/python -m tests.native.compare --cases $(CASES)

test-side-by-side: $(VENV)/dev node-modules
	$(BIN)/pytest $(AGAIN) $(SIDE_BY_SIDE) -m "not serial" --ignore tests/unit --ignore tests/engines

test-serial: $(VENV)/dev node-modules
	$(BIN)/pytest $(AGAIN) -m serial --durations 20 $(addprefix --ignore ,tests/delivery tests/engines tests/polyglot tests/chaos/test_chaos.py)

# Five minutes of chaos bound no time, so anything may run beside them.
test-chaos: $(VENV)/dev
	$(BIN)/pytest tests/chaos/test_chaos.py

left-out:
	@case "$(BESIDE_FIRST) $(BESIDE)" in *test-engines*) ;; *) echo "LEFT OUT: tests/engines, which needs Redis, Envoy, Kafka, Ray and Spark. make test-engines sets them up and runs it" ;; esac
	@case "$(BESIDE_FIRST) $(BESIDE)" in *test-chaos*) ;; *) echo "LEFT OUT: five minutes of chaos. make test-chaos runs them" ;; esac

test-engines: $(VENV)/engines $(VENV)/kafka/installed node-modules ## Set up Redis, Envoy, Kafka, Ray and Spark, and run the short tests with them
	$(BIN)/pytest $(AGAIN) --durations 15 tests/engines

scale: $(VENV)/engines $(VENV)/kafka/installed node-modules ## Run the long forms with the engines, and print the figures of docs/scaling.md
	$(BIN)/python -m tests.scale

coverage: coverage-unit coverage-delivery ## Run the tests of the transform and of delivery; fail below 95 % of the branches of either
	$(BIN)/coverage combine .coverage.unit .coverage.delivery
	$(BIN)/coverage report --include '*/ciosidecar_transform/*'
	$(BIN)/coverage report --include '*/ciosidecar_server/delivery/*'
	$(BIN)/coverage report --format total

# In pure Python, whose lines are counted. tests/native runs both.
coverage-unit: $(VENV)/dev
	CIOSIDECAR_NATIVE=never COVERAGE_FILE=.coverage.unit $(BIN)/pytest $(MEASURED) $(SIDE_BY_SIDE) tests/unit

coverage-delivery: $(VENV)/dev
	COVERAGE_FILE=.coverage.delivery $(BIN)/pytest $(AGAIN) $(MEASURED) --durations 15 tests/delivery

# What is too little is said by the reports, once all is run.
MEASURED := --cov --cov-report= --cov-fail-under=0
SIDE_BY_SIDE := --numprocesses auto --dist loadfile --durations 15

test-versions: $(VENV)/dev ## Run the unit tests with the other versions of Python, 3.11 to 3.13, that are here
	nice $(BIN)/nox

test-go: $(VENV)/dev ## Run the Go client's tests
	@$(for_go); cd client/go && skipped=$$(mktemp) && \
	  { SKIPPED_TESTS=$$skipped go test -race ./...; code=$$?; sort -u $$skipped; rm $$skipped; exit $$code; }

test-node: $(VENV)/dev node-modules ## Run the TypeScript client's tests
	@$(for_node); cd client/node && npm test --silent

test-java: $(VENV)/dev ## Run the Java client's tests
	@$(for_java); cd client/java && mvn -B -q -ntp verify && echo "the Java client: all tests passed"

test-polyglot: $(VENV)/dev node-modules ## Run the contract suite with every client; prints the table
	$(BIN)/pytest $(AGAIN) -q tests/polyglot

lint: lint-python lint-go lint-node lint-native ## Check style, types and the contract (javac is strict in test-java)

lint-python: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/pytest --quiet tests/docs/test_links.py
	$(BIN)/buf format --diff --exit-code protos
	$(BIN)/python protos/generate.py --image $(IMAGE)
	$(BIN)/buf lint $(IMAGE) --config protos/buf.yaml
	$(BIN)/buf breaking $(IMAGE) --against protos/baseline.binpb --config protos/buf.yaml

lint-go:
	@$(for_go); cd client/go && test -z "$$(gofmt -l . | tee /dev/stderr)" && go vet ./... && go run $(STATICCHECK) ./...

lint-native:
	@$(for_cargo); cd server/native && cargo fmt --check && cargo clippy --quiet -- --deny warnings

lint-node: node-modules
	@$(for_node); cd client/node && npm run lint --silent

format: $(VENV)/dev ## Put the code into its usual form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	@$(for_go); cd client/go && gofmt -w .
	@$(for_cargo); cd server/native && cargo fmt

gen: $(VENV)/dev node-modules ## Write everything anew that is made from protos/ and from the code
	$(BIN)/python protos/generate.py
	$(BIN)/python -m docs.generate.destination docs/destination.md
	$(BIN)/python -m docs.generate.contract docs/contract.md
	$(BIN)/python -m docs.generate.settings docs/operations/settings.md
	$(BIN)/python -m docs.generate.alerts deploy/kubernetes/components/monitoring/prometheusrule.yaml
	@$(for_go); client/go/generate.sh
	@$(for_node); cd client/node && npm run gen --silent

check-gen: $(VENV)/dev node-modules ## Fail if any of that is stale
	$(BIN)/python protos/generate.py --check
	$(BIN)/python -m docs.generate.destination --check docs/destination.md
	$(BIN)/python -m docs.generate.contract --check docs/contract.md
	$(BIN)/python -m docs.generate.settings --check docs/operations/settings.md
	$(BIN)/python -m docs.generate.alerts --check deploy/kubernetes/components/monitoring/prometheusrule.yaml
	@$(for_go); client/go/generate.sh --check
	@$(for_node); cd client/node && npm run check-gen --silent

bench: $(VENV)/dev node-modules ## Measure, on this machine, beside an echo of the same bytes; ONLY=service for one part
	$(BIN)/python -m tests.bench $(addprefix --only ,$(ONLY))

bench-compare: $(VENV)/dev ## Compare server CPU with that of another revision, which it sets up beside: BASE=main
	@test -n "$(BASE)" || { echo "make bench-compare BASE=REVISION, such as BASE=main"; exit 2; }
	$(BIN)/python -m tests.bench.compare "$(BASE)"

soak: $(VENV)/dev ## Callers and servers that come and go, and 100,000 events to a Customer.io that fails
	$(BIN)/python -m tests.soak.delivery
	$(BIN)/python -m tests.soak.delivery --kill
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),10)

chaos: $(VENV)/dev ## Faults of every kind, and a checker that is independent; MINUTES=10 unless given; SEED=N gives similar faults; exits with 2 for any failure (docs/testing/chaos.md)
	$(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

fuzz: $(VENV)/dev ## Fuzz for MINUTES=20 in all: half of it properties, a quarter the wire, the rest bytes; prints how to replay a failure
	$(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),20)

mutants: $(VENV)/mutants ## Try SAMPLE=300 mutants of the transform and of delivery, chosen by SEED; goes on where it was ended
	nice -n 10 $(BIN)/python -m tests.mutants --sample $(or $(SAMPLE),300) --seed $(or $(SEED),15)

dashboard-picture: $(VENV)/dev ## Draw docs/images/dashboard.png: the dashboard's queries, as a real Prometheus answers them
	$(BIN)/pip install --quiet matplotlib
	$(BIN)/python -m tests.deploy.picture docs/images/dashboard.png

DIST := dist

hashes: $(VENV)/supply/installed ## Renew the hashes of what the image installs
	$(BIN)/python -m docs.generate.hashes $(VENV)/supply/bin/uv

sbom: $(VENV)/supply/installed $(VENV)/image/installed node-modules ## Write an SBOM of each language to dist/, and check it
	$(VENV)/supply/bin/python -m docs.generate.sbom $(DIST)

licences: sbom ## Write docs/licences.md anew; needs every toolchain
	$(BIN)/python -m docs.generate.licences $(DIST) docs/licences.md

audit: $(VENV)/supply/installed node-modules ## Look for known vulnerabilities; says which source cannot be reached
	$(VENV)/supply/bin/python -m docs.generate.audit

dist: $(VENV)/dev ## Build the wheels and sdists of the Python packages in dist/, and check them
	rm -rf $(DIST)
	for package in $(PACKAGES); do $(BIN)/python -m build --outdir $(DIST) $$package || exit 1; done
	@$(for_cargo); CARGO_TARGET_DIR=$(CURDIR)/server/native/target $(BIN)/python -m build --outdir $(DIST) server/native
	$(BIN)/twine check --strict $(DIST)/*

clean: ## Remove what was set up
	rm -rf $(VENV) server/native/target .nox .mutants .coverage .coverage.unit .coverage.delivery $(DIST) client/go/build client/go/.tools client/node/node_modules client/node/dist client/java/target

NO_PACKAGES = echo "Packages could not be installed. If pip could not connect (above), what it says of versions in conflict is wrong:"; \
  echo "  make setup needs a package index once. Behind a mirror: PIP_INDEX_URL=https://mirror.example/simple make setup."; \
  echo "  Without any network: PIP_NO_INDEX=1 PIP_FIND_LINKS=DIRECTORY make setup, with the wheels of constraints.txt in the directory."

$(VENV)/runtime: constraints.txt $(PACKAGES:%=%/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "ciosidecar needs Python 3.11 or later; name one with make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/python || { echo "installing the packages into $(VENV): some two minutes the first time"; $(PYTHON) -m venv $(VENV); }
	@$(BIN)/pip install --quiet $(PACKAGES:%=--editable %) || { $(NO_PACKAGES); exit 1; }
	@touch $@

# In auto and without cargo there is no stamp, so that the next make looks for cargo again.
$(NATIVE): $(VENV)/runtime constraints.txt $(wildcard server/native/*.* server/native/src/*.rs server/native/src/*/*.rs)
	@rm -f $(VENV)/native.*
	@$(BIN)/python server/native/install.py --stamp $@

$(VENV)/dev: $(VENV)/runtime requirements-dev.txt $(VENV)/protoc/installed | $(NATIVE)
	@echo "installing the tests' packages into $(VENV): some minutes the first time"
	@$(BIN)/pip install --quiet --requirement requirements-dev.txt || { $(NO_PACKAGES); exit 1; }
	@touch $@

$(VENV)/engines: $(VENV)/dev requirements-engines.txt server/sidecar/pyproject.toml
	$(BIN)/pip install --quiet --requirement requirements-engines.txt
	@touch $@

$(VENV)/mutants: $(VENV)/dev requirements-mutants.txt
	$(BIN)/pip install --quiet --requirement requirements-mutants.txt
	@touch $@

$(VENV)/kafka/installed: tests/engines/kafka/pom.xml
	@command -v mvn >/dev/null || { echo "SKIPPED: Kafka: there is no mvn on this machine (Debian: apt-get install openjdk-17-jdk-headless maven)"; test -z "$$REQUIRE_ALL"; exit $$?; }; \
	  rm -rf $(@D) && mvn -B -q -ntp -f $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(@D) && touch $@

# The protoc of the Python stubs needs protobuf 6, the server's packages need 7: it has its own environment.
$(VENV)/protoc/installed: $(VENV)/runtime protos/requirements.txt
	test -x $(VENV)/protoc/bin/python || $(BIN)/python -m venv $(VENV)/protoc
	PIP_CONSTRAINT= $(VENV)/protoc/bin/pip install --quiet --requirement protos/requirements.txt
	@touch $@

$(VENV)/supply/installed: $(VENV)/runtime requirements-supply.txt
	test -x $(VENV)/supply/bin/python || $(BIN)/python -m venv $(VENV)/supply
	$(VENV)/supply/bin/pip install --quiet --requirement requirements-supply.txt
	! command -v npm >/dev/null || npm install --prefix $(VENV)/supply --silent --no-audit --no-fund --omit=optional @cyclonedx/cyclonedx-npm@6.0.1
	@touch $@

# What the image has, for its SBOM and its licences.
$(VENV)/image/installed: $(VENV)/runtime deploy/docker/requirements.txt
	rm -rf $(VENV)/image && $(BIN)/python -m venv $(VENV)/image
	PIP_CONSTRAINT= $(VENV)/image/bin/pip install --quiet --require-hashes --requirement deploy/docker/requirements.txt
	@touch $@

.PHONY: node-modules
node-modules:
	@command -v npm >/dev/null || exit 0; $(MAKE) --no-print-directory client/node/node_modules/.installed

client/node/node_modules/.installed: client/node/package.json
	cd client/node && npm install --silent --no-audit --no-fund
	@touch $@
