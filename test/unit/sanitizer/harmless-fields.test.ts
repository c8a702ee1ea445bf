import { expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";

const base64 = (text: string) => Buffer.from(text).toString("base64");

const OAUTH =
  '{"token_type":"bearer","expires_in":3600,"refresh_token":"AB11733160000abcDEFghiJKLmno","x_refresh_token_expires_in":525600}';
const MODEL = JSON.stringify({
  api_key: "Vb7kQ9xmN2aaZZ81",
  max_tokens: 128_000,
  total_tokens: 987_654,
  token_limit: 200_000,
  password_min_length: 100_000,
  token_expires_at: 1_764_460_800,
  primary_key: "customer_id_2024",
  partition_key: "tenant_region_1",
  author: "Jane Doe 1999",
  keyboard: "qwertz_layout_2",
  bucket: "reports_2024",
});
const GOOGLE = JSON.stringify({
  project_id: "acme-prod-123456",
  private_key_id: "1f0c9a8b7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a",
  token_uri: "https://oauth2.googleapis.com/token",
  auth_provider_x509_cert_url: "https://www.googleapis.com/oauth2/v1/certs",
  client_x509_cert_url: "https://www.googleapis.com/robot/v1/metadata/x509/a",
});
const certificate = (lines: string) => `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
const PRIVATE_KEY =
  "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0Kx9mQ2pL7v4TZt4nB8wY3cR6\n-----END RSA PRIVATE KEY-----\n";
const KUBERNETES = [
  "apiVersion: v1",
  `certificate-authority-data: ${base64(certificate("MIIC5zCCAc+gAwIBAgIBADANBgkq"))}`,
  `client-certificate-data: ${base64(certificate("MIIDITCCAgmgAwIBAgIIH2pS4QyT"))}`,
  `client-key-data: ${base64(PRIVATE_KEY)}`,
  "token: Kx9mQ2pL7v4TZt4nB8wY3cR6",
].join("\n");
const ODBC =
  "Driver={ODBC Driver 18 for SQL Server};Server=tcp:acme.database.windows.net,1433;Database=reports_2024;Uid=app_user1;Pwd=Zx9!kQ2pLm4T;";
const ENV =
  "DB_NAME=acme_reports_2024\nDB_USER=svc_reports01\nDB_PASSWORD=Zx9!kQ2pLm4T\nS3_BUCKET=acme-prod-reports-2024\nSESSION_TOKEN_TTL=525600\nMAX_TOKENS=128000\n";

function redacted(name: string, value: string, text: string): string {
  const redactor = new TextRedactor(compileNeedles([value], [name]));
  return Buffer.concat([...redactor.push(Buffer.from(text)), ...redactor.end(false).pieces]).toString();
}

it.each([
  ["the lifetime of a token", OAUTH, "525600 minutes, 525,600.00 EUR, x_refresh_token_expires_in"],
  ["limits", MODEL, "128000, 987654, 200000, 100000 and 1764460800"],
  ["columns of tables", MODEL, "select customer_id_2024, tenant_region_1 from reports_2024"],
  ["an author", MODEL, "Jane Doe 1999"],
  ["the names in Google's key files", GOOGLE, "auth_provider_x509_cert_url, client_x509_cert_url"],
  ["a project", GOOGLE, "SELECT * FROM `acme-prod-123456.sales.orders`"],
  ["another certificate", KUBERNETES, certificate("MIIB")],
  ["another certificate in Base64", KUBERNETES, base64(certificate("MIIDdzCCAl+gAwIBAgIEAgAAuT"))],
  ["the names in Kubernetes' files", KUBERNETES, "certificate-authority-data, client-certificate-data"],
  ["a server and a database", ODBC, "tcp:acme.database.windows.net,1433, reports_2024 of app_user1"],
  ["an environment", ENV, "acme_reports_2024 svc_reports01 acme-prod-reports-2024 525600 128000"],
])("ordinary fields of a secret file are no secret: %s", (_what, value, text) => {
  for (const name of ["CONFIG", "API_KEY"])
    expect(redacted(name, value, `the ${text} of it`)).toBe(`the ${text} of it`);
});

it.each([
  ["a key of letters and digits", '{"primary_key":"Vb7kQ9xmN2aaZZ81"}', "Vb7kQ9xmN2aaZZ81"],
  ["a number", '{"token":482910,"max_tokens":128000}', "482910"],
  ["the number of an administrator", '{"admin_token":482910,"new_token":557120}', "482910"],
  ["a new number", '{"admin_token":482910,"new_token":557120}', "557120"],
  ["the key of a map", '{"Kx9mQ2pL7v4TZt4nB8wY":"alice"}', "Kx9mQ2pL7v4TZt4nB8wY"],
  ["a user that is random", "user=Kx9mQ2pL7v4T password=Zt4nB8w", "Kx9mQ2pL7v4T"],
  ["an authorization", '{"authorization":"hG7kd9Q"}', "hG7kd9Q"],
  ["a password like a name", "database=reports_2024 password=reports_2025", "reports_2025"],
  ["a key in Base64", KUBERNETES, base64(PRIVATE_KEY).slice(60, 80)],
])("secret fields of a file are found beside ordinary ones: %s", (_what, value, secret) => {
  expect(redacted("CONFIG", value, `the ${secret} of it`)).not.toContain(secret);
});
