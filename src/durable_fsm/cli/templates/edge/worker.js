// The Worker: it passes what your Restate has signed to the machine, and refuses everything else.
//
// The machine runs in Python behind it, anywhere: the SDK's native core cannot run inside a Worker. The Python process
// checks the signature itself. A request without one is refused here, so that it wakes nothing.

const SIGNATURE = "x-restate-jwt-v1";

/** Answer for `target`, which is anything with a fetch. */
export async function forward(request, target) {
  if (!request.headers.has(SIGNATURE)) {
    return new Response("Only requests that Restate has signed are accepted.\n", { status: 401 });
  }
  return target.fetch(request);
}

/** The Python process at `url`. */
function endpoint(url) {
  return {
    fetch(request) {
      const { pathname, search } = new URL(request.url);
      return fetch(new Request(new URL(pathname + search, url), request));
    },
  };
}

export default {
  fetch: (request, env) => forward(request, endpoint(env.ENDPOINT_URL)),
};
