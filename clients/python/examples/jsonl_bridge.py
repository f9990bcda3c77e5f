#!/usr/bin/env python3
"""Prints a topic and a JSON payload for each event, for MQTT and similar programs.

    jsonl_bridge.py | while read -r topic payload; do mosquitto_pub -t "$topic" -m "$payload"; done

A line is acknowledged after it was written, so lines come again if the bridge is killed before.
"""

import json
import re
import sys

from google.protobuf.json_format import MessageToDict

from m2client import Client, ContactUnknownError, Event


def topic_of(m2: Client, names: "dict[str, str]", event: Event) -> str:
    """Returns `m2/NAME/KIND`, without the characters that have a meaning in topics."""
    peer = getattr(event, "peer_id", "")
    if peer and peer not in names:
        try:
            names[peer] = m2.contact(peer).name
        except ContactUnknownError:
            names[peer] = peer
    name = re.sub(r"[\s/+#]", "_", names.get(peer, "-"))
    return f"m2/{name}/{event.kind}"


def main() -> None:
    """Prints events until the process is ended."""
    names: dict[str, str] = {}
    with Client() as m2:
        for event in m2.events("jsonl-bridge"):
            payload = json.dumps(MessageToDict(event.raw))
            print(topic_of(m2, names, event), payload, flush=True)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        sys.exit("The reader has ended.")
