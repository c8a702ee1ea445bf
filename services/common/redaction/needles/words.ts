/**
 * The pairs of letters that are most frequent in English words and in names of programs: two of three pairs in a
 * word are among them, and one of six in random letters.
 */
const FREQUENT = new Set(
  (
    "ab ac ad al am an ap ar as at bl ca ce ch ck co ct da de di ea ec ed ee ef el em en ep er es et ex fi fo ge ha he ho " +
    "ic id il im in io ir is it ke la le li ll lo ly ma me mi mo mp na nc nd ne ng ni no ns nt oc od ol om on op or os ou " +
    "pa pe pl po pr pt ra re ri ro rr rs rt sc se si ss st su ta te th ti to tr ts ul un ur us ut ve"
  ).split(" "),
);

/** The least share of frequent pairs in letters that are words. Of 16 random letters 1 % have as many. */
const LEAST_SHARE = 0.45;

/** Whether a text of letters looks like words rather than random letters. */
export function looksLikeWords(letters: string): boolean {
  const small = letters.toLowerCase();
  let frequent = 0;
  for (let at = 0; at + 1 < small.length; at++) if (FREQUENT.has(small.slice(at, at + 2))) frequent++;
  return frequent >= LEAST_SHARE * (small.length - 1) || (small.length <= MAX_SHORT && isSpoken(small));
}

/** Letters of a short word, whose pairs say too little: `robot`. */
const MAX_SHORT = 7;

/** Whether vowels and consonants take turns, as in a word. */
function isSpoken(small: string): boolean {
  return (
    !/[^aeiouy]{3}|[aeiouy]{3}/.test(small) && (small.match(/[aeiouy]/g) ?? []).length * 3 > small.length
  );
}

/** Words with signs between them, each perhaps with a short number behind it, and short numbers. */
const WRITTEN_NAME = /^[A-Za-z]+\d{0,4}(?:[ _.-](?:[A-Za-z]+\d{0,4}|\d{1,4}))*$/;

/** Whether a text is a name as people write it, such as `acme_reports_2024`, and no random letters and digits. */
export function isWrittenName(text: string): boolean {
  return WRITTEN_NAME.test(text) && looksLikeWords(text.replace(/[^A-Za-z]/g, ""));
}
