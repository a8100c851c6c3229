"""What `compose.yaml` hands to the actors, read as text: no engine is needed for these."""

from __future__ import annotations

import re
from pathlib import Path

from config.settings import DEVELOPMENT_KEY, names
from runtime import stagehands
from runtime.keys import Keys

COMPOSE = (Path(__file__).parents[2] / "compose.yaml").read_text()
DEFAULTS = dict(re.findall(r"\$\{(\w+):-([^${}]*)\}", COMPOSE))
"""Variable → what stands for it when it is not set."""


def test_keys_of_development_fit_together() -> None:
    keys = Keys(DEVELOPMENT_KEY.encode())
    expected = {f"{name.upper()}_ACTOR_KEY": keys.of(name).hex() for name in stagehands.actor_names()}
    assert DEFAULTS["SECRET_KEY"] == DEVELOPMENT_KEY
    assert {name: value for name, value in DEFAULTS.items() if name.endswith("_ACTOR_KEY")} == expected


def test_every_actor_has_a_container_a_database_and_a_password() -> None:
    for name in stagehands.actor_names():
        assert f"\n  {name}:\n    <<: *actor\n    command: --actors {name}\n" in COMPOSE
        assert DEFAULTS[f"{name.upper()}_STORE_PASSWORD"] == "development"


def test_every_setting_can_be_handed_on_or_is_the_containers_own() -> None:
    """A new setting is a line of `x-settings`, or, when it is a secret, of the actor that needs it."""
    of_the_image = {"EDGE_HOST", "EDGE_PORT", "OPS_PORT", "VAR_DIR"}
    handed_on = set(re.findall(r"^ {2,6}([A-Z][A-Z0-9_]+):", COMPOSE, re.MULTILINE))
    assert set(names()) - handed_on - of_the_image == {"CRASH_AT"}  # a test hook
