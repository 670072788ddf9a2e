"""What is beside this interpreter by name: what it declares, its version and modules, and where ours came from."""

import json
import sys
from importlib.metadata import distributions, packages_distributions

found = {each.name.lower().replace("_", "-"): each for each in distributions()}
told = {
    "requires": {name: each.requires or [] for name, each in found.items()},
    "versions": {name: each.version for name, each in found.items()},
    "modules": packages_distributions(),
    "origin": {
        name: json.loads(each.read_text("direct_url.json") or "{}").get("url")
        for name, each in found.items()
        if name.startswith("dashtam-")
    },
}
json.dump(told, sys.stdout)
