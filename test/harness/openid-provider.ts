import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair } from "jose";
import { type AdapterFactory, type AdapterPayload, Provider } from "oidc-provider";

export type TestProvider = {
  readonly issuer: string;
  /** An access token (JWT) for this audience, as a program gets it for itself. */
  token(audience: string, client?: string): Promise<string>;
  /** Stops the provider; it does not answer until `start`. */
  stop(): Promise<void>;
  /** Starts the provider on its address again, with keys of its own that replace the earlier ones. */
  start(): Promise<void>;
  /** Lets every request wait until `release` is called. */
  hold(): () => void;
};

const SECRET = "a secret of the provider's clients";

/** Starts a real OpenID provider on a free port, whose clients get tokens for themselves. */
export async function startOpenIdProvider(clients: readonly string[] = ["reports"]): Promise<TestProvider> {
  let server: Server | undefined;
  let port = 0;
  let held: Promise<void> = Promise.resolve();
  const issuer = () => `http://127.0.0.1:${port}`;
  const start = async () => {
    const listening = createServer();
    listening.listen(port, "127.0.0.1");
    await once(listening, "listening");
    port = (listening.address() as AddressInfo).port;
    const provider = await providerAt(issuer(), clients);
    const handle = provider.callback();
    listening.on("request", async (request, response) => {
      await held;
      await handle(request, response);
    });
    server = listening;
  };
  await start();
  return {
    issuer: issuer(),
    start,
    async stop() {
      server?.closeAllConnections();
      await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
      server = undefined;
    },
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return resolve;
    },
    async token(audience, client = clients[0] as string) {
      const response = await fetch(`${issuer()}/token`, {
        method: "POST",
        headers: {
          authorization: `Basic ${Buffer.from(`${client}:${encodeURIComponent(SECRET)}`).toString("base64")}`,
        },
        body: new URLSearchParams({ grant_type: "client_credentials", resource: audience }),
      });
      const { access_token: token } = (await response.json()) as { access_token?: string };
      if (token === undefined) throw new Error(`the provider gave no token: ${response.status}`);
      return token;
    },
  };
}

async function providerAt(issuer: string, clients: readonly string[]): Promise<Provider> {
  const keys = await Promise.all(
    (["RS256", "ES256"] as const).map(async (alg) => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true });
      return { ...(await exportJWK(privateKey)), alg, use: "sig" };
    }),
  );
  return new Provider(issuer, {
    clients: clients.map((client_id) => ({
      client_id,
      client_secret: SECRET,
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
    })),
    jwks: { keys },
    // The library warns of its own store in memory.
    adapter: storeInMemory(),
    ttl: { ClientCredentials: 600 },
    cookies: { keys: ["test"] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          scope: "",
          audience: resource,
          accessTokenFormat: "jwt",
          accessTokenTTL: 600,
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
  });
}

/** A store for a provider, because the library warns of its own. */
export function storeInMemory(): AdapterFactory {
  const all = new Map<string, AdapterPayload>();
  return (name) => {
    const find = async (match: (payload: AdapterPayload) => boolean) =>
      [...all].find(([key, payload]) => key.startsWith(`${name}:`) && match(payload))?.[1];
    return {
      async upsert(id, payload) {
        all.set(`${name}:${id}`, payload);
      },
      find: async (id) => all.get(`${name}:${id}`),
      findByUid: (uid) => find((payload) => payload.uid === uid),
      findByUserCode: (code) => find((payload) => payload.userCode === code),
      async consume(id) {
        const payload = all.get(`${name}:${id}`);
        if (payload) payload.consumed = true;
      },
      async destroy(id) {
        all.delete(`${name}:${id}`);
      },
      async revokeByGrantId(grantId) {
        for (const [key, payload] of all) if (payload.grantId === grantId) all.delete(key);
      },
    };
  };
}
