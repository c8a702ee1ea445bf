export const base64 = (text: string) => Buffer.from(text).toString("base64");

/** Values that programs take apart, each with the passwords in it. */
export const STRUCTURED_SECRETS: readonly [what: string, value: string, ...passwords: string[]][] = [
  [
    "words in a URL",
    "postgres://app:correct-horse-battery-staple@db.internal/app",
    "correct-horse-battery-staple",
  ],
  ["a word in a URL", "redis://:swordfish@cache:6379/0", "swordfish"],
  ["a word in JSON", '{"user":"app","password":"Sunshine","pass":"hunter7"}', "Sunshine", "hunter7"],
  ["a word in a file", "DB_PASS=hunter8\nDB_PASSWORD=tiger-lily-moon\n", "hunter8", "tiger-lily-moon"],
  ["a word behind a user", "deploy:open_sesame_now", "open_sesame_now"],
  ["a word with a line end", "swordfish\n", "swordfish"],
  [
    "PostgreSQL's DSN",
    "host=db.internal port=5432 user=app password=s3cr3T.pw-9x dbname=app",
    "s3cr3T.pw-9x",
  ],
  ["JDBC", "jdbc:postgresql://db.internal:5432/app?user=app&password=jdbcPw.77xx", "jdbcPw.77xx"],
  ["ODBC", "Driver={PG};Server=db;UID=app;PWD={odbcPw.99zz}", "odbcPw.99zz"],
  ["a query", "user=app&password=qsPw.2233aa&x=1", "qsPw.2233aa"],
  ["netrc", "machine db.internal login app password netrcPw.88yy", "netrcPw.88yy"],
  ["Base64", base64("admin:S3cr3t-P@ssword-1999"), "admin:S3cr3t-P@ssword-1999", "S3cr3t-P@ssword-1999"],
  ["JSON in Base64", base64('{"auth":"tiger7lily"}'), "tiger7lily"],
  ["hexadecimal digits", Buffer.from("app:hexPw.4477zz").toString("hex"), "hexPw.4477zz"],
  ["a URL with the signs of one", "postgresql://app:Zx9/kQ2p#Lm@db.internal/app", "Zx9/kQ2p#Lm"],
  ["a URL with two @", "postgresql://app:x@Qz7Kw9.LmT4vB@db.internal/app", "x@Qz7Kw9.LmT4vB"],
  ["a value with a comment", 'password = "pw.0Pl4OkMj" # note', "pw.0Pl4OkMj"],
  ["a mapping of YAML", 'user: {token: "tok.9Xk2LmQ7Rt", username: admin}', "tok.9Xk2LmQ7Rt"],
  ["a mapping of JavaScript", "{user: 'app', password: 'pw.5Xc9ZaQw',}", "pw.5Xc9ZaQw"],
  ["a line of a shell", "A=1 B=pw.7Gt5VbNc export C='pw.5Hy3QwEr'", "pw.7Gt5VbNc", "pw.5Hy3QwEr"],
  ["pgpass", "db.internal:5432:app:app:pw.6Tg9BnHy", "pw.6Tg9BnHy"],
  ["Oracle", "app/pw.7Nm1BvCx@db:1521/orcl", "pw.7Nm1BvCx"],
  ["Go's DSN", "app:pw4mysql@tcp(db.internal:3306)/app", "pw4mysql"],
  ["a URL without its scheme", "app:tiger7@db.internal:5432/app", "tiger7"],
  ["JSON in JSON", JSON.stringify('{"password":"tiger7lily"}'), "tiger7lily"],
  ["XML", "<password>pw.8Uj2MkLo</password>", "pw.8Uj2MkLo"],
  [
    "a command",
    "curl -u app:pw.3Rf7VgTb -H 'X-Api-Key: key.2Wd6YhUj' https://x.example/y",
    "pw.3Rf7VgTb",
    "key.2Wd6YhUj",
  ],
];

/** Values that are wrapped into lines of so many characters. */
export const WRAPPED_SECRETS: readonly (readonly [value: string, width: number])[] = [
  [
    "legal winner thank year wave sausage worth useful legal winner thank yellow pepper orbit canyon velvet",
    50,
  ],
  ["correct horse battery staple\npurple monkey dishwasher\nseven green llamas dancing", 40],
  ["xK9#mP2$vL5@nQ8!wR3%tY6^zB4&", 20],
  ["x7@k(2m#q9&w$e5!r^t8*y)u3%i6+o_p1=a-s4d@f(g#h&j$k!", 26],
  ["aB3dE5gH7jK9mN1pQ3sT", 15],
  [`p@ss_w0rd&"x"<y>'z\\q%1`, 16],
];
