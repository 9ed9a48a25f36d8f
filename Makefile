# The commands of this project. `make` alone lists them.
CARGO := .ci/cargo
TARGET ?= aarch64-unknown-linux-gnu

.PHONY: help demo test check deny golden bench bench-panel acoustic siege prompts speech web licences web-test clients conformance cross cross-container deb device-test ci

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /  \1	/p' $(MAKEFILE_LIST)

demo: ## hold a spoken conversation of two turns against the stand-in: no card, key or network needed
	.ci/setup build
	mkdir -p target/demo
	$(CARGO) build --release --locked
	$(CARGO) run --release --locked --quiet -- demo --mic tests/speech/two_turns.wav --speaker target/demo/reply.wav --turns 2
	@echo "What the speaker said: target/demo/reply.wav"

# What listens for gaps in the sound of the software card wants the machine to itself.
CARD_TESTS := sound::alsa_ sound::cpal_ talk::five_turns

test: ## every test
	.ci/setup build test
	$(CARGO) test --locked --workspace --no-fail-fast -- $(addprefix --skip ,$(CARD_TESTS))
	$(CARGO) test --locked --test it --no-fail-fast -- --test-threads=1 $(CARD_TESTS)

check: ## format, lints, the pure build, dependencies
	.ci/setup build check
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --lib --no-default-features -- -D warnings
	.ci/deny if-present

deny: ## licences, sources and advisories of the dependencies; installs cargo-deny
	.ci/setup build
	.ci/deny

golden: ## write the golden files anew; the difference is the review
	UPDATE_GOLDEN=1 UPDATE_REFERENCE=1 INSTA_UPDATE=always $(CARGO) test --locked --workspace

# Without node or valgrind the bench leaves out what needs them, and says so.
bench: ## latency and work on the software card, beside the card alone and a plain bridge
	.ci/setup build test
	-.ci/setup bench
	-$(MAKE) --no-print-directory $(BRIDGE)/node_modules
	$(CARGO) bench --locked --bench card
	$(CARGO) bench --locked --bench count

bench-panel: ## 50 and 200 panels: their work beside a bare WebSocket server, and whether the microphone notices
	.ci/setup build
	$(CARGO) bench --locked --bench panel

BRIDGE := tests/bench/card/bridge
$(BRIDGE)/node_modules: $(BRIDGE)/package-lock.json
	cd $(BRIDGE) && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

acoustic: ## the front end in simulated rooms: every scene, told the delay and not
	.ci/setup build
	$(CARGO) bench --locked --bench acoustic

siege: ## the attack run on the panel for ten minutes while the speaker tells stories
	.ci/setup build test
	$(CARGO) test --locked --test it -- --ignored --nocapture f26

prompts: ## record what the speaker says by itself, for the package: prompts/
	.ci/setup speech
	.ci/prompts

speech: ## make the speech in tests/speech anew
	.ci/setup speech
	tests/speech/make.sh

web: ## build the panel's page anew: web/dist
	.ci/setup browser
	.ci/web build

licences: ## list what is inside the program, with its licences: THIRD-PARTY.txt; wants a Rust of rustup
	.ci/setup build browser
	.ci/web licences

web-test: ## the panel's page in Chromium, against the program; pictures in target/panel
	.ci/setup build test browser
	.ci/web test

CLIENTS := target/clients
clients: ## python-socketio and socket.io-client hold a typed turn with the program, over both transports
	.ci/setup build clients
	$(CARGO) build --locked
	cd web && npm ci --ignore-scripts --no-audit --no-fund
	python3 -m venv $(CLIENTS)
	$(CLIENTS)/bin/pip install --quiet -r tests/clients/requirements.txt
	node tests/clients/run.mjs $(CLIENTS)/bin/python

# The suites are not part of this project; SUITES is where they are.
SUITES ?= ../socket.io
conformance: ## the official Socket.IO and Engine.IO suites; SUITES=a checkout of socketio/socket.io
	.ci/setup build clients
	$(CARGO) build --locked --example conformance
	mkdir -p target/conformance
	cp tests/conformance/package.json tests/conformance/package-lock.json target/conformance
	cd target/conformance && npm ci --ignore-scripts --no-audit --no-fund
	node tests/conformance/run.mjs $(SUITES) target/debug/examples/conformance target/conformance

cross: ## build for a board: TARGET=aarch64-unknown-linux-gnu or armv7-unknown-linux-gnueabihf
	.ci/cross $(TARGET)

cross-container: ## the same by the tool cross, which needs docker or podman
	CROSS_CONFIG=cross.toml cross build --release --locked --target $(TARGET)

deb: prompts ## the same, packed for Debian and Raspberry Pi OS in target/deb
	.ci/cross $(TARGET)
	.ci/deb target/$(TARGET)/release/grok-speaker

device-test: prompts ## install the package on a Debian system in a container and check the service alive; needs root
	$(CARGO) build --release --locked
	.ci/deb target/release/grok-speaker
	tests/device/run.sh

ci: ## what CI runs
	.ci/run
