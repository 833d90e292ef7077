// The peers of `speed.py`, in one Node process: a hand-written virtual object that does the work of floor.py, and a toggle
// of Restate's own XState integration.
import * as http2 from "node:http2";
import * as restate from "@restatedev/restate-sdk";
import { xstate } from "@restatedev/xstate";
import { assign, setup } from "xstate";

const handWritten = restate.object({
  name: "HandWrittenTs",
  handlers: {
    press: async (ctx, { by, note }) => {
      if (!Number.isInteger(by) || by < 1 || by > 10 || typeof note !== "string") {
        throw new restate.TerminalError("not a press", { errorCode: 422 });
      }
      const blob = (await ctx.get("snapshot")) ?? {
        chart: "Ours", configuration: ["off"], data: { presses: 0, last_note: "" }, digest: "0123456789ab",
        format: 1, life: "0123456789ab", seq: 1, status: "running", version: "1",
      };
      blob.data.presses += by;
      blob.data.last_note = note;
      blob.configuration = blob.configuration[0] === "off" ? ["on"] : ["off"];
      blob.seq += 1;
      ctx.set("snapshot", blob);
      return {
        machine: "Ours", key: ctx.key, seq: blob.seq, event: "press", outcome: "taken",
        configuration: blob.configuration, status: "running", reply: blob.data.presses,
      };
    },
  },
});

const toggle = setup({
  actions: {
    note: assign({
      presses: ({ context, event }) => context.presses + event.by,
      last_note: ({ event }) => event.note,
    }),
  },
}).createMachine({
  id: "toggle",
  initial: "off",
  context: { presses: 0, last_note: "" },
  states: {
    off: { on: { press: { target: "on", actions: "note" } } },
    on: { on: { press: { target: "off", actions: "note" } } },
  },
});

const handler = restate.createEndpointHandler({ services: [handWritten, xstate("XStateToggle", toggle)] });
const server = http2.createServer(handler);
server.listen(Number(process.argv[2]), "127.0.0.1");
