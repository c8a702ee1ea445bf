/**
 * The type of a member of a request that may be left out. Null is the same as that, since clients that are generated from the
 * OpenAPI document send it for what was not set: `acceptJsonBodies` leaves such members out before a route sees the body.
 */
export const optional = <const T extends string>(type: T) => ({ type: [type, "null"] }) as const;

/** A body as a route sees it. */
export type Given<Body> = { [Name in keyof Body]: Exclude<Body[Name], null> };
