// Try to import Restate's SDK in Pyodide: node pyodide.mjs SITE_PACKAGES. Prints what happened, as JSON.

import { loadPyodide } from "pyodide";

const python = await loadPyodide();
python.FS.mkdirTree("/packages");
python.FS.mount(python.FS.filesystems.NODEFS, { root: process.argv[2] }, "/packages");
console.log(
  python.runPython(`
import importlib.machinery, importlib.util, json, pathlib, sys

sys.path.append("/packages")
found = {"platform": sys.platform}
try:
    import restate
except ImportError as error:
    found["import"] = str(error)

[core] = pathlib.Path("/packages/restate").glob("_internal*.so")
loader = importlib.machinery.ExtensionFileLoader("restate._internal", str(core))
spec = importlib.util.spec_from_file_location("restate._internal", core, loader=loader)
try:
    importlib.util.module_from_spec(spec)
except ImportError as error:
    found["load"] = str(error)
json.dumps(found)
`),
);
