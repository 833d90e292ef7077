"""One machine for each idiom of XState's documentation, in our own words, with events that show it.

Guards are called `yes` and `no`; every other name is an action that notes itself. An event is a name, `after <delay>
<path of the state>` for a delay that is over, or `done <id>` and `error <id>` for the end of an invocation.
"""

from __future__ import annotations

from typing import Any

IDIOMS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a switch": (
        {"initial": "off", "states": {"off": {"on": {"TOGGLE": "on"}}, "on": {"on": {"TOGGLE": {"target": "off"}}}}},
        ["TOGGLE", "TOGGLE", "UNKNOWN", "TOGGLE"],
    ),
    "guards in order": (
        {
            "initial": "asking",
            "states": {
                "asking": {
                    "on": {
                        "ANSWER": [
                            {"guard": "no", "target": "wrong"},
                            {"guard": {"type": "not", "params": {"guard": "no"}}, "target": "right", "actions": "praise"},
                            {"target": "wrong"},
                        ]
                    }
                },
                "right": {},
                "wrong": {},
            },
        },
        ["ANSWER", "ANSWER"],
    ),
    "entry and exit in order": (
        {
            "initial": "outer",
            "entry": "begin",
            "states": {
                "outer": {
                    "entry": ["enter_outer", "look"],
                    "exit": "leave_outer",
                    "initial": "inner",
                    "states": {
                        "inner": {"entry": "enter_inner", "exit": "leave_inner", "on": {"GO": {"target": "#there", "actions": "go"}}}
                    },
                },
                "there": {"id": "there", "entry": "arrive"},
            },
        },
        ["GO"],
    ),
    "a transition to itself stays unless it reenters": (
        {
            "initial": "open",
            "states": {
                "open": {
                    "entry": "enter",
                    "exit": "leave",
                    "on": {
                        "STAY": {"target": "open", "actions": "stay"},
                        "AGAIN": {"target": "open", "reenter": True, "actions": "again"},
                        "NOTE": {"actions": "note"},
                    },
                }
            },
        },
        ["STAY", "AGAIN", "NOTE"],
    ),
    "a compound state stays, and its children begin again": (
        {
            "initial": "wizard",
            "states": {
                "wizard": {
                    "entry": "enter_wizard",
                    "exit": "leave_wizard",
                    "initial": "first",
                    "states": {"first": {"entry": "enter_first", "on": {"NEXT": "second"}}, "second": {"exit": "leave_second"}},
                    "on": {
                        "RESTART": {"target": "wizard"},
                        "FROM_SCRATCH": {"target": "wizard", "reenter": True},
                        "JUMP": {"target": ".second"},
                        "JUMP_OUT": {"target": ".second", "reenter": True},
                    },
                }
            },
        },
        ["NEXT", "RESTART", "NEXT", "FROM_SCRATCH", "JUMP", "JUMP_OUT", "JUMP"],
    ),
    "the innermost state takes the event, and an empty transition keeps it from the others": (
        {
            "initial": "outer",
            "states": {
                "outer": {
                    "initial": "inner",
                    "states": {"inner": {"on": {"STOP": {}, "BACK": {"actions": "inside"}, "ON": "other"}}, "other": {}},
                    "on": {"STOP": "stopped", "BACK": {"actions": "outside"}},
                },
                "stopped": {},
            },
        },
        ["STOP", "BACK", "ON", "BACK", "STOP"],
    ),
    "wildcards come last": (
        {
            "initial": "listening",
            "states": {
                "listening": {
                    "on": {
                        "*": {"actions": "anything"},
                        "mouse.*": {"actions": "mouse"},
                        "mouse.click.*": {"actions": "click"},
                        "mouse.click.left": {"actions": "left"},
                    }
                }
            },
        },
        ["mouse.click.left", "mouse.click.right", "mouse.move", "key", "mouse"],
    ),
    "always": (
        {
            "initial": "sorting",
            "states": {
                "sorting": {"always": [{"guard": "no", "target": "small"}, {"guard": "yes", "target": "large", "actions": "sorted"}]},
                "small": {},
                "large": {"on": {"AGAIN": "sorting"}},
            },
        },
        ["AGAIN"],
    ),
    "after a delay": (
        {
            "initial": "green",
            "states": {
                "green": {"after": {"1000": "yellow"}, "exit": "leave_green"},
                "yellow": {"after": {"500": [{"guard": "no", "target": "green"}, {"target": "red", "actions": "stop"}]}},
                "red": {},
            },
        },
        ["after 1000 green", "after 500 yellow"],
    ),
    "parallel regions, and what follows when both have ended": (
        {
            "initial": "preparing",
            "states": {
                "preparing": {
                    "type": "parallel",
                    "states": {
                        "grinding": {"initial": "whole", "states": {"whole": {"on": {"GRIND": "ground"}}, "ground": {"type": "final"}}},
                        "heating": {"initial": "cold", "states": {"cold": {"on": {"HEAT": "hot", "STOP": "hot"}}, "hot": {"type": "final"}}},
                    },
                    "onDone": {"target": "ready", "actions": "serve"},
                    "on": {"STOP": "stopped"},
                },
                "ready": {"type": "final"},
                "stopped": {},
            },
        },
        ["GRIND", "HEAT"],
    ),
    "a compound state ends": (
        {
            "initial": "paying",
            "states": {
                "paying": {
                    "initial": "entering",
                    "states": {"entering": {"on": {"PAY": "paid"}}, "paid": {"type": "final", "entry": "note_paid"}},
                    "onDone": "shipping",
                },
                "shipping": {"entry": "pack"},
            },
        },
        ["PAY"],
    ),
    "shallow and deep history": (
        {
            "initial": "playing",
            "states": {
                "playing": {
                    "initial": "first",
                    "states": {
                        "first": {"on": {"NEXT": "second"}},
                        "second": {
                            "initial": "calm",
                            "states": {"calm": {"on": {"NEXT": "wild"}}, "wild": {}},
                        },
                        "last": {"type": "history", "history": "shallow"},
                        "exactly": {"type": "history", "history": "deep", "target": "second"},
                    },
                    "on": {"PAUSE": "paused"},
                },
                "paused": {"on": {"RESUME": "playing.last", "RESTORE": "#machine.playing.exactly"}},
            },
        },
        ["PAUSE", "RESTORE", "NEXT", "PAUSE", "RESUME", "NEXT", "PAUSE", "RESTORE"],
    ),
    "a history without a memory": (
        {
            "initial": "away",
            "states": {
                "away": {"on": {"BACK": "home.was", "HOME": "home"}},
                "home": {
                    "initial": "hall",
                    "states": {"hall": {}, "kitchen": {}, "was": {"type": "history", "target": "kitchen"}},
                    "on": {"LEAVE": "away"},
                },
            },
        },
        ["BACK", "LEAVE", "HOME", "LEAVE", "BACK"],
    ),
    "the machine itself has transitions": (
        {
            "initial": "one",
            "on": {"RESET": ".one", "NOTE": {"actions": "note"}},
            "states": {"one": {"on": {"NEXT": "two"}, "entry": "enter_one"}, "two": {}},
        },
        ["NEXT", "NOTE", "RESET", "RESET"],
    ),
    "the initial transition has actions": (
        {
            "initial": {"target": "outer", "actions": "begin"},
            "states": {"outer": {"entry": "enter", "initial": {"target": "inner", "actions": "inside"}, "states": {"inner": {"entry": "last"}}}},
        },
        [],
    ),
    "work, its result and its failure": (
        {
            "initial": "loading",
            "states": {
                "loading": {
                    "invoke": {
                        "id": "fetch",
                        "src": "fetch_user",
                        "onDone": {"target": "shown", "actions": "show"},
                        "onError": [{"guard": "no", "target": "shown"}, {"target": "failed", "actions": "complain"}],
                    }
                },
                "shown": {"on": {"REFRESH": "loading"}},
                "failed": {},
            },
        },
        ["done fetch", "REFRESH", "error fetch"],
    ),
    "a parallel machine": (
        {
            "type": "parallel",
            "entry": "begin",
            "states": {
                "sound": {"initial": "loud", "states": {"loud": {"on": {"MUTE": "silent"}}, "silent": {"on": {"MUTE": "loud"}}}},
                "picture": {"initial": "dark", "states": {"dark": {"on": {"PLAY": "bright"}}, "bright": {}}},
            },
            "on": {"NOTE": {"actions": "note"}},
        },
        ["MUTE", "PLAY", "NOTE", "MUTE"],
    ),
    "the machine itself works, waits and ends": (
        {
            "invoke": {"id": "watch", "src": "fetch_user", "onError": ".broken"},
            "after": {"5000": {"actions": "remind"}},
            "exit": "leave",
            "initial": "running",
            "states": {"running": {"on": {"STOP": "stopped"}}, "broken": {"on": {"STOP": "stopped"}}, "stopped": {"type": "final"}},
        },
        ["error watch", "STOP"],
    ),
    "guards of guards": (
        {
            "initial": "idle",
            "states": {
                "idle": {
                    "on": {
                        "BOTH": {"guard": {"type": "and", "params": {"guards": ["yes", "no"]}}, "target": "done"},
                        "EITHER": {"guard": {"type": "or", "params": {"guards": ["no", "yes"]}}, "target": "done"},
                        "NEITHER": {"guard": {"type": "not", "params": {"guard": {"type": "or", "params": {"guards": ["no", "no"]}}}}, "actions": "neither"},
                    }
                },
                "done": {"type": "final"},
            },
        },
        ["BOTH", "NEITHER", "EITHER"],
    ),
}  # fmt: skip
"""By name: the configuration, and the events."""
