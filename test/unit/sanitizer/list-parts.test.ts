import { expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";

function redacted(name: string, value: string, text: string): string {
  const redactor = new TextRedactor(compileNeedles([value], [name]));
  return Buffer.concat([...redactor.push(Buffer.from(text)), ...redactor.end(false).pieces]).toString();
}

it.each([
  ["two lines", "LOGIN", "bob\nVb7kQ9xmN2\n", "Vb7kQ9xmN2"],
  ["two lines of a secret", "DB_LOGIN_SECRET", "bob\nhunter7\n", "hunter7"],
  ["a pair with a blank", "LOGIN", "bob Vb7kQ9xmN2", "Vb7kQ9xmN2"],
  ["a pair with a comma", "LOGIN", "bob,Vb7kQ9xmN2", "Vb7kQ9xmN2"],
  ["a pair with a bar", "LOGIN", "bob|Vb7kQ9xmN2", "Vb7kQ9xmN2"],
  ["a pair with a slash", "LOGIN", "bob/Vb7kQ9xmN2", "Vb7kQ9xmN2"],
  ["a user of two words", "LOGIN", "user name:Vb7kQ9xmN2", "Vb7kQ9xmN2"],
  ["a list", "API_KEYS", "Kx9mQ2pL7v4T,Zt4nB8wY3cR6", "Kx9mQ2pL7v4T", "Zt4nB8wY3cR6"],
  ["a list with semicolons", "API_KEYS", "Kx9mQ2p;Zt4nB8w", "Kx9mQ2p", "Zt4nB8w"],
  ["a list with blanks", "API_KEYS", "kx9mq2p zt4nb8w", "kx9mq2p", "zt4nb8w"],
  ["a list in lines", "API_KEYS", "Kx9mQ2p\nZt4nB8w\n", "Kx9mQ2p", "Zt4nB8w"],
  ["keys with their users", "API_KEYS", "alice:Kx9mQ2p,bob:Zt4nB8w", "Kx9mQ2p", "Zt4nB8w"],
  [
    "a list in an environment",
    "DOTENV",
    "TOKENS=Kx9mQ2pL7v4T,Zt4nB8wY3cR6\n",
    "Kx9mQ2pL7v4T",
    "Zt4nB8wY3cR6",
  ],
  ["a list in quotes", "DOTENV", 'A=1\nTOKENS="Kx9mQ2p,Zt4nB8w"\n', "Kx9mQ2p", "Zt4nB8w"],
  ["recovery codes", "RECOVERY_TOKENS", "482910 557120 903311", "482910", "903311"],
  ["a map of JSON", "DB_PASSWORDS", '{"alice":"Vb7kQ9x","bob":"Zt4nB8w"}', "Vb7kQ9x", "Zt4nB8w"],
  ["a list of JSON", "DB_PASSWORDS", '["Vb7kQ9x","Zt4nB8w"]', "Vb7kQ9x", "Zt4nB8w"],
  ["lines of TOML", "CONFIG_TOML", 'password = """\nVb7kQ9xmN2aa"""', "Vb7kQ9xmN2aa"],
  ["a card", "CARD_KEY", "4111 1111 1111 1111", "4111111111111111"],
  ["an account", "IBAN_KEY", "DE89 3704 0044 0532 0130 00", "DE89370400440532013000"],
  ["a telephone", "PHONE_PIN", "+49 151 23456789", "4915123456789", "+4915123456789"],
])(
  "what ordinary code takes out of a value by splitting it is found: %s",
  (_what, name, value, ...secrets) => {
    for (const secret of secrets) {
      expect(redacted(name, value, `it is ${secret} here`)).not.toContain(secret);
      expect(redacted(name, value, JSON.stringify({ password: secret }))).not.toContain(secret);
    }
  },
);

it.each([
  ["words", "API_PHRASE", "legal winner thank year wave sausage", "the winner takes sausage, legal"],
  [
    "a sentence",
    "SECRET_NOTE",
    "Please rotate this key quarterly; thank you.",
    "rotate it quarterly, thanks",
  ],
  ["hosts", "DB_KEY", "db1.internal,db2.internal:5432", "at db1.internal and db2.internal"],
  ["the user", "LOGIN_SECRET", "bob.miller Vb7kQ9xmN2", "of bob.miller now"],
  ["regions", "KEY_REGIONS", "eu-west-1,us-east-1", "in us-east-1 and eu-west-1"],
  ["days", "TOKEN_DAYS", "2026-11-30,2026-12-01", "on 2026-12-01 and 2026-11-30"],
  ["a path", "KEY_FILE", "certs/Server2024", "the certs of server2025"],
  ["settings", "DB_SECRET", '{"engine":"redis7","host":"db1","port":3306}', "redis7 at db1, port 3306"],
  ["numbers", "LIMITS", "482910 557120", "482910 and 557120"],
])("what is no secret in a list stays as it is: %s", (_what, name, value, text) => {
  expect(redacted(name, value, text)).toBe(text);
});
