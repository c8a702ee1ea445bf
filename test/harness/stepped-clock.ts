// A module that a service loads first: it moves `Date.now` by the milliseconds in the file STEP_FILE, like a clock
// that is set.
import { readFileSync } from "node:fs";

const file = process.env.STEP_FILE ?? "";
const now = Date.now;
let stepMs = 0;

function look(): void {
  try {
    stepMs = Number(readFileSync(file, "utf8"));
  } catch {
    stepMs = 0;
  }
}

setInterval(look, 20).unref();
Date.now = () => now() + stepMs;
