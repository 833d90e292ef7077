// The Worker of worker.js, with the Python process in a container beside it: see wrangler.container.toml.

import { Container, getContainer } from "@cloudflare/containers";
import { forward } from "./worker.js";

/** The image of the Dockerfile. It sleeps while all machines wait: Restate keeps them, and wakes it by a request. */
export class {{Name}}Container extends Container {
  defaultPort = 9080;
  sleepAfter = "1m";

  constructor(ctx, env) {
    super(ctx, env);
    const { DURABLE_FSM_IDENTITY_KEYS, NOTIFICATIONS_URL } = env;
    this.envVars = { DURABLE_FSM_IDENTITY_KEYS, NOTIFICATIONS_URL };
  }
}

export default {
  fetch: (request, env) => forward(request, getContainer(env.CONTAINER)),
};
