import type { FastifyInstance } from "fastify";
import { InvalidFields } from "../problems.ts";

// A plus sign is a space in a query, so that 1e+3 comes as "1e 3".
const NUMBER = /^-?\d+(\.\d+)?(e[+ -]?\d+)?$/i;

type PropertySchemas = { readonly properties?: Readonly<Record<string, { readonly type?: unknown }>> };

/**
 * Gives query parameters whose schema says number the number they spell, in any form that programs print numbers in.
 * Refuses one that is given more than once. Anything else stays the text it is and the schema refuses it: "0x10", "NaN", "" and " 5" are no numbers here.
 */
export function readQueryNumbers(app: FastifyInstance): void {
  app.addHook("preValidation", async (request) => {
    const { properties = {} } = (request.routeOptions.schema?.querystring ?? {}) as PropertySchemas;
    const query = request.query as Record<string, unknown>;
    const twice = Object.keys(query).filter((name) => Array.isArray(query[name]));
    if (twice.length > 0) {
      const problems = twice.map((field) => ({ field, message: "is given more than once" }));
      throw new InvalidFields(problems, "query parameter ");
    }
    for (const [name, { type }] of Object.entries(properties)) {
      const value = query[name];
      if (type !== "number" && type !== "integer") continue;
      if (typeof value === "string" && NUMBER.test(value)) query[name] = Number(value.replace(" ", "+"));
    }
  });
}
