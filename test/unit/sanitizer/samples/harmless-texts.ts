import { createHash } from "node:crypto";
import { inspect } from "node:util";

/** A source of random numbers from 0 to 1 that gives the same ones for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Words of programs and people, among them those that stand in or around secrets. */
const WORDS =
  `the a value of run error warning user users password token key secret secrets account service_account
  private_key private_key_id client_email type robot things example.com postgresql postgres_exporter mypostgres Sommerzeit Sommers db
  DEBUG true false null None enabled authorization Bearer bearer Basic api_key API_KEY DB_PASSWORD sslmode require internal main live test
  sk_live sk_test ghx correct horse battery staple heimnis passed failed in on for with Grüße naïve señor 日本 😀 quick brown fox
  connection refused Traceback module line return self import from https http localhost cache value= key: user:`.split(
    /\s+/,
  );

const [DIGITS, HEX, LETTERS] = [
  "0123456789",
  "0123456789abcdef",
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
];
const BASE64 = `${LETTERS}${DIGITS}+/`;

/** Texts that ordinary programs print and that hold none of these numbers, which are secret. */
export class HarmlessTexts {
  readonly #random: () => number;
  readonly #numbers: readonly string[];

  constructor(seed: number, secretNumbers: readonly string[]) {
    this.#random = randomFrom(seed);
    this.#numbers = secretNumbers;
  }

  next(): string {
    return this.#one(this.#kinds)();
  }

