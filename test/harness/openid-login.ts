import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair } from "jose";
import { Provider } from "oidc-provider";
import { storeInMemory } from "./openid-provider.ts";

export const CLIENT_ID = "airlock";
export const CLIENT_SECRET = "the secret of Airlock at the provider";

/** A real OpenID provider with pages on which anybody may log in under any name. */
export type LoginProvider = {
  readonly issuer: string;
  /** Replaces the provider's keys. */
  rotateKeys(): Promise<void>;
  stop(): Promise<void>;
};

/** Starts the provider on a free port, for one client with this redirect URL. */
export async function startLoginProvider(redirectUri: string): Promise<LoginProvider> {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const adapter = storeInMemory();
  const make = async () => {
    const { privateKey } = await generateKeyPair("RS256", { extractable: true });
    const provider = new Provider(issuer, {
      clients: [
        {
          client_id: CLIENT_ID,
          client_secret: CLIENT_SECRET,
          grant_types: ["authorization_code"],
          response_types: ["code"],
          redirect_uris: [redirectUri],
        },
      ],
      pkce: { required: () => true },
      jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: "RS256", use: "sig" }] },
      adapter,
      findAccount: (_context, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
      ttl: {
        AccessToken: 600,
        AuthorizationCode: 60,
        Grant: 600,
        IdToken: 600,
        Interaction: 600,
        Session: 600,
      },
      cookies: { keys: ["test"] },
    });
    return provider.callback();
  };
  let handle = await make();
  server.on("request", (request, response) => void handle(request, response));
  return {
    issuer,
    async rotateKeys() {
      handle = await make();
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
