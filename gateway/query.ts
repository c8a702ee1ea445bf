import type { FastifyInstance } from "fastify";

type PropertySchemas = { readonly properties?: Readonly<Record<string, { readonly type?: unknown }>> };

/**
 * Gives query parameters whose schema says number the number they spell. Anything else stays the text it is and the
 * schema refuses it: "1e3", "0x10", "" and " 5" are no numbers here.
 */
export function readQueryNumbers(app: FastifyInstance): void {
  app.addHook("preValidation", async (request) => {
    const { properties = {} } = (request.routeOptions.schema?.querystring ?? {}) as PropertySchemas;
    const query = request.query as Record<string, unknown>;
    for (const [name, { type }] of Object.entries(properties)) {
      const value = query[name];
      if (type !== "number" && type !== "integer") continue;
      if (typeof value === "string" && /^-?\d{1,15}(\.\d{1,15})?$/.test(value)) query[name] = Number(value);
    }
  });
}