  readonly #kinds: readonly (() => string)[] = [
    () => this.#words(this.#int(1, 14)),
    () => this.#number(),
    () => `[${this.#many(() => this.#number(), 8).join(", ")}]`,
    () => this.#many(() => this.#number(), 8).join(this.#one([",", ";", " ", "\t", "|", "\n"])),
    () => this.#nearSecret(),
    () => this.#uuid(),
    () =>
      createHash(this.#one(["sha256", "md5", "sha1"]))
        .update(String(this.#random()))
        .digest(this.#one(["hex", "base64"])),
    () => Buffer.from(this.#encodedWords(9)).toString(this.#one(["base64", "hex", "base64url"])),
    () => JSON.stringify(this.#document(), undefined, this.#one([0, 2])),
    () => JSON.stringify(JSON.stringify(this.#document())),
    () => inspect(this.#document(), { colors: this.#random() < 0.3 }),
    () =>
      `https://${this.#one(["db.internal:5432", "example.com", "api.example.com"])}/main?sslmode=require&q=${encodeURIComponent(this.#words(3))}`,
    () => `mysql://${this.#one(["", "app@"])}db.internal:5432/main?sslmode=require&n=${this.#number()}`,
    () =>
      `eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.${this.#characters(BASE64, 60)}.${this.#characters(LETTERS + DIGITS, 43)}`,
    () =>
      `-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA${this.#characters(BASE64, 20)}\n-----END PUBLIC KEY-----\n`,
    () => `db:\n  user: app\n  port: ${this.#number()}\ntoken: \n${this.#one(WORDS)}: '${this.#words(2)}'\n`,
    () =>
      `2026-11-30T0${this.#int(0, 9)}:1${this.#int(0, 9)}:23.${this.#characters(DIGITS, 6)}Z INFO ${this.#words(5)} took ${this.#number()} ms`,
    () =>
      `<p class="${this.#one(WORDS)}">${this.#words(4).replaceAll(" ", "&nbsp;")} &amp; ${this.#number()}&#39;s</p>`,
    () =>
      this.#many(
        () => `${this.#one(WORDS).padEnd(20)} ${this.#number().padStart(18)}  ${this.#words(1)}`,
        6,
      ).join("\n"),
    () => `C:\\Users\\${this.#one(WORDS)}\\new\\table\\x41\\u00e9 %20 %zz &bogus; =3D =\n ${this.#number()}`,
    () =>
      `commit ${this.#characters(HEX, 40)}\nindex ${this.#characters(HEX, 7)}..${this.#characters(HEX, 7)} 100644`,
    () =>
      [...Buffer.from(this.#encodedWords(3))]
        .map((byte) => byte.toString(16).padStart(2, "0"))
        .join(this.#one([":", " ", ", 0x"])),
    () =>
      `${this.#int(1, 255)}.${this.#int(0, 255)}.${this.#int(0, 255)}.${this.#int(1, 254)}:${this.#int(1024, 65_535)}`,
    () => `sk_test-${this.#characters(LETTERS + DIGITS, 28)} ghx_${this.#characters(LETTERS + DIGITS, 20)}`,
  ];

  #number(): string {
    const whole = this.#characters(DIGITS, this.#int(1, 22));
    const fraction = this.#characters(DIGITS, this.#int(1, 12));
    const grouped = whole
      .replace(/^0+(?=.)/, "")
      .replace(/\B(?=(?:\d{3})+$)/g, this.#one([",", "_", " ", "'", "."]));
    const sign = this.#one(["", "", "", "-", "+"]);
    const exponent = `${whole[0]}.${fraction}e${this.#one(["+", "-", ""])}${this.#int(0, 30)}`;
    return (
      sign +
      this.#one([whole, `${whole}.${fraction}`, grouped, exponent, `0.${fraction}`, String(this.#random())])
    );
  }

  /** Numbers whose digits begin, end or go on like a secret one. */
  #nearSecret(): string {
    const secret = this.#one(this.#numbers);
    const digits = secret.replace(/^0+/, "");
    const digit = String(this.#int(1, 9));
    const last = String((Number(digits.at(-1)) + this.#int(1, 9)) % 10);
    // What differs in the 16th digit or later is the same number where it is kept as a double.
    const other = digits.length > 15 ? digits.slice(0, -1) : digits.slice(0, -1) + last;
    return this.#one([
      digit + digits,
      digits + digit,
      other,
      `${digit}.${digits}`,
      `0.${digits}`,
      `${digits.slice(0, 15)}.${digit}`,
      `${digit}${digits.replace(/\B(?=(?:\d{3})+$)/g, ",")}`,
      other.replace(/\B(?=(?:\d{3})+$)/g, ","),
      `${digits}${digit}0`,
      `${other}.00`,
      `id=${other};n=${digit}${digits}`,
      digits.slice(0, -2),
      digits.slice(2),
      `x${digits.slice(1)}`,
      `1.${digits.slice(1)}e+${digits.length}`,
    ]);
  }

  #uuid(): string {
    const digits = this.#characters(HEX, 32);
    const uuid = digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    return this.#one([uuid, uuid.toUpperCase(), digits, `urn:uuid:${uuid}`]);
  }

  #document(): unknown {
    return {
      type: "service_account",
      [this.#one(WORDS)]: this.#words(3),
      id: Number(this.#characters(DIGITS, 8)),
      'a "quoted" key\n': [
        this.#uuid(),
        this.#random(),
        null,
        this.#words(2),
        `${this.#one(WORDS)}\\"/é😀\t`,
      ],
      client_email: "robot-7@things-43.example.com",
    };
  }

  #words(count: number): string {
    return Array.from({ length: count }, () => this.#one(WORDS)).join(" ");
  }

  /** Texts without a secret word, because an encoding hides where a word ends. */
  #encodedWords(count: number): string {
    return Array.from({ length: count }, () =>
      this.#one(WORDS.filter((word) => !/postgres|Sommer/.test(word))),
    ).join(" ");
  }

  #many(write: () => string, most: number): string[] {
    return Array.from({ length: this.#int(1, most) }, write);
  }

  #characters(of: string, count: number): string {
    return Array.from({ length: count }, () => of[this.#int(0, of.length - 1)]).join("");
  }

  #int(from: number, to: number): number {
    return from + Math.floor(this.#random() * (to - from + 1));
  }

  #one<T>(of: readonly T[]): T {
    return of[this.#int(0, of.length - 1)] as T;
  }
}
