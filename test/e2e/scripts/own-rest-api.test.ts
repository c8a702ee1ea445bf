import { expect, it } from "vitest";
import { startAirlock } from "../../harness/airlock.ts";
import { restClient } from "../../harness/rest.ts";
import { freePort } from "../../support/free-port.ts";

it("a script does not reach the REST API of its own Airlock, although its project allows this machine", async () => {
  const port = await freePort();
  const other = await freePort();
  const airlock = await startAirlock({
    port,
    projects: {
      demo: `network_allowlist: ["127.0.0.1:${port}", "127.0.0.1:${other}", "localhost:${port}"]\nallow_private: [127.0.0.0/8, "::1"]\n`,
    },
  });
  const get = (url: string) => `
import urllib.error, urllib.request
try:
    print(urllib.request.urlopen("${url}").status)
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
`;
  const rest = restClient(airlock.url);
  try {
    for (const host of ["127.0.0.1", "localhost"]) {
      const { stdout } = await rest.run({ code: get(`http://${host}:${port}/projects`) });
      expect(stdout).toContain("403");
      expect(stdout).toContain(`Airlock refused ${host}:${port}: its address is one of Airlock's own`);
    }
    // Any other port of this machine is dialled; nothing listens there.
    expect((await rest.run({ code: get(`http://127.0.0.1:${other}/`) })).stdout).toContain("502");
  } finally {
    await airlock.remove();
  }
}, 60_000);
