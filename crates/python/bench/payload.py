"""What is sent in every measurement, by both kinds: entities as Home Assistant has them, some 380 bytes of JSON each."""

import time
from typing import Any


def entity_id(number: int) -> str:
    """Returns the id of an entity."""
    return f"light.bench_{number}"


def update(number: int, round: int) -> dict[str, Any]:
    """Returns the update of an entity in a round, with the moment at which it was made."""
    return {
        "state": "on" if round % 2 else "off",
        "attributes": {
            "friendly_name": f"Light {number}",
            "brightness": (number + round) % 256,
            "color_mode": "color_temp",
            "color_temp_kelvin": 2_700 + (number + round) % 3_800,
            "min_color_temp_kelvin": 2_000,
            "max_color_temp_kelvin": 6_535,
            "supported_color_modes": ["color_temp", "hs"],
            "supported_features": 44,
            "effect_list": ["blink", "breathe", "okay", "finish_effect"],
            "round": round,
            # CLOCK_MONOTONIC is one clock for all processes.
            "sent_ns": str(time.monotonic_ns()),
        },
    }
