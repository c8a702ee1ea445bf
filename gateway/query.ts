import type { FastifyInstance } from "fastify";

// A plus sign is a space in a query, so that 1e+3 comes as "1e 3".
const NUMBER = /^-?\d+(\.\d+)?(e[+ -]?\d+)?$/i;

type PropertySchemas = { readonly properties?: Readonly<Record<string, { readonly type?: unknown }>> };

/**
 * Gives query parameters whose schema says number the number they spell, in any form that programs print numbers in.
 * Anything else stays the text it is and the schema refuses it: "0x10", "NaN", "" and " 5" are no numbers here.
 */
export function readQueryNumbers(app: FastifyInstance): void {
  app.addHook("preValidation", async (request) => {
    const { properties = {} } = (request.routeOptions.schema?.querystring ?? {}) as PropertySchemas;
    const query = request.query as Record<string, unknown>;
    for (const [name, { type }] of Object.entries(properties)) {
      const value = query[name];
      if (type !== "number" && type !== "integer") continue;
      if (typeof value === "string" && NUMBER.test(value)) query[name] = Number(value.replace(" ", "+"));
    }
  });
}
