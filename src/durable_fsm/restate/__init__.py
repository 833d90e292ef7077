"""The host: charts as Restate virtual objects. The only package that imports `restate`.

`app` begins here. `names`, `fastjson` and `stored/` do without the SDK, and so does this file, for the admin tools that
use them.
"""

from durable_fsm.restate.lean_import import prepare

prepare()
