/**
 * The type of a request member that may be left out or null. Null means absent, because clients generated
 * from the OpenAPI document send null for unset members. `acceptJsonBodies` removes such members before a
 * route sees the body.
 */
export const optional = <const T extends string>(type: T) => ({ type: [type, "null"] }) as const;

/** The type of a body in a route's handler, where null members have been removed. */
export type Given<Body> = { [Name in keyof Body]: Exclude<Body[Name], null> };
