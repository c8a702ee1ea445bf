import { createHash, randomBytes } from "node:crypto";

const FORM = /^als_[A-Za-z0-9_-]{43}$/;

/** Makes the id of a session, from 32 random bytes. */
export function makeSessionId(): string {
  return `als_${randomBytes(32).toString("base64url")}`;
}

/** Whether a text has the form of a session's id. */
export function isSessionId(text: string): boolean {
  return FORM.test(text);
}

/** The hash by which the authority knows a session. An id has 256 random bits, so it needs no salt. */
export function sessionHash(id: string): string {
  return createHash("sha256").update(id).digest("hex");
}
