// The console's scripts. Without them every page still works: it shows what was when it loaded.

import { times } from "./times.js";
import { stages } from "./stage.js";
import { live } from "./live.js";
import { travel } from "./travel.js";
import { controls } from "./controls.js";

controls();
times();
stages();
travel();
live();
